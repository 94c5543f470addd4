"""What people do with orders."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from reelroute.fulfillment.v1 import orders_pb2 as pb

from services.gateway.models import order_examples
from services.gateway.models.fields import AnswerModel, IdText, RequestModel, Text, each_once, shown
from services.gateway.models.recipients import RecipientDraft
from services.gateway.models.shop_routing import SpeedWord
from services.gateway.models.sku_mappings import SkuPart

MOST_ORDERS = 1000
# What the RPCs take.
ORDERS_PER_CALL = 200

_Ids = Annotated[
    list[IdText],
    Field(min_length=1, max_length=ORDERS_PER_CALL),
    AfterValidator(lambda ids: each_once(ids, "order")),
]


class HeldPick(RequestModel):
    """Orders by their ids; else held ones."""

    model_config = shown({"reason": "insufficient_stock", "limit": 200})

    order_ids: _Ids | None = None
    reason: Text = Field(default="", max_length=60, description="Only held for this reason; empty: for any.")
    shop_id: IdText | None = Field(default=None, description="Only held ones of this shop; null: of all.")
    limit: int = Field(default=ORDERS_PER_CALL, ge=1, le=MOST_ORDERS, description="At most so many held ones.")

    @model_validator(mode="after")
    def _is_one_kind(self) -> HeldPick:
        if self.order_ids and (self.reason or self.shop_id):
            raise PydanticCustomError("both", "Name the orders by order_ids, or held ones by reason and shop_id.")
        return self


class OrderPick(HeldPick):
    """Orders by their ids, or those that are held for a reason."""

    model_config = shown({"reason": "too_many_units", "limit": 200})

    @model_validator(mode="after")
    def _is_named(self) -> OrderPick:
        # Nothing is done with all orders because a field was forgotten.
        if not self.order_ids and not self.reason:
            raise PydanticCustomError("neither", "Name the orders: order_ids, or the reason for which they are held.")
        return self


class OrderCancellation(OrderPick):
    """Orders to cancel."""

    model_config = shown(order_examples.CANCELLATION)

    platform_reason: Text = Field(
        default="",
        max_length=100,
        description="TikTok Shop's word, `seller_cancel_reason_out_of_stock`: they are canceled there, too. Empty: only"
        " at Amazon.",
    )


class OrderOutcome(AnswerModel):
    """What was done about one of several orders."""

    order_id: str
    problem: str = Field(description="Why not, UPPER_SNAKE; empty: done.")
    text: str

    @classmethod
    def of(cls, outcome: pb.OrderOutcome) -> OrderOutcome:
        """From fulfillment."""
        return cls(order_id=outcome.order_id, problem=outcome.problem, text=outcome.text)


class OrderOutcomes(AnswerModel):
    """What was done about each order."""

    model_config = shown(order_examples.OUTCOMES)

    outcomes: list[OrderOutcome]
    more: bool = Field(description="True: more are held for the reason than `limit`.")


class OrderCorrection(RequestModel):
    """Where an order goes, or how fast, in place of what TikTok Shop says."""

    model_config = shown(order_examples.CORRECTION)

    recipient: RecipientDraft | None = Field(default=None, description="As a whole. Null: as it is.", repr=False)
    speed: SpeedWord | None = Field(default=None, description="Null: as it is.")

    @model_validator(mode="after")
    def _changes_something(self) -> OrderCorrection:
        if self.recipient is None and self.speed is None:
            raise PydanticCustomError("neither", "Name what is to be corrected: recipient, speed, or both.")
        return self


class OrderRoute(RequestModel):
    """How a held order is routed by hand."""

    model_config = shown(order_examples.ROUTE)

    items: Annotated[list[SkuPart], Field(max_length=100)] = Field(
        default=[], description="Units of Amazon's SKUs, each SKU once; none: as the map says."
    )
    speed: SpeedWord | None = Field(default=None, description="Null: as it would be.")

    @model_validator(mode="after")
    def _names_each_once(self) -> OrderRoute:
        if len({item.amazon_sku for item in self.items}) < len(self.items):
            raise PydanticCustomError("repeated", "Name each of Amazon's SKUs once.")
        return self
