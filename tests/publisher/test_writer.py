"""The ledger on a real database: every arrow, one transaction for many writes, and fences around each."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from kit.db import ALL_WORKSPACES
from services.publisher import domain, store
from services.publisher.domain import Claim, Fenced, Publication, PublicationNotUncertain, Restored, Step, Visibility
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Taken
from services.publisher.store import Line
from services.publisher.writer import Request, Result, Write, Writer
from tests.publisher.factories import BROKEN, LATER, PUBLIC, REFUSED, WORKSPACE, a_claim, a_handle, at_step
from tests.publisher.rows import activities, everything, outcomes, pass_time, reports, rows

pytestmark = pytest.mark.anyio

Call = Callable[[Ledger, Publication, Claim], Awaitable[object]]
CALLS: dict[str, tuple[Step | None, Call]] = {
    "prepared": (Step.PREPARED, lambda ledger, state, claim: ledger.prepared(state, claim, "It fits.", 1)),
    "handle_stored": (Step.HANDLE, lambda ledger, state, claim: ledger.handle_stored(state, a_handle(handle="h2"))),
    "committing": (Step.COMMITTING, lambda ledger, state, claim: ledger.committing(state, claim, "Sending.")),
    "sent": (None, lambda ledger, state, claim: ledger.sent(state, 500)),
    "accepted": (Step.ACCEPTED, lambda ledger, state, claim: ledger.taken(state, Taken(handle="h"), watch=False)),
    "published": (Step.PUBLISHED, lambda ledger, state, claim: ledger.published(state, PUBLIC, watch=False)),
    "uncertain": (Step.UNCERTAIN, lambda ledger, state, claim: ledger.uncertain(state, "?", needs_person=False)),
    "rejected": (Step.REJECTED, lambda ledger, state, claim: ledger.failed(state, REFUSED)),
    "failed": (Step.FAILED, lambda ledger, state, claim: ledger.failed(state, BROKEN)),
    "given up": (Step.OPENED, lambda ledger, state, claim: ledger.failed(state, LATER, handle_ended=True)),
    "refused": (Step.OPENED, lambda ledger, state, claim: ledger.refused(state, LATER)),
    "absent": (Step.OPENED, lambda ledger, state, claim: ledger.absent(state, LATER)),
    "goes on": (Step.COMMITTING, lambda ledger, state, claim: ledger.goes_on(state, LATER, 500)),
    "removed": (Step.REMOVED, lambda ledger, state, claim: ledger.removed(state)),
    "noted": (None, lambda ledger, state, claim: ledger.noted(state, "A line.")),
    "reported again": (None, lambda ledger, state, claim: ledger.report_again(state)),
}  # fmt: skip


def allowed(before: Step, after: Step | None) -> bool:
    try:
        domain.check_arrow(before, after or before)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_follows_the_arrows_of_the_domain_and_no_other(ledger: Ledger, name: str) -> None:
    after, call = CALLS[name]
    followed = 0
    for before in Step:
        claim = a_claim()
        state = await at_step(ledger, claim, before)
        stored = everything(ledger.database)
        if (name, before) in (("committing", Step.UNCERTAIN), ("goes on", Step.OPENED)):
            continue  # an arrow of another call
        if allowed(before, after):
            await call(ledger, state, claim)
            (row,) = [row for row in rows(ledger.database, "publications") if row["delivery_id"] == claim.delivery_id]
            assert row["step"] == (after or before).value
            assert row["revision"] == state.revision + 1
            followed += 1
        else:
            with pytest.raises(ValueError, match="cannot become"):
                await call(ledger, state, claim)
            assert everything(ledger.database) == stored
    assert followed > 0


@pytest.mark.parametrize("name", CALLS)
async def test_r5_an_older_attempt_writes_nothing(ledger: Ledger, name: str) -> None:
    after, call = CALLS[name]
    for before in Step:
        if allowed(before, after):
            claim = a_claim()
            state = await at_step(ledger, claim, before)
            await ledger.open(dataclasses.replace(claim, attempt=2))
            stored = everything(ledger.database)
            with pytest.raises(Fenced):
                await call(ledger, state, claim)
            with pytest.raises(Fenced):
                await ledger.take_over(claim)
            assert everything(ledger.database) == stored


async def test_of_two_who_found_the_same_state_the_first_writes(ledger: Ledger) -> None:
    await at_step(ledger, a_claim(), Step.ACCEPTED)
    (asked,) = ledger.take_checks(10, 60)
    await ledger.published(asked, PUBLIC, watch=False)
    stored = everything(ledger.database)
    with pytest.raises(Fenced):
        await ledger.refused(asked, REFUSED)
    assert everything(ledger.database) == stored


async def test_an_observer_that_froze_is_fenced_by_the_next_one(ledger: Ledger) -> None:
    await at_step(ledger, a_claim(), Step.ACCEPTED)
    (frozen,) = ledger.take_checks(10, 60)
    pass_time(ledger.database, timedelta(minutes=2))
    (next_one,) = ledger.take_checks(10, 60)
    with pytest.raises(Fenced):
        await ledger.published(frozen, PUBLIC, watch=False)
    await ledger.published(next_one, PUBLIC, watch=False)


async def test_r11_of_many_that_take_over_at_once_one_has_it(ledger: Ledger) -> None:
    claims = [a_claim(attempt=2) for _ in range(20)]
    for claim in claims:
        await at_step(ledger, dataclasses.replace(claim, attempt=1), Step.HANDLE)
    others = [Ledger(ledger.database, ledger.vault, f"other/{number}") for number in range(4)]
    found = await asyncio.gather(
        *(each.take_over(claim) for claim in claims for each in others), return_exceptions=True
    )
    assert len([each for each in found if not isinstance(each, BaseException)]) == len(claims)
    assert len([each for each in found if isinstance(each, Fenced)]) == len(claims) * 3


class CountingWriter(Writer):
    """Counts commits, and can break some of them."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger.database, ledger.vault, "test/1")
        self.batches: list[int] = []
        self.lost_answers = 0
        self.refused = 0

    def commit(self, requests: Sequence[Request], *, again: bool = False) -> list[Result]:
        self.batches.append(len(requests))
        if self.refused:
            self.refused -= 1
            raise OperationalError("", {}, Exception("the server is starting"))
        results = super().commit(requests, again=again)
        if self.lost_answers:
            self.lost_answers -= 1
            raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))
        return results


