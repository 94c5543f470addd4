"""What an order shows of itself: the full order, and how its price came about."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sandbox.tiktok_shop import addresses, catalog, packages
from sandbox.tiktok_shop.state import ShopState, digest

_HOUR = 3600
_LINE_STATUS = {0: "AWAITING_SHIPMENT", 1: "AWAITING_COLLECTION", 2: "IN_TRANSIT", 3: "DELIVERED"}


def show(state: ShopState, order: dict[str, Any]) -> dict[str, Any]:
    """An order as search and detail give it."""
    paid = order["paid_time"]
    packages_of = _packages(state, order)
    first = next(iter(packages_of.values()), None)
    deadlines = {
        "rts_sla_time": 48,
        "tts_sla_time": 72,
        "shipping_due_time": 96,
        "collection_due_time": 168,
        "delivery_due_time": 720,
        "cancel_order_sla_time": 168,
    }
    shown: dict[str, Any] = {
        "id": order["id"],
        "status": order["status"],
        "user_id": order["user_id"],
        "buyer_email": f"v2{digest(order['user_id'])[:6]}@scs2.tiktok.com.example",
        "buyer_message": order["buyer_message"],
        "seller_note": "",
        "create_time": order["create_time"],
        "update_time": order["update_time"],
        "is_buyer_request_cancel": order["is_buyer_request_cancel"],
        "is_on_hold_order": order["status"] == "ON_HOLD",
        "is_cod": order["is_cod"],
        "is_sample_order": order["is_sample_order"],
        "is_replacement_order": bool(order["replaced_order_id"]),
        "is_exchange_order": False,
        "order_type": "",
        "fulfillment_type": order["fulfillment_type"],
        "shipping_type": order["shipping_type"],
        "delivery_option_id": order["delivery_option_id"],
        "delivery_option_name": catalog.DELIVERY_OPTIONS[order["delivery_option_id"]][0],
        "delivery_type": "HOME_DELIVERY",
        "shipping_provider_id": first["provider_id"] if first else "",
        "shipping_provider": first["provider_name"] if first else "",
        "tracking_number": first["tracking_number"] if first else "",
        "warehouse_id": order["warehouse_id"],
        "packages": [{"id": package_id} for package_id in packages_of],
        "split_or_combine_tag": order["tag"],
        "payment_method_name": "Cash on delivery" if order["is_cod"] else "Visa",
        "has_updated_recipient_address": order["has_updated_recipient_address"],
        "line_items": [_line(order, line, packages_of) for line in order["lines"]],
        "payment": payment(order),
        "recipient_address": addresses.visible(order, state.clock.now()),
    }
    optional = {
        "paid_time": paid,
        **({name: paid + hours * _HOUR for name, hours in deadlines.items()} if paid is not None else {}),
        "rts_time": order["rts_time"],
        "cancel_time": order["cancel_time"],
        "cancel_reason": order["cancel_reason"],
        "cancellation_initiator": order["cancellation_initiator"],
        "replaced_order_id": order["replaced_order_id"],
    }
    found = {**shown, **{name: value for name, value in optional.items() if value}}
    return _as_told(order["told"], found) if "told" in order else found


def _as_told(told: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """An order that was told whole (told.py): what it would show otherwise now than then is new, the rest as told."""
    order, then = (
        {**told["order"], **_news(told["shown"], now)},
        {line["id"]: line for line in told["shown"]["line_items"]},
    )
    news = {line["id"]: _news(then[line["id"]], line) for line in now["line_items"]}
    order["line_items"] = [{**line, **news[line["id"]]} for line in told["order"]["line_items"]]
    return order


def _news(then: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in now.items() if name not in then or then[name] != value}


def _packages(state: ShopState, order: dict[str, Any]) -> dict[str, dict[str, Any]]:
    ids = dict.fromkeys(line["package_id"] for line in order["lines"] if line["package_id"])
    return {package_id: packages.find(state, package_id) for package_id in ids}


def _line(order: dict[str, Any], line: dict[str, Any], packages_of: dict[str, dict[str, Any]]) -> dict[str, Any]:
    package = packages_of.get(line["package_id"])
    shown = {
        "id": line["id"],
        "product_id": line["product_id"],
        "product_name": line["product_name"],
        "sku_id": line["sku_id"],
        "sku_name": line["sku_name"],
        "sku_image": f"https://media.example.com/emberfold/sku/{line['sku_id']}.jpg",
        "seller_sku": line["seller_sku"],
        "sku_type": "NORMAL",
        "display_status": line_status(order, line),
        "original_price": line["original_price"],
        "sale_price": line["sale_price"],
        "platform_discount": "0.00",
        "seller_discount": str(Decimal(line["original_price"]) - Decimal(line["sale_price"])),
        "currency": order["currency"],
        "package_id": line["package_id"],
        "package_status": line["package_status"],
        "tracking_number": package["tracking_number"] if package else "",
        "shipping_provider_id": package["provider_id"] if package else "",
        "shipping_provider_name": package["provider_name"] if package else "",
        "is_gift": line["is_gift"],
        "is_dangerous_good": line["is_dangerous_good"],
        "item_tax": [
            {"tax_type": "SALES_TAX", "tax_amount": line["tax_amount"], "tax_rate": line["tax_rate"]}
        ],
    }  # fmt: skip
    optional = {
        "cancel_reason": line["cancel_reason"],
        "cancel_user": line["cancel_user"],
        "rts_time": line["rts_time"],
        "combined_listing_skus": line["bundle"],
    }
    return {**shown, **{name: value for name, value in optional.items() if value}}


def line_status(order: dict[str, Any], line: dict[str, Any]) -> str:
    """How far one line is: lines of one order may differ."""
    if line["cancelled"]:
        return "CANCELLED"
    if order["status"] in ("UNPAID", "ON_HOLD", "COMPLETED"):
        return str(order["status"])
    return _LINE_STATUS[packages.PROGRESS[line["package_status"]]]


def payment(order: dict[str, Any]) -> dict[str, str]:
    """What the buyer pays, as decimal text."""
    lines = order["lines"]
    original, sale, tax = (_sum(lines, name) for name in ("original_price", "sale_price", "tax_amount"))
    shipping = Decimal(order["shipping_fee"])
    zero = "0.00"
    return {
        "currency": order["currency"],
        "original_total_product_price": str(original),
        "sub_total": str(sale),
        "seller_discount": str(original - sale),
        "platform_discount": zero,
        "original_shipping_fee": "5.99",
        "shipping_fee": str(shipping),
        "shipping_fee_seller_discount": str(Decimal("5.99") - shipping),
        "shipping_fee_platform_discount": zero,
        "shipping_fee_cofunded_discount": zero,
        "product_tax": str(tax),
        "shipping_fee_tax": zero,
        "tax": str(tax),
        "retail_delivery_fee": zero,
        "total_amount": str(sale + shipping + tax),
    }


def price_detail(order: dict[str, Any]) -> dict[str, Any]:
    """Prices, deductions and taxes of an order and of each line ("Get Price Detail")."""
    fee = Decimal(order["shipping_fee"])
    return {
        **_price(order, order["lines"], fee),
        "line_items": [{"id": line["id"], **_price(order, [line], Decimal("0.00"))} for line in order["lines"]],
    }


def _price(order: dict[str, Any], lines: list[dict[str, Any]], fee: Decimal) -> dict[str, Any]:
    original, sale, tax = (_sum(lines, name) for name in ("original_price", "sale_price", "tax_amount"))
    whole = len(lines) == len(order["lines"])
    list_fee = Decimal("5.99") if whole else Decimal("0.00")
    return {
        "currency": order["currency"],
        "sku_list_price": str(original),
        "sku_sale_price": str(sale),
        "subtotal": str(sale + tax),
        "subtotal_deduction_seller": str(original - sale),
        "subtotal_deduction_platform": "0.00",
        "subtotal_tax_amount": str(tax),
        "shipping_list_price": str(list_fee),
        "shipping_sale_price": str(fee),
        "shipping_fee_deduction_seller": str(list_fee - fee),
        "shipping_fee_deduction_platform": "0.00",
        "tax_amount": str(tax),
        "tax_rate": lines[0]["tax_rate"],
        "net_price_amount": str(sale),
        "total": str(original + list_fee),
        "payment": str(sale + fee + tax),
    }


def _sum(lines: Iterable[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(line[name]) for line in lines), Decimal("0.00"))
