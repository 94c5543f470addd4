"""SQL of products, and of who reads a shop's catalogue. The caller owns the transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select, text, tuple_, update

from kit.db import new_id
from kit.paging import Page
from services.fulfillment.domain import ProductNotFound, Shop, ShopState
from services.fulfillment.money import Money
from services.fulfillment.products import (
    DELETED,
    Product,
    SeenProduct,
    Sku,
    merged,
    needs_detail,
    search_text,
    sku_as_json,
)
from services.fulfillment.tables import authorizations, products, shops
from services.fulfillment.turn_store import Turn, Turns

# As one JSON array: a page of products costs a fifth of what as many parameters do.
_SAVE = text("""
    INSERT INTO products
        (product_id, workspace_id, shop_id, platform_product_id, title, status, skus, search_text, description,
         image_urls, platform_create_time, platform_update_time, read_time, is_detail_due)
    SELECT product_id, workspace_id, shop_id, platform_product_id, title, status, skus, search_text, description,
           image_urls, platform_create_time, platform_update_time, read_time, is_detail_due
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        product_id uuid, workspace_id uuid, shop_id uuid, platform_product_id text, title text, status text, skus jsonb,
        search_text text, description text, image_urls text[], platform_create_time timestamptz,
        platform_update_time timestamptz, read_time timestamptz, is_detail_due boolean)
    ORDER BY platform_product_id
    ON CONFLICT ON CONSTRAINT one_product_per_platform_product DO UPDATE SET
        (title, status, skus, search_text, description, image_urls, platform_create_time, platform_update_time,
         read_time, is_detail_due)
        = (excluded.title, excluded.status, excluded.skus, excluded.search_text, excluded.description,
           excluded.image_urls, excluded.platform_create_time, excluded.platform_update_time, excluded.read_time,
           excluded.is_detail_due)
    WHERE products.read_time <= excluded.read_time
""")


@dataclass(frozen=True, slots=True)
class Reading(Turn):
    """The right to read a shop's catalogue. `cursor`: what changed before is known; `whole_time`: when everything was
    last read.
    """

    shop_id: UUID
    cursor: datetime | None
    whole_time: datetime | None


_READINGS = Turns(
    Reading,
    key=shops.c.shop_id,
    lease=shops.c.catalogue_lease_time,
    due=shops.c.catalogue_due_time,
    known=(shops.c.catalogue_cursor, shops.c.catalogue_whole_time),
)


def claim_reading(tx: Connection, lease_seconds: float) -> Reading | None:
    """Takes the catalogue that is due for longest and that nobody reads; None when there is none. Of all workspaces."""
    return _READINGS.claim(
        tx,
        lease_seconds,
        shops.c.cipher.is_not(None),
        authorizations.c.state == ShopState.CONNECTED.value,
        among=shops.join(authorizations),
    )


def take_reading(tx: Connection, shop: Shop, lease_seconds: float) -> Reading | None:
    """Takes one shop's catalogue, due or not; None while somebody reads it."""
    return _READINGS.take(tx, shop.workspace_id, shop.shop_id, lease_seconds)


def keep_reading(tx: Connection, reading: Reading, lease_seconds: float) -> Reading | None:
    """Holds it for longer; None when it is another's by now. `begin_time` stays."""
    return _READINGS.keep(tx, reading, lease_seconds)


def end_listing(tx: Connection, reading: Reading, *, is_whole: bool) -> None:
    """Records that all pages were read: what changed before this reading began is known."""
    values: dict[str, object] = {"catalogue_time": func.now(), "catalogue_cursor": reading.begin_time}
    if is_whole:
        values["catalogue_whole_time"] = reading.begin_time
    _READINGS.store(tx, reading, values)


def release_reading(tx: Connection, reading: Reading, due_seconds: float | None = None) -> None:
    """Lets others read it: in so many seconds, or (None) when it was due anyway. Nothing when it is another's."""
    _READINGS.release(tx, reading, due_seconds)


def save_products(tx: Connection, shop: Shop, seen: Sequence[SeenProduct], asked_time: datetime) -> None:
    """Stores what TikTok Shop told when it was asked at a time; what was read later stays as it is."""
    if not seen:
        return
    # Each once. The statement writes in one order everywhere, or two processes could wait for each other's rows.
    by_id = {each.platform_product_id: each for each in seen}
    known = {each.platform_product_id: each for each in _known(tx, shop, list(by_id))}
    rows = [_row(shop, merged(each, known.get(name)), known.get(name), asked_time) for name, each in by_id.items()]
    tx.execute(_SAVE, {"rows": json.dumps(rows, default=str)})


def suspect_gone(tx: Connection, shop: Shop, begin_time: datetime) -> None:
    """After everything was read: what was not seen since it began is to be read by itself, and may be gone."""
    tx.execute(
        update(products)
        .where(*_of(shop), products.c.read_time < begin_time, products.c.status != DELETED)
        .values(is_detail_due=True)
    )


