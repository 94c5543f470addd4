"""SQL of drift reports: whose is due, what is compared, and what was found. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, text, update

from kit.db import new_id
from kit.errors import NotFound
from kit.paging import Page
from services.fulfillment.merchants.domain import MerchantState
from services.fulfillment.order_tables import (
    drift_reports,
    drifts,
    merchants,
    orders,
    packages,
    shipments,
    shop_routings,
    stock_pushes,
)
from services.fulfillment.routing.settings import ShopRouting, settings_from_json
from services.fulfillment.shipping.domain import Package, Shipment, ShipmentState, TellState
from services.fulfillment.shipping.package_store import package_of
from services.fulfillment.shipping.shipment_store import COLUMNS, shipment_of
from services.fulfillment.stock.drift import Drift, Held, Sums
from services.fulfillment.stock.push_store import Push, push_of
from services.fulfillment.store import in_seconds

_OPEN = ("SUBMITTING", "SUBMITTED", "CANCELING")
# Nobody else is to send them.
_WAITING = ("PENDING", "HELD", "ROUTED")
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A row of drift_reports: how many orders and SKUs were compared, and how many differences there are."""

    report_id: UUID
    merchant_id: UUID
    create_time: datetime
    orders: int
    skus: int
    drifts: int


class DriftReportNotFound(NotFound):
    """The workspace has no report with that id."""


