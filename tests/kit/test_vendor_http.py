"""The way out to vendors, over real connections to a small server that misbehaves on demand."""

import asyncio
import gzip
import io
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog
from aiohttp import web

from kit.rate_limit import Rate
from kit.vendor_call import CallRecord, StreamBody, VendorAnswer, VendorCall
from kit.vendor_errors import (
    VendorError,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
    VendorUncertain,
)
from kit.vendor_http import VendorHttp, VendorHttpSettings
from kit.vendor_json import UnreadableAnswer
from tests.vendors.fake_vendor import (
    FakeVendor,
    JumpingClock,
    answers,
    answers_bytes,
    closed_port,
    drops_the_connection,
    echoes,
    pieces,
    waits_for,
)

pytestmark = pytest.mark.anyio
BROKEN = answers({"fault": True}, status=503)
TOKEN = "act.canary-0123456789"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with FakeVendor.running() as running:
        yield running


@dataclass
class Caller:
    """A VendorHttp whose waits are jumps, with the records it made."""

    url: str
    clock: JumpingClock = field(default_factory=JumpingClock)
    records: list[CallRecord] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    async def call(self, times: int = 1, timeout_seconds: float = 10, **call: Any) -> VendorAnswer:
        async with self.http() as http:
            for _ in range(times):
                answer = await http.call(read(**call), timeout_seconds=timeout_seconds)
        return answer

    async def refusal(self, **call: Any) -> VendorError:
        with pytest.raises(VendorError) as refusal:
            await self.call(**call)
        return refusal.value

    def http(self) -> VendorHttp:
        settings = VendorHttpSettings(vendor="fake", base_url=self.url, **self.settings)
        return VendorHttp(
            settings, on_call=self.records.append, clock=self.clock, sleep=self.clock.sleep, jitter=lambda: 0.5
        )


@pytest.fixture
def caller(vendor: FakeVendor) -> Caller:
    return Caller(vendor.url)


def read(**changes: Any) -> VendorCall:
    fields: dict[str, Any] = {"operation": "read", "method": "GET", "url": "/things", "repeatable": True}
    return VendorCall(**(fields | changes))


def commit(**changes: Any) -> dict[str, Any]:
    return {"operation": "publish", "method": "POST", "repeatable": False, "commits": True, "json": {}} | changes


async def test_a_repeatable_call_is_tried_again_with_growing_jittered_waits(vendor: FakeVendor, caller: Caller) -> None:
    vendor.then(BROKEN, BROKEN, answers({"fine": 1}))
    assert (await caller.call()).json() == {"fine": 1}
    assert caller.clock.slept == [0.125, 0.25]  # half of 0.25 s, half of 0.5 s
    assert [record.outcome for record in caller.records] == ["unavailable", "unavailable", "ok"]


async def test_r14_no_call_is_made_more_than_three_times(vendor: FakeVendor, caller: Caller) -> None:
    vendor.otherwise = BROKEN
    refusal = await caller.refusal()
    assert isinstance(refusal, VendorUnavailable)
    assert refusal.sent
    assert len(vendor.seen) == 3


async def test_a_call_that_is_not_marked_repeatable_is_made_once(vendor: FakeVendor, caller: Caller) -> None:
    vendor.otherwise = BROKEN
    assert isinstance(await caller.refusal(repeatable=False), VendorUnavailable)
    assert len(vendor.seen) == 1


async def test_r14_in_an_outage_retries_stay_below_a_tenth_of_the_calls(vendor: FakeVendor, caller: Caller) -> None:
    vendor.otherwise = BROKEN
    async with caller.http() as http:
        for _ in range(200):
            with pytest.raises(VendorUnavailable):
                await http.call(read(), timeout_seconds=10)
    assert len(vendor.seen) - 200 <= 20


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "7"},
        {"Retry-After": "Sat, 21 Nov 2026 12:00:07 GMT", "Date": "Sat, 21 Nov 2026 12:00:00 GMT"},
    ],
    ids=["seconds", "date"],
)
async def test_r14_retry_after_is_obeyed_in_full(vendor: FakeVendor, caller: Caller, headers: dict[str, str]) -> None:
    vendor.then(answers({}, status=429, headers=headers), answers({"fine": 1}))
    await caller.call()
    assert caller.clock.slept == [7.125]  # and the jitter on top


