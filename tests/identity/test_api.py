import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from reelroute.identity.v1 import identity_pb2 as pb
from reelroute.identity.v1.identity_pb2_grpc import IdentityServiceStub, add_IdentityServiceServicer_to_server

from kit.db import ALL_WORKSPACES, Database
from kit.errors import ReelrouteError
from kit.rpc_status import from_rpc_error
from services.identity import store
from services.identity.api import IdentityApi
from tests.services import served

SECONDS = 5


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 12, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stub(database: Database, clock: Clock) -> Iterator[IdentityServiceStub]:
    with served((add_IdentityServiceServicer_to_server, IdentityApi(database, clock))) as channel:
        yield IdentityServiceStub(channel)


def refusal(call: Callable[..., Any], request: object) -> ReelrouteError:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=SECONDS)
    return from_rpc_error(caught.value)


def new_workspace(stub: IdentityServiceStub, name: str = "Brand") -> str:
    request = pb.CreateWorkspaceRequest(request_id=str(uuid4()), display_name=name)
    return stub.CreateWorkspace(request, timeout=SECONDS).workspace.workspace_id


def key_request(workspace_id: str, **fields: Any) -> pb.CreateApiKeyRequest:
    fields = {"request_id": str(uuid4()), "display_name": "Import", "scopes": [pb.SCOPE_POSTS_WRITE]} | fields
    return pb.CreateApiKeyRequest(workspace_id=workspace_id, **fields)


def new_key(stub: IdentityServiceStub, workspace_id: str, **fields: Any) -> pb.CreateApiKeyResponse:
    return stub.CreateApiKey(key_request(workspace_id, **fields), timeout=SECONDS)


def authenticate(stub: IdentityServiceStub, key_text: str) -> pb.AuthenticateApiKeyResponse:
    return stub.AuthenticateApiKey(pb.AuthenticateApiKeyRequest(key_text=key_text), timeout=SECONDS)


def test_a_key_acts_for_its_workspace_with_its_scopes(stub: IdentityServiceStub) -> None:
    workspace_id = new_workspace(stub)
    made = new_key(stub, workspace_id, scopes=[pb.SCOPE_MEDIA_WRITE, pb.SCOPE_POSTS_READ])
    answer = authenticate(stub, made.key_text)
    assert answer.workspace_id == workspace_id
    assert answer.api_key_id == made.api_key.api_key_id
    assert list(answer.scopes) == [pb.SCOPE_POSTS_READ, pb.SCOPE_MEDIA_WRITE]
    assert made.key_text.startswith(made.api_key.prefix + "_")


def test_unknown_revoked_and_expired_keys_are_refused_alike(stub: IdentityServiceStub, clock: Clock) -> None:
    workspace_id = new_workspace(stub)
    expire_time = Timestamp()
    expire_time.FromDatetime(clock.now + timedelta(hours=1))
    expiring = new_key(stub, workspace_id, expire_time=expire_time)
    revoked = new_key(stub, workspace_id)
    authenticate(stub, expiring.key_text)
    authenticate(stub, revoked.key_text)
    clock.now += timedelta(hours=1)
    stub.RevokeApiKey(
        pb.RevokeApiKeyRequest(workspace_id=workspace_id, api_key_id=revoked.api_key.api_key_id), timeout=SECONDS
    )
    unknown = revoked.key_text[:-1] + ("A" if revoked.key_text[-1] != "A" else "B")
    texts = [expiring.key_text, revoked.key_text, unknown, "Bearer", "\U0001f511", "' OR 1=1 --"]
    refusals = [refusal(stub.AuthenticateApiKey, pb.AuthenticateApiKeyRequest(key_text=text)) for text in texts]
    assert {(type(refused).__name__, refused.reason, refused.message) for refused in refusals} == {
        ("Unauthenticated", "API_KEY_REFUSED", refusals[0].message)
    }


def test_a_use_is_noted_to_the_minute(stub: IdentityServiceStub, clock: Clock) -> None:
    workspace_id = new_workspace(stub)
    made = new_key(stub, workspace_id)
    assert not made.api_key.HasField("last_use_time")
    started = clock.now
    for seconds, noted in ((10, 10), (69, 10), (70, 70)):
        clock.now = started + timedelta(seconds=seconds)
        authenticate(stub, made.key_text)
        (listed,) = stub.ListApiKeys(pb.ListApiKeysRequest(workspace_id=workspace_id), timeout=SECONDS).api_keys
        assert listed.last_use_time.ToDatetime(tzinfo=UTC) == started + timedelta(seconds=noted)


def test_a_repeated_creation_of_a_key_returns_the_record_without_the_text(
    stub: IdentityServiceStub, database: Database, clock: Clock
) -> None:
    workspace_id = new_workspace(stub)
    expire_time = Timestamp()
    expire_time.FromDatetime(clock.now + timedelta(minutes=1))
    request = key_request(workspace_id, expire_time=expire_time)
    first = stub.CreateApiKey(request, timeout=SECONDS)
    clock.now += timedelta(hours=1)  # the repeat of what succeeded succeeds, even when it would be refused by now
    second = stub.CreateApiKey(request, timeout=SECONDS)
    assert first.key_text
    assert second == pb.CreateApiKeyResponse(api_key=first.api_key)
    with database.transaction(ALL_WORKSPACES) as tx:
        kept = [bytes(row.response) for row in tx.execute(store.requests.select())]
    assert not any(first.key_text.encode() in response for response in kept)


