"""A whole installation as processes, with replicas, and with every wire between them in our hands."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import grpc
import httpx
import psycopg2
from psycopg2.extras import RealDictCursor
from reelroute.content.v1 import content_pb2, content_pb2_grpc
from reelroute.publisher.v1 import publisher_pb2, publisher_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc

from deploy.local import demo
from deploy.local.child import Child
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from deploy.local.settings import ROOT, local_secrets
from deploy.local.stack import http_ready, rpc_ready, service_url
from deploy.local.supervisor import Supervisor
from kit import migrations, rpc
from tests.chaos.http_proxy import open_http_wire
from tests.chaos.pg_proxy import open_pg_wire
from tests.chaos.rpc_proxy import open_rpc_wire
from tests.chaos.wires import Wires
from tests.database import public_folder
from tests.services import starting

Found = TypeVar("Found")

WORKSPACE = uuid.UUID(int=1)
LEASE_SECONDS = 5
_SERVICES = ("content", "notification", "scheduler", "publisher")
_CALLBACK = "http://127.0.0.1:8765/callback"
_READY_SECONDS = 60.0
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
class Installation:
    """Running processes by name ("scheduler-1", "postgresql"), and the means to use them, look at them, break them."""

    folder: Path
    supervisor: Supervisor
    postgres: EmbeddedPostgres
    wires: Wires
    addresses: dict[str, str]
    sandbox: httpx.Client
    service_token: str
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

    def replicas(self, service: str) -> list[str]:
        """Names of the service's processes."""
        return [name for name in self.addresses if name.partition("-")[0] == service]

    def channel(self, name: str) -> grpc.Channel:
        """To one process, past the wires. The caller closes it."""
        return rpc.channel(self.addresses[name], self.service_token)

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

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """What the database has, by its superuser and past the wires. Waits for a server that is just starting."""
        return self.wait(lambda: self._rows(statement, values), 60, lambda: statement)

    def _rows(self, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        try:
            with contextlib.closing(psycopg2.connect(self.postgres.admin_url)) as connection:
                connection.autocommit = True
                with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                    cursor.execute(statement, values)
                    return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        except psycopg2.OperationalError:
            return None

    def pid(self, name: str) -> int | None:
        """Process id, None while it does not run."""
        return self.supervisor.pid(name)

    def kill(self, name: str) -> bool:
        """SIGKILL, now; False when it does not run."""
        return self.send(name, signal.SIGKILL)

    def send(self, name: str, number: signal.Signals) -> bool:
        """Sends a signal; False when the process does not run."""
        pid = self.pid(name)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    @contextlib.contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Processes that do not move while inside."""
        for name in names:
            self.send(name, signal.SIGSTOP)
        try:
            yield
        finally:
            for name in names:
                self.send(name, signal.SIGCONT)

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The platform's control API. Waits for a sandbox that is just starting."""

        def ask() -> httpx.Response | None:
            try:
                return self.sandbox.request(method, f"/control{path}", json=body)
            except httpx.HTTPError:
                return None

        answer = self.wait(ask, 60, lambda: path)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def fault(self, **fault: Any) -> None:
        """Disturbs coming calls; see docs/sandbox.md."""
        self.control("POST", "/faults", fault)

    def effects(self) -> dict[str, int]:
        """How often the platform has each caption: what a double would show in."""
        found: dict[str, int] = {}
        for row in self.control("GET", "/tiktok/effects"):
            found[row["caption"]] = found.get(row["caption"], 0) + row["effects"]
        for row in self.control("GET", "/bulletin/effects?limit=10000"):
            found[row["text"]] = found.get(row["text"], 0) + row["effects"]
        return found

    def wait(self, look: Callable[[], Found | None], seconds: float, story: Callable[[], object] = str) -> Found:
        """The first answer of `look` that is something. AssertionError with the story after so many seconds."""
        deadline = time.monotonic() + seconds
        while (found := look()) is None:
            assert time.monotonic() < deadline, f"nothing after {seconds:g} s: {story()}"
            time.sleep(0.05)
        return found

    def wait_ready(self) -> None:
        """Returns when everything runs and says that it is ready."""
        self.supervisor.wait_ready(timeout=_READY_SECONDS)


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
) -> Iterator[Installation]:
    """Starts everything on a folder of its own and connects accounts.

    `own_environment` is for single processes; `sources` are where the programs of single processes lie, others than
    these here.
    """
    folder = public_folder()
    told: list[str] = []
    try:
        with (
            Wires() as wires,
            Supervisor(announce=told.append, stable_after=0) as supervisor,
            httpx.Client(timeout=20, trust_env=False) as sandbox,
        ):
            postgres = EmbeddedPostgres(folder / "postgresql")
            supervisor.start(postgres)
            supervisor.wait_ready(["postgresql"])
            everywhere = {**_ENVIRONMENT, **(environment or {})}
            starter = _Starter(folder, supervisor, postgres, wires, everywhere, own_environment or {}, sources or {})
            running = starter.start(schedulers, publishers, sandbox)
            _furnish(running, creators)
            yield running
    except BaseException:
        for log in sorted(folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-15:]
            print(f"--- {log.name}", *(line[:2000] for line in lines), sep="\n", file=sys.stderr)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Starter:
    def __init__(
        self,
        folder: Path,
        supervisor: Supervisor,
        postgres: EmbeddedPostgres,
        wires: Wires,
        environment: Mapping[str, str],
        own_environment: Mapping[str, Mapping[str, str]],
        sources: Mapping[str, Path],
    ) -> None:
        self._folder, self._supervisor, self._postgres, self._wires = folder, supervisor, postgres, wires
        self._own, self._sources, self._secrets = own_environment, sources, local_secrets(folder)
        passed_on = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self._common = {**passed_on, **environment, "REELROUTE_SERVICE_TOKEN": self._secrets.service_token}
        self._addresses: dict[str, str] = {}
        self._platform = ""

    def start(self, schedulers: int, publishers: int, sandbox: httpx.Client) -> Installation:
        names = ["content", "notification"]
        names += [f"scheduler-{number + 1}" for number in range(schedulers)]
        names += [f"publisher-{number + 1}" for number in range(publishers)]
        self._migrate()
        with starting():
            self._addresses = {name: f"127.0.0.1:{free_port()}" for name in names}
            url = f"http://127.0.0.1:{free_port()}"
            sandbox.base_url = httpx.URL(url)
            self._start_sandbox(url)
            self._platform = open_http_wire(self._wires, self._publishers, "sandbox", url)
            for name in names:
                self._start_service(name, url)
            self._supervisor.wait_ready(timeout=_READY_SECONDS)
        return Installation(
            self._folder, self._supervisor, self._postgres, self._wires, self._addresses, sandbox,
            self._secrets.service_token,
        )  # fmt: skip

    def _migrate(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            for service in _SERVICES:
                url = self._url(service)
                pool.submit(migrations.prepare, service, self._postgres.admin_url, url).result()

    def _url(self, service: str) -> str:
        return service_url(self._postgres.admin_url, service, self._secrets.database_passwords[service])

    def _start_sandbox(self, url: str) -> None:
        environment = {
            **self._common,
            "REELROUTE_SANDBOX_PORT": url.rpartition(":")[2],
            "REELROUTE_SANDBOX_STATE_FILE": str(self._folder / "sandbox.sqlite"),
        }
        self._child("sandbox", ["-m", "sandbox"], environment, http_ready(f"{url}/control/state"))

    def _start_service(self, name: str, sandbox_url: str) -> None:
        service = name.partition("-")[0]
        real = self._postgres.port
        port = open_pg_wire(self._wires, name, lambda: real)
        address = self._addresses[name]
        environment = {
            **self._common,
            "REELROUTE_DATABASE_URL": self._url(service).replace(f":{real}/", f":{port}/"),
            "REELROUTE_LISTEN": address,
            "REELROUTE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        }
        match service:
            case "content":
                environment["REELROUTE_MEDIA_FOLDER"] = str(self._folder / "media")
            case "scheduler":
                environment["REELROUTE_NOTIFICATION_ADDRESS"] = self._wire(name, "notification")
            case "publisher":
                environment |= {
                    "REELROUTE_HOLDER": name,
                    "REELROUTE_MASTER_KEY": self._secrets.master_key,
                    "REELROUTE_NOTIFICATION_ADDRESS": self._wire(name, "notification"),
                    "REELROUTE_SCHEDULER_ADDRESS": self._wire(name, "scheduler"),
                    "REELROUTE_CONTENT_ADDRESS": self._addresses["content"],
                    "REELROUTE_BULLETIN_BASE_URL": self._platform,
                    "REELROUTE_BULLETIN_AUTHORIZE_URL": f"{sandbox_url}/bulletin/authorize",
                    "REELROUTE_TIKTOK_BASE_URL": self._platform,
                    "REELROUTE_TIKTOK_AUTHORIZE_URL": f"{sandbox_url}/v2/auth/authorize/",
                    "REELROUTE_TIKTOK_CLIENT_KEY": "sandbox-client-key",
                    "REELROUTE_TIKTOK_CLIENT_SECRET": "sandbox-client-secret",
                }
        environment |= self._own.get(name, {})
        self._child(name, ["-m", f"services.{service}"], environment, rpc_ready(address))

    def _publishers(self) -> dict[int, str]:
        names = (name for name in self._addresses if name.startswith("publisher"))
        return {pid: name for name in names if (pid := self._supervisor.pid(name))}

    def _wire(self, client: str, service: str) -> str:
        """A wire to all replicas of a service; each client prefers the one of its own number."""
        servers = [(name, address) for name, address in self._addresses.items() if name.partition("-")[0] == service]
        number = client.partition("-")[2]
        servers.sort(key=lambda server: server[0].partition("-")[2] != number)
        return open_rpc_wire(self._wires, client, servers)

    def _child(self, name: str, arguments: list[str], environment: dict[str, str], ready: Callable[[], bool]) -> None:
        log, place = self._folder / f"{name}.log", self._sources.get(name, ROOT)
        self._supervisor.start(
            Child(name, [sys.executable, *arguments], environment, log, ready=ready, stop_timeout=25, cwd=place)
        )


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
