"""Sellers with their shops, creators, what they granted, and the tokens that prove it."""

import math
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.tiktok_shop.answers import BAD_REQUEST, TOKEN_EXPIRED, TOKEN_INVALID, Refusal
from sandbox.tiktok_shop.state import ShopState, digest, stable_id

Kind = Literal["seller", "creator"]

NOTICE_SECONDS = 30 * 86_400
"""So long before an authorisation ends, its end is told."""
USER_TYPE: dict[str, int] = {"seller": 0, "creator": 1}

# Name → title, base region, and shops: name, region, seller type, currency, time zone.
SELLERS: dict[str, tuple[str, str, list[tuple[str, str, str, str, str]]]] = {
    "emberfold": ("Emberfold LLC", "US", [("Emberfold US", "US", "LOCAL", "USD", "America/New_York")]),
    "emberfold-trading": (
        "Emberfold Trading Ltd.",
        "HK",
        [
            ("Emberfold UK", "GB", "CROSS_BORDER", "GBP", "Europe/London"),
            ("Emberfold SG", "SG", "CROSS_BORDER", "SGD", "Asia/Singapore"),
        ],
    ),
}
US_SHOP, US_SHOP_ID = "Emberfold US", "7495540735365777507"
CREATORS = {
    "emberfold.air": "Emberfold Air",
    "emberfold.fire": "Emberfold Fire",
    "dice.goblin": "Dice Goblin",
    "card.corner": "Karten-Ecke Würzburg",
}


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop of a seller."""

    id: str
    seller: str
    name: str
    code: str
    region: str
    seller_type: str
    cipher: str
    currency: str
    timezone: str
    active: bool


@dataclass(frozen=True, slots=True)
class Creator:
    """One creator who may post with product links."""

    username: str
    nickname: str
    open_id: str
    region: str
    restricted: bool


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by a valid access token."""

    kind: str
    subject: str
    grant_id: int
    scopes: frozenset[str]


def seed(state: ShopState) -> None:
    """Add the two sellers with their shops and the creators where they are missing."""
    for name, (title, region, shops_of) in SELLERS.items():
        if state.store.one("SELECT 1 FROM shop_seller WHERE name = ?", name) is None:
            add_seller(state, name, title, region, shops_of)
    for username, nickname in CREATORS.items():
        if state.store.one("SELECT 1 FROM shop_creator WHERE username = ?", username) is None:
            add_creator(state, username, nickname, "US")


def add_seller(
    state: ShopState, name: str, title: str, region: str, shops_of: Sequence[tuple[str, str, str, str, str]]
) -> None:
    """Add a seller with its shops, which list nothing yet. Raises ValueError when the name is taken."""
    open_id = f"7010{digest(f'{state.app_key}/{name}')[:28]}"
    try:
        state.store.run("INSERT INTO shop_seller VALUES (?, ?, ?, ?)", name, title, region, open_id)
    except sqlite3.IntegrityError as error:
        raise ValueError(f"The seller {name} exists already.") from error
    for shop_name, shop_region, seller_type, currency, timezone in shops_of:
        shop_id = US_SHOP_ID if shop_name == US_SHOP else stable_id("7495", shop_name)
        state.store.run(
            "INSERT INTO shop_shop VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            *(shop_id, name, shop_name, f"{shop_region}LC{shop_id[-8:]}", shop_region, seller_type),
            # Real ciphers hold characters that must survive signing and percent-encoding.
            *(f"ROW_{digest(f'cipher/{shop_id}')[:22]}-_/+=", currency, timezone),
        )


def add_creator(state: ShopState, username: str, nickname: str, region: str) -> Creator:
    """Add a creator. Raises ValueError when the username is taken."""
    open_id = f"7020{digest(f'{state.app_key}/{username}')[:28]}"
    try:
        state.store.run("INSERT INTO shop_creator VALUES (?, ?, ?, ?, 0)", username, nickname, open_id, region)
    except sqlite3.IntegrityError as error:
        raise ValueError(f"The creator {username} exists already.") from error
    return creator(state, username)


def shops(state: ShopState, seller: str = "") -> list[Shop]:
    """The shops of one seller, or of all."""
    rows = state.store.all("SELECT * FROM shop_shop WHERE ? IN ('', seller) ORDER BY seller, name DESC", seller)
    return [_shop(row) for row in rows]


def shop(state: ShopState, shop_id: str) -> Shop:
    """One shop. Raises KeyError when there is none."""
    row = state.store.one("SELECT * FROM shop_shop WHERE id = ?", shop_id)
    if row is None:
        raise KeyError(shop_id)
    return _shop(row)


def sellers(state: ShopState) -> list[sqlite3.Row]:
    """Every seller."""
    return state.store.all("SELECT * FROM shop_seller ORDER BY name")


def creator(state: ShopState, username: str) -> Creator:
    """One creator. Raises KeyError when there is none."""
    row = state.store.one("SELECT * FROM shop_creator WHERE username = ?", username)
    if row is None:
        raise KeyError(username)
    return _creator(row)


