"""`reelroute merchants`: connected Amazon sellers, whose warehouses send the orders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import display, finding, options
from cli.client import ClientError, Json
from cli.display import failures, moment

app = typer.Typer(no_args_is_help=True, help="Amazon sellers, whose warehouses send the orders.")
Named = Annotated[str, typer.Argument(help="Name, seller id or id.", show_default=False)]


@app.command("list")
def list_merchants(as_json: options.AsJson = False) -> None:
    """Lists merchants by name."""
    with failures(as_json=as_json), options.api() as api:
        merchants = list(api.pages("/v1/merchants", "merchants"))
        if as_json:
            display.document({"merchants": merchants})
            return
        display.table(
            ["Merchant", "Name", "Seller", "Country", "State", "Stock read", "Problem"],
            [
                (
                    each["merchant_id"],
                    each["name"],
                    each["seller_id"],
                    each["marketplace"],
                    each["state"],
                    moment(each["stock_time"]) or "never",
                    each["problem"],
                )
                for each in merchants
            ],
            whole=["Merchant", "Stock read"],
        )
        if not merchants:
            display.note("None is connected: reelroute merchants connect --help")


@app.command("show")
def show(merchant: Named, as_json: options.AsJson = False) -> None:
    """Shows a merchant."""
    with failures(as_json=as_json), options.api() as api:
        _show(finding.merchant(api, merchant), as_json=as_json)


@app.command("connect")
def connect(
    name: Annotated[str, typer.Option(help="What you know it by.")],
    seller_id: Annotated[str, typer.Option(help="The merchant token in Seller Central: A2EXAMPLE.")],
    marketplace: Annotated[str, typer.Option(help="The country of the marketplace: US, GB.")],
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the refresh token; else it is asked for, or read from a pipe.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Connects an Amazon seller by the refresh token that Seller Central shows when the seller authorises the app.

    The token is tried before it is kept. Connecting again gives a merchant its new token.
    """
    with failures(as_json=as_json), options.api() as api:
        body = {
            "name": name,
            "seller_id": seller_id,
            "marketplace": marketplace.upper(),
            "refresh_token": _token(token_file),
        }
        _show(api.post("/v1/merchants", body), as_json=as_json)


@app.command("disconnect")
def disconnect(merchant: Named, yes: options.Yes = False, as_json: options.AsJson = False) -> None:
    """Forgets a merchant's token. Orders that are at Amazon stay there, unwatched; new ones are held."""
    with failures(as_json=as_json), options.api() as api:
        found = finding.merchant(api, merchant)
        options.confirm(
            f"Disconnect {display.printable(found['name'])}? Its orders at Amazon are watched no more.",
            yes=yes,
            as_json=as_json,
        )
        gone = api.post(f"/v1/merchants/{found['merchant_id']}:disconnect", {})
        if as_json:
            display.document(gone)
            return
        display.say(display.printable(f"Disconnected {gone['name']}."))
        display.note("Amazon is not told: the seller takes the authorisation back in Seller Central.")


def _token(file: Path | None) -> str:
    """Never an argument of the command: others on this machine could read it."""
    if file is not None:
        try:
            token = file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise ClientError(f"{file} cannot be read.", "Name a text file with the refresh token in it.") from None
    elif sys.stdin.isatty():
        token = typer.prompt("Refresh token", hide_input=True, err=True).strip()
    else:
        token = sys.stdin.read().strip()
    if not token:
        raise ClientError("There is no refresh token.", "Seller Central shows it when the seller authorises the app.")
    return str(token)


def _show(merchant: Json, *, as_json: bool) -> None:
    if as_json:
        display.document(merchant)
        return
    display.facts(
        [
            ("merchant", merchant["merchant_id"]),
            ("name", merchant["name"]),
            ("seller", merchant["seller_id"]),
            ("marketplace", f"{merchant['marketplace']} ({merchant['amazon_marketplace_id']})"),
            ("state", merchant["state"]),
            ("problem", merchant["problem"]),
            ("stock read", moment(merchant["stock_time"]) or "never"),
        ]
    )
