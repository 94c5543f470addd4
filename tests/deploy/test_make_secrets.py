"""The secrets of a deployment."""

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from deploy import make_secrets
from kit import crypto


def contents_of(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    make_secrets.make(tmp_path / "secrets")
    first = contents_of(tmp_path / "secrets")
    assert make_secrets.make(tmp_path / "secrets") == []
    assert contents_of(tmp_path / "secrets") == first


def test_what_is_missing_is_added_to_what_was_set_by_hand(tmp_path: Path) -> None:
    (tmp_path / "postgres_password").write_text("by-hand\n")
    (tmp_path / "notify_targets").write_text("{}")
    made = make_secrets.make(tmp_path)
    assert "notify_targets" not in made
    assert (tmp_path / "notify_targets").read_text() == "{}"
    assert make_url((tmp_path / "admin_database_url").read_text().strip()).password == "by-hand"


def test_two_deployments_share_no_secret(tmp_path: Path) -> None:
    make_secrets.make(tmp_path / "one")
    make_secrets.make(tmp_path / "two")
    one, two = contents_of(tmp_path / "one"), contents_of(tmp_path / "two")
    shared = {"tiktok_client_secret", "tiktok_shop_app_secret", "amazon_sp_client_secret", "notify_targets"}
    assert {name for name in one if one[name] == two[name]} == shared


def test_the_master_key_is_one_that_seals(tmp_path: Path) -> None:
    make_secrets.make(tmp_path)
    assert crypto.parse_key((tmp_path / "master_key").read_text().strip())


def test_only_the_owner_enters_the_folder_and_containers_read_the_files(tmp_path: Path) -> None:
    make_secrets.make(tmp_path / "secrets")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o644}


def test_a_folder_that_cannot_be_made_ends_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("sys.argv", ["make_secrets", str(tmp_path / "file" / "secrets")])
    with pytest.raises(SystemExit, match="cannot be written"):
        make_secrets.main()
