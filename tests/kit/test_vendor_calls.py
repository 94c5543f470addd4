"""What is kept of calls to vendors: who finds it, how long, what is left out, and what happens without a database."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from reelroute.vendorcalls.v1 import vendorcalls_pb2 as pb
from reelroute.vendorcalls.v1 import vendorcalls_pb2_grpc
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from kit import context
from kit.context import Subjects
from kit.db import ALL_WORKSPACES, Database
from kit.paging import Page
from kit.vendor_call import CallRecord, VendorAnswer, VendorCall, recorded_answer, recorded_request, redacted
from kit.vendor_calls import DROPPED, Recorder, StoredCall, Wanted, list_calls, read_call
from kit.vendor_calls_api import VendorCallApi
from kit.vendor_errors import VendorError
from tests.services import served, service_database
from tests.vendors.fake_vendor import closed_port

WORKSPACE, OTHER = UUID(int=1), UUID(int=2)
POST, DELIVERY, ACCOUNT = UUID(int=11), UUID(int=12), UUID(int=13)
START = datetime(2027, 1, 4, 17, 0, tzinfo=UTC)


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "publisher") as opened:
        yield opened


@pytest.fixture
def recorder(database: Database) -> Recorder:
    return Recorder(database, 14)


@pytest.fixture
def calls(database: Database) -> Iterator[vendorcalls_pb2_grpc.VendorCallServiceStub]:
    with served((vendorcalls_pb2_grpc.add_VendorCallServiceServicer_to_server, VendorCallApi(database))) as channel:
        yield vendorcalls_pb2_grpc.VendorCallServiceStub(channel)


def record(second: int = 0, workspace: UUID | None = WORKSPACE, **changes: Any) -> CallRecord:
    about = {name: changes.pop(name) for name in list(changes) if name in Subjects.__slots__}
    values: dict[str, Any] = {
        "subjects": Subjects(workspace_id=workspace, **about),
        "vendor": "tiktok", "operation": "video_init", "method": "POST", "path": "/v2/post/publish/video/init/",
        "attempt": 1, "start_time": START + timedelta(seconds=second), "duration_seconds": 0.25, "outcome": "ok",
        "status": 200, "code": "", "log_id": "2027L0G", "handle": "v_pub~1",
        "request": {"json": {"title": "Fries"}}, "answer": {"json": {"n": 2**60}},
    }  # fmt: skip
    return CallRecord(**values | changes)


def store(recorder: Recorder, *records: CallRecord) -> None:
    for each in records:
        recorder.record(each)
    while recorder.run_once():
        pass


def seconds(calls: Any, **wanted: Any) -> list[int]:
    """Which calls a list has, by the seconds at which they began."""
    answer = calls.ListVendorCalls(pb.ListVendorCallsRequest(workspace_id=str(WORKSPACE), **wanted), timeout=5)
    return [round((each.start_time.ToDatetime(UTC) - START).total_seconds()) for each in answer.vendor_calls]


def stored(database: Database) -> list[str]:
    with database.transaction(ALL_WORKSPACES) as tx:
        return list(tx.scalars(text("SELECT handle FROM vendor_calls ORDER BY vendor_call_id")))


def test_calls_are_found_by_what_they_were_made_for(recorder: Recorder, calls: Any) -> None:
    order = uuid4()
    store(
        recorder,
        record(1, account_id=ACCOUNT),
        record(2, account_id=ACCOUNT, post_id=POST, delivery_id=DELIVERY),
        record(3, account_id=ACCOUNT, post_id=POST, delivery_id=uuid4(), outcome="rejected", code="spam"),
        record(4, order_id=order, vendor="tiktok_shop", outcome="unavailable", status=None),
    )
    assert seconds(calls) == [4, 3, 2, 1]
    assert seconds(calls, post_id=str(POST)) == [3, 2]
    assert seconds(calls, delivery_id=str(DELIVERY)) == [2]
    assert seconds(calls, account_id=str(ACCOUNT)) == [3, 2, 1]
    assert seconds(calls, order_id=str(order)) == [4]
    assert seconds(calls, vendor="tiktok_shop") == [4]
    assert seconds(calls, outcomes=["VENDOR_CALL_OUTCOME_REJECTED", "VENDOR_CALL_OUTCOME_UNAVAILABLE"]) == [4, 3]
    assert seconds(calls, from_time=START + timedelta(seconds=2), until_time=START + timedelta(seconds=3)) == [2]


def test_the_times_of_a_list_are_exact_within_a_millisecond(recorder: Recorder, calls: Any) -> None:
    store(recorder, record(start_time=START + timedelta(microseconds=400)))
    assert seconds(calls, from_time=START + timedelta(microseconds=400)) == [0]
    assert seconds(calls, from_time=START + timedelta(microseconds=401)) == []
    assert seconds(calls, until_time=START + timedelta(microseconds=400)) == []
    assert seconds(calls, until_time=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)) == [0]


def test_pages_show_each_call_once_although_new_ones_come(recorder: Recorder, calls: Any) -> None:
    store(recorder, *(record(second) for second in range(5)))
    found, token = [], ""
    for new in (10, 11, 12):
        request = pb.ListVendorCallsRequest(workspace_id=str(WORKSPACE), page_size=2, page_token=token)
        page = calls.ListVendorCalls(request, timeout=5)
        found += [each.start_time.ToDatetime(UTC).second for each in page.vendor_calls]
        token = page.next_page_token
        store(recorder, record(new))
    assert (found, token) == ([4, 3, 2, 1, 0], "")


def test_a_call_is_read_whole_and_as_it_was(recorder: Recorder, calls: Any) -> None:
    store(recorder, record(post_id=POST, outcome="rejected", status=403, code="spam_risk"))
    (listed,) = calls.ListVendorCalls(pb.ListVendorCallsRequest(workspace_id=str(WORKSPACE)), timeout=5).vendor_calls
    request = pb.GetVendorCallRequest(workspace_id=str(WORKSPACE), vendor_call_id=listed.vendor_call_id)
    answer = calls.GetVendorCall(request, timeout=5)
    assert answer.vendor_call == listed
    assert (listed.post_id, listed.delivery_id, listed.operation) == (str(POST), "", "video_init")
    assert (listed.status, listed.code, listed.log_id, listed.handle) == (403, "spam_risk", "2027L0G", "v_pub~1")
    assert listed.outcome == pb.VENDOR_CALL_OUTCOME_REJECTED
    assert listed.duration.ToTimedelta() == timedelta(seconds=0.25)
    assert json.loads(answer.request_json) == {"json": {"title": "Fries"}}
    assert json.loads(answer.answer_json) == {"json": {"n": 2**60}}


def test_nobody_sees_calls_of_another_workspace_or_of_none(recorder: Recorder, database: Database, calls: Any) -> None:
    store(recorder, record(1), record(2, OTHER), record(3, None))
    assert seconds(calls) == [1]
    with database.transaction(ALL_WORKSPACES) as tx:
        theirs = tx.scalar(text("SELECT vendor_call_id FROM vendor_calls WHERE workspace_id = :id"), {"id": OTHER})
    request = pb.GetVendorCallRequest(workspace_id=str(WORKSPACE), vendor_call_id=str(theirs))
    with pytest.raises(grpc.RpcError) as refused:
        calls.GetVendorCall(request, timeout=5)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    for workspace, seen in ((WORKSPACE, 1), (OTHER, 1), (uuid4(), 0), (ALL_WORKSPACES, 3)):
        with database.transaction(workspace) as tx:
            assert tx.scalar(text("SELECT count(*) FROM vendor_calls")) == seen


def test_whatever_a_vendor_answers_can_be_stored(recorder: Recorder, database: Database, calls: Any) -> None:
    nasty = '\0 \ud800 {,"\\} \u2028 é 😀'
    body = {"json": {nasty: [nasty, 1e300, -0.0, None, True, 10**400]}}
    store(
        recorder,
        record(1, code=nasty, log_id=nasty, handle=nasty * 200, path=nasty, answer=body),
        record(2, answer={"json": float("inf")}),
        record(3, answer={"json": "x" * 70_000}),
        record(4, answer=None, request=None, log_id=None, handle=None, status=None),
    )
    assert seconds(calls) == [4, 3, 2, 1]
    with database.transaction(WORKSPACE) as tx:
        found = [read_call(tx, WORKSPACE, each.vendor_call_id).record for each in listed(tx)]
    assert [each.answer for each in found[:3]] == [None, {"bytes": 70_011}, None]
    (kept,) = (found[3].answer or {})["json"].values()
    assert kept[1:] == [1e300, 0.0, None, True, 10**400]
    assert "é 😀" in kept[0]


def listed(tx: Any) -> list[StoredCall]:
    return list_calls(tx, WORKSPACE, Wanted(), Page(50, None))


def test_one_row_that_the_database_refuses_keeps_out_no_other(recorder: Recorder, database: Database) -> None:
    dropped = DROPPED._value.get()
    store(recorder, record(1, handle="1"), record(2, outcome=None), record(3, handle="3"))
    assert stored(database) == ["1", "3"]
    assert DROPPED._value.get() - dropped == 1


def test_a_batch_whose_commit_was_not_answered_is_stored_once(
    recorder: Recorder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recorder._store

    def lost(rows: Any) -> None:
        real(rows)
        raise OperationalError("COMMIT", None, Exception("the server closed the connection"))

    recorder.record(record(handle="1"))
    monkeypatch.setattr(recorder, "_store", lost)
    with pytest.raises(OperationalError):
        recorder.run_once()
    monkeypatch.undo()
    recorder.run_once()
    assert stored(database) == ["1"]


def test_while_the_database_is_away_calls_go_on_and_the_oldest_records_give_way(database: Database) -> None:
    away = Database(f"postgresql://nobody:x@127.0.0.1:{closed_port()}/none", "publisher")
    recorder = Recorder(away, 14, most_waiting=6_000)
    dropped = DROPPED._value.get()
    for number in range(50):
        recorder.record(record(number, handle=str(number)))
        if number == 10:
            with pytest.raises(OperationalError):
                recorder.run_once()
    away.close()
    recorder._database = database
    while recorder.run_once():
        pass
    kept = stored(database)
    assert 5 < len(kept) < 30
    assert kept == [str(number) for number in range(50 - len(kept), 50)]
    assert DROPPED._value.get() - dropped == 50 - len(kept)


def test_calls_are_kept_for_some_days(database: Database) -> None:
    begun = {age: datetime.now(UTC) - timedelta(days=age) for age in (0, 13, 15)}
    store(Recorder(database, 14), *(record(start_time=time, handle=str(age)) for age, time in begun.items()))
    assert Recorder(database, 14).forget() == 1
    assert stored(database) == ["13", "0"]


def test_with_no_days_nothing_is_recorded_and_what_was_is_forgotten(recorder: Recorder, database: Database) -> None:
    store(recorder, record(start_time=datetime.now(UTC)))
    off = Recorder(database, 0)
    assert off.on_call is None
    assert off.forget() == 1


def test_every_error_of_a_vendor_has_its_word_in_the_contract() -> None:
    words = {name.removeprefix("VENDOR_CALL_OUTCOME_").replace("_", "") for name, _ in pb.VendorCallOutcome.items()}
    for kind in VendorError.__subclasses__():
        assert kind.__name__.removeprefix("Vendor").upper() in words


async def _subjects() -> Subjects:
    return await asyncio.create_task(asyncio.sleep(0, context.subjects()))


def test_what_a_call_is_about_follows_into_another_threads_loop() -> None:
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with context.about(workspace_id=WORKSPACE), context.about(post_id=POST):
            found = asyncio.run_coroutine_threadsafe(_subjects(), loop).result(5)
        assert found == Subjects(workspace_id=WORKSPACE, post_id=POST)
        assert asyncio.run_coroutine_threadsafe(_subjects(), loop).result(5) == Subjects()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# As the order APIs of TikTok Shop and Amazon call them.
PERSONAL = [
    "recipient_address", "buyer_email", "buyer_message", "buyer_nickname", "buyer_user_id", "user_id", "phone_number",
    "first_name", "last_name", "full_address", "address_detail", "address_line1", "postal_code", "post_town", "cpf",
    "district_info", "delivery_preferences", "drop_off_location", "name_local_script", "seller_note",
    "destinationAddress", "shippingAddress", "buyerInfo", "notificationEmails", "displayableOrderComment", "phone",
    "email", "postalCode", "dropOffLocation", "giftMessage", "taxId", "doc_url",
]  # fmt: skip
SECRET = [
    "access_token", "refresh_token", "client_secret", "app_secret", "auth_code", "sign", "shop_cipher", "upload_url",
    "code_verifier", "TikTok-Signature", "Authorization", "Cookie", "password",
]  # fmt: skip
PLAIN = [
    "title", "caption", "description", "privacy_level", "product_name", "sku_name", "seller_sku", "tracking_number",
    "order_id", "id", "status", "code", "message", "next_page_token", "page_token", "creator_username", "publish_id",
    "shipping_provider_name", "buyers", "log_id", "total_amount", "design",
]  # fmt: skip
PLANTED = "Jane Canary 555-0199"
inside = st.recursive(
    st.just(PLANTED),
    lambda children: (
        st.lists(children, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "x", "n"]), children, min_size=1)
    ),
    max_leaves=5,
)
around = st.lists(st.sampled_from(["orders", "data", "line_items", 0]), max_size=4)


def wrapped(value: Any, places: list[Any]) -> Any:
    for place in places:
        value = [value] if place == 0 else {place: value, "id": "1"}
    return value


@given(st.sampled_from([*PERSONAL, *SECRET]), inside, around)
def test_what_has_the_name_of_a_person_or_a_secret_is_left_out(name: str, value: Any, places: list[Any]) -> None:
    document = wrapped({name: value, name.upper(): value, "title": "Fries"}, places)
    kept = json.dumps(redacted(document, []))
    assert "Canary" not in kept
    assert "Fries" in kept


@given(st.sampled_from(PLAIN), st.text(max_size=2_200) | st.integers() | st.booleans(), around)
def test_what_a_person_wants_to_look_up_is_kept(name: str, value: Any, places: list[Any]) -> None:
    document = wrapped({name: value}, places)
    if not (isinstance(value, str) and value.startswith(("http://", "https://"))):
        assert redacted(document, []) == document


def test_that_something_is_so_is_no_data_about_a_person() -> None:
    assert redacted({"is_buyer_request_cancel": True, "buyer_service_fee": "1.20"}, []) == {
        "is_buyer_request_cancel": True,
        "buyer_service_fee": "1.20",
    }


def test_a_query_is_recorded_without_what_signs_it() -> None:
    call = VendorCall(
        operation="orders",
        method="POST",
        url="/order/202309/orders/search?app_key=k&shop_cipher=c-secret&sign=s-secret&timestamp=1&page_size=20&empty=",
        headers={"x-tts-access-token": "t-secret"},
        json={"order_status": "UNPAID", "buyer_user_id": "b-secret"},
    )
    request = recorded_request(call)
    assert "-secret" not in json.dumps(request)
    assert request is not None
    assert request["query"] == {
        "app_key": "k", "shop_cipher": "[redacted]", "sign": "[redacted]", "timestamp": "1", "page_size": "20",
        "empty": "",
    }  # fmt: skip
    assert request["json"] == {"order_status": "UNPAID", "buyer_user_id": "[redacted]"}


def test_nothing_is_recorded_of_a_foreign_address_or_of_tokens() -> None:
    upload = VendorCall(operation="upload", method="PUT", url="https://u.example/?k=v-secret", to_foreign_host=True)
    assert recorded_request(upload) is None
    token = VendorCall(
        operation="refresh", method="POST", url="/token", form={"refresh_token": "r-secret"}, answer_is_secret=True
    )
    assert recorded_request(token) == {"form": ["refresh_token"]}
    assert recorded_answer(token, VendorAnswer(200, {}, b'{"access_token":"a-secret"}', START)) is None
