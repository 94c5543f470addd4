"""TikTok Shop's webhooks: the official vector, who is refused, and what each type says."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.vendor_webhook import WebhookForged, WebhookTooLarge, WebhookUnreadable
from vendors.tiktok_shop import webhooks
from vendors.tiktok_shop.aftersales import CancelStatus
from vendors.tiktok_shop.creator_models import PostStatus
from vendors.tiktok_shop.order_models import OrderStatus
from vendors.tiktok_shop.products import ProductStatus
from vendors.tiktok_shop.webhooks import WebhookEvent, read_event

KEY, SECRET = "abcdef", "123"
BODY = (
    b'{"type":1,"tts_notification_id":"7380066284010030890","shop_id":"7495540735365777507","timestamp":1718305585,'
    b'"data":{"is_on_hold_order":true,"order_id":"576653688135258178","order_status":"UNPAID",'
    b'"update_time":1718305585}}'
)
SIGN = "5dec0f11ec2f6783b8deee53c9ffbf8d024302f7c7e7fa55a35d17629031ac05"


def read(body: bytes = BODY, sign: str = SIGN, key: str = KEY, secret: str = SECRET) -> WebhookEvent:
    return read_event(body, sign, app_key=key, app_secret=secret)


def signed(body: bytes) -> WebhookEvent:
    return read(body, hmac.new(SECRET.encode(), KEY.encode() + body, hashlib.sha256).hexdigest())


def event(number: int, data: Any, **more: Any) -> WebhookEvent:
    fields = {"type": number, "tts_notification_id": "1", "shop_id": "7495", "timestamp": 1718305585, "data": data}
    return signed(json.dumps(fields | more).encode())


def test_the_official_vector_is_accepted_and_read() -> None:
    order = read()
    assert (order.type, order.notification_id, order.shop_id) == (1, "7380066284010030890", "7495540735365777507")
    assert order.time == datetime(2024, 6, 13, 19, 6, 25, tzinfo=UTC)
    assert order.detail == webhooks.OrderChanged("576653688135258178", OrderStatus.UNPAID, is_on_hold_order=True)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_changed_byte_of_the_body_is_a_forgery(place: int, change: int) -> None:
    changed = bytearray(BODY)
    changed[place] ^= change
    with pytest.raises(WebhookForged):
        read(bytes(changed))


@pytest.mark.parametrize("sign", ["", SIGN.upper(), SIGN[:-1], f"Bearer {SIGN}", "é" * 64, "0" * 64])
def test_a_missing_or_wrong_signature_is_a_forgery(sign: str) -> None:
    with pytest.raises(WebhookForged):
        read(sign=sign)


@pytest.mark.parametrize(("key", "secret"), [("other", SECRET), (KEY, "other"), (KEY, "")])
def test_another_app_or_no_secret_accepts_nothing(key: str, secret: str) -> None:
    with pytest.raises(WebhookForged):
        read(key=key, secret=secret)


def test_a_body_above_the_limit_is_refused_before_its_signature_is_looked_at() -> None:
    with pytest.raises(WebhookTooLarge):
        read_event(b"x" * 11, "", app_key=KEY, app_secret=SECRET, max_bytes=10)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"type":1}', b'{"tts_notification_id":"1"}', b"\xff", b"[" * 50_000]
)
def test_signed_nonsense_is_unreadable(body: bytes) -> None:
    with pytest.raises(WebhookUnreadable):
        signed(body)


@pytest.mark.parametrize(
    ("number", "data", "detail"),
    [
        (
            1,
            {"order_id": 5, "order_status": "CANCEL"},
            webhooks.OrderChanged("5", OrderStatus.CANCELLED, is_on_hold_order=False),
        ),
        (3, {"order_id": "5"}, webhooks.AddressChanged("5")),
        (
            4,
            {"sc_type": "SPLIT", "package_list": [{"package_id": "9", "order_id_list": ["5", 6]}]},
            webhooks.PackagesChanged("SPLIT", {"9": ("5", "6")}),
        ),
        (
            5,
            {"product_id": 1729382476852921560, "status": "FREEZE", "suspended_reason": "claims"},
            webhooks.ProductChanged("1729382476852921560", ProductStatus.FREEZE, "claims"),
        ),
        (6, {}, webhooks.SellerDeauthorized()),
        (
            7,
            {"message": "soon", "expiration_time": 1718305585},
            webhooks.AuthorizationEnding(datetime(2024, 6, 13, 19, 6, 25, tzinfo=UTC)),
        ),
        (
            11,
            {
                "order_id": "5",
                "cancel_id": "8",
                "cancel_status": "CANCELLATION_REQUEST_CANCELLED",
                "cancellations_role": "BUYER",
            },
            webhooks.CancellationChanged("5", "8", CancelStatus.WITHDRAWN, "BUYER"),
        ),
        (
            12,
            {"order_id": "5", "return_id": "8", "return_type": "REFUND", "return_status": "X", "return_role": "BUYER"},
            webhooks.ReturnChanged("5", "8", "REFUND", "X", "BUYER"),
        ),
        (15, {"product_id": "2"}, webhooks.ProductChanged("2", None, "")),
        (
            17,
            {"product_id": "2", "event": {"type": "ADD", "scene": "VIDEO", "content_id": 3}},
            webhooks.ContentLinked("2", "ADD", "VIDEO", "3"),
        ),
        (20, {"cancel_time": 1}, webhooks.CreatorDeauthorized()),
        (
            27,
            {
                "product_id": "2",
                "sku_id": "3",
                "current_inventory_status": "LOW_STOCK",
                "trigger_reason": {"alert_type": "REALTIME"},
            },
            webhooks.StockChanged("2", "3", "LOW_STOCK", "REALTIME"),
        ),
        (36, {"x": 1}, webhooks.OtherEvent()),
        (999, {}, webhooks.OtherEvent()),
        (1, {}, webhooks.OtherEvent()),  # known, and yet without what it is about
        (1, None, webhooks.OtherEvent()),
    ],
)
def test_each_type_is_read_and_none_is_refused_for_what_it_lacks(
    number: int, data: Any, detail: webhooks.Detail
) -> None:
    read_one = event(number, data)
    assert (read_one.type, read_one.detail) == (number, detail)


def test_a_check_of_a_post_is_read_with_its_issues() -> None:
    data = {"precheck_task_id": "t1", "result": "FAIL", "issues": [{"risk": "Claims"}]}
    detail = event(55, data, shop_id=None, creator_open_id="open-1").detail
    assert isinstance(detail, webhooks.PrecheckDone)
    assert (detail.task_id, detail.result.status, detail.result.issues) == ("t1", PostStatus.FAIL, ("Claims",))
