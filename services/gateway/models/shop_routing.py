"""How a shop's orders are routed: its settings, and the warehouses that they are chosen from."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field
from reelroute.fulfillment.v1 import routing_pb2 as pb

from services.gateway.models import order_examples
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
)

SpeedWord = Literal["STANDARD", "EXPEDITED", "PRIORITY"]
PolicyWord = Literal["FILL_OR_KILL", "FILL_ALL", "FILL_ALL_AVAILABLE"]
_LONGEST_WAIT = 72 * 3600
_Key = Annotated[Text, Field(min_length=1, max_length=200)]


class RoutingSettings(RequestModel):
    """A shop's settings, as a whole: what is left out is at its default again."""

    model_config = shown(order_examples.ROUTING_SETTINGS)

    is_on: bool = Field(default=False, description="False: orders are not taken in, and nothing is sent anywhere.")
    merchant_id: IdText | None = Field(
        default=None, description="Whose warehouses send them; null while nobody chose one: orders are held."
    )
    platform_warehouse_ids: list[_Key] = Field(
        default=[],
        max_length=100,
        description="TikTok Shop's ids of the warehouses that stand for Amazon's. Orders of others are left to the"
        " seller.",
    )
    order_prefix: Annotated[Text, matching("[A-Za-z0-9]{1,8}", "Use 1 to 8 letters and digits.")] = Field(
        default="TTS",
        description="Begins the ids of orders at Amazon.",
        json_schema_extra={"pattern": "^[A-Za-z0-9]{1,8}$"},
    )
    speeds: dict[_Key, SpeedWord] = Field(
        default={},
        max_length=100,
        description="From the buyer's delivery option, by name or id, to Amazon's speed. Others go at `default_speed`.",
    )
    default_speed: SpeedWord = "STANDARD"
    fulfillment_policy: PolicyWord = Field(
        default="FILL_OR_KILL",
        description="What Amazon does when there is less than was ordered. `FILL_OR_KILL`: it sends nothing."
        " `FILL_ALL`: it sends what there is, and waits for the rest. `FILL_ALL_AVAILABLE`: it cancels the rest.",
    )
    route_sample_orders: bool = False
    route_replacement_orders: bool = False
    wait_seconds: int = Field(
        default=0,
        ge=0,
        le=_LONGEST_WAIT,
        description="Waited after payment, besides TikTok Shop's own hold; up to 72 hours.",
    )
    packing_slip_comment: Text = Field(
        default="Thank you for your order.", max_length=750, description="Printed on the packing slip."
    )
    safety_stock: int = Field(
        default=5,
        ge=0,
        le=1_000_000,
        description="Units of each SKU that are never sold through this shop, unless the SKU has its own figure.",
    )
    prefer_amazon_tracking: bool = Field(
        default=True,
        description="True: Amazon's own tracking number is told to TikTok Shop as soon as it exists. False: the"
        " carrier's is waited for.",
    )
    carriers: dict[_Key, _Key] = Field(
        default={},
        max_length=200,
        description="From a carrier as Amazon spells it to a shipping provider's name at TikTok Shop; besides those"
        " that are known.",
    )
    push_stock: bool = Field(default=True, description="True: TikTok Shop is told how many units can be sold.")
    preview_orders: bool = Field(
        default=False,
        description="True: each order is previewed at Amazon before it is sent, for fee, date and whether it is"
        " possible.",
    )

    def to_proto(self, shop_id: str) -> pb.ShopRouting:
        """For fulfillment."""
        routing = pb.ShopRouting(
            shop_id=shop_id,
            is_on=self.is_on,
            merchant_id=self.merchant_id or "",
            platform_warehouse_ids=self.platform_warehouse_ids,
            order_prefix=self.order_prefix,
            speeds={option: speed_to(speed) for option, speed in self.speeds.items()},
            default_speed=speed_to(self.default_speed),
            fulfillment_policy=pb.FulfillmentPolicy.Value(f"FULFILLMENT_POLICY_{self.fulfillment_policy}"),
            route_sample_orders=self.route_sample_orders,
            route_replacement_orders=self.route_replacement_orders,
            packing_slip_comment=self.packing_slip_comment,
            safety_stock=self.safety_stock,
            prefer_amazon_tracking=self.prefer_amazon_tracking,
            carriers=self.carriers,
            push_stock=self.push_stock,
            preview_orders=self.preview_orders,
        )
        routing.wait.FromSeconds(self.wait_seconds)
        return routing


