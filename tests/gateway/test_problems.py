import socket
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kit import errors
from kit.rpc_status import _CODES
from services.gateway.errors import TITLES, in_rest_words, status_of
from services.gateway.route import MAX_JSON_DEPTH, parse_json
from tests.gateway.conftest import Connect, configured, served
from tests.gateway.fakes import Memory
from tests.gateway.hub import Hub

JSON = {"Content-Type": "application/json"}


def assert_is_problem(answer: httpx.Response, status: int, reason: str) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (status, reason), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["title"] == TITLES[status]
    assert problem["type"].startswith("/docs#problem-")
    assert problem["request_id"] == answer.headers["X-Request-Id"]


def test_every_kind_of_refusal_has_its_status() -> None:
    assert {code.name: status_of(kind("x")) for kind, code in _CODES} == {
        "OUT_OF_RANGE": 422,
        "INVALID_ARGUMENT": 422,
        "UNAUTHENTICATED": 401,
        "PERMISSION_DENIED": 403,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "FAILED_PRECONDITION": 409,
        "ABORTED": 409,
        "RESOURCE_EXHAUSTED": 429,
        "UNAVAILABLE": 503,
        "DEADLINE_EXCEEDED": 504,
        "INTERNAL": 500,
    }


@pytest.mark.parametrize(
    ("proto", "rest"),
    [
        ("post.caption", "caption"),
        ("post.account_ids[1]", "account_ids[1]"),
        ("media[2].sha256", "media_asset_ids[2]"),
        ("post.media", "media_asset_ids"),
        ("media_asset_id", "media_asset_id"),
        ("request_id", "Idempotency-Key"),
        ("delivery_state", "state"),
        ("data", "file"),
        ("header.file_name", "file"),
        ("options.tiktok.privacy_level", "options.tiktok.privacy_level"),
        ("routing.wait", "wait_seconds"),
        ("rule.condition.all.conditions[2].not.any.conditions[0].test.fact", "condition.all[2].not.any[0].fact"),
        ("rule.condition.test.values[0]", "condition.values[0]"),
    ],
)
def test_fields_of_the_protos_are_named_as_rest_names_them(proto: str, rest: str) -> None:
    assert in_rest_words(proto) == rest


