"""A whole installation that publishes, as processes with replicas; see processes.py."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import httpx
from reelroute.content.v1 import content_pb2, content_pb2_grpc
from reelroute.publisher.v1 import publisher_pb2, publisher_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc

from deploy.local import demo
from tests.chaos.processes import Processes, Starter, opened
from tests.services import starting

WORKSPACE = uuid.UUID(int=1)
LEASE_SECONDS = 5
_SERVICES = ("content", "notification", "scheduler", "publisher")
_CALLBACK = "http://127.0.0.1:8765/callback"
# Limits and waits of a platform with more posts in a minute than one user makes, and of a day that lasts minutes.
_ENVIRONMENT = {
    "REELROUTE_LEASE_SECONDS": str(LEASE_SECONDS),
    "REELROUTE_LEAD_SECONDS": "2",
    "REELROUTE_RETRY_FIRST_SECONDS": "1",
    "REELROUTE_RETRY_LONGEST_SECONDS": "5",
    "REELROUTE_MAX_ATTEMPTS": "30",
    "REELROUTE_CATCH_UP_GAP_SECONDS": "0.2",
    "REELROUTE_TIKTOK_POSTS_PER_DAY": "0",
    "REELROUTE_TIKTOK_VIDEO_INIT_PER_MINUTE": "100000",
    "REELROUTE_TIKTOK_CREATOR_INFO_PER_MINUTE": "100000",
    "REELROUTE_TIKTOK_STATUS_FETCH_PER_MINUTE": "100000",
    "REELROUTE_SANDBOX_TIKTOK__PROCESSING_SECONDS": "0.1",
    "REELROUTE_SANDBOX_TIKTOK__MODERATION_SECONDS": "0.2",
}
_SANDBOX_SETTINGS = {
    "calls_per_minute": {"video_init": 100_000, "creator_info": 100_000, "status_fetch": 100_000},
    "posts_per_day": 100_000,
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A post for one account, as it was ordered. Its caption is its own."""

    post_id: str
    delivery_id: str
    account_id: str
    caption: str
    due: datetime


@dataclass
class Installation(Processes):
    """Schedulers and publishers with what they need, and accounts to publish for."""

    accounts: dict[str, str] = field(default_factory=dict)
    media: content_pb2.MediaAsset = field(default_factory=content_pb2.MediaAsset)

    @property
    def creators(self) -> list[str]:
        """Accounts on TikTok, which gives a handle first."""
        return [handle for handle in self.accounts if handle.startswith("creator.")]

    @property
    def writers(self) -> list[str]:
        """Accounts on Bulletin, which publishes in one call and knows no key for it."""
        return [handle for handle in self.accounts if handle.startswith("writer.")]

    @contextlib.contextmanager
    def scheduler(self, name: str = "scheduler-1") -> Iterator[scheduler_pb2_grpc.SchedulerServiceStub]:
        """One replica of the scheduler."""
        with contextlib.closing(self.channel(name)) as channel:
            yield scheduler_pb2_grpc.SchedulerServiceStub(channel)

    def plan(
        self, handles: Sequence[str], due: datetime, *, lateness: scheduler_pb2.Lateness | None = None
    ) -> list[Planned]:
        """Schedules a post for each handle at a full second; asks until it is answered, as any client would.

        When the answer took so long that the time was over, the posts are for a later one.
        """
        request = self.batch(handles, due, lateness)
        for name in itertools.islice(itertools.cycle(self.replicas("scheduler")), 60):
            with self.scheduler(name) as scheduler:
                try:
                    answer = scheduler.BatchCreatePosts(request, timeout=10)
                except grpc.RpcError:
                    time.sleep(0.2)
                    continue
            if all(result.HasField("post") for result in answer.results):
                return [_planned(result.post) for result in answer.results]
            assert {result.refusal.reason for result in answer.results} == {"SCHEDULE_TIME_IN_PAST"}, str(answer)
            request = self.batch(handles, soon(1), lateness)
        raise AssertionError("no scheduler took the posts")

    def batch(
        self, handles: Sequence[str], due: datetime, lateness: scheduler_pb2.Lateness | None = None
    ) -> scheduler_pb2.BatchCreatePostsRequest:
        """A request for a post for each handle."""
        return scheduler_pb2.BatchCreatePostsRequest(
            workspace_id=str(WORKSPACE),
            request_id=str(uuid.uuid4()),
            posts=[self._draft(handle, due, lateness) for handle in handles],
        )

    def _draft(self, handle: str, due: datetime, lateness: scheduler_pb2.Lateness | None) -> scheduler_pb2.PostDraft:
        draft = scheduler_pb2.PostDraft(
            account_ids=[self.accounts[handle]],
            platforms=["bulletin" if handle in self.writers else "tiktok"],
            caption=f"{uuid.uuid4()} #emberfold",
            local_time=f"{due:%Y-%m-%dT%H:%M:%S}",
            time_zone="UTC",
            lateness=lateness,
        )
        if handle not in self.writers:
            asset = self.media
            draft.media.add(media_asset_id=asset.media_asset_id, sha256=asset.sha256, mime_type=asset.mime_type)
            draft.options.tiktok.privacy_level = "PUBLIC_TO_EVERYONE"
        return draft

    def effects(self) -> dict[str, int]:
        """How often the platform has each caption: what a double would show in."""
        found: dict[str, int] = {}
        for row in self.control("GET", "/tiktok/effects"):
            found[row["caption"]] = found.get(row["caption"], 0) + row["effects"]
        for row in self.control("GET", "/bulletin/effects?limit=10000"):
            found[row["text"]] = found.get(row["text"], 0) + row["effects"]
        return found


def soon(seconds: float) -> datetime:
    """The first full second that is at least so far away."""
    return (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)


