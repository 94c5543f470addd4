"""Bulletin, the one-call platform of the sandbox, in a process that does nothing else."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from bench.harness import BenchmarkFailed, Processes
from deploy.local.processes import free_port

NAME = "platform"
POSTS_PATH = "/bulletin/v1/posts"
_READY_SECONDS = 60.0
_PAGE = 10_000


@dataclass(frozen=True)
class Target:
    """A running platform. `token` is the access token of the account `bench`."""

    url: str
    token: str

    def accounts(self, count: int) -> dict[str, str]:
        """Adds so many accounts; returns an access token for each."""
        names = [f"account-{number}" for number in range(count)]
        tokens: dict[str, str] = call(f"{self.url}/control/bulletin/accounts", {"accounts": names})
        return tokens

    def posts(self) -> list[tuple[str, float]]:
        """Text of every post that it has taken, and when, in Unix time; oldest first."""
        found: list[tuple[str, float]] = []
        after = "0"
        while page := call(f"{self.url}/control/bulletin/posts?after={after}&limit={_PAGE}"):
            found += [(post["text"], post["published"]) for post in page]
            after = page[-1]["id"]
        return found


def start(processes: Processes, answer_seconds: float = 0.0) -> Target:
    """Starts the platform; it lets so much time pass from a post to its answer. Raises BenchmarkFailed."""
    port = free_port()
    processes.start(
        NAME,
        [sys.executable, "-m", "sandbox"],
        {
            "REELROUTE_SANDBOX_PORT": str(port),
            "REELROUTE_SANDBOX_BULLETIN__ANSWER_SECONDS": str(answer_seconds),
        },
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        processes.check()
        try:
            tokens = call(f"{url}/control/bulletin/accounts", {"accounts": ["bench"]})
            return Target(url, tokens["bench"])
        except URLError as error:
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"the platform does not answer: {processes.tail(NAME)}") from error
        time.sleep(0.05)


def call(url: str, body: Any = None) -> Any:
    """A GET, or a POST of a body, and the JSON that it answers."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=30) as answer:
        return json.loads(answer.read())
