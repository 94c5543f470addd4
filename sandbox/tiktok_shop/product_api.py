"""Products, stock and prices (scopes `seller.product.basic` and `seller.product.write`)."""

import json
import re
import sqlite3
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.tiktok_shop import catalog, paging, products
from sandbox.tiktok_shop.answers import BAD_REQUEST, Refusal
from sandbox.tiktok_shop.gate import Body, Call, Operation, Query
from sandbox.tiktok_shop.order_api import Page, Time
from sandbox.tiktok_shop.people import Shop
from sandbox.tiktok_shop.state import ShopState, stable_id

_READ, _WRITE = ("seller.product.basic", "seller.product.write"), ("seller.product.write",)
NOT_FOUND, NOT_YOURS, WRONG_STATUS = 12052032, 12052048, 12052901
SKU_UNKNOWN, SKU_TWICE = 12052556, 12052553
WAREHOUSES_MISSING, WAREHOUSES_WRONG, WAREHOUSE_UNKNOWN = 12019028, 12019022, 12052094
QUANTITY, BUNDLE = 12019024, 12052849
MOST_UNITS = 99_999


class _Search(Page):
    page_size: Annotated[int, Field(ge=1, le=100)]


class _Filter(Body):
    status: products.Status | Literal["ALL"] | None = None
    seller_skus: Annotated[list[str], Field(max_length=10)] | None = None
    sku_ids: Annotated[list[str], Field(max_length=10)] | None = None
    create_time_ge: Time | None = None
    create_time_le: Time | None = None
    update_time_ge: Time | None = None
    update_time_le: Time | None = None
    audit_status: list[str] | None = None
    category_version: Literal["v1", "v2"] | None = None
    return_draft_version: bool | None = None


class _One(Query):
    return_under_review_version: Literal["true", "false"] = "false"
    return_draft_version: Literal["true", "false"] = "false"
    locale: str = ""


class _Inventory(Body):
    product_ids: list[str] = Field(default=[], max_length=100)
    sku_ids: list[str] = Field(default=[], max_length=600)


class _Stock(Body):
    warehouse_id: str = ""
    quantity: int
    backorder_quantity: int | None = None
    handling_time: int | None = None


class _SkuStock(Body):
    id: str
    inventory: Annotated[list[_Stock], Field(min_length=1)]


class _StockUpdate(Body):
    skus: Annotated[list[_SkuStock], Field(min_length=1, max_length=300)]


class _Price(Body):
    amount: str
    currency: str


class _SkuPrice(Body):
    id: str
    price: _Price


class _PriceUpdate(Body):
    skus: Annotated[list[_SkuPrice], Field(min_length=1, max_length=300)]


class _Ids(Body):
    product_ids: Annotated[list[str], Field(min_length=1, max_length=20)]


_CONDITIONS = {
    "status": "status = ?",
    "seller_skus": "id IN (SELECT k.product_id FROM shop_sku k JOIN json_each(?) j ON k.seller_sku = j.value)",
    "sku_ids": "id IN (SELECT k.product_id FROM shop_sku k JOIN json_each(?) j ON k.id = j.value)",
    "create_time_ge": "create_time >= ?",
    "create_time_le": "create_time <= ?",
    "update_time_ge": "update_time >= ?",
    "update_time_le": "update_time <= ?",
}


def _search(state: ShopState, call: Call) -> dict[str, Any]:
    wanted = {name: value for name, value in call.body.model_dump(exclude_none=True).items() if name in _CONDITIONS}
    where, values = ["shop_id = ?"], [call.shop.id]
    for name, value in wanted.items():
        if value != "ALL":
            where.append(_CONDITIONS[name])
            values.append(json.dumps(value) if isinstance(value, list) else value)
    rows, following, total = paging.rows(
        *(state, "shop_product", where, values, ("create_time", "DESC"), call.query.page_size, call.query.page_token),
        BAD_REQUEST,
    )
    found = [{**_summary(row), "skus": [_sku(state, call.shop, one) for one in products.skus(state, row["id"])]}
             for row in rows]  # fmt: skip
    return {"products": found, "next_page_token": following, "total_count": total}


def _get(state: ShopState, call: Call) -> dict[str, Any]:
    row = own(state, call.shop, call.path["product_id"])
    image = {"uri": row["id"], "height": 800, "width": 800, "urls": [picture(row["id"])]}
    return {
        **_summary(row),
        "description": f"<p>{row['title']}</p>",
        "category_chains": [
            {"id": "600001", "parent_id": "0", "local_name": "Toys & Hobbies", "is_leaf": False},
            {"id": "600024", "parent_id": "600001", "local_name": "Trading Card Supplies", "is_leaf": True},
        ],
        "brand": {"id": "7082427311584347905", "name": "Emberfold"},
        "main_images": [image],
        "is_cod_allowed": False,
        "package_weight": {"unit": "GRAM", "value": "120"},
        "skus": [_sku(state, call.shop, one, whole=True) for one in products.skus(state, row["id"])],
    }


