"""TikTok's codes: each documented one, and how the undocumented ones are taken."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.vendor_call import VendorAnswer
from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorQuotaReached,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
)
from kit.vendor_json import UnreadableAnswer
from vendors.tiktok import errors, models

# The classes of TikTok's documents: T transient, R rate, C cap, A account, P permanent.
LETTERS: dict[str, type[VendorError]] = {
    "T": VendorUnavailable,
    "R": VendorRateLimited,
    "C": VendorQuotaReached,
    "A": VendorAccountProblem,
    "P": VendorRejected,
}
OAUTH = """access_denied P, invalid_grant A, invalid_client P, unauthorized_client P, invalid_request P,
    invalid_scope P, unsupported_grant_type P, unsupported_response_type P, server_error T, temporarily_unavailable T"""
API = """invalid_param P, invalid_params P, invalid_file_upload P, invalid_publish_id P,
    token_not_authorized_for_specified_publish_id P, publish_not_cancellable P, app_version_check_failed P,
    access_token_invalid A, scope_not_authorized A, scope_permission_missed A, spam_risk_too_many_posts C,
    spam_risk_too_many_pending_share C, reached_active_user_cap C, spam_risk_user_banned_from_posting P,
    unaudited_client_can_only_post_to_private_accounts P, url_ownership_unverified P, privacy_level_option_mismatch P,
    rate_limit_exceeded R, internal_error T"""
FAIL_REASONS = """file_format_check_failed P, duration_check_failed P, frame_rate_check_failed P,
    picture_size_check_failed P, internal T, video_pull_failed T, photo_pull_failed T, publish_cancelled P,
    auth_removed A, spam_risk_too_many_posts C, spam_risk_user_banned_from_posting P, spam_risk_text P, spam_risk P"""


def rows(table: str) -> list[tuple[str, str]]:
    return [(row.split()[0], row.split()[1]) for row in table.split(",")]


def answer(body: object, status: int = 200, **headers: str) -> VendorAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return VendorAnswer(status, named, content, datetime(2026, 11, 21, tzinfo=UTC))


def envelope(code: str, status: int = 200, log: str = "log_id", **headers: str) -> VendorAnswer:
    return answer({"data": {}, "error": {"code": code, "message": "their words", log: "2026AA"}}, status, **headers)


@pytest.mark.parametrize(("code", "letter"), rows(OAUTH))
def test_each_oauth_error_has_its_class_even_with_http_200(code: str, letter: str) -> None:
    body = {"error": code, "error_description": "their words", "log_id": "2026AA"}
    error = errors.inspect_oauth(answer(body)).error
    assert type(error) is LETTERS[letter]
    assert (error.code, error.log_id, error.vendor_message) == (code, "2026AA", "their words")
    assert error.advice


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize(("code", "letter"), rows(API))
def test_each_posting_error_has_its_class_whatever_the_status(code: str, letter: str, status: int) -> None:
    error = errors.inspect_envelope(envelope(code, status)).error
    assert type(error) is LETTERS[letter]
    assert (error.code, error.log_id, error.status) == (code, "2026AA", status)
    assert error.advice


@pytest.mark.parametrize(("reason", "letter"), rows(FAIL_REASONS))
def test_each_fail_reason_has_its_class(reason: str, letter: str) -> None:
    error = errors.fail_reason_error(reason)
    assert type(error) is LETTERS[letter]
    assert (error.vendor, error.code) == ("tiktok", reason)


def test_the_tables_hold_the_documented_codes_and_no_others() -> None:
    assert set(errors.OAUTH_CODES) == {code for code, _ in rows(OAUTH)}
    assert set(errors.API_CODES) == {code for code, _ in rows(API)}
    assert set(errors.FAIL_REASONS) == {reason for reason, _ in rows(FAIL_REASONS)}


def test_an_expired_token_asks_for_a_refresh_and_a_missing_scope_for_the_owner() -> None:
    remedies = {}
    for code in ("access_token_invalid", "scope_not_authorized"):
        error = errors.inspect_envelope(envelope(code, 401)).error
        assert isinstance(error, VendorAccountProblem)
        remedies[code] = error.remedy
    assert remedies == {
        "access_token_invalid": AccountRemedy.REFRESH,
        "scope_not_authorized": AccountRemedy.RECONNECT,
    }


def test_a_rate_limit_waits_a_minute_and_some_or_what_tiktok_says() -> None:
    plain = errors.inspect_envelope(envelope("rate_limit_exceeded", 429)).error
    told = errors.inspect_envelope(envelope("rate_limit_exceeded", 429, retry_after="9")).error
    assert isinstance(plain, VendorRateLimited)
    assert isinstance(told, VendorRateLimited)
    assert 60 <= plain.retry_after_seconds <= 66
    assert told.retry_after_seconds == 9


def test_a_daily_cap_is_parked_for_a_day() -> None:
    error = errors.inspect_envelope(envelope("spam_risk_too_many_posts")).error
    assert isinstance(error, VendorQuotaReached)
    assert error.retry_after_seconds == 24 * 60 * 60


def test_the_second_spelling_of_the_log_id_is_read_too() -> None:
    assert errors.inspect_envelope(envelope("ok", log="logid")).log_id == "2026AA"


def test_the_publish_id_is_noted_from_an_answer_without_error() -> None:
    seen = errors.inspect_envelope(answer({"data": {"publish_id": "v_pub~1"}, "error": {"code": "ok"}}))
    assert (seen.error, seen.handle) == (None, "v_pub~1")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, VendorRejected),
        (400, VendorRejected),
        (401, VendorAccountProblem),
        (429, VendorRateLimited),
        (503, VendorUnavailable),
    ],
)
def test_an_unknown_code_is_judged_by_its_status(status: int, kind: type[VendorError]) -> None:
    error = errors.inspect_envelope(envelope("brand_new_code", status)).error
    assert type(error) is kind
    assert error.code == "brand_new_code"


@pytest.mark.parametrize("reason", ["video_bitrate_check_failed", "", None])
def test_an_unknown_fail_reason_is_a_refusal_with_their_own_word(reason: str | None) -> None:
    error = errors.fail_reason_error(reason)
    assert type(error) is VendorRejected
    assert error.code == (reason or "unknown")


def test_ok_with_a_failing_status_is_an_error() -> None:
    assert isinstance(errors.inspect_envelope(envelope("ok", 502)).error, VendorUnavailable)


@pytest.mark.parametrize("body", [b"", b"<html>down</html>", b"[]", b'{"data": {}}', b"NaN", b"[" * 100_000])
def test_an_answer_that_cannot_be_read_is_no_success(body: bytes) -> None:
    assert isinstance(errors.inspect_envelope(answer(body)).error, VendorUnavailable)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, VendorRejected),
        (401, errors.UploadGone),
        (403, errors.UploadGone),
        (404, errors.UploadGone),
        (500, VendorUnavailable),
        (429, VendorRateLimited),
    ],
)
def test_each_refusal_of_a_chunk_has_its_class(status: int, kind: type[VendorError]) -> None:
    assert type(errors.inspect_upload(answer(b"", status)).error) is kind


@pytest.mark.parametrize("status", [200, 201, 206, 416])
def test_the_answers_that_say_where_to_go_on_are_no_errors(status: int) -> None:
    assert errors.inspect_upload(answer(b"", status)).error is None


LEAVES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just([])
)
NAMES = st.sampled_from(
    [
        "data",
        "error",
        "code",
        "message",
        "log_id",
        "status",
        "publicaly_available_post_id",
        "videos",
        "user",
        "id",
        "create_time",
        "publish_id",
        "upload_url",
        "access_token",
        "expires_in",
        "open_id",
        "privacy_level_options",
    ]
)
SHAPED = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=60)
@given(SHAPED, st.sampled_from([200, 400, 500]))
def test_no_answer_whatever_its_shape_breaks_the_readers(body: object, status: int) -> None:
    given_answer = answer(body, status)
    for inspect in (errors.inspect_envelope, errors.inspect_oauth, errors.inspect_upload):
        inspect(given_answer)
    for read in (
        models.token_grant,
        models.creator_info,
        models.video_upload,
        models.publish_status,
        models.user_info,
        models.video_page,
    ):
        if isinstance(body, dict):
            try:
                read(body)
            except UnreadableAnswer:
                continue
