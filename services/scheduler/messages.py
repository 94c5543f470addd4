"""Between the messages of the proto and the dataclasses of the domain. No decision is made here."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit.timestamps import from_timestamp, to_timestamp
from services.scheduler import domain

_AMBIGUOUS = {
    pb.AMBIGUOUS_TIME_EARLIER: domain.AmbiguousTime.EARLIER,
    pb.AMBIGUOUS_TIME_LATER: domain.AmbiguousTime.LATER,
}
_VISIBILITY = {
    pb.VISIBILITY_PUBLIC: domain.Visibility.PUBLIC,
    pb.VISIBILITY_PRIVATE: domain.Visibility.PRIVATE,
}


def schedule_from(message: pb.PostDraft, now: datetime) -> domain.Schedule:
    """When the author wants it. Raises what `domain.resolve` raises."""
    ambiguous = _AMBIGUOUS.get(message.ambiguous_time)
    return domain.resolve(message.local_time, message.time_zone, ambiguous, now)


def draft_from(message: pb.PostDraft, schedule: domain.Schedule) -> domain.Draft:
    """What the author decided. Raises AccountRepeated."""
    return domain.Draft(
        channel=message.channel,
        account_ids=domain.distinct_accounts([UUID(account_id) for account_id in message.account_ids]),
        caption=message.caption,
        media=tuple(domain.Media(media.media_asset_id, media.sha256, media.mime_type) for media in message.media),
        schedule=schedule,
        options=options_from(message.options),
        ref=message.ref,
    )


def draft_to(draft: domain.Draft) -> pb.PostDraft:
    """A stored draft as its author would send it again."""
    return pb.PostDraft(
        channel=draft.channel,
        account_ids=[str(account_id) for account_id in draft.account_ids],
        caption=draft.caption,
        media=media_to(draft.media),
        local_time=draft.schedule.local_time.isoformat(timespec="seconds"),
        time_zone=draft.schedule.time_zone,
        ambiguous_time=pb.AMBIGUOUS_TIME_LATER if draft.schedule.fold else pb.AMBIGUOUS_TIME_UNSPECIFIED,
        options=options_to(draft.options),
        ref=draft.ref,
    )


def options_from(message: pb.PostOptions) -> dict[str, dict[str, str | int | bool]]:
    """Each platform's choices by their names; a platform that is not set is left out."""
    return {
        platform.name: {field.name: getattr(choices, field.name) for field in choices.DESCRIPTOR.fields}
        for platform, choices in message.ListFields()
    }


def options_to(options: dict[str, dict[str, str | int | bool]]) -> pb.PostOptions:
    """The message of stored choices; choices that this version does not know are left out."""
    message = pb.PostOptions()
    for name, choices in options.items():
        if name in message.DESCRIPTOR.fields_by_name:
            part = getattr(message, name)
            part.SetInParent()
            for field, value in choices.items():
                if field in part.DESCRIPTOR.fields_by_name:
                    setattr(part, field, value)
    return message


def post_to(post: domain.Post) -> pb.Post:
    """A post as the proto shows it."""
    draft = post.draft
    return pb.Post(
        post_id=str(post.post_id),
        workspace_id=str(post.workspace_id),
        channel=draft.channel,
        caption=draft.caption,
        media=media_to(draft.media),
        local_time=draft.schedule.local_time.isoformat(timespec="seconds"),
        time_zone=draft.schedule.time_zone,
        schedule_time=to_timestamp(draft.schedule.instant),
        options=options_to(draft.options),
        deliveries=[delivery_to(delivery) for delivery in post.deliveries],
        etag=post.etag,
        create_time=to_timestamp(post.create_time),
        update_time=to_timestamp(post.update_time),
        ref=draft.ref,
    )


def planned_to(workspace_id: str, draft: domain.Draft) -> pb.Post:
    """What a draft would become: a post without ids."""
    return pb.Post(
        workspace_id=workspace_id,
        channel=draft.channel,
        caption=draft.caption,
        media=media_to(draft.media),
        local_time=draft.schedule.local_time.isoformat(timespec="seconds"),
        time_zone=draft.schedule.time_zone,
        schedule_time=to_timestamp(draft.schedule.instant),
        options=options_to(draft.options),
        deliveries=[
            pb.Delivery(
                account_id=str(account_id),
                state=pb.DELIVERY_STATE_SCHEDULED,
                due_time=to_timestamp(draft.schedule.instant),
            )
            for account_id in draft.account_ids
        ],
        ref=draft.ref,
    )


def media_to(media: tuple[domain.Media, ...]) -> list[pb.PostMedia]:
    """Media references as messages."""
    return [
        pb.PostMedia(media_asset_id=item.media_asset_id, sha256=item.sha256, mime_type=item.mime_type) for item in media
    ]


def delivery_to(delivery: domain.Delivery) -> pb.Delivery:
    """A delivery as the proto shows it."""
    return pb.Delivery(
        delivery_id=str(delivery.delivery_id),
        post_id=str(delivery.post_id),
        account_id=str(delivery.account_id),
        state=pb.DeliveryState.Value(f"DELIVERY_STATE_{delivery.state.value}"),
        due_time=to_timestamp(delivery.due_time),
        attempt=delivery.attempt,
        platform_post_id=delivery.platform_post_id,
        url=delivery.url,
        visibility=(
            pb.Visibility.Value(f"VISIBILITY_{delivery.visibility.value}")
            if delivery.visibility
            else pb.VISIBILITY_UNSPECIFIED
        ),
        publish_time=to_timestamp(delivery.publish_time) if delivery.publish_time else None,
        failure_reason=delivery.failure_reason,
        failure_message=delivery.failure_message,
        update_time=to_timestamp(delivery.update_time),
    )


def claimed_to(claimed: domain.Claimed) -> pb.ClaimedDelivery:
    """A claimed delivery as the publisher gets it."""
    return pb.ClaimedDelivery(
        workspace_id=str(claimed.workspace_id),
        delivery_id=str(claimed.delivery_id),
        post_id=str(claimed.post_id),
        account_id=str(claimed.account_id),
        attempt=claimed.attempt,
        due_time=to_timestamp(claimed.due_time),
        lease_expire_time=to_timestamp(claimed.lease_expire_time),
        caption=claimed.caption,
        media=media_to(claimed.media),
        options=options_to(claimed.options),
        post_etag=claimed.etag,
    )


def failure_from(message: pb.Failure) -> domain.Failure:
    """Why an attempt failed."""
    return domain.Failure(
        kind=domain.FailureKind[pb.FailureKind.Name(message.kind).removeprefix("FAILURE_KIND_")],
        reason=message.reason,
        message=message.message,
        retry_time=from_timestamp(message.retry_time, "failure.retry_time") if message.HasField("retry_time") else None,
    )


def visibility_from(value: pb.Visibility.ValueType) -> domain.Visibility:
    """Who sees it."""
    return _VISIBILITY[value]


def state_from(value: pb.DeliveryState.ValueType) -> domain.DeliveryState | None:
    """A state to filter by; None for UNSPECIFIED."""
    if value == pb.DELIVERY_STATE_UNSPECIFIED:
        return None
    return domain.DeliveryState[pb.DeliveryState.Name(value).removeprefix("DELIVERY_STATE_")]
