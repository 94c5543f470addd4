"""What a stand-in saw, call by call, and the judge's general rules: those that hold for any vendor."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Calls that left before a refusal was read may arrive after it.
_ON_THE_WAY_SECONDS = 0.3
# Arrivals are measured here, departures there: a call may be so much faster than the one before it.
_CLOCK_SECONDS = 0.02


@dataclass
class Call:
    """One request as it came, and what it was answered. Times are of the monotonic clock, seconds."""

    number: int
    at: float
    method: str
    path: str
    query: dict[str, str]
    headers: list[tuple[str, str]]
    endpoint: str = ""
    # In whose name: the user's or shop's id, as the stand-in knows it.
    who: str = ""
    token: str = ""
    body: Any = None
    raw: bytes = b""
    status: int = 0
    code: str = ""
    # When it was answered; None: the answer was lost.
    answered: float | None = None
    # Path and query as they came.
    target: str = ""
    # What the stand-in did, for when it is known that the answer left.
    note: Any = None

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def same(self) -> str:
        """Equal for two calls that ask for the same."""
        return json.dumps([self.endpoint, self.who, self.path, self.body], sort_keys=True, default=str)

    def __str__(self) -> str:
        outcome = f"{self.status} {self.code}" if self.answered else "lost"
        return f"#{self.number} {self.endpoint or self.path} of {self.who or 'nobody'} ({outcome})"


@dataclass
class Journal:
    """Every call, and every rule that one of them broke.

    `limits`: calls by endpoint, of one `who`, in any `minute` seconds (a minute, unless a test has shorter ones).
    """

    limits: Mapping[str, int]
    minute: float = 60.0
    calls: list[Call] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _refused: dict[str, Call] = field(default_factory=dict)
    _rests: dict[tuple[str, str], tuple[float, Call]] = field(default_factory=dict)
    _dead: dict[str, tuple[float, str]] = field(default_factory=dict)

    def breaks(self, call: Call, rule: str) -> None:
        """Notes a broken rule."""
        with self.lock:
            self.broken.append(f"{call}: {rule}")

    def of(self, endpoint: str, who: str = "") -> list[Call]:
        """The calls of an endpoint, in order."""
        with self.lock:
            return [each for each in self.calls if each.endpoint == endpoint and who in ("", each.who)]

    def arrived(self, call: Call) -> None:
        """Judges a call by what was answered before it."""
        refused = self._refused.get(call.same)
        if refused is not None and call.at > (refused.answered or call.at) + _ON_THE_WAY_SECONDS:
            self.breaks(call, f"repeats {refused}, which was refused for good")
        rest = self._rests.get((call.endpoint, call.who))
        if rest is not None and call.at < rest[0] - _CLOCK_SECONDS and call.at > (rest[1].answered or 0) + 0.05:
            self.breaks(call, f"came {rest[0] - call.at:.1f} s before the end of the rest that {rest[1]} asked for")
        dead = self._dead.get(call.token)
        if dead is not None and call.at > dead[0] + _ON_THE_WAY_SECONDS:
            self.breaks(call, f"uses a token that is over: {dead[1]}")

    def refuses_for_good(self, call: Call) -> None:
        """The answer is permanent: the same must not be asked again."""
        self._refused[call.same] = call

    def asks_for_rest(self, call: Call, seconds: float | None) -> None:
        """The answer is 429; without Retry-After a minute is to be waited."""
        wait = self.minute if seconds is None else seconds
        self._rests[call.endpoint, call.who] = (time.monotonic() + wait, call)

    def token_is_over(self, token: str, why: str) -> None:
        """It must not be used any more."""
        self._dead.setdefault(token, (time.monotonic(), why))

    def violations(self) -> list[str]:
        """Everything that was not allowed."""
        with self.lock:
            return [*self.broken, *self._above_rates()]

    def _above_rates(self) -> Iterator[str]:
        times: dict[tuple[str, str], list[float]] = defaultdict(list)
        for call in self.calls:
            times[call.endpoint, call.who].append(call.at)
        for (endpoint, who), arrivals in times.items():
            limit = self.limits.get(endpoint)
            if limit is None:
                continue
            arrivals.sort()
            worst = max(sum(1 for each in arrivals if start <= each < start + self.minute) for start in arrivals)
            if worst > limit:
                yield f"{endpoint} of {who}: {worst} calls in one minute, allowed are {limit}"
