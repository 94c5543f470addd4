"""Strangers on the wire: heads that never end, and heads that are no heads."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tests.gateway.conftest import configured, served
from tests.gateway.hub import Hub

PATIENCE_SECONDS = 10


def talk(url: str, sent: bytes) -> bytes:
    """What comes back until the gateway closes the connection."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_SECONDS) as connection:
        received = b""
        try:
            connection.sendall(sent)
            while piece := connection.recv(65536):
                received += piece
        except ConnectionError:
            pass  # closed with bytes of ours unread
        return received


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"a" * 70_000,
        b"GET /healthz?" + b"a" * 70_000,
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        b"POST /v1/posts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 700_000,
    ],
    ids=["header", "address", "many headers", "chunk line"],
)
def test_a_head_without_end_is_refused_before_it_fills_the_memory(url: str, head: bytes) -> None:
    answer = talk(url, head)
    assert b"HTTP/1.1 431" in answer
    assert b'"reason":"HEAD_TOO_LONG"' in answer


def test_a_body_is_not_counted_as_a_head(url: str) -> None:
    body = b"x" * 300_000
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert talk(url, head + body).startswith(b"HTTP/1.1 404")


def test_what_is_no_http_gets_a_problem(url: str) -> None:
    answer = talk(url, b"FOO bar baz\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer
    assert b'"reason":"REQUEST_BROKEN"' in answer


def test_a_connection_that_never_finishes_its_head_is_closed(hub: Hub) -> None:
    with served(configured(head_seconds=0.2, **hub.addresses)) as url:
        assert talk(url, b"") == b""
        assert talk(url, b"GET /healthz HTTP/1.1\r\n").startswith(b"HTTP/1.1 408")
        whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = talk(url, whole + b"GET /healthz HT")
        assert answer.startswith(b"HTTP/1.1 200")
