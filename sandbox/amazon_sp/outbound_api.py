"""Fulfillment Outbound 2020-07-01: the operations, save delivery offers and returns."""

import base64
import binascii
import json
import re
from datetime import datetime
from typing import Any

from sandbox.amazon_sp import bodies, life, orders, places, stock, views
from sandbox.amazon_sp.answers import NOT_FOUND, Refusal, invalid
from sandbox.amazon_sp.gate import Call, Operation
from sandbox.amazon_sp.sellers import MARKETPLACES
from sandbox.amazon_sp.state import AmazonState, iso

_PATH = "/fba/outbound/2020-07-01"
_ORDERS = f"{_PATH}/fulfillmentOrders"
_LISTED_SECONDS = 36 * 3600.0


def parse_time(text: str, name: str) -> float:
    """A time of a query, with its zone. Raises Refusal."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise invalid(f"The value for parameter {name} is invalid: use 2026-03-27T00:00:00Z.")
    return found.timestamp()


def make_token(*values: object) -> str:
    """A `nextToken` that holds these values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def read_token(text: str, count: int) -> list[Any]:
    """The values of a `nextToken`. Raises Refusal for one that is none of ours."""
    try:
        values = json.loads(base64.urlsafe_b64decode(text.encode()))
    except (ValueError, binascii.Error):
        values = None
    if not isinstance(values, list) or len(values) != count:
        raise invalid("The value for parameter nextToken is invalid.")
    return values


def _preview(state: AmazonState, call: Call) -> dict[str, Any]:
    asked = bodies.parse(bodies.Preview, call.body)
    bodies.check_items(asked.items)
    marketplace_id = orders.marketplace_of(call.seller, asked.marketplace_id)
    country, currency = MARKETPLACES[marketplace_id]
    wishes = bodies.features(asked.feature_constraints, country)
    address = bodies.limited(asked.address, state.settings.address_limits == "cut")
    rows = {item.seller_sku: orders.own_sku(state, call.seller.name, item.seller_sku, marketplace_id)
            for item in asked.items}  # fmt: skip
    wanted: dict[str, int] = {}
    for item in asked.items:
        wanted[item.seller_sku] = wanted.get(item.seller_sku, 0) + item.quantity
    # What is on its way counts too: a preview may say yes to goods that are still on the road.
    missing = {
        sku for sku, units in wanted.items()
        if units > rows[sku]["fulfillable"] + sum(rows[sku][name] for name in stock.INBOUND)
    }  # fmt: skip
    reachable = places.deliverable(address, country, any(row["dangerous"] for row in rows.values()))
    far, blocked = places.distance(address), "BLOCK_AMZL" in wishes
    weight = sum(rows[item.seller_sku]["weight_g"] * item.quantity for item in asked.items)
    units = sum(wanted.values())
    found = []
    for speed in dict.fromkeys(asked.shipping_speed_categories or ("Standard", "Expedited", "Priority")):
        reasons = [] if reachable else ["InvalidDestinationAddress"]
        if speed not in places.speeds(country):
            reasons.append("DeliverySLAUnavailable")
        good = [item for item in asked.items if item.seller_sku not in missing]
        preview: dict[str, Any] = {
            "shippingSpeedCategory": speed,
            "isFulfillable": not reasons and not missing,
            "isCODCapable": False,
            "marketplaceId": marketplace_id,
            "orderUnfulfillableReasons": reasons,
            "unfulfillablePreviewItems": [
                {**_item(item), "itemUnfulfillableReasons": ["InsufficientInventory"]}
                for item in asked.items if item.seller_sku in missing
            ],
            "fulfillmentPreviewShipments": [],
            "featureConstraints": [one.model_dump(by_alias=True) for one in asked.feature_constraints or ()],
        }  # fmt: skip
        if not reasons and good:
            dates = places.promise(state.clock.now(), speed, far, blocked)
            names = ("earliestShipDate", "latestShipDate", "earliestArrivalDate", "latestArrivalDate")
            shipment = {name: iso(date.timestamp()) for name, date in zip(names, dates, strict=True)}
            preview["fulfillmentPreviewShipments"] = [
                {**shipment, "fulfillmentPreviewItems": [_item(item) for item in good]}
            ]
            preview["estimatedShippingWeight"] = {"unit": "GRAMS", "value": str(weight)}
            preview["estimatedFees"] = [
                {"name": name, "amount": {"currencyCode": currency, "value": str(value)}}
                for name, value in places.fees(speed, units, weight, far, blocked)
            ]
        found.append(preview)
    return {"payload": {"fulfillmentPreviews": found}}


def _item(item: bodies.PreviewItem) -> dict[str, Any]:
    return {
        "sellerSku": item.seller_sku,
        "quantity": item.quantity,
        "sellerFulfillmentOrderItemId": item.seller_fulfillment_order_item_id,
    }


def _create(state: AmazonState, call: Call) -> dict[str, Any]:
    orders.create(state, call.seller, call.body)
    return {}


def _get(state: AmazonState, call: Call) -> dict[str, Any]:
    return {"payload": views.whole_order(state, orders.visible(state, call.seller.name, call.ids[0]))}


