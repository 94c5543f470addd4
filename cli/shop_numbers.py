"""`reelroute shops numbers`: what a shop, its videos and its products sell."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

import typer

from cli import display, options
from cli.client import Api, Json
from cli.display import failures, moment, money

_DAY = timedelta(days=1)
_USUAL_SPAN = 28 * _DAY


def numbers(
    shop: options.Shop,
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], metavar="DAY", help="The first day; by default 28 days before the end."
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], metavar="DAY", help="The day behind the last; by default today."),
    ] = None,
    by_day: Annotated[bool, typer.Option("--by-day", help="A line for each day.")] = False,
    videos: Annotated[bool, typer.Option("--videos", help="Of videos, the highest sales first.")] = False,
    products: Annotated[bool, typer.Option("--products", help="Of products.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many videos or products.")] = 20,
    as_json: options.AsJson = False,
) -> None:
    """Tells what a shop sells, as TikTok Shop counts it. Days are of the shop's time zone: --from 2027-01-01."""
    if by_day + videos + products > 1:
        raise typer.BadParameter("Choose one of --by-day, --videos and --products.")
    until = (end or datetime.now().astimezone()).date()
    span = {"start_date": str(first.date() if first else until - _USUAL_SPAN), "end_date": str(until)}
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/shops/{options.shop(api, shop)['shop_id']}/numbers"
        if videos:
            answer = api.get(f"{path}/videos", **span, page_size=limit)
        elif products:
            answer = api.get(f"{path}/products", **span, page_size=limit)
        else:
            answer = api.get(path, **span, by_day=str(by_day).lower())
        if as_json:
            display.document(answer)
            return
        if videos:
            _videos(answer["videos"])
        elif products:
            _products(answer["products"], _titles(api))
        else:
            _shop(answer["numbers"])
        if answer["latest_available_date"]:
            display.note(f"Figures are whole up to {display.printable(answer['latest_available_date'])}.")


def _shop(found: list[Json]) -> None:
    display.table(
        ["Days", "Sales", "Refunds", "Orders", "Units", "Buyers", "Impressions", "Page views"],
        [
            (
                _days(each["start_date"], each["end_date"]),
                money(each["sales"]),
                money(each["refunds"]),
                _count(each["orders"]),
                _count(each["units_sold"]),
                _count(each["buyers"]),
                _count(each["product_impressions"]),
                _count(each["product_page_views"]),
            )
            for each in found
        ],
        whole=["Days", "Sales", "Refunds"],
    )


def _days(start: str, end: str) -> str:
    last = str(date.fromisoformat(end) - _DAY)
    return start if start == last else f"{start} to {last}"


def _videos(found: list[Json]) -> None:
    display.table(
        ["Video", "Published", "Creator", "Title", "Sales", "Orders", "Units", "Views", "Clicks"],
        [
            (
                each["platform_post_id"],
                moment(each["publish_time"]),
                f"@{each['handle']}" if each["handle"] else "",
                display.first_line(each["title"], 40),
                money(each["sales"]),
                _count(each["orders"]),
                _count(each["units_sold"]),
                _count(each["views"]),
                f"{each['click_through_percent']} %" if each["click_through_percent"] else "",
            )
            for each in found
        ],
        whole=["Video", "Published", "Sales"],
    )


def _titles(api: Api) -> dict[str, str]:
    """Titles by TikTok Shop's ids of products."""
    return {each["platform_product_id"]: each["title"] for each in api.pages("/v1/products", "products")}


def _products(found: list[Json], titles: dict[str, str]) -> None:
    display.table(
        ["Product", "Title", "Sales", "Orders", "Units"],
        [
            (
                each["platform_product_id"],
                display.first_line(titles.get(each["platform_product_id"], "")),
                money(each["sales"]),
                _count(each["orders"]),
                _count(each["units_sold"]),
            )
            for each in found
        ],
        whole=["Product", "Sales"],
    )


def _count(number: int | None) -> str:
    return "" if number is None else str(number)
