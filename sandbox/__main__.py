"""Starts the sandbox: `python -m sandbox`. Configuration: `config.py`."""

import contextlib
import ipaddress
import logging
import socket
import sys

import uvicorn
from pydantic import ValidationError

from sandbox.app import build
from sandbox.config import SandboxConfig
from sandbox.problems import sentence
from sandbox.store import StateFileUnusable
from sandbox.wire import ResettableProtocol

log = logging.getLogger("sandbox")


class SandboxServer(uvicorn.Server):
    """Tells where it listens once it does: only then is the port known when 0 was asked for."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        for listening in self.servers[:1]:
            host, port = listening.sockets[0].getsockname()[:2]
            log.info("platform sandbox ready on http://%s:%d, control page at /control", host, port)


def server(config: SandboxConfig) -> SandboxServer:
    """A server of a new sandbox, not yet running. Raises StateFileUnusable."""
    return SandboxServer(
        uvicorn.Config(
            build(config).app,
            host=config.host,
            port=config.port,
            http=ResettableProtocol,
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            # Longer than clients keep idle connections, so that no call meets a connection that is just closing.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
        )
    )


def main() -> int:
    """Run until a signal; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # uvicorn and httpx tell of every start and every webhook: too much for people.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        config = SandboxConfig()
        running = server(config)
    except ValidationError as error:
        log.error("configuration: %s", sentence(error.errors(include_input=False)))
        return 2
    except StateFileUnusable as error:
        log.error("%s", error)
        return 2
    if config.control_token is None and not _is_local(config.host):
        log.warning("the control API listens on %s without a token; set REELROUTE_SANDBOX_CONTROL_TOKEN", config.host)
    with contextlib.suppress(KeyboardInterrupt):
        running.run()
    return 0 if running.started else 1


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
