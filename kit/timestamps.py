"""Instants as messages and back. Ours are datetimes in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from kit.errors import InvalidArgument


def to_timestamp(instant: datetime) -> Timestamp:
    """An instant as a message."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def from_timestamp(message: Timestamp, field: str) -> datetime:
    """A message as an instant in UTC. Raises InvalidArgument, naming the field, for one outside the years 1 to 9999."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument.of_field(field, "The instant is outside of the calendar's years 1 to 9999.") from None
