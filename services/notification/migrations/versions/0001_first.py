"""Activities, messages, and one row for each message and target."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from kit.migrations import isolate_by_workspace

revision = "0001_first"
down_revision = None

_NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "activities",
        sa.Column("activity_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("activity_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("post_id", sa.Uuid),
        sa.Column("delivery_id", sa.Uuid),
        sa.Column("account_id", sa.Uuid),
        sa.Column("attributes", JSONB, nullable=False),
        sa.UniqueConstraint("workspace_id", "request_id", name="one_activity_per_request"),
    )
    op.create_index("activities_by_time", "activities", ["workspace_id", "activity_time", "activity_id"])
    op.create_index(
        "activities_of_post",
        "activities",
        ["workspace_id", "post_id", "activity_time", "activity_id"],
        postgresql_where=sa.text("post_id IS NOT NULL"),
    )
    # The clean-up looks over all workspaces.
    op.create_index("activities_by_age", "activities", ["create_time"])
    # Whose account is meant is in the activity of its connection.
    op.create_index(
        "activities_of_connections",
        "activities",
        ["workspace_id", "account_id", "activity_time"],
        postgresql_where=sa.text("type = 'account.connected'"),
    )
    op.create_table(
        "messages",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("activity_id", sa.Uuid, sa.ForeignKey("activities.activity_id", ondelete="CASCADE"), nullable=False),
        sa.Column("post_id", sa.Uuid),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.CheckConstraint("severity IN ('INFO','PROBLEM')", name="severity_is_known"),
        sa.UniqueConstraint("activity_id", name="one_message_per_activity"),
    )
    op.create_index("messages_by_time", "messages", ["workspace_id", "create_time", "message_id"])
    op.create_index(
        "messages_of_post",
        "messages",
        ["workspace_id", "post_id", "create_time", "message_id"],
        postgresql_where=sa.text("post_id IS NOT NULL"),
    )
    op.create_table(
        "message_sends",
        sa.Column(
            "message_id",
            sa.Uuid,
            sa.ForeignKey("messages.message_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="WAITING"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_time", sa.DateTime(timezone=True), server_default=_NOW),
        sa.Column("last_error", sa.Text, nullable=False, server_default=""),
        sa.Column("send_time", sa.DateTime(timezone=True)),
        sa.CheckConstraint("state IN ('WAITING','SENT','FAILED')", name="send_state_is_known"),
        sa.CheckConstraint("(state = 'WAITING') = (next_time IS NOT NULL)", name="only_waiting_has_next_time"),
        sa.CheckConstraint("(state = 'SENT') = (send_time IS NOT NULL)", name="only_sent_has_send_time"),
        sa.CheckConstraint("state <> 'SENT' OR (attempts > 0 AND last_error = '')", name="sent_has_no_error"),
        sa.CheckConstraint("state <> 'FAILED' OR last_error <> ''", name="a_failure_has_a_reason"),
        # Rows change state a few times soon after they are made; room on their pages keeps the changes local.
        postgresql_with={"fillfactor": "80"},
    )
    # Senders look over all workspaces, each for its own target.
    op.create_index(
        "message_sends_due", "message_sends", ["target", "next_time"], postgresql_where=sa.text("state = 'WAITING'")
    )
    isolate_by_workspace(op, "activities", "messages", "message_sends")


def downgrade() -> None:
    for table in ("message_sends", "messages", "activities"):
        op.drop_table(table)
