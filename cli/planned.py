"""What is planned already: the wall against importing the same row twice, whoever imported it and whenever."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cli.calendar import Problem
from cli.client import Json
from cli.rows import Entry


@dataclass(frozen=True, slots=True)
class Planned:
    """A post that exists, for one of its accounts."""

    post_id: str
    ref: str
    account_id: str
    instant: datetime
    text: str
    sha256s: tuple[str, ...]
    state: str


class Plan:
    """The posts that exist. Canceled ones do not count; they only make a repeated import a new request."""

    def __init__(self, posts: Iterable[Json]) -> None:
        self._by_time: dict[tuple[str, datetime], list[Planned]] = {}
        self._by_ref: dict[tuple[str, str], Planned] = {}
        self._canceled: list[Planned] = []
        for post in posts:
            for delivery in post["deliveries"]:
                self._add(_planned(post, delivery))

    def _add(self, planned: Planned) -> None:
        if planned.state == "CANCELED":
            self._canceled.append(planned)
            return
        self._by_time.setdefault((planned.account_id, planned.instant), []).append(planned)
        # What failed is replaced by the same row at another time.
        if planned.ref and planned.state not in ("FAILED", "REJECTED"):
            self._by_ref.setdefault((planned.ref, planned.account_id), planned)

    def find(self, entry: Entry, account_id: str, sha256s: Sequence[str] | None) -> Planned | Problem | None:
        """The post that the entry already is; or a Problem when its ref is taken by another; or None: it is new.

        `sha256s` are its files' fingerprints; None when they cannot be known, then they are not compared.
        """
        if entry.instant is None:
            return None
        for planned in self._by_time.get((account_id, entry.instant), []):
            if planned.text != entry.text:
                continue
            if sha256s is None or planned.sha256s == tuple(sha256s):
                return planned
            return _other(planned, "planned_differently", "The same text at the same time is planned with other media")
        other = self._by_ref.get((entry.ref, account_id)) if entry.ref else None
        if other is None:
            return None
        differs = "another time" if other.instant != entry.instant else "another text"
        return _other(other, "ref_in_use", f"This ref is planned already with {differs}")

    def canceled(self, entry: Entry, account_id: str) -> list[str]:
        """The ids of canceled posts with the entry's account, time and text."""
        return sorted(
            each.post_id
            for each in self._canceled
            if (each.account_id, each.instant, each.text) == (account_id, entry.instant, entry.text)
        )


def _planned(post: Json, delivery: Json) -> Planned:
    return Planned(
        post_id=post["post_id"],
        ref=post["ref"],
        account_id=delivery["account_id"],
        instant=datetime.fromisoformat(post["schedule_time"]).astimezone(UTC),
        text=post["caption"],
        sha256s=tuple(each["sha256"] for each in post["media"]),
        state=delivery["state"],
    )


def _other(planned: Planned, reason: str, sentence: str) -> Problem:
    return Problem(
        "ref" if reason == "ref_in_use" else "media",
        reason,
        f"{sentence}, as post {planned.post_id} ({planned.state}). To replace it, cancel that one first:"
        f" reelroute posts cancel {planned.post_id}",
    )
