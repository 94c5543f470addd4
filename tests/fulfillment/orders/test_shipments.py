"""Shipments move along their arrows alone, and orders are kept as they were told."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from services.fulfillment.marketplaces.tiktok_shop import shop_order_of
from services.fulfillment.orders.domain import UnitState
from services.fulfillment.orders.shop_order import told_from_json, told_to_json
from services.fulfillment.shipping import shipment_store
from services.fulfillment.shipping.domain import Shipment, ShipmentState
from services.fulfillment.shipping.shipment_store import ForbiddenMove
from tests.fulfillment.orders.life import OrderStage
from tests.fulfillment.orders.samples_of import expected_routing, sample_orders
from tests.fulfillment.orders.test_canceling import routed
from tests.fulfillment.stage import WORKSPACE


@pytest.fixture
def shipment(life: OrderStage) -> Shipment:
    bought = routed(life)
    with life.database.transaction(WORKSPACE) as tx:
        (found,) = shipment_store.read_shipments(tx, WORKSPACE, UUID(life.order(bought).order_id))
    return found


@pytest.mark.parametrize("state", [ShipmentState.PLANNED, ShipmentState.SUBMITTING, ShipmentState.CANCELED])
def test_a_shipment_that_amazon_has_cannot_be_unsent(
    life: OrderStage, shipment: Shipment, state: ShipmentState
) -> None:
    with life.database.transaction(WORKSPACE) as tx, pytest.raises(ForbiddenMove):
        shipment_store.set_state(tx, shipment, state)


def test_what_is_over_stays_over(life: OrderStage, shipment: Shipment) -> None:
    with life.database.transaction(WORKSPACE) as tx:
        failed = shipment_store.set_state(tx, shipment, ShipmentState.FAILED, shipment_store.UNFULFILLABLE)
    for state in ShipmentState:
        with life.database.transaction(WORKSPACE) as tx, pytest.raises(ForbiddenMove):
            shipment_store.set_state(tx, failed, state)
    # Whoever read it before is late, and changes nothing.
    with life.database.transaction(WORKSPACE) as tx:
        late = shipment_store.set_state(tx, shipment, ShipmentState.SHIPPED)
    assert (late.state, late.problem) == (ShipmentState.FAILED, shipment_store.UNFULFILLABLE)
    assert life.stock()["in_flight"] == 0


def test_orders_are_kept_as_they_were_told() -> None:
    for found in sample_orders().values():
        told = shop_order_of(found)
        assert told_from_json(json.loads(json.dumps(told_to_json(told)))) == told


def test_units_that_were_sent_or_canceled_are_not_open() -> None:
    cases = {row["case"]: shop_order_of(sample_orders()[name]) for name, row in expected_routing().items()}
    states = {
        case: [unit.state for unit in cases[case].units]
        for case in ("partially_shipping", "partially_cancelled", "already_shipped", "cancelled")
    }
    assert states["partially_shipping"].count(UnitState.OPEN) == 1
    assert UnitState.SHIPPED in states["partially_shipping"]
    assert UnitState.CANCELED in states["partially_cancelled"]
    assert set(states["already_shipped"]) == {UnitState.SHIPPED}
    assert set(states["cancelled"]) == {UnitState.CANCELED}
