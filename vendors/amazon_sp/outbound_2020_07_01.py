"""Version 2020-07-01 of the outbound API: our words turned into its wire shapes, and back.

Source: models/fulfillment-outbound-api-model/fulfillmentOutbound_2020-07-01.json of Amazon's published models.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from vendors.amazon_sp import operations
from vendors.amazon_sp.calls import Access, Calls, Request, refused
from vendors.amazon_sp.operations import Operation
from vendors.amazon_sp.outbound import (
    Destination,
    FulfillmentOrder,
    FulfillmentPolicy,
    Item,
    NewOrder,
    OrderPage,
    Preview,
    Speed,
    Tracking,
)
from vendors.amazon_sp.outbound_2020_07_01_answers import (
    read_nothing,
    read_order,
    read_page,
    read_previews,
    read_tracking,
)

# Amazon reads "+" back as a space, and cannot read an id with two spaces at all.
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,39}")
_ITEM_ID = re.compile(r"[A-Za-z0-9_.-]{1,50}")
_SKU_CHARACTERS = 50
_SHOWN_ID = re.compile(r"(?!.*  )[\x21-\x7e\xa1-\xff]([\x20-\x7e\xa1-\xff]{0,38}[\x21-\x7e\xa1-\xff])?")
_SPEEDS = {Speed.STANDARD: "Standard", Speed.EXPEDITED: "Expedited", Speed.PRIORITY: "Priority"}
_POLICIES = {
    FulfillmentPolicy.FILL_OR_KILL: "FillOrKill",
    FulfillmentPolicy.FILL_ALL: "FillAll",
    FulfillmentPolicy.FILL_ALL_AVAILABLE: "FillAllAvailable",
}


class Outbound20200701:
    """An Outbound, for one merchant."""

    def __init__(self, calls: Calls, access: Access) -> None:
        self._calls = calls
        self._access = access

    async def preview(
        self,
        marketplace_id: str,
        destination: Destination,
        items: Sequence[Item],
        speeds: Sequence[Speed],
        features: Sequence[tuple[str, bool]] = (),
    ) -> tuple[Preview, ...]:
        """See Outbound."""
        body: dict[str, Any] = {
            "marketplaceId": marketplace_id,
            "address": _address(destination),
            "items": _items(operations.PREVIEW, items),
            "shippingSpeedCategories": [_SPEEDS[speed] for speed in speeds],
        }
        if features:
            body["featureConstraints"] = _features(features)
        request = Request(operation=operations.PREVIEW, body=body, personal=_personal(destination))
        return await self._calls.ask(self._access, request, read_previews)

    async def create(self, order: NewOrder) -> None:
        """See Outbound. An id that Amazon could not read back is refused before anything is sent."""
        operation = operations.CREATE
        order_id = _order_id(operation, order.order_id)
        if not _SHOWN_ID.fullmatch(order.displayable_order_id):
            raise refused(
                operation,
                "displayable_order_id_unusable",
                "displayable_order_id: 1 to 40 characters of ISO 8859-1, without blanks at its ends or two in a row.",
                "Use the shop's order id.",
            )
        body: dict[str, Any] = {
            "sellerFulfillmentOrderId": order_id,
            "marketplaceId": order.marketplace_id,
            "displayableOrderId": order.displayable_order_id,
            "displayableOrderDate": _time_text(order.displayable_order_time),
            "displayableOrderComment": order.displayable_order_comment,
            "shippingSpeedCategory": _SPEEDS[order.speed],
            "fulfillmentAction": "Ship",
            "fulfillmentPolicy": _POLICIES[order.policy],
            "destinationAddress": _address(order.destination),
            "items": _items(operation, order.items),
        }
        if order.features:
            body["featureConstraints"] = _features(order.features)
        request = Request(operation=operation, body=body, about=order_id, personal=_personal(order.destination))
        await self._calls.ask(self._access, request, read_nothing)

    async def get(self, order_id: str) -> FulfillmentOrder:
        """See Outbound."""
        request = Request(operation=operations.GET, ids=(_order_id(operations.GET, order_id),))
        return await self._calls.ask(self._access, request, lambda answer: read_order(order_id, answer))

    async def changed(self, since: datetime, next_token: str = "") -> OrderPage:
        """See Outbound."""
        query = {"queryStartDate": _time_text(since)} | ({"nextToken": next_token} if next_token else {})
        return await self._calls.ask(self._access, Request(operation=operations.LIST, query=query), read_page)

    async def cancel(self, order_id: str) -> None:
        """See Outbound."""
        request = Request(operation=operations.CANCEL, ids=(_order_id(operations.CANCEL, order_id),))
        await self._calls.ask(self._access, request, read_nothing)

    async def track(self, package_number: int) -> Tracking:
        """See Outbound."""
        request = Request(
            operation=operations.TRACK,
            query={"packageNumber": str(package_number)},
            about=str(package_number),
        )
        return await self._calls.ask(self._access, request, lambda answer: read_tracking(package_number, answer))


def _order_id(operation: Operation, order_id: str) -> str:
    if _ID.fullmatch(order_id):
        return order_id
    raise refused(
        operation,
        "order_id_unusable",
        "order_id: 1 to 40 of A-Z a-z 0-9 - _ . (not first), as Amazon does not read others back as they were sent.",
        "Make the id of the shop's order id.",
    )


def _items(operation: Operation, items: Sequence[Item]) -> list[dict[str, object]]:
    if not items or len({each.item_id for each in items}) < len(items):
        raise refused(operation, "items_unusable", "items: at least one, each with an id of its own.", "Add up items.")
    for each in items:
        if not _ITEM_ID.fullmatch(each.item_id):
            raise refused(
                operation, "item_id_unusable", "item_id: 1 to 50 of A-Z a-z 0-9 - _ .", "Use the id of the order line."
            )
        if not 1 <= len(each.sku) <= _SKU_CHARACTERS or not each.sku.isprintable() or each.quantity < 1:
            raise refused(
                operation,
                "item_unusable",
                f"sku: 1 to {_SKU_CHARACTERS} printable characters; quantity: at least 1.",
                "Correct the SKU map.",
            )
    return [
        {"sellerSku": each.sku, "sellerFulfillmentOrderItemId": each.item_id, "quantity": each.quantity}
        for each in items
    ]


def _features(features: Sequence[tuple[str, bool]]) -> list[dict[str, str]]:
    return [
        {"featureName": name, "featureFulfillmentPolicy": "Required" if required else "NotRequired"}
        for name, required in features
    ]


def _address(to: Destination) -> dict[str, str]:
    fields = {
        "name": to.name,
        **{f"addressLine{number}": line for number, line in enumerate(to.lines, 1)},
        "city": to.city,
        "districtOrCounty": to.district,
        "stateOrRegion": to.state,
        "postalCode": to.postal_code,
        "countryCode": to.country_code,
        "phone": to.phone,
    }
    return {name: value for name, value in fields.items() if value}


def _personal(to: Destination) -> tuple[str, ...]:
    return (to.name, *to.lines, to.city, to.district, to.postal_code, to.phone)


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
