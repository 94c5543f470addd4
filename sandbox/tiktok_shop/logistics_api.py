"""Warehouses, delivery options, carriers and tracking (scope `seller.logistics`)."""

from typing import Any, Literal

from sandbox.tiktok_shop import catalog, orders, packages
from sandbox.tiktok_shop.answers import BAD_REQUEST, Refusal
from sandbox.tiktok_shop.gate import Call, Operation, Query
from sandbox.tiktok_shop.state import ShopState, stable_id

_SCOPE = ("seller.logistics",)
_EITHER = ("seller.logistics", "seller.fulfillment.basic")


class _Options(Query):
    scope: Literal["WAREHOUSE", "PRODUCT"] = "WAREHOUSE"


class _Regions(Query):
    warehouse_region: str = ""
    buyer_region: str = ""


def _warehouses(state: ShopState, call: Call) -> dict[str, Any]:
    return {
        "warehouses": [
            {
                "id": one.id,
                # Warehouses of one address share the entity.
                "entity_id": stable_id("7302", one.line),
                "name": one.name,
                "effect_status": "ENABLED",
                "type": one.kind,
                "sub_type": one.sub_type,
                "is_default": one.is_default,
                "address": {
                    "address_line1": one.line,
                    "address_line2": "",
                    "city": one.city,
                    "state": one.state,
                    "distict": "",  # misspelt by the API
                    "town": "",
                    "postal_code": one.postal_code,
                    "region": one.region,
                    "region_code": one.region,
                    "contact_person": "Emberfold",
                    "phone_number": "(+1)8025550100",
                    "full_address": f"{one.line}, {one.city}, {one.state} {one.postal_code}, {one.region}",
                },
            }
            for one in catalog.warehouses(call.shop)
        ]
    }


def _options(state: ShopState, call: Call) -> dict[str, Any]:
    if call.path["warehouse_id"] not in catalog.sales_warehouses(call.shop):
        raise Refusal(BAD_REQUEST, "warehouse_id is not a sales warehouse of the shop.")
    found = []
    for option_id, (name, kind) in catalog.DELIVERY_OPTIONS.items():
        option: dict[str, Any] = {"id": option_id, "name": name}
        if call.query.scope == "WAREHOUSE":
            option |= {
                "type": kind,
                "description": f"{name} from this warehouse",
                "platform": ["TIKTOK_SHOP"],
                "dimension_limit": {"max_length": 120, "max_width": 80, "max_height": 80, "unit": "CM"},
                "weight_limit": {"min_weight": 1, "max_weight": MOST_GRAMS, "unit": "GRAM"},
            }
        found.append(option)
    return {"delivery_options": found}


MOST_GRAMS, MOST_CENTIMETRES = 30_000, 120


def _carriers(state: ShopState, call: Call) -> dict[str, Any]:
    if call.path["delivery_option_id"] not in catalog.DELIVERY_OPTIONS:
        raise Refusal(BAD_REQUEST, "delivery_option_id does not exist.")
    names = catalog.carriers(call.shop.region)
    return {"shipping_providers": [{"id": carrier_id, "name": name} for carrier_id, name in names.items()]}


def _tracking(state: ShopState, call: Call) -> dict[str, Any]:
    order = orders.own(state, call.shop, call.path["order_id"])
    ids = dict.fromkeys(line["package_id"] for line in order["lines"] if line["package_id"])
    told = []
    for package_id in ids:
        package = packages.find(state, package_id)
        for name, text in (
            ("ship_time", "Shipping information was received."),
            ("collect_time", "The carrier has picked up the package."),
            ("deliver_time", "The package was delivered."),
        ):
            if package[name] is not None:
                told.append({"description": text, "update_time_millis": package[name] * 1000})
    return {"tracking": sorted(told, key=lambda one: -one["update_time_millis"])}


OPERATIONS = [
    Operation("warehouses", "GET", "/logistics/{version}/warehouses", ("202309",), _SCOPE, _warehouses),
    Operation(
        "delivery_options", "GET", "/logistics/{version}/warehouses/{warehouse_id}/delivery_options", ("202309",),
        _SCOPE, _options, query=_Options,
    ),
    Operation(
        "shipping_providers", "GET", "/logistics/{version}/delivery_options/{delivery_option_id}/shipping_providers",
        ("202309",), _EITHER, _carriers, query=_Regions,
    ),
    Operation("tracking", "GET", "/fulfillment/{version}/orders/{order_id}/tracking", ("202309",), _SCOPE, _tracking),
]  # fmt: skip
