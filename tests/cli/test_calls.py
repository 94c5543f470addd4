"""Recorded calls, and one made again: in the sandbox, and nowhere else."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from cli.replay import compared
from sandbox.config import SandboxConfig
from tests.cli.conftest import Run
from tests.cli.gateway import Memory
from tests.sandbox.conftest import Served

INIT = {
    "post_info": {
        "title": "Fries ✓",
        "privacy_level": "SELF_ONLY",
        "brand_content_toggle": False,
        "brand_organic_toggle": False,
    },
    "source_info": {"source": "FILE_UPLOAD", "video_size": 1000, "chunk_size": 1000, "total_chunk_count": 1},
}
SHOP = "0199d5d4-7a3e-7c54-9a0c-0c8f3c1f2a11"
ERROR = {"code": "spam_risk_too_many_posts", "message": "Too many.", "log_id": "2027"}
REFUSAL = {"json": {"data": {}, "error": ERROR}}


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with Served(SandboxConfig()) as url:
        yield url


@pytest.fixture
def sandbox(sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setenv("REELROUTE_SANDBOX_URL", sandbox_url)
    with httpx.Client(base_url=sandbox_url, trust_env=False) as client:
        client.post("/control/reset").raise_for_status()
        yield client


def recorded(memory: Memory, **changes: Any) -> str:
    """A refused video_init of emberfold.air; its id."""
    call: dict[str, Any] = {
        "vendor_call_id": str(uuid.uuid4()), "post_id": None, "delivery_id": None, "order_id": None, "shop_id": None,
        "account_id": memory.accounts[0]["account_id"], "vendor": "tiktok", "operation": "video_init", "method": "POST",
        "path": "/v2/post/publish/video/init/", "attempt": 1, "start_time": "2027-01-04T17:00:00Z",
        "duration_ms": 184.25, "outcome": "QUOTA_REACHED", "status": 200, "code": "spam_risk_too_many_posts",
        "log_id": "2027", "handle": "", "request": {"json": INIT}, "answer": REFUSAL,
    } | changes  # fmt: skip
    memory.vendor_calls.append(call)
    return str(call["vendor_call_id"])


def calls_of(sandbox: httpx.Client) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = sandbox.get("/control/calls").json()
    return calls


def test_calls_of_a_post_are_listed_and_shown(run: Run, memory: Memory) -> None:
    post, call = uuid.uuid4(), recorded(memory)
    listed = run("calls", "list", "--post", post, "--account", "@emberfold.water", "--failed", "--since", "2h")
    assert (listed.exit_code, call in listed.out, "spam_risk_too_many_posts" in listed.out) == (0, True, True)
    (request,) = memory.sent("/v1/vendor-calls")
    assert (request.query["post_id"], request.query["account_id"]) == (str(post), memory.accounts[1]["account_id"])
    assert (request.query["outcome"], "from_time" in request.query) == ("UNAVAILABLE", True)
    shown = run("calls", "show", call)
    assert all(text in shown.out for text in ('"title": "Fries ✓"', "184.25 ms", "2027", "QUOTA_REACHED 200"))
    assert run("calls", "show", call, "--json").document == memory.vendor_calls[0]
    assert run("calls", "show", "../keys").exit_code == 3


def test_a_recorded_call_is_made_again_in_the_sandbox_and_both_answers_stand_side_by_side(
    run: Run, memory: Memory, sandbox: httpx.Client
) -> None:
    outcome = run("replay", recorded(memory))
    assert outcome.exit_code == 0, outcome.err
    assert "tiktok video_init for @emberfold.air" in outcome.out
    line = next(line for line in outcome.out.splitlines() if "error.code" in line)
    assert line.split() == ["≠", "error.code", "spam_risk_too_many_posts", "ok"]
    (share,) = sandbox.get("/control/tiktok/posts").json()
    assert (share["username"], share["caption"]) == ("emberfold.air", "Fries ✓")
    assert [call["endpoint"] for call in calls_of(sandbox)] == ["tiktok.video_init"]


def test_a_replay_for_programs_names_every_difference(run: Run, memory: Memory, sandbox: httpx.Client) -> None:
    answer = {"json": {"data": {"upload_url": "[redacted]"}, "error": {"code": "ok", "message": "", "log_id": "1"}}}
    document = run("replay", recorded(memory, answer=answer), "--json").document
    assert document["replayed"]["status"] == 200
    assert {each["field"] for each in document["differences"]} == {"data.publish_id", "error.log_id"}


def test_an_answer_that_was_too_large_to_be_recorded_differs_in_nothing(
    run: Run, memory: Memory, sandbox: httpx.Client
) -> None:
    document = run("replay", recorded(memory, answer={"bytes": 70_000}), "--json").document
    assert document["replayed"]["status"] == 200
    assert document["differences"] == []


def test_a_creator_that_the_sandbox_lacks_is_added(run: Run, memory: Memory, sandbox: httpx.Client) -> None:
    memory.accounts[0]["handle"] = "emberfold.void"
    path = "/v2/post/publish/creator_info/query/"
    document = run("replay", recorded(memory, path=path, request=None), "--json").document
    assert document["replayed"]["answer"]["json"]["data"]["creator_username"] == "emberfold.void"


def test_a_query_is_sent_again(run: Run, memory: Memory, sandbox: httpx.Client) -> None:
    call = recorded(
        memory, method="GET", path="/v2/user/info/", request={"query": {"fields": "open_id,username"}}, answer=None
    )
    document = run("replay", call, "--json").document
    assert set(document["replayed"]["answer"]["json"]["data"]["user"]) == {"open_id", "username"}


def test_a_call_of_a_shop_is_made_again_with_a_signature_of_its_own(
    run: Run, memory: Memory, sandbox: httpx.Client
) -> None:
    shop = sandbox.get("/control/tiktok_shop/sellers").json()[0]["shops"][0]
    memory.shops.append({"shop_id": SHOP, "name": shop["name"], "platform_shop_id": shop["id"]})
    search = {
        "vendor": "tiktok_shop", "account_id": None, "shop_id": SHOP,
        "path": "/order/202309/orders/search", "answer": {"json": {"code": 36009003, "message": "Ä"}},
        "request": {
            "query": {"page_size": "2", "sort_field": "update_time", "shop_cipher": "[redacted]"},
            "json": {"order_status": "AWAITING_SHIPMENT"},
        },
    }  # fmt: skip
    document = run("replay", recorded(memory, **search), "--json").document
    answer = document["replayed"]["answer"]["json"]
    assert (document["replayed"]["status"], answer["code"]) == (200, 0), answer
    assert {each["status"] for each in answer["data"]["orders"]} == {"AWAITING_SHIPMENT"}
    shops = recorded(memory, **search | {"method": "GET", "path": "/authorization/202309/shops", "request": None})
    assert run("replay", shops, "--json").document["replayed"]["answer"]["json"]["code"] == 0


def test_a_call_of_a_shop_that_the_sandbox_does_not_play_is_not_made(
    run: Run, memory: Memory, sandbox: httpx.Client
) -> None:
    memory.shops.append({"shop_id": SHOP, "name": "Real", "platform_shop_id": "7000000000000000001"})
    call = recorded(memory, vendor="tiktok_shop", account_id=None, shop_id=SHOP)
    outcome = run("replay", call)
    assert outcome.exit_code != 0
    assert "does not play the shop Real" in outcome.err


def test_a_creator_s_post_is_made_again_in_the_creator_s_name(run: Run, memory: Memory, sandbox: httpx.Client) -> None:
    creator = sandbox.get("/control/tiktok_shop/creators").json()[0]
    account = memory.accounts[0]
    account["platform_account_id"] = creator["open_id"]
    post = {
        "video_info": {"file_id": "v0", "title": "Dice", "is_ai_generated": False},
        "product_link_info": {"product_id": "1729558652170587422", "title": "Amber dice"},
    }
    call = {"vendor": "tiktok_shop", "path": "/affiliate_creator/202607/videos", "request": {"json": post}}
    document = run("replay", recorded(memory, **call), "--json").document
    # The sandbox has not the file that was uploaded then.
    assert document["replayed"]["answer"]["json"]["code"] == 170001040
    account["platform_account_id"] = "7020somebody"
    assert "does not play the creator @" in run("replay", recorded(memory, **call)).err


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"request": {"bytes": 1000, "content_range": "bytes 0-999/1000"}, "path": "//u.example/"}, "it sent 1.0 kB"),
        ({"request": {"form": ["client_key", "code"]}}, "it asked for tokens"),
        ({"request": None, "path": "//u.example/"}, "an address that the vendor gave"),
        (
            {"request": {"json": {"to": [{"url": "https://m.example/v?[redacted]"}]}}},
            r"recorded whole: json.to[0].url",
        ),
        ({"request": {"json": {"title": "x" * 50 + "[cut]"}}}, "not recorded whole: json.title"),
        ({"vendor": "bulletin"}, "calls to bulletin need a proof"),
        ({"account_id": None}, "made for no account"),
    ],
)
def test_what_cannot_be_made_again_as_it_was_is_refused_with_the_reason(
    changes: dict[str, Any], why: str, run: Run, memory: Memory, sandbox: httpx.Client
) -> None:
    outcome = run("replay", recorded(memory, **changes))
    assert (outcome.exit_code, why in outcome.err) == (3, True), outcome.err
    assert calls_of(sandbox) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://open.tiktokapis.com", "https://OPEN.TikTokApis.com.", "https://open-upload.tiktokapis.com:8443/x",
        "https://www.tiktok.com", "https://auth.tiktok-shops.com", "https://open-api.tiktokglobalshop.com",
        "https://sellingpartnerapi-eu.amazon.com", "https://sandbox.sellingpartnerapi-na.amazon.com",
        "https://127.0.0.1@open.tiktokapis.com", "open.tiktokapis.com", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_a_real_platform_is_never_called(url: str, run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    call = recorded(memory)
    sending = httpx.Client.send

    def only_to_the_gateway(client: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        assert request.url.host == "127.0.0.1", f"{request.url} was called"
        return sending(client, request, **more)

    monkeypatch.setattr(httpx.Client, "send", only_to_the_gateway)
    outcome = run("replay", call, "--sandbox", url)
    assert outcome.exit_code == 3
    assert "is a real platform" in outcome.err or "is no address of a sandbox" in outcome.err


def test_whoever_does_not_answer_as_a_sandbox_is_sent_nothing(run: Run, memory: Memory, sandbox: httpx.Client) -> None:
    seen: list[str] = []

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"GET {self.path}")
            self.send_response(302 if len(seen) == 1 else 200)
            self.send_header("Location", f"{sandbox.base_url}/control/state")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def do_POST(self) -> None:
            seen.append(f"POST {self.path}")

        def log_message(self, *_args: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        for _ in range(2):
            outcome = run("replay", recorded(memory), "--sandbox", f"http://127.0.0.1:{server.server_port}")
            assert (outcome.exit_code, "does not answer as a sandbox" in outcome.err) == (3, True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert seen == ["GET /control/state"] * 2


def test_a_locked_sandbox_is_opened_with_its_control_token(
    run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(SandboxConfig(control_token=SecretStr("open sesame"))) as url:
        assert run("replay", recorded(memory), "--sandbox", url).exit_code == 3
        monkeypatch.setenv("REELROUTE_SANDBOX_CONTROL_TOKEN", "open sesame")
        assert run("replay", recorded(memory), "--sandbox", url).exit_code == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)


@given(json_values, json_values)
def test_two_answers_differ_exactly_when_a_value_of_theirs_does(one: Any, other: Any) -> None:
    assert not any(each.differs for each in compared({"json": one}, {"json": one}))
    are_the_same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert any(each.differs for each in compared({"json": one}, {"json": other})) != are_the_same
