"""Orders of a shop, without who bought them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from services.gateway.models import examples, shop_examples
from services.gateway.models.fields import AnswerModel, instant_of, shown
from services.gateway.models.money import Money, money_of


class OrderLine(AnswerModel):
    """Units of one SKU in an order."""

    platform_product_id: str
    product_title: str
    platform_sku_id: str
    seller_sku: str
    quantity: int
    price: Money | None = Field(description="Of one unit.")

    @classmethod
    def of(cls, line: pb.OrderLine) -> OrderLine:
        """From fulfillment."""
        return cls(
            platform_product_id=line.platform_product_id,
            product_title=line.product_title,
            platform_sku_id=line.platform_sku_id,
            seller_sku=line.seller_sku,
            quantity=line.quantity,
            price=money_of(line, "price"),
        )


class ShopOrder(AnswerModel):
    """An order as TikTok Shop has it now."""

    platform_order_id: str = Field(description="TikTok Shop's own id.")
    status: str = Field(description="In TikTok Shop's words: `AWAITING_SHIPMENT`.")
    create_time: datetime | None
    update_time: datetime | None
    lines: list[OrderLine]
    total: Money | None = Field(description="What the buyer paid in all.")
    shipping_type: str = Field(description="`SELLER`, `TIKTOK`.")
    ship_until_time: datetime | None = Field(
        description="Until when it is to be handed over; null where nothing is to be done."
    )
    is_on_hold: bool
    is_cancel_requested: bool

    @classmethod
    def of(cls, order: pb.ShopOrder) -> ShopOrder:
        """From fulfillment."""
        return cls(
            platform_order_id=order.platform_order_id,
            status=order.status,
            create_time=instant_of(order, "create_time"),
            update_time=instant_of(order, "update_time"),
            lines=[OrderLine.of(each) for each in order.lines],
            total=money_of(order, "total"),
            shipping_type=order.shipping_type,
            ship_until_time=instant_of(order, "ship_until_time"),
            is_on_hold=order.is_on_hold,
            is_cancel_requested=order.is_cancel_requested,
        )


class ShopOrderList(AnswerModel):
    """A page of orders, the last changed first."""

    model_config = shown(examples.page("orders", shop_examples.SHOP_ORDER))

    orders: list[ShopOrder]
    next_page_token: str = Field(description="Empty on the last page.")
