"""What people do with orders. The caller owns the transaction.

Each verb writes down a wish, and wakes the order; whoever works on it does what follows. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, null, update

from kit.errors import FailedPrecondition, FieldViolation, InvalidArgument, ReelrouteError
from kit.vault import Vault
from services.fulfillment.marketplaces.tiktok_shop import recipient_of
from services.fulfillment.order_tables import orders
from services.fulfillment.orders import course, order_store, personal_store
from services.fulfillment.orders.address import normalise
from services.fulfillment.orders.address_places import places_of
from services.fulfillment.orders.domain import ByHand, Order, OrderIsOver, OrderIsRouted, OrderNotFound, OrderState
from services.fulfillment.orders.personal import RecipientErased
from services.fulfillment.orders.recipient import District, Recipient, as_recipient
from services.fulfillment.orders.sealing import Sealer, mask
from services.fulfillment.routing.reasons import reason_of
from services.fulfillment.shipping import shipment_store
from services.fulfillment.shipping.domain import Shipment, ShipmentState
from vendors.tiktok_shop import order_models

_LEFT_BY_HAND = "left_by_hand"


class OrderNotHeld(FailedPrecondition):
    """The order is not held: there is nothing to release or to try again."""


class HoldNotPassable(FailedPrecondition):
    """The order lacks something without which it cannot be sent. It is put right, and then goes on."""


class AddressUnfit(InvalidArgument):
    """Where the order is to go, as corrected, cannot be told to Amazon. The text names the problem."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done about one of several orders. `problem` and `text`: why not; empty when it was."""

    order_id: UUID
    problem: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Handled:
    """An order that somebody does something about, locked."""

    tx: Connection
    order: Order
    shipments: Sequence[Shipment]
    actor: str

    @property
    def is_at_amazon(self) -> bool:
        """Whether Amazon has something of it, or may."""
        still = (ShipmentState.SUBMITTING, ShipmentState.SUBMITTED, ShipmentState.CANCELING, ShipmentState.SHIPPED)
        return any(shipment.state in still for shipment in self.shipments)

    def check_open(self) -> None:
        """Raises OrderIsRouted and OrderIsOver when nothing can be chosen for it any more."""
        if self.order.state in (OrderState.DELIVERED, OrderState.CANCELED):
            raise OrderIsOver("The order is over: it was delivered or canceled.")
        if self.is_at_amazon:
            raise OrderIsRouted("The order is at Amazon, or on its way there. Cancel it first.")

    def store(self, kind: str, text: str, **values: Any) -> None:
        """Stores what somebody wishes, with its event, and wakes the order."""
        tx, order = self.tx, self.order
        tx.execute(
            update(orders)
            .where(orders.c.workspace_id == order.workspace_id, orders.c.order_id == order.order_id)
            .values(update_time=func.now(), **values)
        )
        order_store.add_event(tx, order.workspace_id, order.order_id, kind, text, self.actor)
        order_store.wake(tx, order.workspace_id, [order.order_id])

    def again(self) -> dict[str, Any]:
        """The values of an order that is decided again."""
        return {"state": OrderState.PENDING.value, "reason": "", "reason_text": ""}

    def hand(self, by_hand: ByHand) -> dict[str, Any]:
        """The values of what somebody chose."""
        return {"by_hand": order_store.by_hand_to_json(by_hand) or null()}


def release(tx: Connection, workspace_id: UUID, order_ids: Sequence[UUID], actor: str) -> list[Outcome]:
    """Lets held orders go on although the reasons hold."""
    return _each(tx, workspace_id, order_ids, actor, _release)


def retry(tx: Connection, workspace_id: UUID, order_ids: Sequence[UUID], actor: str) -> list[Outcome]:
    """Decides held orders, and those that were left, again."""
    return _each(tx, workspace_id, order_ids, actor, _retry)


def leave(tx: Connection, workspace_id: UUID, order_ids: Sequence[UUID], actor: str) -> list[Outcome]:
    """Leaves orders to the seller."""
    return _each(tx, workspace_id, order_ids, actor, _leave)


