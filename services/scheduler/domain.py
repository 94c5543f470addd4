"""When a post goes out and what may become of its deliveries. Pure: the clock is an argument.

All states and their arrows:

    SCHEDULED → CLAIMED        a publisher claims it, attempt + 1
    CLAIMED → CLAIMED          its lease ended and another claim took it, attempt + 1
    CLAIMED → CONFIRMING       the platform has everything
    CLAIMED → UNCERTAIN        it may be published, and nobody knows yet
    CLAIMED → SCHEDULED        given back, or changed by its author before it was let go
    not over → PUBLISHED       the platform's word, by the last attempt
    in work → REJECTED         the platform's word; in work is CLAIMED, CONFIRMING and UNCERTAIN
    in work → SCHEDULED        failed for now, tries left
    in work → HELD             its account or platform cannot take it now, or not as it was chosen
    in work → FAILED           failed for good
    SCHEDULED, CLAIMED → HELD  a hold applies when it is due, or when it asks to go out
    SCHEDULED → HELD           its post waits for approval when it is due
    SCHEDULED, CLAIMED → MISSED, CANCELED, SCHEDULED   too late, as its lateness rule says
    CLAIMED → HELD             parked: its handling ended the worker's process again and again
    HELD → SCHEDULED, MISSED, CANCELED   the hold is lifted, the post approved or changed; or a person decides
    MISSED → SCHEDULED, CANCELED         a person decides
    PUBLISHED → REMOVED        the platform no longer shows it
    not let go → CANCELED      its author; not let go is SCHEDULED, HELD, MISSED, and CLAIMED ahead of its time

What becomes of a single delivery is decided in deciding.py, what a wall-clock time means in zones.py.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.errors import Conflict, FailedPrecondition, FieldViolation, InvalidArgument, NotFound


class DeliveryState(enum.Enum):
    """Where a delivery stands. The value is its text in the database."""

    SCHEDULED = "SCHEDULED"  # waits for its due time; a claim moves it on
    CLAIMED = "CLAIMED"  # a publisher works on it under a lease
    CONFIRMING = "CONFIRMING"  # the platform has everything, its verdict is awaited
    UNCERTAIN = "UNCERTAIN"  # it may be published; the publisher asks the platform, or a person settles it there
    HELD = "HELD"  # due, and kept back; leaves when its hold is lifted, its post approved, or what was parked decided
    MISSED = "MISSED"  # later than its rule allows; a person decides
    PUBLISHED = "PUBLISHED"  # final, unless the platform removes it
    REMOVED = "REMOVED"  # the platform no longer shows it; final
    REJECTED = "REJECTED"  # the platform said no; final
    FAILED = "FAILED"  # a definite refusal, or the last try; final
    CANCELED = "CANCELED"  # by its author, a decision or its lateness rule before it went out; final


FINISHED = frozenset(
    {
        DeliveryState.PUBLISHED,
        DeliveryState.REMOVED,
        DeliveryState.REJECTED,
        DeliveryState.FAILED,
        DeliveryState.CANCELED,
    }
)
IN_WORK = frozenset({DeliveryState.CLAIMED, DeliveryState.CONFIRMING, DeliveryState.UNCERTAIN})


class AmbiguousTime(enum.Enum):
    """Which of two equal wall-clock times is meant when the clock goes back."""

    EARLIER = 0
    LATER = 1


class Visibility(enum.Enum):
    """Who sees what was published."""

    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"
    INBOX = "INBOX"


class LateAction(enum.Enum):
    """What becomes of a delivery that is later than its rule allows."""

    ASK = "ASK"
    NEXT_SLOT = "NEXT_SLOT"
    DROP = "DROP"


class DueAction(enum.Enum):
    """What becomes of deliveries that were kept back, or that wait for a decision."""

    BY_RULE = "BY_RULE"  # those that are not too late go out, the others as their rule says
    PUBLISH = "PUBLISH"
    NEXT_SLOT = "NEXT_SLOT"
    ASK = "ASK"
    DROP = "DROP"


class HoldScope(enum.Enum):
    """How much a hold keeps back."""

    EVERYTHING = "EVERYTHING"
    PLATFORM = "PLATFORM"
    WORKSPACE = "WORKSPACE"
    CHANNEL = "CHANNEL"
    ACCOUNT = "ACCOUNT"
    POST = "POST"


class HoldCause(enum.Enum):
    """Why something is kept back. CRASHES, APPROVAL and CHOICE are of single deliveries only."""

    PAUSE = "PAUSE"
    ACCOUNT = "ACCOUNT"
    INCIDENT = "INCIDENT"
    CRASHES = "CRASHES"
    APPROVAL = "APPROVAL"
    CHOICE = "CHOICE"


class FailureKind(enum.Enum):
    """Why an attempt did not end in a publication; see the proto for each."""

    TRANSIENT = "TRANSIENT"
    RATE_LIMITED = "RATE_LIMITED"
    ACCOUNT = "ACCOUNT"
    REJECTED = "REJECTED"
    PERMANENT = "PERMANENT"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    PLATFORM = "PLATFORM"
    CHOICE = "CHOICE"


@dataclass(frozen=True, slots=True)
class Lateness:
    """Until when a late delivery still goes out, and what becomes of it afterwards."""

    max_seconds: int = 6 * 3600
    action: LateAction = LateAction.ASK


@dataclass(frozen=True, slots=True)
class Schedule:
    """A wall-clock time in a zone, and the instant that it means.

    `fold` is 1 when the second of two equal wall-clock times is meant, else 0: with it, a change of the zone's rules
    moves the instant and not the wall-clock time.
    """

    local_time: datetime
    time_zone: str
    fold: int
    instant: datetime


@dataclass(frozen=True, slots=True)
class Media:
    """A file of the library, as the post refers to it."""

    media_asset_id: str
    sha256: str
    mime_type: str
    frame_hashes: tuple[int, ...] = ()


# The platforms' choices by platform and name, as JSON values.
Options = Mapping[str, Mapping[str, str | int | bool]]


@dataclass(frozen=True, slots=True)
class Draft:
    """What the author decides. `options` is the platforms' choices by platform name, as JSON values."""

    channel: str
    account_ids: tuple[UUID, ...]
    caption: str
    media: tuple[Media, ...]
    schedule: Schedule
    options: Options
    ref: str
    # Of each account, in their order; shorter when they are not known.
    platforms: tuple[str, ...] = ()
    lateness: Lateness | None = None
    # What content makes of the caption, to find near-duplicates by; in growing order.
    shingles: tuple[int, ...] = ()
    # The author wants it although it breaks rules.
    accept_conflicts: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One post for one account. `commit_time`: when it was last let go; None while it can still be stopped."""

    delivery_id: UUID
    post_id: UUID
    account_id: UUID
    state: DeliveryState
    schedule_time: datetime
    due_time: datetime
    attempt: int
    update_time: datetime
    workspace_id: UUID
    platform: str = ""
    channel: str = ""
    failed_attempts: int = 0
    crash_count: int = 0
    commit_time: datetime | None = None
    hold_cause: HoldCause | None = None
    hold_id: UUID | None = None
    needs_person: bool = False
    platform_post_id: str = ""
    url: str = ""
    visibility: Visibility | None = None
    publish_time: datetime | None = None
    remove_time: datetime | None = None
    failure_reason: str = ""
    failure_message: str = ""

    @property
    def can_be_stopped(self) -> bool:
        """Whether nothing of it can be out: it waits, or is claimed ahead of its time and was not let go."""
        if self.state is DeliveryState.CLAIMED:
            return self.commit_time is None and self.crash_count == 0
        return self.state in (DeliveryState.SCHEDULED, DeliveryState.HELD, DeliveryState.MISSED)


class Approval(enum.Enum):
    """Whether a post may go out. The value is its text in the database."""

    NOT_NEEDED = ""
    PENDING = "PENDING"
    APPROVED = "APPROVED"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Which occurrence of a series a post is: `time` is the wall-clock time that the rule gives, before any move."""

    series_id: UUID
    time: datetime


