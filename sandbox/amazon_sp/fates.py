"""What is to become of an order against the usual: ordered for coming orders by the control API, or drawn by shares."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.amazon_sp.settings import Seconds
from sandbox.amazon_sp.state import AmazonState, dice

Delivery = Literal["delivered", "delayed", "attempted", "pickup", "returned", "undeliverable", "stuck"]
Parts = Annotated[int, Field(ge=1, le=20)]


class Fate(BaseModel):
    """What becomes of an order. All fields at their defaults: the usual."""

    model_config = ConfigDict(extra="forbid")

    check: Literal["good", "invalid", "unfulfillable"] = "good"
    """How the check after the creation ends."""
    stuck: bool = False
    """It stays where it is once it is Received."""
    shipments: Parts = 1
    """In so many shipments, where there are units enough."""
    packages: Parts = 1
    """Each shipment in so many packages, where there are units enough."""
    replans: Annotated[int, Field(ge=0, le=20)] = 0
    """So often Amazon cancels the first shipment and plans it again."""
    delay_seconds: Seconds = 0
    """It ships so much later."""
    short_units: Annotated[int, Field(ge=0, le=10_000)] = 0
    """So many units are found damaged when they are picked."""
    aftn: bool | None = None
    """Whether it gets an Amazon tracking number; absent: by the setting."""
    lose_aftn: bool = False
    """The Amazon tracking number is gone once the package leaves."""
    carrier_code: Annotated[str, Field(max_length=60)] | None = None
    """`carrierCode` of its packages, whatever the text; absent: by the setting."""
    tracking_number: Annotated[str, Field(max_length=60)] | None = None
    """The carrier's number of its packages; empty: it never comes; absent: a new one in the carrier's form."""
    tracking_number_seconds: Seconds | None = None
    """From a package's leaving to that number; absent: by the setting."""
    delivery: Delivery = "delivered"
    """How the packages' way ends."""


def draw(state: AmazonState, seller: str, order_id: str, skus: list[str], units: int) -> Fate:
    """The fate of a new order: the first one ordered that fits, else by the shares of the settings."""
    row = state.store.one(
        "SELECT id, fate FROM amazon_fate WHERE remaining > 0 AND order_id IN ('', ?)"  # noqa: S608 - marks only
        f" AND sku IN ('', {', '.join('?' * len(skus))}) ORDER BY id LIMIT 1",
        *(order_id, *skus),
    )
    if row is not None:
        state.store.run("UPDATE amazon_fate SET remaining = remaining - 1 WHERE id = ?", row["id"])
        return Fate.model_validate_json(row["fate"])
    settings, key = state.settings, (seller, order_id)
    check = dice("check", *key)
    fate = Fate()
    if check < settings.invalid_share:
        fate.check = "invalid"
    elif check < settings.invalid_share + settings.unfulfillable_share:
        fate.check = "unfulfillable"
    if units > 1 and dice("split", *key) < settings.split_share:
        fate.shipments = 2
    if dice("replan", *key) < settings.replan_share:
        fate.replans = 1
    return fate
