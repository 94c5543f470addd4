"""What happened, what of it a person should know, and when to try again to tell them.

States of one message to one target:

    WAITING → SENT                 the target took it
       │ ↺                         an attempt failed: the next one waits longer
       └────→ FAILED               the last attempt failed, or the target is gone from the configuration

What may happen to thousands of deliveries at once is gathered: the message of the first waits GATHER_SECONDS, and what
is reported of the same kind in the same workspace before it is begun to be sent, is added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from uuid import UUID

from kit.errors import AlreadyExists

_TITLE_CHARACTERS = 150


class RequestIdReused(AlreadyExists):
    """The same request id came with another activity. Use a new id for a new activity."""


class Severity(Enum):
    """How much a message wants to be read."""

    INFO = "INFO"
    # Somebody has to look at it.
    PROBLEM = "PROBLEM"


class SendState(Enum):
    """Where one message to one target stands. Rows leave with their activity."""

    # The target's sender moves it on.
    WAITING = "WAITING"
    # Final: the target took it.
    SENT = "SENT"
    # Final: given up, `last_error` says why.
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a service reports: `activity_time` is the reporter's, `type` is noun.verb, `summary` one sentence."""

    workspace_id: UUID
    request_id: str
    activity_time: datetime
    type: str
    summary: str
    post_id: UUID | None = None
    delivery_id: UUID | None = None
    account_id: UUID | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that happened, as it is kept. `create_time` is when notification stored it."""

    activity_id: UUID
    create_time: datetime
    facts: Facts


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person is told: a title of one line, and a body of a few."""

    severity: Severity
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Telling:
    """A message to be made or made anew. It stands for `count` activities; the first of them is `activity_id`."""

    message_id: UUID
    activity_id: UUID
    facts: Facts
    count: int = 1


@dataclass(frozen=True, slots=True)
class Send:
    """One message to one target. `attempts` counts those that were begun."""

    target: str
    state: SendState
    attempts: int
    last_error: str
    send_time: datetime | None


@dataclass(frozen=True, slots=True)
class Message:
    """A message, and what became of it at each target."""

    message_id: UUID
    workspace_id: UUID
    activity_id: UUID
    post_id: UUID | None
    draft: Draft
    create_time: datetime
    sends: tuple[Send, ...]


