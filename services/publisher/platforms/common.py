"""What adapters share: what a vendor's errors mean for an attempt, and calls with a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorQuotaReached,
    VendorRateLimited,
    VendorUnavailable,
    VendorUncertain,
)
from services.publisher.domain import AttemptFailed, Failure, FailureKind
from services.publisher.platforms.base import Tokens

Answered = TypeVar("Answered")


def failure_of(error: VendorError) -> Failure:
    """What a failed call means for the attempt. Nothing was published by it. The reason begins with the platform."""
    reason = f"{error.vendor}_{error.code or f'http_{error.status}'}".upper()
    message = " ".join(part for part in (error.message, error.advice) if part)
    now = datetime.now(UTC)
    match error:
        case VendorUnavailable(retry_after_seconds=wait):
            return Failure(FailureKind.TRANSIENT, reason, message, now + timedelta(seconds=wait) if wait else None)
        case VendorUncertain():
            return Failure(FailureKind.TRANSIENT, reason, message)
        case VendorRateLimited(retry_after_seconds=wait) | VendorQuotaReached(retry_after_seconds=wait):
            return Failure(FailureKind.RATE_LIMITED, reason, message, now + timedelta(seconds=wait))
        case VendorAccountProblem():
            return Failure(FailureKind.ACCOUNT, reason, message)
        case _:
            return Failure(FailureKind.PERMANENT, reason, message)


async def with_token(
    tokens: Tokens, call: Callable[[str], Awaitable[Answered]], *, confirms_loss: bool = False
) -> Answered:
    """Makes a call that does nothing when it is refused; when the token is refused once, with a fresh one.

    `confirms_loss`: also when the vendor says that only the owner can help, and twice: the first token may be known
    from a moment ago, and the stored one dead as well. Whether the authorisation is lost the refresh says, and records
    it. Raises AttemptFailed for a VendorError; VendorUncertain comes through.
    """
    token, fresh_left = await tokens.access(), 2 if confirms_loss else 1
    while True:
        try:
            return await call(token)
        except VendorUncertain:
            raise
        except VendorError as error:
            wants_fresh = isinstance(error, VendorAccountProblem) and (
                confirms_loss or error.remedy is AccountRemedy.REFRESH
            )
            if not wants_fresh or not fresh_left:
                raise AttemptFailed(failure_of(error), error.log_id or "") from None
        token, fresh_left = await tokens.fresh(token), fresh_left - 1
