"""What will not go out, and why: a simulation of the coming days by the rules that will be applied then. Pure.

Some things stand in a post's way whenever it goes: its account, its media, its text, a missing approval, a pause. What
has none of these is let go in the order of time, as the publisher will: each needs a token that lives, and room within
the platform's quotas, of which it uses some for those behind it.

Not foreseen is what nobody can know: failing platforms, their moderation, posts that are made past us. An open incident
counts for nothing either: it mostly ends within the hour.
"""

from __future__ import annotations

import bisect
import enum
import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.publisher.domain import (
    ACCESS_MARGIN,
    AUTHORIZATION_LOST,
    Account,
    AccountState,
    MediaRef,
    Options,
    Platform,
    watch_times,
)
from services.publisher.platforms import checks
from services.publisher.platforms.base import MediaFile
from services.publisher.platforms.tiktok import PRIVATE_LEVELS
from services.publisher.quotas import MINUTE, PATIENCE, Quotas, Uses, cap_message, free_at

# What goes out so late is on time: nobody needs to hear of it.
ON_TIME = timedelta(minutes=10)


# The reason of Cause.TOKEN.
TOKEN_ENDS = "TOKEN_ENDS"  # noqa: S105 - a word, and no token


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
class Foreseen:
    """A delivery that will not go out at its time. `delayed_until`: when it will; None: not by itself."""

    upcoming: Upcoming
    cause: Cause
    reason: str
    message: str
    delayed_until: datetime | None = None

    @property
    def key(self) -> tuple[datetime, UUID, str]:
        """What forecasts are ordered by."""
        return self.upcoming.schedule_time, self.upcoming.delivery_id, self.cause.value


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known now. `media` are the files that the library has, by id. `quotas` are those of the platforms that
    this installation has; `uses` when accounts posted within the last day, those of others too where the application
    has a cap. `looks`: when an account's token will be used anyway, to ask about what is published. `lead`: so long
    before its time a delivery is prepared.
    """

    accounts: Mapping[UUID, Account]
    media: Mapping[str, tuple[str, MediaFile]]
    quotas: Mapping[Platform, Quotas]
    uses: Mapping[Platform, Mapping[UUID, Sequence[datetime]]] = field(default_factory=dict)
    looks: Mapping[UUID, Sequence[datetime]] = field(default_factory=dict)
    lead: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way of a post whenever it goes."""

    cause: Cause
    reason: str
    message: str


def foresee(upcoming: Sequence[Upcoming], facts: Facts, now: datetime) -> list[Foreseen]:
    """What of it will not go out at its time, by schedule time; one for each cause."""
    found: list[Foreseen] = []
    free: list[Upcoming] = []
    for each in upcoming:
        obstacles = list(_obstacles(each, facts))
        if not obstacles:
            free.append(each)
        for cause in dict.fromkeys(obstacle.cause for obstacle in obstacles):
            mine = [obstacle for obstacle in obstacles if obstacle.cause is cause]
            text = " ".join(obstacle.message for obstacle in mine)
            found.append(Foreseen(each, cause, mine[0].reason, f"{text} {_until(each, now)}"))
    found += _Simulation(facts, now).run(free)
    return sorted(found, key=lambda each: each.key)


def _until(each: Upcoming, now: datetime) -> str:
    if each.schedule_time <= now:
        return "It waits for that since its time."
    return f"Do so before {_text(each.schedule_time)}."


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _obstacles(each: Upcoming, facts: Facts) -> Iterator[Obstacle]:
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
    if each.needs_person or each.held_cause == "CRASHES":
        yield Obstacle(
            Cause.DECISION, each.failure_reason or "DECISION_NEEDED", each.failure_message or "It waits for a decision."
        )


def _account_obstacles(each: Upcoming, account: Account, facts: Facts) -> Iterator[Obstacle]:
    if account.state is AccountState.AUTHORIZATION_LOST:
        yield Obstacle(Cause.ACCOUNT, AUTHORIZATION_LOST, f"@{account.handle} cannot publish: {account.problem}")
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
    for problem in checks.problems(account.platform, each.caption, files, options or None, account.limits):
        is_media = problem.field.startswith("media")
        if is_media and len(files) < len(each.media):
            continue  # about the media as a whole, of which some are lacking
        yield Obstacle(Cause.MEDIA if is_media else Cause.CONTENT, problem.reason, problem.message)


@dataclass(slots=True)
class Authorization:
    """An account's tokens as time goes on: each renewal gives another of the same life, until the authorisation ends.

    That a renewal prolongs the authorisation itself is not counted on: TikTok's documentation counts "from the initial
    issuance". Where a platform does, the account's end moves with the next renewal.
    """

    access_end: datetime | None
    life: timedelta
    end: datetime | None

    @classmethod
    def of(cls, account: Account) -> Authorization:
        """As it stands."""
        access_end, given = account.access_expire_time, account.grant_time
        life = access_end - given if access_end and given else timedelta(0)
        return cls(access_end, life, account.authorization_expire_time)

    def use(self, time: datetime) -> bool:
        """Whether there is a good token at this time; renews it when it can be."""
        if self.access_end is not None and self.access_end - ACCESS_MARGIN > time:
            return True
        if self.end is not None and time >= self.end:
            return False
        self.access_end = time + self.life
        return True


