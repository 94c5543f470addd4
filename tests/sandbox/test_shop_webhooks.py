"""Webhooks of the sandbox's TikTok Shop: signed, repeated four times, told to whom it concerns."""

import http.server
import json
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.tiktok_shop.event_api import acceptable
from sandbox.tiktok_shop.signing import sign_webhook
from tests.sandbox.conftest import until
from tests.sandbox.shop import KEY, SECRET, ShopApp
from tests.sandbox.test_shop_orders import new_order, search

WEBHOOKS = "/event/202309/webhooks"
US_SHOP = "7495540735365777507"
DAY = 86_400


class Receiver:
    """A callback that keeps what it gets and answers with the statuses it was told, then 200."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.answers: queue.Queue[int] = queue.Queue()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200 if receiver.answers.empty() else receiver.answers.get())
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.got.put((self.headers["Authorization"], body))

            def log_message(self, *args: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/tiktok-shop"

    def next(self) -> dict[str, Any]:
        """The next event, its signature checked over the raw bytes."""
        signature, body = self.got.get(timeout=10)
        assert signature == sign_webhook(KEY, SECRET, body)
        event: dict[str, Any] = json.loads(body)
        return event


@pytest.fixture
def receiver(seller: ShopApp) -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    seller.settings(webhook_url=receiver.url)
    yield receiver
    seller.settings(webhook_url=None)
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def test_the_life_of_an_order_is_told(seller: ShopApp, receiver: Receiver) -> None:
    order_id = new_order(seller, status="UNPAID")
    unpaid = receiver.next()
    assert (unpaid["type"], unpaid["shop_id"]) == (1, US_SHOP)
    assert unpaid["data"] == {
        "order_id": order_id, "order_status": "UNPAID", "is_on_hold_order": False,
        "update_time": unpaid["data"]["update_time"],
    }  # fmt: skip
    seller.control("POST", f"/orders/{order_id}/advance")
    assert receiver.next()["data"]["is_on_hold_order"] is True
    seller.control("POST", f"/orders/{order_id}/address", line1="1 New Road")
    assert receiver.next()["type"] == 3
    seller.control("POST", f"/orders/{order_id}/request-cancel")
    events = [receiver.next() for _ in range(3)]
    assert sorted((event["type"], event["data"].get("order_status", "")) for event in events) == [
        (1, "CANCEL"), (11, ""), (11, ""),
    ]  # fmt: skip
    assert {event["data"]["cancel_status"] for event in events if event["type"] == 11} == {
        "CANCELLATION_REQUEST_PENDING", "CANCELLATION_REQUEST_SUCCESS",
    }  # fmt: skip


def test_an_event_is_tried_again_after_2_and_30_minutes_3_and_12_hours_and_then_dropped(
    seller: ShopApp, receiver: Receiver
) -> None:
    def tried(times: int) -> Callable[[], bool]:
        return lambda: seller.control("GET", "/webhooks")[0]["attempts"] == times

    # An event that no seeded order comes between, whatever the clock does.
    seller.settings(webhook_url=None)
    seller.ok("PUT", WEBHOOKS, body={"event_type": "PRODUCT_STATUS_CHANGE", "address": receiver.url})
    for _ in range(5):
        receiver.answers.put(500)
    seller.control("PATCH", "/products/1729517744256656620", status="FREEZE")
    first = receiver.next()
    for number, wait in enumerate((120, 1800, 3 * 3600, 12 * 3600), 1):
        until(tried(number))
        seller.advance(wait - 1)
        assert receiver.got.empty()
        seller.advance(1)
        assert receiver.next() == first
    until(lambda: seller.control("GET", "/webhooks")[0]["outcome"] == "given_up")
    assert receiver.got.empty()


def test_a_shops_own_address_goes_before_the_apps(seller: ShopApp, receiver: Receiver) -> None:
    seller.settings(webhook_url="http://127.0.0.1:1/nobody")
    body = {"event_type": "ORDER_STATUS_CHANGE", "address": receiver.url}
    seller.ok("PUT", WEBHOOKS, body=body)
    listed = seller.ok("GET", WEBHOOKS)
    assert (listed["total_count"], listed["webhooks"][0]["address"]) == (1, receiver.url)
    new_order(seller)
    assert receiver.next()["type"] == 1
    for _ in range(2):
        seller.ok("DELETE", WEBHOOKS, body={"event_type": "ORDER_STATUS_CHANGE"})
    assert seller.ok("GET", WEBHOOKS)["total_count"] == 0


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("https://brand.example/hooks/tiktok-shop", True),
        ("http://brand.example/hook", False),
        ("https://203.0.113.7/hook", False),
        ("https://brand.example:8443/hook", False),
        ("https://user@brand.example/hook", False),
        ("http://127.0.0.1:8080/hook", False),
    ],
)
def test_only_https_with_a_domain_name_can_be_registered(address: str, taken: bool) -> None:
    assert acceptable(address, local=False) is taken


def test_only_events_that_exist_can_be_registered(seller: ShopApp) -> None:
    body = {"event_type": "ORDER_SHIPPED", "address": "https://brand.example/hook"}
    assert seller.code("PUT", WEBHOOKS, body=body) == 36009004
    long = {"event_type": "PACKAGE_UPDATE", "address": f"https://brand.example/{'x' * 255}"}
    assert seller.code("PUT", WEBHOOKS, body=long) == 36009004


def test_the_end_of_an_authorisation_is_told_and_then_nothing_more(seller: ShopApp, receiver: Receiver) -> None:
    seller.control("POST", "/sellers/emberfold-trading/deauthorize")
    told = [receiver.next() for _ in range(2)]
    assert {event["type"] for event in told} == {6}
    assert len({event["shop_id"] for event in told}) == 2
    seller.control("POST", "/sellers/emberfold/deauthorize")
    assert receiver.next()["shop_id"] == US_SHOP
    new_order(seller)
    assert len(seller.control("GET", "/webhooks")) == 3


def test_the_coming_end_is_told_thirty_days_before_and_daily_until_it_is_renewed(
    seller: ShopApp, receiver: Receiver
) -> None:
    def notices() -> list[dict[str, Any]]:
        bodies = [json.loads(event["body"]) for event in seller.control("GET", "/webhooks")]
        return [body for body in bodies if body["type"] == 7 and body["shop_id"] == US_SHOP]

    seller.advance(335 * DAY - 10)
    assert notices() == []
    seller.advance(20)
    [notice] = notices()
    assert notice["data"]["expiration_time"] == seller.tokens["emberfold"]["refresh_token_expire_in"]
    seller.advance(DAY)
    assert len(notices()) == 2
    seller.connect()
    seller.advance(DAY)
    assert len(notices()) == 2


def test_packages_and_products_are_told_too(seller: ShopApp, receiver: Receiver) -> None:
    abroad: dict[str, Any] = {"by": "emberfold-trading", "region": "GB"}
    orders = search(seller, order_status="AWAITING_SHIPMENT", shipping_type="SELLER", **abroad)
    order = next(one for one in orders if len(one["line_items"]) == 2 and len(one["packages"]) == 1)
    groups = [{"id": line["id"], "order_line_item_ids": [line["id"]]} for line in order["line_items"]]
    seller.ok("POST", f"/fulfillment/202309/orders/{order['id']}/split", body={"splittable_groups": groups}, **abroad)
    event = receiver.next()
    assert (event["type"], event["data"]["sc_type"], len(event["data"]["package_list"])) == (4, "SPLIT", 2)
    seller.control("PATCH", "/products/1729517744256656620", status="PLATFORM_DEACTIVATED", reason="Policy")
    event = receiver.next()
    # The id is a JSON number here, as it may be.
    assert event["data"] == {
        "product_id": 1729517744256656620, "status": "PLATFORM_DEACTIVATED", "suspended_reason": "Policy",
        "update_time": event["data"]["update_time"],
    }  # fmt: skip


def test_faults_drop_and_double_events(seller: ShopApp, receiver: Receiver) -> None:
    seller.control("POST", "//faults", endpoint="tiktok_shop.webhook", mode="drop")
    new_order(seller)
    seller.control("POST", "//faults", endpoint="tiktok_shop.webhook", mode="duplicate")
    new_order(seller)
    first, second = receiver.next(), receiver.next()
    assert first["tts_notification_id"] == second["tts_notification_id"]
    assert len(seller.control("GET", "/webhooks?outcome=dropped")) == 1
