"""Reports on a shop, its videos, products, SKUs and LIVEs. Scope data.shop_analytics.public.read.

Days are those of the shop's time zone: from ``start`` up to, not including, ``end``. The data is about a day behind;
``latest_available_date`` says how far it goes. Reports are heavy and rated far below other calls.
Sources: partner.tiktokshop.com/docv2/page/{get-shop-performance, get-shop-video-performance-list,
get-shop-video-performance-overview, get-shop-video-performance-details, get-shop-video-product-performance-list}.
"""

from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar

from vendors.tiktok_shop import operations
from vendors.tiktok_shop.calls import Access, Calls, Query, Request
from vendors.tiktok_shop.figures import Report, RowPage, live_page, report, row_page
from vendors.tiktok_shop.operations import Operation

T = TypeVar("T")


class Currency(StrEnum):
    """The currency of sums: the shop's own or US dollars."""

    LOCAL = "LOCAL"
    USD = "USD"


class AccountType(StrEnum):
    """Whose videos are meant."""

    ALL = "ALL"
    LINKED_ACCOUNTS = "LINKED_ACCOUNTS"
    AFFILIATES = "AFFILIATES"


class Analytics:
    """Reports of a shop."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def shop(
        self,
        access: Access,
        start: date,
        end: date,
        *,
        by_day: bool = True,
        currency: Currency = Currency.LOCAL,
        timeout_seconds: float | None = None,
    ) -> Report:
        """The shop's numbers: an interval for each day, or one for all."""
        query = _span(start, end, currency) | {"granularity": "1D" if by_day else "ALL"}
        return await self._read(operations.SHOP_NUMBERS, report, access, (), query, timeout_seconds)

    async def videos(
        self,
        access: Access,
        start: date,
        end: date,
        *,
        account_type: AccountType = AccountType.ALL,
        highest_sales_first: bool = False,
        currency: Currency = Currency.LOCAL,
        page_size: int = 100,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> RowPage:
        """Videos that show the shop's products, those of affiliates among them; ``page_size`` 1 to 100."""
        query = _span(start, end, currency) | _paging(page_size, page_token) | {"account_type": account_type}
        if highest_sales_first:
            query |= {"sort_field": "gmv", "sort_order": "DESC"}
        return await self._rows(operations.VIDEO_LIST_NUMBERS, "videos", access, (), query, timeout_seconds)

    async def all_videos(
        self,
        access: Access,
        start: date,
        end: date,
        *,
        currency: Currency = Currency.LOCAL,
        timeout_seconds: float | None = None,
    ) -> Report:
        """The numbers of all videos together."""
        query = _span(start, end, currency)
        return await self._read(operations.VIDEO_TOTAL_NUMBERS, report, access, (), query, timeout_seconds)

    async def video(
        self,
        access: Access,
        video_id: str,
        start: date,
        end: date,
        *,
        currency: Currency = Currency.LOCAL,
        timeout_seconds: float | None = None,
    ) -> Report:
        """The numbers of one video, with what its viewers did."""
        query = _span(start, end, currency)
        return await self._read(operations.VIDEO_NUMBERS, report, access, (video_id,), query, timeout_seconds)

    async def video_products(
        self,
        access: Access,
        video_id: str,
        start: date,
        end: date,
        *,
        currency: Currency = Currency.LOCAL,
        page_size: int = 100,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> RowPage:
        """What each product of a video sold through it; ``page_size`` 1 to 100."""
        query = _span(start, end, currency) | _paging(page_size, page_token)
        return await self._rows(
            operations.VIDEO_PRODUCT_NUMBERS, "products", access, (video_id,), query, timeout_seconds
        )

    async def products(
        self,
        access: Access,
        start: date,
        end: date,
        *,
        currency: Currency = Currency.LOCAL,
        page_size: int = 100,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> RowPage:
        """The numbers of each product; ``page_size`` 1 to 100."""
        query = _span(start, end, currency) | _paging(page_size, page_token)
        return await self._rows(operations.PRODUCT_LIST_NUMBERS, "products", access, (), query, timeout_seconds)

    async def product(
        self,
        access: Access,
        product_id: str,
        start: date,
        end: date,
        *,
        currency: Currency = Currency.LOCAL,
        timeout_seconds: float | None = None,
    ) -> Report:
        """The numbers of one product."""
        query = _span(start, end, currency)
        return await self._read(operations.PRODUCT_NUMBERS, report, access, (product_id,), query, timeout_seconds)

    async def skus(
        self,
        access: Access,
        start: date,
        end: date,
        *,
        currency: Currency = Currency.LOCAL,
        page_size: int = 100,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> RowPage:
        """The numbers of each SKU; ``page_size`` 1 to 100."""
        query = _span(start, end, currency) | _paging(page_size, page_token)
        return await self._rows(operations.SKU_LIST_NUMBERS, "skus", access, (), query, timeout_seconds)

    async def sku(
        self,
        access: Access,
        sku_id: str,
        start: date,
        end: date,
        *,
        currency: Currency = Currency.LOCAL,
        timeout_seconds: float | None = None,
    ) -> Report:
        """The numbers of one SKU."""
        query = _span(start, end, currency)
        return await self._read(operations.SKU_NUMBERS, report, access, (sku_id,), query, timeout_seconds)

    async def lives(
        self,
        access: Access,
        start: date,
        end: date,
        *,
        currency: Currency = Currency.LOCAL,
        page_size: int = 100,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> RowPage:
        """The numbers of each LIVE that showed the shop's products; ``page_size`` 1 to 100."""
        query = _span(start, end, currency) | _paging(page_size, page_token)
        return await self._read(operations.LIVE_LIST_NUMBERS, live_page, access, (), query, timeout_seconds)

    async def all_lives(
        self,
        access: Access,
        start: date,
        end: date,
        *,
        currency: Currency = Currency.LOCAL,
        timeout_seconds: float | None = None,
    ) -> Report:
        """The numbers of all LIVEs together."""
        query = _span(start, end, currency)
        return await self._read(operations.LIVE_TOTAL_NUMBERS, report, access, (), query, timeout_seconds)

    async def _rows(
        self,
        operation: Operation,
        name: str,
        access: Access,
        ids: tuple[str, ...],
        query: Query,
        timeout_seconds: float | None,
    ) -> RowPage:
        def read(data: Mapping[str, Any], version: str) -> RowPage:
            return row_page(data, name, version)

        return await self._read(operation, read, access, ids, query, timeout_seconds)

    async def _read(
        self,
        operation: Operation,
        read: Callable[[Mapping[str, Any], str], T],
        access: Access,
        ids: tuple[str, ...],
        query: Query,
        timeout_seconds: float | None,
    ) -> T:
        request = Request(operation=operation, access=access, ids=ids, query=query)
        return await self._calls.versioned(request, read, timeout_seconds)


def _span(start: date, end: date, currency: Currency) -> dict[str, Any]:
    if start >= end:
        raise ValueError("end: after start, and not included")
    return {"start_date_ge": start, "end_date_lt": end, "currency": currency}


def _paging(page_size: int, page_token: str) -> dict[str, Any]:
    return {"page_size": page_size, "page_token": page_token or None}
