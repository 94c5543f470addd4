"""The map from a shop's SKUs to Amazon's."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from reelroute.fulfillment.v1 import routing_pb2 as pb

from services.gateway.models import examples, order_examples
from services.gateway.models.fields import (
    AnswerModel,
    IdText,
    Instant,
    RequestModel,
    Text,
    instant_of,
    matching,
    shown,
    word_of,
    words_of,
)
from services.gateway.models.merchants import Marketplace
from services.gateway.sku_map import AMAZON_SKU_CHARACTERS, MOST_PARTS, MOST_UNITS, SELLER_SKU_CHARACTERS

_CLEAN = matching(r"(?!\s)[^\x00-\x1f\x7f]*(?<!\s)", "Leave out control characters, and blanks around it.")
AmazonSku = Annotated[Text, Field(min_length=1, max_length=AMAZON_SKU_CHARACTERS), _CLEAN]


class SkuPart(RequestModel):
    """So many units of one of Amazon's SKUs."""

    amazon_sku: AmazonSku
    quantity: int = Field(ge=1, le=MOST_UNITS)

    @classmethod
    def of(cls, part: pb.SkuPart) -> SkuPart:
        """From fulfillment; not validated: what was stored is shown."""
        return cls.model_construct(amazon_sku=part.amazon_sku, quantity=part.quantity)

    def to_proto(self) -> pb.SkuPart:
        """For fulfillment."""
        return pb.SkuPart(amazon_sku=self.amazon_sku, quantity=self.quantity)


class SkuMappingDraft(RequestModel):
    """What a SKU of the shop is at Amazon: one SKU, or several with their numbers."""

    marketplace: Marketplace = Field(description="The country.")
    seller_sku: Annotated[Text, Field(max_length=SELLER_SKU_CHARACTERS), _CLEAN] = Field(
        default="", description="The seller's SKU at TikTok Shop; may be empty where `platform_sku_id` is given."
    )
    platform_sku_id: Annotated[Text, matching("[0-9]{0,20}", "TikTok Shop's ids are digits, up to 20.")] = Field(
        default="",
        description="TikTok Shop's own id of the SKU. Where it is given it decides, and `seller_sku` only names it.",
        json_schema_extra={"pattern": "^[0-9]{0,20}$"},
    )
    parts: Annotated[list[SkuPart], Field(min_length=1, max_length=MOST_PARTS)] = Field(
        description="What one unit is, each of Amazon's SKUs once."
    )

    @model_validator(mode="after")
    def _is_of_some_sku(self) -> SkuMappingDraft:
        if not self.seller_sku and not self.platform_sku_id:
            raise PydanticCustomError("sku_missing", "Name the SKU: seller_sku, platform_sku_id, or both.")
        if len({part.amazon_sku for part in self.parts}) < len(self.parts):
            raise PydanticCustomError("repeated", "Name each of Amazon's SKUs once, with how many of it one unit is.")
        return self

    def to_proto(self) -> pb.SkuMapping:
        """For fulfillment."""
        return pb.SkuMapping(
            marketplace=self.marketplace,
            seller_sku=self.seller_sku,
            platform_sku_id=self.platform_sku_id,
            parts=[part.to_proto() for part in self.parts],
        )


class SkuMapping(SkuMappingDraft):
    """A mapping that is kept."""

    mapping_id: str
    update_time: Instant | None

    @classmethod
    def of(cls, mapping: pb.SkuMapping) -> SkuMapping:
        """From fulfillment; not validated: what was stored is shown."""
        return cls.model_construct(
            mapping_id=mapping.mapping_id,
            marketplace=mapping.marketplace,
            seller_sku=mapping.seller_sku,
            platform_sku_id=mapping.platform_sku_id,
            parts=[SkuPart.of(each) for each in mapping.parts],
            update_time=instant_of(mapping, "update_time"),
        )