@dataclass(frozen=True, slots=True)
class NewPost:
    """A post to be saved. `import_key` is what an import calls it; empty where none made it."""

    draft: Draft
    approval: Approval = Approval.NOT_NEEDED
    occurrence: Occurrence | None = None
    import_key: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """A post with its deliveries."""

    post_id: UUID
    workspace_id: UUID
    draft: Draft
    revision: int
    deliveries: tuple[Delivery, ...]
    create_time: datetime
    update_time: datetime
    approval: Approval = Approval.NOT_NEEDED
    occurrence: Occurrence | None = None

    @property
    def etag(self) -> str:
        """Changes with every edit."""
        return etag_of(self.revision)


def etag_of(revision: int) -> str:
    """What a post's revision is called outside."""
    return f"r{revision}"


@dataclass(frozen=True, slots=True)
class PostFilter:
    """Which posts are meant; all that it names must hold."""

    from_time: datetime | None = None
    until_time: datetime | None = None
    channel: str = ""
    account_id: UUID | None = None
    series_id: UUID | None = None
    state: DeliveryState | None = None
    post_ids: tuple[UUID, ...] = ()
    ref: str = ""
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a publisher gets of a delivery that it claimed."""

    workspace_id: UUID
    delivery_id: UUID
    post_id: UUID
    account_id: UUID
    attempt: int
    due_time: datetime
    lease_expire_time: datetime
    caption: str
    media: tuple[Media, ...]
    options: Options
    etag: str
    authorized: bool
    planned_time: datetime
    # Its ledger is asked what became of it, and nothing else is done.
    ask_only: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `retry_time`: not before then."""

    kind: FailureKind
    reason: str
    message: str
    retry_time: datetime | None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the installation decides of failures and delays. Waits in seconds."""

    max_attempts: int = 10
    first_seconds: float = 5
    longest_seconds: float = 900
    max_crashes: int = 3
    # Between late deliveries of one account, after an outage or a hold.
    catch_up_gap_seconds: float = 10
    # No publisher asking for work for longer is an outage.
    outage_seconds: float = 60


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What a workspace has set for a channel, or for all ("" ). `max_attempts` 0: the installation's default."""

    channel: str
    lateness: Lateness | None
    max_attempts: int
    max_age_seconds: int | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that lets nothing of its scope go out. `workspace_id` is nil for everything and for a platform."""

    hold_id: UUID
    workspace_id: UUID
    scope: HoldScope
    target: str
    cause: HoldCause
    reason: str
    create_time: datetime
    # Set once it is lifted, while what it has kept back is being given back.
    lift_action: DueAction | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which no publisher asked for work."""

    outage_id: UUID
    start_time: datetime
    end_time: datetime


