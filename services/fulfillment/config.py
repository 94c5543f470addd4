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
    # How often Amazon is asked which of its orders changed, seconds.
    shipment_seconds: float = Field(default=60, gt=0)
    # How often each order that is not over is read whatever Amazon's list says, seconds.
    shipment_sweep_seconds: float = Field(default=21_600, gt=0)
    # How many merchants' orders one process follows at once.
    shipment_followers: int = Field(default=2, ge=1, le=20)
    # How often each parcel on its way is asked for at most, seconds.
    parcel_seconds: float = Field(default=3600, gt=0)
    # How many shops' tracking numbers one process tells at once.
    tracking_tellers: int = Field(default=2, ge=1, le=20)
    # How long before each of TikTok Shop's deadlines an alarm is given, hours, separated by commas.
    alarm_hours: str = Field(default="12,4", pattern=r"^\d{1,3}(,\d{1,3})*$")
    # For how many days after its end (delivered, canceled) it is known whom an order went to.
    recipient_days: int = Field(default=30, ge=0, le=3650)
    # The same from when an order was taken in, for those of whose end nothing is ever heard.
    recipient_most_days: int = Field(default=180, ge=1, le=3650)
    # How often the orders of a shop that changed are read, beside what webhooks tell; seconds.
    orders_seconds: float = Field(default=60, gt=0)
    # How many shops' orders one process reads at once.
    order_readers: int = Field(default=2, ge=1, le=20)
    # How many shops' orders one process works on at once.
    order_workers: int = Field(default=4, ge=1, le=50)
    # How many orders of a shop are worked on together: no more than Amazon takes in half of the lease, two a second.
    orders_at_once: int = Field(default=20, ge=1, le=50)
    # How long a process that died holds up the orders that it worked on, seconds.
    order_lease_seconds: float = Field(default=90, ge=30)
    # How often the stock that changed at Amazon is read, and how often all of it is; seconds.
    stock_seconds: float = Field(default=300, gt=0)
    stock_whole_seconds: float = Field(default=86_400, gt=0)
    # How long Amazon may take to show an order in its stock, seconds; longer offers too few for longer.
    stock_delay_seconds: float = Field(default=900, ge=0)
    # How many merchants' stock one process reads at once, and of how many shops it tells TikTok Shop at once.
    stock_readers: int = Field(default=1, ge=1, le=20)
    stock_pushers: int = Field(default=2, ge=1, le=20)
    # How long changes of a SKU are gathered before TikTok Shop is told, seconds.
    stock_push_delay_seconds: float = Field(default=3, ge=0)
    # How often what TikTok Shop is to be told is made of a shop's products, map and settings; seconds.
    stock_shop_seconds: float = Field(default=600, gt=0)
    # How often orders, ledger, Amazon and TikTok Shop are compared, seconds.
    drift_seconds: float = Field(default=86_400, gt=0)
