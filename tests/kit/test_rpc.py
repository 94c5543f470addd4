from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import grpc
import protovalidate
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from reelroute.content.v1 import content_pb2, content_pb2_grpc
from reelroute.identity.v1 import identity_pb2, identity_pb2_grpc
from reelroute.notification.v1 import notification_pb2, notification_pb2_grpc
from reelroute.publisher.v1 import publisher_pb2, publisher_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1 import scheduler_pb2_grpc
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from deploy.local.processes import free_port
from kit import context, errors, rpc, rpc_server
from kit.db import Database
from kit.rpc_status import DOMAIN, from_rpc_error
from tests.local.support import wait_until
from tests.services import SERVICE_TOKEN, service_database

WORKSPACE = str(uuid4())
MODULES = (content_pb2, identity_pb2, notification_pb2, publisher_pb2, pb)
METHODS = [
    method for module in MODULES for each in module.DESCRIPTOR.services_by_name.values() for method in each.methods
]
DEADLINE_SECONDS = 5


class Scripted(scheduler_pb2_grpc.SchedulerServiceServicer):
    """A servicer whose GetPost does what the test says."""

    def __init__(self) -> None:
        self.script: Callable[[pb.GetPostRequest], object] = lambda _: None

    def GetPost(self, request: pb.GetPostRequest, context: grpc.ServicerContext) -> pb.GetPostResponse:  # noqa: N802
        self.script(request)
        return pb.GetPostResponse()


class Streaming(content_pb2_grpc.ContentServiceServicer):
    """Sends pieces until it is stopped, or until `pieces` are sent and `fault` is raised."""

    def __init__(self) -> None:
        self.pieces: int | None = None
        self.fault: Exception | None = None
        self.received: list[content_pb2.UploadMediaRequest] = []
        self.ended = threading.Event()

    def DownloadMedia(  # noqa: N802
        self, request: content_pb2.DownloadMediaRequest, context: grpc.ServicerContext
    ) -> Iterator[content_pb2.DownloadMediaResponse]:
        try:
            while self.pieces is None or self.pieces > 0:
                self.pieces = self.pieces and self.pieces - 1
                yield content_pb2.DownloadMediaResponse()
            if self.fault:
                raise self.fault
        finally:
            self.ended.set()

    def UploadMedia(  # noqa: N802
        self, request_iterator: Iterator[content_pb2.UploadMediaRequest], context: grpc.ServicerContext
    ) -> content_pb2.UploadMediaResponse:
        try:
            for request in request_iterator:
                self.received.append(request)
            return content_pb2.UploadMediaResponse()
        finally:
            self.ended.set()


@pytest.fixture(scope="module")
def scripted() -> Scripted:
    return Scripted()  # type: ignore[abstract]


@pytest.fixture(autouse=True)
def _script_is_new(scripted: Scripted) -> None:
    scripted.script = lambda _: None


@pytest.fixture(scope="module")
def streaming() -> Streaming:
    return Streaming()  # type: ignore[abstract]


