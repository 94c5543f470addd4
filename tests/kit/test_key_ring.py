"""The master keys: what a ring may look like, how it changes while a process runs; no refusal repeats a key."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.crypto import KeyUnusable
from kit.key_ring import KeyRing, id_of


def a_key(number: int) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()


def id_of_key(number: int) -> str:
    return id_of(bytes([number]) * 32)


def states(ring: KeyRing) -> Sequence[tuple[str, int]]:
    return [(each.key_id, each.line) for each in ring.keys]


def write(path: Path, *lines: str) -> None:
    """As a mounted secret changes: another file takes its place."""
    work = path.with_suffix(".new")
    work.write_text("".join(f"{line}\n" for line in lines))
    work.replace(path)


def test_a_lone_key_is_a_ring_of_one() -> None:
    ring = KeyRing(f" {a_key(1)}\n")
    assert ring.current.key == bytes([1]) * 32
    assert states(ring) == [(id_of_key(1), 1)]


def test_the_first_line_is_the_current_key_and_remarks_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    write(path, "# of March", a_key(2), "", "  # the one before", a_key(1), a_key(2))
    ring = KeyRing(path)
    assert ring.current.key_id == id_of_key(2)
    assert states(ring) == [(id_of_key(2), 2), (id_of_key(1), 5)]
    assert a_key(2) not in repr(ring.current)


def test_a_file_that_changes_is_read_again_and_a_key_that_leaves_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    write(path, a_key(1))
    ring = KeyRing(path)
    write(path, a_key(2), a_key(1))
    # Asked for a key that it does not know, it looks; of the current one it hears by the duty.
    assert ring.current.key_id == id_of_key(1)
    assert ring.find(id_of_key(2)) is not None
    assert ring.current.key_id == id_of_key(2)
    write(path, a_key(2))
    ring.refresh()
    assert states(ring) == [(id_of_key(2), 1), (id_of_key(1), 0)]
    assert ring.find(id_of_key(3)) is None


def test_a_file_that_breaks_while_a_process_runs_changes_nothing_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    write(path, a_key(1))
    ring = KeyRing(path)
    for broken in ([a_key(2)[:-3]], ["# nothing"], []):
        write(path, *broken)
        ring.refresh()
        assert states(ring) == [(id_of_key(1), 1)]
    path.unlink()
    ring.refresh()
    write(path, a_key(2), a_key(1))
    ring.refresh()
    assert ring.current.key_id == id_of_key(2)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "holds no master key"),
        ("# a remark", "holds no master key"),
        (f"{a_key(1)}\nhunter2hunter2", "line 2: A master key must be 32 random bytes in base64"),
        (base64.b64encode(bytes(31)).decode(), "line 1"),
        ("vault:v1:c2VjcmV0", "line 1"),
    ],
)
def test_a_ring_that_cannot_be_read_is_refused_by_line_and_rule_and_without_the_key(
    tmp_path: Path, text: str, refusal: str
) -> None:
    path = tmp_path / "ring"
    path.write_text(text)
    for source in (text, path):
        with pytest.raises(KeyUnusable, match=refusal) as refused:
            KeyRing(source)
        assert not any(line and not line.startswith("#") and line in str(refused.value) for line in text.splitlines())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match=r"nowhere cannot be read \(No such file or directory\)"):
        KeyRing(tmp_path / "nowhere")


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=5, unique=True))
def test_whatever_the_keys_are_each_is_found_by_its_id_and_the_first_is_the_current(keys: list[bytes]) -> None:
    ring = KeyRing(os.linesep.join(base64.b64encode(key).decode() for key in keys))
    assert ring.current.key == keys[0]
    for key in keys:
        found = ring.find(id_of(key))
        assert found is not None
        assert found.key == key
