"""The ledger of a publication and what its steps allow. Pure: the clock is an argument.

    OPENED → PREPARED → HANDLE → COMMITTING → ACCEPTED → PUBLISHED
                           ↑___________|          └────→ REJECTED
             (the upload ended unused: a new handle)      FAILED from any step before ACCEPTED

Each step is committed before the next begins, so the step that a crash leaves behind says what may have happened:

    OPENED, PREPARED   nothing was sent: repeat
    HANDLE             the platform knows a handle, no byte was sent: go on with it, or ask for another
    COMMITTING         bytes may be there, even all of them: ask the platform, then go on where it stands
    ACCEPTED           the platform has everything: only ask
    PUBLISHED, REJECTED, FAILED   over: report it again to whoever asks
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from kit.errors import FailedPrecondition, InvalidArgument, NotFound

Options = dict[str, str | int | bool]


class Step(enum.Enum):
    """Where a publication stands. The value is its text in the database."""

    OPENED = "OPENED"
    PREPARED = "PREPARED"
    HANDLE = "HANDLE"
    COMMITTING = "COMMITTING"
    ACCEPTED = "ACCEPTED"
    PUBLISHED = "PUBLISHED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


class Platform(enum.Enum):
    """Where accounts live. The value is its text in the database."""

    TIKTOK = "TIKTOK"
    BULLETIN = "BULLETIN"  # of the sandbox only: publishes texts in one call


class AccountState(enum.Enum):
    """Whether an account can be used."""

    CONNECTED = "CONNECTED"
    AUTHORIZATION_LOST = "AUTHORIZATION_LOST"


class Visibility(enum.Enum):
    """Who sees what was published."""

    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"
    INBOX = "INBOX"


class FailureKind(enum.Enum):
    """Why an attempt did not end in a publication; the names of scheduler.proto."""

    TRANSIENT = "TRANSIENT"
    RATE_LIMITED = "RATE_LIMITED"
    ACCOUNT = "ACCOUNT"
    REJECTED = "REJECTED"
    PERMANENT = "PERMANENT"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    PLATFORM = "PLATFORM"


class Next(enum.Enum):
    """What a claim does first with a publication, given the step that it finds."""

    PREPARE = "prepare and begin"
    SEND = "send what the handle waits for"
    ASK = "ask the platform how far it came, and go on there"
    ASK_ONLY = "ask the platform what became of it, and send nothing"
    REPORT = "report what is known"
    GIVE_UP = "nobody can tell; a person must look"


# Steps at which not one byte of media was sent.
NOTHING_SENT = (Step.OPENED, Step.PREPARED, Step.HANDLE)


@dataclass(frozen=True, slots=True)
class MediaRef:
    """A file of the library, as the post refers to it."""

    media_asset_id: str
    sha256: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process holds under a lease. `options` are the choices for the account's platform."""

    workspace_id: UUID
    delivery_id: UUID
    post_id: UUID
    account_id: UUID
    attempt: int
    due_time: datetime
    caption: str
    media: tuple[MediaRef, ...]
    options: dict[str, Options]
    etag: str


@dataclass(frozen=True, slots=True)
class Publication:
    """The ledger's head for one delivery. `upload_url` is a credential."""

    publication_id: UUID
    workspace_id: UUID
    delivery_id: UUID
    post_id: UUID
    account_id: UUID
    attempt: int
    step: Step
    etag: str
    options: dict[str, Options]
    handle: str
    upload_url: str = field(repr=False)
    handle_expire_time: datetime | None
    media_size: int
    sent_bytes: int
    accept_time: datetime | None
    platform_post_id: str
    url: str
    visibility: Visibility | None
    publish_time: datetime | None
    failure: Failure | None
    checks: int
    publish_epoch: int


