"""The ledger of a publication and what its steps allow. Pure: the clock is an argument.

    OPENED → PREPARED → HANDLE → COMMITTING → ACCEPTED → PUBLISHED → REMOVED
      ↑                   ↑____________|  |        └────→ REJECTED
      |    (the upload ended unused)      ↓
      └────(proven: nothing came of it)─ UNCERTAIN → ACCEPTED, PUBLISHED, REJECTED
                                                    FAILED from any step before ACCEPTED but UNCERTAIN

Each step is committed before the next begins, so the step that a crash leaves behind says what may have happened:

    (no publication), OPENED, PREPARED   nothing was sent: repeat
    HANDLE             the platform knows a handle, nothing of it was published: go on with it, or ask for another
    COMMITTING         it may be published: ask the platform, then go on where it stands
    UNCERTAIN          it may be published, and the attempt is over: only ask, again and again; else a person says
    ACCEPTED           the platform has everything: only ask
    PUBLISHED, REMOVED, REJECTED, FAILED   over: report it again to whoever asks

What is published in one call has no HANDLE: it goes from OPENED to COMMITTING, or from PREPARED where an earlier
attempt left a handle to give up.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
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
    UNCERTAIN = "UNCERTAIN"
    ACCEPTED = "ACCEPTED"
    PUBLISHED = "PUBLISHED"
    REMOVED = "REMOVED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


class Platform(enum.Enum):
    """Where accounts live. The value is its text in the database."""

    TIKTOK = "TIKTOK"
    BULLETIN = "BULLETIN"  # of the sandbox only: publishes texts in one call
    TIKTOK_SHOP = "TIKTOK_SHOP"  # creators who post with links to products

    @property
    def title(self) -> str:
        """Its name for people."""
        return {"TIKTOK": "TikTok", "TIKTOK_SHOP": "TikTok Shop"}.get(self.value, self.value.capitalize())


class AccountState(enum.Enum):
    """Whether an account can be used."""

    CONNECTED = "CONNECTED"
    AUTHORIZATION_LOST = "AUTHORIZATION_LOST"
    DISCONNECTED = "DISCONNECTED"  # on request: its tokens are erased


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
    CHOICE = "CHOICE"


class Next(enum.Enum):
    """What a claim does first with a publication, given the step that it finds."""

    PREPARE = "prepare and begin"
    SEND = "send what the handle waits for"
    ASK = "ask the platform how far it came, and go on there"
    ASK_ONLY = "ask the platform what became of it, and send nothing"
    REPORT = "report what is known"


# The reason of FailureKind.ACCOUNT when the platform no longer accepts our authorisation.
AUTHORIZATION_LOST = "AUTHORIZATION_LOST"
# What failed in these ways may be tried again; nothing was published.
FOR_NOW = (
    *(FailureKind.TRANSIENT, FailureKind.RATE_LIMITED, FailureKind.ACCOUNT, FailureKind.PLATFORM),
    FailureKind.CHOICE,
)
# Steps at which nothing was sent that publishes.
NOTHING_SENT = (Step.OPENED, Step.PREPARED, Step.HANDLE)


# An access token that ends so soon is renewed before it is used.
ACCESS_MARGIN = timedelta(minutes=5)


# What may follow a step, besides another write at the same step.
_GIVEN_UP = frozenset({Step.OPENED, Step.REJECTED, Step.FAILED})
_ARROWS = {
    Step.OPENED: _GIVEN_UP | {Step.PREPARED, Step.COMMITTING, Step.UNCERTAIN},
    Step.PREPARED: _GIVEN_UP | {Step.HANDLE, Step.COMMITTING, Step.UNCERTAIN},
    # Asked about after a restore it may turn out to be anything.
    Step.HANDLE: _GIVEN_UP | {Step.PREPARED, Step.COMMITTING, Step.ACCEPTED, Step.PUBLISHED, Step.UNCERTAIN},
    Step.COMMITTING: _GIVEN_UP | {Step.PREPARED, Step.HANDLE, Step.ACCEPTED, Step.PUBLISHED, Step.UNCERTAIN},
    Step.UNCERTAIN: _GIVEN_UP | {Step.COMMITTING, Step.ACCEPTED, Step.PUBLISHED},
    Step.ACCEPTED: _GIVEN_UP | {Step.PUBLISHED, Step.UNCERTAIN},
    Step.PUBLISHED: frozenset({Step.REMOVED}),
    Step.REMOVED: frozenset(),
    Step.REJECTED: frozenset(),
    Step.FAILED: frozenset(),
}


def is_draft(choices: Options) -> bool:
    """Whether a post goes into its account owner's inbox, and not to viewers."""
    return choices.get("post_mode") == "MEDIA_UPLOAD"


