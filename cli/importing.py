"""Imports a calendar: checks every row, uploads each file once, schedules what is good in one call per 500 rows.

A row is planned at most once, however often its file is imported. Three things see to that: rows that are planned
already are found by account, time, text and files before anything is sent; what is sent carries an Idempotency-Key
made from its content, so that a request without an answer can be sent again; and a ref that is planned with another
time or text is refused instead of planned beside it.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cli import channels, display, files, rows
from cli.calendar import Calendar, Problem
from cli.client import Api, ClientError, Json, Refused
from cli.files import MediaFile
from cli.planned import Plan, Planned
from cli.rows import Entry

ROWS_PER_CALL = 500
# Stands for a file that is not uploaded yet when the gateway is only asked what it thinks of a row.
_NO_ASSET = "00000000-0000-0000-0000-000000000000"
# What may be wrong with a row that was imported long ago: it is over, and its files are gone.
_OUTDATED = frozenset({"time_in_past", "media_missing"})
# Refusals that are not about the file that was sent.
_NOT_ABOUT_THE_FILE = (401, 403, 404, 408, 429)
_COLUMN_OF = {
    "account_ids": "account",
    "media_asset_ids": "media",
    "time_zone": "timezone",
    "local_time": "local_time",
    "ambiguous_time": "local_time",
    "caption": "caption",
    "channel": "channel",
    "ref": "ref",
}


class Status(enum.Enum):
    """What became of a row. The value is its word in JSON."""

    REFUSED = "refused"
    ALREADY_IMPORTED = "already_imported"
    NOT_SENT = "not_sent"  # good so far
    TAKEN = "taken"  # in a dry run: would be taken
    UNKNOWN = "unknown"  # it was sent, and there was no answer


@dataclass(slots=True)
class Line:
    """One row on its way. `is_whole` tells whether the gateway's answer covers its media."""

    entry: Entry
    account_id: str
    problems: list[Problem]
    warnings: list[Problem]
    media: list[MediaFile] = field(default_factory=list)
    status: Status = Status.NOT_SENT
    post_id: str = ""
    state: str = ""
    is_whole: bool = True

    def refuse(self, *problems: Problem) -> None:
        """Adds what is wrong; nothing else becomes of the row."""
        self.problems += problems
        self.status = Status.REFUSED


@dataclass(frozen=True, slots=True)
class Choices:
    """What holds for all rows of an import. `tiktok` is the author's choices as REST takes them."""

    tiktok: Json
    folders: Sequence[Path]
    products: Path | None
    ambiguous_time: str = ""
    declared: Sequence[tuple[str, str]] = ()


