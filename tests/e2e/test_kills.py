"""R1, R2: kill -9 of any process at any moment; the post is published exactly once and its record is complete."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Product

# The moments of a post's life over which kills are spread, seconds before and after its due time.
_FROM, _UNTIL = -1.5, 1.5


def step_of(product: Product, post: dict[str, Any]) -> str | None:
    with contextlib.suppress(httpx.HTTPError):
        return str(product.publication(post)["step"])
    return None


def wait_step(product: Product, post: dict[str, Any], step: str) -> None:
    product.wait(lambda: True if step_of(product, post) == step else None, 20, lambda: product.story(post))


@contextlib.contextmanager
def stopped(product: Product, name: str) -> Iterator[None]:
    """A process frozen while inside."""
    product.send(name, signal.SIGSTOP)
    try:
        yield
    finally:
        product.send(name, signal.SIGCONT)


def assert_published_once(product: Product, post: dict[str, Any]) -> None:
    delivery = product.wait_over(post, 90)
    # Whatever was killed last is back before the record is read.
    product.supervisor.wait_ready(timeout=30)
    story = product.story(post)
    assert delivery["state"] == "PUBLISHED", story
    assert product.effects(post) == 1, story
    publication = product.publication(post)
    assert publication["step"] == "PUBLISHED", story
    assert publication["platform_post_id"] == delivery["platform_post_id"], story

    def complete() -> list[str] | None:
        kinds = [activity["type"] for activity in product.activities(post)]
        return kinds if "delivery.published" in kinds else None

    kinds = product.wait(complete, 30, lambda: product.story(post))
    assert kinds.count("delivery.published") == 1
    assert kinds.count("post.created") == 1


@pytest.mark.parametrize("step", ["OPENED", "PREPARED", "COMMITTING", "COMMITTING after the effect", "ACCEPTED"])
def test_r1_the_publisher_killed_at_a_step_of_its_ledger_publishes_once(running: Product, step: str) -> None:
    slow = {"mode": "delay", "delay_seconds": 4}
    match step:
        case "OPENED":
            running.fault(endpoint="tiktok.creator_info", **slow)
        case "PREPARED":
            running.fault(endpoint="tiktok.video_init", **slow)
        case "COMMITTING":
            running.fault(endpoint="tiktok.upload", mode="cut_upload", count=3)
        case "COMMITTING after the effect":
            running.fault(endpoint="tiktok.upload", **slow)
        case "ACCEPTED":
            running.fault(endpoint="tiktok.status_fetch", mode="error", code="internal_error", count=6)
    post = running.schedule("emberfold.air")
    wait_step(running, post, step.split()[0])
    if "effect" in step:
        running.wait(lambda: running.effects(post) or None, 10)
    running.kill("publisher")
    assert_published_once(running, post)


def test_r1_the_publisher_killed_between_handle_and_intent_publishes_once(running: Product) -> None:
    # The lease is proven between the two: a frozen scheduler holds the publisher exactly there.
    running.fault(endpoint="tiktok.video_init", mode="delay", delay_seconds=2)
    post = running.schedule("emberfold.water")
    delivery_id = post["deliveries"][0]["delivery_id"]
    running.wait(lambda: True if step_of(running, post) == "PREPARED" else None, 20)
    running.wait(lambda: running.calls("video_init") or None, 10)

    def handle() -> bool | None:
        with contextlib.suppress(httpx.HTTPError):
            step = running.get(f"/v1/deliveries/{delivery_id}/publication")["step"]
            return True if step == "HANDLE" else None
        return None

    with stopped(running, "scheduler"):
        running.wait(handle, 20)
        running.kill("publisher")
    assert_published_once(running, post)


def test_r3_a_lost_answer_to_the_last_byte_publishes_once(running: Product) -> None:
    running.fault(endpoint="tiktok.upload", mode="lost_reply", count=1)
    post = running.schedule("emberfold.fire")
    assert_published_once(running, post)


@pytest.mark.parametrize(
    "name", ["publisher", "scheduler", "content", "notification", "identity", "gateway", "postgresql", "sandbox"]
)
def test_r2_any_process_killed_at_a_random_moment_of_a_posts_life_publishes_once(running: Product, name: str) -> None:
    seed = f"2026-11-21 {name}"
    moment = random.Random(seed).uniform(_FROM, _UNTIL)
    post = running.schedule("emberfold.earth")
    due = datetime.fromisoformat(post["schedule_time"]).timestamp()
    while time.time() < due + moment:
        time.sleep(0.005)
    running.kill(name)
    assert_published_once(running, post)
