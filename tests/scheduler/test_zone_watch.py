"""What happens when the rules of a zone really change: its file in the search path of zoneinfo is replaced."""

from __future__ import annotations

import contextlib
import shutil
import threading
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from kit.db import ALL_WORKSPACES, Database
from services.scheduler import store, zones
from services.scheduler.domain import Draft, NewPost
from services.scheduler.zone_watch import ZoneWatch
from tests.chaos.wires import Wires, passes
from tests.scheduler.stage import OTHER, WORKSPACE, Cut, Stage, draft_of

ZONE = "America/Asuncion"
HOUR = timedelta(hours=1)
NOON = datetime.combine(datetime.now(UTC).date(), datetime.min.time()) + timedelta(days=3, hours=12)


class Rules:
    """The rules of a zone, which can be those of others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def become(self, like: str) -> None:
        """From now on the zone has the rules of another, for whoever reads its file."""
        target = self._folder / ZONE
        target.parent.mkdir(exist_ok=True)
        with resources.as_file(resources.files("tzdata") / "zoneinfo" / like) as source:
            shutil.copy(source, target.with_suffix(".new"))
        target.with_suffix(".new").replace(target)


@pytest.fixture
def rules(tmp_path: Path) -> Iterator[Rules]:
    """Three hours behind UTC at first."""
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(tmp_path), *before])
    made = Rules(tmp_path)
    made.become("Etc/GMT+3")
    zones.read_again()
    yield made
    zoneinfo.reset_tzpath(to=before)
    zones.read_again()


def round_(database: Database, *, batch: int = 2000) -> None:
    watch = ZoneWatch(database, batch=batch)
    while watch.run_once():
        pass


def plan(database: Database, count: int = 1, *, workspace: str = WORKSPACE, zone: str = ZONE) -> list[UUID]:
    news = [
        NewPost(Draft("air", (uuid4(), uuid4()), "", (), zones.schedule_at(NOON + HOUR * n, zone), {}, ""))
        for n in range(count)
    ]
    with database.transaction(UUID(workspace)) as tx:
        return store.insert_posts(tx, UUID(workspace), news)


def hours_from_utc(database: Database, post_ids: list[UUID]) -> set[float]:
    """Of posts and of their deliveries, by what is stored."""
    with database.transaction(ALL_WORKSPACES) as tx:
        rows = tx.execute(
            text(
                "SELECT p.local_time, p.schedule_time, d.schedule_time, d.due_time FROM posts p JOIN deliveries d"
                " ON d.post_id = p.post_id WHERE p.post_id = ANY(:ids)"
            ),
            {"ids": post_ids},
        ).all()
    return {(row[0].replace(tzinfo=UTC) - instant) / HOUR for row in rows for instant in row[1:]}


def told(stage: Stage) -> list[str]:
    return [each.summary for each in stage.activities() if each.type == "time_zone.changed"]


def test_posts_keep_their_wall_clock_time_when_the_rules_of_their_zone_change(stage: Stage, rules: Rules) -> None:
    posts, others = plan(stage.database, 3), plan(stage.database, zone="UTC")
    elsewhere = plan(stage.database, 2, workspace=OTHER)
    round_(stage.database)
    assert hours_from_utc(stage.database, posts) == {-3}
    assert told(stage) == []
    rules.become("Etc/GMT+4")
    round_(stage.database)
    assert hours_from_utc(stage.database, posts + elsewhere) == {-4}
    assert hours_from_utc(stage.database, others) == {0}
    text_ = "The rules of time zones changed. Posts keep their wall-clock times and go out: {} posts in {} 1 h later."
    assert sorted(told(stage)) == [text_.format(2, ZONE), text_.format(3, ZONE)]
    # What is saved from now on is by the new rules, also in a process that has read the old ones.
    assert hours_from_utc(stage.database, plan(stage.database)) == {-4}
    round_(stage.database)
    assert len(told(stage)) == 2


def test_a_delivery_that_has_begun_or_was_given_another_time_stays_and_its_sibling_moves(
    stage: Stage, rules: Rules
) -> None:
    (post_id,) = plan(stage.database)
    claimed, moved = plan(stage.database)[0], plan(stage.database)[0]
    round_(stage.database)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        first = "delivery_id = (SELECT delivery_id FROM deliveries WHERE post_id = :post ORDER BY 1 LIMIT 1)"
        tx.execute(
            text(
                "UPDATE deliveries SET state = 'CLAIMED', attempt = 1, lease_expire_time = now(), commit_time = now()"
                f" WHERE {first}"
            ),
            {"post": claimed},
        )
        tx.execute(
            text(
                f"UPDATE deliveries SET due_time = due_time + interval '1 day', schedule_time = schedule_time"
                f" + interval '1 day' WHERE {first}"
            ),
            {"post": moved},
        )
    rules.become("Etc/GMT+2")
    round_(stage.database)
    assert hours_from_utc(stage.database, [post_id]) == {-2}
    # The post and its sibling, and the one that is let go.
    assert hours_from_utc(stage.database, [claimed]) == {-2, -3}
    assert hours_from_utc(stage.database, [moved]) == {-2, -27}


def test_what_is_claimed_ahead_of_its_time_is_taken_back(stage: Stage, rules: Rules) -> None:
    soon = zones.local_at(datetime.now(UTC) + timedelta(minutes=5), ZONE).replace(microsecond=0)
    stage.create(draft_of(due_in=timedelta(days=1)))
    post = stage.create()
    draft = draft_of()
    draft.local_time, draft.time_zone = soon.isoformat(), ZONE
    stage.update(post, draft, "local_time", "time_zone")
    round_(stage.database)
    (claimed,) = stage.claim(lead=600)
    rules.become("Etc/GMT+4")
    round_(stage.database)
    assert stage.authorize(claimed) == ["LEASE_LOST"]
    assert stage.claim(lead=600) == []


def test_a_post_that_is_over_stays_as_it_was(stage: Stage, rules: Rules) -> None:
    (post_id,) = plan(stage.database)
    round_(stage.database)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("DELETE FROM deliveries"))
        before = tx.execute(text("SELECT schedule_time FROM posts")).scalar_one()
    rules.become("Etc/GMT+4")
    round_(stage.database)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        assert tx.execute(text("SELECT schedule_time FROM posts WHERE post_id = :p"), {"p": post_id}).scalar() == before
    assert told(stage) == []


def test_for_a_day_posts_that_a_replica_still_saves_by_the_former_rules_are_found(stage: Stage, rules: Rules) -> None:
    round_(stage.database)
    rules.become("Etc/GMT+4")
    # Another process, which has not read the new rules.
    late = plan(stage.database)
    round_(stage.database)
    assert hours_from_utc(stage.database, late) == {-4}
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        late_again = "UPDATE {} SET schedule_time = schedule_time - interval '1 hour'"
        for table in ("posts", "deliveries"):
            tx.execute(text(late_again.format(table)))
        tx.execute(text("UPDATE deliveries SET due_time = schedule_time"))
    assert hours_from_utc(stage.database, late) == {-3}
    round_(stage.database)
    assert hours_from_utc(stage.database, late) == {-4}
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE zone_rules SET change_time = change_time - interval '2 days'"))
        tx.execute(text("UPDATE posts SET schedule_time = schedule_time - interval '1 hour'"))
    steps = ZoneWatch(stage.database)
    assert steps.run_once() is False


def test_nothing_is_walked_through_while_no_rules_change(stage: Stage, rules: Rules) -> None:
    plan(stage.database)
    round_(stage.database)
    assert ZoneWatch(stage.database).run_once() is False


def test_whenever_it_dies_the_next_round_finds_the_rest_and_each_post_is_told_of_once(
    stage: Stage, rules: Rules, wired: Database, wires: Wires
) -> None:
    posts = plan(stage.database, 7)
    round_(stage.database)
    hours, cut_at, rounds = 3, 0, 0
    while True:
        hours = 4 if hours == 3 else 3
        rules.become(f"Etc/GMT+{hours}")
        wires.rule = cut = Cut(cut_at)
        with contextlib.suppress(DBAPIError):
            round_(wired, batch=3)
        wires.rule = passes
        if not cut.happened:
            break
        round_(stage.database, batch=3)
        assert hours_from_utc(stage.database, posts) == {-hours}
        cut_at += 2
        rounds += 1
    assert rounds > 15
    moved = sum(int(each.attributes["posts"]) for each in stage.activities() if each.type == "time_zone.changed")
    assert moved == 7 * (rounds + 1)


def test_replicas_that_find_a_change_at_once_move_each_post_once(stage: Stage, rules: Rules) -> None:
    posts = plan(stage.database, 200)
    round_(stage.database)
    rules.become("Etc/GMT+4")
    replicas = [threading.Thread(target=round_, args=(stage.database,), kwargs={"batch": 20}) for _ in range(4)]
    with capture_logs():
        for each in replicas:
            each.start()
        for each in replicas:
            each.join(60)
    assert hours_from_utc(stage.database, posts) == {-4}
    moved = sum(int(each.attributes["posts"]) for each in stage.activities() if each.type == "time_zone.changed")
    assert moved == 200
