"""A calendar on its way into the scheduler: read, resolved, checked, fingerprinted and saved, chunk after chunk.

While a chunk is being saved the next ones are made ready and sent, so that no part waits for another. Nothing else is
kept but what the file's names mean: a file of any length takes the same room. An import that breaks off is made again:
the scheduler knows the rows by their keys.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from typing import IO, Any

import grpc
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import bulk_pb2, scheduler_pb2

from kit import errors
from services.gateway import lookups
from services.gateway.calendars import reading
from services.gateway.calendars.entries import Calendar, Entry, NotACalendar, Problem, ReadOptions, TikTokChoices
from services.gateway.calendars.resolving import Account, Draft, Resolver
from services.gateway.checks import Checked, Checker, Plan
from services.gateway.clients import Clients, refusal
from services.gateway.errors import in_rest_words
from services.gateway.models.changes import FieldChange
from services.gateway.models.conflicts import Conflict
from services.gateway.models.drafts import PostOptions, TikTokOptions
from services.gateway.models.fields import instant_of
from services.gateway.models.imports import ImportOptions

ROWS_PER_CHUNK = 2000
NAMES_TOLD = 10_000  # names of media in a summary, at most
_OUTCOME = {number: name.removeprefix("IMPORT_OUTCOME_") for name, number in bulk_pb2.ImportOutcome.items() if number}
# A post's field as the columns of a calendar call it.
_COLUMNS = {
    "account_ids": "account",
    "media_asset_ids": "media",
    "time_zone": "timezone",
    "ambiguous_time": "local_time",
    "key": "ref",
}
# The scheduler's reasons as calendars call them.
_REASONS = {"SCHEDULE_TIME_IN_PAST": "TIME_IN_PAST", "SCHEDULE_TIME_TOO_FAR": "DATE_TOO_FAR"}


class CalendarUnreadable(errors.InvalidArgument):
    """The file as a whole is no calendar that can be read; the reason says why."""

    @classmethod
    def because(cls, found: NotACalendar) -> CalendarUnreadable:
        """The refusal of a file."""
        where = {"line": str(found.line)} if found.line else {}
        violation = errors.FieldViolation("file", found.message, found.reason.upper())
        return cls(found.message, [violation], where, code_reason=found.reason.upper())


@dataclass(slots=True)
class Row:
    """A row on its way. With problems it is not sent."""

    draft: Draft
    problems: list[Problem]
    warnings: list[Problem]
    # What is sent of it.
    checked: Checked | None = None

    @property
    def entry(self) -> Entry:
        """The row as it was understood."""
        return self.draft.entry


@dataclass(slots=True)
class Import:
    """One file's import."""

    clients: Clients
    workspace_id: str
    options: ImportOptions
    calendar: Calendar
    resolver: Resolver
    checker: Checker
    counts: Counter[str] = field(default_factory=Counter)
    # The names of media in the file, each once; of very many only the first.
    media_names: dict[str, None] = field(default_factory=dict)
    _options: dict[TikTokChoices, tuple[PostOptions, scheduler_pb2.PostOptions]] = field(default_factory=dict)

    async def rows(self) -> AsyncIterator[dict[str, Any]]:
        """What became of each row, in the file's order, in the terms of ImportedRow. Raises ReelrouteError."""
        call = self.clients.bulk.ImportPosts(**self.clients.stream_terms())
        sent: asyncio.Queue[list[Row] | None] = asyncio.Queue(maxsize=1)
        sending = asyncio.create_task(self._send(call, sent))
        try:
            while (chunk := await _next(sent, sending)) is not None:
                for shown in await self._saved(call, chunk):
                    yield shown
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from error
        finally:
            sending.cancel()
            call.cancel()

    async def _saved(self, call: Any, chunk: Sequence[Row]) -> list[dict[str, Any]]:
        """What became of a chunk that was sent."""
        results: Iterator[bulk_pb2.ImportResult] = iter(())
        if any(row.checked for row in chunk):
            answer = await call.read()
            if answer is grpc.aio.EOF:
                raise errors.Unavailable("The import was ended. Send the file again: what is saved stays as it is.")
            results = iter(answer.results)
        shown = [_shown(row, next(results) if row.checked else None) for row in chunk]
        for each in shown:
            self.counts[each["outcome"]] += 1
        return shown

    async def _send(self, call: Any, sent: asyncio.Queue[list[Row] | None]) -> None:
        """Makes chunks ready and sends them, two before the one that is being saved: no part waits for another."""
        header = bulk_pb2.ImportHeader(workspace_id=self.workspace_id, validate_only=self.options.validate_only)
        await call.write(bulk_pb2.ImportPostsRequest(header=header))
        entries = self.calendar.entries
        while chunk := await asyncio.to_thread(lambda: list(islice(entries, ROWS_PER_CHUNK))):
            await self._find_media(chunk)
            rows = [
                Row(
                    draft,
                    # Whether a time that is over matters, the scheduler knows: not where it is planned so already.
                    [each for each in draft.problems if each.reason != "time_in_past"],
                    list(draft.entry.warnings),
                )
                for draft in self.resolver.resolve(chunk)
            ]
            await self._check([row for row in rows if not row.problems])
            request = bulk_pb2.ImportPostsRequest()
            for row in rows:
                if row.checked:
                    # In its place: a message that is handed over is copied.
                    self._fill(request.chunk.rows.add(), row.draft, row.checked)
            if request.chunk.rows:
                await call.write(request)
            await sent.put(rows)
        await call.done_writing()
        await sent.put(None)

    async def _find_media(self, entries: Sequence[Entry]) -> None:
        """Looks up the names that the sender did not explain, by their last parts."""
        library = self.resolver.library
        if len(self.media_names) < NAMES_TOLD:
            self.media_names.update(dict.fromkeys(name for entry in entries for name in entry.media))
        wanted = library.unknown(name for entry in entries for name in entry.media)
        found = await lookups.media_assets(self.clients, self.workspace_id, file_names=wanted)
        library.learn(wanted, [(asset.file_name, asset.media_asset_id) for asset in found])

    async def _check(self, rows: Sequence[Row]) -> None:
        """What the platforms and the library say of rows, and which of them may be saved."""
        plans = [self._plan(row) for row in rows]
        for row, checked in zip(rows, await self.checker.check(plans), strict=True):
            for each in checked.problems:
                problem = Problem(_column(each.field), each.reason, each.message)
                (row.problems if each.blocking else row.warnings).append(problem)
            if not row.problems:
                row.checked = checked

    def _plan(self, row: Row) -> Plan:
        return Plan(
            [account.account_id for account in row.draft.accounts],
            row.entry.text,
            row.draft.media,
            self._chosen(row.entry.tiktok)[0],
            row.entry.instant,
        )

    def _chosen(self, choices: TikTokChoices) -> tuple[PostOptions, scheduler_pb2.PostOptions]:
        """The author's choices: the row's, else those of the whole import. Most rows make the same."""
        known = self._options.get(choices)
        if known is None:
            own = {name: value for name, value in asdict(choices).items() if value is not None}
            base = self.options.tiktok
            if base is not None:
                made: TikTokOptions | None = base.model_copy(update=own)
            else:
                # Without a privacy level nothing was chosen: the platform's check says so.
                is_chosen = "privacy_level" in own or own.get("post_mode") == "MEDIA_UPLOAD"
                made = TikTokOptions(**own) if is_chosen else None
            options = PostOptions(tiktok=made)
            known = self._options[choices] = (options, options.to_proto())
        return known

    def _fill(self, message: bulk_pb2.ImportRow, draft: Draft, checked: Checked) -> None:
        entry, post = draft.entry, message.post
        message.key = draft.key
        post.channel = entry.channel
        post.account_ids.extend([account.account_id for account in draft.accounts])
        post.caption = entry.text
        post.media.extend(checked.media_to_proto())
        post.local_time = entry.local_time
        post.time_zone = entry.time_zone
        post.ambiguous_time = _AMBIGUOUS[entry.ambiguous_time]
        post.options.CopyFrom(self._chosen(entry.tiktok)[1])
        post.ref = entry.ref
        post.platforms.extend(checked.platforms)
        if self.options.lateness:
            post.lateness.CopyFrom(self.options.lateness.to_proto())
        post.shingles.extend(checked.shingles)
        post.accept_conflicts = self.options.accept_conflicts


