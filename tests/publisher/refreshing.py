"""A process that asks for the token of an account, many times at once: `python -m tests.publisher.refreshing`.

Reads one line of JSON from standard input, says "ready", begins at the next line, and prints the tokens' fingerprints.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from kit.custody import Custody
from kit.db import Database
from services.publisher import account_store
from services.publisher.domain import Account
from services.publisher.tokens import AccountTokens
from tests.publisher.stage import Sandbox, a_vault
from tests.services import ROLE_PASSWORD
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig


class Refreshing:
    """Such a process, to be let go and to be killed."""

    def __init__(self, database: Database, sandbox: Sandbox, account: Account, callers: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.publisher.refreshing"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._say(
            database=database.url.set(password=ROLE_PASSWORD).render_as_string(hide_password=False),
            sandbox=sandbox.url,
            workspace=str(account.workspace_id),
            account=str(account.account_id),
            callers=callers,
        )
        assert self._hear() == "ready"

    def go(self) -> None:
        """Lets it begin."""
        self._say()

    def found(self) -> list[str]:
        """What it found, once it has ended."""
        tokens: list[str] = json.loads(self._hear())
        assert self.process.wait(30) == 0
        return tokens

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _say(self, **values: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(values) + "\n")
        self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            # The rest are logs.
            if line.startswith(("ready", '["')):
                return line.strip()
        return ""


def fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def _ask(order: dict[str, Any]) -> list[str]:
    database = Database(order["database"], "publisher")
    workspace_id = UUID(order["workspace"])
    with database.transaction(workspace_id) as tx:
        account = account_store.read_account(tx, workspace_id, UUID(order["account"]))
    config = TikTokConfig(
        base_url=order["sandbox"], client_key="sandbox-client-key", client_secret=SecretStr("sandbox-client-secret")
    )
    custody = Custody()
    async with TikTokClient(config) as client:
        holders = [AccountTokens(database, a_vault(), account, client, custody) for _ in range(order["callers"])]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        found = await asyncio.gather(*(each.access() for each in holders))
    database.close()
    return [fingerprint(each) for each in found]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_ask(json.loads(sys.stdin.readline())))), flush=True)
