"""SQL of packages: as Amazon shows them, and their ways. What TikTok Shop is told is in telling_store.py.

The caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, func, insert, select, text, update

from kit.db import new_id
from services.fulfillment.order_tables import packages
from services.fulfillment.shipping.domain import Package, PackageItem, PackageNotFound, Proof, Shipment, TellState
from services.fulfillment.store import in_seconds
from vendors.amazon_sp.outbound import PackageStatus, Tracking

# The way of a parcel is over.
ENDS = (PackageStatus.DELIVERED.value, PackageStatus.RETURNED.value, PackageStatus.UNDELIVERABLE.value)
_SETTLED = (TellState.TELLING, TellState.TOLD)


@dataclass(frozen=True, slots=True)
class Change:
    """What a reading changed of a package: `kind` is the event's verb."""

    kind: str
    package: Package


@dataclass(frozen=True, slots=True)
class ToTrack:
    """A package whose way is to be asked for, and whose it is."""

    package_id: UUID
    workspace_id: UUID
    merchant_id: UUID
    package_number: int


def packages_of(tx: Connection, workspace_id: UUID, order_id: UUID) -> list[Package]:
    """All packages of an order, the first first."""
    return packages_of_orders(tx, workspace_id, [order_id]).get(order_id, [])


def packages_of_orders(tx: Connection, workspace_id: UUID, order_ids: Collection[UUID]) -> dict[UUID, list[Package]]:
    """All packages of orders, by order; those without any are left out."""
    query = select(packages).where(packages.c.workspace_id == workspace_id, packages.c.order_id.in_(order_ids))
    found: dict[UUID, list[Package]] = {}
    for row in tx.execute(query.order_by(packages.c.order_id, packages.c.package_id)).mappings():
        found.setdefault(row["order_id"], []).append(package_of(row))
    return found


def read_package(tx: Connection, workspace_id: UUID, package_id: UUID, *, for_update: bool = False) -> Package:
    """A package; `for_update` locks its row. Raises PackageNotFound."""
    query = select(packages).where(packages.c.workspace_id == workspace_id, packages.c.package_id == package_id)
    row = tx.execute(query.with_for_update() if for_update else query).mappings().first()
    if row is None:
        raise PackageNotFound(
            "There is no package with this id in the workspace.", metadata={"package_id": str(package_id)}
        )
    return package_of(row)


def save_proofs(
    tx: Connection, shipment: Shipment, shop_id: UUID, seen: Sequence[Proof], asked_time: datetime
) -> list[Change]:
    """Stores the packages of a shipment as one answer of Amazon's shows them, which was asked for at a time; what it no
    longer shows is no longer current. A package that has news for TikTok Shop is due. The caller holds the order's row.
    """
    query = select(packages).where(
        packages.c.workspace_id == shipment.workspace_id, packages.c.shipment_id == shipment.shipment_id
    )
    known = {row["package_number"]: package_of(row) for row in tx.execute(query.with_for_update()).mappings()}
    changes = [change for proof in seen if (change := _save(tx, shipment, shop_id, proof, asked_time, known))]
    shown = {proof.package_number for proof in seen}
    for number, package in known.items():
        if number not in shown and package.is_current:
            _update(tx, package, {"is_current": False, **_no_longer_told(package)})
            changes.append(Change("gone", package))
    return changes


def _save(
    tx: Connection, shipment: Shipment, shop_id: UUID, proof: Proof, asked_time: datetime, known: dict[int, Package]
) -> Change | None:
    before = known.get(proof.package_number)
    values: dict[str, Any] = {
        "amazon_shipment_id": proof.amazon_shipment_id,
        "carrier": proof.carrier,
        "tracking_number": proof.tracking_number,
        "amazon_tracking_number": proof.amazon_tracking_number,
        "is_current": proof.is_current,
        "items": [
            {"item_id": item.item_id, "amazon_sku": item.amazon_sku, "quantity": item.quantity} for item in proof.items
        ],
        "ship_time": proof.ship_time,
        "proven_time": asked_time,
    }
    has_number = bool(proof.tracking_number or proof.amazon_tracking_number)
    if proof.estimated_arrival_time:
        values["estimated_arrival_time"] = proof.estimated_arrival_time
    if has_number and (before is None or before.number_time is None):
        values["number_time"] = func.now()
    if (proof.tracking_number or proof.is_shipped) and proof.is_current and (before is None or before.status == ""):
        # Its way begins; a time that is planned stays.
        values["track_due_time"] = func.coalesce(packages.c.track_due_time, func.now()) if before else func.now()
    is_news = before is None or _shown(before) != _shown_of(proof)
    if not proof.is_current:
        values |= {"track_due_time": None, **(_no_longer_told(before) if before else {})}
    elif has_number and is_news and (before is None or before.tell_state not in _SETTLED):
        values |= {
            "tell_state": TellState.DUE.value,
            "tell_problem": "",
            "tell_due_time": func.now(),
            "tell_attempt": 0,
        }
    if before is None:
        owner = {
            "package_id": new_id(),
            "workspace_id": shipment.workspace_id,
            "order_id": shipment.order_id,
            "shop_id": shop_id,
            "shipment_id": shipment.shipment_id,
            "package_number": proof.package_number,
        }
        row = tx.execute(insert(packages).values(owner | values).returning(*packages.c)).mappings().one()
        return Change("numbered" if has_number else "found", package_of(row)) if proof.is_current else None
    after = _update(tx, before, values)
    if before.is_current and not proof.is_current:
        return Change("taken_back", after)
    had = (before.tracking_number, before.amazon_tracking_number)
    return Change("numbered", after) if (after.tracking_number, after.amazon_tracking_number) != had else None


