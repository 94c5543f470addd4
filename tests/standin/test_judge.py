"""The judges themselves: each rule that a caller can break is noticed, so that an empty list means something."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.standin.server import Fault, Reply
from tests.standin.stage import AtTikTok
from tests.standin.tiktok import TikTok, envelope
from tests.standin.tiktok_posts import User
from tests.standin.tiktok_rules import plan_problems
from vendors.tiktok.chunks import plan_chunks

INFO = {"privacy_level": "SELF_ONLY", "title": "a", "brand_content_toggle": False, "brand_organic_toggle": False}
SMALL = {"source": "FILE_UPLOAD", "video_size": 4, "chunk_size": 4, "total_chunk_count": 1}
JSON = {"Content-Type": "application/json; charset=UTF-8"}


class Caller:
    """Calls a stand-in by hand."""

    def __init__(self, at_tiktok: AtTikTok) -> None:
        self.http, self.tiktok = at_tiktok.http, at_tiktok.tiktok
        self.user: User = self.tiktok.creator("someone")
        self.token = self.tiktok.login.give(self.user.open_id).access

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.token}", **JSON, **headers}
        content = {} if body is None else {"content": httpx.Request("POST", "http://x", json=body).content}
        return self.http.post(f"/v2/{path}", headers=sent, **content)  # type: ignore[arg-type]

    def asks(self) -> httpx.Response:
        return self.post("post/publish/creator_info/query/")

    def begins(self, source: dict[str, Any] = SMALL, **info: Any) -> httpx.Response:
        return self.post("post/publish/video/init/", {"post_info": INFO | info, "source_info": source})

    def uploads(self, url: str, content: bytes, first: int = 0, total: int = 4, **headers: str) -> httpx.Response:
        span = f"bytes {first}-{first + len(content) - 1}/{total}"
        return self.http.put(
            url, content=content, headers={"Content-Type": "video/mp4", "Content-Range": span, **headers}
        )

    def token_call(self, **form: str) -> httpx.Response:
        app = {"client_key": TikTok.client_key, "client_secret": TikTok.client_secret}
        return self.http.post("/v2/oauth/token/", data=app | form)


@pytest.fixture
def caller(at_tiktok: AtTikTok) -> Caller:
    return Caller(at_tiktok)


def test_a_caller_that_keeps_to_the_documentation_breaks_nothing(caller: Caller) -> None:
    caller.asks()
    url = caller.begins().json()["data"]["upload_url"]
    assert caller.uploads(url, b"1234").status_code == 201
    assert caller.tiktok.violations() == []


@given(st.integers(1, 4_000_000_000))
def test_every_plan_of_ours_is_one_that_is_documented(size: int) -> None:
    plan = plan_chunks(size)
    assert list(plan_problems(size, plan.chunk_size, plan.count)) == []


def _undocumented_header(caller: Caller) -> None:
    caller.post("post/publish/creator_info/query/", traceparent="00-1")


def _nested_field(caller: Caller) -> None:
    caller.asks()
    caller.begins(music_id="7")


def _wrong_type(caller: Caller) -> None:
    caller.asks()
    caller.begins(is_aigc=1)


def _content_type(caller: Caller) -> None:
    caller.post("post/publish/creator_info/query/", **{"Content-Type": "application/json"})


def _field_in_body(caller: Caller) -> None:
    caller.post("video/list/?fields=id", {"max_count": 20, "fields": "id"})


def _secret_in_address(caller: Caller) -> None:
    caller.http.get(f"/v2/user/info/?fields=open_id&access_token={caller.token}", headers=JSON)


def _no_creator_info(caller: Caller) -> None:
    caller.asks()
    caller.begins()
    caller.begins(title="another")


def _level_not_offered(caller: Caller) -> None:
    caller.asks()
    caller.begins(privacy_level="FOLLOWER_OF_CREATOR")


def _after_a_refusal(caller: Caller) -> None:
    caller.tiktok.fails("video_init", Fault(envelope("invalid_params")))
    for _ in range(2):
        caller.asks()
        caller.begins()


def _before_the_end_of_a_rest(caller: Caller) -> None:
    caller.tiktok.fails("creator_info", Fault(Reply(429, headers={"Retry-After": "2"})))
    caller.asks()
    time.sleep(0.1)
    caller.asks()


def _above_the_rate(caller: Caller) -> None:
    for _ in range(21):
        caller.asks()


def _plan_of_too_many_chunks(caller: Caller) -> None:
    caller.asks()
    caller.begins({"source": "FILE_UPLOAD", "video_size": 70_000_000, "chunk_size": 10_000_000, "total_chunk_count": 8})


def _out_of_order(caller: Caller) -> None:
    caller.asks()
    plan = {"source": "FILE_UPLOAD", "video_size": 70_000_000, "chunk_size": 10_000_000, "total_chunk_count": 7}
    caller.uploads(caller.begins(plan).json()["data"]["upload_url"], b"1" * 10_000_000, 10_000_000, 70_000_000)


def _changed_upload_address(caller: Caller) -> None:
    caller.asks()
    caller.uploads(caller.begins().json()["data"]["upload_url"].replace("%2F", "/"), b"1234")


def _token_beside_the_address(caller: Caller) -> None:
    caller.asks()
    url = caller.begins().json()["data"]["upload_url"]
    caller.uploads(url, b"1234", Authorization=f"Bearer {caller.token}")


def _lost_last_chunk_sent_again(caller: Caller) -> None:
    caller.asks()
    url = caller.begins().json()["data"]["upload_url"]
    caller.tiktok.fails("upload", Fault(lost=True))
    for _ in range(2):
        try:
            caller.uploads(url, b"1234")
        except httpx.TransportError:
            continue


def _published_post_begun_again(caller: Caller) -> None:
    caller.asks()
    caller.uploads(caller.begins().json()["data"]["upload_url"], b"1234")
    caller.asks()
    caller.begins()


def _lost_pull_sent_again(caller: Caller) -> None:
    caller.tiktok.verified = ("https://m.example/",)
    caller.tiktok.fails("video_init", Fault(away=True))
    for signature in "12":
        caller.asks()
        try:
            caller.begins({"source": "PULL_FROM_URL", "video_url": f"https://m.example/v?s={signature}"})
        except httpx.TransportError:
            continue


def _refresh_token_used_twice(caller: Caller) -> None:
    refresh = caller.tiktok.login.grants[caller.user.open_id].refresh
    for _ in range(2):
        caller.token_call(grant_type="refresh_token", refresh_token=refresh)


def _old_token(caller: Caller) -> None:
    refresh = caller.tiktok.login.grants[caller.user.open_id].refresh
    caller.token_call(grant_type="refresh_token", refresh_token=refresh)
    caller.tiktok.journal._dead[caller.token] = (0.0, "long ago")
    caller.asks()


def _code_exchanged_twice(caller: Caller) -> None:
    verifier = "v" * 43
    callback = "http://127.0.0.1:5000/callback"
    query = {
        "client_key": TikTok.client_key, "response_type": "code", "scope": "video.publish", "redirect_uri": callback,
        "state": "s" * 20, "code_challenge": hashlib.sha256(verifier.encode()).hexdigest(),
        "code_challenge_method": "S256",
    }  # fmt: skip
    url = httpx.URL(f"{caller.tiktok.url}/v2/auth/authorize/", params=query)
    code, _state = caller.tiktok.login.consent(str(url), caller.user.open_id)
    for _ in range(2):
        caller.token_call(
            grant_type="authorization_code", code=code, redirect_uri=callback, code_verifier=verifier
        )  # fmt: skip


@pytest.mark.parametrize(
    ("breaking", "noticed"),
    [
        (_undocumented_header, "the header traceparent is not documented"),
        (_nested_field, "body.post_info.music_id is not documented"),
        (_wrong_type, "body.post_info.is_aigc is 1"),
        (_content_type, "the content type is 'application/json'"),
        (_field_in_body, "body.fields is not documented"),
        (_secret_in_address, "a secret in the address"),
        (_no_creator_info, "no creator_info since"),
        (_level_not_offered, "was not among the options"),
        (_after_a_refusal, "after the permanent refusal"),
        (_before_the_end_of_a_rest, "before the end of the rest"),
        (_above_the_rate, "21 calls in one minute"),
        (_plan_of_too_many_chunks, "is not their quotient"),
        (_out_of_order, "bytes from 10000000 on"),
        (_changed_upload_address, "the upload address is not the one"),
        (_token_beside_the_address, "the header Authorization is not documented"),
        (_lost_last_chunk_sent_again, "without a read of the state"),
        (_published_post_begun_again, "an init again for what is published"),
        (_lost_pull_sent_again, "what publishes by itself again"),
        (_refresh_token_used_twice, "used again after a new one"),
        (_old_token, "a token that is over"),
        (_code_exchanged_twice, "a code is exchanged twice"),
    ],
)
def test_what_is_not_allowed_is_noticed(caller: Caller, breaking: Any, noticed: str) -> None:
    breaking(caller)
    assert noticed in " / ".join(caller.tiktok.violations())
