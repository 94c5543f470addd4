from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.publisher import domain
from services.publisher.domain import Epoch, Next, Step, check_arrow, check_wait, next_action, opened, watch_wait
from tests.publisher.factories import FIRST_EPOCH, NOW, a_claim, a_handle, a_publication

SECOND_EPOCH = Epoch(2, NOW - timedelta(hours=1))
SOON, OVER = NOW + timedelta(minutes=1), NOW
REPORTED = {Step.UNCERTAIN, Step.ACCEPTED, Step.PUBLISHED, Step.REMOVED, Step.REJECTED, Step.FAILED}


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("same_version", [True, False])
@pytest.mark.parametrize("end", [SOON, OVER])
def test_a_step_says_what_a_crash_may_have_left_and_what_is_allowed(
    step: Step, same_version: bool, end: datetime
) -> None:
    publication = a_publication(step=step, handle_expire_time=end, etag="r1" if same_version else "r0")
    if step in REPORTED:
        expected = Next.REPORT
    elif step is Step.COMMITTING:
        # Whatever has changed since: first the platform is asked.
        expected = Next.ASK
    elif step is Step.HANDLE and same_version and end == SOON:
        expected = Next.SEND
    else:
        expected = Next.PREPARE
    assert next_action(publication, a_claim(), FIRST_EPOCH, NOW) is expected


@pytest.mark.parametrize("step", Step)
def test_r35_what_began_in_an_older_epoch_is_never_sent(step: Step) -> None:
    publication = a_publication(step=step, handle_expire_time=SOON, publish_epoch=1)
    expected = Next.REPORT if step in REPORTED else Next.ASK_ONLY
    assert next_action(publication, a_claim(), SECOND_EPOCH, NOW) is expected


def test_r35_what_was_due_before_the_epoch_and_has_no_record_is_only_asked_about() -> None:
    before = a_claim(planned_time=SECOND_EPOCH.begin_time - timedelta(seconds=1))
    since = a_claim(planned_time=SECOND_EPOCH.begin_time)
    assert next_action(opened(before, SECOND_EPOCH, uuid4()), before, SECOND_EPOCH, NOW) is Next.ASK_ONLY
    assert next_action(opened(since, SECOND_EPOCH, uuid4()), since, SECOND_EPOCH, NOW) is Next.PREPARE


def test_the_first_epoch_restricts_nothing() -> None:
    long_due = a_claim(planned_time=FIRST_EPOCH.begin_time - timedelta(days=1))
    assert next_action(opened(long_due, FIRST_EPOCH, uuid4()), long_due, FIRST_EPOCH, NOW) is Next.PREPARE


def test_what_is_over_becomes_nothing_else_but_removed() -> None:
    final = {Step.PUBLISHED, Step.REMOVED, Step.REJECTED, Step.FAILED}
    for before, after in itertools.product(final, Step):
        if after is before or (before, after) == (Step.PUBLISHED, Step.REMOVED):
            check_arrow(before, after)
        else:
            with pytest.raises(ValueError, match="cannot become"):
                check_arrow(before, after)


def test_what_may_be_out_is_never_begun_anew_without_a_definite_word() -> None:
    # A new handle, or a second single call, needs OPENED, PREPARED or HANDLE first; these are given up to by a word.
    for before in (Step.UNCERTAIN, Step.ACCEPTED):
        for after in (Step.PREPARED, Step.HANDLE):
            with pytest.raises(ValueError, match="cannot become"):
                check_arrow(before, after)


def test_questions_for_a_verdict_become_rarer_and_never_end() -> None:
    waits = [check_wait(checks).total_seconds() for checks in range(400)]
    assert waits == sorted(waits)
    assert waits[:10] == [1.0] * 10
    assert waits[-1] == 3600
    # 10 + 30 + 120 s, half an hour of minutes, a day of quarters of an hour
    assert sum(waits[:150]) == 10 + 30 + 120 + 1800 + 86_400


def test_a_public_post_is_looked_at_for_a_week_and_then_never_more() -> None:
    waits = list(itertools.takewhile(lambda wait: wait is not None, (watch_wait(looks) for looks in range(20))))
    assert waits[0] == timedelta(minutes=10)
    assert waits[-1] == timedelta(days=7)
    assert len(waits) == 4


A, B, C = uuid4(), uuid4(), uuid4()


@pytest.mark.parametrize(
    ("failed", "successes", "is_one"),
    [
        ([A, B, C, A, B], 0, True),
        ([A, B, C, A, B], 4, True),
        ([A, B, C, A, B], 5, False),  # half of the calls work
        ([A, B, C, A], 0, False),  # too few
        ([A, A, A, A, A, B], 0, False),  # trouble of two accounts
    ],
)
def test_an_incident_needs_five_failures_of_three_accounts_and_more_than_half_of_the_calls(
    failed: list[UUID], successes: int, is_one: bool
) -> None:
    assert domain.is_incident(failed, successes) is is_one


def test_what_nobody_can_tell_sends_a_person_to_the_profile() -> None:
    assert "profile" in domain.uncertain_message("No answer came.", needs_person=True)
    assert "asked" in domain.uncertain_message("No answer came.", needs_person=False)


def test_credentials_are_in_no_representation() -> None:
    assert "secret" not in repr(a_handle())
    assert "secret" not in repr(a_publication(upload_url="https://upload.example/?token=upload-secret"))
