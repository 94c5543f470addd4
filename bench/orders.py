"""Orders on their way from the shop to Amazon: how fast they are worked off, and what that costs us.

Amazon takes two orders a second of a seller (30 at once). So there are two rows: a few minutes at that rate, and many
orders at a multiple of it, on both sides, to see what is ours. The whole product runs, with the sandbox as both
vendors; orders come by webhook and poll, and count as worked off when Amazon's answer was read back. The share is of
what the rate allows from the first order on.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg2
import psycopg2.extensions

from bench import harness
from bench.harness import BenchmarkFailed, Cost
from deploy.local import stack
from deploy.local.supervisor import Supervisor

_PROCESSES = ("fulfillment", "gateway", "notification", "sandbox")
_SELLER = "emberfold"
_SHOP, _WAREHOUSE = "Emberfold US", "7301234567890123456"
# The shop's id of a SKU, the seller's, and Amazon's.
_SKUS = (
    ("1729694201472179890", "EF-SLV-STD-CLR", "EF-SLV-STD-CLR-FBA"),
    ("1729644279939735481", "EF-SLV-STD-BLK", "EF-SLV-STD-BLK-FBA"),
    ("1729663339165082032", "EF-SLV-STD-EMB", "EF-SLV-STD-EMB-FBA"),
)
_RATE, _BURST = 2.0, 30
_CALLS = ("createFulfillmentOrder", "getFulfillmentOrder", "listAllFulfillmentOrders", "getPackageTrackingDetails")
_POLL_SECONDS = 0.2
_LONGEST_SECONDS = 3600.0
_AT_AMAZON = "SELECT count(*) FROM fulfillment.shipments WHERE state IN ('SUBMITTED', 'SHIPPED')"
_PLENTY = "SELECT count(*) FROM fulfillment.stock WHERE fulfillable >= 900000"
_WHERE = "SELECT state || ' ' || reason, count(*) FROM fulfillment.orders GROUP BY 1 ORDER BY 2 DESC"


@dataclass(frozen=True)
class _Running:
    supervisor: Supervisor
    api: httpx.Client
    sandbox: httpx.Client
    cursor: psycopg2.extensions.cursor


def run(orders: int, times: float, documented: int) -> list[dict[str, Any]]:
    """Prints the table and writes orders.json."""
    rows = [_row(count, factor) for count, factor in ((documented, 1.0), (orders, times)) if count]
    spent = [f"ms_{name}" for name in (*_PROCESSES, "postgresql")]
    harness.table(
        "orders worked off; milliseconds of CPU for each, memory in MB",
        rows,
        ["allowed", "orders", "seconds", "per_second", "share", *spent, "mb_fulfillment"],
    )
    harness.write("orders", rows)
    return rows


def _row(orders: int, times: float) -> dict[str, Any]:
    with _installation(times) as running:
        _set_up(running, times)
        pids = {name: running.supervisor.pid(name) or 0 for name in _PROCESSES}
        cost, begun = Cost(pids, running.supervisor.pid("postgresql")), time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            made = pool.map(lambda number: _order(running, number), range(orders))
            _until_at_amazon(running, orders)
            list(made)
        seconds = time.monotonic() - begun
        figures = cost.figures(orders)
        _check(running, orders)
    allowed = _RATE * times * seconds + _BURST * times
    return {
        "allowed": f"{_RATE * times:g}/s",
        "orders": orders,
        "seconds": round(seconds, 1),
        "per_second": round(orders / seconds, 2),
        "share": round(orders / allowed, 3),
        **{f"ms_{name}": spent for name, spent in figures["cpu_ms_per_job"].items()},
        **{f"mb_{name}": used for name, used in figures["peak_rss_mb"].items()},
    }


@contextmanager
def _installation(times: float) -> Iterator[_Running]:
    said: list[str] = []
    rates = {call: [_RATE * times, round(_BURST * times)] for call in _CALLS}
    environment = {**os.environ, "REELROUTE_AMAZON_SP_RATES": json.dumps(rates)}
    with harness.folder() as data, Supervisor(announce=said.append) as supervisor:
        started = stack.start(supervisor, data, said.append, environment)
        headers = {"Authorization": f"Bearer {started.api_key_file.read_text().strip()}"}
        with (
            httpx.Client(base_url=started.gateway_url, headers=headers, timeout=60) as api,
            httpx.Client(base_url=started.sandbox_url, timeout=60) as sandbox,
            closing(psycopg2.connect(started.admin_url)) as connection,
        ):
            connection.autocommit = True
            yield _Running(supervisor, api, sandbox, connection.cursor())


def _set_up(running: _Running, times: float) -> None:
    """A shop and a merchant with plenty of a few SKUs, and the routing from one to the other."""
    api, sandbox = running.api, running.sandbox
    _answer(sandbox.patch("/control/amazon_sp/settings", json={"rate_multiplier": times, "stock_seconds": 0}))
    for sku_id, _, amazon_sku in _SKUS:
        _answer(sandbox.put(f"/control/amazon_sp/stock/{_SELLER}/{amazon_sku}", json={"fulfillable": 1_000_000}))
        change = {"warehouse_id": _WAREHOUSE, "available": 1_000_000}
        _answer(sandbox.put(f"/control/tiktok_shop/skus/{sku_id}/stock", json=change))
    begun = _answer(api.post("/v1/shop-connections", json={"seller_region": "US"}))
    agreed = {"authorize_url": begun["consent_url"], "subject": _SELLER}
    back = httpx.URL(_answer(sandbox.post("/control/tiktok_shop/consents", json=agreed))["redirect_url"]).params
    finish = {"state": back["state"], "code": back["code"]}
    shops = _answer(api.post("/v1/shop-connections:finish", json=finish))["shops"]
    shop_id = next(shop["shop_id"] for shop in shops if shop["name"] == _SHOP)
    merchant = _answer(
        api.post(
            "/v1/merchants",
            json={
                "name": "Emberfold",
                "seller_id": "A2EMBERFOLD",
                "marketplace": "US",
                "refresh_token": f"Atzr|sandbox-{_SELLER}",
            },
        )
    )
    mappings = [
        {
            "marketplace": "US",
            "seller_sku": seller_sku,
            "platform_sku_id": sku_id,
            "parts": [{"amazon_sku": amazon_sku, "quantity": 1}],
        }
        for sku_id, seller_sku, amazon_sku in _SKUS
    ]
    _answer(api.post("/v1/sku-mappings:batchSet", json={"mappings": mappings}))
    _until_stock(running)
    settings = {"is_on": True, "merchant_id": merchant["merchant_id"], "platform_warehouse_ids": [_WAREHOUSE]}
    _answer(api.put(f"/v1/shops/{shop_id}/routing", json=settings))


def _until_stock(running: _Running) -> None:
    """The first reading of a merchant's stock comes by itself."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        running.cursor.execute(_PLENTY)
        (known,) = running.cursor.fetchone() or (0,)
        if known >= len(_SKUS):
            return
        time.sleep(_POLL_SECONDS)
    raise BenchmarkFailed("The merchant's stock was not read within a minute.")


