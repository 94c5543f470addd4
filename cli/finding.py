"""Orders and merchants by what people know of them."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer

from cli.client import Api, ClientError, Json

Order = Annotated[str, typer.Argument(help="Its id, TikTok Shop's, or Amazon's.", show_default=False)]
Merchant = Annotated[str, typer.Option("--merchant", help="Name, seller id or id; not needed where there is one.")]


def order_id(client: Api, wanted: str) -> str:
    """Our id of the order with that id, ours, TikTok Shop's or Amazon's. Raises ClientError."""
    try:
        return str(uuid.UUID(wanted))
    except ValueError:
        found = list(client.pages("/v1/orders", "orders", platform_order_id=wanted))
    if len(found) == 1:
        return str(found[0]["order_id"])
    if found:
        ids = ", ".join(each["order_id"] for each in found)
        raise ClientError(f"Several orders are called {wanted}.", f"Name one by our id: {ids}")
    raise ClientError(
        f"There is no order {wanted}.",
        "reelroute orders list shows those that are routed; one from before is with reelroute shops orders.",
    )


def merchant(client: Api, wanted: str) -> Json:
    """The merchant with that name, seller id or id; the only one when nothing is named. Raises ClientError."""
    text = wanted.casefold()
    found = [
        each
        for each in client.pages("/v1/merchants", "merchants")
        if not text or text in {each[name].casefold() for name in ("name", "seller_id", "merchant_id")}
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ClientError(
            f"Several merchants are called {wanted}." if wanted else "There are several merchants.",
            "Name it by its id: reelroute merchants list",
        )
    raise ClientError(
        f"There is no merchant {wanted}." if wanted else "No merchant is connected.",
        "reelroute merchants list shows those that there are; reelroute merchants connect adds one.",
    )
