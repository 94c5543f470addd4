"""What a row of an import, or a change of many posts, does to a post that is saved. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kit.errors import FieldViolation, InvalidArgument
from services.scheduler import zones
from services.scheduler.domain import (
    DeliveryState,
    Draft,
    Lateness,
    Media,
    Post,
    PostNotEditable,
    Schedule,
    check_editable,
    choices_said,
)

# What nobody can change any more, and what nobody misses.
_CAME_TO_NOTHING = frozenset({DeliveryState.CANCELED, DeliveryState.FAILED, DeliveryState.REJECTED})
_SHOWN = 100  # characters of a value in a report


class Outcome(enum.Enum):
    """What becomes of a row. The value is its name everywhere."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"
    REPLACED = "REPLACED"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of PostDraft that differs, in words."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Row:
    """What a row of an import does. `before` is the post that its key named until now, if any."""

    key: str
    draft: Draft
    before: Post | None
    outcome: Outcome
    changes: tuple[FieldChange, ...] = ()


class ImportKeyRepeated(InvalidArgument):
    """Two rows of one import have the same key, so one would overwrite the other."""


def first_of_each(keys: Sequence[str]) -> list[ImportKeyRepeated | None]:
    """For each key None, or why it is not taken: it came before."""
    seen: dict[str, int] = {}
    found: list[ImportKeyRepeated | None] = []
    for index, key in enumerate(keys):
        before = seen.setdefault(key, index)
        if before == index:
            found.append(None)
        else:
            message = f"Row {before + 1} of this chunk has the key {key!r} too. Give each row a key of its own."
            found.append(ImportKeyRepeated(message, [FieldViolation("key", message)]))
    return found


def decide(key: str, wanted: Draft, saved: Post | None, now: datetime) -> Row:
    """What a row does to the post that its key names.

    What is saved already as the row says is fine in any state, and at any time. Raises PostNotEditable when it differs
    and has begun, ScheduleTimeInPast and ScheduleTimeTooFar when the post would go out anew then.
    """
    if saved is None or came_to_nothing(saved):
        zones.check_ahead(wanted.schedule, now)
        return Row(key, wanted, saved, Outcome.CREATED)
    found = changes(saved.draft, wanted)
    if set(saved.draft.account_ids) != set(wanted.account_ids):
        if not all(each.can_be_stopped for each in saved.deliveries):
            raise PostNotEditable(
                "A part of this post has gone out or is about to, so its accounts cannot be changed. Give the row"
                " another key, or its former accounts.",
                metadata={"post_id": str(saved.post_id)},
            )
        zones.check_ahead(wanted.schedule, now)
        before, after = (", ".join(sorted(map(str, each.account_ids))) for each in (saved.draft, wanted))
        return Row(key, wanted, saved, Outcome.REPLACED, (FieldChange("account_ids", before, after), *found))
    if not found:
        return Row(key, wanted, saved, Outcome.UNCHANGED)
    check_editable(saved, "")
    if _time(saved.draft.schedule) != _time(wanted.schedule):
        zones.check_ahead(wanted.schedule, now)
    return Row(key, wanted, saved, Outcome.UPDATED, found)


def same_posts(rows: Mapping[str, Draft], there: Iterable[Post]) -> dict[str, Post]:
    """Which rows, by their keys, are posts already, though no import knows them so: at the same time for the same
    accounts, with the same ref, or the same words and files. A sheet and a calendar of one plan; an export of posts
    that were made one by one.
    """
    at: dict[tuple[datetime, frozenset[UUID]], list[Post]] = {}
    for post in there:
        if not came_to_nothing(post):
            at.setdefault((post.draft.schedule.instant, frozenset(post.draft.account_ids)), []).append(post)
    found: dict[str, Post] = {}
    for key, row in rows.items() if at else ():
        candidates = at.get((row.schedule.instant, frozenset(row.account_ids)), [])
        same = next((post for post in candidates if _is_same(post.draft, row)), None)
        if same is not None:
            candidates.remove(same)
            found[key] = same
    return found


def _is_same(saved: Draft, row: Draft) -> bool:
    by_ref = bool(row.ref) and saved.ref == row.ref
    return by_ref or (saved.caption, _files(saved.media)) == (row.caption, _files(row.media))


def came_to_nothing(post: Post) -> bool:
    """Whether nothing of it went out, or will: its key is free for another."""
    return all(delivery.state in _CAME_TO_NOTHING for delivery in post.deliveries)


def shifted(draft: Draft, by: timedelta, now: datetime) -> Draft:
    """The draft at another wall-clock time. Raises what `zones.resolve` raises: the new time may not exist."""
    was = draft.schedule
    try:
        local_time = was.local_time + by
    except OverflowError:
        raise InvalidArgument.of_field("shift", "That is beyond the end of the calendar.") from None
    return replace(draft, schedule=zones.resolve(local_time.isoformat(), was.time_zone, None, now))


def changes(before: Draft, after: Draft) -> tuple[FieldChange, ...]:
    """The fields that differ, of what an author can change in a post."""
    was, is_ = before.schedule, after.schedule
    pairs: list[tuple[str, Any, Any]] = [
        ("channel", before.channel, after.channel),
        ("caption", before.caption, after.caption),
        ("media", _files(before.media), _files(after.media)),
        ("local_time", was.local_time, is_.local_time),
        ("time_zone", was.time_zone, is_.time_zone),
        ("options", choices_said(before.options), choices_said(after.options)),
        ("ref", before.ref, after.ref),
        ("lateness", before.lateness, after.lateness),
    ]
    if _time(was)[:2] == _time(is_)[:2] and _time(was) != _time(is_):
        pairs.append(("ambiguous_time", _which(was), _which(is_)))
    return tuple(FieldChange(field, _words(one), _words(other)) for field, one, other in pairs if one != other)


def _time(schedule: Schedule) -> tuple[datetime, str, int]:
    """What an author says of it. Which of two equal times says something only where there are two."""
    local_time, time_zone = schedule.local_time, schedule.time_zone
    comes_twice = schedule.fold and zones.instant_at(local_time, time_zone, 0) != schedule.instant
    return local_time, time_zone, int(bool(comes_twice))


def _which(schedule: Schedule) -> str:
    return "LATER" if schedule.fold else "EARLIER"


def _files(media: tuple[Media, ...]) -> tuple[str, ...]:
    return tuple(each.media_asset_id for each in media)


def _words(value: Any) -> str:
    match value:
        case None:
            text = ""
        case Lateness(max_seconds=seconds, action=action):
            text = f"{seconds} s, then {action.value}"
        case dict():
            text = ", ".join(
                f"{platform}.{name}={chosen}" for platform, choices in value.items() for name, chosen in choices.items()
            )
        case tuple():
            text = ", ".join(value)
        case datetime():
            text = value.isoformat()
        case _:
            text = str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
