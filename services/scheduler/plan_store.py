"""SQL of posting plans, rules about duplicates, and the posts that a new one is compared with. The caller owns the
transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID

from sqlalchemy import Connection, RowMapping, bindparam, delete, select, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.paging import Page
from services.scheduler.domain import Media
from services.scheduler.duplicates import Compared, DuplicateAction, DuplicateRule, Rules, Wanted, plain
from services.scheduler.planning import Blackout, PostingPlan, QuietHours, Slot
from services.scheduler.store import media_of
from services.scheduler.tables import duplicate_rules, posting_plans, posts

# Advisory lock, beside the workspace: shared by those who save posts, exclusive while a rule is set. So nobody saves
# by rules that no longer are, while another is already judged by the new ones and does not see the first one's post.
_SAVING = 7_216_502
_TIMES = ARRAY(TIMESTAMP(timezone=True))
Span = tuple[datetime, datetime]


def keep_rules(tx: Connection, workspace_id: UUID) -> None:
    """Until this transaction ends no rule of the workspace changes; waits for those who are changing one."""
    _lock(tx, "pg_advisory_xact_lock_shared", workspace_id)


def change_rules(tx: Connection, workspace_id: UUID) -> None:
    """Waits until nobody saves posts of the workspace; until this transaction ends nobody begins to."""
    _lock(tx, "pg_advisory_xact_lock", workspace_id)


def _lock(tx: Connection, function: str, workspace_id: UUID) -> None:
    tx.execute(text(f"SELECT {function}(:key, hashtext(:id))"), {"key": _SAVING, "id": str(workspace_id)})


def read_plans(tx: Connection, workspace_id: UUID, channels: Sequence[str]) -> dict[str, PostingPlan]:
    """The plans of channels, of those that have one."""
    rows = tx.execute(
        select(posting_plans).where(
            posting_plans.c.workspace_id == workspace_id, posting_plans.c.channel.in_(set(channels))
        )
    ).mappings()
    return {row["channel"]: _plan(row) for row in rows}


def lock_plans(tx: Connection, workspace_id: UUID, channels: Sequence[str]) -> None:
    """Until this transaction ends nobody else saves by these plans. Always in the same order, so that two who need
    several do not wait for each other.
    """
    tx.execute(
        select(posting_plans.c.channel)
        .where(posting_plans.c.workspace_id == workspace_id, posting_plans.c.channel.in_(set(channels)))
        .order_by(posting_plans.c.channel)
        .with_for_update()
    )


def set_plan(tx: Connection, workspace_id: UUID, plan: PostingPlan) -> None:
    """Replaces the plan of a channel."""
    values = {
        "time_zone": plan.time_zone,
        "slots": [[slot.weekday, slot.local_time.isoformat()] for slot in plan.slots],
        "quiet_hours": [
            [sorted(each.weekdays), each.start.isoformat(), each.end.isoformat()] for each in plan.quiet_hours
        ],
        "blackouts": [[each.first.isoformat(), each.last.isoformat(), each.reason] for each in plan.blackouts],
        "min_gap_seconds": int(plan.min_gap.total_seconds()),
        "daily_cap": plan.daily_cap,
        "requires_approval": plan.requires_approval,
    }
    tx.execute(
        upsert(posting_plans)
        .values(workspace_id=workspace_id, channel=plan.channel, **values)
        .on_conflict_do_update(constraint="posting_plans_pkey", set_=values)
    )


def list_plans(tx: Connection, workspace_id: UUID, page: Page) -> list[PostingPlan]:
    """The plans of a workspace by channel; one more than the page holds when there is a next page."""
    query = select(posting_plans).where(posting_plans.c.workspace_id == workspace_id)
    if page.after:
        query = query.where(posting_plans.c.channel > page.after[0])
    rows = tx.execute(query.order_by(posting_plans.c.channel).limit(page.size + 1)).mappings()
    return [_plan(row) for row in rows]


def delete_plan(tx: Connection, workspace_id: UUID, channel: str) -> None:
    """Takes a plan away."""
    tx.execute(
        delete(posting_plans).where(posting_plans.c.workspace_id == workspace_id, posting_plans.c.channel == channel)
    )


def take_rules(tx: Connection, workspace_id: UUID, channels: Iterable[str]) -> Rules:
    """The rules about duplicates of a workspace, by pair. Where one refuses posts of these channels, nobody else saves
    by it until this transaction ends.
    """
    rows = tx.execute(select(duplicate_rules).where(duplicate_rules.c.workspace_id == workspace_id)).mappings()
    rules = {(row["channel"], row["other_channel"]): _rule(row) for row in rows}
    concerned = {"", *channels}
    refusing = [
        pair for pair, rule in rules.items() if rule.action is DuplicateAction.REFUSE and not concerned.isdisjoint(pair)
    ]
    if refusing:
        mine = (duplicate_rules.c.channel, duplicate_rules.c.other_channel)
        tx.execute(
            select(*mine)
            .where(duplicate_rules.c.workspace_id == workspace_id, tuple_(*mine).in_(refusing))
            .order_by(*mine)
            .with_for_update()
        )
    return rules


def set_rule(tx: Connection, workspace_id: UUID, rule: DuplicateRule) -> None:
    """Replaces the rule of a pair."""
    values = {"action": rule.action.value, "window_seconds": int(rule.window.total_seconds())}
    tx.execute(
        upsert(duplicate_rules)
        .values(workspace_id=workspace_id, channel=rule.channel, other_channel=rule.other_channel, **values)
        .on_conflict_do_update(constraint="duplicate_rules_pkey", set_=values)
    )


def list_rules(tx: Connection, workspace_id: UUID, page: Page) -> list[DuplicateRule]:
    """The rules of a workspace by pair; one more than the page holds when there is a next page."""
    key = (duplicate_rules.c.channel, duplicate_rules.c.other_channel)
    query = select(duplicate_rules).where(duplicate_rules.c.workspace_id == workspace_id)
    if page.after:
        query = query.where(tuple_(*key) > tuple_(*page.after))
    return [_rule(row) for row in tx.execute(query.order_by(*key).limit(page.size + 1)).mappings()]


def delete_rule(tx: Connection, workspace_id: UUID, channel: str, other_channel: str) -> None:
    """Takes the rule of a pair away."""
    tx.execute(
        delete(duplicate_rules).where(
            duplicate_rules.c.workspace_id == workspace_id,
            duplicate_rules.c.channel == channel,
            duplicate_rules.c.other_channel == other_channel,
        )
    )


_ROWS_AT_ONCE = 1000
# What still goes out, or is out. Single probes of an index: the planner is not to hash ten million deliveries instead.
_LIVES = """COALESCE(
    (SELECT true FROM deliveries d WHERE d.post_id = p.post_id LIMIT 1),
    (SELECT true FROM finished_deliveries f WHERE f.post_id = p.post_id AND f.state IN ('PUBLISHED','REMOVED') LIMIT 1),
    false)"""
# One look into the index for each span. OFFSET 0 keeps the planner from joining spans with the whole workspace instead.
_AROUND = """unnest(CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[])) AS span(begins, ends)
CROSS JOIN LATERAL (
    SELECT * FROM posts
    WHERE workspace_id = :workspace_id AND schedule_time BETWEEN span.begins AND span.ends OFFSET 0) AS p"""
_IN_CHANNELS = text(
    f"""
