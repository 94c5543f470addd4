"""Where the bytes of media are kept: under a key made of the workspace and their SHA-256. This is the store on disk;
`blobs_s3.py` is the same on S3.

The way in has two steps, so that nothing that is refused is ever stored and nothing half-written is ever seen: `stage`
streams the bytes into a temporary file while it hashes and counts them; then they are looked into; then `commit` puts
them under their key at once, or `discard` (the end of the `with`) forgets them. What a killed process leaves behind
lies among the temporaries, where `sweep` finds it.

No method holds more than a chunk in memory. A key cannot be made from a user's file name: traversal has nowhere to
start.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from kit.errors import NotFound, ResourceExhausted, Unavailable

CHUNK_BYTES = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


class TooLarge(ResourceExhausted):
    """The bytes are more than the caller allowed; `limit_bytes` says how many. Nothing of them was kept."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"The file is larger than {limit_bytes} bytes. Upload a smaller one.",
            metadata={"limit_bytes": str(limit_bytes)},
            code_reason="MEDIA_TOO_LARGE",
        )


class BlobMissing(NotFound):
    """There is nothing under this key."""

    def __init__(self) -> None:
        super().__init__("The file's bytes are not in the store. Upload it again.")


class BlobStoreUnavailable(Unavailable):
    """The store does not answer, refuses us, or is full. The same call may work later; the cause is in `__cause__`."""

    def __init__(self) -> None:
        super().__init__("The media store cannot be used now. Try again shortly.", retry_after_seconds=5)


@dataclass(frozen=True, order=True)
class BlobKey:
    """The place of some bytes: whose they are, and their SHA-256 in lower-case hex."""

    workspace_id: UUID
    sha256: str

    def __post_init__(self) -> None:
        if not isinstance(self.workspace_id, UUID) or not _SHA256.fullmatch(self.sha256):
            raise ValueError("a blob's key is a workspace's UUID and a SHA-256 in lower-case hex")

    def __str__(self) -> str:
        return f"{self.workspace_id}/{self.sha256}"


@dataclass(frozen=True)
class StagedBlob:
    """Bytes that have arrived whole and are not stored yet. Leaving its `with` block discards what was not
    committed."""

    path: Path
    """A temporary file to look into; gone after `commit` and `discard`."""
    size: int
    sha256: str

    def key(self, workspace_id: UUID) -> BlobKey:
        """Where a workspace keeps these bytes."""
        return BlobKey(workspace_id, self.sha256)

    def discard(self) -> None:
        """Forget the bytes. May be repeated."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


class BlobStore(Protocol):
    """What content needs of a store. Every method may raise BlobStoreUnavailable."""

    def stage(self, chunks: Iterable[bytes], *, max_bytes: int) -> StagedBlob:
        """Take the bytes in, up to `max_bytes`. Raises TooLarge; an error of `chunks` itself passes. Either keeps
        nothing."""
        ...

    def commit(self, staged: StagedBlob, key: BlobKey) -> None:
        """Store staged bytes under their key, all at once and to last. The same bytes twice are fine."""
        ...

    def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read from `offset`, to the end or `length` bytes, in chunks of at most 1 MiB. Raises BlobMissing at once."""
        ...

    def exists(self, key: BlobKey) -> bool:
        """Whether there are bytes under the key."""
        ...

    def delete(self, key: BlobKey) -> None:
        """Remove the bytes, if they are there."""
        ...

    def local_path(self, key: BlobKey) -> AbstractContextManager[Path]:
        """The bytes as a file to read within the `with` block. Raises BlobMissing."""
        ...

    def sweep(self, older_than: datetime) -> int:
        """Remove what was begun and last touched before that instant and never committed; says how many."""
        ...


