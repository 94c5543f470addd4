"""SQL of merchants and their sealed tokens. The caller owns the transaction."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, case, func, literal_column, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from kit.activity import activity
from kit.custody import Lease, TokenPair
from kit.db import new_id
from kit.paging import Page
from kit.vault import Vault
from services.fulfillment import store
from services.fulfillment.merchants.domain import Merchant, MerchantBelongsToAnother, MerchantNotFound, MerchantState
from services.fulfillment.order_tables import merchants

_SHOWN = [merchants.c[name] for name in Merchant.__dataclass_fields__]


def save_merchant(
    tx: Connection, vault: Vault, *, workspace_id: UUID, name: str, seller_id: str, marketplace: str, tokens: TokenPair
) -> Merchant:
    """Any state → CONNECTED, with these tokens. One that the workspace has already keeps its id.

    What happened while it was not connected is read at once. Raises MerchantBelongsToAnother.
    """
    values = {
        "name": name,
        "state": MerchantState.CONNECTED.value,
        "problem": "",
        "refresh_lease_time": None,
        **_sealed(tx, vault, workspace_id, seller_id, marketplace, tokens),
    }
    was_connected = merchants.c.state == MerchantState.CONNECTED.value
    due = {
        column.name: case((was_connected, column), else_=func.now())
        for column in (merchants.c.stock_due_time, merchants.c.orders_due_time)
    }
    statement = (
        upsert(merchants)
        .values(merchant_id=new_id(), workspace_id=workspace_id, seller_id=seller_id, marketplace=marketplace, **values)
        .on_conflict_do_update(
            constraint="one_merchant_per_seller_and_marketplace",
            set_={**values, **due, "update_time": func.now()},
        )
        .returning(*_SHOWN)
    )
    try:
        return _merchant(tx.execute(statement).mappings().one())
    except IntegrityError as error:
        if "a_merchant_is_open_in_one_workspace" not in str(error.orig):
            raise
        raise MerchantBelongsToAnother(
            f"The seller {seller_id} is connected for {marketplace} in another workspace. Disconnect it there first.",
            metadata={"seller_id": seller_id, "marketplace": marketplace},
        ) from None


def read_merchant(tx: Connection, workspace_id: UUID, merchant_id: UUID) -> Merchant:
    """A merchant. Raises MerchantNotFound."""
    query = select(*_SHOWN).where(merchants.c.workspace_id == workspace_id, merchants.c.merchant_id == merchant_id)
    row = tx.execute(query).mappings().first()
    if row is None:
        raise MerchantNotFound(
            "There is no merchant with this id in the workspace.", metadata={"merchant_id": str(merchant_id)}
        )
    return _merchant(row)


def list_merchants(tx: Connection, workspace_id: UUID, page: Page) -> list[Merchant]:
    """Merchants by name; one more than the page holds when there is a next page."""
    query = select(*_SHOWN).where(merchants.c.workspace_id == workspace_id)
    if page.after:
        query = query.where(tuple_(merchants.c.name, merchants.c.merchant_id) > tuple_(*page.after))
    rows = tx.execute(query.order_by(merchants.c.name, merchants.c.merchant_id).limit(page.size + 1)).mappings()
    return [_merchant(row) for row in rows]


def read_tokens(tx: Connection, vault: Vault, merchant: Merchant) -> TokenPair | None:
    """A merchant's tokens, opened; None when they were forgotten."""
    row = tx.execute(
        select(merchants.c.access_token, merchants.c.access_expire_time, merchants.c.refresh_token).where(
            *_is(merchant)
        )
    ).one()
    if row.refresh_token is None:
        return None
    workspace_id, seller_id, marketplace = merchant.workspace_id, merchant.seller_id, merchant.marketplace
    return TokenPair(
        vault.unseal(tx, workspace_id, _place("access_token", seller_id, marketplace), bytes(row.access_token)),
        row.access_expire_time,
        vault.unseal(tx, workspace_id, _place("refresh_token", seller_id, marketplace), bytes(row.refresh_token)),
        None,
        bytes(row.refresh_token),
    )


