"""Examples of planning for the reference, of the same brand."""

from __future__ import annotations

from typing import Any

from services.gateway.models.examples import (
    ACCOUNT_ID,
    CAPTION,
    CREATED,
    DELIVERY_ID,
    DUE,
    MEDIA_ASSET_ID,
    OPTIONS,
    POST,
    POST_ID,
)

POSTING_PLAN: dict[str, Any] = {
    "channel": "earth",
    "time_zone": "America/New_York",
    "slots": [
        {"weekday": "TUESDAY", "local_time": "14:00"},
        {"weekday": "THURSDAY", "local_time": "14:00"},
        {"weekday": "SATURDAY", "local_time": "14:00"},
    ],
    "quiet_hours": [{"weekdays": [], "start_time": "22:00", "end_time": "07:00"}],
    "min_gap_seconds": 7200,
    "daily_cap": 2,
    "blackouts": [{"first_date": "2027-11-25", "last_date": "2027-11-26", "reason": "Thanksgiving"}],
    "requires_approval": True,
}
_TIMES: dict[str, Any] = {
    "time": "2027-03-16T18:00:00Z",
    "local_time": "2027-03-16T14:00:00",
    "time_zone": "America/New_York",
    "other_local_time": "2027-03-16T19:00:00",
    "other_time_zone": "Europe/Berlin",
    "warning": "Clocks in America/New_York went forward 1 h on 14 March: Europe/Berlin is 5 h ahead until 28 March,"
    " not 6.",
}
PLANNED_SLOT: dict[str, Any] = {"times": _TIMES, "post_id": POST_ID, "closed_by": None, "message": ""}
DUPLICATE_RULE: dict[str, Any] = {
    "channel": "air",
    "other_channel": "water",
    "action": "REFUSE",
    "window_seconds": 604800,
}
APPROVAL: dict[str, Any] = {"posts": [{"post_id": POST_ID, "etag": "3f9a1c2b"}], "withdraw": False}
APPROVAL_ANSWER: dict[str, Any] = {
    "results": [{"post_id": POST_ID, "post": POST | {"approval": "APPROVED"}, "refusal": None}]
}
_RECURRENCE: dict[str, Any] = {
    "rrule": "FREQ=WEEKLY;BYDAY=TU,TH,SA;BYHOUR=14;BYMINUTE=0",
    "cron": None,
    "start_time": "2027-01-05T14:00:00",
    "time_zone": "America/New_York",
    "until_time": "2027-03-31T23:59:59",
    "gap_rule": "SHIFT",
    "ambiguous_time": "EARLIER",
}
_CONTENT: dict[str, Any] = {
    "channel": "earth",
    "account_ids": [ACCOUNT_ID],
    "caption": CAPTION,
    "media_asset_ids": [MEDIA_ASSET_ID],
    "options": OPTIONS,
    "ref": "tip",
    "lateness": None,
    "accept_conflicts": False,
}
SERIES_ID = "0199a9c3-3a4b-7c5d-8e6f-7a8b9c0d1e14"
SERIES_DRAFT: dict[str, Any] = {"name": "Weekly tip", "recurrence": _RECURRENCE, "post": _CONTENT}
SERIES_PATCH: dict[str, Any] = {"recurrence": _RECURRENCE | {"rrule": None, "cron": "0 15 * * tue,thu,sat"}}
SERIES: dict[str, Any] = {
    "series_id": SERIES_ID,
    "name": "Weekly tip",
    "recurrence": _RECURRENCE,
    "post": _CONTENT,
    "state": "ACTIVE",
    "made_until_time": "2027-02-04T14:00:00",
    "previous_series_id": None,
    "etag": "9c0d1e14",
    "create_time": CREATED,
    "update_time": CREATED,
}
OCCURRENCE: dict[str, Any] = {
    "occurrence_time": "2027-03-16T14:00:00",
    "state": "POSTED",
    "times": _TIMES,
    "post_id": POST_ID,
    "reason": "",
    "message": "",
}
OCCURRENCE_MOVE: dict[str, Any] = {"move_to_time": "2027-03-17T14:00"}
RECURRENCE_QUESTION: dict[str, Any] = {
    "recurrence": _RECURRENCE,
    "other_time_zone": "Europe/Berlin",
    "max_occurrences": 3,
}
RECURRENCE_PREVIEW: dict[str, Any] = {
    "description": "every Tuesday, Thursday and Saturday at 14:00 in America/New_York, until 31 March 2027",
    "times": [_TIMES],
}
FORESEEN_FAILURE: dict[str, Any] = {
    "delivery_id": DELIVERY_ID,
    "post_id": POST_ID,
    "account_id": ACCOUNT_ID,
    "schedule_time": DUE,
    "cause": "TOKEN",
    "reason": "TOKEN_ENDS",
    "message": "The authorisation of @emberfold.water ends on 2 January. Connect the account again before.",
    "delayed_until_time": None,
}
POST_CHANGE: dict[str, Any] = {
    "filter": {"from_time": "2027-01-04T00:00:00Z", "until_time": "2027-01-11T00:00:00Z", "channel": "water"},
    "shift": {"days": 7, "time_seconds": 0},
    "validate_only": True,
}
CHANGE_LINE: dict[str, Any] = {
    "post": {
        "post_id": POST_ID,
        "ref": "Q1-003",
        "schedule_time": "2027-01-11T17:00:00Z",
        "changes": [{"field": "local_time", "before": "2027-01-04T18:00:00", "after": "2027-01-11T18:00:00"}],
        "refusal": None,
        "warnings": [],
        "conflicts": [],
    },
    "summary": None,
    "problem": None,
}
