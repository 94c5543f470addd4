"""TikTok Shop's part of the control page, and its forms."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sandbox.html import Cell, button, field, form, hidden, select, table, when
from sandbox.problems import first_problem
from sandbox.tiktok_shop import (
    aftersales,
    authorisation,
    control,
    creator_control,
    creators,
    orders,
    people,
    shop_control,
)
from sandbox.tiktok_shop.orders import NewLine, NewOrder
from sandbox.tiktok_shop.state import NAME, ShopState

_NUMBERS = (
    *("hold_seconds", "collect_seconds", "transit_seconds", "complete_seconds", "cancel_answer_seconds"),
    *("post_seconds", "posts_per_day", "calls_per_second", "calls_per_hour", "access_token_seconds"),
)
_SWITCHES = ("rotate_refresh_tokens", "errors_as_200", "zero_stock", "local_webhooks")


def render(state: ShopState) -> str:
    """Sellers, orders, cases, products, creators, posts, settings and webhooks as safe HTML."""
    shops = {one.id: one.name for one in people.shops(state)}
    return (
        "<h2>TikTok Shop</h2><h3>Sellers</h3>"
        + table(
            ("seller", "shops", "connected", ""),
            (
                (
                    one["title"], ", ".join(f"{shop['name']} ({shop['region']})" for shop in one["shops"]),
                    "yes" if one["connected"] else "no", _token_buttons("seller", one["name"]),
                )
                for one in control.describe_sellers(state)
            ),
        )
        + "<h3>Orders</h3>"
        + table(
            ("time", "shop", "order", "status", "lines", "total", "buyer", "notes", ""),
            (_order_row(one, shops) for one in shop_control.describe_orders(state, limit=60)),
        )
        + form(
            f"{NAME}/order",
            select("shop", shops.values())
            + field("sku_id", "1729662786851694749")
            + field("quantity", "1")
            + select("status", ("AWAITING_SHIPMENT", "ON_HOLD", "UNPAID"))
            + select("shipping_type", ("SELLER", "TIKTOK"))
            + button("A buyer orders"),
        )
        + "<h3>Cancellations and returns</h3>"
        + table(
            ("time", "order", "type", "status", "by", "reason", "answer until", ""),
            (
                (
                    when(one["create_time"]), one["order_id"], one["type"], one["status"], one["role"], one["reason"],
                    when(one["deadline"]), _case_buttons(one),
                )
                for one in shop_control.describe_cases(state, 30)
            ),
        )
        + "<h3>Products</h3>"
        + table(
            ("shop", "product", "title", "status", "SKUs: seller SKU, price, available + committed", ""),
            (_product_row(one, shops) for one in shop_control.describe_products(state)),
        )
        + "<h3>Creators of the shop</h3>"
        + table(
            ("username", "nickname", "posting", "connected", "posts today", ""),
            (
                (
                    one["username"], one["nickname"], "restricted" if one["restricted"] else "allowed",
                    "yes" if one["connected"] else "no", str(one["posts_of_the_day"]),
                    Cell(
                        form(
                            f"{NAME}/creator",
                            hidden("username", one["username"]) + hidden("restricted", str(not one["restricted"]))
                            + button("allow" if one["restricted"] else "restrict"),
                        )
                        + _token_buttons("creator", one["username"])
                    ),
                )
                for one in creator_control.describe_creators(state)
            ),
        )
        + form(f"{NAME}/add_creator", field("username") + field("nickname") + button("Add a creator"))
        + "<h3>Shoppable posts</h3>"
        + table(
            ("time", "creator", "kind", "title", "products", "status", "reason", ""),
            (
                (
                    when(one["create_time"]), one["username"], one["kind"], one["title"][:80],
                    ", ".join(one["products"]), one["status"], one["reason"],
                    Cell(form(f"{NAME}/remove_post", hidden("id", one["id"]) + button("remove")))
                    if one["status"] == "SUCCESS" else "",
                )
                for one in creator_control.describe_posts(state, limit=30)
            ),
        )
        + "<h3>Verdicts to come</h3>"
        + table(
            ("of", "reason", "for", "left"),
            (
                (one["kind"], one["reason"], one["subject"] or "any", str(one["remaining"]))
                for one in shop_control.verdicts(state)
            ),
        )
        + form(
            f"{NAME}/verdict",
            select("kind", ("post", "precheck", "product")) + field("reason", "Policy") + field("subject")
            + field("count", "1") + button("Let the next ones end badly"),
        )
        + "<h3>Settings</h3>"
        + form(f"{NAME}/settings", _setting_fields(state) + button("Change settings"))
        + "<h3>Webhooks</h3>"
        + table(
            ("time", "event", "to", "outcome", "tries", "last answer"),
            (
                (
                    when(one["create_time"]), one["event"], one["url"], one["outcome"], str(one["attempts"]),
                    one["last_answer"],
                )
                for one in state.webhooks.entries(NAME, 30)
            ),
        )
    )  # fmt: skip


def perform(state: ShopState, operation: str, fields: Mapping[str, str]) -> None:
    """Carry out a form. Raises KeyError for an unknown one, ValueError with a sentence for bad fields."""
    given = {name: value for name, value in fields.items() if value != ""}
    now = state.clock.now()
    try:
        match operation:
            case "withdraw":
                people.subject_open_id(state, given["kind"], given["subject"])
                authorisation.withdraw(state, given["kind"], given["subject"])
            case "expire":
                people.expire_tokens(state, given["kind"], given["subject"], "refresh_too" in given)
            case "order":
                _order(state, given)
            case "advance":
                shop_control.advance(state, given["id"])
            case "request_cancel":
                aftersales.request_cancel(state, given["id"], shop_control.CancelOrder().reason, now)
            case "request_return":
                order = shop_control.ReturnOrder()
                aftersales.request_return(state, given["id"], order.return_type, order.reason, None, now)
            case "send_back":
                with state.store.transaction():
                    aftersales.send_back(state, aftersales.find(state, given["id"]), now)
            case "product":
                change = shop_control.ProductChange.model_validate({"status": given["status"]})
                shop_control.change_product(state, given["id"], change)
            case "creator":
                change_of = creator_control.CreatorChange.model_validate({"restricted": given["restricted"]})
                creator_control.change_creator(state, given["username"], change_of)
            case "add_creator":
                new = creator_control.NewCreator.model_validate(given)
                people.add_creator(state, new.username, new.nickname or new.username, new.region)
            case "remove_post":
                creators.remove_post(state, given["id"])
            case "verdict":
                shop_control.order_verdict(state, shop_control.VerdictOrder.model_validate(given))
            case "settings":
                # Emptied addresses mean none; other empty fields are left as they are.
                none = {name: fields.get(name) or None for name in ("webhook_url", "redirect_url")}
                control.change_settings(state, none | given)
            case _:
                raise KeyError(operation)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def _order(state: ShopState, given: Mapping[str, str]) -> None:
    shop = next((one for one in people.shops(state) if one.name == given.get("shop")), None)
    if shop is None:
        raise ValueError("shop: choose one")
    line = NewLine.model_validate({name: given[name] for name in ("sku_id", "quantity") if name in given})
    more = {name: given[name] for name in ("status", "shipping_type") if name in given}
    new = NewOrder.model_validate({"shop_id": shop.id, "lines": [line], **more})
    try:
        with state.store.transaction():
            orders.create(state, new, state.clock.now())
    except KeyError as error:
        raise ValueError(f"sku_id: {shop.name} does not sell it") from error


def _order_row(order: dict[str, Any], shops: Mapping[str, str]) -> list[str]:
    units = [line["seller_sku"] or line["sku_id"] for line in order["lines"]]
    lines = ", ".join(f"{units.count(sku)} x {sku}" for sku in dict.fromkeys(units))
    notes = [
        word
        for word, holds in (
            ("cancel requested", order["is_buyer_request_cancel"]),
            ("platform ships", order["fulfillment_type"] == "FULFILLMENT_BY_TIKTOK"),
            ("platform label", order["shipping_type"] == "TIKTOK"),
            ("sample", order["is_sample_order"]),
            ("replacement", bool(order["replaced_order_id"])),
            ("cash on delivery", order["is_cod"]),
        )
        if holds
    ]
    address = order["address"]
    return [
        *(when(order["create_time"]), shops[order["shop_id"]], order["id"], order["status"], lines),
        *(f"{order['total_amount']} {order['currency']}", f"{address['first_name']} {address['last_name']}"),
        *(", ".join(notes), _order_buttons(order)),
    ]


def _order_buttons(order: dict[str, Any]) -> Cell:
    me = hidden("id", order["id"])
    buttons = ""
    if order["status"] not in ("COMPLETED", "CANCELLED"):
        buttons += form(f"{NAME}/advance", me + button("next"))
    if order["status"] in orders.EARLY and not order["is_buyer_request_cancel"]:
        buttons += form(f"{NAME}/request_cancel", me + button("buyer cancels"))
    if order["status"] == "DELIVERED":
        buttons += form(f"{NAME}/request_return", me + button("buyer returns"))
    return Cell(buttons)


def _case_buttons(case: dict[str, Any]) -> Cell:
    if case["status"] != aftersales.AWAITING_SHIP:
        return Cell("")
    return Cell(form(f"{NAME}/send_back", hidden("id", case["id"]) + button("buyer sends it back")))


def _product_row(product: dict[str, Any], shops: Mapping[str, str]) -> list[str]:
    skus = "; ".join(
        f"{sku['seller_sku'] or '(none)'} {sku['price']} "
        f"{sum(one['available'] for one in sku['stock'])} + {sum(one['committed'] for one in sku['stock'])}"
        for sku in product["skus"]
    )
    status = "PLATFORM_DEACTIVATED" if product["status"] == "ACTIVATE" else "ACTIVATE"
    switch = form(
        f"{NAME}/product",
        hidden("id", product["id"]) + hidden("status", status)
        + button("platform takes it down" if status != "ACTIVATE" else "activate"),
    )  # fmt: skip
    return [shops[product["shop_id"]], product["id"], product["title"], product["status"], skus, Cell(switch)]


def _token_buttons(kind: str, subject: str) -> Cell:
    me = hidden("kind", kind) + hidden("subject", subject)
    return Cell(
        form(f"{NAME}/withdraw", me + button("remove the app"))
        + form(f"{NAME}/expire", me + button("expire access"))
        + form(f"{NAME}/expire", me + hidden("refresh_too", "1") + button("expire all tokens"))
    )


def _setting_fields(state: ShopState) -> str:
    now = state.settings.model_dump(mode="json")
    return (
        "".join(field(name, f"{now[name]:g}") for name in _NUMBERS)
        + "".join(select(name, ("True", "False"), str(now[name])) for name in _SWITCHES)
        + select("outage", ("off", "error", "reset"), now["outage"])
        + field("redirect_url", now["redirect_url"] or "")
        + field("webhook_url", now["webhook_url"] or "")
    )
