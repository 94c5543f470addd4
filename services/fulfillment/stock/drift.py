"""What does not agree between orders, ledger, Amazon and TikTok Shop. Pure.

Everything that is compared was looked at twice, or is older than what is still on its way from one side to the other:
so nothing is named that only happens at the moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.fulfillment.shipping.domain import Package, Shipment, ShipmentState, TellState
from vendors.amazon_sp.outbound import FulfillmentOrder, OrderStatus

# The promise: TikTok Shop knows a number so long after Amazon has it.
_TELL_WITHIN = timedelta(hours=4)
# Units are in flight for a day at most: then a reading settles them.
SETTLED_WITHIN = timedelta(days=2)
_AT_AMAZON = (ShipmentState.SUBMITTED, ShipmentState.CANCELING)
# Amazon sends nothing of it, and never did.
_NOTHING_SENT = (OrderStatus.CANCELLED, OrderStatus.INVALID, OrderStatus.UNFULFILLABLE)
_SENT = (OrderStatus.COMPLETE, OrderStatus.COMPLETE_PARTIALLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One difference. `sides`: what each side says; `text`: one sentence, and what to do about it."""

    kind: str
    text: str
    sides: Mapping[str, str] = field(default_factory=dict)
    amazon_sku: str = ""
    order_id: UUID | None = None
    fulfillment_order_id: str = ""


def of_shipment(shipment: Shipment, there: FulfillmentOrder | None) -> Iterator[Drift]:
    """A shipment that Amazon was asked about: `there` is its answer, None when it has no such order."""
    name, state = shipment.fulfillment_order_id, shipment.state

    def differs(kind: str, text: str, **sides: str) -> Drift:
        ours = {"here": state.value, "Amazon": there.status_text if there else "nothing"}
        return Drift(kind=kind, text=text, sides=ours | sides, order_id=shipment.order_id, fulfillment_order_id=name)

    if there is None:
        if state in (*_AT_AMAZON, ShipmentState.SHIPPED):
            yield differs(
                "order_missing_at_amazon",
                f"Amazon does not have {name}, which it had taken: nothing is sent of it. Look for it in Seller"
                " Central; if it is not there, cancel the order here and route it again.",
            )
        return
    is_alive = there.status not in _NOTHING_SENT
    if state in (ShipmentState.CANCELED, ShipmentState.FAILED) and is_alive:
        yield differs(
            "canceled_here_alive_at_amazon",
            f"{name} is over here, and Amazon still sends it, or has. Cancel it in Seller Central if that is still"
            " possible, and send nothing else for the order before you know.",
        )
    if state in _AT_AMAZON and not is_alive:
        yield differs(
            "over_at_amazon_open_here",
            f"Amazon does not send {name} any more, and it is still open here. It should be noticed within minutes:"
            " look whether Amazon can be read.",
        )
    if state in _AT_AMAZON and there.status in _SENT:
        yield differs(
            "shipped_at_amazon_open_here",
            f"Amazon has sent {name}, and it is still open here. It should be noticed within minutes: look whether"
            " Amazon can be read.",
        )
    if state in _AT_AMAZON and there.items:
        ours, theirs = _units_here(shipment), _units_there(there)
        if ours != theirs:
            yield differs(
                "items_differ",
                f"{name} has other items at Amazon than here: somebody changed it. Compare it in Seller Central, and"
                " cancel it there if the buyer would get the wrong goods.",
                items_here=_told(ours),
                items_at_amazon=_told(theirs),
            )


