"""Weekly times as people write them: `daily 08:00 15:00`, `tue,thu,sat 14:00`, `mon-fri 22:00-07:00`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cli.client import Json

DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_SHORT = [day[:3].lower() for day in DAYS]
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(:[0-9]{2})?")


class NotWeekly(ValueError):
    """The text is no weekly time. Its message says what would be."""


def slots(text: str) -> list[Json]:
    """The slots of `daily 08:00 15:00`. Raises NotWeekly."""
    days, times = _parts(text, "daily 08:00 15:00, or tue,thu,sat 14:00")
    return [{"weekday": day, "local_time": _time(each)} for day in days for each in times]


def quiet_hours(text: str) -> Json:
    """The quiet hours of `22:00-07:00`, or of `fri,sat 23:00-08:00`. Raises NotWeekly."""
    wanted = "22:00-07:00, or fri,sat 23:00-08:00"
    days, spans = _parts(text if " " in text.strip() else f"daily {text}", wanted)
    start, dash, end = spans[0].partition("-")
    if len(spans) > 1 or not dash:
        raise NotWeekly(f"{text}: write {wanted}.")
    # Every day is the same as none named, and says so in a year's time too.
    weekdays = [] if len(days) == len(DAYS) else list(days)
    return {"weekdays": weekdays, "start_time": _time(start), "end_time": _time(end)}


def _parts(text: str, wanted: str) -> tuple[Sequence[str], list[str]]:
    names, *times = text.split() or [""]
    if not times:
        raise NotWeekly(f"{text!r}: write {wanted}.")
    return _days(names, wanted), times


def _days(names: str, wanted: str) -> Sequence[str]:
    if names.lower() == "daily":
        return DAYS
    found: list[str] = []
    for name in names.lower().split(","):
        first, dash, last = name.partition("-")
        try:
            start = _SHORT.index(first[:3])
            end = _SHORT.index(last[:3]) if dash else start
        except ValueError:
            raise NotWeekly(f"{names}: name days as mon, tue, mon-fri or daily: {wanted}.") from None
        # Through Sunday: fri-mon.
        found += [DAYS[(start + step) % 7] for step in range((end - start) % 7 + 1)]
    return sorted(set(found), key=DAYS.index)


def _time(text: str) -> str:
    parts = _TIME.fullmatch(text)
    if not parts or int(parts[1]) > 23 or int(parts[2]) > 59:
        raise NotWeekly(f"{text}: give the time of day as 08:00, up to 23:59.")
    return f"{int(parts[1]):02}:{parts[2]}{parts[3] or ''}"


def in_words(plan_slots: Iterable[Json]) -> list[str]:
    """Slots as `slots` reads them: days with the same times together."""
    times: dict[str, list[str]] = {}
    for slot in plan_slots:
        times.setdefault(slot["weekday"], []).append(slot["local_time"])
    days: dict[tuple[str, ...], list[str]] = {}
    for day in DAYS:
        if day in times:
            days.setdefault(tuple(sorted(times[day])), []).append(day)
    return [f"{days_in_words(names)} {' '.join(each)}" for each, names in days.items()]


def quiet_in_words(quiet: Json) -> str:
    """Quiet hours as `quiet_hours` reads them."""
    span = f"{quiet['start_time']}-{quiet['end_time']}"
    return f"{days_in_words(quiet['weekdays'])} {span}" if quiet["weekdays"] else span


def days_in_words(days: Sequence[str]) -> str:
    """`daily`, or `tue,thu`."""
    return "daily" if len(days) == len(DAYS) else ",".join(day[:3].lower() for day in days)
