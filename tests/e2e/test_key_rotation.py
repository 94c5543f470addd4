"""The master key is changed while publishers publish: nothing fails, and in the end nothing needs the old key."""

from __future__ import annotations

import base64
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.local.child import Child
from deploy.local.processes import free_port
from deploy.local.settings import ROOT
from deploy.local.stack import rpc_ready
from kit.db import Database
from kit.key_ring import KeyRing
from kit.vault import Vault
from services.publisher.tables import data_keys
from tests.e2e.conftest import TEST_ENVIRONMENT, Product, product

_LEAST_POSTS = 10
_OTHER_WORKSPACES = 250


@pytest.fixture
def rotating() -> Iterator[Product]:
    with product({**TEST_ENVIRONMENT, "REELROUTE_KEY_RING_SECONDS": "0.3"}) as started:
        yield started


class Publishers:
    """The publisher of a stack, and replicas of it."""

    def __init__(self, running: Product) -> None:
        self.running = running
        pid = running.supervisor.pid("publisher")
        entries = Path(f"/proc/{pid}/environ").read_bytes().decode().strip("\0").split("\0")
        self.environment = dict(entry.split("=", 1) for entry in entries)
        self.ring = Path(self.environment["REELROUTE_KEY_RING_FILE"])

    def add(self, name: str) -> None:
        listen = f"127.0.0.1:{free_port()}"
        environment = {
            **self.environment,
            "REELROUTE_LISTEN": listen,
            "REELROUTE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        }
        argv, log = [sys.executable, "-m", "services.publisher"], self.running.stack.log_folder / f"{name}.log"
        self.running.supervisor.start(Child(name, argv, environment, log, ready=rpc_ready(listen), cwd=ROOT))
        self.running.supervisor.wait_ready([name])

    def give(self, *keys: str) -> None:
        """Puts another ring in the place of the present one."""
        work = self.ring.with_suffix(".next")
        work.write_text("".join(f"{key}\n" for key in keys))
        work.replace(self.ring)

    def report(self) -> list[str]:
        """What the operator's command says."""
        told = subprocess.run(
            [sys.executable, "-m", "services.publisher", "keys"],
            env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return told.stdout.splitlines()


@pytest.mark.timeout(300)
def test_rotating_the_master_key_under_load_fails_no_post(rotating: Product) -> None:
    publishers = Publishers(rotating)
    old, new = publishers.ring.read_text().strip(), base64.b64encode(os.urandom(32)).decode()
    database = Database(publishers.environment["REELROUTE_DATABASE_URL"], "publisher")
    vault = Vault(KeyRing(old), data_keys)
    for workspace in [uuid4() for _ in range(_OTHER_WORKSPACES)]:
        with database.transaction(workspace) as tx:
            vault.seal(tx, workspace, "accounts.access_token|1", "something to keep")

    with under_load(rotating) as posts:
        rotate(publishers, old, new)
    assert len(posts) >= _LEAST_POSTS
    for post in posts:
        delivery = rotating.wait_over(post)
        assert delivery["state"] == "PUBLISHED", rotating.story(post)
        assert delivery["attempt"] == 1, rotating.story(post)
        assert rotating.effects(post) == 1

    last = rotating.schedule(min(rotating.accounts))
    rotating.kill("publisher")
    rotating.kill("publisher-2")
    assert rotating.wait_over(last)["state"] == "PUBLISHED", rotating.story(last)
    assert len(publishers.report()) == 1
    database.close()
    for log in rotating.stack.log_folder.iterdir():
        assert old.encode() not in log.read_bytes()
        assert new.encode() not in log.read_bytes()


@contextmanager
def under_load(running: Product) -> Iterator[list[dict[str, Any]]]:
    """Posts fall due all the while, a few in a second; yields them."""
    posts: list[dict[str, Any]] = []
    stop, accounts = threading.Event(), itertools.cycle(sorted(running.accounts))

    def post() -> None:
        while not stop.wait(0.3):
            posts.append(running.schedule(next(accounts)))

    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(post)
        try:
            running.wait(lambda: (posts and running.delivery(posts[0])["state"] == "PUBLISHED") or None, 90)
            yield posts
        finally:
            stop.set()
        posting.result()


def rotate(publishers: Publishers, old: str, new: str) -> None:
    """As the runbook has it."""
    publishers.give(old, new)
    publishers.add("publisher-2")  # which opens what it needs in the middle of it
    publishers.give(new, old)

    def is_rewrapped() -> bool | None:
        lines = publishers.report()
        return True if lines[1].endswith("old      0 data keys") and "current" in lines[0] else None

    publishers.running.wait(is_rewrapped, 90, lambda: str(publishers.report()))
    publishers.give(new)
    publishers.add("publisher-3")  # which never sees the old one
