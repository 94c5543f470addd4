"""Every call to the Selling Partner API that Reelroute makes: method, path, rate, effect. Data; calls.py applies it.

Rates are the documented defaults ("Usage Plans and Rate Limits" and the models); what a seller really has, Amazon says
with its answers.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Effect(Enum):
    """What a call changes, and so whether it may be made again without asking anybody."""

    READ = auto()  # nothing
    SET = auto()  # the same again changes nothing more
    COMMIT = auto()  # made once; without an answer only a reading tells


@dataclass(frozen=True)
class Operation:
    """One kind of call. ``{}`` in the path stand for ids. ``role``: what the app and the seller must have allowed."""

    name: str
    method: str
    path: str
    effect: Effect
    role: str
    per_second: float = 2
    burst: int = 30


_OUTBOUND = "/fba/outbound/2020-07-01"
FULFILLMENT_ROLE = "Amazon Fulfillment"

PREVIEW = Operation(
    "getFulfillmentPreview", "POST", f"{_OUTBOUND}/fulfillmentOrders/preview", Effect.READ, FULFILLMENT_ROLE
)
CREATE = Operation("createFulfillmentOrder", "POST", f"{_OUTBOUND}/fulfillmentOrders", Effect.COMMIT, FULFILLMENT_ROLE)
GET = Operation("getFulfillmentOrder", "GET", f"{_OUTBOUND}/fulfillmentOrders/{{}}", Effect.READ, FULFILLMENT_ROLE)
LIST = Operation("listAllFulfillmentOrders", "GET", f"{_OUTBOUND}/fulfillmentOrders", Effect.READ, FULFILLMENT_ROLE)
CANCEL = Operation(
    "cancelFulfillmentOrder", "PUT", f"{_OUTBOUND}/fulfillmentOrders/{{}}/cancel", Effect.SET, FULFILLMENT_ROLE
)
TRACK = Operation("getPackageTrackingDetails", "GET", f"{_OUTBOUND}/tracking", Effect.READ, FULFILLMENT_ROLE)
INVENTORY = Operation(
    "getInventorySummaries", "GET", "/fba/inventory/v1/summaries", Effect.READ, "Product Listing", burst=2
)
CATALOG = Operation("searchCatalogItems", "GET", "/catalog/2022-04-01/items", Effect.READ, "Product Listing", burst=2)

OPERATIONS = {each.name: each for each in (PREVIEW, CREATE, GET, LIST, CANCEL, TRACK, INVENTORY, CATALOG)}
