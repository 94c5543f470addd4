"""Calendars: files of posts, in and out."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import islice
from typing import IO, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from kit import context, errors
from services.gateway import importing, ndjson
from services.gateway.calendars import writing
from services.gateway.early_refusal import EarlyRefusal
from services.gateway.exporting import Export
from services.gateway.importing import Import
from services.gateway.models import examples
from services.gateway.models.fields import Instant, Text
from services.gateway.models.imports import FormatWord, ImportLine, ImportOptions
from services.gateway.models.problems import problems
from services.gateway.multipart import FileHeader, FileReader
from services.gateway.options import form_body, form_options
from services.gateway.route import ApiRoute, gateway_of
from services.gateway.routes.depends import Caller_, Clients_, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Posts"])

# Larger files are on disk while they are read.
_MEMORY_BYTES = 4 * 1024 * 1024

_IMPORT_BODY = form_body(
    ImportOptions,
    "JSON, before the file. Without it everything is as the file says.",
    "The calendar.",
    {"options": examples.IMPORT_OPTIONS, "file": "q1.csv"},
)


_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "text/calendar": {"schema": {"type": "string"}},
            writing.MEDIA_TYPES["xlsx"]: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post(
    "/v1/posts:import",
    response_class=Response,
    response_model=None,
    responses={**ndjson.lines_of(ImportLine), **problems(body=True)},
    openapi_extra=_IMPORT_BODY,
)
async def import_posts(request: Request, caller: Caller_, clients: Clients_, _request_id: RequestId) -> Response:
    """Plans the posts of a calendar: CSV (ours, Hootsuite's, Buffer's, Publer's, Metricool's), XLSX or ICS.

    Each row is taken or refused for itself, and answered by a line in the file's order; the last line is the summary. A
    row is known again by its `ref` (an event by its UID; a row without, by its accounts and time): importing a file
    again changes what differs, and doubles nothing, also when an import broke off in its middle. Media are named by
    their files; upload them first. With `validate_only` nothing is saved.
    """
    config = gateway_of(request).config
    reader = FileReader(
        request,
        limit_bytes=config.max_calendar_bytes,
        idle_seconds=config.upload_idle_seconds,
        options_field="options",
    )
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115
    try:
        async for part in reader.read():
            if not isinstance(part, FileHeader):
                await asyncio.to_thread(file.write, part)
        options = form_options(ImportOptions, reader.options)
        begun = await importing.begin(clients, caller.workspace_id, file, options, now=datetime.now(UTC))
    except errors.ReelrouteError as error:
        file.close()
        if reader.body_ended:
            raise
        return EarlyRefusal(error)
    return ndjson.streamed(_lines(begun, file), seconds=config.upload_seconds)


@router.get("/v1/posts:export", response_class=Response, response_model=None, responses={**_EXPORTED, **problems()})
async def export_posts(
    request: Request,
    caller: Caller_,
    clients: Clients_,
    format: Annotated[FormatWord, Query(description="`csv` is our own, with everything.")] = "csv",  # noqa: A002
    from_time: Annotated[Instant | None, Query(description="Only posts scheduled from this instant on.")] = None,
    until_time: Annotated[Instant | None, Query(description="Only posts scheduled before this instant.")] = None,
    channel: Annotated[Text, Query(max_length=64, description="Only of this channel.")] = "",
    account_id: Annotated[
        UUID | None, Query(description="Only for this account. Other tools' files are of one.")
    ] = None,
    time_zone: Annotated[Text, Query(max_length=64, description="Of another tool's file: its account's zone.")] = "",
    media_prefix: Annotated[
        Text, Query(max_length=500, description="Of another tool's file: the address of the folder with the media.")
    ] = "",
) -> Response:
    """Writes posts as a file that can be imported again, here or, in the format of another tool, there.

    What is canceled or failed is left out. Texts that a spreadsheet would run as formulas are guarded by an
    apostrophe, which an import takes off again.
    """
    wanted = pb.ListPostsRequest(
        workspace_id=caller.workspace_id, page_size=200, channel=channel, account_id=str(account_id or "")
    )
    if from_time:
        wanted.from_time.FromDatetime(from_time)
    if until_time:
        wanted.until_time.FromDatetime(until_time)
    seconds = gateway_of(request).config.upload_seconds
    found = Export(clients, caller.workspace_id, wanted, context.request_id(), seconds)
    pieces = await found.begin(format, time_zone, media_prefix)
    suffix = {"xlsx": "xlsx", "ics": "ics"}.get(format, "csv")
    headers = {"Content-Disposition": f'attachment; filename="posts.{suffix}"'}
    return StreamingResponse(pieces, media_type=writing.media_type(format), headers=headers)


async def _lines(begun: Import, file: IO[bytes]) -> AsyncIterator[dict[str, Any]]:
    try:
        async for row in begun.rows():
            yield {"row": row}
    finally:
        file.close()
    counts = begun.counts
    summary = {word.lower(): counts[word] for word in ("CREATED", "UPDATED", "UNCHANGED", "REPLACED", "REFUSED")}
    yield {
        "summary": {
            "format": begun.calendar.format,
            "rows": counts.total(),
            **summary,
            "unknown_columns": list(begun.calendar.unknown_columns),
            "media_names": list(islice(begun.media_names, importing.NAMES_TOLD)),
            "validate_only": begun.options.validate_only,
        }
    }
