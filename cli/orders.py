"""`reelroute orders`: a shop's orders as we route them to Amazon, and why each is where it is."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from cli import display, explaining, finding, options, order_actions
from cli.client import Json
from cli.display import count, failures, moment

app = typer.Typer(no_args_is_help=True, help="Orders on their way to Amazon: why each is where it is, and what to do.")

_SHOP = Annotated[str, typer.Option("--shop", help="Only of this shop: its name, code or id.")]


@app.command("list")
def list_orders(
    shop: _SHOP = "",
    state: Annotated[list[str] | None, typer.Option(help="PENDING, HELD, LEFT, ROUTED…; may be repeated.")] = None,
    reason: Annotated[str, typer.Option(help="Only held or left for this reason.")] = "",
    from_time: Annotated[str, typer.Option("--from", help="Created from this instant on: 2027-01-04T00:00:00Z")] = "",
    until_time: Annotated[str, typer.Option("--until", help="Created before this instant.")] = "",
    late: Annotated[bool, typer.Option("--late", help="Only those that miss a deadline, or will soon.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: options.AsJson = False,
) -> None:
    """Lists orders, the last created first. Whom they go to is masked."""
    with failures(as_json=as_json), options.api() as api:
        pages = api.pages(
            "/v1/orders",
            "orders",
            shop_id=options.shop(api, shop)["shop_id"] if shop else "",
            state=[each.upper() for each in state or []],
            reason=reason,
            from_time=from_time,
            until_time=until_time,
            is_late="true" if late else "",
            page_size=min(limit + 1, 200),
        )
        found = list(islice(pages, limit + 1))
        shown, more = found[:limit], len(found) > limit
        if as_json:
            display.document({"orders": shown, "more": more})
            return
        display.table(
            ["Order", "Created", "State", "Why", "What", "To", "Ship until", "Late"],
            [
                (
                    each["platform_order_id"],
                    moment(each["platform_create_time"]),
                    each["state"],
                    each["reason"],
                    "\n".join(_line(line) for line in each["lines"]),
                    each["masked_recipient"],
                    moment(each["ship_until_time"]),
                    "" if each["lateness"] in (None, "IN_TIME") else each["lateness"],
                )
                for each in shown
            ],
            whole=["Order", "Created", "State", "Ship until", "Late"],
        )
        display.note(f"{count(len(shown), 'order')}" + (", and more: --limit or --until" if more else "") + ".")
        if not shown:
            display.note("Orders are taken in where routing is on: reelroute routing show SHOP")


@app.command("show")
def show(order: finding.Order, as_json: options.AsJson = False) -> None:
    """Shows an order with what Amazon makes of it, its packages, and what happened."""
    with failures(as_json=as_json), options.api() as api:
        order_id = finding.order_id(api, order)
        whole = api.get(f"/v1/orders/{order_id}")
        events = list(api.pages(f"/v1/orders/{order_id}/events", "events"))
        if as_json:
            display.document({**whole, "events": events})
            return
        found = whole["order"]
        explaining.order(found)
        display.facts(
            [
                ("to", found["masked_recipient"] or ("deleted" if found["is_recipient_erased"] else "")),
                ("total", display.money(found["total"])),
                ("what", "\n".join(_line(line) for line in found["lines"])),
                ("at TikTok Shop", found["platform_status"]),
            ]
        )
        if whole["shipments"]:
            display.say()
            _shipments(whole["shipments"])
        display.say()
        display.table(
            ["Time", "What", "", "Who"],
            [(moment(each["time"]), each["type"], each["text"], each["actor"]) for each in events],
            whole=["Time", "What"],
        )


@app.command("explain")
def explain(
    order: finding.Order,
    facts: Annotated[bool, typer.Option("--facts", help="Also all that was known of it, as rules see it.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Says why an order is where it is, what to do next, and who can; and each rule that was looked at."""
    with failures(as_json=as_json), options.api() as api:
        whole = api.get(f"/v1/orders/{finding.order_id(api, order)}")
        if as_json:
            display.document({"order": whole["order"], "decision": whole["decision"]})
            return
        explaining.order(whole["order"])
        display.say()
        explaining.decision(whole["decision"], with_facts=facts)


