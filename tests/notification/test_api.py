import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from reelroute.notification.v1 import notification_pb2 as pb
from reelroute.notification.v1.notification_pb2_grpc import (
    NotificationServiceStub,
    add_NotificationServiceServicer_to_server,
)
from sqlalchemy import func, update

from kit.activity import INSTALLATION
from kit.db import ALL_WORKSPACES, Database
from kit.errors import AlreadyExists, InvalidArgument, ReelrouteError
from kit.rpc_status import from_rpc_error
from services.notification import store
from services.notification.api import NotificationApi
from tests.notification.receivers import OTHER_WORKSPACE, WORKSPACE
from tests.services import served

POST = "00000000-0000-0000-0000-000000000007"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def service(database: Database) -> Iterator[NotificationServiceStub]:
    api = NotificationApi(database, ["log", "team-mail"])
    with served((add_NotificationServiceServicer_to_server, api)) as channel:
        yield NotificationServiceStub(channel)


def request(type_: str = "delivery.published", **changes: object) -> pb.RecordActivityRequest:
    made = pb.RecordActivityRequest(
        workspace_id=str(WORKSPACE),
        request_id=str(uuid4()),
        type=type_,
        summary="TikTok shows the video.",
        post_id=POST,
        attributes={"platform": "tiktok", "handle": "reel_air"},
    )
    made.activity_time.FromDatetime(NOON)
    made.MergeFrom(pb.RecordActivityRequest(**changes))  # type: ignore[arg-type]
    return made


def record(service: NotificationServiceStub, made: pb.RecordActivityRequest) -> str:
    return service.RecordActivity(made, timeout=10).activity_id


def refusal(service: NotificationServiceStub, made: pb.RecordActivityRequest) -> ReelrouteError:
    with pytest.raises(grpc.RpcError) as caught:
        service.RecordActivity(made, timeout=10)
    return from_rpc_error(caught.value)


def list_activities(service: NotificationServiceStub, **query: object) -> pb.ListActivitiesResponse:
    asked = pb.ListActivitiesRequest(workspace_id=str(WORKSPACE))
    asked.MergeFrom(pb.ListActivitiesRequest(**query))  # type: ignore[arg-type]
    return service.ListActivities(asked, timeout=10)


def list_messages(service: NotificationServiceStub, **query: object) -> pb.ListMessagesResponse:
    asked = pb.ListMessagesRequest(workspace_id=str(WORKSPACE))
    asked.MergeFrom(pb.ListMessagesRequest(**query))  # type: ignore[arg-type]
    return service.ListMessages(asked, timeout=10)


def test_an_activity_comes_back_as_it_was_reported(service: NotificationServiceStub) -> None:
    activity_id = record(service, request("publication.handle_stored", delivery_id=POST, account_id=POST))
    (activity,) = list_activities(service).activities
    assert activity.create_time.seconds > 0
    activity.ClearField("create_time")
    assert activity == pb.Activity(
        activity_id=activity_id,
        workspace_id=str(WORKSPACE),
        activity_time=Timestamp(seconds=int(NOON.timestamp())),
        type="publication.handle_stored",
        summary="TikTok shows the video.",
        post_id=POST,
        delivery_id=POST,
        account_id=POST,
        attributes={"platform": "tiktok", "handle": "reel_air"},
    )
    assert list_messages(service).messages == []


def test_a_published_post_makes_one_message_with_a_waiting_send_for_each_target(
    service: NotificationServiceStub,
) -> None:
    made = request()
    assert record(service, made) == record(service, made)
    assert len(list_activities(service).activities) == 1
    (message,) = list_messages(service).messages
    assert message.title == "Published on TikTok for @reel_air"
    assert message.severity == pb.SEVERITY_INFO
    assert message.post_id == POST
    assert list(message.sends) == [
        pb.MessageSend(target=target, state=pb.MESSAGE_SEND_STATE_WAITING) for target in ("log", "team-mail")
    ]
    assert not message.sends[0].HasField("send_time")


