"""The whole product as real processes on a durable PostgreSQL, as `make run` starts it."""

from __future__ import annotations

import mimetypes
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from deploy.local import demo
from deploy.local.stack import Stack, start
from deploy.local.supervisor import Supervisor
from tests.services import starting

Found = TypeVar("Found")

# Short enough that a killed publisher's work goes on while a test waits.
LEASE_SECONDS = 5
# Limits and waits of a platform with more posts in a minute than one user makes.
TEST_ENVIRONMENT = {
    "REELROUTE_LEASE_SECONDS": str(LEASE_SECONDS),
    "REELROUTE_TIKTOK_POSTS_PER_DAY": "0",
    "REELROUTE_TIKTOK_VIDEO_INIT_PER_MINUTE": "1000",
    "REELROUTE_TIKTOK_CREATOR_INFO_PER_MINUTE": "1000",
    "REELROUTE_TIKTOK_STATUS_FETCH_PER_MINUTE": "10000",
    "REELROUTE_SANDBOX_TIKTOK__PROCESSING_SECONDS": "0.2",
    "REELROUTE_SANDBOX_TIKTOK__MODERATION_SECONDS": "0.5",
}
FINAL_STATES = {"PUBLISHED", "REJECTED", "FAILED", "CANCELED"}


@dataclass
class Product:
    """A running stack with the means to use it, look at it and break it."""

    stack: Stack
    supervisor: Supervisor
    api: httpx.Client
    sandbox: httpx.Client
    accounts: dict[str, str]

    def get(self, path: str, **query: str) -> Any:
        return self.api.get(path, params=query).raise_for_status().json()

    def upload(self, path: Path = demo.VIDEO) -> str:
        mime_type = mimetypes.guess_type(path.name)[0] or "video/mp4"
        with path.open("rb") as file:
            answer = self.api.post("/v1/media", files={"file": (path.name, file, mime_type)})
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["media_asset_id"])

    def schedule(self, handle: str, *, in_seconds: float = 2.0, **changes: Any) -> dict[str, Any]:
        """Schedules a post with a caption of its own at the next whole second that is so far away."""
        due = datetime.now(UTC) + timedelta(seconds=in_seconds + 1)
        body = {
            "account_ids": [self.accounts[handle]],
            "caption": f"{uuid.uuid4()} #emberfold",
            "media_asset_ids": [self.upload()],
            "local_time": f"{due:%Y-%m-%dT%H:%M:%S}",
            "time_zone": "UTC",
            "options": {"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}},
            **changes,
        }
        answer = self.api.post("/v1/posts", json=body)
        assert answer.status_code == 201, answer.text
        post: dict[str, Any] = answer.json()
        return post

    def post(self, post: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.get(f"/v1/posts/{post['post_id']}")
        return answer

    def delivery(self, post: dict[str, Any]) -> dict[str, Any]:
        delivery: dict[str, Any] = self.post(post)["deliveries"][0]
        return delivery

    def wait_over(self, post: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
        """The post's delivery once it is over."""
        return self.wait(lambda: self._if_over(post), seconds, lambda: self.story(post))

    def _if_over(self, post: dict[str, Any]) -> dict[str, Any] | None:
        try:
            delivery = self.delivery(post)
        except httpx.HTTPError:
            return None  # a part is just being killed
        return delivery if delivery["state"] in FINAL_STATES else None

    def publication(self, post: dict[str, Any]) -> dict[str, Any]:
        delivery_id = self.delivery(post)["delivery_id"]
        publication: dict[str, Any] = self.get(f"/v1/deliveries/{delivery_id}/publication")
        return publication

    def activities(self, post: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.get("/v1/activities", post_id=post["post_id"], order="oldest_first", page_size="200")
        activities: list[dict[str, Any]] = answer["activities"]
        return activities

    def effects(self, post: dict[str, Any]) -> int:
        """How often the platform has this post: what a double would show in."""
        rows = self.sandbox.get("/control/tiktok/effects").raise_for_status().json()
        return sum(row["effects"] for row in rows if row["caption"] == post["caption"])

    def fault(self, **fault: Any) -> None:
        self.sandbox.post("/control/faults", json=fault).raise_for_status()

    def calls(self, endpoint: str) -> list[dict[str, Any]]:
        """Calls of an endpoint that the platform has seen, newest first."""
        answer = self.sandbox.get("/control/calls", params={"endpoint": f"tiktok.{endpoint}"}).raise_for_status()
        calls: list[dict[str, Any]] = answer.json()
        return calls

    def kill(self, name: str) -> None:
        self.send(name, signal.SIGKILL)

    def send(self, name: str, number: signal.Signals) -> None:
        pid = self.supervisor.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, number)

    def story(self, post: dict[str, Any]) -> str:
        """What is known of a post, for the message of a failed test."""
        parts = [str(self.delivery(post))]
        for read in (self.publication, self.activities):
            try:
                parts.append(str(read(post)))
            except httpx.HTTPError as error:
                parts.append(str(error))
        return "\n".join(parts)

    def wait(self, look: Callable[[], Found | None], seconds: float, story: Callable[[], str] = str) -> Found:
        """The first answer of `look` that is something. Fails after so many seconds with the story."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (found := look()) is not None:
                return found
            time.sleep(0.02)
        pytest.fail(f"nothing after {seconds} s: {story()}")


@contextmanager
def product(environment: dict[str, str]) -> Iterator[Product]:
    folder = Path(tempfile.mkdtemp(prefix="reelroute-e2e-"))
    folder.chmod(0o711)
    told: list[str] = []
    try:
        with Supervisor(announce=told.append, stable_after=0) as supervisor:
            with starting():
                stack = start(supervisor, folder, told.append, {**os.environ, **environment})
            headers = {"Authorization": f"Bearer {stack.api_key_file.read_text().strip()}"}
            with (
                httpx.Client(base_url=stack.gateway_url, headers=headers, timeout=20, trust_env=False) as api,
                httpx.Client(base_url=stack.sandbox_url, timeout=20, trust_env=False) as sandbox,
            ):
                # Tests publish more in a minute than a platform's user would.
                sandbox.patch(
                    "/control/tiktok/settings",
                    json={
                        "calls_per_minute": {"video_init": 1000, "creator_info": 1000, "status_fetch": 10000},
                        "posts_per_day": 10000,
                    },
                ).raise_for_status()
                yield Product(stack, supervisor, api, sandbox, demo.connect_accounts(api, sandbox, told.append))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def running() -> Iterator[Product]:
    """One stack for all end-to-end tests of a worker; it was started once and is broken and mended by them."""
    with product(TEST_ENVIRONMENT) as started:
        yield started


@pytest.fixture(autouse=True)
def _no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "running" in request.fixturenames:
        running: Product = request.getfixturevalue("running")
        running.sandbox.delete("/control/faults").raise_for_status()
