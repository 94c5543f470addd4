"""What a seed does to a day of orders: who buys what and when, who changes their mind, what breaks meanwhile."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.orders.shops import AMPLE, CONTESTED, SCARCE

# Seeds that once found a fault; every run begins with them.
KEPT = Path(__file__).with_name("seeds.txt")
# Orders of a whole campaign, and of the one that is part of every test run; with the seconds in which they are placed.
WHOLE, SHORT = (1000, 60.0), (60, 8.0)

_PLACES = (
    ("Knoxville", "Knox", "Tennessee", "37938", "865"),
    ("Mound", "Hennepin", "Minnesota", "55364", "612"),
    ("Bridgeport", "Mono", "California", "93517", "760"),
    ("Hunter", "Greene", "NY", "12442", "518"),
    ("Bend", "Deschutes", "Oregon", "97701", "541"),
)
_SYLLABLES = ("quor", "zyth", "vael", "brix", "murn", "oaff", "thule", "wexa", "jorr", "pliv", "krae", "gund")
_VICTIMS = ("fulfillment-1", "fulfillment-2", "fulfillment-1", "fulfillment-2", "gateway", "postgresql")
_FAULTS: tuple[dict[str, Any], ...] = (
    {"endpoint": "amazon_sp.createFulfillmentOrder", "mode": "lost_reply"},
    {"endpoint": "amazon_sp.createFulfillmentOrder", "mode": "reset"},
    {"endpoint": "amazon_sp.createFulfillmentOrder", "mode": "late_error", "status": 503},
    {"endpoint": "amazon_sp.createFulfillmentOrder", "mode": "error", "status": 500},
    {"endpoint": "amazon_sp.createFulfillmentOrder", "mode": "rate_limit"},
    {"endpoint": "amazon_sp.getFulfillmentOrder", "mode": "error", "status": 503},
    {"endpoint": "amazon_sp.getFulfillmentOrder", "mode": "reset"},
    {"endpoint": "amazon_sp.listAllFulfillmentOrders", "mode": "error", "status": 500},
    {"endpoint": "amazon_sp.listAllFulfillmentOrders", "mode": "rate_limit"},
    {"endpoint": "amazon_sp.cancelFulfillmentOrder", "mode": "lost_reply"},
    {"endpoint": "amazon_sp.cancelFulfillmentOrder", "mode": "error", "status": 500},
    {"endpoint": "amazon_sp.getInventorySummaries", "mode": "error", "status": 503},
    {"endpoint": "amazon_sp.getPackageTrackingDetails", "mode": "error", "status": 500},
    {"endpoint": "tiktok_shop.order_search", "mode": "rate_limit"},
    {"endpoint": "tiktok_shop.order_search", "mode": "error", "status": 502},
    {"endpoint": "tiktok_shop.order_detail", "mode": "error", "status": 503},
    {"endpoint": "tiktok_shop.order_detail", "mode": "reset"},
    {"endpoint": "tiktok_shop.mark_shipped", "mode": "lost_reply"},
    {"endpoint": "tiktok_shop.mark_shipped", "mode": "late_error", "status": 502},
    {"endpoint": "tiktok_shop.mark_shipped", "mode": "error", "status": 500},
    {"endpoint": "tiktok_shop.mark_shipped", "mode": "rate_limit"},
)


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order that somebody places `at` seconds after the beginning. `then`: what its buyer does `then_at`, "cancel"
    or "address". Every word of `recipient` but the place is nobody else's.
    """

    number: int
    shop: int
    lines: tuple[tuple[str, int], ...]
    at: float
    is_held: bool
    recipient: dict[str, str]
    moved_to: str
    then: str
    then_at: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed does. `kills` and `sales` (of Amazon's own shop) are at seconds after the beginning; shares are those
    of messages.
    """

    seed: int
    purchases: tuple[Purchase, ...]
    scarce: int
    kills: tuple[tuple[float, str], ...]
    sales: tuple[tuple[float, int], ...]
    faults: tuple[dict[str, Any], ...]
    lost_webhooks: float
    lost_commits: float
    lost_calls: float

    def __str__(self) -> str:
        kills = ", ".join(f"{victim} at {at:.1f} s" for at, victim in self.kills)
        faults = ", ".join(f"{each['endpoint']} {each['mode']}" for each in self.faults)
        return (
            f"seed {self.seed}: {len(self.purchases)} orders; kill -9 {kills}; {self.lost_webhooks:.0%} of webhooks,"
            f" {self.lost_calls:.0%} of calls and {self.lost_commits:.1%} of commits lost; faults: {faults}"
        )


def plan(seed: int, size: tuple[int, float]) -> Plan:
    """What the seed does; always the same."""
    chance = random.Random(f"orders {seed}")
    orders, seconds = size
    purchases = tuple(_purchase(chance, seed, number, seconds) for number in range(orders))
    kills = [(chance.uniform(0.1, 1.0) * seconds, chance.choice(_VICTIMS)) for _ in range(max(2, orders // 40))]
    faults = [
        {**fault, "probability": chance.choice((0.05, 0.15, 0.3)), "seed": seed * 100 + number, "count": orders // 8}
        for number, fault in enumerate(chance.sample(_FAULTS, chance.randint(6, 12)))
    ]
    return Plan(
        seed,
        purchases,
        scarce=max(8, orders // 15),
        kills=tuple(sorted(kills)),
        sales=tuple(sorted((chance.uniform(0, seconds), chance.randint(1, 3)) for _ in range(orders // 60 + 1))),
        faults=tuple(faults),
        lost_webhooks=chance.choice((0.1, 0.3, 0.6)),
        lost_commits=chance.choice((0.0, 0.005, 0.02)),
        lost_calls=chance.choice((0.0, 0.01, 0.03)),
    )


def _purchase(chance: random.Random, seed: int, number: int, seconds: float) -> Purchase:
    lines = {chance.choice(AMPLE): chance.randint(1, 3)}
    if chance.random() < 0.4:
        lines[chance.choice(SCARCE)] = chance.randint(1, 2)
    if chance.random() < 0.15:
        lines[CONTESTED] = 1
    at = chance.uniform(0, seconds)
    then = chance.choices(("", "cancel", "address"), (0.8, 0.12, 0.08))[0]
    city, county, state, code, area = chance.choice(_PLACES)
    words = [_word(seed, number, part) for part in range(4)]
    return Purchase(
        number,
        shop=chance.randrange(3),
        lines=tuple(lines.items()),
        at=at,
        is_held=chance.random() < 0.3,
        recipient={
            "first_name": words[0],
            "last_name": words[1],
            "phone_number": f"(+1){area}5550{100 + number % 100}",
            "line1": f"{100 + number} {words[2]} Road",
            "city": city,
            "county": county,
            "state": state,
            "postal_code": code,
        },
        moved_to=f"{5000 + number} {words[3]} Lane",
        then=then,
        then_at=at + chance.uniform(0.0, 10.0),
    )


def _word(seed: int, number: int, part: int) -> str:
    """A word that is met nowhere else."""
    rest, found = (seed * 100_000 + number) * 4 + part, ""
    while rest or len(found) < 8:
        rest, one = divmod(rest, len(_SYLLABLES))
        found += _SYLLABLES[one]
    return found.title()


def canaries(purchases: Sequence[Purchase]) -> list[str]:
    """What nothing but the vendors and what is sealed may know."""
    found = []
    for each in purchases:
        of = each.recipient
        found += [of["first_name"], of["last_name"], of["line1"].split()[1], each.moved_to.split()[1]]
    return found


def kept() -> list[int]:
    """The seeds of seeds.txt."""
    lines = [line.partition("#")[0].strip() for line in KEPT.read_text().splitlines()]
    return [int(line) for line in lines if line]
