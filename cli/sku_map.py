"""`reelroute sku-map`: what a shop's SKUs are at Amazon."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from cli import display, explaining, options
from cli.client import Json
from cli.display import count, failures, size
from cli.order_actions import part_of

app = typer.Typer(no_args_is_help=True, help="What a shop's SKUs are at Amazon: one to one, or bundles.")

Marketplace = Annotated[str, typer.Option("--marketplace", help="The country: US, GB.")]


@app.command("list")
def list_mappings(
    text: Annotated[str, typer.Argument(help="Only with this in a SKU of either side.")] = "",
    marketplace: Marketplace = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: options.AsJson = False,
) -> None:
    """Lists mappings by marketplace and SKU."""
    with failures(as_json=as_json), options.api() as api:
        pages = api.pages(
            "/v1/sku-mappings",
            "mappings",
            text=text,
            marketplace=marketplace.upper(),
            page_size=min(limit + 1, 1000),
        )
        found = list(islice(pages, limit + 1))
        shown, more = found[:limit], len(found) > limit
        if as_json:
            display.document({"mappings": shown, "more": more})
            return
        _table(shown)
        display.note(f"{count(len(shown), 'mapping')}" + (", and more: --limit" if more else "") + ".")


@app.command("set")
def set_mapping(
    seller_sku: Annotated[str, typer.Argument(help='The seller\'s SKU at TikTok Shop; "" with --tiktok-id.')],
    part: Annotated[list[str], typer.Argument(help="Amazon's SKUs with how many one unit is: MAT-FBA, or MAT-FBA=4.")],
    marketplace: Annotated[str, typer.Option("--marketplace", help="The country: US, GB.")],
    tiktok_id: Annotated[str, typer.Option(help="TikTok Shop's own id of the SKU: it decides where it is given.")] = "",
    as_json: options.AsJson = False,
) -> None:
    """Says what a SKU is at Amazon. Several parts are a bundle. Orders that waited for it are decided again."""
    with failures(as_json=as_json), options.api() as api:
        mapping: Json = {
            "marketplace": marketplace.upper(),
            "seller_sku": seller_sku,
            "platform_sku_id": tiktok_id,
            "parts": [part_of(each) for each in part],
        }
        answer = api.post("/v1/sku-mappings:batchSet", {"mappings": [mapping]})
        if as_json:
            display.document(answer)
            return
        _table(answer["mappings"])
        _woken(answer["woken_orders"])


@app.command("delete")
def delete(
    mapping: Annotated[list[str], typer.Argument(help="Ids: reelroute sku-map list --json")],
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Forgets mappings."""
    with failures(as_json=as_json), options.api() as api:
        ids = [options.path_id(each, "a mapping", "reelroute sku-map list --json shows the ids.") for each in mapping]
        options.confirm(f"Forget {count(len(ids), 'mapping')}?", yes=yes, as_json=as_json)
        answer = api.post("/v1/sku-mappings:batchDelete", {"mapping_ids": ids})
        if as_json:
            display.document(answer)
        else:
            display.say(f"Forgot {count(answer['deleted'], 'mapping')}.")


@app.command("import")
def import_map(
    file: Annotated[Path, typer.Argument(help="CSV: seller_sku, tiktok_sku_id, amazon_seller_sku, quantity_per_unit.")],
    marketplace: Annotated[str, typer.Option("--marketplace", help="Of rows that name none: US, GB.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether it could be imported.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Sets the mappings of a CSV file, one row for each of Amazon's SKUs. With a fault in it nothing is taken.

    A bundle has several rows. Each row may name its own country in a column `marketplace`. What is not in the file
    stays.
    """
    with failures(as_json=as_json), options.api() as api:
        choices = {"marketplace": marketplace.upper() or None, "validate_only": dry_run}
        answer = api.send_file("/v1/sku-mappings:import", file, choices)
        if as_json:
            display.document(answer)
            return
        told = "could be taken" if dry_run else "taken"
        display.say(f"{count(answer['mappings'], 'mapping')} of {count(answer['rows'], 'row')} {told}.")
        _woken(answer["woken_orders"])


@app.command("export")
def export_map(
    to: Annotated[Path, typer.Option("--to", help="The file.")] = Path("sku_map.csv"),
    marketplace: Marketplace = "",
    as_json: options.AsJson = False,
) -> None:
    """Writes the mappings as a CSV file that can be imported again."""
    with failures(as_json=as_json), options.api() as api:
        written = api.download("/v1/sku-mappings:export", to, marketplace=marketplace.upper())
        if as_json:
            display.document({"file": str(to), "bytes": written})
        else:
            display.say(display.printable(f"{to}: {size(written)}."))


@app.command("unmapped")
def unmapped(
    shop: Annotated[str, typer.Option(help="Only of this shop: its name, code or id.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: options.AsJson = False,
) -> None:
    """Lists SKUs of orders and products without a mapping, with what they might be. Those that hold orders first."""
    with failures(as_json=as_json), options.api() as api:
        shop_id = options.shop(api, shop)["shop_id"] if shop else ""
        found = list(islice(api.pages("/v1/unmapped-skus", "skus", shop_id=shop_id), limit))
        if as_json:
            display.document({"skus": found})
            return
        display.table(
            ["Seller's SKU", "TikTok Shop's id", "What", "Holds", "Might be"],
            [
                (
                    each["seller_sku"],
                    each["platform_sku_id"],
                    display.first_line(each["title"], 40),
                    each["held_orders"] or "",
                    "\n".join(_suggestion(found) for found in each["suggestions"]),
                )
                for each in found
            ],
            whole=["TikTok Shop's id"],
        )
        if found:
            display.note("Say what one is: reelroute sku-map set SELLER_SKU AMAZON_SKU --marketplace US")
        else:
            display.note("Every SKU that is known has a mapping.")


def _suggestion(found: Json) -> str:
    grounds = {"SAME_SKU": "same SKU", "BARCODE": "same barcode", "TITLE": f"title {found['likeness']} % alike"}
    return f"{found['amazon_sku']} ({grounds.get(found['ground'], found['ground'])})"


def _woken(orders: int) -> None:
    if orders:
        display.note(f"{count(orders, 'held order is', 'held orders are')} decided again.")


def _table(mappings: list[Json]) -> None:
    display.table(
        ["Country", "Seller's SKU", "TikTok Shop's id", "At Amazon"],
        [
            (each["marketplace"], each["seller_sku"], each["platform_sku_id"], explaining.parts(each["parts"]))
            for each in mappings
        ],
        whole=["TikTok Shop's id"],
    )
