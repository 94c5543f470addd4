"""Faults: disturbances that a person or a test orders for coming calls.

A fault waits for calls of its endpoint, lets `skip` of them pass, and then hits `count` of them, each with
`probability`. The dice of a fault are a function of its seed, endpoint and mode and of the number of the call, so a run
can be repeated, and faults with the same seed do not fall together.
"""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sandbox.store import Store


class FaultMode(StrEnum):
    """What happens to a call that a fault hits."""

    ERROR = "error"  # refused with `status` and `code`; without a code, a page that no API would send, as proxies do
    RATE_LIMIT = "rate_limit"  # 429
    RESET = "reset"  # the connection is reset before anything happens
    LOST_REPLY = "lost_reply"  # everything happens, then the connection is reset; after a silence of `delay_seconds`
    LATE_ERROR = "late_error"  # everything happens, then the answer is an `error`, as from a proxy that gave up waiting
    CUT_UPLOAD = "cut_upload"  # the connection is reset after the first part of the body has arrived
    DELAY = "delay"  # the call waits `delay_seconds` of real time, then goes on
    DROP = "drop"  # webhooks only: counted as sent, never sent
    DUPLICATE = "duplicate"  # webhooks only: sent twice


WEBHOOK_MODES = frozenset({FaultMode.DROP, FaultMode.DUPLICATE})


class FaultSpec(BaseModel):
    """What to disturb, how, and how often."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str = Field(description="`tiktok.video_init`, or `tiktok.*` for every endpoint but webhooks.")
    mode: FaultMode
    status: int = Field(default=0, description="HTTP status of an error; 0: what the code documents.")
    code: str = Field(default="", max_length=100, description="Error code of an error; empty: an answer without one.")
    retry_after_seconds: int | None = Field(
        default=None, ge=0, le=86_400, description="Retry-After of an error or `rate_limit`; absent: none."
    )
    message: str = Field(default="Set by a fault of the sandbox.", max_length=500)
    delay_seconds: float = Field(default=0.0, ge=0, le=600)
    skip: int = Field(default=0, ge=0, description="Calls that pass unharmed first.")
    count: int | None = Field(
        default=None, ge=0, description="Calls to hit; 0: until removed. Absent: 1, or 0 with a probability below 1."
    )
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.status and not 200 <= self.status <= 599:
            raise ValueError("status: use 200 to 599")
        if self.mode is FaultMode.DELAY and self.delay_seconds == 0:
            raise ValueError("delay_seconds: say how long a delay lasts")
        if self.count is None:
            self.count = 1 if self.probability == 1.0 else 0
        return self


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that hit a call."""

    id: int
    spec: FaultSpec


class Faults:
    """All faults, in the order in which they were set."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Whether there may be any: most calls meet none, and need not look.
        self._any = bool(self.entries())

    def add(self, spec: FaultSpec) -> dict[str, Any]:
        """Set a fault and return it as listed."""
        self._any = True
        row_id = self._store.insert("INSERT INTO fault (spec) VALUES (?)", spec.model_dump_json())
        return {"id": row_id, **spec.model_dump(mode="json"), "seen": 0, "hits": 0, "spent": False}

    def entries(self) -> list[dict[str, Any]]:
        """Every fault with the calls it has seen and hit; a spent one stays until removed."""
        found = []
        for row in self._store.all("SELECT * FROM fault ORDER BY id"):
            spec = FaultSpec.model_validate_json(row["spec"])
            spent = bool(spec.count) and row["hits"] >= (spec.count or 0)
            found.append(
                {
                    "id": row["id"],
                    **spec.model_dump(mode="json"),
                    "seen": row["seen"],
                    "hits": row["hits"],
                    "spent": spent,
                }
            )
        return found

    def remove(self, fault_id: int) -> bool:
        """Take a fault away; False when there is none with that id."""
        return self._store.run("DELETE FROM fault WHERE id = ?", fault_id) > 0

    def clear(self) -> None:
        """Take all faults away."""
        self._store.run("DELETE FROM fault")
        self._any = False

    def take(self, endpoint: str) -> list[Fault]:
        """The faults that hit this call: any delays, and at most one other. Counts the call for each that saw it."""
        if not self._any:
            return []
        hit: list[Fault] = []
        decided = False
        for row in self._store.all("SELECT * FROM fault ORDER BY id"):
            spec = FaultSpec.model_validate_json(row["spec"])
            if not _matches(spec, endpoint) or (spec.count and row["hits"] >= spec.count):
                continue
            if decided and spec.mode is not FaultMode.DELAY:
                continue
            number = row["seen"]
            dice = random.Random(f"{spec.seed}:{spec.endpoint}:{spec.mode}:{number}").random()  # noqa: S311 - repeatable dice, not a secret
            hits = number >= spec.skip and dice < spec.probability
            self._store.run("UPDATE fault SET seen = seen + 1, hits = hits + ? WHERE id = ?", int(hits), row["id"])
            if hits:
                hit.append(Fault(row["id"], spec))
                decided = decided or spec.mode is not FaultMode.DELAY
        return hit


def _matches(spec: FaultSpec, endpoint: str) -> bool:
    if endpoint.endswith(".webhook"):
        return spec.mode in WEBHOOK_MODES and spec.endpoint == endpoint
    if spec.mode in WEBHOOK_MODES:
        return False
    vendor = endpoint.partition(".")[0]
    return spec.endpoint in (endpoint, f"{vendor}.*", "*")