class ShopRouting(RoutingSettings):
    """How a shop's orders are routed."""

    model_config = shown(order_examples.SHOP_ROUTING)

    shop_id: str
    tracking_stop: str = Field(
        description="Why no tracking numbers are told for now; empty: they are. `POST …:resumeTracking` lifts it."
    )
    update_time: Instant | None = Field(description="Null: nobody has set them; these are the defaults.")

    @classmethod
    def of(cls, routing: pb.ShopRouting) -> ShopRouting:
        """From fulfillment; not validated: what was stored under an earlier rule is still shown."""
        return cls.model_construct(
            shop_id=routing.shop_id,
            is_on=routing.is_on,
            merchant_id=routing.merchant_id or None,
            platform_warehouse_ids=list(routing.platform_warehouse_ids),
            order_prefix=routing.order_prefix,
            speeds={option: cast(SpeedWord, speed_of(speed)) for option, speed in sorted(routing.speeds.items())},
            default_speed=cast(SpeedWord, speed_of(routing.default_speed)),
            fulfillment_policy=cast(
                PolicyWord, word_of(pb.FulfillmentPolicy, "FULFILLMENT_POLICY_", routing.fulfillment_policy)
            ),
            route_sample_orders=routing.route_sample_orders,
            route_replacement_orders=routing.route_replacement_orders,
            wait_seconds=routing.wait.ToSeconds(),
            packing_slip_comment=routing.packing_slip_comment,
            safety_stock=routing.safety_stock,
            prefer_amazon_tracking=routing.prefer_amazon_tracking,
            carriers=dict(sorted(routing.carriers.items())),
            push_stock=routing.push_stock,
            preview_orders=routing.preview_orders,
            tracking_stop=routing.tracking_stop,
            update_time=instant_of(routing, "update_time"),
        )


class ShopWarehouse(AnswerModel):
    """A warehouse that TikTok Shop knows of a shop."""

    platform_warehouse_id: str = Field(description="TikTok Shop's own id.")
    name: str
    type: str = Field(description="In TikTok Shop's words: `SALES_WAREHOUSE`, `RETURN_WAREHOUSE`.")
    status: str = Field(description="In TikTok Shop's words: `ENABLED`, `DISABLED`, `RESTRICTED`.")
    delivery_options: list[str] = Field(description="What buyers can choose there; for `speeds`.")

    @classmethod
    def of(cls, warehouse: pb.ShopWarehouse) -> ShopWarehouse:
        """From fulfillment."""
        return cls(
            platform_warehouse_id=warehouse.platform_warehouse_id,
            name=warehouse.name,
            type=warehouse.type,
            status=warehouse.status,
            delivery_options=list(warehouse.delivery_options),
        )


class ShopWarehouseList(AnswerModel):
    """All warehouses of a shop."""

    model_config = shown(order_examples.SHOP_WAREHOUSES)

    warehouses: list[ShopWarehouse]


def speed_to(word: SpeedWord | None) -> pb.Speed.ValueType:
    """The word as a message has it; None: unspecified."""
    return pb.Speed.Value(f"SPEED_{word or 'UNSPECIFIED'}")


def speed_of(speed: pb.Speed.ValueType) -> str | None:
    """A message's speed as REST shows it."""
    return word_of(pb.Speed, "SPEED_", speed)
