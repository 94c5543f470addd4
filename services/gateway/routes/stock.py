"""Stock of Amazon's SKUs, what TikTok Shop is told of it, and what does not agree."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from reelroute.fulfillment.v1 import stock_pb2 as pb

from services.gateway.models.fields import Text
from services.gateway.models.problems import problems
from services.gateway.models.stock import (
    Drift,
    DriftList,
    DriftReport,
    DriftReportList,
    SafetyStock,
    Stock,
    StockEntry,
    StockList,
    StockPush,
    StockPushList,
    StockSynced,
    WholeStock,
)
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, LongPageToken, PageSize, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Stock"])


@router.get("/v1/merchants/{merchant_id:id}/stock", responses=problems(404))
async def list_stock(
    merchant_id: Id,
    caller: Caller_,
    clients: Clients_,
    text: Annotated[
        Text, Query(max_length=100, description="Only with this in the SKU or title, in either case.")
    ] = "",
    page_size: PageSize = 0,
    page_token: LongPageToken = "",
) -> StockList:
    """Lists the stock of a merchant, by SKU."""
    request = pb.ListStockRequest(
        workspace_id=caller.workspace_id,
        merchant_id=str(merchant_id),
        text=text,
        page_size=page_size,
        page_token=page_token,
    )
    answer = await clients.call(clients.stock.ListStock, request)
    return StockList(stock=[Stock.of(each) for each in answer.stock], next_page_token=answer.next_page_token)


# SKUs may have slashes in them.
@router.get("/v1/merchants/{merchant_id:id}/stock/{amazon_sku:path}", responses=problems(404))
async def get_stock(
    merchant_id: Id,
    amazon_sku: Annotated[Text, Path(min_length=1, max_length=50)],
    caller: Caller_,
    clients: Clients_,
) -> WholeStock:
    """Reads the stock of one SKU with its latest entries."""
    request = pb.GetStockRequest(workspace_id=caller.workspace_id, merchant_id=str(merchant_id), amazon_sku=amazon_sku)
    answer = await clients.call(clients.stock.GetStock, request)
    return WholeStock(stock=Stock.of(answer.stock), entries=[StockEntry.of(each) for each in answer.entries])


@router.put("/v1/merchants/{merchant_id:id}/safety-stock", responses=problems(404, body=True))
async def set_safety_stock(merchant_id: Id, safety: SafetyStock, caller: Caller_, clients: Clients_) -> Stock:
    """Sets how many units of a SKU are never sold. May be repeated."""
    request = pb.SetSafetyStockRequest(
        workspace_id=caller.workspace_id,
        merchant_id=str(merchant_id),
        amazon_sku=safety.amazon_sku,
        safety_stock=safety.safety_stock,
    )
    return Stock.of((await clients.call(clients.stock.SetSafetyStock, request)).stock)


@router.post("/v1/merchants/{merchant_id:id}:syncStock", responses=problems(404, 409))
async def sync_stock(merchant_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> StockSynced:
    """Reads a merchant's stock from Amazon now, instead of at the next turn. May be repeated."""
    request = pb.SyncStockRequest(workspace_id=caller.workspace_id, merchant_id=str(merchant_id))
    return StockSynced(skus=(await clients.call(clients.stock.SyncStock, request, waits_on_vendor=True)).skus)


@router.get("/v1/shops/{shop_id:id}/stock-pushes", responses=problems(404))
async def list_stock_pushes(
    shop_id: Id, caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: LongPageToken = ""
) -> StockPushList:
    """Lists what TikTok Shop was told of a shop's SKUs, and what it is to be told, those with a problem first."""
    request = pb.ListStockPushesRequest(
        workspace_id=caller.workspace_id, shop_id=str(shop_id), page_size=page_size, page_token=page_token
    )
    answer = await clients.call(clients.stock.ListStockPushes, request)
    return StockPushList(pushes=[StockPush.of(each) for each in answer.pushes], next_page_token=answer.next_page_token)


@router.post("/v1/merchants/{merchant_id:id}/drift-reports", status_code=201, responses=problems(404, 409))
async def make_drift_report(merchant_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> DriftReport:
    """Compares orders, ledger, Amazon and TikTok Shop now, and keeps the report; each day one is made by itself."""
    request = pb.MakeDriftReportRequest(workspace_id=caller.workspace_id, merchant_id=str(merchant_id))
    return DriftReport.of((await clients.call(clients.stock.MakeDriftReport, request, waits_on_vendor=True)).report)


@router.get("/v1/merchants/{merchant_id:id}/drift-reports", responses=problems(404))
async def list_drift_reports(
    merchant_id: Id, caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: LongPageToken = ""
) -> DriftReportList:
    """Lists reports, the newest first."""
    request = pb.ListDriftReportsRequest(
        workspace_id=caller.workspace_id, merchant_id=str(merchant_id), page_size=page_size, page_token=page_token
    )
    answer = await clients.call(clients.stock.ListDriftReports, request)
    return DriftReportList(
        reports=[DriftReport.of(each) for each in answer.reports], next_page_token=answer.next_page_token
    )


@router.get("/v1/drift-reports/{report_id:id}/drifts", responses=problems(404))
async def list_drifts(
    report_id: Id, caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: LongPageToken = ""
) -> DriftList:
    """Lists the differences that a report found."""
    request = pb.ListDriftsRequest(
        workspace_id=caller.workspace_id, report_id=str(report_id), page_size=page_size, page_token=page_token
    )
    answer = await clients.call(clients.stock.ListDrifts, request)
    return DriftList(drifts=[Drift.of(each) for each in answer.drifts], next_page_token=answer.next_page_token)
