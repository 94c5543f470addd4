"""Sends the platforms' webhooks: at least once, with growing pauses, as the platforms do.

An event becomes a row in the transaction of the fact that it tells, so a killed sandbox still sends it. The body is
made once; the signature anew for each try. Pauses follow the sandbox's clock: 1, 2, 4 … seconds up to one hour, for
72 hours in all (TikTok, "Webhooks overview": exponential backoff up to 72 hours; the pauses are ours).
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from sandbox.clock import Clock
from sandbox.faults import FaultMode, Faults
from sandbox.store import Store

GIVE_UP_SECONDS = 72 * 3600.0
LONGEST_PAUSE_SECONDS = 3600.0
_AT_ONCE = 8
_ANSWER_TIMEOUT_SECONDS = 5.0
log = logging.getLogger("sandbox.webhooks")

Sign = Callable[[bytes], Mapping[str, str]]


def pause_seconds(attempts: int) -> float:
    """Pause after that many failed tries (1 or more): 1, 2, 4, … 2048, then 3600 seconds."""
    return float(min(2 ** min(attempts - 1, 30), LONGEST_PAUSE_SECONDS))


class Webhooks:
    """The queue of one sandbox, for all vendors."""

    def __init__(self, store: Store, clock: Clock, faults: Faults) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._signers: dict[str, Sign] = {}
        self._wake = asyncio.Event()
        clock.on_change(self._wake.set)

    def sign_with(self, vendor: str, sign: Sign) -> None:
        """Register how a vendor signs: a function from the raw body to the headers."""
        self._signers[vendor] = sign

    def put(self, vendor: str, event: str, url: str, body: bytes, at: float) -> None:
        """Queue an event, inside the caller's transaction. Faults for `<vendor>.webhook` drop or double it here."""
        modes = {fault.spec.mode for fault in self._faults.take(f"{vendor}.webhook")}
        dropped = FaultMode.DROP in modes
        for _ in range(2 if FaultMode.DUPLICATE in modes else 1):
            self._store.run(
                "INSERT INTO webhook (vendor, event, url, body, create_time, next_time, end_time, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                *(vendor, event, url, body, at, None if dropped else at, at if dropped else None),
                "dropped" if dropped else "waiting",
            )
        self._wake.set()

    def entries(self, vendor: str, limit: int = 200) -> list[dict[str, Any]]:
        """The newest events of a vendor with what became of them."""
        rows = self._store.all("SELECT * FROM webhook WHERE vendor = ? ORDER BY id DESC LIMIT ?", vendor, limit)
        return [{**dict(row), "body": bytes(row["body"]).decode()} for row in rows]

    async def run(self) -> None:
        """Send what is due until cancelled."""
        async with httpx.AsyncClient(
            timeout=_ANSWER_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False
        ) as client:
            while True:
                self._wake.clear()
                now = self._clock.now()
                due = self._store.all(
                    "SELECT * FROM webhook WHERE next_time <= ? ORDER BY next_time, id LIMIT ?", now, _AT_ONCE
                )
                if due:
                    await asyncio.gather(*(self._send(client, row) for row in due))
                    continue
                following = self._store.one("SELECT min(next_time) AS t FROM webhook WHERE next_time IS NOT NULL")
                pause = None
                if following is not None and following["t"] is not None and not self._clock.frozen:
                    pause = max(following["t"] - now, 0.0)
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                except TimeoutError:
                    continue

    async def _send(self, client: httpx.AsyncClient, row: sqlite3.Row) -> None:
        body = bytes(row["body"])
        headers = {"Content-Type": "application/json", **self._signers[row["vendor"]](body)}
        try:
            async with client.stream("POST", row["url"], content=body, headers=headers) as response:
                answer, taken = str(response.status_code), response.status_code == 200
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer, taken = type(error).__name__, False
            log.debug("webhook %s to its callback failed: %s", row["id"], answer)
        now = self._clock.now()
        attempts = row["attempts"] + 1
        if taken:
            outcome, next_time = "delivered", None
        elif now - row["create_time"] >= GIVE_UP_SECONDS:
            outcome, next_time = "given_up", None
        else:
            outcome, next_time = "waiting", now + pause_seconds(attempts)
        self._store.run(
            "UPDATE webhook SET attempts = ?, outcome = ?, next_time = ?, end_time = ?, last_answer = ? WHERE id = ?",
            *(attempts, outcome, next_time, None if next_time is not None else now, answer, row["id"]),
        )
