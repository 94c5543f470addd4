"""What became of what Amazon was asked, in one transaction: shipments are moved, and their orders with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from prometheus_client import Histogram
from sqlalchemy import Connection

from services.fulfillment.orders import course, work_store
from services.fulfillment.orders.course import Step
from services.fulfillment.orders.domain import Order, OrderState
from services.fulfillment.orders.story import Story
from services.fulfillment.orders.work_store import Claim, Move
from services.fulfillment.routing.reasons import reason_of
from services.fulfillment.shipping import shipment_store
from services.fulfillment.shipping.domain import Shipment, ShipmentState
from services.fulfillment.shipping.submitting import Known
from services.fulfillment.store import database_time

SUBMIT_SECONDS = Histogram(
    "reelroute_order_submit_seconds",
    "From when an order was first seen until Amazon had it.",
    buckets=(1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 4 * 3600, 24 * 3600),
)

_LOST = "merchant_authorization_lost"
# A wish to cancel is looked at again so soon.
_CANCELING_SECONDS = 30.0


@dataclass(slots=True)
class _Outcome:
    """What came of an order's jobs. `words`: why Amazon refuses one; `again`: when to go on, seconds."""

    words: str = ""
    again: float | None = None
    is_merchant_lost: bool = False

    def ask_again(self, seconds: float) -> None:
        self.again = seconds if self.again is None else min(self.again, seconds)


class Settling:
    """One transaction. `known`: by shipment."""

    def __init__(self, tx: Connection, claim: Claim, shop_name: str, known: Mapping[UUID, Known]) -> None:
        self._tx, self._claim, self._known = tx, claim, known
        self._now = database_time(tx)
        self._story = Story(tx, self._now, shop_name)

    def run(self) -> None:
        """Stores what is known, and what follows for the orders."""
        found = work_store.read_claimed(self._tx, self._claim, for_update=True)
        shipments = shipment_store.shipments_of(self._tx, self._claim.workspace_id, [order.order_id for order in found])
        for order in found:
            outcome = _Outcome()
            after = [self._apply(order, shipment, outcome) for shipment in shipments.get(order.order_id, [])]
            self._finish(order, after, outcome)
        self._story.write()

    def _apply(self, order: Order, shipment: Shipment, outcome: _Outcome) -> Shipment:
        """A shipment after what is known of it."""
        known = self._known.get(shipment.shipment_id)
        if known is None or shipment.state.is_over:
            return shipment
        outcome.is_merchant_lost |= known.is_merchant_lost
        match shipment.state:
            case ShipmentState.SUBMITTING:
                return self._submitted(order, shipment, known, outcome)
            case ShipmentState.CANCELING:
                return self._canceled(order, shipment, known, outcome)
        return shipment

    def _submitted(self, order: Order, shipment: Shipment, known: Known, outcome: _Outcome) -> Shipment:
        name = shipment.fulfillment_order_id
        if known.differs:
            text = f"Amazon has another order under {name}: nothing is sent again before a person has looked."
            return self._failed(order, shipment, shipment_store.DIFFERS, text)
        if known.found is not None:
            after = shipment_store.set_amazon_status(self._tx, shipment, known.found)
            said = known.found.status_text or known.found.status.value
            self._story.event(order, "shipment.submitted", f"Amazon has {name}: {said}.", {"shipment": name})
            SUBMIT_SECONDS.observe(max(0.0, (self._now - order.create_time).total_seconds()))
            return after
        if known.refusal:
            outcome.words = known.refusal
            text = f"Amazon refuses {name}. It says: {known.refusal}"
            return self._failed(order, shipment, shipment_store.REFUSED, text)
        if known.is_absent:
            self._story.event(order, "shipment.canceled", f"Amazon has no {name}, and will not get it.")
            return shipment_store.set_state(self._tx, shipment, ShipmentState.CANCELED)
        if known.is_unsent:
            outcome.ask_again(known.again_seconds)
            return shipment_store.set_state(self._tx, shipment, ShipmentState.PLANNED)
        outcome.ask_again(known.again_seconds)
        return shipment

    def _canceled(self, order: Order, shipment: Shipment, known: Known, outcome: _Outcome) -> Shipment:
        name = shipment.fulfillment_order_id
        if known.found is None:
            outcome.ask_again(known.again_seconds)
            return shipment
        after = shipment_store.set_amazon_status(self._tx, shipment, known.found)
        if after.state is ShipmentState.CANCELED:
            self._story.event(order, "shipment.canceled", f"Amazon has canceled {name}.", {"shipment": name})
        elif after.state is ShipmentState.CANCELING and known.is_cancel_refused:
            after = shipment_store.set_state(self._tx, after, ShipmentState.SUBMITTED)
            self._tell_too_late(order, name)
        elif after.state is ShipmentState.CANCELING:
            outcome.ask_again(_CANCELING_SECONDS)
        return after

    def _tell_too_late(self, order: Order, name: str) -> None:
        if course.is_to_end(order) or order.told.is_cancel_requested:
            text = f"it is to be canceled, but Amazon sends {name} and cannot stop it any more."
            self._story.tell(order, "order.canceled_too_late", text)
        else:
            text = f"it was changed at TikTok Shop, but Amazon sends {name} as it was and cannot stop it any more."
            self._story.tell(order, "order.changed_too_late", text)

    def _failed(self, order: Order, shipment: Shipment, problem: str, text: str) -> Shipment:
        self._story.event(order, "shipment.failed", text, {"shipment": shipment.fulfillment_order_id})
        return shipment_store.set_state(self._tx, shipment, ShipmentState.FAILED, problem)

    def _finish(self, order: Order, shipments: list[Shipment], outcome: _Outcome) -> None:
        if outcome.is_merchant_lost:
            self._hold(order, _LOST, reason_of(_LOST).text, outcome.again)
            return
        if outcome.again is not None:
            self._store(order, Move(state=OrderState.ROUTED, next=outcome.again))
            return
        # Here it is ROUTED, whatever it was held for before.
        found = course.course_of(replace(order, state=OrderState.ROUTED, reason=""), shipments)
        if found.step is Step.HOLD:
            text = reason_of(found.reason).text
            self._hold(order, found.reason, f"{text} It says: {outcome.words}" if outcome.words else text, None)
        else:
            self._store(order, Move(state=OrderState.ROUTED, next=None if found.step is Step.REST else 0))

    def _hold(self, order: Order, reason: str, text: str, again: float | None) -> None:
        if (order.state, order.reason) != (OrderState.HELD, reason):
            self._story.tell(order, "order.held", text, reason)
        self._store(order, Move(state=OrderState.HELD, reason=reason, text=text, next=again))

    def _store(self, order: Order, move: Move) -> None:
        self._story.moved(order.state, move.state)
        work_store.store(self._tx, order, move)
