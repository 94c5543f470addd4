"""The master keys of an installation, which wrap the data keys of workspaces (see kit/vault.py).

A ring is text, one key per line, the current one first; empty lines and lines that begin with # say nothing. A lone key
is a ring of one. A line is 32 random bytes in base64, or such a key as a KMS has wrapped it, which is opened when the
ring is read. What the current key does not wrap yet, the others open.

A key's id is made from the key, so it cannot be given twice or to another. In a file the ring is read again when the
file has changed. Keys that have left it are kept until the process ends: a slip of whoever edits it stops nothing that
runs, and what was wrapped under them meanwhile can still be rewrapped.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from kit import crypto
from kit.crypto import KeyUnusable

log = structlog.get_logger()

_HOW = "Make one: python3 -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'"


class Kms(Protocol):
    """What keeps a key that wraps master keys, and opens them for who may."""

    def knows(self, wrapped: str) -> bool:
        """Whether a line of a ring looks like a key that this KMS has wrapped."""

    def unwrap(self, wrapped: str) -> str:
        """The master key of a line, in base64. Raises KeyUnusable, which says why not."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key of the ring. `line`: where it stands in the ring, from 1; 0 when it has left it."""

    key_id: str
    key: bytes = field(repr=False)
    line: int = 0


class KeyRing:
    """The ring as this process knows it. `source`: its text, or the file that holds it. Thread-safe.

    Raises KeyUnusable, which names the line and the rule and repeats no key, when it cannot be read at first.
    """

    def __init__(self, source: str | Path, kms: Kms | None = None) -> None:
        self._source, self._kms = source, kms
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._unwrapped: dict[str, str] = {}
        self._keys: tuple[MasterKey, ...] = ()
        self._read()

    @property
    def current(self) -> MasterKey:
        """The key that wraps what is new."""
        return self._keys[0]

    @property
    def keys(self) -> Sequence[MasterKey]:
        """All keys: those of the ring in their order, then those that have left it."""
        return self._keys

    def find(self, key_id: str) -> MasterKey | None:
        """The key of an id. One that is not known may have been added a moment ago: the file is looked at again."""
        found = self._known(key_id)
        if found is None:
            self.refresh()
            found = self._known(key_id)
        return found

    def refresh(self) -> None:
        """Reads the file again when it has changed. One that cannot be used is logged, and changes nothing."""
        with self._lock:
            try:
                self._read()
            except KeyUnusable as error:
                log.error("the key ring has changed and cannot be read; the former keys are used", problem=str(error))

    def _known(self, key_id: str) -> MasterKey | None:
        return next((each for each in self._keys if each.key_id == key_id), None)

    def _read(self) -> None:
        if isinstance(self._source, str):
            if not self._keys:
                self._keys = self._parsed(self._source, "REELROUTE_MASTER_KEY")
            return
        try:
            stat = self._source.stat()
            seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if seen == self._seen:
                return
            text = self._source.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise KeyUnusable(
                f"The key ring {self._source} cannot be read ({reason}). REELROUTE_KEY_RING_FILE names the file of the"
                " master keys, one per line, the current one first."
            ) from None
        present = self._parsed(text, str(self._source))
        ids = {each.key_id for each in present}
        gone = [MasterKey(each.key_id, each.key) for each in self._keys if each.key_id not in ids]
        if self._keys and self._keys[0].key_id != present[0].key_id:
            log.info("another master key is the current one", master_key=present[0].key_id)
        self._keys, self._seen = (*present, *gone), seen

    def _parsed(self, text: str, place: str) -> tuple[MasterKey, ...]:
        found: dict[str, MasterKey] = {}
        for number, line in enumerate(text.splitlines(), 1):
            entry = line.strip()
            if not entry or entry.startswith("#"):
                continue
            try:
                key = crypto.parse_key(self._opened(entry))
            except KeyUnusable as error:
                raise KeyUnusable(f"{place}, line {number}: {error}") from None
            key_id = id_of(key)
            found.setdefault(key_id, MasterKey(key_id, key, number))
        if not found:
            raise KeyUnusable(f"{place} holds no master key. {_HOW}")
        return tuple(found.values())

    def _opened(self, entry: str) -> str:
        if self._kms is None or not self._kms.knows(entry):
            return entry
        if entry not in self._unwrapped:
            self._unwrapped[entry] = self._kms.unwrap(entry)
        return self._unwrapped[entry]


def id_of(key: bytes) -> str:
    """The id of a master key. It tells nothing about the key."""
    return hashlib.sha256(b"reelroute master key\0" + key).hexdigest()[:8]
