"""When a post goes out and what may become of its deliveries. Pure: the clock is an argument.

All states and their arrows:

    SCHEDULED → CLAIMED        a publisher claims it, attempt + 1
    CLAIMED → CLAIMED          its lease ended and another claim took it, attempt + 1
    CLAIMED → CONFIRMING       the platform has everything
    CLAIMED, CONFIRMING → PUBLISHED
    CLAIMED, CONFIRMING → REJECTED
    CLAIMED, CONFIRMING → SCHEDULED   failed for now, tries left
    CLAIMED, CONFIRMING → FAILED      failed for good
    SCHEDULED → CANCELED       its author, before it began
"""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from kit.errors import Conflict, FailedPrecondition, FieldViolation, InvalidArgument, NotFound

# A plan further ahead is more likely a typing error in the year than a plan.
FARTHEST = timedelta(days=2 * 366)


class DeliveryState(enum.Enum):
    """Where a delivery stands. The value is its text in the database."""

    SCHEDULED = "SCHEDULED"  # waits for its due time; a claim moves it on
    CLAIMED = "CLAIMED"  # a publisher works on it under a lease
    CONFIRMING = "CONFIRMING"  # the platform has everything, its verdict is awaited
    PUBLISHED = "PUBLISHED"  # final
    REJECTED = "REJECTED"  # the platform said no; final
    FAILED = "FAILED"  # a definite refusal, the last try, or an outcome nobody can tell; final
    CANCELED = "CANCELED"  # by its author before it began; final


class AmbiguousTime(enum.Enum):
    """Which of two equal wall-clock times is meant when the clock goes back."""

    EARLIER = 0
    LATER = 1


class Visibility(enum.Enum):
    """Who sees what was published."""

    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"


class FailureKind(enum.Enum):
    """Why an attempt did not end in a publication; see the proto for each."""

    TRANSIENT = "TRANSIENT"
    RATE_LIMITED = "RATE_LIMITED"
    ACCOUNT = "ACCOUNT"
    REJECTED = "REJECTED"
    PERMANENT = "PERMANENT"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A wall-clock time in a zone, and the instant that it means.

    `fold` is 1 when the second of two equal wall-clock times is meant, else 0: with it, a change of the zone's rules
    moves the instant and not the wall-clock time.
    """

    local_time: datetime
    time_zone: str
    fold: int
    instant: datetime


@dataclass(frozen=True, slots=True)
class Media:
    """A file of the library, as the post refers to it."""

    media_asset_id: str
    sha256: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What the author decides. `options` is the platforms' choices by platform name, as JSON values."""

    channel: str
    account_ids: tuple[UUID, ...]
    caption: str
    media: tuple[Media, ...]
    schedule: Schedule
    options: dict[str, dict[str, str | int | bool]]
    ref: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One post for one account."""

    delivery_id: UUID
    post_id: UUID
    account_id: UUID
    state: DeliveryState
    due_time: datetime
    attempt: int
    platform_post_id: str
    url: str
    visibility: Visibility | None
    publish_time: datetime | None
    failure_reason: str
    failure_message: str
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Post:
    """A post with its deliveries."""

    post_id: UUID
    workspace_id: UUID
    draft: Draft
    revision: int
    deliveries: tuple[Delivery, ...]
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        """Changes with every edit."""
        return f"r{self.revision}"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a publisher gets of a delivery that it claimed."""

    workspace_id: UUID
    delivery_id: UUID
    post_id: UUID
    account_id: UUID
    attempt: int
    due_time: datetime
    lease_expire_time: datetime
    caption: str
    media: tuple[Media, ...]
    options: dict[str, dict[str, str | int | bool]]
    etag: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `retry_time`: not before then."""

    kind: FailureKind
    reason: str
    message: str
    retry_time: datetime | None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how late a failed delivery is tried again. Waits in seconds."""

    max_attempts: int = 10
    first_seconds: float = 5
    longest_seconds: float = 900


class TimeZoneUnknown(InvalidArgument):
    """The zone is no IANA name. Offsets and abbreviations do not know of clock changes, so they are refused."""


class LocalTimeInvalid(InvalidArgument):
    """The text is no wall-clock time, or no date of the calendar."""


class LocalTimeNonexistent(InvalidArgument):
    """The clock of that zone jumps over that time."""


class LocalTimeAmbiguous(InvalidArgument):
    """The clock of that zone shows that time twice."""


class ScheduleTimeInPast(InvalidArgument):
    """The instant is over."""


