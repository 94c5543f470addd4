"""Between the messages of routing.proto and the dataclasses of settings, mappings, rules and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from reelroute.fulfillment.v1 import routing_pb2 as pb

from kit.errors import InvalidArgument
from kit.timestamps import from_timestamp, optional_timestamp, to_timestamp
from services.fulfillment.routing.built_in import check_own_action
from services.fulfillment.routing.decision import Decision
from services.fulfillment.routing.mapping import MOST_UNITS, SkuMapping
from services.fulfillment.routing.rules import Rule, RuleInvalid, action_from, action_to, condition_from, condition_to
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.routing.suggesting import Suggestion
from services.fulfillment.routing.unmapped_store import UnmappedSku

_LONGEST_WAIT = timedelta(hours=72)
_MOST_ENTRIES = 200
_NO_ID = UUID(int=0)


def routing_to(routing: ShopRouting) -> pb.ShopRouting:
    """A shop's settings as the proto shows them."""
    wait = Duration()
    wait.FromTimedelta(routing.wait)
    return pb.ShopRouting(
        shop_id=str(routing.shop_id),
        is_on=routing.is_on,
        merchant_id=str(routing.merchant_id) if routing.merchant_id else "",
        platform_warehouse_ids=sorted(routing.platform_warehouse_ids),
        order_prefix=routing.order_prefix,
        speeds={name: speed_to(speed) for name, speed in routing.speeds.items()},
        default_speed=speed_to(routing.default_speed),
        fulfillment_policy=pb.FulfillmentPolicy.Value(f"FULFILLMENT_POLICY_{routing.fulfillment_policy}"),
        route_sample_orders=routing.route_sample_orders,
        route_replacement_orders=routing.route_replacement_orders,
        wait=wait,
        packing_slip_comment=routing.packing_slip_comment,
        safety_stock=routing.safety_stock,
        prefer_amazon_tracking=routing.prefer_amazon_tracking,
        carriers=routing.carriers,
        push_stock=routing.push_stock,
        preview_orders=routing.preview_orders,
        tracking_stop=routing.tracking_stop,
        update_time=optional_timestamp(routing.update_time),
    )


def routing_from(message: pb.ShopRouting, workspace_id: UUID) -> ShopRouting:
    """Settings as somebody wishes them. Raises InvalidArgument."""
    wait = message.wait.ToTimedelta()
    if not timedelta(0) <= wait <= _LONGEST_WAIT:
        raise InvalidArgument.of_field("routing.wait", "An order waits 0 to 72 hours.")
    for name, entries in (("speeds", message.speeds), ("carriers", message.carriers)):
        if len(entries) > _MOST_ENTRIES or not all(0 < len(key) <= 100 for key in entries):
            raise InvalidArgument.of_field(
                f"routing.{name}", f"There are up to {_MOST_ENTRIES} entries, with keys of 1 to 100 characters."
            )
    if not all(0 < len(each) <= 64 for each in message.platform_warehouse_ids):
        raise InvalidArgument.of_field(
            "routing.platform_warehouse_ids", "Use TikTok Shop's ids; ListShopWarehouses lists them."
        )
    unspecified = [name for name, speed in message.speeds.items() if not speed]
    if unspecified:
        raise InvalidArgument.of_field("routing.speeds", f"Say which speed {unspecified[0]!r} is.")
    kept = ShopRouting(shop_id=_NO_ID, workspace_id=_NO_ID)
    policy = pb.FulfillmentPolicy.Name(message.fulfillment_policy).removeprefix("FULFILLMENT_POLICY_")
    return ShopRouting(
        shop_id=UUID(message.shop_id),
        workspace_id=workspace_id,
        is_on=message.is_on,
        merchant_id=UUID(message.merchant_id) if message.merchant_id else None,
        platform_warehouse_ids=frozenset(message.platform_warehouse_ids),
        order_prefix=message.order_prefix,
        speeds={name: speed_from(speed) for name, speed in sorted(message.speeds.items())},
        default_speed=speed_from(message.default_speed) or kept.default_speed,
        fulfillment_policy=policy if message.fulfillment_policy else kept.fulfillment_policy,
        route_sample_orders=message.route_sample_orders,
        route_replacement_orders=message.route_replacement_orders,
        wait=wait,
        packing_slip_comment=message.packing_slip_comment.strip() or kept.packing_slip_comment,
        safety_stock=message.safety_stock,
        prefer_amazon_tracking=message.prefer_amazon_tracking,
        carriers=dict(sorted(message.carriers.items())),
        push_stock=message.push_stock,
        preview_orders=message.preview_orders,
    )


