"""Instants as messages and back. Ours are datetimes in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from kit.errors import InvalidArgument

_EPOCH = datetime.fromtimestamp(0, UTC)


def to_timestamp(instant: datetime) -> Timestamp:
    """An instant as a message."""
    # As Timestamp.FromDatetime, in a quarter of its time: a list has some thousands.
    since = instant - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def optional_timestamp(instant: datetime | None) -> Timestamp | None:
    """The same of what may be lacking: a field of a message that is given None stays absent."""
    return None if instant is None else to_timestamp(instant)


def set_timestamp(message: Timestamp, instant: datetime) -> None:
    """The same into a message that is there, such as a field of another."""
    since = instant - _EPOCH
    message.seconds = since.days * 86_400 + since.seconds
    message.nanos = since.microseconds * 1000


def from_timestamp(message: Timestamp, field: str) -> datetime:
    """A message as an instant in UTC. Raises InvalidArgument, naming the field, for one outside the years 1 to 9999."""
    try:
        # As Timestamp.ToDatetime, in half of its time.
        return _EPOCH + timedelta(0, message.seconds, message.nanos // 1000)
    except OverflowError:
        raise InvalidArgument.of_field(field, "The instant is outside of the calendar's years 1 to 9999.") from None
