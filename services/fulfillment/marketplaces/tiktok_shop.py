"""What TikTok Shop tells of products, orders and numbers, in our words. Only `recipient_of` has a buyer's data."""

from __future__ import annotations

from datetime import datetime

from kit.vendor_json import mappings, text, texts
from services.fulfillment.money import Money, money
from services.fulfillment.orders.address_places import country_of
from services.fulfillment.orders.domain import ShopOrder, Unit, UnitState
from services.fulfillment.orders.recipient import District, Recipient
from services.fulfillment.products import SeenProduct, Sku, few_images, kept_text, plain_text, short_title
from services.fulfillment.sales import Numbers, Order, OrderLine, ProductNumbers, ShopNumbers, VideoNumbers
from vendors.tiktok_shop import figures, order_models, products, values
from vendors.tiktok_shop.order_models import OrderStatus

_NO_TITLE = "(no title)"
# Where the seller has to hand something over.
_TO_SHIP = (OrderStatus.AWAITING_SHIPMENT, OrderStatus.PARTIALLY_SHIPPING)
# Of a unit, by the words of its package and its own: it has left, or TikTok Shop was told so.
_SENT_PACKAGE = ("PROCESSING", "FULFILLING", "COMPLETED")
_SENT = (OrderStatus.AWAITING_COLLECTION, OrderStatus.IN_TRANSIT, OrderStatus.DELIVERED, OrderStatus.COMPLETED)
_CANCELLED = OrderStatus.CANCELLED.value


def product_of(found: products.Product, seller_type: str, *, is_whole: bool) -> SeenProduct:
    """A product of a list, or (`is_whole`) one that was read by itself."""
    raw = found.raw
    return SeenProduct(
        platform_product_id=found.id,
        title=short_title(found.title) or _NO_TITLE,
        # A word that is new to the client is shown as it came.
        status=kept_text(text(raw, "status")) or found.status.value,
        skus=tuple(_sku(sku, seller_type) for sku in found.skus),
        create_time=found.create_time,
        update_time=found.update_time,
        description=plain_text(text(raw, "description")) if is_whole else None,
        image_urls=few_images([url for image in mappings(raw, "main_images") for url in texts(image, "urls")[:1]])
        if is_whole
        else None,
    )


def _sku(sku: products.Sku, seller_type: str) -> Sku:
    # Cross-border sellers show one price, local ones the other.
    shown = (sku.sale_price, sku.tax_exclusive_price)
    price = next((each for each in (shown if seller_type == "CROSS_BORDER" else shown[::-1]) if each), None)
    return Sku(
        platform_sku_id=sku.id,
        seller_sku=kept_text(sku.seller_sku),
        price=money_of(price),
        available_quantity=sum(sku.stock.values()) if sku.stock else None,
        attributes=tuple(
            kept_text(f"{name}: {value}" if name else value)
            for each in mappings(sku.raw, "sales_attributes")
            for name, value in [(text(each, "name"), text(each, "value_name"))]
            if value
        ),
        barcode=kept_text(sku.identifier_code),
    )


def money_of(found: values.Money | None) -> Money | None:
    """An amount as ours; None where there is none."""
    return money(found.amount, found.currency) if found else None


def order_of(found: order_models.Order) -> Order:
    """An order without who bought it and where it goes."""
    return Order(
        platform_order_id=found.id,
        status=kept_text(text(found.raw, "status")),
        create_time=found.create_time,
        update_time=found.update_time,
        lines=_lines(found.line_items),
        total=money_of(found.payment.total) if found.payment else None,
        shipping_type=kept_text(text(found.raw, "shipping_type")),
        ship_until_time=_ship_until(found),
        is_on_hold=found.is_on_hold_order,
        is_cancel_requested=found.is_buyer_request_cancel,
    )


def recipient_of(found: order_models.Order) -> Recipient:
    """Whom an order goes to, as it is told; nothing of it where TikTok Shop hides all."""
    told = found.recipient_address
    if told is None:
        return Recipient()
    return Recipient(
        name=told.name,
        first_name=told.first_name,
        last_name=told.last_name,
        phone=told.phone_number,
        lines=told.lines,
        address_detail=told.address_detail,
        full_address=told.full_address,
        districts=tuple(District(each.level, each.level_name, each.name, each.iso_code) for each in told.districts),
        postal_code=told.postal_code,
        post_town=told.post_town,
        country_code=told.region_code,
    )


