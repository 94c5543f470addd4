"""Who may: workspaces, people and keys. Pure: the clock and new ids are arguments.

A key's text is `rr_`, 8 hexadecimal digits, `_`, and 43 url-safe characters that hold 32 random bytes. The part up to
the second underscore tells keys apart and is no secret. Only the SHA-256 of the text is kept: 256 random bits cannot be
guessed, so a slow password hash would add waiting and no safety.

A key is good until its expire_time or until it is revoked, whichever comes first. Nothing makes it good again.
"""

from __future__ import annotations

import enum
import hashlib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from kit.errors import AlreadyExists, FieldViolation, InvalidArgument, NotFound, Unauthenticated

NAME_CHARACTERS = 100
# A use is noted at most this often, so that authenticating is a read nearly always.
USE_NOTED_EVERY = timedelta(minutes=1)

_KEY_TEXT = re.compile(r"(rr_[0-9a-f]{8})_[A-Za-z0-9_-]{43}")


class Scope(enum.Enum):
    """What a key may do. The value is its text in the database; the proto's name has SCOPE_ before it."""

    POSTS_READ = "POSTS_READ"
    POSTS_WRITE = "POSTS_WRITE"
    MEDIA_READ = "MEDIA_READ"
    MEDIA_WRITE = "MEDIA_WRITE"
    ACCOUNTS_READ = "ACCOUNTS_READ"
    ACCOUNTS_WRITE = "ACCOUNTS_WRITE"
    ORDERS_READ = "ORDERS_READ"
    ORDERS_WRITE = "ORDERS_WRITE"
    RECIPIENTS_READ = "RECIPIENTS_READ"
    ACTIVITY_READ = "ACTIVITY_READ"
    WORKSPACE_ADMIN = "WORKSPACE_ADMIN"
    OPERATOR = "OPERATOR"


@dataclass(frozen=True, slots=True)
class Workspace:
    """One brand."""

    workspace_id: UUID
    display_name: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A person of a workspace. The e-mail address is kept as it was written and compared without case."""

    user_id: UUID
    workspace_id: UUID
    email: str
    display_name: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its text. `user_id` is None for a program's key."""

    api_key_id: UUID
    workspace_id: UUID
    user_id: UUID | None
    display_name: str
    prefix: str
    scopes: tuple[Scope, ...]
    create_time: datetime
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    last_use_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyText:
    """The secret that a caller sends. Its text never shows when the object is printed or logged."""

    text: str = field(repr=False)

    @classmethod
    def make(cls) -> Self:
        """A new one, from the operating system's random source."""
        return cls(f"rr_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what a caller sent. Raises ApiKeyRefused when no key of ours looks like that."""
        if not _KEY_TEXT.fullmatch(text):
            raise ApiKeyRefused.now()
        return cls(text)

    @property
    def prefix(self) -> str:
        """The part that is no secret: "rr_3f9a1c2b"."""
        return self.text[: len("rr_") + 8]

    @property
    def digest(self) -> bytes:
        """What is stored in its place: the SHA-256 of the whole text."""
        return hashlib.sha256(self.text.encode()).digest()


class WorkspaceNotFound(NotFound):
    """There is no workspace with that id."""

    @classmethod
    def of(cls, workspace_id: UUID) -> Self:
        """The refusal for that id."""
        return cls(f"There is no workspace {workspace_id}.", metadata={"workspace_id": str(workspace_id)})


class UserNotFound(NotFound):
    """The workspace has no such person."""

    @classmethod
    def of(cls, user_id: UUID | None) -> Self:
        """The refusal for that id."""
        return cls(f"The workspace has no user {user_id}. List its users.", metadata={"user_id": str(user_id)})


class ApiKeyNotFound(NotFound):
    """The workspace has no such key."""

    @classmethod
    def of(cls, api_key_id: UUID) -> Self:
        """The refusal for that id."""
        return cls(f"The workspace has no key {api_key_id}. List its keys.", metadata={"api_key_id": str(api_key_id)})


class EmailTaken(AlreadyExists):
    """The workspace has a person with that e-mail address already; case does not count."""

    @classmethod
    def of(cls, email: str) -> Self:
        """The refusal for that address."""
        return cls(
            f"The workspace already has a user with the address {email}. Use that user, or another address.",
            [FieldViolation("email", "Another user of the workspace has this address.")],
            {"email": email},
        )


class ExpireTimeInPast(InvalidArgument):
    """A key would be refused from the moment it is made."""


class ApiKeyRefused(Unauthenticated):
    """A key is unknown, revoked or expired. One answer for all three: a guesser learns nothing from it."""

    @classmethod
    def now(cls) -> Self:
        """The one answer."""
        return cls(
            "The API key is not valid. Check it for missing characters, or ask your administrator for a new one."
        )


def new_workspace(workspace_id: UUID, display_name: str, now: datetime) -> Workspace:
    """A workspace made now. Raises InvalidArgument for a name that nobody could read."""
    return Workspace(workspace_id, readable_name(display_name), now)


def new_user(user_id: UUID, workspace_id: UUID, email: str, display_name: str, now: datetime) -> User:
    """A person added now. Raises InvalidArgument for a name that nobody could read."""
    return User(user_id, workspace_id, email, readable_name(display_name), now)


def new_api_key(
    api_key_id: UUID,
    workspace_id: UUID,
    key_text: KeyText,
    *,
    display_name: str,
    scopes: Sequence[Scope],
    now: datetime,
    user_id: UUID | None = None,
    expire_time: datetime | None = None,
) -> ApiKey:
    """The record of a key made now. Raises ExpireTimeInPast, or InvalidArgument for a name that nobody could read."""
    if expire_time is not None and expire_time <= now:
        raise ExpireTimeInPast.of_field(
            "expire_time", "The key would expire before it is made. Give a later time, or none for a key that stays."
        )
    return ApiKey(
        api_key_id,
        workspace_id,
        user_id,
        readable_name(display_name),
        key_text.prefix,
        tuple(scope for scope in Scope if scope in scopes),
        now,
        expire_time,
    )


def readable_name(text: str) -> str:
    """A display name without the spaces around it.

    Raises InvalidArgument when nothing visible is left, when it holds control characters, or when it is longer than
    NAME_CHARACTERS.
    """
    name = text.strip()
    kinds = {unicodedata.category(character) for character in name}
    if not any(kind[0] not in "CZ" for kind in kinds):
        raise InvalidArgument.of_field("display_name", "Give a name that people can see.")
    if kinds & {"Cc", "Zl", "Zp"}:
        raise InvalidArgument.of_field("display_name", "Give a name on one line, without control characters.")
    if len(name) > NAME_CHARACTERS:
        raise InvalidArgument.of_field("display_name", f"Give a name of at most {NAME_CHARACTERS} characters.")
    return name


def admit(key: ApiKey | None, now: datetime) -> ApiKey:
    """The key when it is good now. Raises ApiKeyRefused when it is unknown (None), revoked or expired."""
    if key is None or key.revoke_time is not None or (key.expire_time is not None and key.expire_time <= now):
        raise ApiKeyRefused.now()
    return key


def use_is_news(key: ApiKey, now: datetime) -> bool:
    """Whether this use is worth writing down: the last one noted is USE_NOTED_EVERY old, or there is none."""
    return key.last_use_time is None or now - key.last_use_time >= USE_NOTED_EVERY
