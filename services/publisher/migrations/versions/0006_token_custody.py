"""Which master key wraps a data key; when tokens are renewed ahead, and of which ends of authorisations was told."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0006_token_custody"
down_revision = "0005_vendor_calls"


def upgrade() -> None:
    # "": written before master keys had ids, or by the release before this one.
    op.add_column("data_keys", sa.Column("master_key_id", sa.Text, nullable=False, server_default=""))
    op.create_index("data_keys_by_master_key", "data_keys", ["master_key_id", "workspace_id"])
    op.add_column("accounts", sa.Column("renew_time", sa.DateTime(timezone=True)))
    op.add_column("accounts", sa.Column("ending_check_time", sa.DateTime(timezone=True)))
    op.add_column("accounts", sa.Column("endings_told", ARRAY(sa.Integer), nullable=False, server_default="{}"))
    connected = sa.text("state = 'CONNECTED'")
    op.create_index("accounts_to_renew", "accounts", ["renew_time"], postgresql_where=connected)
    # Row-level security holds for the owner too: without a name there would be no rows.
    op.execute("SET LOCAL app.workspace = '*'")
    op.execute("UPDATE accounts SET ending_check_time = refresh_expire_time - interval '30 days'")
    op.execute("SET LOCAL app.workspace = ''")
    op.create_index("accounts_that_end", "accounts", ["ending_check_time"], postgresql_where=connected)


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
