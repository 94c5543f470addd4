"""Whom orders go to: read by those who may, erased, and who read it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from reelroute.fulfillment.v1 import orders_pb2 as pb

from services.gateway.models.problems import problems
from services.gateway.models.recipients import (
    Erased,
    Erasure,
    ReadRecipient,
    RecipientPurpose,
    RecipientReading,
    RecipientReadingList,
)
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, LongPageToken, PageSize, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Orders"])


@router.post("/v1/orders/{order_id:id}:readRecipient", responses=problems(404, 409, body=True))
async def read_recipient(
    order_id: Id,
    purpose: RecipientPurpose,
    response: Response,
    caller: Caller_,
    clients: Clients_,
    _request_id: RequestId,
) -> ReadRecipient:
    """Reads whom an order goes to, unmasked, with what was changed of it. Each reading is written down.

    409 (`RECIPIENT_ERASED`) when it was deleted.
    """
    # Neither a browser nor anything on the way keeps it.
    response.headers["Cache-Control"] = "no-store"
    request = pb.ReadRecipientRequest(
        workspace_id=caller.workspace_id,
        order_id=str(order_id),
        actor=caller.api_key_id,
        purpose=purpose.purpose,
    )
    return ReadRecipient.of(await clients.call(clients.orders.ReadRecipient, request))


@router.post("/v1/orders/{order_id:id}:eraseRecipient", responses=problems(404, 409, body=True))
async def erase_recipient(
    order_id: Id, erasure: Erasure, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Erased:
    """Deletes whom an order went to, or all orders of its buyer, for good. May be repeated.

    409 (`ORDER_IS_OPEN`) while one of them is still on its way. By itself it is deleted 30 days after an order's end.
    """
    request = pb.EraseRecipientRequest(
        workspace_id=caller.workspace_id,
        order_id=str(order_id),
        whole_buyer=erasure.whole_buyer,
        actor=caller.api_key_id,
    )
    return Erased(orders=(await clients.call(clients.orders.EraseRecipient, request)).orders)


@router.get("/v1/recipient-readings", responses=problems())
async def list_recipient_readings(
    caller: Caller_,
    clients: Clients_,
    order_id: Annotated[UUID | None, Query(description="Only of this order.")] = None,
    page_size: PageSize = 0,
    page_token: LongPageToken = "",
) -> RecipientReadingList:
    """Lists who read whom an order goes to, the newest first."""
    request = pb.ListRecipientReadingsRequest(
        workspace_id=caller.workspace_id, order_id=str(order_id or ""), page_size=page_size, page_token=page_token
    )
    answer = await clients.call(clients.orders.ListRecipientReadings, request)
    return RecipientReadingList(
        readings=[RecipientReading.of(each) for each in answer.readings], next_page_token=answer.next_page_token
    )
