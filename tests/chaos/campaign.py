"""Many small disasters in one living installation, each with posts of its own, and a verdict on every post.

A disaster does not wait for the posts of the one before: they are judged when they have settled, and at the latest
when all is quiet again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos import checker
from tests.chaos.installation import Installation, Planned
from tests.chaos.wires import passes

# Longest time in which a post must have settled once nothing breaks any more: leases, retries, and the pace at which
# late posts of one account leave.
QUIET_SECONDS = 180.0
_LOOK_SECONDS = 5.0


@dataclass
class Campaign:
    """Posts in doubt, and what has been found about those that are settled."""

    running: Installation
    states: Counter[str] = field(default_factory=Counter)
    # What is wrong, by the name of the disaster.
    faults: dict[str, list[str]] = field(default_factory=dict)
    posts: int = 0
    _open: dict[str, list[Planned]] = field(default_factory=dict)
    _looked: float = 0.0

    def add(self, disaster: str, posts: Sequence[Planned]) -> None:
        """Posts that a disaster meets."""
        self._open[disaster] = list(posts)
        self.posts += len(posts)

    def look(self) -> None:
        """Judges what has settled and is well; the rest is looked at again. Does nothing most of the time."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._close(is_over=False)
            self._looked = time.monotonic()

    def finish(self) -> None:
        """Nothing breaks from now on: waits until every post has settled, and judges."""
        self.running.wires.rule = passes
        self.running.control("DELETE", "/faults")
        self.running.wait_ready()
        checker.settle(self.running, [post for posts in self._open.values() for post in posts], QUIET_SECONDS)
        self._close(is_over=True)
        if refused := checker.refusals(self.running):
            self.faults["messages"] = refused

    def _close(self, *, is_over: bool) -> None:
        everything = [post for posts in self._open.values() for post in posts]
        records = {record.planned: record for record in checker.read(self.running, everything)}
        for disaster, posts in list(self._open.items()):
            mine = [records[post] for post in posts]
            wrong = {record.planned: _wrong(record) for record in mine}
            if any(wrong.values()) and not is_over:
                continue
            self.states.update(f"{record.state} {record.delivery.get('hold_cause', '')}".strip() for record in mine)
            for record in mine:
                if wrong[record.planned]:
                    told = "\n".join([*wrong[record.planned], checker.story(self.running, record)])
                    self.faults.setdefault(disaster, []).append(told)
            del self._open[disaster]


def _wrong(record: checker.Record) -> list[str]:
    # No disaster here is the post's own fault, so none of them ends one.
    refused = [f"refused: {record.delivery['failure_message']}"] if record.state in ("FAILED", "REJECTED") else []
    return [*checker.judge(record), *refused]
