"""Configuration of fulfillment."""

from __future__ import annotations

from pydantic import Field

from kit.config import PORTS, VaultSettings, listen_default, metrics_default


class FulfillmentConfig(VaultSettings):
    """What fulfillment reads; TikTok Shop's part is vendors.tiktok_shop.config."""

    listen: str = listen_default("fulfillment")
    metrics_listen: str = metrics_default("fulfillment")
    notification_address: str = f"127.0.0.1:{PORTS['notification']}"
    # How often the products of a shop that changed are read, seconds.
    catalogue_seconds: float = Field(default=600, gt=0)
    # How often all of them are, to find those that are gone; seconds.
    catalogue_whole_seconds: float = Field(default=86_400, gt=0)
    # For how many days calls to TikTok Shop are kept, without tokens and buyers' data; 0: they are not recorded.
    vendor_call_days: int = Field(default=14, ge=0, le=3650)
    # How many shops' catalogues one process reads at once.
    catalogue_readers: int = Field(default=2, ge=1, le=20)
    # For how many days after its end (delivered, canceled) it is known whom an order went to.
    recipient_days: int = Field(default=30, ge=0, le=3650)
    # The same from when an order was taken in, for those of whose end nothing is ever heard.
    recipient_most_days: int = Field(default=180, ge=1, le=3650)
