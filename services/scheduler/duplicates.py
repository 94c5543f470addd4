"""Finds posts of other channels with nearly the same caption or media at nearly the same time. Pure.

Content makes the fingerprints. A caption is a sketch: the 16 smallest hashes of its word groups; of the smallest of two
sketches together, about as large a part is in both as of their texts. A picture or frame is 64 bits, of which near ones
differ in few.
"""

from __future__ import annotations

import abc
import enum
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from uuid import UUID

from kit.errors import FieldViolation, InvalidArgument
from services.scheduler.conflicts import Conflict, Rule
from services.scheduler.domain import Draft, Media
from services.scheduler.planning import length

# Of the word groups. One word of twenty exchanged leaves 0.7 of the groups of three, two leave 0.5.
SAME_TEXT = 0.6
# Of 64. Copies that were scaled, pressed or slightly cut differ in fewer bits, other pictures in about 32.
NEAR_BITS = 7
_SKETCH = 16


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


def _shared(sketch: Sequence[int]) -> int:
    """How many hashes of a sketch at least are in that of a text that is nearly the same."""
    return ceil(SAME_TEXT * min(len(sketch), _SKETCH))


def looks_alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether at least half of the frames of the one with fewer have a near frame in the other."""
    # Of two with as many frames it may be either.
    pairs = ((one, other), (other, one))
    return any(fewer and _near(fewer, more) * 2 >= len(fewer) for fewer, more in pairs if len(fewer) <= len(more))


def _near(frames: Sequence[int], others: Sequence[int]) -> int:
    """How many of the frames have a near one among the others."""
    return sum(any((frame ^ each).bit_count() <= NEAR_BITS for each in others) for frame in frames)


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared of a post. `post_id` None: it is being saved and has no id yet. `time` in seconds since 1970;
    `text` is the caption, plain.
    """

    post_id: UUID | None
    channel: str
    time: int
    text: str
    shingles: Sequence[int]
    media: Sequence[Media]


def plain(caption: str) -> str:
    """A caption without the differences that nobody sees: capitals and spaces."""
    return " ".join(caption.casefold().split())


def compared_of(draft: Draft, instant: datetime, post_id: UUID | None = None) -> Compared:
    """What is compared of a draft, at an instant."""
    return Compared(post_id, draft.channel, int(instant.timestamp()), plain(draft.caption), draft.shingles, draft.media)


class Wanted:
    """Tells which posts may be duplicates of some that are judged: of thousands around them mostly none."""

    def __init__(self, judged: Iterable[Compared]) -> None:
        self._texts: set[str] = set()
        self._groups: set[int] = set()
        self._media: dict[str, Media] = {}
        for post in judged:
            self._texts.add(post.text)
            self._groups.update(post.shingles)
            self._media.update((each.sha256, each) for each in post.media)
        self._files: _Files | None = None

    def has_text(self, text: str, shingles: Sequence[int]) -> bool:
        """Whether a text may be like one of theirs."""
        return text in self._texts or _may_be_like(shingles, self._groups)

    def has_file(self, file: Media) -> bool:
        """Whether a file is one of theirs, or like one."""
        if file.sha256 in self._media or not file.frame_hashes:
            return file.sha256 in self._media
        if self._files is None:
            self._files = _Files()
            for each in self._media.values():
                self._files.meet(each.sha256, each.frame_hashes)
        return bool(self._files.alike(file.sha256, file.frame_hashes))


class _Common:
    """What of texts comes more than once among some posts. Of an import's captions mostly little does, and whatever
    shares too little with all others need not be compared with any.
    """

    def __init__(self, among: Iterable[Compared]) -> None:
        texts: set[str] = set()
        groups: set[int] = set()
        self._texts: set[str] = set()
        self._groups: set[int] = set()
        for post in among:
            self._groups.update(groups.intersection(post.shingles))
            groups.update(post.shingles)
            (self._texts if post.text in texts else texts).add(post.text)

    def has(self, post: Compared) -> bool:
        """Whether a caption may be like another one of them."""
        return post.text in self._texts or _may_be_like(post.shingles, self._groups)


