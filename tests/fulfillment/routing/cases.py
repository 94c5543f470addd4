"""The sample orders as cases, with the samples' map and stock."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from services.fulfillment.marketplaces.tiktok_shop import recipient_of, shop_order_of
from services.fulfillment.orders.address import normalise
from services.fulfillment.routing.deciding import Case, KnownAddress
from services.fulfillment.routing.mapping import SkuMap, map_units
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.stock.domain import Available
from tests.fulfillment.orders.samples_of import SAMPLES, sample_orders

AS_OF = datetime(2026, 11, 20, 18, tzinfo=UTC)
SHOP, WORKSPACE, MERCHANT = UUID(int=11), UUID(int=1), UUID(int=12)


def can_be_sold(units: int, *, is_at_amazon: bool = True) -> Available:
    return Available(units, is_at_amazon, known=True)


def rows(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(newline="") as file:
        return list(csv.DictReader(file))


@cache
def sample_map() -> SkuMap:
    found: dict[str, dict[str, tuple[tuple[str, int], ...]]] = {"tiktok_sku_id": {}, "seller_sku": {}}
    for row in rows("sku_map.csv"):
        for key, table in found.items():
            table[row[key]] = (*table.get(row[key], ()), (row["amazon_seller_sku"], int(row["quantity_per_unit"])))
    return SkuMap(found["tiktok_sku_id"], found["seller_sku"])


@cache
def sample_stock() -> dict[str, Available]:
    safety = sample_context()["settings"]["safety_stock"]
    return {
        row["amazon_seller_sku"]: can_be_sold(
            max(0, int(row["fulfillable_quantity"]) - safety), is_at_amazon=row["fba"] == "true"
        )
        for row in rows("amazon_inventory.csv")
    }


@cache
def sample_context() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / "context.json").read_text())
    return found


@cache
def sample_routing() -> ShopRouting:
    context = sample_context()
    return ShopRouting(
        shop_id=SHOP,
        workspace_id=WORKSPACE,
        is_on=True,
        merchant_id=MERCHANT,
        platform_warehouse_ids=frozenset(each["id"] for each in context["warehouses"] if each["fulfils_by_mcf"]),
        speeds={name: speed.upper() for name, speed in context["delivery_options"].items()},
    )


def sample_case(order_id: str, **changes: Any) -> Case:
    order = sample_orders()[order_id]
    told = shop_order_of(order)
    case = Case(
        told=told,
        routing=sample_routing(),
        marketplace="US",
        address=KnownAddress.of(normalise(recipient_of(order))),
        mapped=map_units(sample_map(), told.open_units),
        stock=sample_stock(),
    )
    return replace(case, **changes)