class Import:
    """One calendar on its way in. `check` first, then `rehearse` or `carry_out`; the lines say what became of each."""

    def __init__(self, api: Api, choices: Choices, *, now: datetime) -> None:
        self._api, self._choices, self._now = api, choices, now
        self.lines: list[Line] = []
        self.uploads: list[MediaFile] = []
        self.reused: list[MediaFile] = []
        self.uploaded_bytes = 0
        self.has_skus = self.has_notes = False
        self.products: Path | None = None
        self._assets: dict[str, str] = {}
        self._plan = Plan([])

    @property
    def ready(self) -> list[Line]:
        """The rows that are good and not planned yet."""
        return [line for line in self.lines if line.status is Status.NOT_SENT]

    def check(self, calendar: Calendar) -> None:
        """Everything that can be found out without changing anything. Raises ClientError."""
        entries = rows.understand(calendar.rows, now=self._now, ambiguous_time=self._choices.ambiguous_time)
        self.has_skus = any(entry.skus for entry in entries)
        self.has_notes = any(row.cells["notes"].strip() for row in calendar.rows)
        skus = files.skus(self._choices.products) if self._choices.products and self.has_skus else None
        self.products = self._choices.products if skus is not None else None
        accounts = channels.Accounts(self._api.pages("/v1/accounts", "accounts"), self._choices.declared)
        ids, problems = channels.check(entries, accounts, skus)
        self.lines = [
            Line(entry, ids.get(entry.line, ""), [*entry.problems, *problems[entry.line]], list(entry.warnings))
            for entry in entries
        ]
        self._find_media()
        self._find_planned()
        for line in self.lines:
            if line.problems and line.status is Status.NOT_SENT:
                line.status = Status.REFUSED
        self._find_assets()

    def rehearse(self) -> None:
        """Asks the gateway what it thinks of the rows that are ready. Nothing is changed. Raises ClientError.

        Of a row whose files are not in the library yet it can say everything but what concerns those files.
        """
        for line in self.ready:
            line.is_whole = all(file.sha256 in self._assets for file in line.media)
        self._schedule(validate_only=True)

    def carry_out(self) -> None:
        """Uploads what is missing, then schedules. Raises ClientError; the lines tell how far it came."""
        self._upload()
        self._schedule(validate_only=False)

    def _find_media(self) -> None:
        """Finds and fingerprints the files of all rows, each file once."""
        found: dict[str, Path | Problem] = {}
        for line in self.lines:
            if not any(problem.field == "media" for problem in line.problems):
                for name in line.entry.media:
                    if name not in found:
                        found[name] = files.find(name, self._choices.folders)
        paths = {name: path for name, path in found.items() if isinstance(path, Path)}
        read: dict[Path, MediaFile | Problem] = {}
        with display.progress(in_bytes=True) as bar:
            task = bar.add_task("Reading media", total=sum(_size(path) for path in set(paths.values())))
            for name, path in paths.items():
                if path not in read:
                    try:
                        read[path] = files.read_media(name, path, lambda size: bar.advance(task, size))
                    except OSError as error:
                        read[path] = Problem("media", "media_rejected", f"{name} cannot be read: {error.strerror}.")
        for line in self.lines:
            for name in line.entry.media:
                place = found.get(name)
                file = read[place] if isinstance(place, Path) else place
                if isinstance(file, MediaFile):
                    line.media.append(file)
                elif file is not None and file not in line.problems:
                    line.problems.append(file)

    def _find_planned(self) -> None:
        known = [line for line in self.lines if line.account_id and line.entry.instant]
        if not known:
            return
        # All that is ahead, not only the calendar's weeks: a row whose time was changed is found by its ref.
        first = min([self._now, *(line.entry.instant for line in known if line.entry.instant)])
        self._plan = Plan(self._api.pages("/v1/posts", "posts", from_time=first.strftime("%Y-%m-%dT%H:%M:%SZ")))
        for line in known:
            fingerprints = [file.sha256 for file in line.media]
            are_known = len(fingerprints) == len(line.entry.media)
            planned = self._plan.find(line.entry, line.account_id, fingerprints if are_known else None)
            if isinstance(planned, Problem):
                line.problems.append(planned)
            elif isinstance(planned, Planned) and {problem.reason for problem in line.problems} <= _OUTDATED:
                line.status, line.post_id, line.state = Status.ALREADY_IMPORTED, planned.post_id, planned.state
                line.problems.clear()

    def _find_assets(self) -> None:
        """Which of the files that are needed the library has."""
        wanted = {file.sha256: file for line in self.ready for file in line.media}
        if wanted:
            for asset in self._api.pages("/v1/media", "media"):
                if asset["sha256"] in wanted:
                    self._assets[asset["sha256"]] = asset["media_asset_id"]
                    if len(self._assets) == len(wanted):
                        break
        self.reused = [file for sha256, file in wanted.items() if sha256 in self._assets]
        self.uploads = [file for sha256, file in wanted.items() if sha256 not in self._assets]

    def _upload(self) -> None:
        if not self.uploads:
            return
        with display.progress(in_bytes=True) as bar:
            task = bar.add_task("Uploading media", total=sum(file.size_bytes for file in self.uploads))
            done = 0

            def sent(of_this_file: int) -> None:
                bar.update(task, completed=done + of_this_file)

            for file in self.uploads:
                try:
                    asset = self._api.upload(file.path, sent)
                    self._assets[file.sha256] = asset["media_asset_id"]
                    self.uploaded_bytes += file.size_bytes
                except Refused as refused:
                    if refused.status >= 500 or refused.status in _NOT_ABOUT_THE_FILE:
                        raise
                    self._without(file, refused.message)
                except OSError as error:
                    self._without(file, f"It cannot be read any more: {error.strerror}.")
                done += file.size_bytes
                bar.update(task, completed=done)

    def _without(self, file: MediaFile, reason: str) -> None:
        for line in self.ready:
            if any(each.sha256 == file.sha256 for each in line.media):
                line.refuse(Problem("media", "media_rejected", f"{file.name}: {reason}"))

    def _schedule(self, *, validate_only: bool) -> None:
        ready = self.ready
        with display.progress() as bar:
            task = bar.add_task("Checking posts" if validate_only else "Scheduling posts", total=len(ready))
            for start in range(0, len(ready), ROWS_PER_CALL):
                chunk = ready[start : start + ROWS_PER_CALL]
                self._send(chunk, validate_only)
                bar.advance(task, len(chunk))

    def _send(self, chunk: list[Line], validate_only: bool) -> None:
        body: Json = {"posts": [self._draft(line) for line in chunk], "validate_only": validate_only}
        try:
            # Nothing is kept of a rehearsal, so it needs no key of its own.
            key = "" if validate_only else self._request_key(body, chunk)
            results = self._api.post("/v1/posts:batchCreate", body, key=key)["results"]
        except ClientError as error:
            if not validate_only and not (isinstance(error, Refused) and error.status < 500):
                for line in chunk:
                    line.status = Status.UNKNOWN
            raise
        for result in results:
            _apply(result, chunk[result["index"]], validate_only)

    def _draft(self, line: Line) -> Json:
        draft: Json = {
            "channel": line.entry.channel,
            "account_ids": [line.account_id],
            "caption": line.entry.text,
            "media_asset_ids": [self._assets.get(file.sha256, _NO_ASSET) for file in line.media],
            "local_time": line.entry.local_time,
            "time_zone": line.entry.time_zone,
            "options": {"tiktok": self._choices.tiktok},
            "ref": line.entry.ref,
        }
        if line.entry.ambiguous:
            draft["ambiguous_time"] = self._choices.ambiguous_time
        return draft

    def _request_key(self, body: Json, chunk: list[Line]) -> str:
        """The same for the same posts. Other once they were canceled, else the first answer would come again."""
        canceled = [self._plan.canceled(line.entry, line.account_id) for line in chunk]
        digest = hashlib.sha256(json.dumps([body, canceled], sort_keys=True).encode()).hexdigest()
        return f"import-{digest[:48]}"


