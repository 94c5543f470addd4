"""`reelroute accounts`: profiles on platforms, and connecting them."""

from __future__ import annotations

import typer

from cli import consent, display, options
from cli.client import Json
from cli.consent import Listener
from cli.display import failures, moment

app = typer.Typer(no_args_is_help=True, help="Accounts on platforms.")
connect_app = typer.Typer(no_args_is_help=True, help="Connect an account, with its owner's consent.")
app.add_typer(connect_app, name="connect")


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
    port: options.RedirectPort = options.REDIRECT_PORT,
    browser: options.OpenBrowser = True,
    as_json: options.AsJson = False,
) -> None:
    """Connects a TikTok account. Its owner gives consent in a browser on this machine.

    The app at TikTok must have http://127.0.0.1:PORT/callback among its redirect addresses.
    """
    _connect("TIKTOK", port, browser=browser, as_json=as_json)


# Not in the menus: the sandbox's own platform, for rehearsals.
@connect_app.command("bulletin", hidden=True)
def connect_bulletin(
    port: options.RedirectPort = options.REDIRECT_PORT,
    browser: options.OpenBrowser = True,
    as_json: options.AsJson = False,
) -> None:
    """Connects an account of Bulletin, the sandbox's own platform, where the installation has it."""
    _connect("BULLETIN", port, browser=browser, as_json=as_json)


def _connect(platform: str, port: int, *, browser: bool, as_json: bool) -> None:
    with failures(as_json=as_json), options.api() as api, Listener(port) as listener:
        start = api.post("/v1/connections", {"platform": platform, "redirect_uri": listener.redirect_uri})
        code = consent.ask(start, "the account's owner", listener, browser=browser)
        # The code is good once: sent again it would only be refused.
        account: Json = api.post("/v1/connections:finish", {"state": start["state"], "code": code}, may_repeat=False)
        if as_json:
            display.document(account)
        else:
            display.say(display.printable(f"Connected @{account['handle']} as {account['account_id']}."))
