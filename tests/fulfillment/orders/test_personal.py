"""Who may know whom an order goes to, and for how long: S40, S41 and S42 of the promises on privacy."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import pytest
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1.orders_pb2_grpc import OrderServiceStub, add_OrderServiceServicer_to_server
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from kit.crypto import SealBroken
from kit.db import ALL_WORKSPACES, Database
from services.fulfillment.domain import Shop
from services.fulfillment.orders.personal import Erasing, first_broken
from services.fulfillment.orders.personal_api import PersonalApi
from services.fulfillment.orders.sealing import Sealer
from tests.fulfillment.orders.samples_of import sample_orders
from tests.fulfillment.orders.stage_of_orders import a_shop, everything_in, keep_order
from tests.fulfillment.stage import MASTER_KEY, OTHER, WORKSPACE, a_vault
from tests.services import SERVICE_TOKEN, served
from vendors.tiktok_shop.order_models import Order, order

CANARIES = (
    "Canarina",
    "Quetzalcoatl",
    "7 Xylophone Alley",
    "8655550199",
    "37938",
    "leave it with Zebulon",
    "0471147114",
)


def a_canary(**address: Any) -> Order:
    raw = deepcopy(dict(sample_orders()["576950129146371573"].raw))
    raw |= {"user_id": "0471147114", "buyer_message": "Please leave it with Zebulon"}
    told = {"name": "Canarina Quetzalcoatl", "first_name": "Canarina", "last_name": "Quetzalcoatl"}
    told |= {
        "phone_number": "(+1)8655550199",
        "address_line1": "7 Xylophone Alley",
        "full_address": "7 Xylophone Alley",
    }
    raw["recipient_address"] = raw["recipient_address"] | told | {"address_detail": "7 Xylophone Alley"} | address
    return order(raw)


@dataclass
class Keeping:
    """A shop's orders and the RPCs about whom they go to."""

    database: Database
    shop: Shop
    stub: OrderServiceStub

    def keep(self, found: Order | None = None, **more: Any) -> UUID:
        return keep_order(self.database, self.shop, found or a_canary(), **more)

    def read(
        self, order_id: UUID, purpose: str = "a call of the buyer", actor: str = "key-1"
    ) -> pb.ReadRecipientResponse:
        request = pb.ReadRecipientRequest(
            workspace_id=str(WORKSPACE), order_id=str(order_id), actor=actor, purpose=purpose
        )
        return self.stub.ReadRecipient(request, timeout=10)

    def erase(self, order_id: UUID, *, whole_buyer: bool = False) -> int:
        request = pb.EraseRecipientRequest(
            workspace_id=str(WORKSPACE), order_id=str(order_id), whole_buyer=whole_buyer, actor="key-1"
        )
        return self.stub.EraseRecipient(request, timeout=10).orders

    def readings(self, **wanted: Any) -> pb.ListRecipientReadingsResponse:
        request = pb.ListRecipientReadingsRequest(workspace_id=str(WORKSPACE), **wanted)
        return self.stub.ListRecipientReadings(request, timeout=10)

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        with self.database.transaction(ALL_WORKSPACES) as tx:
            result = tx.execute(text(statement), values)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []


@pytest.fixture
def keeping(database: Database) -> Iterator[Keeping]:
    api = PersonalApi(database, a_vault())  # type: ignore[abstract] # the other RPCs are elsewhere
    with served((add_OrderServiceServicer_to_server, api)) as channel:
        yield Keeping(database, a_shop(database), OrderServiceStub(channel))


