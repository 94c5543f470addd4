"""What people do with many orders at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1 import routing_pb2

from services.gateway.auth import Caller
from services.gateway.clients import Clients
from services.gateway.models.decisions import Replay, ReplayList
from services.gateway.models.order_actions import (
    ORDERS_PER_CALL,
    HeldPick,
    OrderCancellation,
    OrderOutcome,
    OrderOutcomes,
    OrderPick,
)
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Orders"])


@router.post("/v1/orders:release", responses=problems(body=True))
async def release_orders(pick: OrderPick, caller: Caller_, clients: Clients_, _request_id: RequestId) -> OrderOutcomes:
    """Lets held orders go on although the reason still holds: it is passed over from now on, for them.

    What cannot be passed over (no address, no mapping) is refused, order by order. May be repeated.
    """
    return await _done(clients, caller, pick, clients.orders.ReleaseOrders, pb.ReleaseOrdersRequest)


@router.post("/v1/orders:retry", responses=problems(body=True))
async def retry_orders(pick: OrderPick, caller: Caller_, clients: Clients_, _request_id: RequestId) -> OrderOutcomes:
    """Decides held orders again as they are. May be repeated."""
    return await _done(clients, caller, pick, clients.orders.RetryOrders, pb.RetryOrdersRequest)


@router.post("/v1/orders:leave", responses=problems(body=True))
async def leave_orders(pick: OrderPick, caller: Caller_, clients: Clients_, _request_id: RequestId) -> OrderOutcomes:
    """Leaves orders to the seller: we only watch them. Those that are at Amazon are refused, order by order."""
    return await _done(clients, caller, pick, clients.orders.LeaveOrders, pb.LeaveOrdersRequest)


@router.post("/v1/orders:cancel", responses=problems(body=True))
async def cancel_orders(
    pick: OrderCancellation, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> OrderOutcomes:
    """Cancels orders: at Amazon where it still can be; and, with a reason of TikTok Shop's, at TikTok Shop.

    What came of it is in each order's state. May be repeated.
    """

    def request(**values: Any) -> pb.CancelOrdersRequest:
        return pb.CancelOrdersRequest(platform_reason=pick.platform_reason, **values)

    return await _done(clients, caller, pick, clients.orders.CancelOrders, request)


@router.post("/v1/orders:replay", responses=problems(404, body=True))
async def replay_orders(pick: HeldPick, caller: Caller_, clients: Clients_, _request_id: RequestId) -> ReplayList:
    """Decides orders again by today's rules, stock and map, and says which would differ. Changes nothing.

    Without ids: all that are held, up to `limit`.
    """
    order_ids, more = await _picked(clients, caller, pick)
    replays: list[Replay] = []
    for some in _pieces(order_ids):
        request = routing_pb2.ReplayOrdersRequest(workspace_id=caller.workspace_id, order_ids=some)
        replays += [Replay.of(each) for each in (await clients.call(clients.routing.ReplayOrders, request)).replays]
    return ReplayList(replays=replays, more=more)


async def _done(
    clients: Clients, caller: Caller, pick: HeldPick, method: Any, request: Callable[..., Any]
) -> OrderOutcomes:
    """What an RPC answers for each order, in pieces that it takes."""
    order_ids, more = await _picked(clients, caller, pick)
    outcomes: list[OrderOutcome] = []
    for some in _pieces(order_ids):
        answer = await clients.call(
            method, request(workspace_id=caller.workspace_id, order_ids=some, actor=caller.api_key_id)
        )
        outcomes += [OrderOutcome.of(each) for each in answer.outcomes]
    return OrderOutcomes(outcomes=outcomes, more=more)


async def _picked(clients: Clients, caller: Caller, pick: HeldPick) -> tuple[list[str], bool]:
    """The ids, and whether there are more than the limit. All are found before anything is done with the first."""
    if pick.order_ids:
        return pick.order_ids, False
    found: list[str] = []
    request = pb.ListOrdersRequest(
        workspace_id=caller.workspace_id,
        shop_id=pick.shop_id or "",
        states=[pb.ORDER_STATE_HELD],
        reason=pick.reason,
        page_size=ORDERS_PER_CALL,
    )
    while len(found) <= pick.limit:
        answer = await clients.call(clients.orders.ListOrders, request)
        found += [each.order_id for each in answer.orders]
        request.page_token = answer.next_page_token
        if not answer.next_page_token:
            break
    return found[: pick.limit], len(found) > pick.limit


def _pieces(order_ids: list[str]) -> list[list[str]]:
    return [order_ids[start : start + ORDERS_PER_CALL] for start in range(0, len(order_ids), ORDERS_PER_CALL)]
