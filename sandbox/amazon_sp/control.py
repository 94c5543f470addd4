"""Control API of the Selling Partner API's stand-in: settings, sellers, orders and their fates, stock, counts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from sandbox.amazon_sp import checks, life, orders, parcels, sellers, stock
from sandbox.amazon_sp.fates import Delivery, Fate
from sandbox.amazon_sp.settings import AmazonSpSettings, Seconds
from sandbox.amazon_sp.state import NAME, AmazonState

Units = Annotated[int, Field(ge=1, le=1_000_000)]


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewSeller(_Order):
    """A seller's account, with the catalogue of the demonstration brand unless that is not wanted."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9._-]{0,39}$")
    title: str = Field(default="", max_length=100)
    marketplaces: list[str] = Field(default=[sellers.US], description="Marketplace ids; the first is the default.")
    catalogue: bool = True


class SellerChange(_Order):
    """A dormant account is refused every call with 400."""

    dormant: bool


class SecretOrder(_Order):
    """A new secret for the app; absent: one is made."""

    secret: str = Field(default="", max_length=200)
    old_good_seconds: Seconds = Field(default=0, description="So long the old one still works.")


class FateOrder(_Order):
    """What is to become of coming orders."""

    fate: Fate
    order_id: str = Field(default="", max_length=40, description="sellerFulfillmentOrderId; empty: any.")
    sku: str = Field(default="", max_length=50, description="Orders that have this SKU; empty: any.")
    count: int = Field(default=1, ge=1, le=1_000_000)


class Ending(_Order):
    """How a package's way ends, now."""

    delivery: Delivery = "delivered"


class Move(_Order):
    """Units of a SKU."""

    quantity: Units


class Inbound(Move):
    """Units that set out for the warehouse."""

    seconds: Seconds = Field(default=3600, description="Until they arrive.")


class Level(_Order):
    """Units of a SKU that can be sent."""

    fulfillable: int = Field(ge=0, le=1_000_000)


def describe_sellers(state: AmazonState) -> list[dict[str, Any]]:
    """Sellers, and whether they are connected."""
    return [
        {
            "name": one.name, "title": one.title, "merchant_id": one.merchant_id, "dormant": one.dormant,
            "marketplaces": list(one.marketplaces), "connected": sellers.connected(state, one.name),
        }
        for one in sellers.sellers(state)
    ]  # fmt: skip


def add_seller(state: AmazonState, new: NewSeller) -> str:
    """Add a seller and return its refresh token. Raises ValueError."""
    with state.store.transaction():
        token = sellers.add(state, new.name, new.title or new.name, tuple(new.marketplaces))
        if new.catalogue:
            stock.seed(state, new.name)
    return token


def describe(state: AmazonState, order: life.Order) -> dict[str, Any]:
    """An order with everything that is known of it."""
    return {
        "number": order.number, "seller": order.seller, "id": order.id, "displayable_id": order.displayable_id,
        "status": order.status, "created": order.created, "updated": order.updated,
        "repeats": state.repeats[order.seller, order.id], "request": json.loads(order.request), **order.doc,
    }  # fmt: skip


def list_orders(
    state: AmazonState, seller: str = "", status: str = "", before: int = 2**62, limit: int = 200
) -> list[life.Order]:
    """Orders, newest first."""
    life.settle(state)
    rows = state.store.all(
        "SELECT * FROM amazon_order WHERE ? IN ('', seller) AND ? IN ('', status) AND number < ?"
        " ORDER BY number DESC LIMIT ?",
        *(seller, status, before, limit),
    )
    return [life.load(row) for row in rows]


def one_order(state: AmazonState, seller: str, order_id: str) -> life.Order:
    """One order. Raises KeyError."""
    life.settle(state)
    order = life.find(state, seller, orders.read_back(order_id))
    if order is None:
        raise KeyError(order_id)
    return order


def advance(state: AmazonState, seller: str, order_id: str) -> life.Order:
    """The next step of an order, now. Raises KeyError, and ValueError when nothing follows."""
    order = one_order(state, seller, order_id)
    with state.store.transaction():
        life.step(state, order, state.clock.now())
    return order


