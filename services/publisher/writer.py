"""The one place that writes the ledger: what has gathered since the last commit is committed in one transaction.

A coroutine awaits its own write, and goes on when it is committed; so each step of each delivery is stored before the
next begins, and costs its share of a batch. With a commit of its own each, ten times fewer would fit into a second.

A write either takes place whole (state, attempt, lines, what is told) or, when another attempt holds the publication,
not at all: Fenced. A batch that a single write spoils is halved until that one is alone. When the database is away, or
the answer to a commit is lost, the batch is tried again for some seconds; a write that is found to be stored already
has taken place.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from prometheus_client import Histogram
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kit.db import ALL_WORKSPACES, Database
from kit.listen import notify
from kit.vault import Vault
from services.publisher import reports, store
from services.publisher.domain import AlreadyBegun, Claim, Epoch, Failure, Fenced, Publication, Restored, Step
from services.publisher.store import Line

log = structlog.get_logger()

BATCH = Histogram(
    "reelroute_ledger_batch_writes", "Writes in one commit of the ledger.", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
_LARGEST_BATCH = 500
_SOON_SECONDS = 1.0
# While the database is away; twelve seconds in all, less than a lease.
_WAITS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0)


@dataclass(frozen=True, slots=True)
class Write:
    """A new state of a publication, and what is written with it. `state` has the revision of the state that it follows.

    `now` names the times of the state that are set to the moment of the commit; `check_in_seconds` sets next_check_time
    from there. `outcome` ends the attempt. `tells` are activities, as kind and sentence. With `reports`, the scheduler
    is told how the publication stands; `failure` says why the attempt failed when the state does not, and `doubt` why
    its outcome is uncertain. `is_proven`: nothing of it was published, whatever a restore may have taken from the
    ledger; it belongs to the present epoch from now on.
    """

    state: Publication
    now: tuple[str, ...] = ()
    check_in_seconds: float | None = None
    lines: tuple[Line, ...] = ()
    outcome: str = ""
    reports: bool = False
    failure: Failure | None = None
    doubt: str = ""
    is_proven: bool = False
    tells: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """A publication that a claim has taken over; None when there is none yet."""

    publication: Publication | None
    epoch: Epoch


Request = Write | Claim
Result = Publication | Taken | BaseException


class Writer:
    """Commits what is asked of it. `write` and `take_over` are for the event loop, `commit` for any thread."""

    def __init__(self, database: Database, vault: Vault, holder: str) -> None:
        self._database = database
        self._vault = vault
        self._holder = holder
        self._waiting: list[tuple[Request, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def write(self, write: Write) -> Publication:
        """The state as it is stored. Raises Fenced, or what the database says."""
        result = await self._submit(write)
        assert isinstance(result, Publication)  # noqa: S101 - what `commit` answers to a write
        return result

    async def take_over(self, claim: Claim) -> Taken:
        """Gives the claim's attempt the right to write. Raises Fenced when a later one has it."""
        result = await self._submit(claim)
        assert isinstance(result, Taken)  # noqa: S101 - what `commit` answers to a claim
        return result

    async def _submit(self, request: Request) -> Publication | Taken:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._running is None:
            # In a context of its own: it works for all, and its log lines are not those of whoever came first.
            self._running = asyncio.create_task(self._run(), context=contextvars.Context())
        # Whoever waits may be canceled; what was asked for is committed all the same.
        result = await future
        if isinstance(result, BaseException):
            raise result
        return result

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_LARGEST_BATCH], self._waiting[_LARGEST_BATCH:]
            results = await self._settle([request for request, _ in batch])
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
        self._running = None

    async def finish(self) -> None:
        """Returns when nothing waits to be written."""
        while self._running is not None:
            await asyncio.wait({self._running})

    async def _settle(self, requests: list[Request], *, again: bool = False) -> Sequence[Result]:
        for wait in (*_WAITS_SECONDS, None):
            try:
                return await asyncio.to_thread(self.commit, requests, again=again)
            except (OperationalError, InterfaceError, PoolTimeout) as error:
                if wait is None:
                    return [error] * len(requests)
                log.warning("the ledger is not written yet", retry_in_seconds=wait, error=type(error).__name__)
                again = True
                await asyncio.sleep(wait)
            except Exception as error:
                if isinstance(error, DBAPIError) and error.connection_invalidated and wait is not None:
                    again = True
                    await asyncio.sleep(wait)
                    continue
                if len(requests) == 1:
                    return [error]
                log.warning("a batch of the ledger failed and is halved", writes=len(requests), exc_info=error)
                half = len(requests) // 2
                return [
                    *await self._settle(requests[:half], again=again),
                    *await self._settle(requests[half:], again=again),
                ]
        raise AssertionError("the last wait returns")

    def commit(self, requests: Sequence[Request], *, again: bool = False) -> list[Result]:
        """One transaction for all. The results are in their order: what was stored, or Fenced for itself.

        `again`: an earlier try of the same may have been committed.
        """
        BATCH.observe(len(requests))
        with self._database.transaction(ALL_WORKSPACES) as tx:
            now, epoch = store.moment(tx)
            results: dict[int, Result] = {}
            self._take_over(tx, requests, now, epoch, results, again=again)
            writes = [(at, _stamped(each, now, epoch)) for at, each in enumerate(requests) if isinstance(each, Write)]
            self._write(tx, writes, now, epoch, results, again=again)
        return [results[at] for at in range(len(requests))]

    def _take_over(
        self,
        tx: Connection,
        requests: Sequence[Request],
        now: datetime,
        epoch: Epoch,
        results: dict[int, Result],
        *,
        again: bool,
    ) -> None:
        claims = [(at, each) for at, each in enumerate(requests) if isinstance(each, Claim)]
        if not claims:
            return
        taken, fenced = store.take_over(tx, self._vault, [claim for _, claim in claims], epoch)
        lost = [claim for _, claim in claims if claim.delivery_id in fenced]
        mine = store.taken_already(tx, self._vault, lost, self._holder) if again and lost else {}
        for at, claim in claims:
            found = taken.get(claim.delivery_id) or mine.get(claim.delivery_id)
            results[at] = Taken(found, epoch) if found or claim.delivery_id not in fenced else Fenced()
        store.start_attempts(tx, list(taken.values()), self._holder)
        lines = [(each, now, Line(each.step, _TAKEN_OVER.format(each.attempt, self._holder, each.step.value)))
                 for each in taken.values()]  # fmt: skip
        store.insert_lines(tx, lines)

    def _write(
        self,
        tx: Connection,
        writes: list[tuple[int, Write]],
        now: datetime,
        epoch: Epoch,
        results: dict[int, Result],
        *,
        again: bool,
    ) -> None:
        current = []
        for at, write in writes:
            # After a restore nothing that began before goes out unasked.
            if write.state.step is Step.COMMITTING and write.state.publish_epoch != epoch.number:
                results[at] = Restored()
            else:
                current.append((at, write))
        # Of two writes that follow the same state (one was canceled while it waited) the first is stored.
        first = {store.head(write.state): write for _, write in reversed(current)}
        stored = store.write_publications(tx, self._vault, [write.state for write in first.values()])
        before = set()
        if again and len(stored) < len(first):
            # Their lines and reports were committed with them.
            before = store.read_heads(tx, [write.state.publication_id for write in first.values()]) - stored
        done = []
        for at, write in current:
            head = store.head(write.state)
            if head in stored and first[head] is write:
                done.append(write)
                results[at] = write.state
            elif head in before and first[head] is write:
                results[at] = write.state
            else:
                results[at] = AlreadyBegun() if write.state.revision == 1 else Fenced()
        store.start_attempts(tx, [write.state for write in done if write.state.revision == 1], self._holder)
        store.insert_lines(tx, [(write.state, now, line) for write in done for line in write.lines])
        store.end_attempts(tx, [(write.state, write.outcome) for write in done if write.outcome])
        store.tell(
            tx,
            [
                *reports.to_scheduler(
                    [
                        report
                        for write in done
                        if write.reports
                        for report in reports.of(write.state, write.failure, write.doubt, now)
                    ]
                ),
                *reports.account_holds([(write.state, write.failure) for write in done if write.failure]),
                *reports.to_feed(
                    [reports.step(write.state, kind, text, now) for write in done for kind, text in write.tells]
                ),
            ],
        )
        # What is asked about later than the observers' next look need not wake them.
        if any(write.check_in_seconds is not None and write.check_in_seconds < _SOON_SECONDS for write in done):
            notify(tx, store.CHECKS_CHANNEL)


_TAKEN_OVER = "Attempt {} by {}; the ledger is at {}."


def _stamped(write: Write, now: datetime, epoch: Epoch) -> Write:
    """The write with its times, and the revision that it makes."""
    times: dict[str, datetime] = dict.fromkeys(write.now, now)
    if write.check_in_seconds is not None:
        times["next_check_time"] = now + timedelta(seconds=write.check_in_seconds)
    state = dataclasses.replace(write.state, revision=write.state.revision + 1, **times)  # type: ignore[arg-type]
    if write.is_proven:
        state = dataclasses.replace(state, publish_epoch=epoch.number)
    return dataclasses.replace(write, state=state)
