"""What is decided of an order, and why. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kit.errors import FailedPrecondition


class OrderNotDecided(FailedPrecondition):
    """Nothing was decided of the order yet. It is within the next minute; then ask again."""


class DecisionKind(enum.Enum):
    """What becomes of an order."""

    ROUTE = "ROUTE"
    HOLD = "HOLD"
    LEAVE = "LEAVE"


@dataclass(frozen=True, slots=True)
class Part:
    """So many units of one of Amazon's SKUs, and the lines of TikTok Shop's order that they are for."""

    amazon_sku: str
    quantity: int
    platform_line_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedShipment:
    """One order at Amazon: each SKU once."""

    items: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """A rule that was looked at. `ground`: what of its condition decided it, without anything personal."""

    rule_id: str
    name: str
    is_match: bool
    ground: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done, with its trace. `retry_time`: when time alone may change it (a hold of TikTok Shop's)."""

    kind: DecisionKind
    reason: str = ""
    text: str = ""
    speed: str = ""
    features: Mapping[str, bool] = field(default_factory=dict)
    shipments: tuple[PlannedShipment, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    trace: tuple[RuleTrace, ...] = ()
    decide_time: datetime
    retry_time: datetime | None = None
