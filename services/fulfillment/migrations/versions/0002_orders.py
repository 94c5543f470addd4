"""Orders to Amazon: merchants, routing, orders, shipments with their packages, stock, readings of recipients."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kit.migrations import append_only, isolate_by_workspace

revision = "0002_orders"
down_revision = "0001_first"

_NOW = sa.text("now()")
_TABLES = (
    "merchants",
    "shop_routings",
    "sku_mappings",
    "routing_rules",
    "orders",
    "order_events",
    "shipments",
    "packages",
    "stock",
    "reservations",
    "stock_entries",
    "stock_pushes",
    "drift_reports",
    "drifts",
    "recipient_readings",
)


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True))


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=_NOW)


def upgrade() -> None:
    op.add_column(
        "webhook_events",
        sa.Column("platform_order_ids", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
    )
    op.create_table(
        "merchants",
        sa.Column("merchant_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("seller_id", sa.Text, nullable=False),
        sa.Column("marketplace", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False, server_default=""),
        sa.Column("access_token", sa.LargeBinary),
        _time("access_expire_time"),
        sa.Column("refresh_token", sa.LargeBinary),
        _time("refresh_lease_time"),
        _time("stock_time"),
        _time("stock_whole_time"),
        _time("stock_cursor"),
        _time("orders_cursor"),
        _now("stock_due_time"),
        _time("stock_lease_time"),
        _now("orders_due_time"),
        _time("orders_lease_time"),
        _now("drift_due_time"),
        _now("create_time"),
        _now("update_time"),
        sa.CheckConstraint(
            "state IN ('CONNECTED','AUTHORIZATION_LOST','DISCONNECTED')", name="merchant_state_is_known"
        ),
        sa.CheckConstraint("(state = 'CONNECTED') = (problem = '')", name="only_a_connected_merchant_has_no_problem"),
        sa.CheckConstraint(
            "(state = 'DISCONNECTED') = (refresh_token IS NULL)", name="only_a_disconnected_merchant_no_token"
        ),
        sa.UniqueConstraint("workspace_id", "seller_id", "marketplace", name="one_merchant_per_seller_and_marketplace"),
        sa.Index("merchants_by_name", "workspace_id", "name", "merchant_id"),
        sa.Index(
            "a_merchant_is_open_in_one_workspace",
            "seller_id",
            "marketplace",
            unique=True,
            postgresql_where=sa.text("state <> 'DISCONNECTED'"),
        ),
        sa.Index("merchants_with_stock_to_read", "stock_due_time", postgresql_where=sa.text("state = 'CONNECTED'")),
        sa.Index("merchants_with_orders_to_read", "orders_due_time", postgresql_where=sa.text("state = 'CONNECTED'")),
        sa.Index("merchants_to_compare", "drift_due_time", postgresql_where=sa.text("state = 'CONNECTED'")),
    )
    op.create_table(
        "shop_routings",
        sa.Column("shop_id", sa.Uuid, sa.ForeignKey("shops.shop_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("is_on", sa.Boolean, nullable=False),
        sa.Column("merchant_id", sa.Uuid, sa.ForeignKey("merchants.merchant_id")),
        sa.Column("settings", JSONB, nullable=False),
        sa.Column("tracking_stop", sa.Text, nullable=False, server_default=""),
        _time("tracking_due_time"),
        _time("tracking_lease_time"),
        _time("orders_from_time"),
        _time("orders_cursor"),
        _now("orders_due_time"),
        _time("orders_lease_time"),
        _now("stock_due_time"),
        _now("update_time"),
        sa.Index("shop_routings_of_workspace", "workspace_id", "shop_id"),
        sa.Index("shop_routings_of_merchant", "merchant_id"),
        sa.Index("shops_with_orders_to_read", "orders_due_time", postgresql_where=sa.text("is_on")),
        sa.Index("shops_with_stock_to_spread", "stock_due_time", postgresql_where=sa.text("is_on")),
        sa.Index(
            "shops_with_numbers_to_tell",
            "tracking_due_time",
            postgresql_where=sa.text("tracking_due_time IS NOT NULL AND tracking_stop = ''"),
        ),
    )
    op.create_table(
        "sku_mappings",
        sa.Column("mapping_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("marketplace", sa.Text, nullable=False),
        sa.Column("seller_sku", sa.Text, nullable=False),
        sa.Column("platform_sku_id", sa.Text, nullable=False),
        sa.Column("parts", JSONB, nullable=False),
        _now("update_time"),
        sa.CheckConstraint("seller_sku <> '' OR platform_sku_id <> ''", name="a_mapping_is_of_some_sku"),
        sa.Index(
            "one_mapping_per_platform_sku",
            "workspace_id",
            "marketplace",
            "platform_sku_id",
            unique=True,
            postgresql_where=sa.text("platform_sku_id <> ''"),
        ),
        sa.Index(
            "one_mapping_per_seller_sku",
            "workspace_id",
            "marketplace",
            "seller_sku",
            unique=True,
            postgresql_where=sa.text("platform_sku_id = ''"),
        ),
        sa.Index("sku_mappings_by_sku", "workspace_id", "marketplace", "seller_sku", "mapping_id"),
    )
    op.create_table(
        "routing_rules",
        sa.Column("rule_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("shop_id", sa.Uuid, sa.ForeignKey("shops.shop_id", ondelete="CASCADE")),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("is_on", sa.Boolean, nullable=False),
        _time("start_time"),
        _time("end_time"),
        sa.Column("condition", JSONB, nullable=False),
        sa.Column("action", JSONB, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("request_id", sa.Uuid, nullable=False),
        _now("update_time"),
        sa.UniqueConstraint("workspace_id", "request_id", name="one_rule_per_request"),
        sa.Index("routing_rules_in_order", "workspace_id", "priority", "rule_id"),
    )
    op.create_table(
        "orders",
        sa.Column("order_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("shop_id", sa.Uuid, sa.ForeignKey("shops.shop_id"), nullable=False),
        sa.Column("platform_order_id", sa.Text, nullable=False),
        sa.Column("platform_status", sa.Text, nullable=False),
        _now("platform_create_time"),
        _time("platform_update_time"),
        sa.Column("told_hash", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("reason_text", sa.Text, nullable=False, server_default=""),
        sa.Column("facts", JSONB, nullable=False),
        sa.Column("sealed_order", sa.LargeBinary),
        sa.Column("sealed_address", sa.LargeBinary),
        sa.Column("masked_recipient", sa.Text, nullable=False, server_default=""),
        sa.Column("buyer_hash", sa.LargeBinary),
        _time("erase_time"),
        sa.Column("decision", JSONB),
        sa.Column("passed_over", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("by_hand", JSONB),
        sa.Column("is_cancel_wanted", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("cancel_reason", sa.Text, nullable=False, server_default=""),
        _time("ship_until_time"),
        _time("in_transit_until_time"),
        _time("deliver_until_time"),
        sa.Column("alarms", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        _time("alarm_time"),
        _time("next_time"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        _time("lease_time"),
        _time("end_time"),
        _now("create_time"),
        _now("update_time"),
        sa.CheckConstraint(
            "state IN ('PENDING','HELD','LEFT','ROUTED','SHIPPED','DELIVERED','CANCELED')", name="order_state_is_known"
        ),
        sa.CheckConstraint("state NOT IN ('HELD','LEFT') OR reason <> ''", name="held_and_left_orders_have_a_reason"),
        sa.CheckConstraint(
            "(state IN ('DELIVERED','CANCELED')) <= (end_time IS NOT NULL)", name="what_is_over_has_an_end"
        ),
        sa.CheckConstraint(
            "erase_time IS NULL OR (sealed_order IS NULL AND sealed_address IS NULL AND buyer_hash IS NULL"
            " AND masked_recipient = '')",
            name="what_is_erased_is_gone",
        ),
        sa.UniqueConstraint("workspace_id", "shop_id", "platform_order_id", name="an_order_is_taken_once"),
        sa.Index("orders_by_time", "workspace_id", "platform_create_time", "order_id"),
        sa.Index("orders_by_state", "workspace_id", "state", "platform_create_time", "order_id"),
        sa.Index("orders_of_shop_by_time", "workspace_id", "shop_id", "platform_create_time", "order_id"),
        sa.Index(
            "orders_held",
            "workspace_id",
            "reason",
            "platform_create_time",
            "order_id",
            postgresql_where=sa.text("state = 'HELD'"),
        ),
        sa.Index("orders_by_platform_id", "workspace_id", "platform_order_id"),
        sa.Index("orders_of_buyer", "workspace_id", "buyer_hash"),
        sa.Index("orders_due", "next_time", postgresql_where=sa.text("next_time IS NOT NULL")),
        sa.Index("orders_due_of_shop", "shop_id", "next_time", postgresql_where=sa.text("next_time IS NOT NULL")),
        sa.Index("orders_with_alarms", "alarm_time", postgresql_where=sa.text("alarm_time IS NOT NULL")),
        sa.Index(
            "orders_to_erase", "end_time", postgresql_where=sa.text("erase_time IS NULL AND end_time IS NOT NULL")
        ),
        sa.Index(
            "orders_without_end", "create_time", postgresql_where=sa.text("erase_time IS NULL AND end_time IS NULL")
        ),
    )
    op.create_table(
        "order_events",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, sa.ForeignKey("orders.order_id", ondelete="CASCADE"), nullable=False),
        _now("time"),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False, server_default=""),
        sa.Column("attributes", JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Index("order_events_of_order", "workspace_id", "order_id", "event_id"),
    )
    op.create_table(
        "shipments",
        sa.Column("shipment_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, sa.ForeignKey("orders.order_id"), nullable=False),
        sa.Column("merchant_id", sa.Uuid, sa.ForeignKey("merchants.merchant_id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("fulfillment_order_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("amazon_status", sa.Text, nullable=False, server_default=""),
        sa.Column("speed", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("features", JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("items", JSONB, nullable=False),
        sa.Column("sealed_destination", sa.LargeBinary),
        sa.Column("problem", sa.Text, nullable=False, server_default=""),
        _time("begin_time"),
        _time("submit_time"),
        _time("cancel_refuse_time"),
        _time("amazon_update_time"),
        _time("read_due_time"),
        _time("read_time"),
        _now("create_time"),
        _now("update_time"),
        sa.CheckConstraint(
            "state IN ('PLANNED','SUBMITTING','SUBMITTED','CANCELING','SHIPPED','CANCELED','FAILED')",
            name="shipment_state_is_known",
        ),
        sa.CheckConstraint("(state = 'PLANNED') <= (begin_time IS NULL)", name="a_planned_shipment_was_never_sent"),
        sa.CheckConstraint("(state = 'FAILED') = (problem <> '')", name="only_a_failed_shipment_has_a_problem"),
        sa.UniqueConstraint("workspace_id", "order_id", "number", name="one_shipment_per_number"),
        sa.UniqueConstraint("merchant_id", "fulfillment_order_id", name="one_shipment_per_fulfillment_order"),
        sa.Index("shipments_of_order", "workspace_id", "order_id", "number"),
        sa.Index("shipments_by_fulfillment_order", "workspace_id", "fulfillment_order_id"),
        sa.Index(
            "shipments_open_of_merchant",
            "merchant_id",
            "state",
            postgresql_where=sa.text("state IN ('SUBMITTING','SUBMITTED','CANCELING')"),
        ),
        sa.Index(
            "shipments_to_read",
            "merchant_id",
            "read_due_time",
            postgresql_where=sa.text("read_due_time IS NOT NULL"),
        ),
    )
    op.create_table(
        "packages",
        sa.Column("package_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid, sa.ForeignKey("orders.order_id"), nullable=False),
        sa.Column("shop_id", sa.Uuid, nullable=False),
        sa.Column("shipment_id", sa.Uuid, sa.ForeignKey("shipments.shipment_id"), nullable=False),
        sa.Column("amazon_shipment_id", sa.Text, nullable=False),
        sa.Column("package_number", sa.BigInteger, nullable=False),
        sa.Column("carrier", sa.Text, nullable=False, server_default=""),
        sa.Column("tracking_number", sa.Text, nullable=False, server_default=""),
        sa.Column("amazon_tracking_number", sa.Text, nullable=False, server_default=""),
        sa.Column("status", sa.Text, nullable=False, server_default=""),
        sa.Column("is_current", sa.Boolean, nullable=False, server_default=sa.text("true")),
        sa.Column("items", JSONB, nullable=False, server_default=sa.text("'[]'")),
        _now("proven_time"),
        sa.Column("tell_state", sa.Text, nullable=False, server_default="WAITING"),
        sa.Column("tell_problem", sa.Text, nullable=False, server_default=""),
        sa.Column("told_number", sa.Text, nullable=False, server_default=""),
        sa.Column("told_carrier", sa.Text, nullable=False, server_default=""),
        sa.Column("told_provider_id", sa.Text, nullable=False, server_default=""),
        sa.Column("told_line_ids", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("platform_package_id", sa.Text, nullable=False, server_default=""),
        sa.Column("rejected_number", sa.Text, nullable=False, server_default=""),
        sa.Column("rejected_provider_id", sa.Text, nullable=False, server_default=""),
        sa.Column("is_edit_used", sa.Boolean, nullable=False, server_default=sa.text("false")),
        _time("tell_due_time"),
        sa.Column("tell_attempt", sa.Integer, nullable=False, server_default="0"),
        _time("told_time"),
        _time("number_time"),
        _time("ship_time"),
        _time("in_transit_time"),
        _time("delivered_time"),
        _time("estimated_arrival_time"),
        _time("track_due_time"),
        _now("create_time"),
        _now("update_time"),
        sa.CheckConstraint(
            "tell_state IN ('WAITING','DUE','TELLING','TOLD','BLOCKED','REJECTED')", name="tell_state_is_known"
        ),
        sa.CheckConstraint(
            "tell_state NOT IN ('TELLING','TOLD') OR told_number <> ''", name="what_is_told_has_a_number"
        ),
        sa.CheckConstraint(
            "(tell_state IN ('BLOCKED','REJECTED')) = (tell_problem <> '')", name="only_untold_have_a_problem"
        ),
        sa.UniqueConstraint("workspace_id", "shipment_id", "package_number", name="one_package_per_number"),
        sa.CheckConstraint(
            "tell_state NOT IN ('DUE','TELLING') OR tell_due_time IS NOT NULL", name="what_is_untold_is_due"
        ),
        sa.Index("packages_of_order", "workspace_id", "order_id", "package_id"),
        sa.Index(
            "packages_to_tell",
            "workspace_id",
            "shop_id",
            "tell_due_time",
            postgresql_where=sa.text("tell_due_time IS NOT NULL"),
        ),
        sa.Index(
            "a_number_is_told_for_one_package",
            "workspace_id",
            "told_number",
            unique=True,
            postgresql_where=sa.text("told_number <> ''"),
        ),
        sa.Index("packages_to_track", "track_due_time", postgresql_where=sa.text("track_due_time IS NOT NULL")),
    )
    op.create_table(
        "stock",
        sa.Column("merchant_id", sa.Uuid, sa.ForeignKey("merchants.merchant_id"), nullable=False),
        sa.Column("amazon_sku", sa.Text, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("asin", sa.Text, nullable=False, server_default=""),
        sa.Column("fnsku", sa.Text, nullable=False, server_default=""),
        sa.Column("title", sa.Text, nullable=False, server_default=""),
        sa.Column("barcodes", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("is_at_amazon", sa.Boolean, nullable=False),
        sa.Column("fulfillable", sa.BigInteger, nullable=False),
        sa.Column("inbound", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("in_flight", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("safety_stock", sa.Integer),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("spread_version", sa.BigInteger, nullable=False, server_default="0"),
        _time("amazon_update_time"),
        _now("read_time"),
        sa.PrimaryKeyConstraint("merchant_id", "amazon_sku", name="one_row_per_sku"),
        sa.CheckConstraint("fulfillable >= 0 AND reserved >= 0 AND in_flight >= 0", name="no_stock_is_below_zero"),
        sa.Index("stock_of_workspace", "workspace_id", "merchant_id", "amazon_sku"),
        sa.Index("stock_to_spread", "merchant_id", postgresql_where=sa.text("version <> spread_version")),
    )
    op.create_table(
        "reservations",
        sa.Column("shipment_id", sa.Uuid, sa.ForeignKey("shipments.shipment_id"), nullable=False),
        sa.Column("amazon_sku", sa.Text, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        _time("submit_time"),
        _now("create_time"),
        _now("update_time"),
        sa.PrimaryKeyConstraint("shipment_id", "amazon_sku", name="one_reservation_per_sku_of_shipment"),
        sa.CheckConstraint("quantity > 0", name="a_reservation_is_of_units"),
        sa.CheckConstraint("state IN ('RESERVED','IN_FLIGHT','SETTLED','RELEASED')", name="reservation_state_is_known"),
        sa.Index(
            "reservations_of_sku",
            "merchant_id",
            "amazon_sku",
            postgresql_where=sa.text("state IN ('RESERVED','IN_FLIGHT')"),
        ),
        sa.Index("reservations_of_workspace", "workspace_id", "shipment_id"),
    )
    op.create_table(
        "stock_entries",
        sa.Column("entry_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, nullable=False),
        sa.Column("amazon_sku", sa.Text, nullable=False),
        _now("time"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("order_id", sa.Uuid),
        sa.Column("fulfillment_order_id", sa.Text, nullable=False, server_default=""),
        sa.Index("stock_entries_of_sku", "workspace_id", "merchant_id", "amazon_sku", "entry_id"),
    )
    op.create_table(
        "stock_pushes",
        sa.Column("shop_id", sa.Uuid, sa.ForeignKey("shops.shop_id", ondelete="CASCADE"), nullable=False),
        sa.Column("platform_sku_id", sa.Text, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("platform_product_id", sa.Text, nullable=False),
        sa.Column("seller_sku", sa.Text, nullable=False),
        sa.Column("parts", JSONB, nullable=False),
        sa.Column("wanted_quantity", sa.BigInteger, nullable=False),
        sa.Column("wanted_version", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("told_quantity", sa.BigInteger),
        sa.Column("told_version", sa.BigInteger, nullable=False, server_default="0"),
        _time("told_time"),
        sa.Column("problem", sa.Text, nullable=False, server_default=""),
        _time("next_time"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        _time("lease_time"),
        sa.PrimaryKeyConstraint("shop_id", "platform_sku_id", name="one_push_per_sku"),
        sa.Index("stock_pushes_of_workspace", "workspace_id", "shop_id", "platform_sku_id"),
        sa.Index(
            "stock_pushes_of_product",
            "workspace_id",
            "shop_id",
            "platform_product_id",
            postgresql_where=sa.text("next_time IS NOT NULL"),
        ),
        sa.Index("stock_pushes_due", "next_time", postgresql_where=sa.text("next_time IS NOT NULL")),
    )
    op.create_table(
        "drift_reports",
        sa.Column("report_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("merchant_id", sa.Uuid, sa.ForeignKey("merchants.merchant_id"), nullable=False),
        sa.Column("orders", sa.Integer, nullable=False),
        sa.Column("skus", sa.Integer, nullable=False),
        sa.Column("drifts", sa.Integer, nullable=False),
        _now("create_time"),
        sa.Index("drift_reports_of_merchant", "workspace_id", "merchant_id", "report_id"),
    )
    op.create_table(
        "drifts",
        sa.Column("report_id", sa.Uuid, sa.ForeignKey("drift_reports.report_id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("amazon_sku", sa.Text, nullable=False, server_default=""),
        sa.Column("order_id", sa.Uuid),
        sa.Column("fulfillment_order_id", sa.Text, nullable=False, server_default=""),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("sides", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("report_id", "number", name="one_drift_per_number"),
        sa.Index("drifts_of_workspace", "workspace_id", "report_id", "number"),
    )
    op.create_table(
        "recipient_readings",
        sa.Column("reading_id", sa.Uuid, primary_key=True),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        _now("time"),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("workspace_id", "number", name="one_reading_per_number"),
        sa.Index("recipient_readings_of_order", "workspace_id", "order_id", "number"),
    )
    isolate_by_workspace(op, *_TABLES)
    append_only(op, "recipient_readings")


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.drop_column("webhook_events", "platform_order_ids")
