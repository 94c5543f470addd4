"""What will not go out, and why: a simulation of the coming days by the rules that will be applied then. Pure.

What nothing stands in the way of (obstacles.py) is let go in the order of time, as the publisher will: each needs a
token that lives, and room within the platform's quotas, of which it uses some for those behind it.

Not foreseen is what nobody can know: failing platforms, their moderation, posts that are made past us.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.publisher.domain import ACCESS_MARGIN, Account, is_draft
from services.publisher.obstacles import Cause, Facts, Obstacle, Upcoming, obstacles
from services.publisher.quotas import MINUTE, PATIENCE, Quotas, Uses, cap_message, free_at

# What goes out so late is on time: nobody needs to hear of it.
ON_TIME = timedelta(minutes=10)
_INSTANT = timedelta(microseconds=1)
# The reason of Cause.TOKEN.
TOKEN_ENDS = "TOKEN_ENDS"  # noqa: S105 - a word, and no token


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


def foresee(upcoming: Sequence[Upcoming], facts: Facts, now: datetime) -> list[Foreseen]:
    """What of it will not go out at its time, by schedule time; one for each cause."""
    found: list[Foreseen] = []
    free: list[Upcoming] = []
    for each in upcoming:
        by_cause: dict[Cause, list[Obstacle]] = {}
        for obstacle in obstacles(each, facts):
            by_cause.setdefault(obstacle.cause, []).append(obstacle)
        if not by_cause:
            free.append(each)
        for cause, mine in by_cause.items():
            text = " ".join(obstacle.message for obstacle in mine)
            found.append(Foreseen(each, cause, mine[0].reason, f"{text} {_until(each, now)}"))
    found += _Simulation(facts, now).run(free)
    return sorted(_counted(found, facts), key=lambda each: each.key)


def _counted(found: Sequence[Foreseen], facts: Facts) -> Iterator[Foreseen]:
    """The same, each that an authorisation's end stands in the way of with how many others that are."""
    of_tokens = Counter(each.upcoming.account_id for each in found if each.cause is Cause.TOKEN)
    for each in found:
        account = facts.accounts.get(each.upcoming.account_id)
        if each.cause is Cause.TOKEN and account is not None:
            yield replace(each, message=token_text(account, of_tokens[account.account_id]))
        else:
            yield each


def _until(each: Upcoming, now: datetime) -> str:
    if each.schedule_time <= now:
        return "It waits for that since its time."
    return f"Do so before {_text(each.schedule_time)}."


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def last_token_end(account: Account, now: datetime) -> datetime | None:
    """Until when an account has good tokens if nobody connects it again; None: without an end.

    Access tokens are renewed at their times, used or not, and the last one lives on when the authorisation has ended.
    That a renewal prolongs the authorisation itself is not counted on: TikTok's documentation counts "from the initial
    issuance". Where a platform does, the account's end moves with the next renewal.
    """
    end, access_end = account.authorization_expire_time, account.access_expire_time
    if end is None:
        return None
    if access_end is None:
        return end
    lead = max(ACCESS_MARGIN, access_end - account.renew_time) if account.renew_time else ACCESS_MARGIN
    life = access_end - account.grant_time if account.grant_time else lead
    renewal = max(now, access_end - lead)
    if renewal < end and life > lead:
        # The last renewal before the end, one life but for the lead after the other.
        access_end = renewal + (end - renewal - _INSTANT) // (life - lead) * (life - lead) + life
    return max(end, access_end - ACCESS_MARGIN)


def token_text(account: Account, posts: int = 1) -> str:
    """What a person must know of an authorisation that ends before so many posts go out."""
    end = account.authorization_expire_time
    when = f" on {_text(end)}" if end else ""
    before = "this goes out" if posts == 1 else f"this and {posts - 1:,} more of its posts go out"
    return f"The authorisation of @{account.handle} ends{when}, before {before}. Connect the account again before."


