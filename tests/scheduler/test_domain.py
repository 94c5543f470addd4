from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import InvalidArgument
from services.scheduler import domain
from services.scheduler.domain import AmbiguousTime, DeliveryState, Failure, FailureKind, RetryPolicy

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def delivery(state: DeliveryState, attempt: int = 1) -> domain.Delivery:
    return domain.Delivery(
        delivery_id=uuid4(),
        post_id=UUID(int=1),
        account_id=uuid4(),
        state=state,
        due_time=NOW,
        attempt=attempt,
        platform_post_id="",
        url="",
        visibility=None,
        publish_time=None,
        failure_reason="",
        failure_message="",
        update_time=NOW,
    )


def post(*deliveries: domain.Delivery) -> domain.Post:
    schedule = domain.Schedule(datetime(2027, 1, 4, 18), "Europe/Berlin", 0, NOW)
    draft = domain.Draft("air", tuple(d.account_id for d in deliveries), "", (), schedule, {}, "")
    return domain.Post(UUID(int=1), UUID(int=2), draft, 3, deliveries, NOW, NOW)


@pytest.mark.parametrize(
    ("local_time", "time_zone", "instant"),
    [
        ("2027-01-04T18:00:00", "Europe/Berlin", "2027-01-04T17:00:00+00:00"),  # winter: UTC+1
        ("2027-07-04T18:00", "Europe/Berlin", "2027-07-04T16:00:00+00:00"),  # summer: UTC+2, seconds left out
        ("2027-03-14T02:30:00", "America/Phoenix", "2027-03-14T09:30:00+00:00"),  # no clock change there
        ("2027-03-14T03:05:00", "America/New_York", "2027-03-14T07:05:00+00:00"),  # right after the jump
        ("2027-01-04T18:00:00", "UTC", "2027-01-04T18:00:00+00:00"),
    ],
)
def test_a_wall_clock_time_means_the_instant_of_its_zone(local_time: str, time_zone: str, instant: str) -> None:
    assert domain.resolve(local_time, time_zone, None, NOW).instant == datetime.fromisoformat(instant)


def test_a_time_that_the_clock_jumps_over_is_refused_and_the_next_one_named() -> None:
    with pytest.raises(domain.LocalTimeNonexistent, match="Use 2027-03-14T03:30:00"):
        domain.resolve("2027-03-14T02:30:00", "America/New_York", AmbiguousTime.LATER, NOW)


def test_a_time_that_comes_twice_needs_the_authors_choice() -> None:
    local, zone = "2027-10-31T02:30:00", "Europe/Berlin"
    with pytest.raises(domain.LocalTimeAmbiguous) as refusal:
        domain.resolve(local, zone, None, NOW)
    assert refusal.value.violations[0].field == "ambiguous_time"
    earlier = domain.resolve(local, zone, AmbiguousTime.EARLIER, NOW)
    later = domain.resolve(local, zone, AmbiguousTime.LATER, NOW)
    assert later.instant - earlier.instant == timedelta(hours=1)
    assert (earlier.fold, later.fold) == (0, 1)


