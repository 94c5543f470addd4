"""Events: signed, repeated until taken, droppable and doublable."""

import http.server
import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.tiktok.state import sign_webhook
from sandbox.webhooks import pause_seconds
from tests.sandbox.conftest import App, until


def test_the_signature_matches_the_vector_of_the_reference() -> None:
    body = (
        b'{"client_key":"bwo2m45353a6k85","event":"authorization.removed","create_time":1615338610,'
        b'"user_openid":"act.example","content":"{\\"reason\\":1}"}'
    )
    assert sign_webhook("test_client_secret", 1633174587, body) == (
        "t=1633174587,s=79d7511e19fd16db51a30b3784874138bca610088ffd8b1f6a25f94ec93735ba"
    )


def test_pauses_double_up_to_an_hour() -> None:
    assert [pause_seconds(n) for n in (1, 2, 3, 12, 13, 100)] == [1, 2, 4, 2048, 3600, 3600]


class Receiver:
    """A callback that keeps what it gets and answers with the statuses it was told, then 200."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.answers: queue.Queue[int] = queue.Queue()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200 if receiver.answers.empty() else receiver.answers.get())
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.got.put((self.headers["TikTok-Signature"], body))

            def log_message(self, *args: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def next(self) -> dict[str, Any]:
        """The next event, with its content parsed and its signature checked."""
        signature, body = self.got.get(timeout=10)
        sent_at = int(signature.partition(",")[0].removeprefix("t="))
        assert signature == sign_webhook("sandbox-client-secret", sent_at, body)
        event: dict[str, Any] = json.loads(body)
        return {**event, "content": json.loads(event["content"])}


@pytest.fixture
def receiver(connected: App) -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    connected.settings(webhook_url=f"http://127.0.0.1:{receiver.server.server_port}/tiktok")
    yield receiver
    connected.settings(webhook_url=None)
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def test_the_life_of_a_post_is_told(connected: App, receiver: Receiver) -> None:
    publish_id = connected.post_video()
    connected.control("POST", "/clock/advance", seconds=3)
    told = {event["event"]: event for event in (receiver.next(), receiver.next())}
    assert set(told) == {"post.publish.complete", "post.publish.publicly_available"}
    assert told["post.publish.complete"]["content"]["publish_id"] == publish_id
    assert told["post.publish.complete"]["user_openid"] == connected.tokens["emberfold.air"]["open_id"]
    connected.control("POST", f"/tiktok/posts/{publish_id}/remove")
    gone = receiver.next()
    assert gone["event"] == "post.publish.no_longer_publicaly_available"
    assert gone["content"]["post_id"] == told["post.publish.publicly_available"]["content"]["post_id"]


def test_a_failed_post_and_a_disconnected_creator_are_told(connected: App, receiver: Receiver) -> None:
    connected.control("POST", "/tiktok/verdicts", fail_reason="spam_risk")
    connected.post_video()
    connected.control("POST", "/clock/advance", seconds=3)
    failed = receiver.next()
    assert (failed["event"], failed["content"]["reason"]) == ("post.publish.failed", "spam_risk")
    connected.control("POST", "/tiktok/creators/emberfold.air/revoke")
    removed = receiver.next()
    assert (removed["event"], removed["content"]) == ("authorization.removed", {"reason": 1})


def test_an_event_that_was_not_taken_comes_again_after_a_pause(connected: App, receiver: Receiver) -> None:
    receiver.answers.put(503)
    connected.control("POST", "/tiktok/creators/emberfold.air/revoke")
    first = receiver.next()
    until(lambda: connected.control("GET", "/tiktok/webhooks")[0]["attempts"] == 1)
    [event] = connected.control("GET", "/tiktok/webhooks")
    assert event["next_time"] - event["create_time"] == 1
    assert receiver.got.empty()
    connected.control("POST", "/clock/advance", seconds=1)
    assert receiver.next() == first


def test_faults_drop_and_double_events(connected: App, receiver: Receiver) -> None:
    connected.connect("emberfold.fire")
    connected.fault("webhook", "drop")
    connected.control("POST", "/tiktok/creators/emberfold.air/revoke")
    connected.fault("webhook", "duplicate")
    connected.control("POST", "/tiktok/creators/emberfold.fire/revoke")
    assert receiver.next() == receiver.next()
    assert [event["outcome"] for event in connected.control("GET", "/tiktok/webhooks?outcome=dropped")] == ["dropped"]