@dataclass(frozen=True, slots=True)
class ClaimedSend:
    """A message that one sender holds for one target, as its attempt number `attempt` (from 1)."""

    message_id: UUID
    workspace_id: UUID
    target: str
    attempt: int
    draft: Draft


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when to try: the waits triple from `first_wait_seconds`.

    The default tries at 0 s, 30 s, 2 min, 6.5 min, 20 min and 60.5 min after the first attempt: long enough for a mail
    server's restart, short enough that a message about a failed post still helps.
    """

    attempts: int = 6
    first_wait_seconds: float = 30

    def wait_seconds(self, attempt: int, chance: float) -> float | None:
        """The wait after a failed attempt (from 1); None when it was the last.

        `chance`, 0 to 1, spreads it by a fifth in both directions, so that what failed together does not come back
        together.
        """
        if attempt >= self.attempts:
            return None
        return self.first_wait_seconds * 3.0 ** (attempt - 1) * (0.8 + 0.4 * chance)


# How long a message of a gathered kind waits for more of its kind, seconds.
GATHER_SECONDS = 5
_WAITING = "`reelroute posts waiting` lists them."
_FEED = "`GET /v1/activities` lists them."
_HELD_ORDERS = "`reelroute orders held` lists them."


@dataclass(frozen=True, slots=True)
class _Kind:
    """How people are told of a kind of activity. Kinds with a title for `many` are gathered into one message."""

    severity: Severity
    title: str
    many: str = ""
    where: str = ""


# The activities that become messages. Any other type is kept and told to nobody.
_KINDS = {
    "delivery.published": _Kind(
        Severity.INFO, "Published on {platform} for {account}", "{count} posts were published", _FEED
    ),
    "delivery.rejected": _Kind(
        Severity.PROBLEM, "{platform} rejected a post of {account}", "{count} posts were rejected", _FEED
    ),
    "delivery.failed": _Kind(
        Severity.PROBLEM, "Not published on {platform}: a post of {account}", "Not published: {count} posts", _FEED
    ),
    "delivery.delayed": _Kind(
        Severity.PROBLEM, "Delayed on {platform}: a post of {account}", "Delayed: {count} posts", _FEED
    ),
    "delivery.missed": _Kind(
        Severity.PROBLEM,
        "Decide: a post of {account} missed its time on {platform}",
        "Decide: {count} posts missed their time",
        _WAITING,
    ),
    "delivery.parked": _Kind(
        Severity.PROBLEM,
        "Decide: a post of {account} was set aside",
        "Decide: {count} posts were set aside",
        _WAITING,
    ),
    "delivery.uncertain": _Kind(
        Severity.PROBLEM,
        "Look: is a post of {account} on {platform}?",
        "Look: {count} posts may be published or not",
        _WAITING,
    ),
    "delivery.dropped": _Kind(
        Severity.PROBLEM,
        "Too late and dropped: a post of {account} on {platform}",
        "Too late and dropped: {count} posts",
        _FEED,
    ),
    "delivery.removed": _Kind(
        Severity.PROBLEM,
        "{platform} no longer shows a post of {account}",
        "{count} posts are no longer shown",
        _FEED,
    ),
    "delivery.foreseen": _Kind(Severity.PROBLEM, "Act in time: posts of {account} will not go out"),
    "delivery.stalled": _Kind(
        Severity.PROBLEM,
        "No progress on {platform}: a post of {account}",
        "No progress: {count} posts",
        _FEED,
    ),
    "account.authorization_lost": _Kind(Severity.PROBLEM, "Connect {account} to {platform} again"),
    "shop.authorization_lost": _Kind(Severity.PROBLEM, "Connect {shop} to {platform} again"),
    "merchant.authorization_lost": _Kind(Severity.PROBLEM, "Connect {merchant} to {platform} again: orders wait"),
    "shop.authorization_ending": _Kind(Severity.PROBLEM, "Let the seller connect {shop} to {platform} again soon"),
    "account.authorization_ending": _Kind(
        Severity.PROBLEM, "Connect {account} to {platform} again before its authorisation ends"
    ),
    "order.held": _Kind(
        Severity.PROBLEM, "An order of {shop} waits for you", "{count} orders wait for you", _HELD_ORDERS
    ),
    "order.canceled_too_late": _Kind(
        Severity.PROBLEM,
        "Canceled too late: an order of {shop} is on its way",
        "Canceled too late: {count} orders are on their way",
        _FEED,
    ),
    "order.changed_too_late": _Kind(
        Severity.PROBLEM,
        "Changed too late: an order of {shop} goes out as it was",
        "Changed too late: {count} orders go out as they were",
        _FEED,
    ),
    "order.at_risk": _Kind(
        Severity.PROBLEM, "Soon too late: an order of {shop}", "Soon too late: {count} orders", _FEED
    ),
    "order.late": _Kind(Severity.PROBLEM, "Late: an order of {shop}", "Late: {count} orders", _FEED),
    "package.lost": _Kind(
        Severity.PROBLEM, "A parcel of {shop} does not arrive", "{count} parcels do not arrive", _FEED
    ),
    "tracking.withheld": _Kind(
        Severity.PROBLEM,
        "A tracking number of {shop} is not sent to {platform}",
        "{count} tracking numbers are not sent",
        _FEED,
    ),
    "tracking.stopped": _Kind(Severity.PROBLEM, "{platform} rejected a tracking number: {shop} sends none any more"),
    "tracking.resumed": _Kind(Severity.INFO, "Tracking numbers of {shop} are sent to {platform} again"),
    "hold.placed": _Kind(Severity.INFO, "Paused: posts do not go out"),
    "hold.lifted": _Kind(Severity.INFO, "A pause was lifted"),
    "incident.opened": _Kind(Severity.PROBLEM, "{platform} is failing: nothing is sent to it"),
    "incident.closed": _Kind(Severity.INFO, "{platform} works again"),
    "outage.ended": _Kind(Severity.PROBLEM, "An outage made posts late"),
    "series.refused": _Kind(Severity.PROBLEM, "Occurrences of a series could not become posts"),
    "time_zone.changed": _Kind(Severity.INFO, "Posts keep their wall-clock times: the rules of a zone changed"),
}
_PLATFORM_NAMES = {
    "tiktok": "TikTok",
    "tiktok_shop": "TikTok Shop",
    "amazon": "Amazon",
    "bulletin": "Bulletin",
    "youtube": "YouTube",
    "linkedin": "LinkedIn",
}


def is_told(facts: Facts) -> bool:
    """Whether people are told of an activity.

    Of a doubt only when it is theirs to end, of a drop only when nobody decided it, and of a hold only when a person
    placed it: a lost authorisation and an incident have messages of their own.
    """
    match facts.type:
        case "delivery.dropped":
            return facts.attributes.get("reason") != "DROPPED"
        case "delivery.uncertain":
            return facts.attributes.get("needs_person") == "true"
        case "hold.placed" | "hold.lifted":
            return facts.attributes.get("cause", "PAUSE") == "PAUSE"
    return facts.type in _KINDS


def is_gathered(facts: Facts) -> bool:
    """Whether what is told of an activity waits for more of its kind, and is told as one."""
    return bool(_KINDS[facts.type].many)


def message_of(facts: Facts, account: Mapping[str, str] = MappingProxyType({}), count: int = 1) -> Draft:
    """The message that follows from an activity that people are told of, or from `count` of its kind: it is the first.

    Reads the attributes url, reason and shop of the activity, and platform and handle of it or else of `account`: what
    the account told of itself when it was connected. All of them may be missing.
    """
    kind = _KINDS[facts.type]
    known = {**account, **facts.attributes}
    handle = _one_line(known.get("handle", "")).lstrip("@")
    lines = [facts.summary.strip() or facts.type]
    if url := facts.attributes.get("url"):
        lines.append(f"Link: {_one_line(url)}")
    if kind.severity is Severity.PROBLEM and (reason := facts.attributes.get("reason")):
        lines.append(f"Reason: {_one_line(reason)}")
    if facts.post_id:
        lines.append(f"Post: {facts.post_id}")
    elif facts.account_id:
        lines.append(f"Account: {f'@{handle}, ' if handle else ''}{facts.account_id}")
    if count > 1:
        lines = [f"The first of {count}:", *lines, kind.where]
    return Draft(
        kind.severity,
        (kind.many if count > 1 else kind.title).format(
            platform=_platform_name(known.get("platform", "")),
            account=f"@{handle}" if handle else "one of your accounts",
            shop=_one_line(known.get("shop", "")) or "one of your shops",
            merchant=_one_line(known.get("merchant", "")) or "one of your merchants",
            count=count,
        )[:_TITLE_CHARACTERS],
        "\n".join(lines),
    )


def _platform_name(platform: str) -> str:
    key = _one_line(platform).lower().removeprefix("platform_")
    return _PLATFORM_NAMES.get(key, key.replace("_", " ").capitalize()) if key else "the platform"


def _one_line(value: str) -> str:
    # A title becomes the subject of an e-mail: no line break may get in.
    return " ".join("".join(character if character.isprintable() else " " for character in value).split())
