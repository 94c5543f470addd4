"""Bulletin's accounts and posts. Every method is one step that is complete when it returns."""

import hashlib
import math
import re
import secrets
import sqlite3
import time
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.bulletin.settings import BulletinSettings
from sandbox.clock import Clock
from sandbox.overrides import Overrides
from sandbox.store import Store

NAME = "bulletin"
TABLES = ("bulletin_post", "bulletin_account", "bulletin_code")
ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")

# Tokens and codes are kept as hashes. A post's id is the real time of its making in microseconds, one more where that
# is taken: it grows, and no id comes back after a restart without memory.
SCHEMA = """
CREATE TABLE IF NOT EXISTS bulletin_account (
    account TEXT PRIMARY KEY, display_name TEXT NOT NULL, token_hash TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS bulletin_code (
    hash TEXT PRIMARY KEY, account TEXT NOT NULL, redirect_uri TEXT NOT NULL, challenge TEXT NOT NULL,
    expire_time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS bulletin_post (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, text TEXT NOT NULL, published REAL NOT NULL, removed_time REAL);
CREATE INDEX IF NOT EXISTS bulletin_post_account ON bulletin_post (account, id);
"""

_CODE_SECONDS = 600.0
# Old posts are forgotten so many at a time.
_FORGOTTEN_AT_ONCE = 100
_SEEDED = {"night.owl": "Night Owl News", "harbour.desk": "Harbour Desk", "slow.kettle": "Slow Kettle"}


class BadCode(Exception):
    """The code is unknown, used or expired, or was made for another redirect address or verifier."""


class TooFast(Exception):
    """A limit is reached. `retry_seconds`: whole seconds until there is room again."""

    def __init__(self, wait: float) -> None:
        super().__init__("Too many posts.")
        self.retry_seconds = max(1, math.ceil(wait))


