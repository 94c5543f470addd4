"""The orders that are there at first: plain ones in every status, and those that make software stumble."""

from typing import Any

from sandbox.tiktok_shop import aftersales, catalog, orders, people, products, shipping, timers
from sandbox.tiktok_shop.addresses import BOOK
from sandbox.tiktok_shop.orders import NewLine, NewOrder
from sandbox.tiktok_shop.state import ShopState, stable_id

_HOUR, _DAY = 3600.0, 86_400.0
BLACK_BOX, SLEEVES, MAT, BUNDLE = (
    "1729662786851694749",
    "1729644279939735481",
    "1729649418267134490",
    "1729689738830966802",
)
GIFT, CLEANER, TRAY = "1729642372111948645", "1729694588449288622", "1729673210744936811"
OAK_TOWER = stable_id("1729", "tower-oak")


def _lines(*skus: tuple[str, int]) -> list[NewLine]:
    return [NewLine(sku_id=sku, quantity=count) for sku, count in skus]


def seed(state: ShopState) -> None:
    """Add them where no order is; call it inside a transaction, after the products are there."""
    if state.store.one("SELECT 1 FROM shop_order") is not None:
        return
    now = state.clock.now()
    for number, place in enumerate(("knoxville", "mound", "bridgeport", "hunter")):
        _add(
            state,
            f"plain-{number}",
            now - (number + 2) * _HOUR,
            lines=_lines((SLEEVES, 1 + number)),
            address=BOOK[place],
        )
    _add(state, "several-units", now - 3 * _HOUR, lines=_lines((BLACK_BOX, 3), (MAT, 1)), address=BOOK["bridgeport"])
    _add(state, "unpaid", now - 0.5 * _HOUR, lines=_lines((MAT, 1)), status="UNPAID")
    _add(state, "on-hold", now - _HOUR / 3, lines=_lines((TRAY, 1)), status="ON_HOLD", address=BOOK["mound"])
    _add(state, "bundle", now - 4 * _HOUR, lines=_lines((BUNDLE, 2)), address=BOOK["hunter"])
    _add(state, "no-seller-sku", now - 5 * _HOUR, lines=_lines((OAK_TOWER, 1)))
    _add(state, "umlaut", now - 6 * _HOUR, lines=_lines((TRAY, 1)), address=BOOK["umlaut"], buyer_message="Danke! 🎲")
    _add(state, "lost-zero", now - 7 * _HOUR, lines=_lines((MAT, 1)), address=BOOK["lost_zero"])
    _add(state, "po-box", now - 8 * _HOUR, lines=_lines((CLEANER, 1)), address=BOOK["po_box"])
    gift = [*_lines((BLACK_BOX, 1)), NewLine(sku_id=GIFT, gift=True)]
    _add(state, "gift", now - 9 * _HOUR, lines=gift)
    _add(state, "sample", now - 10 * _HOUR, lines=_lines((TRAY, 1)), is_sample_order=True)
    _add(state, "cash", now - 11 * _HOUR, lines=_lines((TRAY, 1)), is_cod=True)
    _add(state, "garage", now - 12 * _HOUR, lines=_lines((BLACK_BOX, 1)), warehouse_id=catalog.GARAGE_WAREHOUSE)
    _add(state, "express", now - 13 * _HOUR, lines=_lines((MAT, 1)), express=True)
    _add(state, "label", now - 14 * _HOUR, lines=_lines((BLACK_BOX, 2)), shipping_type="TIKTOK")
    _add(state, "platform", now - 2 * _DAY, lines=_lines((SLEEVES, 2)), fulfillment_type="FULFILLMENT_BY_TIKTOK")
    message = "Please ship to my office instead: 99 Ninth Ave, Floor 9"
    _add(state, "address-in-message", now - 15 * _HOUR, lines=_lines((SLEEVES, 1)), buyer_message=message)
    same = stable_id("7494", "same-buyer")
    for number in range(2):
        order = _add(state, f"combined-{number}", now - 16 * _HOUR, lines=_lines((SLEEVES, 1)), user_id=same)
        order["tag"] = "COMBINED"
        orders.save(state, order, now - 16 * _HOUR)
    _shipped(state, "collected-soon", now - 1 * _HOUR)
    _shipped(state, "in-transit", now - 1 * _DAY)
    delivered = _shipped(state, "delivered", now - 5 * _DAY)
    _add(state, "replacement", now - 17 * _HOUR, lines=_lines((TRAY, 1)), replaced_order_id=delivered["id"])
    sent_back = _shipped(state, "return-requested", now - 6 * _DAY)
    _shipped(state, "completed", now - 25 * _DAY)
    _shipped(state, "completed-long-ago", now - 90 * _DAY)
    split = _add(state, "partly-shipped", now - 1 * _DAY, lines=_lines((BLACK_BOX, 2), (SLEEVES, 1)))
    _send(state, split, split["lines"][:1], now - 2 * _HOUR)
    half = _add(state, "partly-cancelled", now - 18 * _HOUR, lines=_lines((BLACK_BOX, 2)))
    orders.cancel_lines(
        *(state, half, [half["lines"][0]["id"]], "seller_cancel_reason_out_of_stock", "SELLER", now - 17 * _HOUR)
    )
    gone = _add(state, "cancelled", now - 3 * _DAY, lines=_lines((MAT, 1)), address=BOOK["mound"])
    every = [line["id"] for line in gone["lines"]]
    orders.cancel_lines(state, gone, every, "ecom_order_to_ship_canceled_reason_no_need", "BUYER", now - 2 * _DAY)
    doubtful = _add(state, "cancel-requested", now - 19 * _HOUR, lines=_lines((BLACK_BOX, 1)))
    aftersales.request_cancel(state, doubtful["id"], "ecom_order_to_ship_canceled_reason_no_need", now - _HOUR)
    _seed_abroad(state, now)
    # By now the orders of the past have gone their ways; with other delays than the usual ones perhaps not so far.
    timers.settle(state)
    if orders.find(state, sent_back["id"])["status"] == "DELIVERED":
        reason = "ecom_order_delivered_refund_and_return_reason_not_as_described"
        aftersales.request_return(state, sent_back["id"], "RETURN_AND_REFUND", reason, None, now - 2 * _HOUR)


