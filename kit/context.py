"""What belongs to the work of this thread or task: the deadline and request id of the call that it answers, and what it
is about.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from uuid import UUID

from kit.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Subjects:
    """What work is about, by our own ids."""

    workspace_id: UUID | None = None
    post_id: UUID | None = None
    delivery_id: UUID | None = None
    account_id: UUID | None = None
    order_id: UUID | None = None
    shop_id: UUID | None = None


_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_request_id: ContextVar[str] = ContextVar("request_id", default="")
_subjects: ContextVar[Subjects] = ContextVar("subjects", default=Subjects())  # noqa: B039 - frozen


@contextmanager
def call(*, request_id: str, timeout_seconds: float | None) -> Iterator[None]:
    """Sets the request id and the deadline for what is done inside."""
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    deadline_token, request_token = _deadline.set(deadline), _request_id.set(request_id)
    try:
        yield
    finally:
        _deadline.reset(deadline_token)
        _request_id.reset(request_token)


@contextmanager
def about(**ids: UUID | None) -> Iterator[None]:
    """Says what is done inside is about, by the names of Subjects; what was said outside still holds.

    Tasks that begin inside keep it, and so does what is handed to another thread's event loop.
    """
    token = _subjects.set(replace(_subjects.get(), **ids))
    try:
        yield
    finally:
        _subjects.reset(token)


def subjects() -> Subjects:
    """What the present work is about."""
    return _subjects.get()


def request_id() -> str:
    """The id of the request that is being answered; empty outside of one."""
    return _request_id.get()


def remaining_seconds(at_most: float) -> float:
    """How long a call or statement made now may take: `at_most`, or less when the caller's deadline is nearer.

    Raises DeadlineExceeded when nothing is left: no work is begun for a caller who no longer waits.
    """
    deadline = _deadline.get()
    if deadline is None:
        return at_most
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlineExceeded("The caller's deadline passed before this step began. Call again with more time.")
    return min(at_most, left)
