"""Scopes of orders, and of whom they go to."""

from alembic import op

revision = "0002_order_scopes"
down_revision = "0001_first"

_FORMER = (
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
_NEW = ("ORDERS_READ", "ORDERS_WRITE", "RECIPIENTS_READ")


def upgrade() -> None:
    op.drop_constraint("key_has_known_scopes", "api_keys")
    op.create_check_constraint(
        "key_has_known_scopes", "api_keys", f"cardinality(scopes) > 0 AND scopes <@ {_array(_FORMER + _NEW)}"
    )
    # A key that might do everything, as the first one, still may.
    op.execute("SET LOCAL app.workspace = '*'")
    op.execute(f"UPDATE api_keys SET scopes = scopes || {_array(_NEW)} WHERE scopes @> {_array(_FORMER)}")  # noqa: S608
    op.execute("SET LOCAL app.workspace = ''")


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the backup that was made before the upgrade.")


def _array(scopes: tuple[str, ...]) -> str:
    return f"ARRAY[{', '.join(repr(scope) for scope in scopes)}]"
