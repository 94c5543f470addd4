"""The adapter of Bulletin against the sandbox: one call that publishes, and a list that settles what is in doubt."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import grpc
import httpx
import pytest
from reelroute.publisher.v1 import publisher_pb2 as pb

from kit.errors import FailedPrecondition
from services.publisher import account_store, connecting, domain
from services.publisher.api import PublisherApi
from services.publisher.domain import Account, AccountState, AttemptFailed, Fenced, Platform
from services.publisher.foresight import Foresight
from services.publisher.ledger import Ledger
from services.publisher.platforms import checks
from services.publisher.platforms.base import (
    Absent,
    Complete,
    Found,
    Gone,
    MediaFile,
    Search,
    Taken,
    Trace,
    Uncertain,
    Unsettled,
    Work,
)
from services.publisher.platforms.bulletin import BulletinAdapter
from services.publisher.platforms.checks import BULLETIN_CHARACTERS
from services.publisher.worker import Worker
from vendors.bulletin.client import BulletinClient
from vendors.bulletin.config import BulletinConfig
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig

pytestmark = pytest.mark.anyio
Result = TypeVar("Result")

NAME = "night.owl"
CALLBACK = "http://127.0.0.1:5000/callback"
WORKSPACE = UUID(int=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = domain.Account(
    account_id=UUID(int=2), workspace_id=WORKSPACE, platform=Platform.BULLETIN, platform_account_id=NAME, handle=NAME,
    display_name="Night Owl News", scopes=(), state=AccountState.CONNECTED, problem="", authorization_expire_time=None,
    create_time=NOW, update_time=NOW,
)  # fmt: skip


@dataclass
class FakeTokens:
    """Tokens of one account: the last one is good."""

    tokens: list[str]
    refused: list[str] = field(default_factory=list)

    async def access(self) -> str:
        return self.tokens[0]

    async def fresh(self, refused: str) -> str:
        self.refused.append(refused)
        return self.tokens[-1]


@dataclass
class Scene:
    """A reset Bulletin with one account and a list without delay, and the adapter."""

    adapter: BulletinAdapter
    control: httpx.AsyncClient
    tokens: FakeTokens
    moments: int = 0

    def work(self, text: str, media: tuple[MediaFile, ...] = ()) -> Work:
        return Work(ACCOUNT, text, media, {}, self.tokens)

    async def fault(self, mode: str, endpoint: str = "create", **more: Any) -> None:
        body = {"endpoint": f"bulletin.{endpoint}", "mode": mode} | more
        assert (await self.control.post("/control/faults", json=body)).status_code == 201

    async def settings(self, **changes: Any) -> None:
        (await self.control.patch("/control/bulletin/settings", json=changes)).raise_for_status()

    async def send(self, text: str = "text") -> Taken:
        def last_moment() -> None:
            self.moments += 1

        return await self.adapter.send(self.work(text), None, 0, _never, last_moment)

    async def find(self, text: str = "text", *, ago: float = 0.0, others: tuple[str, ...] = ()) -> Trace:
        """Looks for a text whose call was given up so many seconds ago."""
        given_up = datetime.now(UTC) - timedelta(seconds=ago)
        search = Search(ACCOUNT, {}, text, 0, given_up - timedelta(minutes=2), given_up, frozenset(others))
        return await self.adapter.find(search, self.tokens)

    async def posts(self) -> list[str]:
        """Ids of what exists, oldest first."""
        return [post["id"] for post in (await self.control.get("/control/bulletin/posts")).json()]


async def _never(_stored: int) -> None:
    raise AssertionError("Bulletin stores no part of a post")


@pytest.fixture
async def scene(sandbox_url: str) -> AsyncIterator[Scene]:
    async with (
        httpx.AsyncClient(base_url=sandbox_url, trust_env=False) as control,
        BulletinClient(BulletinConfig(base_url=sandbox_url, max_tries=1)) as client,
    ):
        (await control.post("/control/reset")).raise_for_status()
        tokens = (await control.post("/control/bulletin/accounts", json={"accounts": [NAME]})).json()
        found = Scene(BulletinAdapter(client), control, FakeTokens([tokens[NAME]]))
        await found.settings(list_seconds=0)
        yield found


def _media() -> MediaFile:
    def read(_offset: int, _length: int) -> Any:
        raise AssertionError("a text has no bytes to read")

    return MediaFile("m", "video/mp4", 1, 1, 1, "mp4", "h264", 1, 1, "yuv420p", read)


def test_a_draft_that_bulletin_would_refuse_is_told_so() -> None:
    assert checks.bulletin("x" * BULLETIN_CHARACTERS, ()) == []
    assert [problem.reason for problem in checks.bulletin("x" * (BULLETIN_CHARACTERS + 1), ())] == ["CAPTION_TOO_LONG"]
    assert [problem.reason for problem in checks.bulletin("", (_media(),))] == ["CAPTION_MISSING", "MEDIA_NOT_TAKEN"]


async def test_a_text_is_published_by_one_call_whose_answer_is_the_verdict(scene: Scene) -> None:
    taken = await scene.send()
    assert [taken.handle] == await scene.posts()
    assert taken.verdict is not None
    assert taken.verdict.visibility is domain.Visibility.PUBLIC
    assert taken.verdict.url.endswith(f"/bulletin/@{NAME}/{taken.handle}")
    assert scene.moments == 1


async def test_a_lease_that_has_ended_at_the_last_moment_publishes_nothing(scene: Scene) -> None:
    def too_late() -> None:
        raise Fenced("the lease has ended")

    with pytest.raises(Fenced):
        await scene.adapter.send(scene.work("text"), None, 0, _never, too_late)
    assert await scene.posts() == []


async def test_a_refused_token_is_replaced_once_and_the_text_is_published_once(scene: Scene) -> None:
    scene.tokens.tokens.insert(0, "old")
    taken = await scene.send()
    assert scene.tokens.refused == ["old"]
    assert [taken.handle] == await scene.posts()
    assert scene.moments == 2, "each call that may publish has its last moment"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"mode": "rate_limit"}, domain.FailureKind.RATE_LIMITED),
        ({"mode": "error", "status": 400, "code": "x"}, domain.FailureKind.PERMANENT),
    ],
)
async def test_a_refusal_ends_the_attempt_without_doubt(
    scene: Scene, fault: dict[str, Any], kind: domain.FailureKind
) -> None:
    await scene.fault(**fault)
    with pytest.raises(AttemptFailed) as failed:
        await scene.send()
    assert failed.value.failure.kind is kind
    assert failed.value.failure.reason.startswith("BULLETIN_")
    assert (failed.value.failure.retry_time is not None) == (kind is domain.FailureKind.RATE_LIMITED)


@pytest.mark.parametrize(
    "fault",
    [
        {"mode": "lost_reply"},
        {"mode": "reset"},
        {"mode": "error", "status": 504},
        {"mode": "late_error", "status": 504},
    ],
)
async def test_no_usable_answer_is_in_doubt_whether_or_not_it_was_published(
    scene: Scene, fault: dict[str, Any]
) -> None:
    await scene.fault(**fault)
    with pytest.raises(Uncertain):
        await scene.send()


async def test_a_platform_that_cannot_be_reached_leaves_no_doubt() -> None:
    async with BulletinClient(BulletinConfig(base_url="http://127.0.0.1:9", max_tries=1)) as client:
        work = Work(ACCOUNT, "text", (), {}, FakeTokens(["token"]))
        with pytest.raises(AttemptFailed) as failed:
            await BulletinAdapter(client).send(work, None, 0, _never, lambda: None)
    assert failed.value.failure.kind is domain.FailureKind.TRANSIENT


async def test_a_post_whose_answer_was_lost_is_found_once_the_list_shows_it(scene: Scene) -> None:
    await scene.settings(list_seconds=5)
    await scene.fault("lost_reply")
    with pytest.raises(Uncertain):
        await scene.send()
    assert isinstance(await scene.find(), Unsettled)
    await scene.settings(list_seconds=0)
    found = await scene.find()
    assert isinstance(found, Found)
    assert [found.taken.handle] == await scene.posts()
    assert found.taken.verdict is not None
    assert found.taken.verdict.platform_post_id == found.taken.handle


async def test_absence_is_proof_only_after_the_time_of_the_platform_s_word(scene: Scene) -> None:
    await scene.fault("reset")
    with pytest.raises(Uncertain):
        await scene.send()
    assert isinstance(await scene.find(ago=14.5), Unsettled)
    assert isinstance(await scene.find(ago=15.5), Absent)


async def test_posts_of_other_deliveries_and_other_texts_are_not_taken_for_it(scene: Scene) -> None:
    other, mine = await scene.send(), await scene.send()
    await scene.send("another text")
    found = await scene.find(others=(other.handle,))
    assert isinstance(found, Found)
    assert found.taken.handle == mine.handle
    assert isinstance(await scene.find(others=(other.handle, mine.handle), ago=16), Absent)


async def test_a_post_from_before_the_sending_is_not_taken_for_it(scene: Scene) -> None:
    await scene.send()
    assert isinstance(await scene.find(ago=-600), Unsettled)


@pytest.mark.parametrize("ahead", [-3600, 3600])
async def test_a_platform_s_clock_that_is_an_hour_off_hides_no_post(scene: Scene, ahead: float) -> None:
    (await scene.control.put("/control/clock", json={"offset_seconds": ahead})).raise_for_status()
    taken = await scene.send()
    found = await scene.find()
    assert isinstance(found, Found)
    assert found.taken.handle == taken.handle


async def test_a_post_behind_more_than_a_page_of_others_is_found(scene: Scene) -> None:
    taken = await scene.send()
    await asyncio.gather(*(scene.send(f"other {number}") for number in range(150)))
    found = await scene.find()
    assert isinstance(found, Found)
    assert found.taken.handle == taken.handle


async def test_a_list_too_long_to_be_read_proves_nothing(scene: Scene, sandbox_url: str) -> None:
    await asyncio.gather(*(scene.send(f"other {number}") for number in range(101)))
    config = BulletinConfig(base_url=sandbox_url, search_pages=1)
    async with BulletinClient(config) as client:
        scene.adapter = BulletinAdapter(client)
        assert isinstance(await scene.find(ago=16), Unsettled)


async def test_a_list_that_has_forgotten_that_time_proves_nothing(scene: Scene) -> None:
    await scene.settings(kept_posts=10)
    await asyncio.gather(*(scene.send(f"other {number}") for number in range(110)))
    assert isinstance(await scene.find(ago=16), Unsettled)


async def test_a_published_post_is_there_until_the_platform_says_that_it_is_gone(scene: Scene) -> None:
    taken = await scene.send()
    answer = await scene.adapter.ask(ACCOUNT, {}, taken.handle, scene.tokens)
    assert isinstance(answer, Complete)
    assert (answer.verdict, answer.settled) == (taken.verdict, True)
    for status in (404, 503):
        await scene.fault("error", "get", status=status)
        with pytest.raises(AttemptFailed):
            await scene.adapter.ask(ACCOUNT, {}, taken.handle, scene.tokens)
    (await scene.control.post(f"/control/bulletin/posts/{taken.handle}/remove")).raise_for_status()
    assert isinstance(await scene.adapter.ask(ACCOUNT, {}, taken.handle, scene.tokens), Gone)


async def test_a_probe_tells_an_outage_and_publishes_nothing(scene: Scene) -> None:
    await scene.adapter.probe(ACCOUNT, scene.tokens)
    await scene.settings(outage="error")
    with pytest.raises(AttemptFailed):
        await scene.adapter.probe(ACCOUNT, scene.tokens)
    assert await scene.posts() == []


@dataclass
class FakeWorker:
    """A worker that runs what it is given at once, in a loop of its own."""

    bulletin: BulletinClient | None

    def call(self, work: Coroutine[Any, Any, Result], _timeout_seconds: float) -> Result:
        async def run() -> Result:
            async with contextlib.AsyncExitStack() as clients:
                if self.bulletin is not None:
                    await clients.enter_async_context(self.bulletin)
                return await work

        return asyncio.run(run())

    def confirm(self, _account: Account) -> None:
        raise AssertionError("Bulletin sends no webhooks")


def _api(ledger: Ledger, bulletin: BulletinClient | None) -> PublisherApi:
    worker, foresight = cast(Worker, FakeWorker(bulletin)), cast(Foresight, None)  # nothing is foreseen here
    return PublisherApi(ledger, worker, foresight, TikTokClient(TikTokConfig()), bulletin)


def _start() -> pb.StartConnectionRequest:
    return pb.StartConnectionRequest(workspace_id=str(WORKSPACE), platform=pb.PLATFORM_BULLETIN, redirect_uri=CALLBACK)


def test_an_account_is_connected_as_on_any_platform_and_its_token_has_no_end(ledger: Ledger, sandbox_url: str) -> None:
    httpx.post(f"{sandbox_url}/control/reset").raise_for_status()
    api, context = _api(ledger, BulletinClient(BulletinConfig(base_url=sandbox_url))), cast(grpc.ServicerContext, None)
    started = api.StartConnection(_start(), context)
    order = {"authorize_url": started.consent_url, "account": NAME}
    back = httpx.post(f"{sandbox_url}/control/bulletin/consents", json=order).json()["redirect_url"]
    answer = dict(parse_qsl(urlsplit(back).query))
    assert answer["state"] == started.state
    request = pb.FinishConnectionRequest(workspace_id=str(WORKSPACE), state=answer["state"], code=answer["code"])
    account = api.FinishConnection(request, context).account
    assert (account.platform, account.handle) == (pb.PLATFORM_BULLETIN, NAME)
    assert not account.HasField("authorization_expire_time")
    with ledger.database.transaction(WORKSPACE) as tx:
        stored = account_store.read_account(tx, WORKSPACE, UUID(account.account_id))
        tokens = account_store.read_tokens(tx, ledger.vault, stored)
    assert tokens.access_expire_time.year == 9999
    me = httpx.get(f"{sandbox_url}/bulletin/v1/me", headers={"Authorization": f"Bearer {tokens.access_token}"})
    assert me.json()["account"] == NAME


def test_a_code_that_bulletin_refuses_connects_nothing(ledger: Ledger, sandbox_url: str) -> None:
    httpx.post(f"{sandbox_url}/control/reset").raise_for_status()
    api, context = _api(ledger, BulletinClient(BulletinConfig(base_url=sandbox_url))), cast(grpc.ServicerContext, None)
    started = api.StartConnection(_start(), context)
    request = pb.FinishConnectionRequest(workspace_id=str(WORKSPACE), state=started.state, code="made up")
    with pytest.raises(connecting.ConnectionRefused, match="Bulletin"):
        api.FinishConnection(request, context)
    assert not api.ListAccounts(pb.ListAccountsRequest(workspace_id=str(WORKSPACE)), context).accounts


def test_without_its_address_there_is_no_bulletin(ledger: Ledger) -> None:
    with pytest.raises(domain.PlatformNotConfigured, match="REELROUTE_BULLETIN_BASE_URL") as refused:
        _api(ledger, None).StartConnection(_start(), cast(grpc.ServicerContext, None))
    assert isinstance(refused.value, FailedPrecondition)
