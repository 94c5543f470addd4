"""SQL of accounts, their sealed tokens, and connections that are being made. The caller owns the transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, func, insert, literal_column, null, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.custody import Lease, TokenPair
from kit.db import new_id
from kit.paging import Page
from kit.vault import Vault
from services.publisher import endings
from services.publisher.domain import (
    Account,
    AccountLimits,
    AccountNotFound,
    AccountState,
    ConnectionStateUnknown,
    Platform,
)
from services.publisher.tables import accounts, connections


@dataclass(frozen=True, slots=True)
class PendingConnection:
    """A connection whose owner is at the consent page."""

    workspace_id: UUID
    platform: Platform
    redirect_uri: str
    code_verifier: str = field(repr=False)


def insert_connection(
    tx: Connection, vault: Vault, state: str, pending: PendingConnection, expire_time: datetime
) -> None:
    """Remembers a connection that has begun."""
    sealed = vault.seal(tx, pending.workspace_id, f"connections.code_verifier|{state}", pending.code_verifier)
    tx.execute(
        insert(connections).values(
            state=state,
            workspace_id=pending.workspace_id,
            platform=pending.platform.value,
            redirect_uri=pending.redirect_uri,
            code_verifier=sealed,
            expire_time=expire_time,
        )
    )


def take_connection(tx: Connection, vault: Vault, workspace_id: UUID, state: str) -> PendingConnection:
    """The connection of a state, which is thereby used up. Raises ConnectionStateUnknown."""
    row = tx.execute(
        delete(connections)
        .where(
            connections.c.workspace_id == workspace_id,
            connections.c.state == state,
            connections.c.expire_time > func.now(),
        )
        .returning(connections)
    ).first()
    if row is None:
        raise ConnectionStateUnknown(
            "This state is unknown, already used, or older than ten minutes. Start the connection again."
        )
    verifier = vault.unseal(tx, workspace_id, f"connections.code_verifier|{state}", bytes(row.code_verifier))
    return PendingConnection(workspace_id, Platform(row.platform), row.redirect_uri, verifier)


def forget_connections(tx: Connection) -> int:
    """Deletes connections that nobody finished; returns how many."""
    return tx.execute(delete(connections).where(connections.c.expire_time <= func.now())).rowcount


def save_account(
    tx: Connection,
    vault: Vault,
    *,
    workspace_id: UUID,
    platform: Platform,
    platform_account_id: str,
    handle: str,
    display_name: str,
    scopes: tuple[str, ...],
    tokens: TokenPair,
    limits: AccountLimits | None = None,
) -> Account:
    """Stores a connected account; one that the workspace has already keeps its id.

    When the platform gave no new refresh token the account keeps the one that it has.
    """
    profile = {"workspace_id": workspace_id, "platform": platform.value, "platform_account_id": platform_account_id}
    account_id = tx.execute(select(accounts.c.account_id).filter_by(**profile).with_for_update()).scalar() or new_id()
    values = {
        "handle": handle,
        "display_name": display_name,
        "scopes": list(scopes),
        "state": AccountState.CONNECTED.value,
        "problem": "",
        "refresh_lease_time": None,
        "endings_told": sorted(endings.reached(tokens.refresh_expire_time, datetime.now(UTC))),
        "ending_check_time": endings.first_look(tokens.refresh_expire_time),
        **_sealed(tx, vault, workspace_id, account_id, tokens),
        **_limits(limits),
    }
    kept = {"refresh_token", "refresh_expire_time"} if not tokens.refresh_token else set()
    updated = {name: value for name, value in values.items() if name not in kept}
    row = (
        tx.execute(
            upsert(accounts)
            .values(account_id=account_id, **profile, **values)
            .on_conflict_do_update(index_elements=[accounts.c.account_id], set_={**updated, "update_time": func.now()})
            .returning(accounts)
        )
        .mappings()
        .one()
    )
    return account_of(row)


def read_account(tx: Connection, workspace_id: UUID, account_id: UUID) -> Account:
    """An account. Raises AccountNotFound."""
    row = (
        tx.execute(select(accounts).where(accounts.c.workspace_id == workspace_id, accounts.c.account_id == account_id))
        .mappings()
        .first()
    )
    if row is None:
        raise AccountNotFound(
            "There is no account with this id in the workspace.", metadata={"account_id": str(account_id)}
        )
    return account_of(row)


def read_accounts(tx: Connection, workspace_id: UUID, account_ids: set[UUID]) -> dict[UUID, Account]:
    """Accounts by id; what the workspace does not have is left out."""
    rows = tx.execute(
        select(accounts).where(accounts.c.workspace_id == workspace_id, accounts.c.account_id.in_(account_ids))
    ).mappings()
    return {row["account_id"]: account_of(row) for row in rows}


def accounts_of_profile(tx: Connection, platform: Platform, platform_account_id: str) -> list[Account]:
    """The accounts of a profile, in every workspace that has connected it."""
    query = select(accounts).where(
        accounts.c.platform == platform.value, accounts.c.platform_account_id == platform_account_id
    )
    return [account_of(row) for row in tx.execute(query).mappings()]


def list_accounts(tx: Connection, workspace_id: UUID, page: Page) -> list[Account]:
    """Accounts by handle; one more than the page holds when there is a next page."""
    query = select(accounts).where(accounts.c.workspace_id == workspace_id)
    if page.after:
        query = query.where(tuple_(accounts.c.handle, accounts.c.account_id) > tuple_(*page.after))
    rows = tx.execute(query.order_by(accounts.c.handle, accounts.c.account_id).limit(page.size + 1)).mappings()
    return [account_of(row) for row in rows]


def read_tokens(tx: Connection, vault: Vault, account: Account) -> TokenPair:
    """The account's tokens, opened."""
    row = tx.execute(
        select(
            accounts.c.access_token,
            accounts.c.access_expire_time,
            accounts.c.refresh_token,
            accounts.c.refresh_expire_time,
        ).where(accounts.c.workspace_id == account.workspace_id, accounts.c.account_id == account.account_id)
    ).one()
    return TokenPair(
        vault.unseal(tx, account.workspace_id, _place("access_token", account.account_id), bytes(row.access_token)),
        row.access_expire_time,
        vault.unseal(tx, account.workspace_id, _place("refresh_token", account.account_id), bytes(row.refresh_token)),
        row.refresh_expire_time,
        bytes(row.refresh_token),
    )


