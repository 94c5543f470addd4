"""Drift reports: each difference that is planted is named, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from reelroute.fulfillment.v1 import stock_pb2 as pb
from reelroute.fulfillment.v1.stock_pb2_grpc import StockServiceStub, add_StockServiceServicer_to_server
from reelroute.notification.v1 import notification_pb2

from services.fulfillment.merchants import merchant_store
from services.fulfillment.shipping import shipment_store
from services.fulfillment.shipping.following import Following
from services.fulfillment.stock.drifting import Drifting
from services.fulfillment.stock.stock_api import StockApi
from tests.fulfillment.orders.life import SELLER, SLEEVES_SKU, OrderStage
from tests.fulfillment.stage import WORKSPACE
from tests.fulfillment.stock.keeping import Keeping
from tests.services import served
from tests.vendors.amazon_sp.conftest import an_order
from vendors.amazon_sp.outbound import Item


class Drifted:
    """A shop and a merchant with orders in every state, and what reports find of them."""

    def __init__(self, life: OrderStage) -> None:
        life.amazon.settings(stock_seconds=0)
        life.tiktok_shop.settings(zero_stock=True)
        self.life, self.keeping = life, Keeping.of(life)
        self.keeping.begin()
        self.bought = [life.buy(quantity=number + 1) for number in range(4)]
        life.take_in()
        life.go()
        self.drifting = Drifting(
            life.database,
            life.shops.calls,
            life.merchants.calls,
            life.intake.sync,
            every_seconds=86_400,
            grace_seconds=0,
        )
        self.keeping.keep(whole=True)

    def found(self) -> list[dict[str, Any]]:
        """What a report finds now."""
        with self.life.database.transaction(WORKSPACE) as tx:
            merchant = merchant_store.read_merchant(tx, WORKSPACE, self.life.merchant_id)
        report = self.drifting.make(merchant)
        rows = self.life.rows("SELECT * FROM drifts WHERE report_id = :id ORDER BY number", id=report.report_id)
        assert len(rows) == report.drifts
        return rows

    def kinds(self) -> list[str]:
        return [row["kind"] for row in self.found()]

    def told(self) -> list[notification_pb2.RecordActivityRequest]:
        """What people are told of reports."""
        rows = self.life.rows("SELECT request FROM outbox WHERE method LIKE '%/RecordActivity' ORDER BY position")
        found = [notification_pb2.RecordActivityRequest.FromString(bytes(row["request"])) for row in rows]
        return [each for each in found if each.type == "stock.drift"]

    def name(self, number: int) -> str:
        return f"TTS-{self.bought[number]}-1"

    def stranger(self, order_id: str, **more: Any) -> None:
        """Somebody else makes an order at Amazon."""
        order = an_order(order_id, items=(Item("1", SLEEVES_SKU, 1),), **more)
        merchant = self.life.merchants.known(self.life.merchants.merchants()[0])
        self.life.merchants.calls.ask(merchant, lambda amazon: amazon.outbound.create(order))


@pytest.fixture
def drifted(life: OrderStage) -> Drifted:
    return Drifted(life)


def test_where_all_agrees_nothing_is_found_and_nobody_is_told(drifted: Drifted) -> None:
    assert drifted.found() == []
    (report,) = drifted.life.rows("SELECT * FROM drift_reports")
    assert (report["orders"], report["drifts"]) == (4, 0)
    assert report["skus"] > 10
    assert drifted.told() == []


def missing(drifted: Drifted) -> None:
    drifted.life.rows("UPDATE shipments SET fulfillment_order_id = 'TTS-1-1' WHERE fulfillment_order_id = :id",
                      id=drifted.name(0))  # fmt: skip


def unknown(drifted: Drifted) -> None:
    drifted.stranger("TTS-576461413038999999-1", displayable_order_id="576461413038999999")


def twice(drifted: Drifted) -> None:
    drifted.stranger("S01-1234567-7654321", displayable_order_id=drifted.bought[1])


def by_another(drifted: Drifted) -> None:
    drifted.life.rows("UPDATE stock SET fulfillable = reserved + in_flight WHERE amazon_sku = :sku", sku=SLEEVES_SKU)
    bought = drifted.life.buy()
    drifted.life.take_in()
    drifted.life.go()
    assert drifted.life.where(bought)[0] == "HELD"
    drifted.life.rows("UPDATE stock SET fulfillable = fulfillable + 500 WHERE amazon_sku = :sku", sku=SLEEVES_SKU)
    drifted.stranger(f"shopify_{bought}", displayable_order_id="S-17")
    drifted.keeping.read()
    drifted.keeping.keep(whole=True)


def items(drifted: Drifted) -> None:
    drifted.life.rows("UPDATE shipments SET items = jsonb_set(items, '{0,quantity}', '9') WHERE"
                      " fulfillment_order_id = :id", id=drifted.name(2))  # fmt: skip


def alive(drifted: Drifted) -> None:
    drifted.life.rows("UPDATE shipments SET state = 'CANCELED' WHERE fulfillment_order_id = :id", id=drifted.name(0))
    drifted.life.rows("UPDATE orders SET state = 'HELD', reason = 'x' WHERE platform_order_id = :id",
                      id=drifted.bought[0])  # fmt: skip
    drifted.life.rows(
        "UPDATE stock s SET in_flight = in_flight - r.quantity, version = version + 1 FROM reservations r"
        " JOIN shipments p USING (shipment_id) WHERE p.state = 'CANCELED' AND r.amazon_sku = s.amazon_sku"
    )
    drifted.life.rows("UPDATE reservations SET state = 'RELEASED' WHERE shipment_id IN"
                      " (SELECT shipment_id FROM shipments WHERE state = 'CANCELED')")  # fmt: skip
    drifted.keeping.keep(whole=True)


def over(drifted: Drifted) -> None:
    merchant = drifted.life.merchants.known(drifted.life.merchants.merchants()[0])
    drifted.life.merchants.calls.ask(merchant, lambda amazon: amazon.outbound.cancel(drifted.name(0)))


def shipped(drifted: Drifted) -> None:
    for _ in range(10):
        order = drifted.life.amazon.control("GET", f"/amazon_sp/orders/{SELLER}/{drifted.name(0)}")
        if order["status"].upper().startswith("COMPLETE"):
            return
        drifted.life.amazon.control("POST", f"/amazon_sp/orders/{SELLER}/{drifted.name(0)}/advance")
    raise AssertionError(order["status"])


def untold(drifted: Drifted) -> None:
    shipped(drifted)
    (shipment,) = drifted.life.rows("SELECT shipment_id FROM shipments WHERE fulfillment_order_id = :id",
                                    id=drifted.name(0))  # fmt: skip
    follow(drifted, shipment["shipment_id"])
    drifted.life.rows("UPDATE packages SET number_time = now() - interval '5 hours'")
    assert drifted.life.rows("SELECT * FROM packages WHERE tracking_number <> ''")


def follow(drifted: Drifted, shipment_id: Any) -> None:
    following = Following(drifted.life.database, drifted.life.merchants.calls, every_seconds=60, sweep_seconds=3600)
    with drifted.life.database.transaction(WORKSPACE) as tx:
        shipment = shipment_store.read_shipment(tx, WORKSPACE, shipment_id)
    following.read_now(shipment)


def number(drifted: Drifted) -> None:
    untold(drifted)
    drifted.life.rows("""
        UPDATE packages p SET tell_state = 'TOLD', told_number = '1Z999AA10123456784', told_carrier = 'UPS',
            told_provider_id = '1', told_time = now() - interval '1 minute', tell_due_time = NULL,
            told_line_ids = ARRAY(SELECT unit->>'line' FROM orders o, jsonb_array_elements(o.facts->'units') unit
                                  WHERE o.order_id = p.order_id)""")
    # What was told is no longer counted as what TikTok Shop has committed.
    drifted.life.rows("UPDATE stock_pushes SET next_time = now()")
    drifted.keeping.push()


def held(drifted: Drifted) -> None:
    # As of a shipment whose end gave nothing back. Amazon has canceled it, too.
    over(drifted)
    drifted.life.rows("UPDATE shipments SET state = 'CANCELED' WHERE fulfillment_order_id = :id", id=drifted.name(0))
    drifted.life.rows("UPDATE orders SET state = 'HELD', reason = 'x' WHERE platform_order_id = :id",
                      id=drifted.bought[0])  # fmt: skip
    drifted.keeping.keep(whole=True)


def without_stock(drifted: Drifted) -> None:
    drifted.life.rows(
        "UPDATE reservations SET state = 'RELEASED' FROM shipments s"
        " WHERE s.shipment_id = reservations.shipment_id AND s.fulfillment_order_id = :id",
        id=drifted.name(0),
    )
    drifted.life.rows("UPDATE stock SET in_flight = in_flight - 1, version = version + 1 WHERE amazon_sku = :sku",
                      sku=SLEEVES_SKU)  # fmt: skip
    drifted.keeping.keep(whole=True)


def sums(drifted: Drifted) -> None:
    drifted.life.rows("UPDATE stock SET reserved = reserved + 1, version = version + 1 WHERE amazon_sku = :sku",
                      sku=SLEEVES_SKU)  # fmt: skip
    drifted.keeping.keep()


def nothing_there(drifted: Drifted) -> None:
    drifted.life.rows("INSERT INTO orders (order_id, workspace_id, shop_id, platform_order_id, platform_status, state,"
                      " facts, update_time) SELECT uuidv7(), workspace_id, shop_id, '1', 'AWAITING_SHIPMENT', 'ROUTED',"
                      " facts, now() - interval '1 hour' FROM orders LIMIT 1")  # fmt: skip


def too_many(drifted: Drifted) -> None:
    drifted.keeping.set_there(drifted.keeping.offered() + 7)


def too_few(drifted: Drifted) -> None:
    drifted.keeping.set_there(drifted.keeping.offered() - 7)


@pytest.mark.parametrize(
    ("plant", "kinds"),
    [
        # The one that Amazon has under another id is a second one for the same order.
        (missing, ["order_sent_twice", "order_missing_at_amazon"]),
        (unknown, ["order_unknown_here"]),
        (twice, ["order_sent_twice"]),
        (by_another, ["order_sent_by_another_app"]),
        (items, ["items_differ"]),
        (alive, ["canceled_here_alive_at_amazon"]),
        (over, ["over_at_amazon_open_here"]),
        (shipped, ["shipped_at_amazon_open_here"]),
        (untold, ["number_not_told"]),
        (number, ["number_differs_at_tiktok"]),
        (held, ["stock_held_for_nothing"]),
        (without_stock, ["shipment_without_stock"]),
        (sums, ["ledger_sums_differ"]),
        (nothing_there, ["routed_without_shipment"]),
        (too_many, ["too_many_offered"]),
        (too_few, ["too_few_offered"]),
    ],
)
def test_a_difference_is_named_and_nothing_else(
    drifted: Drifted, plant: Callable[[Drifted], None], kinds: list[str]
) -> None:
    plant(drifted)
    found = drifted.found()
    assert [row["kind"] for row in found] == kinds
    assert all(row["text"].endswith(".") and row["sides"] for row in found)
    (told,) = drifted.told()
    assert kinds[0].replace("_", " ") in told.summary


def test_what_was_changed_at_tiktok_shop_is_told_again(drifted: Drifted) -> None:
    right = drifted.keeping.offered()
    too_many(drifted)
    assert drifted.kinds() == ["too_many_offered"]
    drifted.keeping.push()
    assert drifted.keeping.offered() == right
    assert drifted.kinds() == []


def test_what_is_on_its_way_is_no_difference(drifted: Drifted) -> None:
    drifted.drifting = Drifting(
        drifted.life.database,
        drifted.life.shops.calls,
        drifted.life.merchants.calls,
        drifted.life.intake.sync,
        every_seconds=86_400,
        grace_seconds=900,
    )
    over(drifted)
    drifted.life.buy(quantity=2)
    assert drifted.kinds() == []


def test_a_report_is_made_once_a_day(drifted: Drifted) -> None:
    assert drifted.drifting.run_once()
    assert not drifted.drifting.run_once()
    assert len(drifted.life.rows("SELECT * FROM drift_reports")) == 1
    assert drifted.life.rows("SELECT 1 AS one FROM merchants WHERE drift_due_time > now() + interval '23 hours'")


@pytest.fixture
def stub(drifted: Drifted) -> Iterator[StockServiceStub]:
    api = StockApi(drifted.life.database, drifted.keeping.reading, drifted.drifting)
    with served((add_StockServiceServicer_to_server, api)) as channel:
        yield StockServiceStub(channel)


def test_stock_pushes_and_reports_by_their_rpcs(drifted: Drifted, stub: StockServiceStub) -> None:
    about = {"workspace_id": str(WORKSPACE), "merchant_id": str(drifted.life.merchant_id)}
    assert stub.SyncStock(pb.SyncStockRequest(**about), timeout=30).skus > 0
    listed = stub.ListStock(pb.ListStockRequest(**about, text=SLEEVES_SKU.lower()), timeout=10).stock
    assert [each.amazon_sku for each in listed] == [SLEEVES_SKU]
    got = stub.GetStock(pb.GetStockRequest(**about, amazon_sku=SLEEVES_SKU), timeout=10)
    assert got.stock.in_flight == 10
    assert got.stock.available == got.stock.fulfillable - 10
    assert pb.STOCK_ENTRY_KIND_SUBMITTED in {entry.kind for entry in got.entries}
    set_ = pb.SetSafetyStockRequest(**about, amazon_sku=SLEEVES_SKU, safety_stock=100)
    stock = stub.SetSafetyStock(set_, timeout=10).stock
    assert (stock.available, stock.is_own_safety_stock) == (got.stock.available - 100, True)
    with pytest.raises(grpc.RpcError) as refused:
        stub.GetStock(pb.GetStockRequest(**about, amazon_sku="NO"), timeout=10)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]
    request = pb.ListStockPushesRequest(
        workspace_id=str(WORKSPACE), shop_id=str(drifted.life.shop.shop_id), page_size=3
    )
    first = stub.ListStockPushes(request, timeout=10)
    request.page_token = first.next_page_token
    second = stub.ListStockPushes(request, timeout=10)
    names = [push.platform_sku_id for page in (first, second) for push in page.pushes]
    assert len(names) == len(set(names)) == 6
    drifted.keeping.keep(whole=True)
    too_many(drifted)
    report = stub.MakeDriftReport(pb.MakeDriftReportRequest(**about), timeout=60).report
    assert report.drifts == 1
    assert stub.ListDriftReports(pb.ListDriftReportsRequest(**about), timeout=10).reports[0] == report
    drifts = pb.ListDriftsRequest(workspace_id=str(WORKSPACE), report_id=report.report_id)
    (drift,) = stub.ListDrifts(drifts, timeout=10).drifts
    assert drift.kind == "too_many_offered"
    assert int(drift.sides["TikTok Shop"]) == int(drift.sides["right"]) + 7
