"""Why an order is where it is, as a person would tell it."""

from __future__ import annotations

from cli import display
from cli.client import Json
from cli.display import count, moment

_STATES = {
    "PENDING": "waits",
    "HELD": "is held",
    "LEFT": "is left to the seller",
    "ROUTED": "is on its way to Amazon, or there",
    "SHIPPED": "has left, and TikTok Shop knows each number",
    "DELIVERED": "is delivered",
    "CANCELED": "is canceled",
}
_WHO = {
    "seller": "the seller",
    "operator": "whoever runs this installation",
    "buyer": "the buyer",
    "nobody": "nobody: it ends by itself",
}
_KINDS = {"ROUTE": "to be sent by Amazon", "HOLD": "to be held", "LEAVE": "to be left to the seller"}
_LATENESS = {"AT_RISK": "A deadline is near.", "LATE": "A deadline is missed."}


def order(found: Json) -> None:
    """The headline, the reason, the next step and who can take it."""
    state = _STATES.get(found["state"] or "", str(found["state"]))
    display.say(display.printable(f"Order {found['platform_order_id']} {state}{_because(found['reason'])}."))
    for text in (found["reason_text"], _LATENESS.get(found["lateness"] or "", "")):
        if text:
            display.say(display.printable(text))
    display.facts(
        [
            ("next", found["next_step"]),
            ("who", _WHO.get(found["who_can"], found["who_can"])),
            ("by itself", moment(found["next_time"])),
            ("ship until", moment(found["ship_until_time"])),
            ("our id", found["order_id"]),
        ]
    )


def decision(found: Json | None, *, with_facts: bool = False) -> None:
    """What was decided, and each rule that was looked at with what of it decided."""
    if found is None:
        display.say("It is not decided yet.")
        return
    kind = _KINDS.get(found["kind"] or "", str(found["kind"]))
    speed = f", {found['speed']}" if found["speed"] and found["kind"] == "ROUTE" else ""
    told = f"Decided {moment(found['decide_time'])}: {kind}{speed}{_because(found['reason'])}."
    display.say(display.printable(told))
    if found["text"]:
        display.say(display.printable(found["text"]))
    for number, shipment in enumerate(found["shipments"], start=1):
        display.say(display.printable(f"  order {number} at Amazon: {parts(shipment['items'])}"))
    asked = [f"{name} ({'must' if must else 'should'})" for name, must in found["features"].items()]
    display.facts([("features", ", ".join(asked)), ("remarks", ", ".join(found["notes"]))])
    if found["trace"]:
        display.say()
        display.say(f"{count(len(found['trace']), 'rule was', 'rules were')} looked at:")
        display.table(
            ["", "Rule", "Because"],
            [("→" if each["is_match"] else "", each["name"], each["ground"]) for each in found["trace"]],
        )
    if with_facts:
        display.say()
        display.facts(found["facts"].items())


def replay(found: Json) -> str:
    """What would be different: `held (sku_unmapped) → ROUTE`."""
    before, now = (_short(found[name]) for name in ("before", "now"))
    return f"{before} → {now}" if found["is_different"] else f"{now}, as before"


def parts(items: list[Json]) -> str:
    """Units of Amazon's SKUs: `2 × MAT-FBA, 1 × BAG-FBA`."""
    return ", ".join(f"{each['quantity']} × {each['amazon_sku']}" for each in items)


def _short(decided: Json | None) -> str:
    if decided is None:
        return "not decided"
    return f"{decided['kind']}" + (f" ({decided['reason']})" if decided["reason"] else "")


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
