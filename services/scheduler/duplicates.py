"""Finds posts of other channels with nearly the same caption or media at nearly the same time. Pure.

Content makes the fingerprints. A caption is a sketch: the 16 smallest hashes of its word groups; of the smallest of two
sketches together, about as large a part is in both as of their texts. A picture or frame is 64 bits, of which near ones
differ in few.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kit.errors import FieldViolation, InvalidArgument, NotFound
from services.scheduler.domain import Media
from services.scheduler.planning import Conflict, Rule, length

# Of the word groups. One word of twenty exchanged leaves 0.7 of the groups of three, two leave 0.5.
SAME_TEXT = 0.6
# Of 64. Copies that were scaled, pressed or slightly cut differ in fewer bits, other pictures in about 32.
NEAR_BITS = 7
_SKETCH = 16
# Of the 16 smallest together at most 6 may be in one only, so that one of the 7 smallest of each is in both.
_MARKS = _SKETCH - int(_SKETCH * SAME_TEXT + 0.999) + 1


class DuplicateAction(enum.Enum):
    """What becomes of a duplicate. The value is its text in the database."""

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
Rules = Mapping[tuple[str, str], DuplicateRule]


class PairInvalid(InvalidArgument):
    """A rule about duplicates is of two channels: posts of one channel are not compared with each other."""


class DuplicateRuleNotFound(NotFound):
    """The pair of channels has no rule."""


def pair(channel: str, other: str) -> tuple[str, str]:
    """Two channels in the order of the alphabet. Raises PairInvalid when they are the same."""
    if channel and channel == other:
        message = "Name two channels, or leave one empty for any: posts of one channel are not compared."
        raise PairInvalid(message, [FieldViolation("rule.other_channel", message)])
    return (channel, other) if channel <= other else (other, channel)


def rule_for(channel: str, other: str, rules: Rules) -> DuplicateRule:
    """The rule of two channels: the one that names more of them; of two that name one, the stricter."""
    exact = rules.get(pair(channel, other))
    if exact is not None:
        return exact
    half = [rules[key] for key in (("", channel), ("", other)) if key in rules]
    if half:
        return max(half, key=lambda each: (_STRICTNESS[each.action], each.window))
    return rules.get(("", ""), DEFAULT_RULE)


def widest_window(rules: Rules) -> timedelta:
    """How far apart posts may be and still be compared; 0 when none are."""
    every = [rules.get(("", ""), DEFAULT_RULE), *rules.values()]
    return max((each.window for each in every if each.action is not DuplicateAction.ALLOW), default=timedelta(0))


def similarity(one: Sequence[int], other: Sequence[int]) -> float:
    """The part of two texts that is the same, from 0 to 1, estimated from their sketches."""
    both = set(one).intersection(other)
    smallest = sorted({*one, *other})[:_SKETCH]
    return sum(each in both for each in smallest) / len(smallest) if smallest else 0.0


def looks_alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether at least half of the frames of the one with fewer have a near frame in the other."""
    fewer, more = sorted((one, other), key=len)
    near = sum(any((frame ^ each).bit_count() <= NEAR_BITS for each in more) for frame in fewer)
    return bool(fewer) and near * 2 >= len(fewer)


@dataclass(frozen=True, slots=True)
class Known:
    """What is compared of a post. `post_id` None: it is being saved and has no id yet."""

    post_id: UUID | None
    channel: str
    instant: datetime
    caption: str
    shingles: Sequence[int]
    media: Sequence[Media]


class Duplicates:
    """Posts of a workspace around some instants, to compare others with. Grows with each post that is added."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._for: dict[tuple[str, str], DuplicateRule] = {}
        self._texts = _Alike(_first_of, _first_of, _same_text)
        self._files = _Alike(_parts_of, _near_parts_of, looks_alike)

    def add(self, post: Known) -> None:
        """From now on others are compared with it."""
        place = (_seconds(post.instant), post.post_id)
        if text := _plain(post.caption):
            self._texts.add(text, post.shingles, post.channel, place)
        for each in post.media:
            self._files.add(each.sha256, each.frame_hashes, post.channel, place)

    def remove(self, post: Known) -> None:
        """Others are no longer compared with it, if they were."""
        place = (_seconds(post.instant), post.post_id)
        self._texts.remove(_plain(post.caption), post.channel, place)
        for each in post.media:
            self._files.remove(each.sha256, post.channel, place)

    def captions(self, post: Known) -> list[Conflict]:
        """Whether the caption is on another channel within the pair's window."""
        text = _plain(post.caption)
        if not text:
            return []
        found = self._nearest(self._texts, text, post.shingles, post)
        return [_conflict(Rule.DUPLICATE_CAPTION, "caption", "Nearly the same caption", found)] if found else []

    def files(self, post: Known) -> list[Conflict]:
        """Which files of a post are on another channel within the pair's window."""
        conflicts = []
        for index, each in enumerate(post.media):
            found = self._nearest(self._files, each.sha256, each.frame_hashes, post)
            if found:
                what = "The same or nearly the same file"
                conflicts.append(_conflict(Rule.DUPLICATE_MEDIA, f"media[{index}]", what, found))
        return conflicts

    def _nearest(self, known: _Alike, key: str, fingerprint: Fingerprint, post: Known) -> _Found | None:
        """Of the duplicates that a rule speaks of, that of the strictest rule, and of these the nearest."""
        best: _Found | None = None
        channel, at = post.channel, _seconds(post.instant)
        for other, places in known.places_like(key, fingerprint):
            if other == channel:
                continue
            rule = self._rule(channel, other)
            if rule.action is DuplicateAction.ALLOW:
                continue
            place = bisect_left(places, at, key=_time_of)
            for when, post_id in places[max(place - 1, 0) : place + 1]:
                found = _Found(rule, other, when, post_id, abs(when - at))
                if found.apart <= rule.window.total_seconds() and (best is None or found.order < best.order):
                    best = found
        return best

    def _rule(self, channel: str, other: str) -> DuplicateRule:
        key = (channel, other)
        if key not in self._for:
            self._for[key] = rule_for(channel, other, self._rules)
        return self._for[key]


