"""Which account a row of a calendar means, and whether its channel and its account belong together.

The gateway keeps no list of channels: a channel is a word on a post. But brands name their accounts after them
(@emberfold.air), and a row whose channel says one thing and whose account another is a slip that would publish in the
wrong place. So: an account whose handle has the name of a channel in it belongs to that channel. An account whose
handle names none may have any. What is right in spite of that is said with --channel fire=@emberfold.air.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from cli.calendar import Problem
from cli.client import Json
from cli.rows import Entry

# Those that a brand starts with; a calendar may have its own.
USUAL_CHANNELS = frozenset({"air", "water", "fire", "earth"})


class Accounts:
    """The connected accounts, by handle."""

    def __init__(self, accounts: Iterable[Json], declared: Collection[tuple[str, str]] = ()) -> None:
        """`declared`: pairs of channel and handle that belong together whatever their names say."""
        self._ids: dict[str, list[str]] = {}
        for account in accounts:
            self._ids.setdefault(str(account["handle"]).casefold(), []).append(str(account["account_id"]))
        self._declared = frozenset(declared)

    def find(self, handle: str) -> str | Problem:
        """The id of the account with that handle, without @ and in lower case."""
        ids = self._ids.get(handle, [])
        if len(ids) == 1:
            return ids[0]
        if ids:
            return Problem("account", "account_ambiguous", f"Several platforms have an account @{handle}.")
        known = ", ".join(f"@{each}" for each in sorted(self._ids)) or "none"
        return Problem("account", "account_unknown", f"@{handle} is not connected. Connected: {known}.")

    def mismatch(self, entry: Entry, channels: Collection[str]) -> Problem | None:
        """What speaks against the entry's channel on its account; `channels` are those that the calendar names."""
        channel, handle = entry.channel, entry.account
        if not channel or (channel, handle) in self._declared:
            return None
        named = _words(handle) & (USUAL_CHANNELS | frozenset(channels))
        if not named or channel in named:
            return None
        own = ", ".join(sorted(named))
        declare = f"If it is right, say --channel {channel}=@{handle}"
        if any(channel in _words(each) for each in self._ids) or any(channel == each for each, _ in self._declared):
            message = f"@{handle} belongs to the channel {own}, the row says {channel}. {declare}"
            return Problem("account", "channel_account_mismatch", message)
        message = f"No account has the channel {channel}; @{handle} belongs to {own}. {declare}"
        return Problem("channel", "channel_unknown", message)


def check(
    entries: Sequence[Entry], accounts: Accounts, skus: Collection[str] | None
) -> tuple[Mapping[int, str], Mapping[int, list[Problem]]]:
    """The account ids, and what is wrong with account, channel and products, both by the entry's line.

    `skus` are those of the brand's products; None when they are not known, and nothing is said of them.
    """
    channels = {entry.channel for entry in entries if entry.channel}
    ids: dict[int, str] = {}
    problems: dict[int, list[Problem]] = {}
    for entry in entries:
        found: list[Problem] = []
        if entry.account and not any(each.field == "account" for each in entry.problems):
            account = accounts.find(entry.account)
            if isinstance(account, Problem):
                found.append(account)
            else:
                ids[entry.line] = account
                found += [each] if (each := accounts.mismatch(entry, channels)) else []
        if skus is not None and (unknown := [sku for sku in entry.skus if sku not in skus]):
            message = f"{', '.join(unknown)} is not in the list of products."
            found.append(Problem("product_skus", "sku_unknown", message))
        problems[entry.line] = found
    return ids, problems


def _words(handle: str) -> frozenset[str]:
    return frozenset(re.split(r"[^a-z0-9]+", handle))
