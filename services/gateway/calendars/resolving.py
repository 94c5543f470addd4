"""What the entries of a calendar name, found: accounts by handle, media by name, products by SKU.

A channel is a word on a post. But brands name their accounts after channels (@emberfold.air), and a row whose channel
says one thing and whose account another is a slip that would publish in the wrong place. So an account that is declared
to be of a channel, or has the name of one in its handle, belongs to that channel; any other may have any.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from services.gateway.calendars.entries import Entry, Problem

# Those that a brand starts with; a workspace may have its own.
USUAL_CHANNELS = frozenset({"air", "water", "fire", "earth"})

# Looking for a name that was meant takes long, and a file that is wrong in every row needs it said a few times only.
_MAX_SUGGESTIONS = 50


@dataclass(frozen=True, slots=True)
class Account:
    """A connected account. `channel` is the one that it is declared to belong to, if any."""

    account_id: str
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry with what it names. With problems it is not taken; ids and files are then those that were found.

    `key` is the same in every import of the same row: its ref; or of a row without one, its accounts and its time.
    """

    entry: Entry
    key: str
    accounts: tuple[Account, ...]
    media: tuple[str, ...]  # asset ids
    problems: tuple[Problem, ...]


class Library:
    """The media files that a calendar may name."""

    def __init__(self, media: Mapping[str, str]) -> None:
        """`media`: the asset id of each file name; names may have folders."""
        # By the last part of the name, which both sides have: the whole names, and their ids.
        self._by_tail: dict[str, list[tuple[str, str]]] = {}
        for name, asset_id in media.items():
            whole = _normal(name)
            self._by_tail.setdefault(whole.rpartition("/")[2], []).append((whole, asset_id))
        self._suggestions = _MAX_SUGGESTIONS
        self._found: dict[str, str | Problem] = {}
        # Last parts of names that were looked up: nobody has more of them.
        self._known = set(self._by_tail)

    def unknown(self, names: Iterable[str]) -> list[str]:
        """The last parts of names of which nothing is known yet, each once."""
        return sorted({_normal(name).rpartition("/")[2] for name in names} - self._known - {""})

    def learn(self, tails: Iterable[str], files: Iterable[tuple[str, str]]) -> None:
        """What was found for last parts of names: all files that are called so, with their asset ids."""
        self._known.update(tails)
        for name, asset_id in files:
            whole = _normal(name)
            self._by_tail.setdefault(whole.rpartition("/")[2], []).append((whole, asset_id))

    def find(self, name: str) -> str | Problem:
        """The asset of that name.

        Names are equal when one ends with the other at a folder: a sheet may leave out folders, and so may the library.
        """
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._search(name)
            if len(self._found) > 10_000:
                self._found.clear()
        return found

    def _search(self, name: str) -> str | Problem:
        whole = _normal(name)
        candidates = self._by_tail.get(whole.rpartition("/")[2], [])
        exact = {asset for each, asset in candidates if each == whole}
        matching = exact or {asset for each, asset in candidates if _is_end_of(each, whole) or _is_end_of(whole, each)}
        if len(matching) == 1:
            return matching.pop()
        if matching:
            names = ", ".join(sorted(each for each, _ in candidates)[:5])
            return Problem("media", "media_ambiguous", f"{name} could be several files: {names}. Name its folder too.")
        return Problem("media", "media_missing", f"{name} is not in the library{self._near(whole)}. Upload it first.")

    def _near(self, whole: str) -> str:
        if not self._suggestions:
            return ""
        self._suggestions -= 1
        near = difflib.get_close_matches(whole.rpartition("/")[2], self._by_tail, n=1, cutoff=0.8)
        return f"; there is {self._by_tail[near[0]][0][0]}" if near else ""


