"""A stage for the publisher: the platform sandbox, and a scheduler, a library and a feed with a memory."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import grpc
import httpx
from pydantic import SecretStr
from reelroute.content.v1 import content_pb2, content_pb2_grpc
from reelroute.notification.v1 import notification_pb2, notification_pb2_grpc
from reelroute.publisher.v1 import publisher_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc
from sqlalchemy import text

from kit import outbox, rpc, rpc_server
from kit.custody import TokenPair
from kit.db import ALL_WORKSPACES, Database
from kit.errors import NotFound
from kit.key_ring import KeyRing
from kit.loop import Loop
from kit.vault import Vault
from kit.vendor_call import CallRecord
from services.publisher import account_store
from services.publisher.api import PublisherApi
from services.publisher.config import PublisherConfig
from services.publisher.domain import Account, Platform
from services.publisher.foresight import Foresight
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Adapter
from services.publisher.platforms.tiktok import TikTokAdapter
from services.publisher.quotas import Quotas
from services.publisher.tables import data_keys
from services.publisher.worker import Platforms, Worker
from tests.publisher.factories import WORKSPACE
from tests.publisher.fake_scheduler import FakeScheduler, Planned
from tests.services import SERVICE_TOKEN
from vendors.tiktok import oauth
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig

Found = TypeVar("Found")

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
CALLBACK = "http://127.0.0.1:5000/callback"
CREATOR = "emberfold.air"
SMALL, LARGE = 300_000, 70_000_000  # bytes: one chunk, and seven


def until(find: Callable[[], Found | None], seconds: float = 20, story: Callable[[], object] = lambda: "") -> Found:
    """Polls for what `find` finds."""
    pause, limit = threading.Event(), time.monotonic() + seconds
    while True:
        found = find()
        if found is not None:
            return found
        assert time.monotonic() < limit, story()
        pause.wait(0.01)


def a_vault(master_key: str = MASTER_KEY) -> Vault:
    """The vault of another process."""
    return Vault(KeyRing(master_key), data_keys)


@contextlib.contextmanager
def serving(*servicers: tuple[Callable[..., None], object]) -> Iterator[str]:
    """A server with our interceptor; yields its address."""
    server = rpc_server.build_server(SERVICE_TOKEN, threads=24)
    for add, servicer in servicers:
        add(servicer, server)
    port = rpc_server.listen(server, "127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(5)


class FakeLibrary(content_pb2_grpc.ContentServiceServicer):
    """A media library of zeros behind an MP4's first bytes, made while they are read."""

    HEAD = b"\0\0\0\x18ftypisom"

    def __init__(self) -> None:
        self.assets: dict[str, content_pb2.MediaAsset] = {}
        self.refuse_with: Exception | None = None
        self.reading = 0

    def add(self, size: int, **changes: Any) -> content_pb2.MediaAsset:
        facts: dict[str, Any] = {
            "mime_type": "video/mp4", "width": 1080, "height": 1920, "container": "mp4", "codec": "h264",
            "frame_rate_millis": 30_000, "pixel_mode": "yuv420p",
        } | changes  # fmt: skip
        asset = content_pb2.MediaAsset(
            media_asset_id=str(uuid.uuid4()),
            size_bytes=size,
            sha256=hashlib.sha256(str(size).encode()).hexdigest(),
            **facts,
        )
        asset.duration.FromTimedelta(timedelta(seconds=15))
        self.assets[asset.media_asset_id] = asset
        return asset

    def GetMediaAsset(  # noqa: N802
        self, request: content_pb2.GetMediaAssetRequest, context: grpc.ServicerContext
    ) -> content_pb2.GetMediaAssetResponse:
        return content_pb2.GetMediaAssetResponse(media_asset=self._asset(request.media_asset_id))

    def BatchGetMediaAssets(  # noqa: N802
        self, request: content_pb2.BatchGetMediaAssetsRequest, context: grpc.ServicerContext
    ) -> content_pb2.BatchGetMediaAssetsResponse:
        if self.refuse_with:
            raise self.refuse_with
        found = [self.assets[each] for each in request.media_asset_ids if each in self.assets]
        return content_pb2.BatchGetMediaAssetsResponse(media_assets=found)

    def DownloadMedia(  # noqa: N802
        self, request: content_pb2.DownloadMediaRequest, context: grpc.ServicerContext
    ) -> Iterator[content_pb2.DownloadMediaResponse]:
        asset = self._asset(request.media_asset_id)
        self.reading += 1
        try:
            first = request.offset_bytes
            end = first + request.length_bytes if request.length_bytes else asset.size_bytes
            while first < end:
                piece = (self.HEAD[first:] + bytes(2**20))[: min(2**20, end - first)]
                first += len(piece)
                yield content_pb2.DownloadMediaResponse(data=piece)
        finally:
            self.reading -= 1

    def _asset(self, media_asset_id: str) -> content_pb2.MediaAsset:
        if self.refuse_with:
            raise self.refuse_with
        if media_asset_id not in self.assets:
            raise NotFound("There is no such asset.")
        return self.assets[media_asset_id]


