"""Posts: drafts that come in, posts that go out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.channels import Channel, Lateness
from services.gateway.models.deliveries import Delivery
from services.gateway.models.fields import AnswerModel, RequestModel, Text, each_once, instant_of, matching, shown
from services.gateway.models.problems import Refusal

AmbiguousTimeWord = Literal["EARLIER", "LATER"]
PrivacyLevel = Literal["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY"]

AccountIds = Annotated[
    list[Text], Field(min_length=1, max_length=50, description="One delivery for each account; each once.")
]
Caption = Annotated[
    Text, Field(max_length=10_000, description="The text as it will be published. The platform's limits are checked.")
]
MediaAssetIds = Annotated[
    list[Text], Field(min_length=1, max_length=35, description="Files of the media library, in order.")
]
LocalTime = Annotated[
    Text,
    Field(
        description="Wall-clock time in `time_zone`, without an offset; seconds may be left out.",
        json_schema_extra={"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$"},
    ),
    matching(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?",
        "Give the wall-clock time without an offset: 2027-01-04T18:00.",
    ),
]
TimeZone = Annotated[Text, Field(min_length=1, max_length=64, description="IANA name: `Europe/Berlin`, `UTC`.")]
AmbiguousTime = Annotated[
    AmbiguousTimeWord | None,
    Field(
        description="Which of two equal wall-clock times is meant when the clock goes back; without it such a time"
        " is refused."
    ),
]
OwnLateness = Annotated[
    Lateness | None,
    Field(description="Until when it still goes out when it is late. Null: as its channel's rules say."),
]


class TikTokOptions(RequestModel):
    """Choices of a TikTok post. Nothing is preselected: TikTok requires the author's own choice."""

    privacy_level: PrivacyLevel = Field(description="One of the creator's current options.")
    allow_comment: bool = False
    allow_duet: bool = False
    allow_stitch: bool = False
    brand_organic: bool = Field(default=False, description="“Your brand”: promotes the creator's own business.")
    branded_content: bool = Field(
        default=False, description="“Branded content”: a paid partnership. Cannot be `SELF_ONLY`."
    )
    is_ai_generated: bool = Field(default=False, description="Made or changed by AI in a way viewers should know.")
    cover_time_ms: int = Field(
        default=0, ge=0, le=2**31 - 1, description="Frame shown as the cover; milliseconds from the start."
    )


class PostOptions(RequestModel):
    """What a platform lets the author choose. Each platform reads its own."""

    tiktok: TikTokOptions | None = None

    def to_proto(self) -> pb.PostOptions:
        """For the scheduler."""
        return pb.PostOptions(tiktok=pb.TikTokOptions(**self.tiktok.model_dump()) if self.tiktok else None)

    @classmethod
    def of(cls, options: pb.PostOptions) -> PostOptions:
        """From the scheduler."""
        if not options.HasField("tiktok"):
            return cls()
        tiktok = options.tiktok
        # Not validated: what was stored under an earlier rule is still shown.
        return cls(
            tiktok=TikTokOptions.model_construct(**{name: getattr(tiktok, name) for name in TikTokOptions.model_fields})
        )


class PostDraft(RequestModel):
    """A post as its author wants it."""

    model_config = shown(examples.POST_DRAFT)

    channel: Channel = ""
    account_ids: AccountIds
    caption: Caption = ""
    media_asset_ids: MediaAssetIds
    local_time: LocalTime
    time_zone: TimeZone
    ambiguous_time: AmbiguousTime = None
    options: PostOptions = PostOptions()
    ref: Text = Field(default="", max_length=100, description="Your own key for it, kept for people.")
    lateness: OwnLateness = None

    @field_validator("account_ids")
    @classmethod
    def _each_once(cls, ids: list[str]) -> list[str]:
        return each_once(ids, "account")


