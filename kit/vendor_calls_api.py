"""The RPCs of vendor calls, for every service that makes some. See vendorcalls.proto for what each promises."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
from reelroute.vendorcalls.v1 import vendorcalls_pb2 as pb
from reelroute.vendorcalls.v1 import vendorcalls_pb2_grpc

from kit.context import Subjects
from kit.db import Database
from kit.paging import Page
from kit.timestamps import from_timestamp, to_timestamp
from kit.vendor_calls import StoredCall, Wanted, list_calls, read_call

FULL_NAME = "reelroute.vendorcalls.v1.VendorCallService"
_PREFIX = "VENDOR_CALL_OUTCOME_"


class VendorCallApi(vendorcalls_pb2_grpc.VendorCallServiceServicer):
    """Answers from the table of its own service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ListVendorCalls(
        self, request: pb.ListVendorCallsRequest, context: grpc.ServicerContext
    ) -> pb.ListVendorCallsResponse:
        page = Page.parse(request.page_size, request.page_token, (UUID,))
        workspace_id, wanted = UUID(request.workspace_id), _wanted(request)
        with self._database.transaction(workspace_id) as tx:
            found = list_calls(tx, workspace_id, wanted, page)
        shown, token = page.cut(found, lambda call: (call.vendor_call_id,))
        return pb.ListVendorCallsResponse(vendor_calls=[_call(each) for each in shown], next_page_token=token)

    def GetVendorCall(
        self, request: pb.GetVendorCallRequest, context: grpc.ServicerContext
    ) -> pb.GetVendorCallResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            call = read_call(tx, workspace_id, UUID(request.vendor_call_id))
        return pb.GetVendorCallResponse(
            vendor_call=_call(call), request_json=_json(call.record.request), answer_json=_json(call.record.answer)
        )


def _wanted(request: pb.ListVendorCallsRequest) -> Wanted:
    return Wanted(
        about=Subjects(
            post_id=_id(request.post_id),
            delivery_id=_id(request.delivery_id),
            account_id=_id(request.account_id),
            order_id=_id(request.order_id),
            shop_id=_id(request.shop_id),
        ),
        vendor=request.vendor,
        outcomes=[pb.VendorCallOutcome.Name(each).removeprefix(_PREFIX).lower() for each in request.outcomes],
        from_time=from_timestamp(request.from_time, "from_time") if request.HasField("from_time") else None,
        until_time=from_timestamp(request.until_time, "until_time") if request.HasField("until_time") else None,
    )


def _id(value: str) -> UUID | None:
    return UUID(value) if value else None


def _call(call: StoredCall) -> pb.VendorCall:
    record, about = call.record, call.record.subjects
    message = pb.VendorCall(
        vendor_call_id=str(call.vendor_call_id),
        post_id=str(about.post_id or ""),
        delivery_id=str(about.delivery_id or ""),
        account_id=str(about.account_id or ""),
        order_id=str(about.order_id or ""),
        shop_id=str(about.shop_id or ""),
        vendor=record.vendor,
        operation=record.operation,
        method=record.method,
        path=record.path,
        attempt=record.attempt,
        start_time=to_timestamp(record.start_time),
        outcome=pb.VendorCallOutcome.Value(f"{_PREFIX}{record.outcome.upper()}"),
        status=record.status or 0,
        code=record.code,
        log_id=record.log_id or "",
        handle=record.handle or "",
    )
    message.duration.FromTimedelta(timedelta(seconds=record.duration_seconds))
    return message


def _json(document: dict[str, Any] | None) -> str:
    return "" if document is None else json.dumps(document, ensure_ascii=False)
