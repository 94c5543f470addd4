"""`reelroute routing`: how a shop's orders are routed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import display, explaining, finding, options, routing_rules, rule_text
from cli.client import Json
from cli.display import failures

app = typer.Typer(no_args_is_help=True, help="Where a shop's orders go: settings, warehouses, rules, and a tester.")
app.add_typer(routing_rules.app, name="rules")

# What an answer has besides what can be set.
_NOT_SET = ("shop_id", "tracking_stop", "update_time")


@app.command("show")
def show(shop: options.Shop, as_json: options.AsJson = False) -> None:
    """Shows how a shop's orders are routed."""
    with failures(as_json=as_json), options.api() as api:
        _show(api.get(f"/v1/shops/{options.shop(api, shop)['shop_id']}/routing"), as_json=as_json)


@app.command("set")
def set_routing(
    shop: options.Shop,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Whether orders are taken in and sent.")] = None,
    merchant: Annotated[str, typer.Option(help="Whose warehouses send them: name, seller id or id.")] = "",
    warehouse: Annotated[
        list[str] | None, typer.Option(help="TikTok Shop's id of a warehouse that stands for Amazon's; all of them.")
    ] = None,
    default_speed: Annotated[str, typer.Option(help="STANDARD, EXPEDITED or PRIORITY.")] = "",
    speed: Annotated[
        list[str] | None, typer.Option(help='Of a delivery option: "Express shipping=EXPEDITED"; all of them.')
    ] = None,
    policy: Annotated[str, typer.Option(help="FILL_OR_KILL, FILL_ALL or FILL_ALL_AVAILABLE.")] = "",
    wait: Annotated[str, typer.Option(help="Waited after payment: 30m, 2h; 0: not.")] = "",
    safety_stock: Annotated[int | None, typer.Option(min=0, help="Units of each SKU that are never sold.")] = None,
    samples: Annotated[bool | None, typer.Option("--samples/--no-samples", help="Route creators' samples.")] = None,
    replacements: Annotated[
        bool | None, typer.Option("--replacements/--no-replacements", help="Route replacements.")
    ] = None,
    amazon_tracking: Annotated[
        bool | None,
        typer.Option(
            "--amazon-tracking/--carrier-tracking", help="Tell Amazon's own number, or wait for the carrier's."
        ),
    ] = None,
    carrier: Annotated[
        list[str] | None,
        typer.Option(help='Of Amazon\'s word to a provider at TikTok Shop: "AMZN_US=Amazon Logistics"; all of them.'),
    ] = None,
    push_stock: Annotated[
        bool | None, typer.Option("--push-stock/--no-push-stock", help="Tell TikTok Shop what can be sold.")
    ] = None,
    preview: Annotated[
        bool | None, typer.Option("--preview/--no-preview", help="Ask Amazon for fee and date before an order is sent.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Begins the ids of orders at Amazon.")] = "",
    packing_slip: Annotated[str | None, typer.Option(help="Printed on the packing slip.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Sets how a shop's orders are routed. What you leave out stays as it is.

    Orders that are not yet routed are decided again.
    """
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/shops/{options.shop(api, shop)['shop_id']}/routing"
        given: Json = {
            "is_on": on,
            "merchant_id": finding.merchant(api, merchant)["merchant_id"] if merchant else None,
            "platform_warehouse_ids": warehouse,
            "default_speed": default_speed.upper() or None,
            "speeds": _pairs(speed, "--speed", upper=True),
            "fulfillment_policy": policy.upper() or None,
            "wait_seconds": options.seconds(wait, "--wait"),
            "safety_stock": safety_stock,
            "route_sample_orders": samples,
            "route_replacement_orders": replacements,
            "prefer_amazon_tracking": amazon_tracking,
            "carriers": _pairs(carrier, "--carrier"),
            "push_stock": push_stock,
            "preview_orders": preview,
            "order_prefix": prefix or None,
            "packing_slip_comment": packing_slip,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        if not changes:
            raise typer.BadParameter("Say what is to be set: --on, --merchant, --warehouse…")
        now = {name: value for name, value in api.get(path).items() if name not in _NOT_SET}
        _show(api.put(path, now | changes), as_json=as_json)


@app.command("warehouses")
def warehouses(shop: options.Shop, as_json: options.AsJson = False) -> None:
    """Lists the warehouses that TikTok Shop knows of a shop, with the delivery options that buyers have."""
    with failures(as_json=as_json), options.api() as api:
        answer = api.get(f"/v1/shops/{options.shop(api, shop)['shop_id']}/warehouses")
        if as_json:
            display.document(answer)
            return
        display.table(
            ["Warehouse", "Name", "Kind", "State", "Delivery options"],
            [
                (
                    each["platform_warehouse_id"],
                    each["name"],
                    each["type"],
                    each["status"],
                    "\n".join(each["delivery_options"]),
                )
                for each in answer["warehouses"]
            ],
            whole=["Warehouse"],
        )
        display.note("Choose those that stand for Amazon's: reelroute routing set SHOP --warehouse ID")


@app.command("test")
def try_routing(
    order: finding.Order,
    when: rule_text.When = None,
    hold: rule_text.Hold = "",
    leave: rule_text.Leave = "",
    route: rule_text.Route = False,
    split: rule_text.Split = False,
    ship_as: rule_text.ShipAs = "",
    feature: rule_text.Feature = None,
    text: rule_text.Text = "",
    priority: Annotated[int, typer.Option(help="The place of the draft among the rules.")] = 100,
    file: rule_text.File = None,
    as_json: options.AsJson = False,
) -> None:
    """Says what would be decided of an order today, with a draft of a rule besides. Changes nothing."""
    with failures(as_json=as_json), options.api() as api:
        draft: Json | None = None
        if file:
            kept = rule_text.in_file(file)
            own = {"rule_id": kept["rule_id"]} if kept.get("rule_id") else {}
            draft = routing_rules.settable(kept) | own
        elif any((when, hold, leave, route, split, ship_as, feature)):
            draft = rule_text.draft(
                name="Draft",
                priority=priority,
                when=when,
                hold=hold,
                leave=leave,
                route=route,
                split=split,
                ship_as=ship_as,
                feature=feature,
                text=text,
            )
        decided = api.post(f"/v1/orders/{finding.order_id(api, order)}:testRouting", {"draft": draft})
        if as_json:
            display.document(decided)
            return
        explaining.decision(decided)
        display.note("Nothing was changed.")


def _pairs(given: list[str] | None, hint: str, *, upper: bool = False) -> dict[str, str] | None:
    if given is None:
        return None
    pairs = [each.rpartition("=") for each in given if each]
    if any(not name or not value for name, _, value in pairs):
        raise typer.BadParameter("Give both sides: NAME=VALUE.", param_hint=hint)
    return {name.strip(): value.strip().upper() if upper else value.strip() for name, _, value in pairs}


def _show(found: Json, *, as_json: bool) -> None:
    if as_json:
        display.document(found)
        return

    def lines(pairs: dict[str, Any]) -> str:
        return "\n".join(f"{name} → {value}" for name, value in pairs.items())

    def yes(name: str) -> str:
        return "yes" if found[name] else "no"

    display.facts(
        [
            ("orders are taken in", yes("is_on")),
            ("tracking is stopped", found["tracking_stop"]),
            ("merchant", found["merchant_id"] or "none: orders are held"),
            ("warehouses", "\n".join(found["platform_warehouse_ids"]) or "none: orders are held"),
            ("speed", found["default_speed"]),
            ("by delivery option", lines(found["speeds"])),
            ("policy", found["fulfillment_policy"]),
            ("wait", display.span(found["wait_seconds"]) if found["wait_seconds"] else ""),
            ("safety stock", found["safety_stock"]),
            ("samples", yes("route_sample_orders")),
            ("replacements", yes("route_replacement_orders")),
            ("tells Amazon's numbers", yes("prefer_amazon_tracking")),
            ("carriers", lines(found["carriers"])),
            ("tells stock", yes("push_stock")),
            ("previews", yes("preview_orders")),
            ("ids at Amazon begin", found["order_prefix"]),
            ("packing slip", found["packing_slip_comment"]),
        ]
    )
