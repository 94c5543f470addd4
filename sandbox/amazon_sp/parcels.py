"""Shipments and their packages: who carries them, under which numbers, and what their carrier tells of the way."""

from typing import Any

from sandbox.amazon_sp.fates import Delivery, Fate
from sandbox.amazon_sp.state import AmazonState, dice, digits

# The model has package numbers in 32 bits.
_FIRST_PACKAGE = 100_000_000
_CENTERS = ("LEX1", "PHX3", "DFW7", "ABE8", "SDF4", "ONT9")
_HOUR, _DAY = 3600.0, 86_400.0

# Of the time from collection to delivery: when, event, status, where.
_Way = tuple[tuple[float, str, str, str], ...]
_USUAL: _Way = (
    (0.4, "EVENT_201", "IN_TRANSIT", "Arrived at a facility"), (0.6, "EVENT_202", "IN_TRANSIT", "Left a facility"),
    (0.9, "EVENT_302", "OUT_FOR_DELIVERY", "Out for delivery"),
)  # fmt: skip
_DELIVERED = ("EVENT_301", "DELIVERED", "Delivered")
_ENDS: dict[str, _Way] = {
    "delivered": ((1.0, *_DELIVERED),),
    "delayed": ((0.95, "EVENT_418", "DELAYED", "Delayed"), (2.0, *_DELIVERED)),
    "attempted": ((1.0, "EVENT_304", "DELIVERY_ATTEMPTED", "Delivery attempted"), (1.5, *_DELIVERED)),
    "pickup": ((1.0, "EVENT_308", "AVAILABLE_FOR_PICKUP", "Ready for pickup"), (2.0, *_DELIVERED)),
    "returned": (
        (1.0, "EVENT_407", "RETURNING", "Refused"), (1.2, "EVENT_408", "RETURNING", "Returning"),
        (2.0, "EVENT_309", "RETURNED", "Returned"),
    ),
    "undeliverable": ((1.0, "EVENT_409", "UNDELIVERABLE", "Lost"),),
    "stuck": (),
}  # fmt: skip


def make_shipments(state: AmazonState, seller: str, order_id: str, doc: dict[str, Any]) -> list[dict[str, Any]]:
    """Plan what is reserved and in no shipment yet. The caller adds them to the order."""
    planned = [0] * len(doc["lines"])
    for shipment in doc["shipments"]:
        if shipment["status"] == "PENDING":
            for index, quantity, place in shipment["items"]:
                planned[index] += quantity if shipment["packages"][place]["left"] is None else 0
    units = [
        index for index, line in enumerate(doc["lines"]) for _ in range(line["reserved"] - planned[index])
    ]  # fmt: skip
    fate = Fate.model_validate(doc["fate"])
    first = not doc["shipments"]
    found: list[dict[str, Any]] = []
    for group in _groups(units, fate.shipments if first else 1):
        parts = _groups(group, fate.packages)
        number = len(doc["shipments"]) + len(found)
        items = [[index, part.count(index), place] for place, part in enumerate(parts) for index in dict.fromkeys(part)]
        found.append(
            {
                "id": f"D{digits(12, seller, order_id, number)}",
                "center": _CENTERS[int(dice("center", order_id, number) * len(_CENTERS))],
                "status": "PENDING",
                "at": None,
                "replans": fate.replans if first and not found else 0,
                "items": items,
                "packages": [_package(state, seller, order_id, number, place) for place in range(len(parts))],
            }
        )
    return found


def _package(state: AmazonState, seller: str, order_id: str, shipment: int, place: int) -> dict[str, Any]:
    number = state.store.insert("INSERT INTO amazon_package (seller, order_id) VALUES (?, ?)", seller, order_id)
    return {
        "number": _FIRST_PACKAGE + number, "carrier": "", "tracking": "", "aftn": "", "shown": False, "left": None,
        "events": [], "seed": digits(20, seller, order_id, shipment, place),
    }  # fmt: skip


def owner(state: AmazonState, number: int) -> tuple[str, str] | None:
    """Seller and order of a package."""
    row = state.store.one("SELECT seller, order_id FROM amazon_package WHERE number = ?", number - _FIRST_PACKAGE)
    return None if row is None else (row["seller"], row["order_id"])


