"""Between the messages of bulk.proto and what bulk calls do. No decision is made here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from reelroute.scheduler.v1 import bulk_pb2 as pb

from kit.errors import ReelrouteError
from kit.timestamps import to_timestamp
from services.scheduler import messages
from services.scheduler.bulk import Changed, Imported
from services.scheduler.importing import FieldChange, Outcome

_OUTCOME = {each: pb.ImportOutcome.Value(f"IMPORT_OUTCOME_{each.value}") for each in Outcome}


def imported_to(result: Imported | ReelrouteError) -> pb.ImportResult:
    """What became of a row."""
    if isinstance(result, ReelrouteError):
        return pb.ImportResult(outcome=pb.IMPORT_OUTCOME_REFUSED, refusal=messages.refusal_to(result))
    row = result.row
    return pb.ImportResult(
        outcome=_OUTCOME[row.outcome],
        post_id=str(result.post_id or ""),
        schedule_time=to_timestamp(row.draft.schedule.instant),
        changes=_changes(row.changes) if row.changes else None,
        conflicts=messages.conflicts_to(result.conflicts) if result.conflicts else None,
    )


def changed_to(result: Changed) -> pb.ChangeResult:
    """What became of a post of a change."""
    refusal = result.refusal
    return pb.ChangeResult(
        post_id=str(result.post.post_id),
        ref=result.draft.ref,
        changes=None if refusal else pb.FieldChanges(changes=_changes(result.changes)),
        refusal=messages.refusal_to(refusal) if refusal else None,
        conflicts=messages.conflicts_to(result.conflicts),
        schedule_time=to_timestamp(result.draft.schedule.instant),
    )


def shift_from(message: pb.Shift) -> timedelta:
    """By how much."""
    return timedelta(days=message.days) + message.time.ToTimedelta()


def _changes(changes: Sequence[FieldChange]) -> list[pb.FieldChange]:
    return [pb.FieldChange(field=each.field, before=each.before, after=each.after) for each in changes]
