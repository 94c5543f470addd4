"""A shop's order as JSON, as the column `facts` keeps it, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from services.fulfillment.money import Money
from services.fulfillment.orders.domain import ShopOrder, Unit, UnitState

_TIMES = frozenset(each.name for each in fields(ShopOrder) if each.name.endswith("_time"))


def told_to_json(told: ShopOrder) -> dict[str, Any]:
    """An order for the column `facts`."""
    found: dict[str, Any] = {}
    for each in fields(ShopOrder):
        value = getattr(told, each.name)
        if each.name == "units":
            value = [_unit_to_json(unit) for unit in value]
        elif each.name == "total":
            value = _money_to_json(value)
        elif isinstance(value, datetime):
            value = value.isoformat()
        elif isinstance(value, tuple):
            value = list(value)
        found[each.name] = value
    return found


def told_from_json(found: Mapping[str, Any]) -> ShopOrder:
    """The order again. What an older version did not keep has its default."""
    values = {name: value for name, value in found.items() if name in ShopOrder.__dataclass_fields__}
    for name in _TIMES & values.keys():
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    values["units"] = tuple(_unit_from_json(each) for each in found["units"])
    values["total"] = _money_from_json(found["total"])
    values["platform_package_ids"] = tuple(found.get("platform_package_ids", ()))
    return ShopOrder(**values)


def _unit_to_json(unit: Unit) -> dict[str, Any]:
    return {
        "line": unit.platform_line_id,
        "product": unit.platform_product_id,
        "sku_id": unit.platform_sku_id,
        "seller_sku": unit.seller_sku,
        "title": unit.title,
        "price": _money_to_json(unit.price),
        "list_price": _money_to_json(unit.list_price),
        "state": unit.state.value,
        "gift": unit.is_gift,
        "dangerous": unit.is_dangerous_good,
        "parts": [list(part) for part in unit.parts],
    }


def _unit_from_json(found: Mapping[str, Any]) -> Unit:
    return Unit(
        platform_line_id=found["line"],
        platform_product_id=found["product"],
        platform_sku_id=found["sku_id"],
        seller_sku=found["seller_sku"],
        title=found["title"],
        price=_money_from_json(found["price"]),
        list_price=_money_from_json(found["list_price"]),
        state=UnitState(found["state"]),
        is_gift=found["gift"],
        is_dangerous_good=found["dangerous"],
        parts=tuple((part[0], part[1], part[2]) for part in found["parts"]),
    )


def _money_to_json(money: Money | None) -> list[Any] | None:
    return [money.currency, money.minor_units] if money else None


def _money_from_json(found: list[Any] | None) -> Money | None:
    return Money(found[0], found[1]) if found else None