def cancel(
    tx: Connection, workspace_id: UUID, order_ids: Sequence[UUID], platform_reason: str, actor: str
) -> list[Outcome]:
    """Cancels orders, with a reason also at TikTok Shop."""
    return _each(tx, workspace_id, order_ids, actor, lambda handled: _cancel(handled, platform_reason))


def route(
    tx: Connection, workspace_id: UUID, order_id: UUID, items: Sequence[tuple[str, int]], speed: str, actor: str
) -> None:
    """Routes an order by hand. Raises OrderNotFound, OrderIsRouted, OrderIsOver."""
    handled = _handled(tx, workspace_id, [order_id], actor)[order_id]
    handled.check_open()
    by_hand = replace(handled.order.by_hand, is_routed=True, is_left=False, items=tuple(items), speed=speed)
    units = ", ".join(f"{quantity} × {sku}" for sku, quantity in items) or "what the map says"
    text = f"Routed by hand: {units}{f', {speed}' if speed else ''}."
    handled.store("order.routed_by_hand", text, **handled.again(), **handled.hand(by_hand))


def correct(
    tx: Connection,
    vault: Vault,
    workspace_id: UUID,
    order_id: UUID,
    recipient: Recipient | None,
    speed: str,
    actor: str,
) -> None:
    """Corrects where an order goes, in the fields that are given, or how fast. Raises OrderNotFound, OrderIsRouted,
    OrderIsOver, RecipientErased, AddressUnfit.
    """
    handled = _handled(tx, workspace_id, [order_id], actor)[order_id]
    handled.check_open()
    by_hand, said, values = handled.order.by_hand, [], dict[str, Any]()
    if speed:
        by_hand = replace(by_hand, speed=speed)
        said.append(f"its speed to {speed}")
    if recipient is not None:
        values |= _corrected(tx, vault, workspace_id, order_id, recipient)
        by_hand = replace(by_hand, is_corrected=True)
        said.append("where it goes")
    if said:
        text = f"Corrected: {' and '.join(said)}."
        handled.store("order.corrected", text, **handled.again(), **handled.hand(by_hand), **values)


def _corrected(tx: Connection, vault: Vault, workspace_id: UUID, order_id: UUID, given: Recipient) -> dict[str, Any]:
    sealed, sealer = personal_store.read_recipient(tx, workspace_id, order_id), Sealer(vault, tx, workspace_id)
    if sealed.is_erased:
        raise RecipientErased("Whom this order went to was deleted: it cannot be sent any more.")
    known = Recipient()
    if sealed.sealed_order is not None:
        known = recipient_of(order_models.order(sealer.open_order(order_id, sealed.sealed_order)))
    if sealed.sealed_address is not None:
        address = sealer.open_verdict(order_id, sealed.sealed_address).address
        known = as_recipient(address) if address is not None else known
    recipient = _merged(known, given)
    verdict = normalise(recipient)
    if verdict.address is None:
        reason = reason_of(verdict.problem)
        raise AddressUnfit(
            f"It cannot be sent there: {reason.text.format_map({'country': verdict.country_code})}",
            [FieldViolation("recipient", reason.next_step)],
            {"problem": verdict.problem},
        )
    return {
        "sealed_address": sealer.seal_verdict(order_id, verdict),
        "masked_recipient": mask(recipient, verdict),
    }


def _merged(known: Recipient, given: Recipient) -> Recipient:
    """What is known, with the fields that are given in their place. Lines are given all or none."""
    places = places_of(known.districts, known.post_town, has_state=False)
    before = {"L1": places.state, "L2": places.district, "L3": places.city}
    chosen = {each.level: each.name for each in given.districts if each.name.strip()}
    names = {"L1": "State", "L2": "County", "L3": "City"}
    values = {name: value for name in ("phone", "postal_code", "country_code") if (value := getattr(given, name))}
    if given.name:
        values |= {"name": given.name, "first_name": "", "last_name": ""}
    if any(line.strip() for line in given.lines):
        values |= {"lines": given.lines, "address_detail": "", "full_address": ""}
    districts = tuple(District(level, names[level], chosen.get(level) or before[level]) for level in names)
    return replace(known, districts=districts, post_town=chosen.get("L3") or known.post_town, **values)


