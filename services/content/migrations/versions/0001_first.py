"""Media assets."""

import sqlalchemy as sa
from alembic import op

from kit.migrations import isolate_by_workspace

revision = "0001_first"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "media_assets",
        sa.Column("media_asset_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("container", sa.Text, nullable=False),
        sa.Column("mime_type", sa.Text, nullable=False),
        sa.Column("video_codec", sa.Text),
        sa.Column("audio_codec", sa.Text),
        sa.Column("has_audio", sa.Boolean, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("coded_width", sa.Integer, nullable=False),
        sa.Column("coded_height", sa.Integer, nullable=False),
        sa.Column("rotation_degrees", sa.Integer, nullable=False),
        sa.Column("average_frame_rate_mfps", sa.Integer),
        sa.Column("lowest_frame_rate_mfps", sa.Integer),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("frame_count", sa.Integer, nullable=False),
        sa.Column("pixel_mode", sa.Text, nullable=False),
        sa.Column("has_gps", sa.Boolean, nullable=False),
        sa.Column("fully_decoded", sa.Boolean, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.CheckConstraint("kind IN ('VIDEO','IMAGE')", name="media_kind_is_known"),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_is_lower_case_hex"),
        sa.CheckConstraint("size_bytes > 0 AND width > 0 AND height > 0", name="media_has_a_size"),
        sa.CheckConstraint(
            "kind <> 'IMAGE' OR (duration_ms IS NULL AND average_frame_rate_mfps IS NULL AND NOT has_audio)",
            name="a_still_has_no_time",
        ),
        sa.CheckConstraint(
            "kind <> 'VIDEO' OR (duration_ms IS NOT NULL AND video_codec IS NOT NULL)",
            name="a_video_has_time_and_codec",
        ),
        sa.UniqueConstraint("workspace_id", "sha256", name="one_asset_per_file"),
    )
    op.create_index("media_assets_by_time", "media_assets", ["workspace_id", "create_time", "media_asset_id"])
    isolate_by_workspace(op, "media_assets")


def downgrade() -> None:
    op.drop_table("media_assets")
