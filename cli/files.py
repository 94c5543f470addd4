"""The files beside a calendar: its media, and its list of products. Nothing outside of their folders is opened."""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_PIECE_BYTES = 1024 * 1024
# The column with our own SKU: the shop's export calls it seller_sku.
_SKU_COLUMNS = ("seller_sku", "sku")


@dataclass(frozen=True, slots=True)
class NotFound:
    """Why there is no file of a name here. `is_fault`: there is one, and it is not taken."""

    message: str
    is_fault: bool = False


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file of a post, before it is uploaded."""

    name: str  # as the calendar has it
    path: Path
    size_bytes: int
    sha256: str


def media_folders(calendar: Path, given: Path | None) -> list[Path]:
    """Where the media of a calendar may be: the given folder, else its own folder, media/ there, media/ beside it."""
    if given is not None:
        return [given.resolve()]
    folder = calendar.resolve().parent
    return [folder, folder / "media", folder.parent / "media"]


def find(name: str, folders: Sequence[Path]) -> Path | NotFound:
    """The file of that name below one of the folders, or why it is not taken. Follows no link out of its folder."""
    for folder in folders:
        # Names with accents are stored in two ways, depending on the system that made the file.
        for form in dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))):
            try:
                path = (folder / form).resolve()
                is_file = path.is_file()
            except (OSError, ValueError):
                continue
            if not is_file:
                continue
            if not path.is_relative_to(folder.resolve()):
                return NotFound(f"{name} is a link that leaves the media folder.", is_fault=True)
            if path.stat().st_size == 0:
                return NotFound(f"{name} is empty: 0 bytes.", is_fault=True)
            return path
    looked = ", ".join(str(folder) for folder in folders)
    return NotFound(f"{name} is not there. Looked in {looked}. Say where with --media.")


def read_media(name: str, path: Path, progress: Callable[[int], None]) -> MediaFile:
    """Reads a file for its fingerprint; `progress` is told each piece's bytes. Raises OSError."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            size_bytes += len(piece)
            progress(len(piece))
    return MediaFile(name, path, size_bytes, digest.hexdigest())


def products_file(calendar: Path) -> Path | None:
    """The list of products that belongs to a calendar: products.csv beside it, or catalog/products.csv near it."""
    folder = calendar.resolve().parent
    places = (folder / "products.csv", folder / "catalog/products.csv", folder.parent / "catalog/products.csv")
    return next((place for place in places if place.is_file()), None)


def skus(path: Path) -> frozenset[str] | None:
    """The SKUs of a list of products; None when the file is no such list."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            column = next((name for name in _SKU_COLUMNS if name in (reader.fieldnames or ())), None)
            return frozenset(row[column] or "" for row in reader) if column else None
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
