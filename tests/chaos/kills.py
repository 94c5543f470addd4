"""R1, R2: seeded kills of every process while posts go out: `make chaos`, or `python -m tests.chaos.kills SEED…`.

A run starts everything on a throw-away folder, schedules posts over half a minute, and meanwhile kills processes one
after the other at moments drawn from the seed, in bursts of up to three, while the platform loses answers, resets
connections and answers 5xx. Afterwards every post must be published exactly once, and its record must say so. The exit
status is the number of runs with a fault, and each fault is printed with its story.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.conftest import FINAL_STATES, TEST_ENVIRONMENT, Product, product

POSTS = 60
_SPREAD_SECONDS = 30
_SETTLE_SECONDS = 150
_VICTIMS = (
    *["publisher"] * 5,
    *["scheduler"] * 3,
    "postgresql",
    "content",
    "notification",
    "identity",
    "gateway",
    "sandbox",
)
_FAULTS: tuple[dict[str, Any], ...] = (
    {"endpoint": "tiktok.upload", "mode": "lost_reply", "probability": 0.2, "count": 0},
    {"endpoint": "tiktok.upload", "mode": "cut_upload", "probability": 0.1, "count": 0},
    {"endpoint": "tiktok.video_init", "mode": "lost_reply", "probability": 0.1, "count": 0},
    {"endpoint": "tiktok.creator_info", "mode": "error", "code": "internal_error", "probability": 0.1, "count": 0},
    {"endpoint": "tiktok.status_fetch", "mode": "error", "code": "internal_error", "probability": 0.2, "count": 0},
    {"endpoint": "tiktok.status_fetch", "mode": "rate_limit", "probability": 0.05, "count": 0},
    {"endpoint": "tiktok.status_fetch", "mode": "reset", "probability": 0.05, "count": 0},
)
_OUTPUT = Path("build/chaos.json")


def run(seed: int) -> dict[str, Any]:
    """One run; returns its counts: posts, kills, and what is wrong."""
    chance = random.Random(seed)
    environment = {**TEST_ENVIRONMENT, "REELROUTE_RETRY_FIRST_SECONDS": "1", "REELROUTE_MAX_ATTEMPTS": "30"}
    with product(environment) as running:
        for number, fault in enumerate(_FAULTS):
            running.fault(**fault, seed=seed * 100 + number)
        handles = sorted(running.accounts)
        posts = [
            running.schedule(chance.choice(handles), in_seconds=2 + chance.uniform(0, _SPREAD_SECONDS))
            for _ in range(POSTS)
        ]
        kills = _kill_for(running, chance, _SPREAD_SECONDS + 5)
        running.sandbox.delete("/control/faults").raise_for_status()
        faults = _judge(running, posts)
    return {"seed": seed, "posts": len(posts), "kills": kills, **faults}


def _kill_for(running: Product, chance: random.Random, seconds: float) -> int:
    """Kills processes until the time is over; returns how many."""
    end, kills = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for victim in {chance.choice(_VICTIMS) for _ in range(chance.choice((1, 1, 1, 2, 3)))}:
            # It may just be starting again after the kill before.
            with contextlib.suppress(AssertionError, ProcessLookupError):
                running.kill(victim)
                kills += 1
        time.sleep(chance.uniform(0.3, 3))
    running.supervisor.wait_ready(timeout=60)
    return kills


def _judge(running: Product, posts: list[dict[str, Any]]) -> dict[str, Any]:
    deadline = time.monotonic() + _SETTLE_SECONDS
    states: Counter[str] = Counter()
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError), ThreadPoolExecutor(4) as pool:
            states = Counter(delivery["state"] for delivery in pool.map(running.delivery, posts))
            if set(states) <= FINAL_STATES:
                break
        time.sleep(1)
    lost = doubled = wrong = 0
    for post in posts:
        delivery, effects = running.delivery(post), running.effects(post)
        publication = running.publication(post)
        doubled += effects > 1
        lost += effects == 0
        agrees = publication["step"] == delivery["state"] == "PUBLISHED"
        wrong += not (agrees and publication["platform_post_id"] == delivery["platform_post_id"])
        if effects != 1 or not agrees:
            print(running.story(post), file=sys.stderr)
    return {"states": dict(states), "lost": lost, "doubled": doubled, "wrong_record": wrong}


def main(seeds: list[int]) -> int:
    """Runs each seed, prints a line for each, and writes build/chaos.json."""
    results = []
    for seed in seeds:
        started = time.monotonic()
        result = run(seed)
        results.append({**result, "seconds": round(time.monotonic() - started)})
        print(json.dumps(results[-1]), flush=True)
    _OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    _OUTPUT.write_text(json.dumps(results, indent=1) + "\n")
    return sum(bool(result["lost"] or result["doubled"] or result["wrong_record"]) for result in results)


if __name__ == "__main__":
    sys.exit(main([int(seed) for seed in sys.argv[1:]] or [1, 2, 3]))
