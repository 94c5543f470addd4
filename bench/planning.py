"""Planning many posts at once: an import of 100,000 rows, and the list of a month with 10,000 posts (lists.py).

The import goes through the public REST door, which takes a CSV file that is read, resolved, checked, fingerprinted and
saved; and through the scheduler's own RPC, which takes rows that are ready. Each is made twice; the second time nothing
differs. Beside them the limits: the same rows written straight into the same tables, as arrays and by COPY.
"""

from __future__ import annotations

import csv
import io
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg2.extensions
from reelroute.scheduler.v1 import bulk_pb2, bulk_pb2_grpc, scheduler_pb2

from bench import harness, lists
from bench.harness import BenchmarkFailed
from bench.whole import CLIPS, PATIENCE_SECONDS, PROCESSES, Installation, installation
from deploy.local import demo
from kit.db import array_literal, new_id
from services.content import shingles

_ROWS_PER_CHUNK = 2000
_DAYS = 700
_HASHTAGS = "#emberfold #gamecommunity #tabletop"
_POSTS = (
    "workspace_id, post_id, channel, caption, media, local_time, time_zone, fold, schedule_time, options, ref,"
    " import_key"
)
_POSTS_TYPES = (
    *("uuid", "uuid", "text", "text", "jsonb", "timestamp"),
    *("text", "smallint", "timestamptz", "jsonb", "text", "text"),
)
_DELIVERIES = "workspace_id, delivery_id, post_id, account_id, platform, channel, state, schedule_time, due_time"
_DELIVERIES_TYPES = (*["uuid"] * 4, *["text"] * 3, *["timestamptz"] * 2)


@dataclass(frozen=True)
class Planned:
    """A row of the calendar. `number` is also that of its clip."""

    number: int
    channel: str
    local_time: datetime
    caption: str
    sketch: list[int]

    @property
    def key(self) -> str:
        """What the sheet calls it."""
        return f"Q-{self.number:06}"


def run(rows: int, listed: int, beside: int, times: int) -> dict[str, Any]:
    """Prints the tables and writes planning.json."""
    results = {"imports": _imports(rows), "lists": lists.run(listed, beside, times)}
    harness.write("planning", results)
    return results


def _imports(rows: int) -> list[dict[str, Any]]:
    calendar, found = _calendar(rows), []
    with installation() as running:
        for way, write in (("limit: arrays", _write_arrays), ("limit: COPY", _write_copy)):
            found.append(_timed(running, way, rows, partial(_write, running, calendar, write)))
            _empty(running)
        for way, send in (("RPC", _send_by_rpc), ("REST", _send_by_rest)):
            found += [
                _timed(running, f"{way}: {outcome}", rows, partial(_import, running, calendar, send, outcome))
                for outcome in ("CREATED", "UNCHANGED")
            ]
            _empty(running)
    used = [*(f"us_{name}" for name in (*PROCESSES, "postgresql")), "mb_gateway", "mb_scheduler"]
    harness.table(
        f"import of {rows:,} rows; microseconds of CPU for each, memory in MB",
        found,
        ["through", "seconds", "per_second", *used],
    )
    return found


