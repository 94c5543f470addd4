"""How many posts a platform takes, and when there is room for one more. Pure: the clock is an argument.

caps.py keeps these limits before a platform is asked, and forecast.py foresees by the same functions what they will
keep back. The limits of single calls a minute are kept by kit.shared_rate_limit, and only foreseen here.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

# A platform's day is any 24 hours. A minute more: a post counts from its arrival there, by another clock than ours.
DAY = timedelta(hours=24, minutes=1)
# A place that is free so soon is waited for. What goes out at the same time each day finds yesterday's post still in
# the day, and is in time all the same; what was put off to the same moment comes after it.
PATIENCE = timedelta(minutes=2)
# A second more than a minute, as kit.rate_limit has it.
MINUTE = timedelta(seconds=61)


@dataclass(frozen=True, slots=True)
class Quotas:
    """What a platform takes, known without asking it; 0: no such limit is known.

    In any 24 hours: posts of one account, drafts that wait in its owner's inbox, and accounts that post through the
    application. In any minute: posts of one account, and of the application.
    """

    posts_per_day: int = 0
    drafts_per_day: int = 0
    accounts_per_day: int = 0
    account_posts_per_minute: int = 0
    posts_per_minute: int = 0

    @property
    def has_caps(self) -> bool:
        """Whether it has limits of a day."""
        return bool(self.posts_per_day or self.drafts_per_day or self.accounts_per_day)


def free_at(uses: Sequence[datetime], cap: int, window: timedelta, now: datetime) -> datetime:
    """When one more fits under a cap, from now on. `uses` are in the order of time; a `cap` of 0 is none."""
    if not cap or len(uses) < cap:
        return now
    return max(now, uses[-cap] + window)


@dataclass(slots=True)
class Uses:
    """What was used of a platform's day: when each account posted, and when it got drafts, in the order of time."""

    by_account: dict[object, list[datetime]] = field(default_factory=dict)
    drafts: dict[object, list[datetime]] = field(default_factory=dict)

    def room(self, quotas: Quotas, account: object, now: datetime, *, draft: bool = False) -> tuple[datetime, str]:
        """When the account may post, or get a draft, from now on, and the reason of a wait."""
        if draft:
            return free_at(self.drafts.get(account, []), quotas.drafts_per_day, DAY, now), "PENDING_DRAFTS_REACHED"
        mine = self.by_account.get(account, [])
        posts = free_at(mine, quotas.posts_per_day, DAY, now)
        accounts = now
        if quotas.accounts_per_day and not (mine and mine[-1] + DAY > now):
            lasts = sorted(used[-1] for other, used in self.by_account.items() if used and other != account)
            accounts = free_at(lasts, quotas.accounts_per_day, DAY, now)
        if posts >= accounts:
            return posts, "DAILY_CAP_REACHED"
        return accounts, "ACTIVE_ACCOUNTS_REACHED"

    def add(self, account: object, time: datetime, *, draft: bool = False) -> None:
        """The account posts, or gets a draft, at this time."""
        bisect.insort((self.drafts if draft else self.by_account).setdefault(account, []), time)


def cap_message(platform: str, quotas: Quotas, reason: str) -> str:
    """Why a post must wait, for people."""
    if reason == "DAILY_CAP_REACHED":
        posts = quotas.posts_per_day
        return f"{platform} takes {posts} posts of an account in 24 hours, and this one comes after as many."
    if reason == "PENDING_DRAFTS_REACHED":
        drafts = quotas.drafts_per_day
        return f"{platform} keeps {drafts} drafts of 24 hours in an account's inbox, and this one comes after as many."
    accounts = quotas.accounts_per_day
    return f"{platform} lets {accounts} accounts post through this application in 24 hours, and others come first."
