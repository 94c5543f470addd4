"""Connected TikTok Shop sellers, and how they are connected."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import Field
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from services.gateway.models import examples, shop_examples
from services.gateway.models.fields import AnswerModel, RequestModel, instant_of, shown, word_of, words_of

SellerRegionWord = Literal["US", "REST_OF_WORLD"]


class ShopConnectionStart(RequestModel):
    """Whose shops to connect."""

    model_config = shown(shop_examples.SHOP_CONNECTION_START)

    seller_region: SellerRegionWord = Field(
        description="Where the seller is registered: sellers of the United States have a consent page of their own."
    )


class Shop(AnswerModel):
    """One connected TikTok Shop."""

    model_config = shown(shop_examples.SHOP)

    shop_id: str
    platform_shop_id: str = Field(description="TikTok Shop's own id.")
    name: str
    code: str = Field(description="What sellers know it by, at TikTok Shop.")
    region: str = Field(description="`US`, `GB`.")
    seller_type: str = Field(description="`LOCAL`, `CROSS_BORDER`.")
    seller_name: str
    state: str | None = Field(json_schema_extra={"enum": [*words_of(pb.ShopState, "SHOP_STATE_"), None]})
    problem: str = Field(description="What is wrong and what to do; empty when nothing is.")
    scopes: list[str] = Field(description="What the seller granted, in TikTok Shop's words.")
    authorization_expire_time: datetime | None = Field(
        description="Until when the connection can be renewed without the seller; null: TikTok Shop names no end."
    )
    catalogue_time: datetime | None = Field(description="When its products were last read to the end; null: never.")
    create_time: datetime | None
    update_time: datetime | None

    @classmethod
    def of(cls, shop: pb.Shop) -> Shop:
        """From fulfillment."""
        return cls(
            shop_id=shop.shop_id,
            platform_shop_id=shop.platform_shop_id,
            name=shop.name,
            code=shop.code,
            region=shop.region,
            seller_type=shop.seller_type,
            seller_name=shop.seller_name,
            state=word_of(pb.ShopState, "SHOP_STATE_", shop.state),
            problem=shop.problem,
            scopes=list(shop.scopes),
            authorization_expire_time=instant_of(shop, "authorization_expire_time"),
            catalogue_time=instant_of(shop, "catalogue_time"),
            create_time=instant_of(shop, "create_time"),
            update_time=instant_of(shop, "update_time"),
        )


class ShopList(AnswerModel):
    """A page of shops, by name."""

    model_config = shown(examples.page("shops", shop_examples.SHOP))

    shops: list[Shop]
    next_page_token: str = Field(description="Empty on the last page.")


class SellerShops(AnswerModel):
    """All shops that the consent of one seller opens."""

    model_config = shown(shop_examples.SELLER_SHOPS)

    shops: list[Shop]

    @classmethod
    def of(cls, shops: Iterable[pb.Shop]) -> SellerShops:
        """From fulfillment."""
        return cls(shops=[Shop.of(each) for each in shops])


class CatalogueSync(RequestModel):
    """How much of a shop's catalogue to read again."""

    model_config = shown(shop_examples.CATALOGUE_SYNC)

    everything: bool = Field(
        default=False,
        description="True: every product, and those that are gone are marked so. False: what changed since the last"
        " time.",
    )


class CatalogueSynced(AnswerModel):
    """What was read of a catalogue."""

    model_config = shown(shop_examples.CATALOGUE_SYNCED)

    products: int = Field(description="How many were read.")
    shop: Shop
