"""TikTok's error codes and what each asks of us: one table, translated into the tree of kit.vendor_errors.

Sources: developers.tiktok.com/doc/{oauth-error-handling, tiktok-api-v2-error-handling,
content-posting-api-reference-direct-post, content-posting-api-reference-get-video-status,
content-posting-api-media-transfer-guide}. A code that is not in the table is judged by the HTTP status, and logged.

Some caps arrive with HTTP 200, so the code is read first and the status only when the code says nothing.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from kit.vendor_call import Inspection, VendorAnswer, error_by_status
from kit.vendor_codes import Kind, Rule, error_of_rule
from kit.vendor_errors import VendorError, VendorRejected, VendorUnavailable, clean_text

_log = structlog.get_logger("reelroute.vendor")


class UploadGone(VendorRejected):
    """The upload's address takes no more bytes, and this chunk was not taken.

    Nothing is posted before all bytes are in, so a new upload may begin; unless an earlier final chunk went unanswered.
    """


class UploadAddressRefused(VendorRejected):
    """TikTok gave an upload address outside of its own hosts; no byte was sent there."""


_SHOW = "Show the reason to the account's owner; the same post will be refused again."
_OPERATOR = "An operator must check the app's key, secret, products and scopes on its developer page."
_BUG = "Report it with the log id: the request was built wrongly."
_CONNECT = "Ask the account's owner to connect it again."
_LATER = "Try again later."
_REACH = "Check that REELROUTE_TIKTOK_MEDIA_URL_PREFIX leads to the gateway by https and without a redirect."

# Login Kit: the `error` key of the token endpoints and of the consent page's callback, with any HTTP status.
OAUTH_CODES: dict[str, Rule] = {
    "access_denied": Rule(Kind.REJECTED, "The account's owner declined.", "Start again if that was a mistake."),
    "invalid_grant": Rule(Kind.RECONNECT, "The code or refresh token is used up, expired or revoked.", _CONNECT),
    "invalid_client": Rule(Kind.REJECTED, "TikTok does not know the app's key and secret.", _OPERATOR),
    "unauthorized_client": Rule(Kind.REJECTED, "The app is not approved for this.", _OPERATOR),
    "invalid_request": Rule(Kind.REJECTED, "TikTok could not read the request.", _BUG),
    "invalid_scope": Rule(Kind.REJECTED, "A scope was asked for that the app does not have.", _OPERATOR),
    "unsupported_grant_type": Rule(Kind.REJECTED, "TikTok does not know the kind of grant.", _BUG),
    "unsupported_response_type": Rule(Kind.REJECTED, "TikTok does not know the kind of answer.", _BUG),
    "server_error": Rule(Kind.TRANSIENT, "TikTok has a fault of its own.", _LATER),
    "temporarily_unavailable": Rule(Kind.TRANSIENT, "TikTok is not available for the moment.", _LATER),
}

# Content Posting and Display: `error.code`.
API_CODES: dict[str, Rule] = {
    "invalid_param": Rule(Kind.REJECTED, "TikTok refuses a field of the request.", _SHOW),
    "invalid_params": Rule(Kind.REJECTED, "TikTok refuses a field of the request.", _SHOW),
    "invalid_file_upload": Rule(Kind.REJECTED, "TikTok refuses the upload's sizes.", _BUG),
    "invalid_publish_id": Rule(Kind.REJECTED, "TikTok does not know this publish id.", "Compare it with the record."),
    "token_not_authorized_for_specified_publish_id": Rule(
        Kind.REJECTED,
        "This publish id belongs to another account or app.",
        "Check which account the post was made for.",
    ),
    "publish_not_cancellable": Rule(Kind.REJECTED, "It is too late to cancel.", "Remove the post in the app."),
    "app_version_check_failed": Rule(
        Kind.REJECTED, "The TikTok app on the owner's phone is too old.", "Ask the owner to update the app."
    ),
    "access_token_invalid": Rule(
        Kind.REFRESH, "The access token is expired or revoked.", "Refresh it once; if that fails, connect again."
    ),
    "scope_not_authorized": Rule(Kind.RECONNECT, "The account's owner did not grant what this needs.", _CONNECT),
    "scope_permission_missed": Rule(Kind.RECONNECT, "Fields beyond the granted scopes were asked for.", _CONNECT),
    "spam_risk_too_many_posts": Rule(
        Kind.QUOTA, "The creator's daily number of posts through apps is reached.", "Wait a day, or post in the app."
    ),
    "spam_risk_too_many_pending_share": Rule(
        Kind.QUOTA, "Five drafts wait in the owner's inbox.", "Ask the owner to post or delete drafts."
    ),
    "reached_active_user_cap": Rule(
        Kind.QUOTA, "The app's daily number of creators is reached.", "Wait a day; TikTok raises the cap on request."
    ),
    "spam_risk_user_banned_from_posting": Rule(Kind.REJECTED, "TikTok has banned this creator from posting.", _SHOW),
    "unaudited_client_can_only_post_to_private_accounts": Rule(
        Kind.REJECTED,
        "The app has not passed TikTok's audit.",
        "Until it has, the account must be private and the post visible to its owner only.",
    ),
    "url_ownership_unverified": Rule(
        Kind.REJECTED,
        "TikTok does not know that we own the media's address.",
        "Verify REELROUTE_TIKTOK_MEDIA_URL_PREFIX as a domain or prefix on the app's page.",
    ),
    "privacy_level_option_mismatch": Rule(
        Kind.REJECTED, "The chosen visibility is not offered to this creator now.", "Ask the owner to choose again."
    ),
    "rate_limit_exceeded": Rule(Kind.RATE_LIMITED, "Too many calls in a minute.", _LATER),
    "internal_error": Rule(Kind.TRANSIENT, "TikTok has a fault of its own.", _LATER),
}

# `fail_reason` of a post whose status is FAILED: TikTok's verdict on the media or the account.
FAIL_REASONS: dict[str, Rule] = {
    "file_format_check_failed": Rule(Kind.REJECTED, "TikTok cannot read the file's format.", "Convert it to MP4."),
    "duration_check_failed": Rule(
        Kind.REJECTED, "The video is too long or too short.", "Cut it to the allowed length."
    ),
    "frame_rate_check_failed": Rule(Kind.REJECTED, "The frame rate is not allowed.", "Convert it to 23 to 60 fps."),
    "picture_size_check_failed": Rule(
        Kind.REJECTED, "The picture's size is not allowed.", "Scale it so that each side has 360 to 4096 pixels."
    ),
    "internal": Rule(Kind.TRANSIENT, "TikTok had a fault while processing the post.", "Post it again a little later."),
    # The addresses are our own: mostly the gateway was away for a moment.
    "video_pull_failed": Rule(Kind.TRANSIENT, "TikTok could not fetch the video.", _REACH),
    "photo_pull_failed": Rule(Kind.TRANSIENT, "TikTok could not fetch a photo.", _REACH),
    "publish_cancelled": Rule(Kind.REJECTED, "The post was cancelled.", "Schedule it again if that was a mistake."),
    "auth_removed": Rule(Kind.RECONNECT, "The owner disconnected the account meanwhile.", _CONNECT),
    "spam_risk_too_many_posts": API_CODES["spam_risk_too_many_posts"],
    "spam_risk_user_banned_from_posting": API_CODES["spam_risk_user_banned_from_posting"],
    "spam_risk_text": Rule(Kind.REJECTED, "TikTok sees a risk in the caption.", "Change the caption."),
    "spam_risk": Rule(Kind.REJECTED, "TikTok sees the post as a risk.", _SHOW),
}


def fail_reason_error(reason: str | None, *, publish_id: str = "") -> VendorError:
    """The error that a FAILED post stands for. An unknown or missing reason is a refusal with TikTok's own word."""
    rule = FAIL_REASONS.get(reason or "")
    if rule is None:
        _log.warning("tiktok_unknown_fail_reason", reason=clean_text(reason or ""), publish_id=publish_id)
        rule = Rule(Kind.REJECTED, "TikTok refused the post for a reason that is not documented.", _SHOW)
    error = error_of_rule(rule, code=clean_text(reason or "unknown"))
    error.vendor, error.operation = "tiktok", "publish"
    return error