class _Simulation:
    """Lets deliveries go in the order of time."""

    def __init__(self, facts: Facts, now: datetime) -> None:
        self._facts, self._now = facts, now
        self._uses = {
            platform: Uses(
                {account: sorted(times) for account, times in uses.by_account.items()},
                {account: sorted(times) for account, times in uses.drafts.items()},
            )
            for platform, uses in facts.uses.items()
        }
        self._of_minute: dict[object, list[datetime]] = {}
        self._token_ends: dict[UUID, datetime | None] = {}
        # Time, then what was to go out first.
        self._heap: list[tuple[datetime, datetime, int, Upcoming]] = []
        self._numbers = itertools.count()
        # Deliveries that a quota has put off, and by what.
        self._waits: dict[UUID, str] = {}

    def run(self, going: Sequence[Upcoming]) -> Iterator[Foreseen]:
        """What of it will be late, or not go out."""
        for each in going:
            self._push(max(each.due_time, self._now), each)
        while self._heap:
            time, _, _, each = heapq.heappop(self._heap)
            yield from self._go(each, self._facts.accounts[each.account_id], time)

    def _push(self, time: datetime, each: Upcoming) -> None:
        heapq.heappush(self._heap, (time, each.schedule_time, next(self._numbers), each))

    def _has_token(self, account: Account, time: datetime) -> bool:
        if account.account_id not in self._token_ends:
            self._token_ends[account.account_id] = last_token_end(account, self._now)
        end = self._token_ends[account.account_id]
        return end is None or time < end

    def _go(self, each: Upcoming, account: Account, time: datetime) -> Iterator[Foreseen]:
        """It is due: it goes out, is put off, or fails."""
        quotas = self._facts.quotas[account.platform]
        prepared = max(self._now, time - self._facts.lead)
        was_put_off = each.due_time > each.schedule_time + ON_TIME
        if time - each.schedule_time > each.max_lateness:
            if was_put_off:
                yield self._late(each, account, quotas, each.failure_reason or "PUT_OFF", time, goes_out=False)
            else:
                text = f"It is later than its rule allows: {_becomes(each)}."
                yield Foreseen(each, Cause.DECISION, "TOO_LATE", text)
            return
        uses = self._uses.setdefault(account.platform, Uses())
        choices = each.options.get(account.platform.value.lower(), {})
        draft = is_draft(choices)
        free, reason = uses.room(quotas, account.account_id, prepared, draft=draft)
        if free > prepared:
            if free - each.schedule_time > each.max_lateness:
                yield self._late(each, account, quotas, reason, free, goes_out=False)
                return
            if free > time and free - prepared > PATIENCE:
                self._waits[each.delivery_id] = reason
                self._push(free, each)
                return
        if not self._has_token(account, prepared):
            yield Foreseen(each, Cause.TOKEN, TOKEN_ENDS, token_text(account))
            return
        out = self._within_minute(account, quotas, max(time, free), draft=draft)
        if out > max(time, free) + ON_TIME:
            self._waits.setdefault(each.delivery_id, "RATE_REACHED")
        uses.add(account.account_id, out, draft=draft)
        put_off = self._waits.get(each.delivery_id, "")
        if not put_off and was_put_off and each.due_time > self._now:
            put_off = each.failure_reason or "PUT_OFF"
        if put_off and out - each.schedule_time > ON_TIME:
            yield self._late(each, account, quotas, put_off, out, goes_out=True)

    def _within_minute(self, account: Account, quotas: Quotas, time: datetime, *, draft: bool) -> datetime:
        """When it leaves, with those that are due at the same time before it; takes its place."""
        out = time
        places = [
            (cap, self._of_minute.setdefault(key, []))
            for key, cap in (
                ((account.account_id, draft), quotas.account_posts_per_minute),
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
            case "DAILY_CAP_REACHED" | "ACTIVE_ACCOUNTS_REACHED" | "PENDING_DRAFTS_REACHED":
                why = cap_message(platform, quotas, reason)
            case "RATE_REACHED":
                why = f"More posts are due at that time than {platform} takes in a minute."
            case _:
                why = each.failure_message or "It was put off."
        if goes_out:
            text = f"{why} It goes out at about {_text(time)}. Move it, or another post, to have it out in time."
            return Foreseen(each, Cause.QUOTA, reason, text, time)
        late = f"There is room at {_text(time)}, later than its rule allows: {_becomes(each)}."
        return Foreseen(each, Cause.QUOTA, reason, f"{why} {late} Move it, or another post.")


def _becomes(each: Upcoming) -> str:
    """What its rule makes of it when it is too late."""
    rules = {"NEXT_SLOT": "it moves to its next slot", "DROP": "it is dropped"}
    return rules.get(each.late_action, "it waits for your decision")
