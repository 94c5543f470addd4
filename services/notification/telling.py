"""What follows from activities that are reported: they are kept, and people are told, in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from kit.db import new_id
from services.notification import store
from services.notification.domain import GATHER_SECONDS, Facts, Telling, is_gathered, is_told, message_of


def record(tx: Connection, reported: Sequence[Facts], targets: Collection[str]) -> list[UUID | None]:
    """Keeps activities, and the messages that follow from those that are new. For each its id; None for one whose
    request id was used for another activity.
    """
    kept = store.keep_activities(tx, reported)
    told = [
        Telling(new_id(), each[0], facts)
        for each, facts in zip(kept, reported, strict=True)
        if each and each[1] and is_told(facts)
    ]
    if told:
        _tell(tx, told, targets)
    return [each and each[0] for each in kept]


def _tell(tx: Connection, told: Sequence[Telling], targets: Collection[str]) -> None:
    new = [(each, 0.0) for each in told if not is_gathered(each.facts)]
    groups: dict[tuple[UUID, str], list[Telling]] = {}
    for each in told:
        if is_gathered(each.facts):
            groups.setdefault((each.facts.workspace_id, each.facts.type), []).append(each)
    grown: list[Telling] = []
    if groups:
        waiting = store.open_messages(tx, groups, GATHER_SECONDS)
        for kind, group in groups.items():
            if kind in waiting:
                grown.append(replace(waiting[kind], count=waiting[kind].count + len(group)))
            else:
                new.append((replace(group[0], count=len(group)), float(GATHER_SECONDS)))
    if grown:
        store.rewrite_messages(tx, [(each, message_of(each.facts, count=each.count)) for each in grown])
    if new:
        accounts = store.account_attributes(tx, (each.facts for each, _ in new))
        store.insert_messages(
            tx,
            [
                (
                    each,
                    message_of(
                        each.facts, accounts.get((each.facts.workspace_id, each.facts.account_id), {}), each.count
                    ),
                    wait,
                )
                for each, wait in new
            ],
            targets,
        )
