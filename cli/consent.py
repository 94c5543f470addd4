"""The owner's consent: a browser is sent to the platform's page, and the code comes back with it."""

from __future__ import annotations

import hmac
import html
import time
import webbrowser
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import typer

from cli import display, options
from cli.client import ClientError, Json

PATH = "/callback"
# When the gateway names no end.
_PATIENCE_SECONDS = 600.0


class StrayRedirect(ClientError):
    """A redirect that does not belong to the connection that is waiting."""


class ConsentRefused(ClientError):
    """The platform sent no code."""


def code_in(query: str, state: str) -> str:
    """The code in a redirect's query. Raises StrayRedirect without the state, else ConsentRefused without a code.

    Whoever does not know the state is not believed.
    """
    values = {name: given[0] for name, given in parse_qs(query).items()}
    if not state or not hmac.compare_digest(values.get("state", "").encode(), state.encode()):
        raise StrayRedirect("This does not belong to the connection that is waiting.", "Start again.")
    refusal = values.get("error_description") or values.get("error")
    # TikTok Shop sends "code=null" along with its error.
    if refusal or not values.get("code"):
        raise ConsentRefused(
            f"The platform gave no consent: {refusal or 'no code came'}.", "Start again when it is clear why."
        )
    return values["code"]


class Listener:
    """A web server on 127.0.0.1 that takes one redirect. Use as a context; it listens from its making on."""

    def __init__(self, port: int) -> None:
        """Raises ClientError when the port is taken."""
        self.code = self.state = ""
        self.refusal: ConsentRefused | None = None
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
        """Answers one request: status and sentence."""
        parts = urlsplit(target)
        if parts.path != PATH:
            return 404, "There is nothing here."
        try:
            self.code = code_in(parts.query, self.state)
        except StrayRedirect as stray:
            return 400, f"{stray.message} {stray.advice}"
        except ConsentRefused as refusal:
            self.refusal = refusal
            return 400, "The platform gave no consent. Go back to the terminal."
        return 200, "Thank you. Go back to the terminal; this window can be closed."

    def wait(self, state: str, seconds: float) -> str:
        """The code of the redirect that carries `state`. Raises ClientError after `seconds`, or when refused."""
        self.state = state
        end = time.monotonic() + seconds
        while not self.code and not self.refusal:
            left = end - time.monotonic()
            if left <= 0:
                raise ClientError("Nobody gave consent in time.", "Start again.")
            self._server.timeout = left
            self._server.handle_request()
        if self.refusal:
            raise self.refusal
        return self.code


def ask(connection: Json, owner: str, listener: Listener | None, *, browser: bool) -> str:
    """The code that the consent of `owner` brings for a begun connection; without a listener it is pasted.

    Raises ClientError when there is no consent.
    """
    where = ", on this machine" if listener else ""
    display.note(f"Open this address in the browser of {owner}{where}:")
    display.note(display.printable(connection["consent_url"]))
    # The address comes from the gateway: only a web page is opened by itself.
    if browser and options.may_ask() and connection["consent_url"].startswith(("https://", "http://")):
        webbrowser.open(connection["consent_url"])
    if listener:
        display.note("Waiting for consent; Ctrl-C gives up.")
        return listener.wait(connection["state"], _seconds_until(connection["expire_time"]))
    display.note("Afterwards the browser is sent to the address that is registered with the app. Copy all of it.")
    try:
        pasted: str = typer.prompt("That address", err=True)
    except typer.Abort:
        raise ClientError("No address was pasted.", "Start again.") from None
    try:
        return code_in(urlsplit(pasted.strip()).query, connection["state"])
    except StrayRedirect as stray:
        advice = "Start again, and paste the whole address, with code and state."
        raise ClientError(stray.message, advice) from None


def _seconds_until(text: str | None) -> float:
    if not text:
        return _PATIENCE_SECONDS
    return max((datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds(), 1.0)