def _seed_abroad(state: ShopState, now: float) -> None:
    for shop in people.shops(state, "emberfold-trading"):
        skus = [products.skus(state, one.id)[0]["id"] for one in catalog.products(shop)[:3]]
        key = shop.region.lower()
        for number, sku in enumerate(skus):
            _add(
                state,
                f"{key}-plain-{number}",
                now - (number + 1) * _HOUR,
                shop_id=shop.id,
                lines=_lines((sku, 1 + number)),
            )
        _add(
            state, f"{key}-label", now - 5 * _HOUR, shop_id=shop.id, lines=_lines((skus[0], 1)), shipping_type="TIKTOK"
        )
        _add(state, f"{key}-on-hold", now - _HOUR / 2, shop_id=shop.id, lines=_lines((skus[0], 1)), status="ON_HOLD")
        split = _add(state, f"{key}-split", now - 6 * _HOUR, shop_id=shop.id, lines=_lines((skus[0], 1), (skus[1], 1)))
        shipping.split(state, split, [[line["id"]] for line in split["lines"]], now - 5 * _HOUR)


def _add(state: ShopState, key: str, at: float, **fields: Any) -> dict[str, Any]:
    return orders.create(state, NewOrder(**fields), at, key)


def _shipped(state: ShopState, key: str, at: float) -> dict[str, Any]:
    """An order that was sent at once; how far it is by now follows from the delays."""
    order = _add(state, key, at - _HOUR, lines=_lines((SLEEVES, 1), (MAT, 1)), address=BOOK["hunter"])
    _send(state, order, order["lines"], at)
    return order


def _send(state: ShopState, order: dict[str, Any], lines: list[dict[str, Any]], at: float) -> None:
    number = f"TBA{stable_id('305', order['id'], 12)}"
    shipping.send(state, order, lines, (catalog.AMAZON, "Amazon"), number, at)
