"""Days, intervals and pages of analytics: what all its calls have in common."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from sandbox.tiktok_shop import figures, paging
from sandbox.tiktok_shop.answers import BAD_REQUEST, Refusal
from sandbox.tiktok_shop.figures import Sales
from sandbox.tiktok_shop.gate import Call, Query
from sandbox.tiktok_shop.order_api import Direction
from sandbox.tiktok_shop.state import ShopState

BAD_DATES = 28001022


class Dates(Query):
    """A range of days of the shop's time zone; the last one is not in it."""

    start_date_ge: str
    end_date_lt: str
    currency: Literal["LOCAL", "USD"] = "LOCAL"


class Intervals(Dates):
    """The range as a whole or by day, with the range before it beside."""

    granularity: Literal["ALL", "1D"] = "ALL"
    with_comparison: Literal["true", "false"] = "false"


class List(Dates):
    """A page of things with figures."""

    page_size: Annotated[int, Field(ge=1, le=100)] = 10
    page_token: str = ""
    sort_order: Direction = "DESC"


def dates(state: ShopState, call: Call) -> tuple[date, date]:
    """First day and the day after the last. Raises Refusal."""
    try:
        start, end = (_day(call.query.start_date_ge), _day(call.query.end_date_lt))
    except ValueError as error:
        raise Refusal(BAD_DATES, "The dates must be YYYY-MM-DD.") from error
    if not start < end <= figures.today(state, call.shop) + timedelta(days=1):
        raise Refusal(BAD_DATES, "start_date_ge must be before end_date_lt, and neither in the future.")
    return start, end


def _day(text: str) -> date:
    if len(text) != 10:
        raise ValueError(text)
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=ZoneInfo("UTC")).date()


def known_days(state: ShopState, call: Call, start: date, end: date) -> list[date]:
    """The days of a range that have figures."""
    return figures.days(start, min(end, figures.latest(state, call.shop) + timedelta(days=1)))


def latest(state: ShopState, call: Call) -> dict[str, str]:
    """The newest day with figures, as answers name it."""
    return {"latest_available_date": figures.latest(state, call.shop).isoformat()}


def intervals(
    state: ShopState, call: Call, of: Callable[[list[date]], Sales], show: Callable[[Sales, int], dict[str, Any]]
) -> dict[str, Any]:
    """Figures by interval, and those of the period before where they are asked for."""
    start, end = dates(state, call)

    def cut(first: date, after: date) -> list[dict[str, Any]]:
        known = known_days(state, call, first, after)
        parts = [[day] for day in known] if call.query.granularity == "1D" else [known] if known else []
        return [
            {
                "start_date": part[0].isoformat(),
                "end_date": (part[-1] + timedelta(days=1)).isoformat(),
                **show(of(part), len(part)),
            }
            for part in parts
        ]

    performance: dict[str, Any] = {"intervals": cut(start, end)}
    if call.query.with_comparison == "true":
        performance["comparison_intervals"] = cut(start - (end - start), start)
    return {**latest(state, call), "performance": performance}


def page(state: ShopState, call: Call, name: str, every: list[dict[str, Any]], by: str) -> dict[str, Any]:
    """One page of a list, sorted by a field of its items."""
    query = call.query

    def value(item: dict[str, Any]) -> tuple[float, str]:
        found = item[by]
        return float(found["amount"] if isinstance(found, dict) else found), str(item["id"])

    ordered = sorted(every, key=value, reverse=query.sort_order == "DESC")
    kind = {**query.model_dump(exclude={"page_token"}), "path": call.path, "name": name}
    page, following = paging.items(ordered, kind, query.page_size, query.page_token, BAD_REQUEST)
    return {**latest(state, call), name: page, "next_page_token": following, "total_count": len(every)}