SELECT p.channel, p.schedule_time, p.post_id
FROM {_AROUND}
WHERE p.channel = ANY(:channels) AND {_LIVES}
"""  # noqa: S608 - our own fragments
).bindparams(bindparam("begins", type_=_TIMES), bindparam("ends", type_=_TIMES))
_TO_COMPARE = text(
    f"""
SELECT p.post_id, p.channel, CAST(EXTRACT(EPOCH FROM p.schedule_time) AS bigint), p.caption, p.shingles,
    CAST(p.media AS text)
FROM {_AROUND}
WHERE p.channel <> ALL(:but) AND {_LIVES}
"""  # noqa: S608 - our own fragments
).bindparams(bindparam("begins", type_=_TIMES), bindparam("ends", type_=_TIMES))


def posts_in_channels(
    tx: Connection, workspace_id: UUID, channels: Sequence[str], spans: Sequence[Span]
) -> dict[str, list[tuple[datetime, UUID]]]:
    """When posts of channels go out or went out within the spans, and their ids; by channel."""
    found: dict[str, list[tuple[datetime, UUID]]] = {}
    values = {"workspace_id": workspace_id, "channels": list(channels), **_ends_of(spans)}
    for channel, instant, post_id in tx.execute(_IN_CHANNELS, values):
        found.setdefault(channel, []).append((instant, post_id))
    return found


def posts_to_compare(
    tx: Connection, workspace_id: UUID, but: Sequence[str], spans: Sequence[Span], judged: Sequence[Compared]
) -> list[Compared]:
    """Posts that go out or went out within the spans, but of these channels, that may be duplicates of those that are
    judged.
    """
    wanted: Wanted | None = None
    files: dict[str, tuple[tuple[Media, ...], bool]] = {}

    def read(written: str, wanted: Wanted) -> tuple[tuple[Media, ...], bool]:
        # The same files come again and again.
        if written not in files:
            media = media_of(json.loads(written))
            files[written] = media, any(map(wanted.has_file, media))
        return files[written]

    found = []
    values = {"workspace_id": workspace_id, "but": list(but), **_ends_of(spans)}
    # Few are wanted of perhaps many: they pass by, and are not all held at once.
    rows = tx.execute(_TO_COMPARE, values, execution_options={"yield_per": _ROWS_AT_ONCE})
    for post_id, channel, at, caption, shingles, written in rows:
        wanted = wanted or Wanted(judged)
        text_, (media, is_wanted) = plain(caption), read(written, wanted)
        if is_wanted or wanted.has_text(text_, shingles):
            found.append(Compared(post_id, channel, at, text_, shingles, media))
    return found


def read_compared(
    tx: Connection, workspace_id: UUID, post_ids: Sequence[UUID]
) -> dict[UUID, tuple[datetime, Compared]]:
    """What is compared of posts as they are now, and when they go out."""
    mine = posts.c
    rows = tx.execute(
        select(mine.post_id, mine.channel, mine.schedule_time, mine.caption, mine.shingles, mine.media).where(
            mine.workspace_id == workspace_id, mine.post_id.in_(post_ids)
        )
    )
    return {
        post_id: (
            instant,
            Compared(post_id, channel, int(instant.timestamp()), plain(caption), tuple(shingles), media_of(media)),
        )
        for post_id, channel, instant, caption, shingles, media in rows
    }


def _ends_of(spans: Sequence[Span]) -> dict[str, list[datetime]]:
    return {"begins": [begin for begin, _ in spans], "ends": [end for _, end in spans]}


def _plan(row: RowMapping) -> PostingPlan:
    return PostingPlan(
        channel=row["channel"],
        time_zone=row["time_zone"],
        slots=tuple(Slot(weekday, time.fromisoformat(at)) for weekday, at in row["slots"]),
        quiet_hours=tuple(
            QuietHours(frozenset(weekdays), time.fromisoformat(start), time.fromisoformat(end))
            for weekdays, start, end in row["quiet_hours"]
        ),
        min_gap=timedelta(seconds=row["min_gap_seconds"]),
        daily_cap=row["daily_cap"],
        blackouts=tuple(
            Blackout(date.fromisoformat(first), date.fromisoformat(last), reason)
            for first, last, reason in row["blackouts"]
        ),
        requires_approval=row["requires_approval"],
    )


def _rule(row: RowMapping) -> DuplicateRule:
    return DuplicateRule(
        row["channel"],
        row["other_channel"],
        DuplicateAction(row["action"]),
        timedelta(seconds=row["window_seconds"]),
    )