@pytest.fixture(scope="module")
def address(scripted: Scripted, streaming: Streaming) -> Iterator[str]:
    """A server with every service of ours, of which only what a test needs is implemented."""
    server = rpc_server.build_server(SERVICE_TOKEN, threads=8)
    scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server(scripted, server)
    content_pb2_grpc.add_ContentServiceServicer_to_server(streaming, server)
    identity_pb2_grpc.add_IdentityServiceServicer_to_server(
        identity_pb2_grpc.IdentityServiceServicer(),  # type: ignore[abstract]
        server,
    )
    notification_pb2_grpc.add_NotificationServiceServicer_to_server(
        notification_pb2_grpc.NotificationServiceServicer(),  # type: ignore[abstract]
        server,
    )
    publisher_pb2_grpc.add_PublisherServiceServicer_to_server(
        publisher_pb2_grpc.PublisherServiceServicer(),  # type: ignore[abstract]
        server,
    )
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    port = rpc_server.listen(server, "127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait(5)


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    with rpc.channel(address, SERVICE_TOKEN) as opened:
        yield opened


@pytest.fixture(scope="module")
def bare_channel(address: str) -> Iterator[grpc.Channel]:
    """A channel that adds nothing to a call."""
    with grpc.insecure_channel(address) as opened:
        yield opened


def call(
    channel: grpc.Channel, method: MethodDescriptor, *, token: str | None, timeout: float | None
) -> errors.ReelrouteError:
    """The refusal of a call with an empty request."""
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    path = f"/{method.containing_service.full_name}/{method.name}"
    callable_ = getattr(channel, kind)(
        path, request_serializer=request.SerializeToString, response_deserializer=response.FromString
    )
    metadata = [("authorization", token)] if token is not None else []
    given = iter([request()]) if method.client_streaming else request()
    try:
        answer = callable_(given, timeout=timeout, metadata=metadata)
        pytest.fail(f"answered: {list(answer) if method.server_streaming else answer}")
    except grpc.RpcError as error:
        return from_rpc_error(error)


def get(channel: grpc.Channel, timeout: float = DEADLINE_SECONDS, **fields: str) -> Message:
    request = pb.GetPostRequest(**{"workspace_id": WORKSPACE, "post_id": str(uuid4()), **fields})
    return scheduler_pb2_grpc.SchedulerServiceStub(channel).GetPost(request, timeout=timeout)


def refused(channel: grpc.Channel) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        get(channel)
    return caught.value


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.full_name))
def test_r15_every_method_wants_the_service_token_and_a_deadline(
    bare_channel: grpc.Channel, method: MethodDescriptor
) -> None:
    for token in (None, "", SERVICE_TOKEN, f"Bearer {SERVICE_TOKEN}x", "Bearer "):
        refusal = call(bare_channel, method, token=token, timeout=DEADLINE_SECONDS)
        assert (type(refusal), refusal.reason) == (errors.Unauthenticated, "SERVICE_TOKEN_INVALID")
        assert SERVICE_TOKEN not in refusal.message
    refusal = call(bare_channel, method, token=f"Bearer {SERVICE_TOKEN}", timeout=None)
    assert (type(refusal), refusal.reason) == (errors.InvalidArgument, "DEADLINE_REQUIRED")


def test_health_is_told_to_anybody(bare_channel: grpc.Channel) -> None:
    answer = health_pb2_grpc.HealthStub(bare_channel).Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE_SECONDS)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_broken_rule_is_refused_with_the_path_of_its_field(channel: grpc.Channel) -> None:
    draft = pb.PostDraft(account_ids=[str(uuid4()), "7"], media=[pb.PostMedia(sha256="0")], caption="nul: \0")
    request = pb.CreatePostRequest(workspace_id=WORKSPACE, request_id="1", post=draft)
    with pytest.raises(grpc.RpcError) as caught:
        scheduler_pb2_grpc.SchedulerServiceStub(channel).CreatePost(request, timeout=DEADLINE_SECONDS)
    refusal = from_rpc_error(caught.value)
    assert isinstance(refusal, errors.InvalidArgument)
    assert {violation.field for violation in refusal.violations} == {
        "post.account_ids[1]",
        "post.media[0].media_asset_id",
        "post.media[0].sha256",
        "post.media[0].mime_type",
        "post.local_time",
        "post.time_zone",
        "post.caption",
    }


def test_a_refusal_of_many_fields_still_arrives(channel: grpc.Channel) -> None:
    draft = pb.PostDraft(account_ids=[f"not an id {number}" for number in range(3_000)])
    request = pb.CreatePostRequest(workspace_id=WORKSPACE, request_id="1", post=draft)
    with pytest.raises(grpc.RpcError) as caught:
        scheduler_pb2_grpc.SchedulerServiceStub(channel).CreatePost(request, timeout=DEADLINE_SECONDS)
    refusal = from_rpc_error(caught.value)
    assert isinstance(refusal, errors.InvalidArgument)
    assert len(refusal.violations) > 100


