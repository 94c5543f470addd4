"""Between the messages of the proto and the dataclasses of the domain. No decision is made here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import zip_longest
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from reelroute.scheduler.v1 import bulk_pb2
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit.errors import ReelrouteError
from kit.timestamps import from_timestamp, optional_timestamp, set_timestamp, to_timestamp
from services.scheduler import dispatch, domain, store, zones
from services.scheduler.conflicts import Conflict
from services.scheduler.dispatch_store import Held, Publication
from services.scheduler.store import Summary
from services.scheduler.upcoming_store import Upcoming

_AMBIGUOUS = {
    pb.AMBIGUOUS_TIME_EARLIER: domain.AmbiguousTime.EARLIER,
    pb.AMBIGUOUS_TIME_LATER: domain.AmbiguousTime.LATER,
}
_VISIBILITY = {
    pb.VISIBILITY_PUBLIC: domain.Visibility.PUBLIC,
    pb.VISIBILITY_PRIVATE: domain.Visibility.PRIVATE,
    pb.VISIBILITY_INBOX: domain.Visibility.INBOX,
}

_APPROVAL = {
    domain.Approval.NOT_NEEDED: pb.APPROVAL_UNSPECIFIED,
    domain.Approval.PENDING: pb.APPROVAL_PENDING,
    domain.Approval.APPROVED: pb.APPROVAL_APPROVED,
}
_STATE = {state.value: pb.DeliveryState.Value(f"DELIVERY_STATE_{state.value}") for state in domain.DeliveryState}
_LATE_ACTION = {pb.LateAction.Value(f"LATE_ACTION_{action.value}"): action for action in domain.LateAction}
_DUE_ACTION = {pb.DueAction.Value(f"DUE_ACTION_{action.value}"): action for action in domain.DueAction}
_DECISION = {
    pb.DECISION_PUBLISH: domain.DueAction.PUBLISH,
    pb.DECISION_NEXT_SLOT: domain.DueAction.NEXT_SLOT,
    pb.DECISION_DROP: domain.DueAction.DROP,
}
_SCOPE = {pb.HoldScope.Value(f"HOLD_SCOPE_{scope.value}"): scope for scope in domain.HoldScope}
_CAUSE = {pb.HoldCause.Value(f"HOLD_CAUSE_{cause.value}"): cause for cause in domain.HoldCause}


@lru_cache(maxsize=1000)
def _account_id(text: str) -> UUID:
    """Drafts by the thousand name few accounts."""
    return UUID(text)


def schedule_from(message: pb.PostDraft, now: datetime | None = None) -> domain.Schedule:
    """When the author wants it. Raises what `zones.read` raises, and with `now` what `zones.check_ahead` does."""
    schedule = zones.read(message.local_time, message.time_zone, _AMBIGUOUS.get(message.ambiguous_time))
    if now:
        zones.check_ahead(schedule, now)
    return schedule


def draft_from(message: pb.PostDraft, schedule: domain.Schedule) -> domain.Draft:
    """What the author decided. Raises AccountRepeated."""
    return domain.Draft(
        channel=message.channel,
        account_ids=domain.distinct_accounts([_account_id(each) for each in message.account_ids]),
        caption=message.caption,
        media=media_from(message.media),
        schedule=schedule,
        options=options_from(message.options),
        ref=message.ref,
        platforms=tuple(message.platforms),
        lateness=lateness_from(message.lateness) if message.HasField("lateness") else None,
        shingles=tuple(message.shingles),
        accept_conflicts=message.accept_conflicts,
    )


def media_from(media: Iterable[pb.PostMedia]) -> tuple[domain.Media, ...]:
    """Files as the author referred to them."""
    return tuple(
        domain.Media(each.media_asset_id, each.sha256, each.mime_type, tuple(each.frame_hashes)) for each in media
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
        platforms=draft.platforms if all(draft.platforms) else (),
        lateness=lateness_to(draft.lateness),
        shingles=draft.shingles,
        accept_conflicts=draft.accept_conflicts,
    )


def edited(draft: domain.Draft, values: pb.PostDraft, fields: Sequence[str]) -> pb.PostDraft:
    """A stored draft with some fields replaced."""
    message = draft_to(draft)
    new = pb.PostDraft()
    new.CopyFrom(values)
    for field in new.DESCRIPTOR.fields:
        if field.name in fields:
            message.ClearField(field.name)  # type: ignore[arg-type]
        else:
            new.ClearField(field.name)  # type: ignore[arg-type]
    message.MergeFrom(new)
    if "caption" in fields and "shingles" not in fields:
        message.ClearField("shingles")  # they are of the former words
    return message


def filter_from(message: pb.ListPostsRequest | bulk_pb2.PostFilter) -> domain.PostFilter:
    """Which posts are meant. Raises InvalidArgument for a time that cannot be."""
    return domain.PostFilter(
        from_time=from_timestamp(message.from_time, "from_time") if message.HasField("from_time") else None,
        until_time=from_timestamp(message.until_time, "until_time") if message.HasField("until_time") else None,
        channel=message.channel,
        account_id=UUID(message.account_id) if message.account_id else None,
        series_id=UUID(message.series_id) if message.series_id else None,
        state=state_from(message.delivery_state),
        post_ids=tuple(UUID(each) for each in message.post_ids),
        ref=message.ref,
    )


def approval_from(value: pb.Approval.ValueType) -> domain.Approval | None:
    """An approval to filter by; None for UNSPECIFIED."""
    return (
        None if value == pb.APPROVAL_UNSPECIFIED else domain.Approval(pb.Approval.Name(value).removeprefix("APPROVAL_"))
    )


def lateness_from(message: pb.Lateness) -> domain.Lateness:
    """A rule; what it leaves open is the default's."""
    seconds = message.max_lateness.ToTimedelta().total_seconds() if message.HasField("max_lateness") else None
    return domain.Lateness(
        max_seconds=domain.Lateness().max_seconds if seconds is None else int(seconds),
        action=_LATE_ACTION.get(message.late_action, domain.LateAction.ASK),
    )


