"""What happened, and what people were told of it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from reelroute.notification.v1 import notification_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import AnswerModel, instant_of, shown, word_of, words_of


class Activity(AnswerModel):
    """Something that happened."""

    activity_id: str
    activity_time: datetime | None
    type: str = Field(description="`noun.verb`: `delivery.published`.")
    summary: str
    post_id: str | None = Field(description="What it is about; null where it does not apply.")
    delivery_id: str | None
    account_id: str | None
    attributes: dict[str, str] = Field(description="Further facts, for programs.")

    @classmethod
    def of(cls, activity: pb.Activity) -> Activity:
        """From notification."""
        return cls(
            activity_id=activity.activity_id,
            activity_time=instant_of(activity, "activity_time"),
            type=activity.type,
            summary=activity.summary,
            post_id=activity.post_id or None,
            delivery_id=activity.delivery_id or None,
            account_id=activity.account_id or None,
            attributes=dict(activity.attributes),
        )


class ActivityList(AnswerModel):
    """A page of activities, newest first unless asked otherwise."""

    model_config = shown(examples.page("activities", examples.ACTIVITY))

    activities: list[Activity]
    next_page_token: str = Field(description="Empty on the last page.")


class MessageSend(AnswerModel):
    """One message to one target."""

    target: str = Field(description="The target's name in the configuration.")
    state: str | None = Field(json_schema_extra={"enum": [*words_of(pb.MessageSendState, "MESSAGE_SEND_STATE_"), None]})
    attempts: int
    last_error: str = Field(description="Why the last attempt failed; empty after success.")
    send_time: datetime | None


class Message(AnswerModel):
    """Something that a person should know."""

    message_id: str
    activity_id: str
    post_id: str | None
    severity: str | None = Field(json_schema_extra={"enum": [*words_of(pb.Severity, "SEVERITY_"), None]})
    title: str
    body: str
    create_time: datetime | None
    sends: list[MessageSend]

    @classmethod
    def of(cls, message: pb.Message) -> Message:
        """From notification."""
        return cls(
            message_id=message.message_id,
            activity_id=message.activity_id,
            post_id=message.post_id or None,
            severity=word_of(pb.Severity, "SEVERITY_", message.severity),
            title=message.title,
            body=message.body,
            create_time=instant_of(message, "create_time"),
            sends=[
                MessageSend(
                    target=each.target,
                    state=word_of(pb.MessageSendState, "MESSAGE_SEND_STATE_", each.state),
                    attempts=each.attempts,
                    last_error=each.last_error,
                    send_time=instant_of(each, "send_time"),
                )
                for each in message.sends
            ],
        )


class MessageList(AnswerModel):
    """A page of messages, newest first."""

    model_config = shown(examples.page("messages", examples.MESSAGE))

    messages: list[Message]
    next_page_token: str = Field(description="Empty on the last page.")