_AMBIGUOUS = {
    "": scheduler_pb2.AMBIGUOUS_TIME_UNSPECIFIED,
    "EARLIER": scheduler_pb2.AMBIGUOUS_TIME_EARLIER,
    "LATER": scheduler_pb2.AMBIGUOUS_TIME_LATER,
}


async def begin(
    clients: Clients, workspace_id: str, file: IO[bytes], options: ImportOptions, *, now: datetime
) -> Import:
    """An import whose file can be read. Raises CalendarUnreadable."""
    read = ReadOptions(
        format=options.format or "",
        columns=options.columns,
        account=options.account,
        time_zone=options.time_zone,
        channel=options.channel,
        encoding=options.encoding,
        delimiter=options.delimiter,
        date_order=options.date_order or "",
        ambiguous_time=options.ambiguous_time or "",
        sheet=options.sheet,
        include_hidden=options.include_hidden,
    )
    try:
        calendar = await asyncio.to_thread(reading.read, file, read, now=now)
    except NotACalendar as found:
        raise CalendarUnreadable.because(found) from None
    # A calendar has no columns for a product link: of two accounts with one handle the creator's is not meant.
    known = sorted(
        await lookups.accounts(clients, workspace_id),
        key=lambda each: each.platform != publisher_pb2.PLATFORM_TIKTOK_SHOP,
    )
    resolver = Resolver(
        {each.handle.removeprefix("@").casefold(): Account(each.account_id) for each in known},
        options.media,
        None if options.skus is None else frozenset(options.skus),
        declared=[(channel, handle.casefold()) for handle, channel in options.channels_of_accounts.items()],
    )
    return Import(clients, workspace_id, options, calendar, resolver, Checker(clients, workspace_id))