def _may_be_like(sketch: Sequence[int], groups: set[int]) -> bool:
    """Whether a text has so many of these groups that it may be nearly the same as one with them."""
    shared = groups.intersection(sketch)
    return bool(shared) and len(shared) >= _shared(sketch)


class Duplicates:
    """Posts of a workspace around some times, to compare others with. Grows with each post that is added.

    `among`: all that will ever be added or asked about, where that is known. Most of them are then not even looked at.
    """

    def __init__(self, rules: Rules, among: Iterable[Compared] | None = None) -> None:
        self._rules = rules
        self._for: dict[tuple[str, str], DuplicateRule] = {}
        self._common = None if among is None else _Common(among)
        self._texts = _Texts()
        self._files = _Files()

    def add(self, post: Compared) -> None:
        """From now on others are compared with it."""
        place = (post.time, post.post_id)
        if self._is_compared(post):
            self._texts.add(post.text, post.shingles, post.channel, place)
        for each in post.media:
            self._files.add(each.sha256, each.frame_hashes, post.channel, place)

    def remove(self, post: Compared) -> None:
        """Others are no longer compared with it, if they were."""
        place = (post.time, post.post_id)
        self._texts.remove(post.text, post.channel, place)
        for each in post.media:
            self._files.remove(each.sha256, post.channel, place)

    def captions(self, post: Compared) -> list[Conflict]:
        """Whether the caption is on another channel within the pair's window."""
        if not self._is_compared(post):
            return []
        found = self._nearest(self._texts.like(post.text, post.shingles), post)
        return [_conflict(Rule.DUPLICATE_CAPTION, "caption", "Nearly the same caption", found)] if found else []

    def _is_compared(self, post: Compared) -> bool:
        return bool(post.text) and (self._common is None or self._common.has(post))

    def files(self, post: Compared) -> list[Conflict]:
        """Which files of a post are on another channel within the pair's window."""
        conflicts = []
        for index, each in enumerate(post.media):
            found = self._nearest(self._files.like(each.sha256, each.frame_hashes), post)
            if found:
                what = "The same or nearly the same file"
                conflicts.append(_conflict(Rule.DUPLICATE_MEDIA, f"media[{index}]", what, found))
        return conflicts

    def _nearest(self, like: Iterator[tuple[str, list[Place]]], post: Compared) -> _Found | None:
        """Of the duplicates that a rule speaks of, that of the strictest rule, and of these the nearest."""
        best: _Found | None = None
        for channel, places in like:
            if channel == post.channel:
                continue
            rule = self._rule(post.channel, channel)
            if rule.action is DuplicateAction.ALLOW:
                continue
            place = bisect_left(places, post.time, key=_time_of)
            for time, post_id in places[max(place - 1, 0) : place + 1]:
                found = _Found(rule, channel, time, post_id, abs(time - post.time))
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
    time: int
    post_id: UUID | None
    apart: int

    @property
    def order(self) -> tuple[int, int]:
        return -_STRICTNESS[self.rule.action], self.apart


def _conflict(rule: Rule, field: str, what: str, found: _Found) -> Conflict:
    at = datetime.fromtimestamp(found.time, UTC)
    where = f"on the channel {found.channel}" if found.channel else "in a post without a channel"
    message = (
        f"{what} is {where} at {at:%Y-%m-%d %H:%M} UTC. Change it, or keep the two more than"
        f" {length(found.rule.window)} apart."
    )
    return Conflict(rule, field, message, found.post_id, blocking=found.rule.action is DuplicateAction.REFUSE)


# Seconds since 1970, and the post's id. They are ordered by the first.
Place = tuple[int, UUID | None]


def _time_of(place: Place) -> int:
    return place[0]


