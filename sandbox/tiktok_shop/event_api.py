"""Webhook addresses of a shop ("Update Shop Webhook" and its neighbours)."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from sandbox.tiktok_shop.answers import BAD_REQUEST, Refusal
from sandbox.tiktok_shop.events import TYPES
from sandbox.tiktok_shop.gate import Body, Call, Operation
from sandbox.tiktok_shop.state import ShopState

_SCOPE = ("seller.authorization.info",)
_PATH = "/event/{version}/webhooks"
_NAME = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE)


class _Address(Body):
    event_type: str
    address: Annotated[str, Field(max_length=255)]


class _Type(Body):
    event_type: str


def _list(state: ShopState, call: Call) -> dict[str, Any]:
    rows = state.store.all("SELECT * FROM shop_webhook WHERE shop_id = ? ORDER BY event_type", call.shop.id)
    names = ("event_type", "address", "create_time", "update_time")
    return {"total_count": len(rows), "webhooks": [{name: row[name] for name in names} for row in rows]}


def _put(state: ShopState, call: Call) -> dict[str, Any]:
    body: _Address = call.body
    _check_type(body.event_type)
    if not acceptable(body.address, state.settings.local_webhooks):
        raise Refusal(BAD_REQUEST, "body.address must be https with a domain name, without an IP address and port.")
    now = int(state.clock.now())
    state.store.run(
        "INSERT INTO shop_webhook VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (shop_id, event_type) DO UPDATE SET address = excluded.address, update_time = ?",
        *(call.shop.id, body.event_type, body.address, now, now, now),
    )
    return {}


def _delete(state: ShopState, call: Call) -> dict[str, Any]:
    body: _Type = call.body
    _check_type(body.event_type)
    sql = "DELETE FROM shop_webhook WHERE shop_id = ? AND event_type = ?"
    state.store.run(sql, call.shop.id, body.event_type)
    return {}


def _check_type(event_type: str) -> None:
    if event_type not in TYPES:
        raise Refusal(BAD_REQUEST, "body.event_type is not a type of event.")


def acceptable(address: str, local: bool) -> bool:
    """Whether a shop may register an address; `local` allows this machine's, with a port and without TLS."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    if parts.username or parts.fragment or not parts.hostname:
        return False
    if local and parts.hostname in ("localhost", "127.0.0.1"):
        return parts.scheme in ("http", "https")
    return parts.scheme == "https" and port is None and _NAME.fullmatch(parts.hostname) is not None


OPERATIONS = [
    Operation("webhooks_get", "GET", _PATH, ("202309",), _SCOPE, _list),
    Operation("webhooks_put", "PUT", _PATH, ("202309",), _SCOPE, _put, body=_Address),
    Operation("webhooks_delete", "DELETE", _PATH, ("202309",), _SCOPE, _delete, body=_Type),
]
