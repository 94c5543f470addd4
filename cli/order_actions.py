"""`reelroute orders`: what people do with orders, and with whom they go to."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from cli import display, explaining, finding, options
from cli.client import Api, ClientError, Json
from cli.display import count, failures, moment

Orders = Annotated[list[str] | None, typer.Argument(help="Orders, by our id, TikTok Shop's or Amazon's.")]
Reason = Annotated[str, typer.Option("--reason", help="All that are held for this reason, instead.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many of them.")]
Speed = Annotated[str, typer.Option("--speed", help="STANDARD, EXPEDITED or PRIORITY.")]


def add_to(app: typer.Typer) -> None:
    """Puts these commands into `reelroute orders`."""
    for name, command in (
        ("release", release),
        ("retry", retry),
        ("leave", leave),
        ("cancel", cancel),
        ("correct", correct),
        ("route", route),
        ("resume-tracking", resume_tracking),
        ("correct-tracking", correct_tracking),
        ("recipient", recipient),
        ("erase", erase),
        ("readings", readings),
    ):
        app.command(name)(command)


def release(
    order: Orders = None,
    reason: Reason = "",
    limit: Limit = 200,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Lets held orders go on although the reason still holds. What cannot be passed over is said, order by order."""
    _do("release", order, reason, limit, yes=yes, as_json=as_json)


def retry(order: Orders = None, reason: Reason = "", limit: Limit = 200, as_json: options.AsJson = False) -> None:
    """Decides held orders again as they are."""
    _do("retry", order, reason, limit, yes=True, as_json=as_json)


