"""The signature of a call to TikTok Shop.

HMAC-SHA256, in lower-case hexadecimal and with the app's secret as key, over: secret, path, each query parameter's
name and value in the order of the names (values as they are before percent-encoding), the exact bytes of the body, and
the secret again. ``sign`` and ``access_token`` are left out, and so is a multipart body.
Source: partner.tiktokshop.com/docv2/page/sign-your-api-request.
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode

_UNSIGNED = ("sign", "access_token")


def sign(secret: str, path: str, params: Mapping[str, str], body: bytes = b"") -> str:
    """The signature of a call. ``path`` is without host and query, ``params`` are not percent-encoded."""
    told = path + "".join(name + params[name] for name in sorted(params) if name not in _UNSIGNED)
    wrapped = secret.encode() + told.encode() + body + secret.encode()
    return hmac.new(secret.encode(), wrapped, hashlib.sha256).hexdigest()


def signed_url(url: str, body: bytes, *, app_key: str, secret: str, timestamp: int) -> str:
    """A path with its query, and app key, timestamp (Unix seconds) and signature added to it."""
    path, _, query = url.partition("?")
    params = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    params |= {"app_key": app_key, "timestamp": str(timestamp)}
    params["sign"] = sign(secret, path, params, body)
    return f"{path}?{query_text(params)}"


def query_text(params: Mapping[str, str]) -> str:
    """A query in which everything but letters, digits and ``-._~`` is percent-encoded."""
    return urlencode(params, quote_via=quote, safe="")
