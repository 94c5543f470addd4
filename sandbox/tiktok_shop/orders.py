"""Orders as they are kept, how they come into being, and how they move.

UNPAID → ON_HOLD → AWAITING_SHIPMENT → (PARTIALLY_SHIPPING) → AWAITING_COLLECTION → IN_TRANSIT → DELIVERED → COMPLETED,
or CANCELLED. One line per unit. What an order shows of itself is `order_view.py`.
"""

import json
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.tiktok_shop import catalog, events, packages, people, products
from sandbox.tiktok_shop.addresses import BOOK, Address
from sandbox.tiktok_shop.answers import Refusal
from sandbox.tiktok_shop.people import Shop
from sandbox.tiktok_shop.products import Unit
from sandbox.tiktok_shop.state import ShopState, dumps, new_id, stable_id

NOT_YOURS = 21011028
EARLY = ("UNPAID", "ON_HOLD", "AWAITING_SHIPMENT")
# Where a package of the seller's own exists only once it is shipped; elsewhere it exists from payment on.
PACKAGES_WHEN_SHIPPED = ("US",)


class NewLine(BaseModel):
    """A SKU that is ordered."""

    model_config = ConfigDict(extra="forbid")

    sku_id: str
    quantity: int = Field(default=1, ge=1, le=200)
    gift: bool = False


class NewOrder(BaseModel):
    """An order to make. Without an address it goes to a demonstration address of the shop's market."""

    model_config = ConfigDict(extra="forbid")

    shop_id: str = people.US_SHOP_ID
    lines: list[NewLine] = Field(min_length=1, max_length=50)
    status: Literal["UNPAID", "ON_HOLD", "AWAITING_SHIPMENT"] = "AWAITING_SHIPMENT"
    address: Address | None = None
    shipping_type: Literal["SELLER", "TIKTOK"] = "SELLER"
    fulfillment_type: Literal["FULFILLMENT_BY_SELLER", "FULFILLMENT_BY_TIKTOK"] = "FULFILLMENT_BY_SELLER"
    express: bool = False
    warehouse_id: str = ""
    buyer_message: str = Field(default="", max_length=500)
    user_id: str = ""
    is_cod: bool = False
    is_sample_order: bool = False
    replaced_order_id: str = ""


def create(state: ShopState, new: NewOrder, at: float, key: str = "") -> dict[str, Any]:
    """A buyer orders; call it inside a transaction. `key` gives a seeded order the same ids each time.

    Raises KeyError for a shop, SKU or warehouse that does not exist.
    """
    shop = people.shop(state, new.shop_id)
    warehouse = new.warehouse_id or catalog.sales_warehouses(shop)[0]
    if warehouse not in catalog.sales_warehouses(shop):
        raise KeyError(warehouse)
    order_id = stable_id("5769", key, 18) if key else new_id("5769", 18)
    address = new.address or BOOK[{"US": "knoxville", "GB": "london", "SG": "singapore"}[shop.region]]
    user = new.user_id or (stable_id("7494", key) if key else new_id("7494"))
    platform = new.shipping_type == "TIKTOK" or new.fulfillment_type == "FULFILLMENT_BY_TIKTOK"
    order: dict[str, Any] = {
        "id": order_id,
        "shop_id": shop.id,
        "status": "UNPAID",
        "user_id": user,
        "buyer_message": new.buyer_message,
        "create_time": int(at),
        "update_time": int(at),
        "paid_time": None,
        "rts_time": None,
        "complete_time": None,
        "cancel_time": None,
        "cancel_reason": "",
        "cancellation_initiator": "",
        "is_buyer_request_cancel": False,
        "is_cod": new.is_cod,
        "is_sample_order": new.is_sample_order,
        "replaced_order_id": new.replaced_order_id,
        "fulfillment_type": new.fulfillment_type,
        "shipping_type": "TIKTOK" if platform else "SELLER",
        "delivery_option_id": catalog.PLATFORM if platform else catalog.EXPRESS if new.express else catalog.STANDARD,
        "warehouse_id": warehouse,
        "tag": "",
        "has_updated_recipient_address": False,
        "currency": shop.currency,
        "shipping_fee": "0.00" if new.is_sample_order or new.replaced_order_id else "5.99" if new.express else "0.00",
        "address": address.model_dump(),
        "lines": [],
    }
    free = new.is_sample_order or bool(new.replaced_order_id)
    for line in new.lines:
        order["lines"] += [
            _line(state, shop, line, free, f"{key}/{len(order['lines']) + unit}" if key else "")
            for unit in range(line.quantity)
        ]
    products.reserve(state, units(state, order))
    save(state, order, at)
    if new.status == "UNPAID":
        tell(state, order, at)
    else:
        pay(state, order, at, hold=new.status == "ON_HOLD")
    return order