def digest(secret: str) -> str:
    """How a token is kept: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


class BulletinState:
    """All of one Bulletin; lives on the sandbox's event loop."""

    def __init__(self, store: Store, clock: Clock, defaults: BulletinSettings, public_url: str | None) -> None:
        self.store, self.clock, self.public_url = store, clock, public_url
        self._overrides = Overrides(store, NAME, defaults)
        self.load()

    def load(self) -> None:
        """Read what the store has; an empty one gets the seeded accounts."""
        self._overrides.read()
        self._accounts: dict[str, str] = {}
        for name, display_name in _SEEDED.items():
            self.store.run("INSERT OR IGNORE INTO bulletin_account VALUES (?, ?, NULL)", name, display_name)
        for row in self.store.all("SELECT account, token_hash FROM bulletin_account WHERE token_hash IS NOT NULL"):
            self._accounts[row["token_hash"]] = row["account"]
        self._last_id = self.store.number("SELECT coalesce(max(id), 0) FROM bulletin_post")
        self._kept = self.store.number("SELECT count(*) FROM bulletin_post")
        self.complete_since = float(self.store.setting("bulletin_list").get("complete_since", 0.0))

    @property
    def settings(self) -> BulletinSettings:
        """Those now in force."""
        return self._overrides.settings

    def change_settings(self, changes: Mapping[str, Any]) -> BulletinSettings:
        """Override some settings until the next reset. Raises ValueError that names the field, and changes nothing."""
        return self._overrides.change(changes)

    # Accounts

    def accounts(self) -> list[sqlite3.Row]:
        """Every account by name, with the number of its posts that are kept."""
        return self.store.all(
            "SELECT account, display_name, token_hash IS NOT NULL AS connected, (SELECT count(*) FROM bulletin_post p"
            " WHERE p.account = a.account) AS posts FROM bulletin_account a ORDER BY account"
        )

    def display_name(self, account: str) -> str:
        """The name that an account shows. Raises KeyError when there is none."""
        row = self.store.one("SELECT display_name FROM bulletin_account WHERE account = ?", account)
        if row is None:
            raise KeyError(account)
        return str(row["display_name"])

    def add_accounts(self, names: Iterable[str]) -> None:
        """Add accounts; those that exist stay as they are. Raises ValueError for a bad name, and adds none then."""
        with self.store.transaction():
            for name in names:
                if not ACCOUNT_NAME.fullmatch(name):
                    raise ValueError(f"{name[:60]}: use 1 to 40 lower-case letters, digits, dots and dashes")
                self.store.run("INSERT OR IGNORE INTO bulletin_account VALUES (?, ?, NULL)", name, name)

    def issue_token(self, account: str) -> str:
        """A new access token, which ends the one before. Raises KeyError for an unknown account."""
        token = f"blt.{secrets.token_urlsafe(32)}"
        self._set_token(account, digest(token))
        return token

    def revoke_token(self, account: str) -> None:
        """The account's token ends now. Raises KeyError for an unknown account."""
        self._set_token(account, None)

    def _set_token(self, account: str, token_hash: str | None) -> None:
        row = self.store.one("SELECT token_hash FROM bulletin_account WHERE account = ?", account)
        if row is None:
            raise KeyError(account)
        self._accounts.pop(row["token_hash"], None)
        self.store.run("UPDATE bulletin_account SET token_hash = ? WHERE account = ?", token_hash, account)
        if token_hash is not None:
            self._accounts[token_hash] = account

    def account_of(self, token: str) -> str | None:
        """Whose token it is; None for one that is not good."""
        return self._accounts.get(digest(token))

    def new_code(self, account: str, redirect_uri: str, challenge: str) -> str:
        """A code that is good for one exchange within ten minutes. Raises KeyError for an unknown account."""
        self.display_name(account)
        code, now = secrets.token_urlsafe(24), self.clock.now()
        self.store.run("DELETE FROM bulletin_code WHERE expire_time <= ?", now)
        self.store.run(
            "INSERT INTO bulletin_code VALUES (?, ?, ?, ?, ?)",
            *(digest(code), account, redirect_uri, challenge, now + _CODE_SECONDS),
        )
        return code

    def take_code(self, code: str, redirect_uri: str, verifier: str) -> str:
        """The account that a code was made for; it is used up by any try. Raises BadCode."""
        rows = self.store.all("DELETE FROM bulletin_code WHERE hash = ? RETURNING *", digest(code))
        if (
            not rows
            or rows[0]["expire_time"] <= self.clock.now()
            or rows[0]["redirect_uri"] != redirect_uri
            or rows[0]["challenge"] != digest(verifier)
        ):
            raise BadCode
        return str(rows[0]["account"])

    # Posts

    def take(self, account: str, text: str) -> tuple[int, float]:
        """Publish a text; returns the post's id and time. Raises TooFast."""
        now = self.clock.now()
        if self.settings.posts_per_minute:
            self._check_rate("WHERE account = ?", self.settings.posts_per_minute, 60.0, now, account)
        if self.settings.posts_per_second:
            self._check_rate("", self.settings.posts_per_second, 1.0, now)
        post_id = self._last_id = max(self._last_id + 1, time.time_ns() // 1000)
        self.store.run("INSERT INTO bulletin_post VALUES (?, ?, ?, ?, NULL)", post_id, account, text, now)
        self._kept += 1
        if self._kept >= self.settings.kept_posts + _FORGOTTEN_AT_ONCE:
            self._forget(self._kept - self.settings.kept_posts)
        return post_id, now

    def _check_rate(self, where: str, limit: int, seconds: float, now: float, *values: object) -> None:
        """The post before the last `limit - 1` ones must have left the window."""
        row = self.store.one(
            f"SELECT published FROM bulletin_post {where} ORDER BY id DESC LIMIT 1 OFFSET ?",  # noqa: S608
            *(*values, limit - 1),
        )
        # A later time is from before the clock was set back.
        if row is not None and now - seconds < row["published"] <= now:
            raise TooFast(row["published"] + seconds - now)

    def _forget(self, count: int) -> None:
        with self.store.transaction():
            last = self.store.number("SELECT id FROM bulletin_post ORDER BY id LIMIT 1 OFFSET ?", count - 1)
            row = self.store.one("SELECT max(published) AS published FROM bulletin_post WHERE id <= ?", last)
            newest = row["published"] if row is not None else 0.0
            # A moment more: what was published at that very time may be gone or here.
            since = max(self.complete_since, math.nextafter(newest, math.inf))
            self._kept -= self.store.run("DELETE FROM bulletin_post WHERE id <= ?", last)
            self.store.put_setting("bulletin_list", {"complete_since": since})
        self.complete_since = since

    def listed(self, account: str, since: float, before: int | None, limit: int) -> list[sqlite3.Row]:
        """Posts of an account as its list shows them now: newest first, at most `limit`."""
        return self.store.all(
            "SELECT id, text, published FROM bulletin_post WHERE account = ? AND id < ? AND published >= ?"
            " AND published <= ? AND removed_time IS NULL ORDER BY id DESC LIMIT ?",
            *(account, self._last_id + 1 if before is None else before, since),
            *(self.clock.now() - self.settings.list_seconds, limit),
        )

    def post(self, post_id: int) -> sqlite3.Row | None:
        """A post that is there: not one that was removed."""
        return self.store.one("SELECT * FROM bulletin_post WHERE id = ? AND removed_time IS NULL", post_id)

    def remove(self, post_id: int) -> bool:
        """Take a post away; False when it is not there."""
        return (
            self.store.run(
                "UPDATE bulletin_post SET removed_time = ? WHERE id = ? AND removed_time IS NULL",
                *(self.clock.now(), post_id),
            )
            > 0
        )

    def posts(self, account: str, after: int, limit: int) -> list[sqlite3.Row]:
        """Everything that was ever taken and is kept, removed posts included, oldest first; for tests."""
        return self.store.all(
            "SELECT * FROM bulletin_post WHERE id > ? AND (? = '' OR account = ?) ORDER BY id LIMIT ?",
            *(after, account, account, limit),
        )

    def newest(self, limit: int) -> list[sqlite3.Row]:
        """The last posts of all accounts, newest first."""
        return self.store.all("SELECT * FROM bulletin_post ORDER BY id DESC LIMIT ?", limit)

    def effects(self, account: str, least: int, limit: int) -> list[sqlite3.Row]:
        """How often each text of each account was published, and when first and last; those with the most first."""
        return self.store.all(
            "SELECT account, text, count(*) AS effects, min(published) AS first, max(published) AS last,"
            " sum(removed_time IS NOT NULL) AS removed FROM bulletin_post WHERE ? = '' OR account = ?"
            " GROUP BY account, text HAVING count(*) >= ? ORDER BY effects DESC, account, text LIMIT ?",
            *(account, account, least, limit),
        )

    def totals(self) -> dict[str, Any]:
        """Counts for the overview."""
        return {"outage": self.settings.outage, "posts": self._kept, "complete_since": self.complete_since}
