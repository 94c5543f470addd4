"""What Amazon did about a shipment, as events of its order. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.fulfillment.orders.order_store import event_row
from services.fulfillment.shipping.domain import Shipment, ShipmentState
from services.fulfillment.shipping.package_store import Change
from vendors.amazon_sp.outbound import FulfillmentOrder, OrderStatus

_ENDS = {
    ShipmentState.SHIPPED: ("shipment.shipped", "All of it has left."),
    ShipmentState.CANCELED: ("shipment.canceled", "Amazon has canceled it."),
    ShipmentState.FAILED: ("shipment.failed", "Amazon will not send it: {word}."),
}
_CHANGES = {
    "found": "Amazon has a package for it, without a number yet.",
    "numbered": "Amazon names a number: {numbers} ({carrier}).",
    "taken_back": "Amazon took the shipment of this package back. Another follows.",
    "gone": "Amazon no longer shows this package.",
}


def events_of(
    before: Shipment, after: Shipment, reading: FulfillmentOrder, changes: Sequence[Change]
) -> list[dict[str, Any]]:
    """The events of one reading, for order_store.add_events."""
    rows = []
    about = {"fulfillment_order_id": after.fulfillment_order_id}
    word = after.amazon_status[:60]

    def add(kind: str, text: str, **more: str) -> None:
        rows.append(event_row(after.workspace_id, after.order_id, kind, text, attributes=about | more))

    if after.state is not before.state and after.state in _ENDS:
        kind, text = _ENDS[after.state]
        add(kind, text.format(word=word), amazon_status=word)
        if reading.status is OrderStatus.COMPLETE_PARTIALLED:
            lost = [f"{each.cancelled + each.unfulfillable} of {each.sku}" for each in reading.items]
            lost = [each for each in lost if not each.startswith("0 ")]
            add("shipment.partly_shipped", f"Amazon will not send {', '.join(lost) or 'the rest'}.", amazon_status=word)
    elif after.amazon_status != before.amazon_status:
        add("shipment.status", f"At Amazon it is {word} now.", amazon_status=word)
    for change in changes:
        package = change.package
        numbers = [each for each in (package.amazon_tracking_number, package.tracking_number) if each]
        text = _CHANGES[change.kind].format(
            numbers=" and ".join(numbers), carrier=package.carrier or "no carrier named"
        )
        add(f"package.{change.kind}", text, package_id=str(package.package_id))
    return rows
