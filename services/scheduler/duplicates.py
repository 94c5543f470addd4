"""Finds posts of other channels with nearly the same caption or media at nearly the same time. Pure.

Content makes the fingerprints. A caption is a sketch: the 16 smallest hashes of its word groups; two sketches share
about as large a part as their texts do. A picture or frame is 64 bits of which near ones differ in few.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.scheduler.domain import Media
from services.scheduler.planning import Conflict, Rule

# Above it two texts are the same but for a word or a tag: a caption of 20 words with one changed shares 0.7 of its
# groups of three.
SAME_TEXT = 0.6
# Of 64 bits. Re-encoded, scaled and slightly cropped pictures differ in fewer; other motifs in about 30.
NEAR_BITS = 7
_SKETCH = 16
_DAY_SECONDS = 86_400


class DuplicateAction(enum.Enum):
    """What becomes of a duplicate. The value is its text in the database; the later the stricter."""

    ALLOW = "ALLOW"
    WARN = "WARN"
    REFUSE = "REFUSE"


_STRICTNESS = {DuplicateAction.ALLOW: 0, DuplicateAction.WARN: 1, DuplicateAction.REFUSE: 2}


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """Of a pair of channels, in the order of the alphabet; "" is any."""

    channel: str
    other_channel: str
    action: DuplicateAction
    window: timedelta


DEFAULT_RULE = DuplicateRule("", "", DuplicateAction.WARN, timedelta(hours=24))


def pair(channel: str, other: str) -> tuple[str, str]:
    """Two channels in the order of the alphabet."""
    return (channel, other) if channel <= other else (other, channel)


def rule_for(channel: str, other: str, rules: Mapping[tuple[str, str], DuplicateRule]) -> DuplicateRule:
    """The rule of a pair: the one that names more channels; of two that name one each, the stricter."""
    exact = rules.get(pair(channel, other))
    if exact is not None:
        return exact
    half = [rules[key] for key in (pair("", channel), pair("", other)) if key in rules]
    if half:
        return max(half, key=lambda each: (_STRICTNESS[each.action], each.window))
    return rules.get(("", ""), DEFAULT_RULE)


def widest(rules: Mapping[tuple[str, str], DuplicateRule]) -> timedelta:
    """How far apart posts may be and still be compared."""
    every = [*rules.values(), *([] if ("", "") in rules else [DEFAULT_RULE])]
    return max((each.window for each in every if each.action is not DuplicateAction.ALLOW), default=timedelta(0))


def similarity(one: Sequence[int], other: Sequence[int]) -> float:
    """The part of two texts that is the same, from 0 to 1, estimated from their sketches."""
    if not one or not other:
        return 0.0
    both = set(one).intersection(other)
    smallest = sorted({*one, *other})[:_SKETCH]
    return sum(each in both for each in smallest) / len(smallest)


@dataclass(frozen=True, slots=True)
class Known:
    """A post to compare with; `post_id` None while it is being saved."""

    post_id: UUID | None
    channel: str
    instant: datetime
    shingles: tuple[int, ...]
    media: tuple[Media, ...]


class Duplicates:
    """The posts of a workspace around some times, to compare others with."""

    def __init__(self, rules: Mapping[tuple[str, str], DuplicateRule]) -> None:
        self._rules = rules
        self._window = widest(rules)
        # By word group, or file, and day: only few are ever compared.
        self._by_shingle: dict[tuple[int, int], list[Known]] = {}
        self._by_file: dict[tuple[str, int], list[Known]] = {}
        self._near = _NearFiles()
        self._pairs: dict[tuple[str, str], DuplicateRule] = {}

    def add(self, post: Known) -> None:
        """From now on others are compared with it."""
        day = int(post.instant.timestamp()) // _DAY_SECONDS
        for shingle in post.shingles:
            self._by_shingle.setdefault((shingle, day), []).append(post)
        for media in post.media:
            self._near.add(media)
            self._by_file.setdefault((media.sha256, day), []).append(post)

    def conflicts(self, post: Known, but: UUID | None = None) -> list[Conflict]:
        """What of the post is on another channel within the pair's window; `but`: the post that it replaces."""
        if not self._window:
            return []
        found = []
        days = self._days(post.instant)
        shared = Counter(
            id(other)
            for shingle in post.shingles
            for day in days
            for other in self._by_shingle.get((shingle, day), ())
            if other.channel != post.channel
        )
        if shared:
            enough = SAME_TEXT * min(_SKETCH, len(post.shingles))
            likely = {key for key, count in shared.items() if count >= enough}
            others = {
                id(other): other
                for shingle in (post.shingles if likely else ())
                for day in days
                for other in self._by_shingle.get((shingle, day), ())
                if id(other) in likely
            }
            same = [each for each in others.values() if similarity(post.shingles, each.shingles) >= SAME_TEXT]
            found += self._named(post, same, but, Rule.DUPLICATE_CAPTION, "caption", "caption")
        for index, media in enumerate(post.media):
            same = [
                other
                for sha256 in self._near.of(media)
                for day in days
                for other in self._by_file.get((sha256, day), ())
            ]
            found += self._named(post, same, but, Rule.DUPLICATE_MEDIA, f"media[{index}]", "file")
        return found

    def _days(self, instant: datetime) -> range:
        seconds, window = int(instant.timestamp()), int(self._window.total_seconds())
        return range((seconds - window) // _DAY_SECONDS, (seconds + window) // _DAY_SECONDS + 1)

    def _named(
        self, post: Known, others: Iterable[Known], but: UUID | None, rule: Rule, field: str, what: str
    ) -> Iterator[Conflict]:
        """The nearest one that a rule speaks of: one is enough to decide."""
        for other in sorted(others, key=lambda each: abs(each.instant - post.instant)):
            if other.channel == post.channel or (but is not None and other.post_id == but):
                continue
            applies = self._rule(post.channel, other.channel)
            apart = abs(other.instant - post.instant)
            if applies.action is DuplicateAction.ALLOW or apart > applies.window:
                continue
            hours = int(applies.window.total_seconds() // 3600)
            message = (
                f"Nearly the same {what} is on {f'the channel {other.channel}' if other.channel else 'no channel'} at"
                f" {other.instant:%Y-%m-%d %H:%M} UTC. Change it, or keep the two more than {hours} h apart."
            )
            yield Conflict(rule, field, message, other.post_id, blocking=applies.action is DuplicateAction.REFUSE)
            return

    def _rule(self, channel: str, other: str) -> DuplicateRule:
        key = (channel, other)
        if key not in self._pairs:
            self._pairs[key] = rule_for(channel, other, self._rules)
        return self._pairs[key]


class _NearFiles:
    """Which files look alike. Eight parts of eight bits each: of two hashes that differ in at most seven bits, one part
    is equal, so that few are compared.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, ...]] = {}
        self._near: dict[str, set[str]] = {}
        self._parts: dict[tuple[int, int], set[str]] = {}

    def add(self, media: Media) -> None:
        if media.sha256 in self._known:
            return
        near = self._like(media)
        self._known[media.sha256] = media.frame_hashes
        self._near[media.sha256] = {media.sha256, *near}
        for other in near:
            self._near[other].add(media.sha256)
        for frame in media.frame_hashes:
            for part in _parts(frame):
                self._parts.setdefault(part, set()).add(media.sha256)

    def of(self, media: Media) -> set[str]:
        """The files that look like this one, itself included."""
        found = self._near.get(media.sha256)
        return {media.sha256, *self._like(media)} if found is None else found

    def _like(self, media: Media) -> set[str]:
        likely = {
            other for frame in media.frame_hashes for part in _parts(frame) for other in self._parts.get(part, ())
        }
        return {other for other in likely if looks_alike(media.frame_hashes, self._known[other])}


def _parts(frame: int) -> Iterator[tuple[int, int]]:
    return ((place, frame >> place & 0xFF) for place in range(0, 64, 8))


def looks_alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether at least half of the frames of the one with fewer have a near frame in the other."""
    fewer, more = sorted((one, other), key=len)
    near = sum(any((frame ^ each).bit_count() <= NEAR_BITS for each in more) for frame in fewer)
    return bool(fewer) and near * 2 >= len(fewer)
