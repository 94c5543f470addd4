"""Judges TikTok Shop's answers: its code decides, then the HTTP status, which alone proves nothing.

A code that is in no table is logged. For a read it is transient; for a write it is a refusal, so that nothing is done
twice for a word nobody knows; but for either, 429 asks for fewer calls, and a 5xx leaves open what happened.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from kit.vendor_call import Inspection, VendorAnswer, error_by_status
from kit.vendor_codes import Rule, error_of_rule
from kit.vendor_errors import VendorAccountProblem, VendorError, VendorRejected, VendorUnavailable, clean_text
from kit.vendor_json import as_id, id_text, mapping, mappings, text
from vendors.tiktok_shop.codes import CODES, OVERLOADED_CODE, OVERLOADED_MESSAGES

_VERSION_CODES = ("36009009", "36009010", "36009014")
_VERSION_WORDS = re.compile(r"\bversion\b", re.IGNORECASE)
_RULES = {code: rule for table in CODES.values() for code, rule in table.items()}
_ADVICE = "Look the code up in Partner Center, or ask TikTok Shop's support with the request id."
_log = structlog.get_logger("reelroute.vendor")


def rule_of(code: str, message: str) -> Rule | None:
    """What a code asks of us; 36009004 by what its message says. None when no table has it."""
    if code == OVERLOADED_CODE:
        return next(rule for pattern, rule in OVERLOADED_MESSAGES if re.search(pattern, message, re.IGNORECASE))
    return _RULES.get(code)


def is_version_refused(error: VendorError) -> bool:
    """Whether the call was refused for the version in its path: nothing was done, and another may be tried."""
    return error.code in _VERSION_CODES or (
        error.code == OVERLOADED_CODE and bool(_VERSION_WORDS.search(error.vendor_message))
    )


def inspect_read(answer: VendorAnswer) -> Inspection:
    """Judge the answer to a call that changes nothing."""
    return _inspect(answer, writes=False)


def inspect_write(answer: VendorAnswer) -> Inspection:
    """Judge the answer to a call that changes something, and whose ``data.errors`` fail it as a whole."""
    seen = _inspect(answer, writes=True)
    if seen.error is not None:
        return seen
    for problem in mappings(mapping(_object(answer), "data"), "errors"):
        code, message = id_text(problem, "code"), text(problem, "message")
        if code not in ("", "0"):
            return replace(seen, error=_error(answer, code, seen.log_id, message, writes=True))
    return seen


def inspect_items(answer: VendorAnswer) -> Inspection:
    """Judge the answer to a call that changes several things, and whose ``data.errors`` name those it failed for."""
    return _inspect(answer, writes=True)


def _inspect(answer: VendorAnswer, *, writes: bool) -> Inspection:
    body = _object(answer)
    code, log_id = as_id(body.get("code")), text(body, "request_id") or None
    if not code:
        return Inspection(_without_code(answer), log_id)
    if code != "0":
        return Inspection(_error(answer, code, log_id, text(body, "message"), writes=writes), log_id)
    return Inspection(None if answer.status < 300 else _by_status(answer, "0", ""), log_id)


def _error(answer: VendorAnswer, code: str, log_id: str | None, message: str, *, writes: bool) -> VendorError:
    rule = rule_of(code, message)
    if rule is not None:
        error = error_of_rule(
            rule,
            code=code,
            status=answer.status,
            log_id=log_id,
            vendor_message=message,
            retry_after_seconds=answer.retry_after_seconds,
        )
        if code == OVERLOADED_CODE and isinstance(error, VendorUnavailable):
            # Refused at the door for its time: as good as never sent, so a call that commits is not in doubt.
            error.sent = False
        return error
    _log.warning("tiktok_shop_unknown_error_code", code=clean_text(code), status=answer.status, log_id=log_id)
    if answer.status in (408, 429) or answer.status >= 500:
        error = _by_status(answer, code, message)
    elif writes:
        error = VendorRejected("TikTok Shop refuses the call.", code=code, status=answer.status)
    else:
        error = VendorUnavailable("TikTok Shop did not answer the question.", sent=True, code=code)
    error.status, error.log_id, error.vendor_message = answer.status, log_id, message
    error.advice = error.advice or _ADVICE
    return error


def _without_code(answer: VendorAnswer) -> VendorError:
    """An answer not of TikTok Shop's form, such as a proxy's page; unusable when its status says success."""
    if answer.status < 300:
        return VendorUnavailable(
            "TikTok Shop's answer could not be read.", sent=True, code="unreadable_answer", status=answer.status
        )
    return _by_status(answer, "", "")


def _by_status(answer: VendorAnswer, code: str, message: str) -> VendorError:
    error = error_by_status(answer, code=code, vendor_message=message)
    # A bare 401 is no word of TikTok Shop about a token: no account is lost for it.
    if error is None or isinstance(error, VendorAccountProblem):
        error = VendorRejected("The vendor refuses the call.", code=code, status=answer.status, vendor_message=message)
    return error


def _object(answer: VendorAnswer) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
