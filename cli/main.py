"""The `reelroute` command: all its parts in one tree."""

from __future__ import annotations

import typer

from cli import (
    accounts,
    agents,
    calls,
    display,
    holds,
    keys,
    media,
    merchants,
    options,
    orders,
    outages,
    plans,
    posts,
    products,
    replay,
    routing,
    rules,
    series,
    shops,
    sku_map,
    stock,
)
from cli.client import ClientError
from cli.display import failures

app = typer.Typer(
    name="reelroute",
    no_args_is_help=True,
    # A traceback with local variables could show a key.
    pretty_exceptions_enable=False,
    help="Plans, publishes and watches posts, and routes a shop's orders to Amazon. Speaks to the gateway at"
    " REELROUTE_URL (default: this machine's) with the key in REELROUTE_API_KEY, or in the file that"
    " REELROUTE_API_KEY_FILE names, or that `make run` left.",
)
app.add_typer(posts.app, name="posts")
app.add_typer(plans.app, name="plan")
app.add_typer(series.app, name="series")
app.add_typer(media.app, name="media")
app.add_typer(accounts.app, name="accounts")
app.add_typer(agents.app, name="agents")
app.add_typer(shops.app, name="shops")
app.add_typer(products.app, name="products")
app.add_typer(merchants.app, name="merchants")
app.add_typer(routing.app, name="routing")
app.add_typer(sku_map.app, name="sku-map")
app.add_typer(orders.app, name="orders")
app.add_typer(stock.app, name="stock")
app.add_typer(rules.app, name="channels")
app.add_typer(keys.app, name="keys")
app.add_typer(calls.app, name="calls")
app.command("replay")(replay.replay)
app.command("pause")(holds.pause)
app.command("resume")(holds.resume)
app.command("holds")(holds.list_holds)
app.command("outages")(outages.outages)
app.command("incidents")(outages.incidents)


@app.command("status")
def status(as_json: options.AsJson = False) -> None:
    """Asks whether all services answer. Exit code 1 when one does not. Needs no key."""
    with failures(as_json=as_json), options.api(needs_key=False) as api:
        code, answer = api.status("/readyz")
        if "services" not in answer:
            raise ClientError(
                f"{api.url} answers, but not as Reelroute does (HTTP status {code}).", "Check REELROUTE_URL."
            )
        if as_json:
            display.document(answer)
        else:
            display.say(f"{api.url}: {display.printable(answer['status'])}")
            display.table(["Service", ""], answer["services"].items())
    if code != 200:
        raise typer.Exit(1)


def main() -> None:
    """Runs the command."""
    app()


if __name__ == "__main__":
    main()
