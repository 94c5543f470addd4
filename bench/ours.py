"""Reelroute at the same work: a scheduler, publishers and the notification service as processes on one PostgreSQL.

Posts are written straight into the scheduler's tables, as BatchCreatePosts would; everything from the claim on is the
product as it is deployed.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import psycopg2.extensions

from bench import harness, target
from bench.harness import BenchmarkFailed, Cost, Processes
from bench.target import Target
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from deploy.local.stack import rpc_ready, service_url
from kit import migrations
from kit.custody import TokenPair
from kit.db import ALL_WORKSPACES, Database, new_id
from kit.key_ring import KeyRing
from kit.vault import Vault
from services.publisher import account_store
from services.publisher.domain import Platform
from services.publisher.tables import data_keys

WORKSPACES = 20
ACCOUNTS = 200
_SERVICES = ("notification", "scheduler", "publisher")
_PASSWORD = "bench"
_READY_SECONDS = 60.0

# Job n goes to an account in turn, and is due at :first + n / :rate; all at once when the rate is 0.
_FILL = """
WITH account AS (
    SELECT account_id, workspace_id, row_number() OVER (ORDER BY account_id) - 1 AS number
    FROM publisher.accounts),
job AS (
    SELECT n, uuidv7() AS post_id, account_id, workspace_id, to_timestamp(
        %(first)s::float8 + CASE WHEN %(rate)s::float8 > 0 THEN n / %(rate)s::float8 ELSE 0 END) AS due
    FROM generate_series(0, %(jobs)s - 1) AS n JOIN account ON account.number = n %% %(accounts)s),
post AS (
    INSERT INTO scheduler.posts (post_id, workspace_id, channel, caption, media, local_time, time_zone, fold,
        schedule_time, options, ref)
    SELECT post_id, workspace_id, 'bench', 'job ' || n, '[]', due AT TIME ZONE 'UTC', 'UTC', 0, due, '{}', '' FROM job)
INSERT INTO scheduler.deliveries (delivery_id, workspace_id, post_id, account_id, platform, channel, state,
    schedule_time, due_time)
SELECT uuidv7(), workspace_id, post_id, account_id, 'bulletin', 'bench', 'SCHEDULED', due, due
FROM job ORDER BY n
"""
_RECORDED = """
SELECT (SELECT count(*) FROM publisher.publications WHERE step = 'PUBLISHED'),
    (SELECT count(*) FROM publisher.attempts WHERE outcome <> ''), (SELECT count(*) FROM publisher.attempt_entries)
