"""What sellers ask of fulfilment orders: create, change while on Hold, cancel; and what the sandbox-only call does."""

import json
import sqlite3
from typing import Any

from sandbox.amazon_sp import bodies, fates, life, places, stock
from sandbox.amazon_sp.answers import NOT_FOUND, UNAUTHORIZED, Refusal, invalid
from sandbox.amazon_sp.bodies import NewOrder, OrderChange
from sandbox.amazon_sp.life import Order
from sandbox.amazon_sp.sellers import MARKETPLACES, Seller
from sandbox.amazon_sp.state import AmazonState


def read_back(order_id: str) -> str:
    """An id as the service keeps it: a plus sign is a blank, however it was sent."""
    return order_id.replace("+", " ")


def visible(state: AmazonState, seller: str, order_id: str) -> Order:
    """An order that can be read. Raises Refusal."""
    order_id = read_back(order_id)
    if len(order_id) > 40:
        raise invalid("The value for parameter SellerFulfillmentOrderId is invalid: it has more than 40 characters.")
    if "  " in order_id:
        raise Refusal(UNAUTHORIZED, "Access to requested resource is denied.", "", 403)
    order = life.find(state, seller, order_id)
    if order is None or order.created + state.settings.visible_seconds > state.clock.now():
        raise Refusal(NOT_FOUND, "The fulfillment order does not exist.")
    return order


def marketplace_of(seller: Seller, given: str | None) -> str:
    """The marketplace that is asked for, or the account's default. Raises Refusal for one that the seller is not in."""
    found = given or seller.marketplaces[0]
    if found not in seller.marketplaces:
        raise invalid("The value for parameter SellerId is invalid: the account is not in this marketplace.")
    return found


def create(state: AmazonState, seller: Seller, body: bytes) -> None:
    """Take an order. Raises Refusal, also for an id that is there already."""
    new = bodies.parse(NewOrder, body)
    order_id = read_back(new.seller_fulfillment_order_id)
    if life.find(state, seller.name, order_id) is not None:
        state.repeats[seller.name, order_id] += 1
        raise invalid("The value for parameter SellerFulfillmentOrderId is invalid: it was used before.")
    bodies.check_items(new.items)
    marketplace_id = marketplace_of(seller, new.marketplace_id)
    country = MARKETPLACES[marketplace_id][0]
    wishes = bodies.features(new.feature_constraints, country)
    _check_country(new, country)
    address = bodies.limited(new.destination_address, state.settings.address_limits == "cut")
    rows = [own_sku(state, seller.name, item.seller_sku, marketplace_id) for item in new.items]
    quantities = [item.quantity for item in new.items]
    fate = fates.draw(state, seller.name, order_id, [item.seller_sku for item in new.items], sum(quantities))
    verdict = fate.check
    if verdict == "good" and not places.deliverable(address, country, any(row["dangerous"] for row in rows)):
        verdict = "invalid"
    now = state.clock.now()
    reserved = [0] * len(new.items)
    if verdict == "good":
        reserved = _reserve(state, seller.name, new, now)
        if not any(reserved) and (new.fulfillment_policy != "FillAll" or new.fulfillment_action == "Hold"):
            verdict = "unfulfillable"
    lines: list[dict[str, Any]] = [
        {
            "sku": item.seller_sku, "item": item.seller_fulfillment_order_item_id, "quantity": item.quantity,
            "reserved": units, "shipped": 0, "waiting": 0, "unfulfillable": 0, "cancelled": 0,
        }
        for item, units in zip(new.items, reserved, strict=True)
    ]  # fmt: skip
    rest = "cancelled" if verdict == "good" and new.fulfillment_policy == "FillAllAvailable" else "waiting"
    for line in lines:
        line[rest] = line["quantity"] - line["reserved"]
    request = new.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True) | {
        "sellerFulfillmentOrderId": order_id,
        "marketplaceId": marketplace_id,
        "destinationAddress": address.model_dump(mode="json", by_alias=True, exclude_none=True),
        "fulfillmentAction": new.fulfillment_action,
        "fulfillmentPolicy": new.fulfillment_policy,
    }
    doc = {
        "verdict": verdict, "fate": fate.model_dump(mode="json", exclude_defaults=True),
        "country": address.country_code, "features": wishes, "speed": new.shipping_speed_category,
        "action": new.fulfillment_action,
        "lines": lines, "shipments": [],
        "agenda": [[now + state.settings.received_seconds, "check"]],
    }  # fmt: skip
    state.store.run(
        "INSERT INTO amazon_order (seller, id, displayable_id, status, created, updated, next_time, waiting, request,"
        " doc) VALUES (?, ?, ?, 'New', ?, ?, ?, 0, ?, ?)",
        *(seller.name, order_id, new.displayable_order_id, now, now, now + state.settings.received_seconds),
        *(json.dumps(request, separators=(",", ":")), json.dumps(doc, separators=(",", ":"))),
    )
    state.due(now + state.settings.received_seconds)


def _check_country(new: NewOrder, country: str) -> None:
    if new.shipping_speed_category not in places.speeds(country):
        raise invalid(f"The value for parameter ShippingSpeedCategory is invalid: it is not offered in {country}.")
    if new.cod_settings is not None and country not in ("JP", "IN"):
        raise invalid("CodSettings are for JP and IN only.")
    if (new.payment_information is not None) != (country == "IN"):
        raise invalid("PaymentInformation is for IN only, and required there.")
    if (new.delivery_window is not None or new.delivery_preferences is not None) and country != "JP":
        raise invalid("DeliveryWindow and DeliveryPreferences are for JP only.")


