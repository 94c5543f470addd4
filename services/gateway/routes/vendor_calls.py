"""What was asked of platforms, and what they answered."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from reelroute.vendorcalls.v1 import vendorcalls_pb2 as pb

from kit.errors import NotFound
from kit.paging import Page
from services.gateway.models.fields import Instant, Text
from services.gateway.models.problems import problems
from services.gateway.models.vendor_calls import (
    OutcomeWord,
    VendorCallList,
    WholeVendorCall,
    call_of,
    outcome_to,
    whole_of,
)
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, PageSize, PageToken

router = APIRouter(route_class=ApiRoute, tags=["Vendor calls"])


@router.get("/v1/vendor-calls", responses=problems())
async def list_vendor_calls(
    caller: Caller_,
    clients: Clients_,
    post_id: Annotated[UUID | None, Query(description="Only those made for this post.")] = None,
    delivery_id: Annotated[UUID | None, Query(description="Only those made for this delivery.")] = None,
    account_id: Annotated[UUID | None, Query(description="Only those made for this account.")] = None,
    order_id: Annotated[UUID | None, Query(description="Only those made for this order.")] = None,
    shop_id: Annotated[UUID | None, Query(description="Only those made for this shop.")] = None,
    vendor: Annotated[Text, Query(max_length=100, description="Only of this API: `tiktok`.")] = "",
    outcome: Annotated[
        list[OutcomeWord] | None,
        Query(max_length=20, description="Only with one of these outcomes; repeat it."),
    ] = None,
    from_time: Annotated[Instant | None, Query(description="Only those begun from this instant on.")] = None,
    until_time: Annotated[Instant | None, Query(description="Only those begun before this instant.")] = None,
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> VendorCallList:
    """Lists calls to platforms' APIs, each try for itself, newest first.

    They appear about a second after they were made, and are kept for some days.
    """
    request = pb.ListVendorCallsRequest(
        workspace_id=caller.workspace_id,
        page_size=page_size,
        page_token=page_token,
        post_id=str(post_id or ""),
        delivery_id=str(delivery_id or ""),
        account_id=str(account_id or ""),
        order_id=str(order_id or ""),
        shop_id=str(shop_id or ""),
        vendor=vendor,
        outcomes=[outcome_to(word) for word in outcome or []],
    )
    if from_time:
        request.from_time.FromDatetime(from_time)
    if until_time:
        request.until_time.FromDatetime(until_time)
    answers = await asyncio.gather(*(clients.call(each.ListVendorCalls, request) for each in clients.vendor_calls))
    # Newest first, as ids of this version are ordered too. A page of all is within the first pages of each.
    found = sorted(
        (call for answer in answers for call in answer.vendor_calls),
        key=lambda call: call.vendor_call_id,
        reverse=True,
    )
    page = Page.parse(page_size, "", ())
    shown = found[: page.size]
    more = len(found) > len(shown) or any(answer.next_page_token for answer in answers)
    return VendorCallList(
        vendor_calls=[call_of(each) for each in shown],
        next_page_token=Page.token(shown[-1].vendor_call_id) if more else "",
    )


@router.get("/v1/vendor-calls/{vendor_call_id:id}", responses=problems(404))
async def get_vendor_call(vendor_call_id: Id, caller: Caller_, clients: Clients_) -> WholeVendorCall:
    """Reads a call with what was sent and answered, without tokens, secrets and buyers' data."""
    request = pb.GetVendorCallRequest(workspace_id=caller.workspace_id, vendor_call_id=str(vendor_call_id))
    *others, last = clients.vendor_calls
    for each in others:
        with contextlib.suppress(NotFound):
            return whole_of(await clients.call(each.GetVendorCall, request))
    return whole_of(await clients.call(last.GetVendorCall, request))