class ScheduleTimeTooFar(InvalidArgument):
    """The instant is more than two years ahead."""


class AccountRepeated(InvalidArgument):
    """A post names an account twice, perhaps once in capital letters."""


class PostNotFound(NotFound):
    """The workspace has no post with that id."""


class DeliveryNotFound(NotFound):
    """The workspace has no delivery with that id."""


class PostNotEditable(FailedPrecondition):
    """A delivery of the post has begun, or is over."""


class PostChanged(Conflict):
    """The post was edited since the caller read it."""


class DeliveryInProgress(FailedPrecondition):
    """A delivery is being published now; it can no longer be stopped."""


class LeaseLost(FailedPrecondition):
    """The attempt no longer holds the delivery: its lease ended and another attempt took over, or it is over."""


@cache
def _zones() -> frozenset[str]:
    return frozenset(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


def resolve(local_time: str, time_zone: str, ambiguous: AmbiguousTime | None, now: datetime) -> Schedule:
    """The instant that a wall-clock time means.

    Raises TimeZoneUnknown, LocalTimeInvalid, LocalTimeNonexistent (the clock jumps over it), LocalTimeAmbiguous
    (it comes twice and `ambiguous` does not say which), ScheduleTimeInPast, ScheduleTimeTooFar (over two years).
    """
    if time_zone not in _zones():
        raise _refused(
            TimeZoneUnknown,
            "time_zone",
            f"{time_zone!r} is not an IANA time zone. Use a name like 'Europe/Berlin' or 'UTC'; abbreviations and"
            " offsets do not know when clocks change.",
        )
    try:
        naive = datetime.fromisoformat(local_time)
    except ValueError:
        naive = None
    if naive is None or naive.tzinfo is not None:
        raise _refused(
            LocalTimeInvalid,
            "local_time",
            f"{local_time!r} is not a wall-clock time. Use 'YYYY-MM-DDTHH:MM:SS' without an offset.",
        )
    try:
        instant = _instant(naive, time_zone, ambiguous)
    except OverflowError:
        raise _refused(LocalTimeInvalid, "local_time", f"{local_time} is at the end of the calendar.") from None
    if instant < now:
        raise _refused(
            ScheduleTimeInPast,
            "local_time",
            f"{local_time} in {time_zone} was {instant:%Y-%m-%d %H:%M:%S} UTC, which is over. Choose a later time.",
        )
    if instant > now + FARTHEST:
        raise _refused(
            ScheduleTimeTooFar, "local_time", f"{local_time} is more than two years ahead. Is the year right?"
        )
    return Schedule(naive, time_zone, 1 if ambiguous is AmbiguousTime.LATER else 0, instant)


def _instant(naive: datetime, time_zone: str, ambiguous: AmbiguousTime | None) -> datetime:
    zone = ZoneInfo(time_zone)
    earlier = naive.replace(tzinfo=zone, fold=0)
    later = naive.replace(tzinfo=zone, fold=1)
    if earlier.utcoffset() == later.utcoffset():
        return earlier.astimezone(UTC)
    # fold=0 reads the clock before the change, fold=1 after it. In a gap neither reading exists on the wall.
    if earlier.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        after = earlier.astimezone(UTC).astimezone(zone)
        raise _refused(
            LocalTimeNonexistent,
            "local_time",
            f"{naive.isoformat()} does not exist in {time_zone}: the clock goes forward over it. "
            f"Use {after.replace(tzinfo=None).isoformat()} or another time.",
        )
    if ambiguous is None:
        raise _refused(
            LocalTimeAmbiguous,
            "ambiguous_time",
            f"{naive.isoformat()} comes twice in {time_zone}: the clock goes back. "
            "Say EARLIER or LATER, or choose another time.",
        )
    return (earlier if ambiguous is AmbiguousTime.EARLIER else later).astimezone(UTC)


def _refused(kind: type[InvalidArgument], field: str, message: str) -> InvalidArgument:
    return kind(message, [FieldViolation(field, message)])


def distinct_accounts(account_ids: Sequence[UUID]) -> tuple[UUID, ...]:
    """The accounts of a draft. Raises AccountRepeated when one comes twice."""
    for index, account_id in enumerate(account_ids):
        if account_id in account_ids[:index]:
            raise _refused(AccountRepeated, f"account_ids[{index}]", f"The account {account_id} comes twice.")
    return tuple(account_ids)


def check_editable(post: Post, etag: str) -> None:
    """Raises PostChanged when `etag` is given and old, PostNotEditable when a delivery has begun or is over."""
    if etag and etag != post.etag:
        raise PostChanged("The post was changed since you read it. Read it again and decide again.")
    for delivery in post.deliveries:
        if delivery.state is not DeliveryState.SCHEDULED:
            raise PostNotEditable(
                f"A delivery of this post is {delivery.state.value}; only a post of which nothing has begun can be"
                " changed. Create a new post instead.",
                metadata={"delivery_id": str(delivery.delivery_id), "state": delivery.state.value},
            )


def deliveries_to_cancel(post: Post) -> list[UUID]:
    """Which deliveries a cancel ends. Raises DeliveryInProgress when one is on its way out."""
    for delivery in post.deliveries:
        if delivery.state in (DeliveryState.CLAIMED, DeliveryState.CONFIRMING):
            raise DeliveryInProgress(
                "A delivery of this post is being published and can no longer be stopped. Remove it on the platform"
                " once it is published.",
                metadata={"delivery_id": str(delivery.delivery_id), "state": delivery.state.value},
            )
    return [delivery.delivery_id for delivery in post.deliveries if delivery.state is DeliveryState.SCHEDULED]


def after_failure(
    failure: Failure, attempt: int, policy: RetryPolicy, now: datetime, chance: float | None = None
) -> tuple[DeliveryState, datetime | None]:
    """The state after a failed attempt, and when it is due again if it is.

    TRANSIENT waits first_seconds, doubled for each further attempt up to longest_seconds (5, 10, 20, 40 s, …), of
    which between half and all is taken by chance, so that deliveries that failed together do not come back together.
    RATE_LIMITED waits as the platform said. Both are final at the attempt max_attempts. `chance` is in [0, 1).
    """
    if failure.kind is FailureKind.REJECTED:
        return DeliveryState.REJECTED, None
    if failure.kind not in (FailureKind.TRANSIENT, FailureKind.RATE_LIMITED) or attempt >= policy.max_attempts:
        return DeliveryState.FAILED, None
    wait = min(policy.first_seconds * 2 ** (attempt - 1), policy.longest_seconds)
    drawn = random.random() if chance is None else chance  # noqa: S311 - spreads load, guards nothing
    due = now + timedelta(seconds=wait * (0.5 + drawn / 2))
    return DeliveryState.SCHEDULED, max(due, failure.retry_time) if failure.retry_time else due


def lost_lease(delivery: Delivery, attempt: int) -> LeaseLost:
    """The refusal for an attempt that no longer holds its delivery."""
    return LeaseLost(
        f"Attempt {attempt} no longer holds this delivery: it is {delivery.state.value} at attempt {delivery.attempt}."
        " Stop working on it.",
        metadata={"state": delivery.state.value, "attempt": str(delivery.attempt)},
    )


def takes_report(delivery: Delivery, attempt: int, reported: DeliveryState) -> bool:
    """Whether a publisher's report changes the delivery; False when it says what is already known.

    Raises LeaseLost when the attempt no longer holds the delivery: another one does, or this one has ended otherwise.
    """
    if delivery.attempt != attempt or delivery.state is DeliveryState.CANCELED:
        raise lost_lease(delivery, attempt)
    if delivery.state is DeliveryState.CLAIMED:
        return True
    if reported in (delivery.state, DeliveryState.CONFIRMING):
        # The same report again, or the one before it: what was sent may arrive twice.
        return False
    if delivery.state is DeliveryState.CONFIRMING:
        return True
    raise lost_lease(delivery, attempt)


# A wait that its author should hear of: the post goes out in another hour than planned.
LONG_WAIT = timedelta(hours=1)


def told_failure(
    failure: Failure, attempt: int, state: DeliveryState, due_time: datetime | None, now: datetime
) -> tuple[str, str]:
    """The activity of a failed attempt: its kind and its sentence. A wait of over an hour is a delay to be told."""
    if state is DeliveryState.SCHEDULED and due_time:
        kind = "delivery.delayed" if due_time - now > LONG_WAIT else "delivery.retrying"
        return kind, f"Attempt {attempt} failed: {failure.message} Next attempt at {due_time:%Y-%m-%d %H:%M:%S} UTC."
    if state is DeliveryState.REJECTED:
        return "delivery.rejected", f"The platform rejected it: {failure.message}"
    return "delivery.failed", f"Not published: {failure.message}"
