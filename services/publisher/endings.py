"""When people are told that an account's authorisation ends, which only its owner can renew. Pure.

Each stage is told once for an end: so many days before it; and once that posts are planned behind it, if that was not
told with a stage. What was over when the authorisation was given is not told.
"""

from __future__ import annotations

import math
from collections.abc import Set
from datetime import datetime, timedelta

# Days before the end.
STAGES = (30, 7, 1)
# What is planned behind an end is looked at from then on.
WINDOW = timedelta(days=max(STAGES))
# In the place of a stage: that posts are planned behind the end.
POSTS = 0
# An end counts as the same when it moves by less: platforms count it in whole seconds from when they answer.
_SAME = timedelta(hours=1)


def is_same(end: datetime | None, other: datetime | None) -> bool:
    """Whether two ends are of one authorisation."""
    if end is None or other is None:
        return end is other
    return abs(end - other) < _SAME


def first_look(end: datetime | None) -> datetime | None:
    """When there may first be something to tell of an end."""
    return end - WINDOW if end is not None else None


def reached(end: datetime | None, now: datetime) -> frozenset[int]:
    """The stages whose time has come."""
    return frozenset(days for days in STAGES if end is not None and end - timedelta(days=days) <= now)


def to_tell(end: datetime, told: Set[int], posts: int, now: datetime) -> frozenset[int]:
    """What is to be told now that was not; empty when nothing is. `posts` are planned behind the end."""
    if end <= now:
        return frozenset()
    found = reached(end, now) | (frozenset({POSTS}) if posts else frozenset())
    return found - told


def text(handle: str, end: datetime, posts: int, first: datetime | None, now: datetime) -> str:
    """What a person is told. `first`: when the first of the posts is to go out."""
    days, hours = (math.ceil((end - now) / unit) for unit in (timedelta(days=1), timedelta(hours=1)))
    when = f"in {days} days" if days > 1 else f"in {hours} hours"
    said = f"The authorisation of @{handle} ends {when}, on {end:%Y-%m-%d %H:%M} UTC, and only its owner can renew it."
    if first is not None:
        them = f"{posts:,} posts are" if posts > 1 else "A post is"
        said += f" {them} planned behind that, the first at {first:%Y-%m-%d %H:%M} UTC."
    return f"{said} Connect the account again before."
