from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler import deciding
from services.scheduler.deciding import NOBODY, Fate, Pace, Reported, Rules
from services.scheduler.domain import (
    IN_WORK,
    ChannelRules,
    Delivery,
    DeliveryState,
    DueAction,
    Failure,
    FailureKind,
    Hold,
    HoldCause,
    HoldScope,
    LateAction,
    Lateness,
    Policy,
    Schedule,
)

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
POLICY = Policy(max_attempts=3, first_seconds=10, longest_seconds=15)
RULES = Rules(Lateness(), 3, None)
WORKSPACE, ACCOUNT = UUID(int=2), UUID(int=3)


def delivery(state: DeliveryState = DeliveryState.CLAIMED, **fields: Any) -> Delivery:
    values: dict[str, Any] = {
        "delivery_id": uuid4(),
        "post_id": UUID(int=1),
        "account_id": ACCOUNT,
        "state": state,
        "schedule_time": NOW,
        "due_time": NOW,
        "attempt": 1,
        "update_time": NOW,
        "workspace_id": WORKSPACE,
        "platform": "tiktok",
        "channel": "air",
    }
    return Delivery(**{**values, **fields})


def hold(scope: HoldScope, target: str = "", cause: HoldCause = HoldCause.PAUSE) -> Hold:
    owner = NOBODY if scope in (HoldScope.EVERYTHING, HoldScope.PLATFORM) else WORKSPACE
    return Hold(uuid4(), owner, scope, target, cause, "", NOW)


@pytest.mark.parametrize(
    ("own", "channel", "workspace", "action"),
    [
        (LateAction.DROP, LateAction.NEXT_SLOT, LateAction.ASK, LateAction.DROP),
        (None, LateAction.NEXT_SLOT, LateAction.DROP, LateAction.NEXT_SLOT),
        (None, None, LateAction.DROP, LateAction.DROP),
        (None, None, None, LateAction.ASK),
    ],
)
def test_the_nearest_rule_applies_the_posts_its_channels_its_workspaces(
    own: LateAction | None, channel: LateAction | None, workspace: LateAction | None, action: LateAction
) -> None:
    rules = {
        name: ChannelRules(name, Lateness(60, given) if given else None, 0, None)
        for name, given in (("air", channel), ("", workspace))
    }
    found = deciding.rules_of(Lateness(60, own) if own else None, "air", rules, POLICY)
    assert (found.lateness.action, found.max_attempts, found.max_age) == (action, 3, None)


@pytest.mark.parametrize(
    "applies",
    [
        hold(HoldScope.EVERYTHING),
        hold(HoldScope.PLATFORM, "tiktok", HoldCause.INCIDENT),
        hold(HoldScope.WORKSPACE),
        hold(HoldScope.CHANNEL, "air"),
        hold(HoldScope.ACCOUNT, str(ACCOUNT), HoldCause.ACCOUNT),
        hold(HoldScope.POST, str(UUID(int=1))),
    ],
    ids=lambda each: each.scope.name,
)
def test_a_hold_keeps_back_what_is_in_its_scope_and_nothing_else(applies: Hold) -> None:
    holds = {(applies.workspace_id, applies.scope, applies.target): [applies]}
    fate = deciding.on_due(delivery(), deciding.hold_on(delivery(), holds), RULES, NOW)
    assert fate is not None
    assert (fate.state, fate.hold, fate.cause) == (DeliveryState.HELD, applies, applies.cause)
    outside = delivery(workspace_id=uuid4(), account_id=uuid4(), post_id=uuid4(), channel="water", platform="other")
    assert deciding.hold_on(outside, holds) == (applies if applies.scope is HoldScope.EVERYTHING else None)


