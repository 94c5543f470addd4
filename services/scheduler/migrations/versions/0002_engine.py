"""Holds, lateness, uncertain outcomes, outages; finished deliveries leave the hot table."""

import sqlalchemy as sa
from alembic import op

from kit.migrations import isolate_by_workspace

revision = "0002_engine"
down_revision = "0001_first"

_NOW = sa.text("now()")
_WAITING = "'SCHEDULED','CLAIMED','CONFIRMING','UNCERTAIN','HELD','MISSED'"
_FINISHED = "'PUBLISHED','REJECTED','FAILED','CANCELED','REMOVED'"


def _time(name: str, *, null: bool = True) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null, server_default=None if null else _NOW)


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def upgrade() -> None:
    op.add_column("posts", sa.Column("max_lateness_seconds", sa.Integer))
    op.add_column("posts", sa.Column("late_action", sa.Text))
    for column in (
        _text("platform"),
        # Of the post: a claim need not look it up to know what holds and which rules concern it.
        _text("channel"),
        _time("schedule_time"),
        sa.Column("failed_attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("crash_count", sa.Integer, nullable=False, server_default="0"),
        _time("commit_time"),
        _text("hold_cause"),
        sa.Column("hold_id", sa.Uuid),
        sa.Column("needs_person", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("outage_id", sa.Uuid),
        _text("busy_with"),
        _time("progress_time"),
        sa.Column("stall_told", sa.Boolean, nullable=False, server_default="false"),
        _time("remove_time"),
    ):
        op.add_column("deliveries", column)
    op.execute(
        "UPDATE deliveries d SET channel = p.channel, schedule_time = p.schedule_time FROM posts p"
        " WHERE p.post_id = d.post_id"
    )
    op.drop_constraint("delivery_state_is_known", "deliveries")
    op.create_check_constraint("delivery_state_is_known", "deliveries", f"state IN ({_WAITING},{_FINISHED})")
    op.drop_constraint("only_published_has_publish_time", "deliveries")
    op.create_check_constraint(
        "only_published_has_publish_time",
        "deliveries",
        "(state IN ('PUBLISHED','REMOVED')) = (publish_time IS NOT NULL AND visibility IS NOT NULL)",
    )
    op.create_check_constraint("only_what_is_held_has_a_cause", "deliveries", "(state = 'HELD') = (hold_cause <> '')")
    op.drop_constraint("work_has_an_attempt", "deliveries")
    op.create_check_constraint(
        "work_has_an_attempt",
        "deliveries",
        "state NOT IN ('CLAIMED','CONFIRMING','UNCERTAIN','PUBLISHED') OR attempt > 0",
    )
    # A post is deleted by nobody; the constraint cost a look-up for each row of an import.
    op.drop_constraint("deliveries_post_id_fkey", "deliveries")
    # For the turns of the workspaces when more is due than is asked for.
    op.create_index(
        "deliveries_due_by_workspace",
        "deliveries",
        ["workspace_id", "due_time", "delivery_id"],
        postgresql_where=sa.text("state = 'SCHEDULED'"),
    )
    op.create_index("deliveries_held", "deliveries", ["hold_id"], postgresql_where=sa.text("state = 'HELD'"))
    op.create_index(
        "deliveries_of_outage",
        "deliveries",
        ["workspace_id", "outage_id"],
        postgresql_where=sa.text("outage_id IS NOT NULL"),
    )
    # Empty, but for what the version before finishes during the upgrade.
    op.create_index(
        "deliveries_left_over",
        "deliveries",
        ["delivery_id"],
        postgresql_where=sa.text(f"state IN ({_FINISHED})"),
    )
    op.create_table(
        "finished_deliveries",
        sa.Column("delivery_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("post_id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        _text("platform"),
        sa.Column("state", sa.Text, nullable=False),
        _time("schedule_time"),
        _time("due_time", null=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failed_attempts", sa.Integer, nullable=False),
        sa.Column("outage_id", sa.Uuid),
        _text("platform_post_id"),
        _text("url"),
        sa.Column("visibility", sa.Text),
        _time("publish_time"),
        _time("remove_time"),
        _text("failure_reason"),
        _text("failure_message"),
        _time("create_time", null=False),
        _time("update_time", null=False),
        sa.CheckConstraint(f"state IN ({_FINISHED})", name="only_the_finished_are_kept_here"),
        sa.CheckConstraint(
            "(state IN ('PUBLISHED','REMOVED')) = (publish_time IS NOT NULL AND visibility IS NOT NULL)",
            name="only_published_has_publish_time",
        ),
        sa.CheckConstraint("(state = 'REMOVED') = (remove_time IS NOT NULL)", name="only_removed_has_remove_time"),
        sa.CheckConstraint("state NOT IN ('REJECTED','FAILED') OR failure_reason <> ''", name="a_failure_has_a_reason"),
    )
    op.create_index("finished_deliveries_of_post", "finished_deliveries", ["post_id"])
    op.create_index(
        "finished_deliveries_of_outage",
        "finished_deliveries",
        ["workspace_id", "outage_id"],
        postgresql_where=sa.text("outage_id IS NOT NULL"),
    )
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.Uuid, primary_key=True),
        # The nil id where a hold belongs to no workspace: of everything, or of a platform.
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _text("lift_action"),
        _time("create_time", null=False),
        sa.CheckConstraint(
            "scope IN ('EVERYTHING','PLATFORM','WORKSPACE','CHANNEL','ACCOUNT','POST')", name="hold_scope_is_known"
        ),
        sa.CheckConstraint("cause IN ('PAUSE','ACCOUNT','INCIDENT')", name="hold_cause_is_known"),
        sa.UniqueConstraint("workspace_id", "scope", "target", "cause", name="one_hold_of_a_cause"),
    )
    op.create_table(
        "channel_rules",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("max_lateness_seconds", sa.Integer),
        sa.Column("late_action", sa.Text),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("max_age_seconds", sa.Integer),
        sa.PrimaryKeyConstraint("workspace_id", "channel", name="channel_rules_pkey"),
    )
    op.create_table(
        "outages",
        sa.Column("outage_id", sa.Uuid, primary_key=True),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "claim_clock",
        sa.Column("only_row", sa.Boolean, primary_key=True, server_default="true"),
        # When a publisher last asked for work.
        sa.Column("asked_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.CheckConstraint("only_row", name="claim_clock_has_one_row"),
    )
    op.execute("INSERT INTO claim_clock DEFAULT VALUES")
    isolate_by_workspace(op, "finished_deliveries", "holds", "channel_rules")


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
