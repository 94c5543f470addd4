"""The shop's agent: keeps its catalogue fresh, reads its orders and numbers, and proposes posts for its products.

It works over the contract of fulfillment, which has the shop's tokens; content has none. Slots come from the scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import grpc
import structlog
from google.protobuf import json_format
from google.protobuf.message import Message
from pydantic import Field, model_validator
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb
from reelroute.fulfillment.v1 import fulfillment_pb2_grpc
from reelroute.scheduler.v1 import plans_pb2, plans_pb2_grpc

from kit import context
from kit.errors import FailedPrecondition, NotFound, ResourceExhausted, Unavailable
from kit.money import decimal_text
from kit.rpc_status import from_rpc_error
from kit.timestamps import optional_timestamp
from services.content.agents import proposing
from services.content.agents.base import Arguments, Result, Skill
from services.content.agents.proposing import File, Product, Proposal, Sku

log = structlog.get_logger()

Answer = TypeVar("Answer", bound=Message)

# Products and files that a proposal chooses from, at most.
_MOST_PRODUCTS = 1000
MOST_FILES = 1000
_PAGE = 200
_CALL_SECONDS = 60.0
ShopId = Annotated[UUID, Field(description="The shop, by its id here.")]
PageSize = Annotated[int, Field(ge=0, le=100, description="At most so many; 0 means 20.")]
PageToken = Annotated[str, Field(max_length=2048, description="next_page_token of the page before.")]


class SyncProducts(Arguments):
    """Arguments of sync_products."""

    shop_id: ShopId
    everything: bool = Field(False, description="Read every product again, and mark those that are gone.")


class FetchOrders(Arguments):
    """Arguments of fetch_orders."""

    shop_id: ShopId
    status: str = Field("", max_length=40, description="Only with this status of TikTok Shop: AWAITING_SHIPMENT.")
    from_time: datetime | None = Field(None, description="Only changed from this instant on, with an offset.")
    until_time: datetime | None = Field(None, description="Only changed before this instant, with an offset.")
    page_size: PageSize = 0
    page_token: PageToken = ""

    @model_validator(mode="after")
    def _has_offsets(self) -> FetchOrders:
        if any(each is not None and each.tzinfo is None for each in (self.from_time, self.until_time)):
            raise ValueError("from_time and until_time need an offset: 2027-01-04T17:00:00Z")
        return self


class FetchAnalytics(Arguments):
    """Arguments of fetch_analytics."""

    shop_id: ShopId
    start_date: date = Field(description="The first day, in the shop's time zone.")
    end_date: date = Field(description="The day behind the last.")
    of: Literal["SHOP", "VIDEOS", "PRODUCTS"] = "SHOP"
    by_day: bool = Field(False, description="A line for each day, of the shop.")
    page_size: PageSize = 0
    page_token: PageToken = ""


class ProposePosts(Arguments):
    """Arguments of propose_posts."""

    shop_id: ShopId
    channel: str = Field("", max_length=64, description="The channel that the posts are for; its free slots are named.")
    count: int = Field(10, ge=1, le=50, description="At most so many.")
    days: int = Field(28, ge=1, le=60, description="What sold in so many days goes first.")


class TikTokShopAgent:
    """See base.Agent. `newest_files` reads a workspace's newest files, at most so many."""

    name = "tiktok_shop"
    description = "Knows the connected TikTok Shops: their products, orders and numbers."

    def __init__(
        self,
        fulfillment: grpc.Channel,
        scheduler: grpc.Channel,
        newest_files: Callable[[UUID, int], Sequence[File]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._shop = fulfillment_pb2_grpc.FulfillmentServiceStub(fulfillment)
        self._plans = plans_pb2_grpc.PlanServiceStub(scheduler)
        self._newest_files = newest_files
        self._now = now

    @property
    def skills(self) -> Sequence[Skill[Any]]:
        """What it can do."""
        return [
            Skill(
                "fetch_analytics",
                "Reads sales and visits of a shop, of the videos that sold its products, or of its products, as"
                " GetShopNumbers, ListVideoNumbers and ListProductNumbers of fulfillment answer. Changes nothing.",
                FetchAnalytics,
                self._fetch_analytics,
            ),
            Skill(
                "fetch_orders",
                "Reads a shop's orders, the last changed first, without who bought them, as ListShopOrders of"
                " fulfillment answers. Changes nothing.",
                FetchOrders,
                self._fetch_orders,
            ),
            Skill(
                "propose_posts",
                "Chooses products in stock, and writes a first text for a post of each, with files of the library that"
                " fit and the next free slots of the channel. Saves nothing: each proposal is for a person to edit.",
                ProposePosts,
                self._propose_posts,
            ),
            Skill(
                "sync_products",
                "Reads the products of a shop that changed, now instead of at the next turn. Gives how many were read.",
                SyncProducts,
                self._sync_products,
            ),
        ]

    def _sync_products(self, workspace_id: UUID, told: SyncProducts) -> Result:
        return _json(
            self._shop.SyncCatalogue,
            pb.SyncCatalogueRequest(
                workspace_id=str(workspace_id), shop_id=str(told.shop_id), everything=told.everything
            ),
        )

    def _fetch_orders(self, workspace_id: UUID, told: FetchOrders) -> Result:
        return _json(
            self._shop.ListShopOrders,
            pb.ListShopOrdersRequest(
                workspace_id=str(workspace_id),
                shop_id=str(told.shop_id),
                status=told.status,
                from_time=optional_timestamp(told.from_time),
                until_time=optional_timestamp(told.until_time),
                page_size=told.page_size,
                page_token=told.page_token,
            ),
        )

    def _fetch_analytics(self, workspace_id: UUID, told: FetchAnalytics) -> Result:
        span = pb.Span(start_date=told.start_date.isoformat(), end_date=told.end_date.isoformat())
        whose: dict[str, Any] = {"workspace_id": str(workspace_id), "shop_id": str(told.shop_id), "span": span}
        page: dict[str, Any] = {"page_size": told.page_size, "page_token": told.page_token}
        match told.of:
            case "SHOP":
                return _json(self._shop.GetShopNumbers, pb.GetShopNumbersRequest(**whose, by_day=told.by_day))
            case "VIDEOS":
                return _json(self._shop.ListVideoNumbers, pb.ListVideoNumbersRequest(**whose, **page))
            case "PRODUCTS":
                return _json(self._shop.ListProductNumbers, pb.ListProductNumbersRequest(**whose, **page))

    def _propose_posts(self, workspace_id: UUID, told: ProposePosts) -> Result:
        products = list(self._products(workspace_id, told.shop_id))
        sold, unknown = self._sold(workspace_id, told)
        slots, no_slots = self._slots(workspace_id, told)
        files = self._newest_files(workspace_id, MOST_FILES)
        found = proposing.propose(products, sold, files, days=told.days, count=told.count)
        return {
            "proposals": [
                _shown(proposal, told, slots[place] if place < len(slots) else None)
                for place, proposal in enumerate(found)
            ],
            # What a person should know of all of them.
            "notes": [note for note in (unknown, no_slots) if note]
            + [
                "TikTok's own posting API takes no product links: add the product in the app, or post through an"
                " account that may link products."
            ],
        }

    def _products(self, workspace_id: UUID, shop_id: UUID) -> Iterator[Product]:
        """What is on sale, as it was when the catalogue was last read."""
        token, left = "", _MOST_PRODUCTS
        while left > 0:
            answer = _called(
                self._shop.ListProducts,
                pb.ListProductsRequest(
                    workspace_id=str(workspace_id),
                    shop_id=str(shop_id),
                    status="ACTIVATE",
                    page_size=_PAGE,
                    page_token=token,
                ),
            )
            yield from map(_product, answer.products)
            token, left = answer.next_page_token, left - _PAGE
            if not token:
                return

    def _sold(self, workspace_id: UUID, told: ProposePosts) -> tuple[Mapping[str, int] | None, str]:
        """Units that products sold, by their ids at TikTok Shop; None, and why, when TikTok Shop does not say."""
        end = self._now().date()
        request = pb.ListProductNumbersRequest(
            workspace_id=str(workspace_id),
            shop_id=str(told.shop_id),
            span=pb.Span(start_date=(end - timedelta(days=told.days)).isoformat(), end_date=end.isoformat()),
            page_size=100,
        )
        try:
            answer = _called(self._shop.ListProductNumbers, request)
        except (FailedPrecondition, ResourceExhausted, Unavailable) as error:
            log.info("proposals are made without numbers", reason=error.reason)
            return None, f"What the products sold is not known: {error.message}"
        return {each.platform_product_id: each.units_sold for each in answer.products}, ""

    def _slots(self, workspace_id: UUID, told: ProposePosts) -> tuple[Sequence[plans_pb2.SlotTime], str]:
        """The next free slots of the channel; none, and why, when it has no plan."""
        if not told.channel:
            return [], ""
        request = plans_pb2.ListSlotsRequest(
            workspace_id=str(workspace_id), channel=told.channel, only_free=True, page_size=told.count
        )
        try:
            return _called(self._plans.ListSlots, request).slots, ""
        except NotFound as error:
            return [], f"No times are named: {error.message}"


def _called(call: Callable[..., Answer], request: Message) -> Answer:
    """What a service answers. Raises what it refuses as our own error."""
    try:
        return call(request, timeout=context.remaining_seconds(_CALL_SECONDS))
    except grpc.RpcError as error:
        raise from_rpc_error(error) from None


def _json(call: Callable[..., Message], request: Message) -> Result:
    found: dict[str, Any] = json_format.MessageToDict(
        _called(call, request), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def _product(message: pb.Product) -> Product:
    return Product(message.product_id, message.platform_product_id, message.title, tuple(map(_sku, message.skus)))


def _sku(message: pb.Sku) -> Sku:
    money = message.price
    price = Decimal(decimal_text(money.minor_units, money.currency)) if message.HasField("price") else None
    return Sku(message.seller_sku, price, money.currency, message.available_quantity, tuple(message.attributes))


def _shown(proposal: Proposal, told: ProposePosts, slot: plans_pb2.SlotTime | None) -> dict[str, Any]:
    product = proposal.product
    shown: dict[str, Any] = {
        "product_id": product.product_id,
        "platform_product_id": product.platform_product_id,
        "title": product.title,
        "channel": told.channel,
        "caption": proposal.caption,
        "media_asset_ids": list(proposal.media_asset_ids),
        "reason": proposal.reason,
    }
    if slot is not None:
        shown |= {"local_time": slot.times.local_time, "time_zone": slot.times.time_zone}
    return shown
