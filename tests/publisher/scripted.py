"""A platform that does as it is told and remembers what it published; and a publisher that can be killed anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from services.publisher import store
from services.publisher.accounts import Accounts
from services.publisher.caps import Caps
from services.publisher.claims import Held
from services.publisher.delivering import Attempt, Deliverer
from services.publisher.domain import (
    Account,
    AccountLimits,
    Claim,
    Handle,
    MediaRef,
    Options,
    Platform,
    Publication,
    Verdict,
    Visibility,
)
from services.publisher.incidents import Incidents
from services.publisher.ledger import Ledger
from services.publisher.observing import Observer
from services.publisher.platforms.base import (
    Absent,
    Answer,
    Complete,
    Found,
    Incomplete,
    MediaFile,
    Problem,
    Search,
    Taken,
    Tokens,
    Trace,
    Traits,
    Uncertain,
    Unknown,
    Unsettled,
    Work,
)
from services.publisher.quotas import Quotas
from services.publisher.writer import Write
from tests.publisher.factories import a_claim, a_handle, save_account
from tests.publisher.rows import outcomes, rows

SIZE = 1000
WITH_HANDLE = Traits(can_find=False, tells_removal=True)
ONE_CALL = Traits(can_find=True)
BLIND = Traits(can_find=False)


class Killed(BaseException):
    """The process ends between two steps: nothing of it runs any more."""


@dataclass
class Points:
    """The points between the steps of a path. At number `fatal` the process is killed; -1: never."""

    fatal: int = -1
    passed: list[str] = field(default_factory=list)

    def at(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) - 1 == self.fatal:
            raise Killed(name)


class PointedWriter:
    """A ledger's writer with a point before and after each commit."""

    def __init__(self, ledger: Ledger, points: Points) -> None:
        self._inner, self._points = ledger.writer, points

    async def write(self, write: Write) -> Publication:
        self._points.at(f"before {write.state.step.value}")
        stored = await self._inner.write(write)
        self._points.at(f"after {write.state.step.value}")
        return stored

    async def take_over(self, claim: Claim) -> Any:
        self._points.at("before the takeover")
        taken = await self._inner.take_over(claim)
        self._points.at("after the takeover")
        return taken