async def test_a_retry_after_beyond_the_deadline_is_handed_to_the_caller(vendor: FakeVendor, caller: Caller) -> None:
    vendor.then(answers({}, status=429, headers={"Retry-After": "120"}))
    refusal = await caller.refusal()
    assert isinstance(refusal, VendorRateLimited)
    assert refusal.retry_after_seconds == 120
    assert caller.clock.slept == []


async def test_after_a_429_others_of_the_same_bucket_wait_without_asking(vendor: FakeVendor, caller: Caller) -> None:
    caller.settings = {"rates": {"read": Rate(100)}}
    vendor.then(answers({}, status=429, headers={"Retry-After": "30"}))
    async with caller.http() as http:
        for _ in range(2):
            with pytest.raises(VendorRateLimited) as refusal:
                await http.call(read(rates=(("read", "user"),), repeatable=False), timeout_seconds=10)
    assert refusal.value.code == "local_rate_limit"
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("kind", [{}, commit()], ids=["read", "commit"])
async def test_a_vendor_who_is_not_there_surely_got_nothing(kind: dict[str, Any]) -> None:
    refusal = await Caller(f"http://127.0.0.1:{closed_port()}").refusal(**kind)
    assert isinstance(refusal, VendorUnavailable)
    assert not refusal.sent
    assert refusal.code == "connect_failed"


@pytest.mark.parametrize("behaviour", [drops_the_connection, BROKEN, answers({}, status=408)])
async def test_a_committing_call_without_an_answer_is_uncertain_and_made_once(
    vendor: FakeVendor, caller: Caller, behaviour: Any
) -> None:
    vendor.otherwise = behaviour
    assert isinstance(await caller.refusal(**commit()), VendorUncertain)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_nothing_below_resends_on_a_kept_connection_that_broke(
    vendor: FakeVendor, caller: Caller, method: str
) -> None:
    vendor.then(answers({}))
    vendor.otherwise = drops_the_connection
    refusal = await caller.refusal(times=2, method=method, repeatable=False, json={"a": 1})
    assert isinstance(refusal, VendorUnavailable)
    assert refusal.sent
    assert len(vendor.seen) == 2


async def test_a_definite_refusal_of_a_committing_call_is_not_uncertain(vendor: FakeVendor, caller: Caller) -> None:
    vendor.then(answers({}, status=400))
    assert isinstance(await caller.refusal(**commit()), VendorRejected)


async def test_silence_ends_with_the_callers_time(vendor: FakeVendor, caller: Caller) -> None:
    release = asyncio.Event()
    vendor.otherwise = waits_for(release)
    begin = time.monotonic()
    refusal = await caller.refusal(timeout_seconds=0.1, **commit())
    release.set()
    assert isinstance(refusal, VendorUncertain)
    assert refusal.code == "timed_out"
    assert time.monotonic() - begin < 5


async def test_r15_nothing_is_sent_for_a_caller_whose_time_is_over(vendor: FakeVendor, caller: Caller) -> None:
    refusal = await caller.refusal(timeout_seconds=0, **commit())
    assert isinstance(refusal, VendorUnavailable)
    assert not refusal.sent
    assert vendor.seen == []


async def test_an_endless_answer_is_refused_at_the_limit(vendor: FakeVendor, caller: Caller) -> None:
    sent = 0

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while sent < 50_000_000:
                await response.write(b"x" * 10_000)
                sent += 10_000
        except ConnectionError:
            pass
        return response

    vendor.otherwise = endless
    caller.settings = {"max_answer_bytes": 100_000}
    refusal = await caller.refusal()
    assert refusal.code == "answer_too_large"
    assert len(vendor.seen) == 1
    assert sent < 50_000_000


