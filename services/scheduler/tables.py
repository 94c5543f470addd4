"""The tables of the scheduler, as its migrations make them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kit.db import time_column
from kit.idempotency import requests_table
from kit.outbox import outbox_table

metadata = MetaData()


def _text(name: str) -> Column[object]:
    return Column(name, Text, nullable=False, server_default="")


posts = Table(
    "posts",
    metadata,
    Column("post_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("caption", Text, nullable=False),
    Column("media", JSONB, nullable=False),
    Column("local_time", DateTime(timezone=False), nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("fold", SmallInteger, nullable=False),
    Column("schedule_time", DateTime(timezone=True), nullable=False),
    Column("options", JSONB, nullable=False),
    Column("ref", Text, nullable=False),
    # Both or none: none is the channel's rule.
    Column("max_lateness_seconds", Integer),
    Column("late_action", Text),
    Column("revision", Integer, nullable=False, server_default="1"),
    # Unsigned numbers of 32 bits.
    Column("shingles", ARRAY(BigInteger), nullable=False, server_default="{}"),
    # "", PENDING or APPROVED.
    _text("approval"),
    # The series that it is an occurrence of, and its name within it.
    Column("series_id", Uuid),
    Column("occurrence_time", DateTime(timezone=False)),
    # What an import calls it; empty for posts that were made otherwise.
    _text("import_key"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    CheckConstraint("(series_id IS NULL) = (occurrence_time IS NULL)", name="an_occurrence_has_a_series"),
    Index("posts_by_time", "workspace_id", "schedule_time", "post_id"),
    Index(
        "posts_to_approve",
        "workspace_id",
        "schedule_time",
        "post_id",
        postgresql_where=text("approval = 'PENDING'"),
    ),
    Index("posts_by_ref", "workspace_id", "ref", postgresql_where=text("ref <> ''")),
    Index(
        "one_post_per_occurrence",
        "series_id",
        "occurrence_time",
        unique=True,
        postgresql_where=text("series_id IS NOT NULL"),
    ),
    Index(
        "one_post_per_import_key",
        "workspace_id",
        "import_key",
        unique=True,
        postgresql_where=text("import_key <> ''"),
    ),
)

# What waits or is in work. Each index costs at every claim: there is one for each way in which rows are found.
deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("post_id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    _text("platform"),
    _text("channel"),
    Column("state", Text, nullable=False),
    # When it was to go out: lateness counts from here.
    time_column("schedule_time"),
    # When it is looked at next.
    Column("due_time", DateTime(timezone=True), nullable=False),
    # Claims: the number fences.
    Column("attempt", Integer, nullable=False, server_default="0"),
    # Tries that counted.
    Column("failed_attempts", Integer, nullable=False, server_default="0"),
    # Leases in a row that ended without a word.
    Column("crash_count", Integer, nullable=False, server_default="0"),
    time_column("lease_expire_time"),
    # When it was last allowed to go out; from then on it can no longer be stopped.
    time_column("commit_time"),
    _text("holder"),
    _text("hold_cause"),
    Column("hold_id", Uuid),
    Column("needs_person", Boolean, nullable=False, server_default="false"),
    Column("outage_id", Uuid),
    _text("busy_with"),
    time_column("progress_time"),
    Column("stall_told", Boolean, nullable=False, server_default="false"),
    _text("platform_post_id"),
    _text("url"),
    Column("visibility", Text),
    time_column("publish_time"),
    time_column("remove_time"),
    _text("failure_reason"),
    _text("failure_message"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    CheckConstraint("(state = 'CLAIMED') = (lease_expire_time IS NOT NULL)", name="only_a_claim_has_a_lease"),
    CheckConstraint("(state = 'HELD') = (hold_cause <> '')", name="only_what_is_held_has_a_cause"),
    UniqueConstraint("post_id", "account_id", name="one_delivery_per_account"),
    Index("deliveries_due", "due_time", "delivery_id", postgresql_where=text("state = 'SCHEDULED'")),
    Index(
        "deliveries_due_by_workspace",
        "workspace_id",
        "due_time",
        "delivery_id",
        postgresql_where=text("state = 'SCHEDULED'"),
    ),
    Index("deliveries_leased", "lease_expire_time", postgresql_where=text("state = 'CLAIMED'")),
    Index("deliveries_held", "hold_id", postgresql_where=text("state = 'HELD'")),
    # Of those that wait for the end of a hold or for a person, what was to go out first.
    Index(
        "deliveries_kept_back",
        "workspace_id",
        "due_time",
        "delivery_id",
        postgresql_where=text("state IN ('HELD','MISSED')"),
    ),
    Index("deliveries_of_outage", "workspace_id", "outage_id", postgresql_where=text("outage_id IS NOT NULL")),
    # Empty, but for what the version before finishes during an upgrade.
    Index(
        "deliveries_left_over",
        "delivery_id",
        postgresql_where=text("state IN ('PUBLISHED','REJECTED','FAILED','CANCELED','REMOVED')"),
    ),
)

finished_deliveries = Table(
    "finished_deliveries",
    metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("post_id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    _text("platform"),
    Column("state", Text, nullable=False),
    time_column("schedule_time"),
    time_column("due_time", now=True),
    Column("attempt", Integer, nullable=False),
    Column("failed_attempts", Integer, nullable=False),
    Column("outage_id", Uuid),
    _text("platform_post_id"),
    _text("url"),
    Column("visibility", Text),
    time_column("publish_time"),
    time_column("remove_time"),
    _text("failure_reason"),
    _text("failure_message"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    Index("finished_deliveries_of_post", "post_id"),
    Index("finished_deliveries_of_outage", "workspace_id", "outage_id", postgresql_where=text("outage_id IS NOT NULL")),
)

holds = Table(
    "holds",
    metadata,
    Column("hold_id", Uuid, primary_key=True),
    # The nil id where a hold belongs to no workspace: of everything, or of a platform.
    Column("workspace_id", Uuid, nullable=False),
    Column("scope", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # Set once it is lifted: it keeps nothing back any more, and goes when all that it has kept back is given back.
    _text("lift_action"),
    time_column("create_time", now=True),
    UniqueConstraint("workspace_id", "scope", "target", "cause", name="one_hold_of_a_cause"),
)

channel_rules = Table(
    "channel_rules",
    metadata,
    Column("workspace_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("max_lateness_seconds", Integer),
    Column("late_action", Text),
    # 0: the installation's default.
    Column("max_attempts", Integer, nullable=False),
    Column("max_age_seconds", Integer),
    PrimaryKeyConstraint("workspace_id", "channel", name="channel_rules_pkey"),
)

outages = Table(
    "outages",
    metadata,
    Column("outage_id", Uuid, primary_key=True),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("end_time", DateTime(timezone=True), nullable=False),
)

claim_clock = Table(
    "claim_clock",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("asked_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

posting_plans = Table(
    "posting_plans",
    metadata,
    Column("workspace_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    # As planning.py has them, in JSON.
    Column("slots", JSONB, nullable=False),
    Column("quiet_hours", JSONB, nullable=False),
    Column("blackouts", JSONB, nullable=False),
    Column("min_gap_seconds", Integer, nullable=False),
    # 0: no rule.
    Column("daily_cap", Integer, nullable=False),
    Column("requires_approval", Boolean, nullable=False),
    PrimaryKeyConstraint("workspace_id", "channel", name="posting_plans_pkey"),
)

duplicate_rules = Table(
    "duplicate_rules",
    metadata,
    Column("workspace_id", Uuid, nullable=False),
    # In the order of the alphabet; "" is any.
    Column("channel", Text, nullable=False),
    Column("other_channel", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("window_seconds", Integer, nullable=False),
    PrimaryKeyConstraint("workspace_id", "channel", "other_channel", name="duplicate_rules_pkey"),
)

series = Table(
    "series",
    metadata,
    Column("series_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("channel", Text, nullable=False),
    # RRULE or CRON, and its text.
    Column("rule_kind", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("start_time", DateTime(timezone=False), nullable=False),
    Column("until_time", DateTime(timezone=False)),
    Column("time_zone", Text, nullable=False),
    Column("gap_rule", Text, nullable=False),
    Column("fold", SmallInteger, nullable=False),
    # What each occurrence publishes: accounts, platforms, caption, media, options, ref, lateness, shingles.
    Column("template", JSONB, nullable=False),
    # Occurrences up to this wall-clock time, itself included, were made.
    Column("made_until_time", DateTime(timezone=False)),
    # When the first takes place that is not made; or, when all are made, when the last does.
    time_column("next_time"),
    time_column("end_time"),
    Column("previous_series_id", Uuid),
    Column("revision", Integer, nullable=False, server_default="1"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    Index("series_of_workspace", "workspace_id", "create_time", "series_id"),
    CheckConstraint("(next_time IS NULL) = (end_time IS NOT NULL)", name="it_goes_on_or_ends"),
    Index("series_to_make", "next_time", "series_id", postgresql_where=text("next_time IS NOT NULL")),
)

# Occurrences of which no post is made.
unposted_occurrences = Table(
    "unposted_occurrences",
    metadata,
    Column("series_id", Uuid, nullable=False),
    Column("workspace_id", Uuid, nullable=False),
    Column("occurrence_time", DateTime(timezone=False), nullable=False),
    # SKIPPED or REFUSED.
    Column("state", Text, nullable=False),
    _text("reason"),
    _text("message"),
    PrimaryKeyConstraint("series_id", "occurrence_time", name="unposted_occurrences_pkey"),
)

# The rules by which instants were last made of the wall-clock times of each zone. Of no workspace.
zone_rules = Table(
    "zone_rules",
    metadata,
    Column("time_zone", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    # Since when; NULL: they have not changed since they were first seen.
    time_column("change_time"),
)

requests = requests_table(metadata)
outbox = outbox_table(metadata)
