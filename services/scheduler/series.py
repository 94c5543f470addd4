"""Series: posts that recur by a rule. Pure.

An occurrence is named by the wall-clock time that the rule gives it. It becomes a post ahead of its time, once; from
then on the post says when it takes place, so that a move is a change of the post. An occurrence that is skipped, or
could not become a post, is kept as Unposted.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from kit.errors import Conflict, NotFound, ReelrouteError
from services.scheduler import domain, zones
from services.scheduler.domain import DeliveryState, Draft, Occurrence, Post, Schedule
from services.scheduler.recurrence import Recurrence

# Occurrences are told apart by seconds.
STEP = timedelta(seconds=1)


class SeriesNotFound(NotFound):
    """The workspace has no series with that id."""


class OccurrenceNotFound(NotFound):
    """The rule of the series has no such time."""


class SeriesChanged(Conflict):
    """The series was changed since the caller read it."""


class SeriesState(enum.Enum):
    """Whether anything more comes of a series. The value is its name in the proto."""

    ACTIVE = "ACTIVE"
    ENDED = "ENDED"  # its last occurrence is over; an edit may bring it back


class OccurrenceState(enum.Enum):
    """What became of an occurrence. The value is its name in the proto."""

    PLANNED = "PLANNED"
    POSTED = "POSTED"
    SKIPPED = "SKIPPED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Unposted:
    """An occurrence of which no post is to be made: SKIPPED, or REFUSED with the reason. What was refused is tried
    again when the series is edited.
    """

    time: datetime
    state: OccurrenceState
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """A series. The schedule of `post` is not used: each occurrence has its own.

    Occurrences up to `made_until`, a wall-clock time, were made; None: none were. `next_time` is the instant of the
    first after it; when there is none, `end_time` is that of the last.
    """

    series_id: UUID
    workspace_id: UUID
    name: str
    recurrence: Recurrence
    post: Draft
    made_until: datetime | None
    next_time: datetime | None
    end_time: datetime | None
    previous_series_id: UUID | None
    revision: int
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        """Changes with every edit."""
        return f"r{self.revision}"

    def state(self, now: datetime) -> SeriesState:
        """Whether anything more comes of it."""
        return SeriesState.ENDED if self.end_time is not None and self.end_time <= now else SeriesState.ACTIVE

    @property
    def unmade_from(self) -> datetime:
        """The wall-clock time from which on occurrences are still to be made."""
        return self.recurrence.start_time if self.made_until is None else self.made_until + STEP

    def occurrence(self, time: datetime) -> Occurrence:
        """The name of one of its occurrences."""
        return Occurrence(self.series_id, time)

    def schedule_at(self, time: datetime) -> Schedule:
        """When the rule's time takes place."""
        return zones.schedule_at(time, self.recurrence.time_zone, self.recurrence.fold)


@dataclass(frozen=True, slots=True)
class Listed:
    """An occurrence as it stands. `reason` and `message` say why there is no post."""

    time: datetime
    state: OccurrenceState
    instant: datetime
    post_id: UUID | None = None
    reason: str = ""
    message: str = ""


def occurrence_not_found(series: Series, time: datetime) -> OccurrenceNotFound:
    """The refusal for a time that is none of the rule's."""
    return OccurrenceNotFound(
        f"The series has no occurrence at {time.isoformat()}. Name one by the time that the rule gives it, before any"
        " move, as the list of occurrences shows it.",
        metadata={"series_id": str(series.series_id), "occurrence_time": time.isoformat()},
    )


def check_current(series: Series, etag: str) -> None:
    """Raises SeriesChanged when `etag` is given and old."""
    if etag and etag != series.etag:
        raise SeriesChanged("The series was changed since you read it. Read it again and decide again.")


def is_canceled(post: Post) -> bool:
    """Whether nothing of it takes place any more."""
    return all(each.state is DeliveryState.CANCELED for each in post.deliveries)


def may_change(post: Post) -> bool:
    """Whether it still follows its series: nothing of it has gone out, is going out, or is over."""
    try:
        domain.check_editable(post, "")
    except domain.PostNotEditable:
        return False
    return True


def check_may_skip(post: Post) -> None:
    """Raises PostNotEditable when some of it is going out or over."""
    for each in post.deliveries:
        if not each.can_be_stopped:
            raise domain.PostNotEditable(
                f"The post of this occurrence is {each.state.value} and stays: an occurrence can be skipped or moved"
                " until it goes out.",
                metadata={"post_id": str(post.post_id), "state": each.state.value},
            )


def was_moved(post: Post, planned: Schedule) -> bool:
    """Whether somebody has given an occurrence's post another time than the series planned for it."""
    schedule = post.draft.schedule
    return (schedule.local_time, schedule.time_zone) != (planned.local_time, planned.time_zone)


def refused(time: datetime, error: ReelrouteError) -> Unposted:
    """An occurrence that could not become a post."""
    return Unposted(time, OccurrenceState.REFUSED, error.reason, error.message[:2000])


def pair(left: Sequence[datetime], free: Sequence[datetime]) -> dict[datetime, datetime]:
    """Which new time takes the place of which old one, so that its post can go on: one of the same day, else one of the
    same week.
    """
    pairs: dict[datetime, datetime] = {}
    open_ = list(free)
    for key in (_day, _week):
        by_key: dict[object, list[datetime]] = {}
        for time in open_:
            by_key.setdefault(key(time), []).append(time)
        for old in left:
            if old not in pairs and by_key.get(key(old)):
                pairs[old] = by_key[key(old)].pop(0)
                open_.remove(pairs[old])
    return pairs


_Key = Callable[[datetime], object]
_day: _Key = datetime.date


def _week(time: datetime) -> object:
    return time.isocalendar()[:2]


def listed(series: Series, time: datetime, post: Post | None, unposted: Unposted | None) -> Listed:
    """How an occurrence stands."""
    planned = series.schedule_at(time).instant
    if unposted is not None:
        post_id = post.post_id if post else None
        return Listed(time, unposted.state, planned, post_id, unposted.reason, unposted.message)
    if post is None and (series.made_until is None or time > series.made_until):
        return Listed(time, OccurrenceState.PLANNED, planned)
    if post is None:
        message = "It was over before the series could make a post of it."
        return Listed(time, OccurrenceState.REFUSED, planned, None, "SCHEDULE_TIME_IN_PAST", message)
    if is_canceled(post):
        message = "Its post was canceled. Restore the occurrence to have another."
        return Listed(time, OccurrenceState.SKIPPED, planned, post.post_id, "POST_CANCELED", message)
    return Listed(time, OccurrenceState.POSTED, post.draft.schedule.instant, post.post_id)
