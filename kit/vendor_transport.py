"""aiohttp's connections under rules of our own, for calls to vendors.

What aiohttp does by itself and must not here: rewrite the URL (``%2F`` in the query of a signed upload address becomes
``/``), resend a GET, PUT or DELETE when a kept connection breaks, follow redirects, keep cookies, read proxy and netrc
settings, unpack answers of any size. Addresses are opaque, there is one retry layer, and "surely not sent" must be
true.
"""

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import aiohttp
import certifi
import yarl

# Shorter than the usual 5 s of servers, so that we never send on a connection which the other side is just closing.
_KEEPALIVE_SECONDS = 4.0
# What must be escaped in an address; a line break would start another header.
_NOT_IN_ADDRESS = re.compile(r"[^\x21-\x7e]")


@dataclass(slots=True)
class SendProgress:
    """``sent`` turns True before the first byte can leave."""

    sent: bool = False


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came over the wire. Header names are lower-case; ``content`` is None when there was more than allowed."""

    status: int
    headers: dict[str, str]
    content: bytes | None


class SendFailed(Exception):
    """There is no whole answer. ``code``: timed_out, address_unusable, connect_failed or connection_lost.

    Its text holds no address, and no error of aiohttp, whose text does, is chained to it.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _ConnectionLost(aiohttp.ClientError):
    """A connection broke after the request had been given to it."""


async def _no_hidden_retry(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # aiohttp resends GET, PUT and DELETE once after these two errors on a kept connection; another class is left alone.
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as lost:
        raise _ConnectionLost(type(lost).__name__) from lost


_progress: ContextVar[SendProgress] = ContextVar("progress")


class _Connector(aiohttp.TCPConnector):
    """Marks the request of the running task as sent once it has a connection: from then on bytes may have left.

    (aiohttp's tracing could tell as well, but then it is called at every other step too.)
    """

    async def connect(self, *args: Any, **options: Any) -> aiohttp.connector.Connection:
        connection = await super().connect(*args, **options)
        _progress.get().sent = True
        return connection


class WatchedBody:
    """A streamed body: checks its length, remembers its source's failure, and moves the time limit as it is sent."""

    def __init__(self, pieces: AsyncIterator[bytes], length: int, limit: asyncio.Timeout, write_timeout: float) -> None:
        self._pieces = pieces
        self._length = length
        self._limit = limit
        self._write_timeout = write_timeout
        self._deadline = limit.when()
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = 0
        self._allow(self._write_timeout)
        try:
            async for piece in self._pieces:
                sent += len(piece)
                if sent > self._length:
                    break
                # Control comes back when the piece has gone to the socket, so each piece is a sign of progress.
                yield piece
                self._allow(self._write_timeout)
                if sent == self._length:
                    # Not pulled again: a failure of the source from here on must not hide that the body is out.
                    self._allow(None)
                    return
            raise ValueError(f"the body should have {self._length} bytes, its pieces have {sent}")
        except Exception as failure:
            self.failure = failure
            raise

    def _allow(self, seconds: float | None) -> None:
        """Move the limit to so many seconds from now, never past the call's deadline; None: to the deadline."""
        if self._limit.expired():
            return
        now = asyncio.get_running_loop().time()
        times = [when for when in (self._deadline, None if seconds is None else now + seconds) if when is not None]
        self._limit.reschedule(min(times))


class VendorTransport:
    """One pool of connections. Times in seconds, sizes in bytes."""

    def __init__(
        self, *, connect_timeout: float, read_timeout: float, max_connections: int, max_answer_bytes: int
    ) -> None:
        self._max_connections = max_connections
        self._max_answer_bytes = max_answer_bytes
        # `connect` counts the wait for a free connection of the pool as well.
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=connect_timeout, sock_connect=connect_timeout, sock_read=read_timeout
        )
        # Made here and not by the first call, of whose time it would take a good part.
        self._tls = _trusted()
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes] | None,
        progress: SendProgress,
    ) -> RawAnswer:
        """Send one request and read its answer whole. A streamed body needs a Content-Length among the headers.

        Raises SendFailed.
        """
        address = _address(url)
        _progress.set(progress)
        try:
            answer = await self._opened().request(
                method,
                address,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=self._timeout,
                # aiohttp resends no POST.
                middlewares=() if method == "POST" else (_no_hidden_retry,),
            )
            try:
                content = await self._read(answer)
            finally:
                # Frees the connection for the next request when the answer was read to its end, closes it otherwise.
                answer.release()
            return RawAnswer(answer.status, _plain_headers(answer), content)
        except TimeoutError:
            code = "timed_out"
        except (aiohttp.ClientError, OSError):
            code = "connection_lost" if progress.sent else "connect_failed"
        # Raised out here so that no error of aiohttp is chained to it.
        raise SendFailed(code)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes | None:
        pieces, size = [], 0
        async for piece in answer.content.iter_any():
            size += len(piece)
            if size > self._max_answer_bytes:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    def _opened(self) -> aiohttp.ClientSession:
        # Made at the first request: a session belongs to the event loop that is running then.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    limit=self._max_connections,
                    keepalive_timeout=_KEEPALIVE_SECONDS,
                    ssl=self._tls,
                ),
                headers={"User-Agent": "Reelroute", "Accept": "*/*", "Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


def _address(url: str) -> yarl.URL:
    try:
        address = yarl.URL(url, encoded=True)
        if address.scheme in ("http", "https") and address.raw_host and not _NOT_IN_ADDRESS.search(url):
            return address
    except ValueError:
        pass
    raise SendFailed("address_unusable")


def _plain_headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    # Not aiohttp's own texts: what is no UTF-8 becomes half characters there, which no database takes.
    return {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in answer.raw_headers}


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that the environment names, else those that come with certifi."""
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return ssl.create_default_context(cafile=None if named else certifi.where())
