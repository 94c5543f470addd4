"""The sample orders as the client reads them, and what should become of each."""

import csv
import json
from functools import cache
from pathlib import Path

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
