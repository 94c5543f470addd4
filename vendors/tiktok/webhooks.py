"""Webhooks of TikTok for Developers: who signed them, and what they say.

They come at least once, in any order, and may be lost: each is only a hint to read the state. There is no id; the body
of an event stays the same when it is sent again, so its digest is what a receiver remembers.
Sources: developers.tiktok.com/doc/{webhooks-overview, webhooks-events, webhooks-verification}.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from kit.vendor_json import UnreadableAnswer, id_text, moment, needed_text, text
from kit.vendor_webhook import WebhookForged, WebhookStale, WebhookUnreadable, check_signature, check_size

SIGNATURE_HEADER = "TikTok-Signature"
TOLERANCE = timedelta(seconds=300)
MAX_BYTES = 64 * 1024
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),s=([0-9a-f]{64})")


class EventKind(StrEnum):
    """What happened. UNKNOWN stands for an event that TikTok added later; ``raw`` has its name."""

    AUTHORIZATION_REMOVED = "authorization.removed"
    POST_COMPLETE = "post.publish.complete"
    POST_FAILED = "post.publish.failed"
    POST_INBOX_DELIVERED = "post.publish.inbox_delivered"
    POST_PUBLICLY_AVAILABLE = "post.publish.publicly_available"
    POST_NO_LONGER_PUBLICLY_AVAILABLE = "post.publish.no_longer_publicaly_available"  # the misspelling is TikTok's
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> "EventKind":
        return cls.UNKNOWN


@dataclass(frozen=True)
class WebhookEvent:
    """One event. Texts are empty where the event has none.

    ``reason``: why a post failed (the words of FAIL_REASONS), or the number of why an authorisation ended: 0 unknown,
    1 the user disconnected, 2 account deleted, 3 age changed, 4 account banned, 5 revoked by the developer.
    """

    kind: EventKind
    open_id: str
    create_time: datetime | None
    publish_id: str
    post_id: str
    reason: str
    digest: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def read_event(
    body: bytes,
    signature: str,
    *,
    secret: str,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
    max_bytes: int = MAX_BYTES,
) -> WebhookEvent:
    """Check a webhook and read it. ``body`` is as it came, ``signature`` the header's value, ``secret`` the app's.

    Raises WebhookTooLarge, WebhookForged, WebhookStale (signed more than ``tolerance`` from ``now``) or
    WebhookUnreadable.
    """
    check_size(body, max_bytes)
    parts = _SIGNATURE.fullmatch(signature.strip())
    if parts is None:
        raise WebhookForged(f"The header {SIGNATURE_HEADER} is missing or not of the form t=…,s=….")
    check_signature(parts[2], secret=secret, message=parts[1].encode() + b"." + body)
    if abs(now - datetime.fromtimestamp(int(parts[1]), UTC)) > tolerance:
        raise WebhookStale("The webhook was signed too long ago or ahead of time; compare the clocks.")
    try:
        raw = _object(body)
        # A text of its own: parsed twice.
        content = _object(needed_text(raw, "content"))
        word = needed_text(raw, "event")
    except UnreadableAnswer as missing:
        raise WebhookUnreadable(f"The webhook has no readable {missing}.") from None
    return WebhookEvent(
        kind=EventKind(word),
        open_id=text(raw, "user_openid"),
        create_time=moment(raw, "create_time"),
        publish_id=id_text(content, "publish_id"),
        post_id=id_text(content, "post_id"),
        reason=id_text(content, "reason"),
        digest=hashlib.sha256(body).hexdigest(),
        raw=dict(raw) | {"content": content},
    )


def _object(written: str | bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping):
        raise UnreadableAnswer("content" if isinstance(written, str) else "body")
    return value
