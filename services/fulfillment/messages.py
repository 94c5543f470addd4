"""Between the messages of the proto and the dataclasses of the domain. No decision is made here."""

from __future__ import annotations

from datetime import date

from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from kit.errors import InvalidArgument
from kit.timestamps import optional_timestamp, to_timestamp
from services.fulfillment import domain, products, sales
from services.fulfillment.money import Money


def shop_to(shop: domain.Shop) -> pb.Shop:
    """A shop as the proto shows it: without tokens and cipher."""
    return pb.Shop(
        shop_id=str(shop.shop_id),
        workspace_id=str(shop.workspace_id),
        platform_shop_id=shop.platform_shop_id,
        name=shop.name,
        code=shop.code,
        region=shop.region,
        seller_type=shop.seller_type,
        seller_name=shop.seller_name,
        state=pb.ShopState.Value(f"SHOP_STATE_{shop.state.value}"),
        problem=shop.problem or domain.missing_scopes(shop.scopes),
        scopes=shop.scopes,
        authorization_expire_time=optional_timestamp(shop.authorization_expire_time),
        catalogue_time=optional_timestamp(shop.catalogue_time),
        create_time=to_timestamp(shop.create_time),
        update_time=to_timestamp(shop.update_time),
    )


def product_to(product: products.Product) -> pb.Product:
    """A product as the proto shows it."""
    return pb.Product(
        product_id=str(product.product_id),
        shop_id=str(product.shop_id),
        platform_product_id=product.platform_product_id,
        title=product.title,
        status=product.status,
        skus=[
            pb.Sku(
                platform_sku_id=sku.platform_sku_id,
                seller_sku=sku.seller_sku,
                price=_money(sku.price),
                available_quantity=sku.available_quantity or 0,
                attributes=sku.attributes,
                barcode=sku.barcode,
            )
            for sku in product.skus
        ],
        create_time=optional_timestamp(product.platform_create_time),
        read_time=to_timestamp(product.read_time),
        description=product.description,
        image_urls=product.image_urls,
    )


def order_to(order: sales.Order) -> pb.ShopOrder:
    """An order as the proto shows it."""
    return pb.ShopOrder(
        platform_order_id=order.platform_order_id,
        status=order.status,
        create_time=optional_timestamp(order.create_time),
        update_time=optional_timestamp(order.update_time),
        lines=[
            pb.OrderLine(
                platform_product_id=line.platform_product_id,
                product_title=line.product_title,
                platform_sku_id=line.platform_sku_id,
                seller_sku=line.seller_sku,
                quantity=line.quantity,
                price=_money(line.price),
            )
            for line in order.lines
        ],
        total=_money(order.total),
        shipping_type=order.shipping_type,
        ship_until_time=optional_timestamp(order.ship_until_time),
        is_on_hold=order.is_on_hold,
        is_cancel_requested=order.is_cancel_requested,
    )


def shop_numbers_to(numbers: sales.ShopNumbers) -> pb.ShopNumbers:
    """A shop's numbers as the proto shows them."""
    return pb.ShopNumbers(
        start_date=date_to(numbers.start_date),
        end_date=date_to(numbers.end_date),
        sales=_money(numbers.sold.sales),
        refunds=_money(numbers.refunds),
        orders=numbers.sold.orders,
        units_sold=numbers.sold.units_sold,
        buyers=numbers.buyers,
        product_impressions=numbers.product_impressions,
        product_page_views=numbers.product_page_views,
    )


def video_numbers_to(numbers: sales.VideoNumbers) -> pb.VideoNumbers:
    """A video's numbers as the proto shows them."""
    return pb.VideoNumbers(
        platform_post_id=numbers.platform_post_id,
        title=numbers.title,
        handle=numbers.handle,
        publish_time=optional_timestamp(numbers.publish_time),
        sales=_money(numbers.sold.sales),
        orders=numbers.sold.orders,
        units_sold=numbers.sold.units_sold,
        views=numbers.views,
        click_through_percent="" if numbers.click_through is None else sales.percent(numbers.click_through),
        platform_product_ids=numbers.platform_product_ids,
    )


def product_numbers_to(numbers: sales.ProductNumbers) -> pb.ProductNumbers:
    """A product's numbers as the proto shows them."""
    return pb.ProductNumbers(
        platform_product_id=numbers.platform_product_id,
        sales=_money(numbers.sold.sales),
        orders=numbers.sold.orders,
        units_sold=numbers.sold.units_sold,
    )


def span_from(span: pb.Span) -> tuple[date, date]:
    """The first day, and the day behind the last. Raises InvalidArgument, naming the field."""
    start, end = _date(span.start_date, "span.start_date"), _date(span.end_date, "span.end_date")
    if start >= end:
        raise InvalidArgument.of_field("span.end_date", "The end is the day behind the last: it comes after the start.")
    return start, end


def date_to(day: date | None) -> str:
    """A day as text; empty for none."""
    return day.isoformat() if day else ""


def _date(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidArgument.of_field(field, "The calendar has no such day.") from None


def _money(money: Money | None) -> pb.Money | None:
    return pb.Money(currency=money.currency, minor_units=money.minor_units) if money else None
