"""All SQL of identity: its tables, then one function per query. Nothing here commits.

Lists return one row more than the page holds when there is a next page; ids are in the order of creation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg2
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    exists,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError

from kit.errors import ReelrouteError
from kit.idempotency import requests_table
from kit.paging import Page
from services.identity import domain
from services.identity.domain import ApiKey, Scope, User, Workspace

metadata = MetaData()

workspaces = Table(
    "workspaces",
    metadata,
    Column("workspace_id", Uuid, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("workspace_id", name="workspaces_pkey"),
)

users = Table(
    "users",
    metadata,
    Column(
        "workspace_id", Uuid, ForeignKey("workspaces.workspace_id", name="user_belongs_to_workspace"), nullable=False
    ),
    Column("user_id", Uuid, nullable=False),
    Column("email", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("workspace_id", "user_id", name="users_pkey"),
)
Index("one_user_per_email", users.c.workspace_id, func.lower(users.c.email), unique=True)

api_keys = Table(
    "api_keys",
    metadata,
    Column(
        "workspace_id", Uuid, ForeignKey("workspaces.workspace_id", name="key_belongs_to_workspace"), nullable=False
    ),
    Column("api_key_id", Uuid, nullable=False),
    Column("user_id", Uuid),
    Column("display_name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_digest", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("expire_time", DateTime(timezone=True)),
    Column("revoke_time", DateTime(timezone=True)),
    Column("last_use_time", DateTime(timezone=True)),
    PrimaryKeyConstraint("workspace_id", "api_key_id", name="api_keys_pkey"),
    # Not led by the workspace: a caller shows a key, and the key tells the workspace.
    UniqueConstraint("key_digest", name="one_key_per_digest"),
    ForeignKeyConstraint(
        ["workspace_id", "user_id"], ["users.workspace_id", "users.user_id"], name="key_user_is_of_workspace"
    ),
)

requests = requests_table(metadata)


def wait_for_turn_to_begin(tx: Connection) -> None:
    """Lets one first start at a time go on, until the transaction ends."""
    tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('reelroute identity first start'))"))


def has_workspace(tx: Connection) -> bool:
    """Whether there is any workspace that the transaction sees."""
    return bool(tx.scalar(select(exists().select_from(workspaces))))


def insert_workspace(tx: Connection, workspace: Workspace) -> None:
    """Adds a workspace."""
    tx.execute(
        workspaces.insert().values(
            workspace_id=workspace.workspace_id,
            display_name=workspace.display_name,
            create_time=workspace.create_time,
        )
    )


def get_workspace(tx: Connection, workspace_id: UUID) -> Workspace:
    """Reads one workspace. Raises WorkspaceNotFound."""
    row = tx.execute(workspaces.select().where(workspaces.c.workspace_id == workspace_id)).first()
    if row is None:
        raise domain.WorkspaceNotFound.of(workspace_id)
    return _workspace(row)


def list_workspaces(tx: Connection, page: Page) -> list[Workspace]:
    """All workspaces that the transaction sees, oldest first."""
    return [_workspace(row) for row in tx.execute(_paged(workspaces.select(), workspaces.c.workspace_id, page))]


def insert_user(tx: Connection, user: User) -> None:
    """Adds a person. Raises EmailTaken or WorkspaceNotFound; the transaction is lost then."""
    with (
        _constraint("one_user_per_email", lambda: domain.EmailTaken.of(user.email)),
        _constraint("user_belongs_to_workspace", lambda: domain.WorkspaceNotFound.of(user.workspace_id)),
    ):
        tx.execute(
            users.insert().values(
                workspace_id=user.workspace_id,
                user_id=user.user_id,
                email=user.email,
                display_name=user.display_name,
                create_time=user.create_time,
            )
        )


def list_users(tx: Connection, workspace_id: UUID, page: Page) -> list[User]:
    """The people of a workspace, oldest first."""
    query = users.select().where(users.c.workspace_id == workspace_id)
    return [_user(row) for row in tx.execute(_paged(query, users.c.user_id, page))]


def insert_api_key(tx: Connection, key: ApiKey, digest: bytes) -> None:
    """Adds a key. Raises UserNotFound or WorkspaceNotFound; the transaction is lost then."""
    with (
        _constraint("key_user_is_of_workspace", lambda: domain.UserNotFound.of(key.user_id)),
        _constraint("key_belongs_to_workspace", lambda: domain.WorkspaceNotFound.of(key.workspace_id)),
    ):
        tx.execute(
            api_keys.insert().values(
                workspace_id=key.workspace_id,
                api_key_id=key.api_key_id,
                user_id=key.user_id,
                display_name=key.display_name,
                prefix=key.prefix,
                key_digest=digest,
                scopes=[scope.value for scope in key.scopes],
                create_time=key.create_time,
                expire_time=key.expire_time,
            )
        )


def list_api_keys(tx: Connection, workspace_id: UUID, page: Page) -> list[ApiKey]:
    """The keys of a workspace, revoked and expired ones too, oldest first."""
    query = select(*_KEY_COLUMNS).where(api_keys.c.workspace_id == workspace_id)
    return [_api_key(row) for row in tx.execute(_paged(query, api_keys.c.api_key_id, page))]


def find_api_key(tx: Connection, digest: bytes) -> ApiKey | None:
    """The key with that digest, in whichever workspace the transaction sees."""
    row = tx.execute(select(*_KEY_COLUMNS).where(api_keys.c.key_digest == digest)).first()
    return None if row is None else _api_key(row)


def revoke_api_key(tx: Connection, workspace_id: UUID, api_key_id: UUID, now: datetime) -> ApiKey:
    """Ends a key; one that has ended already keeps its time. Raises ApiKeyNotFound."""
    row = tx.execute(
        api_keys.update()
        .where(api_keys.c.workspace_id == workspace_id, api_keys.c.api_key_id == api_key_id)
        .values(revoke_time=func.coalesce(api_keys.c.revoke_time, now))
        .returning(*_KEY_COLUMNS)
    ).first()
    if row is None:
        raise domain.ApiKeyNotFound.of(api_key_id)
    return _api_key(row)


def note_use(tx: Connection, key: ApiKey, now: datetime) -> None:
    """Writes down that a key was used now, unless another call has just done so."""
    tx.execute(
        api_keys.update()
        .where(
            api_keys.c.workspace_id == key.workspace_id,
            api_keys.c.api_key_id == key.api_key_id,
            or_(api_keys.c.last_use_time.is_(None), api_keys.c.last_use_time <= now - domain.USE_NOTED_EVERY),
        )
        .values(last_use_time=now)
    )


# All but the digest: nobody who reads a key needs it.
_KEY_COLUMNS = [column for column in api_keys.c if column.name != "key_digest"]


def _paged(query: Select[Any], id_column: Column[UUID], page: Page) -> Select[Any]:
    if page.after is not None:
        query = query.where(id_column > page.after[0])
    return query.order_by(id_column).limit(page.size + 1)


@contextmanager
def _constraint(name: str, refusal: Callable[[], ReelrouteError]) -> Iterator[None]:
    """Turns the breach of one constraint into a refusal; any other error passes."""
    try:
        yield
    except IntegrityError as error:
        if isinstance(error.orig, psycopg2.Error) and error.orig.diag.constraint_name == name:
            raise refusal() from error
        raise


def _workspace(row: Row[Any]) -> Workspace:
    return Workspace(row.workspace_id, row.display_name, row.create_time)


def _user(row: Row[Any]) -> User:
    return User(row.user_id, row.workspace_id, row.email, row.display_name, row.create_time)


def _api_key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.api_key_id,
        row.workspace_id,
        row.user_id,
        row.display_name,
        row.prefix,
        tuple(Scope(name) for name in row.scopes),
        row.create_time,
        row.expire_time,
        row.revoke_time,
        row.last_use_time,
    )
