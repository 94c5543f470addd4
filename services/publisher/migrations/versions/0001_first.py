"""Accounts, connections, keys, publications with their attempts, publish epochs, outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kit.migrations import isolate_by_workspace

revision = "0001_first"
down_revision = None

_NOW = sa.text("now()")


def _times() -> list[sa.Column[object]]:
    return [
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
    ]


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("workspace_id", sa.Uuid, primary_key=True),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("platform_account_id", sa.Text, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False, server_default=""),
        sa.Column("access_token", sa.LargeBinary, nullable=False),
        sa.Column("access_expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refresh_token", sa.LargeBinary, nullable=False),
        sa.Column("refresh_expire_time", sa.DateTime(timezone=True)),
        sa.Column("refresh_lease_time", sa.DateTime(timezone=True)),
        *_times(),
        sa.CheckConstraint("state IN ('CONNECTED','AUTHORIZATION_LOST')", name="account_state_is_known"),
        sa.CheckConstraint("(state = 'CONNECTED') = (problem = '')", name="a_lost_account_has_a_problem"),
        sa.UniqueConstraint("workspace_id", "platform", "platform_account_id", name="one_account_per_profile"),
    )
    op.create_index("accounts_by_handle", "accounts", ["workspace_id", "handle", "account_id"])
    op.create_table(
        "connections",
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("code_verifier", sa.LargeBinary, nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("connections_by_expiry", "connections", ["expire_time"])
    op.create_table(
        "publish_epochs",
        sa.Column("publish_epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("begin_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.execute("INSERT INTO publish_epochs (publish_epoch, reason) VALUES (1, 'first start')")
    op.create_table(
        "publications",
        sa.Column("publication_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("delivery_id", sa.Uuid, nullable=False),
        sa.Column("post_id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("options", JSONB, nullable=False),
        sa.Column("handle", sa.Text, nullable=False, server_default=""),
        sa.Column("upload_url", sa.LargeBinary),
        sa.Column("handle_expire_time", sa.DateTime(timezone=True)),
        sa.Column("media_size", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("sent_bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("accept_time", sa.DateTime(timezone=True)),
        sa.Column("next_check_time", sa.DateTime(timezone=True)),
        sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
        sa.Column("platform_post_id", sa.Text, nullable=False, server_default=""),
        sa.Column("url", sa.Text, nullable=False, server_default=""),
        sa.Column("visibility", sa.Text),
        sa.Column("publish_time", sa.DateTime(timezone=True)),
        sa.Column("failure_kind", sa.Text),
        sa.Column("failure_reason", sa.Text, nullable=False, server_default=""),
        sa.Column("failure_message", sa.Text, nullable=False, server_default=""),
        sa.Column("publish_epoch", sa.Integer, nullable=False),
        *_times(),
        sa.CheckConstraint(
            "step IN ('OPENED','PREPARED','HANDLE','COMMITTING','ACCEPTED','PUBLISHED','REJECTED','FAILED')",
            name="publication_step_is_known",
        ),
        sa.CheckConstraint(
            "step NOT IN ('HANDLE','COMMITTING','ACCEPTED','PUBLISHED','REJECTED') OR handle <> ''",
            name="what_was_sent_has_a_handle",
        ),
        sa.CheckConstraint(
            "(step = 'ACCEPTED') = (next_check_time IS NOT NULL)", name="only_an_open_verdict_is_asked_for"
        ),
        sa.CheckConstraint(
            "(step = 'PUBLISHED') = (publish_time IS NOT NULL AND visibility IS NOT NULL)",
            name="only_published_has_publish_time",
        ),
        sa.CheckConstraint(
            "(step IN ('REJECTED','FAILED')) = (failure_kind IS NOT NULL)", name="a_failed_step_has_its_failure"
        ),
        sa.UniqueConstraint("delivery_id", name="one_publication_per_delivery"),
    )
    op.create_index(
        "publications_to_check",
        "publications",
        ["next_check_time"],
        postgresql_where=sa.text("step = 'ACCEPTED'"),
    )
    op.create_table(
        "attempts",
        sa.Column("publication_id", sa.Uuid, sa.ForeignKey("publications.publication_id", ondelete="CASCADE")),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("end_time", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("publication_id", "attempt", name="attempts_pkey"),
        sa.CheckConstraint("(end_time IS NULL) = (outcome = '')", name="an_ended_attempt_has_an_outcome"),
    )
    op.create_table(
        "attempt_entries",
        sa.Column("entry_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("publication_id", sa.Uuid, sa.ForeignKey("publications.publication_id", ondelete="CASCADE")),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column(
            "entry_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")
        ),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("vendor_log_id", sa.Text, nullable=False, server_default=""),
    )
    op.create_index("attempt_entries_in_order", "attempt_entries", ["publication_id", "entry_id"])
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
    isolate_by_workspace(
        op, "data_keys", "accounts", "connections", "publications", "attempts", "attempt_entries", "outbox"
    )


def downgrade() -> None:
    for table in (
        "outbox",
        "attempt_entries",
        "attempts",
        "publications",
        "publish_epochs",
        "connections",
        "accounts",
        "data_keys",
    ):
        op.drop_table(table)
