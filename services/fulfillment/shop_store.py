"""SQL of shops. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, case, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from kit.db import new_id
from kit.paging import Page
from kit.vault import Vault
from services.fulfillment.domain import (
    OpenedShop,
    Shop,
    ShopBelongsToAnother,
    ShopNotFound,
    ShopState,
    shop_name,
)
from services.fulfillment.tables import authorizations, shops

_CLOSED = "The seller's consent no longer opens this shop. Connect it again."


def save_opened(
    tx: Connection, vault: Vault, workspace_id: UUID, authorization_id: UUID, opened: Sequence[OpenedShop]
) -> list[str]:
    """Stores which shops a consent opens now. Those that it no longer opens are closed; returns their names.

    Raises ShopBelongsToAnother.
    """
    # In one order everywhere, or two of one seller at once could wait for each other's rows.
    for shop in sorted(opened, key=lambda each: each.platform_shop_id):
        values = {
            "authorization_id": authorization_id,
            "cipher": vault.seal(tx, workspace_id, _cipher_place(shop.platform_shop_id), shop.cipher),
            "name": shop_name(shop.name, shop.platform_shop_id),
            "code": shop.code,
            "region": shop.region,
            "seller_type": shop.seller_type,
        }
        statement = (
            upsert(shops)
            .values(shop_id=new_id(), workspace_id=workspace_id, platform_shop_id=shop.platform_shop_id, **values)
            .on_conflict_do_update(
                constraint="one_shop_per_platform_shop",
                set_={
                    **values,
                    "update_time": func.now(),
                    # What happened while it was closed is read at once.
                    "catalogue_due_time": case(
                        (shops.c.cipher.is_(None), func.now()), else_=shops.c.catalogue_due_time
                    ),
                },
            )
        )
        try:
            tx.execute(statement)
        except IntegrityError as error:
            if "a_shop_is_open_in_one_workspace" not in str(error.orig):
                raise
            raise ShopBelongsToAnother(
                f"The shop {values['name']} is connected in another workspace. Disconnect it there first.",
                metadata={"platform_shop_id": shop.platform_shop_id},
            ) from None
    closed = tx.execute(
        update(shops)
        .where(
            shops.c.workspace_id == workspace_id,
            shops.c.authorization_id == authorization_id,
            shops.c.platform_shop_id.not_in([shop.platform_shop_id for shop in opened]),
            shops.c.cipher.is_not(None),
        )
        .values(cipher=None, update_time=func.now())
        .returning(shops.c.name)
    )
    return sorted(closed.scalars())


def read_shop(tx: Connection, workspace_id: UUID, shop_id: UUID) -> Shop:
    """A shop. Raises ShopNotFound."""
    row = (
        tx.execute(_shops().where(shops.c.workspace_id == workspace_id, shops.c.shop_id == shop_id)).mappings().first()
    )
    if row is None:
        raise ShopNotFound("There is no shop with this id in the workspace.", metadata={"shop_id": str(shop_id)})
    return _shop(row)


def shops_of(tx: Connection, workspace_id: UUID, authorization_id: UUID) -> list[Shop]:
    """All shops of a consent, by name."""
    query = _shops().where(shops.c.workspace_id == workspace_id, shops.c.authorization_id == authorization_id)
    return [_shop(row) for row in tx.execute(query.order_by(shops.c.name, shops.c.shop_id)).mappings()]


def list_shops(tx: Connection, workspace_id: UUID, page: Page) -> list[Shop]:
    """Shops by name; one more than the page holds when there is a next page."""
    query = _shops().where(shops.c.workspace_id == workspace_id)
    if page.after:
        query = query.where(tuple_(shops.c.name, shops.c.shop_id) > tuple_(*page.after))
    rows = tx.execute(query.order_by(shops.c.name, shops.c.shop_id).limit(page.size + 1)).mappings()
    return [_shop(row) for row in rows]


def read_cipher(tx: Connection, vault: Vault, shop: Shop) -> str:
    """What opens the shop, with its authorisation's token. Only for a shop that is open."""
    sealed = tx.execute(
        select(shops.c.cipher).where(shops.c.workspace_id == shop.workspace_id, shops.c.shop_id == shop.shop_id)
    ).scalar_one()
    return vault.unseal(tx, shop.workspace_id, _cipher_place(shop.platform_shop_id), bytes(sealed))


def _cipher_place(platform_shop_id: str) -> str:
    return f"shops.cipher|{platform_shop_id}"


def _shops() -> Select[tuple[object, ...]]:
    return select(
        *(column for column in shops.c if column.name != "cipher"),
        shops.c.cipher.is_not(None).label("is_open"),
        authorizations.c.seller_name,
        authorizations.c.scopes,
        authorizations.c.state,
        authorizations.c.problem,
        authorizations.c.refresh_expire_time,
        func.greatest(shops.c.update_time, authorizations.c.update_time).label("latest_update_time"),
    ).join_from(shops, authorizations)


def _shop(row: RowMapping) -> Shop:
    state, problem = ShopState(row["state"]), row["problem"]
    if not row["is_open"] and state is not ShopState.DISCONNECTED:
        state, problem = ShopState.DISCONNECTED, _CLOSED
    return Shop(
        shop_id=row["shop_id"],
        workspace_id=row["workspace_id"],
        authorization_id=row["authorization_id"],
        platform_shop_id=row["platform_shop_id"],
        name=row["name"],
        code=row["code"],
        region=row["region"],
        seller_type=row["seller_type"],
        seller_name=row["seller_name"],
        state=state,
        problem=problem,
        scopes=tuple(row["scopes"]),
        authorization_expire_time=row["refresh_expire_time"],
        catalogue_time=row["catalogue_time"],
        create_time=row["create_time"],
        update_time=row["latest_update_time"],
    )
