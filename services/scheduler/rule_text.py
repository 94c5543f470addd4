"""The text of recurrence rules: read with errors that name the part at fault, and said in words. Pure."""

from __future__ import annotations

import enum
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time

from cronsim import CronSim

MOST_COUNT = 10_000
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last"}
# Lowest and highest value of each list of numbers. Where the lowest is negative it counts from the end, and 0 is none.
_RANGES = {
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYHOUR": (0, 23),
    "BYMINUTE": (0, 59),
    "BYSECOND": (0, 59),
    "BYSETPOS": (-366, 366),
}
_PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_RANGES)
_TIMES_IN_WORDS = 6


class Freq(enum.Enum):
    """How often a rule's period comes."""

    YEARLY = "YEARLY"
    MONTHLY = "MONTHLY"
    WEEKLY = "WEEKLY"
    DAILY = "DAILY"
    HOURLY = "HOURLY"


# What RFC 5545 does not allow with some frequencies, and BYSETPOS, which would choose among the minutes of an hour.
_ONLY_WITH = {
    "BYWEEKNO": (Freq.YEARLY,),
    "BYYEARDAY": (Freq.YEARLY, Freq.HOURLY),
    "BYMONTHDAY": (Freq.YEARLY, Freq.MONTHLY, Freq.DAILY, Freq.HOURLY),
    "BYSETPOS": (Freq.YEARLY, Freq.MONTHLY, Freq.WEEKLY, Freq.DAILY),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a rule. `days` are (weekday from Monday as 0, which one of the period or 0 for each); `by` has the
    lists of numbers under their names.
    """

    freq: Freq
    days: tuple[tuple[int, int], ...]
    by: Mapping[str, tuple[int, ...]]
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    until_is_utc: bool = False
    wkst: int = 0

    def anchored(self, start: datetime) -> Parts:
        """With what the text leaves open taken from the start, as RFC 5545 says."""
        by, days = dict(self.by), self.days
        if not days and not by.keys() & {"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"}:
            match self.freq:
                case Freq.YEARLY:
                    by.setdefault("BYMONTH", (start.month,))
                    by["BYMONTHDAY"] = (start.day,)
                case Freq.MONTHLY:
                    by["BYMONTHDAY"] = (start.day,)
                case Freq.WEEKLY:
                    days = ((start.weekday(), 0),)
        if not days and "BYWEEKNO" in by:
            days = ((start.weekday(), 0),)
        if self.freq is not Freq.HOURLY:
            by.setdefault("BYHOUR", (start.hour,))
        by.setdefault("BYMINUTE", (start.minute,))
        by.setdefault("BYSECOND", (start.second,))
        return replace(self, by=by, days=days)

    @property
    def times_a_day(self) -> int:
        """At most so many; of a rule that is anchored."""
        return math.prod(len(self.by.get(name, range(24))) for name in ("BYHOUR", "BYMINUTE", "BYSECOND"))


def parse(text: str) -> Parts:
    """Reads a rule. Raises ValueError with a sentence for its author, which names the part at fault."""
    given: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if name in ("DTSTART", "RDATE", "EXDATE") or "\n" in part:
            raise ValueError(f"{part!r} is no part of a rule. Its start is start_time; occurrences are skipped later.")
        if name not in _PARTS or not equals:
            raise ValueError(f"{part!r} is no part of a rule. A rule is like FREQ=WEEKLY;BYDAY=TU,TH and has the parts"
                             f" {', '.join(_PARTS)}.")  # fmt: skip
        if name in given:
            raise ValueError(f"{name} comes twice. Give it once; several values stand with commas between them.")
        given[name] = value
    freq = _freq(given)
    most = 53 if freq is Freq.YEARLY and "BYMONTH" not in given else 5
    days = tuple(_day(each, freq, most) for each in given["BYDAY"].split(",")) if "BYDAY" in given else ()
    by = {name: _numbers(name, given[name]) for name in _RANGES if name in given}
    for name, allowed in _ONLY_WITH.items():
        if name in by and freq not in allowed:
            names = " or ".join(each.value for each in allowed)
            raise ValueError(f"{name} does not go with FREQ={freq.value}. It goes with {names}.")
    if "BYSETPOS" in by and not days and len(by) == 1:
        raise ValueError("BYSETPOS chooses among the times of other BY parts. Add one, such as BYDAY, or leave it out.")
    if "COUNT" in given and "UNTIL" in given:
        raise ValueError("COUNT and UNTIL do not go together. Leave one of them out.")
    until, until_is_utc = _until(given["UNTIL"]) if "UNTIL" in given else (None, False)
    return Parts(
        freq=freq,
        days=days,
        by=by,
        interval=_number("INTERVAL", given.get("INTERVAL", "1"), 1, 1000),
        count=_number("COUNT", given["COUNT"], 1, MOST_COUNT) if "COUNT" in given else None,
        until=until,
        until_is_utc=until_is_utc,
        wkst=_weekday("WKST", given.get("WKST", "MO")),
    )


def _freq(given: Mapping[str, str]) -> Freq:
    accepted = ", ".join(each.value for each in Freq)
    if "FREQ" not in given:
        raise ValueError(f"The rule has no FREQ. Begin with FREQ= and one of {accepted}.")
    try:
        return Freq(given["FREQ"])
    except ValueError:
        raise ValueError(f"FREQ={given['FREQ']} is not accepted. Use one of {accepted}.") from None


def _day(text: str, freq: Freq, most: int) -> tuple[int, int]:
    found = re.fullmatch(r"([+-]?\d{1,2})?([A-Z]{2})", text)
    if found is None:
        raise ValueError(f"BYDAY={text} is no day. Use {', '.join(_DAYS)}, in months and years also 1MO or -1FR.")
    nth = int(found[1] or 0)
    if found[1] and freq not in (Freq.MONTHLY, Freq.YEARLY):
        raise ValueError(f"BYDAY={text}: only FREQ=MONTHLY and YEARLY count days. Leave the number out.")
    if found[1] and not 1 <= abs(nth) <= most:
        raise ValueError(f"BYDAY={text}: the number is from 1 to {most}, or from -1 to -{most} counted from the end.")
    return _weekday("BYDAY", found[2]), nth


def _weekday(name: str, text: str) -> int:
    if text not in _DAYS:
        raise ValueError(f"{name}={text} is no day. Use {', '.join(_DAYS)}.")
    return _DAYS.index(text)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    low, high = _RANGES[name]
    return tuple(sorted({_number(name, each, low, high) for each in text.split(",")}))


def _number(name: str, text: str, low: int, high: int) -> int:
    number = int(text) if re.fullmatch(r"[+-]?\d{1,5}", text) else None
    if number is None or not low <= number <= high or (low < 0 and number == 0):
        accepted = f"1 to {high}, or -1 to {low} counted from the end" if low < 0 else f"{low} to {high}"
        raise ValueError(f"{name}={text}: a whole number from {accepted} is accepted.")
    return number


def _until(text: str) -> tuple[datetime, bool]:
    """Its last time, and whether that is in UTC. A date is the whole day."""
    for form, last in (("%Y%m%d", time(23, 59, 59)), ("%Y%m%dT%H%M%S", None), ("%Y%m%dT%H%M%SZ", None)):
        try:
            until = datetime.strptime(text, form)  # noqa: DTZ007 - a wall-clock time
        except ValueError:
            continue
        return (until if last is None else datetime.combine(until, last)), form.endswith("Z")
    raise ValueError(f"UNTIL={text} is no date. Use UNTIL=20270331, or UNTIL=20270331T235959.")


def with_count(text: str, count: int) -> str:
    """The same rule with another COUNT."""
    return re.sub(r"(?i)COUNT=\+?\d+", f"COUNT={count}", text)


def describe(parts: Parts) -> str:
    """When an anchored rule recurs, in words; empty for one that a sentence would not make clearer."""
    if parts.by.keys() & {"BYSETPOS", "BYYEARDAY", "BYWEEKNO"}:
        return ""
    days, at = _days_in_words(parts), _times_in_words(parts)
    return f"{days}{at}" if days and at else ""


def describe_end(parts: Parts) -> str:
    """When it ends, in words; empty for a rule without end."""
    if parts.until is not None:
        return f", until {parts.until:%Y-%m-%d %H:%M}{' UTC' if parts.until_is_utc else ''}"
    return "" if parts.count is None else f", {parts.count} times"


def _days_in_words(parts: Parts) -> str:
    months = parts.by.get("BYMONTH", ())
    in_months = f" in {_list(_MONTH_NAMES[each - 1] for each in months)}" if months else ""
    dates = parts.by.get("BYMONTHDAY", ())
    if parts.freq is Freq.YEARLY:
        if len(months) != 1 or parts.days or min(dates, default=0) < 1:
            return ""
        return f"{_every(parts, 'year')} on {_list(str(each) for each in dates)} {_MONTH_NAMES[months[0] - 1]}"
    if parts.freq is Freq.MONTHLY:
        if bool(parts.days) == bool(dates):
            return ""
        on = _dates_in_words(dates) if dates else _counted_days_in_words(parts.days)
        return f"{_every(parts, 'month')} on {on}{in_months}" if on else ""
    if dates or (parts.freq is Freq.HOURLY and (parts.days or months or "BYHOUR" in parts.by)):
        return ""
    if parts.freq is Freq.HOURLY:
        return _every(parts, "hour")
    named = sorted({day for day, _ in parts.days})
    if parts.freq is Freq.WEEKLY and parts.interval > 1:
        return f"every {parts.interval} weeks on {_list(_DAY_NAMES[each] for each in named)}{in_months}"
    if len(named) in (0, 7):
        return f"{_every(parts, 'day')}{in_months}"
    if parts.interval > 1:
        return ""
    return f"every {_list(_DAY_NAMES[each] for each in named)}{in_months}"


def _every(parts: Parts, period: str) -> str:
    return f"every {period}" if parts.interval == 1 else f"every {parts.interval} {period}s"


def _dates_in_words(dates: Sequence[int]) -> str:
    if tuple(dates) == (-1,):
        return "the last day"
    return "" if min(dates) < 1 else f"day {_list(str(each) for each in dates)}"


def _counted_days_in_words(days: Sequence[tuple[int, int]]) -> str:
    if any(nth not in _ORDINALS for _, nth in days):
        return ""
    return _list(f"the {_ORDINALS[nth]} {_DAY_NAMES[day]}" for day, nth in days)


def _times_in_words(parts: Parts) -> str:
    if parts.freq is Freq.HOURLY:
        minutes = parts.by["BYMINUTE"]
        if parts.by["BYSECOND"] != (0,) or len(minutes) > _TIMES_IN_WORDS:
            return ""
        return f" at minute {_list(str(each) for each in minutes)}"
    if parts.times_a_day > _TIMES_IN_WORDS:
        return ""
    return _at(itertools.product(parts.by["BYHOUR"], parts.by["BYMINUTE"], parts.by["BYSECOND"]))


def _at(times: Iterable[tuple[int, int, int]]) -> str:
    return f" at {_list(f'{h:02}:{m:02}' + (f':{s:02}' if s else '') for h, m, s in sorted(times))}"


def describe_cron(cron: CronSim) -> str:
    """A cron expression in words."""
    is_plain = all(isinstance(each, int) and each >= 0 for each in (*cron.days, *cron.weekdays))
    if is_plain and len(cron.days) == 31 and len(cron.months) == 12:
        named = sorted({(each - 1) % 7 for each in cron.weekdays if isinstance(each, int)})
        if len(cron.hours) * len(cron.minutes) <= _TIMES_IN_WORDS:
            days = "every day" if len(named) == 7 else f"every {_list(_DAY_NAMES[each] for each in named)}"
            return days + _at((hour, minute, 0) for hour in cron.hours for minute in cron.minutes)
    said = cron.explain()
    return said[0].lower() + said[1:]


def _list(words: Iterable[str]) -> str:
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
