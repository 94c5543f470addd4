"""Signatures of TikTok Shop: of requests ("Sign your API request") and of webhooks ("TikTok Shop webhooks")."""

import hashlib
import hmac
from collections.abc import Iterable

_NEVER_SIGNED = ("sign", "access_token")


def sign_request(secret: str, path: str, query: Iterable[tuple[str, str]], body: bytes, content_type: str) -> str:
    """The `sign` of a request: lower-case hexadecimal HMAC-SHA256 over path, sorted decoded query and exact body.

    The body of a multipart request is not signed, and neither are headers.
    """
    words = sorted((name, value) for name, value in query if name not in _NEVER_SIGNED)
    text = path + "".join(name + value for name, value in words)
    multipart = content_type.lower().startswith("multipart/form-data")
    message = secret.encode() + text.encode() + (b"" if multipart else body) + secret.encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def sign_webhook(app_key: str, secret: str, body: bytes) -> str:
    """Value of the `Authorization` header of a webhook: HMAC-SHA256 over app key and raw body."""
    return hmac.new(secret.encode(), app_key.encode() + body, hashlib.sha256).hexdigest()
