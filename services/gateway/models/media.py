"""Files of the media library."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from reelroute.content.v1 import content_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import AnswerModel, instant_of, shown, word_of, words_of


class MediaAsset(AnswerModel):
    """One file of the library, as it was found to be."""

    model_config = shown(examples.MEDIA_ASSET)

    media_asset_id: str
    file_name: str = Field(description="The name that it was first uploaded under.")
    mime_type: str = Field(description="Found by looking, not by name.")
    kind: str | None = Field(json_schema_extra={"enum": [*words_of(pb.MediaKind, "MEDIA_KIND_"), None]})
    size_bytes: int
    sha256: str = Field(description="Lower-case hex.")
    width: int = Field(description="As a viewer shows it, rotation applied; pixels.")
    height: int
    container: str = Field(description="Videos only; else empty.")
    codec: str
    audio_codec: str = Field(description="Empty without sound.")
    frame_rate_millis: int = Field(description="Thousandths of a frame per second: 29970 is 29.97 fps. 0 for images.")
    duration_ms: int | None = Field(description="Null for images.")
    pixel_mode: str
    has_location: bool = Field(description="The file tells where it was taken.")
    frame_hashes: list[str] = Field(
        description="What it looks like: perceptual hashes of the picture, or of up to 8 frames, 16 hexadecimal digits "
        "each. What looks alike differs in few bits. Empty for one colour, or until they are made."
    )
    create_time: datetime | None

    @classmethod
    def of(cls, asset: pb.MediaAsset) -> MediaAsset:
        """From content."""
        return cls(**_values(asset))


class UploadedMediaAsset(MediaAsset):
    """A file that was just uploaded."""

    model_config = shown(examples.MEDIA_ASSET | {"already_existed": False})

    already_existed: bool = Field(description="True when the library had these bytes; the first file name stays.")

    @classmethod
    def uploaded(cls, answer: pb.UploadMediaResponse) -> UploadedMediaAsset:
        """From content."""
        return cls(**_values(answer.media_asset), already_existed=answer.already_existed)


class MediaAssetList(AnswerModel):
    """A page of the library, newest first."""

    model_config = shown(examples.page("media", examples.MEDIA_ASSET))

    media: list[MediaAsset]
    next_page_token: str = Field(description="Empty on the last page.")


def duration_ms(asset: pb.MediaAsset) -> int | None:
    """The length of a video; None where there is none."""
    return asset.duration.ToMilliseconds() if asset.HasField("duration") else None


def _values(asset: pb.MediaAsset) -> dict[str, object]:
    return {
        "media_asset_id": asset.media_asset_id,
        "file_name": asset.file_name,
        "mime_type": asset.mime_type,
        "kind": word_of(pb.MediaKind, "MEDIA_KIND_", asset.kind),
        "size_bytes": asset.size_bytes,
        "sha256": asset.sha256,
        "width": asset.width,
        "height": asset.height,
        "container": asset.container,
        "codec": asset.codec,
        "audio_codec": asset.audio_codec,
        "frame_rate_millis": asset.frame_rate_millis,
        "duration_ms": duration_ms(asset),
        "pixel_mode": asset.pixel_mode,
        "has_location": asset.has_location,
        # As text: a JSON number loses bits in many readers.
        "frame_hashes": [f"{each:016x}" for each in asset.frame_hashes],
        "create_time": instant_of(asset, "create_time"),
    }
