"""Calendars: files of posts, in and out."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import IO, Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from kit import errors
from services.gateway import importing, ndjson
from services.gateway.early_refusal import EarlyRefusal
from services.gateway.errors import invalid, violations_of
from services.gateway.importing import Import
from services.gateway.models import examples
from services.gateway.models.imports import ImportLine, ImportOptions
from services.gateway.models.problems import problems
from services.gateway.multipart import FileHeader, FileReader
from services.gateway.route import ApiRoute, gateway_of, parse_json
from services.gateway.routes.depends import Caller_, Clients_, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Posts"])

# Larger files are on disk while they are read.
_MEMORY_BYTES = 4 * 1024 * 1024

_IMPORT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "options": {
                            "allOf": [{"$ref": "#/components/schemas/ImportOptions"}],
                            "description": "JSON, before the file. Without it everything is as the file says.",
                        },
                        "file": {"type": "string", "format": "binary", "description": "The calendar."},
                    },
                    "required": ["file"],
                    "additionalProperties": False,
                },
                "encoding": {"options": {"contentType": "application/json"}},
                "example": {"options": examples.IMPORT_OPTIONS, "file": "q1.csv"},
            }
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
    # It is closed with its last reference.
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115
    try:
        async for part in reader.read():
            if not isinstance(part, FileHeader):
                await asyncio.to_thread(file.write, part)
        options = _options(reader.options)
    except errors.ReelrouteError as error:
        if reader.body_ended:
            raise
        return EarlyRefusal(error)
    begun = await importing.begin(clients, caller.workspace_id, file, options, now=datetime.now(UTC))
    return ndjson.streamed(_lines(begun), seconds=config.upload_seconds)


def _options(text: bytes) -> ImportOptions:
    if not text.strip():
        return ImportOptions()
    value = parse_json(text)
    try:
        return ImportOptions.model_validate(value)
    except ValidationError as error:
        found = violations_of(error.errors(include_url=False, include_context=False, include_input=False))
        raise invalid(
            [errors.FieldViolation(f"options.{each.field}", each.description, each.reason) for each in found]
        ) from None


async def _lines(begun: Import) -> AsyncIterator[dict[str, Any]]:
    async for row in begun.rows():
        yield {"row": row}
    counts = begun.counts
    summary = {word.lower(): counts[word] for word in ("CREATED", "UPDATED", "UNCHANGED", "REPLACED", "REFUSED")}
    yield {
        "summary": {
            "format": begun.calendar.format,
            "rows": counts.total(),
            **summary,
            "unknown_columns": list(begun.calendar.unknown_columns),
            "validate_only": begun.options.validate_only,
        }
    }
