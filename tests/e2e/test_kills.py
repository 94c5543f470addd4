"""R2: kill -9 of any process of the product; the post is published exactly once. tests/chaos kills at every message."""

from __future__ import annotations

import random
import time
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.conftest import Product

# The moments of a post's life over which kills are spread, seconds before and after its due time.
_FROM, _UNTIL = -1.5, 1.5


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