def test_unknown_paths_and_methods_are_problems(api: httpx.Client) -> None:
    assert_is_problem(api.get("/v1/nothing"), 404, "ROUTE_NOT_FOUND")
    assert_is_problem(api.get("/v1/posts/"), 404, "ROUTE_NOT_FOUND")
    answer = api.delete("/v1/posts")
    assert_is_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET, POST"
    assert api.delete(f"/v1/posts/{uuid4()}").headers["Allow"] == "GET, PATCH"
    assert api.get(f"/v1/posts/{uuid4()}:cancel").headers["Allow"] == "POST"
    assert api.post("/docs").headers["Allow"] == "GET"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 422, "REQUEST_INVALID"),
        (b"{", 400, "JSON_BROKEN"),
        (b'{"caption": NaN}', 400, "JSON_BROKEN"),
        (b'{"caption": "\xff"}', 400, "JSON_BROKEN"),
        (b'{"caption": "\\ud800"}', 400, "JSON_BROKEN"),
        (b'{"\\udfff": 1}', 400, "JSON_BROKEN"),
        (b'{"caption": ' + b"9" * 5000 + b"}", 400, "JSON_BROKEN"),
        ('{"caption": "x"}'.encode("utf-16"), 400, "JSON_BROKEN"),
        (b"[" * 100_000, 400, "JSON_TOO_DEEP"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, 400, "JSON_TOO_DEEP"),
        (b"[]", 422, "REQUEST_INVALID"),
        (b"null", 422, "REQUEST_INVALID"),
        (b'"' + b"x" * 1024 * 1024 + b'"', 413, "BODY_TOO_LARGE"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(api: httpx.Client, body: bytes, status: int, reason: str) -> None:
    assert_is_problem(api.post("/v1/posts", content=body, headers=JSON), status, reason)


def test_a_body_without_a_declared_length_is_bounded_too(api: httpx.Client) -> None:
    pieces = (b" " * 64 * 1024 for _ in range(100))
    assert_is_problem(api.post("/v1/posts", content=pieces, headers=JSON), 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_a_body_of_another_format_is_refused(api: httpx.Client, content_type: str) -> None:
    answer = api.post("/v1/posts", content=b"{}", headers={"Content-Type": content_type})
    assert_is_problem(answer, 415, "MEDIA_TYPE_UNSUPPORTED")


def test_brackets_in_text_are_no_depth() -> None:
    deep = '["' + "[{" * 200 + '\\"[[", ' + "[" * (MAX_JSON_DEPTH - 1) + "]" * MAX_JSON_DEPTH
    assert parse_json(deep.encode())[0].startswith("[{")


@pytest.mark.parametrize(
    ("failure", "status", "reason", "retry_after"),
    [
        (errors.Unavailable("The database does not answer now.", retry_after_seconds=2.2), 503, "UNAVAILABLE", 3),
        (errors.Unavailable("The platform does not answer now."), 503, "UNAVAILABLE", 1),
        (errors.ResourceExhausted("Slow down.", retry_after_seconds=30), 429, "RESOURCE_EXHAUSTED", 30),
        (errors.DeadlineExceeded("It took too long."), 504, "DEADLINE_EXCEEDED", None),
        (errors.FailedPrecondition("Not now.", code_reason="NOT_NOW"), 409, "NOT_NOW", None),
    ],
)
def test_a_refusal_of_a_service_keeps_its_sentence(
    api: httpx.Client, memory: Memory, failure: errors.ReelrouteError, status: int, reason: str, retry_after: int | None
) -> None:
    memory.failures["ListPosts"] = failure
    answer = api.get("/v1/posts")
    assert_is_problem(answer, status, reason)
    assert answer.json()["detail"] == failure.message
    assert answer.json().get("retry_after") == retry_after
    assert answer.headers.get("Retry-After") == (str(retry_after) if retry_after else None)


def test_nothing_internal_is_in_the_answer_to_a_fault(api: httpx.Client, memory: Memory) -> None:
    memory.failures["ListPosts"] = RuntimeError("psycopg2: password=hunter2")
    answer = api.get("/v1/posts")
    assert_is_problem(answer, 500, "INTERNAL")
    assert "hunter2" not in answer.text


def test_a_fault_of_the_gateway_is_a_problem_too(
    api: httpx.Client, memory: Memory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # An answer that the gateway cannot translate: the text of its own error must stay inside.
    monkeypatch.setattr("services.gateway.routes.activities.Activity.of", lambda _: 1 / 0)
    answer = api.get("/v1/activities")
    assert_is_problem(answer, 500, "INTERNAL")
    assert "division" not in answer.text
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_services_that_are_away_are_503_and_named_by_readyz(connect: Connect, memory: Memory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    names = ("identity", "content", "scheduler", "publisher", "notification", "fulfillment")
    config = configured(**{f"{name}_address": address for name in names})
    with served(config) as url:
        client = connect(memory.key(), url)
        answer = client.get("/v1/posts")
        assert_is_problem(answer, 503, "UNAVAILABLE")
        assert answer.headers["Retry-After"] == "1"
        assert address not in answer.text
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (
            503,
            {"status": "unavailable", "services": dict.fromkeys(names, "unavailable")},
        )
        assert client.get("/healthz").status_code == 200


def test_a_service_that_never_answers_is_504(connect: Connect, memory: Memory, hub: Hub) -> None:
    # A port that accepts and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = configured(
            call_seconds=0.2,
            **(hub.addresses | {"notification_address": f"127.0.0.1:{silent.getsockname()[1]}"}),
        )
        with served(config) as url:
            answer = connect(memory.key(), url).get("/v1/activities")
    assert_is_problem(answer, 504, "DEADLINE_EXCEEDED")


def test_readyz_is_ready_when_every_service_is(connect: Connect, hub: Hub) -> None:
    client = connect()
    assert client.get("/readyz").json()["status"] == "ready"
    hub.serving("publisher", False)
    try:
        answer = client.get("/readyz")
    finally:
        hub.serving("publisher", True)
    assert answer.status_code == 503
    assert [name for name, state in answer.json()["services"].items() if state != "ready"] == ["publisher"]


def test_answers_are_not_kept_framed_or_sniffed(api: httpx.Client, connect: Connect) -> None:
    for answer in (api.get("/v1/posts"), connect().get("/v1/posts"), api.get("/v1/nothing")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "Server" not in answer.headers or answer.headers["Server"] == "uvicorn"


def test_pages_of_other_origins_are_let_in_only_by_configuration(hub: Hub, connect: Connect, memory: Memory) -> None:
    origin = {"Origin": "https://app.example.com"}
    preflight = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    assert "Access-Control-Allow-Origin" not in connect().options("/v1/posts", headers=preflight).headers
    config = configured(
        cors_allow_origins=["https://app.example.com"],
        **hub.addresses,
    )
    with served(config) as url:
        client = connect(memory.key(), url)
        assert client.options("/v1/posts", headers=preflight).headers["Access-Control-Allow-Origin"] == origin["Origin"]
        assert client.get("/v1/posts", headers=origin).headers["Access-Control-Allow-Origin"] == origin["Origin"]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "ü".encode("latin-1"), "<script>"])
def test_a_request_id_of_another_form_is_replaced(api: httpx.Client, given: Any) -> None:
    answer = api.get("/v1/nothing", headers={"X-Request-Id": given})
    assert len(answer.headers["X-Request-Id"]) == len(str(uuid4()))


def test_each_request_is_one_log_line_without_secrets(
    connect: Connect, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    key = memory.key()
    connect(key).get("/v1/posts", params={"channel": "secret-plan"}, headers={"X-Request-Id": "line-1"})
    lines = [line for line in capsys.readouterr().out.splitlines() if "line-1" in line and "http" not in line]
    gateway = [line for line in lines if "route=" in line]
    assert len(gateway) == 1
    for word in ("method='GET'", "route='/v1/posts'", "status=200", "workspace_id=", "ms="):
        assert word in gateway[0]
    assert not any(key in line or "secret-plan" in line for line in lines)
