"""The guard: which number may be told to TikTok Shop for which package, and as whose. Pure.

A package's row is its proof: merchant, fulfilment order, Amazon's shipment, package number, units and numbers were all
read from one answer of Amazon's (`proofs`), and never from anywhere else. `judge` tells a number only where row,
shipment and order belong together, and else says by a name why not. It never repairs a number and never guesses a
carrier: TikTok Shop switches a warehouse off after five wrong numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.fulfillment.orders.domain import Order, OrderState, UnitState
from services.fulfillment.shipping import carriers
from services.fulfillment.shipping.carriers import AMAZON, USPS, Carrier
from services.fulfillment.shipping.domain import Package, PackageItem, Proof, Shipment, TellState
from vendors.amazon_sp.outbound import FulfillmentOrder, ShipmentStatus

# TikTok Shop takes events of a carrier that are older than this before the order for those of another parcel.
_EVENTS_BEFORE_ORDER = timedelta(hours=24)
# Clocks of two platforms and ours.
_SLACK = timedelta(minutes=10)
_TAKEN_BACK = (ShipmentStatus.CANCELLED_BY_FULFILLER, ShipmentStatus.CANCELLED_BY_SELLER)


@dataclass(frozen=True, slots=True)
class Tell:
    """What TikTok Shop is told of a package, and for which lines. `replaces`: the package that Amazon took back, whose
    number TikTok Shop has for these lines: it is corrected instead.
    """

    number: str
    provider_id: str
    provider_name: str
    platform_line_ids: tuple[str, ...]
    is_whole_order: bool
    replaces: Package | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why TikTok Shop is not told. `is_waiting`: nothing is wrong, there is only nothing to tell now."""

    reason: str
    text: str
    is_waiting: bool = False

    def __str__(self) -> str:
        return f"{self.reason}: {self.text}"


class ReadingOfAnother(Exception):
    """What was read is not of this shipment: nothing in it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that is looked at. `siblings`: all packages of the order, this one among them. `told_elsewhere`: which of its
    numbers were ever told for another package. `offered`: providers of the order's delivery option, id → name;
    `own_carriers`: the shop's table. `not_number`: one that is not chosen, because it is what TikTok Shop has.
    """

    now: datetime
    order: Order
    shipment: Shipment
    package: Package
    siblings: Sequence[Package]
    told_elsewhere: Collection[str]
    offered: Mapping[str, str]
    prefer_amazon: bool
    own_carriers: Mapping[str, str]
    not_number: str = ""


def proofs(shipment: Shipment, reading: FulfillmentOrder) -> list[Proof]:
    """The packages that Amazon shows for a shipment, each number and package once; those that it took back are not
    current. Raises ReadingOfAnother.
    """
    if reading.order_id != shipment.fulfillment_order_id:
        raise ReadingOfAnother(reading.order_id)
    found: dict[int, Proof] = {}
    numbers: dict[str, int] = {}
    # Those that still count come first: a package that was taken back does not hide the one that follows it.
    for part in sorted(reading.shipments, key=lambda each: each.status in _TAKEN_BACK):
        for package in part.packages:
            items = tuple(
                PackageItem(item.item_id, item.sku, item.quantity)
                for item in part.items
                if item.package_number == package.number
            )
            if not items and len(part.packages) == 1:
                # Nothing ties units to it, and there is no other that they could be in.
                items = tuple(PackageItem(item.item_id, item.sku, item.quantity) for item in part.items)
            proof = Proof(
                amazon_shipment_id=part.amazon_shipment_id,
                package_number=package.number,
                carrier=package.carrier_code,
                tracking_number=package.tracking_number.strip(),
                amazon_tracking_number=package.amazon_tracking_number.strip(),
                is_current=part.status not in _TAKEN_BACK,
                is_shipped=part.status is ShipmentStatus.SHIPPED,
                items=items,
                ship_time=part.shipping_time if part.status is ShipmentStatus.SHIPPED else None,
                estimated_arrival_time=package.estimated_arrival_time,
            )
            same = numbers.get(proof.tracking_number) if proof.tracking_number else None
            if package.number in found or (same is not None and same != package.number):
                continue
            found[package.number] = proof
            if proof.tracking_number:
                numbers[proof.tracking_number] = package.number
    return list(found.values())