class Staging:
    """A folder of temporary files. Each store has one; several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self, chunks: Iterable[bytes], *, max_bytes: int) -> StagedBlob:
        """As BlobStore.stage. The bytes have reached the disk when it returns."""
        path, digest, size = self.spare(), hashlib.sha256(), 0
        try:
            with path.open("wb") as file:
                for chunk in chunks:
                    size += len(chunk)
                    if size > max_bytes:
                        raise TooLarge(max_bytes)
                    digest.update(chunk)
                    with translated():
                        file.write(chunk)
                with translated():
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return StagedBlob(path, size, digest.hexdigest())

    def spare(self) -> Path:
        """A new empty file for a copy. The caller removes it; if the caller dies, `sweep` does."""
        with translated():
            handle, name = tempfile.mkstemp(prefix="media-", dir=self._folder)
            os.close(handle)
        return Path(name)

    def sweep(self, older_than: datetime) -> int:
        """As BlobStore.sweep. A file that is still being written to is young."""
        swept = 0
        with translated():
            for path in self._folder.glob("media-*"):
                try:
                    if path.stat().st_mtime < older_than.timestamp():
                        path.unlink()
                        swept += 1
                except FileNotFoundError:
                    continue  # committed, or swept by another process, meanwhile
        return swept


class DiskBlobStore:
    """Files under one folder: `blobs/<workspace>/<sha256>`, and `staging/` beside it on the same file system."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._staging = Staging(root / "staging")

    def stage(self, chunks: Iterable[bytes], *, max_bytes: int) -> StagedBlob:
        """As BlobStore.stage."""
        return self._staging.take(chunks, max_bytes=max_bytes)

    def commit(self, staged: StagedBlob, key: BlobKey) -> None:
        """As BlobStore.commit: a rename, which a crash leaves done or undone, then the folder is made to last."""
        check_key(staged, key)
        target = self._path(key)
        with translated():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._blobs)  # always: whoever made the folder may not have come this far yet
            os.replace(staged.path, target)
            _sync_folder(target.parent)

    def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """As BlobStore.open."""
        check_range(offset, length)
        if not self.exists(key):
            raise BlobMissing
        return self._read(key, offset, length)

    def _read(self, key: BlobKey, offset: int, length: int | None) -> Iterator[bytes]:
        # Opened on the first read only: an iterator that nobody starts would keep its descriptor.
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError as error:
            raise BlobMissing from error
        with file:
            file.seek(offset)
            left = length
            while left is None or left > 0:
                with translated():
                    chunk = file.read(CHUNK_BYTES if left is None else min(left, CHUNK_BYTES))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk

    def exists(self, key: BlobKey) -> bool:
        """As BlobStore.exists."""
        with translated():
            return self._path(key).is_file()

    def delete(self, key: BlobKey) -> None:
        """As BlobStore.delete."""
        path = self._path(key)
        with translated():
            try:
                path.unlink()
            except FileNotFoundError:
                return
            _sync_folder(path.parent)

    def local_path(self, key: BlobKey) -> AbstractContextManager[Path]:
        """As BlobStore.local_path: the stored file itself, to be read only."""
        if not self.exists(key):
            raise BlobMissing
        return nullcontext(self._path(key))

    def sweep(self, older_than: datetime) -> int:
        """As BlobStore.sweep."""
        return self._staging.sweep(older_than)

    def _path(self, key: BlobKey) -> Path:
        return self._blobs / str(key.workspace_id) / key.sha256


def check_key(staged: StagedBlob, key: BlobKey) -> None:
    """Bytes go under their own hash or nowhere. Raises ValueError: only a programming mistake gets here."""
    if staged.sha256 != key.sha256:
        raise ValueError("the key is not the hash of the staged bytes")


def check_range(offset: int, length: int | None) -> None:
    """Raises ValueError for a negative offset or length."""
    if offset < 0 or (length is not None and length < 0):
        raise ValueError("offset and length count from zero")


def _sync_folder(folder: Path) -> None:
    # A rename is in the folder, and the folder is in memory until it is synced too.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def translated() -> Iterator[None]:
    """Turns the errors of a file system into BlobStoreUnavailable: a disk that is full, gone or not ours is the
    store's trouble, not the caller's."""
    try:
        yield
    except OSError as error:
        raise BlobStoreUnavailable from error
