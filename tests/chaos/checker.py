"""What must hold of every post, whatever broke meanwhile; read from the platform and from all ledgers.

doubled    the platform has it more than once
lost       it is over, or nobody works on it, and nobody is told
phantom    we say that it is out (or that it is not), and the platform says otherwise
disagrees  two of our records say different things of it
untold     what became of it was not told, or was told twice
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.chaos.installation import Installation, Planned

FINISHED = frozenset({"PUBLISHED", "REMOVED", "REJECTED", "FAILED", "CANCELED"})
_IN_WORK = frozenset({"SCHEDULED", "CLAIMED", "CONFIRMING", "UNCERTAIN"})
# What the feed says exactly once of a delivery in this state.
_TOLD = {
    "PUBLISHED": "delivery.published",
    "REJECTED": "delivery.rejected",
    "FAILED": "delivery.failed",
}
# A plan, and no retry.
_LONG = timedelta(minutes=1)

_DELIVERIES = """
SELECT delivery_id::text, state, attempt, due_time, lease_expire_time, hold_cause, needs_person, failure_reason,
       failure_message, platform_post_id, now() AS now
FROM scheduler.deliveries WHERE delivery_id = ANY(%(ids)s::uuid[])
UNION ALL
SELECT delivery_id::text, state, attempt, due_time, NULL, '', false, failure_reason, failure_message,
       platform_post_id, now()
FROM scheduler.finished_deliveries WHERE delivery_id = ANY(%(ids)s::uuid[])
"""
_PUBLICATIONS = """
SELECT delivery_id::text, publication_id::text, step, attempt, revision, handle, platform_post_id, needs_person
FROM publisher.publications WHERE delivery_id = ANY(%(ids)s::uuid[])
"""
_ATTEMPTS = """
SELECT p.delivery_id::text, a.attempt, a.outcome, a.end_time IS NOT NULL AS has_ended,
       count(e.entry_id) AS lines
FROM publisher.publications p JOIN publisher.attempts a USING (publication_id)
LEFT JOIN publisher.attempt_entries e ON e.publication_id = a.publication_id AND e.attempt = a.attempt
WHERE p.delivery_id = ANY(%(ids)s::uuid[]) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2
"""
_LINES = """
SELECT e.attempt, to_char(e.entry_time, 'HH24:MI:SS.MS') AS at, e.step, e.message
FROM publisher.attempt_entries e JOIN publisher.publications p USING (publication_id)
WHERE p.delivery_id = %(id)s::uuid ORDER BY e.entry_id
"""
_ACTIVITIES = """
SELECT post_id::text, type, count(*) AS times FROM notification.activities
WHERE post_id = ANY(%(ids)s::uuid[]) GROUP BY 1, 2
"""
_WAITING = """
SELECT (SELECT count(*) FROM scheduler.outbox WHERE refusal IS NULL)
     + (SELECT count(*) FROM publisher.outbox WHERE refusal IS NULL) AS waiting
"""
_REFUSED = """
SELECT 'scheduler' AS service, target, method, refusal FROM scheduler.outbox WHERE refusal IS NOT NULL
UNION ALL SELECT 'publisher', target, method, refusal FROM publisher.outbox WHERE refusal IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is known of a post."""

    planned: Planned
    delivery: Mapping[str, Any]
    publication: Mapping[str, Any] | None
    attempts: Sequence[Mapping[str, Any]]
    told: Mapping[str, int]
    effects: int

    @property
    def state(self) -> str:
        """The scheduler's word."""
        return str(self.delivery.get("state", "NOT THERE"))

    @property
    def is_settled(self) -> bool:
        """Whether nothing more happens to it without a person, or for a while."""
        if self.state == "HELD" and self.delivery["hold_cause"] == "INCIDENT":
            return False  # the platform is probed, and the hold lifted
        return self.state not in _IN_WORK or bool(self.delivery["needs_person"]) or self._waits_long

    @property
    def _waits_long(self) -> bool:
        return self.state == "SCHEDULED" and bool(self.delivery["due_time"] - self.delivery["now"] > _LONG)


def read(running: Installation, posts: Sequence[Planned]) -> list[Record]:
    """What is known of the posts now."""
    ids = {"ids": [post.delivery_id for post in posts]}
    deliveries = {row["delivery_id"]: row for row in running.rows(_DELIVERIES, **ids)}
    publications = {row["delivery_id"]: row for row in running.rows(_PUBLICATIONS, **ids)}
    attempts: dict[str, list[Mapping[str, Any]]] = {}
    for row in running.rows(_ATTEMPTS, **ids):
        attempts.setdefault(row["delivery_id"], []).append(row)
    told: dict[str, dict[str, int]] = {}
    for row in running.rows(_ACTIVITIES, ids=[post.post_id for post in posts]):
        told.setdefault(row["post_id"], {})[row["type"]] = row["times"]
    effects = running.effects()
    return [
        Record(
            post,
            deliveries.get(post.delivery_id, {}),
            publications.get(post.delivery_id),
            attempts.get(post.delivery_id, []),
            told.get(post.post_id, {}),
            effects.get(post.caption, 0),
        )
        for post in posts
    ]