def speed_to(speed: str) -> pb.Speed.ValueType:
    """A speed as the proto shows it; unspecified where there is none."""
    return pb.Speed.Value(f"SPEED_{speed}") if speed else pb.SPEED_UNSPECIFIED


def speed_from(speed: pb.Speed.ValueType) -> str:
    """A speed in Amazon's word; empty where there is none. Raises InvalidArgument for one that there is not."""
    if speed not in pb.Speed.values():
        raise InvalidArgument.of_field("speed", "There is no such speed.")
    return pb.Speed.Name(speed).removeprefix("SPEED_") if speed else ""


def mapping_to(mapping: SkuMapping) -> pb.SkuMapping:
    """A mapping as the proto shows it."""
    return pb.SkuMapping(
        mapping_id=str(mapping.mapping_id),
        marketplace=mapping.marketplace,
        seller_sku=mapping.seller_sku,
        platform_sku_id=mapping.platform_sku_id,
        parts=[pb.SkuPart(amazon_sku=sku, quantity=quantity) for sku, quantity in mapping.parts],
        update_time=to_timestamp(mapping.update_time),
    )


def mapping_from(message: pb.SkuMapping, field: str, now: datetime) -> SkuMapping:
    """A mapping as somebody wishes it. Raises InvalidArgument, naming `field`."""
    seller_sku = message.seller_sku.strip()
    if not (seller_sku or message.platform_sku_id):
        raise InvalidArgument.of_field(field, "Name the SKU: the seller's, or TikTok Shop's id of it.")
    parts = tuple((part.amazon_sku.strip(), part.quantity) for part in message.parts)
    if not all(sku for sku, _ in parts) or len({sku for sku, _ in parts}) < len(parts):
        raise InvalidArgument.of_field(f"{field}.parts", "Name each of Amazon's SKUs once, with its number.")
    if sum(quantity for _, quantity in parts) > MOST_UNITS:
        raise InvalidArgument.of_field(f"{field}.parts", f"An order at Amazon takes {MOST_UNITS} units in all.")
    return SkuMapping(_NO_ID, message.marketplace, seller_sku, message.platform_sku_id, parts, now)


def unmapped_to(sku: UnmappedSku, suggestions: list[Suggestion]) -> pb.UnmappedSku:
    """A SKU without a mapping as the proto shows it."""
    return pb.UnmappedSku(
        shop_id=str(sku.shop_id),
        marketplace=sku.marketplace,
        seller_sku=sku.seller_sku,
        platform_sku_id=sku.platform_sku_id,
        title=sku.title,
        barcode=sku.barcode,
        held_orders=sku.held_orders,
        suggestions=[
            pb.SkuSuggestion(
                amazon_sku=each.amazon_sku,
                title=each.title,
                ground=pb.SuggestionGround.Value(f"SUGGESTION_GROUND_{each.ground.value}"),
                likeness=each.likeness,
            )
            for each in suggestions
        ],
    )


def rule_to(rule: Rule) -> pb.RoutingRule:
    """A rule as the proto shows it."""
    action = action_to(rule.action)
    return pb.RoutingRule(
        rule_id=rule.rule_id,
        shop_id=str(rule.shop_id) if rule.shop_id else "",
        name=rule.name,
        priority=rule.priority,
        is_on=rule.is_on,
        start_time=optional_timestamp(rule.start_time),
        end_time=optional_timestamp(rule.end_time),
        condition=_condition_to(condition_to(rule.condition)),
        action=pb.Action(
            kind=pb.ActionKind.Value(f"ACTION_KIND_{action['kind']}"),
            reason=rule.action.reason,
            text=rule.action.text,
            speed=speed_to(rule.action.speed),
            features=rule.action.features,
        ),
        is_built_in=rule.is_built_in,
        revision=rule.revision,
        update_time=optional_timestamp(rule.update_time),
    )