def _calendar(rows: int) -> list[Planned]:
    """Captions of their own over a brand's hashtags, channels in turn; a clip comes again after two days or more."""
    drawn = random.Random(1)
    words = ["".join(drawn.choices("aeiorstlnmpd", k=drawn.randint(2, 8))) for _ in range(2000)]
    start = datetime.now(UTC).replace(microsecond=0, tzinfo=None) + timedelta(days=1)
    found = []
    for number in range(rows):
        at = start + timedelta(minutes=_DAYS * 1440 * number // rows)
        caption = f"{' '.join(drawn.choices(words, k=20))} {_HASHTAGS}"
        found.append(Planned(number, demo.CHANNELS[number % 4], at, caption, shingles.sketch(caption)))
    return found


def _timed(running: Installation, way: str, rows: int, work: Callable[[], None]) -> dict[str, Any]:
    running.cursor.execute("CHECKPOINT")
    cost = running.cost()
    start = time.monotonic()
    work()
    seconds = time.monotonic() - start
    figures = cost.figures(rows)
    return {
        "through": way,
        "seconds": round(seconds, 2),
        "per_second": round(rows / seconds),
        **{f"us_{name}": round(spent * 1000) for name, spent in figures["cpu_ms_per_job"].items()},
        **{f"mb_{name}": used for name, used in figures["peak_rss_mb"].items()},
    }


def _empty(running: Installation) -> None:
    running.cursor.execute("TRUNCATE scheduler.posts, scheduler.deliveries, scheduler.outbox")
    running.cursor.execute("ANALYZE scheduler.posts, scheduler.deliveries")


def _import(
    running: Installation,
    calendar: Sequence[Planned],
    send: Callable[[Installation, Sequence[Planned]], Counter[str]],
    outcome: str,
) -> None:
    outcomes = send(running, calendar)
    running.cursor.execute("SELECT count(*) FROM scheduler.posts JOIN scheduler.deliveries USING (post_id)")
    saved = running.cursor.fetchone()
    if outcomes != {outcome: len(calendar)} or saved != (len(calendar),):
        raise BenchmarkFailed(f"{len(calendar)} rows were to be {outcome}: {dict(outcomes)}, and {saved} are saved")


def _send_by_rest(running: Installation, calendar: Sequence[Planned]) -> Counter[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["ref", "local_date", "local_time", "timezone", "channel", "account", "caption", "media"])
    for each in calendar:
        date, clock = each.local_time.isoformat().split("T")
        clip = running.clips[each.number % CLIPS][0]
        writer.writerow([each.key, date, clock, "UTC", each.channel, f"@emberfold.{each.channel}", each.caption, clip])
    parts: dict[str, tuple[str | None, str | bytes, str]] = {
        "options": (None, json.dumps({"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}}), "application/json"),
        "file": ("calendar.csv", text.getvalue().encode(), "text/csv"),
    }
    last = b""
    with running.api.stream("POST", "/v1/posts:import", files=parts) as answer:
        for piece in answer.iter_bytes():
            last = (last + piece)[-100_000:]
    summary = json.loads(last.splitlines()[-1]).get("summary")
    if summary is None:
        raise BenchmarkFailed(f"the import was not finished: {last[-1000:]!r}")
    return Counter({word.upper(): summary[word] for word in ("created", "unchanged", "refused") if summary[word]})


def _send_by_rpc(running: Installation, calendar: Sequence[Planned]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    stub = bulk_pb2_grpc.BulkServiceStub(running.scheduler)
    for answer in stub.ImportPosts(_requests(running, calendar), timeout=PATIENCE_SECONDS):
        outcomes.update(bulk_pb2.ImportOutcome.Name(each.outcome)[15:] for each in answer.results)
    return outcomes


def _requests(running: Installation, calendar: Sequence[Planned]) -> Iterator[bulk_pb2.ImportPostsRequest]:
    yield bulk_pb2.ImportPostsRequest(header=bulk_pb2.ImportHeader(workspace_id=running.workspace_id))
    for start in range(0, len(calendar), _ROWS_PER_CHUNK):
        rows = [_row(running, each) for each in calendar[start : start + _ROWS_PER_CHUNK]]
        yield bulk_pb2.ImportPostsRequest(chunk=bulk_pb2.ImportChunk(rows=rows))


def _row(running: Installation, planned: Planned) -> bulk_pb2.ImportRow:
    _, clip, sha256 = running.clips[planned.number % CLIPS]
    return bulk_pb2.ImportRow(
        key=planned.key,
        post=scheduler_pb2.PostDraft(
            channel=planned.channel,
            account_ids=[running.accounts[f"emberfold.{planned.channel}"]],
            platforms=["tiktok"],
            caption=planned.caption,
            media=[scheduler_pb2.PostMedia(media_asset_id=str(clip), sha256=sha256, mime_type="video/mp4")],
            local_time=planned.local_time.isoformat(),
            time_zone="UTC",
            options=scheduler_pb2.PostOptions(tiktok=scheduler_pb2.TikTokOptions(privacy_level="PUBLIC_TO_EVERYONE")),
            ref=planned.key,
            shingles=planned.sketch,
        ),
    )


Table = tuple[str, str, Sequence[str]]
_TABLES: tuple[Table, Table] = (
    ("posts", _POSTS, _POSTS_TYPES),
    ("deliveries", _DELIVERIES, _DELIVERIES_TYPES),
)


def _write(
    running: Installation,
    calendar: Sequence[Planned],
    write: Callable[[psycopg2.extensions.cursor, Table, list[tuple[str, ...]]], None],
) -> None:
    """In a transaction for each chunk, as an import does."""
    for start in range(0, len(calendar), _ROWS_PER_CHUNK):
        posts: list[tuple[str, ...]] = []
        deliveries: list[tuple[str, ...]] = []
        for each in calendar[start : start + _ROWS_PER_CHUNK]:
            post_id, at = str(new_id()), each.local_time.isoformat()
            clip, sha256 = running.clips[each.number % CLIPS][1:]
            media = f'[{{"media_asset_id": "{clip}", "sha256": "{sha256}", "mime_type": "video/mp4"}}]'
            options = '{"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}}'
            own = (each.channel, each.caption, media, at, "UTC", "0", f"{at}Z", options, each.key, each.key)
            posts.append((running.workspace_id, post_id, *own))
            account = running.accounts[f"emberfold.{each.channel}"]
            whose = (str(new_id()), post_id, account, "tiktok", each.channel, "SCHEDULED", f"{at}Z", f"{at}Z")
            deliveries.append((running.workspace_id, *whose))
        running.cursor.execute("BEGIN")
        for table, rows in zip(_TABLES, (posts, deliveries), strict=True):
            write(running.cursor, table, rows)
        running.cursor.execute("COMMIT")


def _write_arrays(cursor: psycopg2.extensions.cursor, table: Table, rows: list[tuple[str, ...]]) -> None:
    name, columns, types = table
    arrays = ", ".join(f"%s::{kind}[]" for kind in types)
    statement = f"INSERT INTO scheduler.{name} ({columns}) SELECT * FROM unnest({arrays})"
    cursor.execute(statement, [array_literal(column) for column in zip(*rows, strict=True)])


def _write_copy(cursor: psycopg2.extensions.cursor, table: Table, rows: list[tuple[str, ...]]) -> None:
    name, columns, _ = table
    lines = io.StringIO("".join("\t".join(row) + "\n" for row in rows))
    cursor.copy_expert(f"COPY scheduler.{name} ({columns}) FROM STDIN", lines)
