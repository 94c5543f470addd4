"""Real processes with replicas, on a PostgreSQL with all its safety on, and every wire between them in our hands."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import httpx
import psycopg2
from psycopg2.extras import RealDictCursor

from deploy.local.child import Child
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from deploy.local.settings import ROOT, local_secrets
from deploy.local.stack import http_ready, rpc_ready, service_url
from deploy.local.supervisor import Supervisor
from kit import migrations, rpc
from tests.chaos.http_proxy import open_http_wire
from tests.chaos.pg_proxy import open_pg_wire
from tests.chaos.rpc_proxy import open_rpc_wire
from tests.chaos.wires import Wires
from tests.database import public_folder

Found = TypeVar("Found")

_READY_SECONDS = 60.0


@dataclass
class Processes:
    """Running processes by name ("scheduler-1", "postgresql"), and the means to use them, look at them, break them."""

    folder: Path
    supervisor: Supervisor
    postgres: EmbeddedPostgres
    wires: Wires
    addresses: dict[str, str]
    sandbox: httpx.Client
    service_token: str

    def replicas(self, service: str) -> list[str]:
        """Names of the service's processes."""
        return [name for name in self.addresses if name.partition("-")[0] == service]

    def channel(self, name: str) -> grpc.Channel:
        """To one process, past the wires. The caller closes it."""
        return rpc.channel(self.addresses[name], self.service_token)

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """What the database has, by its superuser and past the wires. Waits for a server that is just starting."""
        return self.wait(lambda: self._rows(statement, values), 60, lambda: statement)

    def _rows(self, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        try:
            with contextlib.closing(psycopg2.connect(self.postgres.admin_url)) as connection:
                connection.autocommit = True
                with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                    cursor.execute(statement, values)
                    return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        except psycopg2.OperationalError:
            return None

    def pid(self, name: str) -> int | None:
        """Process id, None while it does not run."""
        return self.supervisor.pid(name)

    def kill(self, name: str) -> bool:
        """SIGKILL, now; False when it does not run."""
        return self.send(name, signal.SIGKILL)

    def send(self, name: str, number: signal.Signals) -> bool:
        """Sends a signal; False when the process does not run."""
        pid = self.pid(name)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    @contextlib.contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Processes that do not move while inside."""
        for name in names:
            self.send(name, signal.SIGSTOP)
        try:
            yield
        finally:
            for name in names:
                self.send(name, signal.SIGCONT)

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The platform's control API. Waits for a sandbox that is just starting."""

        def ask() -> httpx.Response | None:
            try:
                return self.sandbox.request(method, f"/control{path}", json=body)
            except httpx.HTTPError:
                return None

        answer = self.wait(ask, 60, lambda: path)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def fault(self, **fault: Any) -> None:
        """Disturbs coming calls; see docs/sandbox.md."""
        self.control("POST", "/faults", fault)

    def wait(self, look: Callable[[], Found | None], seconds: float, story: Callable[[], object] = str) -> Found:
        """The first answer of `look` that is something. AssertionError with the story after so many seconds."""
        deadline = time.monotonic() + seconds
        while (found := look()) is None:
            assert time.monotonic() < deadline, f"nothing after {seconds:g} s: {story()}"
            time.sleep(0.05)
        return found

    def wait_ready(self) -> None:
        """Returns when everything runs and says that it is ready."""
        self.supervisor.wait_ready(timeout=_READY_SECONDS)


class Starter:
    """Starts processes one by one. `own_environment` is for single ones; `sources` are where the programs of single
    ones lie, others than these here. Not `is_wired`: they find each other without wires, for measurements.
    """

    def __init__(
        self,
        folder: Path,
        supervisor: Supervisor,
        postgres: EmbeddedPostgres,
        wires: Wires,
        sandbox: httpx.Client,
        environment: Mapping[str, str],
        own_environment: Mapping[str, Mapping[str, str]],
        sources: Mapping[str, Path],
        is_wired: bool,
    ) -> None:
        self.folder, self.supervisor, self.postgres, self.wires = folder, supervisor, postgres, wires
        self.sandbox, self.secrets = sandbox, local_secrets(folder)
        self.addresses: dict[str, str] = {}
        self._own_environment, self._sources, self._is_wired = own_environment, sources, is_wired
        passed_on = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self._common = {**passed_on, **environment, "REELROUTE_SERVICE_TOKEN": self.secrets.service_token}

    def parts(self) -> dict[str, Any]:
        """What Processes is made of."""
        return {
            "folder": self.folder,
            "supervisor": self.supervisor,
            "postgres": self.postgres,
            "wires": self.wires,
            "addresses": self.addresses,
            "sandbox": self.sandbox,
            "service_token": self.secrets.service_token,
        }

    def migrate(self, services: Sequence[str]) -> None:
        """Prepares the schemas of services."""
        with ThreadPoolExecutor(1) as pool:
            for service in services:
                pool.submit(migrations.prepare, service, self.postgres.admin_url, self._url(service)).result()

    def give_addresses(self, names: Sequence[str]) -> None:
        """Chooses where services will listen, before the first of them is started."""
        self.addresses |= {name: f"127.0.0.1:{free_port()}" for name in names}

    def start_sandbox(self, environment: Mapping[str, str] | None = None) -> str:
        """Starts the sandbox; returns its address."""
        url = f"http://127.0.0.1:{free_port()}"
        self.sandbox.base_url = httpx.URL(url)
        variables = {
            **self._common,
            "REELROUTE_SANDBOX_PORT": url.rpartition(":")[2],
            "REELROUTE_SANDBOX_STATE_FILE": str(self.folder / "sandbox.sqlite"),
            **(environment or {}),
        }
        self._child("sandbox", ["-m", "sandbox"], variables, http_ready(f"{url}/control/state"))
        return url

    def start_service(self, name: str, own: Mapping[str, str]) -> None:
        """Starts a replica of a service, which finds its database behind a wire."""
        service, address, real = name.partition("-")[0], self.addresses[name], self.postgres.port
        port = open_pg_wire(self.wires, name, lambda: real) if self._is_wired else real
        self._serve(
            name,
            address,
            {"REELROUTE_DATABASE_URL": self._url(service).replace(f":{real}/", f":{port}/"), **own},
            rpc_ready(address),
        )

    def start_gateway(self, name: str, own: Mapping[str, str]) -> None:
        """Starts a replica of the gateway."""
        address = self.addresses[name]
        self._serve(name, address, own, http_ready(f"http://{address}/healthz"))

    def wait_ready(self) -> None:
        """Returns when everything that was started says that it is ready."""
        self.supervisor.wait_ready(timeout=_READY_SECONDS)

    def clients(self, service: str) -> dict[int, str]:
        """Replicas of a service by their process ids."""
        names = (name for name in self.addresses if name.partition("-")[0] == service)
        return {pid: name for name in names if (pid := self.supervisor.pid(name))}

    def wire(self, client: str, service: str) -> str:
        """A wire to all replicas of a service; each client prefers the one of its own number."""
        servers = [(name, address) for name, address in self.addresses.items() if name.partition("-")[0] == service]
        number = client.partition("-")[2]
        servers.sort(key=lambda server: server[0].partition("-")[2] != number)
        if not self._is_wired:
            return "ipv4:" + ",".join(address for _, address in servers)
        return open_rpc_wire(self.wires, client, servers)

    def platform_wire(self, url: str) -> str:
        """A wire to the sandbox at this address, for publishers."""
        return open_http_wire(self.wires, lambda: self.clients("publisher"), "sandbox", url) if self._is_wired else url

    def _url(self, service: str) -> str:
        return service_url(self.postgres.admin_url, service, self.secrets.database_passwords[service])

    def _serve(self, name: str, address: str, own: Mapping[str, str], ready: Callable[[], bool]) -> None:
        variables = {
            **self._common,
            "REELROUTE_LISTEN": address,
            "REELROUTE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            **own,
            **self._own_environment.get(name, {}),
        }
        self._child(name, ["-m", f"services.{name.partition('-')[0]}"], variables, ready)

    def _child(self, name: str, arguments: list[str], environment: dict[str, str], ready: Callable[[], bool]) -> None:
        log, place = self.folder / f"{name}.log", self._sources.get(name, ROOT)
        self.supervisor.start(
            Child(name, [sys.executable, *arguments], environment, log, ready=ready, stop_timeout=25, cwd=place)
        )


Kind = TypeVar("Kind", bound=Starter)


@contextlib.contextmanager
def opened(
    kind: type[Kind],
    environment: Mapping[str, str],
    own_environment: Mapping[str, Mapping[str, str]] | None = None,
    sources: Mapping[str, Path] | None = None,
    *,
    is_wired: bool = True,
) -> Iterator[Kind]:
    """A starter on a folder of its own, with PostgreSQL running; in the end all that it started is stopped. When it
    fails, the ends of all logs are printed.
    """
    folder = public_folder()
    told: list[str] = []
    try:
        with (
            Wires() as wires,
            Supervisor(announce=told.append, stable_after=0) as supervisor,
            httpx.Client(timeout=20, trust_env=False) as sandbox,
        ):
            postgres = EmbeddedPostgres(folder / "postgresql")
            supervisor.start(postgres)
            supervisor.wait_ready(["postgresql"])
            yield kind(
                folder,
                supervisor,
                postgres,
                wires,
                sandbox,
                environment,
                own_environment or {},
                sources or {},
                is_wired,
            )
    except BaseException:
        for log in sorted(folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-15:]
            print(f"--- {log.name}", *(line[:2000] for line in lines), sep="\n", file=sys.stderr)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