def test_u_0000_in_an_item_of_a_batch_is_a_fault_of_the_item_alone() -> None:
    validator = protovalidate.Validator()
    draft = pb.PostDraft(account_ids=[str(uuid4())], caption="a\0", local_time="2027-01-04T18:00", time_zone="UTC")
    batch = pb.BatchCreatePostsRequest(workspace_id=WORKSPACE, request_id="1", posts=[draft])
    assert rpc_server.check(validator, batch) == []
    assert [each.field for each in rpc_server.check(validator, draft)] == ["caption"]
    # What is only left to another rule of the proto is no item of a batch.
    update = pb.UpdatePostRequest(workspace_id=WORKSPACE, post_id=WORKSPACE, post=draft, update_mask=["caption"])
    assert [each.field for each in rpc_server.check(validator, update)] == ["post.caption"]
    batch.request_id = "a\0"
    assert [each.field for each in rpc_server.check(validator, batch)] == ["request_id"]


def test_a_stream_is_checked_message_by_message(channel: grpc.Channel, streaming: Streaming) -> None:
    good = content_pb2.UploadMediaRequest(data=b"1")
    bad = content_pb2.UploadMediaRequest(data=b"1" * (1024 * 1024 + 1))
    streaming.received.clear()
    upload = content_pb2_grpc.ContentServiceStub(channel).UploadMedia
    upload(iter([good, good]), timeout=DEADLINE_SECONDS)
    assert len(streaming.received) == 2
    with pytest.raises(grpc.RpcError) as caught:
        upload(iter([good, bad]), timeout=DEADLINE_SECONDS)
    assert [violation.field for violation in from_rpc_error(caught.value).violations] == ["data"]


def test_an_unexpected_error_stays_in_the_log(channel: grpc.Channel, scripted: Scripted, streaming: Streaming) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("/srv/internal: password=hunter2")

    scripted.script = fail
    with capture_logs() as logs:
        first = refused(channel)
        streaming.pieces, streaming.fault = 2, RuntimeError("/srv/internal: password=hunter2")
        request = content_pb2.DownloadMediaRequest(workspace_id=WORKSPACE, media_asset_id=str(uuid4()))
        with pytest.raises(grpc.RpcError) as caught:
            list(content_pb2_grpc.ContentServiceStub(channel).DownloadMedia(request, timeout=DEADLINE_SECONDS))
    for error in (first, caught.value):
        assert isinstance(error, grpc.Call)
        assert error.code() is grpc.StatusCode.INTERNAL
        status = rpc_status.from_call(error)
        assert "failed on our side" in status.message
        assert "internal:" not in str(status)
        assert "hunter2" not in str(status)
    assert [str(entry["exc_info"]) for entry in logs if entry["event"] == "unexpected error"] == [
        "/srv/internal: password=hunter2"
    ] * 2


def test_a_caller_who_leaves_a_stream_ends_it_without_an_error(channel: grpc.Channel, streaming: Streaming) -> None:
    streaming.pieces, streaming.fault = None, None
    streaming.ended.clear()
    request = content_pb2.DownloadMediaRequest(workspace_id=WORKSPACE, media_asset_id=str(uuid4()))
    with capture_logs() as logs:
        stream = content_pb2_grpc.ContentServiceStub(channel).DownloadMedia(request, timeout=DEADLINE_SECONDS)
        next(stream)
        stream.cancel()
        assert streaming.ended.wait(5)
        get(channel)
    assert [entry for entry in logs if entry["log_level"] in ("warning", "error")] == []