@dataclass(frozen=True, slots=True)
class Account:
    """A connected profile. Tokens are kept apart from it."""

    account_id: UUID
    workspace_id: UUID
    platform: Platform
    platform_account_id: str
    handle: str
    display_name: str
    scopes: tuple[str, ...]
    state: AccountState
    problem: str
    authorization_expire_time: datetime | None
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Handle:
    """What the platform's harmless phase gave. `upload_url` is a credential."""

    handle: str
    upload_url: str = field(repr=False)
    expire_time: datetime
    media_size: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `retry_time`: not before then."""

    kind: FailureKind
    reason: str
    message: str
    retry_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Published, by the platform's word."""

    visibility: Visibility
    platform_post_id: str
    url: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """The present publish epoch: what was begun, or due, before `begin_time` in an older one is only asked about."""

    number: int
    begin_time: datetime


class AccountNotFound(NotFound):
    """The workspace has no account with that id."""


class PublicationNotFound(NotFound):
    """No publisher has begun the delivery yet, or the workspace has no such delivery."""


class ConnectionStateUnknown(InvalidArgument):
    """The state of a connection is unknown, used, or over ten minutes old."""


class PlatformNotConfigured(FailedPrecondition):
    """The installation has no app credentials for the platform."""


class Fenced(Exception):
    """Another attempt holds the publication: stop, write nothing more."""


class AttemptFailed(Exception):
    """An attempt ends without a publication. `handle_ended`: nothing can come of its handle any more."""

    def __init__(self, failure: Failure, vendor_log_id: str = "", *, handle_ended: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.vendor_log_id = vendor_log_id
        self.handle_ended = handle_ended


def next_action(publication: Publication, claim: Claim, epoch: Epoch, now: datetime) -> Next:
    """What may be done with a publication that a claim has just opened.

    After a restore from backup the ledger may lack what was really done: whatever began, or was due, before the
    present epoch is asked about where there is a handle to ask with, and otherwise left to a person.
    """
    if publication.step in (Step.PUBLISHED, Step.REJECTED, Step.FAILED, Step.ACCEPTED):
        return Next.REPORT
    restored = publication.publish_epoch < epoch.number or (epoch.number > 1 and claim.due_time < epoch.begin_time)
    if restored:
        return Next.ASK_ONLY if publication.handle else Next.GIVE_UP
    if publication.step is Step.COMMITTING:
        return Next.ASK
    if publication.step is Step.HANDLE and may_go_on(publication, claim, now):
        return Next.SEND
    return Next.PREPARE


def may_go_on(publication: Publication, claim: Claim, now: datetime) -> bool:
    """Whether bytes may still be sent to the stored handle, and it is of the version that was claimed."""
    usable = publication.handle_expire_time is not None and now < publication.handle_expire_time
    return usable and publication.etag == claim.etag


# How long to wait before a verdict is asked for again: TikTok's moderation usually takes under a minute and may take
# hours; there are 30 reads a minute and account. (up to how many checks, seconds)
_CHECK_WAITS = ((10, 1.0), (16, 5.0), (24, 15.0), (54, 60.0), (150, 900.0))
_LAST_WAIT_SECONDS = 3600.0
# A public post whose id is not shown so long after it was complete is not public.
PUBLIC_ID_PATIENCE = timedelta(hours=24)
# A handle that the platform does not know so long after it took everything is lost; sooner it may only be slow.
UNKNOWN_HANDLE_PATIENCE = timedelta(minutes=10)
# Moderation takes hours at most. What has no verdict after so long gets none, and a person looks.
VERDICT_PATIENCE = timedelta(days=7)


def check_wait(checks: int) -> timedelta:
    """How long to wait after so many checks: 1 s ×10, 5 s ×6, 15 s ×8, 60 s ×30, 15 min ×96 (a day), then hourly."""
    for until, seconds in _CHECK_WAITS:
        if checks < until:
            return timedelta(seconds=seconds)
    return timedelta(seconds=_LAST_WAIT_SECONDS)


def unknown_outcome(message: str) -> Failure:
    """Nobody can tell whether it was published: no further attempt, and a person looks."""
    return Failure(
        FailureKind.OUTCOME_UNKNOWN,
        "OUTCOME_UNKNOWN",
        f"{message} Look at the account's profile: if the post is not there, create it again.",
    )
