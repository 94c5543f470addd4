"""A shop's products, their SKUs, and stock. Scopes seller.product.basic to read, seller.product.write to set stock.

Sources: partner.tiktokshop.com/docv2/page/{search-products, get-product, inventory-search, update-inventory}.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kit.vendor_json import id_text, mapping, mappings, moment, needed_id, text, whole
from vendors.tiktok_shop import operations
from vendors.tiktok_shop.calls import Access, Calls, Request
from vendors.tiktok_shop.values import (
    ItemError,
    Money,
    Page,
    item_errors,
    money,
    objects,
    page,
    seconds,
    without_none,
)

MAX_FILTER_SKUS = 10
MAX_STOCK_PRODUCTS = 100
MAX_STOCK_SKUS = 600


class ProductStatus(StrEnum):
    """Whether a product is sold: only in ACTIVATE. UNKNOWN for a word that TikTok Shop added later; ``raw`` has it."""

    DRAFT = "DRAFT"
    PENDING = "PENDING"
    FAILED = "FAILED"
    ACTIVATE = "ACTIVATE"
    SELLER_DEACTIVATED = "SELLER_DEACTIVATED"
    PLATFORM_DEACTIVATED = "PLATFORM_DEACTIVATED"
    FREEZE = "FREEZE"
    DELETED = "DELETED"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> "ProductStatus":
        return cls.UNKNOWN


@dataclass(frozen=True)
class Sku:
    """One variant. Cross-border sellers show ``sale_price``, local ones ``tax_exclusive_price``."""

    id: str
    seller_sku: str
    sale_price: Money | None
    tax_exclusive_price: Money | None
    list_price: Money | None
    identifier_code: str  # a GTIN, EAN, UPC, ISBN or JAN, as its type says
    identifier_type: str
    external_sku_id: str
    status: str  # NORMAL or DEACTIVATED; empty where it is not told
    stock: Mapping[str, int]  # available units by warehouse
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Product:
    """One product with its SKUs. A search tells less about it than ``get`` does; ``raw`` has the rest."""

    id: str
    title: str
    status: ProductStatus
    skus: tuple[Sku, ...]
    create_time: datetime | None
    update_time: datetime | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class WarehouseStock:
    """Units of a SKU in one warehouse: ``available`` can be sold, ``committed`` are sold and not yet shipped."""

    warehouse_id: str
    available: int | None
    committed: int | None


@dataclass(frozen=True)
class SkuStock:
    """Units of a SKU in all warehouses. Part of the available ones may be kept for campaigns and creators: ``raw``."""

    product_id: str
    sku_id: str
    seller_sku: str
    available: int | None
    committed: int | None
    warehouses: tuple[WarehouseStock, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class ProductFilter:
    """Which products are searched for; None or empty does not narrow it. Both ends of a time span are inclusive.

    A search answers at most 10,000 products; more are read in spans of time.
    """

    status: ProductStatus | None = None
    seller_skus: Sequence[str] = ()
    sku_ids: Sequence[str] = ()
    create_time_ge: datetime | None = None
    create_time_le: datetime | None = None
    update_time_ge: datetime | None = None
    update_time_le: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("seller_skus", "sku_ids"):
            if len(getattr(self, name)) > MAX_FILTER_SKUS:
                raise ValueError(f"{name}: at most {MAX_FILTER_SKUS}")

    def as_json(self) -> dict[str, Any]:
        """The body of the search."""
        return without_none(
            status=self.status,
            seller_skus=list(self.seller_skus) or None,
            sku_ids=list(self.sku_ids) or None,
            create_time_ge=seconds(self.create_time_ge),
            create_time_le=seconds(self.create_time_le),
            update_time_ge=seconds(self.update_time_ge),
            update_time_le=seconds(self.update_time_le),
        )


class Products:
    """Products and stock of a shop."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def search(
        self,
        access: Access,
        wanted: ProductFilter,
        *,
        page_size: int = 100,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> Page[Product]:
        """One page of products; ``page_size`` 1 to 100."""
        request = Request(
            operation=operations.PRODUCTS_SEARCH,
            access=access,
            query={"page_size": page_size, "page_token": page_token or None},
            body=wanted.as_json(),
        )
        return await self._calls.data(
            request,
            lambda data: page(data, tuple(_product(item) for item in objects(data, "products"))),
            timeout_seconds,
        )

    async def get(self, access: Access, product_id: str, *, timeout_seconds: float | None = None) -> Product:
        """One product, as buyers see it."""
        request = Request(operation=operations.PRODUCT_GET, access=access, ids=(product_id,))
        return await self._calls.data(request, _product, timeout_seconds)

    async def stock(
        self,
        access: Access,
        *,
        product_ids: Sequence[str] = (),
        sku_ids: Sequence[str] = (),
        timeout_seconds: float | None = None,
    ) -> tuple[SkuStock, ...]:
        """Stock of up to 100 products, or of up to 600 SKUs."""
        if bool(product_ids) == bool(sku_ids):
            raise ValueError("give product_ids or sku_ids")
        if len(product_ids) > MAX_STOCK_PRODUCTS or len(sku_ids) > MAX_STOCK_SKUS:
            raise ValueError(f"at most {MAX_STOCK_PRODUCTS} product_ids or {MAX_STOCK_SKUS} sku_ids")
        body = {"product_ids": list(product_ids)} if product_ids else {"sku_ids": list(sku_ids)}
        request = Request(operation=operations.INVENTORY_SEARCH, access=access, body=body)
        return await self._calls.data(request, _stock, timeout_seconds)

    async def set_stock(
        self,
        access: Access,
        product_id: str,
        stock: Mapping[str, Mapping[str, int]],
        *,
        timeout_seconds: float | None = None,
    ) -> tuple[ItemError, ...]:
        """Set the available units of SKUs of one product: by SKU id, then warehouse id. Commits.

        They replace what was there, committed units not counted; every warehouse of a SKU must be named, and the
        product be active. Answers what was refused (``target`` is the SKU, ``part`` the warehouse); the rest is done.
        After VendorUncertain read the stock, since buyers may have bought meanwhile, and set what is right then.
        Whether 0 is taken is not documented.
        """
        skus = [
            {
                "id": sku_id,
                "inventory": [
                    {"warehouse_id": warehouse_id, "quantity": quantity} for warehouse_id, quantity in places.items()
                ],
            }
            for sku_id, places in stock.items()
        ]
        request = Request(
            operation=operations.INVENTORY_UPDATE, access=access, ids=(product_id,), body={"skus": skus}, by_item=True
        )
        return await self._calls.data(
            request, lambda data: item_errors(data, "sku_id", "warehouse_id"), timeout_seconds
        )


