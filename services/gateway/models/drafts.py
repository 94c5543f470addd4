"""Drafts of posts: what comes in."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.channels import Channel, Lateness
from services.gateway.models.fields import Instant, RequestModel, Text, each_once, matching, shown

AmbiguousTimeWord = Literal["EARLIER", "LATER"]
PostMode = Literal["DIRECT_POST", "MEDIA_UPLOAD"]
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
AcceptConflicts = Annotated[
    bool,
    Field(
        description="True: rules of the channel's posting plan, and about duplicates, do not stand in its way. Those"
        " that it breaks come back as `conflicts`."
    ),
]


CoverTime = Annotated[
    int, Field(ge=0, le=2**31 - 1, description="Frame shown as the cover of a video; milliseconds from the start.")
]
ShopId = Annotated[
    Text,
    Field(max_length=64),
    matching(r"[0-9A-Za-z_-]*", "Ids of TikTok Shop have letters, digits, - and _."),
]


def _in_utc(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


class TikTokOptions(RequestModel):
    """Choices of a TikTok post. Nothing is preselected: TikTok requires the author's own choice."""

    post_mode: PostMode = Field(
        default="DIRECT_POST",
        description="`DIRECT_POST`: it is published. `MEDIA_UPLOAD`: a draft in the owner's inbox, who posts it in the"
        " app and chooses the rest there.",
    )
    privacy_level: PrivacyLevel | None = Field(
        default=None,
        validate_default=True,
        description="One of the creator's current options. Null with `MEDIA_UPLOAD` only.",
    )
    allow_comment: bool = False
    allow_duet: bool = False
    allow_stitch: bool = False
    brand_organic: bool = Field(default=False, description="“Your brand”: promotes the creator's own business.")
    branded_content: bool = Field(
        default=False, description="“Branded content”: a paid partnership. Cannot be `SELF_ONLY`."
    )
    is_ai_generated: bool = Field(default=False, description="Made or changed by AI in a way viewers should know.")
    cover_time_ms: CoverTime = 0
    music_usage_confirm_time: Instant | None = Field(
        default=None,
        description="When the author agreed to TikTok's Music Usage Confirmation, and for branded content to its"
        " Branded Content Policy. TikTok wants both agreed to before a post is sent.",
    )
    auto_add_music: bool = Field(default=False, description="Photos only: TikTok adds music of its choice.")
    photo_cover_index: int = Field(default=0, ge=0, lt=35, description="Photos only: which one is the cover, from 0.")
    photo_title: Text = Field(
        default="", max_length=90, description="Photos only: shown above the caption, which is their description."
    )

    @field_validator("privacy_level")
    @classmethod
    def _chosen(cls, level: PrivacyLevel | None, info: ValidationInfo) -> PrivacyLevel | None:
        if level is None and info.data.get("post_mode") != "MEDIA_UPLOAD":
            raise PydanticCustomError("missing", "Choose who sees the post: TikTok requires the author's own choice.")
        return level

    def to_proto(self) -> pb.TikTokOptions:
        """For the scheduler. A direct post is what is meant when nothing is said."""
        words = self.as_words()
        if self.post_mode == "DIRECT_POST":
            del words["post_mode"]
        return pb.TikTokOptions(**words)

    def as_words(self) -> dict[str, Any]:
        """What was chosen, by its name; without what was not."""
        values = self.model_dump(exclude_none=True)
        if self.music_usage_confirm_time is not None:
            values["music_usage_confirm_time"] = _in_utc(self.music_usage_confirm_time)
        return values

    @classmethod
    def of(cls, options: pb.TikTokOptions) -> TikTokOptions:
        """From the scheduler. Not validated: what was stored under an earlier rule is still shown."""
        values = {name: getattr(options, name) for name in cls.model_fields}
        agreed = values["music_usage_confirm_time"]
        values |= {
            "post_mode": options.post_mode or "DIRECT_POST",
            "privacy_level": options.privacy_level or None,
            "music_usage_confirm_time": datetime.fromisoformat(agreed) if agreed else None,
        }
        return cls.model_construct(**values)