def judge(case: Case) -> Tell | Withheld:
    """What is told of a package, or why nothing is."""
    package = case.package
    wrong = _unproven(case)
    if wrong:
        return Withheld("NOT_PROVEN", f"{wrong} Nothing is told of it; look at both orders.")
    if case.order.state is OrderState.CANCELED or case.order.told.status == "CANCELLED":
        return Withheld("ORDER_CANCELED", "The order is canceled at TikTok Shop, and goods are on their way.")
    if not package.is_current:
        return Withheld(
            "TAKEN_BACK", "Amazon took this shipment back. The one that follows it is told.", is_waiting=True
        )
    number, carrier = _number(case)
    if not number:
        return Withheld("NO_NUMBER", "Amazon has not named a number yet.", is_waiting=True)
    if not carriers.is_plain(number):
        return Withheld("NUMBER_MALFORMED", "The number has other signs than 4 to 40 letters and digits.")
    if number in case.told_elsewhere:
        return Withheld("NUMBER_REUSED", "The number was told for another package already.")
    early = _too_early(case)
    if early:
        return Withheld("EARLIER_THAN_ORDER", early)
    found = _provider(case, number, carrier)
    if isinstance(found, Withheld):
        return found
    if (number, found[0]) == (package.rejected_number, package.rejected_provider_id):
        return Withheld("REJECTED", "TikTok Shop rejected this number with this carrier before.")
    return _with_lines(case, number, found)


def _with_lines(case: Case, number: str, provider: tuple[str, str]) -> Tell | Withheld:
    package = case.package
    open_lines = {unit.platform_line_id for unit in case.order.told.units if unit.state is not UnitState.CANCELED}
    chosen = package.told_line_ids or lines_of(package, case.shipment, case.siblings)
    lines = tuple(line for line in chosen if line in open_lines)
    if not lines:
        text = "Its units are parts of lines that TikTok Shop knows another number of, or are canceled."
        return Withheld("NO_LINES_LEFT", text, is_waiting=True)
    told_before = [
        each
        for each in case.siblings
        if package.tell_state is not TellState.TOLD and not each.is_current and set(each.told_line_ids) & set(lines)
    ]
    replaces = told_before[0] if told_before else None
    if replaces is not None and (len(told_before) > 1 or set(replaces.told_line_ids) != set(lines)):
        return Withheld(
            "TOLD_OTHERWISE",
            "TikTok Shop has a number of a shipment that Amazon took back, for other lines than these. Correct it in"
            " Seller Center.",
        )
    return Tell(number, *provider, lines, set(lines) == open_lines, replaces)


def lines_of(package: Package, shipment: Shipment, siblings: Sequence[Package]) -> tuple[str, ...]:
    """The lines of the order that a package is told for. Where a line is several units (a bundle), it goes with the
    first package that has some of it; each line goes with one package of those that are current.
    """
    others = [each for each in siblings if each.is_current and each.package_id != package.package_id]
    taken = {line for each in others for line in each.told_line_ids}
    before = Counter[str]()
    for each in others:
        if each.shipment_id == shipment.shipment_id and (
            each.told_line_ids or each.package_number < package.package_number
        ):
            before.update({item.item_id: item.quantity for item in each.items})
    chosen: dict[str, None] = {}
    inside = Counter({item.item_id: item.quantity for item in package.items})
    for item in shipment.items:
        if item.item_id not in inside:
            continue
        lines, units = item.platform_line_ids, inside[item.item_id]
        free = [line for line in lines if line not in taken]
        most = math.ceil(units * len(lines) / item.quantity)
        reached = math.ceil((before[item.item_id] + units) * len(lines) / item.quantity)
        missing = max(0, reached - (len(lines) - len(free)))
        chosen.update(dict.fromkeys(free[: min(most, missing)]))
    return tuple(chosen)


