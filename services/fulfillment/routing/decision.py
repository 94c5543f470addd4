"""What is decided of an order, and why. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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


@dataclass(frozen=True, slots=True)
class ByHand:
    """What a person chose for an order. `kind` is ROUTE or LEAVE, or None: as the rules say. Without `items` it is what
    the map says, without a `speed` what the settings and rules say.
    """

    kind: DecisionKind | None = None
    items: tuple[Part, ...] = ()
    speed: str = ""


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """A decision as the database keeps it."""
    return {
        "kind": decision.kind.value,
        "reason": decision.reason,
        "text": decision.text,
        "speed": decision.speed,
        "features": dict(decision.features),
        "shipments": [[_part_to(item) for item in shipment.items] for shipment in decision.shipments],
        "notes": list(decision.notes),
        "facts": dict(decision.facts),
        "trace": [[each.rule_id, each.name, each.is_match, each.ground] for each in decision.trace],
        "decide_time": decision.decide_time.isoformat(),
        "retry_time": decision.retry_time.isoformat() if decision.retry_time else None,
    }


def decision_from_json(told: Mapping[str, Any]) -> Decision:
    """A decision that the database kept."""
    return Decision(
        kind=DecisionKind(told["kind"]),
        reason=told["reason"],
        text=told["text"],
        speed=told["speed"],
        features=told["features"],
        shipments=tuple(PlannedShipment(tuple(map(_part_from, items))) for items in told["shipments"]),
        notes=tuple(told["notes"]),
        facts=told["facts"],
        trace=tuple(RuleTrace(*each) for each in told["trace"]),
        decide_time=datetime.fromisoformat(told["decide_time"]),
        retry_time=datetime.fromisoformat(told["retry_time"]) if told["retry_time"] else None,
    )


def by_hand_to_json(chosen: ByHand) -> dict[str, Any]:
    """What a person chose, as the database keeps it."""
    kind = chosen.kind.value if chosen.kind else None
    return {"kind": kind, "items": [_part_to(item) for item in chosen.items], "speed": chosen.speed}


def by_hand_from_json(told: Mapping[str, Any]) -> ByHand:
    """What a person chose, as the database kept it."""
    kind = DecisionKind(told["kind"]) if told["kind"] else None
    return ByHand(kind, tuple(map(_part_from, told["items"])), told["speed"])


def _part_to(part: Part) -> list[Any]:
    return [part.amazon_sku, part.quantity, list(part.platform_line_ids)]


def _part_from(told: list[Any]) -> Part:
    return Part(told[0], told[1], tuple(told[2]))
