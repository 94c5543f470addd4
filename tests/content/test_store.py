import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from kit.db import ALL_WORKSPACES, Database
from kit.paging import Page
from services.content import store
from services.content.domain import MediaAsset, MediaAssetNotFound
from services.content.media import MediaFacts
from tests.content.samples import ANOTHER, STILL, VIDEO, WORKSPACE, until


def keep(
    database: Database, content: bytes, workspace: UUID = WORKSPACE, name: str = "clip.mp4", facts: MediaFacts = VIDEO
) -> tuple[MediaAsset, bool]:
    with database.transaction(workspace) as tx:
        return store.keep_asset(
            tx,
            workspace,
            file_name=name,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            facts=facts,
        )


def someone_waits(database: Database) -> bool:
    with database.engine.connect() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def test_the_tables_are_what_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name != "alembic_version"},
        )
        assert compare_metadata(context, store.metadata) == []
        checks = "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'content'::regnamespace"
        made = set(connection.scalars(text(checks)))
    assert {str(check.name) for check in store.media_assets.constraints if hasattr(check, "sqltext")} == made


@pytest.mark.parametrize("facts", [VIDEO, STILL])
def test_an_asset_is_read_as_it_was_kept(database: Database, facts: MediaFacts) -> None:
    made, existed = keep(database, b"abc", facts=facts)
    assert (existed, made.facts, made.size_bytes, made.file_name) == (False, facts, 3, "clip.mp4")
    with database.transaction(WORKSPACE) as tx:
        assert store.read_asset(tx, WORKSPACE, made.media_asset_id) == made
        assert store.find_by_sha256(tx, WORKSPACE, made.sha256) == made


def test_the_same_bytes_are_one_asset_per_workspace_with_its_first_name(database: Database) -> None:
    first, _ = keep(database, b"abc", name="first.mp4")
    assert keep(database, b"abc", name="second.mp4") == (first, True)
    theirs, existed = keep(database, b"abc", ANOTHER)
    assert not existed
    assert theirs.media_asset_id != first.media_asset_id


def test_r11_many_who_keep_the_same_bytes_at_once_get_one_asset(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda number: keep(database, b"abc", name=f"{number}.mp4"), range(24)))
    assert len({asset for asset, _ in kept}) == 1
    assert [existed for _, existed in kept].count(False) == 1


def test_who_comes_second_waits_for_the_first_one_and_keeps_it_if_that_one_gave_up(database: Database) -> None:
    with ThreadPoolExecutor(1) as pool, database.transaction(WORKSPACE) as tx:
        values = {"file_name": "first.mp4", "sha256": hashlib.sha256(b"abc").hexdigest(), "size_bytes": 3}
        store.keep_asset(tx, WORKSPACE, facts=VIDEO, **values)  # type: ignore[arg-type]
        second = pool.submit(keep, database, b"abc", name="second.mp4")
        until(lambda: someone_waits(database))
        tx.rollback()
        asset, existed = second.result(10)
    assert (asset.file_name, existed) == ("second.mp4", False)


def test_a_workspace_sees_and_writes_its_own_assets_alone(database: Database) -> None:
    ours, _ = keep(database, b"abc")
    count = select(func.count()).select_from(store.media_assets)
    with database.transaction(ANOTHER) as tx:
        assert tx.scalar(count) == 0
        # The policy alone keeps it out: the query names the owner.
        assert store.read_assets(tx, WORKSPACE, [ours.media_asset_id]) == []
        with pytest.raises(MediaAssetNotFound):
            store.read_asset(tx, ANOTHER, ours.media_asset_id)
    with database.transaction(ALL_WORKSPACES) as tx:
        assert tx.scalar(count) == 1
    with database.engine.begin() as connection:
        assert connection.scalar(count) == 0
    with pytest.raises(ProgrammingError, match="row-level security"), database.transaction(ANOTHER) as tx:
        store.keep_asset(tx, WORKSPACE, file_name="x", sha256="ab" * 32, size_bytes=1, facts=VIDEO)


def test_ids_that_the_workspace_does_not_have_are_left_out(database: Database) -> None:
    ours, theirs = keep(database, b"abc")[0], keep(database, b"abc", ANOTHER)[0]
    with database.transaction(WORKSPACE) as tx:
        found = store.read_assets(tx, WORKSPACE, [uuid4(), ours.media_asset_id, theirs.media_asset_id])
    assert found == [ours]


def test_the_newest_come_first_and_pages_neither_repeat_nor_leave_out(database: Database) -> None:
    kept = [keep(database, bytes([number]) * 3)[0] for number in range(5)]
    keep(database, b"theirs", ANOTHER)
    newest_first = kept[::-1]
    with database.transaction(WORKSPACE) as tx:
        first = store.list_assets(tx, WORKSPACE, Page(2, None))
        assert first == newest_first[:3]  # one more than the page holds
        last = first[1]
        page = Page(3, (last.create_time, last.media_asset_id))
        assert store.list_assets(tx, WORKSPACE, page) == newest_first[2:]


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("a_still_has_no_time", {"facts": replace(STILL, duration_ms=5)}),
        ("a_video_has_time_and_codec", {"facts": replace(VIDEO, duration_ms=None)}),
        ("media_has_a_size", {"size_bytes": 0}),
        ("sha256_is_lower_case_hex", {"sha256": "AB" * 32}),
    ],
)
def test_the_database_refuses_an_asset_that_cannot_be(database: Database, rule: str, change: dict[str, Any]) -> None:
    values: dict[str, Any] = {"file_name": "x", "sha256": "ab" * 32, "size_bytes": 1, "facts": VIDEO} | change
    with pytest.raises(IntegrityError, match=rule), database.transaction(WORKSPACE) as tx:
        store.keep_asset(tx, WORKSPACE, **values)
