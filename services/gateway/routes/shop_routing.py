"""How a shop's orders are routed."""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.fulfillment.v1 import orders_pb2, routing_pb2

from services.gateway.models.problems import problems
from services.gateway.models.shop_routing import RoutingSettings, ShopRouting, ShopWarehouse, ShopWarehouseList
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Routing"])


@router.get("/v1/shops/{shop_id:id}/routing", responses=problems(404))
async def get_shop_routing(shop_id: Id, caller: Caller_, clients: Clients_) -> ShopRouting:
    """Reads how a shop's orders are routed. Settings that nobody has set are the defaults, switched off."""
    request = routing_pb2.GetShopRoutingRequest(workspace_id=caller.workspace_id, shop_id=str(shop_id))
    return ShopRouting.of((await clients.call(clients.routing.GetShopRouting, request)).routing)


@router.put("/v1/shops/{shop_id:id}/routing", responses=problems(404, 409, body=True))
async def set_shop_routing(shop_id: Id, settings: RoutingSettings, caller: Caller_, clients: Clients_) -> ShopRouting:
    """Sets how a shop's orders are routed, as a whole: what is left out is at its default again.

    Orders that are not yet routed are decided again. May be repeated. 409 (`MARKETPLACE_MISMATCH`) when the merchant is
    in another country than the shop.
    """
    request = routing_pb2.UpdateShopRoutingRequest(
        workspace_id=caller.workspace_id, routing=settings.to_proto(str(shop_id))
    )
    return ShopRouting.of((await clients.call(clients.routing.UpdateShopRouting, request)).routing)


@router.get("/v1/shops/{shop_id:id}/warehouses", responses=problems(404, 409))
async def list_shop_warehouses(shop_id: Id, caller: Caller_, clients: Clients_) -> ShopWarehouseList:
    """Reads the warehouses of a shop from TikTok Shop, with their delivery options: what the settings choose from."""
    request = routing_pb2.ListShopWarehousesRequest(workspace_id=caller.workspace_id, shop_id=str(shop_id))
    answer = await clients.call(clients.routing.ListShopWarehouses, request, waits_on_vendor=True)
    return ShopWarehouseList(warehouses=[ShopWarehouse.of(each) for each in answer.warehouses])


@router.post("/v1/shops/{shop_id:id}:resumeTracking", responses=problems(404))
async def resume_tracking(shop_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> ShopRouting:
    """Tells TikTok Shop tracking numbers of a shop again, after the first rejected one stopped them all.

    After five wrong ones TikTok Shop takes the warehouse away: look at the rejected one first. May be repeated.
    """
    request = orders_pb2.ResumeTrackingRequest(
        workspace_id=caller.workspace_id, shop_id=str(shop_id), actor=caller.api_key_id
    )
    return ShopRouting.of((await clients.call(clients.orders.ResumeTracking, request)).routing)
