"""A real server in a thread, shared by the tests and reset between them, and a client that plays an app."""

import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
import uvicorn

from sandbox.__main__ import server
from sandbox.config import SandboxConfig
from tests.sandbox.amazon import Amazon
from tests.sandbox.shop import CALLBACK as SHOP_CALLBACK
from tests.sandbox.shop import ShopApp

# The example of the platform's reference for its hexadecimal PKCE.
VERIFIER = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ0123456789-._~"
CHALLENGE = "adddbbdb8df3a10ebdb251b36f0064205187d70f0986419b63e7e3fbceb87ac7"
CALLBACK = "http://127.0.0.1:5000/callback"
SCOPES = "user.info.basic,user.info.profile,user.info.stats,video.list,video.publish,video.upload"
APP = {"client_key": "sandbox-client-key", "client_secret": "sandbox-client-secret"}
MIB = 1024 * 1024
POST_INFO = {"privacy_level": "PUBLIC_TO_EVERYONE", "brand_content_toggle": False, "brand_organic_toggle": False}


def a_video(size: int = 1000) -> bytes:
    """Bytes that begin like an MP4."""
    return (b"\0\0\0\x18ftypisom" + bytes(range(256)) * (size // 256 + 1))[:size]


@dataclass
class App:
    """An app of TikTok for Developers, with a memory of its tokens by creator."""

    http: httpx.Client
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)

    def control(self, method: str, path: str, **body: Any) -> Any:
        """One call of the control API that must succeed."""
        response = self.http.request(method, f"/control{path}", json=body if method != "GET" else None)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def settings(self, **changes: Any) -> None:
        self.control("PATCH", "/tiktok/settings", **changes)

    def fault(self, endpoint: str, mode: str, **more: Any) -> None:
        self.control("POST", "/faults", endpoint=f"tiktok.{endpoint}", mode=mode, **more)

    def authorize_url(self, **changes: str) -> str:
        query = {
            "client_key": APP["client_key"], "response_type": "code", "scope": SCOPES, "redirect_uri": CALLBACK,
            "state": "s-1", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        } | changes  # fmt: skip
        return f"/v2/auth/authorize/?{urlencode({key: value for key, value in query.items() if value})}"

    def consent(self, creator: str = "emberfold.air", decision: str = "allow", **changes: str) -> dict[str, str]:
        """What comes back to the callback when a person answers the consent page."""
        answer = self.http.post(self.authorize_url(**changes), data={"creator": creator, "decision": decision})
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def token(self, **fields: str) -> httpx.Response:
        return self.http.post("/v2/oauth/token/", data={**APP, **fields})

    def exchange(self, code: str, **changes: str) -> httpx.Response:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.token(**(fields | changes))

    def connect(self, creator: str = "emberfold.air", **changes: str) -> None:
        self.tokens[creator] = self.exchange(self.consent(creator, **changes)["code"]).json()

    def call(self, path: str, body: Any = None, creator: str = "emberfold.air") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[creator]['access_token']}"}
        if path.startswith("/v2/user/"):
            return self.http.get(path, headers=headers)
        return self.http.post(path, json={} if body is None else body, headers=headers)

    def init(
        self, size: int, chunk: int = 0, count: int = 1, creator: str = "emberfold.air", **info: Any
    ) -> httpx.Response:
        source = {"source": "FILE_UPLOAD", "video_size": size, "chunk_size": chunk or size, "total_chunk_count": count}
        body = {"post_info": POST_INFO | info, "source_info": source}
        return self.call("/v2/post/publish/video/init/", body, creator)

    def draft(self, size: int = 1000) -> httpx.Response:
        source = {"source": "FILE_UPLOAD", "video_size": size, "chunk_size": size, "total_chunk_count": 1}
        return self.call("/v2/post/publish/inbox/video/init/", {"source_info": source})

    def put(self, url: str, data: bytes, first: int, total: int, **headers: str) -> httpx.Response:
        """Send `data` as the bytes from `first` on."""
        own = {"Content-Range": f"bytes {first}-{first + len(data) - 1}/{total}", "Content-Type": "video/mp4"}
        return self.http.put(url, content=data, headers=own | headers)

    def post_video(self, video: bytes | None = None, creator: str = "emberfold.air", **info: Any) -> str:
        """Init and upload in one chunk; returns the publish_id."""
        video = a_video() if video is None else video
        data = self.init(len(video), creator=creator, **info).json()["data"]
        assert self.put(data["upload_url"], video, 0, len(video)).status_code == 201
        return str(data["publish_id"])

    def status(self, publish_id: str, creator: str = "emberfold.air") -> dict[str, Any]:
        answer = self.call("/v2/post/publish/status/fetch/", {"publish_id": publish_id}, creator).json()
        assert answer["error"]["code"] == "ok", answer
        data: dict[str, Any] = answer["data"]
        return data