def token_text(account: Account) -> str:
    """What a person must know of an authorisation that ends."""
    end = account.authorization_expire_time
    when = f" on {_text(end)}" if end else ""
    return f"The authorisation of @{account.handle} ends{when}, before this goes out. Connect the account again before."


class _Simulation:
    """Lets deliveries go in the order of time."""

    def __init__(self, facts: Facts, now: datetime) -> None:
        self._facts, self._now = facts, now
        self._uses = {
            platform: Uses({account: sorted(times) for account, times in by_account.items()})
            for platform, by_account in facts.uses.items()
        }
        self._of_minute: dict[object, list[datetime]] = {}
        self._authorizations: dict[UUID, Authorization] = {}
        # Time, then what was to go out first; a delivery, or the account whose token is used for a look.
        self._heap: list[tuple[datetime, datetime, int, Upcoming | UUID]] = []
        self._numbers = itertools.count()
        # Deliveries that a quota has put off, and by what.
        self._waits: dict[UUID, str] = {}

    def run(self, going: Sequence[Upcoming]) -> Iterator[Foreseen]:
        """What of it will be late, or not go out."""
        for each in going:
            self._push(max(each.due_time, self._now), each)
        last = max((each.due_time for each in going), default=self._now)
        for account_id, looks in self._facts.looks.items():
            for look in looks:
                self._look(look, account_id, last)
        while self._heap:
            time, _, _, event = heapq.heappop(self._heap)
            if isinstance(event, UUID):
                self._authorization(self._facts.accounts[event]).use(time)
            else:
                yield from self._go(event, self._facts.accounts[event.account_id], time, last)

    def _push(self, time: datetime, each: Upcoming) -> None:
        heapq.heappush(self._heap, (time, each.schedule_time, next(self._numbers), each))

    def _look(self, time: datetime, account_id: UUID, last: datetime) -> None:
        end = self._facts.accounts[account_id].authorization_expire_time
        if end is not None and time < min(end, last):
            heapq.heappush(self._heap, (time, time, next(self._numbers), account_id))

    def _authorization(self, account: Account) -> Authorization:
        if account.account_id not in self._authorizations:
            self._authorizations[account.account_id] = Authorization.of(account)
        return self._authorizations[account.account_id]

    def _go(self, each: Upcoming, account: Account, time: datetime, last: datetime) -> Iterator[Foreseen]:
        """It is due: it goes out, is put off, or fails."""
        quotas = self._facts.quotas[account.platform]
        prepared = max(self._now, time - self._facts.lead)
        uses = self._uses.setdefault(account.platform, Uses())
        free, reason = uses.room(quotas, account.account_id, prepared)
        if free > prepared:
            if free - each.schedule_time > each.max_lateness:
                yield self._late(each, account, quotas, reason, free, goes_out=False)
                return
            if free > time and free - prepared > PATIENCE:
                self._waits[each.delivery_id] = reason
                self._push(free, each)
                return
        if not self._authorization(account).use(prepared):
            yield Foreseen(each, Cause.TOKEN, TOKEN_ENDS, token_text(account))
            return
        out = self._within_minute(account, quotas, max(time, free))
        if out > max(time, free) + ON_TIME:
            self._waits.setdefault(each.delivery_id, "RATE_REACHED")
        uses.add(account.account_id, out)
        choices = each.options.get(account.platform.value.lower(), {})
        if account.authorization_expire_time and choices.get("privacy_level") not in PRIVATE_LEVELS:
            for look in watch_times(out):
                self._look(look, account.account_id, last)
        put_off = self._waits.get(each.delivery_id, "")
        if not put_off and each.due_time > max(self._now, each.schedule_time) + ON_TIME:
            put_off = each.failure_reason or "PUT_OFF"
        if put_off and out - each.schedule_time > ON_TIME:
            yield self._late(each, account, quotas, put_off, out, goes_out=True)

    def _within_minute(self, account: Account, quotas: Quotas, time: datetime) -> datetime:
        """When it leaves, with those that are due at the same time before it; takes its place."""
        out = time
        places = [
            (cap, self._of_minute.setdefault(key, []))
            for key, cap in (
                (account.account_id, quotas.account_posts_per_minute),
                (account.platform, quotas.posts_per_minute),
            )
            if cap
        ]
        for cap, taken in places:
            out = max(out, free_at(taken, cap, MINUTE, time))
        for _, taken in places:
            bisect.insort(taken, out)
        return out

    def _late(
        self, each: Upcoming, account: Account, quotas: Quotas, reason: str, time: datetime, *, goes_out: bool
    ) -> Foreseen:
        platform = account.platform.title
        match reason:
            case "DAILY_CAP_REACHED" | "ACTIVE_ACCOUNTS_REACHED":
                why = cap_message(platform, quotas, reason)
            case "RATE_REACHED":
                why = f"More posts are due at that time than {platform} takes in a minute."
            case _:
                why = each.failure_message or "It was put off."
        if goes_out:
            text = f"{why} It goes out at about {_text(time)}. Move it, or another post, to have it out in time."
            return Foreseen(each, Cause.QUOTA, reason, text, time)
        becomes = {"NEXT_SLOT": "it moves to its next slot", "DROP": "it will be dropped"}.get(
            each.late_action, "it will wait for your decision"
        )
        text = f"{why} There is room at {_text(time)}, later than its rule allows: {becomes}. Move it, or another post."
        return Foreseen(each, Cause.QUOTA, reason, text)
