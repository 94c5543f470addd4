"""Rules as data: while one holds, an order for which its condition is true is treated as its action says. Pure.

As JSON, in the built-in rules and in the database:

    condition  {"all": […]}  {"any": […]}  {"not": {…}}  {"fact": "units", "operator": "MORE_THAN", "values": ["250"]}
    action     {"kind": "HOLD", "reason": "too_dear", "text": "…"}  {"kind": "SHIP_AS", "speed": "EXPEDITED"}
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from kit.errors import Conflict, InvalidArgument, NotFound, ResourceExhausted
from services.fulfillment.routing.facts import FACTS, FactKind, Facts, Value, text_of, value_of
from vendors.amazon_sp.outbound import Speed

# A condition is evaluated for every order: what is larger than this is no rule but a list, and belongs elsewhere.
_MOST_TESTS, _MOST_VALUES, _DEEPEST = 200, 5000, 8
# So many values are named in a ground.
_NAMED = 5
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FEATURE = re.compile(r"[A-Z][A-Z0-9_.]{0,39}")
_MOST_FEATURES = 20


class RuleInvalid(InvalidArgument):
    """A rule names a fact, an operator, a value or an action that there is not, or that do not go together."""


class RuleNotFound(NotFound):
    """The workspace has no rule with that id."""


class RuleChanged(Conflict):
    """The rule was changed since it was read. Read it again, then change it."""


class RuleLimitReached(ResourceExhausted):
    """The workspace has as many rules as it can have. Put several into one, or delete those that are not used."""


class Operator(enum.Enum):
    """How a fact is compared. The value is what a ground says of a match, and of none."""

    EQUALS = ("is", "is not")
    LESS_THAN = ("is less than", "is not less than")
    MORE_THAN = ("is more than", "is not more than")
    IN = ("is among", "is not among")
    CONTAINS_ANY = ("has one of", "has none of")
    STARTS_WITH = ("begins with", "does not begin with")


# Of a list the number of its texts is compared, but for the last two.
FITTING = {
    FactKind.NUMBER: (Operator.EQUALS, Operator.LESS_THAN, Operator.MORE_THAN, Operator.IN),
    FactKind.TEXT: (Operator.EQUALS, Operator.IN, Operator.STARTS_WITH),
    FactKind.TRUTH: (Operator.EQUALS,),
    FactKind.TIME: (Operator.EQUALS, Operator.LESS_THAN, Operator.MORE_THAN),
    FactKind.LIST: tuple(each for each in Operator if each is not Operator.IN),
}
_MANY = (Operator.IN, Operator.CONTAINS_ANY)
_COUNTING = (Operator.EQUALS, Operator.LESS_THAN, Operator.MORE_THAN)


@dataclass(frozen=True, slots=True)
class Test:
    """Whether a fact is as named; false of a fact that is not known. Made by `condition_from`, which checks it."""

    fact: str
    operator: Operator
    values: tuple[Value, ...]
    _set: frozenset[Value] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_set", frozenset(self.values))

    def evaluate(self, facts: Facts) -> tuple[bool, str]:
        """Whether it holds, and on what ground."""
        found = facts.get(self.fact)
        if found is None:
            return False, f"{self.fact} is not known"
        holds = self._holds(found)
        if isinstance(found, bool):
            return holds, f"{self.fact} is {'true' if found else 'false'}"
        if isinstance(found, tuple):
            shown = f"{len(found)} ({_shown(found)})" if found else "nothing"
            found_text = f"{self.fact}: {shown}"
        else:
            found_text = f"{self.fact} {text_of(found)}" if found != "" else f"{self.fact}, empty,"
        return holds, f"{found_text} {self.operator.value[not holds]} {_shown(self.values)}"

    def _holds(self, found: Value) -> bool:
        wanted = self.values[0]
        if isinstance(found, tuple):
            match self.operator:
                case Operator.CONTAINS_ANY:
                    return not self._set.isdisjoint(found)
                case Operator.STARTS_WITH:
                    return any(each.startswith(str(wanted)) for each in found)
            found = len(found)
        match self.operator:
            case Operator.EQUALS:
                return found == wanted
            case Operator.LESS_THAN:
                return found < wanted  # type: ignore[operator]  # of one kind, as checked
            case Operator.MORE_THAN:
                return found > wanted  # type: ignore[operator]
            case Operator.STARTS_WITH:
                return str(found).startswith(str(wanted))
        return found in self._set


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of the conditions; without any it is true of every order."""

    conditions: tuple[Condition, ...]

    def evaluate(self, facts: Facts) -> tuple[bool, str]:
        """Whether it holds, and on what ground: the first that does not, else all."""
        grounds = []
        for each in self.conditions:
            holds, ground = each.evaluate(facts)
            if not holds:
                return False, ground
            grounds.append(ground)
        return True, "; ".join(grounds) or "always"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the conditions."""

    conditions: tuple[Condition, ...]

    def evaluate(self, facts: Facts) -> tuple[bool, str]:
        """Whether it holds, and on what ground: the first that does, else all."""
        grounds = []
        for each in self.conditions:
            holds, ground = each.evaluate(facts)
            if holds:
                return True, ground
            grounds.append(ground)
        return False, "; ".join(grounds) or "never"


@dataclass(frozen=True, slots=True)
class Not:
    """Not the condition."""

    condition: Condition

    def evaluate(self, facts: Facts) -> tuple[bool, str]:
        """Whether it holds, and on what ground: that of the condition."""
        holds, ground = self.condition.evaluate(facts)
        return not holds, ground


Condition = AllOf | AnyOf | Not | Test


class ActionKind(enum.Enum):
    """What a rule does; the value is its text in JSON. SHIP_AS and SPLIT let the order go on to the next rule."""

    HOLD = "HOLD"
    LEAVE = "LEAVE"
    ROUTE = "ROUTE"
    SHIP_AS = "SHIP_AS"
    SPLIT = "SPLIT"


@dataclass(frozen=True, slots=True)
class Action:
    """What is done. `reason`: of a hold or a leave; of SHIP_AS a remark. `features`: whether Amazon must meet each."""

    kind: ActionKind
    reason: str = ""
    text: str = ""
    speed: str = ""
    features: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule. `is_firm`: a built-in one that neither another rule nor a person passes over."""

    rule_id: str
    shop_id: UUID | None = None
    name: str
    priority: int
    is_on: bool = True
    start_time: datetime | None = None
    end_time: datetime | None = None
    condition: Condition
    action: Action
    is_built_in: bool = False
    is_firm: bool = False
    revision: int = 0
    update_time: datetime | None = None

    def holds_at(self, now: datetime) -> bool:
        """Whether it is to be looked at."""
        return (
            self.is_on
            and (self.start_time is None or self.start_time <= now)
            and (self.end_time is None or now < self.end_time)
        )


