"""How orders come in: polls and webhooks, each order once, and nothing good overwritten."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from reelroute.fulfillment.v1 import orders_pb2 as pb

from kit.db import ALL_WORKSPACES, Database
from services.fulfillment.orders import intake_store
from services.fulfillment.orders.sealing import Sealer
from tests.fulfillment.orders.life import MAT, OrderStage, staged_orders
from tests.fulfillment.orders.samples_of import sample_orders
from tests.fulfillment.stage import WORKSPACE, TikTokShop
from tests.fulfillment.test_connecting import refused
from vendors.tiktok_shop import order_models


def an_event(life: OrderStage, kind: int, number: int, **data: Any) -> bytes:
    event = {"type": kind, "tts_notification_id": str(7380066284010030000 + number), "timestamp": int(time.time())}
    return json.dumps(event | {"shop_id": life.shop.platform_shop_id, "data": data}).encode()


def send(life: OrderStage, body: bytes) -> None:
    signature = hmac.new(b"sandbox-app-secret", b"sandbox-app-key" + body, hashlib.sha256).hexdigest()
    life.webhook(body, signature)


def work_on_hints(life: OrderStage) -> None:
    while life.hints.run_once():
        pass


def test_r28_webhooks_are_hints_that_are_worked_on_once_whatever_comes_twice_and_in_any_order(life: OrderStage) -> None:
    bought = [life.buy() for _ in range(5)]
    bodies = [
        an_event(life, 1, number, order_id=each, order_status="UNPAID", update_time=1)
        for number, each in enumerate(bought)
    ] * 10
    random.Random(28).shuffle(bodies)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda body: send(life, body), bodies))
    # Acknowledged means stored.
    assert life.rows("SELECT count(*) AS n FROM webhook_events")[0]["n"] == len(bought)
    work_on_hints(life)
    # What they say is not believed: the orders are paid.
    assert {life.order(each).platform_status for each in bought} == {"AWAITING_SHIPMENT"}
    assert all(life.events(each) == ["order.imported"] for each in bought)
    # In one call for all of them.
    assert life.tiktok_shop.calls("order_detail") == 1
    assert life.tiktok_shop.calls("order_search") == 0


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (3, {"order_id": "{order}", "update_time": 1}),
        (4, {"sc_type": "SPLIT", "package_list": [{"package_id": "1", "order_id_list": ["{order}"]}]}),
        (11, {"order_id": "{order}", "cancel_id": "2", "cancel_status": "CANCELLATION_REQUEST_PENDING"}),
        (12, {"order_id": "{order}", "return_id": "3", "return_type": "REFUND"}),
    ],
    ids=["address", "packages", "cancellation", "return"],
)
def test_every_kind_of_webhook_about_orders_reads_them(life: OrderStage, kind: int, data: dict[str, Any]) -> None:
    bought = life.buy()
    send(life, an_event(life, kind, 1, **json.loads(json.dumps(data).replace("{order}", bought))))
    work_on_hints(life)
    assert life.order(bought).platform_status == "AWAITING_SHIPMENT"


def test_what_webhooks_lost_a_poll_finds_and_the_other_way_round(life: OrderStage) -> None:
    lost, told = life.buy(), life.buy()
    send(life, an_event(life, 1, 1, order_id=told))
    work_on_hints(life)
    assert life.intake.run_once()
    assert {life.where(each)[0] for each in (lost, told)} == {"PENDING"}
    assert life.events(told) == ["order.imported"]
    # It is not due again at once.
    assert not life.intake.run_once()


def test_a_webhook_about_an_order_from_before_takes_nothing_in(life: OrderStage) -> None:
    old = life.tiktok_shop.control("GET", "/tiktok_shop/orders?status=AWAITING_SHIPMENT")[-1]["id"]
    send(life, an_event(life, 1, 1, order_id=old))
    work_on_hints(life)
    assert life.rows("SELECT 1 FROM orders") == []


def test_a_hint_that_cannot_be_followed_now_is_followed_later(life: OrderStage) -> None:
    bought = life.buy()
    life.tiktok_shop.fault("order_detail", "error", code="36009003", count=3)
    send(life, an_event(life, 1, 1, order_id=bought))
    work_on_hints(life)
    assert life.rows("SELECT 1 FROM orders") == []
    life.rows("UPDATE webhook_events SET next_time = now()")
    work_on_hints(life)
    assert life.order(bought).platform_status == "AWAITING_SHIPMENT"


def test_a_reading_that_fails_moves_no_cursor(life: OrderStage) -> None:
    bought = life.buy()
    life.tiktok_shop.fault("order_search", "error", code="10002014", count=1)
    life.intake.run_once()
    assert life.rows("SELECT orders_cursor FROM shop_routings") == [{"orders_cursor": None}]
    life.take_in()
    assert life.order(bought)
    assert life.rows("SELECT orders_cursor IS NOT NULL AS is_kept FROM shop_routings") == [{"is_kept": True}]


def test_orders_of_a_shop_whose_routing_is_off_are_not_read(life: OrderStage) -> None:
    life.route(is_on=False)
    assert not life.intake.run_once()
    assert refused(life.take_in)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "ROUTING_IS_OFF")


def test_two_processes_that_read_at_once_take_each_order_in_once(
    life: OrderStage, database: Database, tiktok_shop: TikTokShop
) -> None:
    bought = [life.buy() for _ in range(12)]
    with staged_orders(database, tiktok_shop, life.amazon, like=life) as other, ThreadPoolExecutor(4) as pool:
        # Past the lease of a turn, as webhooks do.
        reads = [pool.submit(each.intake.read, each.shop, bought) for each in (life, other, life, other)]
        assert sum(each.result().new for each in reads) == len(bought)
    assert all(life.events(each) == ["order.imported"] for each in bought)


def a_raw_order() -> dict[str, Any]:
    return dict(sample_orders()["576950129146371573"].raw)


def save(life: OrderStage, *raw: dict[str, Any]) -> intake_store.Saved:
    with life.database.transaction(WORKSPACE) as tx:
        from_time = intake_store.from_time_of(tx, life.shop)
        assert from_time is not None
        return intake_store.save_orders(
            tx,
            life.shops.vault,
            life.shop,
            [order_models.order(each) for each in raw],
            from_time.replace(year=2020),
        )


def line1(life: OrderStage) -> str:
    """Where the only order goes."""
    (row,) = life.rows("SELECT order_id, sealed_address FROM orders")
    with life.database.transaction(WORKSPACE) as tx:
        verdict = Sealer(life.shops.vault, tx, WORKSPACE).open_verdict(row["order_id"], bytes(row["sealed_address"]))
    assert verdict.address is not None
    return verdict.address.lines[0]


def test_what_is_older_or_the_same_changes_nothing(life: OrderStage) -> None:
    raw = a_raw_order()
    later = raw | {"update_time": raw["update_time"] + 60, "status": "AWAITING_COLLECTION"}
    assert save(life, raw) == intake_store.Saved(1, 0)
    assert save(life, later, raw) == intake_store.Saved(0, 1)
    assert save(life, raw) == save(life, later) == intake_store.Saved()
    assert life.order(raw["id"]).platform_status == "AWAITING_COLLECTION"


def test_two_changes_of_one_second_are_two_changes(life: OrderStage) -> None:
    raw = a_raw_order()
    save(life, raw)
    assert save(life, raw | {"is_buyer_request_cancel": True}) == intake_store.Saved(0, 1)
    assert life.order(raw["id"]).is_cancel_requested


def test_what_tiktok_shop_hides_later_stays_known(life: OrderStage) -> None:
    raw = a_raw_order()
    save(life, raw)
    before = line1(life)
    hidden = raw["recipient_address"] | {
        "name": "I*** R***", "phone_number": "(+1)***", "address_line1": "4***", "address_detail": "4***",
        "full_address": "4***", "postal_code": "379**",
    }  # fmt: skip
    save(life, raw | {"update_time": raw["update_time"] + 1, "recipient_address": hidden, "status": "COMPLETED"})
    assert line1(life) == before
    assert life.order(raw["id"]).masked_recipient.count("*") > 3
    nothing = raw | {"update_time": raw["update_time"] + 2, "recipient_address": {}}
    save(life, nothing)
    assert line1(life) == before


def test_what_was_deleted_does_not_come_back(life: OrderStage) -> None:
    raw = a_raw_order()
    save(life, raw)
    with life.database.transaction(ALL_WORKSPACES) as tx:
        tx.exec_driver_sql(
            "UPDATE orders SET erase_time = now(), sealed_order = NULL, sealed_address = NULL, buyer_hash = NULL,"
            " masked_recipient = ''"
        )
    save(life, raw | {"update_time": raw["update_time"] + 1, "status": "DELIVERED"})
    assert life.rows("SELECT sealed_order, sealed_address, platform_status FROM orders") == [
        {"sealed_order": None, "sealed_address": None, "platform_status": "DELIVERED"}
    ]


def test_lists_come_in_pages_and_are_narrowed(life: OrderStage) -> None:
    bought = [life.buy() for _ in range(5)]
    other = life.buy(MAT)
    life.take_in()
    shown: list[str] = []
    token = ""
    for _ in range(3):
        request = pb.ListOrdersRequest(workspace_id=str(WORKSPACE), page_size=2, page_token=token)
        answer = life.stub.ListOrders(request, timeout=10)
        shown += [order.platform_order_id for order in answer.orders]
        token = answer.next_page_token
    assert token == ""
    assert sorted(shown) == sorted([*bought, other])
    life.go()
    request = pb.ListOrdersRequest(workspace_id=str(WORKSPACE), platform_order_id=f"TTS-{other}-1")
    assert [each.platform_order_id for each in life.stub.ListOrders(request, timeout=10).orders] == [other]
    request = pb.ListOrdersRequest(workspace_id=str(WORKSPACE), states=[pb.ORDER_STATE_HELD])
    assert list(life.stub.ListOrders(request, timeout=10).orders) == []