@pytest.mark.parametrize("action", LateAction)
def test_r8_what_is_later_than_its_rule_allows_does_not_go_out(action: LateAction) -> None:
    rules = Rules(Lateness(3600, action), 3, None)
    on_the_edge = delivery(DeliveryState.SCHEDULED, schedule_time=NOW - timedelta(seconds=3600))
    assert deciding.on_due(on_the_edge, None, rules, NOW) is None
    fate = deciding.on_due(on_the_edge, None, rules, NOW + timedelta(seconds=1))
    assert fate is not None
    assert (fate.state, fate.needs_person) == {
        LateAction.ASK: (DeliveryState.MISSED, True),
        LateAction.NEXT_SLOT: (DeliveryState.SCHEDULED, False),
        LateAction.DROP: (DeliveryState.CANCELED, False),
    }[action]
    assert "11:00" in fate.message
    assert "1 h late" in fate.message


def test_r8_without_a_rule_six_hours_late_is_a_persons_decision() -> None:
    rules = deciding.rules_of(None, "air", {}, POLICY)
    late = delivery(DeliveryState.SCHEDULED, schedule_time=NOW - timedelta(hours=6, seconds=1))
    fate = deciding.on_due(late, None, rules, NOW)
    assert fate is not None
    assert fate.state is DeliveryState.MISSED


def failed(kind: FailureKind, retry_time: datetime | None = None) -> Failure:
    return Failure(kind, "REASON", "Message.", retry_time)


def after(kind: FailureKind, retry_time: datetime | None = None, tries: int = 0, **given: Any) -> Fate:
    return deciding.after_failure(
        failed(kind, retry_time),
        given.get("delivery", delivery(failed_attempts=tries)),
        given.get("rules", RULES),
        POLICY,
        given.get("hold"),
        NOW,
        given.get("chance"),
    )


@pytest.mark.parametrize(
    ("tries", "chance", "wait"),
    [
        (0, 0.0, 0.5),  # by chance at once, but not in the same breath
        (0, 0.5, 5),
        (0, 0.999, 9.99),
        (1, 0.5, 7.5),  # 20 s, but no more than 15
    ],
)
def test_r14_a_transient_failure_waits_by_chance_up_to_a_span_that_doubles(
    tries: int, chance: float, wait: float
) -> None:
    fate = after(FailureKind.TRANSIENT, tries=tries, chance=chance)
    assert (fate.state, fate.counts, fate.due_time) == (
        DeliveryState.SCHEDULED,
        True,
        NOW + timedelta(seconds=wait),
    )


@given(
    kind=st.sampled_from([FailureKind.TRANSIENT, FailureKind.RATE_LIMITED]),
    wait=st.integers(1, 100_000),
    chance=st.floats(0, 0.999),
)
def test_the_platforms_own_wait_is_never_cut_short(kind: FailureKind, wait: int, chance: float) -> None:
    later = NOW + timedelta(seconds=wait)
    due = after(kind, later, chance=chance).due_time
    assert due is not None
    assert due >= later


@pytest.mark.parametrize("kind", [FailureKind.RATE_LIMITED, FailureKind.ACCOUNT, FailureKind.PLATFORM])
def test_a_wait_for_a_limit_an_account_or_a_platform_is_no_try(kind: FailureKind) -> None:
    fate = after(kind, tries=2)
    assert (fate.state, fate.counts) == (DeliveryState.SCHEDULED, False)


@pytest.mark.parametrize(
    ("kind", "cause"),
    [(FailureKind.ACCOUNT, HoldCause.ACCOUNT), (FailureKind.PLATFORM, HoldCause.INCIDENT)],
)
def test_what_its_account_or_platform_cannot_take_waits_under_their_hold(kind: FailureKind, cause: HoldCause) -> None:
    applies = hold(HoldScope.ACCOUNT, str(ACCOUNT), cause)
    fate = after(kind, hold=applies)
    assert (fate.state, fate.hold, fate.cause, fate.counts) == (DeliveryState.HELD, applies, cause, False)


