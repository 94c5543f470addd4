"""TikTok Shop's codes: each documented one, and how the undocumented ones are taken."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.vendor_call import Inspection, VendorAnswer
from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorNotFound,
    VendorQuotaReached,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
    VendorUncertain,
)
from vendors.tiktok_shop import codes, errors

# The classes of TikTok Shop's documents: T transient, R rate, C cap, A account, P permanent, V verify.
LETTERS: dict[str, tuple[type[VendorError], ...]] = {
    "T": (VendorUnavailable,),
    "R": (VendorRateLimited,),
    "C": (VendorQuotaReached,),
    "A": (VendorAccountProblem,),
    "P": (VendorRejected, VendorNotFound),
    "V": (VendorUncertain,),
}
TABLE = """
R 36009002 36009037 170001020
T 36009003 36009007 10037002 10037003 10037004 25001028 170001050 38007001
T 21001003 21001008 21001011 11001027 11001031 11006005 21022029 21042001
A 105001 105002 36004001 36004004 36004005
P 36009009 36009010 36009014 36009021 36009022 36009023 36009033 36009043 36009044 101000 105005 106001 106013
P 10002014 10002015 10006402 21008111 28001022 66009315
P 21011022 11028006 21004015 21004012 21004016 21011025 21034012 21011026 21011041 21011042 21011007 21008044
P 21008025 21008106 21011048 21011050 21011051 21011028 21011029 21004006 21004019 21004020 11021010 11021025
P 21008116 21008117 21001001 11001002 11050001
V 21011006 21011020 21011040 21008099 11006021 21011027 25001011 25001051
P 25001021 25001015 25001014 25001020 25001045 25005010 25005011 25020005 25007006
P 12052032 12019150 12052260 12052031 12052048 12052036 12052553 12052556 12019022 12019028 12052094 12052096
P 12052097 12052115 12052530 12052531 12052532 12052533 12052364 12052403 12019024 12052055 12052901 12052700
P 12052849 12052850 12052921 12052180 16011007 16011009 16011069 170001030 170001031 170001024 170001025 170001040
C 12052393 12052371 12052308 170001060 170001061 170001062 170001019
"""
NOT_FOUND = {"12052032", "12019150", "12052260", "12052031", "25007006"}
ROWS = [(code, line.split()[0]) for line in TABLE.strip().splitlines() for code in line.split()[1:]]
Inspect = Callable[[VendorAnswer], Inspection]
ALL = (errors.inspect_read, errors.inspect_write, errors.inspect_items)


def answer(body: object, status: int = 200, **headers: str) -> VendorAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return VendorAnswer(status, named, content, datetime(2026, 11, 21, tzinfo=UTC))


def refused(code: object, message: str = "their words", status: int = 200, **headers: str) -> VendorAnswer:
    return answer({"code": code, "message": message, "request_id": "2026AA", "data": None}, status, **headers)


def found(seen: Inspection) -> VendorError:
    assert seen.error is not None
    return seen.error


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(("code", "letter"), ROWS)
def test_each_code_has_its_class_whatever_the_status(code: str, letter: str, status: int) -> None:
    for inspect in ALL:
        error = found(inspect(refused(int(code), status=status)))
        assert type(error) in LETTERS[letter]
        assert (error.code, error.log_id, error.status) == (code, "2026AA", status)
        assert error.vendor_message == "their words"
        assert error.advice
        assert isinstance(error, VendorNotFound) == (code in NOT_FOUND)


def test_the_tables_hold_the_documented_codes_and_no_others() -> None:
    known = {code for table in codes.CODES.values() for code in table}
    between = {str(code) for code in range(11021011, 11021025)}  # of the documented span
    assert known == {code for code, _ in ROWS} | between


def test_no_code_stands_in_two_tables() -> None:
    assert sum(len(table) for table in codes.CODES.values()) == len({c for t in codes.CODES.values() for c in t})


@pytest.mark.parametrize(("code", "remedy"), [(105002, AccountRemedy.REFRESH), (105001, AccountRemedy.RECONNECT)])
def test_an_expired_token_is_refreshed_and_a_dead_one_asks_for_its_owner(code: int, remedy: AccountRemedy) -> None:
    error = errors.inspect_read(refused(code, status=401)).error
    assert isinstance(error, VendorAccountProblem)
    assert error.remedy is remedy


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("sign is a required field", VendorRejected),
        ("Invalid signature parameter: sign", VendorRejected),
        ("access_token is invalid", VendorAccountProblem),
        ("x-tts-access-token is invalid", VendorAccountProblem),
        ("Invalid credentials", VendorAccountProblem),
        ("app_key is invalid", VendorRejected),
        ("timestamp is expired", VendorUnavailable),
        ("unexpected identifier: shop_cipher", VendorRejected),
        ("shop_id invalid", VendorRejected),
        ("Invalid API version", VendorRejected),
        ("body.address missing", VendorRejected),
        ("page_token is invalid", VendorRejected),
        ("", VendorRejected),
    ],
)
def test_the_overloaded_code_is_told_apart_by_its_message(message: str, kind: type[VendorError]) -> None:
    error = found(errors.inspect_write(refused(36009004, message, 400)))
    assert type(error) is kind
    assert errors.is_version_refused(error) == ("version" in message)


def test_a_rate_limit_waits_a_second_or_what_the_shop_says_and_a_test_shop_an_hour() -> None:
    waits = []
    for given_answer in (refused(36009002), refused(36009002, status=429, retry_after="9"), refused(36009037)):
        error = errors.inspect_read(given_answer).error
        assert isinstance(error, VendorRateLimited)
        waits.append(error.retry_after_seconds)
    assert 1 <= waits[0] <= 1.1
    assert waits[1] == 9
    assert 3600 <= waits[2] <= 3960


@pytest.mark.parametrize(
    ("status", "of_a_read", "of_a_write"),
    [
        (200, VendorUnavailable, VendorRejected),
        (400, VendorUnavailable, VendorRejected),
        (401, VendorUnavailable, VendorRejected),
        (404, VendorUnavailable, VendorRejected),
        (429, VendorRateLimited, VendorRateLimited),
        (503, VendorUnavailable, VendorUnavailable),
    ],
)
def test_an_unknown_code_is_transient_for_a_read_and_final_for_a_write(
    status: int, of_a_read: type[VendorError], of_a_write: type[VendorError]
) -> None:
    unknown = refused(99999999, status=status)
    for inspect, kind in ((errors.inspect_read, of_a_read), (errors.inspect_write, of_a_write)):
        error = found(inspect(unknown))
        assert type(error) is kind
        assert (error.code, error.log_id, error.vendor_message) == ("99999999", "2026AA", "their words")
        assert "request id" in error.advice


def test_success_needs_the_status_as_well_as_the_code() -> None:
    good = {"code": 0, "message": "Success", "request_id": "2026AA", "data": {}}
    assert errors.inspect_write(answer(good)).error is None
    assert isinstance(errors.inspect_write(answer(good, 502)).error, VendorUnavailable)


def test_what_failed_inside_of_a_success_fails_a_write_unless_it_is_read_item_by_item() -> None:
    body = {"code": 0, "data": {"errors": [{"code": 21011048, "message": "several packages"}]}, "request_id": "2026AA"}
    error = found(errors.inspect_write(answer(body)))
    assert type(error) is VendorRejected
    assert (error.code, error.log_id) == ("21011048", "2026AA")
    assert errors.inspect_items(answer(body)).error is None
    assert errors.inspect_read(answer(body)).error is None


@pytest.mark.parametrize("body", [b"", b"<html>down</html>", b"[]", b'{"data": {}}', b"NaN", b"[" * 100_000])
def test_an_answer_that_cannot_be_read_is_no_success(body: bytes) -> None:
    for inspect in ALL:
        assert isinstance(inspect(answer(body)).error, VendorUnavailable)


@pytest.mark.parametrize(
    ("status", "kind"), [(302, VendorRejected), (401, VendorRejected), (403, VendorRejected), (502, VendorUnavailable)]
)
def test_a_proxys_page_loses_no_account(status: int, kind: type[VendorError]) -> None:
    assert type(errors.inspect_read(answer(b"<html>", status)).error) is kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "message", "request_id", "data", "errors"]), inner, max_size=5)
    ),
    max_leaves=10,
)


@settings(max_examples=100)
@given(JSON, st.sampled_from([200, 302, 400, 500]))
def test_no_answer_whatever_its_shape_breaks_the_judges(body: object, status: int) -> None:
    for inspect in ALL:
        inspect(answer(body, status))
