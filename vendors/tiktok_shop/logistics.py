"""Where a shop keeps its goods and who carries them. Scope seller.logistics.

A shipping provider's id is found by the order's delivery option; the options are those of its warehouse.
Sources: partner.tiktokshop.com/docv2/page/{get-warehouse-list, get-warehouse-delivery-options, get-shipping-providers}.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.vendor_json import id_text, mapping, needed_id, text, truth
from vendors.tiktok_shop import operations
from vendors.tiktok_shop.calls import Access, Calls, Request
from vendors.tiktok_shop.values import objects


@dataclass(frozen=True)
class Warehouse:
    """A place of the seller. ``address`` is as TikTok Shop tells it (it writes ``distict`` for the district)."""

    id: str
    name: str
    entity_id: str
    effect_status: str  # ENABLED, DISABLED or RESTRICTED
    type: str  # SALES_WAREHOUSE or RETURN_WAREHOUSE
    sub_type: str
    is_default: bool
    address: Mapping[str, Any] = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class DeliveryOption:
    """A way of sending from a warehouse; the order says which one its buyer chose."""

    id: str
    name: str
    type: str  # STANDARD, EXPRESS, ECONOMY or SEND_BY_SELLER
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class ShippingProvider:
    """A carrier that is allowed for a delivery option."""

    id: str
    name: str
    raw: Mapping[str, Any] = field(repr=False, compare=False)


class Logistics:
    """Warehouses, delivery options and shipping providers of a shop."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def warehouses(self, access: Access, *, timeout_seconds: float | None = None) -> tuple[Warehouse, ...]:
        """All warehouses of the seller."""
        request = Request(operation=operations.WAREHOUSES, access=access)
        return await self._calls.data(request, _warehouses, timeout_seconds)

    async def delivery_options(
        self, access: Access, warehouse_id: str, *, timeout_seconds: float | None = None
    ) -> tuple[DeliveryOption, ...]:
        """The delivery options of a warehouse."""
        request = Request(operation=operations.DELIVERY_OPTIONS, access=access, ids=(warehouse_id,))
        return await self._calls.data(request, _delivery_options, timeout_seconds)

    async def shipping_providers(
        self,
        access: Access,
        delivery_option_id: str,
        *,
        warehouse_region: str = "",
        buyer_region: str = "",
        timeout_seconds: float | None = None,
    ) -> tuple[ShippingProvider, ...]:
        """The carriers that are allowed for a delivery option. The regions are for shops in the EU only."""
        request = Request(
            operation=operations.SHIPPING_PROVIDERS,
            access=access,
            ids=(delivery_option_id,),
            query={"warehouse_region": warehouse_region or None, "buyer_region": buyer_region or None},
        )
        return await self._calls.data(request, _shipping_providers, timeout_seconds)


def _warehouses(data: Mapping[str, Any]) -> tuple[Warehouse, ...]:
    return tuple(
        Warehouse(
            id=needed_id(item, "id"),
            name=text(item, "name"),
            entity_id=id_text(item, "entity_id"),
            effect_status=text(item, "effect_status"),
            type=text(item, "type"),
            sub_type=text(item, "sub_type"),
            is_default=truth(item, "is_default"),
            address=mapping(item, "address"),
            raw=item,
        )
        for item in objects(data, "warehouses")
    )


def _delivery_options(data: Mapping[str, Any]) -> tuple[DeliveryOption, ...]:
    return tuple(
        DeliveryOption(needed_id(item, "id"), text(item, "name"), text(item, "type"), item)
        for item in objects(data, "delivery_options")
    )


def _shipping_providers(data: Mapping[str, Any]) -> tuple[ShippingProvider, ...]:
    return tuple(
        ShippingProvider(needed_id(item, "id"), text(item, "name"), item)
        for item in objects(data, "shipping_providers")
    )
