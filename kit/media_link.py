"""Addresses under which a vendor fetches one file from the gateway, for a while and without a key.

Who makes them (the publisher) and who answers them (the gateway) share the service token; the key is derived from it,
so that a signature says nothing about the token. A link opens one file until its end, and nothing else.
"""

import hashlib
import hmac
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

PATH = "media-links"


def media_link(secret: str, prefix: str, workspace_id: UUID, media_asset_id: UUID, expire_time: datetime) -> str:
    """The address of a file, good until `expire_time`. `prefix` leads to the gateway and ends with a slash."""
    expires = int(expire_time.timestamp())
    query = urlencode({"expires": expires, "signature": _signature(secret, workspace_id, media_asset_id, expires)})
    return f"{prefix}{PATH}/{workspace_id}/{media_asset_id}?{query}"


def opens(
    secret: str, workspace_id: UUID, media_asset_id: UUID, *, expires: int, signature: str, now: datetime
) -> bool:
    """Whether an address that was given away opens the file now."""
    expected = _signature(secret, workspace_id, media_asset_id, expires)
    is_ours = hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))
    return is_ours and now.timestamp() < expires


def _signature(secret: str, workspace_id: UUID, media_asset_id: UUID, expires: int) -> str:
    key = hmac.new(secret.encode(), b"reelroute media link", hashlib.sha256).digest()
    return hmac.new(key, f"{workspace_id}/{media_asset_id}/{expires}".encode(), hashlib.sha256).hexdigest()
