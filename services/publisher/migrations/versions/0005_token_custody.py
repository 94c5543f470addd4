"""Which master key wraps a data key; when tokens are renewed ahead, and of which ends of authorisations was told."""

import sqlalchemy as sa
from alembic import op

revision = "0005_token_custody"
down_revision = "0004_forecast"


def upgrade() -> None:
    # "": written before master keys had ids, or by the release before this one.
    op.add_column("data_keys", sa.Column("master_key_id", sa.Text, nullable=False, server_default=""))
    op.create_index("data_keys_by_master_key", "data_keys", ["master_key_id", "workspace_id"])


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
