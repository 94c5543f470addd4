"""Long answers: one JSON object per line, sent as soon as it is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import structlog
from pydantic_core import to_json
from starlette.responses import StreamingResponse

from kit import context, errors
from services.gateway.errors import problem

log = structlog.get_logger()

MEDIA_TYPE = "application/x-ndjson"
_LINES_PER_PIECE = 200


def lines_of(model: type[Any]) -> dict[int | str, dict[str, Any]]:
    """The answer of a route, for the reference: lines of a model."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    example = model.model_config["json_schema_extra"]["examples"][0]
    return {
        200: {
            "description": "One JSON object per line.",
            "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
        }
    }


def streamed(lines: AsyncIterator[dict[str, Any]], *, seconds: float) -> StreamingResponse:
    """Sends lines as they come. What is refused in the middle is the last line: `{"problem": …}`."""
    return StreamingResponse(_pieces(lines, context.request_id(), seconds), media_type=MEDIA_TYPE)


async def _pieces(lines: AsyncIterator[dict[str, Any]], request_id: str, seconds: float) -> AsyncIterator[bytes]:
    # The request's own context is over when its answer is sent.
    with context.call(request_id=request_id, timeout_seconds=seconds):
        piece: list[bytes] = []
        try:
            async for line in lines:
                piece.append(to_json(line))
                if len(piece) == _LINES_PER_PIECE:
                    yield b"\n".join(piece) + b"\n"
                    piece.clear()
        except errors.ReelrouteError as error:
            log.info("answer ended by a refusal", reason=error.reason)
            piece.append(to_json({"problem": problem(error)}))
        if piece:
            yield b"\n".join(piece) + b"\n"
