"""What was asked of platforms, and what they answered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kit.migrations import isolate_by_workspace

revision = "0005_vendor_calls"
down_revision = "0004_forecast"

_SUBJECTS = ("post_id", "delivery_id", "account_id", "order_id", "shop_id")


def upgrade() -> None:
    op.create_table(
        "vendor_calls",
        sa.Column("vendor_call_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid),
        *(sa.Column(name, sa.Uuid) for name in _SUBJECTS),
        sa.Column("vendor", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_seconds", sa.Double, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("log_id", sa.Text),
        sa.Column("handle", sa.Text),
        sa.Column("request", postgresql.JSON),
        sa.Column("answer", postgresql.JSON),
    )
    op.create_index("vendor_calls_of_workspace", "vendor_calls", ["workspace_id", "vendor_call_id"])
    op.create_index(
        "vendor_calls_that_failed",
        "vendor_calls",
        ["workspace_id", "vendor_call_id"],
        postgresql_where=sa.text("outcome <> 'ok'"),
    )
    for name in _SUBJECTS:
        op.create_index(
            f"vendor_calls_of_{name.removesuffix('_id')}",
            "vendor_calls",
            ["workspace_id", name, "vendor_call_id"],
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    # Rows come at one end and go at the other: what went is free for what comes before it is a fifth of all.
    op.execute("ALTER TABLE vendor_calls SET (autovacuum_vacuum_scale_factor = 0.02)")
    isolate_by_workspace(op, "vendor_calls")


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