async def test_a_packed_answer_is_opened_up_to_the_limit_only(vendor: FakeVendor, caller: Caller) -> None:
    caller.settings = {"max_answer_bytes": 100_000}
    small, bomb = gzip.compress(b'{"fine": 1}'), gzip.compress(b" " * 10_000_000)
    vendor.then(
        answers_bytes(small, headers={"Content-Encoding": "gzip"}),
        answers_bytes(bomb, headers={"Content-Encoding": "gzip"}),
        answers_bytes(b"not gzip", headers={"Content-Encoding": "gzip"}),
    )
    assert (await caller.call()).json() == {"fine": 1}
    assert (await caller.refusal()).code == "answer_too_large"
    assert (await caller.refusal()).code == "answer_too_large"


async def test_redirects_are_refused_and_cookies_forgotten(vendor: FakeVendor, caller: Caller) -> None:
    elsewhere = {"Location": f"{vendor.url}/elsewhere", "Set-Cookie": "session=of-another-user; Path=/"}
    vendor.then(answers({}, headers=elsewhere), answers({}, status=302, headers=elsewhere))
    caller.url = caller.url.replace("127.0.0.1", "localhost")  # cookie jars of aiohttp ignore bare addresses anyway
    refusal = await caller.refusal(times=2)
    assert isinstance(refusal, VendorRejected)
    assert [seen.raw_path for seen in vendor.seen] == ["/things", "/things"]
    assert not any("Cookie" in seen.headers for seen in vendor.seen)


def upload(url: str, body: AsyncIterator[bytes], length: int, **changes: Any) -> dict[str, Any]:
    stream = StreamBody(body, length, "video/mp4")
    return {
        "operation": "upload",
        "method": "PUT",
        "url": url,
        "to_foreign_host": True,
        "repeatable": False,
        "stream": stream,
    } | changes


async def test_a_streamed_body_arrives_whole_unchunked_and_at_the_exact_address(
    vendor: FakeVendor, caller: Caller
) -> None:
    vendor.then(answers({}))
    signed = "/video/?upload_id=7&token=a%2Fb%2Bc%3D%7E+d;e"
    await caller.call(**upload(vendor.url + signed, pieces(b"abc", b"", b"defg"), 7))
    (seen,) = vendor.seen
    assert seen.raw_path == signed
    assert seen.body == b"abcdefg"
    assert seen.headers["Content-Length"] == "7"
    assert seen.headers["Content-Type"] == "video/mp4"
    assert "Transfer-Encoding" not in seen.headers
    assert "Authorization" not in seen.headers


@pytest.mark.parametrize("address", ["/a b", "/\r\nX-More: 1", "/ü", ":99999/"])
async def test_an_address_that_is_none_is_refused_before_anything_is_sent(
    vendor: FakeVendor, caller: Caller, address: str
) -> None:
    refusal = await caller.refusal(**upload(vendor.url + address, pieces(b"abc"), 3, commits=True))
    assert isinstance(refusal, VendorUnavailable)
    assert (refusal.code, refusal.sent, vendor.seen) == ("address_unusable", False, [])