class PostPatch(RequestModel):
    """What to change of a post; fields that are left out stay. Its accounts cannot be changed."""

    model_config = shown(examples.POST_PATCH, minProperties=1)

    # The defaults are never read: only the fields that were given count.
    channel: Channel = Field(default_factory=str)
    caption: Caption = Field(default_factory=str)
    media_asset_ids: MediaAssetIds = Field(default_factory=list)
    local_time: LocalTime = Field(default_factory=str)
    time_zone: TimeZone = Field(default_factory=str)
    ambiguous_time: AmbiguousTime = None
    options: PostOptions = Field(default_factory=PostOptions)
    lateness: OwnLateness = None

    @model_validator(mode="after")
    def _not_empty(self) -> PostPatch:
        if not self.model_fields_set:
            raise PydanticCustomError("empty", "Name at least one field to change.")
        return self


class InvalidDraft:
    """A draft of a batch that is no PostDraft: what is wrong with it, and its ref where it has one."""

    def __init__(self, value: Any, details: list[ErrorDetails]) -> None:
        ref = value.get("ref") if isinstance(value, dict) else None
        self.ref = ref if isinstance(ref, str) else ""
        self.details = details


def _draft(value: Any) -> PostDraft | InvalidDraft:
    try:
        return PostDraft.model_validate(value)
    except ValidationError as error:
        return InvalidDraft(value, error.errors(include_url=False, include_context=False, include_input=False))


class PostBatch(RequestModel):
    """Many drafts at once. Each is taken or refused for itself."""

    model_config = shown(examples.POST_BATCH) | ConfigDict(arbitrary_types_allowed=True)

    posts: list[Annotated[PostDraft | InvalidDraft, PlainValidator(_draft, json_schema_input_type=PostDraft)]] = Field(
        min_length=1, max_length=500
    )
    validate_only: bool = Field(default=False, description="True: only say what would happen; nothing is saved.")


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
    etag: str = Field(description="Changes with every edit. Send it as `If-Match` to change this version only.")
    create_time: datetime | None
    update_time: datetime | None

    @classmethod
    def of(cls, post: pb.Post, **more: Any) -> Self:
        """From the scheduler."""
        return cls(
            post_id=post.post_id or None,
            channel=post.channel,
            ref=post.ref,
            caption=post.caption,
            media=[
                PostMedia(media_asset_id=each.media_asset_id, sha256=each.sha256, mime_type=each.mime_type)
                for each in post.media
            ],
            local_time=post.local_time,
            time_zone=post.time_zone,
            schedule_time=instant_of(post, "schedule_time"),
            options=PostOptions.of(post.options),
            lateness=Lateness.of(post.lateness) if post.HasField("lateness") else None,
            deliveries=[Delivery.of(each) for each in post.deliveries],
            etag=post.etag,
            create_time=instant_of(post, "create_time"),
            update_time=instant_of(post, "update_time"),
            **more,
        )


class PostList(AnswerModel):
    """A page of posts, by schedule time."""

    model_config = shown(examples.page("posts", examples.POST))

    posts: list[Post]
    next_page_token: str = Field(description="Empty on the last page.")


class Warned(AnswerModel):
    """Something that will fail unless it changes before the post is due."""

    field: str
    reason: str = Field(description="UPPER_SNAKE.")
    message: str


class SavedPost(Post):
    """A post that was just saved, with what its accounts' platforms would not take as things stand."""

    model_config = shown(examples.POST | {"warnings": [examples.WARNING]})

    warnings: list[Warned]


class BatchResult(AnswerModel):
    """What became of one draft: a post, or a refusal."""

    index: int = Field(description="Place of the draft in the request, from 0.")
    ref: str
    post: Post | None
    refusal: Refusal | None
    warnings: list[Warned]


class PostBatchAnswer(AnswerModel):
    """One result for each draft, in its order."""

    model_config = shown(examples.POST_BATCH_ANSWER)

    results: list[BatchResult]
