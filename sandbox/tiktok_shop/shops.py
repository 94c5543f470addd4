"""Which shops a token covers ("Get Authorized Shops")."""

from typing import Any

from sandbox.tiktok_shop import people
from sandbox.tiktok_shop.gate import Call, Operation
from sandbox.tiktok_shop.state import ShopState

_SCOPE = ("seller.authorization.info",)


def _authorised(state: ShopState, call: Call) -> dict[str, Any]:
    return {
        "shops": [
            {
                "id": one.id,
                "name": one.name,
                "code": one.code,
                "region": one.region,
                "seller_type": one.seller_type,
                "cipher": one.cipher,
            }
            for one in people.shops(state, call.caller.subject)
        ]
    }


def _active(state: ShopState, call: Call) -> dict[str, Any]:
    shops = [one for one in people.shops(state, call.caller.subject) if one.active]
    return {"shops": [{"id": one.id, "region": one.region} for one in shops]}


def _permissions(state: ShopState, call: Call) -> dict[str, Any]:
    global_seller = len(people.shops(state, call.caller.subject)) > 1
    return {"permissions": ["MANAGE_GLOBAL_PRODUCT"] if global_seller else []}


OPERATIONS = [
    Operation("shops", "GET", "/authorization/{version}/shops", ("202309",), _SCOPE, _authorised, cipher=False),
    Operation("seller_shops", "GET", "/seller/{version}/shops", ("202309",), _SCOPE, _active, cipher=False),
    Operation("permissions", "GET", "/seller/{version}/permissions", ("202309",), _SCOPE, _permissions, cipher=False),
]
