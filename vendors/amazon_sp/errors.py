"""Judges answers of the Selling Partner API and of Login with Amazon.

The HTTP status decides, with the body's words where there are some: ``{"errors": [{code, message, details}]}``, which a
200 may carry too. What is not of that form, such as a gateway's page, is judged by its status alone, and is never a
success. A code that is in no table is logged.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from kit.vendor_call import Inspection, VendorAnswer
from kit.vendor_codes import Kind, Rule, error_of_rule
from kit.vendor_errors import VendorError, VendorUnavailable, clean_text
from kit.vendor_json import mappings, text
from vendors.amazon_sp.operations import FULFILLMENT_ROLE, Operation

_LATER = "Try again later."
_BUG = "Report it with the request id: the request was built wrongly."
_OWNER = "Correct what Amazon names; the same call will be refused again."
_AGAIN = "Let the seller authorise the app again in Seller Central."
_APP = "An operator must check the app's credentials; Amazon wants a new secret every 180 days."
_READ = "Read the state first."

# By the code of an error; for the codes that come with any status.
CODES = {
    "InvalidInput": Rule(Kind.REJECTED, "Amazon refuses the request.", _OWNER),
    "NotFound": Rule(Kind.NOT_FOUND, "Amazon does not have it.", "Check the id."),
    "ResourceNotFound": Rule(Kind.NOT_FOUND, "Amazon does not have it.", "Check the id."),
    "QuotaExceeded": Rule(Kind.RATE_LIMITED, "Amazon asks for fewer calls.", "It is tried again more slowly."),
    "InternalFailure": Rule(Kind.TRANSIENT, "Amazon has a fault of its own.", _LATER),
    "InternalError": Rule(Kind.TRANSIENT, "Amazon has a fault of its own.", _LATER),
    "ServiceUnavailable": Rule(Kind.TRANSIENT, "Amazon cannot answer now.", _LATER),
    "RequestTooLarge": Rule(Kind.REJECTED, "The request is too large.", _BUG),
    "UnsupportedMediaType": Rule(Kind.REJECTED, "The content type is wrong.", _BUG),
}
_EXPIRED = Rule(Kind.REFRESH, "Amazon does not accept the access token.", "A new one is asked for.")
_REVOKED = Rule(Kind.RECONNECT, "Amazon denies access: the authorisation was revoked, or lacks a role.", _AGAIN)
_UNKNOWN = Rule(Kind.TRANSIENT, "Amazon answers with an error that is not known.", _READ)
_EXPIRED_WORDS = re.compile(r"token[^.]*(expired|invalid|malformed)|(expired|invalid)[^.]*token", re.IGNORECASE)

# What Login with Amazon answers. What is not here is judged by its status.
LWA_CODES = {
    "invalid_grant": Rule(Kind.RECONNECT, "Amazon does not accept the authorisation.", _AGAIN),
    "invalid_client": Rule(Kind.REJECTED, "Amazon does not accept the app's id or secret.", _APP),
    "unauthorized_client": Rule(Kind.REJECTED, "Amazon does not accept the app.", _APP),
    "invalid_request": Rule(Kind.REJECTED, "Amazon does not understand the token request.", _BUG),
    "unsupported_grant_type": Rule(Kind.REJECTED, "Amazon does not know the kind of the token request.", _BUG),
    "invalid_scope": Rule(Kind.REJECTED, "Amazon does not know the scope of the token request.", _BUG),
    "server_error": Rule(Kind.TRANSIENT, "Login with Amazon has a fault of its own.", _LATER),
    "temporarily_unavailable": Rule(Kind.TRANSIENT, "Login with Amazon cannot answer now.", _LATER),
}
_log = structlog.get_logger("reelroute.vendor")


@dataclass(frozen=True)
class _Problem:
    code: str
    message: str
    details: str


def inspector(
    operation: Operation, pause_after: Callable[[bool], float], *, takes_hints: bool
) -> Callable[[VendorAnswer], Inspection]:
    """Judges the answers to one kind of call.

    ``pause_after`` is told of each answer whether Amazon refused the call for its number, and answers how long calls of
    this kind then rest. ``takes_hints``: whether the rate that Amazon says is to hold.
    """

    def inspect(answer: VendorAnswer) -> Inspection:
        error = _error(operation, answer, pause_after(answer.status == 429))
        per_second = _per_second(answer) if takes_hints else None
        return Inspection(error, _request_id(answer), per_second=per_second)

    return inspect


def inspect_lwa(answer: VendorAnswer) -> Inspection:
    """Judges an answer of Login with Amazon."""
    body = _object(answer) or {}
    code = text(body, "error")
    rule = LWA_CODES.get(code) or _lwa_rule_by_status(answer.status)
    if rule is None and not code:
        return Inspection(None, _request_id(answer))
    if code and code not in LWA_CODES:
        _log.warning("amazon_sp_unknown_lwa_error", code=clean_text(code), status=answer.status)
    return Inspection(
        error_of_rule(
            rule or _UNKNOWN,
            code=code,
            status=answer.status,
            log_id=_request_id(answer),
            vendor_message=text(body, "error_description"),
            retry_after_seconds=answer.retry_after_seconds,
        ),
        _request_id(answer),
    )


def _error(operation: Operation, answer: VendorAnswer, pause: float) -> VendorError | None:
    body = _object(answer)
    problems = _problems(body or {})
    first = problems[0] if problems else _Problem("", "", "")
    if answer.status < 300 and not problems:
        if body is None:
            return VendorUnavailable(
                "Amazon's answer could not be read.",
                sent=True,
                code="unreadable_answer",
                status=answer.status,
                log_id=_request_id(answer),
            )
        return None
    return error_of_rule(
        _rule(operation, answer.status, first, has_words=bool(problems)),
        code=first.code,
        status=answer.status,
        log_id=_request_id(answer),
        vendor_message=" ".join(each.message for each in problems if each.message),
        retry_after_seconds=pause if answer.status == 429 else answer.retry_after_seconds,
    )


def _rule(operation: Operation, status: int, problem: _Problem, *, has_words: bool) -> Rule:
    """What an answer asks of us: its status, and its code where the status leaves it open."""
    match status:
        case 401 | 403:
            if _EXPIRED_WORDS.search(f"{problem.message} {problem.details}"):
                return _EXPIRED
            if not has_words:
                # A proxy's word, not Amazon's: no merchant is lost for it.
                return Rule(Kind.REJECTED, "Something before Amazon denies access.", _OWNER)
            if operation.role == FULFILLMENT_ROLE:
                return _REVOKED
            text_of_role = f'Amazon denies access: the app or the seller has not allowed the role "{operation.role}".'
            return Rule(Kind.REJECTED, text_of_role, f"Add the role to the app. {_AGAIN}")
        case 404:
            if has_words:
                return CODES["NotFound"]
            return Rule(Kind.REJECTED, "There is nothing at Amazon's address.", "Check the address of the endpoint.")
        case 429:
            return CODES["QuotaExceeded"]
        case 408 | 409 | 425:
            return CODES["ServiceUnavailable"]
        case 413:
            return CODES["RequestTooLarge"]
        case 415:
            return CODES["UnsupportedMediaType"]
    if status >= 500:
        return CODES["InternalFailure"]
    if status >= 400:
        return CODES["InvalidInput"]
    if status >= 300:
        return Rule(Kind.REJECTED, "Amazon's address answers with a redirect.", "Check the address of the endpoint.")
    if problem.code in CODES:
        return CODES[problem.code]
    _log.warning("amazon_sp_unknown_error_code", code=clean_text(problem.code), operation=operation.name)
    return _UNKNOWN


def _lwa_rule_by_status(status: int) -> Rule | None:
    if status < 300:
        return None
    if status == 429:
        return Rule(Kind.RATE_LIMITED, "Login with Amazon asks for fewer calls.", _LATER)
    if status in (401, 403):
        return LWA_CODES["invalid_client"]
    if status == 408 or status >= 500:
        return LWA_CODES["server_error"]
    return LWA_CODES["invalid_request"]


def _problems(body: Mapping[str, Any]) -> list[_Problem]:
    found = [
        _Problem(text(each, "code"), text(each, "message"), text(each, "details")) for each in mappings(body, "errors")
    ]
    return found or ([_Problem("", "", "")] if body.get("errors") else [])


def _request_id(answer: VendorAnswer) -> str | None:
    return answer.headers.get("x-amzn-requestid") or answer.headers.get("x-amz-rid") or None


def _per_second(answer: VendorAnswer) -> float | None:
    """The rate that Amazon says; None where it says none, or something that is no rate."""
    said = answer.headers.get("x-amzn-ratelimit-limit", "").strip()
    if not re.fullmatch(r"\d{1,6}(\.\d{1,9})?", said):
        return None
    return float(said) or None


def _object(answer: VendorAnswer) -> Mapping[str, Any] | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
