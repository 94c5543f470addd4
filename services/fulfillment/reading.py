"""Orders and numbers of a shop, read from TikTok Shop when somebody asks. Nothing of it is kept.

The token of a next page holds TikTok Shop's own, together with what it is of: it is taken back for the same question of
the same workspace about the same shop alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from kit.errors import InvalidArgument
from kit.paging import Page
from services.fulfillment.calling import ShopCalls
from services.fulfillment.domain import Shop
from services.fulfillment.marketplaces import tiktok_shop
from services.fulfillment.sales import Order, Part, ProductNumbers, ShopNumbers, VideoNumbers
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.figures import Row, RowPage
from vendors.tiktok_shop.order_models import OrderStatus
from vendors.tiktok_shop.orders import OrderFilter

Item = TypeVar("Item")

_PAGE, _LARGEST_PAGE = 20, 100
_STATUSES = [each.value for each in OrderStatus if each is not OrderStatus.UNKNOWN]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a list to begin. `question` says what the list is of."""

    size: int
    token: str
    question: str

    @classmethod
    def parse(cls, page_size: int, page_token: str, shop: Shop, *question: object) -> Place:
        """From a request. Raises InvalidArgument when the token is not one that we gave out for this question."""
        told = "|".join(str(each) for each in (shop.workspace_id, shop.shop_id, *question))
        digest = hashlib.sha256(told.encode()).hexdigest()[:24]
        page = Page.parse(page_size or _PAGE, page_token, (str, str), most=_LARGEST_PAGE)
        if page.after is not None and page.after[0] != digest:
            raise InvalidArgument.of_field(
                "page_token", "This token is of another list. Leave it empty for the first page of this one."
            )
        return cls(page.size, page.after[1] if page.after else "", digest)

    def following(self, part: Part[Item]) -> str:
        """The token of the next page; empty on the last."""
        return Page.token(self.question, part.next_token) if part.next_token else ""


class Reading:
    """What is read through. All methods raise as `ShopCalls.ask`."""

    def __init__(self, calls: ShopCalls) -> None:
        self._calls = calls

    def orders(
        self, shop: Shop, place: Place, status: str, from_time: datetime | None, until_time: datetime | None
    ) -> Part[Order]:
        """Orders, the last changed first. Raises InvalidArgument for a status that TikTok Shop does not know."""
        if status and status not in _STATUSES:
            raise InvalidArgument.of_field("status", f"This is no status of an order. Use {', '.join(_STATUSES)}.")
        wanted = OrderFilter(
            status=OrderStatus(status) if status else None, update_time_ge=from_time, update_time_lt=until_time
        )

        async def question(access: Access, seconds: float) -> Part[Order]:
            page = await self._calls.client.orders.search(
                access,
                wanted,
                page_size=place.size,
                page_token=place.token,
                newest_first=True,
                timeout_seconds=seconds,
            )
            return Part([tiktok_shop.order_of(order) for order in page.items], page.next_page_token)

        return self._calls.ask(shop, question)

    def shop_numbers(self, shop: Shop, start: date, end: date, *, by_day: bool) -> Part[ShopNumbers]:
        """The shop's numbers, for each day or all of them."""

        async def question(access: Access, seconds: float) -> Part[ShopNumbers]:
            report = await self._calls.client.analytics.shop(access, start, end, by_day=by_day, timeout_seconds=seconds)
            found = [tiktok_shop.shop_numbers_of(each) for each in report.intervals]
            return Part(found, latest_date=report.latest_available_date)

        return self._calls.ask(shop, question)

    def video_numbers(self, shop: Shop, place: Place, start: date, end: date) -> Part[VideoNumbers]:
        """The numbers of videos, the highest sales first."""

        async def question(access: Access, seconds: float) -> Part[VideoNumbers]:
            page = await self._calls.client.analytics.videos(
                access,
                start,
                end,
                highest_sales_first=True,
                page_size=place.size,
                page_token=place.token,
                timeout_seconds=seconds,
            )
            return _part(page, tiktok_shop.video_numbers_of)

        return self._calls.ask(shop, question)

    def product_numbers(self, shop: Shop, place: Place, start: date, end: date) -> Part[ProductNumbers]:
        """The numbers of products, in TikTok Shop's order."""

        async def question(access: Access, seconds: float) -> Part[ProductNumbers]:
            page = await self._calls.client.analytics.products(
                access, start, end, page_size=place.size, page_token=place.token, timeout_seconds=seconds
            )
            return _part(page, tiktok_shop.product_numbers_of)

        return self._calls.ask(shop, question)


def _part(page: RowPage, read: Callable[[Row], Item]) -> Part[Item]:
    return Part([read(row) for row in page.rows], page.next_page_token, page.latest_available_date)