def settle(running: Installation, posts: Sequence[Planned], seconds: float) -> list[Record]:
    """Waits until nothing more happens to the posts by itself, and all of it was told; then what is known of them.

    After so many seconds it returns what there is: `judge` says what is wrong with it.
    """
    deadline = time.monotonic() + seconds
    while True:
        records = read(running, posts)
        is_told = running.rows(_WAITING)[0]["waiting"] == 0
        if (is_told and all(each.is_settled for each in records)) or time.monotonic() > deadline:
            # Read again: between two of the reads above the last report may have come.
            return read(running, posts)
        time.sleep(0.25)


def judge(record: Record) -> list[str]:
    """What is wrong with a post that has settled; nothing, if all is well."""
    return [*_effects(record), *_progress(record), *_ledger(record), *_feed(record)]


def _effects(record: Record) -> list[str]:
    faults = []
    if record.effects > 1:
        faults.append(f"doubled: the platform has it {record.effects} times")
    match record.state:
        case "PUBLISHED" | "REMOVED" | "CONFIRMING" if record.effects == 0:
            faults.append(f"phantom: {record.state}, and the platform has nothing")
        case "FAILED" | "CANCELED" | "HELD" | "MISSED" | "SCHEDULED" if record.effects:
            faults.append(f"phantom: {record.state}, and the platform has it")
    return faults


def _progress(record: Record) -> list[str]:
    if not record.delivery:
        return ["lost: the scheduler does not know it"]
    if not record.is_settled:
        return [f"lost: it is {record.state} and does not move on"]
    if record.state in ("HELD", "MISSED") and not record.delivery["failure_message"]:
        return [f"lost: it is {record.state} and does not say why"]
    return []


def _ledger(record: Record) -> list[str]:
    publication = record.publication
    if publication is None:
        return ["disagrees: PUBLISHED without a publication"] if record.state == "PUBLISHED" else []
    faults = []
    steps = {
        "PUBLISHED": {"PUBLISHED"},
        "REMOVED": {"REMOVED"},
        "REJECTED": {"REJECTED"},
        "UNCERTAIN": {"UNCERTAIN"},
        "CONFIRMING": {"ACCEPTED"},
        # A failure or a cancel leaves the ledger where it stood, but never where something may be out.
        "FAILED": {"OPENED", "PREPARED", "HANDLE", "FAILED"},
        "CANCELED": {"OPENED", "PREPARED", "HANDLE", "FAILED"},
    }.get(record.state)
    if steps is not None and publication["step"] not in steps:
        faults.append(f"disagrees: {record.state}, and the ledger is at {publication['step']}")
    if publication["platform_post_id"] != record.delivery.get("platform_post_id") and record.state in FINISHED:
        faults.append("disagrees: two ids of the platform's post")
    if publication["attempt"] > record.delivery.get("attempt", 0):
        faults.append("disagrees: the ledger is ahead of the claims")
    if not record.attempts or any(each["lines"] == 0 for each in record.attempts):
        faults.append("disagrees: an attempt without a line")
    if publication["attempt"] != max((each["attempt"] for each in record.attempts), default=0):
        faults.append("disagrees: the publication's attempt has no row")
    if publication["needs_person"] != record.delivery.get("needs_person") and record.state == "UNCERTAIN":
        faults.append("disagrees: whether a person must look")
    return faults


def _feed(record: Record) -> list[str]:
    faults = []
    wanted = _TOLD.get(record.state)
    if wanted is not None and record.told.get(wanted, 0) != 1:
        faults.append(f"untold: {wanted} came {record.told.get(wanted, 0)} times")
    if record.told.get("post.created", 0) != 1:
        faults.append(f"untold: post.created came {record.told.get('post.created', 0)} times")
    if record.state != "PUBLISHED" and record.told.get("delivery.published", 0) and record.state != "REMOVED":
        faults.append(f"phantom: told as published, and it is {record.state}")
    return faults


def story(running: Installation, record: Record) -> str:
    """All that is known of a post, for whoever must find out."""
    lines = [
        f"post {record.planned.post_id}, due {record.planned.due:%H:%M:%S}, {record.effects} effects",
        f"  delivery {dict(record.delivery)}",
        f"  publication {record.publication}",
        f"  told {dict(record.told)}",
        *(f"  attempt {dict(each)}" for each in record.attempts),
    ]
    entries = running.rows(_LINES, id=record.planned.delivery_id)
    lines += [f"    {each['at']} {each['attempt']} {each['step']}: {each['message']}" for each in entries]
    return "\n".join(lines)


def refusals(running: Installation) -> list[str]:
    """Messages that were refused for good, but for those of attempts that came too late."""
    rows = running.rows(_REFUSED)
    return [
        f"untold: {row['service']} → {row['target']} {row['method']}: {row['refusal']}"
        for row in rows
        if not row["refusal"].startswith("LEASE_LOST")
    ]