def of_strangers(
    listed: Iterable[FulfillmentOrder], prefixes: Iterable[str], ours: Mapping[str, tuple[UUID, bool]]
) -> Iterator[Drift]:
    """Orders at Amazon that are none of our shipments. `ours`: our orders by TikTok Shop's id, and whether we have sent
    them to Amazon, too.
    """
    starts = tuple(f"{prefix}-" for prefix in prefixes)
    for there in listed:
        if there.status in _NOTHING_SENT:
            continue
        found = next((ours[name] for name in names_of(there) if name in ours), None)
        if found is not None:
            order_id, is_sent = found
            text = (
                f"Amazon has {there.order_id} for an order that we have sent, too: the buyer gets it twice, and pays"
                " once. Cancel one of them in Seller Central, and stop the other app from sending orders of this shop."
                if is_sent
                else f"Amazon has {there.order_id} for an order that is not sent here yet: another app sends it. Cancel"
                " or leave the order here, and let only one app send orders of this shop."
            )
            yield Drift(
                kind="order_sent_twice" if is_sent else "order_sent_by_another_app",
                text=text,
                sides={"here": "sent" if is_sent else "not sent", "Amazon": there.status_text},
                order_id=order_id,
                fulfillment_order_id=there.order_id,
            )
        elif there.order_id.startswith(starts):
            yield Drift(
                kind="order_unknown_here",
                text=f"Amazon has {there.order_id}, whose id begins as ours do, and nothing is known of it here. If a"
                " backup was restored, it was sent before: cancel it in Seller Central unless its order needs it.",
                sides={"here": "nothing", "Amazon": there.status_text},
                fulfillment_order_id=there.order_id,
            )


def names_of(there: FulfillmentOrder) -> tuple[str, ...]:
    """What TikTok Shop's id of an order at Amazon may be: what it is shown as, and the long numbers in its id."""
    words = there.order_id.replace("_", "-").replace(".", "-").split("-")
    return (there.displayable_order_id, *(word for word in words if word.isdigit() and len(word) >= 15))


def of_packages(shipment: Shipment, packages: Iterable[Package], now: datetime) -> Iterator[Drift]:
    """Numbers that Amazon has and TikTok Shop was not told for long."""
    for package in packages:
        if not package.is_current or not package.tracking_number or package.tell_state is TellState.TOLD:
            continue
        if package.number_time is None or now - package.number_time < _TELL_WITHIN:
            continue
        yield Drift(
            kind="number_not_told",
            text=f"TikTok Shop does not know the number of a parcel of {shipment.fulfillment_order_id}, which Amazon"
            f" has had for over {int(_TELL_WITHIN.total_seconds() // 3600)} hours. The order's story says why; enter it"
            " in Seller Center before the order is late.",
            sides={"here": package.tell_state.value, "problem": package.tell_problem or "none"},
            order_id=shipment.order_id,
            fulfillment_order_id=shipment.fulfillment_order_id,
        )


