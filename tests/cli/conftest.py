"""The command, run in this process against a gateway with memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import client
from cli.consent import Listener
from cli.main import app
from tests.cli import planning_gateway, shop_gateway
from tests.cli.gateway import KEY, FakeGateway, Memory


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    gateway = FakeGateway(planning_gateway.answer, shop_gateway.answer)
    monkeypatch.setenv("REELROUTE_URL", gateway.url)
    monkeypatch.setenv("REELROUTE_API_KEY", KEY)
    # Waits between tries are for people's gateways.
    monkeypatch.setattr(client, "LONGEST_WAIT_SECONDS", 0.0)
    yield gateway
    gateway.close()


@pytest.fixture
def memory(gateway: FakeGateway) -> Memory:
    gateway.memory.connect("emberfold.air", "emberfold.water", "emberfold.fire")
    return gateway.memory


@dataclass
class Outcome:
    exit_code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def run() -> Run:
    """`run("posts", "list")`: what the command answers."""

    def invoke(*arguments: str) -> Outcome:
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return invoke


@pytest.fixture
def free_port() -> int:
    with Listener(0) as listener:
        return listener.port
