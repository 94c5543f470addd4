"""Amazon's part of the control page, and its forms."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sandbox.amazon_sp import control, life, sellers, stock
from sandbox.amazon_sp.fates import Fate
from sandbox.amazon_sp.state import NAME, AmazonState
from sandbox.html import Cell, button, field, form, hidden, select, table, when
from sandbox.problems import first_problem

_NUMBERS = (
    *("rate_multiplier", "visible_seconds", "received_seconds", "planning_seconds", "processing_seconds"),
    *("ship_seconds", "transit_seconds", "aftn_seconds", "stock_seconds", "split_share", "replan_share"),
    *("invalid_share", "unfulfillable_share", "access_token_seconds"),
)
_CHOICES = {
    "status_spelling": ("model", "notifications", "upper"),
    "aftn": ("single_unit", "all", "never"),
    "outage": ("off", "error", "reset"),
}


def render(state: AmazonState) -> str:
    """Sellers, orders, stock, fates and settings as safe HTML."""
    names = [one.name for one in sellers.sellers(state)]
    now = state.settings.model_dump(mode="json")
    return (
        "<h2>Amazon SP-API</h2><h3>Amazon sellers</h3>"
        + table(
            ("seller", "merchant", "marketplaces", "connected", ""),
            (
                (
                    one["name"], one["merchant_id"], ", ".join(one["marketplaces"]),
                    "yes" if one["connected"] else "no", _seller_buttons(one),
                )
                for one in control.describe_sellers(state)
            ),
        )
        + "<h3>Fulfilment orders</h3>"
        + table(
            ("time", "seller", "order", "shown as", "status", "items", "packages", "next", ""),
            (_order_row(order) for order in control.list_orders(state, limit=60)),
        )
        + "<h3>Fates to come</h3>"
        + table(
            ("for order", "for SKU", "fate", "left"),
            (
                (one["order_id"] or "any", one["sku"] or "any", str(one["fate"]), str(one["remaining"]))
                for one in control.waiting_fates(state)
            ),
        )
        + form(
            f"{NAME}/fate",
            select("check", ("good", "invalid", "unfulfillable")) + field("shipments", "1") + field("packages", "1")
            + field("replans", "0") + field("short_units", "0") + field("delay_seconds", "0") + field("carrier_code")
            + select("lose_aftn", ("False", "True")) + field("sku") + field("count", "1")
            + button("Let this become of the next orders"),
        )
        + "<h3>Stock</h3>"
        + table(
            ("seller", "SKU", "can be sent", "shown", "reserved", "inbound", "sold here", "sold by Amazon's shop", ""),
            (_stock_row(stock.summary(row)) for name in names for row in stock.skus(state, name)),
        )
        + "<h3>Settings</h3>"
        + form(
            f"{NAME}/settings",
            "".join(field(name, f"{now[name]:g}") for name in _NUMBERS)
            + "".join(select(name, choices, now[name]) for name, choices in _CHOICES.items())
            + button("Change settings"),
        )
    )  # fmt: skip


def perform(state: AmazonState, operation: str, fields: Mapping[str, str]) -> None:
    """Carry out a form. Raises KeyError for an unknown one, ValueError with a sentence for bad fields."""
    given = {name: value for name, value in fields.items() if value != ""}
    try:
        match operation:
            case "revoke":
                sellers.revoke(state, given["name"])
            case "grant":
                sellers.grant(state, given["name"], sellers.first_refresh_token(given["name"]))
            case "expire":
                sellers.expire_tokens(state, given["name"])
            case "dormant":
                sellers.set_dormant(state, given["name"], given["dormant"] == "True")
            case "advance":
                control.advance(state, given["seller"], given["id"])
            case "fate":
                more = {name: given.pop(name) for name in ("sku", "count") if name in given}
                fate = Fate.model_validate(given)
                control.order_fate(state, control.FateOrder.model_validate({"fate": fate, **more}))
            case "sell" | "receive":
                _move(state, operation, given)
            case "settings":
                state.change_settings(given)
            case _:
                raise KeyError(operation)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def _move(state: AmazonState, operation: str, given: Mapping[str, str]) -> None:
    units = control.Move.model_validate({"quantity": given.get("quantity", "")}).quantity
    key, now = (given["seller"], given["sku"]), state.clock.now()
    with state.store.transaction():
        if operation == "sell":
            stock.sell(state, *key, units, now)
        else:
            stock.receive(state, *key, units, now)
            life.goods_arrived(state, *key, now)


def _order_row(order: life.Order) -> list[str]:
    doc = order.doc
    packages = [
        f"{package['carrier']} {package['tracking'] or package['aftn'] or 'no number'}"
        for shipment in doc["shipments"] for package in shipment["packages"] if package["shown"]
    ]  # fmt: skip
    me = hidden("seller", order.seller) + hidden("id", order.id)
    return [
        *(when(order.created), order.seller, order.id, order.displayable_id, order.status),
        ", ".join(f"{line['quantity']} x {line['sku']}" for line in doc["lines"]),
        "; ".join(packages),
        f"{doc['agenda'][0][1]} at {when(doc['agenda'][0][0])}" if doc["agenda"] else "",
        Cell(form(f"{NAME}/advance", me + button("next"))) if doc["agenda"] else "",
    ]


def _stock_row(one: dict[str, Any]) -> list[str]:
    me = hidden("seller", one["seller"]) + hidden("sku", one["sku"]) + field("quantity", "1")
    inbound = sum(one[name] for name in stock.INBOUND)
    return [
        one["seller"], one["sku"], str(one["fulfillable"]) if one["fba"] else "not at Amazon",
        str(one["shown"]["fulfillable"]), str(one["reserved"]), str(inbound), str(one["sold"]), str(one["shop_sold"]),
        Cell(form(f"{NAME}/sell", me + button("sell")) + form(f"{NAME}/receive", me + button("receive"))),
    ]  # fmt: skip


def _seller_buttons(one: dict[str, Any]) -> Cell:
    me = hidden("name", one["name"])
    sleep = hidden("dormant", str(not one["dormant"])) + button("wake" if one["dormant"] else "put to sleep")
    connection = (
        form(f"{NAME}/revoke", me + button("withdraw"))
        if one["connected"] else form(f"{NAME}/grant", me + button("grant again"))
    )  # fmt: skip
    return Cell(connection + form(f"{NAME}/expire", me + button("expire access")) + form(f"{NAME}/dormant", me + sleep))
