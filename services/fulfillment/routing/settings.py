"""How a shop's orders are routed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopRouting:
    """A shop's settings; see ShopRouting in routing.proto for what each means. Speeds and policies are Amazon's words
    as in vendors.amazon_sp.outbound.
    """

    shop_id: UUID
    workspace_id: UUID
    is_on: bool = False
    merchant_id: UUID | None = None
    platform_warehouse_ids: frozenset[str] = frozenset()
    order_prefix: str = "TTS"
    speeds: Mapping[str, str] = field(default_factory=dict)
    default_speed: str = "STANDARD"
    fulfillment_policy: str = "FILL_OR_KILL"
    route_sample_orders: bool = False
    route_replacement_orders: bool = False
    wait: timedelta = timedelta(0)
    packing_slip_comment: str = "Thank you for your order."
    safety_stock: int = 5
    prefer_amazon_tracking: bool = True
    carriers: Mapping[str, str] = field(default_factory=dict)
    push_stock: bool = True
    preview_orders: bool = False
    tracking_stop: str = ""
    update_time: datetime | None = None
