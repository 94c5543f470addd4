"""TikTok's webhooks: the signature's known vector, and who is refused."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.vendor_webhook import WebhookForged, WebhookStale, WebhookTooLarge, WebhookUnreadable
from vendors.tiktok.webhooks import EventKind, WebhookEvent, read_event

SECRET = "test_client_secret"
TIME = 1633174587
NOW = datetime.fromtimestamp(TIME, UTC)
BODY = (
    rb'{"client_key":"bwo2m45353a6k85","event":"authorization.removed","create_time":1615338610,'
    rb'"user_openid":"act.example","content":"{\"reason\":1}"}'
)
SIGN = "79d7511e19fd16db51a30b3784874138bca610088ffd8b1f6a25f94ec93735ba"
HEADER = f"t={TIME},s={SIGN}"


def read(body: bytes = BODY, header: str = HEADER, secret: str = SECRET, now: datetime = NOW) -> WebhookEvent:
    return read_event(body, header, secret=secret, now=now)


def signed(body: bytes) -> str:
    digest = hmac.new(SECRET.encode(), f"{TIME}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={TIME},s={digest}"


def event(name: str, content: object) -> bytes:
    inner = content if isinstance(content, str) else json.dumps(content)
    return json.dumps({"event": name, "create_time": TIME, "user_openid": "open-1", "content": inner}).encode()


def test_the_known_vector_is_accepted_and_says_who_disconnected() -> None:
    removed = read()
    assert (removed.kind, removed.open_id, removed.reason) == (EventKind.AUTHORIZATION_REMOVED, "act.example", "1")
    assert removed.create_time == datetime(2021, 3, 10, 1, 10, 10, tzinfo=UTC)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_changed_byte_of_the_body_is_a_forgery(place: int, change: int) -> None:
    changed = bytearray(BODY)
    changed[place] ^= change
    with pytest.raises(WebhookForged):
        read(bytes(changed))


@pytest.mark.parametrize(
    "header",
    ["", SIGN, f"t={TIME}", f"s={SIGN}", f"t=x,s={SIGN}", f"t={TIME},s={SIGN.upper()}", f"t={TIME + 1},s={SIGN}", "é"],
)
def test_a_missing_or_broken_signature_is_a_forgery(header: str) -> None:
    with pytest.raises(WebhookForged):
        read(header=header)


@pytest.mark.parametrize("secret", ["", "another_secret"])
def test_without_the_right_secret_nothing_is_accepted(secret: str) -> None:
    with pytest.raises(WebhookForged):
        read(secret=secret)


def test_an_empty_secret_cannot_be_signed_with() -> None:
    digest = hmac.new(b"", f"{TIME}.".encode() + BODY, hashlib.sha256).hexdigest()
    with pytest.raises(WebhookForged):
        read(header=f"t={TIME},s={digest}", secret="")


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_to_either_side_are_in_time(seconds: int) -> None:
    read(now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_what_was_signed_more_than_five_minutes_away_is_stale(seconds: int) -> None:
    with pytest.raises(WebhookStale):
        read(now=NOW + timedelta(seconds=seconds))


def test_a_body_above_the_limit_is_refused_before_its_signature_is_looked_at() -> None:
    with pytest.raises(WebhookTooLarge):
        read_event(b"x" * 11, "", secret=SECRET, now=NOW, max_bytes=10)


def test_the_content_is_a_text_of_its_own_and_ids_keep_their_digits() -> None:
    body = event(
        "post.publish.publicly_available",
        '{"publish_id":"v_pub~1","post_id":7312345678901234567,"publish_type":"X"}',
    )
    public = read(body, signed(body))
    assert (public.kind, public.publish_id) == (EventKind.POST_PUBLICLY_AVAILABLE, "v_pub~1")
    assert public.post_id == "7312345678901234567"
    assert public.raw["content"]["publish_type"] == "X"


def test_a_failure_carries_its_reason_and_a_repeated_event_its_digest() -> None:
    body = event("post.publish.failed", {"publish_id": "v_pub~1", "reason": "duration_check_failed"})
    failed = read(body, signed(body))
    assert (failed.kind, failed.reason) == (EventKind.POST_FAILED, "duration_check_failed")
    assert failed.digest == read(body, signed(body)).digest != read().digest


def test_an_event_of_a_later_day_is_unknown_and_not_refused() -> None:
    body = event("post.publish.brand_new", {})
    assert read(body, signed(body)).kind is EventKind.UNKNOWN


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", event("x", "no json"), event("x", "[]"), b"[" * 50_000])
def test_signed_nonsense_is_unreadable(body: bytes) -> None:
    with pytest.raises(WebhookUnreadable):
        read(body, signed(body))
