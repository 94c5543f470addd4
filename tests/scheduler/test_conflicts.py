"""Posts are judged before they are saved: one by one, many at once, when they are changed, and when others save too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Event
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from kit.db import Database
from services.scheduler import plan_store, saving, store
from services.scheduler.conflicts import ConflictRefused
from services.scheduler.domain import Draft, Media, NewPost, Schedule
from services.scheduler.duplicates import DuplicateAction, DuplicateRule, pair
from services.scheduler.planning import Blackout, PostingPlan
from services.scheduler.saving import Saved
from tests.local.support import wait_until
from tests.scheduler.stage import PUBLISHED, Stage, draft_of, refused

WORKSPACE = UUID(int=5)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# A noon of which the day before and the days after are free.
NOON = (datetime.now(UTC) + 3 * DAY).replace(hour=12, minute=0, second=0, microsecond=0)


def draft(at: datetime = NOON, channel: str = "air", **fields: Any) -> Draft:
    values: dict[str, Any] = {
        "account_ids": (uuid4(),),
        "caption": f"Words {uuid4()}",
        "media": (),
        "schedule": Schedule(at.replace(tzinfo=None), "UTC", 0, at),
        "options": {},
        "ref": "",
    }
    return Draft(channel=channel, **(values | fields))


def planned(database: Database, channel: str = "air", **fields: Any) -> None:
    with database.transaction(WORKSPACE) as tx:
        plan_store.change_rules(tx, WORKSPACE)
        plan_store.set_plan(tx, WORKSPACE, PostingPlan(channel, "UTC", **fields))


def ruled(database: Database, one: str, other: str, action: str, hours: int = 24) -> None:
    with database.transaction(WORKSPACE) as tx:
        plan_store.change_rules(tx, WORKSPACE)
        plan_store.set_rule(
            tx, WORKSPACE, DuplicateRule(*pair(one, other), DuplicateAction(action), timedelta(hours=hours))
        )


def save(database: Database, *drafts: Draft, workspace: UUID = WORKSPACE) -> list[str]:
    """What becomes of each: the rules that it breaks, "refused: " before those that refuse it."""
    with database.transaction(workspace) as tx:
        return [told(each) for each in saving.save(tx, workspace, [NewPost(each) for each in drafts])]


def told(result: Saved | ConflictRefused) -> str:
    if isinstance(result, ConflictRefused):
        return "refused: " + " ".join(each.reason for each in result.violations)
    return " ".join(each.rule.value for each in result.conflicts)


def saved(database: Database, *drafts: Draft) -> list[UUID]:
    with database.transaction(WORKSPACE) as tx:
        results = saving.save(tx, WORKSPACE, [NewPost(each) for each in drafts])
    assert all(isinstance(each, Saved) for each in results)
    return [each.post_id for each in results if isinstance(each, Saved)]


def change(database: Database, changes: dict[UUID, Draft]) -> list[str]:
    with database.transaction(WORKSPACE) as tx:
        posts = store.read_posts(tx, WORKSPACE, list(changes), lock=True)
        drafts = [(post, changes[post.post_id]) for post in posts]
        judged = saving.judge(tx, WORKSPACE, [each for _, each in drafts], instead_of=list(changes))
        foreseen = [saving.refusal(each) or Saved(WORKSPACE, each) for each in judged]
        results = [told(each) for each in saving.change(tx, WORKSPACE, drafts)]
    assert results == [told(each) for each in foreseen]
    return results


def moved(old: Draft, by: timedelta) -> Draft:
    at = old.schedule.instant + by
    return Draft(
        **{name: getattr(old, name) for name in Draft.__slots__}
        | {"schedule": Schedule(at.replace(tzinfo=None), "UTC", 0, at)}
    )


def test_each_of_many_is_judged_with_those_before_it(database: Database) -> None:
    planned(database, min_gap=HOUR)
    near, far = NOON + HOUR / 2, NOON + HOUR
    assert save(database, draft(NOON), draft(near), draft(far), draft(near, "water")) == [
        "", "refused: MIN_GAP", "", "",
    ]  # fmt: skip
    assert save(database, draft(near)) == ["refused: MIN_GAP"]
    assert save(database, draft(near), workspace=UUID(int=6)) == [""]


def test_a_refusal_names_every_rule_the_post_in_the_way_and_what_would_be_accepted(stage: Stage) -> None:
    workspace = UUID(int=5)
    planned(stage.database, min_gap=HOUR, daily_cap=1, blackouts=(Blackout(NOON.date(), NOON.date(), "Inventory"),))
    known = stage.create(draft_of(local_time=f"{NOON:%Y-%m-%dT%H:%M}", accept_conflicts=True), workspace=str(workspace))
    with refused() as refusals:
        stage.create(draft_of(local_time=f"{NOON:%Y-%m-%dT%H:30}"), workspace=str(workspace))
    (refusal,) = refusals
    assert (refusal.reason, refusal.metadata) == ("BLACKOUT", {"other_post_ids": known.post_id})
    assert [(each.field, each.reason) for each in refusal.violations] == [
        ("local_time", "BLACKOUT"), ("local_time", "MIN_GAP"), ("local_time", "DAILY_CAP"),
    ]  # fmt: skip
    assert f"{NOON.date() + DAY} on" in refusal.message


def test_what_will_not_go_out_is_in_nobodys_way_and_what_has_gone_out_is(stage: Stage) -> None:
    workspace = str(WORKSPACE)
    planned(stage.database, min_gap=HOUR)
    canceled = stage.create(draft_of(), workspace=workspace)
    stage.cancel(canceled)
    second = stage.create(draft_of(), workspace=workspace)
    stage.due_now()
    claimed = stage.claim_one()
    stage.report(claimed, PUBLISHED)
    with refused() as refusals:
        stage.create(draft_of(), workspace=workspace)
    assert refusals[0].metadata == {"other_post_ids": second.post_id}


def test_posts_that_move_together_make_room_for_each_other(database: Database) -> None:
    planned(database, min_gap=HOUR)
    drafts = [draft(NOON), draft(NOON + HOUR), draft(NOON + 2 * HOUR)]
    ids = saved(database, *drafts)
    later = {each: moved(old, HOUR) for each, old in zip(ids, drafts, strict=True)}
    assert change(database, later) == ["", "", ""]
    # Two exchange their places.
    first, second, _ = later.values()
    assert change(database, {ids[0]: moved(first, HOUR), ids[1]: moved(second, -HOUR)}) == ["", ""]


@pytest.mark.parametrize("count", [2, 3, 12])
def test_who_may_not_move_stays_and_is_in_the_way_of_those_behind(database: Database, count: int) -> None:
    drafts = [draft(NOON + index * HOUR) for index in range(count)]
    ids = saved(database, *drafts)
    planned(database, min_gap=HOUR)
    saved(database, draft(NOON + count * HOUR, caption="in the way"))
    later = {each: moved(old, HOUR) for each, old in zip(ids, drafts, strict=True)}
    assert change(database, later) == ["refused: MIN_GAP"] * count


def test_an_edit_is_judged_by_the_rules_about_what_it_changes(database: Database) -> None:
    media = (Media(str(uuid4()), "a" * 64, "image/png"),)
    before = draft(caption="Same words", media=media)
    (post,) = saved(database, before)
    saved(database, draft(NOON + HOUR, "water", caption="same words", media=media))
    planned(database, blackouts=(Blackout(NOON.date(), NOON.date(), ""),))

    def edited(**fields: Any) -> list[str]:
        values = {name: getattr(before, name) for name in Draft.__slots__}
        return change(database, {post: Draft(**values | fields)})

    assert edited(options={"tiktok": {"allow_duet": True}}) == [""]
    assert edited(caption="SAME  words") == [""]
    assert edited(media=(*media, *media)) == ["DUPLICATE_MEDIA DUPLICATE_MEDIA"]
    assert edited(schedule=moved(before, HOUR / 2).schedule) == ["refused: BLACKOUT"]
    assert edited(schedule=moved(before, HOUR / 2).schedule, accept_conflicts=True) == [
        "BLACKOUT DUPLICATE_CAPTION DUPLICATE_MEDIA"
    ]


def test_a_rule_that_refuses_copies_refuses_them_also_among_those_saved_together(database: Database) -> None:
    ruled(database, "air", "", "REFUSE")
    words: dict[str, Any] = {"caption": "Same words"}
    assert save(database, draft(**words), draft(NOON, "water", **words), draft(NOON, "earth", **words)) == [
        "", "refused: DUPLICATE_CAPTION", "refused: DUPLICATE_CAPTION",
    ]  # fmt: skip
    assert save(database, draft(NOON, "water", **words, accept_conflicts=True)) == ["DUPLICATE_CAPTION"]


def at_once(*calls: Any) -> list[Any]:
    """The results of calls that begin together."""
    barrier = Barrier(len(calls))

    def call(made: Any) -> Any:
        barrier.wait(10)
        return made()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result(30) for each in [pool.submit(call, made) for made in calls]]


def test_of_many_who_save_at_once_no_more_pass_than_a_rule_allows(database: Database) -> None:
    planned(database, daily_cap=3)
    capped = at_once(*(lambda n=n: save(database, draft(NOON + n * HOUR)) for n in range(8)))
    assert sorted(capped) == [[""]] * 3 + [["refused: DAILY_CAP"]] * 5
    planned(database, "", min_gap=HOUR)
    gap = at_once(*(lambda: save(database, draft(NOON, "water")) for _ in range(8)))
    assert sorted(gap) == [[""], *[["refused: MIN_GAP"]] * 7]


def test_of_many_who_save_the_same_at_once_one_passes_where_copies_are_refused(database: Database) -> None:
    ruled(database, "", "", "REFUSE")
    copies = at_once(*(lambda n=n: save(database, draft(NOON, f"other{n}", caption="Same")) for n in range(8)))
    assert sorted(copies) == [[""], *[["refused: DUPLICATE_CAPTION"]] * 7]


def test_those_who_save_into_the_same_channels_in_another_order_do_not_wait_for_each_other(database: Database) -> None:
    channels = ["air", "earth", "fire", "water"]
    for channel in channels:
        planned(database, channel, min_gap=timedelta(seconds=1))
    ruled(database, "air", "earth", "REFUSE")
    ruled(database, "fire", "water", "REFUSE")

    def many(order: int) -> list[str]:
        mine = channels[order % 4 :] + channels[: order % 4]
        mine = mine[::-1] if order % 2 else mine
        return [
            result
            for turn in range(5)
            for result in save(
                database,
                *(
                    draft(NOON + (order * 100 + turn * 10 + n) * timedelta(minutes=1), each)
                    for n, each in enumerate(mine)
                ),
            )
        ]

    assert at_once(*(lambda n=n: many(n) for n in range(8))) == [[""] * 20] * 8


def waits_for_a_lock(database: Database) -> bool:
    with database.transaction(WORKSPACE) as tx:
        mine = "SELECT oid FROM pg_database WHERE datname = current_database()"
        waiting = f"SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = ({mine})"
        return tx.execute(text(waiting)).first() is not None


def test_a_rule_is_set_between_those_who_save_and_never_in_the_midst_of_one(database: Database) -> None:
    judged, go_on = Event(), Event()

    def slow() -> None:
        with database.transaction(WORKSPACE) as tx:
            saving.save(tx, WORKSPACE, [NewPost(draft(NOON))])
            judged.set()
            assert go_on.wait(20)

    def plan_then_save() -> list[str]:
        assert judged.wait(20)
        planned(database, daily_cap=1)
        return save(database, draft(NOON + HOUR))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(slow), pool.submit(plan_then_save)
        assert judged.wait(20)
        # The plan waits for whoever saves without it, so that its first post is seen by whoever saves with it.
        wait_until(lambda: waits_for_a_lock(database), "the plan")
        assert not second.done()
        go_on.set()
        first.result(20)
        assert second.result(20) == ["refused: DAILY_CAP"]


def test_a_day_of_the_calendar_is_refused_whatever_comes_after_it(database: Database) -> None:
    planned(database, blackouts=(Blackout(date(2026, 1, 1), date.max, "Closed"),))
    assert save(database, draft()) == ["refused: BLACKOUT"]
