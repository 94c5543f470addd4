"""What stands in a post's way whenever it goes: its account, its media, its text, a missing approval, a pause. Pure.

An open incident counts for nothing: it mostly ends within the hour.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.publisher.domain import Account, AccountState, MediaRef, Options, Platform
from services.publisher.platforms import checks
from services.publisher.platforms.base import MediaFile
from services.publisher.quotas import Quotas, Uses


class Cause(enum.Enum):
    """Why something will not go out; the names of publisher.proto."""

    QUOTA = "QUOTA"
    TOKEN = "TOKEN"  # noqa: S105 - a word, and no token
    ACCOUNT = "ACCOUNT"
    MEDIA = "MEDIA"
    CONTENT = "CONTENT"
    APPROVAL = "APPROVAL"
    PAUSE = "PAUSE"
    DECISION = "DECISION"


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A delivery that is still to go out. `hold_cause` and `hold_reason` are of the hold that would keep it back now;
    `held_cause` is why it is HELD, both "" for none. `late_action` becomes of it after `max_lateness`.
    """

    workspace_id: UUID
    delivery_id: UUID
    post_id: UUID
    account_id: UUID
    schedule_time: datetime
    due_time: datetime
    channel: str = ""
    ref: str = ""
    caption: str = ""
    media: tuple[MediaRef, ...] = ()
    options: Mapping[str, Options] = field(default_factory=dict)
    is_approved: bool = True
    hold_cause: str = ""
    hold_reason: str = ""
    held_cause: str = ""
    needs_person: bool = False
    failure_reason: str = ""
    failure_message: str = ""
    max_lateness: timedelta = timedelta(hours=6)
    late_action: str = "ASK"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known now. `media` are the files that the library has, by id. `quotas` are those of the platforms that
    this installation has; `uses` when accounts posted within the last day, those of others too where the application
    has a cap. `lead`: so long before its time a delivery is prepared. `serves_media`: platforms can fetch files from
    this installation.
    """

    accounts: Mapping[UUID, Account]
    media: Mapping[str, tuple[str, MediaFile]]
    quotas: Mapping[Platform, Quotas]
    uses: Mapping[Platform, Uses] = field(default_factory=dict)
    lead: timedelta = timedelta(0)
    serves_media: bool = False


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way of a post whenever it goes."""

    cause: Cause
    reason: str
    message: str


def obstacles(each: Upcoming, facts: Facts) -> Iterator[Obstacle]:
    """All that stands in the way of a post whenever it goes."""
    account = facts.accounts.get(each.account_id)
    if account is None:
        yield Obstacle(
            Cause.ACCOUNT,
            "ACCOUNT_NOT_FOUND",
            "The workspace has no account with its id. Connect it, or cancel the post.",
        )
    else:
        yield from _account_obstacles(each, account, facts)
        yield from _content_obstacles(each, account, facts)
    if not each.is_approved:
        yield Obstacle(Cause.APPROVAL, "NOT_APPROVED", "It is not approved, and will be held back. Approve it.")
    if each.hold_cause == "PAUSE":
        yield Obstacle(Cause.PAUSE, "HELD_PAUSE", f"It is paused. {each.hold_reason}".strip() + " Lift the pause.")
    if each.held_cause == "CRASHES" or (each.needs_person and each.held_cause != "APPROVAL"):
        yield Obstacle(
            Cause.DECISION, each.failure_reason or "DECISION_NEEDED", each.failure_message or "It waits for a decision."
        )


def _account_obstacles(each: Upcoming, account: Account, facts: Facts) -> Iterator[Obstacle]:
    if account.state is not AccountState.CONNECTED:
        yield Obstacle(Cause.ACCOUNT, account.state.value, f"@{account.handle} cannot publish: {account.problem}")
    elif each.hold_cause == "ACCOUNT":
        yield Obstacle(
            Cause.ACCOUNT, "HELD_ACCOUNT", f"@{account.handle} cannot publish. {each.hold_reason} Connect it again."
        )
    if account.platform not in facts.quotas:
        yield Obstacle(
            Cause.ACCOUNT,
            "PLATFORM_NOT_CONFIGURED",
            f"This installation has no address of {account.platform.title}. Set it again, or cancel the post.",
        )


def _content_obstacles(each: Upcoming, account: Account, facts: Facts) -> Iterator[Obstacle]:
    files = []
    for reference in each.media:
        sha256, file = facts.media.get(reference.media_asset_id, ("", None))
        if file is None:
            yield Obstacle(
                Cause.MEDIA, "MEDIA_MISSING", "A file is no longer in the library. Upload it, and change the post."
            )
        elif sha256 != reference.sha256:
            yield Obstacle(
                Cause.MEDIA, "MEDIA_CHANGED", "A file is not the one that the post was made with. Change the post."
            )
        else:
            files.append(file)
    options = each.options.get(account.platform.value.lower())
    for problem in checks.problems(
        account, each.caption, files, options or None, account.limits, serves_media=facts.serves_media
    ):
        is_media = problem.field.startswith("media")
        if is_media and len(files) < len(each.media):
            continue  # about the media as a whole, of which some are lacking
        yield Obstacle(Cause.MEDIA if is_media else Cause.CONTENT, problem.reason, problem.message)