def _inventory(state: ShopState, call: Call) -> dict[str, Any]:
    body: _Inventory = call.body
    if not body.product_ids and not body.sku_ids:
        raise Refusal(BAD_REQUEST, "body.product_ids or body.sku_ids is missing.")
    rows = state.store.all(
        "SELECT * FROM shop_sku WHERE shop_id = ? AND (product_id IN (SELECT value FROM json_each(?))"
        " OR id IN (SELECT value FROM json_each(?))) ORDER BY product_id, position",
        *(call.shop.id, json.dumps(body.product_ids), json.dumps(body.sku_ids)),
    )
    by_product: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_product.setdefault(row["product_id"], []).append(_stock_of(state, row))
    return {"inventory": [{"product_id": product_id, "skus": skus} for product_id, skus in by_product.items()]}


def _update_stock(state: ShopState, call: Call) -> dict[str, Any]:
    body: _StockUpdate = call.body
    row = _editable(state, call)
    known = _known_skus(state, row["id"], [one.id for one in body.skus])
    errors = []
    for change in body.skus:
        error = _stock_error(state, known[change.id], change)
        if error is not None:
            errors.append(error)
            continue
        for one in change.inventory:
            state.store.run(
                "UPDATE shop_stock SET available = ? WHERE sku_id = ? AND ? IN ('', warehouse_id)",
                *(one.quantity, change.id, one.warehouse_id),
            )
    _touch(state, row["id"])
    return {"errors": errors} if errors else {}


def _stock_error(state: ShopState, sku: sqlite3.Row, change: _SkuStock) -> dict[str, Any] | None:
    """Why the stock of one SKU cannot be set; the others of the call are set all the same."""
    if json.loads(sku["bundle"]):
        return _error(change.id, BUNDLE, "The stock of a bundle follows from its parts.")
    there = {row["warehouse_id"]: row["available"] for row in products.stock(state, change.id)}
    wanted = set(there)
    named = [one.warehouse_id for one in change.inventory]
    if named == [""] and len(wanted) == 1:
        named = list(wanted)
    unknown = [one for one in named if one not in wanted]
    if unknown:
        message = "The warehouse does not keep this SKU."
        details = [{"warehouse_id": one, "code": WAREHOUSE_UNKNOWN, "message": message} for one in unknown]
        return _error(change.id, WAREHOUSES_WRONG, "The list of warehouses is wrong.", details)
    if len(named) != len(set(named)) or set(named) != wanted:
        return _error(change.id, WAREHOUSES_MISSING, "Name every warehouse of the SKU, once.")
    least = 0 if state.settings.zero_stock else 1
    wrong = [
        one
        for one in change.inventory
        # Every warehouse is to be named, also one that has none.
        if not least <= one.quantity <= MOST_UNITS and (one.quantity or there.get(one.warehouse_id) != 0)
    ]
    if wrong:
        message = f"quantity must be {least} to {MOST_UNITS}."
        details = [{"warehouse_id": one.warehouse_id, "code": QUANTITY, "message": message} for one in wrong]
        return _error(change.id, QUANTITY, message, details)
    return None


def _error(sku_id: str, code: int, message: str, details: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "detail": {"sku_id": sku_id, "extra_errors": details or []}}


def _update_prices(state: ShopState, call: Call) -> dict[str, Any]:
    body: _PriceUpdate = call.body
    row = _editable(state, call)
    _known_skus(state, row["id"], [one.id for one in body.skus])
    for one in body.skus:
        if one.price.currency != call.shop.currency:
            raise Refusal(BAD_REQUEST, f"body.skus.price.currency must be {call.shop.currency}.")
        if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,2})?", one.price.amount) or Decimal(one.price.amount) <= 0:
            raise Refusal(BAD_REQUEST, "body.skus.price.amount must be a positive amount with two decimals at most.")
    for one in body.skus:
        state.store.run("UPDATE shop_sku SET price = ? WHERE id = ?", one.price.amount, one.id)
    _touch(state, row["id"])
    return {}


def _activate(state: ShopState, call: Call) -> dict[str, Any]:
    return _switch(state, call, ("DRAFT", "FAILED", "SELLER_DEACTIVATED"), "PENDING", ("ACTIVATE", "PENDING"))


def _deactivate(state: ShopState, call: Call) -> dict[str, Any]:
    return _switch(state, call, ("ACTIVATE", "PENDING"), "SELLER_DEACTIVATED", ("SELLER_DEACTIVATED",))


def _switch(state: ShopState, call: Call, from_: tuple[str, ...], to: str, already: tuple[str, ...]) -> dict[str, Any]:
    errors = []
    for product_id in dict.fromkeys(call.body.product_ids):
        try:
            row = own(state, call.shop, product_id)
            if row["status"] in from_:
                products.set_status(state, product_id, to, state.clock.now())
            elif row["status"] not in already:
                raise Refusal(WRONG_STATUS, f"A product that is {row['status']} cannot be switched.")
        except Refusal as refusal:
            errors.append({"code": refusal.code, "message": refusal.message, "detail": {"product_id": product_id}})
    return {"errors": errors} if errors else {}


