"""Sends the platforms' webhooks: at least once, with growing pauses, as the platforms do.

An event becomes a row in the transaction of the fact that it tells, so a killed sandbox still sends it. The body is
made once; the signature anew for each try. Pauses follow the sandbox's clock. Each vendor has its own; those here are
TikTok's: 1, 2, 4 … seconds up to one hour, for 72 hours in all ("Webhooks overview": exponential backoff up to 72
hours; the pauses are ours).
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
NextPause = Callable[[int, float], float | None]


def pause_seconds(attempts: int) -> float:
    """Pause after that many failed tries (1 or more): 1, 2, 4, … 2048, then 3600 seconds."""
    return float(min(2 ** min(attempts - 1, 30), LONGEST_PAUSE_SECONDS))


def doubling(attempts: int, age_seconds: float) -> float | None:
    """Pause after that many failed tries of an event of that age; None: give it up."""
    return None if age_seconds >= GIVE_UP_SECONDS else pause_seconds(attempts)


@dataclass(frozen=True, slots=True)
class Sender:
    """How a vendor signs and repeats."""

    sign: Sign
    next_pause: NextPause
    answer_seconds: float


class Webhooks:
    """The queue of one sandbox, for all vendors."""

    def __init__(self, store: Store, clock: Clock, faults: Faults) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._senders: dict[str, Sender] = {}
        self._wake = asyncio.Event()
        clock.on_change(self._wake.set)

    def sign_with(
        self,
        vendor: str,
        sign: Sign,
        next_pause: NextPause = doubling,
        answer_seconds: float = _ANSWER_TIMEOUT_SECONDS,
    ) -> None:
        """Register how a vendor signs, from the raw body to the headers, how it repeats, and how long it waits."""
        self._senders[vendor] = Sender(sign, next_pause, answer_seconds)

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
        sender = self._senders[row["vendor"]]
        headers = {"Content-Type": "application/json", **sender.sign(body)}
        try:
            async with client.stream(
                "POST", row["url"], content=body, headers=headers, timeout=sender.answer_seconds
            ) as response:
                answer, taken = str(response.status_code), response.status_code == 200
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer, taken = type(error).__name__, False
            log.debug("webhook %s to its callback failed: %s", row["id"], answer)
        now = self._clock.now()
        attempts = row["attempts"] + 1
        pause = None if taken else sender.next_pause(attempts, now - row["create_time"])
        next_time = None if pause is None else now + pause
        outcome = "delivered" if taken else "given_up" if next_time is None else "waiting"
        self._store.run(
            "UPDATE webhook SET attempts = ?, outcome = ?, next_time = ?, end_time = ?, last_answer = ? WHERE id = ?",
            *(attempts, outcome, next_time, None if next_time is not None else now, answer, row["id"]),
        )