def take_refresh(tx: Connection, account: Account, lease_seconds: float) -> Lease | None:
    """Lets this caller refresh the account's tokens, and no other for a while; None when another has the lease."""
    row = tx.execute(
        update(accounts)
        .where(
            accounts.c.workspace_id == account.workspace_id,
            accounts.c.account_id == account.account_id,
            or_(accounts.c.refresh_lease_time.is_(None), accounts.c.refresh_lease_time <= func.now()),
        )
        .values(refresh_lease_time=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds))
        .returning(
            accounts.c.refresh_lease_time.label("lease_end"),
            literal_column("old.refresh_lease_time IS NOT NULL").label("after_crash"),
        )
    ).first()
    return Lease(row.lease_end, row.after_crash) if row else None


def save_tokens(
    tx: Connection, vault: Vault, account: Account, used: TokenPair, tokens: TokenPair
) -> AccountState | None:
    """Stores refreshed tokens, before anybody uses them, and lets the next refresh be. They prove the authorisation.

    Returns the account's state before. None, and nothing is changed, when it was connected anew, or disconnected, since
    `used` was read.
    """
    mine = (accounts.c.workspace_id == account.workspace_id, accounts.c.account_id == account.account_id)
    before = tx.execute(
        select(accounts.c.state, accounts.c.refresh_expire_time, accounts.c.endings_told)
        .where(
            *mine,
            accounts.c.refresh_token == used.stored_refresh,
            accounts.c.state != AccountState.DISCONNECTED.value,
        )
        .with_for_update()
    ).first()
    if before is None:
        return None
    ending: dict[str, object] = {}
    if not endings.is_same(before.refresh_expire_time, tokens.refresh_expire_time):
        # Renewals prolong it by themselves: what is planned behind its present end is in no danger.
        ending = {
            "endings_told": sorted(endings.reached(tokens.refresh_expire_time, datetime.now(UTC)) | {endings.POSTS}),
            "ending_check_time": endings.first_look(tokens.refresh_expire_time),
        }
    tx.execute(
        update(accounts)
        .where(*mine)
        .values(
            **ending,
            **_sealed(tx, vault, account.workspace_id, account.account_id, tokens),
            state=AccountState.CONNECTED.value,
            problem="",
            refresh_lease_time=None,
            update_time=func.now(),
        )
    )
    return AccountState(before.state)


