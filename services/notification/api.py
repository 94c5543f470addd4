"""The RPCs of notification: translate in, one transaction, translate out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import grpc
from reelroute.notification.v1 import notification_pb2 as pb
from reelroute.notification.v1 import notification_pb2_grpc

from kit.db import Database
from kit.paging import Page
from kit.timestamps import from_timestamp, to_timestamp
from services.notification import store
from services.notification.domain import Activity, Facts, Message, Send, SendState, Severity, is_told, message_of

_PAGE_KEY = (datetime, UUID)
_SEVERITIES = {Severity.INFO: pb.SEVERITY_INFO, Severity.PROBLEM: pb.SEVERITY_PROBLEM}
_STATES = {
    SendState.WAITING: pb.MESSAGE_SEND_STATE_WAITING,
    SendState.SENT: pb.MESSAGE_SEND_STATE_SENT,
    SendState.FAILED: pb.MESSAGE_SEND_STATE_FAILED,
}


class NotificationApi(notification_pb2_grpc.NotificationServiceServicer):
    """Answers the calls. `targets` are the names of those who are told."""

    def __init__(self, database: Database, targets: Collection[str]) -> None:
        self._database = database
        self._targets = tuple(targets)

    def RecordActivity(
        self, request: pb.RecordActivityRequest, context: grpc.ServicerContext
    ) -> pb.RecordActivityResponse:
        """Keeps an activity, and the message that follows from it."""
        facts = _facts(request)
        with self._database.transaction(facts.workspace_id) as tx:
            activity_id, is_new = store.insert_activity(tx, facts)
            if is_new and is_told(facts):
                draft = message_of(facts, store.account_attributes(tx, facts))
                store.insert_message(tx, activity_id, facts, draft, self._targets)
        return pb.RecordActivityResponse(activity_id=str(activity_id))

    def ListActivities(
        self, request: pb.ListActivitiesRequest, context: grpc.ServicerContext
    ) -> pb.ListActivitiesResponse:
        """A page of what happened."""
        page = Page.parse(request.page_size, request.page_token, _PAGE_KEY)
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            found = store.list_activities(
                tx, workspace_id, page, post_id=_id(request.post_id), oldest_first=request.oldest_first
            )
        response = pb.ListActivitiesResponse(activities=[_activity(activity) for activity in found[: page.size]])
        if len(found) > page.size:
            last = found[page.size - 1]
            response.next_page_token = Page.token(last.facts.activity_time, last.activity_id)
        return response

    def ListMessages(self, request: pb.ListMessagesRequest, context: grpc.ServicerContext) -> pb.ListMessagesResponse:
        """A page of messages, with what became of each target."""
        page = Page.parse(request.page_size, request.page_token, _PAGE_KEY)
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            found = store.list_messages(tx, workspace_id, page, post_id=_id(request.post_id))
        response = pb.ListMessagesResponse(messages=[_message(message) for message in found[: page.size]])
        if len(found) > page.size:
            last = found[page.size - 1]
            response.next_page_token = Page.token(last.create_time, last.message_id)
        return response


def _facts(request: pb.RecordActivityRequest) -> Facts:
    return Facts(
        workspace_id=UUID(request.workspace_id),
        request_id=request.request_id,
        activity_time=from_timestamp(request.activity_time, "activity_time"),
        type=request.type,
        summary=request.summary,
        post_id=_id(request.post_id),
        delivery_id=_id(request.delivery_id),
        account_id=_id(request.account_id),
        attributes=dict(request.attributes),
    )


def _id(value: str) -> UUID | None:
    return UUID(value) if value else None


def _activity(activity: Activity) -> pb.Activity:
    facts = activity.facts
    return pb.Activity(
        activity_id=str(activity.activity_id),
        workspace_id=str(facts.workspace_id),
        activity_time=to_timestamp(facts.activity_time),
        create_time=to_timestamp(activity.create_time),
        type=facts.type,
        summary=facts.summary,
        post_id=str(facts.post_id or ""),
        delivery_id=str(facts.delivery_id or ""),
        account_id=str(facts.account_id or ""),
        attributes=dict(facts.attributes),
    )


def _message(message: Message) -> pb.Message:
    return pb.Message(
        message_id=str(message.message_id),
        workspace_id=str(message.workspace_id),
        activity_id=str(message.activity_id),
        post_id=str(message.post_id or ""),
        severity=_SEVERITIES[message.draft.severity],
        title=message.draft.title,
        body=message.draft.body,
        create_time=to_timestamp(message.create_time),
        sends=[_send(send) for send in message.sends],
    )


def _send(send: Send) -> pb.MessageSend:
    return pb.MessageSend(
        target=send.target,
        state=_STATES[send.state],
        attempts=send.attempts,
        last_error=send.last_error,
        send_time=to_timestamp(send.send_time) if send.send_time else None,
    )