def own_sku(state: AmazonState, seller: str, sku: str, marketplace_id: str) -> sqlite3.Row:
    """A SKU that Amazon ships for the seller in a marketplace. Raises Refusal."""
    row = stock.find(state, seller, sku)
    if row is None or not row["fba"] or row["marketplace_id"] != marketplace_id:
        raise invalid("The SellerSKU of an item is invalid.")
    return row


def _reserve(state: AmazonState, seller: str, new: NewOrder, now: float) -> list[int]:
    """Units for each item, as the policy has it. Raises Refusal for a shortage where that is refused at once."""
    wanted: dict[str, int] = {}
    for item in new.items:
        wanted[item.seller_sku] = wanted.get(item.seller_sku, 0) + item.quantity
    # Hold overrides FillAll: what is held is held whole.
    whole = new.fulfillment_policy == "FillOrKill" or (
        new.fulfillment_policy == "FillAll" and new.fulfillment_action == "Hold"
    )
    short = any(stock.existing(state, seller, sku)["fulfillable"] < units for sku, units in wanted.items())
    if whole and short:
        if state.settings.shortage_at_once:
            raise invalid("There is not enough fulfillable inventory for the order.")
        return [0] * len(new.items)
    return [stock.take(state, seller, item.seller_sku, item.quantity, now) for item in new.items]


def update(state: AmazonState, seller: Seller, order_id: str, body: bytes) -> None:
    """Change an order that is on Hold, or release it. Raises Refusal."""
    order = visible(state, seller.name, order_id)
    change = bodies.parse(OrderChange, body)
    if order.doc["action"] != "Hold" or order.status not in ("New", "Received"):
        raise invalid("The fulfillment order cannot be changed: it is not on Hold.")
    request = json.loads(order.request)
    given = change.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True, exclude={"items"})
    if change.destination_address is not None:
        address = bodies.limited(change.destination_address, state.settings.address_limits == "cut")
        given["destinationAddress"] = address.model_dump(mode="json", by_alias=True, exclude_none=True)
        order.doc["country"] = address.country_code
    if change.shipping_speed_category is not None:
        order.doc["speed"] = change.shipping_speed_category
    if change.feature_constraints is not None:
        order.doc["features"] = bodies.features(change.feature_constraints, order.doc["country"])
    for item in change.items or ():
        _resize(state, order, item.seller_fulfillment_order_item_id, item.quantity, request)
    order.request = json.dumps({**request, **given, "fulfillmentAction": change.fulfillment_action})
    order.doc["action"] = change.fulfillment_action
    if change.fulfillment_action == "Ship" and order.status == "Received":
        life.release(state, order, state.clock.now())
    life.save(state, order)


def _resize(state: AmazonState, order: Order, item_id: str, quantity: int, request: dict[str, Any]) -> None:
    line = next((one for one in order.doc["lines"] if one["item"] == item_id), None)
    if line is None:
        raise invalid("The value for parameter SellerFulfillmentOrderItemId is invalid.")
    now, more = state.clock.now(), quantity - line["quantity"]
    if more > 0:
        if stock.existing(state, order.seller, line["sku"])["fulfillable"] < more:
            raise invalid("There is not enough fulfillable inventory for the order.")
        line["reserved"] += stock.take(state, order.seller, line["sku"], more, now)
    for name in ("waiting", "cancelled", "reserved"):
        units = min(max(-more, 0), line[name])
        more += units
        line[name] -= units
        if units and name == "reserved":
            stock.give_back(state, order.seller, line["sku"], units, now)
    line["quantity"] = quantity
    for item in request["items"]:
        if item["sellerFulfillmentOrderItemId"] == item_id:
            item["quantity"] = quantity


def cancel(state: AmazonState, seller: Seller, order_id: str) -> None:
    """Ask for the order to be canceled; asking again changes nothing. Raises Refusal once it is too late."""
    order = visible(state, seller.name, order_id)
    if order.status == "Cancelled":
        return
    if order.status not in life.EARLY:
        raise invalid(f"The fulfillment order cannot be canceled: it is {order.status}.")
    wait = state.settings.cancel_seconds
    if wait:
        order.plan(state.clock.now() + wait, "cancel")
    else:
        life.finish(state, order, "Cancelled", state.clock.now())
    life.save(state, order)


def move(state: AmazonState, order: Order, status: str) -> None:
    """Bring an order to a status at once. Raises ValueError for one that it cannot come to any more."""
    now = state.clock.now()
    if order.status in life.FINAL:
        raise ValueError(f"The order is {order.status}.")
    if status in ("Cancelled", "Unfulfillable", "Invalid"):
        life.finish(state, order, status, now)
        life.save(state, order)
        return
    if status == "CompletePartialled":
        order.doc["fate"]["short_units"] = max(order.doc["fate"].get("short_units", 0), 1)
    while order.status != status and order.status not in life.FINAL and order.doc["agenda"]:
        life.step(state, order, now)
    if order.status != status:
        raise ValueError(f"The order did not become {status}; it is {order.status}.")
