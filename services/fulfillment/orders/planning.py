"""What is decided of claimed orders, in one transaction: decisions, reservations, shipments that are to be sent, and
all that needs nobody else's answer. Whatever Amazon is asked afterwards is stored before, here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from kit.db import new_id
from kit.vault import Vault
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.domain import Merchant, MerchantState
from services.fulfillment.orders import course, order_store, work_store
from services.fulfillment.orders.building import Previewed, items_of, new_order, previewed, same_place
from services.fulfillment.orders.course import Course, Parcels, Step
from services.fulfillment.orders.domain import Order, OrderState, UnitState
from services.fulfillment.orders.recipient import Address, Verdict
from services.fulfillment.orders.sealing import Sealer
from services.fulfillment.orders.story import Story
from services.fulfillment.orders.work_store import Claim, Move
from services.fulfillment.routing import case_store, routing_store, rule_store
from services.fulfillment.routing.case_store import Undecided
from services.fulfillment.routing.deciding import KnownAddress, decide, decision_to_json
from services.fulfillment.routing.decision import Decision, DecisionKind, PlannedShipment
from services.fulfillment.routing.reasons import reason_of
from services.fulfillment.routing.rules import Rule
from services.fulfillment.shipping import clock, package_store, shipment_store
from services.fulfillment.shipping.domain import Shipment, ShipmentState
from services.fulfillment.shipping.submitting import Job, Wish
from services.fulfillment.stock import ledger_store
from services.fulfillment.stock.domain import InsufficientStock
from services.fulfillment.store import database_time
from vendors.amazon_sp.outbound import Preview

# Held back by TikTok Shop or the shop's own wait: nobody has to look at them.
_WAITING = ("unpaid", "on_hold", "waiting")
_LOST = "merchant_authorization_lost"
# How soon what could not be done now is tried again, seconds.
_AT_ONCE, _LOST_SECONDS, _OFF_SECONDS = 0.5, 600.0, 900.0


@dataclass(slots=True)
class Plan:
    """What is still to be asked, in this order: which orders are to be read at TikTok Shop before they are decided for
    good, or previewed at Amazon; what Amazon is asked of shipments; and which orders are to be canceled at TikTok Shop.
    """

    to_read: list[Order] = field(default_factory=list)
    to_preview: list[Previewed] = field(default_factory=list)
    jobs: dict[UUID, list[Job]] = field(default_factory=dict)
    to_cancel: list[Order] = field(default_factory=list)
    merchants: dict[UUID, Merchant] = field(default_factory=dict)


class Planning:
    """One transaction. `fresh`: orders that were read at TikTok Shop for this; `previews`: what Amazon foresees."""

    def __init__(
        self,
        tx: Connection,
        vault: Vault,
        claim: Claim,
        shop_name: str,
        *,
        fresh: Collection[UUID] = (),
        previews: Mapping[UUID, tuple[Preview, ...]] | None = None,
    ) -> None:
        self._tx, self._claim, self._fresh, self._previews = tx, claim, fresh, previews or {}
        self._sealer = Sealer(vault, tx, claim.workspace_id)
        self._now = database_time(tx)
        self._story = Story(tx, self._now, shop_name)
        self._plan = Plan()
        self._verdicts: dict[UUID, Verdict] = {}
        self._rules: tuple[Rule, ...] | None = None

    def run(self) -> Plan:
        """Decides and stores all that can be now; what is left is in the plan."""
        found = work_store.read_claimed(self._tx, self._claim, for_update=True)
        ids = [order.order_id for order in found]
        self._routing = routing_store.read_routing(self._tx, self._claim.workspace_id, self._claim.shop_id)
        self._shipments = shipment_store.shipments_of(self._tx, self._claim.workspace_id, ids)
        self._sealed = work_store.sealed_addresses(self._tx, self._claim.workspace_id, ids)
        to_decide = [order for order in found if self._follow(order)]
        self._decide(to_decide)
        self._story.write()
        return self._plan

    def _follow(self, order: Order) -> bool:
        """Does what needs no decision; True when one is needed."""
        shipments = self._shipments.get(order.order_id, [])
        parcels = self._parcels(order, shipments)
        found = course.course_of(order, shipments, moved=self._moved(order, shipments), parcels=parcels)
        match found.step:
            case Step.DECIDE:
                return True
            case Step.ASK_AMAZON:
                self._ask(order, found)
            case Step.REST:
                still = any(not shipment.state.is_over for shipment in shipments)
                self._rest(order, OrderState.ROUTED if still else order.state)
            case Step.HOLD:
                self._hold(order, found.reason)
            case Step.CANCEL_THERE:
                if order.order_id in self._fresh:
                    self._plan.to_cancel.append(order)
                else:
                    self._plan.to_read.append(order)
            case Step.CANCELED:
                self._story.event(order, "order.canceled", "It is canceled; nothing of it is sent.")
                self._store(order, Move(state=OrderState.CANCELED))
            case Step.TOO_LATE:
                self._too_late(order)
            case Step.SHIPPED:
                self._story.event(order, "order.shipped", "All of it has left, and TikTok Shop knows each number.")
                self._store(order, Move(state=OrderState.SHIPPED))
            case Step.DELIVERED:
                self._story.event(order, "order.delivered", "It was delivered.")
                self._store(order, Move(state=OrderState.DELIVERED))
        return False

    def _rest(self, order: Order, state: OrderState) -> None:
        stays = state is order.state
        move = Move(state=state, reason=order.reason if stays else "", text=order.reason_text if stays else "")
        self._store(order, move)

    def _too_late(self, order: Order) -> None:
        if course.is_to_end(order):
            text = "it was canceled, but Amazon has sent it. Ask the buyer to send it back."
            self._story.tell(order, course.CANCELED_TOO_LATE, text)
        else:
            text = "part of it was canceled, but Amazon has sent that, too. Ask the buyer to send it back."
            self._story.tell(order, course.CHANGED_TOO_LATE, text)
        values = {"is_cancel_wanted": False, "cancel_reason": ""}
        self._store(order, Move(state=OrderState.ROUTED, next=0, values=values))

    def _parcels(self, order: Order, shipments: Sequence[Shipment]) -> Parcels:
        if not any(shipment.state is ShipmentState.SHIPPED for shipment in shipments):
            return Parcels()
        found = [
            each for each in package_store.packages_of(self._tx, order.workspace_id, order.order_id) if each.is_current
        ]
        return Parcels(
            are_told=bool(found) and clock.is_told(order, found),
            are_delivered=bool(found) and all(each.delivered_time is not None for each in found),
            is_late_told=self._has(order, course.CANCELED_TOO_LATE),
            is_change_told=self._has(order, course.CHANGED_TOO_LATE),
        )

    def _has(self, order: Order, kind: str) -> bool:
        return order_store.has_event(self._tx, order.workspace_id, order.order_id, kind)

    def _moved(self, order: Order, shipments: Sequence[Shipment]) -> frozenset[UUID]:
        """Shipments under way to where the order no longer goes, or with what somebody else has sent."""
        still = {shipment.shipment_id: shipment.state for shipment in shipments if not shipment.state.is_over}
        if not still:
            return frozenset()
        return self._elsewhere(order, still) | self._overtaken(order, shipments)

    def _overtaken(self, order: Order, shipments: Sequence[Shipment]) -> frozenset[UUID]:
        sent = {unit.platform_line_id for unit in order.told.units if unit.state is UnitState.SHIPPED}
        if not sent:
            return frozenset()
        # Of what has a number we may have told it.
        found = package_store.packages_of(self._tx, order.workspace_id, order.order_id)
        numbered = {each.shipment_id for each in found if each.number_time is not None}
        return frozenset(
            shipment.shipment_id
            for shipment in shipments
            if shipment.state is ShipmentState.SUBMITTED
            and shipment.shipment_id not in numbered
            and course.lines_of([shipment]) & sent
        )

    def _elsewhere(self, order: Order, still: Mapping[UUID, ShipmentState]) -> frozenset[UUID]:
        if order.order_id not in self._sealed:
            # Whom it goes to was deleted: what Amazon has goes on, and nothing else can.
            unsent = (ShipmentState.PLANNED, ShipmentState.SUBMITTING)
            return frozenset(shipment_id for shipment_id, state in still.items() if state in unsent)
        address = self._verdict(order).address
        if address is None:
            return frozenset(still)
        sealed = shipment_store.sealed_destinations(self._tx, order.workspace_id, still)
        return frozenset(
            shipment_id
            for shipment_id, destination in sealed.items()
            if not same_place(self._sealer.open_destination(shipment_id, destination), address)
        )

    def _verdict(self, order: Order) -> Verdict:
        if order.order_id not in self._verdicts:
            sealed = self._sealed.get(order.order_id)
            self._verdicts[order.order_id] = (
                Verdict(None, "") if sealed is None else self._sealer.open_verdict(order.order_id, sealed)
            )
        return self._verdicts[order.order_id]

    def _ask(self, order: Order, found: Course) -> None:
        if found.wanted and not self._routing.is_on:
            if not found.unwanted:
                move = Move(state=order.state, reason=order.reason, text=order.reason_text, next=_OFF_SECONDS)
                self._store(order, move)
                return
            found = replace(found, wanted=())
        if found.wanted and order.order_id not in self._fresh:
            self._plan.to_read.append(order)
            return
        asked = 0
        for shipment in found.unwanted:
            match shipment.state:
                case ShipmentState.PLANNED:
                    shipment_store.set_state(self._tx, shipment, ShipmentState.CANCELED)
                    text = f"{shipment.fulfillment_order_id} was not sent to Amazon yet, and will not be."
                    self._story.event(order, "shipment.canceled", text)
                    continue
                case ShipmentState.SUBMITTING:
                    wish = Wish.FIND
                case _:
                    wish = Wish.CANCEL
                    if shipment.state is ShipmentState.SUBMITTED:
                        shipment_store.set_state(self._tx, shipment, ShipmentState.CANCELING)
            self._add_job(order, shipment, wish)
            asked += 1
        for shipment in found.wanted:
            is_new = shipment.state is ShipmentState.PLANNED
            if is_new:
                shipment_store.set_state(self._tx, shipment, ShipmentState.SUBMITTING)
            self._add_job(order, shipment, Wish.CREATE, is_new=is_new)
            asked += 1
        if not asked:
            self._store(order, Move(state=OrderState.PENDING, next=0))

    def _add_job(
        self, order: Order, shipment: Shipment, wish: Wish, *, address: Address | None = None, is_new: bool = False
    ) -> None:
        """`address`: where it goes, if the caller knows; else it is read as it was stored."""
        merchant = self._merchant(shipment.merchant_id)
        new = None
        if wish is Wish.CREATE:
            new = new_order(order, shipment, address or self._destination(shipment), self._routing, merchant)
        job = Job(
            shipment.shipment_id,
            order.order_id,
            wish,
            shipment.fulfillment_order_id,
            new,
            is_new=is_new,
            begun_seconds=(self._now - (shipment.begin_time or self._now)).total_seconds(),
        )
        self._plan.jobs.setdefault(merchant.merchant_id, []).append(job)

    def _destination(self, shipment: Shipment) -> Address:
        shipment_id = shipment.shipment_id
        sealed = shipment_store.sealed_destinations(self._tx, shipment.workspace_id, [shipment_id])
        return self._sealer.open_destination(shipment_id, sealed[shipment_id])

    def _merchant(self, merchant_id: UUID) -> Merchant:
        if merchant_id not in self._plan.merchants:
            found = merchant_store.read_merchant(self._tx, self._claim.workspace_id, merchant_id)
            self._plan.merchants[merchant_id] = found
        return self._plan.merchants[merchant_id]

    def _decide(self, found: Sequence[Order]) -> None:
        if not found:
            return
        if not self._routing.is_on:
            for order in found:
                self._store(order, Move(state=order.state, reason=order.reason, text=order.reason_text))
            return
        if self._rules is None:
            self._rules = rule_store.rules_of(self._tx, self._claim.workspace_id, self._claim.shop_id)
        left = [replace(order, told=course.uncovered(order.told, self._sent_of(order))) for order in found]
        undecided = [
            Undecided(order, KnownAddress.of(self._verdict(order)), self._previews.get(order.order_id, ()))
            for order in left
        ]
        cases = case_store.read_cases(self._tx, self._claim.workspace_id, undecided)
        decided = [(order, decide(case, self._rules, self._now)) for order, case in zip(left, cases, strict=True)]
        self._lock_stock([decision for _, decision in decided])
        for order, decision in decided:
            match decision.kind:
                case DecisionKind.ROUTE:
                    self._route(order, decision)
                case DecisionKind.HOLD:
                    self._hold(order, decision.reason, decision)
                case DecisionKind.LEAVE:
                    self._leave(order, decision)

    def _sent_of(self, order: Order) -> list[Shipment]:
        shipments = self._shipments.get(order.order_id, [])
        return [shipment for shipment in shipments if shipment.state is ShipmentState.SHIPPED]

    def _lock_stock(self, decisions: Sequence[Decision]) -> None:
        """In one order everywhere, or two processes could wait for each other's SKUs."""
        skus = {item.amazon_sku for each in decisions for shipment in each.shipments for item in shipment.items}
        if skus and self._routing.merchant_id is not None:
            ledger_store.lock(self._tx, self._routing.merchant_id, skus)

    def _hold(self, order: Order, reason: str, decision: Decision | None = None) -> None:
        text = decision.text if decision else reason_of(reason).text
        state = OrderState.PENDING if reason in _WAITING else OrderState.HELD
        if (state, reason) != (order.state, order.reason):
            if state is OrderState.HELD:
                self._story.tell(order, "order.held", text, reason)
            else:
                self._story.event(order, "order.waiting", text, {"reason": reason})
        self._store(
            order,
            Move(
                state=state,
                reason=reason,
                text=text,
                decision=decision_to_json(decision) if decision else None,
                next=decision.retry_time if decision else None,
            ),
        )

    def _leave(self, order: Order, decision: Decision) -> None:
        if (order.state, order.reason) != (OrderState.LEFT, decision.reason):
            self._story.event(order, "order.left", decision.text, {"reason": decision.reason})
        move = Move(
            state=OrderState.LEFT,
            reason=decision.reason,
            text=decision.text,
            decision=decision_to_json(decision),
            next=decision.retry_time,
        )
        self._store(order, move)

    def _route(self, order: Order, decision: Decision) -> None:
        address, merchant_id = self._verdict(order).address, self._routing.merchant_id
        if order.order_id not in self._fresh:
            self._plan.to_read.append(order)
            return
        if address is None or merchant_id is None:
            raise AssertionError("the built-in rules hold what has no address, and what no merchant sends")
        if self._routing.preview_orders and order.order_id not in self._previews:
            self._plan.to_preview.append(previewed(order, merchant_id, address, decision))
            return
        merchant = self._merchant(merchant_id)
        if merchant.state is not MerchantState.CONNECTED:
            lost = replace(
                decision,
                kind=DecisionKind.HOLD,
                reason=_LOST,
                text=reason_of(_LOST).text,
                shipments=(),
                retry_time=self._now + timedelta(seconds=_LOST_SECONDS),
            )
            self._hold(order, _LOST, lost)
            return
        planned = self._reserved(order, decision, merchant, address)
        if planned is None:
            # Another order was faster: it is decided again by what there is now.
            self._store(order, Move(state=order.state, reason=order.reason, text=order.reason_text, next=_AT_ONCE))
            return
        units = sum(item.quantity for shipment in planned for item in shipment.items)
        names = ", ".join(shipment.fulfillment_order_id for shipment in planned)
        text = f"It goes to Amazon at speed {decision.speed}: {units} of its units, as {names}."
        self._story.event(order, "order.routed", text)
        self._story.moved(order.state, OrderState.ROUTED)
        move = Move(state=OrderState.ROUTED, decision=decision_to_json(decision))
        work_store.store(self._tx, order, move, goes_on=True)

    def _reserved(
        self, order: Order, decision: Decision, merchant: Merchant, address: Address
    ) -> list[Shipment] | None:
        """Shipments with their stock; None, and nothing is stored, where there is too little."""
        first = max((each.number for each in self._shipments.get(order.order_id, [])), default=0) + 1
        made = [
            self._shipment(order, decision, merchant, planned, number)
            for number, planned in enumerate(decision.shipments, first)
        ]
        point = self._tx.begin_nested()
        try:
            for shipment in made:
                destination = self._sealer.seal_destination(shipment.shipment_id, address)
                shipment_store.insert_shipment(self._tx, shipment, destination)
                quantities = {item.amazon_sku: item.quantity for item in shipment.items}
                ledger_store.reserve(
                    self._tx,
                    order.workspace_id,
                    merchant.merchant_id,
                    order.order_id,
                    shipment.shipment_id,
                    quantities,
                    self._routing.safety_stock,
                )
        except InsufficientStock:
            point.rollback()
            return None
        point.commit()
        for shipment in made:
            self._add_job(order, shipment, Wish.CREATE, address=address, is_new=True)
        return made

    def _shipment(
        self, order: Order, decision: Decision, merchant: Merchant, planned: PlannedShipment, number: int
    ) -> Shipment:
        return Shipment(
            shipment_id=new_id(),
            workspace_id=order.workspace_id,
            order_id=order.order_id,
            merchant_id=merchant.merchant_id,
            number=number,
            fulfillment_order_id=f"{self._routing.order_prefix}-{order.told.platform_order_id}-{number}",
            state=ShipmentState.SUBMITTING,
            amazon_status="",
            speed=decision.speed,
            policy=self._routing.fulfillment_policy,
            features=decision.features,
            items=items_of(planned),
            problem="",
            begin_time=self._now,
            submit_time=None,
            cancel_refuse_time=None,
            create_time=self._now,
            update_time=self._now,
        )

    def _store(self, order: Order, move: Move) -> None:
        self._story.moved(order.state, move.state)
        work_store.store(self._tx, order, move)
