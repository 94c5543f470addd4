"""Reads all that decides orders: settings, map and stock. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select

from services.fulfillment.orders.domain import Order
from services.fulfillment.routing.deciding import Case, KnownAddress
from services.fulfillment.routing.mapping import Mapped, SkuKey, map_units, skus_of
from services.fulfillment.routing.mapping_store import read_map
from services.fulfillment.routing.routing_store import read_routings
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.stock.domain import Available
from services.fulfillment.stock.ledger_store import available
from services.fulfillment.tables import shops
from vendors.amazon_sp.outbound import Preview


@dataclass(frozen=True, slots=True)
class Undecided:
    """An order with what is known of where it goes, and what Amazon foresees of it, as far as it was asked."""

    order: Order
    address: KnownAddress
    previews: tuple[Preview, ...] = ()


def read_cases(tx: Connection, workspace_id: UUID, undecided: Sequence[Undecided]) -> list[Case]:
    """All that decides orders but the rules; the queries grow with shops and their merchants, not with orders."""
    shop_ids = {each.order.shop_id for each in undecided}
    routings = {shop_id: ShopRouting(shop_id=shop_id, workspace_id=workspace_id) for shop_id in shop_ids}
    routings |= read_routings(tx, workspace_id, shop_ids)
    regions = _regions(tx, workspace_id, shop_ids)
    mapped = _mapped(tx, workspace_id, undecided, regions)
    available_of = _stock(tx, workspace_id, undecided, mapped, routings)
    return [
        Case(
            told=each.order.told,
            routing=routings[each.order.shop_id],
            marketplace=regions[each.order.shop_id],
            address=each.address,
            mapped=units,
            stock=available_of[each.order.shop_id],
            previews=each.previews,
            passed_over=frozenset(each.order.passed_over),
            by_hand=each.order.by_hand,
        )
        for each, units in zip(undecided, mapped, strict=True)
    ]


def _regions(tx: Connection, workspace_id: UUID, shop_ids: Collection[UUID]) -> dict[UUID, str]:
    query = select(shops.c.shop_id, shops.c.region)
    rows = tx.execute(query.where(shops.c.workspace_id == workspace_id, shops.c.shop_id.in_(shop_ids)))
    return {row.shop_id: row.region for row in rows}


def _mapped(
    tx: Connection, workspace_id: UUID, undecided: Sequence[Undecided], regions: Mapping[UUID, str]
) -> list[Mapped]:
    skus: dict[str, set[SkuKey]] = {}
    for each in undecided:
        skus.setdefault(regions[each.order.shop_id], set()).update(skus_of(each.order.told.open_units))
    maps = {marketplace: read_map(tx, workspace_id, marketplace, needed) for marketplace, needed in skus.items()}
    return [map_units(maps[regions[each.order.shop_id]], each.order.told.open_units) for each in undecided]


def _stock(
    tx: Connection,
    workspace_id: UUID,
    undecided: Sequence[Undecided],
    mapped: Sequence[Mapped],
    routings: Mapping[UUID, ShopRouting],
) -> dict[UUID, Mapping[str, Available]]:
    """What can be sold of the SKUs, by shop: shops of one merchant may keep back differently much."""
    skus: dict[UUID, set[str]] = {shop_id: set() for shop_id in routings}
    for each, units in zip(undecided, mapped, strict=True):
        skus[each.order.shop_id] |= units.quantities.keys() | {sku for sku, _ in each.order.by_hand.items}
    return {
        shop_id: available(tx, workspace_id, routing.merchant_id, sorted(skus[shop_id]), routing.safety_stock)
        if routing.merchant_id is not None
        else {}
        for shop_id, routing in routings.items()
    }