@pytest.fixture
def writer(ledger: Ledger) -> CountingWriter:
    ledger.writer = counting = CountingWriter(ledger)
    return counting


async def test_writes_of_many_coroutines_share_one_transaction(ledger: Ledger, writer: CountingWriter) -> None:
    claims = [a_claim() for _ in range(100)]
    await asyncio.gather(*(at_step(ledger, claim, Step.COMMITTING) for claim in claims))
    # The first one opens the epoch and goes alone or with few; the others go side by side.
    assert sum(writer.batches) > 300
    assert len(writer.batches) < 15
    lines = rows(ledger.database, "attempt_entries")
    assert len(lines) == 400
    by_publication: dict[Any, list[str]] = {}
    for line in lines:
        by_publication.setdefault(line["publication_id"], []).append(line["step"])
    assert {tuple(steps) for steps in by_publication.values()} == {("OPENED", "PREPARED", "HANDLE", "COMMITTING")}


async def test_a_write_that_the_database_refuses_harms_no_other_of_its_batch(
    ledger: Ledger, writer: CountingWriter
) -> None:
    states = [await at_step(ledger, a_claim(), Step.HANDLE) for _ in range(8)]
    # A handle step without a handle breaks a constraint.
    broken = dataclasses.replace(states[3], handle="")
    found = await asyncio.gather(
        *(ledger.sent(state, 1) for state in (*states[:3], broken, *states[4:])), return_exceptions=True
    )
    assert [isinstance(each, DBAPIError) for each in found] == [at == 3 for at in range(8)]
    assert [row["sent_bytes"] for row in rows(ledger.database, "publications")].count(1) == 7


