"""What the worker asks of a platform's adapter: harmless steps, one step that publishes, and questions.

An adapter holds no state and no database. It raises AttemptFailed when the attempt cannot go on: with TRANSIENT only
when nothing was published. `read_limits`, `begin` and `stage` may be repeated any number of times. `send` is the step
that publishes: it is called with a lease, a grant and the intent stored, and after a crash or Uncertain only `ask` and
`find` may follow. What of that a platform has, its Traits say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.publisher import domain
from services.publisher.quotas import Quotas


@dataclass(frozen=True, slots=True)
class Traits:
    """The shape of a platform. `can_find`: its list of recent posts may settle what a lost answer leaves open.
    `tells_removal`: asked about a published post later, it says whether it is still there (Gone).
    """

    can_find: bool
    tells_removal: bool = False


def unreadable(_offset: int, _length: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
    """The bytes of a file that is only checked: there are none."""
    raise ValueError("a file that is only checked has no bytes")


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
    """One delivery as an adapter sees it. `tokens` gives a good access token, or a fresh one after a refusal; `limits`
    are what the platform has just said of the account, None: nothing.
    """

    account: domain.Account
    caption: str
    media: tuple[MediaFile, ...]
    options: domain.Options
    tokens: Tokens
    limits: domain.AccountLimits | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a post cannot be published as it stands, or not as a whole. `field` is a path in the draft."""

    field: str
    reason: str
    message: str
    blocking: bool = True


class Tokens(Protocol):
    """Access tokens of one account."""

    async def access(self) -> str:
        """A token that is good for some minutes. Raises AttemptFailed(ACCOUNT) when the authorisation is lost."""

    async def fresh(self, refused: str) -> str:
        """Another token, after the platform refused this one. Raises as `access`."""


class Uncertain(Exception):
    """The publishing step got no usable answer: it may have taken effect. Only questions may follow."""


class UploadEnded(Exception):
    """The platform no longer takes bytes for this handle. `ask` says whether it has everything."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The platform has everything. `handle` is what to ask with from now on, where the publishing call itself gave it
    (else empty); `verdict` is set when it said at once that it is published.
    """

    handle: str = ""
    verdict: domain.Verdict | None = None


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The platform waits for more bytes of this handle; it has `stored_bytes`, or does not say (None)."""

    stored_bytes: int | None


@dataclass(frozen=True, slots=True)
class Processing:
    """The platform has everything and looks at it; or fetches it still, and can be told to `stop`."""

    can_be_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The platform does not know the handle."""

    message: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Published, by the platform's word. `settled` is False while its public id may still appear."""

    verdict: domain.Verdict
    settled: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """It was published, and the platform no longer shows it."""


# What the platform answers when it is asked about a handle. A Failure is its definite no.
Answer = Incomplete | Processing | Unknown | Complete | Gone | domain.Failure


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for among an account's recent posts: sent between `sent_after` and `sent_before`. `others` are the
    handles and ids of posts that belong to other deliveries: the same text may have been posted twice on purpose.
    """

    account: domain.Account
    options: domain.Options
    caption: str
    duration_ms: int
    sent_after: datetime
    sent_before: datetime
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """The post is there. Its handle or verdict as `Taken` gives them."""

    taken: Taken


@dataclass(frozen=True, slots=True)
class Absent:
    """The post is not there and will not appear: nothing of it was published, by the platform's documented word."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The list cannot tell yet; or, with `is_final`, it never will. `message` says why, for a person."""

    message: str
    is_final: bool = False


Trace = Found | Absent | Unsettled


class Adapter(Protocol):
    """One platform. See the head of this module."""

    traits: Traits
    quotas: Quotas

    def has_handle(self, work: Work) -> bool:
        """Whether a harmless call gives a handle that can be asked about (`begin`); else `send` is the only call."""

    def check(self, work: Work) -> list[Problem]:
        """What the platform would refuse, known without asking it; with limits, also what it would of this account.

        Everything found is a reason not to go on, whether or not a draft may be saved with it.
        """

    async def read_limits(
        self, account: domain.Account, options: domain.Options, tokens: Tokens
    ) -> domain.AccountLimits | None:
        """What the account may do now with a post of these choices. Harmless. None, without a call, where a platform
        says nothing of the kind. Raises AttemptFailed(TRANSIENT, RATE_LIMITED, ACCOUNT).
        """

    async def begin(self, work: Work) -> domain.Handle:
        """The harmless call that gives a handle; only with `has_handle`. Nothing is published before `send`."""

    async def stage(
        self, work: Work, handle: domain.Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        """Sends ahead of time what can be sent without publishing, so that `send` has only the last part left.

        `on_stored` as in `send`. Raises as `send`, but never Uncertain. Does nothing where the platform has no such
        parts.
        """

    async def send(
        self,
        work: Work,
        handle: domain.Handle | None,
        from_byte: int,
        on_stored: Callable[[int], Awaitable[None]],
        last_moment: Callable[[], None],
    ) -> Taken:
        """Sends the media from a byte on; with its last byte, or its only call, the platform publishes.

        `on_stored(bytes)` is awaited after each part that the platform has stored, before the next is sent.
        `last_moment()` is called right before the publishing call leaves; it raises Fenced when the lease has ended by
        the process's own clock (it may have been frozen), and what it raises is passed on.
        Raises Uncertain, UploadEnded, AttemptFailed(TRANSIENT) when the last byte surely did not arrive.
        """

    async def ask(self, account: domain.Account, options: domain.Options, handle: str, tokens: Tokens) -> Answer:
        """What became of a handle. Harmless. Raises AttemptFailed(TRANSIENT, RATE_LIMITED, ACCOUNT)."""

    async def find(self, search: Search, tokens: Tokens) -> Trace:
        """Looks for a post without a handle; only with Traits.can_find. Harmless. Raises as `ask`."""

    async def stop(self, account: domain.Account, handle: str, tokens: Tokens) -> bool:
        """Stops what is Processing and can be; True when nothing of it will be published. May be repeated. Raises as
        `ask`; then, and after False, only the next answer to `ask` says what became of it.
        """

    async def probe(self, account: domain.Account, tokens: Tokens) -> None:
        """A harmless read that tells whether the platform answers at all. Raises AttemptFailed when it does not."""