class _Alike(abc.ABC):
    """Things with a fingerprint, which of them are alike, and where each is: by channel, in the order of time.

    What was found once is remembered, because captions and files come again and again.
    """

    def __init__(self) -> None:
        self._places: dict[str, dict[str, list[Place]]] = {}
        self._fingerprints: dict[str, Sequence[int]] = {}
        # Of those that were asked about: what is like each, itself included.
        self._like: dict[str, list[str]] = {}

    def add(self, key: str, fingerprint: Sequence[int], channel: str, place: Place) -> None:
        """One more place of a thing."""
        if key not in self._places:
            self.meet(key, fingerprint, self.alike(key, fingerprint) if self._like else ())
        insort(self._places[key].setdefault(channel, []), place, key=_time_of)

    def remove(self, key: str, channel: str, place: Place) -> None:
        """One place less, if it is known."""
        places = self._places.get(key, {}).get(channel, [])
        if place in places:
            places.remove(place)

    def like(self, key: str, fingerprint: Sequence[int]) -> Iterator[tuple[str, list[Place]]]:
        """Where this and what is like it is, by channel."""
        if key not in self._like:
            alike = self.alike(key, fingerprint)
            if key not in self._places:
                self.meet(key, fingerprint, alike)
            self._like[key] = [key, *alike]
        for each in self._like[key]:
            yield from self._places[each].items()

    def meet(self, key: str, fingerprint: Sequence[int], alike: Iterable[str] = ()) -> None:
        """From now on it is known, also to those that are like it and were asked about before."""
        for each in alike:
            if each in self._like:
                self._like[each].append(key)
        self._places[key] = {}
        self._fingerprints[key] = fingerprint
        self._learn(key, fingerprint)

    @abc.abstractmethod
    def _learn(self, key: str, fingerprint: Sequence[int]) -> None:
        """From now on `alike` finds it."""

    @abc.abstractmethod
    def alike(self, key: str, fingerprint: Sequence[int]) -> list[str]:
        """What else is known and like it."""


class _Texts(_Alike):
    """By their word groups. So many are the same of two texts that are alike that any few of one need to be looked for:
    those that are in the fewest texts. Others may be in all, as the hashtags of a brand.
    """

    def __init__(self) -> None:
        super().__init__()
        self._by_group: dict[int, list[str]] = {}

    def _learn(self, key: str, fingerprint: Sequence[int]) -> None:
        for group in fingerprint:
            self._by_group.setdefault(group, []).append(key)

    def alike(self, key: str, fingerprint: Sequence[int]) -> list[str]:
        found = sorted((self._by_group.get(group, ()) for group in fingerprint), key=len)
        likely = set().union(*found[: len(fingerprint) - _shared(fingerprint) + 1])
        likely.discard(key)
        return [each for each in likely if similarity(fingerprint, self._fingerprints[each]) >= SAME_TEXT]


class _Files(_Alike):
    """By parts of the hashes of their frames, 16 bits each: of two near ones, one part differs in one bit at most."""

    def __init__(self) -> None:
        super().__init__()
        self._by_part: dict[int, list[tuple[int, str]]] = {}

    def _learn(self, key: str, fingerprint: Sequence[int]) -> None:
        for frame in set(fingerprint):
            for part in _parts(frame):
                self._by_part.setdefault(part, []).append((frame, key))

    def alike(self, key: str, fingerprint: Sequence[int]) -> list[str]:
        likely: set[str] = set()
        for frame in set(fingerprint):
            for part in _parts(frame):
                for bit in _ONE_BIT:
                    for near, each in self._by_part.get(part ^ bit, ()):
                        if (frame ^ near).bit_count() <= NEAR_BITS:
                            likely.add(each)
        likely.discard(key)
        return [each for each in likely if looks_alike(fingerprint, self._fingerprints[each])]


# The bits in which two parts may differ.
_ONE_BIT = (0, *(1 << bit for bit in range(16)))


def _parts(frame: int) -> Iterator[int]:
    return ((place << 16) | (frame >> place & 0xFFFF) for place in range(0, 64, 16))
