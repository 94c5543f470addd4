"""Amazon sellers, and connecting them."""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.fulfillment.v1 import merchants_pb2 as pb

from services.gateway.models.merchants import Merchant, MerchantDraft, MerchantList
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, LongPageToken, PageSize, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Merchants"])


@router.post("/v1/merchants", status_code=201, responses=problems(409, body=True))
async def connect_merchant(
    draft: MerchantDraft, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Merchant:
    """Connects an Amazon seller by the refresh token that Seller Central shows when the seller authorises the app.

    The token is tried before it is kept. A merchant that the workspace already has keeps its id and gets the new token.
    May be repeated, with or without `Idempotency-Key`. 409 when Amazon does not take the token
    (`MERCHANT_AUTHORIZATION_LOST`), the installation has no app (`AMAZON_NOT_CONFIGURED`), or another workspace has the
    merchant (`MERCHANT_BELONGS_TO_ANOTHER`).
    """
    request = draft.to_proto(caller.workspace_id)
    return Merchant.of((await clients.call(clients.merchants.ConnectMerchant, request, waits_on_vendor=True)).merchant)


@router.get("/v1/merchants", responses=problems())
async def list_merchants(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: LongPageToken = ""
) -> MerchantList:
    """Lists merchants, by name."""
    request = pb.ListMerchantsRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.merchants.ListMerchants, request)
    return MerchantList(
        merchants=[Merchant.of(each) for each in answer.merchants], next_page_token=answer.next_page_token
    )


@router.get("/v1/merchants/{merchant_id:id}", responses=problems(404))
async def get_merchant(merchant_id: Id, caller: Caller_, clients: Clients_) -> Merchant:
    """Reads a merchant."""
    request = pb.GetMerchantRequest(workspace_id=caller.workspace_id, merchant_id=str(merchant_id))
    return Merchant.of((await clients.call(clients.merchants.GetMerchant, request)).merchant)


@router.post("/v1/merchants/{merchant_id:id}:disconnect", responses=problems(404))
async def disconnect_merchant(merchant_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> Merchant:
    """Forgets a merchant's token. Orders that are at Amazon stay there, unwatched; new ones are held.

    Amazon is not told: the seller takes the authorisation back in Seller Central. May be repeated.
    """
    request = pb.DisconnectMerchantRequest(workspace_id=caller.workspace_id, merchant_id=str(merchant_id))
    return Merchant.of((await clients.call(clients.merchants.DisconnectMerchant, request)).merchant)