def inspect_envelope(answer: VendorAnswer) -> Inspection:
    """Judge an answer of the form ``{"data": {…}, "error": {"code": "ok", …}}``: success needs 2xx and "ok"."""
    body = _object(answer)
    error = body.get("error")
    if not isinstance(error, Mapping):
        return Inspection(_without_code(answer))
    code, log_id = _word(error, "code"), _word(error, "log_id") or _word(error, "logid") or None
    if code == "ok" and answer.status < 300:
        data = body.get("data")
        handle = _word(data, "publish_id") if isinstance(data, Mapping) else ""
        return Inspection(None, log_id, handle or None)
    return Inspection(_error(API_CODES, answer, code, log_id, _word(error, "message")), log_id)


def inspect_oauth(answer: VendorAnswer) -> Inspection:
    """Judge a flat answer of the token endpoints: an ``error`` key means failure, even with HTTP 200."""
    body = _object(answer)
    log_id = _word(body, "log_id") or _word(body, "logid") or None
    error = body.get("error")
    if isinstance(error, Mapping):  # some answers wear the other endpoints' envelope
        return inspect_envelope(answer)
    if isinstance(error, str) and error and error != "ok":
        return Inspection(_error(OAUTH_CODES, answer, error, log_id, _word(body, "error_description")), log_id)
    return Inspection(error_by_status(answer), log_id)


