"""The end of authorisations: withdrawn by the seller or creator, or about to run out."""

from sandbox.tiktok_shop import events, people
from sandbox.tiktok_shop.state import ShopState

_DAY_SECONDS = 86_400.0


def withdraw(state: ShopState, kind: str, subject: str) -> int:
    """The seller or creator removes the app. Every token dies, and the app is told. Returns authorisations ended."""
    now = state.clock.now()
    with state.store.transaction():
        if people.connected(state, kind, subject):
            # Told first, because nothing is told of those who are not connected.
            if kind == "creator":
                events.tell_creator(state, "CREATOR_DEAUTHORIZATION", subject, {"cancel_time": int(now)}, now)
            else:
                for shop in people.shops(state, subject):
                    data = {"message": "The seller has removed the app.", "cancel_time": int(now)}
                    events.tell_shop(state, "SELLER_DEAUTHORIZATION", shop.id, data, now)
        ended = state.store.all(
            "UPDATE shop_grant SET revoked = 1 WHERE kind = ? AND subject = ? AND NOT revoked RETURNING id",
            *(kind, subject),
        )
        for row in ended:
            state.no_longer("expiry_notice", str(row["id"]))
    return len(ended)


def notice_expiry(state: ShopState, grant_id: str, at: float) -> None:
    """Tell that an authorisation ends soon; again each day until it is renewed or over."""
    row = state.store.one("SELECT * FROM shop_grant WHERE id = ? AND NOT revoked", int(grant_id))
    if row is None or row["refresh_expire_time"] <= at:
        return
    newer = state.store.number(
        "SELECT count(*) FROM shop_grant WHERE kind = 'seller' AND subject = ? AND id > ? AND NOT revoked",
        *(row["subject"], row["id"]),
    )
    if newer:
        return
    data = {
        "message": "The authorisation ends soon. Ask the seller to authorise again.",
        "expiration_time": int(row["refresh_expire_time"]),
    }
    for shop in people.shops(state, row["subject"]):
        events.tell_shop(state, "UPCOMING_AUTHORIZATION_EXPIRATION", shop.id, data, at)
    state.later(at + _DAY_SECONDS, "expiry_notice", grant_id)