def test_a_caller_who_leaves_an_upload_ends_it_without_an_error(channel: grpc.Channel, streaming: Streaming) -> None:
    streaming.received.clear()
    streaming.ended.clear()
    never = threading.Event()

    def pieces() -> Iterator[content_pb2.UploadMediaRequest]:
        yield content_pb2.UploadMediaRequest(data=b"1")
        never.wait(10)

    def answered() -> float:
        method = "/reelroute.content.v1.ContentService/UploadMedia"
        codes = ("OK", "CANCELLED", "INTERNAL")
        return float(sum(rpc_server.CALLS.labels(method, code)._value.get() for code in codes))

    before = answered()
    with capture_logs() as logs:
        upload = content_pb2_grpc.ContentServiceStub(channel).UploadMedia.future(pieces(), timeout=DEADLINE_SECONDS)
        wait_until(lambda: streaming.received, "the first piece")
        upload.cancel()
        never.set()
        assert streaming.ended.wait(5)
        wait_until(lambda: answered() > before, "the end of the call")
    # Now and then gRPC shows the server an end of the stream in place of the cancel: then there is nothing to log.
    assert {(entry["log_level"], entry["event"]) for entry in logs} <= {("info", "caller left")}


def test_without_its_database_a_service_is_unavailable_and_says_when_to_come_back(
    channel: grpc.Channel, scripted: Scripted
) -> None:
    port = free_port()
    gone = Database(f"postgresql://somebody:hunter2@127.0.0.1:{port}/nothing", "scheduler")

    def ask(_: object) -> None:
        with gone.transaction(WORKSPACE):
            pass

    scripted.script = ask
    error = refused(channel)
    gone.close()
    refusal = from_rpc_error(error)
    assert isinstance(refusal, errors.Unavailable)
    assert refusal.retry_after_seconds == 1
    assert str(port) not in str(rpc_status.from_call(error))


@pytest.fixture(scope="module")
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "scheduler") as opened:
        yield opened


def test_r15_the_callers_deadline_bounds_statements_and_further_calls(
    channel: grpc.Channel, scripted: Scripted, database: Database
) -> None:
    seen: dict[str, float] = {}

    def look(request: pb.GetPostRequest) -> None:
        if request.post_id == inner:
            seen["further call"] = context.remaining_seconds(60)
            return
        seen["handler"] = context.remaining_seconds(60)
        with database.transaction(WORKSPACE) as tx:
            seen["statement"] = (
                tx.execute(text("SELECT current_setting('statement_timeout')::interval")).scalar_one().total_seconds()
            )
        get(channel, timeout=60, post_id=inner)

    inner = str(uuid4())
    scripted.script = look
    get(channel, timeout=3)
    assert len(seen) == 3
    # gRPC rounds a deadline up a little on its way.
    assert 0 < min(seen.values()) <= max(seen.values()) < 3.1


def test_r15_a_statement_ends_with_the_callers_patience_and_nothing_is_begun_after_it(
    channel: grpc.Channel, scripted: Scripted, database: Database
) -> None:
    ended: list[Exception] = []

    def linger(_: object) -> None:
        for statement in ("SELECT pg_sleep(30)", "SELECT 1"):
            try:
                with database.transaction(WORKSPACE) as tx:
                    tx.execute(text(statement))
            except (errors.ReelrouteError, DBAPIError) as error:
                ended.append(error)
                wait_until(_passed, "the deadline")
        raise ended[-1]

    scripted.script = linger
    with pytest.raises(grpc.RpcError) as caught:
        get(channel, timeout=0.3)
    assert isinstance(from_rpc_error(caught.value), errors.DeadlineExceeded)
    wait_until(lambda: len(ended) == 2, "end of the handler")
    assert "statement timeout" in str(ended[0])
    assert isinstance(ended[1], errors.DeadlineExceeded)


