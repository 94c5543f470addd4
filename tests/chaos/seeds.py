"""R2: a kill at a random moment of some posts' lives, while answers get lost and the platform has a bad day.

Everything about a seed is drawn from its number, so it can be run again: `make chaos SEEDS="17"`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.campaign import Campaign
from tests.chaos.installation import Installation, soon
from tests.chaos.wires import Moment, Phase, Reaction, Rule

# Seeds that once found a fault; every run begins with them.
KEPT = Path(__file__).with_name("seeds.txt")
_VICTIMS = (
    *["publisher-1", "publisher-2"] * 3,
    *["scheduler-1", "scheduler-2"] * 2,
    *["postgresql"] * 2,
    "notification",
    "sandbox",
)
_FAULTS: tuple[dict[str, Any], ...] = (
    {"endpoint": "tiktok.upload", "mode": "lost_reply"},
    {"endpoint": "tiktok.upload", "mode": "cut_upload"},
    {"endpoint": "tiktok.upload", "mode": "error", "status": 500},
    {"endpoint": "tiktok.upload", "mode": "rate_limit"},
    {"endpoint": "tiktok.video_init", "mode": "lost_reply"},
    {"endpoint": "tiktok.video_init", "mode": "error", "code": "internal_error"},
    {"endpoint": "tiktok.video_init", "mode": "rate_limit"},
    {"endpoint": "tiktok.creator_info", "mode": "error", "code": "internal_error"},
    {"endpoint": "tiktok.creator_info", "mode": "reset"},
    {"endpoint": "tiktok.status_fetch", "mode": "error", "code": "internal_error"},
    {"endpoint": "tiktok.status_fetch", "mode": "rate_limit"},
    {"endpoint": "tiktok.status_fetch", "mode": "reset"},
    {"endpoint": "bulletin.create", "mode": "lost_reply"},
    {"endpoint": "bulletin.create", "mode": "reset"},
    {"endpoint": "bulletin.create", "mode": "rate_limit"},
    {"endpoint": "bulletin.create", "mode": "late_error", "status": 500},
    {"endpoint": "bulletin.list", "mode": "error", "status": 503},
)
# Seconds before and after the due time over which kills are spread.
_FROM, _UNTIL = -1.2, 1.3


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed does."""

    seed: int
    posts: int
    victims: tuple[str, ...]
    # Of the kill, seconds from the due time.
    moment: float
    faults: tuple[dict[str, Any], ...]
    # Share of calls between services, and of commits, whose answers are lost.
    lost_answers: float

    def __str__(self) -> str:
        faults = ", ".join(f"{fault['endpoint']} {fault['mode']}" for fault in self.faults) or "none"
        return (
            f"seed {self.seed}: {self.posts} posts, kill -9 {' '.join(self.victims)} at {self.moment:+.3f} s,"
            f" {self.lost_answers:.0%} of answers lost, faults: {faults}"
        )


def plan(seed: int) -> Plan:
    """What the seed does; always the same."""
    chance = random.Random(seed)
    victims = tuple(dict.fromkeys(chance.choice(_VICTIMS) for _ in range(chance.choice((1, 1, 1, 2)))))
    faults = tuple(
        {**fault, "skip": chance.randrange(2), "count": chance.randint(1, 3)}
        for fault in chance.sample(_FAULTS, chance.choice((0, 1, 1, 2)))
    )
    return Plan(
        seed, chance.randint(1, 4), victims, chance.uniform(_FROM, _UNTIL), faults, chance.choice((0.0, 0.02, 0.1))
    )


def lossy(seed: int, share: float) -> Rule:
    """Loses a share of the answers between services, and of the answers to commits."""
    chance = random.Random(f"{seed} answers")

    def rule(moment: Moment) -> Reaction:
        may_be_lost = moment.phase is Phase.ANSWERED and (
            moment.server != "postgresql" or moment.what.startswith("COMMIT")
        )
        return Reaction.CUT if may_be_lost and chance.random() < share else Reaction.PASS

    return rule


def strike(running: Installation, campaign: Campaign, planned: Plan) -> None:
    """Carries a plan out. Returns after its kill; the posts are the campaign's."""
    running.control("DELETE", "/faults")
    for fault in planned.faults:
        running.fault(**fault)
    handles = random.Random(planned.seed).sample(list(running.accounts), planned.posts)
    posts = running.plan(handles, soon(1.0))
    campaign.add(str(planned), posts)
    running.wires.rule = lossy(planned.seed, planned.lost_answers)
    time.sleep(max(0.0, (posts[0].due - datetime.now(UTC)).total_seconds() + planned.moment))
    for victim in planned.victims:
        running.kill(victim)
    campaign.look()


def kept() -> list[int]:
    """The seeds of seeds.txt."""
    lines = [line.partition("#")[0].strip() for line in KEPT.read_text().splitlines()]
    return [int(line) for line in lines if line]


def numbers(text: str) -> Sequence[int]:
    """The seeds of "17", "1-50" or "3 8 20-22"."""
    found: list[int] = []
    for part in text.replace(",", " ").split():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
