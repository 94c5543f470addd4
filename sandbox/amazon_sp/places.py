"""Where Amazon delivers, how fast, and what it would cost. Fees are of our own making; their parts are not."""

import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from sandbox.amazon_sp.bodies import Address

Distance = Literal["near", "far"]

_PACIFIC = ZoneInfo("America/Los_Angeles")
_CUT_OFF = time(14)
# Outside of the 48 states and DC.
_FAR_STATES = frozenset({"AK", "HI", "PR", "GU", "VI", "AS", "MP", "AA", "AE", "AP", "ALASKA", "HAWAII", "PUERTO RICO"})
_POST_BOX = re.compile(r"\b(p\.?\s*o\.?\s*box|post\s+office\s+box)\b", re.IGNORECASE)
# Business days until delivery at the earliest and the latest, by speed: near, near without Amazon Logistics, far.
_DAYS: dict[str, dict[str, tuple[int, int]]] = {
    "Standard": {"near": (2, 3), "blocked": (3, 5), "far": (5, 10)},
    "Expedited": {"near": (1, 2), "blocked": (2, 3), "far": (3, 6)},
    "Priority": {"near": (1, 1), "blocked": (1, 2), "far": (2, 4)},
    "ScheduledDelivery": {"near": (1, 3), "blocked": (1, 3), "far": (3, 6)},
}
_SHIP_DAYS = {"Standard": 2, "Expedited": 1, "Priority": 1, "ScheduledDelivery": 1}
_FACTORS = {"Standard": Decimal(1), "Expedited": Decimal("1.6"), "Priority": Decimal("2.2")}


def speeds(country: str) -> tuple[str, ...]:
    """The speeds of a marketplace's country."""
    if country == "JP":
        return "Standard", "Expedited", "ScheduledDelivery"
    return ("Standard", "Expedited", "Priority") if country in ("CA", "IN", "MX") else ("Standard", "Expedited")


def deliverable(address: Address, country: str, dangerous: bool) -> bool:
    """Whether a marketplace sends goods there: inside of its country, and dangerous ones to no post box."""
    lines = (address.address_line1, address.address_line2, address.address_line3)
    post_box = any(line and _POST_BOX.search(line) for line in lines)
    return address.country_code == country and not (dangerous and post_box)


def distance(address: Address) -> Distance:
    """How far it is: `far` are Alaska, Hawaii, territories and military addresses of the US."""
    return "far" if (address.state_or_region or "").strip().upper() in _FAR_STATES else "near"


def promise(now: float, speed: str, far: Distance, blocked: bool) -> tuple[datetime, datetime, datetime, datetime]:
    """Earliest and latest shipping, earliest and latest arrival. In days of business: one begins at 2 p.m. Pacific."""
    start = datetime.fromtimestamp(now, UTC).astimezone(_PACIFIC)
    if start.time() >= _CUT_OFF or start.weekday() > 4:
        start = _business_days(start, 1)
    kind = "far" if far == "far" else "blocked" if blocked else "near"
    first, last = _DAYS[speed][kind]
    return (
        (start + timedelta(hours=1)).astimezone(UTC),
        _business_days(start, _SHIP_DAYS[speed]).astimezone(UTC),
        _business_days(start, first).astimezone(UTC),
        _business_days(start, last).astimezone(UTC),
    )


def _business_days(start: datetime, count: int) -> datetime:
    day = start
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day


def fees(speed: str, units: int, weight_g: int, far: Distance, blocked: bool) -> list[tuple[str, Decimal]]:
    """The parts of what Amazon would charge. Far places cost double, and 5 % more without Amazon Logistics."""
    per_unit = Decimal("3.90") * units * _FACTORS.get(speed, Decimal(1))
    transport = Decimal("0.002") * weight_g
    if far == "far":
        per_unit, transport = per_unit * 2, transport * 2
    if blocked:
        per_unit *= Decimal("1.05")
    cent = Decimal("0.01")
    return [
        ("FBAPerUnitFulfillmentFee", per_unit.quantize(cent)),
        ("FBAPerOrderFulfillmentFee", Decimal("0.00")),
        ("FBATransportationFee", transport.quantize(cent)),
    ]