def _order(running: _Running, number: int) -> None:
    lines = [{"sku_id": _SKUS[number % len(_SKUS)][0], "quantity": 1 + number % 2}]
    _answer(running.sandbox.post("/control/tiktok_shop/orders", json={"lines": lines, "warehouse_id": _WAREHOUSE}))


def _until_at_amazon(running: _Running, orders: int) -> None:
    end = time.monotonic() + _LONGEST_SECONDS
    while True:
        running.cursor.execute(_AT_AMAZON)
        (there,) = running.cursor.fetchone() or (0,)
        if there >= orders:
            return
        if time.monotonic() > end:
            running.cursor.execute(_WHERE)
            raise BenchmarkFailed(f"{there:,} of {orders:,} orders are at Amazon; ours are {running.cursor.fetchall()}")
        time.sleep(_POLL_SECONDS)


def _check(running: _Running, orders: int) -> None:
    """Each once: what Amazon's stand-in has is what counts."""
    created = _answer(running.sandbox.get("/control/amazon_sp/created"))
    twice = [each for each in created if each["orders"] > 1]
    if twice or len(created) < orders:
        raise BenchmarkFailed(f"Amazon has {len(created):,} of {orders:,} orders, {len(twice):,} of them twice or more")


def _answer(response: httpx.Response) -> Any:
    if not response.is_success:
        raise BenchmarkFailed(f"{response.request.method} {response.request.url.path}: {response.text[:500]}")
    return response.json() if response.content else None
