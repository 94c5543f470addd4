"""Orders that are told whole, with whatever the platform may ever have answered: words, fields and SKUs that are new to
the sandbox too. Such an order is shown as it was told, but for what has changed since (`order_view.show`).
"""

from typing import Any

from sandbox.tiktok_shop import catalog, order_view, orders, packages, people, products
from sandbox.tiktok_shop.addresses import Address
from sandbox.tiktok_shop.state import ShopState

_REGIONS = ("US", "GB", "SG")


def take(state: ShopState, shop_id: str, told: dict[str, Any]) -> None:
    """Have an order as an answer of Get Order Detail tells it, and tell its status; call it inside a transaction. Of
    an order that is there, the version with the later `update_time` is kept. Raises KeyError for an unknown shop, and
    for a field that every order has.
    """
    shop = people.shop(state, shop_id)
    before = state.store.one("SELECT update_time FROM shop_order WHERE id = ?", told["id"])
    if before is not None and before["update_time"] >= told["update_time"]:
        return
    order = _kept(shop.id, shop.currency, told)
    for package_id in dict.fromkeys(line["package_id"] for line in order["lines"] if line["package_id"]):
        _package(state, order, package_id, told)
    if before is None:
        products.reserve(state, orders.units(state, order, [line for line in order["lines"] if not line["cancelled"]]))
    order["told"] = {"order": told, "shown": order_view.show(state, order)}
    orders.save(state, order, told["update_time"])
    orders.tell(state, order, state.clock.now())


def _kept(shop_id: str, currency: str, told: dict[str, Any]) -> dict[str, Any]:
    express = told["delivery_option_name"] == catalog.DELIVERY_OPTIONS[catalog.EXPRESS][0]
    platform = told["shipping_type"] == "TIKTOK"
    same = ("id", "status", "user_id", "buyer_message", "create_time", "update_time", "paid_time", "warehouse_id")
    flags = ("is_buyer_request_cancel", "is_cod", "is_sample_order", "fulfillment_type", "shipping_type")
    return {
        **{name: told[name] for name in (*same, *flags)},
        **{name: told.get(name) for name in ("rts_time", "cancel_time")},
        **{name: told.get(name) or "" for name in ("cancel_reason", "cancellation_initiator", "replaced_order_id")},
        "shop_id": shop_id,
        "complete_time": told["update_time"] if told["status"] == "COMPLETED" else None,
        "delivery_option_id": catalog.PLATFORM if platform else catalog.EXPRESS if express else catalog.STANDARD,
        "tag": told["split_or_combine_tag"],
        "has_updated_recipient_address": told["has_updated_recipient_address"],
        "currency": currency,
        "shipping_fee": told["payment"]["shipping_fee"],
        "address": _address(told["recipient_address"]).model_dump(),
        "lines": [_line(line) for line in told["line_items"]],
    }


def _address(told: dict[str, Any]) -> Address:
    """What stays of an address once the platform masks it, or the buyer changes part of it."""
    places = {each["address_level"]: each["address_name"] for each in told["district_info"]}
    region = told["region_code"] if told["region_code"] in _REGIONS else "US"
    return Address(
        **{name: told[name] for name in ("first_name", "last_name", "phone_number", "postal_code")},
        line1=told["address_line1"],
        line2=told["address_line2"],
        city=places.get("L3", ""),
        county=places.get("L2", ""),
        state=places.get("L1", ""),
        region=region,
    )


def _line(told: dict[str, Any]) -> dict[str, Any]:
    tax = (told.get("item_tax") or [{}])[0]
    same = ("id", "product_id", "product_name", "sku_id", "sku_name", "seller_sku", "original_price", "sale_price")
    return {
        **{name: told[name] for name in (*same, "is_gift", "is_dangerous_good", "package_id", "package_status")},
        "tax_amount": tax.get("tax_amount", "0.00"),
        "tax_rate": tax.get("tax_rate", "0"),
        "cancelled": told["display_status"] == "CANCELLED",
        "cancel_reason": told.get("cancel_reason", ""),
        "cancel_user": told.get("cancel_user", ""),
        "rts_time": told.get("rts_time"),
        "bundle": told.get("combined_listing_skus") or [],
    }


def _package(state: ShopState, order: dict[str, Any], package_id: str, told: dict[str, Any]) -> None:
    """A package that the order names, as far as its lines tell of it."""
    lines = [line for line in told["line_items"] if line["package_id"] == package_id]
    package = packages.new(
        state, order["shop_id"], [order["id"]], [line["id"] for line in lines], told["update_time"], key=package_id
    )
    package.update(
        status=lines[0]["package_status"],
        tracking_number=lines[0]["tracking_number"],
        provider_id=lines[0]["shipping_provider_id"],
        provider_name=lines[0]["shipping_provider_name"],
        ship_time=told.get("rts_time"),
    )
    packages.save(state, package, told["update_time"])