async def _next(sent: asyncio.Queue[list[Row] | None], sending: asyncio.Task[None]) -> list[Row] | None:
    """The next chunk that was sent; raises what made the sending of it fail."""
    waiting = asyncio.ensure_future(sent.get())
    await asyncio.wait((waiting, sending), return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done() and sent.empty():
        waiting.cancel()
        try:
            sending.result()
        except NotACalendar as found:
            raise CalendarUnreadable.because(found) from None
    return await waiting


def _shown(row: Row, result: bulk_pb2.ImportResult | None) -> dict[str, Any]:
    entry = row.entry
    problems = [_problem(each) for each in row.problems]
    shown: dict[str, Any] = {
        "line": entry.line,
        "ref": entry.ref,
        "outcome": "REFUSED",
        "post_id": None,
        "schedule_time": None,
        "changes": [],
        "problems": problems,
        "warnings": [_problem(each) for each in row.warnings],
        "conflicts": [],
    }
    if result is None:
        return shown
    shown["outcome"] = _OUTCOME[result.outcome]
    if result.HasField("refusal"):
        problems += _refused(result.refusal)
        return shown
    shown["post_id"] = result.post_id or None
    shown["schedule_time"] = instant_of(result, "schedule_time")
    shown["changes"] = [FieldChange.of(each) for each in result.changes]
    shown["conflicts"] = [Conflict.of(each) for each in result.conflicts]
    return shown


def _problem(problem: Problem) -> dict[str, str]:
    return {"field": problem.field, "reason": problem.reason.upper(), "message": problem.message}


def _refused(refused: scheduler_pb2.DraftRefusal) -> list[dict[str, str]]:
    return [
        {
            "field": _column(in_rest_words(each.field)),
            "reason": _REASONS.get(refused.reason, refused.reason),
            "message": each.description,
        }
        for each in refused.field_violations
    ] or [{"field": "*", "reason": refused.reason, "message": refused.message}]


def _column(path: str) -> str:
    """A field of a post as the calendar calls it."""
    name = path.partition("[")[0].removeprefix("options.tiktok.")
    return _COLUMNS.get(name, name)
