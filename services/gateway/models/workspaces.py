"""Workspaces, their people and keys, and the operator's own verbs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from reelroute.identity.v1 import identity_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import (
    AnswerModel,
    Instant,
    Name,
    RequestModel,
    Text,
    instant_of,
    shown,
    word_of,
    words_of,
)

ScopeWord = Literal[
    "POSTS_READ",
    "POSTS_WRITE",
    "MEDIA_READ",
    "MEDIA_WRITE",
    "ACCOUNTS_READ",
    "ACCOUNTS_WRITE",
    "ORDERS_READ",
    "ORDERS_WRITE",
    "RECIPIENTS_READ",
    "ACTIVITY_READ",
    "WORKSPACE_ADMIN",
    "OPERATOR",
]


class WorkspaceDraft(RequestModel):
    """A workspace to make."""

    model_config = shown({"display_name": "Emberfold"})

    display_name: Name = Field(description="What people call the brand.")


class Workspace(AnswerModel):
    """One brand. Everything else belongs to exactly one."""

    model_config = shown(examples.WORKSPACE)

    workspace_id: str
    display_name: str
    create_time: datetime | None

    @classmethod
    def of(cls, workspace: pb.Workspace) -> Workspace:
        """From identity."""
        return cls(
            workspace_id=workspace.workspace_id,
            display_name=workspace.display_name,
            create_time=instant_of(workspace, "create_time"),
        )


class WorkspaceList(AnswerModel):
    """A page of workspaces, oldest first."""

    model_config = shown(examples.page("workspaces", examples.WORKSPACE))

    workspaces: list[Workspace]
    next_page_token: str = Field(description="Empty on the last page.")


class UserDraft(RequestModel):
    """A person to add."""

    model_config = shown({"email": "ada@example.com", "display_name": "Ada"})

    email: Text = Field(min_length=3, max_length=254, description="Unique in the workspace, compared without case.")
    display_name: Name


class User(AnswerModel):
    """A person of the workspace."""

    model_config = shown(examples.USER)

    user_id: str
    email: str
    display_name: str
    create_time: datetime | None

    @classmethod
    def of(cls, user: pb.User) -> User:
        """From identity."""
        return cls(
            user_id=user.user_id,
            email=user.email,
            display_name=user.display_name,
            create_time=instant_of(user, "create_time"),
        )


class UserList(AnswerModel):
    """A page of people, oldest first."""

    model_config = shown(examples.page("users", examples.USER))

    users: list[User]
    next_page_token: str = Field(description="Empty on the last page.")


def _each_once(words: list[ScopeWord]) -> list[ScopeWord]:
    if len(set(words)) < len(words):
        raise PydanticCustomError("repeated", "Name each scope once.")
    return words


class KeyDraft(RequestModel):
    """A key to make."""

    model_config = shown({"display_name": "Calendar import", "scopes": ["POSTS_WRITE", "MEDIA_WRITE"]})

    display_name: Name = Field(description="What the key is for.")
    scopes: Annotated[list[ScopeWord], AfterValidator(_each_once)] = Field(
        min_length=1,
        description="What it may do; each once. Only a key with `OPERATOR` may give `OPERATOR`.",
        json_schema_extra={"uniqueItems": True},
    )
    user_id: Text | None = Field(default=None, max_length=64, description="Whose key it is; null for a program.")
    expire_time: Instant | None = Field(default=None, description="From when on it is refused; null: never.")


class Key(AnswerModel):
    """A key without its text."""

    model_config = shown(examples.KEY)

    api_key_id: str
    display_name: str
    prefix: str = Field(description="The first characters of the key, to tell keys apart.")
    scopes: list[str] = Field(json_schema_extra={"items": {"type": "string", "enum": words_of(pb.Scope, "SCOPE_")}})
    user_id: str | None
    create_time: datetime | None
    expire_time: datetime | None
    revoke_time: datetime | None = Field(description="Null while the key is good.")
    last_use_time: datetime | None = Field(description="To the minute; null before the first use.")

    @classmethod
    def of(cls, key: pb.ApiKey) -> Key:
        """From identity."""
        return cls(**_values(key))


class NewKey(Key):
    """A key that was just made."""

    model_config = shown(examples.NEW_KEY)

    key_text: str | None = Field(
        description="The key itself: it is shown here and never again. Null in the answer to a repeated request."
    )

    @classmethod
    def made(cls, answer: pb.CreateApiKeyResponse) -> NewKey:
        """From identity."""
        return cls(**_values(answer.api_key), key_text=answer.key_text or None)


class KeyList(AnswerModel):
    """A page of keys, revoked ones too, oldest first."""

    model_config = shown(examples.page("keys", examples.KEY))

    keys: list[Key]
    next_page_token: str = Field(description="Empty on the last page.")


class PublishEpochStart(RequestModel):
    """Why a publish epoch begins."""

    model_config = shown({"reason": "Restored from the backup of 3 May, 04:00."})

    reason: Text = Field(min_length=1, max_length=500, description="Why, for the record.")


class PublishEpoch(AnswerModel):
    """The epoch that has begun: what was begun before it is asked about, never sent again."""

    model_config = shown({"publish_epoch": 2, "begin_time": "2027-05-03T06:12:00Z"})

    publish_epoch: int
    begin_time: datetime | None


def _values(key: pb.ApiKey) -> dict[str, object]:
    return {
        "api_key_id": key.api_key_id,
        "display_name": key.display_name,
        "prefix": key.prefix,
        "scopes": [word_of(pb.Scope, "SCOPE_", each) for each in key.scopes],
        "user_id": key.user_id or None,
        "create_time": instant_of(key, "create_time"),
        "expire_time": instant_of(key, "expire_time"),
        "revoke_time": instant_of(key, "revoke_time"),
        "last_use_time": instant_of(key, "last_use_time"),
    }