class FakeFeed(notification_pb2_grpc.NotificationServiceServicer):
    """An activity feed that remembers."""

    def __init__(self) -> None:
        self.activities: list[notification_pb2.RecordActivityRequest] = []

    def RecordActivity(  # noqa: N802
        self, request: notification_pb2.RecordActivityRequest, context: grpc.ServicerContext
    ) -> notification_pb2.RecordActivityResponse:
        self.activities.append(request)
        return notification_pb2.RecordActivityResponse()

    def RecordActivities(  # noqa: N802
        self, request: notification_pb2.RecordActivitiesRequest, context: grpc.ServicerContext
    ) -> notification_pb2.RecordActivitiesResponse:
        self.activities.extend(request.activities)
        return notification_pb2.RecordActivitiesResponse()

    def kinds(self, **about: str) -> list[str]:
        return [
            activity.type
            for activity in self.activities
            if all(getattr(activity, name) == value for name, value in about.items())
        ]


@dataclass
class Sandbox:
    """The platform's control API."""

    http: httpx.Client
    app: dict[str, Any] = field(
        default_factory=lambda: {
            "client_key": "sandbox-client-key",
            "client_secret": SecretStr("sandbox-client-secret"),
        }
    )

    @property
    def url(self) -> str:
        return str(self.http.base_url).rstrip("/")

    def control(self, method: str, path: str, **body: Any) -> Any:
        answer = self.http.request(method, f"/control{path}", json=body if method != "GET" else None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def reset(self) -> None:
        self.control("POST", "/reset")
        self.control(
            "PATCH",
            "/tiktok/settings",
            processing_seconds=0,
            moderation_seconds=0.05,
            posts_per_day=1000,
            calls_per_minute={"video_init": 10_000, "creator_info": 10_000, "status_fetch": 10_000},
        )

    def fault(self, endpoint: str, mode: str, **more: Any) -> None:
        self.control("POST", "/faults", endpoint=f"tiktok.{endpoint}", mode=mode, **more)

    def calls(self, endpoint: str) -> int:
        answer = self.http.get("/control/calls", params={"endpoint": f"tiktok.{endpoint}"})
        return len(answer.json())

    def effects(self, caption: str) -> int:
        rows = self.control("GET", "/tiktok/effects")
        return sum(row["effects"] for row in rows if row["caption"] == caption)

    def code(self, consent_url: str, creator: str = CREATOR) -> tuple[str, str]:
        """Code and state with which a consenting owner's browser comes back."""
        answer = self.control("POST", "/tiktok/consents", authorize_url=consent_url, creator=creator)
        query = httpx.URL(answer["redirect_url"]).params
        return query["code"], query["state"]

    def config(self, **changes: Any) -> TikTokConfig:
        """A client's configuration; its own limits are out of the way."""
        values: dict[str, Any] = (
            {
                "base_url": self.url, "authorize_url": f"{self.url}/v2/auth/authorize/",
                **self.app,
                "posts_per_day": 0,
                "video_init_per_minute": 10_000, "creator_info_per_minute": 10_000, "status_fetch_per_minute": 10_000,
                "read_timeout_seconds": 5,
            } | changes
        )  # fmt: skip
        return TikTokConfig(**values)

    def connect(self, ledger: Ledger, workspace_id: UUID = WORKSPACE, creator: str = CREATOR) -> Account:
        """An account of the creator, its tokens as a real connection would store them."""
        config, proof = self.config(), oauth.new_proof_key()
        url = oauth.authorize_url(config, redirect_uri=CALLBACK, state="s", code_challenge=proof.challenge)
        form = {
            "client_key": "sandbox-client-key", "client_secret": "sandbox-client-secret",
            "grant_type": "authorization_code", "code": self.code(url, creator)[0], "redirect_uri": CALLBACK,
            "code_verifier": proof.verifier,
        }  # fmt: skip
        grant = self.http.post("/v2/oauth/token/", data=form).json()
        now = datetime.now(UTC)
        with ledger.database.transaction(workspace_id) as tx:
            return account_store.save_account(
                tx,
                ledger.vault,
                workspace_id=workspace_id,
                platform=Platform.TIKTOK,
                platform_account_id=grant["open_id"],
                handle=creator,
                display_name=creator,
                scopes=("video.publish",),
                tokens=TokenPair(
                    grant["access_token"], now + timedelta(days=1), grant["refresh_token"], now + timedelta(days=365)
                ),
            )


Wrap = Callable[[Adapter], Adapter]


@dataclass
class Stage:
    """Everything around a publisher, and the means to start publishers and break them."""

    database: Database
    sandbox: Sandbox
    library: FakeLibrary
    feed: FakeFeed
    scheduler: FakeScheduler
    scheduler_address: str
    content_address: str
    ledger: Ledger
    outbox: outbox.Relay
    cleanup: contextlib.ExitStack
    account: Account = field(init=False)
    relay: Loop = field(init=False)
    client: TikTokClient = field(init=False)
    # Of all workers to the platform.
    calls: list[CallRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start_relay()
        self.account = self.sandbox.connect(self.ledger)

    def start_relay(self) -> None:
        self.relay = relay = Loop("relay", self.outbox.run_once, interval_seconds=0.05)
        relay.start()
        self.cleanup.callback(lambda: relay.stop(5))

    def config(self, **changes: Any) -> PublisherConfig:
        values: dict[str, Any] = (
            {
                "database_url": SecretStr("postgresql://nobody"), "service_token": SecretStr(SERVICE_TOKEN),
                "scheduler_address": self.scheduler_address,
                "content_address": self.content_address, "holder": "test", "lease_seconds": 5, "lead_seconds": 1,
                "claim_wait_seconds": 1, "observe_poll_seconds": 0.05,
            } | changes
        )  # fmt: skip
        return PublisherConfig(**values)

    def worker(
        self,
        ledger: Ledger | None = None,
        wrap: Wrap | None = None,
        tiktok: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Worker:
        """A running publisher worker; stopped at the end of the test."""
        config = self.sandbox.config(**(tiktok or {}))
        self.client = client = TikTokClient(config, on_call=self.calls.append)

        @contextlib.asynccontextmanager
        async def platforms() -> AsyncIterator[Platforms]:
            async with client:
                adapter: Adapter = TikTokAdapter(client)
                adapter = wrap(adapter) if wrap else adapter
                yield Platforms({Platform.TIKTOK: adapter}, {Platform.TIKTOK: client})

        worker = Worker(
            self.config(**changes), ledger or Ledger(self.database, self.ledger.vault, "test/1"), platforms()
        )
        worker.start()
        self.cleanup.callback(lambda: worker.stop(20))
        return worker

    def foresight(self, **quotas: int) -> Foresight:
        """Forecasts over this scheduler and library, for a platform with these quotas."""
        addresses = {"scheduler": self.scheduler_address, "content": self.content_address}
        channels = outbox.open_channels(addresses, SERVICE_TOKEN)
        for channel in channels.values():
            self.cleanup.callback(channel.close)
        return Foresight(self.database, channels, {Platform.TIKTOK: Quotas(**quotas)}, lead=20)

    def api(self, worker: Worker) -> publisher_pb2_grpc.PublisherServiceStub:
        """The RPCs of the newest worker's process on a real port."""
        api = PublisherApi(self.ledger, worker, self.foresight(), self.client)
        address = self.cleanup.enter_context(serving((publisher_pb2_grpc.add_PublisherServiceServicer_to_server, api)))
        channel = self.cleanup.enter_context(contextlib.closing(rpc.channel(address, SERVICE_TOKEN)))
        return publisher_pb2_grpc.PublisherServiceStub(channel)

    def schedule(self, size: int = SMALL, in_seconds: float = 0, **changes: Any) -> Planned:
        """A delivery that is due soon, with a caption of its own."""
        asset = self.library.add(size)
        media = scheduler_pb2.PostMedia(
            media_asset_id=asset.media_asset_id, sha256=asset.sha256, mime_type=asset.mime_type
        )
        values: dict[str, Any] = {
            "workspace_id": str(WORKSPACE),
            "account_id": str(self.account.account_id),
            "caption": f"Air fryer fries {uuid.uuid4()}",
            "media": [media],
            "options": scheduler_pb2.PostOptions(
                tiktok=scheduler_pb2.TikTokOptions(privacy_level="PUBLIC_TO_EVERYONE")
            ),
        } | changes
        return self.scheduler.plan(in_seconds, **values)

    def wait_state(self, planned: Planned, *states: str, seconds: float = 20) -> Planned:
        return until(lambda: planned if planned.state in states else None, seconds, lambda: self.story(planned))

    def publication(self, planned: Planned) -> dict[str, Any] | None:
        with self.database.transaction(ALL_WORKSPACES) as tx:
            row = tx.execute(
                text("SELECT * FROM publications WHERE delivery_id = :delivery"), {"delivery": planned.delivery_id}
            )
            found = row.mappings().first()
        return dict(found) if found else None

    def lines(self, planned: Planned) -> list[str]:
        """The attempt log."""
        with self.database.transaction(ALL_WORKSPACES) as tx:
            rows = tx.execute(
                text(
                    "SELECT e.attempt, e.step, message FROM attempt_entries e JOIN publications USING (publication_id)"
                    " WHERE delivery_id = :delivery ORDER BY entry_id"
                ),
                {"delivery": planned.delivery_id},
            ).all()
        return [f"{row.attempt} {row.step}: {row.message}" for row in rows]

    def story(self, planned: Planned) -> str:
        effects = self.sandbox.effects(planned.caption)
        return "\n".join([repr(planned), *self.lines(planned), f"effects {effects}"])

    def assert_published_once(self, planned: Planned, seconds: float = 30) -> Planned:
        self.wait_state(planned, "PUBLISHED", "REJECTED", "FAILED", seconds=seconds)
        story = self.story(planned)
        assert planned.state == "PUBLISHED", story
        assert self.sandbox.effects(planned.caption) == 1, story
        publication = self.publication(planned)
        assert publication is not None
        assert (publication["step"], publication["platform_post_id"]) == (
            "PUBLISHED",
            planned.published.platform_post_id,
        ), story
        return planned


@contextlib.contextmanager
def staged(database: Database, sandbox: Sandbox) -> Iterator[Stage]:
    """A stage without a publisher."""
    sandbox.reset()
    library, feed = FakeLibrary(), FakeFeed()  # type: ignore[abstract]  # the other RPCs are not called
    scheduler = FakeScheduler()  # type: ignore[abstract]
    with contextlib.ExitStack() as cleanup:
        scheduler_address = cleanup.enter_context(
            serving((scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server, scheduler))
        )
        cleanup.callback(scheduler.close)
        content_address = cleanup.enter_context(
            serving((content_pb2_grpc.add_ContentServiceServicer_to_server, library))
        )
        feed_address = cleanup.enter_context(
            serving((notification_pb2_grpc.add_NotificationServiceServicer_to_server, feed))
        )
        channels = outbox.open_channels({"scheduler": scheduler_address, "notification": feed_address}, SERVICE_TOKEN)
        for channel in channels.values():
            cleanup.callback(channel.close)
        ledger = Ledger(database, a_vault(), "test/1")
        yield Stage(
            database,
            sandbox,
            library,
            feed,
            scheduler,
            scheduler_address,
            content_address,
            ledger,
            outbox.Relay(database, channels),
            cleanup,
        )