@app.command("held")
def held(shop: _SHOP = "", as_json: options.AsJson = False) -> None:
    """Counts held orders by reason, with what to do about each and who can."""
    with failures(as_json=as_json), options.api() as api:
        answer = api.get("/v1/orders/held", shop_id=options.shop(api, shop)["shop_id"] if shop else "")
        if as_json:
            display.document(answer)
            return
        display.table(
            ["Reason", "Orders", "Oldest", "What to do", "Who can", "Release"],
            [
                (
                    each["reason"],
                    each["orders"],
                    moment(each["oldest_time"]),
                    each["next_step"],
                    each["who_can"],
                    "yes" if each["can_be_released"] else "no",
                )
                for each in answer["reasons"]
            ],
            whole=["Reason", "Oldest"],
        )
        if not answer["reasons"]:
            display.note("None is held.")


@app.command("replay")
def replay(
    order: Annotated[list[str] | None, typer.Argument(help="Orders; none: all that are held.")] = None,
    reason: Annotated[str, typer.Option(help="Only held for this reason.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many held ones.")] = 200,
    as_json: options.AsJson = False,
) -> None:
    """Decides orders again by today's rules, stock and map, and says which would differ. Changes nothing."""
    with failures(as_json=as_json), options.api() as api:
        if order:
            body: Json = {"order_ids": [finding.order_id(api, each) for each in order]}
        else:
            body = {"reason": reason, "limit": limit}
        answer = api.post("/v1/orders:replay", body)
        if as_json:
            display.document(answer)
            return
        display.table(
            ["Order", "Would be"],
            [(each["platform_order_id"], explaining.replay(each)) for each in answer["replays"]],
            whole=["Order"],
        )
        different = sum(each["is_different"] for each in answer["replays"])
        more = ", and more are held: --limit" if answer["more"] else ""
        display.note(
            f"{different} of {count(len(answer['replays']), 'order')} would differ{more}. Nothing was changed."
        )


@app.command("sync")
def sync(shop: options.Shop, as_json: options.AsJson = False) -> None:
    """Reads the orders of a shop from TikTok Shop now, instead of at the next turn."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/shops/{options.shop(api, shop)['shop_id']}:syncOrders"
        answer = api.post(path, {}, takes_minutes=True)
        if as_json:
            display.document(answer)
        else:
            display.say(f"Read {count(answer['orders'], 'order')}, {answer['new_orders']} of them new.")


order_actions.add_to(app)


def _shipments(shipments: list[Json]) -> None:
    display.table(
        ["At Amazon", "State", "Amazon says", "Speed", "What", "Problem"],
        [
            (
                each["fulfillment_order_id"],
                each["state"],
                each["amazon_status"],
                each["speed"],
                explaining.parts(each["items"]),
                each["problem"],
            )
            for each in shipments
        ],
        whole=["At Amazon"],
    )
    packages = [package for each in shipments for package in each["packages"]]
    if packages:
        display.say()
        display.table(
            ["Package", "Carrier", "Number", "Where", "TikTok Shop", "Told", "Problem"],
            [
                (
                    each["package_id"],
                    each["carrier"],
                    each["tracking_number"] or each["amazon_tracking_number"],
                    each["status"],
                    each["tell_state"],
                    moment(each["told_time"]),
                    each["tell_problem"],
                )
                for each in packages
            ],
            whole=["Package", "Number", "Told"],
        )


def _line(line: Json) -> str:
    name = line["seller_sku"] or line["platform_sku_id"]
    return f"{line['quantity']} × {name} {display.first_line(line['product_title'], 40)}".strip()
