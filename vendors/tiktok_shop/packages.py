"""Shipping orders and looking after packages. Scope seller.fulfillment.basic; tracking of orders seller.logistics.

Which call ships depends on the order: nothing for FULFILLMENT_BY_TIKTOK; with the seller's own carrier ``mark_shipped``
in the US, EU, UK and Japan, and ``ship`` with a SelfShipment elsewhere; with TikTok Shop's carrier ``create`` in the
US, and ``ship`` with a Handover elsewhere. Check before that the order is not on hold and that no cancellation waits.

There is no idempotency key: after VendorUncertain read the order or package. It counts as done where its tracking
number is ours.
Sources: partner.tiktokshop.com/docv2/page/{mark-package-as-shipped, ship-package, create-packages, search-package,
get-package-shipping-document, get-tracking, update-shipping-info, update-package-shipping-info}.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vendors.tiktok_shop import operations, package_models
from vendors.tiktok_shop.calls import Access, Calls, Request
from vendors.tiktok_shop.package_models import (
    DocumentType,
    Handover,
    Package,
    PackageStatus,
    Parcel,
    SelfShipment,
    Shipped,
    ShippingDocument,
    ShippingService,
    TrackingEvent,
)
from vendors.tiktok_shop.values import Page, objects, page, seconds, without_none


@dataclass(frozen=True, kw_only=True)
class PackageFilter:
    """Which packages are searched for; None does not narrow it. ``_ge`` is inclusive, ``_lt`` exclusive."""

    status: PackageStatus | None = None
    create_time_ge: datetime | None = None
    create_time_lt: datetime | None = None
    update_time_ge: datetime | None = None
    update_time_lt: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """The body of the search."""
        return without_none(
            package_status=self.status,
            create_time_ge=seconds(self.create_time_ge),
            create_time_lt=seconds(self.create_time_lt),
            update_time_ge=seconds(self.update_time_ge),
            update_time_lt=seconds(self.update_time_lt),
        )


class Packages:
    """Packages of a shop."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def mark_shipped(
        self,
        access: Access,
        order_id: str,
        shipment: SelfShipment,
        *,
        line_item_ids: Sequence[str] = (),
        timeout_seconds: float | None = None,
    ) -> Shipped:
        """Say that an order is on its way with the seller's own carrier; without line items, all of it. Commits."""
        body = shipment.as_json()
        if line_item_ids:
            body["order_line_item_ids"] = list(line_item_ids)
        request = Request(operation=operations.MARK_SHIPPED, access=access, ids=(order_id,), body=body)
        return await self._calls.data(request, package_models.shipped, timeout_seconds)

    async def ship(
        self, access: Access, package_id: str, how: SelfShipment | Handover, *, timeout_seconds: float | None = None
    ) -> Shipped:
        """Ship a package that TikTok Shop has already made. Commits."""
        body = {"self_shipment": how.as_json()} if isinstance(how, SelfShipment) else how.as_json()
        request = Request(operation=operations.SHIP, access=access, ids=(package_id,), body=body)
        return await self._calls.data(request, package_models.shipped, timeout_seconds)

    async def create(
        self,
        access: Access,
        order_id: str,
        *,
        shipping_service_id: str,
        parcel: Parcel,
        line_item_ids: Sequence[str] = (),
        timeout_seconds: float | None = None,
    ) -> Shipped:
        """Buy a label of TikTok Shop's carriers for an order (United States); without line items, for all. Commits."""
        body: dict[str, Any] = {"order_id": order_id, **parcel.as_json(), "shipping_service_id": shipping_service_id}
        if line_item_ids:
            body["order_line_item_ids"] = list(line_item_ids)
        request = Request(operation=operations.CREATE_PACKAGE, access=access, body=body, about=order_id)
        return await self._calls.data(request, package_models.shipped, timeout_seconds)

    async def get(self, access: Access, package_id: str, *, timeout_seconds: float | None = None) -> Package:
        """One package."""
        request = Request(operation=operations.PACKAGE_GET, access=access, ids=(package_id,))
        return await self._calls.data(
            request, lambda data: package_models.package({"package_id": package_id} | dict(data)), timeout_seconds
        )

    async def search(
        self,
        access: Access,
        wanted: PackageFilter,
        *,
        page_size: int = 50,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> Page[Package]:
        """One page of packages; ``page_size`` 1 to 50."""
        request = Request(
            operation=operations.PACKAGES_SEARCH,
            access=access,
            query={"page_size": page_size, "page_token": page_token or None},
            body=wanted.as_json(),
        )

        def read(data: Mapping[str, Any]) -> Page[Package]:
            return page(data, tuple(package_models.package(item) for item in objects(data, "packages")))

        return await self._calls.data(request, read, timeout_seconds)

    async def document(
        self,
        access: Access,
        package_id: str,
        document_type: DocumentType = DocumentType.LABEL,
        *,
        timeout_seconds: float | None = None,
    ) -> ShippingDocument:
        """Where a package's label or slip can be fetched, as a PDF."""
        request = Request(
            operation=operations.SHIPPING_DOCUMENT,
            access=access,
            ids=(package_id,),
            query={"document_type": document_type},
        )
        return await self._calls.data(request, package_models.shipping_document, timeout_seconds)

    async def shipping_services(
        self, access: Access, order_id: str, *, timeout_seconds: float | None = None
    ) -> tuple[ShippingService, ...]:
        """TikTok Shop's services that would take an order of the size its products are listed with (US)."""
        request = Request(operation=operations.SHIPPING_SERVICES, access=access, ids=(order_id,), body={})
        return await self._calls.data(request, package_models.shipping_services, timeout_seconds)

    async def tracking(
        self, access: Access, order_id: str, *, timeout_seconds: float | None = None
    ) -> tuple[TrackingEvent, ...]:
        """The stations of an order's way, as TikTok Shop has them from the carrier."""
        request = Request(operation=operations.ORDER_TRACKING, access=access, ids=(order_id,))
        return await self._calls.data(request, package_models.tracking, timeout_seconds)

    async def correct_order_tracking(
        self, access: Access, order_id: str, shipment: SelfShipment, *, timeout_seconds: float | None = None
    ) -> None:
        """Correct the tracking of an order that the seller shipped: once, and within 72 hours. Commits."""
        request = Request(
            operation=operations.ORDER_TRACKING_UPDATE, access=access, ids=(order_id,), body=shipment.as_json()
        )
        await self._calls.data(request, lambda _data: None, timeout_seconds)

    async def correct_package_tracking(
        self, access: Access, package_id: str, shipment: SelfShipment, *, timeout_seconds: float | None = None
    ) -> None:
        """The same for one package of several."""
        request = Request(
            operation=operations.PACKAGE_TRACKING_UPDATE, access=access, ids=(package_id,), body=shipment.as_json()
        )
        await self._calls.data(request, lambda _data: None, timeout_seconds)