def _list(state: AmazonState, call: Call) -> dict[str, Any]:
    now, size = state.clock.now(), state.settings.page_size
    if "nextToken" in call.query:
        since, after = read_token(call.query["nextToken"], 2)
    elif "queryStartDate" in call.query:
        since, after = parse_time(call.query["queryStartDate"], "queryStartDate"), 0
    else:
        since, after = now - _LISTED_SECONDS, 0
    if not isinstance(since, float) or not isinstance(after, int):
        raise invalid("The value for parameter nextToken is invalid.")
    rows = state.store.all(
        "SELECT * FROM amazon_order WHERE seller = ? AND (updated, number) > (?, ?) AND created <= ?"
        " ORDER BY updated, number LIMIT ?",
        *(call.seller.name, since, after, now - state.settings.visible_seconds, size + 1),
    )
    found = [life.load(row) for row in rows[:size]]
    payload: dict[str, Any] = {"fulfillmentOrders": [views.listed(state, order) for order in found]}
    if len(rows) > size:
        payload["nextToken"] = make_token(found[-1].updated, found[-1].number)
    return {"payload": payload}


def _update(state: AmazonState, call: Call) -> dict[str, Any]:
    orders.update(state, call.seller, call.ids[0], call.body)
    return {}


def _cancel(state: AmazonState, call: Call) -> dict[str, Any]:
    orders.cancel(state, call.seller, call.ids[0])
    return {}


def _move(state: AmazonState, call: Call) -> dict[str, Any]:
    order = orders.visible(state, call.seller.name, call.ids[0])
    status = bodies.parse(bodies.StatusChange, call.body).fulfillment_order_status
    try:
        orders.move(state, order, status)
    except ValueError as error:
        raise invalid(f"The status cannot be reached. {error}") from error
    return {}


def _track(state: AmazonState, call: Call) -> dict[str, Any]:
    number = call.query.get("packageNumber", "")
    if not re.fullmatch("[0-9]{1,10}", number) or int(number) >= 2**31:
        raise invalid("The value for parameter packageNumber is invalid.")
    found = life.find_package(state, int(number))
    if found is None or found[0].seller != call.seller.name or not found[1]["shown"]:
        raise Refusal(NOT_FOUND, "The package does not exist.")
    return {"payload": views.tracking(state, *found)}


def _features(state: AmazonState, call: Call) -> dict[str, Any]:
    _marketplace(call)
    found = [
        {"featureName": name, "featureDescription": text, "sellerEligible": True}
        for name, text in bodies.FEATURES.items()
    ]
    return {"payload": {"features": found}}


def _feature_inventory(state: AmazonState, call: Call) -> dict[str, Any]:
    marketplace_id, name = _marketplace(call), _feature(call)
    rows = stock.skus(state, call.seller.name)
    found = [
        {
            "sellerSku": row["sku"], "fnSku": row["fnsku"], "asin": row["asin"], "skuCount": row["fulfillable"],
            "overlappingSkus": [],
        }
        for row in rows if row["fba"] and row["marketplace_id"] == marketplace_id
    ]  # fmt: skip
    return {"payload": {"marketplaceId": marketplace_id, "featureName": name, "featureSkus": found}}


def _feature_sku(state: AmazonState, call: Call) -> dict[str, Any]:
    marketplace_id, name, sku = _marketplace(call), _feature(call), call.ids[1]
    row = stock.find(state, call.seller.name, sku)
    known = row is not None and row["fba"] and row["marketplace_id"] == marketplace_id
    payload: dict[str, Any] = {
        "marketplaceId": marketplace_id, "featureName": name, "isEligible": bool(known),
        "ineligibleReasons": [] if known else ["INVALID_SKU"],
    }  # fmt: skip
    if row is not None and known:
        count = {"sellerSku": sku, "fnSku": row["fnsku"], "asin": row["asin"], "skuCount": row["fulfillable"]}
        payload["skuInfo"] = {**count, "overlappingSkus": []}
    return {"payload": payload}


def _marketplace(call: Call) -> str:
    given = call.query.get("marketplaceId")
    if not given:
        raise invalid("Required parameters missing: MarketplaceId.")
    return orders.marketplace_of(call.seller, given)


def _feature(call: Call) -> str:
    if call.ids[0] not in bodies.FEATURES:
        raise invalid("The value for parameter featureName is invalid.")
    return call.ids[0]


OPERATIONS = [
    Operation("getFulfillmentPreview", "POST", f"{_ORDERS}/preview", _preview),
    Operation("listAllFulfillmentOrders", "GET", _ORDERS, _list),
    Operation("createFulfillmentOrder", "POST", _ORDERS, _create),
    Operation("getFulfillmentOrder", "GET", f"{_ORDERS}/*", _get),
    Operation("updateFulfillmentOrder", "PUT", f"{_ORDERS}/*", _update),
    Operation("cancelFulfillmentOrder", "PUT", f"{_ORDERS}/*/cancel", _cancel),
    Operation("submitFulfillmentOrderStatusUpdate", "PUT", f"{_ORDERS}/*/status", _move, rate=5.0, burst=15),
    Operation("getPackageTrackingDetails", "GET", f"{_PATH}/tracking", _track),
    Operation("getFeatures", "GET", f"{_PATH}/features", _features),
    Operation("getFeatureInventory", "GET", f"{_PATH}/features/inventory/*", _feature_inventory),
    Operation("getFeatureSKU", "GET", f"{_PATH}/features/inventory/*/*", _feature_sku),
]
