"""A calendar of events: one for each post, at its wall-clock time in its zone, whose rules stand in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Event, Timezone, TimezoneDaylight, TimezoneStandard, vText, vUri

from services.gateway.calendars.entries import CELLS
from services.gateway.calendars.posts import Post, cells

_HEAD = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Reelroute//Content calendar//EN")
# An event needs some length to be seen; a post has none.
_LENGTH = timedelta(minutes=15)
_SUMMARY_CHARACTERS = 60
# What events have properties of their own for.
_OTHERWISE = ("local_date", "local_time", "timezone", "caption", "hashtags", "media")
_YEARS_AHEAD = 3
_MOMENT = timedelta(seconds=1)


def write(posts: Iterable[Post], *, now: datetime) -> Iterator[bytes]:
    """The calendar, an event at a time; each zone before the first event in it."""
    yield "".join(f"{line}\r\n" for line in _HEAD).encode()
    zones: set[str] = set()
    for post in posts:
        if post.time_zone not in zones and post.time_zone != "UTC":
            zones.add(post.time_zone)
            # Posts come by time: the year before the first one begins the rules.
            year = post.schedule_time.year
            yield _zone(post.time_zone, year - 1, max(now.year, year) + _YEARS_AHEAD).to_ical()
        yield _event(post, now).to_ical()
    yield b"END:VCALENDAR\r\n"


def _zone(name: str, first_year: int, last_year: int) -> Timezone:
    """The zone's rules in these years, as the changes that they bring.

    The library can make one too, with onsets by the clock after the change; RFC 5545 wants them by the clock before it.
    """
    place = ZoneInfo(name)
    zone = Timezone()
    zone.add("TZID", name)
    begin = datetime(first_year, 1, 1, tzinfo=UTC)
    zone.add_component(_observance(place, begin, begin))
    day = begin
    while day.year <= last_year:
        after = day + timedelta(days=1)
        if _offset(place, day) != _offset(place, after):
            change = _change(place, day, after)
            zone.add_component(_observance(place, change - _MOMENT, change))
        day = after
    return zone


def _change(place: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second between the two at which the offset is another."""
    while after - before > _MOMENT:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if _offset(place, middle) == _offset(place, before):
            before = middle
        else:
            after = middle
    return after


def _observance(place: ZoneInfo, before: datetime, change: datetime) -> TimezoneDaylight | TimezoneStandard:
    local = change.astimezone(place)
    part = TimezoneDaylight() if local.dst() else TimezoneStandard()
    part.add("DTSTART", (change + _offset(place, before)).replace(tzinfo=None))
    part.add("TZOFFSETFROM", _offset(place, before))
    part.add("TZOFFSETTO", _offset(place, change))
    part.add("TZNAME", local.tzname() or place.key)
    return part


def _offset(place: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(place).utcoffset() or timedelta()


def _event(post: Post, now: datetime) -> Event:
    event = Event()
    event.add("UID", f"{post.post_id}@reelroute")
    event.add("DTSTAMP", now.astimezone(UTC))
    if post.time_zone == "UTC":
        event.add("DTSTART", post.wall_time.replace(tzinfo=UTC))
    else:
        event.add("DTSTART", post.wall_time, parameters={"TZID": post.time_zone})
    event.add("DURATION", _LENGTH)
    if title := post.caption.strip().partition("\n")[0][:_SUMMARY_CHARACTERS]:
        # Of a post without a caption there is no summary either, which would be read as one.
        event.add("SUMMARY", f"[{post.channel}] {title}" if post.channel else title)
        event.add("DESCRIPTION", post.caption)
    for name in post.media:
        event.add("ATTACH", vUri(name))
    for name, value in cells(post).items():
        if name in CELLS and name not in _OTHERWISE and value:
            event.add(f"X-REELROUTE-{name.upper().replace('_', '-')}", vText(value))
    if post.url:
        event.add("URL", vUri(post.url))
    return event
