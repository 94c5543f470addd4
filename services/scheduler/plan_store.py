"""SQL of posting plans, of rules about duplicates, and of the posts that a new one is compared with.

The caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.paging import Page
from services.scheduler.domain import Media
from services.scheduler.duplicates import DuplicateAction, DuplicateRule
from services.scheduler.planning import Blackout, PostingPlan, QuietHours, Slot
from services.scheduler.store import media_of
from services.scheduler.tables import duplicate_rules, posting_plans


def set_plan(tx: Connection, workspace_id: UUID, plan: PostingPlan) -> None:
    """Saves a plan as a whole; waits for those who are saving posts by it."""
    values = {
        "time_zone": plan.time_zone,
        "slots": [{"weekday": slot.weekday, "local_time": slot.local_time.isoformat()} for slot in plan.slots],
        "quiet_hours": [
            {
                "weekdays": sorted(each.weekdays),
                "start": each.start.isoformat("minutes"),
                "end": each.end.isoformat("minutes"),
            }
            for each in plan.quiet_hours
        ],
        "blackouts": [
            {"first": each.first.isoformat(), "last": each.last.isoformat(), "reason": each.reason}
            for each in plan.blackouts
        ],
        "min_gap_seconds": int(plan.min_gap.total_seconds()),
        "daily_cap": plan.daily_cap,
        "requires_approval": plan.requires_approval,
    }
    tx.execute(
        upsert(posting_plans)
        .values(workspace_id=workspace_id, channel=plan.channel, **values)
        .on_conflict_do_update(constraint="posting_plans_pkey", set_=values)
    )


def delete_plan(tx: Connection, workspace_id: UUID, channel: str) -> None:
    """Takes a plan away, if there is one."""
    tx.execute(
        delete(posting_plans).where(posting_plans.c.workspace_id == workspace_id, posting_plans.c.channel == channel)
    )


def read_plans(tx: Connection, workspace_id: UUID, channels: Iterable[str]) -> dict[str, PostingPlan]:
    """The plans of channels, and that of the workspace (""), by channel."""
    rows = tx.execute(
        select(posting_plans).where(
            posting_plans.c.workspace_id == workspace_id, posting_plans.c.channel.in_({"", *channels})
        )
    ).mappings()
    return {row["channel"]: _plan(row) for row in rows}


def lock_plans(tx: Connection, workspace_id: UUID, channels: Iterable[str]) -> dict[str, PostingPlan]:
    """As `read_plans`, and until the transaction ends nobody else saves posts by them: their gaps, caps and slots are
    kept by all together. A workspace without plans locks nothing.
    """
    plans = read_plans(tx, workspace_id, channels)
    if not plans:
        return {}
    # The workspace's plan is only for channels without their own; its blackouts need no lock.
    used = {channel if channel in plans else "" for channel in channels}.intersection(plans)
    rows = tx.execute(
        select(posting_plans)
        .where(posting_plans.c.workspace_id == workspace_id, posting_plans.c.channel.in_(used))
        # Always in the same order, so that no two wait for each other.
        .order_by(posting_plans.c.channel)
        .with_for_update()
    ).mappings()
    # As they are now that they are locked: one that was taken away meanwhile is gone.
    locked = {row["channel"]: _plan(row) for row in rows}
    return {name: locked.get(name, plan) for name, plan in plans.items() if name in locked or name not in used}


def list_plans(tx: Connection, workspace_id: UUID, page: Page) -> list[PostingPlan]:
    """Plans by channel; one more than the page holds when there is a next page."""
    query = select(posting_plans).where(posting_plans.c.workspace_id == workspace_id)
    if page.after:
        query = query.where(posting_plans.c.channel > page.after[0])
    rows = tx.execute(query.order_by(posting_plans.c.channel).limit(page.size + 1)).mappings()
    return [_plan(row) for row in rows]


def _plan(row: RowMapping) -> PostingPlan:
    return PostingPlan(
        channel=row["channel"],
        time_zone=row["time_zone"],
        slots=tuple(Slot(each["weekday"], time.fromisoformat(each["local_time"])) for each in row["slots"]),
        quiet_hours=tuple(
            QuietHours(frozenset(each["weekdays"]), time.fromisoformat(each["start"]), time.fromisoformat(each["end"]))
            for each in row["quiet_hours"]
        ),
        min_gap=timedelta(seconds=row["min_gap_seconds"]),
        daily_cap=row["daily_cap"],
        blackouts=tuple(
            Blackout(date.fromisoformat(each["first"]), date.fromisoformat(each["last"]), each["reason"])
            for each in row["blackouts"]
        ),
        requires_approval=row["requires_approval"],
    )


def set_rule(tx: Connection, workspace_id: UUID, rule: DuplicateRule) -> None:
    """Saves the rule of a pair, whose channels are in order."""
    values = {"action": rule.action.value, "window_seconds": int(rule.window.total_seconds())}
    tx.execute(
        upsert(duplicate_rules)
        .values(workspace_id=workspace_id, channel=rule.channel, other_channel=rule.other_channel, **values)
        .on_conflict_do_update(constraint="duplicate_rules_pkey", set_=values)
    )


def delete_rule(tx: Connection, workspace_id: UUID, pair: tuple[str, str]) -> None:
    """Takes the rule of a pair away, if there is one."""
    tx.execute(
        delete(duplicate_rules).where(
            duplicate_rules.c.workspace_id == workspace_id,
            tuple_(duplicate_rules.c.channel, duplicate_rules.c.other_channel) == tuple_(*pair),
        )
    )


def list_rules(tx: Connection, workspace_id: UUID, page: Page | None = None) -> list[DuplicateRule]:
    """The rules by pair: all of them, or one more than the page holds when there is a next page."""
    order = (duplicate_rules.c.channel, duplicate_rules.c.other_channel)
    query = select(duplicate_rules).where(duplicate_rules.c.workspace_id == workspace_id).order_by(*order)
    if page and page.after:
        query = query.where(tuple_(*order) > tuple_(*page.after))
    if page:
        query = query.limit(page.size + 1)
    return [
        DuplicateRule(
            row["channel"],
            row["other_channel"],
            DuplicateAction(row["action"]),
            timedelta(seconds=row["window_seconds"]),
        )
        for row in tx.execute(query).mappings()
    ]


@dataclass(frozen=True, slots=True)
class Near:
    """A post near the time of another."""

    post_id: UUID
    channel: str
    instant: datetime
    shingles: tuple[int, ...]
    media: tuple[Media, ...]


# Posts of which something goes out, or went out.
_NEAR = """
SELECT p.post_id, p.channel, p.schedule_time, p.shingles, p.media
FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS span(from_time, until_time)
JOIN posts p ON p.workspace_id = %s AND p.schedule_time BETWEEN span.from_time AND span.until_time
WHERE p.post_id <> ALL(%s::uuid[])
  AND (EXISTS (SELECT 1 FROM deliveries d WHERE d.post_id = p.post_id)
    OR EXISTS (SELECT 1 FROM finished_deliveries f WHERE f.post_id = p.post_id
               AND f.state IN ('PUBLISHED','REMOVED')))
"""


def posts_near(
    tx: Connection, workspace_id: UUID, spans: Sequence[tuple[datetime, datetime]], but: Iterable[UUID] = ()
) -> list[Near]:
    """The posts scheduled within spans that do not overlap."""
    if not spans:
        return []
    begins, ends = zip(*spans, strict=True)
    rows: Any = tx.exec_driver_sql(
        _NEAR, (list(begins), list(ends), str(workspace_id), [str(each) for each in but])
    ).mappings()
    return [
        Near(row["post_id"], row["channel"], row["schedule_time"], tuple(row["shingles"]), media_of(row["media"]))
        for row in rows
    ]