@dataclass(frozen=True, slots=True)
class _Found:
    rule: DuplicateRule
    channel: str
    at: int
    post_id: UUID | None
    apart: int

    @property
    def order(self) -> tuple[int, int]:
        return -_STRICTNESS[self.rule.action], self.apart


def _conflict(rule: Rule, field: str, what: str, found: _Found) -> Conflict:
    at = datetime.fromtimestamp(found.at, UTC)
    where = f"on the channel {found.channel}" if found.channel else "in a post without a channel"
    message = (
        f"{what} is {where} at {at:%Y-%m-%d %H:%M} UTC. Change it, or keep the two more than"
        f" {length(found.rule.window)} apart."
    )
    return Conflict(rule, field, message, found.post_id, blocking=found.rule.action is DuplicateAction.REFUSE)


# Seconds since 1970, and the post's id. Only the first is compared.
Place = tuple[int, UUID | None]
Fingerprint = Sequence[int]


class _Alike:
    """Things with a fingerprint, which of them are alike, and where each is: by channel, in the order of time.

    Alike things have a mark of one among the probes of the other: nothing else is compared. What was found once is
    remembered, because captions and files come again and again.
    """

    def __init__(
        self,
        marks_of: Callable[[Fingerprint], Iterable[int]],
        probes_of: Callable[[Fingerprint], Iterable[int]],
        is_alike: Callable[[Fingerprint, Fingerprint], bool],
    ) -> None:
        self._marks_of, self._probes_of, self._is_alike = marks_of, probes_of, is_alike
        self._fingerprints: dict[str, Fingerprint] = {}
        self._by_mark: dict[int, list[str]] = {}
        self._like: dict[str, list[str]] = {}
        self._places: dict[str, dict[str, list[Place]]] = {}

    def add(self, key: str, fingerprint: Fingerprint, channel: str, place: Place) -> None:
        if key not in self._fingerprints:
            self._learn(key, fingerprint)
            if self._like:
                self._relate(key, fingerprint)
        insort(self._places[key].setdefault(channel, []), place, key=_time_of)

    def remove(self, key: str, channel: str, place: Place) -> None:
        places = self._places.get(key, {}).get(channel, [])
        if place in places:
            places.remove(place)

    def places_like(self, key: str, fingerprint: Fingerprint) -> Iterator[tuple[str, list[Place]]]:
        """Where this and what is like it is, by channel."""
        like = self._like.get(key)
        if like is None:
            if key not in self._fingerprints:
                self._learn(key, fingerprint)
            like = self._relate(key, fingerprint)
        for each in like:
            yield from self._places[each].items()

    def _learn(self, key: str, fingerprint: Fingerprint) -> None:
        self._fingerprints[key] = fingerprint
        self._places[key] = {}
        for mark in self._marks_of(fingerprint):
            self._by_mark.setdefault(mark, []).append(key)

    def _relate(self, key: str, fingerprint: Fingerprint) -> list[str]:
        likely = {other for probe in self._probes_of(fingerprint) for other in self._by_mark.get(probe, ())}
        likely.discard(key)
        like = [other for other in likely if self._is_alike(fingerprint, self._fingerprints[other])]
        for other in like:
            if other in self._like:
                self._like[other].append(key)
        like.append(key)
        self._like[key] = like
        return like


def _time_of(place: Place) -> int:
    return place[0]


def _first_of(sketch: Fingerprint) -> Iterable[int]:
    return sketch[:_MARKS]


def _same_text(one: Fingerprint, other: Fingerprint) -> bool:
    return similarity(one, other) >= SAME_TEXT


# A hash in four parts of 16 bits: when 7 bits differ at most, one part differs in one bit at most.
_PARTS = range(0, 64, 16)
_ONE_BIT = (0, *(1 << bit for bit in range(16)))


def _parts_of(frames: Fingerprint) -> Iterable[int]:
    return {(place << 16) | (frame >> place & 0xFFFF) for frame in frames for place in _PARTS}


def _near_parts_of(frames: Fingerprint) -> Iterable[int]:
    return {part ^ bit for part in _parts_of(frames) for bit in _ONE_BIT}


def _plain(caption: str) -> str:
    return " ".join(caption.casefold().split())


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())