@dataclass
class ScriptedPlatform:
    """`sends` says what becomes of each `send`: "ok"; "lost", it is published and its answer lost; "unsent", its answer
    is lost and nothing came of it; or an error. `asks`, `begins`, `reads`, `finds` are answers or errors. When a
    script is empty the platform does its best by what it remembers: `posts`, each with its handle and text.
    """

    traits: Traits = WITH_HANDLE
    visibility: Visibility = Visibility.PUBLIC
    sends: deque[str | Exception] = field(default_factory=deque)
    asks: deque[Answer | Exception] = field(default_factory=deque)
    reads: deque[Exception] = field(default_factory=deque)
    problems: list[Problem] = field(default_factory=list)
    limits: AccountLimits | None = None
    quotas: Quotas = field(default_factory=Quotas)
    begins: deque[Exception] = field(default_factory=deque)
    finds: deque[Trace | Exception] = field(default_factory=deque)
    probes: deque[Exception] = field(default_factory=deque)
    stops: deque[bool | Exception] = field(default_factory=deque)
    lists_all: bool = True
    posts: list[tuple[str, str]] = field(default_factory=list)
    handles: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    points: Points = field(default_factory=Points)
    staged: asyncio.Event = field(default_factory=asyncio.Event)
    before_sending: Callable[[], Awaitable[None]] | None = None
    while_preparing: Callable[[], None] = lambda: None

    def has_handle(self, work: Work) -> bool:
        return self.traits is WITH_HANDLE

    def check(self, work: Work) -> list[Problem]:
        return self.problems

    async def read_limits(self, account: Account, options: Options, tokens: Tokens) -> AccountLimits | None:
        self.calls.append("read_limits")
        await asyncio.to_thread(self.while_preparing)
        if self.reads:
            raise self.reads.popleft()
        return self.limits

    async def begin(self, work: Work) -> Handle:
        self.calls.append("begin")
        self.points.at("before the handle")
        if self.begins:
            raise self.begins.popleft()
        handle = f"handle-{len(self.handles) + 1}"
        self.handles.add(handle)
        self.points.at("after the handle")
        return a_handle(handle=handle, media_size=SIZE)

    async def stage(
        self, work: Work, handle: Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        self.calls.append("stage")
        self.staged.set()

    async def send(
        self,
        work: Work,
        handle: Handle | None,
        from_byte: int,
        on_stored: Callable[[int], Awaitable[None]],
        last_moment: Callable[[], None],
    ) -> Taken:
        self.calls.append(f"send {handle.handle}" if handle else "send")
        if self.before_sending:
            await self.before_sending()
        self.points.at("before it is sent")
        last_moment()
        outcome = self.sends.popleft() if self.sends else "ok"
        if isinstance(outcome, Exception):
            raise outcome
        if outcome != "unsent":
            self._publish(handle.handle if handle else f"post-{len(self.posts) + 1}", work.caption)
        self.points.at("after it is sent")
        if outcome != "ok":
            raise Uncertain("No answer came.")
        return Taken() if handle else Taken(self.posts[-1][0], self._verdict(self.posts[-1][0]))

    def _publish(self, handle: str, caption: str) -> None:
        if handle not in dict(self.posts):  # one handle publishes once
            self.posts.append((handle, caption))

    def _verdict(self, handle: str) -> Verdict:
        if self.visibility is Visibility.PUBLIC:
            return Verdict(self.visibility, f"id-{handle}", f"https://platform.example/{handle}")
        return Verdict(self.visibility, "", "")

    async def ask(self, account: Account, options: Options, handle: str, tokens: Tokens) -> Answer:
        self.calls.append("ask")
        self.points.at("before the question")
        if self.asks:
            answer = self.asks.popleft()
            if isinstance(answer, Exception):
                raise answer
            return answer
        if handle in dict(self.posts):
            return Complete(self._verdict(handle), settled=True)
        return Incomplete(0) if handle in self.handles else Unknown("The handle is unknown.")

    async def find(self, search: Search, tokens: Tokens) -> Trace:
        self.calls.append("find")
        self.points.at("before the search")
        if self.finds:
            trace = self.finds.popleft()
            if isinstance(trace, Exception):
                raise trace
            return trace
        for handle, caption in self.posts:
            if caption == search.caption and handle not in search.others:
                return Found(Taken(handle, self._verdict(handle)))
        return Absent() if self.lists_all else Unsettled("The list may lag.")

    async def stop(self, account: Account, handle: str, tokens: Tokens) -> bool:
        self.calls.append("stop")
        if self.stops:
            stopped = self.stops.popleft()
            if isinstance(stopped, Exception):
                raise stopped
            return stopped
        return True

    async def probe(self, account: Account, tokens: Tokens) -> None:
        self.calls.append("probe")
        if self.probes:
            raise self.probes.popleft()

    def copies(self, caption: str) -> int:
        """How often a text was published."""
        return len([each for _, each in self.posts if each == caption])


class Leases:
    """Leases that hold, and grants for whoever asks, until the test says otherwise: `refuses` is raised once each."""

    def __init__(self) -> None:
        self.refuses: deque[Exception] = deque()
        self.asked = 0
        self.held: Held | None = None

    @contextlib.asynccontextmanager
    async def kept(self, held: Held) -> AsyncIterator[None]:
        self.held = held
        yield

    async def authorize(self, held: Held) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.refuses:
            raise self.refuses.popleft()
        held.granted_at = asyncio.get_running_loop().time()


class EmptyLibrary:
    """Has every file; nobody reads them here."""

    async def files(self, workspace_id: object, references: tuple[MediaRef, ...]) -> tuple[MediaFile, ...]:
        return ()


class NoTokens:
    """The scripted platform wants none."""

    async def access(self) -> str:
        return "token"

    async def fresh(self, refused: str) -> str:
        return "token"


@dataclass
class Scene:
    """A claim, its ledger, and the platform that it goes to."""

    ledger: Ledger
    platform: ScriptedPlatform
    claim: Claim
    leases: Leases = field(default_factory=Leases)
    lease_seconds: float = 30
    number: int = 1
    # Whether people have paused what is published.
    is_paused: bool = False

    @classmethod
    def of(cls, ledger: Ledger, platform: ScriptedPlatform) -> Scene:
        return cls(ledger, platform, a_claim(account_id=save_account(ledger).account_id))

    def process(self, points: Points | None = None) -> tuple[Deliverer, Observer]:
        """A publisher process of its own, by its memory."""
        self.number += 1
        ledger = Ledger(self.ledger.database, self.ledger.vault, f"test/{self.number}")
        self.platform.points = points = points or Points()
        ledger.writer = PointedWriter(ledger, points)  # type: ignore[assignment]
        adapters = {Platform.TIKTOK: self.platform}
        accounts = Accounts(ledger.database, lambda account: NoTokens())
        incidents = Incidents(ledger.database, adapters, lambda account: NoTokens())
        deliverer = Deliverer(
            ledger,
            EmptyLibrary(),  # type: ignore[arg-type]  # only `files` is asked of it
            adapters,
            self.leases,
            accounts,
            Caps(ledger.database),
            incidents,
            ask_waits_seconds=(0, 0, 0),
        )

        async def is_paused(_publication: Publication, _account: Account) -> bool:
            return self.is_paused

        return deliverer, Observer(ledger, adapters, accounts, incidents, is_paused)

    def attempt(
        self, number: int = 1, points: Points | None = None, *, due_in: float = 0.0, deliverer: Deliverer | None = None
    ) -> Attempt:
        self.claim = dataclasses.replace(self.claim, attempt=number)
        now = asyncio.get_running_loop().time()
        held = Held(self.claim, now + due_in, now + self.lease_seconds, None, moved_at=now)
        return (deliverer or self.process(points)[0]).attempt(held)

    async def deliver(self, number: int = 1, points: Points | None = None) -> None:
        await self.attempt(number, points).run()

    async def observe(self, points: Points | None = None) -> None:
        """Whoever waits for the platform's word asks for it once."""
        observer = self.process(points)[1]
        for publication in await observer.take(10):
            await observer.check(publication)

    def restore(self) -> None:
        with self.ledger.database.transaction(ALL_WORKSPACES) as tx:
            store.begin_epoch(tx, "restored")

    def row(self) -> dict[str, Any]:
        (row,) = rows(self.ledger.database, "publications", delivery_id=self.claim.delivery_id)
        return row

    @property
    def step(self) -> str:
        mine = rows(self.ledger.database, "publications", delivery_id=self.claim.delivery_id)
        return str(mine[0]["step"]) if mine else "none"

    def log(self) -> list[str]:
        """What a person reads of it."""
        lines = rows(self.ledger.database, "attempt_entries", publication_id=self.row()["publication_id"])
        return [f"{line['attempt']} {line['step']}: {line['message']}" for line in lines]

    @property
    def told(self) -> list[tuple[str, int]]:
        return outcomes(self.ledger.database)

    @property
    def told_last(self) -> str:
        """The outcome that was told last."""
        with self.ledger.database.transaction(ALL_WORKSPACES) as tx:
            last = tx.execute(text("SELECT max(position) FROM outbox")).scalar_one()
        return outcomes(self.ledger.database, position=last)[-1][0]