def test_what_only_its_author_may_choose_waits_for_a_person() -> None:
    fate = after(FailureKind.CHOICE, tries=2)
    assert (fate.state, fate.cause, fate.needs_person, fate.counts) == (
        DeliveryState.HELD,
        HoldCause.CHOICE,
        True,
        False,
    )
    assert deciding.waits_for_decision(delivery(DeliveryState.HELD, hold_cause=HoldCause.CHOICE))


def test_the_last_try_and_the_highest_age_end_it() -> None:
    assert after(FailureKind.TRANSIENT, tries=1).state is DeliveryState.SCHEDULED
    assert after(FailureKind.TRANSIENT, tries=2).state is DeliveryState.FAILED
    aged = Rules(Lateness(), 3, timedelta(hours=1))
    old = delivery(schedule_time=NOW - timedelta(minutes=59, seconds=59))
    assert after(FailureKind.TRANSIENT, delivery=old, rules=aged, chance=0.0).state is DeliveryState.SCHEDULED
    assert after(FailureKind.TRANSIENT, delivery=old, rules=aged, chance=0.5).state is DeliveryState.FAILED


@pytest.mark.parametrize(
    ("kind", "state", "person"),
    [
        (FailureKind.PERMANENT, DeliveryState.FAILED, False),
        (FailureKind.REJECTED, DeliveryState.REJECTED, False),
        (FailureKind.OUTCOME_UNKNOWN, DeliveryState.UNCERTAIN, True),  # never tried again: it may be out there
    ],
)
def test_what_is_definite_or_unknown_is_not_tried_again(kind: FailureKind, state: DeliveryState, person: bool) -> None:
    fate = after(kind)
    assert (fate.state, fate.needs_person, fate.due_time) == (state, person, None)


@pytest.mark.parametrize(("wait", "kind"), [(60, "delivery.retrying"), (24 * 3600, "delivery.delayed")])
def test_a_long_wait_is_told_as_a_delay_with_its_date(wait: int, kind: str) -> None:
    due = NOW + timedelta(seconds=wait)
    fate = after(FailureKind.RATE_LIMITED, due, chance=0.0)
    assert (fate.event, fate.message) == (
        kind,
        f"Attempt 1 failed: Message. Next attempt at {due:%Y-%m-%d %H:%M:%S} UTC.",
    )


@pytest.mark.parametrize("state", DeliveryState)
def test_r3_a_report_of_an_older_attempt_changes_nothing_in_any_state(state: DeliveryState) -> None:
    assert deciding.takes_report(delivery(state, attempt=2), 1) is Reported.LOST


@pytest.mark.parametrize("state", DeliveryState)
def test_only_what_is_in_work_takes_what_its_attempt_reports(state: DeliveryState) -> None:
    taken = deciding.takes_report(delivery(state), 1)
    if state in IN_WORK:
        assert taken is None
    else:
        assert taken is (Reported.LOST if state is DeliveryState.CANCELED else Reported.KNOWN)


def test_an_acceptance_is_doubted_by_nobody_but_a_person_must_look() -> None:
    assert deciding.doubts(delivery(DeliveryState.CLAIMED), needs_person=False)
    assert not deciding.doubts(delivery(DeliveryState.CONFIRMING), needs_person=False)
    assert deciding.doubts(delivery(DeliveryState.CONFIRMING), needs_person=True)
    assert deciding.confirms(delivery(DeliveryState.UNCERTAIN))
    assert not deciding.confirms(delivery(DeliveryState.CONFIRMING))


@pytest.mark.parametrize("state", DeliveryState)
def test_r19_after_three_crashes_nothing_is_tried_again_and_what_is_over_stays_over(state: DeliveryState) -> None:
    fate = Fate(state, due_time=NOW)
    assert deciding.after_crashes(fate, delivery(crash_count=2), POLICY, "It is not out.") is fate
    after = deciding.after_crashes(fate, delivery(crash_count=3), POLICY, "It is not out.")
    if state is DeliveryState.SCHEDULED:
        assert (after.state, after.cause, after.needs_person) == (DeliveryState.HELD, HoldCause.CRASHES, True)
        assert "It is not out." in after.message
    else:
        assert after is fate