def test_a_request_id_used_for_another_activity_is_refused(service: NotificationServiceStub) -> None:
    made = request()
    record(service, made)
    made.summary = "Something else."
    refused = refusal(service, made)
    assert isinstance(refused, AlreadyExists)
    assert (refused.reason, refused.metadata) == ("REQUEST_ID_REUSED", {"request_id": made.request_id})


def test_another_workspace_sees_nothing(service: NotificationServiceStub) -> None:
    record(service, request())
    other = str(OTHER_WORKSPACE)
    assert not service.ListActivities(pb.ListActivitiesRequest(workspace_id=other), timeout=10).activities
    assert not service.ListMessages(pb.ListMessagesRequest(workspace_id=other, post_id=POST), timeout=10).messages


def test_lists_are_paged_and_narrowed_to_a_post(service: NotificationServiceStub) -> None:
    for minute in range(5):
        moment = Timestamp()
        moment.FromDatetime(NOON + timedelta(minutes=minute))
        made = request("hold.placed", summary=f"Minute {minute}.")
        made.activity_time.CopyFrom(moment)
        record(service, made)
    record(service, request("hold.placed", post_id=str(uuid4())))

    for oldest_first in (True, False):
        seen: list[str] = []
        token = ""
        while True:
            page = list_activities(service, page_size=2, page_token=token, post_id=POST, oldest_first=oldest_first)
            seen += [activity.summary for activity in page.activities]
            token = page.next_page_token
            if not token:
                break
        minutes = [f"Minute {minute}." for minute in range(5)]
        assert seen == (minutes if oldest_first else minutes[::-1])

    first = list_messages(service, page_size=3, post_id=POST)
    second = list_messages(service, page_size=3, post_id=POST, page_token=first.next_page_token)
    bodies = [message.body.splitlines()[0] for message in (*first.messages, *second.messages)]
    assert bodies == [f"Minute {minute}." for minute in (4, 3, 2, 1, 0)]
    assert second.next_page_token == ""


@pytest.mark.parametrize("token", ["nonsense", "WzFd", "WyIyMDI2LTAxLTAyIiwgNV0=", "é"])
def test_a_made_up_page_token_is_refused_by_name(service: NotificationServiceStub, token: str) -> None:
    for ask in (list_activities, list_messages):
        with pytest.raises(grpc.RpcError) as caught:
            ask(service, page_token=token)
        refused = from_rpc_error(caught.value)
        assert isinstance(refused, InvalidArgument)
        assert [violation.field for violation in refused.violations] == ["page_token"]


@pytest.mark.parametrize(
    ("field", "made"),
    [
        ("type", request("Delivery Published")),
        ("summary", request(summary="x" * 2001)),
        ("summary", request(summary="a\0b")),
        ("post_id", request(post_id="7")),
        ("activity_time", request(activity_time=Timestamp(seconds=10**15))),
    ],
)
def test_a_bad_field_is_refused_by_name_and_nothing_is_kept(
    service: NotificationServiceStub, field: str, made: pb.RecordActivityRequest
) -> None:
    refused = refusal(service, made)
    assert isinstance(refused, InvalidArgument)
    assert [violation.field for violation in refused.violations] == [field]
    assert not list_activities(service).activities


def test_a_message_names_the_account_though_the_reporter_of_the_delivery_does_not_know_it(
    service: NotificationServiceStub,
) -> None:
    account_id = str(uuid4())
    attributes = {"platform": "tiktok", "handle": "emberfold.air"}
    connected = request("account.connected", account_id=account_id, attributes=attributes)
    published = request("delivery.published", account_id=account_id)
    published.attributes.clear()
    record(service, connected)
    record(service, published)
    listed = service.ListMessages(pb.ListMessagesRequest(workspace_id=str(WORKSPACE)), timeout=10)
    assert listed.messages[0].title == "Published on TikTok for @emberfold.air"


def record_many(service: NotificationServiceStub, *made: pb.RecordActivityRequest) -> list[tuple[int, str]]:
    answer = service.RecordActivities(pb.RecordActivitiesRequest(activities=made), timeout=10)
    assert all(each.message for each in answer.refusals)
    return [(each.index, each.reason) for each in answer.refusals]