class Resolver:
    """Finds what entries name, one after the other."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        media: Mapping[str, str],
        skus: Collection[str] | None = None,
        *,
        channels: Iterable[str] = (),
        declared: Collection[tuple[str, str]] = (),
    ) -> None:
        """`accounts` by handle, lower case, without @. `media`: asset ids by file name.

        `skus` are those of the brand's products; None when they are not known, and nothing is said of them. `channels`
        are those of the workspace. `declared`: pairs of channel and handle that belong together, whatever their names.
        """
        self._accounts, self.library, self._skus = accounts, Library(media), skus
        self._channels = USUAL_CHANNELS | frozenset(channels) | {each.channel for each in accounts.values()} - {""}
        self._declared = frozenset(declared)
        self._suggestions = _MAX_SUGGESTIONS
        self._mismatches: dict[tuple[str, str], Problem | None] = {}
        self._keys: dict[int, int] = {}

    def resolve(self, entries: Iterable[Entry]) -> Iterator[Draft]:
        """A draft for each entry, with the entry's own problems first."""
        for entry in entries:
            problems: list[Problem] = []
            told = {problem.field for problem in entry.problems}
            accounts = tuple(
                account
                for handle in (entry.accounts if "account" not in told else ())
                if (account := self._account(handle, entry.channel, problems)) is not None
            )
            media: tuple[str, ...] = ()
            if "media" not in told:
                media = tuple(asset for name in entry.media if (asset := self._asset(name, problems)) is not None)
            if self._skus is not None and (unknown := [sku for sku in entry.skus if sku not in self._skus]):
                message = f"{', '.join(unknown)[:200]} is not in the list of products."
                problems.append(Problem("product_skus", "sku_unknown", message))
            key = entry.ref or self._key(entry, accounts)
            yield Draft(entry, key, accounts, media, (*entry.problems, *problems) if problems else entry.problems)

    def _account(self, handle: str, channel: str, problems: list[Problem]) -> Account | None:
        account = self._accounts.get(handle)
        if account is None:
            problems.append(Problem("account", "account_unknown", self._unknown(handle)))
        elif channel and (problem := self._mismatch(handle, account, channel)):
            problems.append(problem)
        return account

    def _unknown(self, handle: str) -> str:
        known = list(self._accounts)
        if self._suggestions:
            self._suggestions -= 1
            known = difflib.get_close_matches(handle, known, n=3, cutoff=0.75) or known
        named = ", ".join(f"@{each}" for each in sorted(known)[:5]) or "none"
        return f"@{handle} is not connected. Connected: {named}."

    def _mismatch(self, handle: str, account: Account, channel: str) -> Problem | None:
        pair = (handle, channel)
        if pair not in self._mismatches:
            self._mismatches[pair] = self._compared(handle, account, channel)
        return self._mismatches[pair]

    def _compared(self, handle: str, account: Account, channel: str) -> Problem | None:
        if (channel, handle) in self._declared or channel == account.channel:
            return None
        own = {account.channel} if account.channel else _words(handle) & self._channels
        if not own or channel in own:
            return None
        belongs = ", ".join(sorted(own))
        known = {each.channel for each in self._accounts.values()} | {each for each, _ in self._declared}
        if channel in known or any(channel in _words(each) for each in self._accounts):
            message = f"@{handle} belongs to the channel {belongs}, the row says {channel}."
            return Problem("account", "channel_account_mismatch", message)
        message = f"No account has the channel {channel}; @{handle} belongs to {belongs}."
        return Problem("channel", "channel_unknown", message)

    def _asset(self, name: str, problems: list[Problem]) -> str | None:
        asset = self.library.find(name)
        if isinstance(asset, Problem):
            problems.append(asset)
            return None
        return asset

    def _key(self, entry: Entry, accounts: tuple[Account, ...]) -> str:
        """The key of a row without a ref: its place in the plan. Two rows at one place are told apart by order."""
        ids = sorted(account.account_id for account in accounts)
        place = f"{entry.instant.isoformat() if entry.instant else entry.line} {' '.join(ids)}"
        count = self._keys[hash(place)] = self._keys.get(hash(place), 0) + 1
        digest = hashlib.blake2b(place.encode(), digest_size=16).hexdigest()
        return f"at:{digest}" if count == 1 else f"at:{digest}:{count}"


def _normal(name: str) -> str:
    # Names with accents are stored in two ways, depending on the system that made the file.
    return unicodedata.normalize("NFC", name).strip().strip("/")


def _is_end_of(shorter: str, longer: str) -> bool:
    return longer.endswith(shorter) and longer[: -len(shorter)].endswith("/")


@lru_cache(maxsize=1024)
def _words(handle: str) -> frozenset[str]:
    return frozenset(re.split(r"[^a-z0-9]+", handle))
