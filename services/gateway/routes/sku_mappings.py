"""The map from a shop's SKUs to Amazon's, by the piece and as a file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from reelroute.fulfillment.v1 import routing_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from kit import context, errors
from services.gateway import sku_map
from services.gateway.calendars.entries import NotACalendar
from services.gateway.clients import Clients
from services.gateway.early_refusal import EarlyRefusal
from services.gateway.models.fields import Text
from services.gateway.models.problems import problems
from services.gateway.models.sku_mappings import (
    SkuMapImported,
    SkuMapOptions,
    SkuMapping,
    SkuMappingBatch,
    SkuMappingList,
    SkuMappingPick,
    SkuMappingsDeleted,
    SkuMappingsSet,
    UnmappedSku,
    UnmappedSkuList,
)
from services.gateway.multipart import FileHeader, FileReader
from services.gateway.options import form_body, form_options
from services.gateway.route import ApiRoute, gateway_of
from services.gateway.routes.depends import Caller_, Clients_, LongPageToken, PageSize, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Routing"])

_MEMORY_BYTES = 1024 * 1024
# SetSkuMappings takes so many.
_MAPPINGS_PER_CALL = 1000
_FAULTS_TOLD = 100
_MarketplaceFilter = Annotated[
    Text, Query(pattern="^([A-Z]{2})?$", description="Only of this marketplace: `US`.", max_length=2)
]

_IMPORT_BODY = form_body(
    SkuMapOptions,
    "JSON, before the file.",
    "CSV.",
    {"options": {"marketplace": "US"}, "file": "sku_map.csv"},
)
_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


class SkuMapUnreadable(errors.InvalidArgument):
    """The file is no map of SKUs; the reason of its field says why."""


class SkuMapRefused(errors.InvalidArgument):
    """Rows of the map of SKUs are wrong, so that nothing of it was taken; the fields name line and column."""


@router.get("/v1/sku-mappings", responses=problems())
async def list_sku_mappings(
    caller: Caller_,
    clients: Clients_,
    marketplace: _MarketplaceFilter = "",
    text: Annotated[
        Text, Query(max_length=100, description="Only with this in a SKU of either side, in either case.")
    ] = "",
    page_size: Annotated[
        int, Query(ge=0, le=2**31 - 1, description="At most so many; 0 means 50, more than 1,000 means 1,000.")
    ] = 0,
    page_token: LongPageToken = "",
) -> SkuMappingList:
    """Lists mappings by marketplace and SKU."""
    request = pb.ListSkuMappingsRequest(
        workspace_id=caller.workspace_id,
        marketplace=marketplace,
        text=text,
        page_size=page_size,
        page_token=page_token,
    )
    answer = await clients.call(clients.routing.ListSkuMappings, request)
    return SkuMappingList(
        mappings=[SkuMapping.of(each) for each in answer.mappings], next_page_token=answer.next_page_token
    )


@router.post("/v1/sku-mappings:batchSet", responses=problems(body=True))
async def set_sku_mappings(
    batch: SkuMappingBatch, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> SkuMappingsSet:
    """Sets mappings, each as a whole: all or none of them. Held orders that waited for them are decided again.

    A mapping is known again by its marketplace and `platform_sku_id`, or its `seller_sku` where it has none. May be
    repeated, with or without `Idempotency-Key`.
    """
    request = pb.SetSkuMappingsRequest(
        workspace_id=caller.workspace_id, mappings=[each.to_proto() for each in batch.mappings]
    )
    answer = await clients.call(clients.routing.SetSkuMappings, request)
    return SkuMappingsSet(mappings=[SkuMapping.of(each) for each in answer.mappings], woken_orders=answer.woken_orders)


@router.post("/v1/sku-mappings:batchDelete", responses=problems(body=True))
async def delete_sku_mappings(
    pick: SkuMappingPick, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> SkuMappingsDeleted:
    """Forgets mappings; those that are not there are passed over. May be repeated."""
    request = pb.DeleteSkuMappingsRequest(workspace_id=caller.workspace_id, mapping_ids=pick.mapping_ids)
    return SkuMappingsDeleted(deleted=(await clients.call(clients.routing.DeleteSkuMappings, request)).deleted)


@router.post(
    "/v1/sku-mappings:import",
    response_model=SkuMapImported,
    responses=problems(body=True),
    openapi_extra=_IMPORT_BODY,
)
async def import_sku_mappings(
    request: Request, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> SkuMapImported | Response:
    """Sets the mappings of a CSV file: `seller_sku`, `tiktok_sku_id`, `amazon_seller_sku`, `quantity_per_unit`, and,
    where it is not the same for all, `marketplace`. A bundle has a row for each of Amazon's SKUs.

    The whole file is checked first: with a fault in it nothing is taken, and each fault is named by line and column.
    It is then saved a thousand SKUs at a time; should that break off, import it again. Mappings that are not in the
    file stay. May be repeated.
    """
    config = gateway_of(request).config
    reader = FileReader(
        request, limit_bytes=config.max_batch_bytes, idle_seconds=config.upload_idle_seconds, options_field="options"
    )
    with tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES) as file:
        try:
            async for part in reader.read():
                if not isinstance(part, FileHeader):
                    file.write(part)
            options = form_options(SkuMapOptions, reader.options)
            mappings, rows = await asyncio.to_thread(_read, file, options.marketplace or "")
        except errors.ReelrouteError as error:
            if reader.body_ended:
                raise
            return EarlyRefusal(error)
    woken = 0
    if not options.validate_only:
        for start in range(0, len(mappings), _MAPPINGS_PER_CALL):
            some = [_to_proto(each) for each in mappings[start : start + _MAPPINGS_PER_CALL]]
            to_set = pb.SetSkuMappingsRequest(workspace_id=caller.workspace_id, mappings=some)
            woken += (await clients.call(clients.routing.SetSkuMappings, to_set)).woken_orders
    return SkuMapImported(rows=rows, mappings=len(mappings), woken_orders=woken, validate_only=options.validate_only)


@router.get(
    "/v1/sku-mappings:export", response_class=Response, response_model=None, responses={**_EXPORTED, **problems()}
)
async def export_sku_mappings(
    request: Request, caller: Caller_, clients: Clients_, marketplace: _MarketplaceFilter = ""
) -> Response:
    """Writes the mappings as a CSV file that can be imported again.

    Texts that a spreadsheet would run as formulas are guarded by an apostrophe, which an import takes off again.
    """
    wanted = pb.ListSkuMappingsRequest(workspace_id=caller.workspace_id, marketplace=marketplace, page_size=1000)
    # The first page here: a refusal is still an answer of its own.
    first = await clients.call(clients.routing.ListSkuMappings, wanted)
    pieces = _pieces(clients, wanted, first, context.request_id(), gateway_of(request).config.upload_seconds)
    headers = {"Content-Disposition": 'attachment; filename="sku_map.csv"'}
    return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/v1/unmapped-skus", responses=problems())
async def list_unmapped_skus(
    caller: Caller_,
    clients: Clients_,
    shop_id: Annotated[UUID | None, Query(description="Only of this shop.")] = None,
    page_size: PageSize = 0,
    page_token: LongPageToken = "",
) -> UnmappedSkuList:
    """Lists SKUs of orders and products without a mapping, those that hold orders first, with what they might be."""
    request = pb.ListUnmappedSkusRequest(
        workspace_id=caller.workspace_id, shop_id=str(shop_id or ""), page_size=page_size, page_token=page_token
    )
    answer = await clients.call(clients.routing.ListUnmappedSkus, request)
    return UnmappedSkuList(skus=[UnmappedSku.of(each) for each in answer.skus], next_page_token=answer.next_page_token)


def _read(file: IO[bytes], marketplace: str) -> tuple[list[sku_map.Mapping], int]:
    """The mappings of a file. Raises SkuMapUnreadable, SkuMapRefused."""
    try:
        return sku_map.read(file, marketplace)
    except NotACalendar as found:
        raise SkuMapUnreadable(
            found.message, [errors.FieldViolation("file", found.message, found.reason.upper())]
        ) from None
    except sku_map.SkuMapFaulty as found:
        told = [
            errors.FieldViolation(f"lines[{each.line}].{each.column}", each.message, each.reason)
            for each in found.faults[:_FAULTS_TOLD]
        ]
        first, more = found.faults[0], len(found.faults) - 1
        also = f" There {'is 1 more' if more == 1 else f'are {more} more'}." if more else ""
        message = f"Line {first.line}, {first.column}: {first.message}{also} Nothing was taken."
        raise SkuMapRefused(message, told) from None


def _to_proto(mapping: sku_map.Mapping) -> pb.SkuMapping:
    return pb.SkuMapping(
        marketplace=mapping.marketplace,
        seller_sku=mapping.seller_sku,
        platform_sku_id=mapping.platform_sku_id,
        parts=[pb.SkuPart(amazon_sku=sku, quantity=quantity) for sku, quantity in mapping.parts],
    )


async def _pieces(
    clients: Clients,
    wanted: pb.ListSkuMappingsRequest,
    page: pb.ListSkuMappingsResponse,
    request_id: str,
    seconds: float,
) -> AsyncIterator[bytes]:
    is_first = True
    while True:
        for piece in sku_map.write(map(_of_proto, page.mappings), with_header=is_first):
            yield piece
        if not page.next_page_token:
            return
        is_first = False
        wanted.page_token = page.next_page_token
        with context.call(request_id=request_id, timeout_seconds=seconds):
            page = await clients.call(clients.routing.ListSkuMappings, wanted)


def _of_proto(mapping: pb.SkuMapping) -> sku_map.Mapping:
    return sku_map.Mapping(
        mapping.marketplace,
        mapping.seller_sku,
        mapping.platform_sku_id,
        tuple((each.amazon_sku, each.quantity) for each in mapping.parts),
    )
