"""Shipping: what may be sent, by whom, with which number, and what becomes of a package afterwards."""

import re
from collections.abc import Iterable
from typing import Any

from sandbox.tiktok_shop import catalog, events, orders, packages, people, products
from sandbox.tiktok_shop.answers import Refusal
from sandbox.tiktok_shop.people import Shop
from sandbox.tiktok_shop.state import ShopState, new_id

# Markets in which a seller marks packages as shipped; elsewhere packages exist already and are shipped by their id.
MARK_SHIPPED = ("US", "GB", "ES", "IE", "IT", "DE", "FR", "JP")
NOT_THIS_REGION, BY_PLATFORM, NOT_SHIPPABLE = 21008106, 21008025, 21001001
ALREADY_SHIPPED, ALREADY_DELIVERED, CANCELLED, LINE_CANCELLED = 21011006, 21011020, 21011041, 21011042
OPEN_REQUEST, SEVERAL_PACKAGES, NOT_ITS_LINE = 21011007, 21011048, 21011029
BAD_TRACKING, BAD_PROVIDER, PROVIDER_MISMATCH, TRACKING_MISMATCH = 21004012, 21004015, 21008116, 21004016
TRACKING_USED, TRACKING_USED_TOO_OFTEN = 21011025, 21011026
EDIT_TOO_LATE, EDITED_ALREADY = 21011050, 21011051
_TRACKING = re.compile("[A-Za-z0-9]{4,40}")
# Carriers whose numbers have one form only.
_FORMS = {"UPS": re.compile("1Z[A-Z0-9]{16}")}


def check_order(state: ShopState, order: dict[str, Any]) -> None:
    """Whether the seller may ship something of an order. Raises Refusal."""
    if order["fulfillment_type"] == "FULFILLMENT_BY_TIKTOK":
        raise Refusal(BY_PLATFORM, "The order is fulfilled by the platform.")
    if order["status"] == "CANCELLED":
        raise Refusal(CANCELLED, "The order is cancelled.")
    if order["status"] in ("UNPAID", "ON_HOLD"):
        raise Refusal(NOT_SHIPPABLE, f"An order that is {order['status']} cannot be shipped yet.")
    pending = state.store.number(
        "SELECT count(*) FROM shop_aftersale WHERE order_id = ? AND status IN"
        " ('CANCELLATION_REQUEST_PENDING', 'RETURN_OR_REFUND_REQUEST_PENDING')",
        order["id"],
    )
    if order["is_buyer_request_cancel"] or pending:
        raise Refusal(OPEN_REQUEST, "The buyer has an open request. Answer it first.")


def shipping_type(state: ShopState, package: dict[str, Any]) -> str:
    """Who ships a package: SELLER or TIKTOK."""
    return str(orders.find(state, package["order_ids"][0])["shipping_type"])


def choose_lines(order: dict[str, Any], wanted: list[str]) -> list[dict[str, Any]]:
    """The lines of an order that are to be shipped: those named, or all that are left. Raises Refusal."""
    by_id = {line["id"]: line for line in order["lines"]}
    for line_id in wanted:
        if line_id not in by_id:
            raise Refusal(NOT_ITS_LINE, "A line item does not belong to the order.")
        if by_id[line_id]["cancelled"]:
            raise Refusal(LINE_CANCELLED, "A line item is cancelled.")
    open_lines = [line for line in order["lines"] if not line["cancelled"]]
    left = [line for line in open_lines if line["package_status"] == "TO_FULFILL"]
    if not left:
        delivered = order["status"] in ("DELIVERED", "COMPLETED")
        raise Refusal(ALREADY_DELIVERED if delivered else ALREADY_SHIPPED, "The order has been shipped already.")
    if not wanted:
        if len(left) < len(open_lines):
            raise Refusal(SEVERAL_PACKAGES, "The order has several packages: name the line items.")
        return left
    chosen = [by_id[line_id] for line_id in dict.fromkeys(wanted)]
    if any(line["package_status"] != "TO_FULFILL" for line in chosen):
        raise Refusal(ALREADY_SHIPPED, "A line item has been shipped already.")
    return chosen


