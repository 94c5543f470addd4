"""Control API of what happens in the shops: orders, packages, requests of buyers, products and their stock."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from sandbox.tiktok_shop import aftersales, order_view, orders, packages, people, products, shipping, timers, told
from sandbox.tiktok_shop.addresses import Address
from sandbox.tiktok_shop.orders import NewOrder
from sandbox.tiktok_shop.state import ShopState


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CancelOrder(_Order):
    """The buyer wants to cancel."""

    reason: str = Field(default="ecom_order_to_ship_canceled_reason_no_need", max_length=200)


class ReturnOrder(_Order):
    """The buyer wants to return lines; absent: all."""

    return_type: Literal["REFUND", "RETURN_AND_REFUND", "REPLACEMENT"] = "RETURN_AND_REFUND"
    reason: str = Field(default="ecom_order_delivered_refund_and_return_reason_not_as_described", max_length=200)
    order_line_item_ids: list[str] | None = None


class ProductChange(_Order):
    """What the platform or somebody in Seller Center does to a product; fields left out stay."""

    status: products.Status | None = None
    reason: str = Field(default="", max_length=200)
    title: str | None = Field(default=None, min_length=1, max_length=300)
    lock_code: int | None = Field(
        default=None, ge=0, description="Code that stock updates get: 12052393 promotion, 12052371 auction; 0: none."
    )


class VerdictOrder(_Order):
    """The next `count` audits, posts or prechecks (of one product or creator, or of any) end badly."""

    kind: Literal["product", "post", "precheck"]
    reason: str = Field(default="The sandbox was told so.", min_length=1, max_length=200)
    subject: str = Field(default="", description="Product id or username; empty: any.")
    count: int = Field(default=1, ge=1, le=1_000_000)


class StockChange(_Order):
    """Units of a SKU in a warehouse."""

    warehouse_id: str
    available: int = Field(ge=0, le=10**6)


class ToldOrders(_Order):
    """Orders, each as an answer of Get Order Detail has it."""

    shop_id: str = people.US_SHOP_ID
    orders: list[dict[str, Any]] = Field(min_length=1, max_length=1000)


def describe_orders(state: ShopState, shop_id: str = "", status: str = "", limit: int = 200) -> list[dict[str, Any]]:
    """Orders unmasked, newest first, with what clients see of them beside."""
    timers.settle(state)
    rows = state.store.all(
        "SELECT doc FROM shop_order WHERE ? IN ('', shop_id) AND ? IN ('', status)"
        " ORDER BY create_time DESC, id LIMIT ?",
        *(shop_id, status, limit),
    )
    found = [json.loads(row["doc"]) for row in rows]
    return [{**order, "total_amount": order_view.payment(order)["total_amount"]} for order in found]


def advance(state: ShopState, order_id: str) -> dict[str, Any]:
    """What happens next to an order, now: payment, end of the hour, shipping, scan, delivery, closing.

    Raises KeyError for an unknown order, ValueError for one that is at its end.
    """
    timers.settle(state)
    now = state.clock.now()
    with state.store.transaction():
        order = orders.find(state, order_id)
        steps: dict[str, Callable[[], None]] = {
            "UNPAID": lambda: orders.pay(state, order, now),
            "ON_HOLD": lambda: orders.end_hold(state, order_id, now),
            "AWAITING_SHIPMENT": lambda: shipping.ship_for_platform(state, order_id, now),
            "PARTIALLY_SHIPPING": lambda: shipping.ship_for_platform(state, order_id, now),
            "DELIVERED": lambda: orders.close(state, order_id, now),
        }
        packages_of = sorted({line["package_id"] for line in order["lines"] if not line["cancelled"]} - {""})
        if order["status"] in ("AWAITING_COLLECTION", "IN_TRANSIT"):
            step = shipping.collect if order["status"] == "AWAITING_COLLECTION" else shipping.deliver
            for package_id in packages_of:
                step(state, package_id, now)
        elif order["status"] in steps:
            steps[order["status"]]()
        else:
            raise ValueError(f"Nothing follows for an order that is {order['status']}.")
    return orders.find(state, order_id)


def describe_cases(state: ShopState, limit: int = 200) -> list[dict[str, Any]]:
    """Cancellations and returns, newest first."""
    timers.settle(state)
    rows = state.store.all("SELECT doc FROM shop_aftersale ORDER BY create_time DESC, id LIMIT ?", limit)
    return [aftersales.load(row) for row in rows]


def describe_products(state: ShopState, shop_id: str = "") -> list[dict[str, Any]]:
    """Products with their SKUs and stock."""
    timers.settle(state)
    rows = state.store.all("SELECT * FROM shop_product WHERE ? IN ('', shop_id) ORDER BY shop_id, create_time", shop_id)
    return [
        {
            **dict(row),
            "skus": [
                {
                    **{key: sku[key] for key in ("id", "variant", "seller_sku", "price")},
                    "stock": [dict(one) for one in products.stock(state, sku["id"])],
                }
                for sku in products.skus(state, row["id"])
            ],
        }
        for row in rows
    ]


def change_product(state: ShopState, product_id: str, change: ProductChange) -> None:
    """Change the fields that are given. Raises KeyError for an unknown product."""
    now = state.clock.now()
    with state.store.transaction():
        if products.product(state, product_id) is None:
            raise KeyError(product_id)
        for name in ("title", "lock_code"):
            value = getattr(change, name)
            if value is not None:
                # Column names are those of the model.
                sql = f"UPDATE shop_product SET {name} = ?, update_time = ? WHERE id = ?"  # noqa: S608
                state.store.run(sql, value, int(now), product_id)
        if change.status is not None:
            products.set_status(state, product_id, change.status, now, change.reason)


def order_verdict(state: ShopState, order: VerdictOrder) -> dict[str, Any]:
    """Queue bad outcomes."""
    row_id = state.store.insert(
        "INSERT INTO shop_verdict (kind, reason, subject, remaining) VALUES (?, ?, ?, ?)",
        *(order.kind, order.reason, order.subject, order.count),
    )
    return {"id": row_id, **order.model_dump()}


def verdicts(state: ShopState) -> list[dict[str, Any]]:
    """Ordered bad outcomes that wait."""
    return [dict(row) for row in state.store.all("SELECT * FROM shop_verdict WHERE remaining > 0 ORDER BY id")]


@contextmanager
def _said(what: str) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise HTTPException(404, f"There is no {what} {error}.") from error
    except ValueError as error:
        raise HTTPException(409, str(error)) from error


def routes(state: ShopState) -> APIRouter:
    """Operations on orders, cases and products."""
    router = APIRouter()

    @router.get("/orders", summary="Orders unmasked, newest first")
    async def get_orders(
        shop_id: str = "", status: str = "", limit: Annotated[int, Query(ge=1, le=10_000)] = 200
    ) -> list[dict[str, Any]]:
        return describe_orders(state, shop_id, status, limit)

    @router.post("/orders", status_code=201, summary="A buyer orders")
    async def post_order(new: NewOrder) -> dict[str, Any]:
        timers.settle(state)
        with _said("shop, SKU or warehouse"), state.store.transaction():
            return orders.create(state, new, state.clock.now())

    @router.post("/told-orders", status_code=204, summary="Orders are there, whole and as told")
    async def post_told(given: ToldOrders) -> None:
        timers.settle(state)
        with _said("shop or field"), state.store.transaction():
            for order in given.orders:
                told.take(state, given.shop_id, order)

    @router.get("/packages", summary="Packages with their numbers, newest first")
    async def get_packages(limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> list[dict[str, Any]]:
        timers.settle(state)
        rows = state.store.all("SELECT doc FROM shop_package ORDER BY create_time DESC, id LIMIT ?", limit)
        return [packages.load(row) for row in rows]

    @router.post("/orders/{order_id}/advance", summary="What happens next to the order, now")
    async def post_advance(order_id: str) -> dict[str, Any]:
        with _said("order"):
            return advance(state, order_id)

    @router.post("/orders/{order_id}/request-cancel", summary="The buyer wants to cancel")
    async def post_cancel(order_id: str, order: CancelOrder) -> dict[str, Any]:
        timers.settle(state)
        with _said("order"):
            return aftersales.request_cancel(state, order_id, order.reason, state.clock.now())

    @router.post("/orders/{order_id}/request-return", summary="The buyer wants to return")
    async def post_return(order_id: str, order: ReturnOrder) -> dict[str, Any]:
        timers.settle(state)
        with _said("order"):
            return aftersales.request_return(
                *(state, order_id, order.return_type, order.reason, order.order_line_item_ids, state.clock.now())
            )

    @router.post("/orders/{order_id}/address", summary="The buyer changes the address")
    async def post_address(order_id: str, address: Address) -> dict[str, Any]:
        timers.settle(state)
        with _said("order"):
            return orders.change_address(state, order_id, address)

    @router.get("/cases", summary="Cancellations and returns, newest first")
    async def get_cases() -> list[dict[str, Any]]:
        return describe_cases(state)

    @router.post("/cases/{case_id}/withdraw", status_code=204, summary="The buyer withdraws a cancellation request")
    async def post_withdraw(case_id: str) -> None:
        timers.settle(state)
        with _said("case"), state.store.transaction():
            case = aftersales.find(state, case_id)
            if case["status"] != aftersales.CANCEL_PENDING:
                raise ValueError(f"Nothing can be withdrawn of a case that is {case['status']}.")
            aftersales.drop_cancel(state, case, state.clock.now(), "BUYER")

    @router.post("/cases/{case_id}/send-back", status_code=204, summary="The buyer sends the goods back")
    async def post_send_back(case_id: str) -> None:
        timers.settle(state)
        with _said("case"), state.store.transaction():
            aftersales.send_back(state, aftersales.find(state, case_id), state.clock.now())

    @router.get("/products", summary="Products with SKUs and stock")
    async def get_products(shop_id: str = "") -> list[dict[str, Any]]:
        return describe_products(state, shop_id)

    @router.patch("/products/{product_id}", status_code=204, summary="Change a product: status, title, lock")
    async def patch_product(product_id: str, change: ProductChange) -> None:
        timers.settle(state)
        with _said("product"):
            change_product(state, product_id, change)

    @router.put("/skus/{sku_id}/stock", status_code=204, summary="Set the units of a SKU in a warehouse")
    async def put_stock(sku_id: str, change: StockChange) -> None:
        changed = state.store.run(
            "UPDATE shop_stock SET available = ? WHERE sku_id = ? AND warehouse_id = ?",
            *(change.available, sku_id, change.warehouse_id),
        )
        if not changed:
            raise HTTPException(404, "There is no such SKU in this warehouse.")

    @router.get("/verdicts", summary="Ordered bad outcomes that wait")
    async def get_verdicts() -> list[dict[str, Any]]:
        return verdicts(state)

    @router.post("/verdicts", status_code=201, summary="Let the next audits, posts or prechecks end badly")
    async def post_verdict(order: VerdictOrder) -> dict[str, Any]:
        return order_verdict(state, order)

    @router.delete("/verdicts", status_code=204, summary="Forget ordered outcomes")
    async def delete_verdicts() -> None:
        state.store.run("DELETE FROM shop_verdict")

    return router
