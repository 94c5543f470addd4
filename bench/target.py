"""Bulletin, the one-call platform of the sandbox, in a process that does nothing else."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from bench.harness import Processes
from deploy.local.processes import free_port

NAME = "platform"
ACCOUNT = "night.owl"
_PAGE = 1000


@dataclass(frozen=True)
class Target:
    """A running platform and an access token for its account."""

    url: str
    token: str

    def posts(self) -> list[tuple[str, float]]:
        """Text of every post that it has taken, and when, in Unix time; oldest first."""
        found: list[tuple[str, float]] = []
        after = 0
        while page := _call(f"{self.url}/control/bulletin/posts?after={after}&limit={_PAGE}"):
            found += [(post["text"], float(post["published"])) for post in page]
            after = page[-1]["id"]
        return found


def start(processes: Processes, answer_seconds: float = 0.0) -> Target:
    """Starts the platform; it takes this long from a post to its answer."""
    import time

    port = free_port()
    if True:
        processes.start(NAME, [".bench/bin/python", "/tmp/bt/sink.py", str(port), str(answer_seconds)])
        time.sleep(1)
        return Target(f"http://127.0.0.1:{port}", "x")


def _call(url: str, body: Any = None, method: str = "GET") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