def without_detail(tx: Connection, shop: Shop, limit: int, *, read_before: datetime | None = None) -> list[str]:
    """Products that are to be read by themselves, by TikTok Shop's ids, those first that were not read for longest."""
    query = select(products.c.platform_product_id).where(*_of(shop), products.c.is_detail_due)
    if read_before is not None:
        query = query.where(products.c.read_time < read_before)
    return list(tx.execute(query.order_by(products.c.read_time, products.c.product_id).limit(limit)).scalars())


def set_gone(tx: Connection, shop: Shop, platform_product_ids: Sequence[str], asked_time: datetime) -> None:
    """Stores that TikTok Shop no longer has products."""
    tx.execute(
        update(products)
        .where(*_of(shop), products.c.platform_product_id.in_(platform_product_ids), products.c.read_time <= asked_time)
        .values(status=DELETED, is_detail_due=False, read_time=asked_time)
    )


def leave_detail(tx: Connection, shop: Shop, platform_product_ids: Sequence[str]) -> None:
    """Products whose detail TikTok Shop does not tell stay as lists tell them, until they change."""
    tx.execute(
        update(products)
        .where(*_of(shop), products.c.platform_product_id.in_(platform_product_ids))
        .values(is_detail_due=False)
    )


def read_product(tx: Connection, workspace_id: UUID, product_id: UUID) -> Product:
    """A product. Raises ProductNotFound."""
    query = select(products).where(products.c.workspace_id == workspace_id, products.c.product_id == product_id)
    row = tx.execute(query).mappings().first()
    if row is None:
        raise ProductNotFound(
            "There is no product with this id in the workspace.", metadata={"product_id": str(product_id)}
        )
    return _product(row)


def list_products(
    tx: Connection, workspace_id: UUID, page: Page, *, shop_id: UUID | None, status: str, wanted: str
) -> list[Product]:
    """Products by title; one more than the page holds when there is a next page. Without a status all but DELETED;
    with a wanted text those that have it in their title or a seller's SKU.

    Under row-level security no inverted index may be asked: its operators are not leakproof. So the rows of the
    workspace are looked through, in the order of their titles: of 100,000 for a text that is rare, in 0.1 s.
    """
    query = select(products).where(products.c.workspace_id == workspace_id)
    query = query.where(products.c.status == status if status else products.c.status != DELETED)
    if shop_id is not None:
        query = query.where(products.c.shop_id == shop_id)
    if wanted:
        query = query.where(func.strpos(products.c.search_text, wanted.lower()) > 0)
    if page.after:
        query = query.where(tuple_(products.c.title, products.c.product_id) > tuple_(*page.after))
    rows = tx.execute(query.order_by(products.c.title, products.c.product_id).limit(page.size + 1)).mappings()
    return [_product(row) for row in rows]


def _of(shop: Shop) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return products.c.workspace_id == shop.workspace_id, products.c.shop_id == shop.shop_id


def _known(tx: Connection, shop: Shop, platform_product_ids: Sequence[str]) -> list[Product]:
    query = select(products).where(*_of(shop), products.c.platform_product_id.in_(platform_product_ids))
    return [_product(row) for row in tx.execute(query).mappings()]


def _row(shop: Shop, seen: SeenProduct, known: Product | None, asked_time: datetime) -> dict[str, object]:
    description, images = seen.description, seen.image_urls
    if description is None or images is None:
        description, images = (known.description, known.image_urls) if known else ("", ())
    return {
        "product_id": new_id(),
        "workspace_id": shop.workspace_id,
        "shop_id": shop.shop_id,
        "platform_product_id": seen.platform_product_id,
        "title": seen.title,
        "status": seen.status,
        "skus": [sku_as_json(sku) for sku in seen.skus],
        "search_text": search_text(seen.title, seen.skus),
        "description": description,
        "image_urls": list(images),
        "platform_create_time": seen.create_time or (known.platform_create_time if known else None),
        "platform_update_time": seen.update_time or (known.platform_update_time if known else None),
        "read_time": asked_time,
        "is_detail_due": needs_detail(seen, known),
    }


def _product(row: RowMapping) -> Product:
    return Product(
        product_id=row["product_id"],
        shop_id=row["shop_id"],
        platform_product_id=row["platform_product_id"],
        title=row["title"],
        status=row["status"],
        skus=tuple(
            Sku(
                sku["id"],
                sku["seller_sku"],
                Money(*sku["price"]) if sku["price"] else None,
                sku["available"],
                tuple(sku["attributes"]),
                sku["barcode"],
            )
            for sku in row["skus"]
        ),
        description=row["description"],
        image_urls=tuple(row["image_urls"]),
        platform_create_time=row["platform_create_time"],
        platform_update_time=row["platform_update_time"],
        read_time=row["read_time"],
        is_detail_due=row["is_detail_due"],
    )