def check_arrow(before: Step, after: Step) -> None:
    """Raises ValueError when the second step cannot follow the first: a fault of ours, which must not be stored."""
    if after is not before and after not in _ARROWS[before]:
        raise ValueError(f"a publication that is {before.value} cannot become {after.value}")


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
    # The post's own instant, whatever was decided since.
    planned_time: datetime
    # Its handling has ended too many processes: the ledger says what may have become of it, and nothing else is done.
    ask_only: bool = False


@dataclass(frozen=True, slots=True)
class Publication:
    """The ledger's head for one delivery. `upload_url` is a credential. `revision` 0: not stored yet."""

    publication_id: UUID
    workspace_id: UUID
    delivery_id: UUID
    post_id: UUID
    account_id: UUID
    attempt: int
    step: Step
    etag: str
    publish_epoch: int
    options: dict[str, Options] = field(default_factory=dict)
    revision: int = 0
    handle: str = ""
    upload_url: str = field(default="", repr=False)
    handle_expire_time: datetime | None = None
    media_size: int = 0
    sent_bytes: int = 0
    caption: str = ""
    duration_ms: int = 0
    commit_time: datetime | None = None
    doubt_time: datetime | None = None
    needs_person: bool = False
    accept_time: datetime | None = None
    next_check_time: datetime | None = None
    checks: int = 0
    platform_post_id: str = ""
    url: str = ""
    visibility: Visibility | None = None
    publish_time: datetime | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What a platform says that an account may do at present; None and empty: it does not say."""

    longest_video_seconds: int | None = None
    # Who may be allowed to see a post, in the platform's words.
    privacy_levels: tuple[str, ...] = ()
    # The account's own settings: off, whatever a post says.
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    # Posts in 24 hours through the application; 0: any number.
    posts_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A connected profile. Tokens are kept apart from it.

    `access_expire_time` is the end of the present access token, which was given at `grant_time`; it is renewed by
    itself, mostly at `renew_time`, until `authorization_expire_time`. `limits` are as they were read at `limits_time`.
    """

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
    access_expire_time: datetime | None = None
    grant_time: datetime | None = None
    renew_time: datetime | None = None
    limits: AccountLimits | None = None
    limits_time: datetime | None = None


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
class Incident:
    """A time in which a platform fails for many accounts, and nothing is sent to it."""

    incident_id: UUID
    platform: Platform
    start_time: datetime
    end_time: datetime | None
    cause: str
    probes: int
    passed_probes: int
    next_probe_time: datetime | None


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


class PublicationNotUncertain(FailedPrecondition):
    """Only a publication that is UNCERTAIN can be settled by a person."""


class Fenced(Exception):
    """Another attempt holds the publication: stop, write nothing more."""


class AlreadyBegun(Fenced):
    """A first write found a publication: the scheduler counts attempts anew, as after a restore. Take it over."""


class Restored(Fenced):
    """A publish epoch has begun since the publication was opened: it is only asked about, nothing of it is sent."""


class Withdrawn(Exception):
    """The scheduler has taken the delivery back before it went out: stop, report nothing."""


class GrantStale(Exception):
    """The permission to commit was given too long ago: ask for it again. Nothing was sent."""


