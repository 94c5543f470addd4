"""Importing, from the file to the gateway: what is sent, what is told, and that nothing happens twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.calendar import COLUMNS
from tests.cli.conftest import Run
from tests.cli.gateway import Memory

DAY = datetime.now(UTC).date() + timedelta(days=40)


def row(ref: str, hour: int = 10, **cells: str) -> dict[str, str]:
    usual = {
        "ref": ref,
        "local_date": DAY.isoformat(),
        "local_time": f"{hour}:05",
        "timezone": "America/New_York",
        "channel": "air",
        "account": "@emberfold.air",
        "caption": f"Caption of {ref}",
        "hashtags": "#a #b",
        "media": "one.mp4",
    }
    return dict.fromkeys(COLUMNS, "") | usual | cells


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plan").mkdir()
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "one.mp4").write_bytes(b"first video")
    (tmp_path / "media" / "two.mp4").write_bytes(b"second video")
    return tmp_path


def calendar(folder: Path, *rows: dict[str, str]) -> str:
    file = folder / "plan" / "q1.csv"
    lines = [",".join(COLUMNS), *(",".join(f'"{each[name]}"' for name in COLUMNS) for each in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


def imported(run: Run, file: str, *more: str) -> tuple[int, dict[str, object]]:
    outcome = run("posts", "import", file, "--privacy", "SELF_ONLY", "--yes", "--json", *more)
    return outcome.exit_code, outcome.document


def test_a_calendar_is_scheduled_in_one_call_and_each_file_uploaded_once(
    run: Run, memory: Memory, folder: Path
) -> None:
    file = calendar(
        folder, row("A"), row("B", 11, media="two.mp4|one.mp4"), row("C", 12, account="Emberfold.Fire", channel="Fire")
    )
    code, told = imported(run, file)
    assert (code, told["taken"], told["refused"]) == (0, 3, 0)
    assert len(memory.sent("/v1/posts:batchCreate")) == 1
    assert sorted(each["file_name"] for each in memory.media) == ["one.mp4", "two.mp4"]
    first, second, third = memory.posts
    assert first["caption"] == "Caption of A\n\n#a #b"
    assert first["local_time"] == f"{DAY.isoformat()}T10:05:00"
    assert first["options"]["tiktok"]["privacy_level"] == "SELF_ONLY"
    assert [len(each["media"]) for each in (first, second, third)] == [1, 2, 1]
    assert third["channel"] == "fire"


def test_a_dry_run_changes_nothing_and_says_what_it_did_not_check(run: Run, memory: Memory, folder: Path) -> None:
    file = calendar(folder, row("A"), row("B", 11, caption="forbidden"))
    outcome = run("posts", "import", file, "--privacy", "SELF_ONLY", "--dry-run")
    assert outcome.exit_code == 1
    assert memory.posts == []
    assert memory.media == []
    assert all(each.body.get("validate_only", True) for each in memory.requests if each.method == "POST")
    assert "2 rows: 1 post would be scheduled, 1 refused." in outcome.out
    assert "CAPTION_FORBIDDEN" in outcome.out
    assert "MEDIA_UNKNOWN" not in outcome.out
    assert "Would upload 1 file (11 bytes)" in outcome.out
    assert "not in the library yet" in outcome.out


def test_a_second_import_finds_everything_planned(run: Run, memory: Memory, folder: Path) -> None:
    file = calendar(folder, row("A"), row("B", 11), row("C", 12))
    imported(run, file)
    code, told = imported(run, file)
    assert (code, told["taken"], told["already_imported"]) == (0, 0, 3)
    assert len(memory.posts) == 3
    assert len(memory.sent("/v1/posts:batchCreate")) == 1


def test_rows_that_are_over_are_still_known_as_imported(run: Run, memory: Memory, folder: Path) -> None:
    imported(run, calendar(folder, row("A")))
    memory.posts[0]["schedule_time"] = "2020-02-03T15:05:00Z"
    (folder / "media" / "one.mp4").unlink()
    code, told = imported(run, calendar(folder, row("A", local_date="2020-02-03")))
    assert (code, told["already_imported"]) == (0, 1)


def test_a_lost_answer_is_asked_for_again_and_doubles_nothing(run: Run, memory: Memory, folder: Path) -> None:
    memory.faults["POST /v1/posts:batchCreate"] = [503, 1]  # busy; then done, but the answer is lost
    code, told = imported(run, calendar(folder, row("A"), row("B", 11)))
    assert (code, told["taken"]) == (0, 2)
    assert len(memory.posts) == 2
    assert len({each.key for each in memory.sent("/v1/posts:batchCreate")}) == 1


def test_an_import_that_broke_off_says_so_and_goes_on_the_next_time(run: Run, memory: Memory, folder: Path) -> None:
    file = calendar(folder, row("A"), row("B", 11))
    memory.faults["POST /v1/posts:batchCreate"] = [1, 0, 0, 0]
    code, told = imported(run, file)
    assert (code, told["unknown"], told["taken"]) == (3, 2, 0)
    assert "Import the same file again" in str(told["remarks"])
    code, told = imported(run, file)
    assert (code, told["already_imported"]) == (0, 2)
    assert len(memory.posts) == 2


def test_a_canceled_post_is_scheduled_anew(run: Run, memory: Memory, folder: Path) -> None:
    file = calendar(folder, row("A"))
    imported(run, file)
    run("posts", "cancel", memory.posts[0]["post_id"], "--yes")
    code, told = imported(run, file)
    assert (code, told["taken"]) == (0, 1)
    assert [each["deliveries"][0]["state"] for each in memory.posts] == ["CANCELED", "SCHEDULED"]


def test_a_ref_that_is_planned_otherwise_is_refused_instead_of_doubled(run: Run, memory: Memory, folder: Path) -> None:
    imported(run, calendar(folder, row("A"), row("B", 11)))
    code, told = imported(run, calendar(folder, row("A", 15), row("B", 11, media="two.mp4")))
    assert (code, told["refused"]) == (1, 2)
    assert "ref_in_use" in str(told["results"])
    assert "planned_differently" in str(told["results"])
    assert len(memory.posts) == 2


def test_a_folder_in_the_place_of_the_calendar_asks_for_a_file(run: Run, folder: Path) -> None:
    code, told = imported(run, str(folder))
    assert code == 2
    assert "Name the CSV file" in str(told)


def test_the_same_row_twice_in_a_file_is_scheduled_once(run: Run, memory: Memory, folder: Path) -> None:
    code, told = imported(run, calendar(folder, row("A"), row("A2", caption="Caption of A")))
    assert (code, told["taken"], told["refused"]) == (1, 1, 1)
    assert "duplicate_row" in str(told["results"])


def test_a_file_that_is_no_media_costs_only_its_own_rows(run: Run, memory: Memory, folder: Path) -> None:
    memory.not_media.add(b"second video")
    code, told = imported(run, calendar(folder, row("A"), row("B", 11, media="two.mp4")))
    assert (code, told["taken"], told["refused"]) == (1, 1, 1)
    assert "two.mp4: The file is no video." in str(told["results"])


def test_media_outside_of_its_folder_is_never_opened(run: Run, memory: Memory, folder: Path) -> None:
    (folder / "secret.mp4").write_bytes(b"secret")
    (folder / "media" / "link.mp4").symlink_to(folder / "secret.mp4")
    (folder / "media" / "empty.mp4").touch()
    names = ["../secret.mp4", "link.mp4", str(folder / "secret.mp4"), "https://example.com/a.mp4", "empty.mp4"]
    code, told = imported(run, calendar(folder, *(row(f"R{i}", i + 10, media=name) for i, name in enumerate(names))))
    assert (code, told["refused"]) == (1, 5)
    results = told["results"]
    assert isinstance(results, list)
    assert [each["problems"][0]["reason"] for each in results] == [
        "media_path_not_allowed",
        "media_path_not_allowed",
        "media_path_not_allowed",
        "media_url_not_allowed",
        "media_rejected",
    ]
    assert memory.media == []


def test_accents_in_file_names_are_found_in_either_form(run: Run, memory: Memory, folder: Path) -> None:
    (folder / "media" / "Wu\u0308rfel & Karten.mp4").write_bytes(b"dice")
    code, _ = imported(run, calendar(folder, row("A", media="W\u00fcrfel & Karten.mp4")))
    assert code == 0


def test_a_list_of_products_beside_the_calendar_checks_its_skus(run: Run, memory: Memory, folder: Path) -> None:
    (folder / "catalog").mkdir()
    (folder / "catalog" / "products.csv").write_text("seller_sku,title\nEF-1,Binder\n")
    code, told = imported(
        run, calendar(folder, row("A", product_skus="EF-1"), row("B", 11, product_skus="EF-1|EF-GOLD"))
    )
    assert (code, told["taken"]) == (1, 1)
    assert "sku_unknown" in str(told["results"])
    assert "Not kept: product_skus." in str(told["remarks"])


def test_more_than_five_hundred_rows_go_in_several_calls(run: Run, memory: Memory, folder: Path) -> None:
    hours = [row(f"N{i}", i % 14 + 9, timezone="UTC", caption=f"Number {i}") for i in range(501)]
    code, told = imported(run, calendar(folder, *hours))
    assert (code, told["taken"]) == (0, 501)
    sent = memory.sent("/v1/posts:batchCreate")
    assert [len(each.body["posts"]) for each in sent] == [500, 1]
    assert len({each.key for each in sent}) == 2
    assert all(0 < len(each.key) <= 64 for each in sent)


def test_a_file_that_is_no_calendar_ends_with_two(run: Run, memory: Memory, tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.touch()
    code, told = imported(run, str(file))
    assert code == 2
    assert "file_empty" in str(told["error"])
    assert imported(run, str(tmp_path / "none.csv"))[0] == 2


def test_who_sees_the_posts_is_never_decided_for_the_author(run: Run, memory: Memory, folder: Path) -> None:
    outcome = run("posts", "import", calendar(folder, row("A")), "--yes")
    assert outcome.exit_code == 2
    assert "SELF_ONLY" in outcome.err
    assert memory.posts == []


def test_text_of_a_calendar_cannot_steer_the_terminal(run: Run, memory: Memory, folder: Path) -> None:
    file = calendar(folder, row("\x1b[2J", local_date="x", caption="[red]hi[/red]"))
    outcome = run("posts", "import", file, "--privacy", "SELF_ONLY", "--yes")
    assert outcome.exit_code == 1
    assert "\x1b" not in outcome.out
    assert "date_format" in outcome.out
