"""Orders as we route them: listed, looked at, explained, and what people do with one."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1 import routing_pb2

from kit.errors import FailedPrecondition
from services.gateway.models.decisions import RoutingDecision
from services.gateway.models.fields import Instant, Text
from services.gateway.models.order_actions import OrderCorrection, OrderRoute
from services.gateway.models.orders import (
    HeldReason,
    HeldSummary,
    Order,
    OrderEvent,
    OrderEventList,
    OrderList,
    OrdersSynced,
    Package,
    Shipment,
    StateWord,
    WholeOrder,
)
from services.gateway.models.problems import problems
from services.gateway.models.routing_rules import RoutingTest
from services.gateway.models.shop_routing import speed_to
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, LongPageToken, PageSize, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Orders"])

ShopFilter = Annotated[UUID | None, Query(description="Only of this shop.")]


@router.get("/v1/orders", responses=problems())
async def list_orders(
    caller: Caller_,
    clients: Clients_,
    shop_id: ShopFilter = None,
    state: Annotated[
        list[StateWord] | None, Query(max_length=20, description="Only in one of these states; repeat it.")
    ] = None,
    reason: Annotated[Text, Query(max_length=60, description="Only held or left for this reason.")] = "",
    platform_order_id: Annotated[
        Text, Query(max_length=60, description="Only with this id at TikTok Shop, or at Amazon.")
    ] = "",
    from_time: Annotated[Instant | None, Query(description="Only created from this instant on.")] = None,
    until_time: Annotated[Instant | None, Query(description="Only created before this instant.")] = None,
    is_late: Annotated[bool, Query(description="True: only those that miss a deadline, or will soon.")] = False,
    page_size: PageSize = 0,
    page_token: LongPageToken = "",
) -> OrderList:
    """Lists orders as we route them, the last created first. Whom they go to is masked.

    `GET /v1/shops/{shop_id}/orders` reads them from TikTok Shop instead, also those that are not routed.
    """
    request = pb.ListOrdersRequest(
        workspace_id=caller.workspace_id,
        shop_id=str(shop_id or ""),
        states=[pb.OrderState.Value(f"ORDER_STATE_{each}") for each in state or ()],
        reason=reason,
        platform_order_id=platform_order_id,
        is_late=is_late,
        page_size=page_size,
        page_token=page_token,
    )
    if from_time:
        request.from_time.FromDatetime(from_time)
    if until_time:
        request.until_time.FromDatetime(until_time)
    answer = await clients.call(clients.orders.ListOrders, request)
    return OrderList(orders=[Order.of(each) for each in answer.orders], next_page_token=answer.next_page_token)


@router.get("/v1/orders/held", responses=problems())
async def summarize_held_orders(caller: Caller_, clients: Clients_, shop_id: ShopFilter = None) -> HeldSummary:
    """Counts held orders by reason, with the next step of each and who can take it."""
    request = pb.SummarizeHeldOrdersRequest(workspace_id=caller.workspace_id, shop_id=str(shop_id or ""))
    answer = await clients.call(clients.orders.SummarizeHeldOrders, request)
    return HeldSummary(reasons=[HeldReason.of(each) for each in answer.reasons])


@router.get("/v1/orders/{order_id:id}", responses=problems(404))
async def get_order(order_id: Id, caller: Caller_, clients: Clients_) -> WholeOrder:
    """Reads an order with its shipments, their packages, and the last decision. Whom it goes to is masked.

    What happened to it, and when: `GET …/events`.
    """
    request = pb.GetOrderRequest(workspace_id=caller.workspace_id, order_id=str(order_id))
    answer, decision = await asyncio.gather(
        clients.call(clients.orders.GetOrder, request), _decision(clients, caller.workspace_id, order_id)
    )
    return WholeOrder(
        order=Order.of(answer.order), shipments=[Shipment.of(each) for each in answer.shipments], decision=decision
    )


@router.get("/v1/orders/{order_id:id}/events", responses=problems(404))
async def list_order_events(
    order_id: Id, caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: LongPageToken = ""
) -> OrderEventList:
    """Lists what happened to an order, the first first."""
    request = pb.ListOrderEventsRequest(
        workspace_id=caller.workspace_id, order_id=str(order_id), page_size=page_size, page_token=page_token
    )
    answer = await clients.call(clients.orders.ListOrderEvents, request)
    return OrderEventList(
        events=[OrderEvent.of(each) for each in answer.events], next_page_token=answer.next_page_token
    )


@router.get("/v1/orders/{order_id:id}/decision", responses=problems(404, 409))
async def explain_order(order_id: Id, caller: Caller_, clients: Clients_) -> RoutingDecision:
    """Says why an order is where it is: the decision that was made, with each rule that was looked at.

    409 (`ORDER_NOT_DECIDED`) before its first decision.
    """
    request = routing_pb2.ExplainOrderRequest(workspace_id=caller.workspace_id, order_id=str(order_id))
    return RoutingDecision.of((await clients.call(clients.routing.ExplainOrder, request)).decision)


@router.post("/v1/orders/{order_id:id}:testRouting", responses=problems(404, body=True))
async def try_routing(
    order_id: Id, test: RoutingTest, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> RoutingDecision:
    """Tries rules: what would be decided of an order today, with a draft of a rule besides. Changes nothing."""
    request = routing_pb2.TestRoutingRequest(workspace_id=caller.workspace_id, order_id=str(order_id))
    if test.draft:
        request.draft.CopyFrom(test.draft.to_proto())
        request.draft.rule_id = test.draft.rule_id or ""
    return RoutingDecision.of((await clients.call(clients.routing.TestRouting, request)).decision)


@router.post("/v1/orders/{order_id:id}:correct", responses=problems(404, 409, body=True))
async def correct_order(
    order_id: Id, correction: OrderCorrection, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Order:
    """Corrects where an order goes, or how fast, and decides it again. TikTok Shop is not told. May be repeated.

    409 (`ORDER_IS_ROUTED`) once it is at Amazon.
    """
    request = pb.CorrectOrderRequest(
        workspace_id=caller.workspace_id,
        order_id=str(order_id),
        recipient=correction.recipient.to_proto() if correction.recipient else None,
        speed=speed_to(correction.speed),
        actor=caller.api_key_id,
    )
    return Order.of((await clients.call(clients.orders.CorrectOrder, request)).order)


@router.post("/v1/orders/{order_id:id}:route", responses=problems(404, 409, body=True))
async def route_order(
    order_id: Id, route: OrderRoute, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Order:
    """Routes a held order by hand: these units of Amazon's SKUs, at this speed, whatever the rules say.

    409 (`ORDER_IS_ROUTED`) once it is at Amazon.
    """
    request = pb.RouteOrderRequest(
        workspace_id=caller.workspace_id,
        order_id=str(order_id),
        items=[each.to_proto() for each in route.items],
        speed=speed_to(route.speed),
        actor=caller.api_key_id,
    )
    return Order.of((await clients.call(clients.orders.RouteOrder, request)).order)


@router.post("/v1/shops/{shop_id:id}:syncOrders", responses=problems(404, 409))
async def sync_orders(shop_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> OrdersSynced:
    """Reads the orders of a shop from TikTok Shop now, instead of at the next turn. May be repeated.

    409 (`SHOP_NOT_CONNECTED`) when the shop has no tokens.
    """
    request = pb.SyncOrdersRequest(workspace_id=caller.workspace_id, shop_id=str(shop_id))
    answer = await clients.call(clients.orders.SyncOrders, request, waits_on_vendor=True)
    return OrdersSynced(orders=answer.orders, new_orders=answer.new_orders)


@router.post("/v1/packages/{package_id:id}:correctTracking", responses=problems(404, 409))
async def correct_tracking(package_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> Package:
    """Corrects the number that TikTok Shop has of a package to the one that Amazon has now.

    TikTok Shop takes it once per package, within 72 hours. 409 when that is used (`TRACKING_EDIT_USED`), the number is
    not proven to be the package's (`TRACKING_NOT_PROVEN`), or it is the same (`TRACKING_UNCHANGED`).
    """
    request = pb.CorrectTrackingRequest(
        workspace_id=caller.workspace_id, package_id=str(package_id), actor=caller.api_key_id
    )
    return Package.of((await clients.call(clients.orders.CorrectTracking, request, waits_on_vendor=True)).package)


async def _decision(clients: Clients_, workspace_id: str, order_id: UUID) -> RoutingDecision | None:
    request = routing_pb2.ExplainOrderRequest(workspace_id=workspace_id, order_id=str(order_id))
    try:
        return RoutingDecision.of((await clients.call(clients.routing.ExplainOrder, request)).decision)
    except FailedPrecondition as refused:
        if refused.reason != "ORDER_NOT_DECIDED":
            raise
        return None
