"""Webhooks: which events there are, whom they go to, and how they are signed and repeated.

An event goes to the address that the shop registered for its type, else to the app's address, and only while the
seller's or creator's authorisation lasts. It carries no time in its signature: receivers must tell repetitions by
`tts_notification_id`.
"""

from typing import Any

from sandbox.tiktok_shop import people
from sandbox.tiktok_shop.signing import sign_webhook
from sandbox.tiktok_shop.state import NAME, ShopState, dumps, new_id

PAUSES = (120.0, 1800.0, 3 * 3600.0, 12 * 3600.0)
ANSWER_SECONDS = 3.0

# The types that shops may register, and the two that go to the app only.
TYPES = {
    "ORDER_STATUS_CHANGE": 1,
    "REVERSE_STATUS_UPDATE": 2,
    "RECIPIENT_ADDRESS_UPDATE": 3,
    "PACKAGE_UPDATE": 4,
    "PRODUCT_STATUS_CHANGE": 5,
    "SELLER_DEAUTHORIZATION": 6,
    "UPCOMING_AUTHORIZATION_EXPIRATION": 7,
    "CANCELLATION_STATUS_CHANGE": 11,
    "RETURN_STATUS_CHANGE": 12,
    "NEW_CONVERSATION": 13,
    "NEW_MESSAGE": 14,
    "PRODUCT_INFORMATION_CHANGE": 15,
    "PRODUCT_CREATION": 16,
    "PRODUCT_CATEGORY_CHANGE": 18,
    "NEW_MESSAGE_LISTENER": 33,
    "INVOICE_STATUS_CHANGE": 36,
    "PRODUCT_AUDIT_STATUS_CHANGE": 37,
}
CREATOR_TYPES = {"SHOPPABLE_CONTENT_POSTING": 17, "CREATOR_DEAUTHORIZATION": 20, "VIDEO_PRECHECK_RESULT": 55}


def next_pause(attempts: int, age_seconds: float) -> float | None:
    """2 minutes, 30 minutes, 3 hours and 12 hours; then the event is dropped."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def sign_with(state: ShopState) -> None:
    """Register how TikTok Shop signs and repeats."""
    state.webhooks.sign_with(
        NAME,
        lambda body: {"Authorization": sign_webhook(state.app_key, state.app_secret, body)},
        next_pause,
        ANSWER_SECONDS,
    )


def tell_shop(state: ShopState, event: str, shop_id: str, data: dict[str, Any], at: float) -> None:
    """Queue an event of a shop, inside the transaction of the fact that it tells."""
    seller = people.shop(state, shop_id).seller
    if not people.connected(state, "seller", seller):
        return
    row = state.store.one("SELECT address FROM shop_webhook WHERE shop_id = ? AND event_type = ?", shop_id, event)
    address = row["address"] if row is not None else state.settings.webhook_url
    _put(state, event, TYPES[event], {"shop_id": shop_id}, data, at, address)


def tell_creator(state: ShopState, event: str, username: str, data: dict[str, Any], at: float) -> None:
    """Queue an event of a creator, inside the transaction of the fact that it tells."""
    if people.connected(state, "creator", username):
        whose = {"creator_open_id": people.creator(state, username).open_id}
        _put(state, event, CREATOR_TYPES[event], whose, data, at, state.settings.webhook_url)


def _put(
    state: ShopState, event: str, number: int, whose: dict[str, str], data: dict[str, Any], at: float, url: str | None
) -> None:
    if url is None:
        return
    body = {"type": number, "tts_notification_id": new_id("73"), **whose, "timestamp": int(at), "data": data}
    state.webhooks.put(NAME, event, url, dumps(body).encode(), at)
