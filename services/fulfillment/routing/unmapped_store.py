"""SQL of SKUs that have no mapping, and of what Amazon has that they might be. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select, tuple_

from kit.errors import InvalidArgument
from kit.paging import Page
from services.fulfillment.order_tables import merchants, orders, stock
from services.fulfillment.orders.domain import OrderState, Unit
from services.fulfillment.orders.shop_order import told_from_json
from services.fulfillment.products import DELETED
from services.fulfillment.routing.mapping import SkuKey, map_units, skus_of
from services.fulfillment.routing.mapping_store import read_map
from services.fulfillment.routing.suggesting import Offer, Offers
from services.fulfillment.tables import products, shops

UNMAPPED = "sku_unmapped"
# So many held orders are counted, the last created first.
_MOST_ORDERS = 5_000
_MOST_OFFERS = 50_000

# So many products are looked through at once for SKUs without a mapping.
_BATCH = 1_000
# The places of a list: those of held orders come first.
_HELD, _IN_PRODUCTS = "held", "products"
_Place = tuple[str, UUID, str]
# Before every product.
_FIRST: _Place = ("", UUID(int=0), "")


@dataclass(frozen=True, slots=True)
class UnmappedSku:
    """A SKU of a shop without a mapping. `held_orders`: those that are held for it."""

    shop_id: UUID
    marketplace: str
    platform_sku_id: str
    seller_sku: str
    title: str
    barcode: str
    held_orders: int
    # None: it is only known from orders.
    product_id: UUID | None = None


def list_unmapped(tx: Connection, workspace_id: UUID, shop_id: UUID | None, page: Page) -> list[UnmappedSku]:
    """SKUs without a mapping, those first for which the most orders are held, then those of products by title; one more
    than the page holds when there is a next page. Raises InvalidArgument for a token of another list.
    """
    held = held_skus(tx, workspace_id, shop_id)
    place, first, second, third = page.after or (_HELD, "", "", "")
    found: list[UnmappedSku] = []
    after = _FIRST
    try:
        if place == _HELD:
            passed = (-int(first), second, third) if first else None
            found = [each for each in held if passed is None or _rank(each) > passed]
        else:
            after = first, UUID(second), third
    except ValueError:
        raise InvalidArgument.of_field(
            "page_token", "This is not a token from a previous page. Leave it empty for the first page."
        ) from None
    if len(found) <= page.size:
        ids = [each.platform_sku_id for each in held]
        found += catalogue_skus(tx, workspace_id, shop_id, ids, after, page.size + 1 - len(found))
    return found


def key_of(sku: UnmappedSku) -> tuple[str, str, str, str]:
    """Where a SKU is in the list."""
    if sku.product_id is None:
        return _HELD, str(sku.held_orders), sku.platform_sku_id, sku.seller_sku
    return _IN_PRODUCTS, sku.title, str(sku.product_id), sku.platform_sku_id


def _rank(sku: UnmappedSku) -> tuple[int, str, str]:
    return -sku.held_orders, sku.platform_sku_id, sku.seller_sku


def held_skus(tx: Connection, workspace_id: UUID, shop_id: UUID | None) -> list[UnmappedSku]:
    """Those for which orders are held, the most first."""
    query = (
        select(orders.c.shop_id, shops.c.region, orders.c.facts)
        .join_from(orders, shops, orders.c.shop_id == shops.c.shop_id)
        .where(
            orders.c.workspace_id == workspace_id,
            orders.c.state == OrderState.HELD.value,
            orders.c.reason == UNMAPPED,
        )
        .order_by(orders.c.platform_create_time.desc())
        .limit(_MOST_ORDERS)
    )
    if shop_id is not None:
        query = query.where(orders.c.shop_id == shop_id)
    found = [(row[0], row[1], told_from_json(row[2]).open_units) for row in tx.execute(query)]
    maps = {
        marketplace: read_map(
            tx,
            workspace_id,
            marketplace,
            skus_of(unit for _, place, units in found if place == marketplace for unit in units),
        )
        for marketplace in {marketplace for _, marketplace, _ in found}
    }
    counts: dict[tuple[UUID, str, SkuKey], int] = {}
    seen: dict[tuple[UUID, SkuKey], Unit] = {}
    for shop, marketplace, units in found:
        for unit in units:
            for key in skus_of([unit]):
                seen.setdefault((shop, key), unit)
        for key in map_units(maps[marketplace], units).unmapped:
            counts[shop, marketplace, key] = counts.get((shop, marketplace, key), 0) + 1
    barcodes = _barcodes(tx, workspace_id, ((shop, seen[shop, key]) for shop, _, key in counts))
    skus = [
        UnmappedSku(shop, marketplace, *key, seen[shop, key].title, barcodes.get((shop, key[0]), ""), held)
        for (shop, marketplace, key), held in counts.items()
    ]
    return sorted(skus, key=_rank)


def _barcodes(tx: Connection, workspace_id: UUID, units: Iterable[tuple[UUID, Unit]]) -> dict[tuple[UUID, str], str]:
    """The barcodes of SKUs in the products of these units, by shop and TikTok Shop's id."""
    product_ids = {unit.platform_product_id for _, unit in units}
    rows = tx.execute(
        select(products.c.shop_id, products.c.skus).where(
            products.c.workspace_id == workspace_id, products.c.platform_product_id.in_(product_ids)
        )
    )
    return {(shop_id, sku["id"]): sku["barcode"] for shop_id, skus in rows for sku in skus}


