"""Answers in TikTok Shop's envelope, and its refusals."""

import json
import secrets
import time
from typing import Any

from starlette.responses import Response

# Overloaded: missing and unexpected fields, a bad app key, a clock that is off. The message tells which.
BAD_REQUEST = 36009004
TOO_MANY, HOURLY_QUOTA, INTERNAL = 36009002, 36009037, 36009003
WRONG_PATH, WRONG_METHOD, WRONG_VERSION = 36009009, 36009010, 36009014
FILE_TOO_LARGE, WRONG_CONTENT_TYPE = 36009021, 36009023
SHOP_INACTIVE = 36009043
WRONG_TOKEN_KIND, TOKEN_INVALID, TOKEN_EXPIRED, SCOPE_MISSING = 101000, 105001, 105002, 105005
BAD_SIGN, CIPHER_MISSING = 106001, 106013

# Code → HTTP status. The documentation gives few of them; the others are what such a refusal usually has. Codes of the
# business behind the front door (orders, stock, packages …) come with 200, so that clients must look at the code.
ERROR_STATUS = {
    BAD_REQUEST: 400,
    TOO_MANY: 429,
    HOURLY_QUOTA: 429,
    INTERNAL: 500,
    36009007: 504,
    WRONG_PATH: 404,
    WRONG_METHOD: 405,
    WRONG_VERSION: 404,
    FILE_TOO_LARGE: 413,
    36009022: 400,
    WRONG_CONTENT_TYPE: 400,
    36009033: 403,
    SHOP_INACTIVE: 401,
    36009044: 401,
    WRONG_TOKEN_KIND: 403,
    TOKEN_INVALID: 401,
    TOKEN_EXPIRED: 401,
    SCOPE_MISSING: 403,
    BAD_SIGN: 401,
    CIPHER_MISSING: 400,
}


class Refusal(Exception):
    """A documented refusal. The message may be shown to clients."""

    def __init__(self, code: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after


def answer(code: int, message: str, data: dict[str, Any], status: int = 200) -> Response:
    """The envelope. A `request_id` is new for each answer."""
    body = {
        "code": code,
        "message": message,
        "request_id": time.strftime("%Y%m%d%H%M%S", time.gmtime()) + secrets.token_hex(9).upper(),
        "data": data,
    }
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        status_code=status,
        headers={"Cache-Control": "no-store"},
        media_type="application/json; charset=utf-8",
    )


def ok(data: dict[str, Any]) -> Response:
    """A success. What was refused for single items stands in `data.errors`."""
    return answer(0, "Success", data)
