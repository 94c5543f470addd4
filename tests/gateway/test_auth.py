import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from reelroute.identity.v1 import identity_pb2
from reelroute.identity.v1.identity_pb2 import Scope

from kit import errors
from services.gateway.app import build_app
from services.gateway.auth import ROUTE_SCOPES, Authenticator
from services.gateway.errors import ApiKeyInvalid
from tests.gateway.conftest import Connect, configured, served
from tests.gateway.fakes import ALL_SCOPES, SERVICE_TOKEN, WORKSPACE, Memory
from tests.gateway.hub import Hub

OPERATIONS = [
    (method.upper(), path)
    for path, methods in build_app(configured()).openapi()["paths"].items()
    if path.startswith("/v1")
    for method in methods
]


def call(client: httpx.Client, method: str, path: str, authorization: bytes | None = None) -> httpx.Response:
    """As wrong as possible otherwise: no route may look at that before it knows who calls."""
    headers = {b"Content-Type": b"application/json", b"Idempotency-Key": b"x" * 100}
    if authorization is not None:
        headers[b"Authorization"] = authorization
    address = re.sub(r"\{\w+\}", "nonsense", path) + "?nonsense=1"
    return client.request(method, address, content=b"{{{", headers=headers)


def test_the_table_and_the_reference_name_the_same_routes() -> None:
    assert {f"{method} {path}" for method, path in OPERATIONS} == set(ROUTE_SCOPES)


