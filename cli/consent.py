"""Waits on this machine for the platform to send the owner's browser back with a code."""

from __future__ import annotations

import hmac
import html
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cli.client import ClientError

PATH = "/callback"


class Listener:
    """A web server on 127.0.0.1 that takes one redirect. Use as a context; it listens from its making on."""

    def __init__(self, port: int) -> None:
        """Raises ClientError when the port is taken."""
        self.code = self.refusal = ""
        self.state = ""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            # One slow or silent browser connection must not hold up the redirect.
            timeout = 5

            def do_GET(self) -> None:
                status, text = listener.take(self.path)
                page = f"<!doctype html><meta charset=utf-8><title>Reelroute</title><p>{html.escape(text)}</p>".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
                """Says nothing: the address holds the code."""

        try:
            self._server = HTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise ClientError(
                f"Port {port} cannot be listened on: {error.strerror}.",
                "Choose another with --port; the platform's app must know the address.",
            ) from None
        self.port = self._server.server_port

    def __enter__(self) -> Listener:
        """Listens already."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stops listening."""
        self._server.server_close()

    @property
    def redirect_uri(self) -> str:
        """Where the platform is to send the browser."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    def take(self, target: str) -> tuple[int, str]:
        """Answers one request: status and sentence. Whoever does not know the state is not believed."""
        parts = urlsplit(target)
        if parts.path != PATH:
            return 404, "There is nothing here."
        values = {name: given[0] for name, given in parse_qs(parts.query).items()}
        if not self.state or not hmac.compare_digest(values.get("state", "").encode(), self.state.encode()):
            return 400, "This does not belong to the connection that is waiting. Start again."
        # Beside an error TikTok Shop sends the code "null".
        if values.get("code") and not values.get("error"):
            self.code = values["code"]
            return 200, "Thank you. Go back to the terminal; this window can be closed."
        self.refusal = values.get("error_description") or values.get("error") or "no code came"
        return 400, "The platform gave no consent. Go back to the terminal."

    def wait(self, state: str, seconds: float) -> str:
        """The code of the redirect that carries `state`. Raises ClientError after `seconds`, or when refused."""
        self.state = state
        end = time.monotonic() + seconds
        while not self.code and not self.refusal:
            left = end - time.monotonic()
            if left <= 0:
                raise ClientError("Nobody gave consent in time.", "Start again: reelroute accounts connect")
            self._server.timeout = left
            self._server.handle_request()
        if self.refusal:
            raise ClientError(f"The platform gave no consent: {self.refusal}.", "Start again when it is clear why.")
        return self.code