def _apply(result: Json, line: Line, validate_only: bool) -> None:
    line.warnings += [
        Problem(_column(each["field"]), each["reason"], each["message"]) for each in result.get("warnings") or []
    ]
    if refusal := result.get("refusal"):
        problems = _problems(refusal, line)
        # Not refused for anything but the files that it could not see.
        if problems or line.is_whole:
            line.refuse(*problems)
            return
    line.status = Status.TAKEN
    if (post := result.get("post")) and not validate_only:
        line.post_id, line.state = post["post_id"], post["deliveries"][0]["state"]
    if post and post["schedule_time"] and _instant(post["schedule_time"]) != line.entry.instant:
        message = (
            f"The gateway reads that time as {post['schedule_time']}: its time zones follow other rules than here."
        )
        line.warnings.append(Problem("timezone", "instant_differs", message))


def _problems(refusal: Mapping[str, object], line: Line) -> list[Problem]:
    violations = refusal.get("field_violations")
    reason, message = str(refusal.get("reason", "")), str(refusal.get("message", ""))
    if not isinstance(violations, list) or not violations:
        return [Problem("*", reason, message)]
    problems = [
        Problem(_column(each["field"]), each.get("reason") or reason, each["description"])
        for each in violations
        if line.is_whole or each.get("reason") != "MEDIA_UNKNOWN"
    ]
    return list(dict.fromkeys(problems))


def _column(path: str) -> str:
    """A field of REST as the calendar, or this command, calls it."""
    name = path.partition("[")[0]
    if name.startswith("options.tiktok."):
        return "--" + name.removeprefix("options.tiktok.").removesuffix("_level").replace("_", "-")
    return _COLUMN_OF.get(name, path)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
