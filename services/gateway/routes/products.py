"""Products of the shops."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from services.gateway.models.fields import Text
from services.gateway.models.problems import problems
from services.gateway.models.products import Product, ProductList
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, LongPageToken, PageSize

router = APIRouter(route_class=ApiRoute, tags=["Shops"])


@router.get("/v1/products", responses=problems())
async def list_products(
    caller: Caller_,
    clients: Clients_,
    shop_id: Annotated[UUID | None, Query(description="Only of this shop.")] = None,
    status: Annotated[
        Text,
        Query(
            max_length=40,
            description="Only with this status, in TikTok Shop's words: `ACTIVATE`. By default all but `DELETED`.",
        ),
    ] = "",
    text: Annotated[
        Text,
        Query(max_length=100, description="Only with this in the title or a seller's SKU, in either case."),
    ] = "",
    page_size: PageSize = 0,
    page_token: LongPageToken = "",
) -> ProductList:
    """Lists products by title, as they were when they were last read."""
    request = pb.ListProductsRequest(
        workspace_id=caller.workspace_id,
        shop_id=str(shop_id or ""),
        status=status,
        text=text,
        page_size=page_size,
        page_token=page_token,
    )
    answer = await clients.call(clients.fulfillment.ListProducts, request)
    return ProductList(products=[Product.of(each) for each in answer.products], next_page_token=answer.next_page_token)


@router.get("/v1/products/{product_id:id}", responses=problems(404))
async def get_product(product_id: Id, caller: Caller_, clients: Clients_) -> Product:
    """Reads a product, as it was when it was last read."""
    request = pb.GetProductRequest(workspace_id=caller.workspace_id, product_id=str(product_id))
    return Product.of((await clients.call(clients.fulfillment.GetProduct, request)).product)