def _groups(units: list[int], count: int) -> list[list[int]]:
    """So many groups of like size, in order; fewer where there are not units enough."""
    count = min(count, len(units))
    return [units[place * len(units) // count : (place + 1) * len(units) // count] for place in range(count)]


def gets_aftn(state: AmazonState, doc: dict[str, Any]) -> bool:
    """Whether an order gets an Amazon tracking number."""
    fate = Fate.model_validate(doc["fate"])
    if fate.aftn is not None:
        return fate.aftn
    rule = state.settings.aftn
    units = sum(line["quantity"] for line in doc["lines"])
    return doc["country"] == "US" and (rule == "all" or (rule == "single_unit" and units == 1))


def give_aftn(state: AmazonState, package: dict[str, Any]) -> None:
    """The package gets its Amazon tracking number, and is seen from now on."""
    if not package["aftn"] and package["left"] is None:
        package.update(
            aftn=f"AFTN{digits(12, 'aftn', package['seed'])}", carrier=state.settings.aftn_carrier_code, shown=True
        )


def leave(state: AmazonState, doc: dict[str, Any], package: dict[str, Any], at: float) -> float | None:
    """The package leaves. Returns the seconds until its carrier's number comes, 0 when it is there, None for never."""
    fate = Fate.model_validate(doc["fate"])
    package.update(left=at, shown=True, carrier=fate.carrier_code or _carrier(state, doc, package))
    if fate.lose_aftn:
        package["aftn"] = ""
    transit = state.settings.transit_seconds / (2 if doc["speed"] != "Standard" else 1)
    package["events"] = _way(at, state.settings.collect_seconds, transit, fate.delivery)
    if fate.tracking_number == "":
        return None
    wait = fate.tracking_number_seconds
    wait = state.settings.tracking_number_seconds if wait is None else wait
    if not wait:
        give_number(doc, package)
    return wait


def give_number(doc: dict[str, Any], package: dict[str, Any]) -> None:
    """The carrier's number comes."""
    given = Fate.model_validate(doc["fate"]).tracking_number
    package["tracking"] = _number(package) if given is None else given


def _carrier(state: AmazonState, doc: dict[str, Any], package: dict[str, Any]) -> str:
    choices = dict(state.settings.carriers)
    if "BLOCK_AMZL" in doc["features"]:
        choices = {name: share for name, share in choices.items() if not name.upper().startswith("AM")} or {"UPS": 1.0}
    drawn = dice("carrier", package["seed"]) * sum(choices.values())
    for name, share in choices.items():
        drawn -= share
        if drawn < 0:
            return name
    return next(iter(choices))


def _number(package: dict[str, Any]) -> str:
    """A number in the form of the package's carrier."""
    seed = package["seed"]
    match package["carrier"].upper().split(" ")[0]:
        case "UPS":
            return f"1Z{_checked(seed[:15], 1, 2)}"
        case "USPS":
            return _checked(f"94{seed[:19]}", 3, 1)
        case "FEDEX":
            return str(seed[:12])
        case "AMAZON" | "AMZN_US" | "AMZL":
            return f"TBA{seed[:12]}"
        case _:
            return str(seed[:14])


def _checked(number: str, last: int, other: int) -> str:
    """Digits with the check digit behind them. `last` is the weight of every second one, from the last on."""
    weighed = ((last if place % 2 == 0 else other) * int(sign) for place, sign in enumerate(reversed(number)))
    return f"{number}{-sum(weighed) % 10}"


def _way(at: float, collect: float, transit: float, delivery: Delivery) -> list[list[Any]]:
    """Everything that the carrier will tell: time, event, status, words. It is seen once its time has come."""
    start = at + collect
    told = [
        [at, "EVENT_101", "IN_TRANSIT", "Carrier notified"],
        [start, "EVENT_102", "IN_TRANSIT", "Picked up"],
    ]
    usual = [] if delivery == "stuck" else _USUAL
    return told + [[start + transit * part, *rest] for part, *rest in (*usual, *_ENDS[delivery])]


def end_now(package: dict[str, Any], delivery: Delivery, at: float) -> None:
    """The way of a package that left ends now, so or so. Raises ValueError for one that did not leave."""
    if package["left"] is None:
        raise ValueError("The package has not left yet.")
    so_far = [event for event in package["events"] if event[0] <= at]
    ended = [[at, *rest] for _, *rest in _ENDS[delivery]]
    package["events"] = so_far + ended


def seen(package: dict[str, Any], now: float) -> list[list[Any]]:
    """What the carrier has told by now, oldest first."""
    return [event for event in package["events"] if event[0] <= now]