def catalogue_skus(
    tx: Connection, workspace_id: UUID, shop_id: UUID | None, held: Collection[str], after: _Place, most: int
) -> list[UnmappedSku]:
    """Those of products, by title, behind a title, product and SKU; without those for which orders are `held`.

    Under row-level security the database would compare each SKU with each mapping, for the SKUs of products are JSON,
    whose operators are not leakproof. So products are read in parts, and the mappings of each part by their indexes.
    """
    found: list[UnmappedSku] = []
    passed = set(held)
    place: tuple[str, UUID] | None = after[:2]
    while place is not None and len(found) < most:
        part, following = _products(tx, workspace_id, shop_id, place)
        part = [each for each in part if each.platform_sku_id not in passed]
        if place == after[:2]:
            # Of the first product some may have been shown.
            part = [
                each for each in part if (each.title, each.product_id) != after[:2] or each.platform_sku_id > after[2]
            ]
        maps = {
            marketplace: read_map(
                tx,
                workspace_id,
                marketplace,
                {(each.platform_sku_id, each.seller_sku) for each in part if each.marketplace == marketplace},
            )
            for marketplace in {each.marketplace for each in part}
        }
        found += [
            each for each in part if maps[each.marketplace].parts_of(each.platform_sku_id, each.seller_sku) is None
        ]
        place = following
    return found[:most]


def _products(
    tx: Connection, workspace_id: UUID, shop_id: UUID | None, start: tuple[str, UUID]
) -> tuple[list[UnmappedSku], tuple[str, UUID] | None]:
    """The SKUs of products from one on, and the product at which the next part starts; None: these were the last."""
    query = (
        select(products.c.shop_id, shops.c.region, products.c.title, products.c.product_id, products.c.skus)
        .join_from(products, shops, products.c.shop_id == shops.c.shop_id)
        .where(products.c.workspace_id == workspace_id, products.c.status != DELETED)
        .where(tuple_(products.c.title, products.c.product_id) >= tuple_(*start))
        .order_by(products.c.title, products.c.product_id)
        .limit(_BATCH + 1)
    )
    if shop_id is not None:
        query = query.where(products.c.shop_id == shop_id)
    rows = tx.execute(query).all()
    following = (rows[-1].title, rows[-1].product_id) if len(rows) > _BATCH else None
    return [
        UnmappedSku(row[0], row[1], sku["id"], sku["seller_sku"], row[2], sku["barcode"], 0, row[3])
        for row in rows[:_BATCH]
        for sku in sorted(row[4], key=lambda each: str(each["id"]))
    ], following


def read_offers(tx: Connection, workspace_id: UUID, marketplaces: Collection[str]) -> dict[str, Offers]:
    """What Amazon has of a workspace's sellers, by marketplace."""
    rows = tx.execute(
        select(merchants.c.marketplace, stock.c.amazon_sku, stock.c.title, stock.c.barcodes)
        .join_from(stock, merchants, stock.c.merchant_id == merchants.c.merchant_id)
        .where(stock.c.workspace_id == workspace_id, merchants.c.marketplace.in_(marketplaces))
        .order_by(stock.c.merchant_id, stock.c.amazon_sku)
        .limit(_MOST_OFFERS)
    )
    offers: dict[str, list[Offer]] = {marketplace: [] for marketplace in marketplaces}
    for marketplace, sku, title, barcodes in rows:
        offers[marketplace].append(Offer(sku, title, tuple(barcodes)))
    return {marketplace: Offers(each) for marketplace, each in offers.items()}
