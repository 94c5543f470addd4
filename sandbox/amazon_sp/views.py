"""What fulfilment orders and packages show of themselves, in the spelling that the settings ask for."""

import json
import re
from typing import Any

from sandbox.amazon_sp import parcels
from sandbox.amazon_sp.life import Order
from sandbox.amazon_sp.state import AmazonState, iso

_SHOWN_SECONDS_TO_ARRIVE = 86_400.0
_CARRIERS = {
    "UPS": ("1 800 742 5877", "https://www.ups.com"), "USPS": ("1 800 275 8777", "https://www.usps.com"),
    "FEDEX": ("1 800 463 3339", "https://www.fedex.com"),
}  # fmt: skip


def status_word(state: AmazonState, status: str) -> str:
    """A status in the spelling of the settings."""
    match state.settings.status_spelling:
        case "upper":
            return re.sub("(?<=[a-z])(?=[A-Z])", "_", status).upper()
        case "notifications" if "_" in status or status.isupper():
            return "".join(word.capitalize() for word in status.split("_"))
        case _:
            return status


def order_head(state: AmazonState, order: Order) -> dict[str, Any]:
    """The order without its items."""
    request = json.loads(order.request)
    request.pop("items")
    return {
        **request,
        "receivedDate": iso(order.created),
        "fulfillmentOrderStatus": status_word(state, order.status),
        "statusUpdatedDate": iso(order.updated),
    }


def listed(state: AmazonState, order: Order) -> dict[str, Any]:
    """The order as the list gives it."""
    head = order_head(state, order)
    match state.settings.marketplace_spelling:
        case "missing":
            del head["marketplaceId"]
        case "number":
            head["marketplaceId"] = "31060"
    return head


def whole_order(state: AmazonState, order: Order) -> dict[str, Any]:
    """The payload of getFulfillmentOrder."""
    head = order_head(state, order)
    items = {item["sellerFulfillmentOrderItemId"]: item for item in json.loads(order.request)["items"]}
    times = [shipment["at"] for shipment in order.doc["shipments"] if shipment["at"] is not None]
    estimates = (
        {"estimatedShipDate": iso(max(times)), "estimatedArrivalDate": iso(max(times) + _transit(state, order))}
        if times else {}
    )  # fmt: skip
    return {
        "fulfillmentOrder": head,
        "fulfillmentOrderItems": [
            {
                **items[line["item"]],
                "cancelledQuantity": line["cancelled"],
                "unfulfillableQuantity": line["unfulfillable"],
                **estimates,
            }
            for line in order.doc["lines"]
        ],
        "fulfillmentShipments": [_shipment(state, order, one) for one in order.doc["shipments"]],
        "returnItems": [],
        "returnAuthorizations": [],
        "paymentInformation": head.get("paymentInformation", []),
    }


def _transit(state: AmazonState, order: Order) -> float:
    return state.settings.transit_seconds / (2 if order.doc["speed"] != "Standard" else 1) + _SHOWN_SECONDS_TO_ARRIVE


def _shipment(state: AmazonState, order: Order, shipment: dict[str, Any]) -> dict[str, Any]:
    packages = shipment["packages"]
    arrival = {} if shipment["at"] is None else {"estimatedArrivalDate": iso(shipment["at"] + _transit(state, order))}
    dates = {} if shipment["at"] is None else {"shippingDate": iso(shipment["at"]), **arrival}
    return {
        "amazonShipmentId": shipment["id"],
        "fulfillmentCenterId": shipment["center"],
        "fulfillmentShipmentStatus": status_word(state, shipment["status"]),
        **dates,
        "fulfillmentShipmentItem": [
            {
                "sellerSku": order.doc["lines"][index]["sku"],
                "sellerFulfillmentOrderItemId": order.doc["lines"][index]["item"],
                "quantity": quantity,
                **({"packageNumber": packages[place]["number"]} if packages[place]["shown"] else {}),
            }
            for index, quantity, place in shipment["items"]
        ],
        "fulfillmentShipmentPackage": [
            {
                "packageNumber": package["number"],
                "carrierCode": package["carrier"],
                **({"trackingNumber": package["tracking"]} if package["tracking"] else {}),
                **({"amazonFulfillmentTrackingNumber": package["aftn"]} if package["aftn"] else {}),
                **arrival,
            }
            for package in packages
            if package["shown"]
        ],
    }


def tracking(state: AmazonState, order: Order, package: dict[str, Any]) -> dict[str, Any]:
    """The payload of getPackageTrackingDetails."""
    events = parcels.seen(package, state.clock.now())
    address = json.loads(order.request)["destinationAddress"]
    place = {
        "city": address.get("city", ""), "state": address.get("stateOrRegion", ""), "country": address["countryCode"],
    }  # fmt: skip
    optional: dict[str, Any] = {}
    if package["tracking"]:
        optional["trackingNumber"] = package["tracking"]
        optional["customerTrackingLink"] = f"https://www.swiship.com/track/?id={package['tracking']}"
    if package["left"] is not None:
        optional["shipDate"] = iso(package["left"])
        optional["estimatedArrivalDate"] = iso(package["left"] + _transit(state, order))
    phone_and_url = _CARRIERS.get(package["carrier"].upper())
    if phone_and_url is not None:
        optional["carrierPhoneNumber"], optional["carrierURL"] = phone_and_url
    status = events[-1][2] if events else "UNKNOWN"
    return {
        "packageNumber": package["number"],
        "carrierCode": package["carrier"],
        **optional,
        "shipToAddress": place,
        "currentStatus": status_word(state, status),
        "currentStatusDescription": events[-1][3] if events else "",
        "trackingEvents": [
            {
                "eventDate": iso(at),
                "eventAddress": place if code in ("EVENT_301", "EVENT_302", "EVENT_304") else _FACILITY,
                "eventCode": code,
                "eventDescription": words,
            }
            for at, code, _, words in reversed(events)
        ],
    }


_FACILITY = {"city": "Louisville", "state": "KY", "country": "US"}
