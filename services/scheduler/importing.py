"""What a row of an import, or a change of many posts, does to a post that is saved. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kit.errors import FieldViolation, InvalidArgument
from services.scheduler.domain import DeliveryState, Draft, Lateness, Media, Post

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


class ImportKeyRepeated(InvalidArgument):
    """Two rows of one import have the same key, so one would overwrite the other."""


def outcome(saved: Post | None, wanted: Draft) -> tuple[Outcome, tuple[FieldChange, ...]]:
    """What a row does to the post that its key names, and what differs.

    Whether the post may still be changed is not asked here: what does not differ is fine in any state.
    """
    if saved is None or came_to_nothing(saved):
        return Outcome.CREATED, ()
    if set(saved.draft.account_ids) != set(wanted.account_ids):
        before, after = (", ".join(sorted(map(str, each.account_ids))) for each in (saved.draft, wanted))
        return Outcome.REPLACED, (FieldChange("account_ids", before, after), *changes(saved.draft, wanted))
    found = changes(saved.draft, wanted)
    return (Outcome.UPDATED if found else Outcome.UNCHANGED), found


def came_to_nothing(post: Post) -> bool:
    """Whether nothing of it went out, or will: its key is free for another."""
    return all(delivery.state in _CAME_TO_NOTHING for delivery in post.deliveries)


def changes(before: Draft, after: Draft) -> tuple[FieldChange, ...]:
    """The fields that differ, of what an author can change in a post."""
    pairs: Sequence[tuple[str, Any, Any]] = (
        ("channel", before.channel, after.channel),
        ("caption", before.caption, after.caption),
        ("media", _files(before.media), _files(after.media)),
        ("local_time", before.schedule.local_time, after.schedule.local_time),
        ("time_zone", before.schedule.time_zone, after.schedule.time_zone),
        # Only where it says something: other times come once.
        ("ambiguous_time", *_folds(before, after)),
        ("options", before.options, after.options),
        ("ref", before.ref, after.ref),
        ("lateness", before.lateness, after.lateness),
    )
    return tuple(FieldChange(field, _words(one), _words(other)) for field, one, other in pairs if one != other)


def _files(media: tuple[Media, ...]) -> tuple[str, ...]:
    return tuple(each.media_asset_id for each in media)


def _folds(before: Draft, after: Draft) -> tuple[str, str]:
    one, other = before.schedule, after.schedule
    if (one.local_time, one.time_zone) != (other.local_time, other.time_zone) or one.instant == other.instant:
        return "", ""
    return tuple("LATER" if each.fold else "EARLIER" for each in (one, other))  # type: ignore[return-value]


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
        case _:
            text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


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
