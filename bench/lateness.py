"""How late single posts go out through the whole stack: `make bench`.

Starts everything as `make run` does, on a throw-away folder, schedules posts one after the other at whole seconds, and
compares the moment at which the sandbox got each publish call (video/init) with the post's due time. Both clocks are
this machine's. Nothing is asserted.
"""

from __future__ import annotations

import json
import statistics
import sys
from datetime import datetime
from pathlib import Path

from tests.e2e.conftest import TEST_ENVIRONMENT, product

POSTS = 40
_SPACING_SECONDS = 1
_OUTPUT = Path("build/bench/lateness.json")


def main() -> int:
    """Prints the figures in milliseconds."""
    handles = [f"emberfold.{channel}" for channel in ("air", "water", "fire", "earth")]
    with product(TEST_ENVIRONMENT) as running:
        posts = [
            running.schedule(handles[index % 4], in_seconds=3 + index * _SPACING_SECONDS) for index in range(POSTS)
        ]
        for post in posts:
            running.wait_over(post, 120)
        began = sorted(float(call["time"]) for call in running.calls("video_init"))
    due = sorted(datetime.fromisoformat(post["schedule_time"]).timestamp() for post in posts)
    late = sorted((start - wish) * 1000 for start, wish in zip(began, due, strict=True))
    figures = {
        "posts": POSTS,
        "early": sum(milliseconds < 0 for milliseconds in late),
        "p50_ms": round(statistics.median(late), 1),
        "p95_ms": round(late[int(len(late) * 0.95)], 1),
        "max_ms": round(late[-1], 1),
    }
    print("lateness of single posts, from due time to the platform's publish call")
    for name, value in figures.items():
        print(f"  {name:<8}{value:>10}")
    _OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    _OUTPUT.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
