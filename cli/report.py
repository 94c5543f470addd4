"""What became of an import, for people and for programs. It says too what was not checked and what was not kept."""

from __future__ import annotations

from collections.abc import Iterable

from cli import display
from cli.calendar import Problem
from cli.client import ClientError, Json
from cli.display import count, size
from cli.importing import Import, Line, Status
from cli.rows import Entry

_LINES_NAMED = 12


def as_document(done: Import, file: str, remarks: list[str], *, is_dry_run: bool, error: ClientError | None) -> Json:
    """The whole report as one JSON document."""
    document: Json = {
        "file": file,
        "dry_run": is_dry_run,
        "rows": len(done.lines),
        **{status.value: _count(done, status) for status in Status},
        "media": {
            "uploads": [each.name for each in done.uploads],
            "upload_bytes": sum(each.size_bytes for each in done.uploads),
            "uploaded_bytes": done.uploaded_bytes,
            "reused": [each.name for each in done.reused],
        },
        "results": [_result(line) for line in done.lines],
        "remarks": [*remarks, *_remarks(done, is_dry_run=is_dry_run)],
    }
    if error:
        document["error"] = display.failure(error)
    return document


def show(done: Import, remarks: list[str], *, is_dry_run: bool) -> None:
    """Prints the report: refused rows, warnings, totals."""
    refused = [(line.entry, problem) for line in done.lines for problem in line.problems]
    if refused:
        display.say("Refused rows")
        display.table(
            ["Line", "Ref", "Field", "Reason", "What is wrong"],
            [(entry.line, entry.ref, each.field, each.reason, each.message) for entry, each in refused],
            whole=["Line", "Reason"],
        )
        display.say()
    if any(line.warnings for line in done.lines):
        display.say("Warnings")
        display.table(["Rows", "Field", "Reason", "What is odd", "Lines"], _grouped(done.lines), whole=["Reason"])
        display.say()
    for text in totals(done, is_dry_run=is_dry_run):
        display.say(text)
    for text in [*remarks, *_remarks(done, is_dry_run=is_dry_run)]:
        display.say(display.printable(text))


def totals(done: Import, *, is_dry_run: bool) -> list[str]:
    """How many rows went which way, and the files."""
    taken, refused = _count(done, Status.TAKEN), _count(done, Status.REFUSED)
    already, unknown = _count(done, Status.ALREADY_IMPORTED), _count(done, Status.UNKNOWN)
    of = f"{count(len(done.lines), 'row')}: "
    told = [f"{count(taken, 'post')} would be scheduled" if is_dry_run else f"{count(taken, 'post')} scheduled"]
    told += [f"{already} already imported"] if already else []
    told += [f"{refused} refused"]
    told += [f"{unknown} sent without an answer"] if unknown else []
    told += [f"{left} not sent"] if (left := _count(done, Status.NOT_SENT)) else []
    lines = [of + ", ".join(told) + "."]
    if done.uploads or done.reused:
        total = size(sum(each.size_bytes for each in done.uploads) if is_dry_run else done.uploaded_bytes)
        verb = "Would upload" if is_dry_run else "Uploaded"
        told = [f"{verb} {count(len(done.uploads), 'file')} ({total})"] if done.uploads else []
        told += [f"{count(len(done.reused), 'file')} in the library already"] if done.reused else []
        lines.append(", ".join(told) + ".")
    return lines


def _remarks(done: Import, *, is_dry_run: bool) -> list[str]:
    told = []
    partly = sum(line.status is Status.TAKEN and not line.is_whole for line in done.lines)
    if is_dry_run:
        told.append("This was a dry run: nothing was changed.")
        if partly:
            told.append(
                f"Some files, of {count(partly, 'post')}, are not in the library yet. They exist and can be read;"
                " whether the platform takes them is found out after their upload, and may still refuse the row."
                " Date and zone of these posts were checked by this command only; account, text and choices by the"
                " gateway too."
            )
    ignored = [name for name, there in (("product_skus", done.has_skus), ("notes", done.has_notes)) if there]
    if ignored:
        told.append(f"Not kept: {' and '.join(ignored)}. A post has no place for them.")
    if done.has_skus and done.products is None:
        told.append("SKUs were not checked: there is no list of products. Name one with --products.")
    elif done.has_skus:
        told.append(f"SKUs were checked against {done.products}.")
    if _count(done, Status.UNKNOWN):
        told.append("Import the same file again: what was scheduled is found, and nothing is scheduled twice.")
    return told


def _grouped(lines: Iterable[Line]) -> list[tuple[object, ...]]:
    groups: dict[Problem, list[Entry]] = {}
    for line in lines:
        for warning in line.warnings:
            groups.setdefault(warning, []).append(line.entry)
    return [
        (len(entries), warning.field, warning.reason, warning.message, _named(entries))
        for warning, entries in groups.items()
    ]


def _named(entries: list[Entry]) -> str:
    more = f" and {len(entries) - _LINES_NAMED} more" if len(entries) > _LINES_NAMED else ""
    return ", ".join(str(entry.line) for entry in entries[:_LINES_NAMED]) + more


def _count(done: Import, status: Status) -> int:
    return sum(line.status is status for line in done.lines)


def _result(line: Line) -> Json:
    instant = line.entry.instant
    return {
        "line": line.entry.line,
        "ref": line.entry.ref,
        "status": line.status.value,
        "post_id": line.post_id or None,
        "state": line.state or None,
        "schedule_time": instant.isoformat().replace("+00:00", "Z") if instant else None,
        "is_media_checked": line.is_whole if line.status is Status.TAKEN else None,
        "problems": [_told(each) for each in line.problems],
        "warnings": [_told(each) for each in line.warnings],
    }


def _told(problem: Problem) -> Json:
    return {"field": problem.field, "reason": problem.reason, "message": problem.message}