class AccountRepeated(InvalidArgument):
    """A post names an account twice, perhaps once in capital letters."""


class PostNotFound(NotFound):
    """The workspace has no post with that id."""


class DeliveryNotFound(NotFound):
    """The workspace has no delivery with that id."""


class PostNotEditable(FailedPrecondition):
    """A delivery of the post has begun, or is over."""


class PostChanged(Conflict):
    """The post was edited since the caller read it."""


class ApprovalNotNeeded(FailedPrecondition):
    """When the post was saved, the plan of its channel asked for no approval."""


class DeliveryInProgress(FailedPrecondition):
    """A delivery is being published now; it can no longer be stopped."""


class DeliveryNotWaiting(FailedPrecondition):
    """Only a delivery that waits for a decision can be decided."""


class HoldNotFound(NotFound):
    """There is no hold with that id."""


class HoldInvalid(InvalidArgument):
    """The scope, target and workspace of a hold do not fit together."""


class DueActionRequired(FailedPrecondition):
    """The hold keeps deliveries back: whoever lifts it must say what becomes of them."""


class OutageNotFound(NotFound):
    """There was no outage with that id."""


class LeaseLost(FailedPrecondition):
    """The attempt no longer holds the delivery: its lease ended and another attempt took over, or it is over."""


def _refused(kind: type[InvalidArgument], field: str, message: str) -> InvalidArgument:
    return kind(message, [FieldViolation(field, message)])


