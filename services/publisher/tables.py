"""The tables of the publisher, as its migrations make them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kit.db import time_column
from kit.outbox import outbox_table
from kit.shared_rate_limit import rate_buckets_table
from kit.vault import data_keys_table
from kit.vendor_calls import vendor_calls_table

metadata = MetaData()

data_keys = data_keys_table(metadata)

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("platform", Text, nullable=False),
    Column("platform_account_id", Text, nullable=False),
    Column("handle", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    # Sealed; see kit/vault.py.
    Column("access_token", LargeBinary, nullable=False),
    Column("access_expire_time", DateTime(timezone=True), nullable=False),
    Column("refresh_token", LargeBinary, nullable=False),
    time_column("refresh_expire_time"),
    # When the present tokens were given.
    time_column("grant_time"),
    # What the platform said that the account may do (domain.AccountLimits), and when.
    Column("limits", JSONB),
    time_column("limits_time"),
    # Until then one process refreshes; the others wait for its result.
    time_column("refresh_lease_time"),
    # When the access token is refreshed ahead of its end; NULL: not counted yet.
    time_column("renew_time"),
    # When it is looked next at what the end of the authorisation means, and what of it was told (endings.py).
    time_column("ending_check_time"),
    Column("endings_told", ARRAY(Integer), nullable=False, server_default="{}"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    UniqueConstraint("workspace_id", "platform", "platform_account_id", name="one_account_per_profile"),
    Index("accounts_by_handle", "workspace_id", "handle", "account_id"),
    Index("accounts_by_profile", "platform", "platform_account_id"),
    Index("accounts_to_renew", "renew_time", postgresql_where=text("state = 'CONNECTED'")),
    Index("accounts_that_end", "ending_check_time", postgresql_where=text("state = 'CONNECTED'")),
)

connections = Table(
    "connections",
    metadata,
    Column("state", Text, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("platform", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("code_verifier", LargeBinary, nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Index("connections_by_expiry", "expire_time"),
)

publish_epochs = Table(
    "publish_epochs",
    metadata,
    Column("publish_epoch", Integer, primary_key=True, autoincrement=False),
    time_column("begin_time", now=True),
    Column("reason", Text, nullable=False),
)

publications = Table(
    "publications",
    metadata,
    Column("publication_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("delivery_id", Uuid, nullable=False),
    Column("post_id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    # The attempt that may write, and how often was written; every write repeats both.
    Column("attempt", Integer, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("step", Text, nullable=False),
    Column("etag", Text, nullable=False),
    Column("options", JSONB, nullable=False),
    Column("handle", Text, nullable=False, server_default=""),
    Column("upload_url", LargeBinary),
    time_column("handle_expire_time"),
    Column("media_size", BigInteger, nullable=False, server_default="0"),
    Column("sent_bytes", BigInteger, nullable=False, server_default="0"),
    # What an account's recent posts are searched for when the answer to the committing call was lost.
    Column("caption", Text, nullable=False, server_default=""),
    Column("duration_ms", BigInteger, nullable=False, server_default="0"),
    time_column("commit_time"),
    time_column("doubt_time"),
    Column("needs_person", Boolean, nullable=False, server_default="false"),
    time_column("accept_time"),
    time_column("next_check_time"),
    Column("checks", Integer, nullable=False, server_default="0"),
    Column("platform_post_id", Text, nullable=False, server_default=""),
    Column("url", Text, nullable=False, server_default=""),
    Column("visibility", Text),
    time_column("publish_time"),
    Column("failure_kind", Text),
    Column("failure_reason", Text, nullable=False, server_default=""),
    Column("failure_message", Text, nullable=False, server_default=""),
    Column("publish_epoch", Integer, nullable=False),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    UniqueConstraint("delivery_id", name="one_publication_per_delivery"),
    Index(
        "publications_let_out",
        "workspace_id",
        "account_id",
        "commit_time",
        postgresql_where=text("commit_time IS NOT NULL"),
    ),
    Index("publications_by_handle", "workspace_id", "account_id", "handle", postgresql_where=text("handle <> ''")),
    Index("publications_to_check", "next_check_time", postgresql_where=text("next_check_time IS NOT NULL")),
)

attempts = Table(
    "attempts",
    metadata,
    Column("publication_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("workspace_id", Uuid, nullable=False),
    Column("holder", Text, nullable=False),
    time_column("start_time", now=True),
    time_column("end_time"),
    Column("outcome", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("publication_id", "attempt", name="attempts_pkey"),
)

attempt_entries = Table(
    "attempt_entries",
    metadata,
    Column("entry_id", BigInteger, Identity(always=True), primary_key=True),
    Column("publication_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("workspace_id", Uuid, nullable=False),
    Column("entry_time", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("step", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("vendor_log_id", Text, nullable=False, server_default=""),
    Index("attempt_entries_in_order", "publication_id", "entry_id"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", Uuid, primary_key=True),
    Column("platform", Text, nullable=False),
    time_column("start_time", now=True),
    time_column("end_time"),
    Column("cause", Text, nullable=False),
    Column("probes", Integer, nullable=False, server_default="0"),
    # In a row; enough of them end the incident.
    Column("passed_probes", Integer, nullable=False, server_default="0"),
    time_column("next_probe_time"),
    Index("one_open_incident_per_platform", "platform", unique=True, postgresql_where=text("end_time IS NULL")),
    Index("incidents_by_time", "start_time", "incident_id"),
)

# Deliveries in work that count in their account's day, until the ledger says that they were let out.
day_places = Table(
    "day_places",
    metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("draft", Boolean, nullable=False, server_default="false"),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Index("day_places_of_account", "workspace_id", "account_id"),
)

# Webhooks that were taken, for as long as they would pass for fresh: each is taken once.
webhooks = Table(
    "webhooks",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("expire_time", DateTime(timezone=True), nullable=False),
)

# How far each stage of the preflight has come.
preflights = Table(
    "preflights",
    metadata,
    Column("stage", Text, primary_key=True),
    # What is due before it has been looked at.
    time_column("until_time", now=True),
    # Until then one process looks.
    time_column("lease_time"),
)

outbox = outbox_table(metadata)

rate_buckets = rate_buckets_table(metadata)

vendor_calls = vendor_calls_table(metadata)
