"""Between the messages of the proto and the dataclasses of the domain. No decision is made here."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from reelroute.content.v1 import content_pb2 as pb

from services.content.domain import MediaAsset
from services.content.media import Kind

_KIND = {Kind.VIDEO: pb.MEDIA_KIND_VIDEO, Kind.IMAGE: pb.MEDIA_KIND_IMAGE}


def asset_to(asset: MediaAsset) -> pb.MediaAsset:
    """An asset as the proto shows it."""
    facts = asset.facts
    is_video = facts.kind is Kind.VIDEO
    duration, create_time = Duration(), Timestamp()
    duration.FromMilliseconds(facts.duration_ms or 0)
    create_time.FromDatetime(asset.create_time)
    return pb.MediaAsset(
        media_asset_id=str(asset.media_asset_id),
        workspace_id=str(asset.workspace_id),
        file_name=asset.file_name,
        mime_type=facts.mime_type,
        kind=_KIND[facts.kind],
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
        width=facts.width,
        height=facts.height,
        container=facts.container.value if is_video else "",
        codec=facts.video_codec or facts.container.value,
        # Sound that no decoder here knows is still sound.
        audio_codec=(facts.audio_codec or "unknown") if facts.has_audio else "",
        frame_rate_millis=facts.average_frame_rate_mfps or 0,
        duration=duration if is_video else None,
        create_time=create_time,
        pixel_mode=facts.pixel_mode,
        has_location=facts.has_gps,
        frame_hashes=facts.frame_hashes or (),
    )
