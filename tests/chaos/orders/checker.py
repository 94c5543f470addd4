"""What must hold of a day of orders, whatever broke meanwhile; read from both vendors and from our own records.

lost        nobody works on it, and nobody is told why; or we do not know of it
doubled     Amazon sends more of it than was bought
phantom     we say something of it that the vendors do not know
canceled    it was sent to Amazon after its buyer had canceled it, or goes out without anybody being told
oversold    Amazon was sent an order for which there was nothing
forgotten   it waits for stock that is there
wrong       TikTok Shop was told a number that is of no parcel of this order, or was told twice
repeated    its story says twice what happened once
unbalanced  the ledger does not add up
drift       our own report finds a difference
personal    something of a buyer is where it must not be
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.orders import traces
from tests.chaos.orders.plan import Purchase, canaries
from tests.chaos.orders.shops import CONTESTED, MAP, SAFETY_STOCK, Shops, drift

_DEAD = frozenset({"Cancelled", "Unfulfillable", "Invalid"})
_OVER = frozenset({"DELIVERED", "CANCELED", "LEFT"})
_ONCE = ("order.imported", "order.shipped", "order.delivered", "order.canceled", "order.canceled_too_late")
# Held for what ends by itself within the day.
_PASSING = frozenset({"on_hold", "unpaid", "cancel_requested"})
# Seconds between our last look at an order and Amazon's taking it.
_RACE_SECONDS = 10.0
# In so long all that differs has been told.
_DRIFT_SECONDS = 120.0

_ORDERS = """
SELECT order_id::text, platform_order_id, state, reason, reason_text, next_time, lease_time, attempt,
       next_time <= now() + interval '3 seconds' AS is_due
FROM fulfillment.orders WHERE platform_order_id = ANY(%(ids)s)
"""
_SHIPMENTS = """
SELECT o.platform_order_id, s.shipment_id::text, s.fulfillment_order_id, s.state, s.amazon_status, s.problem, s.items
FROM fulfillment.shipments s JOIN fulfillment.orders o USING (order_id)
WHERE o.platform_order_id = ANY(%(ids)s) ORDER BY s.number
"""
_PACKAGES = """
SELECT o.platform_order_id, p.is_current, p.tell_state, p.tell_problem, p.told_number
FROM fulfillment.packages p JOIN fulfillment.orders o USING (order_id) WHERE o.platform_order_id = ANY(%(ids)s)
"""
_EVENTS = """
SELECT o.platform_order_id, e.type, to_char(e.time, 'HH24:MI:SS.MS') AS at, e.text
FROM fulfillment.order_events e JOIN fulfillment.orders o USING (order_id)
WHERE o.platform_order_id = ANY(%(ids)s) ORDER BY e.event_id
"""
_HELD = """
SELECT r.shipment_id::text, r.amazon_sku, r.quantity, r.state, s.state AS shipment_state, s.fulfillment_order_id
FROM fulfillment.reservations r JOIN fulfillment.shipments s USING (shipment_id)
WHERE r.state IN ('RESERVED', 'IN_FLIGHT')
"""
_STOCK = """
SELECT merchant_id::text, amazon_sku, fulfillable, reserved, in_flight,
       (SELECT coalesce(sum(quantity), 0) FROM fulfillment.reservations r WHERE r.state = 'RESERVED'
          AND r.merchant_id = s.merchant_id AND r.amazon_sku = s.amazon_sku) AS held,
       (SELECT coalesce(sum(quantity), 0) FROM fulfillment.reservations r WHERE r.state = 'IN_FLIGHT'
          AND r.merchant_id = s.merchant_id AND r.amazon_sku = s.amazon_sku) AS flying
FROM fulfillment.stock s
"""
# What is still to be told to other services, settled in the ledger, or told of stock.
_WAITING = """
SELECT (SELECT count(*) FROM fulfillment.outbox WHERE refusal IS NULL)
     + (SELECT count(*) FROM fulfillment.reservations WHERE state IN ('RESERVED', 'IN_FLIGHT'))
     + (SELECT count(*) FROM fulfillment.stock_pushes
        WHERE (next_time <= now() + interval '30 seconds' OR lease_time > now()) AND problem = '') AS waiting
