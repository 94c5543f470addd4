"""Messages that stand for several activities."""

import sqlalchemy as sa
from alembic import op

revision = "0002_gathered"
down_revision = "0001_first"


def upgrade() -> None:
    op.add_column("messages", sa.Column("activity_count", sa.Integer, nullable=False, server_default="1"))


def downgrade() -> None:
    op.drop_column("messages", "activity_count")
