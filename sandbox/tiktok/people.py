"""Creators, what they granted, and the tokens that prove it."""

import hashlib
import json
import math
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.tiktok.answers import Refusal
from sandbox.tiktok.state import TikTokState, digest

PrivacyLevel = Literal["PUBLIC_TO_EVERYONE", "FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]

# What an account is offered, "Query creator info".
PUBLIC_OPTIONS: list[PrivacyLevel] = ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]
PRIVATE_OPTIONS: list[PrivacyLevel] = ["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]

SEEDED = {
    "emberfold.air": "Emberfold Air",
    "emberfold.water": "Emberfold Water",
    "emberfold.fire": "Emberfold Fire",
    "emberfold.earth": "Emberfold Earth",
}

# Reasons of authorization.removed ("Webhook events").
REMOVED_BY_USER = 1
REMOVED_BY_DEVELOPER = 5


class CreatorFields(BaseModel):
    """What can be said about a creator; fields left out keep their value."""

    model_config = ConfigDict(extra="forbid")

    nickname: str | None = Field(default=None, min_length=1, max_length=60)
    private: bool | None = Field(default=None, description="A private account.")
    privacy_options: list[PrivacyLevel] | None = Field(
        default=None, description="Overrides the options that follow from `private`; an empty list ends the override."
    )
    comment_disabled: bool | None = None
    duet_disabled: bool | None = None
    stitch_disabled: bool | None = None
    max_duration_seconds: int | None = Field(default=None, ge=1, le=3600)
    banned: bool | None = Field(default=None, description="Blocked from posting.")
    follower_count: int | None = Field(default=None, ge=0)


class NewCreator(CreatorFields):
    """A creator to add."""

    username: str = Field(pattern=r"^[a-z0-9._]{2,24}$")


@dataclass(frozen=True, slots=True)
class Creator:
    """One creator as the platform knows it."""

    username: str
    nickname: str
    open_id: str
    private: bool
    privacy_options: tuple[str, ...]
    comment_disabled: bool
    duet_disabled: bool
    stitch_disabled: bool
    max_duration_seconds: int
    banned: bool
    follower_count: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by a valid user access token."""

    creator: Creator
    grant_id: int
    scopes: frozenset[str]


def seed(state: TikTokState) -> None:
    """Add the four demonstration creators where they are missing."""
    for username, nickname in SEEDED.items():
        if state.store.one("SELECT 1 FROM tiktok_creator WHERE username = ?", username) is None:
            add_creator(state, NewCreator(username=username, nickname=nickname))


def add_creator(state: TikTokState, new: NewCreator) -> Creator:
    """Add a creator. Raises ValueError when the username is taken."""
    # Open ids are per app and stay the same for one creator, also after a reset.
    open_id = "-000" + hashlib.sha256(f"{state.client_key}/{new.username}".encode()).hexdigest()[:32]
    try:
        state.store.run(
            "INSERT INTO tiktok_creator VALUES (?, ?, ?, 0, '[]', 0, 0, 0, 600, 0, 0)",
            *(new.username, new.nickname or new.username, open_id),
        )
    except sqlite3.IntegrityError as error:
        raise ValueError(f"The creator {new.username} exists already.") from error
    return change_creator(state, new.username, new)


def change_creator(state: TikTokState, username: str, fields: CreatorFields) -> Creator:
    """Change the fields that are given. Raises KeyError for an unknown creator."""
    values = fields.model_dump(exclude_none=True, exclude={"username"})
    with state.store.transaction():
        for name, value in values.items():
            stored = json.dumps(value) if name == "privacy_options" else value
            # Column names are those of the model above.
            state.store.run(f"UPDATE tiktok_creator SET {name} = ? WHERE username = ?", stored, username)  # noqa: S608
        return creator(state, username)


def creator(state: TikTokState, username: str) -> Creator:
    """One creator. Raises KeyError when there is none."""
    row = state.store.one("SELECT * FROM tiktok_creator WHERE username = ?", username)
    if row is None:
        raise KeyError(username)
    return _creator(row)


def creators(state: TikTokState) -> list[Creator]:
    """Every creator, by username."""
    return [_creator(row) for row in state.store.all("SELECT * FROM tiktok_creator ORDER BY username")]


def connected(state: TikTokState, username: str) -> bool:
    """Whether the app holds an authorisation of this creator that has not ended."""
    sql = "SELECT count(*) FROM tiktok_grant WHERE username = ? AND NOT revoked AND refresh_expire_time > ?"
    return state.store.number(sql, username, state.clock.now()) > 0


def issue_tokens(state: TikTokState, username: str, scopes: str, grant_id: int | None = None) -> dict[str, Any]:
    """Tokens for a new grant, or the next ones of an existing grant, as the flat answer of the token endpoint."""
    settings, now = state.settings, state.clock.now()
    access, refresh = f"act.{secrets.token_hex(24)}", f"rft.{secrets.token_hex(24)}"
    refresh_end = now + settings.refresh_token_seconds
    state.store.run("DELETE FROM tiktok_access WHERE expire_time < ?", now - 30 * 86_400)
    if grant_id is None:
        grant_id = state.store.insert(
            "INSERT INTO tiktok_grant (username, scopes, refresh_hash, refresh_expire_time) VALUES (?, ?, ?, ?)",
            *(username, scopes, digest(refresh), refresh_end),
        )
    else:
        if not settings.refresh_prolongs:
            sql = "SELECT refresh_expire_time FROM tiktok_grant WHERE id = ?"
            refresh_end = state.store.all(sql, grant_id)[0]["refresh_expire_time"]
        state.store.run(
            "UPDATE tiktok_grant SET refresh_hash = ?, refresh_expire_time = ? WHERE id = ?",
            *(digest(refresh), refresh_end, grant_id),
        )
    state.store.run(
        "INSERT INTO tiktok_access VALUES (?, ?, ?)", digest(access), grant_id, now + settings.access_token_seconds
    )
    return {
        "access_token": access,
        "expires_in": int(settings.access_token_seconds),
        "open_id": creator(state, username).open_id,
        "refresh_expires_in": math.ceil(refresh_end - now),
        "refresh_token": refresh,
        "scope": scopes,
        "token_type": "Bearer",
    }


def caller(state: TikTokState, authorization: str | None) -> Caller:
    """Who calls. Raises Refusal(access_token_invalid)."""
    scheme, _, token = (authorization or "").partition(" ")
    row = None
    if scheme.lower() == "bearer" and token:
        row = state.store.one(
            "SELECT g.* FROM tiktok_access a JOIN tiktok_grant g ON g.id = a.grant_id"
            " WHERE a.hash = ? AND a.expire_time > ? AND NOT g.revoked",
            *(digest(token), state.clock.now()),
        )
    if row is None:
        raise Refusal("access_token_invalid", "The access token is invalid or not found in the request.")
    return Caller(creator(state, row["username"]), row["id"], frozenset(row["scopes"].split(",")))


def remove_authorisation(state: TikTokState, username: str, reason: int, grant_id: int | None = None) -> int:
    """End one grant, or all of a creator; what is still on its way fails with auth_removed. Returns grants ended."""
    now = state.clock.now()
    which = "username = ? AND NOT revoked" + (" AND id = ?" if grant_id is not None else "")
    values: tuple[object, ...] = (username,) if grant_id is None else (username, grant_id)
    with state.store.transaction():
        ended = [row["id"] for row in state.store.all(f"SELECT id FROM tiktok_grant WHERE {which}", *values)]  # noqa: S608
        for ended_id in ended:
            state.store.run("UPDATE tiktok_grant SET revoked = 1 WHERE id = ?", ended_id)
            moving = state.store.all(
                "SELECT publish_id FROM tiktok_share WHERE grant_id = ?"
                " AND state IN ('UPLOADING', 'DOWNLOADING', 'PROCESSING', 'MODERATING')",
                ended_id,
            )
            for share in moving:
                fail(state, share["publish_id"], "auth_removed", now)
        if ended:
            state.tell("authorization.removed", username, {"reason": reason}, now)
    return len(ended)


def fail(state: TikTokState, publish_id: str, reason: str, at: float) -> None:
    """End a share as FAILED and queue its webhook; call it inside a transaction."""
    state.store.run(
        "UPDATE tiktok_share SET state = 'FAILED', fail_reason = ?, end_time = ?, due_time = NULL WHERE publish_id = ?",
        *(reason, at, publish_id),
    )
    row = state.store.one("SELECT username, draft FROM tiktok_share WHERE publish_id = ?", publish_id)
    if row is not None:
        content = {"publish_id": publish_id, "reason": reason, "publish_type": publish_type(bool(row["draft"]))}
        state.tell("post.publish.failed", row["username"], content, at)


def publish_type(draft: bool) -> str:
    """`publish_type` of webhooks; the value for direct posts is not documented and must not be relied on."""
    return "INBOX_SHARE" if draft else "DIRECT_PUBLISH"


def expire_tokens(state: TikTokState, username: str, refresh_too: bool) -> int:
    """End the access tokens of a creator now, and the refresh tokens if asked. Returns access tokens ended."""
    now = state.clock.now()
    with state.store.transaction():
        mine = "grant_id IN (SELECT id FROM tiktok_grant WHERE username = ?)"
        ended = state.store.run(
            f"UPDATE tiktok_access SET expire_time = ? WHERE expire_time > ? AND {mine}",  # noqa: S608
            *(now, now, username),
        )
        if refresh_too:
            state.store.run("UPDATE tiktok_grant SET refresh_expire_time = ? WHERE username = ?", now, username)
    return ended


def _creator(row: sqlite3.Row) -> Creator:
    private = bool(row["private"])
    options = json.loads(row["privacy_options"]) or (PRIVATE_OPTIONS if private else PUBLIC_OPTIONS)
    return Creator(
        username=row["username"],
        nickname=row["nickname"],
        open_id=row["open_id"],
        private=private,
        privacy_options=tuple(options),
        comment_disabled=bool(row["comment_disabled"]),
        duet_disabled=bool(row["duet_disabled"]),
        stitch_disabled=bool(row["stitch_disabled"]),
        max_duration_seconds=row["max_duration_seconds"],
        banned=bool(row["banned"]),
        follower_count=row["follower_count"],
    )
