"""The RPCs of notification: translate in, one transaction, translate out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import grpc
import protovalidate
from reelroute.notification.v1 import notification_pb2 as pb
from reelroute.notification.v1 import notification_pb2_grpc

from kit import rpc_server
from kit.db import ALL_WORKSPACES, Database
from kit.errors import InvalidArgument, ReelrouteError
from kit.paging import Page
from kit.timestamps import from_timestamp, optional_timestamp, to_timestamp
from services.notification import store, telling
from services.notification.domain import Activity, Facts, Message, RequestIdReused, Send, SendState, Severity

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
        self._validator = protovalidate.Validator()

    def RecordActivity(
        self, request: pb.RecordActivityRequest, context: grpc.ServicerContext
    ) -> pb.RecordActivityResponse:
        """Keeps an activity, and the message that follows from it."""
        facts = _facts(request)
        with self._database.transaction(facts.workspace_id) as tx:
            (activity_id,) = telling.record(tx, [facts], self._targets)
            if activity_id is None:
                raise _reused(facts)
        return pb.RecordActivityResponse(activity_id=str(activity_id))

    def RecordActivities(
        self, request: pb.RecordActivitiesRequest, context: grpc.ServicerContext
    ) -> pb.RecordActivitiesResponse:
        """Keeps activities of any workspaces, and the messages that follow from them; names those that it refuses."""
        refusals: list[tuple[int, ReelrouteError]] = []
        taken: list[tuple[int, Facts]] = []
        for index, each in enumerate(request.activities):
            try:
                self._check(each)
                taken.append((index, _facts(each)))
            except InvalidArgument as refusal:
                refusals.append((index, refusal))
        if taken:
            with self._database.transaction(ALL_WORKSPACES) as tx:
                ids = telling.record(tx, [facts for _, facts in taken], self._targets)
            refusals += [
                (index, _reused(facts)) for (index, facts), kept in zip(taken, ids, strict=True) if kept is None
            ]
        return pb.RecordActivitiesResponse(
            refusals=[
                pb.ActivityRefusal(index=index, reason=refusal.reason, message=refusal.message)
                for index, refusal in sorted(refusals, key=lambda each: each[0])
            ]
        )

    def _check(self, message: pb.RecordActivityRequest) -> None:
        violations = rpc_server.check(self._validator, message)
        if violations:
            raise InvalidArgument(f"{violations[0].field}: {violations[0].description}", violations)

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
        shown, token = page.cut(found, lambda activity: (activity.facts.activity_time, activity.activity_id))
        return pb.ListActivitiesResponse(activities=[_activity(activity) for activity in shown], next_page_token=token)

    def ListMessages(self, request: pb.ListMessagesRequest, context: grpc.ServicerContext) -> pb.ListMessagesResponse:
        """A page of messages, with what became of each target."""
        page = Page.parse(request.page_size, request.page_token, _PAGE_KEY)
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            found = store.list_messages(tx, workspace_id, page, post_id=_id(request.post_id))
        shown, token = page.cut(found, lambda message: (message.create_time, message.message_id))
        return pb.ListMessagesResponse(messages=[_message(message) for message in shown], next_page_token=token)


def _reused(facts: Facts) -> RequestIdReused:
    return RequestIdReused(
        "This request id was already used for another activity. Use a new one for a new activity.",
        metadata={"request_id": facts.request_id},
    )


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
        send_time=optional_timestamp(send.send_time),
    )