def lateness_to(lateness: domain.Lateness | None) -> pb.Lateness | None:
    """A rule as the proto shows it."""
    if lateness is None:
        return None
    return pb.Lateness(
        max_lateness=Duration(seconds=lateness.max_seconds),
        late_action=pb.LateAction.Value(f"LATE_ACTION_{lateness.action.value}"),
    )


def options_from(message: pb.PostOptions) -> domain.Options:
    """Each platform's choices by their names; a platform that is not set is left out."""
    return _options(message.SerializeToString(deterministic=True))


@lru_cache(maxsize=1024)
def _options(serialized: bytes) -> domain.Options:
    # Posts by the thousand make the same choices.
    return {
        platform.name: {field.name: getattr(choices, field.name) for field in choices.DESCRIPTOR.fields}
        for platform, choices in pb.PostOptions.FromString(serialized).ListFields()
    }


def options_to(options: domain.Options) -> pb.PostOptions:
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
        lateness=lateness_to(draft.lateness),
        series_id=str(post.occurrence.series_id) if post.occurrence else "",
        occurrence_time=post.occurrence.time.isoformat(timespec="seconds") if post.occurrence else "",
        approval=_APPROVAL[post.approval],
    )


def summaries_to(summaries: Iterable[Summary], next_page_token: str) -> pb.ListPostsResponse:
    """Posts as a calendar shows them. They are made in their places, as what is made elsewhere is copied there; a list
    has thousands.
    """
    response = pb.ListPostsResponse(next_page_token=next_page_token)
    add = response.posts.add
    for summary in summaries:
        post_id, channel, caption, local, zone, schedule, ref, revision, approval, series_id, occurrence = summary.post
        post = add(
            post_id=post_id,
            channel=channel,
            caption=caption,
            local_time=local.isoformat(),
            time_zone=zone,
            ref=ref,
            etag=domain.etag_of(revision),
        )
        set_timestamp(post.schedule_time, schedule)
        if approval:
            post.approval = _APPROVAL[domain.Approval(approval)]
        if series_id:
            post.series_id, post.occurrence_time = series_id, occurrence.isoformat()
        for delivery_id, account_id, platform, state, due, url, reason, published, needs_person in summary.deliveries:
            delivery = post.deliveries.add(
                delivery_id=delivery_id,
                post_id=post_id,
                account_id=account_id,
                platform=platform,
                state=_STATE[state],
                url=url,
                failure_reason=reason,
                needs_person=needs_person,
            )
            set_timestamp(delivery.due_time, due)
            if published:
                set_timestamp(delivery.publish_time, published)
    return response


