"""The gateway's process: configuration, metrics, the HTTP server, a drain on SIGTERM."""

from __future__ import annotations

import signal

import structlog
import uvicorn
from prometheus_client import start_http_server

from kit import collector
from kit import log as log_setup
from services.gateway.app import build_app
from services.gateway.config import GatewayConfig
from services.gateway.connection import protocol_of

log = structlog.get_logger()


def serve(config: GatewayConfig) -> None:
    """Serves until SIGTERM or SIGINT; then no new requests, and running ones have `drain_seconds` to finish."""
    host, port = config.listen.rsplit(":", 1)
    metrics_host, metrics_port = config.metrics_listen.rsplit(":", 1)
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(config),
            host=host.strip("[]"),
            port=int(port),
            loop="uvloop",
            http=protocol_of(config),
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=config.keep_alive_seconds,
            timeout_graceful_shutdown=int(config.drain_seconds),
        )
    )
    # uvicorn handles these itself while it serves, and raises them again afterwards; by then all is done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    metrics_server, _ = start_http_server(int(metrics_port), metrics_host.strip("[]"))
    collector.settle()
    log.info("starting", listen=config.listen, metrics=config.metrics_listen)
    server.run()
    metrics_server.shutdown()
    log.info("stopped")


def main() -> None:
    """`python -m services.gateway`."""
    config = GatewayConfig()
    log_setup.configure("gateway", config.log_level)
    serve(config)


if __name__ == "__main__":
    main()
