"""Packages: shipped, corrected, searched, split and combined (scopes `seller.fulfillment.…`)."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.tiktok_shop import addresses, catalog, orders, packages, paging, shipping
from sandbox.tiktok_shop.answers import Refusal
from sandbox.tiktok_shop.gate import Body, Call, NoQuery, Operation, Query
from sandbox.tiktok_shop.order_api import Direction, Time
from sandbox.tiktok_shop.state import ShopState

_BASIC, _WRITE = ("seller.fulfillment.basic",), ("seller.fulfillment.package.write",)
INVALID = shipping.NOT_SHIPPABLE


class _Carrier(Body):
    tracking_number: str
    shipping_provider_id: str


class _Mark(_Carrier):
    order_line_item_ids: list[str] = Field(default=[], max_length=200)


class _Slot(Body):
    start_time: Time
    end_time: Time


class _Ship(Body):
    handover_method: Literal["PICKUP", "DROP_OFF"] | None = None
    pickup_slot: _Slot | None = None
    self_shipment: _Carrier | None = None


class _ShipOne(_Ship):
    id: str


class _ShipMany(Body):
    packages: Annotated[list[_ShipOne], Field(min_length=1, max_length=50)]


class _Search(Query):
    page_size: Annotated[int, Field(ge=1, le=50)]
    page_token: str = ""
    sort_field: Literal["create_time", "update_time"] = "create_time"
    sort_order: Direction = "DESC"


class _Filter(Body):
    create_time_ge: Time | None = None
    create_time_lt: Time | None = None
    update_time_ge: Time | None = None
    update_time_lt: Time | None = None
    package_status: Literal["PROCESSING", "FULFILLING", "COMPLETED", "CANCELLED"] | None = None


class _Group(Body):
    id: str
    order_line_item_ids: Annotated[list[str], Field(min_length=1)]


class _Split(Body):
    splittable_groups: Annotated[list[_Group], Field(min_length=1, max_length=50)]


class _Combinable(Body):
    id: str
    order_ids: list[str] = Field(default=[], max_length=50)


class _Combine(Body):
    combinable_packages: Annotated[list[_Combinable], Field(min_length=2, max_length=20)]


_CONDITIONS = {
    "create_time_ge": "create_time >= ?",
    "create_time_lt": "create_time < ?",
    "update_time_ge": "update_time >= ?",
    "update_time_lt": "update_time < ?",
    "package_status": "status = ?",
}


def _mark(state: ShopState, call: Call) -> dict[str, Any]:
    body: _Mark = call.body
    order = orders.own(state, call.shop, call.path["order_id"])
    if call.shop.region not in shipping.MARK_SHIPPED:
        raise Refusal(shipping.NOT_THIS_REGION, "This call is not for this market: ship the package by its id.")
    shipping.check_order(state, order)
    if order["shipping_type"] == "TIKTOK":
        raise Refusal(shipping.NOT_THIS_REGION, "The order has a label of the platform: create a package.")
    lines = shipping.choose_lines(order, body.order_line_item_ids)
    name = shipping.check_carrier(state, call.shop, [order["id"]], body.shipping_provider_id, body.tracking_number)
    provider = (body.shipping_provider_id, name)
    package = shipping.send(state, order, lines, provider, body.tracking_number, state.clock.now())
    return {"order_id": order["id"], "order_line_item_ids": package["lines"], "package_id": package["id"]}


def _ship(state: ShopState, call: Call) -> dict[str, Any]:
    _ship_package(state, call, call.path["package_id"], call.body)
    return {}


def _ship_many(state: ShopState, call: Call) -> dict[str, Any]:
    errors = []
    for one in call.body.packages:
        try:
            _ship_package(state, call, one.id, one)
        except Refusal as refusal:
            errors.append({"code": refusal.code, "message": refusal.message, "detail": {"package_id": one.id}})
    return {"errors": errors} if errors else {}


def _ship_package(state: ShopState, call: Call, package_id: str, how: _Ship) -> None:
    package = packages.own(state, call.shop, package_id)
    if call.shop.region in shipping.MARK_SHIPPED and shipping.shipping_type(state, package) == "SELLER":
        raise Refusal(shipping.NOT_THIS_REGION, "In this market a seller marks packages of an order as shipped.")
    for order_id in package["order_ids"]:
        shipping.check_order(state, orders.find(state, order_id))
    if package["status"] == "CANCELLED":
        raise Refusal(shipping.LINE_CANCELLED, "The package is cancelled.")
    if package["status"] != "TO_FULFILL":
        delivered = package["status"] == "COMPLETED"
        code = shipping.ALREADY_DELIVERED if delivered else shipping.ALREADY_SHIPPED
        raise Refusal(code, "The package has been shipped already.")
    now = state.clock.now()
    if shipping.shipping_type(state, package) == "SELLER":
        if how.self_shipment is None:
            raise Refusal(INVALID, "body.self_shipment is missing: the seller ships this package.")
        carrier = how.self_shipment
        name = shipping.check_carrier(
            *(state, call.shop, package["order_ids"], carrier.shipping_provider_id, carrier.tracking_number)
        )
        shipping.ship(state, package, (carrier.shipping_provider_id, name), carrier.tracking_number, now)
        return
    if how.handover_method is None:
        raise Refusal(INVALID, "body.handover_method is missing: the platform ships this package.")
    if how.pickup_slot is not None and how.pickup_slot.model_dump() not in [_bare(one) for one in _slots(state)]:
        raise Refusal(INVALID, "body.pickup_slot is not one of the package's slots.")
    package["handover_method"] = how.handover_method
    package["pickup_slot"] = how.pickup_slot.model_dump() if how.pickup_slot else None
    provider = next(iter(catalog.carriers(call.shop.region).items()))
    shipping.ship(state, package, provider, shipping.platform_number(), now)


def _slots(state: ShopState) -> list[dict[str, Any]]:
    """Four hours each, from tomorrow's 08:00 UTC on."""
    first = (int(state.clock.now()) // 86_400 + 1) * 86_400 + 8 * 3600
    return [
        {"start_time": first + number * 14_400, "end_time": first + (number + 1) * 14_400, "avaliable": number != 1}
        for number in range(3)
    ]


def _bare(slot: dict[str, Any]) -> dict[str, Any]:
    return {"start_time": slot["start_time"], "end_time": slot["end_time"]} if slot["avaliable"] else {}


def _handover(state: ShopState, call: Call) -> dict[str, Any]:
    packages.own(state, call.shop, call.path["package_id"])
    return {"can_pickup": True, "can_drop_off": True, "can_van_collection": False, "drop_off_point_url": "",
            "pickup_slots": _slots(state)}  # fmt: skip


def _edit_order(state: ShopState, call: Call) -> dict[str, Any]:
    order = orders.own(state, call.shop, call.path["order_id"])
    ids = {line["package_id"] for line in order["lines"] if not line["cancelled"]} - {""}
    if len(ids) > 1:
        raise Refusal(shipping.SEVERAL_PACKAGES, "The order has several packages: correct them by their ids.")
    if not ids:
        raise Refusal(INVALID, "The order has not been shipped yet.")
    _edit(state, call, packages.find(state, ids.pop()))
    return {}


def _edit_package(state: ShopState, call: Call) -> dict[str, Any]:
    _edit(state, call, packages.own(state, call.shop, call.path["package_id"]))
    return {}


def _edit(state: ShopState, call: Call, package: dict[str, Any]) -> None:
    body: _Carrier = call.body
    now = state.clock.now()
    if shipping.shipping_type(state, package) != "SELLER":
        raise Refusal(shipping.BY_PLATFORM, "Only what the seller ships can be corrected.")
    if package["status"] == "CANCELLED":
        raise Refusal(shipping.LINE_CANCELLED, "The package is cancelled.")
    if package["ship_time"] is None:
        raise Refusal(INVALID, "The package has not been shipped yet.")
    if package["edits"]:
        raise Refusal(shipping.EDITED_ALREADY, "The shipping information was corrected once already.")
    if int(now) - package["ship_time"] > state.settings.edit_seconds:
        raise Refusal(shipping.EDIT_TOO_LATE, "The time in which shipping information can be corrected is over.")
    name = shipping.check_carrier(
        *(state, call.shop, package["order_ids"], body.shipping_provider_id, body.tracking_number, package["id"])
    )
    package.update(
        provider_id=body.shipping_provider_id, provider_name=name, tracking_number=body.tracking_number, edits=1
    )
    packages.save(state, package, now)
    for order_id in package["order_ids"]:
        orders.save(state, orders.find(state, order_id), now)


def _get(state: ShopState, call: Call) -> dict[str, Any]:
    package = packages.own(state, call.shop, call.path["package_id"])
    order = orders.find(state, package["order_ids"][0])
    address = addresses.visible(order, state.clock.now())
    shown = {
        **_summary(package),
        "package_id": package["id"],
        "package_status": package["status"],
        "split_and_combine_tag": package["tag"],
        "shipping_type": order["shipping_type"],
        "delivery_option_id": order["delivery_option_id"],
        "delivery_option_name": catalog.DELIVERY_OPTIONS[order["delivery_option_id"]][0],
        "handover_method": package["handover_method"],
        "has_multi_skus": len({line["sku_id"] for line in order["lines"] if line["id"] in package["lines"]}) > 1,
        "last_mile_tracking_number": "",
        "note_tag": "BUYER_NOTED" if order["buyer_message"] else "BUYER_UNNOTED",
        "recipient_address": {name: value for name, value in address.items() if isinstance(value, str)},
    }
    del shown["id"], shown["status"]
    optional = {name: package[name] for name in ("pickup_slot", "dimension", "weight")}
    return {**shown, **{name: value for name, value in optional.items() if value}}


def _summary(package: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": package["id"],
        "status": package["status"],
        "create_time": package["create_time"],
        "update_time": package["update_time"],
        "orders": [{"id": order_id} for order_id in package["order_ids"]],
        "order_line_item_ids": package["lines"],
        "shipping_provider_id": package["provider_id"],
        "shipping_provider_name": package["provider_name"],
        "tracking_number": package["tracking_number"],
    }


def _search(state: ShopState, call: Call) -> dict[str, Any]:
    query: _Search = call.query
    where, values = ["shop_id = ?"], [call.shop.id]
    for name, value in call.body.model_dump(exclude_none=True).items():
        where.append(_CONDITIONS[name])
        values.append(value)
    sort = (query.sort_field, query.sort_order)
    rows, following, total = paging.rows(
        *(state, "shop_package", where, values, sort, query.page_size, query.page_token), INVALID
    )
    found = [_summary(packages.load(row)) for row in rows]
    return {"packages": found, "next_page_token": following, "total_count": total}


def _split(state: ShopState, call: Call) -> dict[str, Any]:
    groups: list[_Group] = call.body.splittable_groups
    order = orders.own(state, call.shop, call.path["order_id"])
    shipping.check_order(state, order)
    named = [line for group in groups for line in group.order_line_item_ids]
    if len(named) != len(set(named)):
        raise Refusal(INVALID, "body.splittable_groups name a line item twice.")
    shipping.choose_lines(order, named)
    made = shipping.split(state, order, [group.order_line_item_ids for group in groups], state.clock.now())
    pairs = zip(groups, made, strict=True)
    return {"packages": [{"splittable_group_id": group.id, "id": package["id"]} for group, package in pairs]}


def _combine(state: ShopState, call: Call) -> dict[str, Any]:
    wanted = dict.fromkeys(one.id for one in call.body.combinable_packages)
    found = [packages.own(state, call.shop, package_id) for package_id in wanted]
    first = orders.find(state, found[0]["order_ids"][0])
    errors = []
    for package in found:
        order = orders.find(state, package["order_ids"][0])
        same = all(order[name] == first[name] for name in ("user_id", "address", "warehouse_id", "shipping_type"))
        if package["status"] != "TO_FULFILL" or not same:
            message = "The package is shipped, or goes to somebody else."
            errors.append({"code": INVALID, "message": message, "detail": {"package_id": package["id"]}})
    if errors or len(found) < 2:
        return {"packages": [], "errors": errors}
    package = shipping.combine(state, call.shop, found, state.clock.now())
    return {"packages": [{"id": package["id"], "order_ids": package["order_ids"]}], "errors": []}


def _uncombine(state: ShopState, call: Call) -> dict[str, Any]:
    package = packages.own(state, call.shop, call.path["package_id"])
    if package["tag"] != "COMBINE" or package["status"] != "TO_FULFILL":
        raise Refusal(INVALID, "The package was not combined, or is shipped.")
    made = shipping.uncombine(state, call.shop, package, state.clock.now())
    return {"packages": [{"id": one["id"], "order_ids": one["order_ids"]} for one in made]}


_V, _PATH = ("202309",), "/fulfillment/{version}/packages"
_ORDER, _ONE = "/fulfillment/{version}/orders/{order_id}", f"{_PATH}/{{package_id}}"
OPERATIONS = [
    Operation("mark_shipped", "POST", f"{_ORDER}/packages", _V, _BASIC, _mark, NoQuery, _Mark, invalid=INVALID),
    Operation("package_ship", "POST", f"{_ONE}/ship", _V, _BASIC, _ship, NoQuery, _Ship, invalid=INVALID),
    Operation("packages_ship", "POST", f"{_PATH}/ship", _V, _BASIC, _ship_many, NoQuery, _ShipMany, invalid=INVALID),
    Operation(
        "order_shipping_update", "POST", f"{_ORDER}/shipping_info/update", _V, ("seller.logistics",), _edit_order,
        NoQuery, _Carrier, invalid=INVALID,
    ),
    Operation(
        "package_shipping_update", "POST", f"{_ONE}/shipping_info/update", _V, _BASIC, _edit_package, NoQuery,
        _Carrier, invalid=INVALID,
    ),
    Operation("package_get", "GET", _ONE, _V, _BASIC, _get),
    Operation("package_search", "POST", f"{_PATH}/search", _V, _BASIC, _search, _Search, _Filter, invalid=INVALID),
    Operation("handover_time_slots", "GET", f"{_ONE}/handover_time_slots", _V, _WRITE, _handover),
    Operation("order_split", "POST", f"{_ORDER}/split", _V, _WRITE, _split, NoQuery, _Split, invalid=INVALID),
    Operation("packages_combine", "POST", f"{_PATH}/combine", _V, _WRITE, _combine, NoQuery, _Combine, invalid=INVALID),
    Operation("package_uncombine", "POST", f"{_ONE}/uncombine", _V, _WRITE, _uncombine),
]  # fmt: skip
