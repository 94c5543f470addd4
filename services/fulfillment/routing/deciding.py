"""What becomes of an order, by the rules. Pure.

Rules are looked at in their order. SHIP_AS and SPLIT change how an order goes, and the next rule sees that. The first
that holds, leaves or routes ends it, with two exceptions for what no rule of the workspace can change: what is not ours
to send is left although one would hold or route it, and what lacks something that Amazon needs is held although one
would route it. These built-in rules are firm. An order that nothing holds or leaves is routed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.fulfillment.orders.domain import ByHand, ShopOrder
from services.fulfillment.orders.recipient import Kind, Note, Verdict
from services.fulfillment.routing import mapping
from services.fulfillment.routing.built_in import BUILT_IN
from services.fulfillment.routing.decision import Decision, DecisionKind, Part, PlannedShipment, RuleTrace
from services.fulfillment.routing.facts import (
    ADDRESS_FACTS,
    FACTS,
    PREVIEW_FACTS,
    Facts,
    Value,
    address_facts,
    order_facts,
    possible_speed,
    preview_facts,
    settings_facts,
    sku_facts,
    text_of,
    value_of,
)
from services.fulfillment.routing.mapping import Mapped
from services.fulfillment.routing.reasons import reason_of
from services.fulfillment.routing.rules import ActionKind, Rule, tests_in
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.stock.domain import Available
from vendors.amazon_sp.outbound import Preview

# The traces of what a person chose name it so.
HAND = "by hand"
# A rule that tests what grows by itself is looked at again so often.
_AGING = timedelta(minutes=15)
_NAMES = {rule.rule_id: rule.name for rule in BUILT_IN}
_ADDRESS_NOTES = {note.value for note in Note} | {kind.value.lower() for kind in Kind}
_ENDS = {
    ActionKind.HOLD: DecisionKind.HOLD,
    ActionKind.LEAVE: DecisionKind.LEAVE,
    ActionKind.ROUTE: DecisionKind.ROUTE,
}


@dataclass(frozen=True, slots=True)
class KnownAddress:
    """What may be known of where an order goes: facts for rules, and remarks for people."""

    facts: Facts
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, verdict: Verdict) -> KnownAddress:
        """Of an address that was made fit, or could not be."""
        kinds = sorted(kind.value.lower() for kind in verdict.kinds)
        return cls(address_facts(verdict), (*(note.value for note in verdict.notes), *kinds))

    @classmethod
    def of_decision(cls, decision: Decision) -> KnownAddress:
        """Of a decision that was made of the same address."""
        told = {
            name: value_of(FACTS[name].kind, text) for name, text in decision.facts.items() if name in ADDRESS_FACTS
        }
        return cls(told, tuple(note for note in decision.notes if note in _ADDRESS_NOTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An order that is to be decided, with all that decides it but the rules. `stock`: of the SKUs in `mapped`, and of
    those that a person chose. `previews`: what Amazon foresees, as far as it was asked.
    """

    told: ShopOrder
    routing: ShopRouting
    # The country of the shop and of its Amazon seller.
    marketplace: str
    address: KnownAddress
    mapped: Mapped
    stock: Mapping[str, Available]
    previews: tuple[Preview, ...] = ()
    passed_over: frozenset[str] = frozenset()
    by_hand: ByHand = field(default_factory=ByHand)


def decide(case: Case, rules: Sequence[Rule], now: datetime) -> Decision:
    """What is to be done with an order. `rules` are in order; see rules.in_order."""
    return _Deciding(case, now).by(rules)


