"""`reelroute accounts`: profiles on platforms, and connecting them."""

from __future__ import annotations

import webbrowser
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import display, options
from cli.client import Json
from cli.consent import Listener
from cli.display import failures, moment

app = typer.Typer(no_args_is_help=True, help="Accounts on platforms.")
connect_app = typer.Typer(no_args_is_help=True, help="Connect an account, with its owner's consent.")
app.add_typer(connect_app, name="connect")

# When the gateway names no end.
_PATIENCE_SECONDS = 600.0


@app.command("list")
def list_accounts(as_json: options.AsJson = False) -> None:
    """Lists accounts by handle."""
    with failures(as_json=as_json), options.api() as api:
        accounts = list(api.pages("/v1/accounts", "accounts"))
        if as_json:
            display.document({"accounts": accounts})
            return
        display.table(
            ["Account", "Platform", "Handle", "State", "Good until", "Problem"],
            [
                (
                    each["account_id"],
                    each["platform"],
                    f"@{each['handle']}",
                    each["state"],
                    moment(each["authorization_expire_time"]),
                    each["problem"],
                )
                for each in accounts
            ],
            whole=["Account", "Handle", "Good until"],
        )


@connect_app.command("tiktok")
def connect_tiktok(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Listens here for the redirect.")] = 8765,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
    as_json: options.AsJson = False,
) -> None:
    """Connects a TikTok account. Its owner gives consent in a browser on this machine.

    The app at TikTok must have http://127.0.0.1:PORT/callback among its redirect addresses.
    """
    _connect("TIKTOK", port, browser=browser, as_json=as_json)


# Not in the menus: the sandbox's own platform, for rehearsals.
@connect_app.command("bulletin", hidden=True)
def connect_bulletin(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Listens here for the redirect.")] = 8765,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
    as_json: options.AsJson = False,
) -> None:
    """Connects an account of Bulletin, the sandbox's own platform, where the installation has it."""
    _connect("BULLETIN", port, browser=browser, as_json=as_json)


def _connect(platform: str, port: int, *, browser: bool, as_json: bool) -> None:
    with failures(as_json=as_json), options.api() as api, Listener(port) as listener:
        start = api.post("/v1/connections", {"platform": platform, "redirect_uri": listener.redirect_uri})
        display.note("Open this address in the browser of the account's owner, on this machine:")
        display.note(display.printable(start["consent_url"]))
        # The address comes from the gateway: only a web page is opened by itself.
        if browser and options.may_ask() and start["consent_url"].startswith(("https://", "http://")):
            webbrowser.open(start["consent_url"])
        display.note("Waiting for consent; Ctrl-C gives up.")
        code = listener.wait(start["state"], _seconds_until(start["expire_time"]))
        # The code is good once: sent again it would only be refused.
        account: Json = api.post("/v1/connections:finish", {"state": start["state"], "code": code}, may_repeat=False)
        if as_json:
            display.document(account)
        else:
            display.say(display.printable(f"Connected @{account['handle']} as {account['account_id']}."))


def _seconds_until(text: str | None) -> float:
    if not text:
        return _PATIENCE_SECONDS
    return max((datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds(), 1.0)
