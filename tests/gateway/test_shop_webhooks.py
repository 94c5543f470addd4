"""Webhooks of TikTok Shop: handed on as they came, to whoever can tell a forged one."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from reelroute.fulfillment.v1 import fulfillment_pb2
from reelroute.publisher.v1 import publisher_pb2

from kit import errors
from tests.gateway.conftest import Connect, configured, served
from tests.gateway.fakes import Memory
from tests.gateway.hub import Hub
from tests.gateway.shop_fakes import GOOD_SIGNATURE
from tests.gateway.test_problems import assert_is_problem

PATH = "/v1/webhooks/tiktok-shop"
# As it is written, blanks and all: written anew it would no longer fit its signature.
EVENT = '{"type": 1,\n "data":{"order_status":"ünpaid" }}'.encode()
SIGNED = {"Authorization": GOOD_SIGNATURE, "Content-Type": "application/json"}
MAX_BYTES = 64 * 1024


@pytest.fixture
def platform(connect: Connect, memory: Memory) -> httpx.Client:
    """A sender without a key."""
    return connect()


def test_an_event_reaches_fulfillment_byte_for_byte_with_its_signature(platform: httpx.Client, memory: Memory) -> None:
    answer = platform.post(PATH, content=EVENT, headers=SIGNED)
    assert (answer.status_code, answer.content) == (200, b"")
    seen = memory.request(fulfillment_pb2.ReceiveShopWebhookRequest)
    assert (seen.body, seen.signature) == (EVENT, GOOD_SIGNATURE)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "0" * 64)],
        [("Authorization", "Bearer rr_1_2")],
        [("Authorization", GOOD_SIGNATURE), ("Authorization", GOOD_SIGNATURE)],
        [("Authorization", "0" * 5000)],
    ],
    ids=["none", "wrong", "a key", "two", "endless"],
)
def test_what_is_not_signed_is_401_and_no_key_is_asked_for(
    platform: httpx.Client, memory: Memory, headers: list[tuple[str, str]]
) -> None:
    answer = platform.post(PATH, content=EVENT, headers=headers)
    assert_is_problem(answer, 401, "WEBHOOK_FORGED")
    assert "WWW-Authenticate" not in answer.headers
    assert len(memory.request(fulfillment_pb2.ReceiveShopWebhookRequest).signature) <= 200


def test_an_api_key_does_not_stand_in_for_a_signature(api: httpx.Client, memory: Memory) -> None:
    assert api.post(PATH, content=EVENT).status_code == 401


@pytest.mark.parametrize("body", [b"{", b"\xff\x00"])
def test_what_is_no_event_is_400(platform: httpx.Client, memory: Memory, body: bytes) -> None:
    assert_is_problem(platform.post(PATH, content=body, headers=SIGNED), 400, "WEBHOOK_UNREADABLE")


def test_a_body_of_64_kib_is_taken_and_a_larger_one_is_not_even_read(platform: httpx.Client, memory: Memory) -> None:
    body = b'"' + b"x" * (MAX_BYTES - 2) + b'"'
    assert platform.post(PATH, content=body, headers=SIGNED).status_code == 200

    def pieces() -> Iterator[bytes]:
        yield from (b" " * 1024 for _ in range(65))

    for larger in (body + b" ", pieces()):
        assert_is_problem(platform.post(PATH, content=larger, headers=SIGNED), 413, "BODY_TOO_LARGE")
    assert memory.count(fulfillment_pb2.ReceiveShopWebhookRequest) == 1


def test_a_declared_length_is_enough_to_refuse(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BYTES + 1}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_what_cannot_be_taken_in_time_is_503_so_that_it_is_sent_again(
    hub: Hub, connect: Connect, memory: Memory
) -> None:
    memory.webhook_seconds = 1.5
    with served(configured(webhook_seconds=0.3, **hub.addresses)) as url:
        started = time.monotonic()
        assert_is_problem(connect(base_url=url).post(PATH, content=EVENT, headers=SIGNED), 503, "UNAVAILABLE")
        assert time.monotonic() - started < 1.5
        # Nor does a sender hold the gateway who does not go on.
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{{".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 503")


def test_a_failure_of_ours_tells_nothing(platform: httpx.Client, memory: Memory) -> None:
    memory.failures["ReceiveShopWebhook"] = RuntimeError("app_secret=hunter2")
    answer = platform.post(PATH, content=EVENT, headers=SIGNED)
    assert_is_problem(answer, 500, "INTERNAL")
    assert "hunter2" not in answer.text


def test_only_post_is_taken(platform: httpx.Client) -> None:
    answer = platform.get(PATH)
    assert_is_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "POST"


def test_creators_events_come_to_the_same_address_and_reach_the_publisher_whatever_fulfillment_says(
    platform: httpx.Client, memory: Memory
) -> None:
    assert platform.post(PATH, content=EVENT, headers=SIGNED).status_code == 200
    seen = memory.request(publisher_pb2.ReceiveWebhookRequest)
    assert (seen.platform, seen.body, seen.signature) == (publisher_pb2.PLATFORM_TIKTOK_SHOP, EVENT, GOOD_SIGNATURE)
    # With 503 the event is sent again, and each service knows what it has taken.
    memory.failures["ReceiveShopWebhook"] = errors.Unavailable("Fulfillment is away.")
    assert platform.post(PATH, content=EVENT, headers=SIGNED).status_code == 503
    assert memory.count(publisher_pb2.ReceiveWebhookRequest) == 2