def _product(raw: Mapping[str, Any]) -> Product:
    return Product(
        id=needed_id(raw, "id"),
        title=text(raw, "title"),
        status=ProductStatus(text(raw, "status")),
        skus=tuple(_sku(item) for item in mappings(raw, "skus")),
        create_time=moment(raw, "create_time"),
        update_time=moment(raw, "update_time"),
        raw=raw,
    )


def _sku(raw: Mapping[str, Any]) -> Sku:
    price, code = mapping(raw, "price"), mapping(raw, "identifier_code")
    currency = text(price, "currency")
    return Sku(
        id=needed_id(raw, "id"),
        seller_sku=text(raw, "seller_sku"),
        sale_price=money(price, "sale_price", currency),
        tax_exclusive_price=money(price, "tax_exclusive_price", currency),
        list_price=money(raw, "list_price", currency),
        identifier_code=id_text(code, "code"),
        identifier_type=text(code, "type"),
        external_sku_id=id_text(raw, "external_sku_id"),
        status=text(mapping(raw, "status_info"), "status"),
        stock={
            id_text(item, "warehouse_id"): quantity
            for item in mappings(raw, "inventory")
            if (quantity := whole(item, "quantity")) is not None
        },
        raw=raw,
    )


def _stock(data: Mapping[str, Any]) -> tuple[SkuStock, ...]:
    return tuple(
        SkuStock(
            product_id=id_text(product, "product_id"),
            sku_id=needed_id(sku, "id"),
            seller_sku=text(sku, "seller_sku"),
            available=whole(sku, "total_available_quantity"),
            committed=whole(sku, "total_committed_quantity"),
            warehouses=tuple(
                WarehouseStock(
                    needed_id(item, "warehouse_id"),
                    whole(item, "available_quantity"),
                    whole(item, "committed_quantity"),
                )
                for item in mappings(sku, "warehouse_inventory")
            ),
            raw=sku,
        )
        for product in objects(data, "inventory")
        for sku in mappings(product, "skus")
    )
