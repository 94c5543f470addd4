"""How shops, videos and products sell. Each answer is read from TikTok Shop, and nothing of it is kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from services.gateway.models.fields import Date
from services.gateway.models.problems import problems
from services.gateway.models.shop_numbers import (
    ProductNumbers,
    ProductNumbersList,
    ShopNumbers,
    ShopNumbersList,
    VideoNumbers,
    VideoNumbersList,
)
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, LongPageToken, VendorPageSize

router = APIRouter(route_class=ApiRoute, tags=["Shops"])

StartDate = Annotated[Date, Query(description="The first day, in the shop's time zone.")]
EndDate = Annotated[Date, Query(description="The day behind the last.")]


@router.get("/v1/shops/{shop_id:id}/numbers", responses=problems(404, 409))
async def get_shop_numbers(
    shop_id: Id,
    caller: Caller_,
    clients: Clients_,
    start_date: StartDate,
    end_date: EndDate,
    by_day: Annotated[bool, Query(description="True: a line for each day. False: one for the whole span.")] = False,
) -> ShopNumbersList:
    """Reads what a shop sold. Figures after `latest_available_date` may still grow."""
    request = pb.GetShopNumbersRequest(
        workspace_id=caller.workspace_id,
        shop_id=str(shop_id),
        span=pb.Span(start_date=start_date, end_date=end_date),
        by_day=by_day,
    )
    answer = await clients.call(clients.fulfillment.GetShopNumbers, request, waits_on_vendor=True)
    return ShopNumbersList(
        numbers=[ShopNumbers.of(each) for each in answer.numbers],
        latest_available_date=answer.latest_available_date or None,
    )


@router.get("/v1/shops/{shop_id:id}/numbers/videos", responses=problems(404, 409))
async def list_video_numbers(
    shop_id: Id,
    caller: Caller_,
    clients: Clients_,
    start_date: StartDate,
    end_date: EndDate,
    page_size: VendorPageSize = 0,
    page_token: LongPageToken = "",
) -> VideoNumbersList:
    """Reads what each video sold of a shop's products, the highest sales first; videos of others too."""
    request = pb.ListVideoNumbersRequest(
        workspace_id=caller.workspace_id,
        shop_id=str(shop_id),
        span=pb.Span(start_date=start_date, end_date=end_date),
        page_size=page_size,
        page_token=page_token,
    )
    answer = await clients.call(clients.fulfillment.ListVideoNumbers, request, waits_on_vendor=True)
    return VideoNumbersList(
        videos=[VideoNumbers.of(each) for each in answer.videos],
        next_page_token=answer.next_page_token,
        latest_available_date=answer.latest_available_date or None,
    )


@router.get("/v1/shops/{shop_id:id}/numbers/products", responses=problems(404, 409))
async def list_product_numbers(
    shop_id: Id,
    caller: Caller_,
    clients: Clients_,
    start_date: StartDate,
    end_date: EndDate,
    page_size: VendorPageSize = 0,
    page_token: LongPageToken = "",
) -> ProductNumbersList:
    """Reads what was sold of each product, in TikTok Shop's order."""
    request = pb.ListProductNumbersRequest(
        workspace_id=caller.workspace_id,
        shop_id=str(shop_id),
        span=pb.Span(start_date=start_date, end_date=end_date),
        page_size=page_size,
        page_token=page_token,
    )
    answer = await clients.call(clients.fulfillment.ListProductNumbers, request, waits_on_vendor=True)
    return ProductNumbersList(
        products=[ProductNumbers.of(each) for each in answer.products],
        next_page_token=answer.next_page_token,
        latest_available_date=answer.latest_available_date or None,
    )