def _line(state: ShopState, shop: Shop, line: NewLine, free: bool, key: str) -> dict[str, Any]:
    sku = products.sku(state, line.sku_id)
    product = products.product(state, sku["product_id"])
    if product is None or product["shop_id"] != shop.id:
        raise KeyError(line.sku_id)
    price = "0.00" if free or line.gift else sku["price"]
    rate = Decimal("0.06") if shop.region == "US" else Decimal("0")
    return {
        "id": stable_id("5770", key, 18) if key else new_id("5770", 18),
        "product_id": product["id"],
        "product_name": product["title"],
        "sku_id": sku["id"],
        "sku_name": sku["variant"],
        "seller_sku": sku["seller_sku"],
        "original_price": sku["price"],
        "sale_price": price,
        "tax_amount": str((Decimal(price) * rate).quantize(Decimal("0.01"))),
        "tax_rate": str(rate),
        "is_gift": line.gift,
        "is_dangerous_good": bool(product["dangerous"]),
        "package_id": "",
        "package_status": "TO_FULFILL",
        "cancelled": False,
        "cancel_reason": "",
        "cancel_user": "",
        "rts_time": None,
        "bundle": [
            {
                "product_id": products.sku(state, part)["product_id"],
                "sku_id": part,
                "seller_sku": products.sku(state, part)["seller_sku"],
                "sku_count": count,
            }
            for part, count in json.loads(sku["bundle"])
        ],
    }


def units(state: ShopState, order: dict[str, Any], lines: list[dict[str, Any]] | None = None) -> list[Unit]:
    """What lines (all, unless some are given) take from stock: a bundle takes its parts."""
    taken = []
    for line in order["lines"] if lines is None else lines:
        parts = [(part["sku_id"], part["sku_count"]) for part in line["bundle"]] or [(line["sku_id"], 1)]
        taken += [Unit(sku_id, order["warehouse_id"], count) for sku_id, count in parts]
    return taken


def save(state: ShopState, order: dict[str, Any], at: float) -> None:
    """Keep an order that is new or was changed."""
    order["update_time"] = int(at)
    state.store.run(
        "INSERT OR REPLACE INTO shop_order VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(order["id"], order["shop_id"], order["status"], order["user_id"], order["shipping_type"]),
        *(order["warehouse_id"], order["is_buyer_request_cancel"], order["create_time"], order["update_time"]),
        dumps(order),
    )


def find(state: ShopState, order_id: str) -> dict[str, Any]:
    """One order of any shop. Raises KeyError when there is none."""
    row = state.store.one("SELECT doc FROM shop_order WHERE id = ?", order_id)
    if row is None:
        raise KeyError(order_id)
    order: dict[str, Any] = json.loads(row["doc"])
    return order


def own(state: ShopState, shop: Shop, order_id: str, code: int = NOT_YOURS) -> dict[str, Any]:
    """One order of a shop. Raises Refusal with `code`."""
    try:
        order = find(state, order_id)
    except KeyError as error:
        raise Refusal(code, "The order does not exist in this shop.") from error
    if order["shop_id"] != shop.id:
        raise Refusal(code, "The order does not exist in this shop.")
    return order


def tell(state: ShopState, order: dict[str, Any], at: float) -> None:
    """Queue ORDER_STATUS_CHANGE, which spells CANCELLED differently."""
    events.tell_shop(
        state,
        "ORDER_STATUS_CHANGE",
        order["shop_id"],
        {
            "order_id": order["id"],
            "order_status": "CANCEL" if order["status"] == "CANCELLED" else order["status"],
            "is_on_hold_order": order["status"] == "ON_HOLD",
            "update_time": order["update_time"],
        },
        at,
    )


