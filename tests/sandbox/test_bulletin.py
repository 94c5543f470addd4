"""Bulletin, the platform that publishes in one call."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from sandbox.bulletin.settings import BulletinSettings
from sandbox.bulletin.state import SCHEMA, BulletinState
from sandbox.clock import Clock
from sandbox.store import Store
from tests.sandbox.conftest import CALLBACK, App

ACCOUNT = "night.owl"


@dataclass
class Bulletin:
    """An app of Bulletin, with its accounts' tokens."""

    app: App
    tokens: dict[str, str] = field(default_factory=dict)

    def settings(self, **changes: Any) -> None:
        self.app.control("PATCH", "/bulletin/settings", **changes)

    def fault(self, mode: str, endpoint: str = "create", **more: Any) -> None:
        self.app.control("POST", "/faults", endpoint=f"bulletin.{endpoint}", mode=mode, **more)

    def call(self, method: str, path: str, account: str = ACCOUNT, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens.get(account, 'none')}"}
        return self.app.http.request(method, f"/bulletin/v1{path}", headers=headers, **more)

    def post(self, text: str, account: str = ACCOUNT) -> httpx.Response:
        return self.call("POST", "/posts", account, json={"text": text})

    def listed(self, **query: Any) -> list[str]:
        return [post["text"] for post in self.call("GET", "/posts", params=query).json()["posts"]]

    def effects(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.app.http.get("/control/bulletin/effects", params=query).json()
        return found


@pytest.fixture
def bulletin(app: App) -> Iterator[Bulletin]:
    """Two accounts, a list without delay, and a clock that stands still."""
    found = Bulletin(app, app.control("POST", "/bulletin/accounts", accounts=[ACCOUNT, "second"]))
    found.settings(list_seconds=0)
    yield found
    found.settings(**BulletinSettings().model_dump())


def test_a_text_is_published_in_one_call_and_seen_until_it_is_removed(bulletin: Bulletin) -> None:
    answer = bulletin.post("Kettles are back <b>")
    assert answer.status_code == 201
    post = answer.json()
    assert bulletin.call("GET", f"/posts/{post['id']}").json()["text"] == "Kettles are back <b>"
    page = bulletin.app.http.get(urlsplit(post["url"]).path)
    assert "Kettles are back &lt;b&gt;" in page.text
    bulletin.app.control("POST", f"/bulletin/posts/{post['id']}/remove")
    gone = bulletin.call("GET", f"/posts/{post['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")
    assert bulletin.app.http.get(urlsplit(post["url"]).path).status_code == 404
    assert bulletin.listed() == []
    assert bulletin.effects()[0]["removed"] == 1


def test_a_post_appears_in_the_list_after_the_delay_and_not_before(bulletin: Bulletin) -> None:
    bulletin.settings(list_seconds=5)
    bulletin.post("late")
    bulletin.app.control("POST", "/clock/advance", seconds=4.9)
    assert bulletin.listed() == []
    bulletin.app.control("POST", "/clock/advance", seconds=0.2)
    assert bulletin.listed() == ["late"]


def test_the_list_is_paged_newest_first_and_has_nothing_twice(bulletin: Bulletin) -> None:
    for number in range(7):
        bulletin.app.control("POST", "/clock/advance", seconds=1)
        bulletin.post(f"post {number}")
        bulletin.post("not mine", "second")
    texts, published, query = [], [], {"limit": "3"}
    while True:
        page = bulletin.call("GET", "/posts", params=query).json()
        texts += [post["text"] for post in page["posts"]]
        published += [post["published"] for post in page["posts"]]
        if page["next"] is None:
            break
        query = {"limit": "3", "before": page["next"]}
    assert texts == [f"post {number}" for number in reversed(range(7))]
    assert bulletin.listed(since=repr(published[2])) == ["post 6", "post 5", "post 4"]
    assert bulletin.listed(account="second") == ["not mine"] * 7


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "since=soon", "since=inf", "before=-1", f"before={2**63}"])
def test_a_bad_question_is_refused(bulletin: Bulletin, query: str) -> None:
    answer = bulletin.call("GET", f"/posts?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"text": ""}', b'{"text": 1}', b'{"text": "\\ud800"}', b'{"text": "' + b"x" * 2001 + b'"}'],
)
def test_a_bad_post_is_refused_and_nothing_of_it_is_published(bulletin: Bulletin, body: bytes) -> None:
    answer = bulletin.call("POST", "/posts", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert bulletin.effects() == []


def test_an_account_s_limit_is_answered_with_the_time_to_wait(bulletin: Bulletin) -> None:
    bulletin.settings(posts_per_minute=2)
    bulletin.post("one")
    bulletin.app.control("POST", "/clock/advance", seconds=20)
    bulletin.post("two")
    refused = bulletin.post("three")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
    assert bulletin.post("another account", "second").status_code == 201
    bulletin.app.control("POST", "/clock/advance", seconds=40)
    assert bulletin.post("three").status_code == 201
    assert bulletin.listed() == ["three", "two", "one"]


def test_the_limit_of_all_accounts_together_is_answered_too(bulletin: Bulletin) -> None:
    bulletin.settings(posts_per_second=2)
    assert [bulletin.post("a", account).status_code for account in (ACCOUNT, "second", ACCOUNT)] == [201, 201, 429]


def test_a_lost_reply_leaves_a_post_and_the_control_api_tells_what_was_published_twice(bulletin: Bulletin) -> None:
    bulletin.fault("lost_reply")
    with pytest.raises(httpx.TransportError):
        bulletin.post("sent twice")
    first = bulletin.app.control("GET", "/clock")["now"]
    bulletin.app.control("POST", "/clock/advance", seconds=3)
    bulletin.post("sent twice")
    bulletin.post("sent once")
    (twice,) = bulletin.effects(least=2)
    assert (twice["account"], twice["text"], twice["effects"]) == (ACCOUNT, "sent twice", 2)
    assert (twice["first"], twice["last"]) == pytest.approx((first, first + 3))
    posts = bulletin.app.http.get("/control/bulletin/posts", params={"limit": 2}).json()
    rest = bulletin.app.http.get("/control/bulletin/posts", params={"after": posts[-1]["id"]}).json()
    assert [post["text"] for post in posts + rest] == ["sent twice", "sent twice", "sent once"]


@pytest.mark.parametrize(("mode", "status"), [("error", 503), ("rate_limit", 429)])
def test_a_refusal_ordered_by_a_fault_publishes_nothing(bulletin: Bulletin, mode: str, status: int) -> None:
    bulletin.fault(mode, status=status, code="x")
    answer = bulletin.post("refused")
    assert answer.status_code == status
    assert answer.json()["error"]["code"] in ("unavailable", "rate_limited")
    assert ("retry-after" in answer.headers) == (status == 429)
    assert bulletin.effects() == []


def test_what_is_held_back_for_longer_than_the_platform_s_word_is_not_published(
    bulletin: Bulletin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.bulletin.api.TAKEN_WITHIN_SECONDS", 0.02)
    bulletin.fault("delay", delay_seconds=0.05)
    assert bulletin.post("too late").status_code == 503
    assert bulletin.effects() == []


def test_the_answer_time_comes_after_the_effect(bulletin: Bulletin) -> None:
    bulletin.settings(answer_seconds=1)
    with pytest.raises(httpx.ReadTimeout):
        bulletin.call("POST", "/posts", json={"text": "slow"}, timeout=0.2)
    assert [effect["text"] for effect in bulletin.effects()] == ["slow"]


def test_an_account_is_connected_with_its_owner_s_consent(bulletin: Bulletin) -> None:
    verifier = "v" * 43
    query = {"redirect_uri": CALLBACK, "state": "s-1", "code_challenge": hashlib.sha256(verifier.encode()).hexdigest()}
    page = f"/bulletin/authorize?{urlencode(query)}"
    http = bulletin.app.http
    assert "harbour.desk" in http.get(page).text
    back = http.post(page, data={"account": "harbour.desk", "decision": "allow"}).headers["location"]
    answer = dict(parse_qsl(urlsplit(back).query))
    assert (back.partition("?")[0], answer["state"]) == (CALLBACK, "s-1")
    exchange = {"code": answer["code"], "redirect_uri": CALLBACK, "code_verifier": verifier}
    grant = http.post("/bulletin/v1/token", json=exchange).json()
    assert (grant["account"], grant["display_name"]) == ("harbour.desk", "Harbour Desk")
    bulletin.tokens["harbour.desk"] = grant["access_token"]
    assert bulletin.call("GET", "/me", "harbour.desk").json()["account"] == "harbour.desk"
    assert http.post("/bulletin/v1/token", json=exchange).status_code == 400, "a code works once"
    declined = http.post(page, data={"account": "harbour.desk", "decision": "deny"}).headers["location"]
    assert dict(parse_qsl(urlsplit(declined).query)) == {"error": "access_denied", "state": "s-1"}


def test_a_code_is_of_no_use_to_whoever_lacks_the_verifier(bulletin: Bulletin) -> None:
    query = {"redirect_uri": CALLBACK, "state": "s", "code_challenge": "a" * 64}
    order = {"authorize_url": f"http://x/bulletin/authorize?{urlencode(query)}", "account": ACCOUNT}
    back = bulletin.app.control("POST", "/bulletin/consents", **order)["redirect_url"]
    code = dict(parse_qsl(urlsplit(back).query))["code"]
    body = {"code": code, "redirect_uri": CALLBACK, "code_verifier": "guessed"}
    assert bulletin.app.http.post("/bulletin/v1/token", json=body).status_code == 400


def test_a_revoked_token_and_one_that_was_replaced_are_refused(bulletin: Bulletin) -> None:
    old = dict(bulletin.tokens)
    bulletin.tokens = bulletin.app.control("POST", "/bulletin/accounts", accounts=[ACCOUNT])
    assert bulletin.post("with the new token").status_code == 201
    bulletin.tokens = old
    assert bulletin.post("with the old token").json()["error"]["code"] == "token_invalid"
    bulletin.app.control("POST", "/bulletin/accounts/second/revoke")
    assert bulletin.post("revoked", "second").status_code == 401


def test_an_outage_takes_no_post(bulletin: Bulletin) -> None:
    bulletin.settings(outage="error")
    assert bulletin.post("down").status_code == 503
    bulletin.settings(outage="reset")
    with pytest.raises(httpx.TransportError):
        bulletin.post("down")
    assert bulletin.effects() == []


def test_the_control_page_shows_posts_and_changes_settings(bulletin: Bulletin) -> None:
    bulletin.post("seen <there>")
    http = bulletin.app.http
    assert "seen &lt;there&gt;" in http.get("/control").text
    assert http.post("/control/forms/bulletin/settings", data={"answer_seconds": "x"}).status_code == 422
    assert http.post("/control/forms/bulletin/settings", data={"posts_per_minute": "1"}).status_code == 303
    assert bulletin.post("one too many").status_code == 429


def _state(path: Path | None, **settings: Any) -> BulletinState:
    store = Store(path, [SCHEMA])
    return BulletinState(store, Clock(store), BulletinSettings(**settings), None)


def test_a_kill_loses_no_post_and_no_token(tmp_path: Path) -> None:
    state = _state(tmp_path / "sandbox.db")
    token = state.issue_token(ACCOUNT)
    post_id, published = state.take(ACCOUNT, "kept")
    state.store.close()
    again = _state(tmp_path / "sandbox.db")
    assert again.account_of(token) == ACCOUNT
    row = again.post(post_id)
    assert row is not None
    assert (row["text"], row["published"]) == ("kept", published)
    assert again.take(ACCOUNT, "next")[0] > post_id
    again.store.close()


def test_old_posts_are_forgotten_and_the_list_says_from_when_on_it_is_whole() -> None:
    state = _state(None, kept_posts=10)
    times = [state.take(ACCOUNT, str(number))[1] for number in range(250)]
    kept = state.posts("", 0, 10_000)
    assert 10 <= len(kept) < 110
    assert kept[-1]["text"] == "249"
    newest_forgotten = times[250 - len(kept) - 1]
    assert newest_forgotten < state.complete_since <= kept[1]["published"]
    state.store.close()


def test_ids_grow_also_when_nothing_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    first = _state(None)
    one = first.take(ACCOUNT, "a")[0]
    again = _state(None)
    assert again.take(ACCOUNT, "b")[0] > one
    stopped = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: stopped)
    assert again.take(ACCOUNT, "c")[0] < again.take(ACCOUNT, "d")[0]
    first.store.close()
    again.store.close()