SLOT = Schedule(datetime(2026, 11, 28, 2, 30), "Europe/Berlin", 0, datetime(2026, 11, 28, 1, 30, tzinfo=UTC))


def test_the_next_slot_is_the_same_wall_clock_time_on_the_next_free_day() -> None:
    first = datetime(2026, 12, 2, 1, 30, tzinfo=UTC)
    assert deciding.next_slot(SLOT, frozenset(), NOW) == first
    assert deciding.next_slot(SLOT, frozenset({first}), NOW) == first + timedelta(days=1)
    # 02:30 is skipped by the clock on 2027-03-28; the day after it is 02:30 again, an hour earlier by UTC.
    march = datetime(2027, 3, 28, 12, tzinfo=UTC)
    assert deciding.next_slot(SLOT, frozenset(), march) == datetime(2027, 3, 29, 0, 30, tzinfo=UTC)


def released(action: DueAction, late: timedelta = timedelta(hours=1), **fields: Any) -> Fate:
    kept = delivery(DeliveryState.HELD, schedule_time=NOW - late, due_time=NOW - late, **fields)
    return deciding.released(kept, action, RULES, Pace(10, NOW))


@pytest.mark.parametrize(
    ("action", "state", "schedule_time"),
    [
        (DueAction.BY_RULE, DeliveryState.SCHEDULED, None),
        (DueAction.PUBLISH, DeliveryState.SCHEDULED, NOW),
        (DueAction.NEXT_SLOT, DeliveryState.SCHEDULED, None),
        (DueAction.ASK, DeliveryState.MISSED, None),
        (DueAction.DROP, DeliveryState.CANCELED, None),
    ],
)
def test_whoever_lifts_a_hold_says_what_becomes_of_what_is_due(
    action: DueAction, state: DeliveryState, schedule_time: datetime | None
) -> None:
    fate = released(action)
    assert (fate.state, fate.schedule_time) == (state, schedule_time)


def test_by_rule_what_is_too_late_is_missed_and_by_decision_it_goes_out() -> None:
    assert released(DueAction.BY_RULE, timedelta(hours=7)).state is DeliveryState.MISSED
    published = released(DueAction.PUBLISH, timedelta(hours=7))
    again = delivery(schedule_time=published.schedule_time, due_time=published.due_time)
    assert deciding.on_due(again, None, RULES, NOW) is None


@pytest.mark.parametrize("action", [DueAction.BY_RULE, DueAction.PUBLISH])
def test_nothing_that_was_kept_back_ahead_of_its_time_goes_out_early(action: DueAction) -> None:
    fate = released(action, -timedelta(seconds=20))
    assert fate.due_time == NOW + timedelta(seconds=20)
    assert fate.schedule_time in (None, NOW + timedelta(seconds=20))


def test_r8_late_deliveries_of_one_account_leave_in_pace_and_accounts_do_not_wait_for_each_other() -> None:
    pace = Pace(10, NOW)
    mine = [delivery(due_time=NOW - timedelta(hours=1)) for _ in range(3)]
    turns = [pace.turn(each) for each in mine]
    assert turns == [NOW, NOW + timedelta(seconds=10), NOW + timedelta(seconds=20)]
    assert pace.turn(replace(mine[0], account_id=uuid4())) == NOW


def test_only_what_was_missed_or_parked_waits_for_a_decision() -> None:
    parked = delivery(DeliveryState.HELD, hold_cause=HoldCause.CRASHES)
    held = delivery(DeliveryState.HELD, hold_cause=HoldCause.PAUSE)
    assert deciding.waits_for_decision(parked)
    assert not deciding.waits_for_decision(held)
    for state in set(DeliveryState) - {DeliveryState.HELD}:
        assert deciding.waits_for_decision(delivery(state)) is (state is DeliveryState.MISSED)
        assert state.value in str(deciding.not_waiting(delivery(state)))
