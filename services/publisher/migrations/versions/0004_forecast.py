"""What platforms say of accounts, what accounts have let out lately, and how far preflights have come."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from kit.migrations import isolate_by_workspace

revision = "0004_forecast"
down_revision = "0003_rate_buckets"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("limits", JSONB))
    op.add_column("accounts", sa.Column("limits_time", sa.DateTime(timezone=True)))
    op.add_column("accounts", sa.Column("grant_time", sa.DateTime(timezone=True)))
    op.create_check_constraint("limits_were_read", "accounts", "(limits IS NULL) = (limits_time IS NULL)")
    op.create_index(
        "publications_let_out",
        "publications",
        ["workspace_id", "account_id", "commit_time"],
        postgresql_where=sa.text("commit_time IS NOT NULL"),
    )
    op.create_table(
        "day_places",
        sa.Column("delivery_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("day_places_of_account", "day_places", ["workspace_id", "account_id"])
    isolate_by_workspace(op, "day_places")
    op.create_table(
        "preflights",
        sa.Column("stage", sa.Text, primary_key=True),
        # What is due before it has been looked at.
        sa.Column("until_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("lease_time", sa.DateTime(timezone=True)),
    )
    op.execute("INSERT INTO preflights (stage) VALUES ('DAY'), ('MINUTES')")


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
