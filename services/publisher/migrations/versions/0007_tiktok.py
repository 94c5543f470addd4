"""Drafts count for themselves in an account's day; webhooks are remembered, and find what they are about; accounts are
disconnected.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_tiktok"
down_revision = "0006_token_custody"


def upgrade() -> None:
    op.drop_constraint("account_state_is_known", "accounts")
    op.create_check_constraint(
        "account_state_is_known", "accounts", "state IN ('CONNECTED','AUTHORIZATION_LOST','DISCONNECTED')"
    )
    op.add_column("day_places", sa.Column("draft", sa.Boolean, nullable=False, server_default="false"))
    # Webhooks name a profile and a handle, and no workspace.
    op.create_index("accounts_by_profile", "accounts", ["platform", "platform_account_id"])
    op.create_index(
        "publications_by_handle",
        "publications",
        ["workspace_id", "account_id", "handle"],
        postgresql_where=sa.text("handle <> ''"),
    )
    op.create_table(
        "webhooks",
        # Of what was signed, time and body.
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
