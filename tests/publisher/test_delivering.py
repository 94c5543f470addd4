"""One attempt against a platform that answers as it is told: what doubt allows, and what is definite."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from services.publisher import account_store, store
from services.publisher.account_store import TokenPair
from services.publisher.delivering import Deliverer
from services.publisher.domain import Account as PublisherAccount
from services.publisher.domain import (
    AttemptFailed,
    Claim,
    Failure,
    FailureKind,
    Fenced,
    Handle,
    MediaRef,
    Options,
    Platform,
    Step,
)
from services.publisher.ledger import Ledger
from services.publisher.observing import Observer
from services.publisher.platforms.base import (
    Answer,
    Complete,
    Incomplete,
    MediaFile,
    Processing,
    Tokens,
    Uncertain,
    Unknown,
    UploadEnded,
    Work,
)
from tests.publisher.factories import a_claim, a_handle, at_step
from tests.publisher.stage import WORKSPACE
from tests.publisher.test_store import PUBLIC, reports, rows

pytestmark = pytest.mark.anyio

AWAY = AttemptFailed(Failure(FailureKind.TRANSIENT, "TIKTOK_CONNECT_FAILED", "TikTok could not be reached."))
LATER = Failure(FailureKind.TRANSIENT, "TIKTOK_INTERNAL", "TikTok had a fault.")
SIZE = 1000


@dataclass
class ScriptedPlatform:
    """Does with each `send` and `ask` what its lists say; the last entry counts for all further ones."""

    sends: list[Exception | None] = field(default_factory=lambda: [None])
    asks: list[Answer | Exception] = field(default_factory=lambda: [Processing()])
    calls: list[str] = field(default_factory=list)
    while_preparing: Callable[[], None] = lambda: None

    async def prepare(self, work: Work) -> str:
        self.calls.append("prepare")
        await asyncio.to_thread(self.while_preparing)
        return "fits"

    async def begin(self, work: Work) -> Handle:
        self.calls.append("begin")
        number = self.calls.count("begin")
        return a_handle(handle=f"handle-{number}", expire_time=datetime.now(UTC) + timedelta(hours=1), media_size=SIZE)

    async def send(
        self, work: Work, handle: Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        self.calls.append(f"send {handle.handle}")
        outcome = self.sends.pop(0) if len(self.sends) > 1 else self.sends[0]
        if outcome:
            raise outcome

    async def ask(self, account: PublisherAccount, options: Options, handle: str, tokens: Tokens) -> Answer:
        self.calls.append("ask")
        answer = self.asks.pop(0) if len(self.asks) > 1 else self.asks[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Leases:
    """A lease that is held until it is said to be lost."""

    lost = False

    async def renew(self, claim: Claim) -> None:
        if self.lost:
            raise Fenced

    @contextlib.asynccontextmanager
    async def kept(self, claim: Claim) -> AsyncIterator[None]:
        yield


class EmptyLibrary:
    """Has every file; nobody reads them here."""

    async def files(self, workspace_id: object, references: tuple[MediaRef, ...]) -> tuple[MediaFile, ...]:
        return ()


@dataclass
class Scene:
    """A claim, its ledger, and the platform that it goes to."""

    ledger: Ledger
    claim: Claim
    platform: ScriptedPlatform = field(default_factory=ScriptedPlatform)
    leases: Leases = field(default_factory=Leases)

    async def deliver(self, attempt: int = 1) -> None:
        deliverer = Deliverer(
            self.ledger,
            EmptyLibrary(),  # type: ignore[arg-type]  # only `files` is asked of it
            {Platform.TIKTOK: self.platform},
            self.leases,
            lambda account: None,  # type: ignore[arg-type, return-value]  # the scripted platform wants no token
            ask_waits_seconds=(0, 0, 0),
            settle_waits_seconds=(0, 0),
        )
        self.claim = dataclasses.replace(self.claim, attempt=attempt)
        await deliverer.deliver(self.claim, asyncio.get_running_loop().time())

    def row(self) -> dict[str, object]:
        (row,) = rows(self.ledger.database, "publications")
        return row

    @property
    def step(self) -> Any:
        return self.row()["step"]

    def reports(self) -> list[tuple[str, int]]:
        return reports(self.ledger.database)


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    with ledger.database.transaction(WORKSPACE) as tx:
        account = account_store.save_account(
            tx,
            ledger.vault,
            workspace_id=WORKSPACE,
            platform=Platform.TIKTOK,
            platform_account_id="open-1",
            handle="emberfold.air",
            display_name="Air",
            scopes=(),
            tokens=TokenPair("a", datetime.now(UTC), "r", None),
        )
    return Scene(ledger, a_claim(account_id=account.account_id))


async def test_after_a_lost_answer_the_platform_is_asked_and_what_it_has_is_not_sent_again(scene: Scene) -> None:
    scene.platform.sends = [Uncertain("No answer.")]
    await scene.deliver()
    assert scene.platform.calls == ["prepare", "begin", "send handle-1", "ask"]
    assert scene.step == "ACCEPTED"


async def test_what_the_platform_lacks_after_a_lost_answer_is_sent_again_to_the_same_handle(scene: Scene) -> None:
    scene.platform.sends = [Uncertain("No answer."), None]
    scene.platform.asks = [Incomplete(0)]
    await scene.deliver()
    assert scene.platform.calls == ["prepare", "begin", "send handle-1", "ask", "send handle-1"]
    assert scene.step == "ACCEPTED"


async def test_bytes_that_arrive_late_are_adopted_before_anything_definite_is_said(scene: Scene) -> None:
    scene.platform.sends = [Uncertain("No answer.")]
    scene.platform.asks = [Incomplete(0), Incomplete(0), Incomplete(0), Incomplete(0), Incomplete(SIZE)]
    await scene.deliver()
    assert scene.step == "ACCEPTED"
    assert scene.reports() == [("CompleteDelivery", 1)]


async def test_only_when_the_platform_keeps_saying_that_it_lacks_bytes_has_the_attempt_failed(scene: Scene) -> None:
    scene.platform.sends = [Uncertain("No answer."), Uncertain("No answer."), AWAY]
    scene.platform.asks = [Incomplete(0)]
    await scene.deliver()
    # Asked after each of three sends, then twice more with pauses.
    assert scene.platform.calls.count("ask") == 5
    assert scene.step == "COMMITTING"
    assert scene.reports() == [("FailDelivery", 1)]
    await scene.deliver(attempt=2)
    assert scene.platform.calls.count("begin") == 1


async def test_a_failure_without_doubt_is_definite_at_once(scene: Scene) -> None:
    scene.platform.sends = [AWAY]
    await scene.deliver()
    assert "ask" not in scene.platform.calls
    assert scene.reports() == [("FailDelivery", 1)]


async def test_an_upload_that_the_platform_ended_begins_anew_with_another_handle(scene: Scene) -> None:
    scene.platform.sends = [UploadEnded("The upload's address has expired."), None]
    scene.platform.asks = [Incomplete(0)]
    await scene.deliver()
    assert (scene.step, scene.row()["handle"], scene.row()["upload_url"]) == ("OPENED", "", None)
    await scene.deliver(attempt=2)
    assert scene.platform.calls[-1] == "send handle-2"
    assert scene.step == "ACCEPTED"


async def test_an_ended_upload_of_which_the_platform_has_everything_is_accepted(scene: Scene) -> None:
    scene.platform.sends = [UploadEnded("TikTok does not know this upload.")]
    scene.platform.asks = [Incomplete(SIZE)]
    await scene.deliver()
    assert scene.step == "ACCEPTED"


async def test_after_doubt_a_platform_that_does_not_say_what_it_has_is_left_to_its_verdict(scene: Scene) -> None:
    scene.platform.sends = [Uncertain("No answer."), UploadEnded("TikTok does not know this upload.")]
    scene.platform.asks = [Incomplete(None)]
    await scene.deliver()
    assert scene.step == "ACCEPTED"
    assert scene.platform.calls.count("begin") == 1


async def test_a_verdict_for_now_found_while_asking_gives_the_handle_up(scene: Scene) -> None:
    scene.platform.sends = [Uncertain("No answer."), None]
    scene.platform.asks = [LATER]
    await scene.deliver()
    assert scene.step == "OPENED"
    await scene.deliver(attempt=2)
    assert scene.platform.calls[-1] == "send handle-2"


@pytest.mark.parametrize(("answers", "step"), [([Unknown("?"), Processing()], "ACCEPTED"), ([Unknown("?")], "FAILED")])
async def test_a_handle_is_lost_only_when_it_stays_unknown(scene: Scene, answers: list[Answer], step: str) -> None:
    scene.platform.sends = [Uncertain("No answer.")]
    scene.platform.asks = [*answers]
    await scene.deliver()
    assert scene.step == step
    if step == "FAILED":
        assert scene.row()["failure_kind"] == "OUTCOME_UNKNOWN"


async def test_while_the_platform_cannot_be_asked_the_delivery_stays_claimed(scene: Scene) -> None:
    scene.platform.sends = [Uncertain("No answer.")]
    scene.platform.asks = [AWAY]
    await scene.deliver()
    assert scene.step == "COMMITTING"
    assert scene.reports() == []
    scene.platform.asks = [Complete(PUBLIC, settled=True)]
    await scene.deliver(attempt=2)
    assert scene.step == "ACCEPTED"
    assert scene.platform.calls.count("begin") == 1


async def test_without_its_lease_nothing_is_sent(scene: Scene) -> None:
    scene.leases.lost = True
    await scene.deliver()
    assert scene.platform.calls == ["prepare", "begin"]
    assert scene.step == "HANDLE"


async def test_r35_an_epoch_that_begins_in_the_middle_of_an_attempt_keeps_it_from_sending(scene: Scene) -> None:
    def restore() -> None:
        with scene.ledger.database.transaction(ALL_WORKSPACES) as tx:
            store.begin_epoch(tx, "restored")

    scene.platform.while_preparing = restore
    scene.platform.asks = [Incomplete(0)]
    await scene.deliver()
    assert scene.platform.calls == ["prepare", "begin"]
    await scene.deliver(attempt=2)
    assert (scene.step, scene.row()["failure_kind"]) == ("FAILED", "OUTCOME_UNKNOWN")
    assert "send handle-1" not in scene.platform.calls


async def test_a_fault_of_ours_before_anything_is_sent_counts_as_a_try_and_is_reported(scene: Scene) -> None:
    def fault() -> None:
        raise KeyError("privacy_level")

    scene.platform.while_preparing = fault
    await scene.deliver()
    assert scene.reports() == [("FailDelivery", 1)]
    assert rows(scene.ledger.database, "attempts")[0]["outcome"] == "broken"
    scene.platform.while_preparing = lambda: None
    await scene.deliver(attempt=2)
    assert scene.step == "ACCEPTED"


async def test_a_fault_of_ours_after_something_was_sent_reports_nothing(scene: Scene) -> None:
    scene.platform.sends = [ValueError("the body should have 10 bytes")]
    await scene.deliver()
    assert scene.reports() == []
    await scene.deliver(attempt=2)
    assert scene.platform.calls[-2:] == ["send handle-1", "ask"]


async def test_an_account_that_is_gone_leaves_what_is_over_as_it_is(scene: Scene) -> None:
    unknown = dataclasses.replace(scene.claim, account_id=a_claim().account_id)
    at_step(scene.ledger, unknown, Step.ACCEPTED)
    scene.claim = unknown
    await scene.deliver(attempt=2)
    assert scene.step == "ACCEPTED"
    assert scene.reports()[-1] == ("CompleteDelivery", 2)


async def test_an_account_that_never_was_fails_the_delivery_for_good(scene: Scene) -> None:
    scene.claim = dataclasses.replace(scene.claim, account_id=a_claim().account_id)
    await scene.deliver()
    assert (scene.step, scene.row()["failure_reason"]) == ("FAILED", "ACCOUNT_NOT_FOUND")


OBSERVED: list[tuple[Answer | Exception, timedelta, str, str]] = [
    (Processing(), timedelta(hours=1), "ACCEPTED", ""),
    (Processing(), timedelta(days=8), "FAILED", "OUTCOME_UNKNOWN"),
    (AWAY, timedelta(days=6), "ACCEPTED", ""),
    (AWAY, timedelta(days=8), "FAILED", "OUTCOME_UNKNOWN"),
    (Unknown("?"), timedelta(minutes=9), "ACCEPTED", ""),
    (Unknown("?"), timedelta(minutes=11), "FAILED", "OUTCOME_UNKNOWN"),
    (Complete(PUBLIC, settled=False), timedelta(hours=23), "ACCEPTED", ""),
    (Complete(PUBLIC, settled=False), timedelta(hours=25), "PUBLISHED", ""),
    (LATER, timedelta(), "OPENED", ""),
]


@pytest.mark.parametrize(("answer", "since", "step", "reason"), OBSERVED)
async def test_a_verdict_is_awaited_with_patience_but_not_for_ever(
    scene: Scene, answer: Answer | Exception, since: timedelta, step: str, reason: str
) -> None:
    at_step(scene.ledger, scene.claim, Step.ACCEPTED)
    with scene.ledger.database.transaction(WORKSPACE) as tx:
        tx.execute(text("UPDATE publications SET accept_time = accept_time - :since"), {"since": since})
    scene.platform.asks = [answer]
    observer = Observer(scene.ledger, {Platform.TIKTOK: scene.platform}, lambda account: None)  # type: ignore[arg-type, return-value]
    (taken,) = await observer.take(10)
    await observer.check(taken)
    assert (scene.step, scene.row()["failure_reason"]) == (step, reason)