"""
_REFUSED = "SELECT target, method, refusal FROM fulfillment.outbox WHERE refusal IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is known of an order."""

    order_id: str
    purchase: Purchase
    ours: Mapping[str, Any]
    shipments: list[Mapping[str, Any]]
    packages: list[Mapping[str, Any]]
    events: list[Mapping[str, Any]]
    at_shop: Mapping[str, Any]
    at_amazon: list[Mapping[str, Any]]
    # Of TikTok Shop, and of Amazon.
    told: list[Mapping[str, Any]]
    numbers: list[Mapping[str, Any]]
    case: Mapping[str, Any] | None

    @property
    def state(self) -> str:
        """Ours."""
        return str(self.ours.get("state", "NOT THERE"))

    @property
    def alive(self) -> list[Mapping[str, Any]]:
        """What Amazon sends, or has sent, of it."""
        return [each for each in self.at_amazon if each["status"] not in _DEAD]

    @property
    def untold_lines(self) -> list[str]:
        """Lines of which TikTok Shop knows no number."""
        return [each["id"] for each in self.at_shop["lines"] if not each["package_id"] and not each["cancelled"]]

    @property
    def is_settled(self) -> bool:
        """Whether nothing more happens to it by itself."""
        if self.ours.get("is_due") or any(each["state"] not in _ENDS for each in self.shipments):
            return False
        # What was canceled is told nobody. A line of several units at Amazon may go in two parcels, and TikTok Shop
        # takes the number of one.
        open_ones = ("WAITING", "DUE", "TELLING") if self.untold_lines else ("DUE", "TELLING")
        is_told = not any(each["is_current"] and each["tell_state"] in open_ones for each in self.packages)
        if not is_told and self.at_shop["status"] != "CANCELLED":
            return False
        return self.state in _OVER or (self.state == "HELD" and self.ours["reason"] not in _PASSING)


_ENDS = ("SHIPPED", "CANCELED", "FAILED")