async def test_a_fenced_write_harms_no_other_of_its_batch(ledger: Ledger) -> None:
    claims = [a_claim() for _ in range(4)]
    states = [await at_step(ledger, claim, Step.HANDLE) for claim in claims]
    await ledger.open(dataclasses.replace(claims[1], attempt=2))
    found = await asyncio.gather(*(ledger.sent(state, 1) for state in states), return_exceptions=True)
    assert [isinstance(each, Fenced) for each in found] == [False, True, False, False]


@pytest.mark.parametrize("step", [Step.OPENED, Step.PREPARED, Step.COMMITTING, Step.ACCEPTED, Step.PUBLISHED])
async def test_r4_a_commit_whose_answer_was_lost_is_found_to_be_done_and_not_done_twice(
    ledger: Ledger, writer: CountingWriter, step: Step
) -> None:
    claim = a_claim()
    await ledger.open(a_claim())  # the epoch is known
    writer.lost_answers = 1
    state = await at_step(ledger, claim, step)
    (row,) = rows(ledger.database, "publications")
    assert (row["step"], row["revision"]) == (state.step.value, state.revision)
    lines = [(line["step"], line["message"]) for line in rows(ledger.database, "attempt_entries")]
    assert len(set(lines)) == len(lines)
    assert len(rows(ledger.database, "attempts")) == 1
    assert len(reports(ledger.database)) == (0 if step in (Step.PREPARED, Step.COMMITTING) else 1)


async def test_r4_a_takeover_whose_answer_was_lost_is_still_ours(ledger: Ledger, writer: CountingWriter) -> None:
    claim = a_claim()
    await at_step(ledger, claim, Step.HANDLE)
    writer.lost_answers = 1
    state, _ = await ledger.open(dataclasses.replace(claim, attempt=2))
    assert (await ledger.sent(state, 1)).attempt == 2
    assert [attempt["outcome"] for attempt in rows(ledger.database, "attempts")] == ["lost", ""]


async def test_r4_a_takeover_of_another_is_not_taken_for_ours(ledger: Ledger, writer: CountingWriter) -> None:
    claim = dataclasses.replace(a_claim(), attempt=2)
    await at_step(ledger, dataclasses.replace(claim, attempt=1), Step.HANDLE)
    await Ledger(ledger.database, ledger.vault, "other/2").open(claim)
    writer.refused = 1
    with pytest.raises(Fenced):
        await ledger.open(claim)


async def test_r6_a_database_that_is_away_for_a_moment_is_waited_for(ledger: Ledger, writer: CountingWriter) -> None:
    await ledger.open(a_claim())
    writer.refused = 3
    await at_step(ledger, a_claim(), Step.ACCEPTED)
    assert [row["step"] for row in rows(ledger.database, "publications")] == ["ACCEPTED"]


async def test_a_canceled_write_is_stored_and_a_second_one_on_the_same_state_is_not(ledger: Ledger) -> None:
    claim = a_claim()
    state = await at_step(ledger, claim, Step.HANDLE)
    first = asyncio.create_task(ledger.committing(state, claim, "Sending."))
    await asyncio.sleep(0)
    first.cancel()
    # Both wait for the same commit.
    with pytest.raises(Fenced):
        await ledger.taken_back(state, "released")
    await ledger.writer.finish()
    assert [row["step"] for row in rows(ledger.database, "publications")] == ["COMMITTING"]
    assert "released" not in str(rows(ledger.database, "attempt_entries"))


async def test_two_first_writes_for_one_delivery_make_one_publication(ledger: Ledger) -> None:
    claim = a_claim()
    await ledger.open(a_claim())
    states = [(await ledger.open(claim))[0] for _ in range(2)]
    found = await asyncio.gather(
        *(ledger.prepared(state, claim, "It fits.", 1) for state in states), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in found) == ["AlreadyBegun", "Publication"]
    assert len(rows(ledger.database, "publications")) == 1


async def test_a_failed_attempt_leaves_what_the_next_one_may_go_on_with(ledger: Ledger) -> None:
    kept, ended = a_claim(), a_claim()
    await ledger.failed(await at_step(ledger, kept, Step.COMMITTING), LATER)
    await ledger.failed(await at_step(ledger, ended, Step.COMMITTING), LATER, handle_ended=True)
    found = {row["delivery_id"]: (row["step"], row["handle"]) for row in rows(ledger.database, "publications")}
    assert found == {kept.delivery_id: ("COMMITTING", "handle-1"), ended.delivery_id: ("OPENED", "")}
    assert outcomes(ledger.database) == [("TRANSIENT", 1), ("TRANSIENT", 1)]


