"""S40: of the buyers of 150 orders nothing is in any log, metric, row, record of a call, answer or error."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from uuid import UUID

import grpc
import httpx
import pytest
from prometheus_client import generate_latest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb
from reelroute.fulfillment.v1 import orders_pb2 as orders_pb

from kit.db import Database
from services.fulfillment.domain import Shop
from services.fulfillment.orders.personal import Erasing, RecipientErased, open_recipient
from services.fulfillment.shop_store import read_shop
from tests.fulfillment.fake_shop import SHOP_ID
from tests.fulfillment.orders.canaries import SampleShop, canaries, canaries_in
from tests.fulfillment.orders.life import OrderStage
from tests.fulfillment.orders.samples_of import expected_routing, orders_of_now, sample_orders
from tests.fulfillment.orders.stage_of_orders import DAY, everything_in, keep_order
from tests.fulfillment.stage import WORKSPACE, Stage, TikTokShop, a_config, a_vault, staged
from tests.fulfillment.test_webhooks import send

READ = "576950129146371573"


@pytest.fixture
def fake() -> Iterator[SampleShop]:
    with SampleShop() as shop:
        yield shop
    assert shop.problems == []


@pytest.fixture
def stage(database: Database, fake: SampleShop) -> Iterator[Stage]:
    config = a_config(fake.url, calls_per_second=2_000)
    with httpx.Client(base_url=fake.url) as client, staged(database, TikTokShop(client), config) as opened:
        yield opened


@pytest.fixture
def shop(stage: Stage, database: Database) -> Shop:
    connected = stage.finish(stage.start().state, "any-code")[0]
    with database.transaction(WORKSPACE) as tx:
        return read_shop(tx, WORKSPACE, UUID(connected.shop_id))


def read_list(stage: Stage, shop: Shop) -> list[str]:
    """Every page of the shop's orders as it is answered."""
    request = pb.ListShopOrdersRequest(workspace_id=str(WORKSPACE), shop_id=str(shop.shop_id), page_size=10)
    answers = []
    while True:
        answer = stage.stub.ListShopOrders(request, timeout=30)
        answers.append(str(answer))
        if not answer.next_page_token:
            return answers
        request.page_token = answer.next_page_token


