"""The tables of fulfillment, as its migrations make them."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from kit.db import time_column
from kit.outbox import outbox_table
from kit.shared_rate_limit import rate_buckets_table
from kit.vault import data_keys_table
from kit.vendor_calls import vendor_calls_table

metadata = MetaData()

data_keys = data_keys_table(metadata)

# What a seller consented to: tokens that open one shop or several.
authorizations = Table(
    "authorizations",
    metadata,
    Column("authorization_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("seller_open_id", Text, nullable=False),
    Column("seller_name", Text, nullable=False),
    Column("seller_region", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    # Sealed; see kit/vault.py. Forgotten when somebody disconnects a shop.
    Column("access_token", LargeBinary),
    time_column("access_expire_time"),
    Column("refresh_token", LargeBinary),
    time_column("refresh_expire_time"),
    # When the access token is renewed, whether or not it is used.
    time_column("renew_time"),
    # Until then one process refreshes; the others wait for its result.
    time_column("refresh_lease_time"),
    # The end of the authorisation that people were told of.
    time_column("told_expire_time"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    CheckConstraint("state IN ('CONNECTED','AUTHORIZATION_LOST','DISCONNECTED')", name="authorization_state_is_known"),
    CheckConstraint("(state = 'CONNECTED') = (problem = '')", name="only_a_connected_one_has_no_problem"),
    CheckConstraint(
        "(state = 'DISCONNECTED') = (access_token IS NULL) AND (access_token IS NULL) = (refresh_token IS NULL)"
        " AND (access_token IS NULL) = (access_expire_time IS NULL)",
        name="only_a_disconnected_one_has_no_tokens",
    ),
    UniqueConstraint("workspace_id", "seller_open_id", name="one_authorization_per_seller"),
    Index("authorizations_by_seller", "seller_open_id"),
    Index("authorizations_to_renew", "renew_time", postgresql_where=text("state = 'CONNECTED'")),
    Index("authorizations_that_end", "refresh_expire_time", postgresql_where=text("state = 'CONNECTED'")),
)

shops = Table(
    "shops",
    metadata,
    Column("shop_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("authorization_id", Uuid, ForeignKey("authorizations.authorization_id"), nullable=False),
    Column("platform_shop_id", Text, nullable=False),
    # Sealed. With it, and the authorisation's token, calls reach the shop; without it the shop is not open to us.
    Column("cipher", LargeBinary),
    Column("name", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("seller_type", Text, nullable=False),
    # When the catalogue was last read to the end, in part or whole.
    time_column("catalogue_time"),
    # When it was last read whole.
    time_column("catalogue_whole_time"),
    # What changed before is known.
    time_column("catalogue_cursor"),
    # When the catalogue is to be read next.
    time_column("catalogue_due_time", now=True),
    # Until then one process reads it.
    time_column("catalogue_lease_time"),
    time_column("create_time", now=True),
    time_column("update_time", now=True),
    UniqueConstraint("workspace_id", "platform_shop_id", name="one_shop_per_platform_shop"),
    Index("shops_by_name", "workspace_id", "name", "shop_id"),
    Index("shops_of_authorization", "authorization_id"),
    Index("shops_to_read", "catalogue_due_time", postgresql_where=text("cipher IS NOT NULL")),
    Index(
        "a_shop_is_open_in_one_workspace",
        "platform_shop_id",
        unique=True,
        postgresql_where=text("cipher IS NOT NULL"),
    ),
)

# Consents that were asked for and have not come back.
connections = Table(
    "connections",
    metadata,
    Column("state", Text, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    time_column("expire_time", now=True),
    Index("connections_by_expiry", "expire_time"),
)

products = Table(
    "products",
    metadata,
    Column("product_id", Uuid, primary_key=True),
    Column("workspace_id", Uuid, nullable=False),
    Column("shop_id", Uuid, ForeignKey("shops.shop_id"), nullable=False),
    Column("platform_product_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("skus", JSONB, nullable=False),
    # Title and sellers' SKUs in lower case, a line each: what is searched for text.
    Column("search_text", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("image_urls", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    time_column("platform_create_time"),
    time_column("platform_update_time"),
    # When TikTok Shop was asked for what the row says.
    time_column("read_time", now=True),
    # Lists have no description and no pictures: they are to be read.
    Column("is_detail_due", Boolean, nullable=False),
    UniqueConstraint("workspace_id", "shop_id", "platform_product_id", name="one_product_per_platform_product"),
    Index("products_by_title", "workspace_id", "title", "product_id"),
    Index("products_of_shop_by_title", "workspace_id", "shop_id", "title", "product_id"),
    Index("products_without_detail", "workspace_id", "shop_id", "read_time", postgresql_where=text("is_detail_due")),
)

# Webhooks that were taken: so that none is taken twice, and as work, until it is done.
webhook_events = Table(
    "webhook_events",
    metadata,
    Column("workspace_id", Uuid, nullable=False),
    Column("notification_id", Text, nullable=False),
    Column("authorization_id", Uuid, ForeignKey("authorizations.authorization_id", ondelete="CASCADE"), nullable=False),
    # None: it is about the seller.
    Column("shop_id", Uuid, ForeignKey("shops.shop_id", ondelete="CASCADE")),
    # TikTok Shop's number of the kind.
    Column("type", Integer, nullable=False),
    # Of the thing that it is about, at TikTok Shop.
    Column("platform_product_id", Text, nullable=False, server_default=""),
    Column("platform_order_ids", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    time_column("receive_time", now=True),
    # When it is to be worked on; none when that is done, or nothing is to be done.
    time_column("next_time"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("workspace_id", "notification_id", name="an_event_is_taken_once"),
    Index("webhook_events_due", "next_time", postgresql_where=text("next_time IS NOT NULL")),
    Index("webhook_events_by_age", "receive_time"),
)

outbox = outbox_table(metadata)

rate_buckets = rate_buckets_table(metadata)

vendor_calls = vendor_calls_table(metadata)