def test_the_time_spent_waiting_for_a_connection_counts(database: Database) -> None:
    narrow = Database(database.url.render_as_string(hide_password=False), "scheduler", pool_size=1)
    with (
        context.call(request_id="1", timeout_seconds=0.2),
        narrow.engine.connect(),
        pytest.MonkeyPatch.context() as patch,
    ):
        wait = narrow.engine.begin

        def slow_begin() -> Any:
            wait_until(_passed, "the deadline")
            return wait()

        patch.setattr(narrow.engine, "begin", slow_begin)
        with pytest.raises(errors.DeadlineExceeded), narrow.transaction(WORKSPACE):
            pytest.fail("a transaction was begun after the deadline")
    narrow.close()


def _passed() -> bool:
    try:
        context.remaining_seconds(1)
    except errors.DeadlineExceeded:
        return True
    return False


def test_r15_a_call_without_a_time_out_is_never_made(channel: grpc.Channel) -> None:
    with pytest.raises(ValueError, match="without a timeout"):
        scheduler_pb2_grpc.SchedulerServiceStub(channel).GetPost(pb.GetPostRequest())


def test_a_second_server_on_the_same_port_is_an_error(address: str) -> None:
    with pytest.raises(rpc_server.AddressTaken, match="REELROUTE_LISTEN"):
        rpc_server.listen(rpc_server.build_server(SERVICE_TOKEN, threads=2), address)


def test_the_log_of_a_call_names_its_request_its_workspace_and_its_method(
    channel: grpc.Channel, scripted: Scripted
) -> None:
    def refuse(request: pb.GetPostRequest) -> None:
        if request.post_id == inner:
            raise errors.NotFound("It is not there.")
        get(channel, timeout=60, post_id=inner)

    inner = str(uuid4())
    scripted.script = refuse
    with (
        capture_logs(processors=[merge_contextvars]) as logs,
        context.call(request_id="request-7", timeout_seconds=5),
        pytest.raises(grpc.RpcError),
    ):
        get(channel)
    told = [entry for entry in logs if entry["event"] == "call refused"]
    # Both services say the same id: the one that was asked first, and the one that it asked.
    assert [entry["request_id"] for entry in told] == ["request-7"] * 2
    assert {entry["workspace_id"] for entry in told} == {WORKSPACE}
    assert {entry["method"] for entry in told} == {"/reelroute.scheduler.v1.SchedulerService/GetPost"}


KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.ReelrouteError) and kind is not errors.ReelrouteError
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_the_same_on_the_other_side(
    channel: grpc.Channel, scripted: Scripted, kind: type[errors.ReelrouteError]
) -> None:
    given = kind(
        "Größer als erlaubt: choose less.",
        [errors.FieldViolation("post.caption", "too long", "TOO_LONG")],
        {"limit": "7"},
        retry_after_seconds=2.5,
        code_reason="SPECIAL",
    )

    def refuse(_: object) -> None:
        raise given

    scripted.script = refuse
    error = refused(channel)
    got = from_rpc_error(error)
    assert type(got) is kind
    assert (got.message, list(got.violations), got.metadata, got.retry_after_seconds, got.reason) == (
        given.message,
        given.violations,
        given.metadata,
        2.5,
        "SPECIAL",
    )
    (info,) = [
        error_details_pb2.ErrorInfo.FromString(detail.value)
        for detail in rpc_status.from_call(error).details
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)
    ]
    assert info.domain == DOMAIN == "reelroute"


def test_a_service_that_is_not_there_is_unavailable() -> None:
    with rpc.channel(f"127.0.0.1:{free_port()}", SERVICE_TOKEN) as nowhere:
        refusal = from_rpc_error(refused(nowhere))
    assert isinstance(refusal, errors.Unavailable)
    assert "127.0.0.1" not in refusal.message


def test_an_unknown_method_is_refused_by_name_alone(channel: grpc.Channel) -> None:
    unknown = channel.unary_unary(
        "/reelroute.scheduler.v1.SchedulerService/DropEverything",
        request_serializer=Empty.SerializeToString,
        response_deserializer=Empty.FromString,
    )
    with pytest.raises(grpc.RpcError) as caught:
        unknown(Empty(), timeout=DEADLINE_SECONDS)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