def test_of_a_batch_each_activity_is_kept_or_refused_for_itself(service: NotificationServiceStub) -> None:
    used = request()
    record(service, used)
    reused = pb.RecordActivityRequest()
    reused.CopyFrom(used)
    reused.summary = "Something else."
    good, elsewhere = request(summary="Good."), request(summary="Elsewhere.", workspace_id=str(OTHER_WORKSPACE))
    batch = [
        request("Delivery Published"),
        good,
        request(summary="a\0b"),
        reused,
        request(activity_time=Timestamp(seconds=10**15)),
        elsewhere,
        used,
    ]
    assert record_many(service, *batch) == [
        (0, "INVALID_ARGUMENT"),
        (2, "INVALID_ARGUMENT"),
        (3, "REQUEST_ID_REUSED"),
        (4, "INVALID_ARGUMENT"),
    ]
    assert sorted(each.summary for each in list_activities(service).activities) == ["Good.", used.summary]
    other = service.ListMessages(pb.ListMessagesRequest(workspace_id=str(OTHER_WORKSPACE)), timeout=10)
    assert [each.body.splitlines()[0] for each in other.messages] == ["Elsewhere."]


def test_a_batch_that_comes_again_keeps_and_tells_nothing_twice(service: NotificationServiceStub) -> None:
    batch = [request() for _ in range(3)] + [request("delivery.missed") for _ in range(3)]
    twice = batch[0]
    for _ in range(2):
        assert record_many(service, *batch, twice) == []
    assert len(list_activities(service).activities) == 6
    assert sorted(each.title for each in list_messages(service).messages) == [
        "3 posts were published",
        "Decide: 3 posts missed their time",
    ]


def test_the_same_request_id_twice_in_a_batch_is_refused_for_the_second_activity(
    service: NotificationServiceStub,
) -> None:
    first, second = request(request_id="one"), request(request_id="one", summary="Other.")
    assert record_many(service, first, second) == [(1, "REQUEST_ID_REUSED")]
    assert [each.summary for each in list_activities(service).activities] == [first.summary]


def test_an_activity_of_no_workspace_is_told_to_the_targets_once(
    service: NotificationServiceStub, database: Database
) -> None:
    opened = request("incident.opened", workspace_id=str(INSTALLATION), summary="TikTok fails for many accounts.")
    opened.post_id = ""
    for _ in range(2):
        record_many(service, opened)
    asked = pb.ListMessagesRequest(workspace_id=str(INSTALLATION))
    (message,) = service.ListMessages(asked, timeout=10).messages
    assert message.title == "TikTok is failing: nothing is sent to it"
    assert [each.target for each in message.sends] == ["log", "team-mail"]
    assert list_messages(service).messages == []


def test_what_happens_to_many_at_once_is_one_message_across_batches_and_reporters(
    service: NotificationServiceStub, database: Database
) -> None:
    batches = [[request("delivery.missed", summary=f"Late {batch}.") for _ in range(25)] for batch in range(4)]
    reporters = [threading.Thread(target=record_many, args=[service, *each]) for each in batches]
    for reporter in reporters:
        reporter.start()
    for reporter in reporters:
        reporter.join()
    record(service, request("delivery.missed", workspace_id=str(OTHER_WORKSPACE)))
    record_many(service, request("delivery.parked"))
    missed = [each for each in list_messages(service).messages if "missed" in each.title]
    assert [each.title for each in missed] == ["Decide: 100 posts missed their time"]
    assert missed[0].body.startswith("The first of 100:\nLate ")
    with database.transaction(ALL_WORKSPACES) as tx:
        # It waits for more of its kind.
        assert store.claim_send(tx, "log", lease_seconds=10, max_attempts=3) is None


def test_a_message_that_is_being_sent_is_not_added_to(service: NotificationServiceStub, database: Database) -> None:
    record_many(service, request("delivery.missed"))
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(update(store.message_sends).values(next_time=func.now()))
        assert store.claim_send(tx, "log", lease_seconds=10, max_attempts=3)
    record_many(service, request("delivery.missed"), request("delivery.missed"))
    assert sorted(each.title for each in list_messages(service).messages) == [
        "Decide: 2 posts missed their time",
        "Decide: a post of @reel_air missed its time on TikTok",
    ]
