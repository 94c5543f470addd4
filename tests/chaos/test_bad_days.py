"""R6 to R8, R17 to R21, R24, R31, R32, R35, R37: bad days of a whole installation."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from reelroute.scheduler.v1 import scheduler_pb2

from deploy.local.cluster import server_user
from tests.chaos import checker
from tests.chaos.installation import WORKSPACE, Installation, Planned, soon
from tests.chaos.sized import sized, whole_only
from tests.chaos.test_crash_points import UPLOAD, assert_all_is_well
from tests.chaos.wires import Moment, Phase, Reaction, passes

CLAIMED = "SELECT holder FROM scheduler.deliveries WHERE state = 'CLAIMED'"


def sleep_until(moment: datetime) -> None:
    while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:
        time.sleep(left)


def claimed(running: Installation, at_least: int = 1) -> None:
    """Returns when so many deliveries are claimed."""
    running.wait(lambda: True if len(running.rows(CLAIMED)) >= at_least else None, 20)


def activities(running: Installation, post: Planned, kind: str) -> list[str]:
    rows = running.rows(
        "SELECT summary FROM notification.activities WHERE post_id = %(id)s::uuid AND type = %(kind)s",
        id=post.post_id,
        kind=kind,
    )
    return [row["summary"] for row in rows]


@whole_only
@pytest.mark.timeout(600)
def test_r6_a_database_that_is_killed_again_and_again_strands_nothing(running: Installation) -> None:
    posts: list[Planned] = []
    for _ in range(20):
        due = soon(1)
        posts += running.plan([*running.creators], due)
        sleep_until(due)
        running.kill("postgresql")
    assert_all_is_well(running, posts)


@whole_only
@pytest.mark.timeout(600)
def test_r7_a_platform_that_was_away_gets_everything_when_it_is_back(running: Installation) -> None:
    due = soon(2)
    posts = running.plan([*running.creators] * 4, due)
    running.control("PATCH", "/tiktok/settings", {"outage": "reset"})
    try:
        sleep_until(due)
        time.sleep(60)
    finally:
        running.control("PATCH", "/tiktok/settings", {"outage": "off"})
    checker.settle(running, posts, 180)
    assert_all_is_well(running, posts)


@whole_only
@pytest.mark.timeout(600)
def test_r8_what_has_become_too_late_meanwhile_waits_for_a_person(running: Installation) -> None:
    # Nobody claims for longer than the post allows.
    rule = scheduler_pb2.Lateness(late_action=scheduler_pb2.LATE_ACTION_ASK)
    rule.max_lateness.FromSeconds(60)
    due = soon(2)
    posts = running.plan(running.creators, due, lateness=rule)
    with running.frozen(*running.replicas("publisher")):
        sleep_until(due)
        # An hour passes.
        running.rows(
            "UPDATE scheduler.deliveries SET due_time = due_time - interval '1 hour',"
            " schedule_time = schedule_time - interval '1 hour' WHERE delivery_id = ANY(%(ids)s::uuid[])",
            ids=[post.delivery_id for post in posts],
        )
        # What a frozen publisher has claimed comes back when its lease ends.
        time.sleep(6)
    assert_all_is_well(running, posts, state="MISSED")


def _wait_for_another(running: Installation, name: str, pid: int | None) -> None:
    """Returns when the process has left; it must within 25 seconds."""
    running.wait(lambda: True if running.pid(name) != pid else None, 25)


@pytest.mark.timeout(900)
def test_r17_publishers_told_to_stop_under_load_leave_in_time_and_leave_nothing_behind(running: Installation) -> None:
    for number in range(sized(1, 30)):
        name = running.replicas("publisher")[number % 2]
        due = soon(1)
        posts = running.plan([*running.creators] * 3, due)
        claimed(running)
        pid = running.pid(name)
        sleep_until(due)
        running.send(name, signal.SIGTERM)
        _wait_for_another(running, name, pid)
        # Its successor has a number of its own, so what stands here was left claimed.
        assert [row for row in running.rows(CLAIMED) if row["holder"] == f"{name}/{pid}"] == []
        assert_all_is_well(running, posts)


@whole_only
@pytest.mark.timeout(600)
def test_r18_claims_of_dead_publishers_come_back_while_a_scheduler_dies_too(running: Installation) -> None:
    posts = running.plan([*running.creators] * 2, soon(2))
    claimed(running)
    for name in running.replicas("publisher"):
        running.kill(name)
    running.kill("scheduler-1")
    records = checker.settle(running, posts, 60)
    assert {record.state for record in records} == {"PUBLISHED"}
    assert_all_is_well(running, posts)


@whole_only
@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", [0, -1], ids=["announcement", "publishing call"])
def test_r19_a_post_that_kills_its_publisher_is_set_aside_and_the_others_go_out(
    running: Installation, place: int
) -> None:
    posts = running.plan([*running.creators, *running.writers], soon(2))
    poison = posts.pop(place)

    def rule(moment: Moment) -> Reaction:
        # The call that carries the caption: whoever makes it dies.
        if poison.caption in moment.text and moment.server == "sandbox":
            running.kill(moment.client)
            return Reaction.CUT
        return Reaction.PASS

    running.wires.rule = rule
    (parked,) = checker.settle(running, [poison], 90)
    running.wires.rule = passes
    assert (parked.state, parked.delivery["hold_cause"]) == ("HELD", "CRASHES"), checker.story(running, parked)
    assert parked.delivery["needs_person"]
    assert checker.judge(parked) == [], checker.story(running, parked)
    others = checker.settle(running, posts, 60)
    assert {each.state for each in others} == {"PUBLISHED"}, "\n".join(checker.story(running, each) for each in others)


def test_r20_when_everything_after_the_publication_fails_it_is_published_once_and_told_later(
    running: Installation,
) -> None:
    running.wires.rule = lambda moment: Reaction.CUT if moment.server == "notification" else Reaction.PASS
    posts = running.plan(running.creators, soon(1))

    def published() -> bool | None:
        return True if {each.state for each in checker.read(running, posts)} == {"PUBLISHED"} else None

    running.wait(published, 30)
    assert_all_is_well(running, posts)


def test_r21_a_token_that_dies_between_acceptance_and_verdict_is_renewed(running: Installation) -> None:
    handle = running.creators[0]
    expired = threading.Event()

    def rule(moment: Moment) -> Reaction:
        if moment.what == UPLOAD and moment.phase is Phase.ANSWERED and not expired.is_set():
            running.sandbox.post(f"/control/tiktok/creators/{handle}/expire-tokens", json={"refresh_too": False})
            expired.set()
        return Reaction.PASS

    running.wires.rule = rule
    posts = running.plan([handle], soon(1))
    assert expired.wait(20)
    assert_all_is_well(running, posts)


@pytest.mark.timeout(600)
def test_r24_cancels_and_edits_at_the_due_time_win_or_lose_and_never_half(running: Installation) -> None:
    for number in range(sized(1, 12)):
        due = soon(1)
        posts = running.plan([*running.creators] * sized(2, 8), due)
        acknowledged: dict[str, str] = {}
        threads = [
            threading.Thread(target=_change, args=(running, post, due, place, len(posts), acknowledged))
            for place, post in enumerate(posts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for record in checker.settle(running, posts, 60):
            post = record.planned
            what = acknowledged.get(post.post_id, "")
            effects = running.effects()
            story = f"round {number}, {what or 'refused'}: {checker.story(running, record)}"
            if what == "canceled":
                assert (record.state, record.effects) == ("CANCELED", 0), story
            elif what:
                assert (record.state, record.effects, effects.get(what)) == ("PUBLISHED", 0, 1), story
            else:
                assert (record.state, record.effects) == ("PUBLISHED", 1), story


def _change(
    running: Installation, post: Planned, due: datetime, place: int, of: int, acknowledged: dict[str, str]
) -> None:
    """Cancels or edits a post within 50 ms around its due time; notes what was acknowledged."""
    with running.scheduler() as scheduler:
        spread = 0.1 * place / of - 0.05
        time.sleep(max(0.0, due.timestamp() + spread - time.time()))
        with contextlib.suppress(grpc.RpcError):
            if place % 2:
                scheduler.CancelPost(
                    scheduler_pb2.CancelPostRequest(workspace_id=str(WORKSPACE), post_id=post.post_id), timeout=10
                )
                acknowledged[post.post_id] = "canceled"
            else:
                caption = f"edited {post.caption}"
                scheduler.UpdatePost(
                    scheduler_pb2.UpdatePostRequest(
                        workspace_id=str(WORKSPACE),
                        post_id=post.post_id,
                        post=scheduler_pb2.PostDraft(caption=caption),
                        update_mask=["caption"],
                    ),
                    timeout=10,
                )
                acknowledged[post.post_id] = caption


@contextlib.contextmanager
def full_disk(running: Installation) -> Iterator[None]:
    """No file of the database may grow beyond its first page."""
    _limit_files(running, "8192")
    try:
        yield
    finally:
        _limit_files(running, "unlimited")


def _limit_files(running: Installation, size: str) -> None:
    running.wait(lambda: running.postgres.pid, 30)
    server = running.postgres.pid or 0
    # As PostgreSQL's own user, because even root may need a right for the limits of others. Not by subprocess' own
    # `user`: it forks, and gRPC's threads do not survive that.
    user = server_user()
    as_user = [] if user is None else ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    for pid in (server, *_children(server)):
        limit = ["prlimit", "--pid", str(pid), f"--fsize={size}:unlimited"]
        # Some end meanwhile.
        subprocess.run([*as_user, *limit], capture_output=True, check=False)


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if entry.read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(int(entry.parent.name))
    return found


@contextlib.contextmanager
def read_only(running: Installation) -> Iterator[None]:
    """The primary takes no writes, as after a failover to a standby."""
    _set(running, "default_transaction_read_only", "on")
    try:
        yield
    finally:
        _set(running, "default_transaction_read_only", "off")


def _set(running: Installation, name: str, value: str) -> None:
    running.rows(f"ALTER SYSTEM SET {name} = {value}")
    running.rows("SELECT pg_reload_conf()")


@contextlib.contextmanager
def no_connections(running: Installation) -> Iterator[None]:
    """The server takes no more connections of services, and ends those that there are."""
    roles = [
        row["rolname"]
        for row in running.rows("SELECT rolname FROM pg_roles WHERE rolname LIKE 'reelroute%%' AND rolcanlogin")
    ]
    for role in roles:
        running.rows(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    running.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY(%(roles)s)", roles=roles)
    try:
        yield
    finally:
        for role in roles:
            running.rows(f"ALTER ROLE {role} CONNECTION LIMIT -1")


@contextlib.contextmanager
def nobody_is_found(running: Installation) -> Iterator[None]:
    """No service reaches any other, nor the platform, nor the database: as when names are no longer resolved."""
    running.wires.rule = lambda moment: Reaction.CUT
    try:
        yield
    finally:
        running.wires.rule = passes


def _write_much(running: Installation) -> None:
    with running.scheduler() as scheduler:
        for _ in range(50):
            scheduler.BatchCreatePosts(running.batch(running.creators, soon(3600)), timeout=10)


@whole_only
@pytest.mark.timeout(240)
@pytest.mark.parametrize("trouble", [full_disk, read_only, no_connections, nobody_is_found])
def test_r31_what_a_bad_surrounding_stops_is_whole_again_within_a_minute_and_without_a_human(
    running: Installation, trouble: Callable[[Installation], contextlib.AbstractContextManager[None]]
) -> None:
    due = soon(2)
    posts = running.plan([*running.creators, *running.writers], due)
    with trouble(running):
        # It fails closed: what cannot be kept is not acknowledged.
        with pytest.raises(grpc.RpcError):
            _write_much(running)
        sleep_until(due)
        time.sleep(20)
    records = checker.settle(running, posts, 60)
    assert {record.state for record in records} == {"PUBLISHED"}, "\n".join(
        checker.story(running, each) for each in records
    )
    assert_all_is_well(running, posts)


@whole_only
@pytest.mark.timeout(300)
def test_r37_a_delivery_that_does_not_move_on_is_told_with_its_cause(running: Installation) -> None:
    posts = running.plan(running.creators, soon(1))
    claimed(running, len(posts))
    with running.frozen(*running.replicas("publisher")):
        (told, *_) = running.wait(lambda: activities(running, posts[0], "delivery.stalled") or None, 120)
    assert "publisher-" in told, told
    # What was handed to a frozen process again and again may have been set aside.
    for record in checker.settle(running, posts, 90):
        assert checker.judge(record) == [], checker.story(running, record)
