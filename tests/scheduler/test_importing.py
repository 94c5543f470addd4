"""What a row of an import does to the post that its key names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from kit.errors import InvalidArgument, ReelrouteError
from services.scheduler import importing, zones
from services.scheduler.domain import (
    AmbiguousTime,
    Delivery,
    DeliveryState,
    Draft,
    LateAction,
    Lateness,
    Media,
    Post,
    PostNotEditable,
)
from services.scheduler.importing import FieldChange, Outcome

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ONE, OTHER = UUID(int=1), UUID(int=2)
PAST, AHEAD, LATER = "2026-11-20T10:00", "2027-01-04T18:00", "2027-01-05T18:00"
LETS_GO = frozenset({DeliveryState.SCHEDULED, DeliveryState.CLAIMED})
CAME_TO_NOTHING = frozenset({DeliveryState.CANCELED, DeliveryState.FAILED, DeliveryState.REJECTED})


def draft(
    local_time: str = AHEAD, zone: str = "Europe/Berlin", fold: AmbiguousTime | None = None, **fields: Any
) -> Draft:
    made = Draft(
        channel="air",
        account_ids=(ONE,),
        caption="First words",
        media=(Media("a", "0" * 64, "video/mp4"),),
        schedule=zones.read(local_time, zone, fold),
        options={"tiktok": {"privacy_level": "SELF_ONLY", "allow_duet": False}},
        ref="Q1",
    )
    return replace(made, **fields)


def saved(wanted: Draft, *states: DeliveryState) -> Post:
    """As a post, with a delivery per state."""
    deliveries = tuple(
        Delivery(UUID(int=n), ONE, account, state, NOW, NOW, 1, NOW, OTHER)
        for n, (account, state) in enumerate(
            zip(wanted.account_ids, states or (DeliveryState.SCHEDULED,) * len(wanted.account_ids), strict=True)
        )
    )
    return Post(ONE, OTHER, wanted, 1, deliveries, NOW, NOW)


def decided(wanted: Draft, before: Post | None) -> tuple[Outcome, tuple[FieldChange, ...]]:
    row = importing.decide("key", wanted, before, NOW)
    return row.outcome, row.changes


def refused(wanted: Draft, before: Post | None) -> str:
    with pytest.raises(ReelrouteError) as caught:
        importing.decide("key", wanted, before, NOW)
    return caught.value.reason


def test_a_key_that_is_not_known_makes_a_post_when_its_time_is_ahead() -> None:
    assert decided(draft(), None) == (Outcome.CREATED, ())
    assert refused(draft(PAST), None) == "SCHEDULE_TIME_IN_PAST"
    assert refused(draft("2029-01-04T18:00"), None) == "SCHEDULE_TIME_TOO_FAR"


@pytest.mark.parametrize("state", [state for state in DeliveryState if state not in CAME_TO_NOTHING])
@pytest.mark.parametrize("time", [PAST, AHEAD])
def test_what_is_saved_as_the_row_says_is_unchanged_in_any_state_and_at_any_time(
    state: DeliveryState, time: str
) -> None:
    assert decided(draft(time), saved(draft(time), state)) == (Outcome.UNCHANGED, ())


@pytest.mark.parametrize("state", [state for state in DeliveryState if state in CAME_TO_NOTHING])
def test_what_came_to_nothing_makes_room_while_its_time_is_ahead(state: DeliveryState) -> None:
    assert decided(draft(), saved(draft(), state)) == (Outcome.CREATED, ())
    assert refused(draft(PAST), saved(draft(PAST), state)) == "SCHEDULE_TIME_IN_PAST"


def test_what_went_out_in_part_makes_no_room() -> None:
    both = draft(account_ids=(ONE, OTHER))
    half = saved(both, DeliveryState.PUBLISHED, DeliveryState.FAILED)
    assert decided(both, half) == (Outcome.UNCHANGED, ())
    assert refused(draft(), half) == "POST_NOT_EDITABLE"


@pytest.mark.parametrize("state", [state for state in DeliveryState if state not in CAME_TO_NOTHING])
def test_what_differs_is_an_update_until_it_has_begun(state: DeliveryState) -> None:
    before = saved(draft(), state)
    wanted = draft(caption="Other words")
    if state in LETS_GO:
        assert decided(wanted, before) == (
            Outcome.UPDATED, (FieldChange("caption", "First words", "Other words"),),
        )  # fmt: skip
    else:
        with pytest.raises(PostNotEditable):
            importing.decide("key", wanted, before, NOW)


def test_a_post_whose_time_is_over_and_that_still_waits_keeps_its_time_when_other_things_change() -> None:
    before = saved(draft(PAST))
    assert decided(draft(PAST, caption="Other words"), before)[0] is Outcome.UPDATED
    assert refused(draft("2026-11-21T10:00"), before) == "SCHEDULE_TIME_IN_PAST"


@pytest.mark.parametrize(
    ("changed", "field", "before", "after"),
    [
        ({"channel": "fire"}, "channel", "air", "fire"),
        ({"media": (Media("a", "1", "x"), Media("b", "2", "y"))}, "media", "a", "a, b"),
        ({"local_time": LATER}, "local_time", "2027-01-04T18:00:00", "2027-01-05T18:00:00"),
        ({"zone": "Europe/Paris"}, "time_zone", "Europe/Berlin", "Europe/Paris"),
        ({"options": {}}, "options", "tiktok.privacy_level=SELF_ONLY", ""),
        ({"ref": "Q2"}, "ref", "Q1", "Q2"),
        ({"lateness": Lateness(60, LateAction.DROP)}, "lateness", "", "60 s, then DROP"),
        ({"caption": "é" * 200}, "caption", "First words", "é" * 99 + "…"),
    ],
)
def test_what_differs_is_said_in_words(changed: dict[str, Any], field: str, before: str, after: str) -> None:
    assert decided(draft(**changed), saved(draft())) == (Outcome.UPDATED, (FieldChange(field, before, after),))


def test_which_of_two_equal_times_is_meant_is_a_difference_only_where_there_are_two() -> None:
    twice, zone = "2027-10-31T02:30", "Europe/Berlin"
    earlier, later = (draft(twice, zone, each) for each in AmbiguousTime)
    assert decided(later, saved(earlier)) == (
        Outcome.UPDATED, (FieldChange("ambiguous_time", "EARLIER", "LATER"),),
    )  # fmt: skip
    assert decided(draft(fold=AmbiguousTime.LATER), saved(draft())) == (Outcome.UNCHANGED, ())


def test_choices_that_say_nothing_are_no_difference() -> None:
    # As the version before has saved it, which did not know all of them.
    before = saved(draft(options={"tiktok": {"privacy_level": "SELF_ONLY"}}))
    assert decided(draft(), before) == (Outcome.UNCHANGED, ())


def test_other_accounts_replace_a_post_of_which_nothing_has_begun() -> None:
    wanted = draft(account_ids=(OTHER,))
    outcome, changes = decided(wanted, saved(draft()))
    assert (outcome, changes[0]) == (Outcome.REPLACED, FieldChange("account_ids", str(ONE), str(OTHER)))
    assert decided(draft(account_ids=(OTHER, ONE)), saved(draft(account_ids=(ONE, OTHER))))[0] is Outcome.UNCHANGED
    assert refused(wanted, saved(draft(), DeliveryState.CONFIRMING)) == "POST_NOT_EDITABLE"
    assert refused(draft(PAST, account_ids=(OTHER,)), saved(draft(PAST))) == "SCHEDULE_TIME_IN_PAST"


def test_a_key_that_comes_again_is_refused_and_says_where_it_was() -> None:
    first, other, again = importing.first_of_each(["a", "b", "a"])
    assert (first, other) == (None, None)
    assert again is not None
    assert again.reason == "IMPORT_KEY_REPEATED"
    assert "Row 1 " in again.message


@pytest.mark.parametrize(
    ("local_time", "by", "expected"),
    [
        ("2027-03-13T10:00", timedelta(days=1), "2027-03-14T14:00"),  # 23 hours later
        ("2027-03-13T02:30", timedelta(days=1), "LOCAL_TIME_NONEXISTENT"),
        ("2027-11-06T01:30", timedelta(days=1), "LOCAL_TIME_AMBIGUOUS"),
        ("2027-03-13T10:00", timedelta(minutes=-90), "2027-03-13T13:30"),
        ("2027-03-13T10:00", timedelta(days=-200), "SCHEDULE_TIME_IN_PAST"),
        ("2027-03-13T10:00", timedelta(days=732), "SCHEDULE_TIME_TOO_FAR"),
    ],
)
def test_a_shift_moves_the_clock_and_not_the_instant(local_time: str, by: timedelta, expected: str) -> None:
    before = draft(local_time, "America/New_York")
    if expected.startswith("2"):
        moved = importing.shifted(before, by, NOW).schedule
        assert moved.instant == datetime.fromisoformat(expected).replace(tzinfo=UTC)
        assert moved.local_time == before.schedule.local_time + by
    else:
        with pytest.raises(InvalidArgument) as caught:
            importing.shifted(before, by, NOW)
        assert caught.value.reason == expected