class SkuMappingBatch(RequestModel):
    """Mappings to set, each as a whole."""

    model_config = shown({"mappings": [order_examples.SKU_MAPPING_DRAFT]})

    mappings: Annotated[list[SkuMappingDraft], Field(min_length=1, max_length=1000)]


class SkuMappingsSet(AnswerModel):
    """What was set."""

    model_config = shown({"mappings": [order_examples.SKU_MAPPING], "woken_orders": 3})

    mappings: list[SkuMapping]
    woken_orders: int = Field(description="Held orders that are decided again because of it.")


class SkuMappingList(AnswerModel):
    """A page of mappings, by marketplace and SKU."""

    model_config = shown(examples.page("mappings", order_examples.SKU_MAPPING))

    mappings: list[SkuMapping]
    next_page_token: str = Field(description="Empty on the last page.")


class SkuMappingPick(RequestModel):
    """Mappings to forget."""

    model_config = shown({"mapping_ids": [order_examples.MAPPING_ID]})

    mapping_ids: Annotated[list[IdText], Field(min_length=1, max_length=1000)]


class SkuMappingsDeleted(AnswerModel):
    """How many mappings were forgotten; those that were not there are not counted."""

    model_config = shown({"deleted": 1})

    deleted: int


class SkuMapOptions(RequestModel):
    """What holds for a whole file of mappings."""

    model_config = shown({"marketplace": "US", "validate_only": False})

    marketplace: Marketplace | None = Field(
        default=None, description="Of rows that name none. Null: each row names its own in the column `marketplace`."
    )
    validate_only: bool = Field(default=False, description="True: only say whether it could be imported.")


class SkuMapImported(AnswerModel):
    """What became of a file of mappings."""

    model_config = shown({"rows": 61, "mappings": 55, "woken_orders": 3, "validate_only": False})

    rows: int
    mappings: int = Field(description="SKUs of the shop; a bundle has several rows.")
    woken_orders: int = Field(description="Held orders that are decided again because of it.")
    validate_only: bool


class SkuSuggestion(AnswerModel):
    """What a SKU might be at Amazon."""

    amazon_sku: str
    title: str
    ground: str | None = Field(json_schema_extra={"enum": [*words_of(pb.SuggestionGround, "SUGGESTION_GROUND_"), None]})
    likeness: int = Field(description="How alike the titles are, 0 to 100; 100 for another ground.")

    @classmethod
    def of(cls, suggestion: pb.SkuSuggestion) -> SkuSuggestion:
        """From fulfillment."""
        return cls(
            amazon_sku=suggestion.amazon_sku,
            title=suggestion.title,
            ground=word_of(pb.SuggestionGround, "SUGGESTION_GROUND_", suggestion.ground),
            likeness=suggestion.likeness,
        )


class UnmappedSku(AnswerModel):
    """A SKU of orders or products that no mapping names."""

    shop_id: str
    marketplace: str
    seller_sku: str
    platform_sku_id: str
    title: str
    barcode: str
    held_orders: int = Field(description="Orders that are held for it.")
    suggestions: list[SkuSuggestion] = Field(description="The best first.")

    @classmethod
    def of(cls, sku: pb.UnmappedSku) -> UnmappedSku:
        """From fulfillment."""
        return cls(
            shop_id=sku.shop_id,
            marketplace=sku.marketplace,
            seller_sku=sku.seller_sku,
            platform_sku_id=sku.platform_sku_id,
            title=sku.title,
            barcode=sku.barcode,
            held_orders=sku.held_orders,
            suggestions=[SkuSuggestion.of(each) for each in sku.suggestions],
        )


class UnmappedSkuList(AnswerModel):
    """A page of SKUs without a mapping, those that hold orders first."""

    model_config = shown(examples.page("skus", order_examples.UNMAPPED_SKU))

    skus: list[UnmappedSku]
    next_page_token: str = Field(description="Empty on the last page.")
