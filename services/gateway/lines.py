"""Answers of one JSON object a line, sent while the work goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import structlog
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from kit import context
from kit.errors import ReelrouteError
from services.gateway.errors import problem

log = structlog.get_logger()

MEDIA_TYPE = "application/x-ndjson"


def documented(*kinds: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The answer of a route for the reference; each line is one of these."""
    schemas = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in kinds]
    return {
        200: {
            "description": "One JSON object a line, sent as the work goes on.",
            "content": {MEDIA_TYPE: {"schema": {"anyOf": schemas}}},
        }
    }


class LinesResponse(StreamingResponse):
    """Sends each object as a line. A refusal on the way is the last line, as `{"problem": …}`."""

    def __init__(self, first: BaseModel, others: AsyncIterator[BaseModel], *, seconds: float) -> None:
        self._seconds = seconds
        super().__init__(_written(first, others), media_type=MEDIA_TYPE)

    @classmethod
    async def begin(cls, lines: AsyncIterator[BaseModel], *, seconds: float) -> LinesResponse:
        """Waits for the first line, so that what is refused at once is refused as everywhere. Raises what it raises."""
        return cls(await anext(lines), lines, seconds=seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends them."""
        # The route's own deadline ended with its return.
        with context.call(request_id=context.request_id(), timeout_seconds=self._seconds):
            await super().__call__(scope, receive, send)


async def _written(first: BaseModel, others: AsyncIterator[BaseModel]) -> AsyncIterator[bytes]:
    yield _line(first)
    try:
        async for each in others:
            yield _line(each)
    except ReelrouteError as error:
        log.warning("an answer broke off", reason=error.reason, message=error.message)
        yield _line({"problem": problem(error)})


def _line(value: BaseModel | dict[str, Any]) -> bytes:
    return to_json(value) + b"\n"
