"""Vendors' error codes as data: what each means and asks of us. One table per vendor, from which docs are made too."""

import random
from dataclasses import dataclass
from enum import StrEnum

from kit.vendor_call import DEFAULT_RATE_WAIT_SECONDS
from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorNotFound,
    VendorQuotaReached,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
    VendorUncertain,
)

_DAY_SECONDS = 86_400.0
_RATE_JITTER = 0.1  # of the wait; it keeps those who wait from coming back together


class Kind(StrEnum):
    """What a code asks of us. A transient one becomes VendorUncertain by itself when the call commits."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    REFRESH = "refresh"
    RECONNECT = "reconnect"
    REJECTED = "rejected"
    NOT_FOUND = "not_found"
    VERIFY = "verify"  # it may be done already, by us: only a read tells


@dataclass(frozen=True)
class Rule:
    """A code's kind, its meaning in our words, and what a person or the caller does next.

    ``wait_seconds``: how long a rate limit or quota rests when the vendor names no time.
    """

    kind: Kind
    message: str
    advice: str
    wait_seconds: float | None = None


def error_of_rule(
    rule: Rule,
    *,
    code: str,
    status: int | None = None,
    log_id: str | None = None,
    vendor_message: str = "",
    retry_after_seconds: float | None = None,
) -> VendorError:
    """The error of a code. Without Retry-After and a wait of the rule's own: rate limits 60 to 66 s, quotas 24 h."""
    error: VendorError
    match rule.kind:
        case Kind.TRANSIENT:
            error = VendorUnavailable(rule.message, sent=True, retry_after_seconds=retry_after_seconds)
        case Kind.RATE_LIMITED:
            wait = DEFAULT_RATE_WAIT_SECONDS if rule.wait_seconds is None else rule.wait_seconds
            wait += random.random() * wait * _RATE_JITTER  # noqa: S311 - guards nothing
            error = VendorRateLimited(
                rule.message, retry_after_seconds=wait if retry_after_seconds is None else retry_after_seconds
            )
        case Kind.QUOTA:
            wait = _DAY_SECONDS if rule.wait_seconds is None else rule.wait_seconds
            error = VendorQuotaReached(
                rule.message, retry_after_seconds=wait if retry_after_seconds is None else retry_after_seconds
            )
        case Kind.REFRESH:
            error = VendorAccountProblem(rule.message, remedy=AccountRemedy.REFRESH)
        case Kind.RECONNECT:
            error = VendorAccountProblem(rule.message, remedy=AccountRemedy.RECONNECT)
        case Kind.REJECTED:
            error = VendorRejected(rule.message)
        case Kind.NOT_FOUND:
            error = VendorNotFound(rule.message)
        case Kind.VERIFY:
            error = VendorUncertain(rule.message)
    error.code, error.status, error.log_id = code, status, log_id
    error.vendor_message, error.advice = vendor_message, rule.advice
    return error
