"""What can be changed about the Selling Partner API's stand-in while it runs. Figures: its pages and models of 2026."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.vendor import Outage

Seconds = Annotated[float, Field(ge=0, le=10 * 365 * 86_400)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = tuple[Annotated[float, Field(gt=0, le=100_000)], Annotated[int, Field(ge=1, le=1_000_000)]]


class AmazonSpSettings(BaseModel):
    """Delays, limits and switches. All times in seconds of the sandbox's clock."""

    model_config = ConfigDict(extra="forbid")

    access_token_seconds: Seconds = 3600
    """Life of a new access token."""
    code_seconds: Seconds = 300
    """Life of an authorisation code."""

    rate_multiplier: Annotated[float, Field(ge=0, le=100_000)] = 1.0
    """Times the documented rate and burst of every operation; 0: no limits."""
    rates: dict[str, Rate] = {}
    """Rate per second and burst of single operations, as `{"getInventorySummaries": [1, 1]}`."""
    rate_limit_header: bool = True
    """Answers with 20x, 400 and 404 tell the rate in `x-amzn-RateLimit-Limit`."""
    check_user_agent: bool = True
    """Calls without a `user-agent` in Amazon's form are refused."""
    unauthorized_status: Literal[401, 403] = 403
    """HTTP status of a call with a token that is missing, expired or not good."""
    denied_operations: list[str] = []
    """Operations that the app's roles do not allow, as `["getInventorySummaries"]`: they answer 403."""
    outage: Outage = "off"

    visible_seconds: Seconds = 0
    """From the creation of an order until it can be read and listed."""
    received_seconds: Seconds = 2
    """New until checked: Received, Invalid or Unfulfillable."""
    planning_seconds: Seconds = 10
    """Received until Planning."""
    processing_seconds: Seconds = 300
    """Planning until Processing: the end of the time in which an order can be canceled."""
    ship_seconds: Seconds = 600
    """Processing until a shipment is SHIPPED, and from one canceled by Amazon until the next is."""
    package_seconds: Seconds = 0
    """Between the packages of a shipment."""
    tracking_number_seconds: Seconds = 0
    """From a package's leaving until it has its carrier's number."""
    collect_seconds: Seconds = 3600
    """From a package's leaving until its carrier has scanned it."""
    transit_seconds: Seconds = 2 * 86_400
    """From there to delivery; Expedited takes half of it."""
    cancel_seconds: Seconds = 0
    """From a request to cancel until it is done; an order that is Processing by then goes on."""
    hold_seconds: Seconds = 14 * 86_400
    """After this time an order on Hold is canceled."""
    fill_all_seconds: Seconds = 86_400
    """So long a FillAll order waits for what is missing."""

    aftn: Literal["single_unit", "all", "never"] = "single_unit"
    """Which orders to the US get an Amazon fulfillment tracking number. Who gets one in fact is not documented."""
    aftn_seconds: Seconds = 120
    """From the creation of an order to that number, but not before its shipments are planned."""
    aftn_carrier_code: Annotated[str, Field(max_length=60)] = "AMZN_US"
    """What stands beside that number before the package leaves; not documented."""
    carriers: Annotated[dict[str, Share], Field(min_length=1)] = {
        "Amazon Logistics": 0.7, "UPS": 0.14, "USPS": 0.12, "FedEx": 0.04,
    }  # fmt: skip
    """`carrierCode` texts, and how many of the packages go by each."""
    split_share: Share = 0
    """So many of the orders of several units go in two shipments."""
    replan_share: Share = 0
    """So many of the orders have a shipment that Amazon cancels and plans again."""
    invalid_share: Share = 0
    """So many orders are taken and then end as Invalid."""
    unfulfillable_share: Share = 0
    """So many orders are taken and then end as Unfulfillable."""
    shortage_at_once: bool = False
    """A FillOrKill order for which there is too little is refused, in place of being taken and then Unfulfillable."""
    address_limits: Literal["refuse", "cut"] = "refuse"
    """What becomes of an address that is longer than the documented limits. Which of both is true is not documented."""

    status_spelling: Literal["model", "notifications", "upper"] = "model"
    """Statuses as in the model, with shipments as notifications write them, or all in capitals as in its examples."""
    marketplace_spelling: Literal["model", "missing", "number"] = "model"
    """How the list of orders gives `marketplaceId`; the others have been reported."""

    stock_seconds: Seconds = 60
    """From a change of stock until inventory summaries show it."""
    page_size: Annotated[int, Field(ge=1, le=1000)] = 50
    """Orders and SKUs of a page."""
    next_token_seconds: Seconds = 30
    """Life of the token of the next page of inventory summaries."""