class _Deciding:
    """One decision, while rules are looked at."""

    def __init__(self, case: Case, now: datetime) -> None:
        self._case, self._now = case, now
        told, hand = case.told, case.by_hand
        self._mapped = mapping.by_hand(hand.items, case.mapped, told.open_units) if hand.items else case.mapped
        self._facts: dict[str, Value] = {
            **order_facts(told, now),
            **settings_facts(told, case.routing, now),
            **sku_facts(self._mapped, case.stock),
            **case.address.facts,
            "features": (),
            "is_split": False,
        }
        if country := case.address.facts.get("country"):
            self._facts["is_in_marketplace"] = country == case.marketplace
        self._features: dict[str, bool] = {}
        self._notes = list(case.address.notes)
        self._trace: list[RuleTrace] = []
        self._set_speed(hand.speed or speed_of(told, case.routing))

    def by(self, rules: Sequence[Rule]) -> Decision:
        hand = self._case.by_hand
        ending = DecisionKind.LEAVE if hand.is_left else DecisionKind.ROUTE if hand.is_routed else None
        ender: Rule | None = None
        if ending is not None:
            self._trace.append(RuleTrace(HAND, HAND, True, "a person chose it"))
        for rule in rules:
            if not rule.holds_at(self._now) or not _may_change(rule, ending):
                continue
            holds, ground = rule.condition.evaluate(self._facts)
            kind = rule.action.kind
            is_end = kind in (ActionKind.HOLD, ActionKind.LEAVE)
            if holds and is_end and not rule.is_firm and rule.action.reason in self._case.passed_over:
                holds, ground = False, f"{ground}; passed over by a person"
            self._trace.append(RuleTrace(rule.rule_id, rule.name, holds, ground))
            if not holds:
                continue
            if kind not in _ENDS:
                self._ship_as(rule)
                continue
            ending, ender = _ENDS[kind], rule
            if rule.is_built_in or ending is DecisionKind.LEAVE:
                break
        return self._decision(ending or DecisionKind.ROUTE, ender)

    def _ship_as(self, rule: Rule) -> None:
        action = rule.action
        if action.kind is ActionKind.SPLIT:
            self._facts["is_split"] = True
            return
        if action.features:
            self._features |= action.features
            self._facts["features"] = tuple(sorted(self._features))
        if action.reason:
            self._notes.append(action.reason)
        # What a person chose stays.
        if action.speed and not self._case.by_hand.speed:
            self._set_speed(action.speed)

    def _set_speed(self, wanted: str) -> None:
        case = self._case
        speed = possible_speed(case.previews, wanted)
        if speed != wanted:
            self._notes.append("speed_fallback")
        self._facts["speed"] = speed
        if case.previews:
            for name in PREVIEW_FACTS:
                self._facts.pop(name, None)
            preview = next((each for each in case.previews if each.speed == speed), None)
            self._facts.update(preview_facts(preview, case.told.deliver_until_time))

    def _decision(self, kind: DecisionKind, ender: Rule | None) -> Decision:
        facts = {name: text_of(self._facts[name]) for name in FACTS if name in self._facts}
        shipments: tuple[PlannedShipment, ...] = ()
        reason = text = ""
        retry_time = None
        if kind is DecisionKind.ROUTE:
            shipments = tuple(map(PlannedShipment, mapping.shipments_of(self._mapped.units)))
        elif ender is None:
            reason = "left_by_hand"
            text = reason_of(reason).text
        else:
            reason = ender.action.reason
            known = reason_of(reason)
            text = ender.action.text or known.text.format_map(_Told(facts))
            retry_time = self._retry_time(ender, known.retry) if kind is DecisionKind.HOLD else None
        return Decision(
            kind=kind,
            reason=reason,
            text=text,
            speed=facts["speed"],
            features=self._features,
            shipments=shipments,
            notes=tuple(dict.fromkeys(self._notes)),
            facts=facts,
            trace=tuple(self._trace),
            decide_time=self._now,
            retry_time=retry_time,
        )

    def _retry_time(self, rule: Rule, after: timedelta | None) -> datetime | None:
        tested = {test.fact for test in tests_in(rule.condition)}
        paid_time = self._case.told.paid_time
        times = [self._now + after] if after else []
        if "is_waiting" in tested and paid_time is not None:
            times.append(paid_time + self._case.routing.wait)
        if "age_hours" in tested:
            times.append(self._now + _AGING)
        if rule.end_time is not None:
            times.append(rule.end_time)
        return min(times, default=None)


class _Told(dict[str, str]):
    """Facts for sentences, with "(unknown)" for those that are not known or empty."""

    def __missing__(self, name: str) -> str:
        return "(unknown)"

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name) or "(unknown)"


def speed_of(told: ShopOrder, routing: ShopRouting) -> str:
    """The speed of the buyer's delivery option, by its name or id."""
    speeds = routing.speeds
    return speeds.get(told.delivery_option_name) or speeds.get(told.delivery_option_id) or routing.default_speed


def _may_change(rule: Rule, ending: DecisionKind | None) -> bool:
    """Whether a rule can still change what was decided so far."""
    match ending:
        case None:
            return True
        case DecisionKind.ROUTE:
            return rule.is_firm or rule.action.kind not in _ENDS
        case DecisionKind.HOLD:
            return rule.is_firm and rule.action.kind is ActionKind.LEAVE
    return False


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
        # Every order has it: the names of the built-in rules are looked up.
        "trace": [
            [each.rule_id, "" if each.rule_id in _NAMES else each.name, each.is_match, each.ground]
            for each in decision.trace
        ],
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
        trace=tuple(
            RuleTrace(rule_id, name or _NAMES.get(rule_id, rule_id), is_match, ground)
            for rule_id, name, is_match, ground in told["trace"]
        ),
        decide_time=datetime.fromisoformat(told["decide_time"]),
        retry_time=datetime.fromisoformat(told["retry_time"]) if told["retry_time"] else None,
    )


def _part_to(part: Part) -> list[Any]:
    return [part.amazon_sku, part.quantity, list(part.platform_line_ids)]


def _part_from(told: list[Any]) -> Part:
    return Part(told[0], told[1], tuple(told[2]))
