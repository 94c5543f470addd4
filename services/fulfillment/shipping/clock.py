"""The clock of an order: TikTok Shop's deadlines, how near they are, and which alarms are due. Pure.

Three steps have deadlines: the order is shipped by our word (its numbers are told), it is with a carrier, it is
delivered. An alarm is given before a deadline, once for each time named in `AHEAD`, and once when it has passed; and
when Amazon expects a parcel later than TikTok Shop allows.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.fulfillment.orders.domain import Order, OrderState, UnitState
from services.fulfillment.shipping.domain import Package, TellState

AHEAD = (timedelta(hours=12), timedelta(hours=4))
# Left orders are the seller's; what is over has no deadlines.
_WATCHED = (OrderState.PENDING, OrderState.HELD, OrderState.ROUTED, OrderState.SHIPPED)
_LATE = "LATE"
_ESTIMATE = "DELIVERED_ESTIMATE"


class Step(enum.Enum):
    """What has a deadline. The value begins the names of its alarms."""

    SHIPPED = "SHIPPED"
    IN_TRANSIT = "IN_TRANSIT"
    DELIVERED = "DELIVERED"


class Lateness(enum.Enum):
    """How an order stands to its deadlines."""

    IN_TIME = "IN_TIME"
    AT_RISK = "AT_RISK"
    LATE = "LATE"


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when a step is to be made that is not made yet."""

    step: Step
    until: datetime


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `names`: by which it is known to be given, with those that it makes needless."""

    names: tuple[str, ...]
    is_late: bool
    text: str
    next_step: str


def deadlines(order: Order, packages: Sequence[Package]) -> tuple[Deadline, ...]:
    """The deadlines that are still to be kept, or that are missed."""
    if order.state not in _WATCHED:
        return ()
    told, current = order.told, [each for each in packages if each.is_current]
    is_shipped = order.state is OrderState.SHIPPED or is_told(order, packages)
    is_moving = is_shipped and bool(current) and all(each.in_transit_time or each.delivered_time for each in current)
    is_delivered = is_shipped and bool(current) and all(each.delivered_time for each in current)
    steps = (
        (Step.SHIPPED, told.ship_until_time, is_shipped),
        (Step.IN_TRANSIT, told.in_transit_until_time, is_moving),
        (Step.DELIVERED, told.deliver_until_time, is_delivered),
    )
    return tuple(Deadline(step, until) for step, until, is_made in steps if until is not None and not is_made)


def lateness(order: Order, packages: Sequence[Package], now: datetime, ahead: Sequence[timedelta] = AHEAD) -> Lateness:
    """The worst of an order's deadlines."""
    open_ones = deadlines(order, packages)
    if any(each.until <= now for each in open_ones):
        return Lateness.LATE
    near = max(ahead, default=timedelta(0))
    if any(each.until - near <= now for each in open_ones) or _late_estimate(open_ones, packages):
        return Lateness.AT_RISK
    return Lateness.IN_TIME


def alarms_due(
    order: Order, packages: Sequence[Package], now: datetime, ahead: Sequence[timedelta] = AHEAD
) -> tuple[Alarm, ...]:
    """The alarms to give now, of each deadline the most urgent; none that was given."""
    found = []
    open_ones = deadlines(order, packages)
    for deadline in open_ones:
        passed = [name for instant, name in _marks(deadline, ahead) if instant <= now]
        if not passed or passed[-1] in order.alarms:
            continue
        is_late = deadline.until <= now
        why, next_step = _reason(order, packages, deadline.step)
        verb = "had to be" if is_late else "has to be"
        text = f"It {verb} {_WORDS[deadline.step]} by {deadline.until:%Y-%m-%d %H:%M} UTC. {why}"
        found.append(Alarm(tuple(passed), is_late, text, next_step))
    expected = _late_estimate(open_ones, packages)
    if expected and _ESTIMATE not in order.alarms and not any(each.is_late for each in found):
        until = next(each.until for each in open_ones if each.step is Step.DELIVERED)
        text = (
            f"Amazon expects it on {expected:%Y-%m-%d %H:%M} UTC; TikTok Shop wants it delivered by"
            f" {until:%Y-%m-%d %H:%M} UTC."
        )
        found.append(Alarm((_ESTIMATE,), False, text, "Tell the buyer; choose a faster speed for orders to come."))
    return tuple(found)


def next_alarm_time(
    order: Order, packages: Sequence[Package], now: datetime, ahead: Sequence[timedelta] = AHEAD
) -> datetime | None:
    """When the clock is looked at next; None: nothing comes any more."""
    marks = [mark for each in deadlines(order, packages) for mark in _marks(each, ahead)]
    return min((instant for instant, _ in marks if instant > now), default=None)


def _marks(deadline: Deadline, ahead: Sequence[timedelta]) -> list[tuple[datetime, str]]:
    """The instants of a deadline's alarms with their names, the first first."""
    marks = [(deadline.until - each, f"{deadline.step.value}_{round(each / timedelta(hours=1))}H") for each in ahead]
    return [*sorted(marks), (deadline.until, f"{deadline.step.value}_{_LATE}")]


def _late_estimate(open_ones: Sequence[Deadline], packages: Sequence[Package]) -> datetime | None:
    """When Amazon expects the last parcel, if that is later than TikTok Shop allows."""
    until = next((each.until for each in open_ones if each.step is Step.DELIVERED), None)
    expected = max(
        (each.estimated_arrival_time for each in packages if each.is_current and each.estimated_arrival_time),
        default=None,
    )
    return expected if until is not None and expected is not None and expected > until else None


def is_told(order: Order, packages: Sequence[Package]) -> bool:
    """Whether TikTok Shop knows a number of each line that is still to be sent."""
    told = {line for each in packages if each.tell_state is TellState.TOLD for line in each.told_line_ids}
    units = order.told.units
    return bool(units) and all(unit.state is not UnitState.OPEN or unit.platform_line_id in told for unit in units)


_WORDS = {
    Step.SHIPPED: "shipped (its tracking number told to TikTok Shop)",
    Step.IN_TRANSIT: "with its carrier",
    Step.DELIVERED: "delivered",
}


def _reason(order: Order, packages: Sequence[Package], step: Step) -> tuple[str, str]:
    """Why the step is not made yet, and what is to be done."""
    current = [each for each in packages if each.is_current]
    withheld = next((each for each in current if each.tell_problem), None)
    if order.state is OrderState.PENDING:
        return "It is not sent to Amazon yet.", "See why in the order's story; decide it again."
    if order.state is OrderState.HELD:
        return f"It is held: {order.reason_text}", "Free it, route it by hand, leave it to the seller, or cancel it."
    if withheld is not None and step is Step.SHIPPED:
        return f"A number is not told: {withheld.tell_problem}", "Mend the cause, or enter the number in Seller Center."
    if step is Step.SHIPPED and not any(each.number_time for each in current):
        return "Amazon has not named a tracking number.", "Look at the shipment at Amazon; ask its support, or cancel."
    if step is Step.SHIPPED:
        return "TikTok Shop does not know all its numbers yet.", "See whether numbers are stopped for the shop."
    if step is Step.IN_TRANSIT:
        return "No carrier has scanned it yet.", "Ask Amazon's support about the parcel."
    return "It is still on its way.", "Ask Amazon's support about the parcel, and tell the buyer."