def save_limits(tx: Connection, account: Account, limits: AccountLimits) -> None:
    """What the platform says now that the account may do."""
    tx.execute(
        update(accounts)
        .where(accounts.c.workspace_id == account.workspace_id, accounts.c.account_id == account.account_id)
        .values(**_limits(limits))
    )


def _limits(limits: AccountLimits | None) -> dict[str, object]:
    if limits is None:
        return {"limits": null(), "limits_time": None}
    return {"limits": asdict(limits), "limits_time": func.now()}


def release_refresh(tx: Connection, account: Account, lease: Lease) -> None:
    """Lets another try to refresh at once, after a failure; does nothing when the lease is another's by now."""
    tx.execute(
        update(accounts)
        .where(
            accounts.c.workspace_id == account.workspace_id,
            accounts.c.account_id == account.account_id,
            accounts.c.refresh_lease_time == lease.end,
        )
        .values(refresh_lease_time=None)
    )


def set_authorization_lost(tx: Connection, account: Account, used: TokenPair, problem: str) -> bool:
    """CONNECTED → AUTHORIZATION_LOST; False when it was lost already, or connected anew since `used` was read."""
    result = tx.execute(
        update(accounts)
        .where(
            accounts.c.workspace_id == account.workspace_id,
            accounts.c.account_id == account.account_id,
            accounts.c.state == AccountState.CONNECTED.value,
            accounts.c.refresh_token == used.stored_refresh,
        )
        .values(
            state=AccountState.AUTHORIZATION_LOST.value,
            problem=problem,
            refresh_lease_time=None,
            update_time=func.now(),
        )
    )
    return result.rowcount == 1


def set_disconnected(tx: Connection, account: Account, problem: str) -> bool:
    """→ DISCONNECTED; False when it was already. Its tokens stay until they are revoked: see `erase_tokens`."""
    result = tx.execute(
        update(accounts)
        .where(
            accounts.c.workspace_id == account.workspace_id,
            accounts.c.account_id == account.account_id,
            accounts.c.state != AccountState.DISCONNECTED.value,
        )
        .values(state=AccountState.DISCONNECTED.value, problem=problem, refresh_lease_time=None, update_time=func.now())
    )
    return result.rowcount == 1


def erase_tokens(tx: Connection, vault: Vault, account: Account, revoked: TokenPair) -> None:
    """Leaves nothing of the tokens of a disconnected account, unless it was connected anew since they were read."""
    nothing = TokenPair("", revoked.access_expire_time, "", None)
    tx.execute(
        update(accounts)
        .where(
            accounts.c.workspace_id == account.workspace_id,
            accounts.c.account_id == account.account_id,
            accounts.c.state == AccountState.DISCONNECTED.value,
            accounts.c.refresh_token == revoked.stored_refresh,
        )
        .values(**_sealed(tx, vault, account.workspace_id, account.account_id, nothing))
    )


def _sealed(tx: Connection, vault: Vault, workspace_id: UUID, account_id: UUID, tokens: TokenPair) -> dict[str, object]:
    return {
        "access_token": vault.seal(tx, workspace_id, _place("access_token", account_id), tokens.access_token),
        "access_expire_time": tokens.access_expire_time,
        "refresh_token": vault.seal(tx, workspace_id, _place("refresh_token", account_id), tokens.refresh_token),
        "refresh_expire_time": tokens.refresh_expire_time,
        "grant_time": func.now(),
        "renew_time": None,
    }


def _place(column: str, account_id: UUID) -> str:
    return f"accounts.{column}|{account_id}"


def account_of(row: RowMapping) -> Account:
    """The account of a row."""
    return Account(
        account_id=row["account_id"],
        workspace_id=row["workspace_id"],
        platform=Platform(row["platform"]),
        platform_account_id=row["platform_account_id"],
        handle=row["handle"],
        display_name=row["display_name"],
        scopes=tuple(row["scopes"]),
        state=AccountState(row["state"]),
        problem=row["problem"],
        authorization_expire_time=row["refresh_expire_time"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        access_expire_time=row["access_expire_time"],
        grant_time=row["grant_time"],
        renew_time=row["renew_time"],
        limits=_limits_of(row["limits"]),
        limits_time=row["limits_time"],
    )


def _limits_of(values: dict[str, Any] | None) -> AccountLimits | None:
    if values is None:
        return None
    # What an earlier version stored says nothing of the settings that it did not know.
    return AccountLimits(**values | {"privacy_levels": tuple(values["privacy_levels"])})