async def test_an_attempt_that_broke_failed_for_now_unless_something_may_have_been_sent(ledger: Ledger) -> None:
    await ledger.broke(await at_step(ledger, a_claim(), Step.HANDLE))
    await ledger.broke(await at_step(ledger, a_claim(), Step.COMMITTING))
    assert outcomes(ledger.database) == [("TRANSIENT", 1)]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (Step.UNCERTAIN, ["uncertain"]),
        (Step.ACCEPTED, ["accepted"]),
        (Step.PUBLISHED, ["published"]),
        (Step.REMOVED, ["published", "removed"]),
        (Step.REJECTED, ["REJECTED"]),
        (Step.FAILED, ["PERMANENT"]),
    ],
)
async def test_r36_what_is_over_is_reported_again_to_a_later_attempt(
    ledger: Ledger, step: Step, told: list[str]
) -> None:
    claim = a_claim()
    await at_step(ledger, claim, step)
    before = len(reports(ledger.database))
    state, _ = await ledger.open(dataclasses.replace(claim, attempt=2))
    await ledger.report_again(state)
    assert outcomes(ledger.database)[before:] == [(outcome, 2) for outcome in told]


async def test_r35_a_new_epoch_keeps_an_older_publication_from_being_sent(ledger: Ledger) -> None:
    claim = a_claim()
    state = await at_step(ledger, claim, Step.HANDLE)
    with ledger.database.transaction(ALL_WORKSPACES) as tx:
        assert store.begin_epoch(tx, "restored").number == 2
    stored = everything(ledger.database)
    with pytest.raises(Restored):
        await ledger.committing(state, claim, "Sending.")
    assert everything(ledger.database) == stored


async def test_r35_in_an_older_epoch_a_scheduler_that_counts_anew_may_take_over(ledger: Ledger) -> None:
    claim = a_claim(attempt=3)
    await at_step(ledger, claim, Step.PUBLISHED)
    again = dataclasses.replace(claim, attempt=1)
    with pytest.raises(Fenced):
        await ledger.take_over(again)
    with ledger.database.transaction(ALL_WORKSPACES) as tx:
        store.begin_epoch(tx, "restored")
    state, epoch = await ledger.take_over(again)
    assert (state.attempt, state.step, state.publish_epoch, epoch.number) == (1, Step.PUBLISHED, 1, 2)


async def test_r35_what_is_proven_absent_or_settled_may_be_sent_in_the_present_epoch(ledger: Ledger) -> None:
    proven, settled = a_claim(), a_claim()
    states = [await at_step(ledger, claim, Step.UNCERTAIN) for claim in (proven, settled)]
    with ledger.database.transaction(ALL_WORKSPACES) as tx:
        store.begin_epoch(tx, "restored")
    await ledger.absent(states[0], LATER)
    ledger.settle(WORKSPACE, settled.delivery_id, None)
    for claim in (proven, settled):
        again = dataclasses.replace(claim, attempt=2)
        state, epoch = await ledger.open(again)
        assert domain.next_action(state, again, epoch, again.due_time) is domain.Next.PREPARE


async def test_a_question_is_asked_by_one_and_again_when_its_time_has_come(ledger: Ledger) -> None:
    assert ledger.seconds_until_check() is None
    await at_step(ledger, a_claim(), Step.ACCEPTED)
    assert ledger.seconds_until_check() == pytest.approx(0, abs=5)
    (taken,) = ledger.take_checks(10, 60)
    assert taken.checks == 1
    assert ledger.take_checks(10, 60) == []
    await ledger.still_open(taken, seconds=0)
    assert len(ledger.take_checks(10, 60)) == 1