def take_refresh(tx: Connection, merchant: Merchant, lease_seconds: float) -> Lease | None:
    """Lets this caller refresh the merchant's tokens, and no other for a while; None when another has the lease."""
    lease = merchants.c.refresh_lease_time
    row = tx.execute(
        update(merchants)
        .where(*_is(merchant), or_(lease.is_(None), lease <= func.now()))
        .values(refresh_lease_time=store.in_seconds(lease_seconds))
        .returning(lease.label("lease_end"), literal_column("old.refresh_lease_time IS NOT NULL").label("after_crash"))
    ).first()
    return Lease(row.lease_end, row.after_crash) if row else None


def release_refresh(tx: Connection, merchant: Merchant, lease: Lease) -> None:
    """Lets another try to refresh at once, after a failure; does nothing when the lease is another's by now."""
    tx.execute(
        update(merchants)
        .where(*_is(merchant), merchants.c.refresh_lease_time == lease.end)
        .values(refresh_lease_time=None)
    )


def save_tokens(tx: Connection, vault: Vault, merchant: Merchant, used: TokenPair, renewed: TokenPair) -> bool:
    """Stores refreshed tokens, before anybody uses them, and ends the lease. They prove the authorisation.

    False, and nothing is changed, when it was given anew or forgotten since `used` was read.
    """
    saved = tx.execute(
        update(merchants)
        .where(*_is(merchant), merchants.c.refresh_token == used.stored_refresh)
        .values(
            **_sealed(tx, vault, merchant.workspace_id, merchant.seller_id, merchant.marketplace, renewed),
            state=MerchantState.CONNECTED.value,
            problem="",
            refresh_lease_time=None,
            update_time=func.now(),
        )
    )
    return saved.rowcount == 1


def set_authorization_lost(tx: Connection, merchant: Merchant, used: TokenPair, problem: str) -> bool:
    """CONNECTED → AUTHORIZATION_LOST; False when it is that already, forgotten, or given anew since `used` was read."""
    lost = tx.execute(
        update(merchants)
        .where(
            *_is(merchant),
            merchants.c.state == MerchantState.CONNECTED.value,
            merchants.c.refresh_token == used.stored_refresh,
        )
        .values(
            state=MerchantState.AUTHORIZATION_LOST.value,
            problem=problem,
            refresh_lease_time=None,
            update_time=func.now(),
        )
    )
    return lost.rowcount == 1


def forget_tokens(tx: Connection, merchant: Merchant, problem: str) -> bool:
    """Any state → DISCONNECTED, without tokens; False when it was."""
    changed = tx.execute(
        update(merchants)
        .where(*_is(merchant), merchants.c.state != MerchantState.DISCONNECTED.value)
        .values(
            state=MerchantState.DISCONNECTED.value,
            problem=problem,
            access_token=None,
            access_expire_time=None,
            refresh_token=None,
            refresh_lease_time=None,
            update_time=func.now(),
        )
    )
    return bool(changed.rowcount)


def tell_of_merchant(tx: Connection, workspace_id: UUID, kind: str, summary: str, name: str) -> None:
    """Tells the activity feed what happened to a merchant."""
    attributes = {"merchant": name, "platform": "amazon"}
    store.tell(tx, [activity(workspace_id, kind, summary, store.database_time(tx), attributes=attributes)])


def _is(merchant: Merchant) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return merchants.c.workspace_id == merchant.workspace_id, merchants.c.merchant_id == merchant.merchant_id


def _sealed(
    tx: Connection, vault: Vault, workspace_id: UUID, seller_id: str, marketplace: str, tokens: TokenPair
) -> dict[str, object]:
    sealed = {
        name: vault.seal(tx, workspace_id, _place(name, seller_id, marketplace), token)
        for name, token in (("access_token", tokens.access_token), ("refresh_token", tokens.refresh_token))
    }
    return {**sealed, "access_expire_time": tokens.access_expire_time}


def _place(column: str, seller_id: str, marketplace: str) -> str:
    return f"merchants.{column}|{seller_id}|{marketplace}"


def _merchant(row: RowMapping) -> Merchant:
    return Merchant(**{**row, "state": MerchantState(row["state"])})
