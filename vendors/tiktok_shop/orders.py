"""Orders of a shop: search, detail, and how their prices come about. Scope seller.order.info.

To keep in step: search by ``update_time_ge`` a few minutes before the last time seen, sorted by update time, and move
that time on only after the last page. Webhooks are hints to do so sooner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from vendors.tiktok_shop import operations
from vendors.tiktok_shop.calls import Access, Calls, Request
from vendors.tiktok_shop.order_models import Order, OrderStatus, ShippingType, order
from vendors.tiktok_shop.values import Page, objects, page, seconds, without_none

MAX_ORDERS = 50  # in one detail call
MAX_WAREHOUSES = 100  # in one filter


class OrderSort(StrEnum):
    """What the orders of a search are sorted by."""

    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"


@dataclass(frozen=True, kw_only=True)
class OrderFilter:
    """Which orders are searched for; None does not narrow it. ``_ge`` is inclusive, ``_lt`` exclusive."""

    status: OrderStatus | None = None
    create_time_ge: datetime | None = None
    create_time_lt: datetime | None = None
    update_time_ge: datetime | None = None
    update_time_lt: datetime | None = None
    shipping_type: ShippingType | None = None
    is_buyer_request_cancel: bool | None = None
    warehouse_ids: Sequence[str] = ()

    def __post_init__(self) -> None:
        if len(self.warehouse_ids) > MAX_WAREHOUSES:
            raise ValueError(f"warehouse_ids: at most {MAX_WAREHOUSES}")

    def as_json(self) -> dict[str, Any]:
        """The body of the search."""
        return without_none(
            order_status=self.status,
            create_time_ge=seconds(self.create_time_ge),
            create_time_lt=seconds(self.create_time_lt),
            update_time_ge=seconds(self.update_time_ge),
            update_time_lt=seconds(self.update_time_lt),
            shipping_type=self.shipping_type,
            is_buyer_request_cancel=self.is_buyer_request_cancel,
            warehouse_ids=list(self.warehouse_ids) or None,
        )


@dataclass(frozen=True)
class PriceDetail:
    """How an order's price comes about. What its parts are called differs by market, so only ``raw`` has them."""

    order_id: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


class Orders:
    """Orders of a shop."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def search(
        self,
        access: Access,
        wanted: OrderFilter,
        *,
        page_size: int = 50,
        page_token: str = "",
        sort: OrderSort = OrderSort.UPDATE_TIME,
        newest_first: bool = False,
        timeout_seconds: float | None = None,
    ) -> Page[Order]:
        """One page of orders; ``page_size`` 1 to 100."""
        request = Request(
            operation=operations.ORDERS_SEARCH,
            access=access,
            query={
                "page_size": page_size,
                "page_token": page_token or None,
                "sort_field": sort,
                "sort_order": "DESC" if newest_first else "ASC",
            },
            body=wanted.as_json(),
        )
        return await self._calls.data(
            request, lambda data: page(data, tuple(order(item) for item in objects(data, "orders"))), timeout_seconds
        )

    async def get(
        self, access: Access, order_ids: Sequence[str], *, timeout_seconds: float | None = None
    ) -> tuple[Order, ...]:
        """The orders with these ids, 1 to 50; those that the shop does not have may be missing."""
        if not 1 <= len(order_ids) <= MAX_ORDERS:
            raise ValueError(f"order_ids: 1 to {MAX_ORDERS}")
        request = Request(
            operation=operations.ORDERS_GET,
            access=access,
            query={"ids": order_ids},
            about=order_ids[0] if len(order_ids) == 1 else "",
        )
        return await self._calls.data(
            request, lambda data: tuple(order(item) for item in objects(data, "orders")), timeout_seconds
        )

    async def price_detail(self, access: Access, order_id: str, *, timeout_seconds: float | None = None) -> PriceDetail:
        """How the price of an order and its line items comes about: list and sale prices, deductions, tax."""
        request = Request(operation=operations.PRICE_DETAIL, access=access, ids=(order_id,))
        return await self._calls.data(request, lambda data: PriceDetail(order_id, data), timeout_seconds)
