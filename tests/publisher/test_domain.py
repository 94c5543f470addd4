from __future__ import annotations

from datetime import timedelta

import pytest

from services.publisher.domain import Epoch, Next, Step, check_wait, next_action, unknown_outcome
from tests.publisher.factories import FIRST_EPOCH, NOW, a_claim, a_handle, a_publication

SECOND_EPOCH = Epoch(2, NOW - timedelta(hours=1))
SOON, OVER = NOW + timedelta(minutes=1), NOW
REPORTED = {Step.ACCEPTED, Step.PUBLISHED, Step.REJECTED, Step.FAILED}
WITH_HANDLE = {Step.HANDLE, Step.COMMITTING, *REPORTED}


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("same_version", [True, False])
@pytest.mark.parametrize("end", [SOON, OVER])
def test_a_step_says_what_a_crash_may_have_left_and_what_is_allowed(
    step: Step, same_version: bool, end: object
) -> None:
    publication = a_publication(
        step=step,
        handle="h" if step in WITH_HANDLE else "",
        handle_expire_time=end,
        etag="r1" if same_version else "r0",
    )
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
    publication = a_publication(
        step=step, handle="h" if step in WITH_HANDLE else "", handle_expire_time=SOON, publish_epoch=1
    )
    if step in REPORTED:
        expected = Next.REPORT
    else:
        expected = Next.ASK_ONLY if step in WITH_HANDLE else Next.GIVE_UP
    assert next_action(publication, a_claim(), SECOND_EPOCH, NOW) is expected


def test_r35_what_was_due_before_the_epoch_and_has_no_record_is_left_to_a_person() -> None:
    unrecorded = a_publication(publish_epoch=2)
    due_before = a_claim(due_time=SECOND_EPOCH.begin_time - timedelta(seconds=1))
    due_since = a_claim(due_time=SECOND_EPOCH.begin_time)
    assert next_action(unrecorded, due_before, SECOND_EPOCH, NOW) is Next.GIVE_UP
    assert next_action(unrecorded, due_since, SECOND_EPOCH, NOW) is Next.PREPARE


def test_the_first_epoch_restricts_nothing() -> None:
    long_due = a_claim(due_time=FIRST_EPOCH.begin_time - timedelta(days=1))
    assert next_action(a_publication(), long_due, FIRST_EPOCH, NOW) is Next.PREPARE


def test_questions_for_a_verdict_become_rarer_and_never_end() -> None:
    waits = [check_wait(checks).total_seconds() for checks in range(400)]
    assert waits == sorted(waits)
    assert waits[:10] == [1.0] * 10
    assert waits[-1] == 3600
    # 10 + 30 + 120 s, half an hour of minutes, a day of quarters of an hour
    assert sum(waits[:150]) == 10 + 30 + 120 + 1800 + 86_400


def test_what_nobody_can_tell_sends_a_person_to_the_profile() -> None:
    assert "profile" in unknown_outcome("It may have been published.").message


def test_credentials_are_in_no_representation() -> None:
    assert "secret" not in repr(a_handle())
    assert "secret" not in repr(a_publication(upload_url="https://upload.example/?token=upload-secret"))
