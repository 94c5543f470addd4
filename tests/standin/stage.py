"""The publisher in front of a strict stand-in of TikTok, with the means of tests.publisher.stage."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr

from kit.custody import TokenPair
from kit.db import Database
from kit.rate_limit import Rate
from kit.shared_rate_limit import SharedRateLimiter
from services.publisher import account_store
from services.publisher.domain import Account, Platform
from services.publisher.ledger import Ledger
from tests.publisher.factories import WORKSPACE
from tests.publisher.stage import CREATOR, FakeLibrary, Sandbox
from tests.standin.server import serving
from tests.standin.tiktok import TikTok
from tests.standin.tiktok_posts import User
from tests.standin.tiktok_rules import ALL_SCOPES
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig


@dataclass
class AtTikTok(Sandbox):
    """Stands where the stage expects the sandbox's controls."""

    tiktok: TikTok = field(default_factory=TikTok)
    user: User = field(init=False)

    def reset(self) -> None:
        self.user = self.tiktok.creator(CREATOR)

    def config(self, **changes: Any) -> TikTokConfig:
        """As an operator would configure it: the address, the app, and nothing else."""
        values: dict[str, Any] = {
            "base_url": self.tiktok.url, "authorize_url": f"{self.tiktok.url}/v2/auth/authorize/",
            "client_key": self.tiktok.client_key, "client_secret": SecretStr(self.tiktok.client_secret),
        } | changes  # fmt: skip
        return TikTokConfig(**values)

    def connect(self, ledger: Ledger, workspace_id: UUID = WORKSPACE, creator: str = CREATOR) -> Account:
        """An account of the creator, with tokens that were just given."""
        user = next((each for each in self.tiktok.users.values() if each.handle == creator), None)
        user = user or self.tiktok.creator(creator)
        grant = self.tiktok.login.give(user.open_id)
        now = datetime.now(UTC)
        pair = TokenPair(
            grant.access,
            now + timedelta(seconds=self.tiktok.login.lifetime),
            grant.refresh,
            now + timedelta(days=365),
        )
        with ledger.database.transaction(workspace_id) as tx:
            return account_store.save_account(
                tx, ledger.vault, workspace_id=workspace_id, platform=Platform.TIKTOK,
                platform_account_id=user.open_id, handle=creator, display_name=creator, scopes=ALL_SCOPES, tokens=pair,
            )  # fmt: skip

    def effects(self, caption: str) -> int:
        """How often it was published."""
        return len(self.tiktok.posts.published(caption))


@contextlib.contextmanager
def platform(minute: float = 60.0) -> Iterator[AtTikTok]:
    """A stand-in on a free port."""
    tiktok = TikTok(minute)
    with serving(tiktok), httpx.Client(base_url=tiktok.url, trust_env=False, verify=False) as http:
        yield AtTikTok(http, tiktok=tiktok)


def scaled(client: TikTokClient, database: Database, minute: float) -> None:
    """Gives a client rates with a shorter minute, and slack for calls that travel for different times."""
    rates = {name: Rate(rate.tokens, minute + 0.3) for name, rate in client.config.rates().items()}
    client._http._limiter = SharedRateLimiter(database, "tiktok", rates)


@contextlib.contextmanager
def media_host(*contents: tuple[str, bytes]) -> Iterator[Callable[[UUID, UUID, datetime], str]]:
    """Serves the same files under every address; yields what makes addresses. One of them each, in order."""
    given: dict[str, tuple[str, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = given[self.path.partition("?")[0]]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

        def address(workspace_id: UUID, media_asset_id: UUID, end: datetime) -> str:
            path = f"/media/{media_asset_id}"
            given.setdefault(path, contents[len(given) % len(contents)])
            return f"http://127.0.0.1:{server.server_port}{path}?expires={end.timestamp()}"

        yield address
        server.shutdown()


def digest_of(size: int) -> str:
    """What the library's file of a size is, to the last byte."""
    return hashlib.sha256(FakeLibrary.HEAD + bytes(size - len(FakeLibrary.HEAD))).hexdigest()