def reason_of(refused: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    return str(refused.value.details())


def test_a_recipient_is_read_as_told_and_as_made_fit_with_what_was_changed(keeping: Keeping) -> None:
    order_id = keeping.keep(a_canary(address_line1="Apt 5", address_line2="7 Xylophone Alley", address_detail=""))
    read = keeping.read(order_id)
    assert (read.told.name, list(read.told.lines), read.told.state) == (
        "Canarina Quetzalcoatl",
        ["Apt 5", "7 Xylophone Alley"],
        "Tennessee",
    )
    assert (list(read.recipient.lines), read.recipient.state) == (["7 Xylophone Alley", "Apt 5"], "TN")
    assert ("state_code", "Tennessee", "TN") in [(each.rule, each.before, each.after) for each in read.changes]
    assert read.buyer_message == "Please leave it with Zebulon"
    unfit = keeping.read(keeping.keep(a_canary(name="C*** Q***")))
    assert not unfit.HasField("recipient")
    assert unfit.told.name == "C*** Q***"


def test_each_reading_is_written_down_and_listed_the_newest_first(keeping: Keeping) -> None:
    first, second = keeping.keep(), keeping.keep()
    for order_id, purpose in ((first, "one"), (second, "two"), (first, "three")):
        keeping.read(order_id, purpose)
    page = keeping.readings(page_size=2)
    assert [(each.order_id, each.purpose, each.actor) for each in page.readings] == [
        (str(first), "three", "key-1"),
        (str(second), "two", "key-1"),
    ]
    (oldest,) = keeping.readings(page_size=2, page_token=page.next_page_token).readings
    assert oldest.purpose == "one"
    assert [each.purpose for each in keeping.readings(order_id=str(first)).readings] == ["three", "one"]


def test_readings_at_once_make_one_chain(keeping: Keeping) -> None:
    order_id = keeping.keep()
    with ThreadPoolExecutor(8) as readers:
        list(readers.map(lambda number: keeping.read(order_id, str(number)), range(40)))
    assert [row["number"] for row in keeping.rows("SELECT number FROM recipient_readings ORDER BY number")] == list(
        range(1, 41)
    )
    with keeping.database.transaction(ALL_WORKSPACES) as tx:
        assert first_broken(tx, a_vault()) == {WORKSPACE: None}


@pytest.mark.parametrize("change", ["UPDATE recipient_readings SET actor = 'nobody'", "DELETE FROM recipient_readings"])
def test_the_service_itself_cannot_change_what_was_written_down(keeping: Keeping, change: str) -> None:
    keeping.read(keeping.keep())
    with pytest.raises(DatabaseError, match="permission denied"):
        keeping.rows(change)


@pytest.mark.parametrize(
    ("forgery", "number"),
    [
        ("UPDATE recipient_readings SET purpose = 'fine' WHERE number = 2", 2),
        ("DELETE FROM recipient_readings WHERE number = 2", 3),
        ("UPDATE recipient_readings SET time = time + interval '1 microsecond' WHERE number = 3", 3),
        ("UPDATE recipient_readings SET order_id = gen_random_uuid() WHERE number = 1", 1),
    ],
)
def test_a_reading_that_somebody_else_changed_is_found(
    keeping: Keeping, database_server: str, forgery: str, number: int
) -> None:
    order_id = keeping.keep()
    for purpose in ("one", "two", "three"):
        keeping.read(order_id, purpose)
    as_superuser(database_server, keeping.database, forgery)
    with keeping.database.transaction(ALL_WORKSPACES) as tx:
        assert first_broken(tx, a_vault()) == {WORKSPACE: number}


def as_superuser(server: str, database: Database, statement: str) -> None:
    address = Database(server.rpartition("/")[0] + f"/{database.url.database}", "fulfillment")
    with address.engine.begin() as tx:
        tx.execute(text("SET search_path = fulfillment"))
        tx.execute(text(statement))
    address.close()


def test_s40_thirty_days_and_an_hour_after_its_end_nothing_personal_is_left_and_the_order_is(keeping: Keeping) -> None:
    gone = [keeping.keep(state=state, ended_days_ago=30 + 1 / 24) for state in ("DELIVERED", "CANCELED", "LEFT")]
    kept = keeping.keep(ended_days_ago=30 - 1 / 24)
    open_ = keeping.keep(state="ROUTED", ended_days_ago=None)
    keeping.read(gone[0])
    with keeping.database.transaction(ALL_WORKSPACES) as tx:
        before = first_broken(tx, a_vault())
    assert Erasing(keeping.database, 30, 180).run_once() == 3
    assert Erasing(keeping.database, 30, 180).run_once() == 0
    sealed = "sealed_order IS NULL AND sealed_address IS NULL AND buyer_hash IS NULL AND masked_recipient = ''"
    rows = keeping.rows(f"SELECT order_id, state FROM orders WHERE {sealed} AND erase_time IS NOT NULL")
    assert {row["order_id"] for row in rows} == set(gone)
    left = keeping.rows("SELECT order_id FROM shipments WHERE sealed_destination IS NOT NULL")
    assert {row["order_id"] for row in left} == {kept, open_}
    (event,) = keeping.rows("SELECT type, text FROM order_events WHERE order_id = :id", id=gone[1])
    assert (event["type"], "30 days" in event["text"]) == ("recipient.erased", True)
    with pytest.raises(grpc.RpcError) as refused:
        keeping.read(gone[0])
    assert "was deleted" in reason_of(refused)
    # That it was read stays known.
    assert [each.order_id for each in keeping.readings().readings] == [str(gone[0])]
    assert before == {WORKSPACE: None}


def test_s40_an_order_of_whose_end_nothing_is_heard_is_erased_at_last(keeping: Keeping) -> None:
    order_id = keeping.keep(state="HELD", ended_days_ago=None)
    keeping.rows("UPDATE orders SET create_time = now() - interval '179 days'")
    assert Erasing(keeping.database, 30, 180).run_once() == 0
    keeping.rows("UPDATE orders SET create_time = now() - interval '181 days'")
    assert Erasing(keeping.database, 30, 180).run_once() == 1
    assert keeping.rows("SELECT order_id FROM orders WHERE erase_time IS NOT NULL") == [{"order_id": order_id}]


def test_many_replicas_erase_each_order_once(keeping: Keeping) -> None:
    ids = {keeping.keep(ended_days_ago=31) for _ in range(30)}
    with ThreadPoolExecutor(3) as replicas:
        done = list(replicas.map(lambda _: Erasing(keeping.database, 30, 180).run_once(), range(3)))
    assert sum(done) == len(ids)
    assert len(keeping.rows("SELECT event_id FROM order_events")) == len(ids)


def test_what_is_erased_does_not_come_back(keeping: Keeping) -> None:
    order_id = keeping.keep()
    keeping.erase(order_id)
    with pytest.raises(DatabaseError, match="what_is_erased_is_gone"):
        keeping.rows("UPDATE orders SET sealed_order = 'again'")


def test_s41_a_buyers_erasure_leaves_no_copy_in_the_whole_database(keeping: Keeping) -> None:
    mine = [keeping.keep(), keeping.keep(state="LEFT", ended_days_ago=None), keeping.keep(state="CANCELED")]
    another = keeping.keep(order(dict(a_canary().raw) | {"user_id": "2"}))
    keeping.read(mine[0])
    sealed = everything_in(keeping.database)
    assert [canary for canary in CANARIES if canary in sealed] == []
    assert keeping.erase(mine[0], whole_buyer=True) == 3
    assert keeping.erase(mine[0]) == 0
    assert keeping.read(another).told.name == "Canarina Quetzalcoatl"
    keeping.erase(another)
    # Nor is anything left that a key could open.
    sealed_order = keeping.rows("SELECT 1 FROM orders WHERE num_nonnulls(sealed_order, sealed_address, buyer_hash) > 0")
    assert sealed_order == keeping.rows("SELECT 1 FROM shipments WHERE sealed_destination IS NOT NULL") == []
    assert [word for word in (*CANARIES, "C*** Q***", "379**") if word in everything_in(keeping.database)] == []


def test_an_order_that_is_not_over_is_not_erased_and_neither_are_the_others_of_its_buyer(keeping: Keeping) -> None:
    over = keeping.keep()
    for state in ("PENDING", "HELD", "ROUTED", "SHIPPED"):
        order_id = keeping.keep(state=state, ended_days_ago=None)
        with pytest.raises(grpc.RpcError) as refused:
            keeping.erase(order_id)
        assert "Not over yet" in reason_of(refused)
    with pytest.raises(grpc.RpcError):
        keeping.erase(over, whole_buyer=True)
    assert keeping.rows("SELECT order_id FROM orders WHERE erase_time IS NOT NULL") == []


def test_s42_without_the_reading_only_a_mask_is_to_be_had_and_another_workspace_has_nothing(keeping: Keeping) -> None:
    order_id = keeping.keep()
    (row,) = keeping.rows("SELECT masked_recipient FROM orders")
    assert row["masked_recipient"] == "C*** Q***, TN 379**"
    workspace, order = str(OTHER), str(order_id)
    with pytest.raises(grpc.RpcError) as refused:
        keeping.stub.ReadRecipient(
            pb.ReadRecipientRequest(workspace_id=workspace, order_id=order, actor="key-2"), timeout=10
        )
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as refused:
        keeping.stub.EraseRecipient(pb.EraseRecipientRequest(workspace_id=workspace, order_id=order), timeout=10)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    unnamed = pb.ReadRecipientRequest(workspace_id=str(WORKSPACE), order_id=str(order_id))
    with pytest.raises(grpc.RpcError) as refused:
        keeping.stub.ReadRecipient(unnamed, timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert keeping.readings().readings == []


def test_what_two_workspaces_or_two_orders_sealed_cannot_be_exchanged(keeping: Keeping) -> None:
    first, second = keeping.keep(), keeping.keep()
    keeping.rows(
        "UPDATE orders SET sealed_order = (SELECT sealed_order FROM orders WHERE order_id = :other)"
        " WHERE order_id = :mine",
        mine=first,
        other=second,
    )
    with pytest.raises(grpc.RpcError):
        keeping.read(first)
    with keeping.database.transaction(OTHER) as tx:
        foreign = Sealer(a_vault(), tx, OTHER).seal_order(second, {"id": "1"})
    with keeping.database.transaction(WORKSPACE) as tx, pytest.raises(SealBroken):
        Sealer(a_vault(), tx, WORKSPACE).open_order(second, foreign)


def test_the_command_says_whether_the_record_is_whole(keeping: Keeping, database_server: str) -> None:
    keeping.read(keeping.keep())
    assert check_readings(keeping.database) == (0, f"{WORKSPACE}  whole\n")
    as_superuser(database_server, keeping.database, "UPDATE recipient_readings SET actor = 'nobody'")
    assert check_readings(keeping.database) == (1, f"{WORKSPACE}  changed at reading 1\n")


def check_readings(database: Database) -> tuple[int, str]:
    environment = {
        "PATH": os.environ["PATH"],
        "REELROUTE_DATABASE_URL": database.url.set(drivername="postgresql").render_as_string(hide_password=False),
        "REELROUTE_SERVICE_TOKEN": SERVICE_TOKEN,
        "REELROUTE_MASTER_KEY": MASTER_KEY,
        "REELROUTE_ALLOW_UNSAFE_DATABASE": "true",
    }
    command = [sys.executable, "-m", "services.fulfillment", "readings"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout
