"""The life of a fulfilment order: every step of it happens at its time by the sandbox's clock.

    New → Received → Planning → Processing → Complete, CompletePartialled
     └→ Invalid, Unfulfillable    Cancelled from the first three

What an order does next stands in its agenda: `[time, step, …]`. A step is done the same way whether somebody calls, a
loop wakes up, or the clock jumps a week ahead.
"""

import bisect
import json
import math
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.amazon_sp import parcels, stock
from sandbox.amazon_sp.fates import Fate
from sandbox.amazon_sp.state import AmazonState

FINAL = ("Complete", "CompletePartialled", "Cancelled", "Unfulfillable", "Invalid")
EARLY = ("New", "Received", "Planning")
"""While an order is in these, it can be canceled."""


@dataclass
class Order:
    """A fulfilment order. `request` is what was sent, as text; `doc` is what became of it."""

    number: int
    seller: str
    id: str
    displayable_id: str
    status: str
    created: float
    updated: float
    waiting: bool
    request: str
    doc: dict[str, Any]

    def become(self, status: str, at: float) -> None:
        """Another status, from now on."""
        if status != self.status:
            self.status, self.updated = status, at

    def plan(self, at: float, step: str, *details: int) -> None:
        """Put a step on the agenda."""
        bisect.insort(self.doc["agenda"], [at, step, *details], key=lambda entry: entry[0])


def load(row: sqlite3.Row) -> Order:
    """An order from its row."""
    return Order(
        row["number"], row["seller"], row["id"], row["displayable_id"], row["status"], row["created"], row["updated"],
        bool(row["waiting"]), row["request"], json.loads(row["doc"]),
    )  # fmt: skip


def find(state: AmazonState, seller: str, order_id: str) -> Order | None:
    """One order of a seller."""
    row = state.store.one("SELECT * FROM amazon_order WHERE seller = ? AND id = ?", seller, order_id)
    return None if row is None else load(row)


def find_package(state: AmazonState, number: int) -> tuple[Order, dict[str, Any]] | None:
    """A package with its order."""
    owner = parcels.owner(state, number)
    order = None if owner is None else find(state, *owner)
    packages = [] if order is None else [one for shipment in order.doc["shipments"] for one in shipment["packages"]]
    package = next((one for one in packages if one["number"] == number), None)
    return None if order is None or package is None else (order, package)


def save(state: AmazonState, order: Order) -> None:
    """Keep what an order has become."""
    agenda = order.doc["agenda"]
    following = agenda[0][0] if agenda else None
    state.store.run(
        "UPDATE amazon_order SET status = ?, updated = ?, next_time = ?, waiting = ?, request = ?, doc = ?"
        " WHERE number = ?",
        *(order.status, order.updated, following, int(order.waiting), order.request),
        *(json.dumps(order.doc, separators=(",", ":")), order.number),
    )
    if following is not None:
        state.due(following)


def settle(state: AmazonState) -> float | None:
    """Do everything that is due. Returns the next due time, None when nothing waits."""
    now = state.clock.now()
    if now >= state.next_due:
        with state.store.transaction():
            while _one_due(state, now):
                pass
            state.next_due = min(_next_step(state), stock.next_time(state))
    return None if state.next_due == math.inf else state.next_due


def _next_step(state: AmazonState) -> float:
    row = state.store.one("SELECT min(next_time) AS t FROM amazon_order WHERE next_time IS NOT NULL")
    return math.inf if row is None or row["t"] is None else float(row["t"])


def _one_due(state: AmazonState, now: float) -> bool:
    row = state.store.one("SELECT * FROM amazon_order WHERE next_time <= ? ORDER BY next_time, number LIMIT 1", now)
    arrived = stock.settle_next(state, now if row is None else row["next_time"])
    if arrived is not None:
        if arrived[0]:
            goods_arrived(state, *arrived)
        return True
    if row is None:
        return False
    order = load(row)
    step(state, order)
    return True


def step(state: AmazonState, order: Order, at: float | None = None) -> None:
    """The next step of an order, at its time or at the one given. Raises ValueError when nothing follows."""
    if not order.doc["agenda"]:
        raise ValueError(f"Nothing follows for an order that is {order.status}.")
    due, name, *details = order.doc["agenda"].pop(0)
    _STEPS[name](state, order, due if at is None else at, *details)
    save(state, order)


# Steps


def _check(state: AmazonState, order: Order, at: float) -> None:
    doc = order.doc
    if doc["verdict"] != "good":
        finish(state, order, "Invalid" if doc["verdict"] == "invalid" else "Unfulfillable", at)
    else:
        order.become("Received", at)
        if doc["action"] == "Hold":
            order.plan(at + state.settings.hold_seconds, "hold_ends")
        else:
            release(state, order, at)


def release(state: AmazonState, order: Order, at: float) -> None:
    """A Received order may go out."""
    doc = order.doc
    doc["action"] = "Ship"
    doc["agenda"] = [entry for entry in doc["agenda"] if entry[1] != "hold_ends"]
    if Fate.model_validate(doc["fate"]).stuck:
        return
    order.waiting = any(line["waiting"] for line in doc["lines"])
    if order.waiting:
        order.plan(at + state.settings.fill_all_seconds, "waiting_ends")
    if any(line["reserved"] for line in doc["lines"]):
        order.plan(at + state.settings.planning_seconds, "plan")


def _plan(state: AmazonState, order: Order, at: float) -> None:
    order.become("Planning", at)
    order.doc["shipments"] += parcels.make_shipments(state, order.seller, order.id, order.doc)
    if parcels.gets_aftn(state, order.doc):
        order.plan(max(at, order.created + state.settings.aftn_seconds), "aftn")
    order.plan(at + state.settings.processing_seconds, "process")


def _aftn(state: AmazonState, order: Order, at: float) -> None:
    for shipment in order.doc["shipments"]:
        if shipment["status"] == "PENDING":
            for package in shipment["packages"]:
                parcels.give_aftn(state, package)


def _process(state: AmazonState, order: Order, at: float) -> None:
    order.become("Processing", at)
    # Units that arrived since the planning.
    order.doc["shipments"] += parcels.make_shipments(state, order.seller, order.id, order.doc)
    _pick(state, order, at)
    for place, shipment in enumerate(order.doc["shipments"]):
        if shipment["status"] == "PENDING":
            _plan_leaving(state, order, place, at)
    _complete(state, order, at)


def _plan_leaving(state: AmazonState, order: Order, place: int, at: float) -> None:
    shipment, settings = order.doc["shipments"][place], state.settings
    leaves = at + settings.ship_seconds + Fate.model_validate(order.doc["fate"]).delay_seconds
    shipment["at"] = leaves + settings.package_seconds * (len(shipment["packages"]) - 1)
    for number in range(len(shipment["packages"])):
        order.plan(leaves + settings.package_seconds * number, "leave", place, number)


def _pick(state: AmazonState, order: Order, at: float) -> None:
    """What is found damaged goes out of the last shipments."""
    missing = Fate.model_validate(order.doc["fate"]).short_units
    for shipment in reversed(order.doc["shipments"]):
        for item in reversed(shipment["items"] if shipment["status"] == "PENDING" else []):
            units = min(missing, item[1])
            missing -= units
            item[1] -= units
            line = order.doc["lines"][item[0]]
            line["reserved"] -= units
            line["unfulfillable"] += units
            if units:
                stock.lose(state, order.seller, line["sku"], units, at)
        shipment["items"] = [item for item in shipment["items"] if item[1]]
        # An empty package does not leave.
        used = sorted({item[2] for item in shipment["items"]})
        shipment["packages"] = [shipment["packages"][place] for place in used]
        for item in shipment["items"]:
            item[2] = used.index(item[2])
    order.doc["shipments"] = [one for one in order.doc["shipments"] if one["items"]]


def _leave(state: AmazonState, order: Order, at: float, place: int, number: int) -> None:
    doc = order.doc
    shipment = doc["shipments"][place]
    if shipment["status"] != "PENDING":
        return
    if shipment["replans"] and not number:
        _replan(state, order, place, at)
        return
    package = shipment["packages"][number]
    wait = parcels.leave(state, doc, package, at)
    if wait:
        order.plan(at + wait, "number", place, number)
    for index, quantity, part in shipment["items"]:
        if part == number:
            line = doc["lines"][index]
            line["reserved"] -= quantity
            line["shipped"] += quantity
            stock.leave(state, order.seller, line["sku"], quantity, at)
    if all(one["left"] is not None for one in shipment["packages"]):
        shipment.update(status="SHIPPED", at=at)
    _complete(state, order, at)


def _replan(state: AmazonState, order: Order, place: int, at: float) -> None:
    """Amazon cancels a shipment and plans its units again."""
    old = order.doc["shipments"][place]
    old["status"] = "CANCELLED_BY_FULFILLER"
    for new in parcels.make_shipments(state, order.seller, order.id, order.doc):
        new["replans"] = old["replans"] - 1
        order.doc["shipments"].append(new)
        _plan_leaving(state, order, len(order.doc["shipments"]) - 1, at)
    if any(package["aftn"] for package in old["packages"]):
        _aftn(state, order, at)


def _number(state: AmazonState, order: Order, at: float, place: int, number: int) -> None:
    parcels.give_number(order.doc, order.doc["shipments"][place]["packages"][number])


def _complete(state: AmazonState, order: Order, at: float) -> None:
    lines = order.doc["lines"]
    if order.waiting or any(line["reserved"] for line in lines):
        return
    shipped = sum(line["shipped"] for line in lines)
    if not shipped:
        finish(state, order, "Unfulfillable", at)
        return
    whole = shipped == sum(line["quantity"] for line in lines)
    order.become("Complete" if whole else "CompletePartialled", at)


def _waiting_ends(state: AmazonState, order: Order, at: float) -> None:
    if not order.waiting:
        return
    order.waiting = False
    for line in order.doc["lines"]:
        line["unfulfillable"] += line["waiting"]
        line["waiting"] = 0
    _complete(state, order, at)


def _cancel(state: AmazonState, order: Order, at: float) -> None:
    if order.status in EARLY:
        finish(state, order, "Cancelled", at)


def finish(state: AmazonState, order: Order, status: str, at: float) -> None:
    """The end without a shipment: what was reserved is free again, and nothing follows."""
    into = "cancelled" if status == "Cancelled" else "unfulfillable"
    for line in order.doc["lines"]:
        if line["reserved"]:
            stock.give_back(state, order.seller, line["sku"], line["reserved"], at)
        line[into] += line["reserved"] + line["waiting"]
        line.update(reserved=0, waiting=0)
    for shipment in order.doc["shipments"]:
        if shipment["status"] == "PENDING":
            shipment["status"] = "CANCELLED_BY_SELLER"
    order.waiting = False
    order.doc["agenda"] = []
    order.become(status, at)


def goods_arrived(state: AmazonState, seller: str, sku: str, at: float) -> None:
    """Units of a SKU are there again: orders that wait for them go on, the oldest first."""
    for row in state.store.all("SELECT * FROM amazon_order WHERE seller = ? AND waiting = 1 ORDER BY number", seller):
        order = load(row)
        got = 0
        for line in order.doc["lines"]:
            if line["sku"] == sku and line["waiting"]:
                units = stock.take(state, seller, sku, line["waiting"], at)
                line["waiting"] -= units
                line["reserved"] += units
                got += units
        if not got:
            continue
        order.waiting = any(line["waiting"] for line in order.doc["lines"])
        if order.status == "Processing":
            for shipment in parcels.make_shipments(state, seller, order.id, order.doc):
                order.doc["shipments"].append(shipment)
                _plan_leaving(state, order, len(order.doc["shipments"]) - 1, at)
        elif not any(entry[1] in ("plan", "process") for entry in order.doc["agenda"]):
            order.plan(at + state.settings.planning_seconds, "plan")
        save(state, order)


_STEPS: dict[str, Callable[..., None]] = {
    "check": _check,
    "hold_ends": _cancel,
    "plan": _plan,
    "aftn": _aftn,
    "process": _process,
    "leave": _leave,
    "number": _number,
    "waiting_ends": _waiting_ends,
    "cancel": _cancel,
}
