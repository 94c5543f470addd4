"""What rules make of orders, and what no rule can."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fulfillment.marketplaces.tiktok_shop import recipient_of
from services.fulfillment.orders.domain import ByHand
from services.fulfillment.routing.built_in import BUILT_IN
from services.fulfillment.routing.deciding import (
    Case,
    KnownAddress,
    decide,
    decision_from_json,
    decision_to_json,
)
from services.fulfillment.routing.decision import Decision, DecisionKind
from services.fulfillment.routing.facts import FACTS
from services.fulfillment.routing.reasons import REASONS, reason_of
from services.fulfillment.routing.rules import ActionKind, Rule, action_from, condition_from, in_order
from tests.fulfillment.orders.samples_of import expected_routing, sample_orders
from tests.fulfillment.routing.cases import AS_OF, can_be_sold, sample_case, sample_routing
from vendors.amazon_sp.outbound import Fee, Preview, Speed

ALWAYS: dict[str, Any] = {"all": []}
HOUR = timedelta(hours=1)


def order_id_of(case: str) -> str:
    return next(key for key, row in expected_routing().items() if row["case"] == case)


PLAIN = order_id_of("plain")
# By the reason that the samples expect.
HELD = {row["reason"]: key for key, row in expected_routing().items() if row["reason"]}


def a_rule(kind: str, condition: dict[str, Any] | None = None, **more: Any) -> Rule:
    action = {name: more.pop(name) for name in ("reason", "text", "speed", "features") if name in more}
    values: dict[str, Any] = {"rule_id": "own", "name": "Own", "priority": 100} | more
    return Rule(
        **values,
        condition=condition_from(condition or ALWAYS),
        action=action_from({"kind": kind} | action),
    )


def decided(case: Case | str, *rules: Rule, now: datetime = AS_OF) -> Decision:
    return decide(sample_case(case) if isinstance(case, str) else case, in_order([*rules, *BUILT_IN]), now)


def a_preview(speed: Speed, fee: str = "8.20", days: int = 3) -> Preview:
    return Preview(
        speed=speed,
        is_fulfillable=True,
        fees=(Fee("FBAPerUnitFulfillmentFee", Decimal(fee), "USD"), Fee("FBATransportationFee", Decimal(1), "USD")),
        latest_ship_time=None,
        earliest_arrival_time=None,
        latest_arrival_time=AS_OF + timedelta(days=days),
        order_problems=(),
        item_problems=(),
    )


def test_the_first_rule_that_ends_it_decides_and_the_trace_says_so() -> None:
    dear = {"fact": "total", "operator": "MORE_THAN", "values": ["10"]}
    decision = decided(
        PLAIN,
        a_rule("LEAVE", dear, reason="other", priority=200, rule_id="second"),
        a_rule("HOLD", dear, reason="too_dear", text="Above ten dollars.", rule_id="first"),
    )
    assert (decision.kind, decision.reason, decision.text) == (DecisionKind.HOLD, "too_dear", "Above ten dollars.")
    assert decision.shipments == ()
    assert next((each.rule_id, each.is_match, each.ground) for each in decision.trace) == (
        "first",
        True,
        "total 60.39 is more than 10",
    )
    assert "second" not in {each.rule_id for each in decision.trace}


def test_ship_as_and_split_go_on_and_later_rules_see_what_they_made() -> None:
    fast = {"fact": "speed", "operator": "EQUALS", "values": ["EXPEDITED"]}
    decision = decided(
        PLAIN,
        a_rule("SHIP_AS", speed="EXPEDITED", features={"BLANK_BOX": True}, rule_id="1"),
        a_rule("SHIP_AS", fast, reason="fast", features={"BLOCK_AMZL": False}, rule_id="2"),
    )
    assert decision.kind is DecisionKind.ROUTE
    assert decision.speed == "EXPEDITED"
    # The wish for a blank box that is built in does not weaken what was asked for.
    assert decision.features == {"BLANK_BOX": True, "BLOCK_AMZL": False}
    assert decision.notes == ("fast", "usps_refused")


def test_a_speed_that_the_country_does_not_have_is_the_next_fastest() -> None:
    routing = replace(sample_routing(), default_speed="PRIORITY", speeds={})
    assert decided(sample_case(PLAIN, routing=routing)).speed == "EXPEDITED"


FIRM = sorted(rule.action.reason for rule in BUILT_IN if rule.is_firm)


@pytest.mark.parametrize("reason", sorted(set(FIRM) & set(HELD)))
def test_no_rule_and_no_person_routes_what_is_not_ours_or_lacks_what_amazon_needs(reason: str) -> None:
    case = sample_case(HELD[reason])
    for tried in (
        decided(case, a_rule("ROUTE")),
        decided(replace(case, passed_over=frozenset(REASONS))),
        decided(replace(case, by_hand=ByHand(is_routed=True))),
    ):
        assert tried.kind is not DecisionKind.ROUTE
        assert tried.reason == reason


def test_what_is_not_ours_is_left_whatever_a_rule_would_hold_it_for() -> None:
    decision = decided(HELD["fulfilled_by_tiktok"], a_rule("HOLD", reason="too_dear"))
    assert (decision.kind, decision.reason) == (DecisionKind.LEAVE, "fulfilled_by_tiktok")


def test_a_rule_leaves_to_the_seller_what_could_not_be_routed() -> None:
    condition = {"fact": "unmapped_skus", "operator": "MORE_THAN", "values": ["0"]}
    decision = decided(HELD["sku_unmapped"], a_rule("LEAVE", condition, reason="garage"))
    assert (decision.kind, decision.reason) == (DecisionKind.LEAVE, "garage")


@pytest.mark.parametrize("reason", sorted({r for r, each in REASONS.items() if each.can_pass} & set(HELD)))
def test_a_person_or_a_rule_may_let_the_rest_go(reason: str) -> None:
    case = sample_case(HELD[reason])
    assert decided(case).reason == reason
    released = decided(replace(case, passed_over=frozenset({reason})))
    assert released.kind is DecisionKind.ROUTE
    assert any(each.ground.endswith("; passed over by a person") for each in released.trace)
    assert decided(case, a_rule("ROUTE")).kind is DecisionKind.ROUTE
    # Another reason that was passed over is not this one.
    assert decided(replace(case, passed_over=frozenset({"too_dear"}))).reason == reason


def test_too_many_units_are_held_or_go_as_several_orders_where_a_rule_or_a_person_says_so() -> None:
    case = sample_case(HELD["too_many_units"])
    held = decided(case)
    assert held.text == "It has 251 units of 1 SKUs; an order at Amazon takes 250 of 100."
    for split in (decided(case, a_rule("SPLIT")), decided(replace(case, passed_over=frozenset({"too_many_units"})))):
        assert [sum(item.quantity for item in each.items) for each in split.shipments] == [250, 1]
        lines = [line for each in split.shipments for item in each.items for line in item.platform_line_ids]
        assert sorted(lines) == sorted(unit.platform_line_id for unit in case.told.open_units)


def test_what_a_person_chose_counts_in_place_of_the_map() -> None:
    case = sample_case(HELD["sku_unmapped"])
    by_hand = ByHand(is_routed=True, items=(("AM-ELSE", 2),), speed="EXPEDITED")
    stock = {"AM-ELSE": can_be_sold(5)}
    decision = decided(replace(case, by_hand=by_hand, stock=stock), a_rule("SHIP_AS", speed="STANDARD"))
    assert (decision.kind, decision.speed) == (DecisionKind.ROUTE, "EXPEDITED")
    (shipment,) = decision.shipments
    assert [(item.amazon_sku, item.quantity) for item in shipment.items] == [("AM-ELSE", 2)]
    lines = {unit.platform_line_id for unit in case.told.open_units}
    assert set(shipment.items[0].platform_line_ids) == lines
    short = decided(replace(case, by_hand=by_hand, stock={"AM-ELSE": can_be_sold(1)}))
    assert (short.kind, short.reason) == (DecisionKind.HOLD, "insufficient_stock")
    left = decided(replace(case, by_hand=ByHand(is_left=True)))
    assert (left.kind, left.reason) == (DecisionKind.LEAVE, "left_by_hand")


def test_a_sku_that_amazons_stock_does_not_list_is_not_sold() -> None:
    decision = decided(sample_case(PLAIN, stock={}))
    assert (decision.kind, decision.reason) == (DecisionKind.HOLD, "sku_unknown")
    assert "EF-TRY-FLD-TEA" in decision.text


def test_amazons_preview_gives_fee_and_date_and_the_speed_that_is_possible() -> None:
    routing = replace(sample_routing(), default_speed="EXPEDITED", speeds={})
    standard, expedited = a_preview(Speed.STANDARD), a_preview(Speed.EXPEDITED, fee="14", days=40)
    decision = decided(sample_case(PLAIN, routing=routing, previews=(standard, expedited)))
    facts = decision.facts
    assert (decision.speed, facts["fee"], facts["fee_currency"]) == ("EXPEDITED", "15", "USD")
    assert facts["is_promised_late"] == "true"
    slow = replace(expedited, is_fulfillable=False, order_problems=("DeliverySLAUnavailable",))
    decision = decided(sample_case(PLAIN, routing=routing, previews=(standard, slow)))
    assert (decision.speed, decision.facts["fee"], decision.notes) == ("STANDARD", "9.20", ("speed_fallback",))
    refused = replace(standard, is_fulfillable=False, order_problems=("InvalidDestinationAddress",))
    decision = decided(sample_case(PLAIN, previews=(refused,)))
    assert (decision.kind, decision.reason) == (DecisionKind.HOLD, "destination_refused")
    nothing = replace(standard, is_fulfillable=False, item_problems=(("EF-A", ("OutOfStock",)),))
    assert decided(sample_case(PLAIN, previews=(nothing,))).reason == "not_fulfillable"


def test_a_rule_tests_the_fee_of_the_speed_that_the_rule_before_it_chose() -> None:
    previews = (a_preview(Speed.STANDARD), a_preview(Speed.EXPEDITED, fee="14"))
    dear = {"fact": "fee", "operator": "MORE_THAN", "values": ["10"]}
    rules = a_rule("SHIP_AS", speed="EXPEDITED", rule_id="1"), a_rule("HOLD", dear, reason="too_dear", rule_id="2")
    assert decided(sample_case(PLAIN, previews=previews), rules[1]).kind is DecisionKind.ROUTE
    assert decided(sample_case(PLAIN, previews=previews), *rules).reason == "too_dear"


def test_a_dated_rule_holds_between_its_days_and_what_it_holds_is_looked_at_again_at_its_end() -> None:
    end = AS_OF + timedelta(days=2)
    rule = a_rule("HOLD", reason="fair", start_time=AS_OF, end_time=end)
    held = decided(PLAIN, rule)
    assert (held.reason, held.retry_time) == ("fair", end)
    assert decided(PLAIN, rule, now=AS_OF - HOUR).kind is DecisionKind.ROUTE
    assert decided(PLAIN, rule, now=end).kind is DecisionKind.ROUTE


def test_where_seller_shipping_has_ended_the_sentence_names_the_way_out() -> None:
    case = sample_case(HELD["tiktok_shipping"])
    assert "dedicated MCF warehouse" in decided(case).text
    before = decided(case, now=datetime(2026, 3, 30, tzinfo=UTC))
    assert (before.reason, before.text) == ("tiktok_shipping", REASONS["tiktok_shipping"].text)


def test_holds_that_time_ends_say_when() -> None:
    assert decided(HELD["unpaid"]).retry_time == AS_OF + HOUR
    assert decided(HELD["on_hold"]).retry_time == AS_OF + timedelta(minutes=15)
    assert decided(HELD["sku_unmapped"]).retry_time is None
    case = sample_case(PLAIN)
    assert case.told.paid_time is not None
    wait = AS_OF - case.told.paid_time + timedelta(minutes=5)
    waiting = decided(replace(case, routing=replace(case.routing, wait=wait)))
    assert (waiting.reason, waiting.retry_time) == ("waiting", AS_OF + timedelta(minutes=5))
    young = {"fact": "age_hours", "operator": "LESS_THAN", "values": ["500"]}
    assert decided(PLAIN, a_rule("HOLD", young, reason="young")).retry_time == AS_OF + timedelta(minutes=15)


def test_a_shop_whose_settings_lack_something_holds_orders_and_says_what() -> None:
    for changes, reason in (
        ({"merchant_id": None}, "merchant_missing"),
        ({"platform_warehouse_ids": frozenset()}, "warehouse_missing"),
    ):
        decision = decided(sample_case(PLAIN, routing=replace(sample_routing(), **changes)))
        assert (decision.kind, decision.reason) == (DecisionKind.HOLD, reason)


@given(st.sampled_from(sorted(sample_orders())), st.sampled_from(["HOLD", "LEAVE", "ROUTE", "SPLIT"]))
def test_a_rule_that_is_off_or_over_changes_nothing_and_the_same_is_decided_again(order_id: str, kind: str) -> None:
    more: dict[str, Any] = {"reason": "own"} if kind in ("HOLD", "LEAVE") else {}
    off, over = a_rule(kind, **more, is_on=False), a_rule(kind, **more, end_time=AS_OF)
    assert decided(order_id, off, over) == decided(order_id) == decided(order_id)


@given(st.sampled_from(sorted(sample_orders())), st.booleans())
def test_every_open_unit_of_a_routed_order_is_in_exactly_one_shipment(order_id: str, splits: bool) -> None:
    case = sample_case(order_id)
    decision = decided(case, *([a_rule("SPLIT")] if splits else []), a_rule("ROUTE"))
    sent = [{line for item in each.items for line in item.platform_line_ids} for each in decision.shipments]
    units = {unit.platform_line_id for unit in case.told.open_units}
    if decision.kind is DecisionKind.ROUTE:
        assert set().union(*sent) == units
        assert sum(map(len, sent)) == len(units)
    else:
        assert decision.shipments == ()


@pytest.mark.parametrize("order_id", sorted(sample_orders()))
def test_a_decision_is_the_same_after_it_was_kept_and_has_nothing_personal(order_id: str) -> None:
    decision = decided(order_id)
    kept = json.dumps(decision_to_json(decision))
    assert decision_from_json(json.loads(kept)) == decision
    recipient = recipient_of(sample_orders()[order_id])
    told = [recipient.name, recipient.phone, recipient.full_address, recipient.postal_code, *recipient.lines]
    city = [each.name for each in recipient.districts if each.level in ("L2", "L3", "L4")]
    personal = [text for text in (*told, *city, recipient.address_detail) if len(text.strip("*")) > 3]
    assert [text for text in personal if json.dumps(text)[1:-1] in kept] == []


def test_what_a_decision_knew_of_an_address_is_enough_to_decide_again() -> None:
    for order_id in sample_orders():
        case = sample_case(order_id)
        first = decided(case)
        assert decided(replace(case, address=KnownAddress.of_decision(first))) == first


def test_every_reason_has_words_and_every_word_of_them_a_meaning() -> None:
    ends = [rule.action for rule in BUILT_IN if rule.action.kind in (ActionKind.HOLD, ActionKind.LEAVE)]
    assert {action.reason for action in ends} <= REASONS.keys()
    for reason in REASONS.values():
        assert reason.who_can in ("seller", "operator", "buyer", "nobody")
        assert reason.next_step
        reason.text.format_map(dict.fromkeys(FACTS, ""))
    assert reason_of("too_dear").can_pass


def test_built_in_rules_come_behind_the_workspaces_own_and_leave_what_is_not_ours_first() -> None:
    assert min(rule.priority for rule in BUILT_IN) >= 1000
    assert len({rule.priority for rule in BUILT_IN}) == len(BUILT_IN) == len({rule.rule_id for rule in BUILT_IN})