def claim_merchant(tx: Connection, lease_seconds: float) -> tuple[UUID, UUID] | None:
    """Takes the merchant whose report is due for longest: workspace and merchant; None without one. Of all workspaces.
    Unless it is made, it is due again after the lease.
    """
    due = (
        select(merchants.c.merchant_id)
        .where(merchants.c.state == MerchantState.CONNECTED.value, merchants.c.drift_due_time <= func.now())
        .order_by(merchants.c.drift_due_time)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = tx.execute(
        update(merchants)
        .where(merchants.c.merchant_id == due.scalar_subquery())
        .values(drift_due_time=in_seconds(lease_seconds))
        .returning(merchants.c.workspace_id, merchants.c.merchant_id)
    ).first()
    return (row.workspace_id, row.merchant_id) if row else None


def due_again(tx: Connection, merchant_id: UUID, seconds: float) -> None:
    """The next report is due in so many seconds."""
    tx.execute(
        update(merchants).where(merchants.c.merchant_id == merchant_id).values(drift_due_time=in_seconds(seconds))
    )


def recent_shipments(tx: Connection, workspace_id: UUID, merchant_id: UUID, since: datetime) -> list[Shipment]:
    """Shipments that Amazon has, or had, or may have: all that are open, and the others that changed since."""
    query = select(*COLUMNS).where(
        shipments.c.workspace_id == workspace_id,
        shipments.c.merchant_id == merchant_id,
        shipments.c.begin_time.is_not(None),
        or_(shipments.c.state.in_(_OPEN), shipments.c.update_time >= since),
    )
    rows = tx.execute(query.order_by(shipments.c.shipment_id.desc()).limit(_MOST)).mappings()
    return [shipment_of(row) for row in rows]


def known_ids(tx: Connection, merchant_id: UUID, fulfillment_order_ids: Collection[str]) -> set[str]:
    """Which of these ids at Amazon are of our shipments."""
    query = select(shipments.c.fulfillment_order_id).where(
        shipments.c.merchant_id == merchant_id, shipments.c.fulfillment_order_id.in_(fulfillment_order_ids)
    )
    return set(tx.execute(query).scalars())


def routings_of(tx: Connection, workspace_id: UUID, merchant_id: UUID) -> list[ShopRouting]:
    """The settings of the shops whose orders go to a merchant."""
    rows = tx.execute(
        select(shop_routings.c.shop_id, shop_routings.c.is_on, shop_routings.c.settings).where(
            shop_routings.c.workspace_id == workspace_id, shop_routings.c.merchant_id == merchant_id
        )
    )
    return [
        ShopRouting(
            shop_id=row.shop_id,
            workspace_id=workspace_id,
            is_on=row.is_on,
            merchant_id=merchant_id,
            **settings_from_json(row.settings),
        )
        for row in rows
    ]


def orders_named(
    tx: Connection, workspace_id: UUID, platform_order_ids: Collection[str]
) -> dict[str, tuple[UUID, bool]]:
    """Our orders that are not over without us, by TikTok Shop's id, and whether Amazon has one of ours for them."""
    is_sent = (
        select(shipments.c.shipment_id)
        .where(
            shipments.c.workspace_id == orders.c.workspace_id,
            shipments.c.order_id == orders.c.order_id,
            shipments.c.state.in_((*_OPEN, ShipmentState.SHIPPED.value)),
        )
        .exists()
    )
    rows = tx.execute(
        select(orders.c.platform_order_id, orders.c.order_id, is_sent.label("is_sent"), orders.c.state).where(
            orders.c.workspace_id == workspace_id, orders.c.platform_order_id.in_(platform_order_ids)
        )
    )
    return {row.platform_order_id: (row.order_id, row.is_sent) for row in rows if row.is_sent or row.state in _WAITING}


_HELD = text("""
    SELECT s.shipment_id, s.order_id, s.fulfillment_order_id, s.state, s.submit_time,
        coalesce(sum(r.quantity) FILTER (WHERE r.state = 'RESERVED'), 0) AS reserved,
        coalesce(sum(r.quantity) FILTER (WHERE r.state = 'IN_FLIGHT'), 0) AS in_flight,
        coalesce(sum(r.quantity) FILTER (WHERE r.state = 'SETTLED'), 0) AS settled
    FROM shipments s LEFT JOIN reservations r ON r.shipment_id = s.shipment_id
    WHERE s.workspace_id = :workspace_id AND s.merchant_id = :merchant_id
      AND (s.state IN ('PLANNED', 'SUBMITTING', 'SUBMITTED', 'CANCELING') OR s.update_time >= :since
           OR s.shipment_id IN (SELECT shipment_id FROM reservations
                                WHERE merchant_id = :merchant_id AND state IN ('RESERVED', 'IN_FLIGHT')))
    GROUP BY s.shipment_id
""")
_SUMS = text("""
    SELECT s.amazon_sku, s.reserved, s.in_flight,
        coalesce(r.held, 0) AS held, coalesce(r.flying, 0) AS flying
    FROM stock s LEFT JOIN (
        SELECT amazon_sku, sum(quantity) FILTER (WHERE state = 'RESERVED') AS held,
            sum(quantity) FILTER (WHERE state = 'IN_FLIGHT') AS flying
        FROM reservations WHERE merchant_id = :merchant_id AND state IN ('RESERVED', 'IN_FLIGHT')
        GROUP BY amazon_sku) r USING (amazon_sku)
    WHERE s.workspace_id = :workspace_id AND s.merchant_id = :merchant_id
""")
_WITHOUT_SHIPMENT = text("""
    SELECT o.order_id FROM orders o
    JOIN shop_routings r ON r.shop_id = o.shop_id AND r.merchant_id = :merchant_id
    WHERE o.workspace_id = :workspace_id AND o.state = 'ROUTED' AND o.update_time < :before
      AND (o.lease_time IS NULL OR o.lease_time < now()) AND o.next_time IS NULL
      AND NOT EXISTS (SELECT FROM shipments s WHERE s.workspace_id = o.workspace_id AND s.order_id = o.order_id
                      AND s.state NOT IN ('CANCELED', 'FAILED'))
    LIMIT :most
""")


def held_of(tx: Connection, workspace_id: UUID, merchant_id: UUID, since: datetime) -> list[Held]:
    """Shipments that are open, changed since, or hold units, with what they hold: all of one moment."""
    rows = tx.execute(_HELD, {"workspace_id": workspace_id, "merchant_id": merchant_id, "since": since}).mappings()
    return [Held(**{**row, "state": ShipmentState(row["state"])}) for row in rows]


def sums_of(tx: Connection, workspace_id: UUID, merchant_id: UUID) -> list[Sums]:
    """The ledger's sums beside what they add up to: all of one moment."""
    rows = tx.execute(_SUMS, {"workspace_id": workspace_id, "merchant_id": merchant_id})
    return [Sums(*row) for row in rows]


def without_shipment(tx: Connection, workspace_id: UUID, merchant_id: UUID, before: datetime) -> list[UUID]:
    """Routed orders that nothing is at Amazon of, and that nobody works on."""
    values = {"workspace_id": workspace_id, "merchant_id": merchant_id, "before": before, "most": _MOST}
    return list(tx.execute(_WITHOUT_SHIPMENT, values).scalars())


def canceled_alive(
    tx: Connection, workspace_id: UUID, shop_ids: Collection[UUID], since: datetime, before: datetime
) -> list[tuple[UUID, str]]:
    """Orders that were canceled here since, were to be canceled at TikTok Shop, too, and are not: with its status."""
    query = select(orders.c.order_id, orders.c.platform_status).where(
        orders.c.workspace_id == workspace_id,
        orders.c.shop_id.in_(shop_ids),
        orders.c.state == "CANCELED",
        orders.c.end_time.between(since, before),
        orders.c.cancel_reason != "",
        orders.c.platform_status != "CANCELLED",
    )
    return [(row.order_id, row.platform_status) for row in tx.execute(query)]


def told_packages(
    tx: Connection, workspace_id: UUID, shop_id: UUID, since: datetime, before: datetime, most: int
) -> dict[str, list[Package]]:
    """Parcels whose numbers TikTok Shop was told lately, by its id of the order."""
    query = (
        select(orders.c.platform_order_id, packages)
        .join_from(packages, orders, packages.c.order_id == orders.c.order_id)
        .where(
            packages.c.workspace_id == workspace_id,
            packages.c.shop_id == shop_id,
            packages.c.tell_state == TellState.TOLD.value,
            packages.c.told_time.between(since, before),
        )
        .order_by(packages.c.package_id.desc())
        .limit(most)
    )
    found: dict[str, list[Package]] = {}
    for row in tx.execute(query).mappings():
        found.setdefault(row["platform_order_id"], []).append(package_of(row))
    return found


def pushes_of(tx: Connection, workspace_id: UUID, shop_id: UUID, after: str, limit: int) -> list[Push]:
    """What TikTok Shop was told of a shop's SKUs and nobody tells it now, by product, behind one."""
    query = select(stock_pushes).where(
        stock_pushes.c.workspace_id == workspace_id,
        stock_pushes.c.shop_id == shop_id,
        stock_pushes.c.platform_product_id > after,
        _is_at_rest(),
    )
    rows = tx.execute(
        query.order_by(stock_pushes.c.platform_product_id, stock_pushes.c.platform_sku_id).limit(limit)
    ).mappings()
    return [push_of(row) for row in rows]


def still_at_rest(tx: Connection, workspace_id: UUID, shop_id: UUID, platform_sku_ids: Collection[str]) -> list[Push]:
    """Those of these SKUs of which TikTok Shop is not told at the moment."""
    query = select(stock_pushes).where(
        stock_pushes.c.workspace_id == workspace_id,
        stock_pushes.c.shop_id == shop_id,
        stock_pushes.c.platform_sku_id.in_(platform_sku_ids),
        _is_at_rest(),
    )
    return [push_of(row) for row in tx.execute(query).mappings()]


def _is_at_rest() -> ColumnElement[bool]:
    return or_(
        stock_pushes.c.next_time.is_(None),
        and_(stock_pushes.c.problem != "", stock_pushes.c.lease_time.is_(None), stock_pushes.c.next_time > func.now()),
    )


def tell_again(tx: Connection, workspace_id: UUID, shop_id: UUID, platform_sku_ids: Collection[str]) -> None:
    """Has TikTok Shop told again."""
    tx.execute(
        update(stock_pushes)
        .where(
            stock_pushes.c.workspace_id == workspace_id,
            stock_pushes.c.shop_id == shop_id,
            stock_pushes.c.platform_sku_id.in_(platform_sku_ids),
        )
        .values(next_time=func.least(func.coalesce(stock_pushes.c.next_time, func.now()), func.now()))
    )


def save_report(
    tx: Connection, workspace_id: UUID, merchant_id: UUID, counted: tuple[int, int], found: Sequence[Drift]
) -> DriftReport:
    """Keeps a report; `counted`: how many orders and SKUs were compared."""
    row = tx.execute(
        insert(drift_reports)
        .values(
            report_id=new_id(),
            workspace_id=workspace_id,
            merchant_id=merchant_id,
            orders=counted[0],
            skus=counted[1],
            drifts=len(found),
        )
        .returning(drift_reports.c.report_id, drift_reports.c.create_time)
    ).one()
    if found:
        rows = [
            {
                "report_id": row.report_id,
                "number": number,
                "workspace_id": workspace_id,
                "kind": each.kind,
                "amazon_sku": each.amazon_sku,
                "order_id": each.order_id,
                "fulfillment_order_id": each.fulfillment_order_id,
                "text": each.text,
                "sides": dict(each.sides),
            }
            for number, each in enumerate(found)
        ]
        tx.execute(insert(drifts), rows)
    return DriftReport(row.report_id, merchant_id, row.create_time, *counted, len(found))


def list_reports(tx: Connection, workspace_id: UUID, merchant_id: UUID, page: Page) -> list[DriftReport]:
    """A merchant's reports, the newest first; one more than the page holds when there is a next page."""
    query = select(*(drift_reports.c[name] for name in DriftReport.__dataclass_fields__)).where(
        drift_reports.c.workspace_id == workspace_id, drift_reports.c.merchant_id == merchant_id
    )
    if page.after:
        query = query.where(drift_reports.c.report_id < page.after[0])
    return [
        DriftReport(*row) for row in tx.execute(query.order_by(drift_reports.c.report_id.desc()).limit(page.size + 1))
    ]


def list_drifts(tx: Connection, workspace_id: UUID, report_id: UUID, page: Page) -> list[tuple[int, Drift]]:
    """What a report found, with numbers; one more than the page holds when there is a next page. Raises
    DriftReportNotFound.
    """
    is_mine = and_(drift_reports.c.workspace_id == workspace_id, drift_reports.c.report_id == report_id)
    if tx.execute(select(drift_reports.c.report_id).where(is_mine)).first() is None:
        raise DriftReportNotFound(
            "There is no report with this id in the workspace. List the reports of the merchant.",
            metadata={"report_id": str(report_id)},
        )
    query = select(drifts).where(drifts.c.workspace_id == workspace_id, drifts.c.report_id == report_id)
    if page.after:
        query = query.where(drifts.c.number > page.after[0])
    rows = tx.execute(query.order_by(drifts.c.number).limit(page.size + 1)).mappings()
    return [(row["number"], Drift(**{name: row[name] for name in Drift.__dataclass_fields__})) for row in rows]
