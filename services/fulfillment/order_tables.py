"""The tables of merchants, routing, orders, shipments and stock, as the migrations make them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kit.db import time_column
from services.fulfillment.tables import metadata as metadata

# Amazon sellers, each in one marketplace.
merchants = Table(
    "merchants",
    metadata,
    Column("merchant_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("seller_id", Text, nullable=False),
    Column("marketplace", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    # Sealed; see kit/vault.py. Forgotten when somebody disconnects the merchant.
    Column("access_token", LargeBinary),
    time_column("access_expire_time"),
    Column("refresh_token", LargeBinary),
    # Until then one process refreshes; the others wait for its result.
    time_column("refresh_lease_time"),
    # When the stock was last read to the end, in part or whole, and when it was last read whole.
    time_column("stock_time"),
    time_column("stock_whole_time"),
    # What changed at Amazon before is known: of stock, and of fulfilment orders.
    time_column("stock_cursor"),
    time_column("orders_cursor"),
    # When they are to be read next, and until when one process does.
    time_column("stock_due_time", now=True),
    time_column("stock_lease_time"),
    time_column("orders_due_time", now=True),
    time_column("orders_lease_time"),
    # When the next drift report is to be made.
    time_column("drift_due_time", now=True),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    CheckConstraint("state IN ('CONNECTED','AUTHORIZATION_LOST','DISCONNECTED')", name="merchant_state_is_known"),
    CheckConstraint("(state = 'CONNECTED') = (problem = '')", name="only_a_connected_merchant_has_no_problem"),
    CheckConstraint("(state = 'DISCONNECTED') = (refresh_token IS NULL)", name="only_a_disconnected_merchant_no_token"),
    UniqueConstraint("workspace_id", "seller_id", "marketplace", name="one_merchant_per_seller_and_marketplace"),
    Index("merchants_by_name", "workspace_id", "name", "merchant_id"),
    Index(
        "a_merchant_is_open_in_one_workspace",
        "seller_id",
        "marketplace",
        unique=True,
        postgresql_where=text("state <> 'DISCONNECTED'"),
    ),
    Index("merchants_with_stock_to_read", "stock_due_time", postgresql_where=text("state = 'CONNECTED'")),
    Index("merchants_with_orders_to_read", "orders_due_time", postgresql_where=text("state = 'CONNECTED'")),
    Index("merchants_to_compare", "drift_due_time", postgresql_where=text("state = 'CONNECTED'")),
)

# How a shop's orders are routed; a shop without a row has the defaults, switched off.
shop_routings = Table(
    "shop_routings",
    metadata,
    Column("shop_id", Uuid, ForeignKey("shops.shop_id", ondelete="CASCADE"), primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("is_on", Boolean, nullable=False),
    Column("merchant_id", Uuid, ForeignKey("merchants.merchant_id")),
    # The rest of routing/settings.py.
    Column("settings", JSONB, nullable=False),
    # Why no tracking numbers are sent; empty: they are.
    Column("tracking_stop", Text, nullable=False, server_default=""),
    # When numbers are to be told next (none: there are none), and until when one process tells them.
    time_column("tracking_due_time"),
    time_column("tracking_lease_time"),
    # Orders that were created before are not taken in; none: as of the next reading.
    time_column("orders_from_time"),
    # What changed before is known; when orders are to be read next, and until when one process reads them.
    time_column("orders_cursor"),
    time_column("orders_due_time", now=True),
    time_column("orders_lease_time"),
    # When what TikTok Shop is to be told of all of its SKUs is made next.
    time_column("stock_due_time", now=True),
    time_column("update_time", now=True),
    Index("shop_routings_of_workspace", "workspace_id", "shop_id"),
    Index("shop_routings_of_merchant", "merchant_id"),
    Index("shops_with_orders_to_read", "orders_due_time", postgresql_where=text("is_on")),
    Index("shops_with_stock_to_spread", "stock_due_time", postgresql_where=text("is_on")),
    Index(
        "shops_with_numbers_to_tell",
        "tracking_due_time",
        postgresql_where=text("tracking_due_time IS NOT NULL AND tracking_stop = ''"),
    ),
)

sku_mappings = Table(
    "sku_mappings",
    metadata,
    Column("mapping_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("marketplace", Text, nullable=False),
    Column("seller_sku", Text, nullable=False),
    Column("platform_sku_id", Text, nullable=False),
    # [[Amazon's SKU, how many], …]
    Column("parts", JSONB, nullable=False),
    time_column("update_time", now=True),
    CheckConstraint("seller_sku <> '' OR platform_sku_id <> ''", name="a_mapping_is_of_some_sku"),
    Index(
        "one_mapping_per_platform_sku",
        "workspace_id",
        "marketplace",
        "platform_sku_id",
        unique=True,
        postgresql_where=text("platform_sku_id <> ''"),
    ),
    Index(
        "one_mapping_per_seller_sku",
        "workspace_id",
        "marketplace",
        "seller_sku",
        unique=True,
        postgresql_where=text("platform_sku_id = ''"),
    ),
    Index("sku_mappings_by_sku", "workspace_id", "marketplace", "seller_sku", "mapping_id"),
)

routing_rules = Table(
    "routing_rules",
    metadata,
    Column("rule_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("shop_id", Uuid, ForeignKey("shops.shop_id", ondelete="CASCADE")),
    Column("name", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("is_on", Boolean, nullable=False),
    time_column("start_time"),
    time_column("end_time"),
    Column("condition", JSONB, nullable=False),
    Column("action", JSONB, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    # Of the request that made it, so that it is made once.
    Column("request_id", Uuid, nullable=False),
    time_column("update_time", now=True),
    UniqueConstraint("workspace_id", "request_id", name="one_rule_per_request"),
    Index("routing_rules_in_order", "workspace_id", "priority", "rule_id"),
)

orders = Table(
    "orders",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("shop_id", Uuid, ForeignKey("shops.shop_id"), nullable=False),
    Column("platform_order_id", Text, nullable=False),
    Column("platform_status", Text, nullable=False),
    time_column("platform_create_time", now=True),
    # The version that the row holds: an older one changes nothing.
    time_column("platform_update_time"),
    # A keyed hash of all that TikTok Shop told: what is the same is not stored again.
    Column("told_hash", LargeBinary),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("reason_text", Text, nullable=False, server_default=""),
    # What is known of it without whom it goes to: see orders/shop_order.py.
    Column("facts", JSONB, nullable=False),
    # Sealed: the order as TikTok Shop told it, and where it goes as we made it fit, with what was changed.
    Column("sealed_order", LargeBinary),
    Column("sealed_address", LargeBinary),
    # "I*** R***, TN 379**"
    Column("masked_recipient", Text, nullable=False, server_default=""),
    # A keyed hash of TikTok Shop's id of the buyer, to find all of a buyer's orders.
    Column("buyer_hash", LargeBinary),
    time_column("erase_time"),
    # The latest decision, with its trace.
    Column("decision", JSONB),
    # Reasons that people passed over, and what they chose by hand.
    Column("passed_over", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("by_hand", JSONB),
    Column("is_cancel_wanted", Boolean, nullable=False, server_default=text("false")),
    # TikTok Shop's word for why, where it is to be canceled there, too.
    Column("cancel_reason", Text, nullable=False, server_default=""),
    # Deadlines of TikTok Shop, and which alarms were given.
    time_column("ship_until_time"),
    time_column("in_transit_until_time"),
    time_column("deliver_until_time"),
    Column("alarms", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    time_column("alarm_time"),
    # When something is next done about it, which try it is, and until when one process does it.
    time_column("next_time"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    time_column("lease_time"),
    # When it came to an end (delivered, canceled): what is personal is deleted so long after.
    time_column("end_time"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    CheckConstraint(
        "state IN ('PENDING','HELD','LEFT','ROUTED','SHIPPED','DELIVERED','CANCELED')", name="order_state_is_known"
    ),
    CheckConstraint("state NOT IN ('HELD','LEFT') OR reason <> ''", name="held_and_left_orders_have_a_reason"),
    CheckConstraint("(state IN ('DELIVERED','CANCELED')) <= (end_time IS NOT NULL)", name="what_is_over_has_an_end"),
    CheckConstraint(
        "erase_time IS NULL OR (sealed_order IS NULL AND sealed_address IS NULL AND buyer_hash IS NULL"
        " AND masked_recipient = '')",
        name="what_is_erased_is_gone",
    ),
    UniqueConstraint("workspace_id", "shop_id", "platform_order_id", name="an_order_is_taken_once"),
    Index("orders_by_time", "workspace_id", "platform_create_time", "order_id"),
    Index("orders_by_state", "workspace_id", "state", "platform_create_time", "order_id"),
    Index("orders_of_shop_by_time", "workspace_id", "shop_id", "platform_create_time", "order_id"),
    Index(
        "orders_held",
        "workspace_id",
        "reason",
        "platform_create_time",
        "order_id",
        postgresql_where=text("state = 'HELD'"),
    ),
    Index("orders_by_platform_id", "workspace_id", "platform_order_id"),
    Index("orders_of_buyer", "workspace_id", "buyer_hash"),
    Index("orders_due", "next_time", postgresql_where=text("next_time IS NOT NULL")),
    Index("orders_due_of_shop", "shop_id", "next_time", postgresql_where=text("next_time IS NOT NULL")),
    Index("orders_with_alarms", "alarm_time", postgresql_where=text("alarm_time IS NOT NULL")),
    Index("orders_to_erase", "end_time", postgresql_where=text("erase_time IS NULL AND end_time IS NOT NULL")),
    Index("orders_without_end", "create_time", postgresql_where=text("erase_time IS NULL AND end_time IS NULL")),
)

# What happened to an order. Nothing of whom it goes to is in it.
order_events = Table(
    "order_events",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("order_id", Uuid, ForeignKey("orders.order_id", ondelete="CASCADE"), nullable=False),
    time_column("time", now=True),
    Column("type", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("actor", Text, nullable=False, server_default=""),
    Column("attributes", JSONB, nullable=False, server_default=text("'{}'")),
    Index("order_events_of_order", "workspace_id", "order_id", "event_id"),
)

# Orders at Amazon: each is an order, or a part of it, or a new try of it.
shipments = Table(
    "shipments",
    metadata,
    Column("shipment_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("order_id", Uuid, ForeignKey("orders.order_id"), nullable=False),
    Column("merchant_id", Uuid, ForeignKey("merchants.merchant_id"), nullable=False),
    # Counts within the order; the last part of the id.
    Column("number", Integer, nullable=False),
    Column("fulfillment_order_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amazon_status", Text, nullable=False, server_default=""),
    Column("speed", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("features", JSONB, nullable=False, server_default=text("'{}'")),
    # [{"item_id", "amazon_sku", "quantity", "platform_line_ids"}, …]
    Column("items", JSONB, nullable=False),
    # Sealed: where it goes, exactly as it is sent each time.
    Column("sealed_destination", LargeBinary),
    Column("problem", Text, nullable=False, server_default=""),
    # When the first call was begun: from then on only a reading says whether Amazon has it.
    time_column("begin_time"),
    time_column("submit_time"),
    # When Amazon would not cancel it any more: it is not asked again.
    time_column("cancel_refuse_time"),
    time_column("amazon_update_time"),
    # When it is to be read next at the latest, whatever Amazon's list says (none: never), and when it last was.
    time_column("read_due_time"),
    time_column("read_time"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    CheckConstraint(
        "state IN ('PLANNED','SUBMITTING','SUBMITTED','CANCELING','SHIPPED','CANCELED','FAILED')",
        name="shipment_state_is_known",
    ),
    CheckConstraint("(state = 'PLANNED') <= (begin_time IS NULL)", name="a_planned_shipment_was_never_sent"),
    CheckConstraint("(state = 'FAILED') = (problem <> '')", name="only_a_failed_shipment_has_a_problem"),
    UniqueConstraint("workspace_id", "order_id", "number", name="one_shipment_per_number"),
    # Amazon's uniqueness is ours, too.
    UniqueConstraint("merchant_id", "fulfillment_order_id", name="one_shipment_per_fulfillment_order"),
    Index("shipments_of_order", "workspace_id", "order_id", "number"),
    Index("shipments_by_fulfillment_order", "workspace_id", "fulfillment_order_id"),
    Index(
        "shipments_open_of_merchant",
        "merchant_id",
        "state",
        postgresql_where=text("state IN ('SUBMITTING','SUBMITTED','CANCELING')"),
    ),
    Index("shipments_to_read", "merchant_id", "read_due_time", postgresql_where=text("read_due_time IS NOT NULL")),
)

# Parcels of shipments, and what TikTok Shop knows of them.
packages = Table(
    "packages",
    metadata,
    Column("package_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("order_id", Uuid, ForeignKey("orders.order_id"), nullable=False),
    Column("shop_id", Uuid, nullable=False),
    Column("shipment_id", Uuid, ForeignKey("shipments.shipment_id"), nullable=False),
    Column("amazon_shipment_id", Text, nullable=False),
    # Amazon's number of the package.
    Column("package_number", BigInteger, nullable=False),
    Column("carrier", Text, nullable=False, server_default=""),
    Column("tracking_number", Text, nullable=False, server_default=""),
    Column("amazon_tracking_number", Text, nullable=False, server_default=""),
    Column("status", Text, nullable=False, server_default=""),
    # False: Amazon took its shipment back; a new one follows.
    Column("is_current", Boolean, nullable=False, server_default=text("true")),
    # [{"item_id", "amazon_sku", "quantity"}, …]
    Column("items", JSONB, nullable=False, server_default=text("'[]'")),
    # When Amazon last showed it so.
    time_column("proven_time", now=True),
    Column("tell_state", Text, nullable=False, server_default="WAITING"),
    Column("tell_problem", Text, nullable=False, server_default=""),
    # What is being told, or was told.
    Column("told_number", Text, nullable=False, server_default=""),
    Column("told_carrier", Text, nullable=False, server_default=""),
    Column("told_provider_id", Text, nullable=False, server_default=""),
    Column("told_line_ids", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("platform_package_id", Text, nullable=False, server_default=""),
    # What TikTok Shop rejected: it is never told again.
    Column("rejected_number", Text, nullable=False, server_default=""),
    Column("rejected_provider_id", Text, nullable=False, server_default=""),
    Column("is_edit_used", Boolean, nullable=False, server_default=text("false")),
    # When it is told, or looked at again, and which try that is; none: nothing is to be done.
    time_column("tell_due_time"),
    Column("tell_attempt", Integer, nullable=False, server_default="0"),
    time_column("told_time"),
    time_column("number_time"),
    time_column("ship_time"),
    time_column("in_transit_time"),
    time_column("delivered_time"),
    time_column("estimated_arrival_time"),
    # When its way is to be asked for next; none: it is over.
    time_column("track_due_time"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    CheckConstraint(
        "tell_state IN ('WAITING','DUE','TELLING','TOLD','BLOCKED','REJECTED')", name="tell_state_is_known"
    ),
    CheckConstraint("tell_state NOT IN ('TELLING','TOLD') OR told_number <> ''", name="what_is_told_has_a_number"),
    CheckConstraint("(tell_state IN ('BLOCKED','REJECTED')) = (tell_problem <> '')", name="only_untold_have_a_problem"),
    UniqueConstraint("workspace_id", "shipment_id", "package_number", name="one_package_per_number"),
    CheckConstraint("tell_state NOT IN ('DUE','TELLING') OR tell_due_time IS NOT NULL", name="what_is_untold_is_due"),
    Index("packages_of_order", "workspace_id", "order_id", "package_id"),
    Index(
        "packages_to_tell",
        "workspace_id",
        "shop_id",
        "tell_due_time",
        postgresql_where=text("tell_due_time IS NOT NULL"),
    ),
    Index(
        "a_number_is_told_for_one_package",
        "workspace_id",
        "told_number",
        unique=True,
        postgresql_where=text("told_number <> ''"),
    ),
    Index("packages_to_track", "track_due_time", postgresql_where=text("track_due_time IS NOT NULL")),
)

# Units of a merchant's SKUs. The row is what reservations of the SKU lock.
stock = Table(
    "stock",
    metadata,
    Column("merchant_id", Uuid, ForeignKey("merchants.merchant_id"), nullable=False),
    Column("amazon_sku", Text, nullable=False),
    Column("workspace_id", Uuid, nullable=False),
    Column("asin", Text, nullable=False, server_default=""),
    Column("fnsku", Text, nullable=False, server_default=""),
    Column("title", Text, nullable=False, server_default=""),
    Column("barcodes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("is_at_amazon", Boolean, nullable=False),
    Column("fulfillable", BigInteger, nullable=False),
    Column("inbound", BigInteger, nullable=False, server_default="0"),
    # Sums of the reservations that are in these states.
    Column("reserved", BigInteger, nullable=False, server_default="0"),
    Column("in_flight", BigInteger, nullable=False, server_default="0"),
    # None: as the shop's setting says.
    Column("safety_stock", Integer),
    # Grows whenever what can be sold may have changed.
    Column("version", BigInteger, nullable=False, server_default="1"),
    # The version by which TikTok Shop's figures were last made.
    Column("spread_version", BigInteger, nullable=False, server_default="0"),
    time_column("amazon_update_time"),
    time_column("read_time", now=True),
    PrimaryKeyConstraint("merchant_id", "amazon_sku", name="one_row_per_sku"),
    CheckConstraint("fulfillable >= 0 AND reserved >= 0 AND in_flight >= 0", name="no_stock_is_below_zero"),
    Index("stock_of_workspace", "workspace_id", "merchant_id", "amazon_sku"),
    Index("stock_to_spread", "merchant_id", postgresql_where=text("version <> spread_version")),
)

# Units of a SKU that a shipment holds or has taken.
reservations = Table(
    "reservations",
    metadata,
    Column("shipment_id", Uuid, ForeignKey("shipments.shipment_id"), nullable=False),
    Column("amazon_sku", Text, nullable=False),
    Column("workspace_id", Uuid, nullable=False),
    Column("merchant_id", Uuid, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("state", Text, nullable=False),
    # When Amazon had it: what it counts from later on has these units taken off.
    time_column("submit_time"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    PrimaryKeyConstraint("shipment_id", "amazon_sku", name="one_reservation_per_sku_of_shipment"),
    CheckConstraint("quantity > 0", name="a_reservation_is_of_units"),
    CheckConstraint("state IN ('RESERVED','IN_FLIGHT','SETTLED','RELEASED')", name="reservation_state_is_known"),
    Index(
        "reservations_of_sku", "merchant_id", "amazon_sku", postgresql_where=text("state IN ('RESERVED','IN_FLIGHT')")
    ),
    Index("reservations_of_workspace", "workspace_id", "shipment_id"),
)

# The ledger: what changed a SKU's figures, for ever added to and never changed.
stock_entries = Table(
    "stock_entries",
    metadata,
    Column("entry_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("merchant_id", Uuid, nullable=False),
    Column("amazon_sku", Text, nullable=False),
    time_column("time", now=True),
    Column("kind", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("order_id", Uuid),
    Column("fulfillment_order_id", Text, nullable=False, server_default=""),
    Index("stock_entries_of_sku", "workspace_id", "merchant_id", "amazon_sku", "entry_id"),
)

# What TikTok Shop is to be told of a shop's SKUs, and what it was told.
stock_pushes = Table(
    "stock_pushes",
    metadata,
    Column("shop_id", Uuid, ForeignKey("shops.shop_id", ondelete="CASCADE"), nullable=False),
    Column("platform_sku_id", Text, nullable=False),
    Column("workspace_id", Uuid, nullable=False),
    Column("platform_product_id", Text, nullable=False),
    Column("seller_sku", Text, nullable=False),
    # [[Amazon's SKU, how many], …]
    Column("parts", JSONB, nullable=False),
    Column("wanted_quantity", BigInteger, nullable=False),
    # Grows with what is wanted; what was told is the version that TikTok Shop took.
    Column("wanted_version", BigInteger, nullable=False, server_default="1"),
    Column("told_quantity", BigInteger),
    Column("told_version", BigInteger, nullable=False, server_default="0"),
    time_column("told_time"),
    Column("problem", Text, nullable=False, server_default=""),
    # When it is told next (none: TikTok Shop knows it), which try that is, and until when one process does it.
    time_column("next_time"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    time_column("lease_time"),
    PrimaryKeyConstraint("shop_id", "platform_sku_id", name="one_push_per_sku"),
    Index("stock_pushes_of_workspace", "workspace_id", "shop_id", "platform_sku_id"),
    Index(
        "stock_pushes_of_product",
        "workspace_id",
        "shop_id",
        "platform_product_id",
        postgresql_where=text("next_time IS NOT NULL"),
    ),
    Index("stock_pushes_due", "next_time", postgresql_where=text("next_time IS NOT NULL")),
)

drift_reports = Table(
    "drift_reports",
    metadata,
    Column("report_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("merchant_id", Uuid, ForeignKey("merchants.merchant_id"), nullable=False),
    Column("orders", Integer, nullable=False),
    Column("skus", Integer, nullable=False),
    Column("drifts", Integer, nullable=False),
    time_column("create_time", now=True),
    Index("drift_reports_of_merchant", "workspace_id", "merchant_id", "report_id"),
)

drifts = Table(
    "drifts",
    metadata,
    Column("report_id", Uuid, ForeignKey("drift_reports.report_id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("workspace_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amazon_sku", Text, nullable=False, server_default=""),
    Column("order_id", Uuid),
    Column("fulfillment_order_id", Text, nullable=False, server_default=""),
    Column("text", Text, nullable=False),
    Column("sides", JSONB, nullable=False),
    PrimaryKeyConstraint("report_id", "number", name="one_drift_per_number"),
    Index("drifts_of_workspace", "workspace_id", "report_id", "number"),
)

# Who read whom an order goes to. Each row has the hash of the one before, so that none can be taken away unseen.
recipient_readings = Table(
    "recipient_readings",
    metadata,
    Column("reading_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    # Counts within the workspace.
    Column("number", BigInteger, nullable=False),
    Column("order_id", Uuid, nullable=False),
    time_column("time", now=True),
    Column("actor", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("workspace_id", "number", name="one_reading_per_number"),
    Index("recipient_readings_of_order", "workspace_id", "order_id", "number"),
)
