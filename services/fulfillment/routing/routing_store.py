"""SQL of shops' routing settings. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, RowMapping, case, false, func, null, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.fulfillment.order_tables import shop_routings
from services.fulfillment.routing.settings import ShopRouting, settings_from_json, settings_to_json


def read_routing(tx: Connection, workspace_id: UUID, shop_id: UUID) -> ShopRouting:
    """A shop's settings; those of a shop that nobody set are the defaults, switched off."""
    return read_routings(tx, workspace_id, [shop_id]).get(shop_id) or ShopRouting(
        shop_id=shop_id, workspace_id=workspace_id
    )


def read_routings(tx: Connection, workspace_id: UUID, shop_ids: Collection[UUID]) -> dict[UUID, ShopRouting]:
    """The settings of shops, of those that somebody set."""
    rows = tx.execute(
        select(shop_routings).where(shop_routings.c.workspace_id == workspace_id, shop_routings.c.shop_id.in_(shop_ids))
    ).mappings()
    return {row["shop_id"]: _routing(row) for row in rows}


def save_routing(tx: Connection, routing: ShopRouting) -> ShopRouting:
    """Replaces a shop's settings; `tracking_stop` stays. Returns them as they are kept."""
    values = {
        "is_on": routing.is_on,
        "merchant_id": routing.merchant_id,
        "settings": settings_to_json(routing),
        "update_time": func.now(),
    }
    row = (
        tx.execute(
            upsert(shop_routings)
            .values(shop_id=routing.shop_id, workspace_id=routing.workspace_id, **values)
            .on_conflict_do_update(index_elements=[shop_routings.c.shop_id], set_=values | _beginning(routing))
            .returning(shop_routings)
        )
        .mappings()
        .one()
    )
    return _routing(row)


def _beginning(routing: ShopRouting) -> dict[str, object]:
    """What is forgotten when a routing is switched on: orders from while it was off are not taken in."""
    begins = shop_routings.c.is_on.is_(False) if routing.is_on else false()
    kept = (shop_routings.c.orders_from_time, shop_routings.c.orders_cursor)
    values: dict[str, object] = {column.name: case((begins, null()), else_=column) for column in kept}
    return values | {"orders_due_time": case((begins, func.now()), else_=shop_routings.c.orders_due_time)}


def _routing(row: RowMapping) -> ShopRouting:
    return ShopRouting(
        shop_id=row["shop_id"],
        workspace_id=row["workspace_id"],
        is_on=row["is_on"],
        merchant_id=row["merchant_id"],
        tracking_stop=row["tracking_stop"],
        update_time=row["update_time"],
        **settings_from_json(row["settings"]),
    )
