"""Order search, detail and price detail (scope `seller.order.info`)."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.tiktok_shop import order_view, orders, paging
from sandbox.tiktok_shop.answers import Refusal
from sandbox.tiktok_shop.gate import Body, Call, Operation, Query
from sandbox.tiktok_shop.state import ShopState

_SCOPE = ("seller.order.info",)
INVALID, NO_PERMISSION = 10002014, 10006402
Time = Annotated[int, Field(ge=0, le=10**11)]
Direction = Literal["ASC", "DESC"]


class Page(Query):
    """A page of 1 to 100; the token is that of the page before."""

    page_size: Annotated[int, Field(ge=1, le=100)] = 20
    page_token: str = ""


class _Search(Page):
    sort_field: Literal["create_time", "update_time"] = "create_time"
    sort_order: Direction = "DESC"


class _Filter(Body):
    order_status: (
        Literal[
            "UNPAID", "ON_HOLD", "AWAITING_SHIPMENT", "PARTIALLY_SHIPPING", "AWAITING_COLLECTION", "IN_TRANSIT",
            "DELIVERED", "COMPLETED", "CANCELLED",
        ]
        | None
    ) = None  # fmt: skip
    create_time_ge: Time | None = None
    create_time_lt: Time | None = None
    update_time_ge: Time | None = None
    update_time_lt: Time | None = None
    shipping_type: Literal["TIKTOK", "SELLER"] | None = None
    buyer_user_id: str | None = None
    is_buyer_request_cancel: bool | None = None
    warehouse_ids: Annotated[list[str], Field(max_length=100)] | None = None


class _Ids(Query):
    ids: str


# Field → condition on a row of shop_order.
_CONDITIONS = {
    "order_status": "status = ?",
    "create_time_ge": "create_time >= ?",
    "create_time_lt": "create_time < ?",
    "update_time_ge": "update_time >= ?",
    "update_time_lt": "update_time < ?",
    "shipping_type": "shipping_type = ?",
    "buyer_user_id": "user_id = ?",
    "is_buyer_request_cancel": "cancel_requested = ?",
    "warehouse_ids": "warehouse_id IN (SELECT value FROM json_each(?))",
}


def _search(state: ShopState, call: Call) -> dict[str, Any]:
    query: _Search = call.query
    wanted = call.body.model_dump(exclude_none=True)
    where, values = ["shop_id = ?"], [call.shop.id]
    for name, value in wanted.items():
        where.append(_CONDITIONS[name])
        values.append(json.dumps(value) if isinstance(value, list) else value)
    sort = (query.sort_field, query.sort_order)
    rows, following, total = paging.rows(
        state, "shop_order", where, values, sort, query.page_size, query.page_token, INVALID
    )
    return {
        "orders": [order_view.show(state, json.loads(row["doc"])) for row in rows],
        "next_page_token": following,
        "total_count": total,
    }


def _detail(state: ShopState, call: Call) -> dict[str, Any]:
    ids = [one for one in call.query.ids.split(",") if one]
    if not 1 <= len(ids) <= 50:
        raise Refusal(INVALID, "query.ids must name 1 to 50 orders.")
    known = state.store.all("SELECT id FROM shop_order WHERE id IN (SELECT value FROM json_each(?))", json.dumps(ids))
    there = {row["id"] for row in known}
    # Orders of another shop are refused; those that exist nowhere are just not in the answer.
    found = [orders.own(state, call.shop, one, NO_PERMISSION) for one in dict.fromkeys(ids) if one in there]
    return {"orders": [order_view.show(state, order) for order in found]}


def _price(state: ShopState, call: Call) -> dict[str, Any]:
    return order_view.price_detail(orders.own(state, call.shop, call.path["order_id"], NO_PERMISSION))


OPERATIONS = [
    Operation(
        *("order_search", "POST", "/order/{version}/orders/search", ("202309",), _SCOPE, _search),
        query=_Search, body=_Filter, invalid=INVALID,
    ),
    Operation(
        *("order_detail", "GET", "/order/{version}/orders", ("202309", "202507"), _SCOPE, _detail),
        query=_Ids, invalid=INVALID,
    ),
    Operation("price_detail", "GET", "/order/{version}/orders/{order_id}/price_detail", ("202407",), _SCOPE, _price),
]  # fmt: skip