@dataclass(frozen=True, slots=True)
class Seen:
    """All records of a day, at one time."""

    records: list[Record]
    is_quiet: bool

    @property
    def is_settled(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.is_quiet and all(each.is_settled for each in self.records)

    def states(self) -> Counter[str]:
        """How many orders ended how."""
        return Counter(f"{each.state} {each.ours.get('reason', '')}".strip() for each in self.records)


def read(running: Shops, orders: Mapping[str, Purchase]) -> Seen:
    """What everybody knows of the orders now."""
    ids = {"ids": list(orders)}
    ours = {row["platform_order_id"]: row for row in running.rows(_ORDERS, **ids)}
    shipments, packages, events = (
        _by(running.rows(query, **ids), "platform_order_id") for query in (_SHIPMENTS, _PACKAGES, _EVENTS)
    )
    at_shop = {each["id"]: each for each in running.control("GET", "/tiktok_shop/orders?limit=10000")}
    at_amazon = _by(running.control("GET", "/amazon_sp/orders?limit=10000"), "displayable_id")
    numbers = _by(running.control("GET", "/amazon_sp/numbers"), "displayable_id")
    told: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for package in running.control("GET", "/tiktok_shop/packages?limit=10000"):
        for order_id in package["order_ids"]:
            told[order_id].append(package)
    cases = {each["order_id"]: each for each in running.control("GET", "/tiktok_shop/cases?limit=10000")}
    records = [
        Record(
            order_id, purchase, ours.get(order_id, {}), shipments[order_id], packages[order_id], events[order_id],
            at_shop[order_id], at_amazon[order_id], told[order_id], numbers[order_id], cases.get(order_id),
        )
        for order_id, purchase in orders.items()
    ]  # fmt: skip
    return Seen(records, running.rows(_WAITING)[0]["waiting"] == 0)


def settle(running: Shops, orders: Mapping[str, Purchase], seconds: float) -> Seen:
    """Waits until nothing more happens by itself, on two looks; after so many seconds, what there is."""
    deadline, quiet = time.monotonic() + seconds, 0
    while True:
        seen = read(running, orders)
        free = _free(running)
        is_quiet = seen.is_settled and not any(_is_forgotten(each, free) for each in seen.records)
        quiet = quiet + 1 if is_quiet else 0
        if quiet > 1 or time.monotonic() > deadline:
            return seen
        time.sleep(2.0)


def judge(running: Shops, seen: Seen) -> list[str]:
    """What is wrong; nothing, if all is well."""
    free = _free(running)
    faults = []
    for record in seen.records:
        wrong = [
            *_progress(record),
            *_repeated(record),
            *_sent(record),
            *_canceled(record),
            *_numbers(record),
            *_stock_of(record, free),
        ]
        if wrong:
            faults.append("\n".join([*wrong, story(record)]))
    faults += _ledger(running)
    faults += _drift(running)
    faults += [f"untold: {row['target']} {row['method']}: {row['refusal']}" for row in running.rows(_REFUSED)]
    faults += [f"personal: {each}" for each in traces.of(running, canaries([each.purchase for each in seen.records]))]
    return faults


def _progress(record: Record) -> list[str]:
    if not record.ours:
        return ["lost: we do not know it"]
    if not record.is_settled:
        return [f"lost: it is {record.state} and does not move on"]
    if record.state in ("HELD", "LEFT") and not (record.ours["reason"] and record.ours["reason_text"]):
        return [f"lost: it is {record.state} and does not say why"]
    return []


def _repeated(record: Record) -> list[str]:
    """What is to be said once, and was said more often."""
    said = Counter(each["type"] for each in record.events)
    most = {"shipment.submitted": len(record.shipments), "package.told": len(record.packages)} | dict.fromkeys(_ONCE, 1)
    return [f"repeated: {kind} was said {said[kind]} times" for kind, times in most.items() if said[kind] > times]


def _sent(record: Record) -> list[str]:
    """What Amazon has against what was bought, and against what we say."""
    faults = []
    bought = _bought(record.purchase)
    sending: Counter[str] = Counter()
    for each in record.alive:
        for line in each["lines"]:
            sending[line["sku"]] += line["quantity"] - line["cancelled"] - line["unfulfillable"]
    if sending - bought:
        faults.append(f"doubled: Amazon sends {dict(sending)} of {dict(bought)}")
    ours = {each["fulfillment_order_id"]: each["state"] for each in record.shipments}
    for each in record.at_amazon:
        if each["id"] not in ours:
            faults.append(f"phantom: Amazon has {each['id']}, and we do not know it")
        elif (each["status"] in _DEAD) != (ours[each["id"]] in ("CANCELED", "FAILED")):
            faults.append(f"phantom: {each['id']} is {ours[each['id']]}, and Amazon says {each['status']}")
    there = {each["id"] for each in record.at_amazon}
    faults += [
        f"phantom: {each['fulfillment_order_id']} is SHIPPED, and Amazon does not know it"
        for each in record.shipments
        if each["state"] == "SHIPPED" and each["fulfillment_order_id"] not in there
    ]
    match record.state:
        case "DELIVERED" | "SHIPPED" if sending != bought:
            faults.append(f"phantom: {record.state}, and Amazon sends {dict(sending)} of {dict(bought)}")
        case "CANCELED" | "LEFT" if record.alive:
            faults.append(f"phantom: {record.state}, and Amazon sends it")
        case "HELD" if record.alive and record.ours["reason"] not in ("partly_sent", "tracking_rejected"):
            faults.append(f"phantom: held for {record.ours['reason']}, and Amazon sends it")
    return faults


def _canceled(record: Record) -> list[str]:
    if record.case is None or record.at_shop["status"] != "CANCELLED":
        return []
    faults = [
        f"canceled: {each['id']} was created {each['created'] - record.case['create_time']:.0f} s after it was canceled"
        for each in record.at_amazon
        if each["created"] > record.case["create_time"] + _RACE_SECONDS
    ]
    is_told = any(each["type"] in ("order.canceled_too_late", "tracking.withheld") for each in record.events)
    if record.alive and not is_told:
        faults.append("canceled: it goes out although it was canceled, and nobody is told")
    return faults


def _numbers(record: Record) -> list[str]:
    """What TikTok Shop was told against what Amazon has."""
    faults = []
    good = {
        number
        for each in record.numbers
        if each["shipment_status"] not in ("CANCELLED_BY_FULFILLER", "CANCELLED_BY_SELLER")
        for number in (each["tracking"], each["aftn"])
        if number
    }
    for package in record.told:
        if package["tracking_number"] not in good:
            faults.append(f"wrong: TikTok Shop was told {package['tracking_number']}, Amazon has {sorted(good)}")
        if package["edits"]:
            faults.append(f"wrong: the number of {package['id']} was told twice")
    if record.state in ("DELIVERED", "SHIPPED") and record.at_shop["status"] != "CANCELLED" and record.untold_lines:
        faults.append(f"untold: TikTok Shop knows no number of {len(record.untold_lines)} units")
    return faults


def _stock_of(record: Record, free: Mapping[tuple[str, str], int]) -> list[str]:
    faults = []
    bought = _bought(record.purchase)
    for each in record.at_amazon:
        is_fate = each["fate"].get("check") == "unfulfillable" or each.get("verdict") == "unfulfillable"
        if each["status"] == "Unfulfillable" and not is_fate and CONTESTED not in bought:
            faults.append(f"oversold: {each['id']} was more than there is")
    return [*faults, "forgotten: it waits for stock, and there is enough"] if _is_forgotten(record, free) else faults


def _is_forgotten(record: Record, free: Mapping[tuple[str, str], int]) -> bool:
    """Whether it waits for stock that is there."""
    bought, shop_id = _bought(record.purchase), record.at_shop["shop_id"]
    is_waiting = record.state == "HELD" and record.ours["reason"] == "insufficient_stock"
    return is_waiting and all(free.get((shop_id, sku), 0) >= units for sku, units in bought.items())


def _free(running: Shops) -> dict[tuple[str, str], int]:
    """What may be sold, by the platform's id of the shop and Amazon's SKU, as Amazon counts."""
    found = {}
    for shop in running.shops:
        for row in running.control("GET", f"/amazon_sp/stock/{shop.merchant.seller}"):
            found[shop.platform_shop_id, row["sku"]] = row["fulfillable"] - SAFETY_STOCK
    return found


def _ledger(running: Shops) -> list[str]:
    """Sold ≤ stock by Amazon's count; ours adds up and agrees; nothing is held for what is over."""
    faults = [
        f"unbalanced: {row['quantity']} of {row['amazon_sku']} are {row['state']} for {row['fulfillment_order_id']},"
        f" which is {row['shipment_state']}"
        for row in running.rows(_HELD)
    ]
    ours = {(row["merchant_id"], row["amazon_sku"]): row for row in running.rows(_STOCK)}
    for merchant in running.merchants:
        for row in running.control("GET", f"/amazon_sp/stock/{merchant.seller}"):
            if row["sold"] + row["shop_sold"] > row["supplied"]:
                faults.append(f"oversold: {row['sold']} of {row['supplied']} {row['sku']}")
            mine = ours.get((merchant.merchant_id, row["sku"]))
            if mine is not None and (mine["reserved"], mine["in_flight"]) != (mine["held"], mine["flying"]):
                faults.append(f"unbalanced: {dict(mine)}")
            if mine is not None and mine["fulfillable"] != row["fulfillable"]:
                faults.append(f"unbalanced: {row['sku']} is {mine['fulfillable']}, and {row['fulfillable']} at Amazon")
    return faults


def _drift(running: Shops) -> list[str]:
    """What our own report finds. What TikTok Shop offers too little of for a while is told again by the report."""
    deadline = time.monotonic() + _DRIFT_SECONDS
    while True:
        found = [
            f"drift: {each.kind} {each.amazon_sku} {each.fulfillment_order_id}: {each.text} {dict(each.sides)}"
            for merchant in running.merchants
            for each in drift(running, merchant)
        ]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(5.0)


def _bought(purchase: Purchase) -> Counter[str]:
    """Units of Amazon's SKUs."""
    found: Counter[str] = Counter()
    for seller_sku, quantity in purchase.lines:
        for sku, number in MAP[seller_sku].items():
            found[sku] += number * quantity
    return found


def story(record: Record) -> str:
    """All that is known of an order, for whoever must find out."""
    shop = {name: record.at_shop[name] for name in ("status", "is_buyer_request_cancel", "cancel_time", "paid_time")}
    lines = [
        f"order {record.order_id}, {record.purchase.lines}, then {record.purchase.then or 'nothing'}",
        f"  ours {dict(record.ours)}",
        f"  TikTok Shop {shop}, case {record.case and record.case['create_time']}",
        *(f"  shipment {dict(each)}" for each in record.shipments),
        *(f"  package {dict(each)}" for each in record.packages),
        *(
            f"  Amazon {each['id']} {each['status']} created {each['created']:.1f} repeats {each['repeats']}"
            f" fate {each['fate']}"
            for each in record.at_amazon
        ),
        *(f"    {each['at']} {each['type']}: {each['text']}" for each in record.events),
    ]
    return "\n".join(lines)


def _by(rows: Iterable[Mapping[str, Any]], name: str) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row[name]].append(row)
    return found