def creators(state: ShopState) -> list[Creator]:
    """Every creator."""
    return [_creator(row) for row in state.store.all("SELECT * FROM shop_creator ORDER BY username")]


def subject_open_id(state: ShopState, kind: str, subject: str) -> str:
    """Open id of a seller or creator. Raises KeyError for an unknown one."""
    if kind == "creator":
        return creator(state, subject).open_id
    row = state.store.one("SELECT open_id FROM shop_seller WHERE name = ?", subject)
    if row is None:
        raise KeyError(subject)
    return str(row["open_id"])


def connected(state: ShopState, kind: str, subject: str) -> bool:
    """Whether the app holds an authorisation that has not ended."""
    sql = "SELECT count(*) FROM shop_grant WHERE kind = ? AND subject = ? AND NOT revoked AND refresh_expire_time > ?"
    return state.store.number(sql, kind, subject, state.clock.now()) > 0


def issue_tokens(state: ShopState, kind: str, subject: str, scopes: str, grant_id: int | None = None) -> dict[str, Any]:
    """Tokens for a new grant, or the next ones of a grant, as `data` of the token calls. Expiries are absolute."""
    settings, now = state.settings, state.clock.now()
    access, refresh = f"TTP_{secrets.token_urlsafe(48)}", f"TTP_{secrets.token_urlsafe(36)}"
    refresh_end = now + settings.refresh_token_seconds
    state.store.run("DELETE FROM shop_access WHERE expire_time < ?", now - 30 * 86_400)
    if grant_id is None:
        grant_id = state.store.insert(
            "INSERT INTO shop_grant (kind, subject, scopes, refresh_hash, refresh_expire_time) VALUES (?, ?, ?, ?, ?)",
            *(kind, subject, scopes, digest(refresh), refresh_end),
        )
    else:
        if not settings.refresh_prolongs:
            sql = "SELECT refresh_expire_time FROM shop_grant WHERE id = ?"
            refresh_end = state.store.all(sql, grant_id)[0]["refresh_expire_time"]
        state.store.run(
            "UPDATE shop_grant SET refresh_hash = ?, refresh_expire_time = ? WHERE id = ?",
            *(digest(refresh), refresh_end, grant_id),
        )
    state.no_longer("expiry_notice", str(grant_id))
    if kind == "seller":
        state.later(max(refresh_end - NOTICE_SECONDS, now), "expiry_notice", str(grant_id))
    access_end = now + settings.access_token_seconds
    state.store.run("INSERT INTO shop_access VALUES (?, ?, ?)", digest(access), grant_id, access_end)
    row = state.store.one("SELECT * FROM shop_seller WHERE name = ?", subject) if kind == "seller" else None
    return {
        "access_token": access,
        "access_token_expire_in": math.floor(access_end),
        "refresh_token": refresh,
        "refresh_token_expire_in": math.floor(refresh_end),
        "open_id": subject_open_id(state, kind, subject),
        "seller_name": row["title"] if row is not None else "",
        "seller_base_region": row["base_region"] if row is not None else "",
        "user_type": USER_TYPE[kind],
        "granted_scopes": scopes.split(","),
    }


def caller(state: ShopState, token: str | None) -> Caller:
    """Who calls. Raises Refusal."""
    if not token:
        raise Refusal(BAD_REQUEST, "The header x-tts-access-token is missing.")
    row = state.store.one(
        "SELECT g.*, a.expire_time FROM shop_access a JOIN shop_grant g ON g.id = a.grant_id WHERE a.hash = ?",
        digest(token),
    )
    if row is None or row["revoked"]:
        raise Refusal(TOKEN_INVALID, "The access token is invalid, or its authorisation was withdrawn.")
    if row["expire_time"] <= state.clock.now():
        raise Refusal(TOKEN_EXPIRED, "The access token has expired. Refresh it.")
    return Caller(row["kind"], row["subject"], row["id"], frozenset(row["scopes"].split(",")))


def expire_tokens(state: ShopState, kind: str, subject: str, refresh_too: bool) -> int:
    """End the access tokens of somebody now, and the refresh tokens if asked. Returns access tokens ended."""
    now = state.clock.now()
    with state.store.transaction():
        mine = "grant_id IN (SELECT id FROM shop_grant WHERE kind = ? AND subject = ?)"
        ended = state.store.run(
            f"UPDATE shop_access SET expire_time = ? WHERE expire_time > ? AND {mine}",  # noqa: S608
            *(now, now, kind, subject),
        )
        if refresh_too:
            sql = "UPDATE shop_grant SET refresh_expire_time = ? WHERE kind = ? AND subject = ?"
            state.store.run(sql, now, kind, subject)
    return ended


def _shop(row: sqlite3.Row) -> Shop:
    return Shop(**{**dict(row), "active": bool(row["active"])})


def _creator(row: sqlite3.Row) -> Creator:
    return Creator(**{**dict(row), "restricted": bool(row["restricted"])})