def test_nothing_of_150_buyers_is_left_where_it_does_not_belong(
    stage: Stage,
    shop: Shop,
    fake: SampleShop,
    database: Database,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    told = read_list(stage, shop)
    kept = {name: keep_order(database, shop, found, ended_days_ago=31) for name, found in sample_orders().items()}
    # Webhooks are told nothing of buyers by TikTok Shop; were they, nothing would be kept.
    first = sample_orders()[READ].raw
    event = {"type": 1, "tts_notification_id": "1", "shop_id": SHOP_ID, "timestamp": int(time.time()), "data": first}
    send(stage, json.dumps(event).encode())
    assert stage.rows("SELECT type FROM webhook_events") == [{"type": 1}]
    fake.spoilt = True
    with pytest.raises(grpc.RpcError) as refused:
        read_list(stage, shop)
    told.append(f"{refused.value} {refused.value.trailing_metadata()}")
    with database.transaction(WORKSPACE) as tx:
        opened = open_recipient(tx, a_vault(), WORKSPACE, kept[READ], actor="key-1", purpose="to compare")
    assert opened.told is not None
    assert canaries_in(opened.told.name) != []
    told.append(repr(opened))
    stage.recorder.run_once()
    assert stage.rows("SELECT 1 FROM vendor_calls WHERE operation = 'orders_search' AND answer IS NOT NULL") != []
    while_known = everything_in(database)
    assert Erasing(database, 30, 180).run_once() == len(kept)
    with database.transaction(WORKSPACE) as tx, pytest.raises(RecipientErased) as erased:
        open_recipient(tx, a_vault(), WORKSPACE, kept[READ], actor="key-1", purpose="to compare")
    told.append(repr(erased.value))
    assert len(canaries()) > 500
    assert canaries_in(*told) == []
    assert canaries_in(while_known, everything_in(database)) == []
    assert canaries_in(generate_latest().decode()) == []
    assert canaries_in("".join(capsys.readouterr()), caplog.text) == []


def place_samples(life: OrderStage, wanted: Callable[[str], bool]) -> None:
    """Sample orders are at the stand-in, as if created now."""
    orders = [order for order in orders_of_now()[0] if wanted(order["id"])]
    for first in range(0, len(orders), 50):
        life.tiktok_shop.control("POST", "/tiktok_shop/told-orders", orders=orders[first : first + 50])


def told_to_callers(life: OrderStage) -> list[str]:
    """Every answer about orders that needs no scope for buyers."""
    request = orders_pb.ListOrdersRequest(workspace_id=str(WORKSPACE), page_size=200)
    found = []
    for order in life.stub.ListOrders(request, timeout=20).orders:
        get = orders_pb.GetOrderRequest(workspace_id=str(WORKSPACE), order_id=order.order_id)
        events = orders_pb.ListOrderEventsRequest(workspace_id=str(WORKSPACE), order_id=order.order_id)
        found += [str(order), str(life.stub.GetOrder(get, timeout=10))]
        found.append(str(life.stub.ListOrderEvents(events, timeout=10)))
    return found


def test_nothing_of_150_buyers_is_left_on_their_orders_way_from_intake_to_delivery(
    life: OrderStage, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # Amazon refuses one, in words that repeat its buyer.
    of = sample_orders()[READ].raw["recipient_address"]
    words = f"{of['name']}, {of['address_line1']}, {of['postal_code']}, {of['phone_number']}: no such address."
    life.amazon.fault("createFulfillmentOrder", "error", status=400, code="InvalidInput", message=words)
    place_samples(life, lambda name: name == READ)
    life.take_in()
    life.go()
    assert life.where(READ) == ("HELD", "amazon_refused")
    assert canaries_in(words) != []
    # An answer is a page, one is lost, one is refused for the rate; TikTok Shop has a bad day.
    for mode in ("late_error", "lost_reply", "rate_limit"):
        life.amazon.fault("createFulfillmentOrder", mode)
    life.tiktok_shop.control("POST", "/faults", endpoint="tiktok_shop.order_detail", mode="error", status=502)
    place_samples(life, lambda name: name != READ)
    life.take_in()
    for _ in range(6):
        life.go()
        life.hasten()
    told = [*told_to_callers(life), refused_correction(life)]
    for seconds in (120, 1200, DAY / 2, 4 * DAY):
        life.amazon.control("POST", "/clock/advance", seconds=seconds)
        life.rows("UPDATE merchants SET orders_due_time = now()")
        life.rows("UPDATE shipments SET read_due_time = now() WHERE state IN ('SUBMITTED', 'SHIPPED')")
        life.following.run_once()
        life.tiktok_shop.control("POST", "/faults", endpoint="tiktok_shop.mark_shipped", mode="late_error", status=502)
        life.telling.run_once()
        life.take_in()
        life.go()
    told += told_to_callers(life)
    states = {life.where(name)[0] for name, row in expected_routing().items() if row["decision"] == "route"}
    assert "DELIVERED" in states
    assert life.rows("SELECT 1 FROM packages WHERE told_number <> ''") != []
    for recorder in (life.shops.recorder, life.merchants.recorder):
        recorder.run_once()
    recorded = {row["operation"] for row in life.rows("SELECT DISTINCT operation FROM vendor_calls")}
    assert recorded >= {"createFulfillmentOrder", "getFulfillmentOrder", "orders_search"}
    assert canaries_in(*told) == []
    assert canaries_in(everything_in(life.database)) == []
    assert canaries_in(generate_latest().decode()) == []
    assert canaries_in("".join(capsys.readouterr()), caplog.text) == []


def refused_correction(life: OrderStage) -> str:
    """What is said to somebody who corrects a recipient badly."""
    of = sample_orders()[READ].raw["recipient_address"]
    recipient = orders_pb.Recipient(name=of["name"], lines=[of["address_line1"] * 9], country_code="US")
    request = orders_pb.CorrectOrderRequest(
        workspace_id=str(WORKSPACE), order_id=life.order(READ).order_id, recipient=recipient, actor="key-1"
    )
    try:
        return str(life.stub.CorrectOrder(request, timeout=10))
    except grpc.RpcError as error:
        return f"{error} {error.trailing_metadata()}"
