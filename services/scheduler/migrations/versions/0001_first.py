"""Posts, deliveries, answered requests, outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from kit.migrations import isolate_by_workspace

revision = "0001_first"
down_revision = None

_NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "posts",
        sa.Column("post_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("caption", sa.Text, nullable=False),
        sa.Column("media", JSONB, nullable=False),
        sa.Column("local_time", sa.DateTime(timezone=False), nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("fold", sa.SmallInteger, nullable=False),
        sa.Column("schedule_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("options", JSONB, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    op.create_index("posts_by_time", "posts", ["workspace_id", "schedule_time", "post_id"])
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("post_id", sa.Uuid, sa.ForeignKey("posts.post_id", ondelete="CASCADE"), nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lease_expire_time", sa.DateTime(timezone=True)),
        sa.Column("holder", sa.Text, nullable=False, server_default=""),
        sa.Column("platform_post_id", sa.Text, nullable=False, server_default=""),
        sa.Column("url", sa.Text, nullable=False, server_default=""),
        sa.Column("visibility", sa.Text),
        sa.Column("publish_time", sa.DateTime(timezone=True)),
        sa.Column("failure_reason", sa.Text, nullable=False, server_default=""),
        sa.Column("failure_message", sa.Text, nullable=False, server_default=""),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.CheckConstraint(
            "state IN ('SCHEDULED','CLAIMED','CONFIRMING','PUBLISHED','REJECTED','FAILED','CANCELED')",
            name="delivery_state_is_known",
        ),
        sa.CheckConstraint("(state = 'CLAIMED') = (lease_expire_time IS NOT NULL)", name="only_a_claim_has_a_lease"),
        sa.CheckConstraint(
            "(state = 'PUBLISHED') = (publish_time IS NOT NULL AND visibility IS NOT NULL)",
            name="only_published_has_publish_time",
        ),
        sa.CheckConstraint("state NOT IN ('REJECTED','FAILED') OR failure_reason <> ''", name="a_failure_has_a_reason"),
        sa.CheckConstraint(
            "state NOT IN ('CLAIMED','CONFIRMING','PUBLISHED') OR attempt > 0", name="work_has_an_attempt"
        ),
        sa.UniqueConstraint("post_id", "account_id", name="one_delivery_per_account"),
        # Rows change state often; room on their pages keeps the changes local.
        postgresql_with={"fillfactor": "85", "autovacuum_vacuum_scale_factor": "0.02"},
    )
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["due_time", "delivery_id"],
        postgresql_where=sa.text("state = 'SCHEDULED'"),
    )
    op.create_index(
        "deliveries_leased", "deliveries", ["lease_expire_time"], postgresql_where=sa.text("state = 'CLAIMED'")
    )
    op.create_table(
        "requests",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("response", sa.LargeBinary),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("workspace_id", "request_id", name="requests_pkey"),
    )
    op.create_index("requests_by_age", "requests", ["create_time"])
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("refusal", sa.Text),
    )
    op.create_index("outbox_waiting", "outbox", ["next_time", "position"], postgresql_where=sa.text("refusal IS NULL"))
    op.create_index(
        "outbox_order", "outbox", ["aggregate_id", "target", "position"], postgresql_where=sa.text("refusal IS NULL")
    )
    isolate_by_workspace(op, "posts", "deliveries", "requests", "outbox")


def downgrade() -> None:
    for table in ("outbox", "requests", "deliveries", "posts"):
        op.drop_table(table)
