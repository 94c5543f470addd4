"""Products of shops, as they were when they were last read."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from services.gateway.models import examples, shop_examples
from services.gateway.models.fields import AnswerModel, instant_of, shown
from services.gateway.models.money import Money, money_of


class Sku(AnswerModel):
    """One variant of a product."""

    platform_sku_id: str = Field(description="TikTok Shop's own id.")
    seller_sku: str = Field(description="The seller's own; may be empty, or the same in several.")
    price: Money | None = Field(description="Null when the shop names none.")
    available_quantity: int = Field(description="Units that can be bought now, in all warehouses.")
    attributes: list[str] = Field(description="`Colour: black`.")
    barcode: str = Field(description="GTIN, EAN, UPC or ISBN; empty when the shop has none.")

    @classmethod
    def of(cls, sku: pb.Sku) -> Sku:
        """From fulfillment."""
        return cls(
            platform_sku_id=sku.platform_sku_id,
            seller_sku=sku.seller_sku,
            price=money_of(sku, "price"),
            available_quantity=sku.available_quantity,
            attributes=list(sku.attributes),
            barcode=sku.barcode,
        )


class Product(AnswerModel):
    """A product of a shop."""

    model_config = shown(shop_examples.PRODUCT)

    product_id: str
    shop_id: str
    platform_product_id: str = Field(description="TikTok Shop's own id.")
    title: str
    status: str = Field(
        description="In TikTok Shop's words: `ACTIVATE`, `SELLER_DEACTIVATED`. What is no longer there is `DELETED`."
    )
    description: str = Field(description="In plain text, without the shop's formatting.")
    image_urls: list[str] = Field(description="Addresses of pictures at TikTok Shop; they may end.")
    skus: list[Sku]
    create_time: datetime | None
    read_time: datetime | None = Field(description="When it was last read.")

    @classmethod
    def of(cls, product: pb.Product) -> Product:
        """From fulfillment."""
        return cls(
            product_id=product.product_id,
            shop_id=product.shop_id,
            platform_product_id=product.platform_product_id,
            title=product.title,
            status=product.status,
            description=product.description,
            image_urls=list(product.image_urls),
            skus=[Sku.of(each) for each in product.skus],
            create_time=instant_of(product, "create_time"),
            read_time=instant_of(product, "read_time"),
        )


class ProductList(AnswerModel):
    """A page of products, by title."""

    model_config = shown(examples.page("products", shop_examples.PRODUCT))

    products: list[Product]
    next_page_token: str = Field(description="Empty on the last page.")
