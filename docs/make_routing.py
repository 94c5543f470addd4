"""Writes docs/routing.md from the facts, the built-in rules and the reasons: `python -m docs.make_routing`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from services.fulfillment.routing.built_in import BUILT_IN
from services.fulfillment.routing.facts import FACTS, text_of
from services.fulfillment.routing.reasons import REASONS
from services.fulfillment.routing.rules import FITTING, ActionKind, AllOf, Condition, Not, Operator, Rule, Test

PAGE = Path(__file__).resolve().parent / "routing.md"

_HEAD = """# Routing rules

Written by `python -m docs.make_routing` from the source; a test compares. Change the source, not this page.

What becomes of an order is decided by rules, one after the other from the lowest priority on. Each looks at facts of
the order and, where its condition is true, does one thing:

| action | what it does |
| --- | --- |
| `HOLD` | the order waits; needs a `reason`, a word, and may have a sentence (`text`) for people |
| `LEAVE` | the seller sends it, we only watch; needs a `reason` |
| `ROUTE` | it goes to Amazon, whatever the rules behind say |
| `SHIP_AS` | it goes on to the next rule, but at this `speed`, with these `features`, or with a remark (`reason`) |
| `SPLIT` | it goes on; more units or SKUs than an order at Amazon takes go as several orders |

The first rule that holds, leaves or routes ends it. An order that none of them stops goes to Amazon. Rules that come
with the product have the priorities from 1,000 on, so that your own are looked at first. Two things no rule and no
person changes: what is not yours to send (TikTok Shop sends it, it was cancelled or shipped, it goes abroad) is never
held or routed, and what lacks something that Amazon needs (an address, a mapping, stock) is never routed, though a
rule may leave it to the seller. The reasons [below](#reasons) say which these are.

A rule holds between its `start_time` and its `end_time`, where it has them; what it holds is looked at again at its
end. When rules, mappings or settings change, orders that are held are decided again by themselves.

Each decision keeps the facts and every rule that was looked at, with its ground. `TestRouting` decides an order again
with a draft of a rule, `ReplayOrders` up to 200 orders by today's rules, map and stock; neither changes anything.

## Conditions

A condition is a test of one fact, or is made of others with `all`, `any` and `not`. A test of a fact that is not
known of the order is false. Values are texts: numbers as decimals, instants with their offset, `true` and `false`.

```json
{"name": "Dear orders wait for a look", "priority": 100, "is_on": true,
 "condition": {"all": [
   {"fact": "total", "operator": "MORE_THAN", "values": ["500"]},
   {"not": {"fact": "skus", "operator": "CONTAINS_ANY", "values": ["EF-STO-VLT-1200"]}}]},
 "action": {"kind": "HOLD", "reason": "too_dear", "text": "Above 500 dollars."}}
```

```json
{"name": "Holiday season: unbranded boxes", "priority": 200, "is_on": true,
 "start_time": "2026-11-20T00:00:00Z", "end_time": "2027-01-01T00:00:00Z",
 "condition": {"fact": "country", "operator": "EQUALS", "values": ["US"]},
 "action": {"kind": "SHIP_AS", "features": {"BLANK_BOX": true}}}
```

A feature with `true` must be met, or Amazon refuses the order; with `false` it is a wish.
"""

_FACTS = """## Facts

Nothing of name, street, city, postal code or phone is a fact, so that rules, decisions and their traces never hold
any.
"""

_RULES = """## Built-in rules

In the order in which they are looked at. Those marked *firm* no rule and no person passes over.
"""

_REASONS = """## Reasons

Why an order is held or left, what is to be done about it and who can do it. A reason that can be passed over is
passed over for an order by releasing it. Your own rules have words of their own; those can
be passed over, always.
"""

_REMARKS = """## Remarks

A decision also carries remarks, which change nothing: those of `SHIP_AS` rules, what was done to the address to make
it fit (`reflowed`, `name_cut`, `lines_swapped`, `zip_padded`, `detail_differs`, `state_unlisted`, `no_phone`), what
kind of place it is (`po_box`, `military`, `territory`, `noncontiguous`), and `speed_fallback` where Amazon's preview
offered the standard speed only.
"""


def render() -> str:
    """The page."""
    return "\n".join(
        [
            _HEAD,
            _table(("operator", "says", "fits"), _operators()),
            "Of a list the first three compare how many there are, and `STARTS_WITH` asks whether one of them does.\n",
            _FACTS,
            _table(("fact", "kind", "meaning"), ((f"`{n}`", f.kind.value, f.meaning) for n, f in FACTS.items())),
            _RULES,
            _table(("rule", "condition", "action"), map(_rule, BUILT_IN)),
            _REASONS,
            _table(("reason", "meaning", "next step", "who can", "can be passed over"), _reasons()),
            _REMARKS,
        ]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def _operators() -> Iterator[tuple[str, ...]]:
    for operator in Operator:
        kinds = ", ".join(kind.value for kind, fitting in FITTING.items() if operator in fitting)
        yield f"`{operator.name}`", operator.value[0], kinds


def _rule(rule: Rule) -> tuple[str, ...]:
    dates = [
        f" {word} {when.date().isoformat()}"
        for word, when in (("from", rule.start_time), ("until", rule.end_time))
        if when
    ]
    return f"{rule.name}{''.join(dates)}", _words(rule.condition), _action(rule)


def _action(rule: Rule) -> str:
    action = rule.action
    said = [f"`{action.kind.value}`"]
    said += [f"`{word}`" for word in (action.speed, action.reason) if word]
    said += [f"`{name}` {'must' if must else 'wish'}" for name, must in action.features.items()]
    return " ".join(said) + (" *firm*" if rule.is_firm and action.kind in (ActionKind.HOLD, ActionKind.LEAVE) else "")


def _words(condition: Condition) -> str:
    match condition:
        case Test():
            values = ", ".join(f"`{text_of(value)}`" for value in condition.values)
            return f"`{condition.fact}` {condition.operator.value[0]} {values}"
        case Not():
            return f"not ({_words(condition.condition)})"
    joined = (" and " if isinstance(condition, AllOf) else " or ").join(
        _words(each) if isinstance(each, Test | Not) else f"({_words(each)})" for each in condition.conditions
    )
    return joined or "always"


def _reasons() -> Iterator[tuple[str, ...]]:
    for reason in REASONS.values():
        text = reason.text.replace("{", "`").replace("}", "`")
        next_step = reason.next_step
        yield f"`{reason.word}`", text, next_step, reason.who_can, "yes" if reason.can_pass else "no"


if __name__ == "__main__":
    PAGE.write_text(render())
