"""What the calls of cancellations and returns take."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.tiktok_shop.gate import Body, Query
from sandbox.tiktok_shop.order_api import Direction, Time


class Sku(Body):
    """How many units of a SKU."""

    sku_id: str
    quantity: Annotated[int, Field(ge=1)]


class Chosen(Body):
    """Which lines of an order: named, by SKU, or all."""

    order_id: str
    skus: list[Sku] | None = None
    order_line_item_ids: list[str] | None = None


class Cancel(Chosen):
    """A seller cancels."""

    cancel_reason: str


class Calculate(Chosen):
    """What would be refunded."""

    request_type: Literal["CANCEL", "REFUND", "RETURN_AND_REFUND"]
    reason_name: str | None = None
    shipment_type: Literal["PLATFORM", "BUYER_ARRANGE"] | None = None
    handover_method: Literal["DROP_OFF", "PICKUP"] | None = None


class CancelPage(Query):
    """A page of cancellations, the oldest first."""

    page_size: Annotated[int, Field(ge=1, le=50)] = 10
    page_token: str = ""
    sort_field: Literal["create_time", "update_time"] = "create_time"
    sort_order: Direction = "ASC"


class ReturnPage(CancelPage):
    """A page of returns."""

    page_size: Annotated[int, Field(ge=10, le=50)] = 10


class Filter(Body):
    """What cancellations and returns can be searched by."""

    order_ids: list[str] | None = None
    buyer_user_ids: list[str] | None = None
    create_time_ge: Time | None = None
    create_time_lt: Time | None = None
    update_time_ge: Time | None = None
    update_time_lt: Time | None = None
    locale: str | None = None


class CancelFilter(Filter):
    """Which cancellations."""

    cancel_ids: list[str] | None = None
    cancel_types: list[Literal["CANCEL", "BUYER_CANCEL"]] | None = None
    cancel_status: (
        list[
            Literal[
                "CANCELLATION_REQUEST_PENDING", "CANCELLATION_REQUEST_SUCCESS", "CANCELLATION_REQUEST_CANCEL",
                "CANCELLATION_REQUEST_COMPLETE",
            ]
        ]
        | None
    ) = None  # fmt: skip


class ReturnFilter(Filter):
    """Which returns."""

    return_ids: list[str] | None = None
    return_types: list[Literal["REFUND", "RETURN_AND_REFUND", "REPLACEMENT"]] | None = None
    return_status: list[str] | None = None
    arbitration_status: list[Literal["IN_PROGRESS", "SUPPORT_BUYER", "SUPPORT_SELLER", "CLOSED"]] | None = None
    seller_proposed_return_type: list[Literal["PARTIAL_REFUND"]] | None = None


class Once(Query):
    """A call that counts once for a key."""

    idempotency_key: Annotated[str, Field(max_length=255)] = ""


class Reject(Body):
    """Why a request is rejected."""

    reject_reason: str
    comment: Annotated[str, Field(max_length=500)] = ""
    images: list[dict[str, Any]] = Field(default=[], max_length=9)


class RejectReturn(Reject):
    """Why and at which step a return is rejected."""

    decision: Literal["REJECT_REFUND", "REJECT_RETURN", "REJECT_RECEIVED_PACKAGE", "REJECT_REPLACEMENT"]


class Amount(Body):
    """An amount of money."""

    amount: str
    currency: str


class Approve(Body):
    """What a seller agrees to."""

    decision: Literal[
        "APPROVE_REFUND", "APPROVE_RETURN", "APPROVE_RECEIVED_PACKAGE", "APPROVE_REPLACEMENT",
        "ISSUE_REPLACEMENT_REFUND",
    ]  # fmt: skip
    buyer_keep_item: bool = False
    partial_refund: Amount | None = None


class Which(Query):
    """The case that is asked about."""

    return_or_cancel_id: str
    locale: str = ""


class Locale(Query):
    """The language of texts; there is one."""

    locale: str = ""


class Who(Query):
    """Who would begin."""

    initiate_aftersale_user: Literal["SELLER", "BUYER"] = "SELLER"
