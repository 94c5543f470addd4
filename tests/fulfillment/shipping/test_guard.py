"""The guard: no number is told that is not proven to be of that package of that order."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.fulfillment.orders.domain import OrderState, UnitState
from services.fulfillment.shipping import guard
from services.fulfillment.shipping.domain import Package, PackageItem, ShipmentItem, TellState
from services.fulfillment.shipping.guard import ReadingOfAnother, Tell, Withheld, judge, lines_of, proofs
from tests.fulfillment.shipping.worlds import NOW, TBA, UPS, USPS, a_case, a_package, a_shipment, a_unit, an_order
from vendors.amazon_sp import outbound
from vendors.amazon_sp.outbound import FulfillmentOrder, OrderStatus, ShipmentStatus


def verdict(told: dict[str, Any] | None = None, order: dict[str, Any] | None = None, **changes: Any) -> Tell | Withheld:
    """About the only package of an order of one unit."""
    case = {name: changes.pop(name) for name in list(changes) if name in guard.Case.__dataclass_fields__}
    mine = an_order(told=told, **(order or {}))
    shipment = a_shipment(mine)
    return judge(a_case(mine, shipment, a_package(shipment, **changes), **case))


def reason(found: Tell | Withheld) -> str:
    assert isinstance(found, Withheld), found
    return found.reason


def test_a_package_of_amazon_logistics_is_told_as_amazon_s() -> None:
    assert verdict() == Tell(TBA, "11", "Amazon", ("L1",), is_whole_order=True)


@pytest.mark.parametrize(
    ("carrier", "number", "own", "prefer", "told"),
    [
        ("UPS", UPS, "", True, (UPS, "13")),
        ("UPS", UPS, "AFTN123456789012", True, ("AFTN123456789012", "11")),
        ("UPS", UPS, "AFTN123456789012", False, (UPS, "13")),
        # TikTok Shop refuses USPS's numbers unless it sold the label.
        ("USPS", USPS, "AFTN123456789012", False, ("AFTN123456789012", "11")),
        ("USPS", USPS, "", False, (USPS, "12")),
        ("AMZN_US", "", "AFTN123456789012", True, ("AFTN123456789012", "11")),
    ],
)
def test_amazon_s_own_number_is_told_where_it_is_preferred(
    carrier: str, number: str, own: str, prefer: bool, told: tuple[str, str]
) -> None:
    found = verdict(carrier=carrier, tracking_number=number, amazon_tracking_number=own, prefer_amazon=prefer)
    assert isinstance(found, Tell)
    assert (found.number, found.provider_id) == told


def test_the_carrier_s_number_is_waited_for_where_it_is_wanted() -> None:
    found = verdict(tracking_number="", amazon_tracking_number="AFTN123456789012", prefer_amazon=False)
    assert isinstance(found, Withheld)
    assert (found.reason, found.is_waiting) == ("NO_NUMBER", True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"carrier": "UPS"}, "CARRIER_MISMATCH"),
        ({"carrier": "Amazon Logistics", "tracking_number": UPS}, "CARRIER_MISMATCH"),
        ({"carrier": "UPS", "tracking_number": UPS[:-1] + "8"}, "CARRIER_MISMATCH"),
        ({"carrier": "USPS", "tracking_number": USPS[:-1] + "7"}, "CARRIER_MISMATCH"),
        ({"carrier": "FedEx", "tracking_number": "12345678901"}, "CARRIER_MISMATCH"),
        ({"carrier": "Pigeon Post", "tracking_number": "123456789012"}, "CARRIER_UNKNOWN"),
        ({"carrier": "OnTrac", "tracking_number": "C11031500001879"}, "PROVIDER_UNKNOWN"),
        ({"tracking_number": "TBA 305 123456789"}, "NUMBER_MALFORMED"),
        ({"tracking_number": "TBA305-123456789"}, "NUMBER_MALFORMED"),
        ({"told_elsewhere": {TBA}}, "NUMBER_REUSED"),
        ({"amazon_shipment_id": ""}, "NOT_PROVEN"),
        ({"in_transit_time": NOW - timedelta(hours=30)}, "EARLIER_THAN_ORDER"),
        ({"ship_time": NOW - timedelta(hours=6)}, "EARLIER_THAN_ORDER"),
        ({"is_current": False}, "TAKEN_BACK"),
        ({"rejected_number": TBA, "rejected_provider_id": "11"}, "REJECTED"),
        ({"told": {"status": "CANCELLED"}}, "ORDER_CANCELED"),
        ({"order": {"state": OrderState.CANCELED}}, "ORDER_CANCELED"),
        ({"told": {"units": (a_unit("L1", UnitState.CANCELED),)}}, "NO_LINES_LEFT"),
    ],
)
def test_what_is_not_proven_or_not_known_is_not_told_and_named(changes: dict[str, Any], expected: str) -> None:
    assert reason(verdict(**changes)) == expected


def test_a_shop_s_own_table_names_the_provider_of_a_carrier_that_is_not_known() -> None:
    pigeon: dict[str, Any] = {"carrier": "Pigeon Post", "tracking_number": "123456789012"}
    found = verdict(**pigeon, own_carriers={"PIGEON-POST": "fedex"})
    assert isinstance(found, Tell)
    assert found.provider_id == "14"
    # Its number has to fit whom it names, and it names what is offered.
    assert reason(verdict(**pigeon, own_carriers={"Pigeon Post": "UPS"})) == "CARRIER_MISMATCH"
    assert reason(verdict(**pigeon, own_carriers={"Pigeon Post": "Pigeons Inc"})) == "PROVIDER_UNKNOWN"
    assert reason(verdict(carrier="Pigeon Post", own_carriers={"Pigeon Post": "Pigeons Inc"})) == "CARRIER_MISMATCH"


def test_a_correction_takes_the_other_number() -> None:
    both: dict[str, Any] = {"carrier": "UPS", "tracking_number": UPS, "amazon_tracking_number": "AFTN123456789012"}
    told: dict[str, Any] = {"tell_state": TellState.TOLD, "told_line_ids": ("L1",)}
    for before, after in (("AFTN123456789012", UPS), (UPS, "AFTN123456789012")):
        found = verdict(**both, **told, not_number=before)
        assert isinstance(found, Tell)
        assert found.number == after


# Worlds of orders, some of whose rows are mixed up.


@st.composite
def worlds(draw: st.DrawFn) -> list[guard.Case]:
    """Several orders with shipments and packages; each case may have a row of another order."""
    cases: list[guard.Case] = []
    used = 0
    for number in range(draw(st.integers(2, 4))):
        lines = [f"{number}-{place}" for place in range(draw(st.integers(1, 4)))]
        workspace = draw(st.sampled_from([uuid4(), *[case.order.workspace_id for case in cases]]))
        order = an_order(*lines, workspace_id=workspace)
        shipment = a_shipment(order, merchant_id=uuid4())
        cut = draw(st.integers(1, len(lines)))
        parts = [part for part in (cut, len(lines) - cut) if part]
        packages = []
        for part in parts:
            used += 1
            numbers = {"tracking_number": f"TBA{used:012d}"}
            if draw(st.booleans()):
                numbers["amazon_tracking_number"] = f"AFTN{used:012d}"
            packages.append(a_package(shipment, PackageItem("1", "SKU-FBA", part), package_number=used, **numbers))
        cases += [
            a_case(order, shipment, package, siblings=tuple(packages), prefer_amazon=draw(st.booleans()))
            for package in packages
        ]
    return cases


@settings(max_examples=300, deadline=None)
@given(worlds(), st.data())
def test_a_number_of_another_package_order_or_merchant_is_never_told(
    world: list[guard.Case], data: st.DataObject
) -> None:
    mine, other = data.draw(st.sampled_from(world)), data.draw(st.sampled_from(world))
    field = data.draw(st.sampled_from(["order", "shipment", "package", "tracking_number", "items", "none"]))
    match field:
        case "tracking_number":
            # What was told for the other is in the database: a number is told for one package.
            package = replace(mine.package, tracking_number=other.package.tracking_number, amazon_tracking_number="")
            told = {other.package.tracking_number} if other.package != mine.package else set()
            case = replace(mine, package=package, siblings=(package,), told_elsewhere=told)
        case "items":
            quantity = data.draw(st.integers(0, 6))
            package = replace(mine.package, items=(PackageItem("1", "SKU-FBA", quantity),))
            rest = tuple(each for each in mine.siblings if each.package_id != package.package_id)
            case = replace(mine, package=package, siblings=(package, *rest))
        case "none":
            case = mine
        case _:
            case = replace(mine, **{field: getattr(other, field)})
    found = judge(case)
    if not isinstance(found, Tell):
        return
    package, shipment, order = case.package, case.shipment, case.order
    assert found.number in (package.tracking_number, package.amazon_tracking_number)
    assert found.number not in case.told_elsewhere
    assert (package.shipment_id, package.order_id) == (shipment.shipment_id, order.order_id)
    assert package.workspace_id == shipment.workspace_id == order.workspace_id
    assert set(found.platform_line_ids) <= {unit.platform_line_id for unit in order.told.units}
    packed = sum(item.quantity for each in case.siblings for item in each.items)
    assert len(found.platform_line_ids) <= packed <= sum(item.quantity for item in shipment.items)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4),
    st.lists(st.integers(0, 3), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_however_an_order_is_packed_each_line_is_told_once_and_none_is_left(
    items: list[tuple[int, int]], cuts: list[int], chance: random.Random
) -> None:
    """`items`: how many lines, and units a line; `cuts`: how many units of each item go in each package. They are told
    in any order.
    """
    order = an_order(*[f"{number}-{place}" for number, (lines, _) in enumerate(items) for place in range(lines)])
    shipment = a_shipment(
        order,
        *[
            ShipmentItem(str(number), f"SKU{number}", lines * units, tuple(f"{number}-{p}" for p in range(lines)))
            for number, (lines, units) in enumerate(items)
        ],
    )
    left = {item.item_id: item.quantity for item in shipment.items}
    packages: list[Package] = []
    told: list[str] = []
    for number in range(len(cuts) + 1):
        inside = {
            name: min(count, cuts[number] if number < len(cuts) else count) for name, count in left.items() if count
        }
        left = {name: count - inside.get(name, 0) for name, count in left.items()}
        parts = [PackageItem(name, f"SKU{name}", count) for name, count in inside.items() if count]
        if parts:
            packages.append(a_package(shipment, *parts, package_number=number))
    places = list(range(len(packages)))
    chance.shuffle(places)
    for place in places:
        package = packages[place]
        lines = lines_of(package, shipment, packages)
        packages[place] = replace(package, told_line_ids=lines)
        told += lines
    assert sorted(told) == sorted(unit.platform_line_id for unit in order.told.units)


def test_the_package_that_follows_one_taken_back_takes_its_place() -> None:
    order = an_order("L1", "L2")
    shipment = a_shipment(order)
    old = a_package(
        shipment, is_current=False, tell_state=TellState.TOLD, told_number="AFTN1", told_line_ids=("L1", "L2"),
        platform_package_id="1153", told_time=NOW,
    )  # fmt: skip
    new = a_package(shipment, package_number=2)
    found = judge(a_case(order, shipment, new, siblings=(old, new)))
    assert isinstance(found, Tell)
    assert found.replaces == old
    half = a_package(shipment, PackageItem("1", "SKU-FBA", 1), package_number=3)
    assert reason(judge(a_case(order, shipment, half, siblings=(old, half)))) == "TOLD_OTHERWISE"


def a_reading(order_id: str, *shipments: outbound.Shipment) -> FulfillmentOrder:
    return FulfillmentOrder(order_id, OrderStatus.PROCESSING, "Processing", NOW, NOW, None, None, (), shipments)


def a_part(name: str, status: ShipmentStatus, *packages: outbound.Package, number: int | None = 1) -> outbound.Shipment:
    return outbound.Shipment(name, status, None, (outbound.ShippedItem("1", "SKU-FBA", 1, number),), packages)


def test_a_reading_of_another_order_proves_nothing() -> None:
    shipment = a_shipment(an_order())
    with pytest.raises(ReadingOfAnother):
        proofs(shipment, a_reading("TTS-1-1"))


def test_packages_are_known_by_their_number_and_then_by_their_tracking_number() -> None:
    shipment = a_shipment(an_order())
    one = outbound.Package(1, "Amazon Logistics", TBA, "", None)
    again, same_number = outbound.Package(1, "UPS", UPS, "", None), outbound.Package(2, "UPS", TBA, "", None)
    found = proofs(
        shipment,
        a_reading(
            shipment.fulfillment_order_id,
            a_part("D0", ShipmentStatus.CANCELLED_BY_FULFILLER, again),
            a_part("D1", ShipmentStatus.SHIPPED, one, same_number),
        ),
    )
    (proof,) = found
    assert (proof.amazon_shipment_id, proof.tracking_number, proof.is_current) == ("D1", TBA, True)
    assert proof.items == (PackageItem("1", "SKU-FBA", 1),)


def test_what_amazon_took_back_is_not_current() -> None:
    shipment = a_shipment(an_order())
    old, new = outbound.Package(1, "UPS", UPS, "", None), outbound.Package(2, "Amazon", TBA, "", None)
    found = proofs(
        shipment,
        a_reading(
            shipment.fulfillment_order_id,
            a_part("D0", ShipmentStatus.CANCELLED_BY_FULFILLER, old),
            a_part("D1", ShipmentStatus.PENDING, new, number=2),
        ),
    )
    assert {proof.package_number: proof.is_current for proof in found} == {1: False, 2: True}
