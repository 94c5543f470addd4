"""Orders decided again by today's rules, map and stock, without changing anything.

An order that was routed is decided as it was then: as if nothing of it had been sent, and its units were still there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, select

from kit.vault import Vault
from services.fulfillment.order_tables import orders
from services.fulfillment.orders import order_store
from services.fulfillment.orders.domain import Order, UnitState
from services.fulfillment.orders.sealing import Sealer
from services.fulfillment.routing import rule_store
from services.fulfillment.routing.case_store import Undecided, read_cases
from services.fulfillment.routing.deciding import Case, KnownAddress, decide, decision_from_json
from services.fulfillment.routing.decision import Decision, DecisionKind, OrderNotDecided
from services.fulfillment.routing.facts import FACTS, PREVIEW_FACTS, value_of
from services.fulfillment.routing.rules import Rule, in_order
from services.fulfillment.store import database_time
from vendors.amazon_sp.outbound import Fee, Preview, Speed


@dataclass(frozen=True, slots=True)
class Replay:
    """An order as it was decided (None: not yet), and as it would be now."""

    order: Order
    before: Decision | None
    now: Decision

    @property
    def is_different(self) -> bool:
        """Whether something else would become of it; remarks and figures do not count."""
        return self.before is None or _outcome(self.before) != _outcome(self.now)


def replay(
    tx: Connection, vault: Vault, workspace_id: UUID, order_ids: Sequence[UUID], draft: Rule | None = None
) -> list[Replay]:
    """What would be decided now, in the order of the ids; those that the workspace does not have are left out.

    `draft` is looked at besides the rules, in place of the one with its id. Where an order goes is as it is kept or,
    when that was deleted, as the decision knew it. Raises OrderNotDecided when neither says it.
    """
    found = order_store.read_orders(tx, workspace_id, order_ids)
    wanted = [found[order_id] for order_id in order_ids if order_id in found]
    kept = _kept(tx, vault, workspace_id, found)
    undecided, befores = [], []
    for order in wanted:
        before, address = kept[order.order_id]
        if address is None:
            raise OrderNotDecided(
                f"Nothing was decided of order {order.told.platform_order_id} yet. Ask again in a minute.",
                metadata={"order_id": str(order.order_id)},
            )
        undecided.append(Undecided(_unsent(order, before), address, _previews(before)))
        befores.append(before)
    shop_ids = {order.shop_id for order in wanted}
    rules = {shop_id: _with(draft, shop_id, rule_store.rules_of(tx, workspace_id, shop_id)) for shop_id in shop_ids}
    now = database_time(tx)
    return [
        Replay(order, before, decide(_restocked(case, before), rules[order.shop_id], now))
        for order, before, case in zip(wanted, befores, read_cases(tx, workspace_id, undecided), strict=True)
    ]


def _unsent(order: Order, before: Decision | None) -> Order:
    if before is None or before.kind is not DecisionKind.ROUTE:
        return order
    lines = {line for each in before.shipments for item in each.items for line in item.platform_line_ids}
    units = tuple(
        replace(unit, state=UnitState.OPEN) if unit.platform_line_id in lines else unit for unit in order.told.units
    )
    told = replace(order.told, status=before.facts["status"], units=units, is_on_hold=False, is_cancel_requested=False)
    return replace(order, told=told)


def _restocked(case: Case, before: Decision | None) -> Case:
    if before is None:
        return case
    stock = dict(case.stock)
    for item in (item for each in before.shipments for item in each.items):
        if (found := stock.get(item.amazon_sku)) is not None:
            stock[item.amazon_sku] = replace(found, units=found.units + item.quantity)
    return replace(case, stock=stock)


def _kept(
    tx: Connection, vault: Vault, workspace_id: UUID, order_ids: Iterable[UUID]
) -> dict[UUID, tuple[Decision | None, KnownAddress | None]]:
    """What was decided of orders, and what is known of where they go."""
    sealer = Sealer(vault, tx, workspace_id)
    rows = tx.execute(
        select(orders.c.order_id, orders.c.decision, orders.c.sealed_address).where(
            orders.c.workspace_id == workspace_id, orders.c.order_id.in_(order_ids)
        )
    ).all()
    found: dict[UUID, tuple[Decision | None, KnownAddress | None]] = {}
    for order_id, told, sealed in rows:
        address: KnownAddress | None
        decision = None if told is None else decision_from_json(told)
        if sealed is not None:
            address = KnownAddress.of(sealer.open_verdict(order_id, bytes(sealed)))
        else:
            address = None if decision is None else KnownAddress.of_decision(decision)
        found[order_id] = decision, address
    return found


def _with(draft: Rule | None, shop_id: UUID, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    if draft is None or draft.shop_id not in (None, shop_id):
        return rules
    return in_order([draft, *(rule for rule in rules if rule.rule_id != draft.rule_id)])


def _previews(before: Decision | None) -> tuple[Preview, ...]:
    """What Amazon foresaw when it was decided, at the speed of then."""
    names = PREVIEW_FACTS | {"speed"}
    facts = {} if before is None else before.facts
    told = {name: value_of(FACTS[name].kind, text) for name, text in facts.items() if name in names}
    if "is_fulfillable" not in told:
        return ()
    fee, promised_time = told.get("fee"), told.get("promised_time")
    return (
        Preview(
            speed=Speed(str(told["speed"])),
            is_fulfillable=told["is_fulfillable"] is True,
            fees=(Fee("all", fee, str(told["fee_currency"])),) if isinstance(fee, Decimal) else (),
            latest_ship_time=None,
            earliest_arrival_time=None,
            latest_arrival_time=promised_time if isinstance(promised_time, datetime) else None,
            order_problems=tuple(filter(None, str(told["preview_problems"]).split(", "))),
            item_problems=(),
        ),
    )


def _outcome(decision: Decision) -> tuple[object, ...]:
    shipments = [[(item.amazon_sku, item.quantity) for item in each.items] for each in decision.shipments]
    return decision.kind, decision.reason, decision.speed, dict(decision.features), shipments
