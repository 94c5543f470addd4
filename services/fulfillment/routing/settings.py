"""How a shop's orders are routed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kit.errors import FailedPrecondition


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


class MarketplaceMismatch(FailedPrecondition):
    """The Amazon seller is in another country than the shop. Choose, or connect, one in the shop's country."""


# What the column `settings` keeps; the rest has columns of its own.
_KEPT = (
    "order_prefix",
    "default_speed",
    "fulfillment_policy",
    "route_sample_orders",
    "route_replacement_orders",
    "packing_slip_comment",
    "safety_stock",
    "prefer_amazon_tracking",
    "push_stock",
    "preview_orders",
)


def settings_to_json(routing: ShopRouting) -> dict[str, Any]:
    """Settings for the column `settings`."""
    return {name: getattr(routing, name) for name in _KEPT} | {
        "platform_warehouse_ids": sorted(routing.platform_warehouse_ids),
        "speeds": dict(routing.speeds),
        "carriers": dict(routing.carriers),
        "wait_seconds": routing.wait.total_seconds(),
    }


def settings_from_json(told: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from the column, by the names of ShopRouting. What an older version did not keep has its default."""
    found = {name: told[name] for name in (*_KEPT, "speeds", "carriers") if name in told}
    if "platform_warehouse_ids" in told:
        found["platform_warehouse_ids"] = frozenset(told["platform_warehouse_ids"])
    if "wait_seconds" in told:
        found["wait"] = timedelta(seconds=told["wait_seconds"])
    return found
