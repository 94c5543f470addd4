"""S20, S21: after real work nothing secret is in any log, answer, row, metric or process argument."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from contextlib import closing
from pathlib import Path

import httpx
import psycopg2
import pytest

from deploy.local.settings import local_secrets
from tests.e2e.conftest import Product

# What the sandbox's tokens and upload addresses look like, as TikTok's do.
_TOKEN = re.compile(rb"(act|rft)\.[\w!*-]{16,}")
_UPLOAD_ADDRESS = re.compile(rb"/upload/video/\S*\?\S*=")


@pytest.fixture
def worked(running: Product) -> Product:
    """The stack after a success, a refused call with a key, and a refresh of a token."""
    running.sandbox.post("/control/tiktok/creators/emberfold.water/expire-tokens", json={}).raise_for_status()
    running.wait_over(running.schedule("emberfold.water"))
    running.api.get("/v1/posts/not-an-id")
    running.api.get("/v1/posts", headers={"Authorization": "Bearer rr_00000000_wrong-key-canary"})
    return running


def known_secrets(running: Product) -> list[bytes]:
    folder = running.stack.api_key_file.parent
    kept = local_secrets(folder)
    texts = [running.stack.api_key_file.read_text().strip(), kept.service_token, kept.master_key]
    texts += kept.database_passwords.values()
    return [text.encode() for text in [*texts, "sandbox-client-secret", "wrong-key-canary"]]


def test_s20_no_secret_is_in_any_log(worked: Product) -> None:
    logs = [*worked.stack.log_folder.iterdir(), *worked.stack.api_key_file.parent.glob("*.log")]
    assert len(logs) >= 7
    for log in logs:
        content = log.read_bytes()
        for secret in known_secrets(worked):
            assert secret not in content, f"{log.name} holds a secret"
        assert not _TOKEN.search(content), f"{log.name} holds a token"
        assert not _UPLOAD_ADDRESS.search(content), f"{log.name} holds an upload address"


def test_s20_no_secret_is_in_any_recorded_call_and_each_belongs_to_a_workspace(worked: Product) -> None:
    operations = {"exchange_code", "creator_info", "video_init", "upload_chunk", "status_fetch", "refresh"}
    rows = worked.wait(lambda: recorded_calls(worked, operations), 10)
    for workspace_id, row in rows:
        assert workspace_id is not None, row
        for secret in known_secrets(worked):
            assert secret not in row, row.replace(secret, b"[secret]")
        assert not _TOKEN.search(row), row
        assert not _UPLOAD_ADDRESS.search(row), row


def recorded_calls(running: Product, operations: set[str]) -> list[tuple[str | None, bytes]] | None:
    """Workspace and text of every row, once all operations are among them."""
    with closing(psycopg2.connect(running.stack.admin_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT operation, workspace_id, call::text FROM publisher.vendor_calls AS call")
        rows = cursor.fetchall()
    if not operations <= {operation for operation, _, _ in rows}:
        return None
    return [(workspace_id, text.encode()) for _, workspace_id, text in rows]


def test_s20_no_token_is_in_any_answer(worked: Product) -> None:
    delivery = worked.get("/v1/posts")["posts"][0]["deliveries"][0]["delivery_id"]
    for path in (
        "/v1/accounts", f"/v1/accounts/{worked.accounts['emberfold.water']}", "/v1/posts?page_size=200",
        f"/v1/deliveries/{delivery}/publication", "/v1/activities?page_size=200", "/v1/messages?page_size=200",
        "/v1/forecast", "/v1/keys", "/v1/incidents", "/v1/vendor-calls",
    ):  # fmt: skip
        answer = worked.api.get(path).raise_for_status().content
        assert not _TOKEN.search(answer)
        assert not _UPLOAD_ADDRESS.search(answer)
        assert not any(secret in answer for secret in known_secrets(worked))


def test_a_dump_of_the_databases_holds_no_token_and_no_key(worked: Product) -> None:
    """Tokens lie sealed; what is made of them, such as the ledger and the outbox, has none at all."""
    kept = local_secrets(worked.stack.api_key_file.parent)
    sealed = 0
    with contextlib.closing(psycopg2.connect(worked.stack.admin_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables"
            " WHERE table_schema IN ('content','identity','notification','publisher','scheduler')"
            " AND table_type = 'BASE TABLE'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT * FROM {table}")
            for value in (value for row in cursor for value in row):
                content = bytes(value) if isinstance(value, memoryview) else str(value).encode()
                assert not _TOKEN.search(content), f"{table} holds a token"
                assert kept.master_key.encode() not in content
                assert base64.b64decode(kept.master_key) not in content
                sealed += table == "publisher.accounts" and isinstance(value, memoryview)
    assert sealed >= 2 * len(worked.accounts)


def test_no_secret_is_in_any_metric(worked: Product) -> None:
    ports = json.loads((worked.stack.api_key_file.parent / "ports.json").read_text())
    metrics = [port for name, port in ports.items() if name.endswith("-metrics")]
    assert len(metrics) >= 6
    for port in metrics:
        content = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).raise_for_status().content
        assert not _TOKEN.search(content)
        assert not any(secret in content for secret in known_secrets(worked))


def test_s21_no_secret_is_in_the_arguments_of_a_process(worked: Product) -> None:
    seen = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = entry.read_bytes()
        except OSError:
            continue  # ended meanwhile, or not ours to see
        seen += b"services." in arguments
        for secret in known_secrets(worked):
            assert secret not in arguments, arguments.replace(secret, b"[secret]")
    assert seen >= 6
