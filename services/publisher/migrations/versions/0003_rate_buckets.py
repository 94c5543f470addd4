"""What was taken of platforms' rates, for all replicas together."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0003_rate_buckets"
down_revision = "0002_engine"


def upgrade() -> None:
    op.create_table(
        "rate_buckets",
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("window_seconds", sa.Double, nullable=False),
        sa.Column("use_seconds", sa.Double, nullable=False),
        sa.Column("granted", sa.Integer, nullable=False),
        sa.Column("pause_end_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("returned", sa.BigInteger, nullable=False),
        sa.Column("taken_until", ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("taken_totals", ARRAY(sa.BigInteger), nullable=False),
    )
    # Every take writes its row anew: room on the page, and a vacuum that comes before the dead rows are many.
    op.execute(
        "ALTER TABLE rate_buckets SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02,"
        " autovacuum_vacuum_threshold = 500)"
    )


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