@pytest.mark.parametrize(
    ("local_time", "time_zone", "reason"),
    [
        ("2027-01-04T18:00:00", "CET", "TIME_ZONE_UNKNOWN"),
        ("2027-01-04T18:00:00", "+01:00", "TIME_ZONE_UNKNOWN"),
        ("2027-01-04T18:00:00", "Mars/Olympus", "TIME_ZONE_UNKNOWN"),
        ("2027-02-30T18:00:00", "UTC", "LOCAL_TIME_INVALID"),
        ("2027-01-04T18:00:00+01:00", "UTC", "LOCAL_TIME_INVALID"),
        ("9999-12-31T23:59:00", "America/New_York", "LOCAL_TIME_INVALID"),  # the year 10000 in UTC
        ("2026-12-01T11:59:59", "UTC", "SCHEDULE_TIME_IN_PAST"),
        ("2036-01-04T18:00:00", "UTC", "SCHEDULE_TIME_TOO_FAR"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused_with_its_field(local_time: str, time_zone: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        domain.resolve(local_time, time_zone, None, NOW)
    assert refusal.value.reason == reason
    assert refusal.value.violations[0].field == ("time_zone" if "ZONE" in reason else "local_time")


@given(
    st.sampled_from(
        ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]
    ),
    st.datetimes(datetime(2026, 12, 2), datetime(2028, 11, 1)),
    st.sampled_from(list(AmbiguousTime)),
)
def test_whatever_is_accepted_shows_that_time_on_a_wall_clock_there(
    time_zone: str, local: datetime, ambiguous: AmbiguousTime
) -> None:
    local = local.replace(microsecond=0, fold=0)
    try:
        schedule = domain.resolve(local.isoformat(), time_zone, ambiguous, NOW)
    except domain.LocalTimeNonexistent:
        return
    assert schedule.instant.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None) == local


@pytest.mark.parametrize("state", [state for state in DeliveryState if state is not DeliveryState.SCHEDULED])
def test_only_a_post_of_which_nothing_has_begun_can_be_edited(state: DeliveryState) -> None:
    domain.check_editable(post(delivery(DeliveryState.SCHEDULED)), "r3")
    with pytest.raises(domain.PostNotEditable):
        domain.check_editable(post(delivery(DeliveryState.SCHEDULED), delivery(state)), "")


def test_an_edit_of_an_old_version_is_refused() -> None:
    with pytest.raises(domain.PostChanged):
        domain.check_editable(post(delivery(DeliveryState.SCHEDULED)), "r2")


@pytest.mark.parametrize("state", [DeliveryState.CLAIMED, DeliveryState.CONFIRMING])
def test_a_post_on_its_way_out_cannot_be_canceled(state: DeliveryState) -> None:
    with pytest.raises(domain.DeliveryInProgress):
        domain.deliveries_to_cancel(post(delivery(DeliveryState.SCHEDULED), delivery(state)))


def test_a_cancel_ends_what_has_not_begun_and_leaves_what_is_over() -> None:
    waiting, published = delivery(DeliveryState.SCHEDULED), delivery(DeliveryState.PUBLISHED)
    assert domain.deliveries_to_cancel(post(waiting, published)) == [waiting.delivery_id]


POLICY = RetryPolicy(max_attempts=3, first_seconds=10, longest_seconds=15)


def failed(kind: FailureKind, retry_time: datetime | None = None) -> Failure:
    return Failure(kind, "REASON", "Message.", retry_time)


@pytest.mark.parametrize(
    ("attempt", "chance", "wait"),
    [
        (1, 0.0, 5),  # 10 s, half of it for certain
        (1, 0.5, 7.5),  # and half of the rest by chance
        (2, 0.0, 7.5),  # 20 s, but no more than 15
    ],
)
def test_a_transient_failure_waits_longer_each_time(attempt: int, chance: float, wait: float) -> None:
    state, due = domain.after_failure(failed(FailureKind.TRANSIENT), attempt, POLICY, NOW, chance)
    assert (state, due) == (DeliveryState.SCHEDULED, NOW + timedelta(seconds=wait))


def test_the_platforms_own_wait_is_obeyed_when_it_is_longer() -> None:
    later = NOW + timedelta(hours=1)
    assert domain.after_failure(failed(FailureKind.RATE_LIMITED, later), 1, POLICY, NOW)[1] == later


@pytest.mark.parametrize(
    ("kind", "attempt", "state"),
    [
        (FailureKind.TRANSIENT, 3, DeliveryState.FAILED),  # the last try
        (FailureKind.ACCOUNT, 1, DeliveryState.FAILED),
        (FailureKind.PERMANENT, 1, DeliveryState.FAILED),
        (FailureKind.OUTCOME_UNKNOWN, 1, DeliveryState.FAILED),  # never tried again: it may be out there
        (FailureKind.REJECTED, 1, DeliveryState.REJECTED),
    ],
)
def test_what_cannot_work_later_is_final(kind: FailureKind, attempt: int, state: DeliveryState) -> None:
    assert domain.after_failure(failed(kind), attempt, POLICY, NOW) == (state, None)


def test_a_report_of_an_older_attempt_is_refused_in_every_state() -> None:
    for state in DeliveryState:
        with pytest.raises(domain.LeaseLost):
            domain.takes_report(delivery(state, attempt=2), 1, DeliveryState.PUBLISHED)


@pytest.mark.parametrize(
    ("state", "reported", "changes"),
    [
        (DeliveryState.CLAIMED, DeliveryState.CONFIRMING, True),
        (DeliveryState.CLAIMED, DeliveryState.PUBLISHED, True),
        (DeliveryState.CONFIRMING, DeliveryState.CONFIRMING, False),  # the same report again
        (DeliveryState.CONFIRMING, DeliveryState.PUBLISHED, True),
        (DeliveryState.PUBLISHED, DeliveryState.PUBLISHED, False),
        (DeliveryState.PUBLISHED, DeliveryState.CONFIRMING, False),  # an earlier report again
        (DeliveryState.SCHEDULED, DeliveryState.SCHEDULED, False),  # the failure was already taken
    ],
)
def test_a_report_of_the_holding_attempt_moves_a_delivery_only_forward(
    state: DeliveryState, reported: DeliveryState, changes: bool
) -> None:
    assert domain.takes_report(delivery(state), 1, reported) is changes


@pytest.mark.parametrize(
    ("state", "reported"),
    [
        (DeliveryState.PUBLISHED, DeliveryState.FAILED),
        (DeliveryState.FAILED, DeliveryState.PUBLISHED),
        (DeliveryState.SCHEDULED, DeliveryState.PUBLISHED),  # it failed and waits: only another attempt may say more
    ],
)
def test_an_attempt_that_has_ended_cannot_say_otherwise(state: DeliveryState, reported: DeliveryState) -> None:
    with pytest.raises(domain.LeaseLost):
        domain.takes_report(delivery(state), 1, reported)


def test_an_account_comes_once_however_it_is_written() -> None:
    account = "0198c0de-0000-7000-8000-00000000abcd"
    with pytest.raises(domain.AccountRepeated) as refusal:
        domain.distinct_accounts([UUID(account), UUID(int=1), UUID(account.upper())])
    assert refusal.value.violations[0].field == "account_ids[2]"


@pytest.mark.parametrize(("wait", "kind"), [(60, "delivery.retrying"), (24 * 3600, "delivery.delayed")])
def test_a_long_wait_is_told_as_a_delay_with_its_date(wait: int, kind: str) -> None:
    due = NOW + timedelta(seconds=wait)
    told = domain.told_failure(failed(FailureKind.RATE_LIMITED, due), 1, DeliveryState.SCHEDULED, due, NOW)
    assert told == (kind, f"Attempt 1 failed: Message. Next attempt at {due:%Y-%m-%d %H:%M:%S} UTC.")
