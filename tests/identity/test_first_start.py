import io
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, event

from kit.db import ALL_WORKSPACES, Database
from kit.paging import Page
from services.identity import domain, first_start, store
from services.identity.config import IdentityConfig
from services.identity.domain import ApiKey, KeyText, Scope
from tests.services import SERVICE_TOKEN

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def config(database: Database, **fields: object) -> IdentityConfig:
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return IdentityConfig.model_validate({"database_url": url, "service_token": SERVICE_TOKEN, **fields})


def start(database: Database, **fields: object) -> str:
    out = io.StringIO()
    first_start.ensure_workspace(database, config(database, **fields), NOW, out)
    return out.getvalue()


def key_of(database: Database, text: str) -> ApiKey | None:
    with database.transaction(ALL_WORKSPACES) as tx:
        return store.find_api_key(tx, KeyText.parse(text).digest)


def test_the_first_start_prints_a_key_that_may_do_everything_and_the_second_prints_nothing(database: Database) -> None:
    line = start(database, first_workspace_name="Aurora")
    assert line.count("\n") == 1
    assert "Aurora" in line
    key = key_of(database, line.split()[-1])
    assert key is not None
    assert key.scopes == tuple(Scope)
    assert start(database) == ""
    with database.transaction(key.workspace_id) as tx:
        (owner,) = store.list_users(tx, key.workspace_id, Page(10, None))
    assert owner.user_id == key.user_id


def test_the_first_key_goes_into_a_file_for_its_owner_alone(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "api-key"
    assert start(database, first_key_file=path) == ""
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_text()
    assert content.endswith("\n")
    assert key_of(database, content.removesuffix("\n")) is not None
    assert list(tmp_path.iterdir()) == [path]


def test_replicas_that_start_together_make_one_workspace(database: Database) -> None:
    together = threading.Barrier(4)

    def begin(_: int) -> str:
        together.wait(10)
        return start(database)

    with ThreadPoolExecutor(4) as pool:
        lines = list(pool.map(begin, range(4)))
    assert sorted(map(bool, lines)) == [False, False, False, True]
    with database.transaction(ALL_WORKSPACES) as tx:
        assert len(store.list_workspaces(tx, Page(10, None))) == 1


def test_a_crash_between_the_file_and_the_commit_is_mended_by_the_next_start(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "api-key"

    def lose_the_server(_: Connection) -> None:
        raise ConnectionResetError

    event.listen(database.engine, "commit", lose_the_server)
    with suppress(ConnectionResetError):
        start(database, first_key_file=path)
    event.remove(database.engine, "commit", lose_the_server)
    lost = path.read_text().strip()
    assert key_of(database, lost) is None
    start(database, first_key_file=path)
    assert path.read_text().strip() != lost
    assert key_of(database, path.read_text().strip()) is not None


@pytest.mark.parametrize("kind", ["a letter", "a folder", "a link", "no folder"])
def test_a_file_that_is_no_key_is_left_alone_and_nothing_is_made(database: Database, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "api-key"
    match kind:
        case "a letter":
            path.write_text("Dear Ada,\n")
        case "a folder":
            path.mkdir()
        case "a link":
            path.symlink_to(tmp_path / "nowhere")
        case "no folder":
            path = tmp_path / "missing" / "api-key"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(first_start.FirstKeyFileUnusable, match="REELROUTE_FIRST_KEY_FILE"):
        start(database, first_key_file=path)
    assert sorted(tmp_path.iterdir()) == before
    with database.transaction(ALL_WORKSPACES) as tx:
        assert not store.has_workspace(tx)


def command(database: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = config(database)
    return subprocess.run(
        [sys.executable, "-m", "services.identity", "new-key", *arguments],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "REELROUTE_DATABASE_URL": settings.database_url.get_secret_value(),
            "REELROUTE_SERVICE_TOKEN": SERVICE_TOKEN,
            "REELROUTE_ALLOW_UNSAFE_DATABASE": "true",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_owner_who_lost_every_key_gets_in_again_from_the_command_line(database: Database) -> None:
    workspace = domain.new_workspace(uuid4(), "Aurora", NOW)
    with database.transaction(ALL_WORKSPACES) as tx:
        store.insert_workspace(tx, workspace)
    mistyped = command(database, str(uuid4()))
    assert mistyped.returncode == 1
    assert mistyped.stdout == ""
    assert f"{workspace.workspace_id}  Aurora" in mistyped.stderr
    assert "Traceback" not in mistyped.stderr

    done = command(database, str(workspace.workspace_id))
    assert done.returncode == 0
    key = key_of(database, done.stdout.removesuffix("\n"))
    assert key is not None
    assert key.workspace_id == workspace.workspace_id
    assert key.scopes == tuple(Scope)
    assert done.stdout.strip() not in done.stderr
