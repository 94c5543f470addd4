"""The RPCs of stock: the ledger, what TikTok Shop is told, and drift reports."""

from __future__ import annotations

from uuid import UUID

import grpc
from reelroute.fulfillment.v1 import stock_pb2 as pb
from reelroute.fulfillment.v1 import stock_pb2_grpc

from kit.db import Database
from kit.paging import Page
from services.fulfillment import shop_store
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.domain import Merchant
from services.fulfillment.stock import drift_store, push_store, stock_store
from services.fulfillment.stock.drifting import Drifting
from services.fulfillment.stock.reading import StockReading
from services.fulfillment.stock.stock_messages import drift_to, entry_to, push_to, report_to, stock_to

_MOST_ENTRIES = 100


class StockApi(stock_pb2_grpc.StockServiceServicer):
    """See stock.proto for what each RPC promises."""

    def __init__(self, database: Database, reading: StockReading, drifting: Drifting) -> None:
        self._database, self._reading, self._drifting = database, reading, drifting

    def ListStock(self, request: pb.ListStockRequest, context: grpc.ServicerContext) -> pb.ListStockResponse:
        workspace_id, merchant_id = UUID(request.workspace_id), UUID(request.merchant_id)
        page = Page.parse(request.page_size, request.page_token, (str,))
        with self._database.transaction(workspace_id) as tx:
            merchant_store.read_merchant(tx, workspace_id, merchant_id)
            found = stock_store.list_stock(tx, workspace_id, merchant_id, page, request.text)
            default = stock_store.default_safety_stock(tx, workspace_id, merchant_id)
        shown, token = page.cut(found, lambda stock: (stock.amazon_sku,))
        return pb.ListStockResponse(stock=[stock_to(each, default) for each in shown], next_page_token=token)

    def GetStock(self, request: pb.GetStockRequest, context: grpc.ServicerContext) -> pb.GetStockResponse:
        workspace_id, merchant_id = UUID(request.workspace_id), UUID(request.merchant_id)
        with self._database.transaction(workspace_id) as tx:
            stock = stock_store.read_stock(tx, workspace_id, merchant_id, request.amazon_sku)
            entries = stock_store.list_entries(tx, workspace_id, merchant_id, request.amazon_sku, _MOST_ENTRIES)
            default = stock_store.default_safety_stock(tx, workspace_id, merchant_id)
        return pb.GetStockResponse(stock=stock_to(stock, default), entries=[entry_to(each) for each in entries])

    def SetSafetyStock(
        self, request: pb.SetSafetyStockRequest, context: grpc.ServicerContext
    ) -> pb.SetSafetyStockResponse:
        workspace_id, merchant_id = UUID(request.workspace_id), UUID(request.merchant_id)
        safety_stock = request.safety_stock if request.HasField("safety_stock") else None
        with self._database.transaction(workspace_id) as tx:
            stock_store.set_safety_stock(tx, workspace_id, merchant_id, request.amazon_sku, safety_stock)
            stock = stock_store.read_stock(tx, workspace_id, merchant_id, request.amazon_sku)
            default = stock_store.default_safety_stock(tx, workspace_id, merchant_id)
        return pb.SetSafetyStockResponse(stock=stock_to(stock, default))

    def SyncStock(self, request: pb.SyncStockRequest, context: grpc.ServicerContext) -> pb.SyncStockResponse:
        merchant = self._merchant(request.workspace_id, request.merchant_id)
        return pb.SyncStockResponse(skus=self._reading.sync(merchant))

    def ListStockPushes(
        self, request: pb.ListStockPushesRequest, context: grpc.ServicerContext
    ) -> pb.ListStockPushesResponse:
        workspace_id, shop_id = UUID(request.workspace_id), UUID(request.shop_id)
        page = Page.parse(request.page_size, request.page_token, (int, str))
        with self._database.transaction(workspace_id) as tx:
            shop_store.read_shop(tx, workspace_id, shop_id)
            found = push_store.list_pushes(tx, workspace_id, shop_id, page)
        shown, token = page.cut(found, lambda push: (0 if push.problem else 1, push.platform_sku_id))
        return pb.ListStockPushesResponse(pushes=[push_to(each) for each in shown], next_page_token=token)

    def MakeDriftReport(
        self, request: pb.MakeDriftReportRequest, context: grpc.ServicerContext
    ) -> pb.MakeDriftReportResponse:
        merchant = self._merchant(request.workspace_id, request.merchant_id)
        return pb.MakeDriftReportResponse(report=report_to(self._drifting.make(merchant)))

    def ListDriftReports(
        self, request: pb.ListDriftReportsRequest, context: grpc.ServicerContext
    ) -> pb.ListDriftReportsResponse:
        workspace_id, merchant_id = UUID(request.workspace_id), UUID(request.merchant_id)
        page = Page.parse(request.page_size, request.page_token, (UUID,))
        with self._database.transaction(workspace_id) as tx:
            merchant_store.read_merchant(tx, workspace_id, merchant_id)
            found = drift_store.list_reports(tx, workspace_id, merchant_id, page)
        shown, token = page.cut(found, lambda report: (report.report_id,))
        return pb.ListDriftReportsResponse(reports=[report_to(each) for each in shown], next_page_token=token)

    def ListDrifts(self, request: pb.ListDriftsRequest, context: grpc.ServicerContext) -> pb.ListDriftsResponse:
        workspace_id, report_id = UUID(request.workspace_id), UUID(request.report_id)
        page = Page.parse(request.page_size, request.page_token, (int,))
        with self._database.transaction(workspace_id) as tx:
            found = drift_store.list_drifts(tx, workspace_id, report_id, page)
        shown, token = page.cut(found, lambda each: (each[0],))
        return pb.ListDriftsResponse(drifts=[drift_to(each) for _, each in shown], next_page_token=token)

    def _merchant(self, workspace_id: str, merchant_id: str) -> Merchant:
        with self._database.transaction(UUID(workspace_id)) as tx:
            return merchant_store.read_merchant(tx, UUID(workspace_id), UUID(merchant_id))
