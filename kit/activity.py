"""Telling notification what happened: an outbox row per activity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from reelroute.notification.v1 import notification_pb2

from kit.db import new_id
from kit.outbox import Notice

_METHOD = "/reelroute.notification.v1.NotificationService/RecordActivity"


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
    return Notice(workspace_id, post_id or account_id or workspace_id, "notification", _METHOD, request)
