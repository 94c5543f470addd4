"""The life of a service's process: check the database, serve, run its loops and duties, drain on SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar
from wsgiref.simple_server import WSGIServer

import grpc
import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.exc import OperationalError

from kit import collector, crypto, migrations, rpc_server, vault
from kit import log as log_setup
from kit.config import ServiceSettings
from kit.db import AddressUnusable, Database, UnsafeDatabase

log = structlog.get_logger()


ConfigClass = TypeVar("ConfigClass", bound=ServiceSettings)


class Part(Protocol):
    """A thread of the process: a Loop, a Listener, a worker."""

    def start(self) -> None:
        """Begins."""

    def stop(self, timeout_seconds: float) -> bool:
        """Finishes what it does; tells whether it did in time."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do every so often. It may be skipped or run late; the rows, not the clock, are the truth."""

    name: str
    every_seconds: float
    run: Callable[[], object]


def open_database(name: str, config: ServiceSettings) -> Database:
    """The service's database, checked: safe settings, schema at this version's head."""
    database = Database(
        config.database_url.get_secret_value(),
        name,
        pool_size=config.database_pool_size,
        statement_timeout_seconds=config.statement_timeout_seconds,
    )
    if not config.allow_unsafe_database:
        database.check_safe()
    with database.engine.connect() as connection:
        migrations.check_current(connection, name)
    return database


def migrate(name: str, config: ServiceSettings) -> None:
    """What `python -m services.<name> migrate` does."""
    if config.admin_database_url is None:
        sys.exit(
            "Set REELROUTE_ADMIN_DATABASE_URL to a superuser's address: migrations make the service's role and schema."
        )
    migrations.prepare(name, config.admin_database_url.get_secret_value(), config.database_url.get_secret_value())


def serve(
    name: str,
    config: ServiceSettings,
    *,
    servicers: Sequence[tuple[Callable[..., None], object, str]],
    parts: Sequence[Part] = (),
    duties: Sequence[Duty] = (),
    on_ready: Callable[[], None] = lambda: None,
    on_drain: Callable[[], None] = lambda: None,
) -> None:
    """Serves until SIGTERM or SIGINT, then drains: no new calls, running ones finish, parts stop, in time.

    `servicers` are (add_…_to_server, servicer, full service name). `on_drain` is called first of all when the end
    begins, to let waiting calls go.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    server = rpc_server.build_server(config.service_token.get_secret_value(), config.rpc_threads)
    for add, servicer, _ in servicers:
        add(servicer, server)
    health_servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [full_name for _, _, full_name in servicers]
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    rpc_server.listen(server, config.listen)
    metrics_server = _serve_metrics(config.metrics_listen)
    scheduler = _scheduler(duties)
    collector.settle()
    server.start()
    for part in parts:
        part.start()
    scheduler.start()
    for full_name in ["", *names]:
        health_servicer.set(full_name, health_pb2.HealthCheckResponse.SERVING)
    log.info("ready", listen=config.listen, metrics=config.metrics_listen)
    on_ready()
    stopping.wait()
    _drain(config.drain_seconds, server, health_servicer, scheduler, parts, on_drain)
    metrics_server.shutdown()


def _serve_metrics(address: str) -> WSGIServer:
    host, _, port = address.rpartition(":")
    try:
        server, _ = start_http_server(int(port), host)
    except (OSError, ValueError, OverflowError) as error:
        raise rpc_server.AddressTaken(address, "REELROUTE_METRICS_LISTEN") from error
    return server


def _drain(
    seconds: float,
    server: grpc.Server,
    health_servicer: health.HealthServicer,
    scheduler: BackgroundScheduler,
    parts: Sequence[Part],
    on_drain: Callable[[], None],
) -> None:
    deadline = time.monotonic() + seconds
    log.info("draining", seconds=seconds)
    health_servicer.enter_graceful_shutdown()
    on_drain()
    stopped = server.stop(seconds)
    for part in reversed(parts):
        if not part.stop(max(0.1, deadline - time.monotonic())):
            log.warning("a part did not stop in time", part=type(part).__name__)
    if scheduler.running:
        scheduler.shutdown(wait=False)
    stopped.wait(max(0.1, deadline - time.monotonic()))
    log.info("stopped")


def _scheduler(duties: Sequence[Duty]) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(
        timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    for duty in duties:
        scheduler.add_job(
            _guarded(duty), "interval", seconds=duty.every_seconds, id=duty.name, jitter=duty.every_seconds / 10
        )
    return scheduler


def _guarded(duty: Duty) -> Callable[[], None]:
    def run() -> None:
        try:
            duty.run()
        except Exception as error:
            log.warning("duty failed", duty=duty.name, exc_info=error)

    return run


def main(
    name: str,
    config_class: type[ConfigClass],
    run: Callable[[ConfigClass], None],
    commands: Mapping[str, Callable[[ConfigClass, Sequence[str]], None]] | None = None,
) -> None:
    """The command line of every service: nothing to serve, `migrate` to prepare its schema, and its own commands.

    A command gets the arguments that follow its name. What whoever starts it can put right is said in one line on
    standard error, with exit code 1.
    """
    own = commands or {}
    with _said_plainly():
        config = config_class()
        log_setup.configure(name, config.log_level)
        match sys.argv[1:]:
            case []:
                run(config)
            case ["migrate"]:
                migrate(name, config)
            case [command, *arguments] if command in own:
                own[command](config, arguments)
            case _:
                sys.exit(f"usage: python -m services.{name} [{' | '.join(['migrate', *own])}]")


@contextmanager
def _said_plainly() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        faults = "; ".join(f"REELROUTE_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
        sys.exit(f"The configuration cannot be used. {faults}")
    except (
        SettingsError,
        AddressUnusable,
        UnsafeDatabase,
        migrations.SchemaOutdated,
        rpc_server.AddressTaken,
        crypto.KeyUnusable,
        vault.MasterKeyMissing,
        log_setup.LevelUnknown,
    ) as error:
        sys.exit(str(error))
    except OperationalError as error:
        # What the driver says names host, database and role, and no password.
        sys.exit("The database cannot be used: " + " ".join(str(error.orig).split()))
