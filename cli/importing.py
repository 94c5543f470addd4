"""`reelroute posts import`: a calendar on its way to the gateway, with the media that it names.

The gateway reads and judges the file. What only this machine has is done here: the files of the media are found,
fingerprinted, and uploaded when the library has none with the same bytes. So the file is sent twice: first to learn
which media it names, then to be imported, or rehearsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli import display, files
from cli.client import Api, Json, Refused
from cli.files import MediaFile, NotFound

# Refusals that are not about the file that was sent.
_NOT_ABOUT_THE_FILE = (401, 403, 404, 408, 429)
OUTCOMES = {
    "CREATED": ("scheduled", "would be scheduled"),
    "UPDATED": ("changed", "would be changed"),
    "REPLACED": ("replaced", "would be replaced"),
    "UNCHANGED": ("already planned so", "already planned so"),
    "REFUSED": ("refused", "would be refused"),
}


@dataclass(slots=True)
class Import:
    """One file's import. `look`, then `upload`, then `run`."""

    api: Api
    calendar: Path
    options: Json
    folders: Sequence[Path]
    rows: list[Json] = field(default_factory=list)
    summary: Json = field(default_factory=dict)
    uploads: list[MediaFile] = field(default_factory=list)
    reused: list[MediaFile] = field(default_factory=list)
    # Why a file of a name was not taken along.
    faults: dict[str, str] = field(default_factory=dict)
    # The names of `uploads`: they are asked for with every row.
    _coming: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Finds out what the calendar says, and which of its media are here. Changes nothing. Raises ClientError."""
        self._send(validate_only=True, told="Reading the calendar")
        found = self._find(self.summary["media_names"])
        if not found:
            return
        assets = self._assets({each.sha256 for each in found})
        for each in found:
            if each.sha256 in assets:
                self.options["media"][each.name] = assets[each.sha256]
                self.reused.append(each)
            else:
                self.uploads.append(each)
                self._coming.add(each.name)
        # What is still to be uploaded changes nothing of what the gateway can say.
        if self.reused:
            self._send(validate_only=True, told="Checking rows")

    def upload(self) -> None:
        """Puts what the library lacks into it. A file that it refuses is a fault of its rows. Raises ClientError."""
        by_bytes: dict[str, str] = {}
        with display.progress(in_bytes=True) as bar:
            task = bar.add_task("Uploading media", total=sum(each.size_bytes for each in self.uploads))
            for each in self.uploads:
                try:
                    if each.sha256 not in by_bytes:
                        by_bytes[each.sha256] = self.api.upload(each.path)["media_asset_id"]
                    self.options["media"][each.name] = by_bytes[each.sha256]
                except Refused as refused:
                    if refused.status >= 500 or refused.status in _NOT_ABOUT_THE_FILE:
                        raise
                    self.faults[each.name] = refused.message
                except OSError as error:
                    self.faults[each.name] = f"It cannot be read any more: {error.strerror}."
                bar.advance(task, each.size_bytes)

    def run(self) -> None:
        """Imports. Raises ClientError; `rows` tell how far it came."""
        self._send(validate_only=False, told="Scheduling posts")

    def waits_for_upload(self, row: Json) -> bool:
        """Whether a rehearsed row lacks nothing but files that are here and not in the library yet."""
        problems = row["problems"]
        return bool(problems) and all(
            each["reason"] == "MEDIA_MISSING" and missing_file(each) in self._coming for each in problems
        )

    def _send(self, *, validate_only: bool, told: str) -> None:
        self.rows = []
        with display.progress() as bar:
            task = bar.add_task(told, total=None)
            for line in self.api.send_calendar(self.calendar, {**self.options, "validate_only": validate_only}):
                if "row" in line:
                    self.rows.append(line["row"])
                    bar.advance(task)
                else:
                    self.summary = line["summary"]

    def _find(self, names: Iterable[str]) -> list[MediaFile]:
        places = {name: files.find(name, self.folders) for name in names}
        for name, place in places.items():
            if isinstance(place, NotFound) and place.is_fault:
                self.faults[name] = place.message
        paths = {name: place for name, place in places.items() if isinstance(place, Path)}
        found = []
        with display.progress(in_bytes=True) as bar:
            task = bar.add_task("Reading media", total=sum(path.stat().st_size for path in paths.values()))
            for name, path in paths.items():
                try:
                    found.append(files.read_media(name, path, lambda size: bar.advance(task, size)))
                except OSError as error:
                    self.faults[name] = f"{name} cannot be read: {error.strerror}."
        return found

    def _assets(self, wanted: set[str]) -> dict[str, str]:
        """The library's assets with these bytes."""
        found: dict[str, str] = {}
        for asset in self.api.pages("/v1/media", "media"):
            if asset["sha256"] in wanted:
                found[asset["sha256"]] = asset["media_asset_id"]
                if len(found) == len(wanted):
                    break
        return found


def missing_file(problem: Json) -> str:
    """The file that a problem of media is about: its message begins with the name. Empty for other problems."""
    found = re.match(r"(.+?) is not in the library", problem["message"]) if problem["field"] == "media" else None
    return found[1] if found else ""
