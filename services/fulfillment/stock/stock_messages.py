"""Between the messages of stock.proto and the dataclasses of stock, pushes and drift reports."""

from __future__ import annotations

from reelroute.fulfillment.v1 import stock_pb2 as pb

from kit.timestamps import optional_timestamp, to_timestamp
from services.fulfillment.stock.domain import Stock, StockEntry
from services.fulfillment.stock.drift import Drift
from services.fulfillment.stock.drift_store import DriftReport
from services.fulfillment.stock.push_store import Push


def stock_to(stock: Stock, default_safety_stock: int) -> pb.Stock:
    """A SKU as the proto shows it."""
    return pb.Stock(
        merchant_id=str(stock.merchant_id),
        amazon_sku=stock.amazon_sku,
        asin=stock.asin,
        fnsku=stock.fnsku,
        title=stock.title,
        is_at_amazon=stock.is_at_amazon,
        available=stock.available(default_safety_stock).units,
        fulfillable=stock.fulfillable,
        reserved=stock.reserved,
        in_flight=stock.in_flight,
        safety_stock=default_safety_stock if stock.safety_stock is None else stock.safety_stock,
        is_own_safety_stock=stock.safety_stock is not None,
        inbound=stock.inbound,
        amazon_update_time=optional_timestamp(stock.amazon_update_time),
        read_time=to_timestamp(stock.read_time),
    )


def entry_to(entry: StockEntry) -> pb.StockEntry:
    """A line of the ledger as the proto shows it."""
    return pb.StockEntry(
        time=to_timestamp(entry.time),
        kind=pb.StockEntryKind.Value(f"STOCK_ENTRY_KIND_{entry.kind}"),
        quantity=entry.quantity,
        order_id=str(entry.order_id) if entry.order_id else "",
        fulfillment_order_id=entry.fulfillment_order_id,
    )


def push_to(push: Push) -> pb.StockPush:
    """What TikTok Shop is told of a SKU, as the proto shows it."""
    return pb.StockPush(
        shop_id=str(push.shop_id),
        platform_product_id=push.platform_product_id,
        platform_sku_id=push.platform_sku_id,
        seller_sku=push.seller_sku,
        wanted_quantity=push.wanted_quantity,
        told_quantity=push.told_quantity,
        told_time=optional_timestamp(push.told_time),
        problem=push.problem,
    )


def report_to(report: DriftReport) -> pb.DriftReport:
    """A report as the proto shows it."""
    return pb.DriftReport(
        report_id=str(report.report_id),
        merchant_id=str(report.merchant_id),
        create_time=to_timestamp(report.create_time),
        orders=report.orders,
        skus=report.skus,
        drifts=report.drifts,
    )


def drift_to(drift: Drift) -> pb.Drift:
    """A difference as the proto shows it."""
    return pb.Drift(
        kind=drift.kind,
        amazon_sku=drift.amazon_sku,
        order_id=str(drift.order_id) if drift.order_id else "",
        fulfillment_order_id=drift.fulfillment_order_id,
        text=drift.text,
        sides=drift.sides,
    )
