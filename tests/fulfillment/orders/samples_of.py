"""The sample orders as the client reads them, and what should become of each."""

import csv
import json
import time
from functools import cache
from pathlib import Path
from typing import Any

from vendors.tiktok_shop.order_models import Order, order

SAMPLES = Path(__file__).parent / "samples"


@cache
def sample_orders() -> dict[str, Order]:
    """By id, the newest version of each."""
    told = json.loads((SAMPLES / "tiktok_orders.json").read_text())["data"]["orders"]
    return {each["id"]: order(each) for each in sorted(told, key=lambda each: each["update_time"])}


@cache
def expected_routing() -> dict[str, dict[str, str]]:
    with (SAMPLES / "expected_routing.csv").open(newline="") as file:
        return {row["order_id"]: row for row in csv.DictReader(file)}


def orders_of_now() -> tuple[list[dict[str, Any]], dict[str, int]]:
    """All that is told of the sample orders, each as if it were created and paid now; and by how many seconds the times
    of each were moved.
    """
    orders: list[dict[str, Any]] = json.loads((SAMPLES / "tiktok_orders.json").read_text())["data"]["orders"]
    now, moved = int(time.time()), {}
    for each in orders:
        moved[each["id"]] = by = now - (each["paid_time"] or each["create_time"])
        each |= {name: each[name] + by for name in each if name.endswith("_time") and each[name]}
        each["create_time"] = now
    return orders, moved