def check_carrier(
    state: ShopState, shop: Shop, order_ids: Iterable[str], provider_id: str, number: str, own_package: str = ""
) -> str:
    """Whether a carrier and a tracking number may be used. Returns the carrier's name. Raises Refusal."""
    names = catalog.carriers(shop.region)
    if provider_id not in names:
        elsewhere = any(provider_id in catalog.carriers(region) for region in ("US", "GB", "SG"))
        raise Refusal(
            PROVIDER_MISMATCH if elsewhere else BAD_PROVIDER, "shipping_provider_id is not one of the delivery option."
        )
    if not _TRACKING.fullmatch(number):
        raise Refusal(BAD_TRACKING, "tracking_number must have letters and digits only, 4 to 40 of them.")
    form = _FORMS.get(names[provider_id])
    if form is not None and not form.fullmatch(number):
        raise Refusal(TRACKING_MISMATCH, "tracking_number has not the form of this carrier's numbers.")
    others = [
        packages.load(row)
        for row in state.store.all(
            "SELECT doc FROM shop_package WHERE tracking_number = ? AND id != ? AND status != 'CANCELLED'",
            *(number, own_package),
        )
    ]
    sharing = {order_id for package in others for order_id in package["order_ids"]}
    if sharing & set(order_ids):
        raise Refusal(TRACKING_USED, "tracking_number is used by another package of the order.")
    if len(sharing) >= state.settings.orders_per_tracking_number:
        raise Refusal(TRACKING_USED_TOO_OFTEN, "tracking_number is shared by too many orders.")
    return names[provider_id]


def send(
    state: ShopState,
    order: dict[str, Any],
    lines: list[dict[str, Any]],
    provider: tuple[str, str],
    number: str,
    at: float,
) -> dict[str, Any]:
    """Put lines of an order into a new package and ship it; call it inside a transaction. `provider` is id and name."""
    tag = "SPLIT" if len(lines) < sum(not line["cancelled"] for line in order["lines"]) else "DEFAULT"
    package = packages.new(state, order["shop_id"], [order["id"]], [line["id"] for line in lines], at, tag)
    for line in lines:
        _leave_package(state, line, at)
        line["package_id"] = package["id"]
    orders.save(state, order, at)
    ship(state, package, provider, number, at)
    return package


def _leave_package(state: ShopState, line: dict[str, Any], at: float) -> None:
    """A line that goes into a package of its own is no longer in the one that waited for it."""
    if not line["package_id"]:
        return
    waiting = packages.find(state, line["package_id"])
    waiting["lines"].remove(line["id"])
    if waiting["lines"]:
        packages.save(state, waiting, at)
    else:
        packages.remove(state, waiting["id"])


def ship(state: ShopState, package: dict[str, Any], provider: tuple[str, str], number: str, at: float) -> None:
    """Ship a package that waits; call it inside a transaction."""
    package.update(provider_id=provider[0], provider_name=provider[1], tracking_number=number, ship_time=int(at))
    _progress(state, package, "PROCESSING", at)
    state.later(at + state.settings.collect_seconds, "package_collected", package["id"])


def collect(state: ShopState, package_id: str, at: float) -> None:
    """The carrier scans a package."""
    package = packages.find(state, package_id)
    if package["status"] == "PROCESSING":
        package["collect_time"] = int(at)
        _progress(state, package, "FULFILLING", at)
        state.later(at + state.settings.transit_seconds, "package_delivered", package_id)


def deliver(state: ShopState, package_id: str, at: float) -> None:
    """The carrier delivers a package."""
    package = packages.find(state, package_id)
    if package["status"] == "FULFILLING":
        package["deliver_time"] = int(at)
        _progress(state, package, "COMPLETED", at)


