"""What the worker asks of a platform's adapter: harmless steps, one step that publishes, and questions.

An adapter holds no state and no database. It raises AttemptFailed when the attempt cannot go on: with TRANSIENT only
when nothing was published. `prepare` and `begin` may be repeated any number of times. `send` is the step that
publishes: it is called with a lease and the intent stored, and after a crash or Uncertain only `ask` may follow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from services.publisher import domain


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file to publish. `async with read(offset, length) as pieces` streams its bytes; it may be called again."""

    media_asset_id: str
    mime_type: str
    size_bytes: int
    width: int
    height: int
    container: str
    codec: str
    frame_rate_millis: int
    duration_ms: int
    pixel_mode: str
    read: Callable[[int, int], AbstractAsyncContextManager[AsyncIterator[bytes]]]


@dataclass(frozen=True, slots=True)
class Work:
    """One delivery as an adapter sees it. `tokens` gives a good access token, or a fresh one after a refusal."""

    account: domain.Account
    caption: str
    media: tuple[MediaFile, ...]
    options: domain.Options
    tokens: Tokens


class Tokens(Protocol):
    """Access tokens of one account."""

    async def access(self) -> str:
        """A token that is good for some minutes. Raises AttemptFailed(ACCOUNT) when the authorisation is lost."""

    async def fresh(self, refused: str) -> str:
        """Another token, after the platform refused this one. Raises as `access`."""


class Uncertain(Exception):
    """The publishing step got no usable answer: it may have taken effect. Only `ask` may follow."""


class UploadEnded(Exception):
    """The platform no longer takes bytes for this handle. `ask` says whether it has everything."""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The platform waits for more bytes of this handle; it has `stored_bytes`, or does not say (None)."""

    stored_bytes: int | None


@dataclass(frozen=True, slots=True)
class Processing:
    """The platform has everything and looks at it."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The platform does not know the handle."""

    message: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Published, by the platform's word. `settled` is False while its public id may still appear."""

    verdict: domain.Verdict
    settled: bool


# What the platform answers when it is asked about a handle. A Failure is its definite no.
Answer = Incomplete | Processing | Unknown | Complete | domain.Failure


class Adapter(Protocol):
    """One platform. See the head of this module."""

    async def prepare(self, work: Work) -> str:
        """Checks everything that can be checked without effect; returns a sentence for the attempt log."""

    async def begin(self, work: Work) -> domain.Handle:
        """The harmless call that gives a handle. Nothing is published before `send`."""

    async def send(
        self, work: Work, handle: domain.Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        """Sends the media from a byte on; with its last byte the platform publishes. Returns when all was taken.

        `on_stored(bytes)` is awaited after each part that the platform has stored, before the next is sent.
        Raises Uncertain, UploadEnded, AttemptFailed(TRANSIENT) when the last byte surely did not arrive.
        """

    async def ask(self, account: domain.Account, options: domain.Options, handle: str, tokens: Tokens) -> Answer:
        """What became of a handle. Harmless. Raises AttemptFailed(TRANSIENT, RATE_LIMITED, ACCOUNT)."""