def hold_invalid(field: str, message: str) -> InvalidArgument:
    """The refusal of a hold's field."""
    return _refused(HoldInvalid, field, message)


def check_hold(workspace_id: UUID | None, scope: HoldScope, target: str) -> None:
    """Raises HoldInvalid when a hold's parts do not fit together."""
    of_all = scope in (HoldScope.EVERYTHING, HoldScope.PLATFORM)
    if of_all != (workspace_id is None):
        raise hold_invalid(
            "workspace_id",
            f"A hold of the scope {scope.value} belongs to no workspace: leave it empty."
            if of_all
            else f"A hold of the scope {scope.value} belongs to a workspace: name it.",
        )
    match scope:
        case HoldScope.EVERYTHING | HoldScope.WORKSPACE:
            if target:
                raise hold_invalid("target", f"A hold of the scope {scope.value} has no target: leave it empty.")
        case HoldScope.PLATFORM | HoldScope.CHANNEL:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", target):
                raise hold_invalid("target", f"Give the name of the {scope.value.lower()}, in lower case.")
        case HoldScope.ACCOUNT | HoldScope.POST:
            try:
                given = str(UUID(target))
            except ValueError:
                given = ""
            if given != target:
                raise hold_invalid("target", f"Give the id of the {scope.value.lower()}, in lower case.")


def choices_said(options: Options) -> Options:
    """A post's choices without those that say nothing: the version before may not have known them."""
    return {
        platform: {name: chosen for name, chosen in choices.items() if chosen} for platform, choices in options.items()
    }


def distinct_accounts(account_ids: Sequence[UUID]) -> tuple[UUID, ...]:
    """The accounts of a draft. Raises AccountRepeated when one comes twice."""
    for index, account_id in enumerate(account_ids):
        if account_id in account_ids[:index]:
            raise _refused(AccountRepeated, f"account_ids[{index}]", f"The account {account_id} comes twice.")
    return tuple(account_ids)


def check_editable(post: Post, etag: str) -> None:
    """Raises PostChanged when `etag` is given and old, PostNotEditable when a delivery was let go or is over."""
    if etag and etag != post.etag:
        raise PostChanged("The post was changed since you read it. Read it again and decide again.")
    for delivery in post.deliveries:
        waits = delivery.state in (DeliveryState.SCHEDULED, DeliveryState.CLAIMED) and delivery.can_be_stopped
        # What is not approved is changed until it is; of what is not possible another choice is made.
        if not waits and delivery.hold_cause not in (HoldCause.APPROVAL, HoldCause.CHOICE):
            raise PostNotEditable(
                f"A delivery of this post is {delivery.state.value}; only a post of which nothing has begun can be"
                " changed. Create a new post instead.",
                metadata={"delivery_id": str(delivery.delivery_id), "state": delivery.state.value},
            )


def deliveries_to_cancel(post: Post) -> list[UUID]:
    """Which deliveries a cancel ends. Raises DeliveryInProgress when one is on its way out, or may be."""
    for delivery in post.deliveries:
        if delivery.state in IN_WORK and not delivery.can_be_stopped:
            raise DeliveryInProgress(
                "A delivery of this post is being published and can no longer be stopped. Remove it on the platform"
                " once it is published.",
                metadata={"delivery_id": str(delivery.delivery_id), "state": delivery.state.value},
            )
    return [delivery.delivery_id for delivery in post.deliveries if delivery.can_be_stopped]
