"""What the publisher has in its database, for tests that look."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from reelroute.notification.v1 import notification_pb2
from reelroute.scheduler.v1 import scheduler_pb2
from sqlalchemy import text

from kit.db import ALL_WORKSPACES, Database


def rows(database: Database, table: str, **where: Any) -> list[dict[str, Any]]:
    condition = " AND ".join(["true", *(f"{column} = :{column}" for column in where)])
    statement = text(f"SELECT * FROM {table} WHERE {condition} ORDER BY 1, 2")
    with database.transaction(ALL_WORKSPACES) as tx:
        return [dict(row) for row in tx.execute(statement, where).mappings()]


def everything(database: Database) -> list[list[dict[str, Any]]]:
    return [rows(database, table) for table in ("publications", "attempts", "attempt_entries", "outbox")]


def reports(database: Database, **where: Any) -> list[scheduler_pb2.DeliveryReport]:
    """What waits for the scheduler about deliveries, in the order of writing."""
    found: list[scheduler_pb2.DeliveryReport] = []
    for row in rows(database, "outbox", **where):
        if row["method"].endswith("/ReportDeliveries"):
            found += scheduler_pb2.ReportDeliveriesRequest.FromString(bytes(row["request"])).reports
    return found


def outcomes(database: Database, **where: Any) -> list[tuple[str, int]]:
    """The same as words: the outcome ("failure": its kind) and the attempt that it is told for."""
    return [(_word(report), report.attempt) for report in reports(database, **where)]


def _word(report: scheduler_pb2.DeliveryReport) -> str:
    if report.HasField("failure"):
        return scheduler_pb2.FailureKind.Name(report.failure.kind).removeprefix("FAILURE_KIND_")
    return str(report.WhichOneof("outcome"))


def activities(database: Database) -> list[notification_pb2.RecordActivityRequest]:
    """What waits for the feed."""
    found: list[notification_pb2.RecordActivityRequest] = []
    for row in rows(database, "outbox"):
        request = bytes(row["request"])
        if row["method"].endswith("/RecordActivity"):
            found.append(notification_pb2.RecordActivityRequest.FromString(request))
        elif row["method"].endswith("/RecordActivities"):
            found += notification_pb2.RecordActivitiesRequest.FromString(request).activities
    return found


def holds(database: Database) -> list[tuple[str, str]]:
    """Holds that are placed and lifted at the scheduler: the method and the target."""
    found = []
    for row in rows(database, "outbox"):
        method = row["method"].rpartition("/")[2]
        if method == "PlaceHold":
            found.append((method, scheduler_pb2.PlaceHoldRequest.FromString(bytes(row["request"])).target))
        elif method == "LiftHold":
            found.append((method, scheduler_pb2.LiftHoldRequest.FromString(bytes(row["request"])).target))
    return found


def pass_time(database: Database, time: timedelta) -> None:
    """So much time passes for everything that waits for a platform's word."""
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text(
                "UPDATE publications SET next_check_time = next_check_time - :time, accept_time = accept_time - :time,"
                " doubt_time = doubt_time - :time, commit_time = commit_time - :time"
            ),
            {"time": time},
        )