class AttemptFailed(Exception):
    """An attempt ends without a publication. `handle_ended`: nothing can come of its handle any more."""

    def __init__(self, failure: Failure, vendor_log_id: str = "", *, handle_ended: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.vendor_log_id = vendor_log_id
        self.handle_ended = handle_ended


def opened(claim: Claim, epoch: Epoch, publication_id: UUID) -> Publication:
    """The publication of a first claim; it is stored with its first step.

    What was due before the present epoch began belongs to the one before it: its records may be lost.
    """
    is_older = epoch.number > 1 and claim.planned_time < epoch.begin_time
    return Publication(
        publication_id=publication_id,
        workspace_id=claim.workspace_id,
        delivery_id=claim.delivery_id,
        post_id=claim.post_id,
        account_id=claim.account_id,
        attempt=claim.attempt,
        step=Step.OPENED,
        etag=claim.etag,
        publish_epoch=epoch.number - 1 if is_older else epoch.number,
        options=claim.options,
        caption=claim.caption,
    )


def next_action(publication: Publication, claim: Claim, epoch: Epoch, now: datetime) -> Next:
    """What may be done with a publication that a claim has just taken over.

    After a restore from a backup the ledger may lack what was really done: what belongs to an older epoch is only asked
    about, until it is proven, or a person says, that nothing of it was published.
    """
    if publication.step in (Step.PUBLISHED, Step.REMOVED, Step.REJECTED, Step.FAILED, Step.ACCEPTED, Step.UNCERTAIN):
        return Next.REPORT
    if publication.publish_epoch < epoch.number:
        return Next.ASK_ONLY
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


# After doubt the platform is asked soon: mostly only the answer was lost. (up to how many checks, seconds)
_DOUBT_WAITS = ((4, 1.0), (8, 3.0), (16, 10.0), (40, 60.0))
_LAST_DOUBT_WAIT_SECONDS = 600.0
# That bytes are lacking, or a handle is unknown, is believed only so long after they were sent: the last part may still
# be on its way through the platform.
SETTLE_PATIENCE = timedelta(seconds=30)
# What the platform could not settle in so long it never will, and a person looks.
DOUBT_PATIENCE = timedelta(hours=24)
# When a public post is looked at again, after it was published: has the platform removed it? Then never more.
_WATCH_WAITS_SECONDS = (600.0, 3600.0, 86_400.0, 604_800.0)


def doubt_wait(checks: int) -> timedelta:
    """How long to wait before the platform is asked again about an uncertain outcome, after so many questions."""
    for until, seconds in _DOUBT_WAITS:
        if checks < until:
            return timedelta(seconds=seconds)
    return timedelta(seconds=_LAST_DOUBT_WAIT_SECONDS)


def watch_wait(looks: int) -> timedelta | None:
    """How long until a published post is looked at again, after so many looks; None: it was the last."""
    if looks >= len(_WATCH_WAITS_SECONDS):
        return None
    return timedelta(seconds=_WATCH_WAITS_SECONDS[looks])


def uncertain_message(cause: str, *, needs_person: bool) -> str:
    """What is known of an uncertain outcome and what comes next, for people."""
    if needs_person:
        return (
            f"{cause} It may have been published, and the platform gives no way to know. Look at the account's profile,"
            " and settle it: published, or not published."
        )
    return f"{cause} It may have been published. The platform is asked until it is known; nothing is sent meanwhile."


# A jump of failures: within this time so many calls failed, for so many accounts, and more than half of all calls.
# Fewer accounts than that have trouble of their own, which their own waits take care of.
HEALTH_WINDOW_SECONDS = 60.0
_INCIDENT_FAILURES = 5
_INCIDENT_ACCOUNTS = 3
# In a row, before the platform is believed to work again.
INCIDENT_PASSES = 2
_PROBE_WAITS_SECONDS = (2.0, 4.0, 8.0)
_LONGEST_PROBE_WAIT_SECONDS = 15.0


def is_incident(failed_accounts: Sequence[UUID], successes: int) -> bool:
    """Whether a platform is failing: the accounts of the calls that failed within the window, one for each call, beside
    the number of those that worked.
    """
    return (
        len(failed_accounts) >= _INCIDENT_FAILURES
        and len(set(failed_accounts)) >= _INCIDENT_ACCOUNTS
        and len(failed_accounts) > successes
    )


def probe_wait(probes: int, *, passed: bool) -> timedelta:
    """How long until the next probe of a platform, after so many: 2, 4, 8, 15, 15 s, …; 2 s after a passed one."""
    if passed:
        return timedelta(seconds=_PROBE_WAITS_SECONDS[0])
    waits = _PROBE_WAITS_SECONDS
    return timedelta(seconds=waits[probes] if probes < len(waits) else _LONGEST_PROBE_WAIT_SECONDS)