def move(state: ShopState, order: dict[str, Any], status: str, at: float) -> None:
    """Put an order into a status, and tell it; call it inside a transaction."""
    order["status"] = status
    save(state, order, at)
    tell(state, order, at)


def pay(state: ShopState, order: dict[str, Any], at: float, hold: bool = True) -> None:
    """The buyer pays. Then the order rests for an hour, unless `hold` is off."""
    order["paid_time"] = int(at)
    if hold:
        move(state, order, "ON_HOLD", at)
        state.later(at + state.settings.hold_seconds, "hold_ends", order["id"])
    else:
        make_ready(state, order, at)


def end_hold(state: ShopState, order_id: str, at: float) -> None:
    """The buyer's hour is over."""
    order = find(state, order_id)
    if order["status"] == "ON_HOLD":
        make_ready(state, order, at)


def make_ready(state: ShopState, order: dict[str, Any], at: float) -> None:
    """The order may be shipped now."""
    if people.shop(state, order["shop_id"]).region not in PACKAGES_WHEN_SHIPPED:
        lines = [line["id"] for line in order["lines"]]
        key = stable_id("1153", order["id"])
        package = packages.new(state, order["shop_id"], [order["id"]], lines, at, key=key)
        for line in order["lines"]:
            line["package_id"] = package["id"]
    move(state, order, "AWAITING_SHIPMENT", at)
    if order["fulfillment_type"] == "FULFILLMENT_BY_TIKTOK":
        state.later(at + state.settings.collect_seconds, "platform_ships", order["id"])


def recount(state: ShopState, order: dict[str, Any], at: float) -> None:
    """The status that follows from how far the packages are."""
    steps = [packages.PROGRESS[line["package_status"]] for line in order["lines"] if not line["cancelled"]]
    if not steps or order["status"] in ("CANCELLED", "COMPLETED"):
        save(state, order, at)
        return
    least = min(steps)
    status = ("AWAITING_COLLECTION", "IN_TRANSIT", "DELIVERED")[least - 1] if least else "PARTIALLY_SHIPPING"
    if max(steps) == 0:
        status = "AWAITING_SHIPMENT"
    if status == order["status"]:
        save(state, order, at)
        return
    move(state, order, status, at)
    if status == "DELIVERED":
        state.later(at + state.settings.complete_seconds, "order_closes", order["id"])


def close(state: ShopState, order_id: str, at: float) -> None:
    """The time in which a buyer may send things back is over."""
    order = find(state, order_id)
    if order["status"] == "DELIVERED":
        order["complete_time"] = int(at)
        move(state, order, "COMPLETED", at)


def cancel_lines(state: ShopState, order: dict[str, Any], lines: list[str], reason: str, who: str, at: float) -> None:
    """Cancel lines; the order is cancelled with its last one. Call it inside a transaction."""
    chosen = [line for line in order["lines"] if line["id"] in lines and not line["cancelled"]]
    products.reserve(state, units(state, order, chosen), -1)
    for line in chosen:
        line.update(cancelled=True, cancel_reason=reason, cancel_user=who, package_status="CANCELLED")
    order["is_buyer_request_cancel"] = False
    if all(line["cancelled"] for line in order["lines"]):
        order.update(cancel_time=int(at), cancel_reason=reason, cancellation_initiator=who)
        for package_id in {line["package_id"] for line in order["lines"]} - {""}:
            package = packages.find(state, package_id)
            package["status"] = "CANCELLED"
            packages.save(state, package, at)
        move(state, order, "CANCELLED", at)
    elif order["status"] in EARLY:
        save(state, order, at)
    else:
        recount(state, order, at)


def change_address(state: ShopState, order_id: str, address: Address) -> dict[str, Any]:
    """The buyer corrects the address. Raises KeyError for an unknown order, ValueError when it is too late."""
    now = state.clock.now()
    with state.store.transaction():
        order = find(state, order_id)
        if order["status"] not in EARLY:
            raise ValueError(f"The address of an order that is {order['status']} cannot be changed any more.")
        order.update(address=address.model_dump(), has_updated_recipient_address=True)
        save(state, order, now)
        data = {"order_id": order_id, "update_time": order["update_time"]}
        events.tell_shop(state, "RECIPIENT_ADDRESS_UPDATE", order["shop_id"], data, now)
    return order
