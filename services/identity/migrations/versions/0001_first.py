"""Workspaces, users, API keys, and the answers to repeated requests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kit.migrations import isolate_by_workspace

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None

_SCOPES = (
    "POSTS_READ",
    "POSTS_WRITE",
    "MEDIA_READ",
    "MEDIA_WRITE",
    "ACCOUNTS_READ",
    "ACCOUNTS_WRITE",
    "ACTIVITY_READ",
    "WORKSPACE_ADMIN",
    "OPERATOR",
)


def upgrade() -> None:
    op.create_table(
        "workspaces",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name="workspaces_pkey"),
        sa.CheckConstraint(
            "char_length(display_name) BETWEEN 1 AND 100", name="workspace_name_has_1_to_100_characters"
        ),
    )
    op.create_table(
        "users",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name="users_pkey"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.workspace_id"], name="user_belongs_to_workspace"),
        sa.CheckConstraint("char_length(email) BETWEEN 3 AND 254", name="user_email_has_3_to_254_characters"),
        sa.CheckConstraint("char_length(display_name) BETWEEN 1 AND 100", name="user_name_has_1_to_100_characters"),
    )
    op.create_index("one_user_per_email", "users", ["workspace_id", sa.text("lower(email)")], unique=True)
    op.create_table(
        "api_keys",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("api_key_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("key_digest", sa.LargeBinary, nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True)),
        sa.Column("revoke_time", sa.DateTime(timezone=True)),
        sa.Column("last_use_time", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("workspace_id", "api_key_id", name="api_keys_pkey"),
        sa.UniqueConstraint("key_digest", name="one_key_per_digest"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.workspace_id"], name="key_belongs_to_workspace"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "user_id"], ["users.workspace_id", "users.user_id"], name="key_user_is_of_workspace"
        ),
        sa.CheckConstraint("char_length(display_name) BETWEEN 1 AND 100", name="key_name_has_1_to_100_characters"),
        sa.CheckConstraint("prefix ~ '^rr_[0-9a-f]{8}$'", name="key_prefix_has_its_shape"),
        # A digest, never a text: SHA-256 is 32 bytes long.
        sa.CheckConstraint("octet_length(key_digest) = 32", name="key_digest_is_a_sha256"),
        sa.CheckConstraint(
            f"cardinality(scopes) > 0 AND scopes <@ ARRAY[{', '.join(repr(scope) for scope in _SCOPES)}]",
            name="key_has_known_scopes",
        ),
        sa.CheckConstraint("expire_time > create_time", name="key_expires_after_its_creation"),
    )
    op.create_table(
        "requests",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("response", sa.LargeBinary),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("workspace_id", "request_id", name="requests_pkey"),
    )
    op.create_index("requests_by_age", "requests", ["create_time"])
    isolate_by_workspace(op, "workspaces", "users", "api_keys", "requests")


def downgrade() -> None:
    for table in ("requests", "api_keys", "users", "workspaces"):
        op.drop_table(table)
