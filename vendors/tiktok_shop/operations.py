"""Every call that Reelroute makes to TikTok Shop: path, versions, scope, and whether it may be repeated.

The version is part of the path and pinned here, call by call; TikTok Shop keeps an old one for two months or more. Of
several versions the first is used, and the next one when TikTok Shop refuses it.
Sources: partner.tiktokshop.com/docv2/page/… of each call; versions as of August 2026.
"""

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a call does, and so whether it may be repeated."""

    READ = "read"  # changes nothing: repeated freely
    SET = "set"  # twice is as once, or it goes with an idempotency key: repeated
    COMMIT = "commit"  # made once; without an answer its effect is in doubt
    ONCE = "once"  # made once, too; but what it made is used by nothing yet, so a lost answer does no harm


@dataclass(frozen=True)
class Operation:
    """One call. ``path`` has ``{version}`` and a place ``{}`` for each id.

    ``scope`` is what the token needs, and empty where that is not documented.
    """

    name: str
    method: str
    path: str
    versions: tuple[str, ...]
    scope: str
    effect: Effect = Effect.READ
    needs_cipher: bool = True

    @property
    def is_analytics(self) -> bool:
        """Whether it is one of the heavy reports, which have a slower rate."""
        return self.path.startswith("/analytics/")


_AUTHORIZATION = "seller.authorization.info"
_ORDERS = "seller.order.info"
_FULFILLMENT = "seller.fulfillment.basic"
_LOGISTICS = "seller.logistics"
_RETURNS = "seller.return_refund.basic"
_PRODUCTS = "seller.product.basic"
_PRODUCTS_WRITE = "seller.product.write"
_NUMBERS = "data.shop_analytics.public.read"
_CREATOR = "creator.video.write"

AUTHORIZED_SHOPS = Operation(
    "authorized_shops", "GET", "/authorization/{version}/shops", ("202309",), _AUTHORIZATION, needs_cipher=False
)
WEBHOOKS_GET = Operation("webhooks_get", "GET", "/event/{version}/webhooks", ("202309",), _AUTHORIZATION)
WEBHOOK_PUT = Operation("webhook_put", "PUT", "/event/{version}/webhooks", ("202309",), _AUTHORIZATION, Effect.SET)
WEBHOOK_DELETE = Operation(
    "webhook_delete", "DELETE", "/event/{version}/webhooks", ("202309",), _AUTHORIZATION, Effect.SET
)

ORDERS_SEARCH = Operation("orders_search", "POST", "/order/{version}/orders/search", ("202309",), _ORDERS)
ORDERS_GET = Operation("orders_get", "GET", "/order/{version}/orders", ("202507", "202309"), _ORDERS)
PRICE_DETAIL = Operation("price_detail", "GET", "/order/{version}/orders/{}/price_detail", ("202407",), _ORDERS)

MARK_SHIPPED = Operation(
    "mark_shipped", "POST", "/fulfillment/{version}/orders/{}/packages", ("202309",), _FULFILLMENT, Effect.COMMIT
)
SHIP = Operation("ship", "POST", "/fulfillment/{version}/packages/{}/ship", ("202309",), _FULFILLMENT, Effect.COMMIT)
CREATE_PACKAGE = Operation(
    "create_package", "POST", "/fulfillment/{version}/packages", ("202309",), _FULFILLMENT, Effect.COMMIT
)
PACKAGE_GET = Operation("package_get", "GET", "/fulfillment/{version}/packages/{}", ("202309",), _FULFILLMENT)
PACKAGES_SEARCH = Operation(
    "packages_search", "POST", "/fulfillment/{version}/packages/search", ("202309",), _FULFILLMENT
)
SHIPPING_DOCUMENT = Operation(
    "shipping_document", "GET", "/fulfillment/{version}/packages/{}/shipping_documents", ("202309",), _FULFILLMENT
)
SHIPPING_SERVICES = Operation(
    "shipping_services", "POST", "/fulfillment/{version}/orders/{}/shipping_services/query", ("202309",), _FULFILLMENT
)
ORDER_TRACKING = Operation(
    "order_tracking", "GET", "/fulfillment/{version}/orders/{}/tracking", ("202309",), _LOGISTICS
)
ORDER_TRACKING_UPDATE = Operation(
    "order_tracking_update",
    "POST",
    "/fulfillment/{version}/orders/{}/shipping_info/update",
    ("202309",),
    _LOGISTICS,
    Effect.COMMIT,
)
PACKAGE_TRACKING_UPDATE = Operation(
    "package_tracking_update",
    "POST",
    "/fulfillment/{version}/packages/{}/shipping_info/update",
    ("202309",),
    _FULFILLMENT,
    Effect.COMMIT,
)
WAREHOUSES = Operation("warehouses", "GET", "/logistics/{version}/warehouses", ("202309",), _LOGISTICS)
DELIVERY_OPTIONS = Operation(
    "delivery_options", "GET", "/logistics/{version}/warehouses/{}/delivery_options", ("202309",), _LOGISTICS
)
SHIPPING_PROVIDERS = Operation(
    "shipping_providers", "GET", "/logistics/{version}/delivery_options/{}/shipping_providers", ("202309",), _LOGISTICS
)

CANCEL_ORDER = Operation(
    "cancel_order", "POST", "/return_refund/{version}/cancellations", ("202309",), _RETURNS, Effect.COMMIT
)
CANCELLATIONS_SEARCH = Operation(
    "cancellations_search", "POST", "/return_refund/{version}/cancellations/search", ("202309",), _RETURNS
)
CANCELLATION_APPROVE = Operation(
    "cancellation_approve",
    "POST",
    "/return_refund/{version}/cancellations/{}/approve",
    ("202309",),
    _RETURNS,
    Effect.SET,
)
CANCELLATION_REJECT = Operation(
    "cancellation_reject", "POST", "/return_refund/{version}/cancellations/{}/reject", ("202309",), _RETURNS, Effect.SET
)
RETURNS_SEARCH = Operation("returns_search", "POST", "/return_refund/{version}/returns/search", ("202309",), _RETURNS)

PRODUCTS_SEARCH = Operation("products_search", "POST", "/product/{version}/products/search", ("202502",), _PRODUCTS)
PRODUCT_GET = Operation("product_get", "GET", "/product/{version}/products/{}", ("202309",), _PRODUCTS)
INVENTORY_SEARCH = Operation("inventory_search", "POST", "/product/{version}/inventory/search", ("202309",), _PRODUCTS)
INVENTORY_UPDATE = Operation(
    "inventory_update",
    "POST",
    "/product/{version}/products/{}/inventory/update",
    ("202309",),
    _PRODUCTS_WRITE,
    Effect.COMMIT,
)

SHOP_NUMBERS = Operation("shop_numbers", "GET", "/analytics/{version}/shop/performance", ("202405", "202509"), _NUMBERS)
VIDEO_LIST_NUMBERS = Operation(
    "video_list_numbers", "GET", "/analytics/{version}/shop_videos/performance", ("202409", "202509"), _NUMBERS
)
VIDEO_TOTAL_NUMBERS = Operation(
    "video_total_numbers",
    "GET",
    "/analytics/{version}/shop_videos/overview_performance",
    ("202409", "202509"),
    _NUMBERS,
)
VIDEO_NUMBERS = Operation(
    "video_numbers", "GET", "/analytics/{version}/shop_videos/{}/performance", ("202409", "202509"), _NUMBERS
)
VIDEO_PRODUCT_NUMBERS = Operation(
    "video_product_numbers",
    "GET",
    "/analytics/{version}/shop_videos/{}/products/performance",
    ("202409", "202509"),
    _NUMBERS,
)
PRODUCT_LIST_NUMBERS = Operation(
    "product_list_numbers", "GET", "/analytics/{version}/shop_products/performance", ("202405", "202509"), _NUMBERS
)
PRODUCT_NUMBERS = Operation(
    "product_numbers", "GET", "/analytics/{version}/shop_products/{}/performance", ("202405", "202509"), _NUMBERS
)
SKU_LIST_NUMBERS = Operation(
    "sku_list_numbers", "GET", "/analytics/{version}/shop_skus/performance", ("202406", "202509"), _NUMBERS
)
SKU_NUMBERS = Operation(
    "sku_numbers", "GET", "/analytics/{version}/shop_skus/{}/performance", ("202406", "202509"), _NUMBERS
)
LIVE_LIST_NUMBERS = Operation(
    "live_list_numbers", "GET", "/analytics/{version}/shop_lives/performance", ("202508", "202509"), _NUMBERS
)
LIVE_TOTAL_NUMBERS = Operation(
    "live_total_numbers",
    "GET",
    "/analytics/{version}/shop_lives/overview_performance",
    ("202508", "202509"),
    _NUMBERS,
)

VIDEO_UPLOAD = Operation(
    "video_upload",
    "POST",
    "/affiliate_creator/{version}/videos/video_files",
    ("202505",),
    _CREATOR,
    Effect.ONCE,
    needs_cipher=False,
)
PHOTO_UPLOAD = Operation(
    "photo_upload",
    "POST",
    "/affiliate_creator/{version}/photos/photo_files",
    ("202511",),
    _CREATOR,
    Effect.ONCE,
    needs_cipher=False,
)
SHOWCASE_PRODUCTS = Operation(
    "showcase_products",
    "GET",
    "/affiliate_creator/{version}/showcases/products",
    ("202405",),
    "",
    needs_cipher=False,
)
MUSIC_SEARCH = Operation(
    "music_search", "GET", "/affiliate_creator/{version}/music/search", ("202602",), _CREATOR, needs_cipher=False
)
PRECHECK = Operation(
    "precheck",
    "POST",
    "/affiliate_creator/{version}/videos/precheck_task",
    ("202511",),
    _CREATOR,
    Effect.ONCE,
    needs_cipher=False,
)
PRECHECK_GET = Operation(
    "precheck_get",
    "GET",
    "/affiliate_creator/{version}/videos/precheck_tasks/{}",
    ("202601",),
    _CREATOR,
    needs_cipher=False,
)
VIDEO_POST = Operation(
    "video_post",
    "POST",
    "/affiliate_creator/{version}/videos",
    ("202607",),
    _CREATOR,
    Effect.COMMIT,
    needs_cipher=False,
)
PHOTO_POST = Operation(
    "photo_post",
    "POST",
    "/affiliate_creator/{version}/photos",
    ("202607",),
    _CREATOR,
    Effect.COMMIT,
    needs_cipher=False,
)
VIDEO_STATUS = Operation(
    "video_status", "GET", "/affiliate_creator/{version}/videos/{}/status", ("202509",), _CREATOR, needs_cipher=False
)
CREATOR_NUMBERS = Operation(
    "creator_numbers", "GET", "/analytics/{version}/videos/performances", ("202403",), _CREATOR, needs_cipher=False
)

OPERATIONS = {each.name: each for each in tuple(globals().values()) if isinstance(each, Operation)}
