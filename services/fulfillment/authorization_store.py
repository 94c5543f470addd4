"""SQL of sellers' consents and their sealed tokens. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, delete, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.custody import Lease, TokenPair
from kit.db import new_id
from kit.listen import notify
from kit.vault import Vault
from services.fulfillment import shop_store
from services.fulfillment.domain import Authorization, OpenedShop, ShopState, renew_time
from services.fulfillment.store import CATALOGUES_CHANNEL, database_time, in_seconds
from services.fulfillment.tables import authorizations, shops

_CONNECTED = authorizations.c.state == ShopState.CONNECTED.value


def save_connection(
    tx: Connection,
    vault: Vault,
    *,
    workspace_id: UUID,
    seller_open_id: str,
    seller_name: str,
    seller_region: str,
    scopes: Sequence[str],
    tokens: TokenPair,
    opened: Sequence[OpenedShop],
) -> UUID:
    """Stores a consent and the shops that it opens, and wakes who reads catalogues. Shops that the workspace has
    already keep their ids. Returns the authorisation's id. Raises ShopBelongsToAnother.
    """
    values = {
        "seller_name": seller_name,
        "seller_region": seller_region,
        "scopes": list(scopes),
        "state": ShopState.CONNECTED.value,
        "problem": "",
        "refresh_lease_time": None,
        "told_expire_time": None,
        **_sealed(tx, vault, workspace_id, seller_open_id, tokens),
    }
    authorization_id: UUID = tx.execute(
        upsert(authorizations)
        .values(authorization_id=new_id(), workspace_id=workspace_id, seller_open_id=seller_open_id, **values)
        .on_conflict_do_update(constraint="one_authorization_per_seller", set_={**values, "update_time": func.now()})
        .returning(authorizations.c.authorization_id)
    ).scalar_one()
    shop_store.save_opened(tx, vault, workspace_id, authorization_id, opened)
    # A shop may have come over from another consent, such as one that was given to another app.
    tx.execute(
        delete(authorizations).where(
            authorizations.c.workspace_id == workspace_id,
            ~select(shops.c.shop_id).where(shops.c.authorization_id == authorizations.c.authorization_id).exists(),
        )
    )
    notify(tx, CATALOGUES_CHANNEL)
    return authorization_id


def read_authorization(
    tx: Connection, workspace_id: UUID, authorization_id: UUID, *, for_update: bool = False
) -> Authorization:
    """A consent of the workspace that is known to be there; `for_update`: nobody else changes it meanwhile."""
    mine = (authorizations.c.workspace_id == workspace_id, authorizations.c.authorization_id == authorization_id)
    if for_update:
        tx.execute(select(authorizations.c.authorization_id).where(*mine).with_for_update())
    return _authorization(tx.execute(_authorizations().where(*mine)).mappings().one())


def take_renewals(tx: Connection, limit: int, again: timedelta) -> list[Authorization]:
    """Consents whose access token is to be renewed now, for this caller; `again`: should it fail. Of all workspaces."""
    due = (
        select(authorizations.c.authorization_id)
        .where(_CONNECTED, authorizations.c.renew_time <= func.now())
        .order_by(authorizations.c.renew_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = tx.execute(
        update(authorizations)
        .where(authorizations.c.authorization_id.in_(due))
        .values(renew_time=func.now() + again)
        .returning(authorizations.c.authorization_id)
    ).scalars()
    query = _authorizations().where(authorizations.c.authorization_id.in_(list(taken)))
    return [_authorization(row) for row in tx.execute(query).mappings()]


def to_tell_of_end(tx: Connection, notice: timedelta, limit: int) -> list[Authorization]:
    """Consents that end within that time, and whose end was not told; they count as told. Of all workspaces."""
    due = (
        select(authorizations.c.authorization_id)
        .where(
            _CONNECTED,
            authorizations.c.refresh_expire_time < func.now() + notice,
            authorizations.c.told_expire_time.is_distinct_from(authorizations.c.refresh_expire_time),
        )
        .order_by(authorizations.c.refresh_expire_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    told = tx.execute(
        update(authorizations)
        .where(authorizations.c.authorization_id.in_(due))
        .values(told_expire_time=authorizations.c.refresh_expire_time)
        .returning(authorizations.c.authorization_id)
    ).scalars()
    query = _authorizations().where(authorizations.c.authorization_id.in_(list(told)))
    return [_authorization(row) for row in tx.execute(query).mappings()]


def set_end_told(tx: Connection, authorization: Authorization) -> bool:
    """Counts the end of a consent as told; False when it was. Without an end it never was."""
    told, end = authorizations.c.told_expire_time, authorizations.c.refresh_expire_time
    changed = tx.execute(
        update(authorizations)
        .where(*_is(authorization), or_(end.is_(None), told.is_distinct_from(end)))
        .values(told_expire_time=end)
    )
    return bool(changed.rowcount)


def read_tokens(tx: Connection, vault: Vault, authorization: Authorization) -> TokenPair | None:
    """A consent's tokens, opened; None when they were forgotten."""
    row = tx.execute(select(authorizations).where(*_is(authorization))).one()
    if row.access_token is None:
        return None
    seller, workspace_id = row.seller_open_id, authorization.workspace_id
    return TokenPair(
        vault.unseal(tx, workspace_id, _token_place("access_token", seller), bytes(row.access_token)),
        row.access_expire_time,
        vault.unseal(tx, workspace_id, _token_place("refresh_token", seller), bytes(row.refresh_token)),
        row.refresh_expire_time,
        bytes(row.refresh_token),
    )


