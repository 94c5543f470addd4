"""Shops with what their sellers consented to, their products, webhooks that were taken, outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from kit.migrations import isolate_by_workspace

revision = "0001_first"
down_revision = None

_NOW = sa.text("now()")
_SUBJECTS = ("post_id", "delivery_id", "account_id", "order_id", "shop_id")


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True))


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=_NOW)


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("workspace_id", sa.Uuid, primary_key=True),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("master_key_id", sa.Text, nullable=False, server_default=""),
        _now("create_time"),
    )
    op.create_index("data_keys_by_master_key", "data_keys", ["master_key_id", "workspace_id"])
    op.create_table(
        "authorizations",
        sa.Column("authorization_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("seller_open_id", sa.Text, nullable=False),
        sa.Column("seller_name", sa.Text, nullable=False),
        sa.Column("seller_region", sa.Text, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False, server_default=""),
        sa.Column("access_token", sa.LargeBinary),
        _time("access_expire_time"),
        sa.Column("refresh_token", sa.LargeBinary),
        _time("refresh_expire_time"),
        _time("renew_time"),
        _time("refresh_lease_time"),
        _time("told_expire_time"),
        _now("create_time"),
        _now("update_time"),
        sa.CheckConstraint(
            "state IN ('CONNECTED','AUTHORIZATION_LOST','DISCONNECTED')", name="authorization_state_is_known"
        ),
        sa.CheckConstraint("(state = 'CONNECTED') = (problem = '')", name="only_a_connected_one_has_no_problem"),
        sa.CheckConstraint(
            "(state = 'DISCONNECTED') = (access_token IS NULL) AND (access_token IS NULL) = (refresh_token IS NULL)"
            " AND (access_token IS NULL) = (access_expire_time IS NULL)",
            name="only_a_disconnected_one_has_no_tokens",
        ),
        sa.UniqueConstraint("workspace_id", "seller_open_id", name="one_authorization_per_seller"),
    )
    connected = sa.text("state = 'CONNECTED'")
    op.create_index("authorizations_by_seller", "authorizations", ["seller_open_id"])
    op.create_index("authorizations_to_renew", "authorizations", ["renew_time"], postgresql_where=connected)
    op.create_index("authorizations_that_end", "authorizations", ["refresh_expire_time"], postgresql_where=connected)
    op.create_table(
        "shops",
        sa.Column("shop_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("authorization_id", sa.Uuid, sa.ForeignKey("authorizations.authorization_id"), nullable=False),
        sa.Column("platform_shop_id", sa.Text, nullable=False),
        sa.Column("cipher", sa.LargeBinary),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("seller_type", sa.Text, nullable=False),
        _time("catalogue_time"),
        _time("catalogue_whole_time"),
        _time("catalogue_cursor"),
        _now("catalogue_due_time"),
        _time("catalogue_lease_time"),
        _now("create_time"),
        _now("update_time"),
        sa.UniqueConstraint("workspace_id", "platform_shop_id", name="one_shop_per_platform_shop"),
    )
    is_open = sa.text("cipher IS NOT NULL")
    op.create_index("shops_by_name", "shops", ["workspace_id", "name", "shop_id"])
    op.create_index("shops_of_authorization", "shops", ["authorization_id"])
    op.create_index("shops_to_read", "shops", ["catalogue_due_time"], postgresql_where=is_open)
    op.create_index(
        "a_shop_is_open_in_one_workspace", "shops", ["platform_shop_id"], unique=True, postgresql_where=is_open
    )
    op.create_table(
        "connections",
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        _now("expire_time"),
    )
    op.create_index("connections_by_expiry", "connections", ["expire_time"])
    op.create_table(
        "products",
        sa.Column("product_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("shop_id", sa.Uuid, sa.ForeignKey("shops.shop_id"), nullable=False),
        sa.Column("platform_product_id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("skus", JSONB, nullable=False),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("image_urls", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        _time("platform_create_time"),
        _time("platform_update_time"),
        _now("read_time"),
        sa.Column("is_detail_due", sa.Boolean, nullable=False),
        sa.UniqueConstraint("workspace_id", "shop_id", "platform_product_id", name="one_product_per_platform_product"),
    )
    op.create_index("products_by_title", "products", ["workspace_id", "title", "product_id"])
    op.create_index("products_of_shop_by_title", "products", ["workspace_id", "shop_id", "title", "product_id"])
    op.create_index(
        "products_without_detail",
        "products",
        ["workspace_id", "shop_id", "read_time"],
        postgresql_where=sa.text("is_detail_due"),
    )
    # A search for text reads a workspace's rows: what is long in them lies elsewhere.
    op.execute("ALTER TABLE products SET (toast_tuple_target = 512)")
    op.create_table(
        "webhook_events",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("notification_id", sa.Text, nullable=False),
        sa.Column(
            "authorization_id",
            sa.Uuid,
            sa.ForeignKey("authorizations.authorization_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("shop_id", sa.Uuid, sa.ForeignKey("shops.shop_id", ondelete="CASCADE")),
        sa.Column("type", sa.Integer, nullable=False),
        sa.Column("platform_product_id", sa.Text, nullable=False, server_default=""),
        _now("receive_time"),
        _time("next_time"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("workspace_id", "notification_id", name="an_event_is_taken_once"),
    )
    op.create_index(
        "webhook_events_due", "webhook_events", ["next_time"], postgresql_where=sa.text("next_time IS NOT NULL")
    )
    op.create_index("webhook_events_by_age", "webhook_events", ["receive_time"])
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        _now("create_time"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        _now("next_time"),
        sa.Column("refusal", sa.Text),
    )
    op.create_index("outbox_waiting", "outbox", ["next_time", "position"], postgresql_where=sa.text("refusal IS NULL"))
    op.create_index(
        "outbox_order", "outbox", ["aggregate_id", "target", "position"], postgresql_where=sa.text("refusal IS NULL")
    )
    op.create_table(
        "rate_buckets",
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("window_seconds", sa.Double, nullable=False),
        sa.Column("use_seconds", sa.Double, nullable=False),
        sa.Column("granted", sa.Integer, nullable=False),
        sa.Column("pause_end_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("returned", sa.BigInteger, nullable=False),
        sa.Column("taken_until", ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("taken_totals", ARRAY(sa.BigInteger), nullable=False),
    )
    # Every take writes its row anew: room on the page, and a vacuum that comes before the dead rows are many.
    op.execute(
        "ALTER TABLE rate_buckets SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02,"
        " autovacuum_vacuum_threshold = 500)"
    )
    op.create_table(
        "vendor_calls",
        sa.Column("vendor_call_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid),
        *(sa.Column(name, sa.Uuid) for name in _SUBJECTS),
        sa.Column("vendor", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_seconds", sa.Double, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("log_id", sa.Text),
        sa.Column("handle", sa.Text),
        sa.Column("request", JSON),
        sa.Column("answer", JSON),
    )
    op.create_index("vendor_calls_of_workspace", "vendor_calls", ["workspace_id", "vendor_call_id"])
    op.create_index(
        "vendor_calls_that_failed",
        "vendor_calls",
        ["workspace_id", "vendor_call_id"],
        postgresql_where=sa.text("outcome <> 'ok'"),
    )
    for name in _SUBJECTS:
        op.create_index(
            f"vendor_calls_of_{name.removesuffix('_id')}",
            "vendor_calls",
            ["workspace_id", name, "vendor_call_id"],
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    # Rows come at one end and go at the other: what went is free for what comes before it is a fifth of all.
    op.execute("ALTER TABLE vendor_calls SET (autovacuum_vacuum_scale_factor = 0.02)")
    isolate_by_workspace(
        op,
        "data_keys",
        "authorizations",
        "shops",
        "connections",
        "products",
        "webhook_events",
        "outbox",
        "vendor_calls",
    )


def downgrade() -> None:
    for table in (
        "vendor_calls",
        "rate_buckets",
        "outbox",
        "webhook_events",
        "products",
        "connections",
        "shops",
        "authorizations",
        "data_keys",
    ):
        op.drop_table(table)