def _unproven(case: Case) -> str:
    """What does not belong together; empty when all does."""
    order, shipment, package = case.order, case.shipment, case.package
    if package.shipment_id != shipment.shipment_id or package.order_id != shipment.order_id:
        return "The package belongs to another shipment."
    if shipment.order_id != order.order_id:
        return "The shipment belongs to another order."
    if len({order.workspace_id, shipment.workspace_id, package.workspace_id}) > 1:
        return "The package belongs to another workspace."
    if not package.amazon_shipment_id or not package.items:
        return "Amazon does not say what is in the package."
    ordered = {item.item_id: (item.amazon_sku, item.quantity) for item in shipment.items}
    packed = Counter[str]()
    for each in case.siblings:
        if each.shipment_id == shipment.shipment_id and (each.is_current or each.package_id == package.package_id):
            packed.update({item.item_id: item.quantity for item in each.items})
    for item in package.items:
        sku, quantity = ordered.get(item.item_id, ("", 0))
        if sku != item.amazon_sku or item.quantity < 1 or packed[item.item_id] > quantity:
            return "What is in the package does not fit what was ordered from Amazon."
    units = {unit.platform_line_id for unit in order.told.units}
    if any(line not in units for item in shipment.items for line in item.platform_line_ids):
        return "The shipment names lines that the order does not have."
    return ""


def _number(case: Case) -> tuple[str, Carrier | None]:
    """The number that is told, and Amazon as its carrier where it is Amazon's own. Those of USPS are refused by TikTok
    Shop unless it sold the label, so Amazon's is taken where there is one.
    """
    package = case.package
    own, theirs = package.amazon_tracking_number, package.tracking_number
    prefers_own = case.prefer_amazon or carriers.carrier_of(package.carrier, theirs) is USPS
    if own and theirs and case.not_number in (own, theirs):
        prefers_own = case.not_number == theirs
    if own and (prefers_own or own == theirs):
        return own, AMAZON
    return theirs, None


def _too_early(case: Case) -> str:
    created = case.order.told.create_time
    if created is None:
        return ""
    package = case.package
    seen = [each for each in (package.in_transit_time, package.delivered_time) if each]
    if any(each < created - _EVENTS_BEFORE_ORDER for each in seen):
        return "The carrier had this number more than 24 hours before the order was made."
    if package.ship_time is not None and package.ship_time < created - _SLACK:
        return "The parcel left before the order was made."
    return ""


def _provider(case: Case, number: str, carrier: Carrier | None) -> tuple[str, str] | Withheld:
    """Id and name of whom TikTok Shop knows the carrier as."""
    package = case.package
    named = _own_name(case, carrier)
    if carrier is None:
        carrier = carriers.provider_carrier(named) if named else carriers.carrier_of(package.carrier, number)
    if carrier is None and not named:
        return Withheld(
            "CARRIER_UNKNOWN",
            f"Amazon names the carrier {package.carrier[:60]!r}, which is not known. Say in the shop's routing which of"
            " TikTok Shop's providers it is.",
        )
    takes = carrier.takes(number) if carrier else carriers.owner_of(number) is None
    if not takes:
        whose = carrier.name if carrier else named
        return Withheld("CARRIER_MISMATCH", f"The number has not the form of a number of {whose}.")
    found = carriers.provider_named(named, case.offered) if named else None
    if found is None and not named and carrier is not None:
        found = carriers.provider_of(carrier, case.offered)
    if found is None:
        whose = named or (carrier.name if carrier else "")
        return Withheld(
            "PROVIDER_UNKNOWN",
            f"TikTok Shop offers no provider {whose} for this order's delivery option. Say in the shop's routing which"
            f" it is: {', '.join(sorted(case.offered.values())[:20]) or 'it offers none'}.",
        )
    return found


def _own_name(case: Case, carrier: Carrier | None) -> str:
    """What the shop's own table says; empty when it says nothing."""
    codes = carrier.codes if carrier else {carriers.normal(case.package.carrier)}
    return next((name for code, name in case.own_carriers.items() if carriers.normal(code) in codes), "")
