"""All SQL of content: its table, then one function per query. The caller owns the transaction.

A row is written after its bytes are in the blob store for good, so a row always has its bytes. Bytes without a row are
what a crash between the two leaves: nobody sees them, and the next upload of the same file takes their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from kit.db import new_id
from kit.paging import Page
from services.content.domain import MediaAsset, MediaAssetNotFound
from services.content.media import Container, Kind, MediaFacts

SCHEMA = "content"

metadata = MetaData()

media_assets = Table(
    "media_assets",
    metadata,
    Column("media_asset_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    # From here on the fields of MediaFacts, by their names.
    Column("kind", Text, nullable=False),
    Column("container", Text, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("video_codec", Text),
    Column("audio_codec", Text),
    Column("has_audio", Boolean, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("coded_width", Integer, nullable=False),
    Column("coded_height", Integer, nullable=False),
    Column("rotation_degrees", Integer, nullable=False),
    Column("average_frame_rate_mfps", Integer),
    Column("lowest_frame_rate_mfps", Integer),
    Column("duration_ms", BigInteger),
    Column("frame_count", Integer, nullable=False),
    Column("pixel_mode", Text, nullable=False),
    Column("has_gps", Boolean, nullable=False),
    Column("fully_decoded", Boolean, nullable=False),
    # As JSON numbers: they are unsigned. NULL: not made yet, which is not the same as none.
    Column("frame_hashes", JSONB(none_as_null=True)),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("kind IN ('VIDEO','IMAGE')", name="media_kind_is_known"),
    CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_is_lower_case_hex"),
    CheckConstraint("size_bytes > 0 AND width > 0 AND height > 0", name="media_has_a_size"),
    CheckConstraint(
        "kind <> 'IMAGE' OR (duration_ms IS NULL AND average_frame_rate_mfps IS NULL AND NOT has_audio)",
        name="a_still_has_no_time",
    ),
    CheckConstraint(
        "kind <> 'VIDEO' OR (duration_ms IS NOT NULL AND video_codec IS NOT NULL)", name="a_video_has_time_and_codec"
    ),
    UniqueConstraint("workspace_id", "sha256", name="one_asset_per_file"),
    Index("media_assets_by_time", "workspace_id", "create_time", "media_asset_id"),
    Index("media_assets_by_name", "workspace_id", "file_name"),
    Index("media_assets_without_hashes", "media_asset_id", postgresql_where=text("frame_hashes IS NULL")),
)

_NEWEST = 100
_FACTS = [field.name for field in fields(MediaFacts)]


def keep_asset(
    tx: Connection, workspace_id: UUID, *, file_name: str, sha256: str, size_bytes: int, facts: MediaFacts
) -> tuple[MediaAsset, bool]:
    """The workspace's asset of these bytes, and whether it was there before; then it stays as it is.

    Of two at once the second waits for the first one's commit and gets its asset.
    """
    row = {"workspace_id": workspace_id, "file_name": file_name, "sha256": sha256, "size_bytes": size_bytes}
    made = tx.execute(
        insert(media_assets)
        .values(media_asset_id=new_id(), **row, **asdict(facts))
        .on_conflict_do_nothing(constraint="one_asset_per_file")
        .returning(media_assets)
    ).mappings()
    if (mine := made.first()) is not None:
        return _asset(mine), False
    there = find_by_sha256(tx, workspace_id, sha256)
    assert there is not None  # noqa: S101 - the conflict was with it, and no statement deletes assets
    return there, True


def find_by_sha256(tx: Connection, workspace_id: UUID, sha256: str) -> MediaAsset | None:
    """The workspace's asset with these bytes."""
    mine = (media_assets.c.workspace_id == workspace_id) & (media_assets.c.sha256 == sha256)
    row = tx.execute(select(media_assets).where(mine)).mappings().first()
    return _asset(row) if row else None


def read_asset(tx: Connection, workspace_id: UUID, media_asset_id: UUID) -> MediaAsset:
    """One asset. Raises MediaAssetNotFound."""
    found = read_assets(tx, workspace_id, [media_asset_id])
    if not found:
        raise MediaAssetNotFound(
            "There is no media asset with this id in the workspace.", metadata={"media_asset_id": str(media_asset_id)}
        )
    return found[0]


def read_assets(
    tx: Connection, workspace_id: UUID, media_asset_ids: Sequence[UUID], file_names: Sequence[str] = ()
) -> list[MediaAsset]:
    """Assets by their ids or file names, in no particular order; what the workspace does not have is left out."""
    mine = (media_assets.c.workspace_id == workspace_id) & (
        media_assets.c.media_asset_id.in_(media_asset_ids) | media_assets.c.file_name.in_(file_names)
    )
    return [_asset(row) for row in tx.execute(select(media_assets).where(mine)).mappings()]


def list_assets(tx: Connection, workspace_id: UUID, page: Page) -> list[MediaAsset]:
    """Assets, newest first; one more than the page holds when there is a next page."""
    key = (media_assets.c.create_time, media_assets.c.media_asset_id)
    query = select(media_assets).where(media_assets.c.workspace_id == workspace_id)
    if page.after:
        query = query.where(tuple_(*key) < tuple_(*page.after))
    query = query.order_by(*(column.desc() for column in key)).limit(page.size + 1)
    return [_asset(row) for row in tx.execute(query).mappings()]


def newest_files(tx: Connection, workspace_id: UUID, limit: int) -> list[tuple[UUID, str]]:
    """The newest assets: their ids and file names."""
    key = (media_assets.c.create_time, media_assets.c.media_asset_id)
    query = (
        select(media_assets.c.media_asset_id, media_assets.c.file_name)
        .where(media_assets.c.workspace_id == workspace_id)
        .order_by(*(column.desc() for column in key))
        .limit(limit)
    )
    return [(asset_id, name) for asset_id, name in tx.execute(query)]


def assets_without_hashes(tx: Connection, limit: int) -> list[MediaAsset]:
    """Some assets, of any workspace, whose frame hashes are not made yet: chance picks among the newest.

    So replicas seldom pick the same, and one that fails again and again does not stand in the way of the others.
    """
    newest = (
        select(media_assets)
        .where(media_assets.c.frame_hashes.is_(None))
        .order_by(media_assets.c.media_asset_id.desc())
        .limit(_NEWEST)
        .subquery()
    )
    query = select(newest).order_by(func.random()).limit(limit)
    return [_asset(row) for row in tx.execute(query).mappings()]


def set_frame_hashes(tx: Connection, workspace_id: UUID, media_asset_id: UUID, frame_hashes: Sequence[int]) -> None:
    """Gives an asset its frame hashes, unless it has them already."""
    mine = (media_assets.c.workspace_id == workspace_id) & (media_assets.c.media_asset_id == media_asset_id)
    tx.execute(
        update(media_assets).where(mine, media_assets.c.frame_hashes.is_(None)).values(frame_hashes=list(frame_hashes))
    )


def _asset(row: RowMapping) -> MediaAsset:
    facts = {name: row[name] for name in _FACTS} | {
        "kind": Kind(row["kind"]),
        "container": Container(row["container"]),
        "frame_hashes": None if row["frame_hashes"] is None else tuple(row["frame_hashes"]),
    }
    return MediaAsset(
        media_asset_id=row["media_asset_id"],
        workspace_id=row["workspace_id"],
        file_name=row["file_name"],
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        facts=MediaFacts(**facts),
        create_time=row["create_time"],
    )
