"""What belongs to the call that this thread or task is answering: its deadline and its request id."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from kit.errors import DeadlineExceeded

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_request_id: ContextVar[str] = ContextVar("request_id", default="")


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
