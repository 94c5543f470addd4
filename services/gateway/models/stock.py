"""Stock: what can be sold of Amazon's SKUs, what TikTok Shop is told, and what does not agree."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from reelroute.fulfillment.v1 import stock_pb2 as pb

from services.gateway.models import examples, order_examples
from services.gateway.models.fields import AnswerModel, RequestModel, count_of, instant_of, shown, word_of, words_of
from services.gateway.models.sku_mappings import AmazonSku


class Stock(AnswerModel):
    """Units of one of Amazon's SKUs: available = fulfillable − reserved − in flight − safety stock, at least zero."""

    model_config = shown(order_examples.STOCK)

    merchant_id: str
    amazon_sku: str
    asin: str
    fnsku: str
    title: str
    is_at_amazon: bool = Field(description="False: the seller sends it himself, so that it cannot be routed.")
    available: int
    fulfillable: int = Field(description="What Amazon could pick when it was last read.")
    reserved: int = Field(description="Held for orders that are accepted and not yet at Amazon.")
    in_flight: int = Field(description="At Amazon, and not yet taken off its number.")
    safety_stock: int
    is_own_safety_stock: bool = Field(description="False: as the shop's setting says.")
    inbound: int
    amazon_update_time: datetime | None = Field(description="When Amazon's number was made.")
    read_time: datetime | None

    @classmethod
    def of(cls, stock: pb.Stock) -> Stock:
        """From fulfillment."""
        return cls(
            merchant_id=stock.merchant_id,
            amazon_sku=stock.amazon_sku,
            asin=stock.asin,
            fnsku=stock.fnsku,
            title=stock.title,
            is_at_amazon=stock.is_at_amazon,
            available=stock.available,
            fulfillable=stock.fulfillable,
            reserved=stock.reserved,
            in_flight=stock.in_flight,
            safety_stock=stock.safety_stock,
            is_own_safety_stock=stock.is_own_safety_stock,
            inbound=stock.inbound,
            amazon_update_time=instant_of(stock, "amazon_update_time"),
            read_time=instant_of(stock, "read_time"),
        )


class StockList(AnswerModel):
    """A page of a merchant's stock, by SKU."""

    model_config = shown(examples.page("stock", order_examples.STOCK))

    stock: list[Stock]
    next_page_token: str = Field(description="Empty on the last page.")


class StockEntry(AnswerModel):
    """A change of a figure."""

    time: datetime | None
    kind: str | None = Field(
        description="`READ`: Amazon's number changed. `RESERVED`, `RELEASED`: for an order, and given back."
        " `SUBMITTED`: from reserved to in flight. `SETTLED`: Amazon's number has it.",
        json_schema_extra={"enum": [*words_of(pb.StockEntryKind, "STOCK_ENTRY_KIND_"), None]},
    )
    quantity: int
    order_id: str | None
    fulfillment_order_id: str

    @classmethod
    def of(cls, entry: pb.StockEntry) -> StockEntry:
        """From fulfillment."""
        return cls(
            time=instant_of(entry, "time"),
            kind=word_of(pb.StockEntryKind, "STOCK_ENTRY_KIND_", entry.kind),
            quantity=entry.quantity,
            order_id=entry.order_id or None,
            fulfillment_order_id=entry.fulfillment_order_id,
        )


class WholeStock(AnswerModel):
    """The stock of one SKU with its latest entries."""

    model_config = shown({"stock": order_examples.STOCK, "entries": [order_examples.STOCK_ENTRY]})

    stock: Stock
    entries: list[StockEntry] = Field(description="The latest first, 100 at most.")


class SafetyStock(RequestModel):
    """How many units of a SKU are never sold."""

    model_config = shown({"amazon_sku": "MAT-WATER-24-FBA", "safety_stock": 10})

    amazon_sku: AmazonSku
    safety_stock: int | None = Field(ge=0, le=1_000_000, description="Null: as the shop's setting says.")


class StockSynced(AnswerModel):
    """How many SKUs were read."""

    model_config = shown({"skus": 55})

    skus: int


class StockPush(AnswerModel):
    """What TikTok Shop is told of a SKU of a shop."""

    shop_id: str
    platform_product_id: str
    platform_sku_id: str
    seller_sku: str
    wanted_quantity: int = Field(description="What can be sold.")
    told_quantity: int | None = Field(description="What TikTok Shop was last told; null: nothing yet.")
    told_time: datetime | None
    problem: str = Field(description="Why TikTok Shop does not take it; empty when it does.")

    @classmethod
    def of(cls, push: pb.StockPush) -> StockPush:
        """From fulfillment."""
        return cls(
            shop_id=push.shop_id,
            platform_product_id=push.platform_product_id,
            platform_sku_id=push.platform_sku_id,
            seller_sku=push.seller_sku,
            wanted_quantity=push.wanted_quantity,
            told_quantity=count_of(push, "told_quantity"),
            told_time=instant_of(push, "told_time"),
            problem=push.problem,
        )


class StockPushList(AnswerModel):
    """A page of what TikTok Shop is told, those with a problem first."""

    model_config = shown(examples.page("pushes", order_examples.STOCK_PUSH))

    pushes: list[StockPush]
    next_page_token: str = Field(description="Empty on the last page.")


class DriftReport(AnswerModel):
    """A comparison of orders, ledger, Amazon and TikTok Shop."""

    model_config = shown(order_examples.DRIFT_REPORT)

    report_id: str
    merchant_id: str
    create_time: datetime | None
    orders: int
    skus: int
    drifts: int = Field(description="0: all agree.")

    @classmethod
    def of(cls, report: pb.DriftReport) -> DriftReport:
        """From fulfillment."""
        return cls(
            report_id=report.report_id,
            merchant_id=report.merchant_id,
            create_time=instant_of(report, "create_time"),
            orders=report.orders,
            skus=report.skus,
            drifts=report.drifts,
        )


class DriftReportList(AnswerModel):
    """A page of reports, the newest first."""

    model_config = shown(examples.page("reports", order_examples.DRIFT_REPORT))

    reports: list[DriftReport]
    next_page_token: str = Field(description="Empty on the last page.")


class Drift(AnswerModel):
    """One difference, with what each side says."""

    kind: str = Field(description="What kind it is, one word: `order_missing_at_amazon`.")
    amazon_sku: str
    order_id: str | None
    fulfillment_order_id: str
    text: str = Field(description="One sentence, and what to do about it.")
    sides: dict[str, str]

    @classmethod
    def of(cls, drift: pb.Drift) -> Drift:
        """From fulfillment."""
        return cls(
            kind=drift.kind,
            amazon_sku=drift.amazon_sku,
            order_id=drift.order_id or None,
            fulfillment_order_id=drift.fulfillment_order_id,
            text=drift.text,
            sides=dict(sorted(drift.sides.items())),
        )


class DriftList(AnswerModel):
    """A page of differences."""

    model_config = shown(examples.page("drifts", order_examples.DRIFT))

    drifts: list[Drift]
    next_page_token: str = Field(description="Empty on the last page.")