def leave(
    order: Orders = None,
    reason: Reason = "",
    limit: Limit = 200,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Leaves orders to the seller, who sends them otherwise: they are only watched from now on."""
    _do("leave", order, reason, limit, yes=yes, as_json=as_json)


def cancel(
    order: Orders = None,
    reason: Reason = "",
    limit: Limit = 200,
    at_tiktok_shop: Annotated[
        str,
        typer.Option(help="Cancel at TikTok Shop, too, with its word for why: seller_cancel_reason_out_of_stock"),
    ] = "",
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Cancels orders at Amazon, where it still can be. What came of it is in each order's state."""
    _do("cancel", order, reason, limit, {"platform_reason": at_tiktok_shop}, yes=yes, as_json=as_json)


def correct(
    order: finding.Order,
    name: Annotated[str, typer.Option(help="For whom.")] = "",
    line: Annotated[list[str] | None, typer.Option(help="A line of the street; up to 4.")] = None,
    city: Annotated[str, typer.Option()] = "",
    state: Annotated[str, typer.Option()] = "",
    postal_code: Annotated[str, typer.Option()] = "",
    country: Annotated[str, typer.Option(help="Two letters.")] = "",
    phone: Annotated[str, typer.Option()] = "",
    speed: Speed = "",
    as_json: options.AsJson = False,
) -> None:
    """Corrects where an order goes, or how fast, and decides it again. TikTok Shop is not told.

    What you leave out of an address stays. For that the address is read, which needs the scope RECIPIENTS_READ and is
    written down.
    """
    given: Json = {
        "name": name,
        "lines": line or [],
        "city": city,
        "state": state,
        "postal_code": postal_code,
        "country_code": country.upper(),
        "phone": phone,
    }
    given = {field: value for field, value in given.items() if value}
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/orders/{finding.order_id(api, order)}"
        body: Json = {"recipient": _whole(api, path, given) if given else None, "speed": speed.upper() or None}
        _moved(api.post(f"{path}:correct", body), as_json=as_json)


def route(
    order: finding.Order,
    part: Annotated[
        list[str] | None, typer.Argument(help="Amazon's SKUs with their numbers: MAT-FBA=2. None: as the map says.")
    ] = None,
    speed: Speed = "",
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Routes a held order by hand, whatever the rules say."""
    with failures(as_json=as_json), options.api() as api:
        order_id = finding.order_id(api, order)
        items = [part_of(each) for each in part or []]
        options.confirm(f"Let Amazon send {explaining.parts(items) or 'it'}?", yes=yes, as_json=as_json)
        body = {"items": items, "speed": speed.upper() or None}
        _moved(api.post(f"/v1/orders/{order_id}:route", body), as_json=as_json)


def resume_tracking(shop: options.Shop, yes: options.Yes = False, as_json: options.AsJson = False) -> None:
    """Tells TikTok Shop tracking numbers of a shop again, after a rejected one stopped them all."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/shops/{options.shop(api, shop)['shop_id']}"
        stop = api.get(f"{path}/routing")["tracking_stop"]
        if stop:
            display.note(display.printable(stop))
        question = "After five wrong numbers TikTok Shop takes the warehouse away. Send numbers again?"
        options.confirm(question, yes=yes, as_json=as_json)
        answer = api.post(f"{path}:resumeTracking", {})
        if as_json:
            display.document(answer)
        else:
            display.say("Tracking numbers are told again.")


def correct_tracking(
    package: Annotated[str, typer.Argument(help="Its id: reelroute orders show ORDER")],
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Corrects the number that TikTok Shop has of a package to Amazon's present one; once, within 72 hours."""
    with failures(as_json=as_json), options.api() as api:
        package_id = options.path_id(package, "a package", "reelroute orders show ORDER shows the ids.")
        options.confirm("TikTok Shop takes one correction of a number. Use it?", yes=yes, as_json=as_json)
        answer = api.post(f"/v1/packages/{package_id}:correctTracking", {})
        if as_json:
            display.document(answer)
        else:
            display.say(display.printable(f"{answer['tell_state']}: {answer['told_number']}"))


def recipient(
    order: finding.Order,
    purpose: Annotated[str, typer.Option(help="What for; written down with who read it.")],
    as_json: options.AsJson = False,
) -> None:
    """Shows whom an order goes to, unmasked, with what was changed of it. Needs the scope RECIPIENTS_READ."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/orders/{finding.order_id(api, order)}:readRecipient"
        answer = api.post(path, {"purpose": purpose})
        if as_json:
            display.document(answer)
            return
        for title, found in (("At Amazon", answer["recipient"]), ("As TikTok Shop tells it", answer["told"])):
            if found:
                display.say(f"{title}:")
                display.facts((field, _shown(value)) for field, value in found.items())
        if answer["buyer_message"]:
            display.facts([("the buyer's message", answer["buyer_message"])])
        display.table(
            ["Field", "Rule", "Before", "After"],
            [(each["field"], each["rule"], each["before"], each["after"]) for each in answer["changes"]],
        )
        display.note("It was written down that you read it.")


def erase(
    order: finding.Order,
    whole_buyer: Annotated[bool, typer.Option("--whole-buyer", help="Of all orders of the same buyer.")] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Deletes whom an order went to, for good. What is still on its way is refused."""
    with failures(as_json=as_json), options.api() as api:
        order_id = finding.order_id(api, order)
        of = "all orders of its buyer" if whole_buyer else "this order"
        options.confirm(f"Delete for good whom {of} went to?", yes=yes, as_json=as_json)
        answer = api.post(f"/v1/orders/{order_id}:eraseRecipient", {"whole_buyer": whole_buyer})
        if as_json:
            display.document(answer)
        else:
            display.say(f"Deleted of {count(answer['orders'], 'order')}.")


def readings(
    order: Annotated[str, typer.Argument(help="Only of this order.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: options.AsJson = False,
) -> None:
    """Lists who read whom an order goes to, the newest first. Needs the scope WORKSPACE_ADMIN."""
    with failures(as_json=as_json), options.api() as api:
        order_id = finding.order_id(api, order) if order else ""
        pages = api.pages("/v1/recipient-readings", "readings", order_id=order_id, page_size=min(limit, 200))
        found = [each for each, _ in zip(pages, range(limit), strict=False)]
        if as_json:
            display.document({"readings": found})
            return
        display.table(
            ["Time", "Order", "Who", "What for"],
            [(moment(each["time"]), each["order_id"], each["actor"], each["purpose"]) for each in found],
            whole=["Time", "Order", "Who"],
        )


def part_of(text: str) -> Json:
    """Amazon's SKU and its number in `MAT-FBA=2`; one without a number."""
    sku, _, number = text.rpartition("=")
    if sku and re.fullmatch("[0-9]{1,9}", number):
        return {"amazon_sku": sku, "quantity": int(number)}
    return {"amazon_sku": text, "quantity": 1}


def _do(
    verb: str, orders: list[str] | None, reason: str, limit: int, more: Json | None = None, *, yes: bool, as_json: bool
) -> None:
    if bool(orders) == bool(reason):
        raise typer.BadParameter("Name the orders, or with --reason those that are held for it.")
    with failures(as_json=as_json), options.api() as api:
        if orders:
            body: Json = {"order_ids": [finding.order_id(api, each) for each in orders]}
        else:
            body = {"reason": reason, "limit": limit}
        whom = count(len(orders), "order") if orders else f"up to {limit} orders that are held for {reason}"
        options.confirm(f"{verb.capitalize()} {whom}?", yes=yes, as_json=as_json)
        _told(api.post(f"/v1/orders:{verb}", body | (more or {})), as_json=as_json)


def _told(answer: Json, *, as_json: bool) -> None:
    refused = [each for each in answer["outcomes"] if each["problem"]]
    if as_json:
        display.document(answer)
    else:
        done = len(answer["outcomes"]) - len(refused)
        display.say(f"{count(done, 'order')} done, {len(refused)} refused.")
        display.table(
            ["Refused", "Why", ""],
            [(each["order_id"], each["problem"], each["text"]) for each in refused],
            whole=["Refused"],
        ) if refused else None
        if answer["more"]:
            display.note("More are held for it: do it again, or with --limit.")
    if refused:
        raise typer.Exit(display.EXIT_ROWS_REFUSED)


def _moved(order: Json, *, as_json: bool) -> None:
    if as_json:
        display.document(order)
    else:
        explaining.order(order)


def _whole(api: Api, path: str, given: Json) -> Json:
    """The address with what was given in it."""
    if {"name", "lines", "city", "state", "postal_code", "country_code", "phone"} <= given.keys():
        return given
    answer = api.post(f"{path}:readRecipient", {"purpose": "To correct a part of it."})
    known = answer["recipient"] or answer["told"]
    if known is None:
        raise ClientError("Nothing of the address is known.", "Give all of it: --name, --line, --city, --country…")
    return {**known, **given}


def _shown(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "\n".join(value)