def test_equal_creations_at_once_make_one_key_and_one_of_them_gets_its_text(stub: IdentityServiceStub) -> None:
    workspace_id = new_workspace(stub)
    request = key_request(workspace_id)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stub.CreateApiKey(request, timeout=SECONDS), range(8)))
    assert len({answer.api_key.api_key_id for answer in answers}) == 1
    (key_text,) = {answer.key_text for answer in answers} - {""}
    assert sum(bool(answer.key_text) for answer in answers) == 1
    assert authenticate(stub, key_text).workspace_id == workspace_id
    assert len(stub.ListApiKeys(pb.ListApiKeysRequest(workspace_id=workspace_id), timeout=SECONDS).api_keys) == 1


def test_a_request_id_serves_one_request(stub: IdentityServiceStub) -> None:
    request = pb.CreateWorkspaceRequest(request_id="one", display_name="Brand")
    first = stub.CreateWorkspace(request, timeout=SECONDS)
    assert stub.CreateWorkspace(request, timeout=SECONDS) == first
    assert stub.GetWorkspace(
        pb.GetWorkspaceRequest(workspace_id=first.workspace.workspace_id), timeout=SECONDS
    ).workspace == (first.workspace)
    request.display_name = "Another brand"
    assert refusal(stub.CreateWorkspace, request).reason == "REQUEST_ID_REUSED"


def test_two_people_with_one_address_are_refused_and_the_refused_request_may_be_mended(
    stub: IdentityServiceStub,
) -> None:
    workspace_id = new_workspace(stub)
    request = pb.CreateUserRequest(
        workspace_id=workspace_id, request_id="1", email="Ada@example.com", display_name="Ada"
    )
    user = stub.CreateUser(request, timeout=SECONDS).user
    request.request_id, request.email = "2", "ada@EXAMPLE.com"
    refused = refusal(stub.CreateUser, request)
    assert (type(refused).__name__, refused.reason) == ("AlreadyExists", "EMAIL_TAKEN")
    assert [violation.field for violation in refused.violations] == ["email"]
    request.email = "grace@example.com"
    other = stub.CreateUser(request, timeout=SECONDS).user
    listed = stub.ListUsers(pb.ListUsersRequest(workspace_id=workspace_id), timeout=SECONDS).users
    assert list(listed) == [user, other]


def test_what_is_of_another_workspace_or_nowhere_is_not_found(stub: IdentityServiceStub) -> None:
    ours, theirs, nowhere = new_workspace(stub), new_workspace(stub), str(uuid4())
    stranger = stub.CreateUser(
        pb.CreateUserRequest(workspace_id=theirs, request_id="1", email="ada@example.com", display_name="Ada"),
        timeout=SECONDS,
    ).user
    their_key = new_key(stub, theirs)
    calls: list[tuple[Callable[..., Any], Any, str]] = [
        (stub.GetWorkspace, pb.GetWorkspaceRequest(workspace_id=nowhere), "WORKSPACE_NOT_FOUND"),
        (stub.ListUsers, pb.ListUsersRequest(workspace_id=nowhere), "WORKSPACE_NOT_FOUND"),
        (stub.ListApiKeys, pb.ListApiKeysRequest(workspace_id=nowhere), "WORKSPACE_NOT_FOUND"),
        (stub.CreateApiKey, key_request(nowhere), "WORKSPACE_NOT_FOUND"),
        (stub.CreateApiKey, key_request(ours, user_id=stranger.user_id), "USER_NOT_FOUND"),
        (
            stub.RevokeApiKey,
            pb.RevokeApiKeyRequest(workspace_id=ours, api_key_id=their_key.api_key.api_key_id),
            "API_KEY_NOT_FOUND",
        ),
    ]
    for call, request, reason in calls:
        refused = refusal(call, request)
        assert (type(refused).__name__, refused.reason) == ("NotFound", reason)
    assert authenticate(stub, their_key.key_text).workspace_id == theirs


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"display_name": "   "}, "display_name"),
        ({"display_name": "a\nb"}, "display_name"),
        ({"display_name": "nul\0"}, "display_name"),
        ({"request_id": "nul\0"}, "request_id"),
        ({"scopes": []}, "scopes"),
        ({"scopes": [0]}, "scopes[0]"),
        ({"scopes": [99]}, "scopes[0]"),
        ({"user_id": "me"}, "user_id"),
        ({"expire_time": Timestamp(seconds=1)}, "expire_time"),
        ({"expire_time": Timestamp(seconds=10**15)}, "expire_time"),
    ],
)
def test_bad_fields_of_a_key_are_named(stub: IdentityServiceStub, fields: dict[str, Any], field: str) -> None:
    refused = refusal(stub.CreateApiKey, key_request(new_workspace(stub), **fields))
    assert type(refused).__name__ == "InvalidArgument"
    assert field in [violation.field for violation in refused.violations]


def test_lists_are_walked_page_by_page_oldest_first(stub: IdentityServiceStub) -> None:
    made = [new_workspace(stub, f"Brand {number}") for number in range(5)]
    walked: list[str] = []
    token = ""
    for _ in range(3):
        page = stub.ListWorkspaces(pb.ListWorkspacesRequest(page_size=2, page_token=token), timeout=SECONDS)
        walked += [workspace.workspace_id for workspace in page.workspaces]
        token = page.next_page_token
    assert walked == made
    assert token == ""


@pytest.mark.parametrize("content", ["[5]", '["not an id"]', "[]", "{}", "[[]]", "\x80"])
def test_a_made_up_page_token_is_refused(stub: IdentityServiceStub, content: str) -> None:
    token = base64.urlsafe_b64encode(content.encode()).decode()
    refused = refusal(stub.ListWorkspaces, pb.ListWorkspacesRequest(page_token=token))
    assert [violation.field for violation in refused.violations] == ["page_token"]
