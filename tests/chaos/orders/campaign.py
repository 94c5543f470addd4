"""One day of orders by a plan, and the verdict on it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.chaos.orders import checker
from tests.chaos.orders.plan import Plan, Purchase
from tests.chaos.orders.shops import CONTESTED, Shops
from tests.chaos.wires import Moment, Phase, Reaction, Rule, passes

# Longest time in which everything has settled once nothing breaks any more: leases, retries, and the parcels' ways.
QUIET_SECONDS, SHORT_QUIET_SECONDS = 900.0, 150.0
_LATEST_WEBHOOK_SECONDS = 2.0


@dataclass
class Outcome:
    """What came of a day: how many orders ended in which state, and what is wrong."""

    states: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


# What a process that was killed alone may do, it holds up for minutes; what a vendor refused is put off for one.
_LEASES = (
    "UPDATE fulfillment.shop_routings SET orders_lease_time = now(), tracking_lease_time = now(),"
    " orders_due_time = now()",
    "UPDATE fulfillment.merchants SET orders_lease_time = now(), stock_lease_time = now(), orders_due_time = now(),"
    " stock_due_time = now()",
    "UPDATE fulfillment.stock_pushes SET lease_time = now(), next_time = now() WHERE lease_time IS NOT NULL",
    "UPDATE fulfillment.webhook_events SET next_time = now() WHERE next_time IS NOT NULL",
    "UPDATE fulfillment.packages SET track_due_time = now() WHERE track_due_time IS NOT NULL",
    "UPDATE fulfillment.orders SET next_time = now() WHERE lease_time IS NOT NULL",
)


def strike(running: Shops, planned: Plan, *, is_short: bool = False) -> Outcome:
    """Carries a plan out, waits until all is quiet, and judges. `is_short`: leases of the killed are not waited for,
    and so those of the living end, too, in the midst of their work.
    """
    running.set_stock(planned.scarce)
    running.control("DELETE", "/faults")
    for fault in planned.faults:
        running.fault(**fault)
    for mode, share in (("duplicate", 0.2), ("drop", planned.lost_webhooks / 2)):
        if share:
            running.fault(endpoint="tiktok_shop.webhook", mode=mode, probability=share, count=0, seed=planned.seed)
    running.wires.rule = _disturbed(planned)
    orders = _live(running, planned)
    running.wires.rule = passes
    running.control("DELETE", "/faults")
    running.wait_ready()
    if is_short:
        for statement in _LEASES:
            running.rows(statement)
    seen = checker.settle(running, orders, SHORT_QUIET_SECONDS if is_short else QUIET_SECONDS)
    return Outcome(seen.states(), checker.judge(running, seen))


def _live(running: Shops, planned: Plan) -> dict[str, Purchase]:
    """Does everything at its time; returns the purchases by the platform's ids of their orders."""
    orders: dict[str, Purchase] = {}
    ids: dict[int, str] = {}
    steps: list[tuple[float, Callable[[], object]]] = []

    def place(purchase: Purchase) -> None:
        ids[purchase.number] = _place(running, purchase)
        orders[ids[purchase.number]] = purchase

    def change(purchase: Purchase) -> None:
        _change(running, ids[purchase.number], purchase)

    for purchase in planned.purchases:
        steps.append((purchase.at, partial(place, purchase)))
        if purchase.then:
            steps.append((purchase.then_at, partial(change, purchase)))
    for at, victim in planned.kills:
        steps.append((at, partial(running.kill, victim)))
    for at, units in planned.sales:
        path = f"/amazon_sp/sell/{running.merchants[0].seller}/{CONTESTED}"
        steps.append((at, partial(running.control, "POST", path, {"quantity": units})))
    begin = time.monotonic()
    for at, step in sorted(steps, key=lambda each: each[0]):
        time.sleep(max(0.0, begin + at - time.monotonic()))
        step()
    return orders


def _place(running: Shops, purchase: Purchase) -> str:
    shop = running.shops[purchase.shop]
    body = {
        "shop_id": shop.platform_shop_id,
        "lines": [{"sku_id": shop.skus[sku], "quantity": quantity} for sku, quantity in purchase.lines],
        "status": "ON_HOLD" if purchase.is_held else "AWAITING_SHIPMENT",
        "address": purchase.recipient,
    }
    return str(running.control("POST", "/tiktok_shop/orders", body)["id"])


def _change(running: Shops, order_id: str, purchase: Purchase) -> None:
    """The buyer changes their mind; the platform may say that it is too late."""
    if purchase.then == "cancel":
        path, body = f"/tiktok_shop/orders/{order_id}/request-cancel", {}
    else:
        path, body = f"/tiktok_shop/orders/{order_id}/address", {**purchase.recipient, "line1": purchase.moved_to}
    answer = running.sandbox.post(f"/control{path}", json=body)
    assert answer.status_code in (200, 409), answer.text


def _disturbed(planned: Plan) -> Rule:
    """Loses webhooks and lets them overtake each other; loses calls, answers and commits."""
    chance = random.Random(f"{planned.seed} messages")

    def rule(moment: Moment) -> Reaction | float:
        dice = chance.random()
        if moment.server == "gateway" and moment.phase is Phase.ASKED:
            return Reaction.CUT if dice < planned.lost_webhooks else chance.random() * _LATEST_WEBHOOK_SECONDS
        if moment.server == "sandbox" and dice < planned.lost_calls / 2:
            return Reaction.CUT
        is_commit = moment.phase is Phase.ANSWERED and moment.what.startswith("COMMIT")
        if moment.server == "postgresql" and is_commit and dice < planned.lost_commits:
            return Reaction.CUT
        return Reaction.PASS

    return rule
