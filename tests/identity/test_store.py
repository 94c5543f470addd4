import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from kit import migrations
from kit.db import ALL_WORKSPACES, Database, new_id
from kit.paging import Page
from services.identity import domain, store
from services.identity.domain import ApiKey, KeyText, Scope, User
from tests.services import login_url

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
EVERYTHING = Page(200, None)


def workspace(database: Database, name: str = "Brand") -> UUID:
    made = domain.new_workspace(new_id(), name, NOW)
    with database.transaction(ALL_WORKSPACES) as tx:
        store.insert_workspace(tx, made)
    return made.workspace_id


def add_user(database: Database, workspace_id: UUID, email: str) -> User:
    user = domain.new_user(new_id(), workspace_id, email, "Ada", NOW)
    with database.transaction(workspace_id) as tx:
        store.insert_user(tx, user)
    return user


def add_key(
    database: Database, workspace_id: UUID, user_id: UUID | None = None, scopes: Sequence[Scope] = tuple(Scope)
) -> tuple[ApiKey, KeyText]:
    key_text = KeyText.make()
    key = domain.new_api_key(
        new_id(), workspace_id, key_text, display_name="Import", scopes=scopes, now=NOW, user_id=user_id
    )
    with database.transaction(workspace_id) as tx:
        store.insert_api_key(tx, key, key_text.digest)
    return key, key_text


def test_the_tables_are_what_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name != "alembic_version"},
        )
        assert compare_metadata(context, store.metadata) == []