def conflicts_to(conflicts: Iterable[Conflict]) -> list[pb.Conflict]:
    """The rules that a post breaks, as the proto shows them."""
    return [
        pb.Conflict(
            rule=each.rule.value,
            field=each.field,
            message=each.message,
            other_post_id=str(each.other_post_id or ""),
            blocking=each.blocking,
        )
        for each in conflicts
    ]


def refusal_to(error: ReelrouteError) -> pb.DraftRefusal:
    """Why one of many was not taken."""
    return pb.DraftRefusal(
        reason=error.reason,
        message=error.message,
        field_violations=[
            pb.FieldViolation(field=each.field, description=each.description) for each in error.violations
        ],
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
                schedule_time=to_timestamp(draft.schedule.instant),
                platform=platform,
            )
            for account_id, platform in zip_longest(draft.account_ids, draft.platforms, fillvalue="")
        ],
        ref=draft.ref,
        lateness=lateness_to(draft.lateness),
    )


def media_to(media: tuple[domain.Media, ...]) -> list[pb.PostMedia]:
    """Media references as messages."""
    return [
        pb.PostMedia(
            media_asset_id=item.media_asset_id,
            sha256=item.sha256,
            mime_type=item.mime_type,
            frame_hashes=item.frame_hashes,
        )
        for item in media
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
        publish_time=optional_timestamp(delivery.publish_time),
        failure_reason=delivery.failure_reason,
        failure_message=delivery.failure_message,
        update_time=to_timestamp(delivery.update_time),
        schedule_time=to_timestamp(delivery.schedule_time),
        hold_cause=(
            pb.HoldCause.Value(f"HOLD_CAUSE_{delivery.hold_cause.value}")
            if delivery.hold_cause
            else pb.HOLD_CAUSE_UNSPECIFIED
        ),
        needs_person=delivery.needs_person,
        failed_attempts=delivery.failed_attempts,
        remove_time=optional_timestamp(delivery.remove_time),
        platform=delivery.platform,
    )


def upcoming_to(upcoming: Upcoming) -> pb.UpcomingDelivery:
    """A delivery that is still to go out, with what it would publish and what keeps it back."""
    post = upcoming.post
    return pb.UpcomingDelivery(
        workspace_id=str(upcoming.delivery.workspace_id),
        delivery=delivery_to(upcoming.delivery),
        channel=post["channel"],
        ref=post["ref"],
        caption=post["caption"],
        media=media_to(store.media_of(post["media"])),
        options=options_to(post["options"]),
        hold=hold_to(upcoming.hold, 0) if upcoming.hold else None,
        approval=_APPROVAL[domain.Approval(post["approval"])],
        etag=f"r{post['revision']}",
        local_time=post["local_time"].isoformat(timespec="seconds"),
        time_zone=post["time_zone"],
        lateness=lateness_to(upcoming.rules.lateness),
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
        authorized=claimed.authorized,
        planned_time=to_timestamp(claimed.planned_time),
        ask_only=claimed.ask_only,
    )


def held_from(message: pb.HeldDelivery) -> Held:
    """What an attempt says that it holds."""
    return Held(
        workspace_id=UUID(message.workspace_id),
        delivery_id=UUID(message.delivery_id),
        attempt=message.attempt,
        busy_with=message.busy_with,
        idle_seconds=message.idle_seconds,
    )


def report_from(message: pb.DeliveryReport) -> dispatch.Report:
    """What became of an attempt."""
    return dispatch.Report(
        workspace_id=UUID(message.workspace_id),
        delivery_id=UUID(message.delivery_id),
        attempt=message.attempt,
        outcome=_outcome(message),
    )


