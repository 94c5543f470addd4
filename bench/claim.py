"""How long a claim takes while 10 thousand, 1 million and 10 million deliveries wait and as many are over.

On a durable PostgreSQL of its own, each size is filled with future deliveries of 200 workspaces and 20,000 accounts,
some that are due, and as many finished ones. Then the scheduler's own claim is called, in batches of 100. What it
handed out is reported as published, and as much becomes due anew, so that rows come and go as they do in life.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg2
import psycopg2.extensions

from bench import harness
from bench.harness import BenchmarkFailed
from deploy.local.stack import service_url
from kit import migrations
from kit.db import ALL_WORKSPACES, Database
from services.scheduler import dispatch, dispatch_store
from services.scheduler.dispatch_store import Publication
from services.scheduler.domain import Claimed, Policy, Visibility

_BATCH = 100
_DUE = 500
_WARM_UP = 20
_PER_POST = 10
_CHUNK = 100_000

# A post for ten deliveries: a text to ten accounts. Ids grow with time, as those that the services make.
_POSTS = """
INSERT INTO scheduler.posts (post_id, workspace_id, channel, caption, media, local_time, time_zone, fold,
    schedule_time, options, ref)
SELECT lpad(to_hex(n), 32, '0')::uuid, md5('workspace' || n %% 200)::uuid, 'air', repeat('x', 200), '[]',
    now()::timestamp, 'UTC', 0, now(), '{}', ''
FROM generate_series(%(first)s, %(last)s) AS n
"""
# The first delivery of each of the first posts is due; all others lie up to three months ahead.
_WAITING = """
INSERT INTO scheduler.deliveries (delivery_id, workspace_id, post_id, account_id, platform, channel, state,
    schedule_time, due_time)
SELECT uuidv7(), md5('workspace' || n %% 200)::uuid, lpad(to_hex(n), 32, '0')::uuid,
    md5('account' || n %% 2000 || '/' || k)::uuid, 'TIKTOK', 'air', 'SCHEDULED', at, at
FROM generate_series(%(first)s, %(last)s) AS n, generate_series(1, %(each)s) AS k,
    LATERAL (SELECT CASE WHEN k = 1 AND n <= %(due)s THEN now() - interval '1 minute' + n * interval '1 microsecond'
        ELSE now() + interval '1 day' + random() * interval '90 days' END AS at) AS instant
"""
_OVER = """
INSERT INTO scheduler.finished_deliveries (delivery_id, workspace_id, post_id, account_id, platform, state,
    schedule_time, due_time, attempt, failed_attempts, platform_post_id, url, visibility, publish_time)
SELECT uuidv7(), md5('workspace' || n %% 200)::uuid, lpad(to_hex(n), 32, 'f')::uuid,
    md5('account' || n %% 2000 || '/' || k)::uuid, 'TIKTOK', 'PUBLISHED', at, at, 1, 0, n::text,
    'https://example.com/' || n, 'PUBLIC', at
FROM generate_series(%(first)s, %(last)s) AS n, generate_series(1, %(each)s) AS k,
    LATERAL (SELECT now() - random() * interval '365 days' AS at) AS instant
"""


def run(sizes: Sequence[int], claims: int) -> dict[str, Any]:
    """Prints a table and writes claim.json."""
    rows = [measure(size, claims) for size in sizes]
    harness.table(f"claim of {_BATCH} deliveries, {claims} times", rows, ["waiting", "p50_ms", "p95_ms", "p99_ms"])
    ratio = round(rows[-1]["p50_ms"] / rows[0]["p50_ms"], 2)
    print(f"  p50 at {sizes[-1]:,} : {sizes[0]:,} = {ratio}")
    results = {"rows": rows, "ratio": ratio}
    harness.write("claim", results)
    return results


def measure(waiting: int, claims: int) -> dict[str, Any]:
    """Fills a fresh server and claims from it; times in milliseconds."""
    with (
        harness.folder() as folder,
        harness.server(folder) as postgres,
        contextlib.closing(psycopg2.connect(postgres.admin_url)) as connection,
    ):
        url = service_url(postgres.admin_url, "scheduler", "bench")
        migrations.prepare("scheduler", postgres.admin_url, url)
        connection.autocommit = True
        cursor = connection.cursor()
        posts = _fill(cursor, waiting)
        database, turns, times = Database(url, "scheduler"), dispatch.Turns(), []
        try:
            for number in range(_WARM_UP + claims):
                times.append(_claim(database, turns))
                first = posts + 1 + number * _BATCH
                span = {"first": first, "last": first + _BATCH - 1, "each": 1, "due": first + _BATCH}
                cursor.execute(_POSTS, span)
                cursor.execute(_WAITING, span)
        finally:
            database.close()
    return {"waiting": waiting, "claims": claims, **harness.percentiles(times[_WARM_UP:])}


def _fill(cursor: psycopg2.extensions.cursor, waiting: int) -> int:
    """Returns how many posts there are."""
    posts, chunk = waiting // _PER_POST, _CHUNK // _PER_POST
    # What is measured is committed durably; what is only filled in need not wait for the disk.
    cursor.execute("SET synchronous_commit = off")
    for first in range(1, posts + 1, chunk):
        span = {"first": first, "last": min(first + chunk - 1, posts), "each": _PER_POST, "due": _DUE}
        for statement in (_POSTS, _WAITING, _OVER):
            cursor.execute(statement, span)
    cursor.execute("SET synchronous_commit = on")
    cursor.execute("VACUUM (ANALYZE) scheduler.posts, scheduler.deliveries, scheduler.finished_deliveries")
    cursor.execute("CHECKPOINT")
    return posts


def _claim(database: Database, turns: dispatch.Turns) -> float:
    started = time.perf_counter()
    with database.transaction(ALL_WORKSPACES) as tx:
        claimed = dispatch.claim(tx, Policy(), turns, holder="bench", batch=_BATCH, lease_seconds=600, lead_seconds=0)
    milliseconds = (time.perf_counter() - started) * 1000
    if len(claimed) != _BATCH:
        raise BenchmarkFailed(f"{len(claimed)} deliveries were handed out, {_BATCH} were expected")
    with database.transaction(ALL_WORKSPACES) as tx:
        dispatch_store.publish(tx, [_published(each) for each in claimed])
    return milliseconds


def _published(each: Claimed) -> Publication:
    return Publication(
        each.delivery_id,
        each.workspace_id,
        each.attempt,
        "1",
        "https://example.com/1",
        Visibility.PUBLIC,
        datetime.now(UTC),
    )
