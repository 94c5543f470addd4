"""What media look like, to find near-duplicates by; media by their names."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002_fingerprints"
down_revision = "0001_first"


def upgrade() -> None:
    # NULL: kept before there were any, or by the version before; a duty looks into these again.
    op.add_column("media_assets", sa.Column("frame_hashes", JSONB))
    op.create_index(
        "media_assets_without_hashes",
        "media_assets",
        ["media_asset_id"],
        postgresql_where=sa.text("frame_hashes IS NULL"),
    )
    op.create_index("media_assets_by_name", "media_assets", ["workspace_id", "file_name"])


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
