"""R1: a kill at every message of a post's way, on either side of it, before and after the other side has done it.

Which messages there are is not written down: a first post shows them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos import checker
from tests.chaos.campaign import Campaign
from tests.chaos.installation import Installation, soon
from tests.chaos.wires import Moment, Phase, Reaction, Rule, passes

Key = tuple[str, str, Phase, str]
# Of messages that come again and again, so many are points of their own.
_MOST_OF_A_KIND = 4
# A moment that does not come (its message was sent by another way this time, or hangs on the clock as the renewal of a
# lease does) is not waited for any longer, but for so many posts one after the other.
_MOMENT_SECONDS = 12.0
_POSTS = 3


@dataclass(frozen=True, slots=True)
class Point:
    """The n-th message of a kind, and which of its two ends dies there."""

    client: str
    server: str
    phase: Phase
    what: str
    number: int
    kills_server: bool

    def __str__(self) -> str:
        victim = self.server if self.kills_server else self.client
        return f"{victim} dies when {self.client} → {self.server} {self.what} #{self.number} is {self.phase.value}"


def points(running: Installation, handle: str) -> list[Point]:
    """Every point of the way of one post of this account, as it goes when nothing breaks.

    It is the second post: what happens once in the life of an installation comes with the first.
    """
    _publish(running, handle)
    seen: list[Moment] = []

    def watch(moment: Moment) -> Reaction:
        seen.append(moment)
        return Reaction.PASS

    running.wires.rule = watch
    _publish(running, handle)
    running.wires.rule = passes
    return list(_points(Counter(moment.key for moment in seen)))


def _publish(running: Installation, handle: str) -> None:
    posts = running.plan([handle], soon(2))
    (record,) = checker.settle(running, posts, 60)
    assert checker.judge(record) == [], checker.story(running, record)


def _points(found: Counter[Key]) -> Iterable[Point]:
    for (client, server, phase, what), times in sorted(found.items(), key=str):
        # Before its commit nothing of a transaction has happened, and reading changes nothing.
        if server == "postgresql" and not what.startswith("COMMIT after"):
            continue
        for number in range(1, min(times, _MOST_OF_A_KIND) + 1):
            for kills_server in (False, True):
                yield Point(client, server, phase, what, number, kills_server)


def kill_at(running: Installation, point: Point, done: threading.Event) -> Rule:
    """The rule that kills at a point, once, and loses the message."""
    seen = 0

    def rule(moment: Moment) -> Reaction:
        nonlocal seen
        if done.is_set() or moment.key != (point.client, point.server, point.phase, point.what):
            return Reaction.PASS
        seen += 1
        if seen < point.number:
            return Reaction.PASS
        running.kill(moment.server if point.kills_server else moment.client)
        done.set()
        return Reaction.CUT

    return rule


def strike(running: Installation, campaign: Campaign, point: Point, handle: str) -> bool:
    """A post of this account, and the kill; False when its moment came to none of several posts."""
    done = threading.Event()
    for number in range(_POSTS):
        running.wires.rule = kill_at(running, point, done)
        campaign.add(f"{handle}: {point}, post {number + 1}", running.plan([handle], soon(1 + number)))
        has_come = done.wait(_MOMENT_SECONDS)
        running.wires.rule = passes
        running.wait_ready()
        campaign.look()
        if has_come:
            break
    return has_come
