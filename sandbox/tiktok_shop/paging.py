"""Page tokens: opaque, good for the same query only, and full of characters that must be percent-encoded."""

import base64
import binascii
import json
from collections.abc import Sequence
from sqlite3 import Row
from typing import Any, TypeVar

from sandbox.tiktok_shop.answers import Refusal
from sandbox.tiktok_shop.state import ShopState, digest

Item = TypeVar("Item")


def rows(
    state: ShopState,
    table: str,
    where: Sequence[str],
    values: Sequence[object],
    sort: tuple[str, str],
    size: int,
    token: str,
    invalid: int,
) -> tuple[list[Row], str, int]:
    """One page of a table, the token of the next one (empty: none), and how many rows there are in all.

    `table`, `where` and the sorted column come from code, never from a request. The page begins after the row that the
    token names, so what changes meanwhile moves no other row. Raises Refusal with `invalid` for a foreign token.
    """
    column, direction = sort
    condition = " AND ".join(where)
    query = digest(json.dumps([table, condition, [str(value) for value in values], sort]))[:8]
    total = state.store.number(f"SELECT count(*) FROM {table} WHERE {condition}", *values)  # noqa: S608
    more, position = "", ()
    if token:
        position = tuple(_position(token, query, invalid))
        more = f" AND ({column}, id) {'<' if direction == 'DESC' else '>'} (?, ?)"
    found = state.store.all(
        f"SELECT * FROM {table} WHERE {condition}{more} ORDER BY {column} {direction}, id {direction} LIMIT ?",  # noqa: S608
        *(*values, *position, size + 1),
    )
    last = found[size - 1] if len(found) > size else None
    return found[:size], "" if last is None else _token([last[column], last["id"]], query), total


def items(every: Sequence[Item], query: object, size: int, token: str, invalid: int) -> tuple[list[Item], str]:
    """One page of a list that is made anew for each call, and the token of the next one."""
    kind = digest(json.dumps(query, default=str))[:8]
    start = int(_position(token, kind, invalid)[0]) if token else 0
    end = start + size
    return list(every[start:end]), _token([end], kind) if end < len(every) else ""


def _token(position: list[Any], query: str) -> str:
    return base64.b64encode(b"\xfb\xef\xbe" + json.dumps([query, *position]).encode()).decode()


def _position(token: str, query: str, invalid: int) -> list[Any]:
    try:
        raw = base64.b64decode(token, validate=True)
        given: list[Any] = json.loads(raw.removeprefix(b"\xfb\xef\xbe"))
        kind, *position = given
    except (binascii.Error, ValueError) as error:
        raise Refusal(invalid, "query.page_token is invalid.") from error
    if kind != query:
        raise Refusal(invalid, "query.page_token belongs to another query.")
    return position
