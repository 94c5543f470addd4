"""What TikTok Shop tells of products, orders and numbers, in our words. What is masked or about buyers is left out."""

from __future__ import annotations

from kit.vendor_json import mappings, text, texts
from services.fulfillment.money import Money, money
from services.fulfillment.products import SeenProduct, Sku, few_images, kept_text, plain_text, short_title
from vendors.tiktok_shop import products, values

_NO_TITLE = "(no title)"


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
