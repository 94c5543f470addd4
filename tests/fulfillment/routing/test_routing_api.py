"""The RPCs of routing on PostgreSQL: settings, mappings, rules, and decisions explained and replayed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from reelroute.fulfillment.v1 import routing_pb2 as pb
from sqlalchemy import delete, insert, text, update

from kit.db import Database, new_id
from services.fulfillment.order_tables import orders, sku_mappings, stock
from services.fulfillment.orders.domain import UnitState
from services.fulfillment.orders.order_store import read_order
from services.fulfillment.orders.shop_order import told_to_json
from services.fulfillment.products import Sku, search_text, sku_as_json
from services.fulfillment.routing.mapping_store import mapped, read_map
from services.fulfillment.routing.routing_store import read_routing
from services.fulfillment.routing.rule_store import rules_of
from services.fulfillment.tables import products
from tests.fulfillment.orders.samples_of import expected_routing, sample_orders
from tests.fulfillment.orders.stage_of_orders import a_merchant
from tests.fulfillment.routing.cases import sample_case
from tests.fulfillment.routing.stage_of_routing import RoutingStage, routing_stage
from tests.fulfillment.routing.test_deciding import HELD, PLAIN
from tests.fulfillment.stage import OTHER, WORKSPACE, Stage
from tests.fulfillment.test_connecting import refused

W: dict[str, Any] = {"workspace_id": str(WORKSPACE)}


def a_test(fact: str, operator: pb.Operator.ValueType, *values: str) -> pb.Condition:
    return pb.Condition(test=pb.Test(fact=fact, operator=operator, values=values))


def a_rule(**changes: Any) -> pb.RoutingRule:
    made: dict[str, Any] = {
        "name": "Above ten dollars",
        "priority": 100,
        "is_on": True,
        "condition": a_test("total", pb.OPERATOR_MORE_THAN, "10"),
        "action": pb.Action(kind=pb.ACTION_KIND_HOLD, reason="too_dear", text="Above ten dollars."),
    }
    return pb.RoutingRule(**(made | changes))


def create(routing: RoutingStage, rule: pb.RoutingRule, request_id: UUID | None = None) -> pb.RoutingRule:
    request = pb.CreateRoutingRuleRequest(**W, request_id=str(request_id or uuid4()), rule=rule)
    made: pb.RoutingRule = routing.ask(request).rule
    return made


def listed(routing: RoutingStage, size: int = 200) -> list[pb.RoutingRule]:
    found: list[pb.RoutingRule] = []
    token = ""
    while True:
        page = routing.ask(pb.ListRoutingRulesRequest(**W, page_size=size, page_token=token))
        found += page.rules
        if not (token := page.next_page_token):
            return found


def test_settings_of_a_shop_that_nobody_set_are_switched_off_and_what_is_set_is_kept(routing: RoutingStage) -> None:
    asked = pb.GetShopRoutingRequest(**W, shop_id=str(routing.shop.shop_id))
    before = routing.ask(asked).routing
    assert (before.is_on, before.order_prefix, before.default_speed) == (False, "TTS", pb.SPEED_STANDARD)
    after = routing.update(wait=Duration(seconds=3600), route_sample_orders=True, carriers={"UPS": "UPS"})
    assert routing.ask(asked).routing == after
    assert after.fulfillment_policy == pb.FULFILLMENT_POLICY_FILL_OR_KILL
    with routing.database.transaction(WORKSPACE) as tx:
        kept = read_routing(tx, WORKSPACE, routing.shop.shop_id)
    assert (kept.wait, kept.merchant_id, kept.speeds) == (
        timedelta(hours=1),
        routing.merchant_id,
        {"Express Shipping": "EXPEDITED"},
    )


def test_an_amazon_seller_of_another_country_is_refused(routing: RoutingStage) -> None:
    with routing.database.transaction(WORKSPACE) as tx:
        british = a_merchant(tx)
        tx.execute(text("UPDATE merchants SET marketplace = 'GB' WHERE merchant_id = :id"), {"id": british})
    code, reason, _ = refused(lambda: routing.update(merchant_id=str(british)))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MARKETPLACE_MISMATCH")
    code, reason, _ = refused(lambda: routing.update(merchant_id=str(uuid4())))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "MERCHANT_NOT_FOUND")
    code, _, sentence = refused(lambda: routing.update(wait=Duration(seconds=72 * 3600 + 1)))
    assert (code, sentence) == (grpc.StatusCode.INVALID_ARGUMENT, "An order waits 0 to 72 hours.")


def test_new_settings_have_held_orders_decided_again_and_those_of_a_warehouse_that_was_not_ours(
    routing: RoutingStage,
) -> None:
    routing.update(merchant_id="", platform_warehouse_ids=["7301234567890199999"])
    held, left = routing.keep(sample_orders()[HELD["warehouse_not_mcf"]]), routing.keep(sample_orders()[PLAIN])
    gone = routing.keep(sample_orders()[HELD["fulfilled_by_tiktok"]])
    assert [routing.decide(each).reason for each in (held, left, gone)] == [
        "merchant_missing",
        "warehouse_not_mcf",
        "fulfilled_by_tiktok",
    ]
    assert routing.due() == set()
    routing.update()
    assert routing.due() == {held, left}


def test_mappings_are_set_as_a_whole_in_bulk_and_by_either_key(routing: RoutingStage) -> None:
    many = [
        pb.SkuMapping(marketplace="US", platform_sku_id=str(n), parts=[pb.SkuPart(amazon_sku=f"AM-{n}", quantity=1)])
        for n in range(1000)
    ]
    assert len(routing.set_map(*many).mappings) == 1000
    again = routing.set_map(
        pb.SkuMapping(marketplace="US", platform_sku_id="7", parts=[pb.SkuPart(amazon_sku="AM-X", quantity=3)]),
        pb.SkuMapping(marketplace="US", seller_sku="EF 7", parts=[pb.SkuPart(amazon_sku="AM-Y", quantity=2)]),
        pb.SkuMapping(marketplace="GB", seller_sku="EF 7", parts=[pb.SkuPart(amazon_sku="AM-Z", quantity=1)]),
    )
    assert len(again.mappings) == 3
    with routing.database.transaction(WORKSPACE) as tx:
        found = read_map(tx, WORKSPACE, "US", {("7", "EF 7"), ("8", ""), ("", "EF 7")})
    assert found.by_platform_sku == {"7": (("AM-X", 3),), "8": (("AM-8", 1),)}
    assert found.by_seller_sku == {"EF 7": (("AM-Y", 2),)}
    with routing.database.transaction(OTHER) as tx:
        assert read_map(tx, WORKSPACE, "US", {("7", "")}).by_platform_sku == {}

    page = routing.ask(pb.ListSkuMappingsRequest(**W, marketplace="US", text="am-x"))
    assert [each.platform_sku_id for each in page.mappings] == ["7"]
    seen: list[str] = []
    token = ""
    while True:
        request = pb.ListSkuMappingsRequest(**W, page_size=400, page_token=token)
        answer = routing.ask(request)
        seen += [each.mapping_id for each in answer.mappings]
        if not (token := answer.next_page_token):
            break
    assert len(seen) == len(set(seen)) == 1002
    deleted = routing.ask(pb.DeleteSkuMappingsRequest(**W, mapping_ids=[*seen[:5], str(uuid4())]))
    assert deleted.deleted == 5


@pytest.mark.parametrize(
    ("mappings", "sentence"),
    [
        ([{"parts": [("A", 1)]}], "Name the SKU: the seller's, or TikTok Shop's id of it."),
        ([{"seller_sku": "E", "parts": [("A", 1), ("A", 2)]}], "Name each of Amazon's SKUs once, with its number."),
        ([{"seller_sku": "E", "parts": [("A", 200), ("B", 51)]}], "An order at Amazon takes 250 units in all."),
        ([{"seller_sku": "E", "parts": [("A", 1)]}] * 2, "mappings[0] is of the same SKU."),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(
    routing: RoutingStage, mappings: list[dict[str, Any]], sentence: str
) -> None:
    made = [
        pb.SkuMapping(
            marketplace="US",
            seller_sku=each.get("seller_sku", ""),
            parts=[pb.SkuPart(amazon_sku=sku, quantity=quantity) for sku, quantity in each["parts"]],
        )
        for each in mappings
    ]
    code, _, said = refused(lambda: routing.set_map(*made))
    assert (code, said) == (grpc.StatusCode.INVALID_ARGUMENT, sentence)


def test_the_map_of_the_database_makes_of_every_sample_order_what_the_samples_say(routing: RoutingStage) -> None:
    routing.set_samples_map()
    with routing.database.transaction(WORKSPACE) as tx:
        for order_id in sample_orders():
            case = sample_case(order_id)
            found = mapped(tx, WORKSPACE, "US", case.told.open_units)
            assert (found.quantities, found.unmapped) == (case.mapped.quantities, case.mapped.unmapped)


def test_skus_without_a_mapping_are_listed_those_that_hold_orders_first_with_what_they_might_be(
    routing: RoutingStage,
) -> None:
    routing.update()
    routing.set_samples_map()
    held = [routing.keep(sample_orders()[HELD["sku_unmapped"]]) for _ in range(2)]
    told = sample_case(HELD["sku_unmapped"]).told
    (wanted,) = sample_case(HELD["sku_unmapped"]).mapped.unmapped
    assert {routing.decide(each).reason for each in held} == {"sku_unmapped"}
    unit = next(each for each in told.open_units if each.platform_sku_id == wanted[0])
    _keep_product(routing, unit.platform_product_id, unit.title, Sku(wanted[0], wanted[1], None, 1, (), "952000"))
    _keep_product(routing, "1", "Emberfold Matte Sleeves, Standard, Black, 100 count", Sku("2", "NEW", None, 1, (), ""))
    _keep_product(routing, "3", "Known by its barcode", Sku("4", "", None, 1, (), "9520000000011"))
    mapped_sku = sample_case(PLAIN).told.units[0]
    _keep_product(routing, "5", "Mapped", Sku(mapped_sku.platform_sku_id, "", None, 1, (), ""))

    seen: list[pb.UnmappedSku] = []
    token = ""
    while True:
        request = pb.ListUnmappedSkusRequest(**W, page_size=1, page_token=token)
        answer = routing.ask(request)
        seen += answer.skus
        if not (token := answer.next_page_token):
            break
    assert [(each.platform_sku_id, each.held_orders) for each in seen] == [(wanted[0], 2), ("2", 0), ("4", 0)]
    assert (seen[0].barcode, seen[0].title) == ("952000", unit.title)
    titled, coded = seen[1].suggestions[0], seen[2].suggestions[0]
    assert (titled.amazon_sku, titled.ground) == ("EF-SLV-STD-BLK-FBA", pb.SUGGESTION_GROUND_TITLE)
    assert titled.likeness > 60
    assert (coded.amazon_sku, coded.ground) == ("EF-SLV-STD-CLR-FBA", pb.SUGGESTION_GROUND_BARCODE)

    mapping = pb.SkuMapping(
        marketplace="US", platform_sku_id=wanted[0], parts=[pb.SkuPart(amazon_sku="EF-DBX-133-BLK", quantity=1)]
    )
    assert routing.set_map(mapping).woken_orders == 2
    assert routing.due() == set(held)
    assert {routing.decide(each).kind.value for each in held} == {"ROUTE"}


def _keep_product(routing: RoutingStage, product_id: str, title: str, sku: Sku) -> None:
    with routing.database.transaction(WORKSPACE) as tx:
        tx.execute(
            insert(products).values(
                product_id=new_id(),
                workspace_id=WORKSPACE,
                shop_id=routing.shop.shop_id,
                platform_product_id=product_id,
                title=title,
                status="ACTIVATE",
                skus=[sku_as_json(sku)],
                search_text=search_text(title, [sku]),
                is_detail_due=False,
            )
        )


def test_a_rule_is_made_once_changed_at_its_revision_and_deleted(routing: RoutingStage) -> None:
    request_id = uuid4()
    rule = create(routing, a_rule(), request_id)
    assert create(routing, a_rule(name="Another"), request_id) == rule
    assert (rule.revision, rule.is_built_in) == (1, False)
    change = pb.UpdateRoutingRuleRequest(**W, rule=pb.RoutingRule())
    change.rule.CopyFrom(rule)
    change.rule.is_on = False
    changed = routing.ask(change).rule
    assert (changed.is_on, changed.revision) == (False, 2)
    code, reason, _ = refused(lambda: routing.ask(change))
    assert (code, reason) == (grpc.StatusCode.ABORTED, "RULE_CHANGED")
    with routing.database.transaction(WORKSPACE) as tx:
        assert rule.rule_id not in {each.rule_id for each in rules_of(tx, WORKSPACE, routing.shop.shop_id)}
    for _ in range(2):
        routing.ask(pb.DeleteRoutingRuleRequest(**W, rule_id=rule.rule_id))
    change.rule.revision = 2
    code, reason, _ = refused(lambda: routing.ask(change))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "RULE_NOT_FOUND")


def test_rules_are_listed_in_their_order_with_the_built_in_ones_and_those_of_the_shop_alone(
    routing: RoutingStage,
) -> None:
    late = create(routing, a_rule(priority=5000, name="Late"))
    first = create(routing, a_rule(priority=1, name="First", shop_id=str(routing.shop.shop_id)))
    rules = listed(routing, size=7)
    assert [rules[0].rule_id, rules[-1].rule_id] == [first.rule_id, late.rule_id]
    assert [each.priority for each in rules] == sorted(each.priority for each in rules)
    assert len(rules) == len({each.rule_id for each in rules}) == sum(each.is_built_in for each in rules) + 2
    # As they are listed they could be sent back: the language is one.
    built_in = next(each for each in rules if each.rule_id == "too_many_units")
    assert create(routing, a_rule(condition=built_in.condition)).condition == built_in.condition
    other = routing.ask(pb.ListRoutingRulesRequest(**W, shop_id=str(uuid4()), page_size=200)).rules
    assert first.rule_id not in {each.rule_id for each in other}
    other_workspace = routing.ask(pb.ListRoutingRulesRequest(workspace_id=str(OTHER))).rules
    assert all(each.is_built_in for each in other_workspace)


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (a_rule(condition=a_test("postal_code", pb.OPERATOR_EQUALS, "1")), "rule.condition.test.fact"),
        (
            a_rule(condition=pb.Condition(any=pb.Conditions(conditions=[a_test("units", pb.OPERATOR_IN, "x")]))),
            "rule.condition.any[0].test.values",
        ),
        (a_rule(action=pb.Action(kind=pb.ACTION_KIND_HOLD)), "rule.action.reason"),
        (a_rule(action=pb.Action(kind=pb.ACTION_KIND_LEAVE, reason="sku_unmapped")), "rule.action.reason"),
        (a_rule(action=pb.Action(kind=pb.ACTION_KIND_HOLD, reason="waiting")), "rule.action.reason"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_by_its_field(
    routing: RoutingStage, rule: pb.RoutingRule, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        create(routing, rule)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in str(caught.value.trailing_metadata())


def test_a_built_in_rule_cannot_be_changed(routing: RoutingStage) -> None:
    code, _, sentence = refused(lambda: routing.ask(_changed_built_in()))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "Put one with ROUTE before" in sentence


def _changed_built_in() -> pb.UpdateRoutingRuleRequest:
    return pb.UpdateRoutingRuleRequest(**W, rule=a_rule(rule_id="price_zero"))


def test_a_rule_that_is_changed_has_orders_decided_again_that_it_held_or_left(routing: RoutingStage) -> None:
    routing.update()
    routing.set_samples_map()
    order_id = routing.keep(sample_orders()[PLAIN])
    leaving = create(routing, a_rule(action=pb.Action(kind=pb.ACTION_KIND_LEAVE, reason="garage")))
    assert routing.decide(order_id).reason == "garage"
    assert routing.due() == set()
    routing.ask(pb.DeleteRoutingRuleRequest(**W, rule_id=leaving.rule_id))
    assert routing.due() == {order_id}
    assert routing.decide(order_id).kind.value == "ROUTE"


def test_an_order_is_explained_as_it_was_decided_and_tried_with_a_draft(routing: RoutingStage) -> None:
    routing.update()
    routing.set_samples_map()
    order_id = routing.keep(sample_orders()[PLAIN])
    explain = pb.ExplainOrderRequest(**W, order_id=str(order_id))
    code, reason, _ = refused(lambda: routing.ask(explain))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_NOT_DECIDED")
    # Where it goes is known before anything was decided.
    tried = routing.ask(pb.TestRoutingRequest(**W, order_id=str(order_id), draft=a_rule())).decision
    assert (tried.kind, tried.reason, tried.text) == (pb.DECISION_KIND_HOLD, "too_dear", "Above ten dollars.")
    assert routing.due() == set()

    routing.decide(order_id)
    create(routing, a_rule())
    told = routing.ask(explain).decision
    assert told.kind == pb.DECISION_KIND_ROUTE
    assert (told.facts["state"], told.facts["is_po_box"]) == ("TN", "false")
    assert [each.name for each in told.trace][:1] == ["Fulfilled by TikTok"]
    wanted = expected_routing()[PLAIN]["items"]
    items = told.shipments[0].items
    assert ";".join(f"{each.amazon_sku}*{each.quantity}" for each in items) == wanted
    for call in (
        lambda: routing.ask(pb.ExplainOrderRequest(**W, order_id=str(uuid4()))),
        lambda: routing.ask(pb.TestRoutingRequest(**W, order_id=str(uuid4()))),
        lambda: routing.ask(pb.ExplainOrderRequest(workspace_id=str(OTHER), order_id=str(order_id))),
    ):
        code, reason, _ = refused(call)
        assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")


def test_two_hundred_orders_are_replayed_by_todays_rules_map_and_stock(routing: RoutingStage) -> None:
    routing.update()
    routing.set_samples_map()
    ids = [routing.keep(order) for order in [*sample_orders().values(), *list(sample_orders().values())[:50]]]
    decisions = {each: routing.decide(each) for each in ids}
    request = pb.ReplayOrdersRequest(**W, order_ids=map(str, ids))

    same = routing.ask(request).replays
    assert [each.order_id for each in same] == [str(each) for each in ids]
    assert not any(each.is_different for each in same)

    # Addresses were deleted meanwhile: what was known of them then is enough.
    with routing.database.transaction(WORKSPACE) as tx:
        tx.execute(update(orders).values(sealed_address=None, sealed_order=None))
    create(routing, a_rule())
    replays = routing.ask(request).replays
    assert {each.now.reason for each in replays if each.is_different} == {"too_dear"}
    before = {each.order_id: each for each in replays}
    for order_id, decision in decisions.items():
        replay = before[str(order_id)]
        assert replay.before.reason == decision.reason
        if decision.reason in ("fulfilled_by_tiktok", "cancelled", "warehouse_not_mcf"):
            assert not replay.is_different


def test_an_order_that_was_sent_is_replayed_as_it_was_then(routing: RoutingStage) -> None:
    routing.update()
    routing.set_samples_map()
    order_id = routing.keep(sample_orders()[PLAIN])
    decision = routing.decide(order_id)
    sent = {item.amazon_sku: item.quantity for each in decision.shipments for item in each.items}
    with routing.database.transaction(WORKSPACE) as tx:
        told = read_order(tx, WORKSPACE, order_id).told
        units = tuple(replace(unit, state=UnitState.SHIPPED) for unit in told.units)
        gone = told_to_json(replace(told, status="IN_TRANSIT", units=units, is_cancel_requested=True))
        tx.execute(update(orders).where(orders.c.order_id == order_id).values(state="SHIPPED", facts=gone))
        # Amazon has no other units of it: only what keeps back is left.
        for sku in sent:
            tx.execute(update(stock).where(stock.c.amazon_sku == sku).values(fulfillable=5))
    (replay,) = routing.ask(pb.ReplayOrdersRequest(**W, order_ids=[str(order_id)])).replays
    assert (replay.now.kind, replay.is_different) == (pb.DECISION_KIND_ROUTE, False)
    create(routing, a_rule())
    (replay,) = routing.ask(pb.ReplayOrdersRequest(**W, order_ids=[str(order_id)])).replays
    assert (replay.now.reason, replay.is_different) == ("too_dear", True)


def test_warehouses_are_read_from_tiktok_shop_with_their_delivery_options(database: Database, stage: Stage) -> None:
    shop = stage.connect()[0]
    with routing_stage(database, stage.calls) as routing:
        request = pb.ListShopWarehousesRequest(**W, shop_id=shop.shop_id)
        found = routing.ask(request).warehouses
    sales = [each for each in found if each.type == "SALES_WAREHOUSE"]
    assert sales
    assert all(each.platform_warehouse_id and each.name and each.delivery_options for each in sales)


def test_the_database_lets_no_two_mappings_of_a_sku_be(routing: RoutingStage) -> None:
    part = pb.SkuPart(amazon_sku="A", quantity=1)
    routing.set_map(pb.SkuMapping(marketplace="US", seller_sku="E", parts=[part]))
    routing.set_map(pb.SkuMapping(marketplace="US", seller_sku="E", platform_sku_id="7", parts=[part]))
    routing.set_map(pb.SkuMapping(marketplace="US", seller_sku="F", platform_sku_id="7", parts=[part]))
    with routing.database.transaction(WORKSPACE) as tx:
        assert tx.execute(delete(sku_mappings)).rowcount == 2
