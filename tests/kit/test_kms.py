"""Master keys that a KMS has wrapped, opened by a stand-in for HashiCorp Vault that is strict about what it is sent."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kit.crypto import KeyUnusable
from kit.key_ring import KeyRing
from kit.kms import TransitKms

KEY = bytes(range(32))
WRAPPED = "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zoCmHnSeDX9vyf7w=="
TOKEN = "hvs.token-of-the-publisher"


class FakeTransit(BaseHTTPRequestHandler):
    """POST /v1/ns/transit/decrypt/reelroute, as the API's documentation has it; all else is refused."""

    asked: list[str]
    status = 200

    def do_POST(self) -> None:
        self.asked.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["X-Vault-Token"] != TOKEN:
            self._answer(403, {"errors": ["permission denied"]})
        elif self.path != "/v1/ns/transit/decrypt/reelroute" or set(body) != {"ciphertext"}:
            self._answer(404, {"errors": []})
        elif self.status != 200:
            self._answer(self.status, {"errors": ["Vault is sealed"]})
        elif body["ciphertext"] != WRAPPED:
            self._answer(400, {"errors": ["cipher: message authentication failed"]})
        else:
            self._answer(200, {"request_id": "1", "data": {"plaintext": base64.b64encode(KEY).decode()}})

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def transit(status: int = 200) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Handler", (FakeTransit,), {"asked": asked, "status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def kms(url: str, token_file: Path) -> TransitKms:
    return TransitKms(url, "ns/transit", "reelroute", token_file, timeout_seconds=5)


def test_a_wrapped_line_is_opened_once_however_often_the_ring_is_read(token_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "ring"
    path.write_text(WRAPPED)
    with transit() as (url, asked):
        ring = KeyRing(path, kms(url, token_file))
        assert ring.current.key == KEY
        path.write_text(f"{base64.b64encode(bytes(32)).decode()}\n{WRAPPED}")
        ring.refresh()
    assert [each.line for each in ring.keys] == [1, 2]
    assert asked == ["/v1/ns/transit/decrypt/reelroute"]


@pytest.mark.parametrize(
    ("token", "line", "status", "refusal"),
    [
        ("hvs.another", WRAPPED, 200, r"HTTP 403\): permission denied"),
        (TOKEN, "vault:v1:b3RoZXI=", 200, r"HTTP 400\): cipher: message authentication failed"),
        (TOKEN, WRAPPED, 503, r"HTTP 503\): Vault is sealed"),
        # A redirect is not followed: the token is for this address.
        (TOKEN, WRAPPED, 307, "HTTP 307"),
        ("no\nheader", WRAPPED, 200, "its token file holds no token"),
    ],
)
def test_a_refusal_says_what_the_kms_said_and_no_secret(
    token_file: Path, token: str, line: str, status: int, refusal: str
) -> None:
    token_file.write_text(token)
    with transit(status) as (url, asked), pytest.raises(KeyUnusable, match=refusal) as refused:
        KeyRing(line, kms(url, token_file))
    assert len(asked) <= 1
    for secret in (token, line, base64.b64encode(KEY).decode()):
        assert secret not in str(refused.value)


def test_a_kms_that_is_away_or_a_token_that_is_not_there_is_named(token_file: Path) -> None:
    with pytest.raises(KeyUnusable, match="cannot be asked: ConnectionRefusedError"):
        KeyRing(WRAPPED, kms("http://127.0.0.1:1", token_file))
    token_file.unlink()
    with pytest.raises(KeyUnusable, match="REELROUTE_KMS_TOKEN_FILE cannot be read"):
        KeyRing(WRAPPED, kms("http://127.0.0.1:1", token_file))
    with pytest.raises(KeyUnusable, match="REELROUTE_KMS_URL must be an address"):
        kms("vault.example", token_file)
