"""S40: of the buyers of 150 orders nothing is in any log, metric, row, record of a call, answer or error."""

import json
import logging
import time
from collections.abc import Iterator
from uuid import UUID

import grpc
import httpx
import pytest
from prometheus_client import generate_latest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from kit.db import Database
from services.fulfillment.domain import Shop
from services.fulfillment.orders.personal import Erasing, RecipientErased, open_recipient
from services.fulfillment.shop_store import read_shop
from tests.fulfillment.fake_shop import SHOP_ID
from tests.fulfillment.orders.canaries import SampleShop, canaries, canaries_in
from tests.fulfillment.orders.samples_of import sample_orders
from tests.fulfillment.orders.stage_of_orders import everything_in, keep_order
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
