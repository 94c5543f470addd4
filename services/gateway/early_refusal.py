"""How a request is refused whose body still arrives."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kit import errors
from services.gateway.errors import problem_response

# How long a sender who was refused midway may go on sending before the connection is closed.
_LINGER_SECONDS = 2.0


class EarlyRefusal(Response):
    """A refusal while the body still arrives.

    The answer is sent at once; then what was under way is read for a moment, because closing a connection with unread
    bytes may destroy the answer before the sender has seen it; then the connection is closed.
    """

    def __init__(self, error: errors.ReelrouteError) -> None:
        problem = problem_response(error)
        problem.headers["Connection"] = "close"
        super().__init__(problem.body, problem.status_code)
        self.raw_headers = problem.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it, and waits a moment for the sender."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while (await receive()).get("more_body", False):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
