"""The whole product as supervised processes of one machine: PostgreSQL, services, gateway, sandbox."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import urlopen

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.child import Child
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.settings import ROOT, SERVICES, key_ring_file, local_secrets, ports, postgres_folder
from deploy.local.supervisor import Supervisor
from kit import migrations

# What a process needs of the surroundings, besides what the owner set for Reelroute.
_PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONDONTWRITEBYTECODE")
_READY_SECONDS = 60.0


@dataclass(frozen=True)
class Stack:
    """Addresses of a running stack, those of its services by name. `admin_url` is that of PostgreSQL's superuser;
    `api_key_file` holds the first key; it is there once identity is ready.
    """

    gateway_url: str
    sandbox_url: str
    service_addresses: Mapping[str, str]
    admin_url: str
    api_key_file: Path
    log_folder: Path
    uses_sandbox: bool


def start(
    supervisor: Supervisor, data: Path, announce: Callable[[str], None], environment: Mapping[str, str] = os.environ
) -> Stack:
    """Starts everything on the data of a folder and returns when it is ready. Raises LocalError.

    What `environment` sets for Reelroute (REELROUTE_…) is handed on to every process.
    """
    logs = data / "logs"
    logs.mkdir(exist_ok=True)
    announce("starting PostgreSQL")
    postgres = EmbeddedPostgres(postgres_folder(data))
    supervisor.start(postgres)
    supervisor.wait_ready(["postgresql"])
    # Only now, when PostgreSQL's lock says that the folder is ours: a second start must not write over what the
    # first one uses.
    secrets, port = local_secrets(data), ports(data)
    announce("preparing the schemas")
    urls = {name: service_url(postgres.admin_url, name, secrets.database_passwords[name]) for name in SERVICES}
    with ThreadPoolExecutor(1) as pool:
        # In a thread, so that a signal can leave the wait.
        for name in SERVICES:
            pool.submit(migrations.prepare, name, postgres.admin_url, urls[name]).result()
    announce("starting the services")
    uses_sandbox = "REELROUTE_TIKTOK_CLIENT_KEY" not in environment
    shops_use_sandbox = "REELROUTE_TIKTOK_SHOP_APP_KEY" not in environment
    merchants_use_sandbox = "REELROUTE_AMAZON_SP_CLIENT_ID" not in environment
    common = {
        **{name: value for name, value in environment.items() if name in _PASSED_ON or name.startswith("REELROUTE_")},
        "REELROUTE_SERVICE_TOKEN": secrets.service_token,
        **{f"REELROUTE_{name.upper()}_ADDRESS": f"127.0.0.1:{port[name]}" for name in SERVICES},
    }
    sandbox_url, gateway_url = (f"http://127.0.0.1:{port[name]}" for name in ("sandbox", "gateway"))
    own: dict[str, dict[str, str]] = {name: {"REELROUTE_DATABASE_URL": urls[name]} for name in SERVICES}
    own["identity"]["REELROUTE_FIRST_KEY_FILE"] = str(data / "api-key")
    own["content"]["REELROUTE_MEDIA_FOLDER"] = str(data / "media")
    for name in ("publisher", "fulfillment"):
        own[name]["REELROUTE_KEY_RING_FILE"] = str(key_ring_file(data, secrets.master_key))
    if uses_sandbox:
        own["publisher"] |= {
            "REELROUTE_TIKTOK_BASE_URL": sandbox_url,
            "REELROUTE_TIKTOK_AUTHORIZE_URL": f"{sandbox_url}/v2/auth/authorize/",
            "REELROUTE_TIKTOK_CLIENT_KEY": "sandbox-client-key",
            "REELROUTE_TIKTOK_CLIENT_SECRET": "sandbox-client-secret",
            "REELROUTE_BULLETIN_BASE_URL": sandbox_url,
            "REELROUTE_TIKTOK_MEDIA_URL_PREFIX": f"{gateway_url}/",
        }
    if shops_use_sandbox:
        app = {
            "REELROUTE_TIKTOK_SHOP_BASE_URL": sandbox_url,
            "REELROUTE_TIKTOK_SHOP_TOKEN_URL": sandbox_url,
            "REELROUTE_TIKTOK_SHOP_APP_KEY": "sandbox-app-key",
            "REELROUTE_TIKTOK_SHOP_APP_SECRET": "sandbox-app-secret",
        }
        own["publisher"] |= {
            **app,
            "REELROUTE_TIKTOK_SHOP_CREATOR_AUTHORIZE_URL": f"{sandbox_url}/alliance/creator/auth",
        }
        own["fulfillment"] |= {
            **app,
            "REELROUTE_TIKTOK_SHOP_AUTHORIZE_URL": f"{sandbox_url}/open/authorize",
            "REELROUTE_TIKTOK_SHOP_US_AUTHORIZE_URL": f"{sandbox_url}/open/authorize",
            "REELROUTE_TIKTOK_SHOP_SERVICE_ID": "sandbox-service-id",
        }
    if merchants_use_sandbox:
        own["fulfillment"] |= {
            **{f"REELROUTE_AMAZON_SP_{name}_URL": sandbox_url for name in ("LWA", "NA", "EU", "FE")},
            "REELROUTE_AMAZON_SP_CLIENT_ID": "amzn1.application-oa2-client.sandbox",
            "REELROUTE_AMAZON_SP_CLIENT_SECRET": "amzn1.oa2-cs.v1.sandbox",
        }
    if uses_sandbox or shops_use_sandbox or merchants_use_sandbox:
        supervisor.start(
            _child(
                "sandbox",
                [sys.executable, "-m", "sandbox"],
                {
                    # Where `reelroute shops connect` and `accounts connect` listen; and the gateway takes the webhooks.
                    "REELROUTE_SANDBOX_TIKTOK_SHOP__REDIRECT_URL": "http://127.0.0.1:8765/callback",
                    "REELROUTE_SANDBOX_TIKTOK_SHOP__WEBHOOK_URL": (
                        f"http://127.0.0.1:{port['gateway']}/v1/webhooks/tiktok-shop"
                    ),
                    **common,
                    "REELROUTE_SANDBOX_PORT": str(port["sandbox"]),
                    "REELROUTE_SANDBOX_STATE_FILE": str(data / "sandbox.sqlite"),
                    # What is set up at TikTok for an app.
                    "REELROUTE_SANDBOX_TIKTOK__URL_PREFIXES": json.dumps([f"{gateway_url}/"]),
                    "REELROUTE_SANDBOX_TIKTOK__WEBHOOK_URL": f"{gateway_url}/v1/webhooks/tiktok",
                },
                logs,
                http_ready(f"{sandbox_url}/control/state"),
            )
        )
    for name in (*SERVICES, "gateway"):
        listen = f"127.0.0.1:{port[name]}"
        variables = {
            **common,
            **own.get(name, {}),
            "REELROUTE_LISTEN": listen,
            "REELROUTE_METRICS_LISTEN": f"127.0.0.1:{port[f'{name}-metrics']}",
        }
        ready = http_ready(f"http://{listen}/readyz") if name == "gateway" else rpc_ready(listen)
        supervisor.start(_child(name, [sys.executable, "-m", f"services.{name}"], variables, logs, ready))
    supervisor.wait_ready(timeout=_READY_SECONDS)
    return Stack(
        gateway_url=gateway_url,
        sandbox_url=sandbox_url,
        service_addresses={name: f"127.0.0.1:{port[name]}" for name in SERVICES},
        admin_url=postgres.admin_url,
        api_key_file=data / "api-key",
        log_folder=logs,
        uses_sandbox=uses_sandbox,
    )


def service_url(admin_url: str, name: str, password: str) -> str:
    """The address of a service's own role on the database of `admin_url`."""
    parts = urlsplit(admin_url)
    location = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"reelroute_{name}:{quote(password)}@{location}"))


def _child(name: str, argv: list[str], environment: dict[str, str], logs: Path, ready: Callable[[], bool]) -> Child:
    return Child(name, argv, environment, logs / f"{name}.log", ready=ready, stop_timeout=25, cwd=ROOT)


def http_ready(url: str) -> Callable[[], bool]:
    """A look at whether an HTTP server answers with 200 at this address."""

    def ready() -> bool:
        try:
            with urlopen(url, timeout=1) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except OSError:
            return False

    return ready


def rpc_ready(address: str) -> Callable[[], bool]:
    """A look at whether the gRPC service at this address says that it serves."""

    def ready() -> bool:
        with grpc.insecure_channel(address) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return ready