class TikTokShopOptions(RequestModel):
    """Choices of a TikTok Shop creator's post, which links to a product."""

    model_config = shown(examples.SHOP_OPTIONS)

    product_id: ShopId = Field(
        min_length=1,
        description="TikTok Shop's id of a product of the creator's showcase or shop: the post links to it.",
    )
    product_title: Text = Field(
        max_length=100,
        description="What the link says: fewer than 30 characters, without punctuation and emoji.",
    )
    cover_time_ms: CoverTime = 0
    music_id: ShopId = Field(
        default="", description="Music of TikTok Shop's library for creators, by its id. Empty: none is added."
    )
    is_ai_generated: bool = Field(
        default=False,
        description="Made or changed by AI in a way viewers should know. Videos only: TikTok Shop has no such mark for"
        " photos, so photos with it are refused.",
    )

    @classmethod
    def of(cls, options: pb.TikTokShopOptions) -> TikTokShopOptions:
        """From the scheduler. Not validated, as TikTok's."""
        return cls.model_construct(**{name: getattr(options, name) for name in cls.model_fields})


class PostOptions(RequestModel):
    """What a platform lets the author choose. Each platform reads its own."""

    tiktok: TikTokOptions | None = None
    tiktok_shop: TikTokShopOptions | None = None

    def to_proto(self) -> pb.PostOptions:
        """For the scheduler."""
        return pb.PostOptions(
            tiktok=self.tiktok.to_proto() if self.tiktok else None,
            tiktok_shop=pb.TikTokShopOptions(**self.tiktok_shop.model_dump()) if self.tiktok_shop else None,
        )

    @cached_property
    def tiktok_texts(self) -> dict[str, str]:
        """TikTok's choices for the publisher, as text; made once, for the rows of an import share them."""
        return {} if self.tiktok is None else _texts(self.tiktok.as_words())

    @cached_property
    def tiktok_shop_texts(self) -> dict[str, str]:
        """The same of TikTok Shop's."""
        return {} if self.tiktok_shop is None else _texts(self.tiktok_shop.model_dump())

    @classmethod
    def of(cls, options: pb.PostOptions) -> PostOptions:
        """From the scheduler."""
        return cls(
            tiktok=TikTokOptions.of(options.tiktok) if options.HasField("tiktok") else None,
            tiktok_shop=TikTokShopOptions.of(options.tiktok_shop) if options.HasField("tiktok_shop") else None,
        )


def _texts(choices: dict[str, Any]) -> dict[str, str]:
    """What is off, empty or 0 is left out: so it is where nothing was chosen."""
    chosen = {name: value for name, value in choices.items() if value}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in chosen.items()}


class PostContent(RequestModel):
    """What a post publishes and for whom, without its time."""

    channel: Channel = ""
    account_ids: AccountIds
    caption: Caption = ""
    media_asset_ids: MediaAssetIds
    options: PostOptions = PostOptions()
    ref: Text = Field(default="", max_length=100, description="Your own key for it, kept for people.")
    lateness: OwnLateness = None
    accept_conflicts: AcceptConflicts = False

    @field_validator("account_ids")
    @classmethod
    def _each_once(cls, ids: list[str]) -> list[str]:
        return each_once(ids, "account")


class PostDraft(PostContent):
    """A post as its author wants it."""

    model_config = shown(examples.POST_DRAFT)

    local_time: LocalTime
    time_zone: TimeZone
    ambiguous_time: AmbiguousTime = None


class QueuedDraft(PostContent):
    """A post for the next free slot of its channel."""

    model_config = shown(examples.QUEUED_DRAFT)

    not_before_time: Instant | None = Field(default=None, description="Not before this instant. Null: from now on.")


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
    accept_conflicts: AcceptConflicts = False

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
