"""Telling notification what happened: an outbox row per activity, or one for those of a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from reelroute.notification.v1 import notification_pb2

from kit.db import new_id
from kit.outbox import Notice

_SERVICE = "/reelroute.notification.v1.NotificationService"
_BATCH = 1000  # RecordActivities takes so many
# What belongs to the whole installation and to no workspace is told under this id.
INSTALLATION = UUID(int=0)


def activity(
    workspace_id: UUID,
    kind: str,
    summary: str,
    time: datetime,
    *,
    post_id: UUID | None = None,
    delivery_id: UUID | None = None,
    account_id: UUID | None = None,
    attributes: Mapping[str, str] = MappingProxyType({}),
) -> Notice:
    """An activity to store: `kind` is noun.verb, `summary` one sentence for a person, without secrets.

    Activities of one post (else of one account, else of the workspace) arrive in the order in which they were written.
    """
    request = activity_request(
        workspace_id, kind, summary, time,
        post_id=post_id, delivery_id=delivery_id, account_id=account_id, attributes=attributes,
    )  # fmt: skip
    return Notice(
        workspace_id, post_id or account_id or workspace_id, "notification", f"{_SERVICE}/RecordActivity", request
    )


def activity_request(
    workspace_id: UUID,
    kind: str,
    summary: str,
    time: datetime,
    *,
    post_id: UUID | None = None,
    delivery_id: UUID | None = None,
    account_id: UUID | None = None,
    attributes: Mapping[str, str] = MappingProxyType({}),
) -> notification_pb2.RecordActivityRequest:
    """The same as a message, for `activities`."""
    request = notification_pb2.RecordActivityRequest(
        workspace_id=str(workspace_id),
        request_id=str(new_id()),
        type=kind,
        summary=summary[:2000],
        post_id=str(post_id or ""),
        delivery_id=str(delivery_id or ""),
        account_id=str(account_id or ""),
        attributes={name: value for name, value in attributes.items() if value},
    )
    request.activity_time.FromDatetime(time)
    return request


def activities(requests: Sequence[notification_pb2.RecordActivityRequest]) -> list[Notice]:
    """Many activities, also of several workspaces, in as few outbox rows as possible.

    They may arrive in any order; the feed shows them by their own times.
    """
    owners = {request.workspace_id for request in requests}
    # A transaction that sees one workspace writes rows of that workspace only.
    owner = UUID(owners.pop()) if len(owners) == 1 else INSTALLATION
    return [
        Notice(
            owner,
            new_id(),
            "notification",
            f"{_SERVICE}/RecordActivities",
            notification_pb2.RecordActivitiesRequest(activities=requests[start : start + _BATCH]),
        )
        for start in range(0, len(requests), _BATCH)
    ]
