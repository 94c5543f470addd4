"""`reelroute products`: what the shops sell."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import Annotated

import typer

from cli import display, options
from cli.client import Json
from cli.display import count, failures, moment, money

app = typer.Typer(no_args_is_help=True, help="Products of the shops.")


@app.command("list")
def list_products(
    shop: Annotated[str, typer.Option(help="Only of this shop: its name, code or id.")] = "",
    status: Annotated[str, typer.Option(help="Only with this status: ACTIVATE, SELLER_DEACTIVATED, DELETED…")] = "",
    text: Annotated[str, typer.Option(help="Only with this in the title or a seller's SKU.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: options.AsJson = False,
) -> None:
    """Lists products by title, as they were when they were last read."""
    with failures(as_json=as_json), options.api() as api:
        pages = api.pages(
            "/v1/products",
            "products",
            shop_id=options.shop(api, shop)["shop_id"] if shop else "",
            status=status.upper(),
            text=text,
            page_size=min(limit + 1, 200),
        )
        found = list(islice(pages, limit + 1))
        shown, more = found[:limit], len(found) > limit
        if as_json:
            display.document({"products": shown, "more": more})
            return
        names = {each["shop_id"]: each["name"] for each in api.pages("/v1/shops", "shops")}
        display.table(
            ["Product", "Shop", "Title", "Status", "Price", "Available", "SKUs"],
            [
                (
                    each["product_id"],
                    names.get(each["shop_id"], each["shop_id"]),
                    display.first_line(each["title"]),
                    each["status"],
                    _prices(each["skus"]),
                    sum(sku["available_quantity"] for sku in each["skus"]),
                    ", ".join(sku["seller_sku"] or sku["platform_sku_id"] for sku in each["skus"]),
                )
                for each in shown
            ],
            whole=["Product", "Price"],
        )
        display.note(f"{count(len(shown), 'product')}" + (", and more: --limit or --text" if more else "") + ".")
        if not shown and not text and not status:
            display.note("Products are read from connected shops: reelroute shops list, reelroute shops sync.")


@app.command("show")
def show(product_id: Annotated[str, typer.Argument(help="Its id.")], as_json: options.AsJson = False) -> None:
    """Shows a product with its SKUs."""
    with failures(as_json=as_json), options.api() as api:
        found = api.get(
            f"/v1/products/{options.path_id(product_id, 'a product', 'reelroute products list shows the ids.')}"
        )
        if as_json:
            display.document(found)
            return
        display.facts(
            [
                ("product", found["product_id"]),
                ("title", found["title"]),
                ("TikTok Shop's id", found["platform_product_id"]),
                ("shop", found["shop_id"]),
                ("status", found["status"]),
                ("read", moment(found["read_time"])),
                ("pictures", "\n".join(found["image_urls"])),
                ("description", found["description"]),
            ]
        )
        display.say()
        display.table(
            ["SKU", "Seller's", "What", "Price", "Available", "Barcode"],
            [
                (
                    each["platform_sku_id"],
                    each["seller_sku"],
                    ", ".join(each["attributes"]),
                    money(each["price"]),
                    each["available_quantity"],
                    each["barcode"],
                )
                for each in found["skus"]
            ],
            whole=["SKU", "Price"],
        )


def _prices(skus: list[Json]) -> str:
    """The price of all SKUs: `8.99 GBP`, `8.99 to 9.99 GBP`."""
    prices = sorted((each["price"] for each in skus if each["price"]), key=lambda price: Decimal(price["amount"]))
    if not prices or prices[0] == prices[-1]:
        return money(prices[0] if prices else None)
    return f"{prices[0]['amount']} to {money(prices[-1])}"
