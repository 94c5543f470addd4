"""Posts: what goes out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.channels import Lateness
from services.gateway.models.conflicts import Conflict
from services.gateway.models.deliveries import Delivery, delivery_values
from services.gateway.models.drafts import PostOptions
from services.gateway.models.fields import AnswerModel, instant_of, shown, word_of, words_of
from services.gateway.models.problems import Refusal


class PostMedia(AnswerModel):
    """A file of a post."""

    media_asset_id: str
    sha256: str = Field(description="Lower-case hex; what is published has it.")
    mime_type: str


class Post(AnswerModel):
    """A post as it is kept."""

    model_config = shown(examples.POST)

    post_id: str | None = Field(description="Null in the answer to `validate_only`.")
    channel: str
    ref: str
    caption: str
    media: list[PostMedia]
    local_time: str
    time_zone: str
    schedule_time: datetime | None = Field(description="The instant that `local_time` in `time_zone` means.")
    options: PostOptions
    lateness: Lateness | None = Field(description="Null: as its channel's rules say.")
    deliveries: list[Delivery]
    series_id: str | None = Field(description="The series that it is an occurrence of.")
    occurrence_time: str | None = Field(description="The wall-clock time that the series' rule gives it.")
    approval: str | None = Field(
        description="Null: not asked for. `PENDING`: it waits for `POST /v1/posts:approve`; due without it, it is HELD."
        " `APPROVED`: as it stands; an edit of what is published or when takes it back.",
        json_schema_extra={"enum": [*words_of(pb.Approval, "APPROVAL_"), None]},
    )
    etag: str = Field(description="Changes with every edit. Send it as `If-Match` to change this version only.")
    create_time: datetime | None
    update_time: datetime | None

    @classmethod
    def of(cls, post: pb.Post, **more: Any) -> Self:
        """From the scheduler."""
        return cls(**post_values(post), **more)


def post_values(post: pb.Post) -> dict[str, Any]:
    """The fields of a Post. Lists of thousands become JSON from here, without a model of each."""
    return {
        "post_id": post.post_id or None,
        "channel": post.channel,
        "ref": post.ref,
        "caption": post.caption,
        "media": [
            {"media_asset_id": each.media_asset_id, "sha256": each.sha256, "mime_type": each.mime_type}
            for each in post.media
        ],
        "local_time": post.local_time,
        "time_zone": post.time_zone,
        "schedule_time": instant_of(post, "schedule_time"),
        "options": PostOptions.of(post.options),
        "lateness": Lateness.of(post.lateness) if post.HasField("lateness") else None,
        "deliveries": [delivery_values(each) for each in post.deliveries],
        "series_id": post.series_id or None,
        "occurrence_time": post.occurrence_time or None,
        "approval": word_of(pb.Approval, "APPROVAL_", post.approval),
        "etag": post.etag,
        "create_time": instant_of(post, "create_time"),
        "update_time": instant_of(post, "update_time"),
    }


class PostList(AnswerModel):
    """A page of posts, by schedule time."""

    model_config = shown(examples.page("posts", examples.POST))

    posts: list[Post]
    next_page_token: str = Field(description="Empty on the last page.")


class DeliverySummary(AnswerModel):
    """A delivery as a calendar shows it; the words are those of Delivery."""

    delivery_id: str
    account_id: str
    platform: str | None
    state: str
    due_time: datetime | None
    needs_person: bool
    url: str
    publish_time: datetime | None
    failure_reason: str


class PostSummary(AnswerModel):
    """A post as a calendar shows it: without media, options and lateness; the words are those of Post."""

    post_id: str
    channel: str
    ref: str
    caption: str = Field(description="Cut at 100 characters.")
    local_time: str
    time_zone: str
    schedule_time: datetime | None
    series_id: str | None
    occurrence_time: str | None
    approval: str | None
    etag: str
    deliveries: list[DeliverySummary]


def summary_values(post: pb.Post) -> dict[str, Any]:
    """The fields of a PostSummary, as `post_values`."""
    return {
        "post_id": post.post_id,
        "channel": post.channel,
        "ref": post.ref,
        "caption": post.caption,
        "local_time": post.local_time,
        "time_zone": post.time_zone,
        "schedule_time": instant_of(post, "schedule_time"),
        "series_id": post.series_id or None,
        "occurrence_time": post.occurrence_time or None,
        "approval": word_of(pb.Approval, "APPROVAL_", post.approval),
        "etag": post.etag,
        "deliveries": [
            {
                "delivery_id": each.delivery_id,
                "account_id": each.account_id,
                "platform": each.platform.upper() or None,
                "state": word_of(pb.DeliveryState, "DELIVERY_STATE_", each.state) or "UNKNOWN_0",
                "due_time": instant_of(each, "due_time"),
                "needs_person": each.needs_person,
                "url": each.url,
                "publish_time": instant_of(each, "publish_time"),
                "failure_reason": each.failure_reason,
            }
            for each in post.deliveries
        ],
    }


class PostSummaryList(AnswerModel):
    """A page of posts as a calendar shows them, by schedule time: the answer to `view=SUMMARY`."""

    model_config = shown(examples.page("posts", examples.POST_SUMMARY))

    posts: list[PostSummary]
    next_page_token: str = Field(description="Empty on the last page.")


class Warned(AnswerModel):
    """Something that will fail unless it changes before the post is due."""

    field: str
    reason: str = Field(description="UPPER_SNAKE.")
    message: str


class SavedPost(Post):
    """A post that was just saved, with what its accounts' platforms would not take as things stand, and the rules that
    it breaks.
    """

    model_config = shown(examples.POST | {"warnings": [examples.WARNING], "conflicts": [examples.CONFLICT]})

    warnings: list[Warned]
    conflicts: list[Conflict]


class BatchResult(AnswerModel):
    """What became of one draft: a post, or a refusal."""

    index: int = Field(description="Place of the draft in the request, from 0.")
    ref: str
    post: Post | None
    refusal: Refusal | None
    warnings: list[Warned]
    conflicts: list[Conflict]


class PostBatchAnswer(AnswerModel):
    """One result for each draft, in its order."""

    model_config = shown(examples.POST_BATCH_ANSWER)

    results: list[BatchResult]