def inspect_upload(answer: VendorAnswer) -> Inspection:
    """Judge the answer to a chunk. 416 is no error: it says where to go on."""
    if answer.status == 416 or answer.status < 300:
        return Inspection()
    if answer.status in (401, 403, 404):
        # A 401 is about the address as well: no user's token goes with a chunk.
        expired = answer.status != 404
        text = "The upload's address has expired." if expired else "TikTok does not know this upload."
        code = "upload_expired" if expired else "upload_unknown"
        return Inspection(
            UploadGone(
                text, code=code, status=answer.status, advice="Ask for the status; begin again if nothing is posted."
            )
        )
    if answer.status == 400:
        return Inspection(
            VendorRejected("TikTok refuses the chunk's headers.", code="upload_refused", status=400, advice=_BUG)
        )
    return Inspection(error_by_status(answer))


def _error(
    table: Mapping[str, Rule], answer: VendorAnswer, code: str, log_id: str | None, vendor_message: str
) -> VendorError:
    rule = table.get(code)
    if rule is not None:
        return error_of_rule(
            rule,
            code=code,
            status=answer.status,
            log_id=log_id,
            vendor_message=vendor_message,
            retry_after_seconds=answer.retry_after_seconds,
        )
    _log.warning("tiktok_unknown_error_code", code=clean_text(code), status=answer.status, log_id=log_id)
    error = error_by_status(answer, code=code, vendor_message=vendor_message)
    if error is None:
        error = VendorRejected("TikTok refuses the call.", code=code, status=answer.status)
        error.vendor_message = vendor_message
    error.log_id, error.advice = log_id, error.advice or _SHOW
    return error


def _without_code(answer: VendorAnswer) -> VendorError:
    """An answer not of TikTok's form, such as a proxy's page: by status; unusable when that says success."""
    by_status = error_by_status(answer)
    if by_status is not None:
        return by_status
    return VendorUnavailable(
        "TikTok's answer could not be read.", sent=True, code="unreadable_answer", status=answer.status
    )


def _object(answer: VendorAnswer) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _word(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
