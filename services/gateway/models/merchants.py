"""Connected Amazon sellers, whose warehouses send the orders."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, SecretStr
from reelroute.fulfillment.v1 import merchants_pb2 as pb

from services.gateway.models import examples, order_examples
from services.gateway.models.fields import (
    AnswerModel,
    Name,
    RequestModel,
    Text,
    instant_of,
    matching,
    shown,
    word_of,
    words_of,
)

Marketplace = Annotated[
    Text,
    Field(json_schema_extra={"pattern": "^[A-Z]{2}$"}),
    matching("[A-Z]{2}", "Name the country of the marketplace with two capital letters: US, GB."),
]


class MerchantDraft(RequestModel):
    """An Amazon seller to connect."""

    model_config = shown(order_examples.MERCHANT_DRAFT)

    name: Name = Field(description="What people know it by.")
    seller_id: Annotated[
        Text, matching("[A-Z0-9]{5,20}", "Give the merchant token as Seller Central shows it: A2EXAMPLE.")
    ] = Field(description="Amazon's merchant token of the seller.", json_schema_extra={"pattern": "^[A-Z0-9]{5,20}$"})
    marketplace: Marketplace
    refresh_token: SecretStr = Field(
        min_length=1,
        max_length=4096,
        description="What Seller Central shows when the seller authorises the app. It is tried, kept sealed, and in no"
        " answer.",
    )

    def to_proto(self, workspace_id: str) -> pb.ConnectMerchantRequest:
        """For fulfillment."""
        return pb.ConnectMerchantRequest(
            workspace_id=workspace_id,
            name=self.name,
            seller_id=self.seller_id,
            marketplace=self.marketplace,
            refresh_token=self.refresh_token.get_secret_value(),
        )


class Merchant(AnswerModel):
    """A connected Amazon seller in one marketplace."""

    model_config = shown(order_examples.MERCHANT)

    merchant_id: str
    name: str
    seller_id: str
    marketplace: str = Field(description="The country: `US`.")
    amazon_marketplace_id: str
    state: str | None = Field(
        description="`AUTHORIZATION_LOST`: the seller authorises the app again. `DISCONNECTED`: we forgot the token.",
        json_schema_extra={"enum": [*words_of(pb.MerchantState, "MERCHANT_STATE_"), None]},
    )
    problem: str = Field(description="What is wrong and what to do; empty when nothing is.")
    stock_time: datetime | None = Field(description="When its stock was last read to the end; null: never.")
    create_time: datetime | None
    update_time: datetime | None

    @classmethod
    def of(cls, merchant: pb.Merchant) -> Merchant:
        """From fulfillment."""
        return cls(
            merchant_id=merchant.merchant_id,
            name=merchant.name,
            seller_id=merchant.seller_id,
            marketplace=merchant.marketplace,
            amazon_marketplace_id=merchant.amazon_marketplace_id,
            state=word_of(pb.MerchantState, "MERCHANT_STATE_", merchant.state),
            problem=merchant.problem,
            stock_time=instant_of(merchant, "stock_time"),
            create_time=instant_of(merchant, "create_time"),
            update_time=instant_of(merchant, "update_time"),
        )


class MerchantList(AnswerModel):
    """A page of merchants, by name."""

    model_config = shown(examples.page("merchants", order_examples.MERCHANT))

    merchants: list[Merchant]
    next_page_token: str = Field(description="Empty on the last page.")
