"""httpx's interface over aiohttp's connections, for calls to vendors.

Why not httpx's own connections: its pool looks through all of them for every request and slows to a tenth with a
hundred open. Why not the ready-made bridge package: it lets aiohttp rewrite the URL (``%2F`` in the query of a signed
upload address becomes ``/``), lets it resend a PUT by itself when a kept connection breaks, and reports a connection
lost *after* sending as a connect time-out. All three matter here: addresses are opaque, there is one retry layer, and
"surely not sent" must be true.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import httpx
import yarl

_READ_SIZE = 16 * 1024  # bytes
# Shorter than the usual 5 s of servers, so that we never send on a connection which the other side is just closing.
_KEEPALIVE_SECONDS = 4.0


@dataclass
class SendProgress:
    """Passed as ``request.extensions["progress"]``; ``sent`` turns True before the first byte can leave."""

    sent: bool = False


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


class _AnswerStream(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        failure: httpx.TransportError | None = None
        try:
            async for piece in self._answer.content.iter_chunked(_READ_SIZE):
                yield piece
        except aiohttp.SocketTimeoutError:
            failure = httpx.ReadTimeout("the answer stopped arriving")
        except (aiohttp.ClientError, OSError) as broken:
            failure = httpx.ReadError(type(broken).__name__)
        if failure is not None:
            raise failure

    async def aclose(self) -> None:
        # Frees the connection for the next request when the answer was read to its end, closes it otherwise.
        self._answer.release()


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


class VendorTransport(httpx.AsyncBaseTransport):
    """One pool of connections. Follows no redirects, keeps no cookies, reads no proxy or netrc settings.

    Raises httpx's errors with texts that hold no address: ConnectError, ConnectTimeout and UnsupportedProtocol before
    anything was sent, WriteError, ReadTimeout, ReadError and RemoteProtocolError afterwards.
    """

    def __init__(self, *, max_connections: int) -> None:
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and answer as soon as the headers are there; the body is read by the caller."""
        failure: httpx.TransportError
        progress: SendProgress = request.extensions.get("progress") or SendProgress()
        times = request.extensions.get("timeout", {})
        try:
            answer = await self._opened().request(
                request.method,
                yarl.URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=_body(request),
                allow_redirects=False,
                # `connect` counts the wait for a free connection of the pool as well.
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=times.get("pool"),
                    sock_connect=times.get("connect"),
                    sock_read=times.get("read"),
                ),
                trace_request_ctx=progress,
            )
            return httpx.Response(
                answer.status, headers=answer.raw_headers, stream=_AnswerStream(answer), request=request
            )
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as refused:
            timed_out = isinstance(refused, aiohttp.ConnectionTimeoutError)
            failure = (httpx.ConnectTimeout if timed_out else httpx.ConnectError)(type(refused).__name__)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as invalid:
            failure = httpx.UnsupportedProtocol(type(invalid).__name__)
        except aiohttp.SocketTimeoutError as silent:
            failure = httpx.ReadTimeout(type(silent).__name__)
        except _ConnectionLost as lost:
            failure = httpx.ReadError(str(lost))
        except aiohttp.ClientConnectionError as broken:
            failure = httpx.WriteError(type(broken).__name__)
        except aiohttp.ClientError as unreadable:
            failure = httpx.RemoteProtocolError(type(unreadable).__name__)
        # Raised out here so that no aiohttp error, whose text has the whole address, is chained to it.
        raise failure

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        # Made at the first request: a session belongs to the event loop that is running then.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._max_connections,
                    keepalive_timeout=_KEEPALIVE_SECONDS,
                    ssl=httpx.create_ssl_context(),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                trace_configs=[_watch_connections()],
                middlewares=(_no_hidden_retry,),
            )
        return self._session


def _body(request: httpx.Request) -> bytes | httpx.AsyncByteStream | None:
    try:
        return request.content or None
    except httpx.RequestNotRead:
        # A stream; its Content-Length is in the headers, so aiohttp sends it unchunked.
        assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101 - an asynchronous client has no other
        return request.stream


def _watch_connections() -> aiohttp.TraceConfig:
    """Marks the request as sent once it has a connection: from then on bytes may have left."""

    async def mark(_session: object, context: object, _params: object) -> None:
        context.trace_request_ctx.sent = True  # type: ignore[attr-defined]

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(mark)
    trace.on_connection_reuseconn.append(mark)
    return trace