def set_fate(state: AmazonState, seller: str, order_id: str, changes: dict[str, Any]) -> life.Order:
    """Change the fate of an order that is there, as far as it has not come about. Raises KeyError, ValueError."""
    order = one_order(state, seller, order_id)
    fate = Fate.model_validate({**order.doc["fate"], **changes})
    order.doc["fate"] = fate.model_dump(mode="json", exclude_defaults=True)
    if fate.check != "good" and order.status == "New":
        order.doc["verdict"] = fate.check
    life.save(state, order)
    return order


def order_fate(state: AmazonState, order: FateOrder) -> dict[str, Any]:
    """Queue a fate for coming orders."""
    row_id = state.store.insert(
        "INSERT INTO amazon_fate (order_id, sku, fate, remaining) VALUES (?, ?, ?, ?)",
        *(order.order_id, order.sku, order.fate.model_dump_json(exclude_defaults=True), order.count),
    )
    return {"id": row_id, **order.model_dump(mode="json")}


def waiting_fates(state: AmazonState) -> list[dict[str, Any]]:
    """Fates that wait for orders."""
    rows = state.store.all("SELECT * FROM amazon_fate WHERE remaining > 0 ORDER BY id")
    return [{**dict(row), "fate": json.loads(row["fate"])} for row in rows]


def end_package(state: AmazonState, number: int, delivery: Delivery) -> None:
    """A package's way ends now. Raises KeyError, and ValueError for one that has not left."""
    life.settle(state)
    found = life.find_package(state, number)
    if found is None:
        raise KeyError(number)
    order, package = found
    parcels.end_now(package, delivery, state.clock.now())
    life.save(state, order)


@contextmanager
def _said(what: str) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise HTTPException(404, f"There is no {what} {error}.") from error
    except ValueError as error:
        raise HTTPException(409, str(error)) from error


