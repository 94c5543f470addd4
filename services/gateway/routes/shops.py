"""Shops, and connecting them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from services.gateway.models.accounts import Connection, ConnectionFinish
from services.gateway.models.fields import Instant, Text, instant_of
from services.gateway.models.problems import problems
from services.gateway.models.shop_orders import ShopOrder, ShopOrderList
from services.gateway.models.shops import (
    CatalogueSync,
    CatalogueSynced,
    SellerShops,
    Shop,
    ShopConnectionStart,
    ShopList,
)
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import (
    Caller_,
    Clients_,
    Id,
    LongPageToken,
    PageSize,
    RequestId,
    VendorPageSize,
)

router = APIRouter(route_class=ApiRoute, tags=["Shops"])


@router.post("/v1/shop-connections", status_code=201, responses=problems(409, body=True))
async def start_shop_connection(
    start: ShopConnectionStart, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Connection:
    """Begins to connect a seller's shops: open `consent_url` in the browser of the seller's main account.

    TikTok Shop sends the browser back to the address that is registered with the app, with a code and the state. May
    be repeated; each call begins anew, with or without `Idempotency-Key`.
    """
    request = pb.StartShopConnectionRequest(
        workspace_id=caller.workspace_id,
        seller_region=pb.SellerRegion.Value(f"SELLER_REGION_{start.seller_region}"),
    )
    answer = await clients.call(clients.fulfillment.StartShopConnection, request)
    return Connection(consent_url=answer.consent_url, state=answer.state, expire_time=instant_of(answer, "expire_time"))


@router.post("/v1/shop-connections:finish", responses=problems(409, body=True))
async def finish_shop_connection(
    finish: ConnectionFinish, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> SellerShops:
    """Ends it: the code becomes all shops that the seller's consent opens. A shop that the workspace already has keeps
    its id.

    The state is good once and for 10 minutes. Cannot be repeated, not even with `Idempotency-Key`: when the answer
    was lost, look at the shops, or start again.
    """
    request = pb.FinishShopConnectionRequest(workspace_id=caller.workspace_id, state=finish.state, code=finish.code)
    answer = await clients.call(clients.fulfillment.FinishShopConnection, request, waits_on_vendor=True)
    return SellerShops.of(answer.shops)


@router.get("/v1/shops", responses=problems())
async def list_shops(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: LongPageToken = ""
) -> ShopList:
    """Lists shops, by name."""
    request = pb.ListShopsRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.fulfillment.ListShops, request)
    return ShopList(shops=[Shop.of(each) for each in answer.shops], next_page_token=answer.next_page_token)


@router.get("/v1/shops/{shop_id:id}", responses=problems(404))
async def get_shop(shop_id: Id, caller: Caller_, clients: Clients_) -> Shop:
    """Reads a shop."""
    request = pb.GetShopRequest(workspace_id=caller.workspace_id, shop_id=str(shop_id))
    return Shop.of((await clients.call(clients.fulfillment.GetShop, request)).shop)


@router.post("/v1/shops/{shop_id:id}:disconnect", responses=problems(404))
async def disconnect_shop(shop_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> SellerShops:
    """Forgets the tokens of the shop's seller, for all shops that they open. The shops and their products stay.

    TikTok Shop is not told, since it has no call for it: the seller removes the app there. May be repeated.
    """
    request = pb.DisconnectShopRequest(workspace_id=caller.workspace_id, shop_id=str(shop_id))
    return SellerShops.of((await clients.call(clients.fulfillment.DisconnectShop, request)).shops)


@router.post("/v1/shops/{shop_id:id}:syncCatalogue", responses=problems(404, 409, body=True))
async def sync_catalogue(
    shop_id: Id, sync: CatalogueSync, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> CatalogueSynced:
    """Reads the products of a shop from TikTok Shop now, instead of at the next turn; answers when they are stored.

    Thousands of products take minutes; descriptions and pictures of new ones follow by themselves. May be repeated. 409
    (`SHOP_NOT_CONNECTED`) when the shop has no tokens.
    """
    request = pb.SyncCatalogueRequest(
        workspace_id=caller.workspace_id, shop_id=str(shop_id), everything=sync.everything
    )
    answer = await clients.call(clients.fulfillment.SyncCatalogue, request, waits_on_vendor=True)
    return CatalogueSynced(products=answer.products, shop=Shop.of(answer.shop))


@router.get("/v1/shops/{shop_id:id}/orders", responses=problems(404, 409))
async def list_shop_orders(
    shop_id: Id,
    caller: Caller_,
    clients: Clients_,
    status: Annotated[
        Text, Query(max_length=40, description="Only with this status, in TikTok Shop's words: `AWAITING_SHIPMENT`.")
    ] = "",
    from_time: Annotated[Instant | None, Query(description="Only changed from this instant on.")] = None,
    until_time: Annotated[Instant | None, Query(description="Only changed before this instant.")] = None,
    page_size: VendorPageSize = 0,
    page_token: LongPageToken = "",
) -> ShopOrderList:
    """Reads the orders of a shop from TikTok Shop, the last changed first. Who bought and where it goes is left out.

    Nothing of it is kept. 409 when the seller has to connect again or TikTok Shop refuses for good, 429 with the time
    to wait when there were too many calls, 503 while TikTok Shop does not answer.
    """
    request = pb.ListShopOrdersRequest(
        workspace_id=caller.workspace_id,
        shop_id=str(shop_id),
        status=status,
        page_size=page_size,
        page_token=page_token,
    )
    if from_time:
        request.from_time.FromDatetime(from_time)
    if until_time:
        request.until_time.FromDatetime(until_time)
    answer = await clients.call(clients.fulfillment.ListShopOrders, request, waits_on_vendor=True)
    return ShopOrderList(orders=[ShopOrder.of(each) for each in answer.orders], next_page_token=answer.next_page_token)
