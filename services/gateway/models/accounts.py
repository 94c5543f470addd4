"""Accounts, and how they are connected."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field
from reelroute.publisher.v1 import publisher_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import AnswerModel, RequestModel, Text, instant_of, shown, word_of, words_of

PlatformWord = Literal["TIKTOK", "BULLETIN", "TIKTOK_SHOP"]


class ConnectionStart(RequestModel):
    """Which platform to connect an account of."""

    model_config = shown(examples.CONNECTION_START)

    # Bulletin is the sandbox's own platform: it is taken where it is configured, and left out of the page.
    platform: PlatformWord = Field(
        description="`TIKTOK_SHOP`: a TikTok Shop creator, who posts with links to products.",
        json_schema_extra={"enum": ["TIKTOK", "TIKTOK_SHOP"]},
    )
    redirect_uri: Text = Field(
        min_length=1,
        max_length=512,
        description="Where the platform sends the browser back; registered with the platform's app, letter for letter."
        " TikTok Shop is not told it: it sends the browser to the app's one address.",
    )


class Connection(AnswerModel):
    """A connection that waits for the owner's consent."""

    model_config = shown(examples.CONNECTION)

    consent_url: str = Field(description="To be opened in the owner's browser.")
    state: str = Field(description="Comes back with the code; good once.")
    expire_time: datetime | None


class ConnectionFinish(RequestModel):
    """What the platform's redirect brought."""

    model_config = shown(examples.CONNECTION_FINISH)

    state: Text = Field(min_length=1, max_length=200)
    code: Text = Field(min_length=1, max_length=2000, description="As it came in the redirect, URL-decoded once.")


class Account(AnswerModel):
    """One connected profile on a platform."""

    model_config = shown(examples.ACCOUNT)

    account_id: str
    platform: str | None = Field(json_schema_extra={"enum": [*words_of(pb.Platform, "PLATFORM_"), None]})
    platform_account_id: str = Field(description="The platform's own id of the profile.")
    handle: str = Field(description="Without @.")
    display_name: str
    scopes: list[str] = Field(description="What the owner granted, in the platform's words.")
    state: str | None = Field(json_schema_extra={"enum": [*words_of(pb.AccountState, "ACCOUNT_STATE_"), None]})
    problem: str = Field(description="What is wrong and what to do; empty while connected.")
    authorization_expire_time: datetime | None = Field(
        description="Until when the connection can be renewed without its owner."
    )
    create_time: datetime | None
    update_time: datetime | None

    @classmethod
    def of(cls, account: pb.Account) -> Account:
        """From the publisher."""
        return cls(
            account_id=account.account_id,
            platform=word_of(pb.Platform, "PLATFORM_", account.platform),
            platform_account_id=account.platform_account_id,
            handle=account.handle,
            display_name=account.display_name,
            scopes=list(account.scopes),
            state=word_of(pb.AccountState, "ACCOUNT_STATE_", account.state),
            problem=account.problem,
            authorization_expire_time=instant_of(account, "authorization_expire_time"),
            create_time=instant_of(account, "create_time"),
            update_time=instant_of(account, "update_time"),
        )


class AccountLimits(AnswerModel):
    """What an account may do now. For the form in which a post is written: read it each time the form is opened."""

    model_config = shown(examples.ACCOUNT_LIMITS)

    handle: str = Field(description="Who posts, as the platform shows it now. Show it.")
    display_name: str
    privacy_levels: list[str] = Field(description="Who may be allowed to see a post. Preselect none.")
    comment_disabled: bool = Field(description="The account's own setting: off, whatever a post says.")
    duet_disabled: bool
    stitch_disabled: bool
    longest_video_seconds: int | None = Field(description="Null: the platform does not say.")
    read_time: datetime | None

    @classmethod
    def of(cls, limits: pb.AccountLimits) -> AccountLimits:
        """From the publisher."""
        return cls(
            handle=limits.handle,
            display_name=limits.display_name,
            privacy_levels=list(limits.privacy_levels),
            comment_disabled=limits.comment_disabled,
            duet_disabled=limits.duet_disabled,
            stitch_disabled=limits.stitch_disabled,
            longest_video_seconds=limits.longest_video_seconds or None,
            read_time=instant_of(limits, "read_time"),
        )


class AccountList(AnswerModel):
    """A page of accounts, by handle."""

    model_config = shown(examples.page("accounts", examples.ACCOUNT))

    accounts: list[Account]
    next_page_token: str = Field(description="Empty on the last page.")