def _release(handled: _Handled) -> None:
    order = handled.order
    if order.state is OrderState.PENDING or order.state is OrderState.ROUTED:
        return  # released before
    _check_held(order)
    reason = reason_of(order.reason)
    if not reason.can_pass:
        raise HoldNotPassable(f"{order.reason_text} {reason.next_step}", metadata={"reason": order.reason})
    passed = order.passed_over
    if order.reason not in course.AT_AMAZON:
        passed = tuple(dict.fromkeys((*passed, order.reason)))
    text = f"Released although: {order.reason_text}"
    handled.store("order.released", text, **_again(handled), passed_over=list(passed))


def _retry(handled: _Handled) -> None:
    order = handled.order
    if order.state is OrderState.PENDING or order.state is OrderState.ROUTED:
        order_store.wake(handled.tx, order.workspace_id, [order.order_id])
        return
    if order.state is not OrderState.LEFT:
        _check_held(order)
    by_hand = replace(order.by_hand, is_left=False)
    handled.store("order.retried", "To be decided again.", **_again(handled), **handled.hand(by_hand))


def _leave(handled: _Handled) -> None:
    order = handled.order
    if order.state is OrderState.LEFT and order.by_hand.is_left:
        return
    handled.check_open()
    by_hand = replace(order.by_hand, is_left=True, is_routed=False)
    values = {"state": OrderState.LEFT.value, "reason": _LEFT_BY_HAND, "reason_text": reason_of(_LEFT_BY_HAND).text}
    handled.store("order.left_by_hand", "Left to the seller by hand.", **values, **handled.hand(by_hand))


def _cancel(handled: _Handled, platform_reason: str) -> None:
    order = handled.order
    if order.state is OrderState.CANCELED or (order.is_cancel_wanted and order.cancel_reason == platform_reason):
        return
    if order.state is OrderState.DELIVERED:
        raise OrderIsOver("The order was delivered.")
    if order.state is OrderState.SHIPPED:
        raise OrderIsOver("All of the order has left: it cannot be canceled any more.")
    where = f"at TikTok Shop, too, as {platform_reason}" if platform_reason else "at Amazon, not at TikTok Shop"
    values = {"is_cancel_wanted": True, "cancel_reason": platform_reason}
    handled.store("order.cancel_wanted", f"To be canceled, {where}.", **values)


def _again(handled: _Handled) -> dict[str, Any]:
    """An order with shipments under way goes on with these."""
    if any(not shipment.state.is_over for shipment in handled.shipments):
        return {"state": OrderState.ROUTED.value, "reason": "", "reason_text": ""}
    return handled.again()


def _check_held(order: Order) -> None:
    if order.state in (OrderState.DELIVERED, OrderState.CANCELED):
        raise OrderIsOver("The order is over: it was delivered or canceled.")
    if order.state is not OrderState.HELD:
        raise OrderNotHeld(f"The order is {order.state.value}, not held.")


def _each(
    tx: Connection,
    workspace_id: UUID,
    order_ids: Sequence[UUID],
    actor: str,
    do: Callable[[_Handled], None],
) -> list[Outcome]:
    found = _handled(tx, workspace_id, order_ids, actor, must_be_there=False)
    outcomes = []
    for order_id in dict.fromkeys(order_ids):
        try:
            if order_id not in found:
                raise OrderNotFound("There is no order with this id in the workspace.")
            do(found[order_id])
            outcomes.append(Outcome(order_id))
        except ReelrouteError as refusal:
            outcomes.append(Outcome(order_id, refusal.reason, refusal.message))
    return outcomes


def _handled(
    tx: Connection, workspace_id: UUID, order_ids: Sequence[UUID], actor: str, *, must_be_there: bool = True
) -> dict[UUID, _Handled]:
    """Orders, locked. Raises OrderNotFound when one must be there and is not."""
    found = order_store.read_orders(tx, workspace_id, order_ids, for_update=True)
    if must_be_there and len(found) < len(order_ids):
        raise OrderNotFound("There is no order with this id in the workspace.")
    shipments = shipment_store.shipments_of(tx, workspace_id, list(found))
    return {order_id: _Handled(tx, order, shipments.get(order_id, []), actor) for order_id, order in found.items()}
