"""A gateway on a real port, in front of fakes on real ports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import structlog
import uvicorn

from services.gateway.app import build_app
from services.gateway.config import GatewayConfig
from services.gateway.connection import protocol_of
from tests.gateway.fakes import SERVICE_TOKEN, Memory
from tests.gateway.hub import Hub

MAX_UPLOAD_BYTES = 8 * 1024 * 1024


def configured(**values: Any) -> GatewayConfig:
    """A configuration with a service token."""
    return GatewayConfig(**({"service_token": SERVICE_TOKEN} | values))


@contextmanager
def served(config: GatewayConfig) -> Iterator[str]:
    """The address of a gateway that serves in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(config),
            http=protocol_of(config),
            log_config=None,
            access_log=False,
            lifespan="on",
            ws="none",
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        # The socket listens already: requests wait until the server accepts them.
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="package", autouse=True)
def plain_log() -> Iterator[None]:
    """Tracebacks without the values of variables: structlog's own would print whole uploads, slowly."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ]
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """The services."""
    hub = Hub()
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
def url(hub: Hub) -> Iterator[str]:
    """A gateway in front of them, with a small limit for uploads."""
    with served(configured(max_upload_bytes=MAX_UPLOAD_BYTES, **hub.addresses)) as url:
        yield url


@pytest.fixture
def memory(hub: Hub) -> Memory:
    """What the services keep and see in this test."""
    hub.memory = Memory()
    return hub.memory


Connect = Callable[..., httpx.Client]


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """`connect(key)`: a client of the gateway that sends this key."""
    with ExitStack() as stack:

        def make(key: str | None = None, base_url: str = url, **options: Any) -> httpx.Client:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            client = httpx.Client(base_url=base_url, headers=headers, timeout=20, trust_env=False, **options)
            return stack.enter_context(client)

        yield make


@pytest.fixture
def api(connect: Connect, memory: Memory) -> httpx.Client:
    """A client whose key may do everything in its workspace."""
    return connect(memory.key())
