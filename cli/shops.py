"""`reelroute shops`: connected TikTok Shop sellers, their orders and numbers."""

from __future__ import annotations

import contextlib
import enum
from itertools import islice
from typing import Annotated

import typer

from cli import consent, display, options, shop_numbers
from cli.client import Json
from cli.display import count, failures, moment

app = typer.Typer(no_args_is_help=True, help="Shops on TikTok Shop: connect, sync, orders, numbers.")


class Region(enum.StrEnum):
    """Where a seller is registered."""

    US = "us"
    REST_OF_WORLD = "rest-of-world"


@app.command("list")
def list_shops(as_json: options.AsJson = False) -> None:
    """Lists shops by name."""
    with failures(as_json=as_json), options.api() as api:
        shops = list(api.pages("/v1/shops", "shops"))
        if as_json:
            display.document({"shops": shops})
        else:
            _table(shops)


@app.command("show")
def show(shop: options.Shop, as_json: options.AsJson = False) -> None:
    """Shows a shop."""
    with failures(as_json=as_json), options.api() as api:
        found = options.shop(api, shop)
        if as_json:
            display.document(found)
            return
        display.facts(
            [
                ("shop", found["shop_id"]),
                ("name", found["name"]),
                ("TikTok Shop's id", found["platform_shop_id"]),
                ("code", found["code"]),
                ("region", found["region"]),
                ("kind", found["seller_type"]),
                ("seller", found["seller_name"]),
                ("state", found["state"]),
                ("problem", found["problem"]),
                ("good until", moment(found["authorization_expire_time"])),
                ("products read", moment(found["catalogue_time"]) or "never"),
                ("scopes", "\n".join(found["scopes"])),
            ]
        )


@app.command("connect")
def connect(
    region: Annotated[
        Region, typer.Option(case_sensitive=False, help="Where the seller is registered: each has its own page.")
    ],
    port: options.RedirectPort = options.REDIRECT_PORT,
    paste: Annotated[
        bool, typer.Option("--paste", help="Do not listen: you paste the address that the browser was sent to.")
    ] = False,
    browser: options.OpenBrowser = True,
    as_json: options.AsJson = False,
) -> None:
    """Connects all shops of a seller, who gives consent in a browser, signed in with the seller's main account.

    Afterwards TikTok Shop sends the browser to the redirect address of the app. If that is not
    http://127.0.0.1:PORT/callback, use --paste.
    """
    with (
        failures(as_json=as_json),
        options.api() as api,
        contextlib.nullcontext() if paste else consent.Listener(port) as listener,
    ):
        start = api.post("/v1/shop-connections", {"seller_region": options.word(region)})
        code = consent.ask(start, "the seller's main account", listener, browser=browser)
        # The code is good once: sent again it would only be refused.
        answer = api.post("/v1/shop-connections:finish", {"state": start["state"], "code": code}, may_repeat=False)
        if as_json:
            display.document(answer)
            return
        for each in answer["shops"]:
            display.say(display.printable(f"Connected {each['name']} ({each['region']}) as {each['shop_id']}."))
        display.note("Their products are read soon; `reelroute shops sync` reads them now.")


@app.command("disconnect")
def disconnect(shop: options.Shop, yes: options.Yes = False, as_json: options.AsJson = False) -> None:
    """Forgets the tokens of a shop's seller, for all shops that they open. Shops and products stay."""
    with failures(as_json=as_json), options.api() as api:
        found = options.shop(api, shop)
        seller = display.printable(found["seller_name"] or found["name"])
        options.confirm(f"Disconnect all shops of {seller}?", yes=yes, as_json=as_json)
        answer = api.post(f"/v1/shops/{found['shop_id']}:disconnect", {})
        if as_json:
            display.document(answer)
            return
        for each in answer["shops"]:
            display.say(display.printable(f"Disconnected {each['name']} ({each['region']})."))
        display.note("TikTok Shop is not told: the seller takes the app away in Seller Center.")


@app.command("sync")
def sync(
    shop: options.Shop,
    everything: Annotated[
        bool, typer.Option("--everything", help="All products, to find those that are gone; not only what changed.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Reads the products of a shop now, instead of at the next turn. Thousands take minutes."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/shops/{options.shop(api, shop)['shop_id']}:syncCatalogue"
        answer = api.post(path, {"everything": everything}, takes_minutes=True)
        if as_json:
            display.document(answer)
        else:
            display.say(f"Read {count(answer['products'], 'product')}.")


@app.command("orders")
def orders(
    shop: options.Shop,
    status: Annotated[str, typer.Option(help="Only with this status: AWAITING_SHIPMENT, IN_TRANSIT…")] = "",
    from_time: Annotated[str, typer.Option("--from", help="Changed from this instant on: 2027-01-04T00:00:00Z")] = "",
    until_time: Annotated[str, typer.Option("--until", help="Changed before this instant.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: options.AsJson = False,
) -> None:
    """Lists orders of a shop, the last changed first, as TikTok Shop has them now."""
    with failures(as_json=as_json), options.api() as api:
        pages = api.pages(
            f"/v1/shops/{options.shop(api, shop)['shop_id']}/orders",
            "orders",
            status=status.upper(),
            from_time=from_time,
            until_time=until_time,
            page_size=min(limit + 1, 100),
        )
        found = list(islice(pages, limit + 1))
        shown, more = found[:limit], len(found) > limit
        if as_json:
            display.document({"orders": shown, "more": more})
            return
        display.table(
            ["Order", "Changed", "Status", "What", "Paid", "Ship until"],
            [
                (
                    each["platform_order_id"],
                    moment(each["update_time"]),
                    _status(each),
                    "\n".join(_line(line) for line in each["lines"]),
                    display.money(each["total"]),
                    moment(each["ship_until_time"]),
                )
                for each in shown
            ],
            whole=["Order", "Changed", "Paid", "Ship until"],
        )
        display.note(f"{count(len(shown), 'order')}" + (", and more: --limit or --until" if more else "") + ".")


app.command("numbers")(shop_numbers.numbers)


def _status(order: Json) -> str:
    remarks = [
        *(["on hold"] if order["is_on_hold"] and order["status"] != "ON_HOLD" else []),
        *(["cancellation asked for"] if order["is_cancel_requested"] else []),
    ]
    return f"{order['status']} ({', '.join(remarks)})" if remarks else str(order["status"])


def _line(line: Json) -> str:
    name = line["seller_sku"] or line["platform_sku_id"]
    return f"{line['quantity']} × {name} {display.first_line(line['product_title'], 40)}".strip()


def _table(shops: list[Json]) -> None:
    display.table(
        ["Shop", "Name", "Region", "Seller", "State", "Good until", "Products read", "Problem"],
        [
            (
                each["shop_id"],
                each["name"],
                each["region"],
                each["seller_name"],
                each["state"],
                moment(each["authorization_expire_time"]),
                moment(each["catalogue_time"]) or "never",
                each["problem"],
            )
            for each in shops
        ],
        whole=["Shop", "Good until", "Products read"],
    )