async def test_a_removed_post_is_looked_for_while_it_is_public_and_watched(ledger: Ledger) -> None:
    private = dataclasses.replace(PUBLIC, visibility=Visibility.PRIVATE)
    for verdict, watch in ((PUBLIC, True), (PUBLIC, False), (private, True)):
        state = await at_step(ledger, a_claim(), Step.COMMITTING)
        await ledger.taken(state, Taken(verdict=verdict), watch=watch)
    waiting = [row["next_check_time"] is not None for row in rows(ledger.database, "publications")]
    assert sorted(waiting) == [False, False, True]


async def test_a_person_settles_what_is_uncertain_either_way_and_may_say_it_again(ledger: Ledger) -> None:
    there, not_there, open_ = a_claim(), a_claim(), a_claim()
    for claim in (there, not_there):
        state = await at_step(ledger, claim, Step.COMMITTING)
        await ledger.uncertain(state, "No answer.", needs_person=True)
    await at_step(ledger, open_, Step.ACCEPTED)
    for _ in range(2):
        ledger.settle(WORKSPACE, there.delivery_id, PUBLIC)
        ledger.settle(WORKSPACE, not_there.delivery_id, None)
    for claim, verdict in ((open_, PUBLIC), (open_, None), (there, None), (not_there, PUBLIC)):
        with pytest.raises(PublicationNotUncertain):
            ledger.settle(WORKSPACE, claim.delivery_id, verdict)
    found = {row["delivery_id"]: row["step"] for row in rows(ledger.database, "publications")}
    assert found == {there.delivery_id: "PUBLISHED", not_there.delivery_id: "OPENED", open_.delivery_id: "ACCEPTED"}
    assert outcomes(ledger.database) == [
        ("uncertain", 1), ("uncertain", 1), ("accepted", 1), ("published", 1), ("TRANSIENT", 1),
    ]  # fmt: skip


async def test_r36_a_step_its_line_and_its_report_are_stored_together_or_not_at_all(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = await at_step(ledger, a_claim(), Step.COMMITTING)
    stored = everything(ledger.database)
    # The last statement of the transaction fails.
    monkeypatch.setattr(store, "tell", lambda tx, notices: tx.execute(text("SELECT 1/0")))
    with pytest.raises(DBAPIError):
        await ledger.taken(state, Taken(), watch=False)
    assert everything(ledger.database) == stored


async def test_a_doubt_says_why_and_what_comes_next(ledger: Ledger) -> None:
    state = await at_step(ledger, a_claim(), Step.COMMITTING)
    await ledger.uncertain(state, "The records were restored from a backup.", needs_person=True)
    (report,) = reports(ledger.database)
    assert report.uncertain.needs_person
    assert report.uncertain.message.startswith("The records were restored from a backup.")
    assert "profile" in report.uncertain.message


async def test_an_unanswered_question_is_told_in_the_feed(ledger: Ledger) -> None:
    await at_step(ledger, a_claim(), Step.ACCEPTED)
    (taken,) = ledger.take_checks(10, 60)
    await ledger.still_open(taken, 300.0, "Asking the platform failed.")
    (told,) = activities(ledger.database)
    assert (told.type, told.delivery_id) == ("publication.unanswered", str(taken.delivery_id))


async def test_r36_each_line_names_who_made_the_attempt(ledger: Ledger) -> None:
    claim = a_claim()
    await at_step(ledger, claim, Step.HANDLE)
    await Ledger(ledger.database, ledger.vault, "other/2").open(dataclasses.replace(claim, attempt=2))
    messages = [line["message"] for line in rows(ledger.database, "attempt_entries")]
    assert messages[0] == "Attempt 1 by test/1."
    assert messages[-1] == "Attempt 2 by other/2; the ledger is at HANDLE."
    holders = [(each["attempt"], each["holder"], each["outcome"]) for each in rows(ledger.database, "attempts")]
    assert holders == [(1, "test/1", "lost"), (2, "other/2", "")]


async def test_a_write_for_a_publication_that_there_is_not_is_fenced(ledger: Ledger) -> None:
    state = await at_step(ledger, a_claim(), Step.HANDLE)
    stranger = dataclasses.replace(state, delivery_id=uuid4(), publication_id=uuid4())
    with pytest.raises(Fenced):
        await ledger.writer.write(Write(stranger, lines=(Line(Step.HANDLE, "?"),)))