def _planned(post: scheduler_pb2.Post) -> Planned:
    (delivery,) = post.deliveries
    due = post.schedule_time.ToDatetime(tzinfo=UTC)
    return Planned(post.post_id, delivery.delivery_id, delivery.account_id, post.caption, due)


@contextlib.contextmanager
def installation(
    *,
    schedulers: int = 2,
    publishers: int = 2,
    creators: int = 8,
    environment: Mapping[str, str] | None = None,
    own_environment: Mapping[str, Mapping[str, str]] | None = None,
    sources: Mapping[str, Path] | None = None,
    is_wired: bool = True,
) -> Iterator[Installation]:
    """Starts everything on a folder of its own and connects accounts.

    `own_environment` is for single processes; `sources` are where the programs of single processes lie, others than
    these here. Not `is_wired`: no rule sees a message, and no message waits for one.
    """
    everywhere = {**_ENVIRONMENT, **(environment or {})}
    with opened(_Starter, everywhere, own_environment, sources, is_wired=is_wired) as starter:
        running = starter.start(schedulers, publishers)
        _furnish(running, creators)
        yield running


class _Starter(Starter):
    def start(self, schedulers: int, publishers: int) -> Installation:
        names = ["content", "notification"]
        names += [f"scheduler-{number + 1}" for number in range(schedulers)]
        names += [f"publisher-{number + 1}" for number in range(publishers)]
        self.migrate(_SERVICES)
        with starting():
            self.give_addresses(names)
            url = self.start_sandbox()
            platform = self.platform_wire(url)
            for name in names:
                self.start_service(name, self._own(name, url, platform))
            self.wait_ready()
        return Installation(**self.parts())

    def _own(self, name: str, sandbox_url: str, platform: str) -> dict[str, str]:
        match name.partition("-")[0]:
            case "content":
                return {"REELROUTE_MEDIA_FOLDER": str(self.folder / "media")}
            case "scheduler":
                return {"REELROUTE_NOTIFICATION_ADDRESS": self.wire(name, "notification")}
            case "publisher":
                return {
                    "REELROUTE_HOLDER": name,
                    "REELROUTE_MASTER_KEY": self.secrets.master_key,
                    "REELROUTE_NOTIFICATION_ADDRESS": self.wire(name, "notification"),
                    "REELROUTE_SCHEDULER_ADDRESS": self.wire(name, "scheduler"),
                    "REELROUTE_CONTENT_ADDRESS": self.addresses["content"],
                    "REELROUTE_BULLETIN_BASE_URL": platform,
                    "REELROUTE_BULLETIN_AUTHORIZE_URL": f"{sandbox_url}/bulletin/authorize",
                    "REELROUTE_TIKTOK_BASE_URL": platform,
                    "REELROUTE_TIKTOK_AUTHORIZE_URL": f"{sandbox_url}/v2/auth/authorize/",
                    "REELROUTE_TIKTOK_CLIENT_KEY": "sandbox-client-key",
                    "REELROUTE_TIKTOK_CLIENT_SECRET": "sandbox-client-secret",
                }
        return {}


def _furnish(running: Installation, creators: int) -> None:
    """Accounts of make-believe creators, and a video."""
    running.control("PATCH", "/tiktok/settings", _SANDBOX_SETTINGS)
    with contextlib.closing(running.channel("publisher-1")) as channel:
        publisher = publisher_pb2_grpc.PublisherServiceStub(channel)
        for number in range(creators):
            handle = f"creator.{number}"
            running.control("POST", "/tiktok/creators", {"username": handle})
            running.accounts[handle] = connect(running, publisher, handle)
        writers = [f"writer.{number}" for number in range(creators // 2)]
        running.control("POST", "/bulletin/accounts", {"accounts": writers})
        for handle in writers:
            running.accounts[handle] = connect(running, publisher, handle)
    with contextlib.closing(running.channel("content")) as channel:
        running.media = upload(content_pb2_grpc.ContentServiceStub(channel), demo.VIDEO)


def connect(running: Installation, publisher: publisher_pb2_grpc.PublisherServiceStub, handle: str) -> str:
    """Connects an account whose owner consents; returns its id. "writer." begins those of Bulletin."""
    is_writer = handle.startswith("writer.")
    start = publisher.StartConnection(
        publisher_pb2.StartConnectionRequest(
            workspace_id=str(WORKSPACE),
            platform=publisher_pb2.PLATFORM_BULLETIN if is_writer else publisher_pb2.PLATFORM_TIKTOK,
            redirect_uri=_CALLBACK,
        ),
        timeout=10,
    )
    page = {"authorize_url": start.consent_url, "account" if is_writer else "creator": handle}
    consent = running.control("POST", f"/{'bulletin' if is_writer else 'tiktok'}/consents", page)
    code = httpx.URL(consent["redirect_url"]).params["code"]
    finish = publisher.FinishConnection(
        publisher_pb2.FinishConnectionRequest(workspace_id=str(WORKSPACE), state=start.state, code=code), timeout=20
    )
    return finish.account.account_id


def upload(content: content_pb2_grpc.ContentServiceStub, path: Path) -> content_pb2.MediaAsset:
    """Puts a file into the library."""
    data = path.read_bytes()
    parts = [
        content_pb2.UploadMediaRequest(
            header=content_pb2.UploadHeader(workspace_id=str(WORKSPACE), file_name=path.name)
        ),
        *(content_pb2.UploadMediaRequest(data=data[start : start + 2**20]) for start in range(0, len(data), 2**20)),
        content_pb2.UploadMediaRequest(end=content_pb2.UploadEnd(size_bytes=len(data))),
    ]
    return content.UploadMedia(iter(parts), timeout=60).media_asset
