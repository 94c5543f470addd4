"""Accounts that somebody disconnected, whose tokens are forgotten."""

from alembic import op

revision = "0008_creators"
down_revision = "0005_tiktok"


def upgrade() -> None:
    op.drop_constraint("account_state_is_known", "accounts")
    op.create_check_constraint(
        "account_state_is_known", "accounts", "state IN ('CONNECTED','AUTHORIZATION_LOST','DISCONNECTED')"
    )


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")
