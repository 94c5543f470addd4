"""The whole product as `make run` starts it, on a folder of its own, for a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import grpc
import httpx
import psycopg2
import psycopg2.extensions

from bench import harness
from bench.harness import Cost
from deploy.local import demo, settings, stack
from deploy.local.supervisor import Supervisor
from kit import rpc

PROCESSES = ("gateway", "content", "publisher", "scheduler")
CLIPS = 300
PATIENCE_SECONDS = 900.0
# The uploaded clip under other names, as other files.
_CLIPS_FILL = """
INSERT INTO content.media_assets
SELECT (jsonb_populate_record(asset, jsonb_build_object('media_asset_id', uuidv7(), 'file_name', 'clip-' || n || '.mp4',
    'sha256', encode(sha256(n::text::bytea), 'hex'), 'frame_hashes', '[]'::jsonb))).*
FROM content.media_assets AS asset, generate_series(0, %(clips)s - 1) AS n
RETURNING file_name, media_asset_id, sha256
"""


@dataclass(frozen=True)
class Installation:
    """A running installation with four accounts and a library of clips, in the operator's workspace."""

    supervisor: Supervisor
    api: httpx.Client
    scheduler: grpc.Channel
    cursor: psycopg2.extensions.cursor
    workspace_id: str
    accounts: dict[str, str]
    clips: list[tuple[str, str, str]]

    def cost(self) -> Cost:
        """Of its processes from now on."""
        pids = {name: self.supervisor.pid(name) or 0 for name in PROCESSES}
        return Cost(pids, self.supervisor.pid("postgresql"))


@contextmanager
def installation() -> Iterator[Installation]:
    """Starts everything, and stops it at the end."""
    said: list[str] = []
    with harness.folder() as data, Supervisor(announce=said.append) as supervisor:
        started = stack.start(supervisor, data, said.append)
        headers = {"Authorization": f"Bearer {started.api_key_file.read_text().strip()}"}
        token = settings.local_secrets(data).service_token
        with (
            httpx.Client(base_url=started.gateway_url, headers=headers, timeout=PATIENCE_SECONDS) as api,
            httpx.Client(base_url=started.sandbox_url, timeout=30) as sandbox,
            closing(rpc.channel(started.service_addresses["scheduler"], token)) as scheduler,
            closing(psycopg2.connect(started.admin_url)) as connection,
        ):
            connection.autocommit = True
            accounts = demo.connect_accounts(api, sandbox, said.append)
            with demo.VIDEO.open("rb") as file:
                api.post("/v1/media", files={"file": (demo.VIDEO.name, file, "video/mp4")}).raise_for_status()
            cursor = connection.cursor()
            cursor.execute(_CLIPS_FILL, {"clips": CLIPS})
            workspace_id = api.get("/v1/workspace").raise_for_status().json()["workspace_id"]
            yield Installation(supervisor, api, scheduler, cursor, workspace_id, accounts, cursor.fetchall())
