"""Answers in TikTok's forms: envelope, flat OAuth answers, and refusals of both kinds."""

import json
import secrets
import time
from typing import Any

from starlette.responses import Response

# Code → HTTP status, "API v2 error handling" and the reference page of each call.
ERROR_STATUS = {
    "invalid_param": 400,
    "invalid_params": 400,
    "invalid_file_upload": 400,
    "invalid_publish_id": 400,
    "token_not_authorized_for_specified_publish_id": 400,
    "publish_not_cancellable": 400,
    "app_version_check_failed": 400,
    "access_token_invalid": 401,
    "scope_not_authorized": 401,
    "scope_permission_missed": 400,
    "spam_risk_too_many_posts": 403,
    "spam_risk_too_many_pending_share": 403,
    "reached_active_user_cap": 403,
    "spam_risk_user_banned_from_posting": 403,
    "unaudited_client_can_only_post_to_private_accounts": 403,
    "url_ownership_unverified": 403,
    "privacy_level_option_mismatch": 403,
    "rate_limit_exceeded": 429,
    "internal_error": 500,
}

# The same for the OAuth endpoints. TikTok does not document their statuses; these are those of RFC 6749.
OAUTH_STATUS = {
    "access_denied": 400,
    "invalid_grant": 400,
    "invalid_client": 401,
    "unauthorized_client": 400,
    "invalid_request": 400,
    "invalid_scope": 400,
    "unsupported_grant_type": 400,
    "unsupported_response_type": 400,
    "server_error": 500,
    "temporarily_unavailable": 503,
}

# Codes that creator_info reports inside an HTTP 200.
QUIET_ON_CREATOR_INFO = frozenset(
    {"spam_risk_too_many_posts", "spam_risk_user_banned_from_posting", "reached_active_user_cap"}
)

FAIL_REASONS = (
    "file_format_check_failed",
    "duration_check_failed",
    "frame_rate_check_failed",
    "picture_size_check_failed",
    "internal",
    "video_pull_failed",
    "photo_pull_failed",
    "publish_cancelled",
    "auth_removed",
    "spam_risk_too_many_posts",
    "spam_risk_user_banned_from_posting",
    "spam_risk_text",
    "spam_risk",
)


class Refusal(Exception):
    """A documented refusal of the API. The message may be shown to clients."""

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or ERROR_STATUS[code]


class OAuthRefusal(Exception):
    """A documented refusal of an OAuth endpoint."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def log_id() -> str:
    """A new id in the style of TikTok's: time and random hex."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime()) + secrets.token_hex(9).upper()


def flat(body: dict[str, Any], status: int = 200) -> Response:
    """A JSON answer without envelope."""
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        status_code=status,
        headers={"Cache-Control": "no-store"},
        media_type="application/json; charset=utf-8",
    )


def ok(data: dict[str, Any]) -> Response:
    """A success in the envelope."""
    return flat({"data": data, "error": {"code": "ok", "message": "", "log_id": log_id()}})


def refuse(code: str, message: str, status: int) -> Response:
    """A refusal in the envelope."""
    return flat({"data": {}, "error": {"code": code, "message": message, "log_id": log_id()}}, status)


def refuse_oauth(code: str, message: str, status: int) -> Response:
    """A refusal of an OAuth endpoint: no envelope."""
    return flat({"error": code, "error_description": message, "log_id": log_id()}, status)
