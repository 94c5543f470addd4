"""Deadlines and their alarms: before they pass, each once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.fulfillment.orders.domain import Order, OrderState
from services.fulfillment.shipping.clock import Lateness, Step, alarms_due, deadlines, lateness, next_alarm_time
from services.fulfillment.shipping.domain import Package, TellState
from tests.fulfillment.shipping.worlds import NOW, a_package, a_shipment, an_order

HOUR = timedelta(hours=1)


def one_due(hours: float, **changes: Any) -> Order:
    """An order that is to be shipped so many hours from NOW on."""
    return an_order(told={"ship_until_time": NOW + hours * HOUR}, **changes)


def names(order: Order, packages: list[Package], now: datetime) -> list[str]:
    return [name for alarm in alarms_due(order, packages, now) for name in alarm.names]


def test_alarms_come_twelve_and_four_hours_before_and_after() -> None:
    order = one_due(24)
    assert names(order, [], NOW) == []
    assert next_alarm_time(order, [], NOW) == NOW + 12 * HOUR
    assert names(order, [], NOW + 12 * HOUR) == ["SHIPPED_12H"]
    warned = replace(order, alarms=("SHIPPED_12H",))
    assert names(warned, [], NOW + 19 * HOUR) == []
    assert next_alarm_time(warned, [], NOW + 12 * HOUR) == NOW + 20 * HOUR
    (late,) = alarms_due(warned, [], NOW + 24 * HOUR)
    assert (late.names, late.is_late) == (("SHIPPED_12H", "SHIPPED_4H", "SHIPPED_LATE"), True)
    assert next_alarm_time(order, [], NOW + 24 * HOUR) is None


@pytest.mark.parametrize(("hours", "expected"), [(13, "IN_TIME"), (11, "AT_RISK"), (0.1, "AT_RISK"), (-0.1, "LATE")])
def test_lateness_is_that_of_the_worst_deadline(hours: float, expected: str) -> None:
    assert lateness(one_due(hours), [], NOW) is Lateness[expected]


def told(order: Order, **changes: Any) -> Package:
    lines = tuple(unit.platform_line_id for unit in order.told.units)
    return a_package(a_shipment(order), tell_state=TellState.TOLD, told_number="T1", told_line_ids=lines, **changes)


def test_each_step_has_its_own_end() -> None:
    order = an_order(
        told={
            "ship_until_time": NOW - HOUR,
            "in_transit_until_time": NOW + HOUR,
            "deliver_until_time": NOW + 48 * HOUR,
        }
    )
    assert [each.step for each in deadlines(order, [])] == list(Step)
    assert [each.step for each in deadlines(order, [told(order)])] == [Step.IN_TRANSIT, Step.DELIVERED]
    moving = told(order, in_transit_time=NOW)
    assert [each.step for each in deadlines(order, [moving])] == [Step.DELIVERED]
    assert deadlines(order, [replace(moving, delivered_time=NOW)]) == ()
    # One parcel of two is not the order.
    assert Step.DELIVERED in {each.step for each in deadlines(order, [replace(moving, delivered_time=NOW), moving])}


def test_a_parcel_that_is_expected_too_late_is_told_before_it_is() -> None:
    order = an_order(told={"deliver_until_time": NOW + 48 * HOUR})
    package = told(order, in_transit_time=NOW, estimated_arrival_time=NOW + 49 * HOUR)
    (alarm,) = alarms_due(order, [package], NOW)
    assert (alarm.names, alarm.is_late) == (("DELIVERED_ESTIMATE",), False)
    assert lateness(order, [package], NOW) is Lateness.AT_RISK
    assert alarms_due(replace(order, alarms=alarm.names), [package], NOW) == ()


@pytest.mark.parametrize("state", [OrderState.LEFT, OrderState.CANCELED, OrderState.DELIVERED])
def test_what_is_not_ours_or_over_has_no_deadlines(state: OrderState) -> None:
    order = one_due(-1, state=state, reason="left")
    assert (deadlines(order, []), lateness(order, [], NOW)) == ((), Lateness.IN_TIME)


def test_an_alarm_says_what_is_in_the_way_and_what_to_do() -> None:
    held = one_due(3, state=OrderState.HELD, reason="sku_unmapped", reason_text="A SKU is not mapped.")
    (alarm,) = alarms_due(held, [], NOW)
    assert "A SKU is not mapped." in alarm.text
    assert alarm.next_step
    order = one_due(3)
    blocked = a_package(a_shipment(order), tell_state=TellState.BLOCKED, tell_problem="CARRIER_UNKNOWN: Pigeons.")
    (alarm,) = alarms_due(order, [blocked], NOW)
    assert "CARRIER_UNKNOWN" in alarm.text


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(-20, 60))
def test_whenever_the_clock_is_looked_at_no_alarm_is_given_twice_and_none_is_lost(
    looks: list[float], due: float
) -> None:
    order, given_names = one_due(due), []
    for hours in sorted(looks):
        now = NOW + hours * HOUR
        for alarm in alarms_due(order, [], now):
            given_names.append(alarm.names[-1])
            order = replace(order, alarms=tuple({*order.alarms, *alarm.names}))
    assert len(given_names) == len(set(given_names))
    last = NOW + max(looks) * HOUR
    passed = [name for name, before in (("12H", 12), ("4H", 4), ("LATE", 0)) if NOW + (due - before) * HOUR <= last]
    assert not passed or given_names[-1] == f"SHIPPED_{passed[-1]}"
