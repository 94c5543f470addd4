"""`reelroute accounts`: profiles on platforms, and connecting them."""

from __future__ import annotations

import itertools
from typing import Annotated

import typer

from cli import consent, display, options
from cli.client import Api, Json, Refused
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
            ["Account", "Platform", "Handle", "State", "Allows", "Good until", "Problem"],
            [
                (
                    each["account_id"],
                    each["platform"],
                    f"@{each['handle']}",
                    each["state"],
                    " ".join(each["scopes"]),
                    moment(each["authorization_expire_time"]),
                    each["problem"],
                )
                for each in accounts
            ],
            whole=["Account", "Handle", "Good until"],
        )


@app.command("disconnect")
def disconnect(
    account: Annotated[str, typer.Argument(help="Its @handle or id.")],
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Takes the owner's grant back and erases the tokens. The account's posts are held until it is connected again."""
    with failures(as_json=as_json), options.api() as api:
        account_id = options.account_id(api, account)
        options.confirm(f"Disconnect {account}? Its posts will be held.", yes=yes, as_json=as_json)
        found = api.post(f"/v1/accounts/{account_id}:disconnect", {})
        if as_json:
            display.document(found)
        else:
            display.say(display.printable(f"@{found['handle']} is {found['state']}. {found['problem']}"))


@app.command("limits")
def limits(
    account: Annotated[str, typer.Argument(help="Its @handle or id.")],
    as_json: options.AsJson = False,
) -> None:
    """Shows what an account may do now, as its platform says: who can see its posts, how long videos may be."""
    with failures(as_json=as_json), options.api() as api:
        found = api.get(f"/v1/accounts/{options.account_id(api, account)}/limits")
        if as_json:
            display.document(found)
            return
        off = [name for name in ("comment", "duet", "stitch") if found[f"{name}_disabled"]]
        longest = found["longest_video_seconds"]
        display.facts(
            [
                ("account", f"@{found['handle']} {found['display_name']}"),
                ("privacy", ", ".join(found["privacy_levels"])),
                ("switched off", ", ".join(off) or "nothing"),
                ("longest video", f"{longest} s" if longest else "not said"),
            ]
        )


@app.command("numbers")
def numbers(
    account: Annotated[str, typer.Argument(help="Its @handle or id.")],
    posts: Annotated[int, typer.Option(min=0, max=1000, help="So many of its newest posts.")] = 20,
    as_json: options.AsJson = False,
) -> None:
    """Shows what the platform tells now of an account's public posts, and of the account where its owner allows it."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/accounts/{options.account_id(api, account)}"
        of_account = _account_numbers(api, path)
        newest = list(itertools.islice(api.pages(f"{path}/posts/numbers", "posts"), posts)) if posts else []
        if as_json:
            display.document({"account": of_account, "posts": newest})
            return
        if of_account is not None:
            display.facts([(name, of_account[name]) for name in ("followers", "following", "likes", "posts")])
            display.say()
        display.table(
            ["Published", "Views", "Likes", "Comments", "Shares", "Post", "Address"],
            [
                (
                    moment(each["publish_time"]),
                    *(_number(each[name]) for name in ("views", "likes", "comments", "shares")),
                    each["post_id"],
                    each["url"],
                )
                for each in newest
            ],
            whole=["Published", "Views", "Likes", "Comments", "Shares"],
        )


def _account_numbers(api: Api, path: str) -> Json | None:
    """None, with a note, where the owner has not allowed them: those of posts may be read all the same."""
    try:
        return api.get(f"{path}/numbers")
    except Refused as refused:
        if refused.reason != "SCOPE_NOT_GRANTED":
            raise
        display.note(display.printable(str(refused)))
        return None


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


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


@connect_app.command("tiktok-shop")
def connect_tiktok_shop(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Listens here for the redirect.")] = 8765,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
    as_json: options.AsJson = False,
) -> None:
    """Connects a TikTok Shop creator, for posts with a product link. The creator consents in a browser on this machine.

    The app in Partner Center must have http://127.0.0.1:PORT/callback as its redirect address.
    """
    _connect("TIKTOK_SHOP", port, browser=browser, as_json=as_json)


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
