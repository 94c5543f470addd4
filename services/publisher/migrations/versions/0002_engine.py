"""Uncertain outcomes, incidents, and writes in batches. The version before goes on working on it."""

import sqlalchemy as sa
from alembic import op

revision = "0002_engine"
down_revision = "0001_first"

_NOW = sa.text("now()")


def upgrade() -> None:
    op.add_column("publications", sa.Column("revision", sa.Integer, nullable=False, server_default="0"))
    op.add_column("publications", sa.Column("needs_person", sa.Boolean, nullable=False, server_default="false"))
    # When the intent to publish was stored; what is looked for afterwards was sent since.
    op.add_column("publications", sa.Column("commit_time", sa.DateTime(timezone=True)))
    # When its outcome was found to be uncertain: by then the call had surely left, or never would.
    op.add_column("publications", sa.Column("doubt_time", sa.DateTime(timezone=True)))
    # What an account's recent posts are searched for.
    op.add_column("publications", sa.Column("caption", sa.Text, nullable=False, server_default=""))
    op.add_column("publications", sa.Column("duration_ms", sa.BigInteger, nullable=False, server_default="0"))
    op.drop_constraint("publication_step_is_known", "publications")
    op.create_check_constraint(
        "publication_step_is_known",
        "publications",
        "step IN ('OPENED','PREPARED','HANDLE','COMMITTING','UNCERTAIN','ACCEPTED','PUBLISHED','REMOVED','REJECTED',"
        "'FAILED')",
    )
    # A platform that publishes in one call gives its handle with the answer, if that arrives.
    op.drop_constraint("what_was_sent_has_a_handle", "publications")
    op.create_check_constraint("a_handle_step_has_a_handle", "publications", "step <> 'HANDLE' OR handle <> ''")
    op.drop_constraint("only_an_open_verdict_is_asked_for", "publications")
    op.create_check_constraint(
        "only_what_may_change_is_asked_for",
        "publications",
        "next_check_time IS NULL OR step IN ('ACCEPTED','UNCERTAIN','PUBLISHED')",
    )
    op.create_check_constraint(
        "an_open_verdict_is_asked_for", "publications", "step <> 'ACCEPTED' OR next_check_time IS NOT NULL"
    )
    op.create_check_constraint(
        "what_is_uncertain_is_asked_for_or_a_person_is",
        "publications",
        "step <> 'UNCERTAIN' OR needs_person = (next_check_time IS NULL)",
    )
    op.drop_constraint("only_published_has_publish_time", "publications")
    op.create_check_constraint(
        "only_published_has_publish_time",
        "publications",
        "(step IN ('PUBLISHED','REMOVED')) = (publish_time IS NOT NULL AND visibility IS NOT NULL)",
    )
    # Its predicate named the step, so that every change of step made new entries in every index of the row.
    op.drop_index("publications_to_check", "publications")
    op.create_index(
        "publications_to_check",
        "publications",
        ["next_check_time"],
        postgresql_where=sa.text("next_check_time IS NOT NULL"),
    )
    # Rows change several times within seconds; room on their pages keeps the changes local.
    op.execute("ALTER TABLE publications SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)")
    op.execute("ALTER TABLE attempts SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)")
    # Written in the transaction that writes their publication, by nobody else: looking it up again for each row would
    # double the cost of a line.
    op.drop_constraint("attempts_publication_id_fkey", "attempts")
    op.drop_constraint("attempt_entries_publication_id_fkey", "attempt_entries")
    op.alter_column("attempt_entries", "publication_id", nullable=False)
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("end_time", sa.DateTime(timezone=True)),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("probes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("passed_probes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_probe_time", sa.DateTime(timezone=True)),
        sa.CheckConstraint("(end_time IS NULL) = (next_probe_time IS NOT NULL)", name="an_open_incident_is_probed"),
    )
    op.create_index(
        "one_open_incident_per_platform",
        "incidents",
        ["platform"],
        unique=True,
        postgresql_where=sa.text("end_time IS NULL"),
    )
    op.create_index("incidents_by_time", "incidents", ["start_time", "incident_id"])


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
