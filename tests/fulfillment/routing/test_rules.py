"""Conditions and actions: what they mean, what is refused, and that JSON keeps them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fulfillment.routing.facts import FACTS, FactKind, Facts, text_of
from services.fulfillment.routing.rules import (
    Operator,
    RuleInvalid,
    action_from,
    action_to,
    condition_from,
    condition_to,
)

KNOWN: Facts = {
    "units": 3,
    "total": Decimal("19.99"),
    "state": "TN",
    "is_po_box": True,
    "skus": ("EF-A", "EF-B"),
    "short_skus": (),
    "paid_time": datetime(2026, 11, 20, tzinfo=UTC),
}


def a_test(fact: str, operator: str, *values: str) -> dict[str, Any]:
    return {"fact": fact, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("test", "holds", "ground"),
    [
        (a_test("units", "MORE_THAN", "2"), True, "units 3 is more than 2"),
        (a_test("units", "LESS_THAN", "3"), False, "units 3 is not less than 3"),
        (a_test("units", "IN", "1", "3"), True, "units 3 is among 1, 3"),
        (a_test("total", "EQUALS", "19.990"), True, "total 19.99 is 19.990"),
        (a_test("state", "IN", "AK", "HI"), False, "state TN is not among AK, HI"),
        (a_test("state", "STARTS_WITH", "T"), True, "state TN begins with T"),
        (a_test("is_po_box", "EQUALS", "false"), False, "is_po_box is true"),
        (a_test("skus", "CONTAINS_ANY", "EF-C", "EF-B"), True, "skus: 2 (EF-A, EF-B) has one of EF-C, EF-B"),
        (a_test("skus", "STARTS_WITH", "XX-"), False, "skus: 2 (EF-A, EF-B) does not begin with XX-"),
        (a_test("skus", "MORE_THAN", "1"), True, "skus: 2 (EF-A, EF-B) is more than 1"),
        (a_test("short_skus", "EQUALS", "0"), True, "short_skus: nothing is 0"),
        (
            a_test("paid_time", "LESS_THAN", "2026-11-20T01:00:00+01:00"),
            False,
            "paid_time 2026-11-20T00:00:00Z is not less than 2026-11-20T00:00:00Z",
        ),
        # What is not known is neither so nor otherwise.
        (a_test("fee", "LESS_THAN", "5"), False, "fee is not known"),
        (a_test("fee", "MORE_THAN", "5"), False, "fee is not known"),
    ],
)
def test_a_test_says_whether_it_holds_and_why(test: dict[str, Any], holds: bool, ground: str) -> None:
    assert condition_from(test).evaluate(KNOWN) == (holds, ground)


def test_a_ground_names_what_decided_it() -> None:
    yes, no = a_test("units", "EQUALS", "3"), a_test("state", "EQUALS", "AK")
    assert condition_from({"all": [yes, no, yes]}).evaluate(KNOWN) == (False, "state TN is not AK")
    assert condition_from({"any": [no, yes, no]}).evaluate(KNOWN) == (True, "units 3 is 3")
    assert condition_from({"not": no}).evaluate(KNOWN) == (True, "state TN is not AK")
    assert condition_from({"all": []}).evaluate(KNOWN) == (True, "always")
    assert condition_from({"any": []}).evaluate(KNOWN) == (False, "never")


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({}, "condition"),
        ({"all": [{"any": [{"none": []}]}]}, "condition.all[0].any[0]"),
        (a_test("postal_code", "EQUALS", "37938"), "condition.test.fact"),
        ({"not": a_test("units", "CONTAINS_ANY", "1")}, "condition.not.test.operator"),
        (a_test("units", "WITHIN", "1"), "condition.test.operator"),
        (a_test("units", "EQUALS", "three"), "condition.test.values"),
        (a_test("units", "EQUALS", "NaN"), "condition.test.values"),
        (a_test("units", "EQUALS"), "condition.test.values"),
        (a_test("units", "EQUALS", "1", "2"), "condition.test.values"),
        (a_test("is_po_box", "EQUALS", "yes"), "condition.test.values"),
        (a_test("paid_time", "MORE_THAN", "2026-11-20T00:00:00"), "condition.test.values"),
        (a_test("skus", "MORE_THAN", "EF-A"), "condition.test.values"),
        ({"all": [a_test("units", "EQUALS", "1")] * 201}, "condition"),
        ({"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {}}}}}}}}}, "condition" + ".not" * 8),
    ],
)
def test_a_condition_that_means_nothing_is_refused_by_its_field(told: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        condition_from(told)
    assert [each.field for each in refused.value.violations] == [field]


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"kind": "BURN"}, "action.kind"),
        ({"kind": "HOLD"}, "action.reason"),
        ({"kind": "HOLD", "reason": "Too dear!"}, "action.reason"),
        ({"kind": "SHIP_AS"}, "action"),
        ({"kind": "SHIP_AS", "speed": "TELEPORT"}, "action.speed"),
        ({"kind": "SHIP_AS", "features": {"blank box": True}}, "action.features"),
        ({"kind": "ROUTE", "speed": "STANDARD"}, "action"),
        ({"kind": "SPLIT", "reason": "large"}, "action"),
    ],
)
def test_an_action_that_means_nothing_is_refused_by_its_field(told: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        action_from(told)
    assert [each.field for each in refused.value.violations] == [field]


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_VALUES: dict[FactKind, st.SearchStrategy[str]] = {
    FactKind.NUMBER: st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-9999).map(str),
    FactKind.TEXT: _TEXT,
    FactKind.TRUTH: st.sampled_from(["true", "false"]),
    FactKind.TIME: st.datetimes(timezones=st.just(UTC)).map(text_of),
    FactKind.LIST: _TEXT,
}
_OPERATORS = {
    FactKind.NUMBER: ["EQUALS", "LESS_THAN", "MORE_THAN", "IN"],
    FactKind.TEXT: ["EQUALS", "IN", "STARTS_WITH"],
    FactKind.TRUTH: ["EQUALS"],
    FactKind.TIME: ["EQUALS", "LESS_THAN", "MORE_THAN"],
    FactKind.LIST: ["CONTAINS_ANY", "STARTS_WITH"],
}


@st.composite
def some_test(draw: st.DrawFn) -> dict[str, Any]:
    fact = draw(st.sampled_from(sorted(FACTS)))
    kind = FACTS[fact].kind
    operator = draw(st.sampled_from(_OPERATORS[kind]))
    most = 3 if operator in ("IN", "CONTAINS_ANY") else 1
    return a_test(fact, operator, *draw(st.lists(_VALUES[kind], min_size=1, max_size=most)))


conditions = st.recursive(
    some_test(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: {"all": each}),
        st.lists(inner, max_size=3).map(lambda each: {"any": each}),
        inner.map(lambda each: {"not": each}),
    ),
    max_leaves=6,
).filter(lambda told: json.dumps(told).count('"not"') < 4)


@given(conditions)
def test_a_condition_is_the_same_after_it_was_kept(told: dict[str, Any]) -> None:
    condition = condition_from(told)
    again = condition_from(json.loads(json.dumps(condition_to(condition))))
    assert again == condition
    assert again.evaluate(KNOWN) == condition.evaluate(KNOWN)


@given(
    st.sampled_from(["STANDARD", "EXPEDITED", ""]), st.dictionaries(st.sampled_from(["BLANK_BOX", "X"]), st.booleans())
)
def test_an_action_is_the_same_after_it_was_kept(speed: str, features: dict[str, bool]) -> None:
    action = action_from({"kind": "SHIP_AS", "reason": "remark", "speed": speed, "features": features})
    assert action_from(json.loads(json.dumps(action_to(action)))) == action


def test_every_kind_of_fact_has_operators_and_every_operator_a_kind() -> None:
    assert {name for names in _OPERATORS.values() for name in names} == set(Operator.__members__)