def _outcome(message: pb.DeliveryReport) -> dispatch.Outcome:
    match message.WhichOneof("outcome"):
        case "accepted":
            return dispatch.Accepted(from_timestamp(message.accepted.accept_time, "accepted.accept_time"))
        case "published":
            published = message.published
            return Publication(
                delivery_id=UUID(message.delivery_id),
                workspace_id=UUID(message.workspace_id),
                attempt=message.attempt,
                platform_post_id=published.platform_post_id,
                url=published.url,
                visibility=_VISIBILITY[published.visibility],
                publish_time=from_timestamp(published.publish_time, "published.publish_time"),
            )
        case "failure":
            return _failure(message.failure)
        case "uncertain":
            return dispatch.Uncertain(message.uncertain.message, message.uncertain.needs_person)
        case "removed":
            return dispatch.Removed(from_timestamp(message.removed.remove_time, "removed.remove_time"))
        case _:
            return dispatch.Released()


def _failure(message: pb.Failure) -> domain.Failure:
    return domain.Failure(
        kind=domain.FailureKind[pb.FailureKind.Name(message.kind).removeprefix("FAILURE_KIND_")],
        reason=message.reason,
        message=message.message,
        retry_time=from_timestamp(message.retry_time, "failure.retry_time") if message.HasField("retry_time") else None,
    )


def scope_from(value: pb.HoldScope.ValueType) -> domain.HoldScope:
    """How much a hold keeps back. Raises HoldInvalid for UNSPECIFIED."""
    if value not in _SCOPE:
        raise domain.hold_invalid("scope", "Name the scope of the hold, or give its hold_id.")
    return _SCOPE[value]


def cause_from(value: pb.HoldCause.ValueType) -> domain.HoldCause:
    """Why it keeps back. Raises HoldInvalid for UNSPECIFIED, and for what is a cause of single deliveries."""
    if value not in _CAUSE or value in (pb.HOLD_CAUSE_CRASHES, pb.HOLD_CAUSE_APPROVAL, pb.HOLD_CAUSE_CHOICE):
        raise domain.hold_invalid("cause", "A hold has the cause PAUSE, ACCOUNT or INCIDENT.")
    return _CAUSE[value]


def due_action_from(value: pb.DueAction.ValueType) -> domain.DueAction | None:
    """What becomes of what is due; None for UNSPECIFIED."""
    return _DUE_ACTION.get(value)


def decision_from(value: pb.Decision.ValueType) -> domain.DueAction:
    """What a person decided."""
    return _DECISION[value]


def hold_to(hold: domain.Hold, held_deliveries: int) -> pb.Hold:
    """A hold as the proto shows it."""
    return pb.Hold(
        hold_id=str(hold.hold_id),
        workspace_id=str(hold.workspace_id) if hold.workspace_id.int else "",
        scope=pb.HoldScope.Value(f"HOLD_SCOPE_{hold.scope.value}"),
        target=hold.target,
        cause=pb.HoldCause.Value(f"HOLD_CAUSE_{hold.cause.value}"),
        reason=hold.reason,
        create_time=to_timestamp(hold.create_time),
        held_deliveries=held_deliveries,
    )


def rules_from(message: pb.ChannelRules) -> domain.ChannelRules:
    """The rules of a channel."""
    return domain.ChannelRules(
        channel=message.channel,
        lateness=lateness_from(message.lateness) if message.HasField("lateness") else None,
        max_attempts=message.max_attempts,
        max_age_seconds=int(message.max_age.ToTimedelta().total_seconds()) if message.HasField("max_age") else None,
    )


def rules_to(rules: domain.ChannelRules) -> pb.ChannelRules:
    """The rules of a channel as the proto shows them."""
    return pb.ChannelRules(
        channel=rules.channel,
        lateness=lateness_to(rules.lateness),
        max_attempts=rules.max_attempts,
        max_age=Duration(seconds=rules.max_age_seconds) if rules.max_age_seconds else None,
    )


def outage_to(outage: domain.Outage, delayed: int) -> pb.Outage:
    """An outage as the proto shows it."""
    return pb.Outage(
        outage_id=str(outage.outage_id),
        start_time=to_timestamp(outage.start_time),
        end_time=to_timestamp(outage.end_time),
        deliveries=delayed,
    )


def state_from(value: pb.DeliveryState.ValueType) -> domain.DeliveryState | None:
    """A state to filter by; None for UNSPECIFIED."""
    if value == pb.DELIVERY_STATE_UNSPECIFIED:
        return None
    return domain.DeliveryState[pb.DeliveryState.Name(value).removeprefix("DELIVERY_STATE_")]
