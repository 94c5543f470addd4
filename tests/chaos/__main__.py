"""`make chaos`: kills at every message and at random moments; build/chaos.json has the outcome.

    make chaos                      the matrix of kill points, seeds 1 to 1,000, the scenarios, then a day of orders
    make chaos SEEDS="17 40-60"     these seeds only
    make chaos SEEDS=matrix         the matrix only
    make chaos SEEDS="matrix PUT|COMMIT after"
                                    its points in whose names this pattern is found
    make chaos SEEDS=scenarios      the tests of this folder in their whole size only
    make chaos SEEDS=orders         days of orders only: the kept seeds, then one of 1,000 orders
    make chaos SEEDS="orders 7-9"   days of orders by these seeds, 1,000 orders each

The exit status is 1 when anything was lost, doubled, reported wrongly or not told; each fault is printed with the
story of the post or order.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos import matrix, seeds
from tests.chaos.campaign import Campaign
from tests.chaos.installation import installation
from tests.chaos.orders import plan as day
from tests.chaos.orders.campaign import strike as strike_orders
from tests.chaos.orders.shops import shops
from tests.chaos.sized import WHOLE_VARIABLE

_OUTPUT = Path("build/chaos.json")
_ALL_SEEDS = "1-1000"
_ORDER_SEED = "1"


def run_matrix(pattern: str) -> dict[str, Any]:
    """A kill at every message of a post's way, on a platform with a handle and on one without."""
    with installation() as running:
        campaign = Campaign(running)
        found = [
            (point, handles[number % len(handles)])
            for handles in (running.creators, running.writers)
            for number, point in enumerate(matrix.points(running, handles[0]))
            if re.search(pattern, str(point))
        ]
        missed = []
        for number, (point, handle) in enumerate(found):
            has_come = matrix.strike(running, campaign, point, handle)
            print(f"{number + 1}/{len(found)} {handle}: {point}{'' if has_come else ': did not come'}", flush=True)
            if not has_come:
                missed.append(f"{handle}: {point}")
        campaign.finish()
        return {"points": len(found), "did_not_come": missed, **_outcome(campaign)}


def run_seeds(wish: str) -> dict[str, Any]:
    """Kills at random moments: those that once found a fault, then those that are wished for."""
    numbers = [*seeds.kept(), *seeds.numbers(wish)]
    with installation() as running:
        campaign = Campaign(running)
        for number in numbers:
            planned = seeds.plan(number)
            print(planned, flush=True)
            seeds.strike(running, campaign, planned)
        campaign.finish()
        return {"seeds": len(numbers), **_outcome(campaign)}


def run_scenarios() -> dict[str, Any]:
    """The tests beside this file, in their whole size."""
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "--durations=0", "--durations-min=1", str(Path(__file__).parent)],
        env={**os.environ, WHOLE_VARIABLE: "whole"},
        check=False,
    )
    return {"faults": {"scenarios": ["see above"]} if tests.returncode else {}}


def run_orders(wish: str) -> dict[str, Any]:
    """Days of orders, each in an installation of its own: those that once found a fault, then those wished for."""
    faults: dict[str, list[str]] = {}
    states: Counter[str] = Counter()
    planned = [day.plan(seed, day.WHOLE) for seed in dict.fromkeys((*day.kept(), *seeds.numbers(wish or _ORDER_SEED)))]
    for each in planned:
        print(each, flush=True)
        with shops() as running:
            outcome = strike_orders(running, each)
        print(dict(outcome.states), *outcome.faults, sep="\n", flush=True)
        states.update(outcome.states)
        if outcome.faults:
            faults[str(each)] = outcome.faults
    return {"orders": sum(states.values()), "states": dict(states), "faults": faults}


def _outcome(campaign: Campaign) -> dict[str, Any]:
    for disaster, faults in campaign.faults.items():
        print(f"FAULT of {disaster}", *faults, sep="\n", flush=True)
    return {"posts": campaign.posts, "states": dict(campaign.states), "faults": campaign.faults}


def main(wish: str) -> int:
    """Runs what is wished for, and writes build/chaos.json; 1 when there was a fault."""
    results: dict[str, Any] = {}
    first, _, rest = wish.partition(" ")
    parts: tuple[tuple[str, bool, Callable[[], dict[str, Any]]], ...] = (
        ("matrix", first in ("", "matrix"), lambda: run_matrix(rest)),
        ("seeds", first not in ("matrix", "scenarios", "orders"), lambda: run_seeds(wish or _ALL_SEEDS)),
        ("scenarios", first in ("", "scenarios"), run_scenarios),
        ("orders", first in ("", "orders"), lambda: run_orders(rest)),
    )
    for name, is_wanted, work in parts:
        if is_wanted:
            started = time.monotonic()
            results[name] = {**work(), "seconds": round(time.monotonic() - started)}
            print(name, json.dumps({**results[name], "faults": len(results[name]["faults"])}), flush=True)
    _OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    _OUTPUT.write_text(json.dumps(results, indent=1) + "\n")
    return int(any(result["faults"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