def routes(state: AmazonState) -> APIRouter:
    """Operations under `/control/amazon_sp`."""
    router = APIRouter(prefix=f"/control/{NAME}", tags=[NAME])

    @router.get("/settings", summary="Delays, limits and switches now in force")
    async def get_settings() -> AmazonSpSettings:
        return state.settings

    @router.patch("/settings", summary="Change settings: delays, rates, shares of bad ends, spellings, outage")
    async def patch_settings(changes: dict[str, Any]) -> AmazonSpSettings:
        try:
            return state.change_settings(changes)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @router.post("/secret", summary="Rotate the app's secret")
    async def post_secret(order: SecretOrder) -> dict[str, str]:
        return {"client_secret": sellers.rotate_secret(state, order.secret, order.old_good_seconds)}

    @router.get("/sellers", summary="Sellers, and whether they are connected")
    async def get_sellers() -> list[dict[str, Any]]:
        return describe_sellers(state)

    @router.post("/sellers", status_code=201, summary="Add a seller")
    async def post_seller(new: NewSeller) -> dict[str, str]:
        with _said("seller"):
            return {"refresh_token": add_seller(state, new)}

    @router.patch("/sellers/{name}", status_code=204, summary="Put an account to sleep, or wake it")
    async def patch_seller(name: str, change: SellerChange) -> None:
        with _said("seller"):
            sellers.set_dormant(state, name, change.dormant)

    @router.post("/sellers/{name}/revoke", summary="The seller withdraws what it granted")
    async def post_revoke(name: str) -> dict[str, int]:
        with _said("seller"):
            return {"authorisations_ended": sellers.revoke(state, name)}

    @router.post("/sellers/{name}/grant", status_code=201, summary="The seller grants anew, with its first token")
    async def post_grant(name: str) -> dict[str, str]:
        with _said("seller"):
            return {"refresh_token": sellers.grant(state, name, sellers.first_refresh_token(name))}

    @router.post("/sellers/{name}/codes", status_code=201, summary="What the seller's consent would bring back")
    async def post_code(name: str) -> dict[str, str]:
        with _said("seller"):
            return {"code": sellers.new_code(state, name)}

    @router.post("/sellers/{name}/expire-tokens", summary="Access tokens end now")
    async def post_expire(name: str) -> dict[str, int]:
        with _said("seller"):
            return {"access_tokens_ended": sellers.expire_tokens(state, name)}

    @router.get("/orders", summary="Orders with their shipments, newest first; page with before")
    async def get_orders(
        seller: str = "",
        status: str = "",
        before: Annotated[int, Query(description="The last number of the page before.")] = 2**62,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 200,
    ) -> list[dict[str, Any]]:
        return [describe(state, order) for order in list_orders(state, seller, status, before, limit)]

    @router.get("/orders/{seller}/{order_id}", summary="One order with everything that is known of it")
    async def get_order(seller: str, order_id: str) -> dict[str, Any]:
        with _said("order"):
            return describe(state, one_order(state, seller, order_id))

    @router.post("/orders/{seller}/{order_id}/advance", summary="The order's next step, now")
    async def post_advance(seller: str, order_id: str) -> dict[str, Any]:
        with _said("order"):
            return describe(state, advance(state, seller, order_id))

    @router.patch("/orders/{seller}/{order_id}/fate", summary="Change what is to become of an order")
    async def patch_fate(seller: str, order_id: str, changes: Fate) -> dict[str, Any]:
        with _said("order"):
            given = changes.model_dump(mode="json", exclude_unset=True)
            return describe(state, set_fate(state, seller, order_id, given))

    @router.get("/fates", summary="Fates that wait for orders")
    async def get_fates() -> list[dict[str, Any]]:
        return waiting_fates(state)

    @router.post("/fates", status_code=201, summary="What is to become of the next orders")
    async def post_fate(order: FateOrder) -> dict[str, Any]:
        return order_fate(state, order)

    @router.delete("/fates", status_code=204, summary="Forget fates that wait")
    async def delete_fates() -> None:
        state.store.run("DELETE FROM amazon_fate")

    @router.post("/packages/{number}/end", status_code=204, summary="A package's way ends, now")
    async def post_end(number: int, order: Ending) -> None:
        with _said("package"):
            end_package(state, number, order.delivery)

    @router.get("/stock/{seller}", summary="SKUs: true counts, what is shown of them, what was sold")
    async def get_stock(seller: str) -> list[dict[str, Any]]:
        life.settle(state)
        return [stock.summary(row) for row in stock.skus(state, seller)]

    def moved(seller: str, sku: str) -> dict[str, Any]:
        return stock.summary(stock.existing(state, seller, sku))

    @router.put("/stock/{seller}/{sku:path}", summary="Set the units that can be sent")
    async def put_stock(seller: str, sku: str, level: Level) -> dict[str, Any]:
        with _said("SKU"), state.store.transaction():
            life.settle(state)
            stock.put(state, seller, sku, level.fulfillable, state.clock.now())
            life.goods_arrived(state, seller, sku, state.clock.now())
            return moved(seller, sku)

    @router.post("/sell/{seller}/{sku:path}", summary="Amazon's own shop sells units")
    async def post_sell(seller: str, sku: str, move: Move) -> dict[str, Any]:
        with _said("SKU"), state.store.transaction():
            life.settle(state)
            stock.sell(state, seller, sku, move.quantity, state.clock.now())
            return moved(seller, sku)

    @router.post("/receive/{seller}/{sku:path}", summary="Units arrive, those on their way first")
    async def post_receive(seller: str, sku: str, move: Move) -> dict[str, Any]:
        with _said("SKU"), state.store.transaction():
            life.settle(state)
            stock.receive(state, seller, sku, move.quantity, state.clock.now())
            life.goods_arrived(state, seller, sku, state.clock.now())
            return moved(seller, sku)

    @router.post("/inbound/{seller}/{sku:path}", summary="Units set out for the warehouse")
    async def post_inbound(seller: str, sku: str, move: Inbound) -> dict[str, Any]:
        with _said("SKU"), state.store.transaction():
            life.settle(state)
            stock.send_inbound(state, seller, sku, move.quantity, move.seconds)
            return moved(seller, sku)

    @router.get("/created", summary="How often an order was created, by its displayable id; the most often first")
    async def get_created(
        least: Annotated[int, Query(ge=1, description="2: only what was created twice or more.")] = 1,
    ) -> list[dict[str, Any]]:
        life.settle(state)
        return checks.created(state, least)

    @router.get("/numbers", summary="Every number of every package that is seen")
    async def get_numbers(seller: str = "") -> list[dict[str, Any]]:
        life.settle(state)
        return checks.numbers(state, seller)

    return router