def shop_order_of(found: order_models.Order) -> ShopOrder:
    """An order as it is kept and decided, without whom it goes to."""
    return ShopOrder(
        platform_order_id=found.id,
        # A word that is new to the client is kept as it came.
        status=_word(found.status, kept_text(text(found.raw, "status"))),
        create_time=found.create_time,
        update_time=found.update_time,
        paid_time=found.paid_time,
        fulfillment_type=kept_text(text(found.raw, "fulfillment_type")),
        shipping_type=kept_text(text(found.raw, "shipping_type")),
        delivery_option_id=found.delivery_option_id,
        delivery_option_name=kept_text(found.delivery_option_name),
        warehouse_id=found.warehouse_id,
        country=country_of(recipient_of(found)),
        units=tuple(_unit(found, each) for each in found.line_items),
        total=money_of(found.payment.total) if found.payment else None,
        is_on_hold=found.is_on_hold_order or found.status is OrderStatus.ON_HOLD,
        is_cancel_requested=found.is_buyer_request_cancel,
        is_cod=found.is_cod,
        is_sample=found.is_sample_order,
        is_replacement=found.is_replacement_order,
        is_combined=found.split_or_combine_tag == "COMBINED",
        has_buyer_message=bool(found.buyer_message.strip()),
        platform_package_ids=found.package_ids,
        ship_until_time=_first(found.rts_sla_time, found.shipping_due_time),
        in_transit_until_time=_first(found.tts_sla_time, found.collection_due_time),
        deliver_until_time=found.delivery_due_time,
    )


def _unit(order: order_models.Order, line: order_models.LineItem) -> Unit:
    return Unit(
        platform_line_id=line.id,
        platform_product_id=line.product_id,
        platform_sku_id=line.sku_id,
        seller_sku=kept_text(line.seller_sku),
        title=short_title(line.product_name),
        price=money_of(line.sale_price),
        list_price=money_of(line.original_price),
        state=_unit_state(order, line),
        is_gift=line.is_gift,
        is_dangerous_good=line.is_dangerous_good,
        parts=tuple((part.sku_id, kept_text(part.seller_sku), part.count) for part in line.combined_skus),
    )


def _unit_state(order: order_models.Order, line: order_models.LineItem) -> UnitState:
    status = _word(OrderStatus(line.display_status), line.display_status)
    if _CANCELLED in (order.status.value, status, line.package_status):
        return UnitState.CANCELED
    is_sent = status in _SENT or (order.status in _TO_SHIP and line.package_status in _SENT_PACKAGE)
    return UnitState.SHIPPED if is_sent or order.status in _SENT else UnitState.OPEN


def _word(status: OrderStatus, told: str) -> str:
    return told if status is OrderStatus.UNKNOWN else status.value


def _first(*times: datetime | None) -> datetime | None:
    return min((each for each in times if each), default=None)


def _lines(units: tuple[order_models.LineItem, ...]) -> tuple[OrderLine, ...]:
    """One line for the units of a SKU that cost the same; TikTok Shop has one for each unit."""
    counted: dict[tuple[str, Money | None], int] = {}
    first: dict[tuple[str, Money | None], order_models.LineItem] = {}
    for unit in units:
        key = unit.sku_id, money_of(unit.sale_price)
        counted[key] = counted.get(key, 0) + 1
        first.setdefault(key, unit)
    return tuple(
        OrderLine(
            platform_product_id=unit.product_id,
            product_title=kept_text(unit.product_name),
            platform_sku_id=unit.sku_id,
            seller_sku=kept_text(unit.seller_sku),
            quantity=counted[key],
            price=key[1],
        )
        for key, unit in first.items()
    )


def _ship_until(order: order_models.Order) -> datetime | None:
    """The first of TikTok Shop's deadlines for shipping and handing over."""
    if order.status not in _TO_SHIP:
        return None
    return _first(order.rts_sla_time, order.tts_sla_time, order.shipping_due_time, order.collection_due_time)


def shop_numbers_of(found: figures.Interval) -> ShopNumbers:
    """The numbers of some days."""
    told = found.figures
    return ShopNumbers(
        start_date=found.start,
        end_date=found.end,
        sold=_sold(told),
        refunds=money_of(told.refunds),
        buyers=told.buyers,
        product_impressions=told.product_impressions,
        product_page_views=told.product_page_views,
    )


def video_numbers_of(found: figures.Row) -> VideoNumbers:
    """The numbers of a video."""
    return VideoNumbers(
        platform_post_id=found.id,
        title=kept_text(found.name),
        handle=kept_text(found.username).lstrip("@"),
        publish_time=found.time,
        sold=_sold(found.figures),
        views=found.figures.views,
        click_through=found.figures.click_through_rate,
        platform_product_ids=found.product_ids,
    )


def product_numbers_of(found: figures.Row) -> ProductNumbers:
    """The numbers of a product."""
    return ProductNumbers(found.id, _sold(found.figures))


def _sold(told: figures.Figures) -> Numbers:
    orders = told.sku_orders if told.orders is None else told.orders
    return Numbers(sales=money_of(told.gmv), orders=orders, units_sold=told.units_sold)