"""


@dataclass(frozen=True)
class Installation:
    """A running installation, and a connection of the superuser that sees all of its tables."""

    processes: Processes
    postgres: EmbeddedPostgres
    platform: Target
    cursor: psycopg2.extensions.cursor

    def fill(self, jobs: int, first_due: float, per_second: float) -> None:
        """Puts jobs in, which lie there like those of days. Raises BenchmarkFailed when that took too long."""
        self.cursor.execute(_FILL, {"jobs": jobs, "first": first_due, "rate": per_second, "accounts": ACCOUNTS})
        self.cursor.execute("SELECT pg_notify('scheduler_due', '')")
        self.cursor.execute("VACUUM (ANALYZE) scheduler.deliveries, scheduler.posts")
        self.cursor.execute("CHECKPOINT")
        if time.time() > first_due:
            raise BenchmarkFailed("filling took longer than until the first due time")

    def finished(self) -> int:
        """How many deliveries are PUBLISHED."""
        self.cursor.execute("SELECT count(*) FROM scheduler.finished_deliveries WHERE state = 'PUBLISHED'")
        (count,) = self.cursor.fetchone() or (0,)
        return int(count)

    def is_told(self) -> bool:
        """Whether every outbox is empty: the notification service has heard of everything."""
        self.cursor.execute("SELECT EXISTS (SELECT FROM scheduler.outbox) OR EXISTS (SELECT FROM publisher.outbox)")
        return self.cursor.fetchone() == (False,)

    def check_recorded(self, jobs: int) -> int:
        """Every job has its publication and one ended attempt; returns the number of entries in attempt logs.

        Raises BenchmarkFailed.
        """
        self.cursor.execute(_RECORDED)
        publications, attempts, entries = self.cursor.fetchone() or (0, 0, 0)
        posts = [text for text, _ in self.platform.posts()]
        if not (publications == attempts == len(posts) == len(set(posts)) == jobs):
            raise BenchmarkFailed(
                f"{jobs} jobs: {publications} publications, {attempts} attempts, {len(posts)} posts of which"
                f" {len(posts) - len(set(posts))} twice"
            )
        return int(entries)


def drain(jobs: int, answer_seconds: float, publishers: int) -> dict[str, Any]:
    """Deliveries that are all due at one moment, until the scheduler has each as PUBLISHED."""
    # Peers have not looked at anything before the moment, so nor do we.
    with installation(publishers, answer_seconds, {"REELROUTE_LEAD_SECONDS": "0"}) as running:
        first_due = time.time() + 8 + jobs / 5000
        running.fill(jobs, first_due, 0)
        time.sleep(first_due - time.time())
        cost = Cost(running.processes.pids(), running.postgres.pid)
        seconds = harness.seconds_until(lambda: running.finished() == jobs, running.processes, 600)
        figures = cost.figures(jobs)
        told = harness.seconds_until(running.is_told, running.processes, 600)
        entries = running.check_recorded(jobs)
    return {
        "who": name(publishers),
        "publishers": publishers,
        "record": "attempt, steps, result",
        "jobs": jobs,
        "answer_ms": round(answer_seconds * 1000),
        "seconds": round(seconds, 2),
        "per_second": round(jobs / seconds),
        "told_after_seconds": round(seconds + told, 2),
        "entries_per_job": round(entries / jobs, 1),
        **figures,
    }


def lateness(jobs: int, per_second: float, publishers: int) -> dict[str, Any]:
    """How late deliveries at a steady rate reach the platform, milliseconds."""
    with installation(publishers, 0.0, {}) as running:
        first_due = time.time() + 30
        running.fill(jobs, first_due, per_second)
        limit = 30 + jobs / per_second + 120
        harness.seconds_until(lambda: running.finished() == jobs, running.processes, limit)
        running.check_recorded(jobs)
        posts = running.platform.posts()
    late = [(when - first_due - int(text.removeprefix("job ")) / per_second) * 1000 for text, when in posts]
    return {"who": name(publishers), "early": sum(each < 0 for each in late), **harness.percentiles(late)}


def name(publishers: int) -> str:
    """How a row of a table calls us."""
    return f"reelroute, 1 scheduler + {publishers} publisher{'s' if publishers > 1 else ''}"


@contextmanager
def installation(publishers: int, answer_seconds: float, environment: Mapping[str, str]) -> Iterator[Installation]:
    """The services on a fresh server, with accounts that are connected to a fresh platform."""
    with (
        harness.folder() as folder,
        harness.server(folder) as postgres,
        Processes(folder / "logs") as processes,
        contextlib.closing(psycopg2.connect(postgres.admin_url)) as connection,
    ):
        connection.autocommit = True
        platform = target.start(processes, answer_seconds)
        urls = {service: service_url(postgres.admin_url, service, _PASSWORD) for service in _SERVICES}
        for service, url in urls.items():
            migrations.prepare(service, postgres.admin_url, url)
        master_key = base64.b64encode(secrets.token_bytes(32)).decode()
        _connect_accounts(urls["publisher"], master_key, platform)
        ports = {service: free_port() for service in _SERVICES}
        common = {
            "REELROUTE_SERVICE_TOKEN": secrets.token_urlsafe(32),
            "REELROUTE_MASTER_KEY": master_key,
            "REELROUTE_BULLETIN_BASE_URL": platform.url,
            "REELROUTE_TIKTOK_CLIENT_KEY": "none",
            "REELROUTE_TIKTOK_CLIENT_SECRET": "none",
            **{f"REELROUTE_{service.upper()}_ADDRESS": f"127.0.0.1:{ports[service]}" for service in _SERVICES},
            **environment,
        }
        addresses = []
        for service in ["notification", "scheduler", *(f"publisher {number}" for number in range(publishers))]:
            kind = service.partition(" ")[0]
            address = f"127.0.0.1:{ports.pop(kind, 0) or free_port()}"
            addresses.append(address)
            own = {
                "REELROUTE_DATABASE_URL": urls[kind],
                "REELROUTE_LISTEN": address,
                "REELROUTE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            }
            processes.start(service, [sys.executable, "-m", f"services.{kind}"], {**common, **own})
        for address in addresses:
            ready = rpc_ready(address)
            harness.seconds_until(ready, processes, _READY_SECONDS)
        yield Installation(processes, postgres, platform, connection.cursor())


def _connect_accounts(url: str, master_key: str, platform: Target) -> None:
    workspaces = [new_id() for _ in range(WORKSPACES)]
    database, vault = Database(url, "publisher"), Vault(KeyRing(master_key), data_keys)
    try:
        with database.transaction(ALL_WORKSPACES) as tx:
            for number, (account, token) in enumerate(platform.accounts(ACCOUNTS).items()):
                account_store.save_account(
                    tx,
                    vault,
                    workspace_id=workspaces[number % WORKSPACES],
                    platform=Platform.BULLETIN,
                    platform_account_id=account,
                    handle=account,
                    display_name=account,
                    scopes=(),
                    tokens=TokenPair(token, datetime.now(UTC) + timedelta(days=3650), "", None),
                )
    finally:
        database.close()