def rule_from(message: pb.RoutingRule, field: str) -> Rule:
    """A rule as somebody wishes it. Raises RuleInvalid, naming the field."""
    start_time, end_time = (
        from_timestamp(getattr(message, name), f"{field}.{name}") if message.HasField(name) else None
        for name in ("start_time", "end_time")
    )
    if start_time is not None and end_time is not None and end_time <= start_time:
        raise InvalidArgument.of_field(f"{field}.end_time", "A rule ends after it starts.")
    action = message.action
    told = {
        "kind": pb.ActionKind.Name(action.kind).removeprefix("ACTION_KIND_"),
        "reason": action.reason,
        "text": action.text,
        "speed": speed_from(action.speed),
        "features": dict(action.features),
    }
    rule = Rule(
        rule_id=message.rule_id,
        shop_id=UUID(message.shop_id) if message.shop_id else None,
        name=message.name,
        priority=message.priority,
        is_on=message.is_on,
        start_time=start_time,
        end_time=end_time,
        condition=condition_from(_condition_from(message.condition), f"{field}.condition"),
        action=action_from(told, f"{field}.action"),
        revision=message.revision,
    )
    check_own_action(rule.action, f"{field}.action")
    return rule


def rule_id_from(rule_id: str, field: str) -> UUID:
    """The id of a rule of the workspace's own. Raises RuleInvalid for a built-in one."""
    try:
        return UUID(rule_id)
    except ValueError:
        raise RuleInvalid.of_field(
            field, "Only rules of your own can be changed. Put one with ROUTE before a built-in one to switch it off."
        ) from None


def decision_to(decision: Decision) -> pb.Decision:
    """A decision as the proto shows it."""
    return pb.Decision(
        kind=pb.DecisionKind.Value(f"DECISION_KIND_{decision.kind.value}"),
        reason=decision.reason,
        text=decision.text,
        speed=speed_to(decision.speed),
        features=decision.features,
        shipments=[
            pb.PlannedShipment(
                items=[pb.SkuPart(amazon_sku=item.amazon_sku, quantity=item.quantity) for item in shipment.items]
            )
            for shipment in decision.shipments
        ],
        notes=decision.notes,
        decide_time=to_timestamp(decision.decide_time),
        facts=decision.facts,
        trace=[
            pb.RuleTrace(rule_id=each.rule_id, name=each.name, is_match=each.is_match, ground=each.ground)
            for each in decision.trace
        ],
    )


def _condition_to(told: Mapping[str, Any]) -> pb.Condition:
    match told:
        case {"all": inner}:
            return pb.Condition(all=pb.Conditions(conditions=map(_condition_to, inner)))
        case {"any": inner}:
            return pb.Condition(any=pb.Conditions(conditions=map(_condition_to, inner)))
        case {"not": one}:
            message = pb.Condition()
            getattr(message, "not").CopyFrom(_condition_to(one))
            return message
    operator = pb.Operator.Value(f"OPERATOR_{told['operator']}")
    return pb.Condition(test=pb.Test(fact=told["fact"], operator=operator, values=told["values"]))


def _condition_from(message: pb.Condition) -> dict[str, Any]:
    match message.WhichOneof("kind"):
        case "all":
            return {"all": list(map(_condition_from, message.all.conditions))}
        case "any":
            return {"any": list(map(_condition_from, message.any.conditions))}
        case "not":
            return {"not": _condition_from(getattr(message, "not"))}
    operator = pb.Operator.Name(message.test.operator).removeprefix("OPERATOR_")
    return {"fact": message.test.fact, "operator": operator, "values": list(message.test.values)}