def in_order(rules: Iterator[Rule] | list[Rule] | tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Rules as they are looked at: those with the same priority in the order in which they were made."""
    return tuple(sorted(rules, key=lambda rule: (rule.priority, rule.rule_id)))


def tests_in(condition: Condition) -> Iterator[Test]:
    """The tests of a condition."""
    match condition:
        case Test():
            yield condition
        case Not():
            yield from tests_in(condition.condition)
        case _:
            for each in condition.conditions:
                yield from tests_in(each)


def condition_to(condition: Condition) -> dict[str, Any]:
    """A condition as JSON."""
    match condition:
        case Test():
            values = [text_of(value) for value in condition.values]
            return {"fact": condition.fact, "operator": condition.operator.name, "values": values}
        case Not():
            return {"not": condition_to(condition.condition)}
        case AllOf():
            return {"all": [condition_to(each) for each in condition.conditions]}
    return {"any": [condition_to(each) for each in condition.conditions]}


def condition_from(told: Mapping[str, Any], where: str = "condition") -> Condition:
    """A condition from JSON. Raises RuleInvalid, naming the field."""
    condition = _condition(told, where, 1)
    tests = list(tests_in(condition))
    if len(tests) > _MOST_TESTS or sum(len(test.values) for test in tests) > _MOST_VALUES:
        raise _invalid(
            where, f"A condition has at most {_MOST_TESTS} tests, with {_MOST_VALUES} values. Make two rules."
        )
    return condition


def action_to(action: Action) -> dict[str, Any]:
    """An action as JSON."""
    told: dict[str, Any] = {"kind": action.kind.value}
    told |= {name: value for name in ("reason", "text", "speed") if (value := getattr(action, name))}
    return told | ({"features": dict(action.features)} if action.features else {})


def action_from(told: Mapping[str, Any], where: str = "action") -> Action:
    """An action from JSON. Raises RuleInvalid, naming the field."""
    if told.get("kind") not in ActionKind.__members__:
        raise _invalid(f"{where}.kind", f"Use {', '.join(ActionKind.__members__)}.")
    action = Action(
        ActionKind(told["kind"]),
        str(told.get("reason", "")),
        str(told.get("text", "")),
        str(told.get("speed", "")),
        {str(name): bool(value) for name, value in sorted(dict(told.get("features", {})).items())},
    )
    if action.reason and not _WORD.fullmatch(action.reason):
        raise _invalid(f"{where}.reason", "Use a word of small letters, digits and _, such as 'too_dear'.")
    if action.speed and action.speed not in Speed.__members__:
        raise _invalid(f"{where}.speed", f"Use {', '.join(Speed)}, or leave it out.")
    if len(action.features) > _MOST_FEATURES or not all(_FEATURE.fullmatch(name) for name in action.features):
        raise _invalid(f"{where}.features", f"Use up to {_MOST_FEATURES} of Amazon's names, such as 'BLANK_BOX'.")
    is_end = action.kind in (ActionKind.HOLD, ActionKind.LEAVE)
    is_ship_as = action.kind is ActionKind.SHIP_AS
    if is_end and not action.reason:
        raise _invalid(f"{where}.reason", f"{action.kind.value} needs a reason, a word such as 'too_dear'.")
    if is_ship_as and not (action.speed or action.features or action.reason):
        raise _invalid(where, "SHIP_AS needs a speed, features or a remark.")
    if not is_ship_as and (action.speed or action.features):
        raise _invalid(where, f"Speed and features belong to SHIP_AS, not to {action.kind.value}.")
    if (action.text and not is_end) or (action.reason and not is_end and not is_ship_as):
        raise _invalid(where, f"{action.kind.value} has no {'text' if action.text else 'reason'}.")
    return action


def _condition(told: object, where: str, depth: int) -> Condition:
    if depth > _DEEPEST:
        raise _invalid(where, f"Conditions are at most {_DEEPEST} deep. Make two rules.")
    match told:
        case {"all": list(inner)}:
            return AllOf(tuple(_condition(each, f"{where}.all[{n}]", depth + 1) for n, each in enumerate(inner)))
        case {"any": list(inner)}:
            return AnyOf(tuple(_condition(each, f"{where}.any[{n}]", depth + 1) for n, each in enumerate(inner)))
        case {"not": one}:
            return Not(_condition(one, f"{where}.not", depth + 1))
        case {"fact": str(fact), "operator": str(operator), "values": list(values)}:
            return _test(fact, operator, [str(value) for value in values], f"{where}.test")
    raise _invalid(where, "Use one of all, any, not, and a test with fact, operator and values.")


def _test(name: str, operator_name: str, values: list[str], where: str) -> Test:
    fact = FACTS.get(name)
    if fact is None:
        raise _invalid(f"{where}.fact", f"{name!r} is no fact. docs/routing.md lists them.")
    operator = Operator.__members__.get(operator_name)
    fitting = FITTING[fact.kind]
    if operator is None or operator not in fitting:
        names = ", ".join(each.name for each in fitting)
        raise _invalid(f"{where}.operator", f"{name} is a {fact.kind.value}: use {names}.")
    if not values or (len(values) > 1 and operator not in _MANY):
        raise _invalid(
            f"{where}.values", f"{operator.name} takes {'at least one value' if not values else 'one value'}."
        )
    is_count = fact.kind is FactKind.LIST and operator in _COUNTING
    kind = FactKind.NUMBER if is_count else fact.kind
    try:
        return Test(name, operator, tuple(value_of(kind, value) for value in values))
    except ValueError as error:
        raise _invalid(f"{where}.values", f"{name}: {error}") from None


def _shown(values: tuple[Value, ...]) -> str:
    named = ", ".join(text_of(value) or "''" for value in values[:_NAMED])
    return named if len(values) <= _NAMED else f"{named} and {len(values) - _NAMED} more"


def _invalid(where: str, sentence: str) -> InvalidArgument:
    return RuleInvalid.of_field(where, sentence)
