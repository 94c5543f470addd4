"""Between the messages of the proto and the dataclasses of the domain. No decision is made here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from reelroute.publisher.v1 import publisher_pb2 as pb
from sqlalchemy import RowMapping

from kit.timestamps import optional_timestamp, to_timestamp
from services.publisher import domain
from services.publisher.forecast import Foreseen
from services.publisher.platforms.base import MediaFile, Problem, unreadable
from services.publisher.platforms.tiktok_checks import PRIVATE_LEVELS
from vendors.tiktok.models import CreatorInfo, UserInfo, Video

_OPTION_BOOLS = {
    *("allow_comment", "allow_duet", "allow_stitch", "brand_organic", "branded_content", "is_ai_generated"),
    "auto_add_music",
}


def platform_from(value: pb.Platform.ValueType) -> domain.Platform:
    """The platform of a request."""
    return domain.Platform(pb.Platform.Name(value).removeprefix("PLATFORM_"))


def platform_to(platform: domain.Platform) -> pb.Platform.ValueType:
    """A platform as the proto names it."""
    return pb.Platform.Value(f"PLATFORM_{platform.value}")


def incident_to(incident: domain.Incident) -> pb.Incident:
    """An incident as the proto shows it."""
    return pb.Incident(
        incident_id=str(incident.incident_id),
        platform=platform_to(incident.platform),
        start_time=to_timestamp(incident.start_time),
        end_time=optional_timestamp(incident.end_time),
        cause=incident.cause,
        probes=incident.probes,
        next_probe_time=optional_timestamp(incident.next_probe_time),
    )


def account_to(account: domain.Account) -> pb.Account:
    """An account as the proto shows it: without tokens."""
    return pb.Account(
        account_id=str(account.account_id),
        workspace_id=str(account.workspace_id),
        platform=platform_to(account.platform),
        platform_account_id=account.platform_account_id,
        handle=account.handle,
        display_name=account.display_name,
        scopes=account.scopes,
        state=pb.AccountState.Value(f"ACCOUNT_STATE_{account.state.value}"),
        problem=account.problem,
        authorization_expire_time=(optional_timestamp(account.authorization_expire_time)),
        create_time=to_timestamp(account.create_time),
        update_time=to_timestamp(account.update_time),
    )


def publication_to(
    publication: domain.Publication,
    times: tuple[datetime, datetime],
    attempts: Sequence[RowMapping],
    entries: Sequence[RowMapping],
) -> pb.Publication:
    """A ledger as the proto shows it, with its attempts and their lines."""
    return pb.Publication(
        publication_id=str(publication.publication_id),
        delivery_id=str(publication.delivery_id),
        post_id=str(publication.post_id),
        account_id=str(publication.account_id),
        step=_step(publication.step.value),
        handle=publication.handle,
        platform_post_id=publication.platform_post_id,
        url=publication.url,
        publish_epoch=publication.publish_epoch,
        needs_person=publication.needs_person,
        create_time=to_timestamp(times[0]),
        update_time=to_timestamp(times[1]),
        attempts=[
            pb.Attempt(
                attempt=attempt["attempt"],
                holder=attempt["holder"],
                start_time=to_timestamp(attempt["start_time"]),
                end_time=optional_timestamp(attempt["end_time"]),
                outcome=attempt["outcome"],
                entries=[
                    pb.AttemptEntry(
                        entry_time=to_timestamp(entry["entry_time"]),
                        step=_step(entry["step"]),
                        message=entry["message"],
                        vendor_log_id=entry["vendor_log_id"],
                    )
                    for entry in entries
                    if entry["attempt"] == attempt["attempt"]
                ],
            )
            for attempt in attempts
        ],
    )


def chosen_visibility(publication: domain.Publication) -> domain.Visibility:
    """Who sees a post that a person has found on the platform: whom its author chose."""
    if any(domain.is_draft(choices) for choices in publication.options.values()):
        return domain.Visibility.INBOX
    levels = {choices.get("privacy_level") for choices in publication.options.values()}
    return domain.Visibility.PRIVATE if levels & set(PRIVATE_LEVELS) else domain.Visibility.PUBLIC


def media_from(facts: pb.MediaFacts) -> MediaFile:
    """What is known of a file, for checks alone: it cannot be read."""
    return MediaFile(
        media_asset_id="",
        mime_type=facts.mime_type,
        size_bytes=facts.size_bytes,
        width=facts.width,
        height=facts.height,
        container=facts.container,
        codec=facts.codec,
        frame_rate_millis=facts.frame_rate_millis,
        duration_ms=facts.duration_ms,
        pixel_mode=facts.pixel_mode,
        read=unreadable,
    )


def options_from(texts: dict[str, str]) -> domain.Options | None:
    """A platform's choices from their text form; None when there are none."""
    if not texts:
        return None
    return {name: value == "true" if name in _OPTION_BOOLS else value for name, value in texts.items()}


def problem_to(problem: Problem) -> pb.PostProblem:
    """A problem as the proto shows it."""
    return pb.PostProblem(
        field=problem.field, reason=problem.reason, message=problem.message, blocking=problem.blocking
    )


def foreseen_to(foreseen: Foreseen) -> pb.ForeseenFailure:
    """A delivery that will not go out, as the proto shows it."""
    upcoming = foreseen.upcoming
    return pb.ForeseenFailure(
        delivery_id=str(upcoming.delivery_id),
        post_id=str(upcoming.post_id),
        account_id=str(upcoming.account_id),
        schedule_time=to_timestamp(upcoming.schedule_time),
        cause=pb.ForecastCause.Value(f"FORECAST_CAUSE_{foreseen.cause.value}"),
        reason=foreseen.reason,
        message=foreseen.message,
        delayed_until_time=optional_timestamp(foreseen.delayed_until),
    )


def account_limits_to(creator: CreatorInfo, read_time: datetime) -> pb.AccountLimits:
    """What a creator may do, as the proto shows it."""
    return pb.AccountLimits(
        handle=creator.username,
        display_name=creator.nickname,
        privacy_levels=creator.privacy_level_options,
        comment_disabled=creator.comment_disabled,
        duet_disabled=creator.duet_disabled,
        stitch_disabled=creator.stitch_disabled,
        longest_video_seconds=creator.max_video_duration_seconds or 0,
        read_time=to_timestamp(read_time),
    )


def account_numbers_to(user: UserInfo, read_time: datetime) -> pb.AccountNumbers:
    """An account's numbers as the proto shows them; what is None stays absent."""
    return pb.AccountNumbers(
        followers=user.follower_count,
        following=user.following_count,
        likes=user.likes_count,
        posts=user.video_count,
        read_time=to_timestamp(read_time),
    )


def post_numbers_to(video: Video, ours: tuple[UUID, UUID] | None) -> pb.PostNumbers:
    """A post's numbers as the proto shows them; `ours` are its post and delivery, where it is of ours."""
    post_id, delivery_id = ours or ("", "")
    return pb.PostNumbers(
        platform_post_id=video.id,
        url=video.share_url,
        caption=video.description or video.title,
        publish_time=optional_timestamp(video.create_time),
        views=video.view_count,
        likes=video.like_count,
        comments=video.comment_count,
        shares=video.share_count,
        post_id=str(post_id),
        delivery_id=str(delivery_id),
    )


def _step(name: str) -> pb.PublicationStep.ValueType:
    return pb.PublicationStep.Value(f"PUBLICATION_STEP_{name}")
