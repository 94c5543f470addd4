"""How long a claim takes while 10 thousand, 1 million and 10 million deliveries wait: `python -m bench.claim [ROWS…]`.

On a durable PostgreSQL of its own, each size is filled with future deliveries of 200 workspaces, and some that are due;
then batches of 100 are claimed with the scheduler's own query, and completed so that dead rows pile up as they do in
life. Prints the times and writes build/bench/claim.json. Nothing is asserted.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import create_engine, text

from deploy.local.postgres import EmbeddedPostgres
from kit import migrations
from kit.db import ALL_WORKSPACES, Database
from services.scheduler import store
from tests.services import login_url

SIZES = (10_000, 1_000_000, 10_000_000)
BATCH = 100
CLAIMS = 100
_DELIVERIES_PER_POST = 50
_OUTPUT = Path("build/bench/claim.json")

_POSTS = """
INSERT INTO scheduler.posts (post_id, workspace_id, channel, caption, media, local_time, time_zone, fold,
    schedule_time, options, ref)
SELECT md5('post' || n)::uuid, md5('workspace' || n % 200)::uuid, 'air', repeat('x', 200), '[]',
    now()::timestamp, 'UTC', 0, now(), '{}', ''
FROM generate_series(:first, :last) AS n
"""
# The last row of each post is due, until there are enough for the claims to be measured.
_DELIVERIES = """
INSERT INTO scheduler.deliveries (delivery_id, workspace_id, post_id, account_id, state, due_time)
SELECT gen_random_uuid(), md5('workspace' || n % 200)::uuid, md5('post' || n)::uuid, gen_random_uuid(), 'SCHEDULED',
    CASE WHEN k = 1 AND n <= :due THEN now() - interval '1 hour' + n * interval '1 millisecond'
         ELSE now() + interval '1 day' + random() * interval '90 days' END
FROM generate_series(:first, :last) AS n, generate_series(1, :each) AS k
"""
_COMPLETE = """
UPDATE deliveries SET state = 'PUBLISHED', lease_expire_time = NULL, visibility = 'PUBLIC', publish_time = now()
WHERE delivery_id = ANY(:ids)
"""


def measure(rows: int) -> dict[str, float]:
    """Fills a fresh server and claims from it; times in milliseconds."""
    folder = Path(tempfile.mkdtemp(prefix="reelroute-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "data") as postgres:
            url = login_url(postgres.admin_url, "scheduler")
            migrations.prepare("scheduler", postgres.admin_url, url)
            seconds = _fill(postgres.admin_url, rows)
            database = Database(url, "scheduler")
            times = [_claim(database) for _ in range(CLAIMS)]
            database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    times.sort()
    return {
        "rows": rows,
        "fill_seconds": round(seconds),
        "p50_ms": round(statistics.median(times), 2),
        "p95_ms": round(times[int(len(times) * 0.95)], 2),
        "max_ms": round(times[-1], 2),
    }


def _fill(admin_url: str, rows: int) -> float:
    started = time.monotonic()
    engine = create_engine(admin_url.replace("postgresql://", "postgresql+psycopg2://", 1))
    # Enough due rows for every claim, a warm-up and a remainder, whatever the size.
    due = BATCH * (CLAIMS + 10)
    each = 1 if rows <= due else _DELIVERIES_PER_POST
    posts = max(rows // each, due)
    with engine.begin() as connection:
        for first in range(1, posts + 1, 20_000):
            span = {"first": first, "last": min(first + 19_999, posts)}
            connection.execute(text(_POSTS), span)
            connection.execute(text(_DELIVERIES), {**span, "due": due, "each": each})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) scheduler.posts, scheduler.deliveries"))
        connection.execute(text("CHECKPOINT"))
    engine.dispose()
    return time.monotonic() - started


def _claim(database: Database) -> float:
    started = time.perf_counter()
    with database.transaction(ALL_WORKSPACES) as tx:
        claimed = store.claim(tx, holder="bench", batch=BATCH, lease_seconds=600, lead_seconds=0)
    milliseconds = (time.perf_counter() - started) * 1000
    if len(claimed) != BATCH:
        raise RuntimeError(f"{len(claimed)} deliveries were due, {BATCH} were expected")
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text(_COMPLETE), {"ids": [delivery.delivery_id for delivery in claimed]})
    return milliseconds


def main(sizes: list[int]) -> int:
    """Prints a line for each size."""
    results = []
    print(f"claim of {BATCH} deliveries while so many wait")
    print(f"  {'rows':>12}{'p50 ms':>10}{'p95 ms':>10}{'max ms':>10}{'filled in s':>13}")
    for rows in sizes:
        figures = measure(rows)
        results.append(figures)
        print(
            f"  {figures['rows']:>12,}{figures['p50_ms']:>10}{figures['p95_ms']:>10}{figures['max_ms']:>10}"
            f"{figures['fill_seconds']:>13}",
            flush=True,
        )
    _OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    _OUTPUT.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main([int(size) for size in sys.argv[1:]] or list(SIZES)))
