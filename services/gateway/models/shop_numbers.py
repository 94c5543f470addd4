"""How shops, videos and products sell, as TikTok Shop counts it. A count that a report does not have is null."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from services.gateway.models import shop_examples
from services.gateway.models.fields import AnswerModel, count_of, instant_of, shown
from services.gateway.models.money import Money, money_of

_LATEST = "The last day whose figures are whole, in the shop's time zone; null where TikTok Shop does not say."


class ShopNumbers(AnswerModel):
    """What a shop sold in some days."""

    start_date: str = Field(description="The first day, in the shop's time zone.")
    end_date: str = Field(description="The day behind the last.")
    sales: Money | None
    refunds: Money | None
    orders: int | None
    units_sold: int | None
    buyers: int | None
    product_impressions: int | None
    product_page_views: int | None

    @classmethod
    def of(cls, numbers: pb.ShopNumbers) -> ShopNumbers:
        """From fulfillment."""
        return cls(
            start_date=numbers.start_date,
            end_date=numbers.end_date,
            sales=money_of(numbers, "sales"),
            refunds=money_of(numbers, "refunds"),
            orders=count_of(numbers, "orders"),
            units_sold=count_of(numbers, "units_sold"),
            buyers=count_of(numbers, "buyers"),
            product_impressions=count_of(numbers, "product_impressions"),
            product_page_views=count_of(numbers, "product_page_views"),
        )


class ShopNumbersList(AnswerModel):
    """The numbers of a shop, by day or of the whole span."""

    model_config = shown(shop_examples.SHOP_NUMBERS)

    numbers: list[ShopNumbers]
    latest_available_date: str | None = Field(description=_LATEST)


class VideoNumbers(AnswerModel):
    """What a video sold of a shop's products."""

    platform_post_id: str = Field(description="TikTok's id of the video, as the deliveries of posts have it.")
    title: str
    handle: str = Field(description="The creator's, without @.")
    publish_time: datetime | None
    sales: Money | None
    orders: int | None
    units_sold: int | None
    views: int | None
    click_through_percent: str | None = Field(
        description="Of a hundred views, so many clicked; a decimal number as text. Null where it is not known."
    )
    platform_product_ids: list[str]

    @classmethod
    def of(cls, numbers: pb.VideoNumbers) -> VideoNumbers:
        """From fulfillment."""
        return cls(
            platform_post_id=numbers.platform_post_id,
            title=numbers.title,
            handle=numbers.handle,
            publish_time=instant_of(numbers, "publish_time"),
            sales=money_of(numbers, "sales"),
            orders=count_of(numbers, "orders"),
            units_sold=count_of(numbers, "units_sold"),
            views=count_of(numbers, "views"),
            click_through_percent=numbers.click_through_percent or None,
            platform_product_ids=list(numbers.platform_product_ids),
        )


class VideoNumbersList(AnswerModel):
    """A page of videos, the highest sales first."""

    model_config = shown(shop_examples.VIDEO_NUMBERS)

    videos: list[VideoNumbers]
    next_page_token: str = Field(description="Empty on the last page.")
    latest_available_date: str | None = Field(description=_LATEST)


class ProductNumbers(AnswerModel):
    """What was sold of a product."""

    platform_product_id: str
    sales: Money | None
    orders: int | None
    units_sold: int | None

    @classmethod
    def of(cls, numbers: pb.ProductNumbers) -> ProductNumbers:
        """From fulfillment."""
        return cls(
            platform_product_id=numbers.platform_product_id,
            sales=money_of(numbers, "sales"),
            orders=count_of(numbers, "orders"),
            units_sold=count_of(numbers, "units_sold"),
        )


class ProductNumbersList(AnswerModel):
    """A page of products, in TikTok Shop's order."""

    model_config = shown(shop_examples.PRODUCT_NUMBERS)

    products: list[ProductNumbers]
    next_page_token: str = Field(description="Empty on the last page.")
    latest_available_date: str | None = Field(description=_LATEST)