def of_numbers(package: Package, there: Mapping[str, str]) -> Iterator[Drift]:
    """A number that TikTok Shop was told. `there`: its numbers by line of the order."""
    found = {there[line] for line in package.told_line_ids if line in there}
    if not found or found == {package.told_number}:
        return
    yield Drift(
        kind="number_differs_at_tiktok",
        text="TikTok Shop shows another number for a parcel than it was told: somebody changed it there. Compare it in"
        " Seller Center; each order's number can be corrected once.",
        sides={"told": package.told_number, "TikTok Shop": ", ".join(sorted(found)) or "none"},
        order_id=package.order_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A shipment with what it holds: units RESERVED or IN_FLIGHT, and the rest."""

    shipment_id: UUID
    order_id: UUID
    fulfillment_order_id: str
    state: ShipmentState
    reserved: int
    in_flight: int
    settled: int
    submit_time: datetime | None


def of_reservations(held: Held, now: datetime) -> Iterator[Drift]:
    """A shipment whose stock is not where it belongs."""
    name, state = held.fulfillment_order_id, held.state
    sides = {
        "shipment": state.value,
        "reserved": str(held.reserved),
        "in flight": str(held.in_flight),
        "settled": str(held.settled),
    }

    def differs(kind: str, text: str) -> Drift:
        return Drift(kind=kind, text=text, sides=sides, order_id=held.order_id, fulfillment_order_id=name)

    is_over = state in (ShipmentState.CANCELED, ShipmentState.FAILED)
    if is_over and held.reserved + held.in_flight:
        yield differs(
            "stock_held_for_nothing",
            f"{name} is over, and units are still held for it: too few are offered. This is a fault of ours; please"
            " report it.",
        )
    if not is_over and state is not ShipmentState.SHIPPED and not held.reserved + held.in_flight + held.settled:
        yield differs(
            "shipment_without_stock",
            f"{name} is open, and no units are held for it: they may be sold once more. This is a fault of ours; please"
            " report it.",
        )
    if state in (*_AT_AMAZON, ShipmentState.SHIPPED) and held.reserved:
        yield differs(
            "stock_not_in_flight",
            f"Amazon has {name}, and its units still count as not sent. This is a fault of ours; please report it.",
        )
    if held.in_flight and held.submit_time is not None and now - held.submit_time > SETTLED_WITHIN:
        yield differs(
            "stock_not_settled",
            f"Units of {name} have been in flight for over {SETTLED_WITHIN.days} days: too few are offered. Look"
            " whether Amazon's stock can be read.",
        )


@dataclass(frozen=True, slots=True)
class Sums:
    """A SKU's sums in the ledger, and what they add up to."""

    amazon_sku: str
    reserved: int
    in_flight: int
    held: int
    flying: int


def of_sums(sums: Sums) -> Iterator[Drift]:
    """A SKU whose sums are not those of its reservations."""
    if (sums.reserved, sums.in_flight) != (sums.held, sums.flying):
        yield Drift(
            kind="ledger_sums_differ",
            text=f"The ledger's sums of {sums.amazon_sku} are not those of its reservations. This is a fault of ours;"
            " please report it.",
            sides={
                "sums": f"{sums.reserved} reserved, {sums.in_flight} in flight",
                "reservations": f"{sums.held} reserved, {sums.flying} in flight",
            },
            amazon_sku=sums.amazon_sku,
        )


def of_quantity(seller_sku: str, amazon_sku: str, offered: int, right: int, problem: str) -> Iterator[Drift]:
    """What TikTok Shop offers of a SKU, and what is right by now."""
    if offered == right:
        return
    why = (
        f" It was refused: {problem}"
        if problem
        else " Somebody changed it there, or a push was lost; it is told again."
    )
    yield Drift(
        kind="too_many_offered" if offered > right else "too_few_offered",
        text=f"TikTok Shop offers {offered} units of {seller_sku}, and {right} can be sold.{why}",
        sides={"TikTok Shop": str(offered), "right": str(right)},
        amazon_sku=amazon_sku,
    )


def of_cancellation(order_id: UUID, platform_status: str) -> Drift:
    """An order that was to be canceled at TikTok Shop, too, and is not."""
    return Drift(
        kind="canceled_here_alive_at_tiktok",
        text="The order is canceled here, and not at TikTok Shop: it will be late there. Cancel it in Seller Center.",
        sides={"here": "CANCELED", "TikTok Shop": platform_status},
        order_id=order_id,
    )


def without_shipment(order_id: UUID) -> Drift:
    """An order that is routed, and nothing is at Amazon or on its way there."""
    return Drift(
        kind="routed_without_shipment",
        text="The order counts as sent to Amazon, and nothing of it is there or on its way. This is a fault of ours;"
        " please report it, and route the order again.",
        sides={"here": "ROUTED", "shipments": "none that is open or sent"},
        order_id=order_id,
    )


def _units_here(shipment: Shipment) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in shipment.items:
        found[item.amazon_sku] = found.get(item.amazon_sku, 0) + item.quantity
    return found


def _units_there(there: FulfillmentOrder) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in there.items:
        found[item.sku] = found.get(item.sku, 0) + item.quantity
    return found


def _told(units: Mapping[str, int]) -> str:
    return ", ".join(f"{quantity} x {sku}" for sku, quantity in sorted(units.items()))