def _progress(state: ShopState, package: dict[str, Any], status: str, at: float) -> None:
    package["status"] = status
    packages.save(state, package, at)
    for order_id in package["order_ids"]:
        order = orders.find(state, order_id)
        lines = [line for line in order["lines"] if line["id"] in package["lines"] and not line["cancelled"]]
        for line in lines:
            line["package_status"] = status
            if status == "PROCESSING":
                line["rts_time"] = order["rts_time"] = int(at)
        if status == "PROCESSING":
            products.release(state, orders.units(state, order, lines))
        orders.recount(state, order, at)


def ship_for_platform(state: ShopState, order_id: str, at: float) -> None:
    """The platform ships what it fulfils itself."""
    order = orders.find(state, order_id)
    lines = [line for line in order["lines"] if line["package_status"] == "TO_FULFILL"]
    if order["status"] in ("AWAITING_SHIPMENT", "PARTIALLY_SHIPPING") and lines:
        provider = next(iter(catalog.carriers(people.shop(state, order["shop_id"]).region).items()))
        send(state, order, lines, provider, platform_number(), at)


def platform_number() -> str:
    """A tracking number of a platform's label."""
    return f"TT{new_id('9', 16)}"


def tell_packages(
    state: ShopState, shop_id: str, kind: str, changed: Iterable[dict[str, Any]], at: float, role: str = "SELLER"
) -> None:
    """Queue PACKAGE_UPDATE: packages were split, combined or taken apart."""
    told = [{"package_id": one["id"], "order_id_list": one["order_ids"]} for one in changed]
    data = {"sc_type": kind, "role_type": role, "package_list": told, "update_time": int(at)}
    events.tell_shop(state, "PACKAGE_UPDATE", shop_id, data, at)


def split(state: ShopState, order: dict[str, Any], groups: list[list[str]], at: float) -> list[dict[str, Any]]:
    """Put the lines of an order into one package per group, before they are shipped; call it inside a transaction.

    The lines that no group names stay where they are.
    """
    by_id = {line["id"]: line for line in order["lines"]}
    made = []
    for group in groups:
        for line_id in group:
            _leave_package(state, by_id[line_id], at)
        package = packages.new(state, order["shop_id"], [order["id"]], list(group), at, "SPLIT")
        for line_id in group:
            by_id[line_id]["package_id"] = package["id"]
        made.append(package)
    order["tag"] = "SPLIT"
    orders.save(state, order, at)
    tell_packages(state, order["shop_id"], "SPLIT", made, at)
    return made


def combine(state: ShopState, shop: Shop, parts: list[dict[str, Any]], at: float) -> dict[str, Any]:
    """One package for several that wait and go to the same buyer; call it inside a transaction."""
    order_ids = list(dict.fromkeys(order_id for part in parts for order_id in part["order_ids"]))
    lines = [line for part in parts for line in part["lines"]]
    package = packages.new(state, shop.id, order_ids, lines, at, "COMBINE")
    for part in parts:
        packages.remove(state, part["id"])
    _repack(state, order_ids, package, "COMBINED", at)
    tell_packages(state, shop.id, "COMBINE", [package], at)
    return package


def uncombine(state: ShopState, shop: Shop, package: dict[str, Any], at: float) -> list[dict[str, Any]]:
    """Take a combined package apart: one for each of its orders; call it inside a transaction."""
    packages.remove(state, package["id"])
    made = []
    for order_id in package["order_ids"]:
        order = orders.find(state, order_id)
        lines = [line["id"] for line in order["lines"] if line["id"] in package["lines"]]
        single = packages.new(state, shop.id, [order_id], lines, at)
        _repack(state, [order_id], single, "", at)
        made.append(single)
    tell_packages(state, shop.id, "CANCEL_COMBINE", made, at)
    return made


def _repack(state: ShopState, order_ids: list[str], package: dict[str, Any], tag: str, at: float) -> None:
    for order_id in order_ids:
        order = orders.find(state, order_id)
        for line in order["lines"]:
            if line["id"] in package["lines"]:
                line["package_id"] = package["id"]
        order["tag"] = tag
        orders.save(state, order, at)