def own(state: ShopState, shop: Shop, product_id: str) -> sqlite3.Row:
    """One product of a shop. Raises Refusal."""
    row = products.product(state, product_id)
    if row is None or row["status"] == "DELETED":
        raise Refusal(NOT_FOUND, "The product does not exist.")
    if row["shop_id"] != shop.id:
        raise Refusal(NOT_YOURS, "The product belongs to another shop.")
    return row


def _editable(state: ShopState, call: Call) -> sqlite3.Row:
    row = own(state, call.shop, call.path["product_id"])
    if row["lock_code"]:
        raise Refusal(row["lock_code"], "The product is locked by a promotion, an auction or an appeal.")
    if row["status"] != "ACTIVATE":
        raise Refusal(WRONG_STATUS, f"A product that is {row['status']} cannot be changed so.")
    return row


def _known_skus(state: ShopState, product_id: str, named: list[str]) -> dict[str, sqlite3.Row]:
    known = {row["id"]: row for row in products.skus(state, product_id)}
    if len(named) != len(set(named)):
        raise Refusal(SKU_TWICE, "A SKU is named twice.")
    if not set(named) <= set(known):
        raise Refusal(SKU_UNKNOWN, "A SKU does not belong to the product.")
    return known


def _touch(state: ShopState, product_id: str) -> None:
    now = int(state.clock.now())
    state.store.run("UPDATE shop_product SET update_time = ? WHERE id = ?", now, product_id)


def picture(product_id: str) -> str:
    """Address of a product's picture."""
    return f"https://media.example.com/emberfold/product/{product_id}.jpg"


def price(shop: Shop, amount: str) -> dict[str, str]:
    """Sellers abroad have the price with tax, local ones the price without."""
    form = "sale_price" if shop.seller_type == "CROSS_BORDER" else "tax_exclusive_price"
    return {"currency": shop.currency, form: amount}


def _summary(row: sqlite3.Row) -> dict[str, Any]:
    shown = {name: row[name] for name in ("id", "title", "status", "create_time", "update_time")}
    shown["sales_regions"] = []
    reasons = [{"listing_platform": "TIKTOK_SHOP", "reasons": [row["reason"]]}] if row["reason"] else []
    return {**shown, "audit_failed_reasons": reasons}


def _sku(state: ShopState, shop: Shop, row: sqlite3.Row, whole: bool = False) -> dict[str, Any]:
    stock = products.stock(state, row["id"])
    shown: dict[str, Any] = {
        "id": row["id"],
        "seller_sku": row["seller_sku"],
        "price": price(shop, row["price"]),
        "inventory": [{"warehouse_id": one["warehouse_id"], "quantity": one["available"]} for one in stock],
        "status_info": {"status": "NORMAL"},
    }
    parts = [{"product_id": products.sku(state, part)["product_id"], "sku_id": part, "sku_count": count}
             for part, count in json.loads(row["bundle"])]  # fmt: skip
    if parts:
        shown["combined_skus"] = parts
    if whole:
        shown["sales_attributes"] = [
            {"id": "100000", "name": "Color", "value_id": stable_id("1729", row["id"]), "value_name": row["variant"]}
        ]
        barcode = catalog.BARCODES.get(row["id"]) or stable_id("952", row["id"], 13)
        shown["identifier_code"] = {"code": barcode, "type": "EAN"}
    return shown


def _stock_of(state: ShopState, row: sqlite3.Row) -> dict[str, Any]:
    stock = products.stock(state, row["id"])
    return {
        "id": row["id"],
        "seller_sku": row["seller_sku"],
        "total_available_quantity": products.sellable(state, row),
        "total_committed_quantity": sum(one["committed"] for one in stock),
        "warehouse_inventory": [
            {
                "warehouse_id": one["warehouse_id"],
                "available_quantity": one["available"],
                "committed_quantity": one["committed"],
            }
            for one in stock
        ],
    }


_PATH = "/product/{version}/products"
OPERATIONS = [
    Operation("product_search", "POST", f"{_PATH}/search", ("202502",), _READ, _search, query=_Search, body=_Filter),
    Operation("product_get", "GET", f"{_PATH}/{{product_id}}", ("202309",), _READ, _get, query=_One),
    Operation(
        *("inventory_search", "POST", "/product/{version}/inventory/search", ("202309",), _READ, _inventory),
        body=_Inventory,
    ),
    Operation(
        *("inventory_update", "POST", f"{_PATH}/{{product_id}}/inventory/update", ("202309",), _WRITE, _update_stock),
        body=_StockUpdate,
    ),
    Operation(
        *("price_update", "POST", f"{_PATH}/{{product_id}}/prices/update", ("202309",), _WRITE, _update_prices),
        body=_PriceUpdate,
    ),
    Operation("product_activate", "POST", f"{_PATH}/activate", ("202309",), _WRITE, _activate, body=_Ids),
    Operation("product_deactivate", "POST", f"{_PATH}/deactivate", ("202309",), _WRITE, _deactivate, body=_Ids),
]