async def test_a_header_that_is_no_utf_8_is_text_that_can_be_kept(vendor: FakeVendor, caller: Caller) -> None:
    async def latin(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nX-Log-Id: caf\xe9\r\nContent-Length: 0\r\n\r\n")
        request.transport.close()
        return web.Response()

    vendor.then(latin)
    assert (await caller.call()).headers["x-log-id"] == "café"


async def test_json_and_forms_arrive_as_such(vendor: FakeVendor, caller: Caller) -> None:
    vendor.otherwise = answers({})
    await caller.call(method="POST", json={"title": "Träume"})
    await caller.call(method="POST", form={"code": "a b&c"})
    first, second = vendor.seen
    assert (first.headers["Content-Type"], first.body) == ("application/json", '{"title":"Träume"}'.encode())
    assert (second.headers["Content-Type"], second.body) == ("application/x-www-form-urlencoded", b"code=a+b%26c")


@pytest.mark.parametrize("parts", [(b"abc",), (b"abc", b"defgh")], ids=["short", "long"])
async def test_a_body_of_another_length_than_announced_is_our_fault_not_the_vendors(
    vendor: FakeVendor, caller: Caller, parts: tuple[bytes, ...]
) -> None:
    with pytest.raises(ValueError, match="should have 7 bytes"):
        await caller.call(**upload(vendor.url, pieces(*parts), 7))
    assert vendor.seen == []
    assert caller.records[0].outcome == "abandoned"


async def test_the_failure_of_a_bodys_source_comes_through_as_it_is(vendor: FakeVendor, caller: Caller) -> None:
    async def media_lost() -> AsyncIterator[bytes]:
        yield b"abc"
        raise FileNotFoundError("media")

    with pytest.raises(FileNotFoundError):
        await caller.call(**upload(vendor.url, media_lost(), 7, commits=True))
    assert vendor.seen == []


async def test_a_source_that_fails_after_its_last_byte_does_not_hide_the_answer(
    vendor: FakeVendor, caller: Caller
) -> None:
    async def late() -> AsyncIterator[bytes]:
        yield b"abcdefg"
        raise FileNotFoundError("media")

    vendor.then(answers({}))
    assert (await caller.call(**upload(vendor.url, late(), 7, commits=True))).status == 200


async def test_an_upload_without_progress_ends_before_the_callers_time(vendor: FakeVendor, caller: Caller) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"abc"
        await asyncio.Event().wait()

    caller.settings = {"write_timeout": 0.1}
    refusal = await caller.refusal(timeout_seconds=60, **upload(vendor.url, stuck(), 7))
    assert isinstance(refusal, VendorUnavailable)
    assert refusal.code == "timed_out"
    assert refusal.sent


async def test_a_slow_upload_with_progress_outlives_the_time_outs_for_reading_and_writing(
    vendor: FakeVendor, caller: Caller
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(7):
            await asyncio.sleep(0.05)  # the slowness is what is tested
            yield b"x"

    vendor.then(answers({}))
    caller.settings = {"write_timeout": 0.2, "read_timeout": 0.2}
    assert (await caller.call(**upload(vendor.url, slow(), 7))).status == 200


async def test_an_answer_that_comes_before_the_body_is_sent_is_read(vendor: FakeVendor, caller: Caller) -> None:
    async def waiting() -> AsyncIterator[bytes]:
        yield b"abc"
        await asyncio.Event().wait()

    vendor.reads_body = False
    vendor.then(answers({"use": "another range"}, status=416))
    refusal = await caller.refusal(**upload(vendor.url, waiting(), 7, commits=True))
    assert isinstance(refusal, VendorRejected)
    assert refusal.status == 416


async def test_bodies_are_recorded_but_long_ones_by_their_size_only(vendor: FakeVendor, caller: Caller) -> None:
    vendor.then(answers({"avatar_url": "https://cdn.example/a?sig=1", "n": 1}), answers({"list": ["x" * 100] * 1_000}))
    await caller.call(times=2, method="POST", json={"title": "caption", "access_token": "act.1"})
    first, second = caller.records
    assert first.request == {"json": {"title": "caption", "access_token": "[redacted]"}}
    assert first.answer == {"json": {"avatar_url": "https://cdn.example/a?[redacted]", "n": 1}}
    assert second.answer == {"bytes": 10 + 1_000 * 102 + 999 * 2 + 2}  # opening, texts with quotes, separators, end


async def test_a_broken_recorder_does_not_hide_the_answer(vendor: FakeVendor) -> None:
    def broken(_record: CallRecord) -> None:
        raise OSError("disk full")

    vendor.then(answers({"fine": 1}))
    async with VendorHttp(VendorHttpSettings(vendor="fake", base_url=vendor.url), on_call=broken) as http:
        assert (await http.call(read(), timeout_seconds=5)).json() == {"fine": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://elsewhere.example/", "bearer": TOKEN},
        {"url": "//elsewhere.example/", "bearer": TOKEN},
        {"url": "https://elsewhere.example/", "bearer": TOKEN, "to_foreign_host": True},
        {"url": "https://elsewhere.example/", "sign": lambda url, _body: url, "to_foreign_host": True},
        {"commits": True},
    ],
)
async def test_calls_that_could_leak_or_double_cannot_be_written_down(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"own address only|path below|cannot be repeated"):
        read(**wrong)


async def test_no_secret_reaches_a_log_a_record_or_an_error(
    vendor: FakeVendor, caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = [TOKEN, "rft.canary-987654321", "client-secret-canary", "upload-canary-555"]
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    refusals: list[VendorError] = []
    try:
        with structlog.testing.capture_logs() as logged:
            for behaviour in (echoes(200), echoes(403), drops_the_connection):
                vendor.otherwise = behaviour
                form = {"client_secret": secrets[2], "refresh_token": secrets[1]}
                for call in (
                    {"bearer": TOKEN, "json": {"quoted": TOKEN}},
                    {"method": "POST", "form": form, "secrets": tuple(form.values()), "answer_is_secret": True},
                    upload(f"{vendor.url}/?t={secrets[3]}", pieces(b"abc"), 3),
                ):
                    try:
                        await caller.call(**call)
                    except VendorError as refusal:
                        refusals.append(refusal)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    output = capsys.readouterr()
    everything = "\n".join(
        [lines.getvalue(), output.out, output.err, repr(logged), repr(caller.records)]
        + [repr(refusal) + str(refusal) + repr(refusal.__cause__) + repr(refusal.__context__) for refusal in refusals]
    )
    assert len(refusals) == 6
    assert "vendor_call" in everything
    assert [secret for secret in secrets if secret in everything] == []


def test_a_date_without_the_vendors_clock_is_read_against_ours() -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    answer = VendorAnswer(429, {"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, b"", now)
    assert answer.retry_after_seconds == 30
    past = VendorAnswer(429, {"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, b"", now)
    assert past.retry_after_seconds == 0
    assert VendorAnswer(429, {"retry-after": "soon"}, b"", now).retry_after_seconds is None


async def test_each_try_is_signed_anew_over_the_exact_bytes_that_are_sent(vendor: FakeVendor, caller: Caller) -> None:
    signed: list[bytes] = []

    def sign(url: str, body: bytes) -> str:
        signed.append(body)
        return f"{url}?sign={len(signed)}"

    vendor.then(BROKEN, answers({"fine": 1}))
    await caller.call(method="POST", url="/things", json={"name": "Größe", "n": 1}, sign=sign)
    assert [seen.raw_path for seen in vendor.seen] == ["/things?sign=1", "/things?sign=2"]
    assert [seen.body for seen in vendor.seen] == signed
    assert signed[0] == '{"name":"Größe","n":1}'.encode()
    assert {record.path for record in caller.records} == {"/things"}


async def test_a_streamed_body_is_signed_without_its_bytes(vendor: FakeVendor, caller: Caller) -> None:
    vendor.then(answers({}))
    stream = StreamBody(pieces(b"abc"), 3, "multipart/form-data; boundary=x")
    await caller.call(method="POST", stream=stream, repeatable=False, sign=lambda url, body: f"{url}?n={len(body)}")
    assert vendor.seen[0].raw_path == "/things?n=0"


async def test_a_secret_in_the_query_is_hidden_as_it_looks_there_too(vendor: FakeVendor, caller: Caller) -> None:
    secret = "canary/+ secret&0"
    vendor.otherwise = echoes(400)
    with structlog.testing.capture_logs() as logs:
        refusal = await caller.refusal(url=f"/token?{urlencode({'app_secret': secret})}", secrets=(secret,))
    text = f"{refusal!r} {refusal} {caller.records} {logs}"
    assert "canary" not in text
    assert caller.records[0].path == "/token"


async def test_an_answer_that_cannot_be_read_counts_as_none(vendor: FakeVendor, caller: Caller) -> None:
    def lacks(_body: Any) -> None:
        raise UnreadableAnswer("package_id")

    vendor.otherwise = answers({})
    async with caller.http() as http:
        with pytest.raises(VendorUnavailable, match="lacks package_id"):
            await http.read(read(), lacks, timeout_seconds=10)
        with pytest.raises(VendorUncertain):
            await http.read(VendorCall(**commit(url="/things")), lacks, timeout_seconds=10)
    assert len(vendor.seen) == 4
