"""What the Content Posting API accepts: fields, limits, and the plan of chunks.

Where the platform's pages leave a limit open (MB or MiB), the narrower reading holds here, so that what passes in the
sandbox passes there too. Figures: "Direct Post", "Upload", "Photo post", "Media transfer guide".
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from sandbox.problems import first_problem
from sandbox.tiktok.answers import Refusal
from sandbox.tiktok.people import PrivacyLevel

MAX_VIDEO_BYTES = 4_000_000_000
MIN_CHUNK_BYTES = 5 * 1024 * 1024
MAX_CHUNK_BYTES = 64_000_000
MAX_CHUNKS = 1000
MAX_BODY_BYTES = 256 * 1024


def utf16_units(text: str) -> int:
    """Length as the platform counts it: an emoji is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _at_most(units: int) -> AfterValidator:
    def check(text: str) -> str:
        if utf16_units(text) > units:
            raise ValueError(f"longer than {units} UTF-16 units")
        return text

    return AfterValidator(check)


class _Body(BaseModel):
    """Unknown fields and wrong types are refused, also where the platform might let them pass."""

    model_config = ConfigDict(extra="forbid", strict=True)


class VideoPostInfo(_Body):
    """`post_info` of a direct video post."""

    privacy_level: PrivacyLevel
    title: Annotated[str, _at_most(2200)] = ""
    disable_comment: bool = False
    disable_duet: bool = False
    disable_stitch: bool = False
    video_cover_timestamp_ms: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0
    brand_content_toggle: bool
    brand_organic_toggle: bool
    is_aigc: bool = False


class VideoSource(_Body):
    """`source_info` of a video."""

    source: Literal["FILE_UPLOAD", "PULL_FROM_URL"]
    video_url: str | None = None
    video_size: int | None = None
    chunk_size: int | None = None
    total_chunk_count: int | None = None


class VideoInit(_Body):
    """Body of video/init."""

    post_info: VideoPostInfo
    source_info: VideoSource


class DraftInit(_Body):
    """Body of inbox/video/init; a `post_info` has no effect there."""

    source_info: VideoSource
    post_info: dict[str, Any] = {}


class PhotoPostInfo(_Body):
    """`post_info` of a photo post."""

    title: Annotated[str, _at_most(90)] = ""
    description: Annotated[str, _at_most(4000)] = ""
    privacy_level: PrivacyLevel | None = None
    disable_comment: bool = False
    auto_add_music: bool = False
    brand_content_toggle: bool = False
    brand_organic_toggle: bool = False


class PhotoSource(_Body):
    """`source_info` of a photo post."""

    source: Literal["PULL_FROM_URL"]
    photo_images: Annotated[list[str], Field(min_length=1, max_length=35)]
    photo_cover_index: Annotated[int, Field(ge=0)]


class PhotoInit(_Body):
    """Body of content/init. The place of `is_aigc` is the one of the newest page."""

    media_type: Literal["PHOTO"]
    post_mode: Literal["DIRECT_POST", "MEDIA_UPLOAD"]
    post_info: PhotoPostInfo
    source_info: PhotoSource
    is_aigc: bool = False


class PublishId(_Body):
    """Body of status/fetch and cancel."""

    publish_id: str


class VideoList(_Body):
    """Body of video/list; the cursor is a time in milliseconds."""

    cursor: Annotated[int, Field(ge=0, le=2**62)] | None = None
    max_count: Annotated[int, Field(ge=1, le=20)] = 10


class VideoFilters(_Body):
    """Which videos to read."""

    video_ids: Annotated[list[str], Field(min_length=1, max_length=20)]


class VideoQuery(_Body):
    """Body of video/query."""

    filters: VideoFilters


Model = TypeVar("Model", bound=_Body)


async def read_body(request: Request, model: type[Model]) -> Model:
    """The JSON body as a model. Raises Refusal(invalid_params) that names the first bad field."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("invalid_params", "Content-Type must be application/json; charset=UTF-8.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise Refusal("invalid_params", "The request body is too large.")
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise Refusal("invalid_params", first_problem(error)) from error


def check_chunk_plan(source: VideoSource) -> tuple[int, int, int]:
    """Size, chunk size and number of chunks of a FILE_UPLOAD. Raises Refusal(invalid_params).

    Example of the platform's guide: 50,000,123 bytes in chunks of 10,000,000 are 5 chunks, the last of 10,000,123.
    """
    if source.video_url is not None:
        raise Refusal("invalid_params", "source_info.video_url: only used with PULL_FROM_URL")
    for name in ("video_size", "chunk_size", "total_chunk_count"):
        value = getattr(source, name)
        if value is None or value < 1:
            raise Refusal("invalid_params", f"source_info.{name}: a positive number is required")
    size, chunk, count = source.video_size or 0, source.chunk_size or 0, source.total_chunk_count or 0
    if size > MAX_VIDEO_BYTES:
        raise Refusal("invalid_params", "source_info.video_size: The video size is invalid")
    whole = chunk == size and size <= MAX_CHUNK_BYTES
    # A plan of one chunk must name the size of the video: the floor of 1 does not forgive a smaller chunk size.
    if not whole and (not MIN_CHUNK_BYTES <= chunk <= MAX_CHUNK_BYTES or size // chunk < 2):
        raise Refusal("invalid_params", "source_info.chunk_size: The chunk size is invalid")
    if count != size // chunk or count > MAX_CHUNKS:
        raise Refusal("invalid_params", "source_info.total_chunk_count: The total chunk count is invalid")
    return size, chunk, count
