"""Posting plans, series, imports by key, approvals, fingerprints of what is posted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kit.migrations import isolate_by_workspace

revision = "0003_planning"
down_revision = "0002_engine"

_NOW = sa.text("now()")


def _time(name: str, *, null: bool = True) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null, server_default=None if null else _NOW)


def _wall_clock(name: str, *, null: bool = True) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=False), nullable=null)


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def upgrade() -> None:
    for column in (
        sa.Column("shingles", ARRAY(sa.BigInteger), nullable=False, server_default="{}"),
        _text("approval"),
        sa.Column("series_id", sa.Uuid),
        _wall_clock("occurrence_time"),
        _text("import_key"),
    ):
        op.add_column("posts", column)
    op.create_check_constraint("approval_is_known", "posts", "approval IN ('','PENDING','APPROVED')")
    op.create_check_constraint("an_occurrence_has_a_series", "posts", "(series_id IS NULL) = (occurrence_time IS NULL)")
    op.create_index("posts_by_ref", "posts", ["workspace_id", "ref"], postgresql_where=sa.text("ref <> ''"))
    op.create_index(
        "posts_to_approve",
        "posts",
        ["workspace_id", "schedule_time", "post_id"],
        postgresql_where=sa.text("approval = 'PENDING'"),
    )
    op.create_index(
        "one_post_per_occurrence",
        "posts",
        ["series_id", "occurrence_time"],
        unique=True,
        postgresql_where=sa.text("series_id IS NOT NULL"),
    )
    op.create_index(
        "one_post_per_import_key",
        "posts",
        ["workspace_id", "import_key"],
        unique=True,
        postgresql_where=sa.text("import_key <> ''"),
    )
    op.create_index(
        "deliveries_kept_back",
        "deliveries",
        ["workspace_id", "due_time", "delivery_id"],
        postgresql_where=sa.text("state IN ('HELD','MISSED')"),
    )
    op.create_table(
        "posting_plans",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("slots", JSONB, nullable=False),
        sa.Column("quiet_hours", JSONB, nullable=False),
        sa.Column("blackouts", JSONB, nullable=False),
        sa.Column("min_gap_seconds", sa.Integer, nullable=False),
        sa.Column("daily_cap", sa.Integer, nullable=False),
        sa.Column("requires_approval", sa.Boolean, nullable=False),
        sa.CheckConstraint("min_gap_seconds >= 0 AND daily_cap >= 0", name="plan_limits_are_not_negative"),
        sa.PrimaryKeyConstraint("workspace_id", "channel", name="posting_plans_pkey"),
    )
    op.create_table(
        "duplicate_rules",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("other_channel", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("window_seconds", sa.Integer, nullable=False),
        sa.CheckConstraint("action IN ('ALLOW','WARN','REFUSE')", name="duplicate_action_is_known"),
        # By bytes, whatever the collation of the database.
        sa.CheckConstraint('channel COLLATE "C" <= other_channel COLLATE "C"', name="pair_is_in_order"),
        sa.PrimaryKeyConstraint("workspace_id", "channel", "other_channel", name="duplicate_rules_pkey"),
    )
    op.create_table(
        "series",
        sa.Column("series_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("rule_kind", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        _wall_clock("start_time", null=False),
        _wall_clock("until_time"),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("gap_rule", sa.Text, nullable=False),
        sa.Column("fold", sa.SmallInteger, nullable=False),
        sa.Column("template", JSONB, nullable=False),
        _wall_clock("made_until_time"),
        _time("next_time"),
        _time("end_time"),
        sa.Column("previous_series_id", sa.Uuid),
        sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
        _time("create_time", null=False),
        _time("update_time", null=False),
        sa.CheckConstraint("(next_time IS NULL) = (end_time IS NOT NULL)", name="it_goes_on_or_ends"),
        sa.CheckConstraint("rule_kind IN ('RRULE','CRON')", name="rule_kind_is_known"),
        sa.CheckConstraint("gap_rule IN ('SHIFT','SKIP')", name="gap_rule_is_known"),
    )
    op.create_index("series_of_workspace", "series", ["workspace_id", "create_time", "series_id"])
    op.create_index(
        "series_to_make", "series", ["next_time", "series_id"], postgresql_where=sa.text("next_time IS NOT NULL")
    )
    op.create_table(
        "unposted_occurrences",
        sa.Column("series_id", sa.Uuid, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        _wall_clock("occurrence_time", null=False),
        sa.Column("state", sa.Text, nullable=False),
        _text("reason"),
        _text("message"),
        sa.CheckConstraint("state IN ('SKIPPED','REFUSED')", name="unposted_state_is_known"),
        sa.CheckConstraint("(state = 'REFUSED') = (reason <> '')", name="what_is_refused_has_a_reason"),
        sa.PrimaryKeyConstraint("series_id", "occurrence_time", name="unposted_occurrences_pkey"),
    )
    op.create_table(
        "zone_rules",
        sa.Column("time_zone", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        _time("change_time"),
    )
    isolate_by_workspace(op, "posting_plans", "duplicate_rules", "series", "unposted_occurrences")


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