def test_a_key_that_could_do_everything_still_can_when_there_is_more_to_do(
    database: Database, database_server: str
) -> None:
    new = {Scope.ORDERS_READ, Scope.ORDERS_WRITE, Scope.RECIPIENTS_READ}
    former = [scope for scope in Scope if scope not in new]
    ours = workspace(database)
    first, _ = add_key(database, ours, scopes=former)
    lesser, _ = add_key(database, ours, scopes=former[:-1])
    admin_url = urlsplit(database_server)._replace(path=f"/{database.url.database}").geturl()
    with contextlib.closing(psycopg2.connect(admin_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE identity.alembic_version SET version_num = '0001_first'")
    migrations.prepare("identity", admin_url, login_url(admin_url, "identity"))
    with database.transaction(ours) as tx:
        found = {key.api_key_id: set(key.scopes) for key in store.list_api_keys(tx, ours, EVERYTHING)}
    assert found == {first.api_key_id: set(Scope), lesser.api_key_id: set(former[:-1])}


def test_a_transaction_sees_its_own_workspace_and_without_a_name_nothing(database: Database) -> None:
    ours, theirs = workspace(database), workspace(database)
    for workspace_id in (ours, theirs):
        add_user(database, workspace_id, "ada@example.com")
        add_key(database, workspace_id)
    for table in ("workspaces", "users", "api_keys"):
        count = text(f"SELECT array_agg(workspace_id) FROM {table}")
        with database.transaction(ours) as tx:
            assert tx.scalar(count) == [ours]
        with database.transaction(ALL_WORKSPACES) as tx:
            assert sorted(tx.scalar(count)) == sorted([ours, theirs])
        with database.engine.begin() as tx:
            assert tx.scalar(count) is None


def test_nothing_can_be_written_into_another_workspace(database: Database) -> None:
    ours, theirs = workspace(database), workspace(database)
    user = domain.new_user(new_id(), theirs, "ada@example.com", "Ada", NOW)
    with pytest.raises(ProgrammingError, match="row-level security"), database.transaction(ours) as tx:
        store.insert_user(tx, user)


def test_an_email_address_is_unique_in_its_workspace_without_case(database: Database) -> None:
    ours, theirs = workspace(database), workspace(database)
    add_user(database, ours, "Ada@Example.com")
    add_user(database, theirs, "ada@example.com")
    with pytest.raises(domain.EmailTaken) as caught:
        add_user(database, ours, "ada@example.COM")
    assert caught.value.metadata == {"email": "ada@example.COM"}


def test_a_key_cannot_belong_to_another_workspaces_user(database: Database) -> None:
    ours, theirs = workspace(database), workspace(database)
    stranger = add_user(database, theirs, "ada@example.com")
    with pytest.raises(domain.UserNotFound):
        add_key(database, ours, stranger.user_id)


def test_people_and_keys_need_a_workspace_that_exists(database: Database) -> None:
    with pytest.raises(domain.WorkspaceNotFound):
        add_user(database, uuid4(), "ada@example.com")
    with pytest.raises(domain.WorkspaceNotFound):
        add_key(database, uuid4())


def test_a_key_is_found_by_its_digest_as_it_was_made(database: Database) -> None:
    ours = workspace(database)
    key, key_text = add_key(database, ours, add_user(database, ours, "ada@example.com").user_id)
    with database.transaction(ALL_WORKSPACES) as tx:
        assert store.find_api_key(tx, key_text.digest) == key
        assert store.find_api_key(tx, KeyText.make().digest) is None


def test_the_text_of_a_key_is_nowhere_in_the_database(database: Database) -> None:
    _, key_text = add_key(database, workspace(database))
    secret = key_text.text.removeprefix(key_text.prefix)
    with database.transaction(ALL_WORKSPACES) as tx:
        rows = tx.scalars(text("SELECT row(api_keys.*)::text FROM api_keys")).all()
    assert len(rows) == 1
    assert secret not in rows[0]
    assert key_text.text.encode().hex() not in rows[0]


def test_revoking_again_keeps_the_first_time(database: Database) -> None:
    ours = workspace(database)
    key, _ = add_key(database, ours)
    for later in (0, 60):
        with database.transaction(ours) as tx:
            revoked = store.revoke_api_key(tx, ours, key.api_key_id, NOW + timedelta(seconds=later))
        assert revoked.revoke_time == NOW


def test_another_workspaces_key_cannot_be_revoked(database: Database) -> None:
    ours, theirs = workspace(database), workspace(database)
    key, key_text = add_key(database, theirs)
    with pytest.raises(domain.ApiKeyNotFound), database.transaction(ours) as tx:
        store.revoke_api_key(tx, ours, key.api_key_id, NOW)
    with database.transaction(ALL_WORKSPACES) as tx:
        assert store.find_api_key(tx, key_text.digest) == key


def test_a_use_noted_by_another_call_a_moment_ago_is_not_noted_again(database: Database) -> None:
    key, key_text = add_key(database, workspace(database))
    for seconds in (0, 59, 60):
        with database.transaction(ALL_WORKSPACES) as tx:
            # Each call decided by what it had read before: no use so far.
            store.note_use(tx, key, NOW + timedelta(seconds=seconds))
            noted = store.find_api_key(tx, key_text.digest)
        assert noted is not None
        assert noted.last_use_time == NOW + timedelta(seconds=seconds // 60 * 60)


def test_lists_go_on_behind_the_last_id_and_show_one_more(database: Database) -> None:
    ours = workspace(database)
    keys = [add_key(database, ours)[0] for _ in range(4)]
    with database.transaction(ours) as tx:
        assert store.list_api_keys(tx, ours, Page(2, None)) == keys[:3]
        assert store.list_api_keys(tx, ours, Page(2, (keys[1].api_key_id,))) == keys[2:]
        assert store.list_workspaces(tx, EVERYTHING)[0].workspace_id == ours


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("scopes", "'{}'", "key_has_known_scopes"),
        ("scopes", "'{POSTS_READ,ROOT}'", "key_has_known_scopes"),
        ("key_digest", "'rr_the_text_itself'", "key_digest_is_a_sha256"),
        ("prefix", "'rr_12345678_and_more'", "key_prefix_has_its_shape"),
        ("expire_time", "create_time", "key_expires_after_its_creation"),
        ("display_name", "''", "key_name_has_1_to_100_characters"),
    ],
)
def test_the_database_refuses_keys_that_break_a_rule(database: Database, column: str, value: str, rule: str) -> None:
    add_key(database, workspace(database))
    with pytest.raises(IntegrityError, match=rule), database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text(f"UPDATE api_keys SET {column} = {value}"))


def test_the_service_cannot_change_its_own_walls(database: Database) -> None:
    with pytest.raises(DBAPIError, match="must be owner"), database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("ALTER TABLE api_keys DISABLE ROW LEVEL SECURITY"))