NO_KEYS = [
    "",
    "Bearer",
    "Basic cnI6cnI=",
    "Bearer sk_1",
    "Bearer rr_ü",
    "Bearer rr_" + "x" * 300,
    "Bearer rr_no",
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_without_a_good_key_every_route_is_401_before_anything_else(
    connect: Connect, memory: Memory, method: str, path: str
) -> None:
    client = connect()
    missing = call(client, method, path)
    assert (missing.status_code, missing.json()["reason"]) == (401, "API_KEY_MISSING")
    for authorization in NO_KEYS:
        answer = call(client, method, path, authorization.encode())
        assert (answer.status_code, answer.json()["reason"]) == (401, "API_KEY_INVALID")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_other_scope_together_is_not_enough(connect: Connect, memory: Memory, method: str, path: str) -> None:
    scope = ROUTE_SCOPES[f"{method} {path}"]
    if scope is None:
        assert call(connect(memory.key(Scope.SCOPE_MEDIA_READ)), method, path).status_code == 422
        return
    answer = call(connect(memory.key(*(each for each in ALL_SCOPES if each != scope))), method, path)
    assert (answer.status_code, answer.json()["reason"]) == (403, "SCOPE_MISSING")
    assert Scope.Name(scope).removeprefix("SCOPE_") in answer.json()["detail"]
    # The right one alone is: what is refused now is the nonsense.
    assert call(connect(memory.key(scope)), method, path).status_code in (400, 404, 415, 422)


def test_a_key_with_two_headers_is_refused(url: str, memory: Memory) -> None:
    bearer = f"Bearer {memory.key()}"
    answer = httpx.get(f"{url}/v1/workspace", headers=[("Authorization", bearer), ("Authorization", bearer)])
    assert answer.status_code == 401


def test_a_workspace_is_the_keys_own_and_cannot_be_chosen(api: httpx.Client, memory: Memory) -> None:
    assert api.get("/v1/workspace").json()["workspace_id"] == WORKSPACE
    assert api.get("/v1/posts", params={"workspace_id": str(uuid4())}).status_code == 422


def test_the_request_id_and_the_service_token_go_with_every_call(api: httpx.Client, memory: Memory) -> None:
    answer = api.get("/v1/workspace", headers={"X-Request-Id": "from-outside-1"})
    assert answer.headers["X-Request-Id"] == "from-outside-1"
    for _, metadata in memory.calls:
        assert (metadata["x-request-id"], metadata["authorization"]) == ("from-outside-1", f"Bearer {SERVICE_TOKEN}")


def test_an_admin_makes_keys_but_no_operators(connect: Connect, memory: Memory) -> None:
    admin = connect(memory.key(Scope.SCOPE_WORKSPACE_ADMIN))
    made = admin.post(
        "/v1/keys",
        json={"display_name": "Import", "scopes": ["POSTS_WRITE"], "expire_time": "2027-06-01T00:00:00+02:00"},
        headers={"Idempotency-Key": "k"},
    )
    assert (made.status_code, made.json()["key_text"]) == (201, "rr_12345678_secret")
    assert made.json()["scopes"] == ["POSTS_WRITE"]
    assert made.json()["expire_time"] == "2027-05-31T22:00:00Z"
    again = admin.post(
        "/v1/keys", json={"display_name": "Import", "scopes": ["POSTS_WRITE"]}, headers={"Idempotency-Key": "k"}
    )
    assert again.json()["key_text"] is None
    refused = admin.post("/v1/keys", json={"display_name": "Me", "scopes": ["MEDIA_READ", "OPERATOR"]})
    assert (refused.status_code, refused.json()["reason"]) == (403, "SCOPE_NOT_YOURS")
    assert refused.json()["field_violations"][0]["field"] == "scopes[1]"
    assert len(memory.api_keys) == 1
    listed = admin.get("/v1/keys").json()["keys"]
    assert "key_text" not in listed[0]
    revoked = admin.post(f"/v1/keys/{listed[0]['api_key_id']}:revoke").json()
    assert datetime.fromisoformat(revoked["revoke_time"]).tzinfo == UTC


def test_an_operator_makes_a_workspace_and_its_first_key(connect: Connect, memory: Memory) -> None:
    operator = connect(memory.key(Scope.SCOPE_OPERATOR))
    workspace = operator.post("/v1/workspaces", json={"display_name": "Lumen"}).json()
    path = f"/v1/workspaces/{workspace['workspace_id']}/keys"
    assert operator.post(path, json={"display_name": "First", "scopes": ["WORKSPACE_ADMIN"]}).status_code == 201
    assert memory.request(identity_pb2.CreateApiKeyRequest).workspace_id == workspace["workspace_id"]
    unknown = operator.post(f"/v1/workspaces/{uuid4()}/keys", json={"display_name": "First", "scopes": ["POSTS_READ"]})
    assert (unknown.status_code, len(memory.api_keys)) == (404, 1)


class AskedIdentity:
    """Stands where Clients stands: answers for the keys that it knows, and counts."""

    identity: Any = identity_pb2  # only the method's name is looked at

    def __init__(self) -> None:
        self.good = {"rr_a", "rr_b", "rr_c"}
        self.asked: list[str] = []
        self.identity = self

    AuthenticateApiKey = None

    async def call(self, _method: object, request: Any) -> identity_pb2.AuthenticateApiKeyResponse:
        self.asked.append(request.key_text)
        if request.key_text not in self.good:
            raise errors.Unauthenticated("No.")
        return identity_pb2.AuthenticateApiKeyResponse(workspace_id=request.key_text)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_a_good_key_is_remembered_for_thirty_seconds_and_a_bad_one_never() -> None:
    now = [1000.0]
    asked = AskedIdentity()
    authenticator = Authenticator(asked, seconds=30, entries=2, clock=lambda: now[0])  # type: ignore[arg-type]
    assert (await authenticator.caller(["Bearer rr_a"])).workspace_id == "rr_a"
    now[0] += 29.9
    await authenticator.caller(["bearer  rr_a"])
    assert asked.asked == ["rr_a"]
    asked.good.remove("rr_a")
    now[0] += 0.1
    for _ in range(2):
        with pytest.raises(ApiKeyInvalid):
            await authenticator.caller(["Bearer rr_a"])
    assert asked.asked == ["rr_a"] * 3


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_the_memory_of_keys_is_bounded() -> None:
    asked = AskedIdentity()
    authenticator = Authenticator(asked, seconds=30, entries=2)  # type: ignore[arg-type]
    for key in ("rr_a", "rr_b", "rr_c", "rr_c", "rr_b", "rr_a"):
        await authenticator.caller([f"Bearer {key}"])
    # a was forgotten for c, and is asked about again.
    assert asked.asked == ["rr_a", "rr_b", "rr_c", "rr_a"]


def test_a_wrong_service_token_is_our_fault_and_not_the_keys(hub: Hub, connect: Connect, memory: Memory) -> None:
    with served(configured(service_token="x" * 32, **hub.addresses)) as url:
        answer = connect(memory.key(), url).get("/v1/workspace")
    assert (answer.status_code, answer.json()["reason"]) == (500, "INTERNAL")
    assert "token" not in answer.text