def take_refresh(tx: Connection, authorization: Authorization, lease_seconds: float) -> Lease | None:
    """Lets this caller refresh the consent's tokens, and no other for a while; None when another has the lease."""
    lease = authorizations.c.refresh_lease_time
    row = tx.execute(
        update(authorizations)
        .where(*_is(authorization), or_(lease.is_(None), lease <= func.now()))
        .values(refresh_lease_time=in_seconds(lease_seconds))
        .returning(lease.label("lease_end"), literal_column("old.refresh_lease_time IS NOT NULL").label("after_crash"))
    ).first()
    return Lease(row.lease_end, row.after_crash) if row else None


def release_refresh(tx: Connection, authorization: Authorization, lease: Lease) -> None:
    """Lets another try to refresh at once, after a failure; does nothing when the lease is another's by now."""
    tx.execute(
        update(authorizations)
        .where(*_is(authorization), authorizations.c.refresh_lease_time == lease.end)
        .values(refresh_lease_time=None)
    )


def save_tokens(
    tx: Connection, vault: Vault, authorization: Authorization, used: TokenPair, renewed: TokenPair
) -> bool:
    """Stores refreshed tokens, before anybody uses them, and ends the lease. They prove the authorisation.

    False, and nothing is changed, when it was given anew or forgotten since `used` was read.
    """
    seller: str | None = tx.execute(
        select(authorizations.c.seller_open_id)
        .where(*_is(authorization), authorizations.c.refresh_token == used.stored_refresh)
        .with_for_update()
    ).scalar()
    if seller is None:
        return False
    tx.execute(
        update(authorizations)
        .where(*_is(authorization))
        .values(
            **_sealed(tx, vault, authorization.workspace_id, seller, renewed),
            state=ShopState.CONNECTED.value,
            problem="",
            refresh_lease_time=None,
            update_time=func.now(),
        )
    )
    return True


def set_authorization_lost(tx: Connection, authorization: Authorization, used: TokenPair, problem: str) -> bool:
    """CONNECTED → AUTHORIZATION_LOST; False when it is that already, forgotten, or given anew since `used` was read."""
    result = tx.execute(
        update(authorizations)
        .where(
            *_is(authorization),
            _CONNECTED,
            authorizations.c.refresh_token == used.stored_refresh,
        )
        .values(
            state=ShopState.AUTHORIZATION_LOST.value, problem=problem, refresh_lease_time=None, update_time=func.now()
        )
    )
    return result.rowcount == 1


def forget_tokens(tx: Connection, workspace_id: UUID, authorization_id: UUID, problem: str) -> bool:
    """Any state → DISCONNECTED, without tokens and ciphers; False when it was."""
    changed = tx.execute(
        update(authorizations)
        .where(
            authorizations.c.workspace_id == workspace_id,
            authorizations.c.authorization_id == authorization_id,
            authorizations.c.state != ShopState.DISCONNECTED.value,
        )
        .values(
            state=ShopState.DISCONNECTED.value,
            problem=problem,
            access_token=None,
            access_expire_time=None,
            refresh_token=None,
            refresh_expire_time=None,
            refresh_lease_time=None,
            renew_time=None,
            update_time=func.now(),
        )
    )
    if not changed.rowcount:
        return False
    tx.execute(
        update(shops)
        .where(shops.c.workspace_id == workspace_id, shops.c.authorization_id == authorization_id)
        .values(cipher=None, update_time=func.now())
    )
    return True


def _is(authorization: Authorization) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        authorizations.c.workspace_id == authorization.workspace_id,
        authorizations.c.authorization_id == authorization.authorization_id,
    )


def _sealed(
    tx: Connection, vault: Vault, workspace_id: UUID, seller_open_id: str, tokens: TokenPair
) -> dict[str, object]:
    return {
        "access_token": vault.seal(tx, workspace_id, _token_place("access_token", seller_open_id), tokens.access_token),
        "access_expire_time": tokens.access_expire_time,
        "refresh_token": vault.seal(
            tx, workspace_id, _token_place("refresh_token", seller_open_id), tokens.refresh_token
        ),
        "refresh_expire_time": tokens.refresh_expire_time,
        "renew_time": renew_time(tokens.access_expire_time, database_time(tx)),
    }


def _token_place(column: str, seller_open_id: str) -> str:
    return f"authorizations.{column}|{seller_open_id}"


def _authorizations() -> Select[tuple[object, ...]]:
    opened = (
        select(func.array_agg(aggregate_order_by(shops.c.name, shops.c.name)))
        .where(shops.c.authorization_id == authorizations.c.authorization_id, shops.c.cipher.is_not(None))
        .scalar_subquery()
    )
    return select(
        authorizations.c.authorization_id,
        authorizations.c.workspace_id,
        authorizations.c.seller_name,
        authorizations.c.state,
        authorizations.c.problem,
        authorizations.c.access_expire_time,
        authorizations.c.refresh_expire_time,
        func.coalesce(opened, literal_column("'{}'::text[]")).label("shop_names"),
    )


def _authorization(row: RowMapping) -> Authorization:
    return Authorization(
        authorization_id=row["authorization_id"],
        workspace_id=row["workspace_id"],
        seller_name=row["seller_name"],
        state=ShopState(row["state"]),
        problem=row["problem"],
        access_expire_time=row["access_expire_time"],
        refresh_expire_time=row["refresh_expire_time"],
        shop_names=tuple(row["shop_names"]),
    )
