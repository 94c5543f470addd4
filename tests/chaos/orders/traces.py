"""What of buyers is where it must not be: in logs, or in anything of the databases, feeds and records included."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence

import psycopg2

from tests.chaos.processes import Processes

_TABLES = """
SELECT schemaname AS schema, tablename AS table FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


def of(running: Processes, canaries: Sequence[str]) -> list[str]:
    """Where one of the words (of letters only) is, also as a part of another. What is sealed has none of them in it."""
    found = re.compile("|".join(canaries), re.IGNORECASE)
    shortest = min(map(len, canaries))
    letters = re.compile(rf"[A-Za-z]{{{shortest},}}")
    places = {**dict(_logs(running)), **dict(_tables(running))}
    # The few words that differ are searched, not the whole of a log.
    words = {place: " ".join(set(letters.findall(text))) for place, text in places.items()}
    return [f"{place}: {match[0]}" for place, text in words.items() if (match := found.search(text))]


def _logs(running: Processes) -> Iterator[tuple[str, str]]:
    for log in sorted(running.folder.glob("*.log")):
        # The sandbox plays the vendors.
        if log.name != "sandbox.log":
            yield log.name, log.read_text(errors="replace")


def _tables(running: Processes) -> Iterator[tuple[str, str]]:
    tables = running.rows(_TABLES)
    with contextlib.closing(psycopg2.connect(running.postgres.admin_url)) as connection, connection.cursor() as cursor:
        for each in tables:
            cursor.execute(f'SELECT * FROM "{each["schema"]}"."{each["table"]}"')
            yield f"table {each['schema']}.{each['table']}", "\n".join(map(_text, cursor))


def _text(row: Iterable[object]) -> str:
    return " ".join(bytes(value).decode("latin-1") if isinstance(value, memoryview) else str(value) for value in row)
