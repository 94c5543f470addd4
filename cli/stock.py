"""`reelroute stock`: what can be sold of Amazon's SKUs, what TikTok Shop is told, and what does not agree."""

from __future__ import annotations

from itertools import islice
from typing import Annotated
from urllib.parse import quote

import typer

from cli import display, finding, options
from cli.client import Api, Json
from cli.display import count, failures, moment

app = typer.Typer(no_args_is_help=True, help="Stock at Amazon, what TikTok Shop is told, and what does not agree.")

Sku = Annotated[str, typer.Argument(help="Amazon's SKU.", show_default=False)]


@app.command("list")
def list_stock(
    text: Annotated[str, typer.Argument(help="Only with this in the SKU or title.")] = "",
    merchant: finding.Merchant = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: options.AsJson = False,
) -> None:
    """Lists stock by SKU: available = fulfillable − reserved − in flight − safety stock."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/merchants/{finding.merchant(api, merchant)['merchant_id']}/stock"
        found = list(islice(api.pages(path, "stock", text=text, page_size=min(limit + 1, 200)), limit + 1))
        shown, more = found[:limit], len(found) > limit
        if as_json:
            display.document({"stock": shown, "more": more})
            return
        _table(shown)
        display.note(f"{count(len(shown), 'SKU')}" + (", and more: --limit" if more else "") + ".")


@app.command("show")
def show(sku: Sku, merchant: finding.Merchant = "", as_json: options.AsJson = False) -> None:
    """Shows the stock of one SKU with its latest entries."""
    with failures(as_json=as_json), options.api() as api:
        merchant_id = finding.merchant(api, merchant)["merchant_id"]
        whole = api.get(f"/v1/merchants/{merchant_id}/stock/{quote(sku, safe='')}")
        if as_json:
            display.document(whole)
            return
        _table([whole["stock"]])
        display.say()
        display.table(
            ["Time", "What", "Units", "Order", "At Amazon"],
            [
                (
                    moment(each["time"]),
                    each["kind"],
                    each["quantity"],
                    each["order_id"] or "",
                    each["fulfillment_order_id"],
                )
                for each in whole["entries"]
            ],
            whole=["Time", "Order"],
        )


@app.command("safety")
def safety(
    sku: Sku,
    units: Annotated[int | None, typer.Argument(min=0, help="Never sold; none: as the shop's setting says.")] = None,
    merchant: finding.Merchant = "",
    as_json: options.AsJson = False,
) -> None:
    """Sets how many units of a SKU are never sold."""
    with failures(as_json=as_json), options.api() as api:
        merchant_id = finding.merchant(api, merchant)["merchant_id"]
        body = {"amazon_sku": sku, "safety_stock": units}
        stock = api.put(f"/v1/merchants/{merchant_id}/safety-stock", body)
        if as_json:
            display.document(stock)
        else:
            _table([stock])


@app.command("sync")
def sync(merchant: finding.Merchant = "", as_json: options.AsJson = False) -> None:
    """Reads a merchant's stock from Amazon now, instead of at the next turn."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/merchants/{finding.merchant(api, merchant)['merchant_id']}:syncStock"
        answer = api.post(path, {}, takes_minutes=True)
        if as_json:
            display.document(answer)
        else:
            display.say(f"Read {count(answer['skus'], 'SKU')}.")


@app.command("pushes")
def pushes(
    shop: options.Shop,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: options.AsJson = False,
) -> None:
    """Lists what TikTok Shop was told of a shop's SKUs, and what it is to be told. Those with a problem first."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/shops/{options.shop(api, shop)['shop_id']}/stock-pushes"
        found = list(islice(api.pages(path, "pushes"), limit))
        if as_json:
            display.document({"pushes": found})
            return
        display.table(
            ["SKU", "Can be sold", "TikTok Shop has", "Told", "Problem"],
            [
                (
                    each["seller_sku"] or each["platform_sku_id"],
                    each["wanted_quantity"],
                    "nothing yet" if each["told_quantity"] is None else each["told_quantity"],
                    moment(each["told_time"]),
                    each["problem"],
                )
                for each in found
            ],
            whole=["Told"],
        )


@app.command("drift")
def drift(
    merchant: finding.Merchant = "",
    now: Annotated[bool, typer.Option("--now", help="Compare now; else the last report is shown.")] = False,
    reports: Annotated[bool, typer.Option("--reports", help="Only list the reports.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Shows what does not agree between orders, ledger, Amazon and TikTok Shop. Exit code 1 when something differs."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/merchants/{finding.merchant(api, merchant)['merchant_id']}/drift-reports"
        if reports:
            _reports(list(islice(api.pages(path, "reports"), 50)), as_json=as_json)
            return
        report = api.post(path, {}, takes_minutes=True) if now else next(api.pages(path, "reports", page_size=1), None)
        if report is None:
            display.note("There is no report yet: reelroute stock drift --now")
            raise typer.Exit(display.EXIT_NOT_DONE)
        drifts = _drifts(api, report)
        if as_json:
            display.document({"report": report, "drifts": drifts})
        else:
            _report(report, drifts)
        if drifts:
            raise typer.Exit(display.EXIT_ROWS_REFUSED)


def _drifts(api: Api, report: Json) -> list[Json]:
    return list(api.pages(f"/v1/drift-reports/{report['report_id']}/drifts", "drifts"))


def _report(report: Json, drifts: list[Json]) -> None:
    told = f"{count(report['orders'], 'order')} and {count(report['skus'], 'SKU')} compared"
    display.say(f"{moment(report['create_time'])}: {told}, {count(len(drifts), 'difference')}.")
    if drifts:
        display.table(
            ["Kind", "Of", "What, and what to do", "Sides"],
            [
                (
                    each["kind"],
                    each["fulfillment_order_id"] or each["order_id"] or each["amazon_sku"],
                    each["text"],
                    ", ".join(f"{side}: {says}" for side, says in each["sides"].items()),
                )
                for each in drifts
            ],
        )


def _reports(reports: list[Json], *, as_json: bool) -> None:
    if as_json:
        display.document({"reports": reports})
        return
    display.table(
        ["Made", "Orders", "SKUs", "Differences", "Report"],
        [
            (moment(each["create_time"]), each["orders"], each["skus"], each["drifts"], each["report_id"])
            for each in reports
        ],
        whole=["Made", "Report"],
    )


def _table(stock: list[Json]) -> None:
    display.table(
        ["SKU", "Title", "Available", "Fulfillable", "Reserved", "In flight", "Safety", "Inbound", "Read", ""],
        [
            (
                each["amazon_sku"],
                display.first_line(each["title"], 40),
                each["available"],
                each["fulfillable"],
                each["reserved"],
                each["in_flight"],
                f"{each['safety_stock']}" + (" (own)" if each["is_own_safety_stock"] else ""),
                each["inbound"],
                moment(each["read_time"]),
                "" if each["is_at_amazon"] else "not at Amazon",
            )
            for each in stock
        ],
        whole=["SKU", "Read"],
    )