def _shown(package: Package) -> tuple[object, ...]:
    """What decides whether and as what a package is told."""
    return (package.carrier, package.tracking_number, package.amazon_tracking_number, package.items, package.is_current)


def _shown_of(proof: Proof) -> tuple[object, ...]:
    return (proof.carrier, proof.tracking_number, proof.amazon_tracking_number, proof.items, proof.is_current)


def _no_longer_told(package: Package) -> dict[str, Any]:
    if package.tell_state in _SETTLED:
        return {}
    return {"tell_state": TellState.WAITING.value, "tell_problem": "", "tell_due_time": None}


def _update(tx: Connection, package: Package, values: dict[str, Any]) -> Package:
    row = tx.execute(
        update(packages)
        .where(packages.c.workspace_id == package.workspace_id, packages.c.package_id == package.package_id)
        .values(values | {"update_time": func.now()})
        .returning(*packages.c)
    )
    return package_of(row.mappings().one())


_CLAIM_TRACKS = text("""
    UPDATE packages SET track_due_time = now() + make_interval(secs => :lease)
    FROM (
        SELECT package_id FROM packages WHERE track_due_time <= now()
        ORDER BY track_due_time LIMIT :most FOR UPDATE SKIP LOCKED
    ) due, shipments s
    WHERE packages.package_id = due.package_id AND s.shipment_id = packages.shipment_id
    RETURNING packages.package_id, packages.workspace_id, s.merchant_id, packages.package_number
""")


def claim_tracks(tx: Connection, most: int, lease_seconds: float) -> list[ToTrack]:
    """Packages whose way is to be asked for, those first that wait for longest. Of all workspaces. They are due again
    when the lease ends, whatever becomes of the claimer.
    """
    rows = tx.execute(_CLAIM_TRACKS, {"most": most, "lease": lease_seconds})
    return [ToTrack(row.package_id, row.workspace_id, row.merchant_id, row.package_number) for row in rows]


def set_tracking(tx: Connection, package: Package, found: Tracking, again_seconds: float | None) -> Package:
    """Stores a parcel's way; what ended stays as it ended. None: it is not asked for again."""
    if package.status in ENDS:
        return package
    return _update(
        tx,
        package,
        {
            "status": found.status.value if found.status is not PackageStatus.UNKNOWN else found.status_text,
            "in_transit_time": package.in_transit_time or found.in_transit_time or found.delivered_time,
            "delivered_time": package.delivered_time or found.delivered_time,
            "ship_time": package.ship_time or found.ship_time,
            "estimated_arrival_time": found.estimated_arrival_time or package.estimated_arrival_time,
            "track_due_time": None if again_seconds is None else in_seconds(again_seconds),
        },
    )


def track_again(tx: Connection, package_ids: Collection[UUID], seconds: float) -> None:
    """Has ways asked for after a while."""
    tx.execute(
        update(packages)
        .where(packages.c.package_id.in_(package_ids), packages.c.track_due_time.is_not(None))
        .values(track_due_time=in_seconds(seconds))
    )


def package_of(row: RowMapping) -> Package:
    """A row as a package."""
    times: dict[str, datetime | None] = {
        name: row[name]
        for name in (
            "told_time", "number_time", "ship_time", "in_transit_time", "delivered_time", "estimated_arrival_time",
            "tell_due_time",
        )
    }  # fmt: skip
    return Package(
        package_id=row["package_id"],
        workspace_id=row["workspace_id"],
        order_id=row["order_id"],
        shop_id=row["shop_id"],
        shipment_id=row["shipment_id"],
        amazon_shipment_id=row["amazon_shipment_id"],
        package_number=row["package_number"],
        carrier=row["carrier"],
        tracking_number=row["tracking_number"],
        amazon_tracking_number=row["amazon_tracking_number"],
        status=row["status"],
        is_current=row["is_current"],
        items=tuple(PackageItem(each["item_id"], each["amazon_sku"], each["quantity"]) for each in row["items"]),
        proven_time=row["proven_time"],
        tell_state=TellState(row["tell_state"]),
        tell_problem=row["tell_problem"],
        tell_attempt=row["tell_attempt"],
        told_number=row["told_number"],
        told_carrier=row["told_carrier"],
        told_provider_id=row["told_provider_id"],
        told_line_ids=tuple(row["told_line_ids"]),
        platform_package_id=row["platform_package_id"],
        rejected_number=row["rejected_number"],
        rejected_provider_id=row["rejected_provider_id"],
        is_edit_used=row["is_edit_used"],
        **times,
    )