def code(response: httpx.Response) -> str:
    """HTTP status and error code in one, to compare."""
    return f"{response.status_code} {response.json()['error']['code']}"


def raw_put(url: str, body: bytes, headers: dict[str, str]) -> int:
    """A PUT with exactly these headers; returns the status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    try:
        connection.putrequest("PUT", f"{parts.path}?{parts.query}")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        return connection.getresponse().status
    finally:
        connection.close()


@dataclass
class Served:
    """A sandbox in a thread of this process."""

    config: SandboxConfig
    listener: socket.socket = field(init=False)
    running: uvicorn.Server = field(init=False)

    def __enter__(self) -> str:
        """Serve, and return the address. Calls made before it is ready wait in the listener's queue."""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.running = server(self.config)
        self.thread = threading.Thread(target=self.running.run, args=([self.listener],))
        self.thread.start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.running.should_exit = True
        self.thread.join(10)
        self.listener.close()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with Served(SandboxConfig()) as url:
        yield url


@pytest.fixture
def app(address: str) -> Iterator[App]:
    """An app without tokens, on a sandbox whose clock stands still."""
    with httpx.Client(base_url=address, timeout=10, trust_env=False) as client:
        app = App(client)
        app.control("POST", "/reset")
        app.control("POST", "/clock/freeze")
        yield app


@pytest.fixture
def connected(app: App) -> App:
    """The same with the tokens of emberfold.air."""
    app.connect()
    return app


def until(reached: Callable[[], bool]) -> None:
    """Poll, for at most ten seconds."""
    pause, limit = threading.Event(), time.monotonic() + 10
    while not reached():
        assert time.monotonic() < limit
        pause.wait(0.01)


def query_of(location: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(location).query)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def shop(address: str) -> Iterator[ShopApp]:
    """An app of TikTok Shop without tokens, on a sandbox whose clock stands still."""
    with httpx.Client(base_url=address, timeout=10, trust_env=False) as client:
        app = ShopApp(client)
        app.control("POST", "//reset")
        app.control("POST", "//clock/freeze")
        # The clock stands still, so a second never ends.
        app.settings(redirect_url=SHOP_CALLBACK, calls_per_second=0)
        yield app


@pytest.fixture
def seller(shop: ShopApp) -> ShopApp:
    """The same with the tokens of both sellers."""
    shop.connect("emberfold")
    shop.connect("emberfold-trading")
    return shop


@pytest.fixture
def amazon(address: str) -> Iterator[Amazon]:
    """An app of the Selling Partner API without tokens, on a sandbox whose clock stands still."""
    with httpx.Client(base_url=address, timeout=10, trust_env=False) as client:
        app = Amazon(client)
        app.control("POST", "//reset")
        app.control("POST", "//clock/freeze")
        yield app


@pytest.fixture
def seller_central(amazon: Amazon) -> Amazon:
    """The same with the tokens of the seller emberfold."""
    amazon.connect()
    return amazon
