"""A wire to PostgreSQL: it knows each statement, each commit, and when its answer comes back."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.wires import Moment, Phase, Reaction, Wires

# Numbers that stand in the place of a protocol version in a first packet.
_NO_ENCRYPTION_HERE = (80877103, 80877104)
_CANCEL = 80877102
# What a server may say at any time, without having been asked.
_UNASKED = b"NAS"
_CHANGES = re.compile(r"\b(INSERT\s+INTO|(?<!FOR )(?<!KEY )UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?\"?(\w+)", re.IGNORECASE)
_READS = re.compile(r"\bFROM\s+\"?(\w+)", re.IGNORECASE)


def statement_kind(statement: str) -> str:
    """A short name that is the same for the same statement with other values: "UPDATE deliveries"."""
    if found := _CHANGES.search(statement):
        return f"{' '.join(found[1].upper().split())} {found[2]}"
    verb = statement.split(None, 1)[0].upper().rstrip(";") if statement.strip() else "NOTHING"
    if verb in ("SELECT", "WITH") and (found := _READS.search(statement)):
        return f"SELECT FROM {found[1]}"
    return verb


@dataclass
class _Conversation:
    """What one connection has asked and not been answered; and what its transaction has changed."""

    asked: deque[tuple[str, str]] = field(default_factory=deque)
    changes: list[str] = field(default_factory=list)
    is_begun: bool = False

    def ask(self, statement: str) -> tuple[str, str]:
        kind = statement_kind(statement)
        if kind == "COMMIT" and self.changes:
            kind = f"COMMIT after {self.changes[-1]}"
        if kind.startswith(("COMMIT", "ROLLBACK", "BEGIN")):
            self.changes = []
        elif not kind.startswith("SELECT"):
            self.changes.append(kind)
        self.asked.append((kind, statement))
        return kind, statement


def open_pg_wire(wires: Wires, client: str, server: Callable[[], int], *, name: str = "postgresql") -> int:
    """A port on which `client` finds the PostgreSQL server of 127.0.0.1 whose port `server` tells."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", server())
        except OSError:
            writer.transport.abort()
            return
        await _Link(wires, client, name, (reader, writer), upstream).run()

    async def begin() -> int:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)

        async def close() -> None:
            listening.close()

        wires.on_close(close)
        port: int = listening.sockets[0].getsockname()[1]
        return port

    return wires.run(begin())


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Cut(Exception):
    """The rule ends the connection."""


class _Link:
    def __init__(self, wires: Wires, client: str, server: str, near: Stream, far: Stream) -> None:
        self._wires, self._client, self._server = wires, client, server
        self._near, self._far = near, far
        self._talk = _Conversation()

    async def run(self) -> None:
        both = []
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, _Cut):
                await self._greet()
                both = [asyncio.create_task(self._requests()), asyncio.create_task(self._answers())]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for _, writer in (self._near, self._far):
                writer.transport.abort()

    async def _greet(self) -> None:
        reader, writer = self._near
        while True:
            head = await reader.readexactly(8)
            length, code = int.from_bytes(head[:4]), int.from_bytes(head[4:])
            if code not in _NO_ENCRYPTION_HERE:
                break
            writer.write(b"N")
        self._far[1].write(head + await reader.readexactly(length - 8))
        await self._far[1].drain()
        if code == _CANCEL:
            raise _Cut

    async def _requests(self) -> None:
        reader, writer = self._near[0], self._far[1]
        while True:
            kind, frame = await _frame(reader)
            if kind == b"Q":
                await self._moment(Phase.ASKED, *self._talk.ask(frame[5:-1].decode(errors="replace")))
            writer.write(frame)
            await writer.drain()

    async def _answers(self) -> None:
        reader, writer = self._far[0], self._near[1]
        while True:
            kind, frame = await _frame(reader)
            talk = self._talk
            if talk.asked and not talk.is_begun and kind not in _UNASKED:
                talk.is_begun = True
                await self._moment(Phase.ANSWERED, *talk.asked[0])
            if kind == b"Z" and talk.is_begun:
                talk.is_begun = False
                talk.asked.popleft()
            writer.write(frame)
            await writer.drain()

    async def _moment(self, phase: Phase, what: str, text: str) -> None:
        reaction = await self._wires.reaction(Moment(self._client, self._server, phase, what, text))
        if reaction is Reaction.SILENCE:
            await asyncio.Event().wait()
        if reaction is Reaction.CUT:
            raise _Cut


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(int.from_bytes(head[1:]) - 4)
