"""Webhooks at the gateway: handed on byte for byte, bounded, without a key."""

from __future__ import annotations

import httpx
from reelroute.publisher.v1 import publisher_pb2

from kit.vendor_webhook import WebhookForged
from tests.gateway.conftest import Connect
from tests.gateway.fakes import Memory

BODY = b'{ "event" : "post.publish.complete",\r\n "content": "{}" }\x00\xff'
PATH = "/v1/webhooks/tiktok"


def send(client: httpx.Client, body: bytes = BODY, signature: str = "t=1,s=ab") -> httpx.Response:
    return client.post(PATH, content=body, headers={"TikTok-Signature": signature, "Content-Type": "application/json"})


def test_a_webhook_is_handed_on_byte_for_byte(connect: Connect, memory: Memory) -> None:
    answer = send(connect())
    assert (answer.status_code, answer.content) == (200, b"")
    request = memory.request(publisher_pb2.ReceiveWebhookRequest)
    assert (request.platform, request.body, request.signature) == (publisher_pb2.PLATFORM_TIKTOK, BODY, "t=1,s=ab")


def test_without_one_signature_there_is_none(connect: Connect, memory: Memory) -> None:
    twice = [("TikTok-Signature", "t=1,s=ab"), ("TikTok-Signature", "t=1,s=ab")]
    for headers in ([], twice):
        connect().post(PATH, content=BODY, headers=headers)
        assert memory.request(publisher_pb2.ReceiveWebhookRequest).signature == ""


def test_the_refusal_of_the_publisher_is_answered(connect: Connect, memory: Memory) -> None:
    memory.failures["ReceiveWebhook"] = WebhookForged("It does not come from the vendor.")
    answer = send(connect())
    assert (answer.status_code, answer.json()["reason"]) == (401, "WEBHOOK_FORGED")


def test_more_than_a_platform_sends_is_refused_unread(connect: Connect, memory: Memory) -> None:
    assert send(connect(), b"x" * (64 * 1024 + 1)).status_code == 413
    assert memory.count(publisher_pb2.ReceiveWebhookRequest) == 0
    assert connect().get(PATH).status_code == 405
