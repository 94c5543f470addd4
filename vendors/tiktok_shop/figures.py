"""Reads the numbers of TikTok Shop's reports, whose shape changes with their version.

What is the same everywhere: sums are objects of amount and currency, counts are whole numbers. What differs is in which
objects of a row they are, and some names. Figures that a report does not have are None, which is not zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from kit.vendor_json import as_id, id_text, mapping, mappings, moment, needed_id, text, whole
from vendors.tiktok_shop.values import Money, money, objects, share

# The objects of a row that hold its numbers, besides the row itself; by version.
_PARTS = {
    "202403": ("metrics",),
    "202405": (),
    "202406": (),
    "202409": (),
    "202508": ("sales_performance", "interaction_performance"),
    "202509": ("sales", "traffic", "overall_performance", "sales_performance", "interaction_performance"),
}


@dataclass(frozen=True)
class Figures:
    """Numbers of one row or interval. ``gmv`` counts orders that were cancelled or refunded later, too."""

    gmv: Money | None
    gmv_by_type: Mapping[str, Money]  # LIVE, VIDEO, PRODUCT_CARD
    orders: int | None
    sku_orders: int | None
    units_sold: int | None
    buyers: int | None
    avg_order_value: Money | None
    refunds: Money | None
    cancellations_and_returns: int | None
    product_impressions: int | None
    product_page_views: int | None
    product_page_visitors: int | None  # a day, on average
    views: int | None
    click_through_rate: Decimal | None  # a share: 0.05 is 5 %


@dataclass(frozen=True)
class Engagement:
    """What viewers did with a video, ever."""

    views: int | None
    likes: int | None
    comments: int | None
    shares: int | None


@dataclass(frozen=True)
class Interval:
    """Numbers of the days from ``start`` up to, not including, ``end``, in the shop's time zone."""

    start: date | None
    end: date | None
    figures: Figures
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Report:
    """Numbers over time. Days after ``latest_available_date`` are not counted yet, whatever the intervals say."""

    intervals: tuple[Interval, ...]
    engagement: Engagement | None  # of one video
    latest_available_date: date | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Row:
    """One video, product, SKU or LIVE of a list. ``time`` is when the video was posted or the LIVE began.

    A video's id is that of the TikTok post.
    """

    id: str
    name: str
    username: str
    time: datetime | None
    product_ids: tuple[str, ...]
    figures: Figures
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class RowPage:
    """Part of a list. ``next_page_token`` asks for the next part and is empty at the end."""

    rows: tuple[Row, ...]
    next_page_token: str
    total_count: int | None
    latest_available_date: date | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def figures(raw: Mapping[str, Any], version: str) -> Figures:
    """The numbers of a row or interval of a report in this version."""
    flat = dict(raw)
    for part in _PARTS[version]:
        flat |= mapping(raw, part)
    gmv = mapping(flat, "gmv")
    overall = {"gmv": gmv.get("overall", flat.get("gmv"))}
    breakdowns = mappings(gmv, "breakdowns") if "breakdowns" in gmv else mappings(flat, "gmv_breakdowns")
    found = ((text(item, "type"), _breakdown(item)) for item in breakdowns)
    return Figures(
        gmv=money(overall, "gmv"),
        gmv_by_type={kind: amount for kind, amount in found if kind and amount is not None},
        orders=_first(flat, "orders", "orders_count", "order_count"),
        sku_orders=whole(flat, "sku_orders"),
        units_sold=_first(flat, "units_sold", "items_sold", "item_sold_count"),
        buyers=_first(flat, "buyers", "customers", "customers_count"),
        avg_order_value=money(flat, "avg_order_value"),
        refunds=money(flat, "refunds"),
        cancellations_and_returns=whole(flat, "cancellations_and_returns"),
        product_impressions=whole(flat, "product_impressions"),
        product_page_views=whole(flat, "product_page_views"),
        product_page_visitors=_first(flat, "avg_product_page_visitors", "avg_visitors"),
        views=whole(flat, "views"),
        click_through_rate=share(flat, "click_through_rate"),
    )


def report(data: Mapping[str, Any], version: str) -> Report:
    """Read numbers over time. Raises UnreadableAnswer without intervals that are a list of objects."""
    performance = mapping(data, "performance") or data
    engagement = mapping(performance, "engagement_data")
    return Report(
        intervals=tuple(
            Interval(_day(item, "start_date"), _day(item, "end_date"), figures(item, version), item)
            for item in objects(performance, "intervals")
        ),
        engagement=_engagement(engagement) if engagement else None,
        latest_available_date=_day(data, "latest_available_date"),
        raw=data,
    )


def row_page(data: Mapping[str, Any], name: str, version: str) -> RowPage:
    """Read a list of rows. Raises UnreadableAnswer for a row without id."""
    return RowPage(
        rows=tuple(_row(item, version) for item in objects(data, name)),
        next_page_token=text(data, "next_page_token"),
        total_count=whole(data, "total_count"),
        latest_available_date=_day(data, "latest_available_date"),
        raw=data,
    )


def live_page(data: Mapping[str, Any], version: str) -> RowPage:
    """Read a list of LIVEs. Their click-through rate is "multiplied by 100", says one page only: it is left out."""
    found = row_page(data, "live_stream_sessions", version)
    rows = tuple(replace(row, figures=replace(row.figures, click_through_rate=None)) for row in found.rows)
    return replace(found, rows=rows)


def _row(raw: Mapping[str, Any], version: str) -> Row:
    return Row(
        id=needed_id(raw, "id"),
        name=text(raw, "title") or text(raw, "name"),
        username=text(raw, "username") or text(mapping(raw, "creator"), "user_name"),
        time=_instant(raw, "video_post_time") or _instant(raw, "start_time"),
        product_ids=tuple(as_id(item.get("id")) for item in mappings(raw, "products") if id_text(item, "id")),
        figures=figures(raw, version),
        raw=raw,
    )


def _engagement(raw: Mapping[str, Any]) -> Engagement:
    return Engagement(
        views=whole(raw, "total_views"),
        likes=whole(raw, "total_likes"),
        comments=whole(raw, "total_comments"),
        shares=whole(raw, "total_shares"),
    )


def _breakdown(item: Mapping[str, Any]) -> Money | None:
    """The sum of one type: amount and currency beside the type, or an object of their own."""
    return money({"gmv": item}, "gmv") or money(item, "gmv")


def _first(raw: Mapping[str, Any], *names: str) -> int | None:
    return next((number for name in names if (number := whole(raw, name)) is not None), None)


def _day(raw: Mapping[str, Any], name: str) -> date | None:
    try:
        return date.fromisoformat(text(raw, name)[:10])
    except ValueError:
        return None


def _instant(raw: Mapping[str, Any], name: str) -> datetime | None:
    """An instant as Unix seconds or ISO 8601; None without a zone, since it may be any."""
    given = moment(raw, name)
    if given is not None:
        return given
    try:
        told = datetime.fromisoformat(text(raw, name))
    except ValueError:
        return None
    return told.astimezone(UTC) if told.tzinfo is not None else None
