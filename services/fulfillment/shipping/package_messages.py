"""Between the messages of orders.proto and packages. No decision is made here."""

from __future__ import annotations

from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1 import routing_pb2

from kit.timestamps import optional_timestamp
from services.fulfillment.shipping.clock import Lateness
from services.fulfillment.shipping.domain import Package


def package_to(package: Package) -> pb.Package:
    """A package as the proto shows it. One that Amazon took back says so in place of where it is."""
    return pb.Package(
        package_id=str(package.package_id),
        shipment_id=str(package.shipment_id),
        package_number=package.package_number,
        carrier=package.carrier,
        tracking_number=package.tracking_number,
        amazon_tracking_number=package.amazon_tracking_number,
        status=package.status if package.is_current else "TAKEN_BACK",
        items=[routing_pb2.SkuPart(amazon_sku=item.amazon_sku, quantity=item.quantity) for item in package.items],
        tell_state=pb.TellState.Value(f"TELL_STATE_{package.tell_state.value}"),
        tell_problem=package.tell_problem,
        told_number=package.told_number,
        told_carrier=package.told_carrier,
        told_time=optional_timestamp(package.told_time),
        is_edit_used=package.is_edit_used,
        number_time=optional_timestamp(package.number_time),
        in_transit_time=optional_timestamp(package.in_transit_time),
        delivered_time=optional_timestamp(package.delivered_time),
        estimated_arrival_time=optional_timestamp(package.estimated_arrival_time),
    )


def lateness_to(lateness: Lateness) -> pb.Lateness.ValueType:
    """How an order stands to its deadlines, as the proto shows it."""
    return pb.Lateness.Value(f"LATENESS_{lateness.value}")
