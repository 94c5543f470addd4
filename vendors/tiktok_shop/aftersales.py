"""Cancellations and returns. Scope seller.return_refund.basic.

Requests of buyers have deadlines, after which TikTok Shop decides by itself: show them. The answers to requests carry
an idempotency key, so they may be repeated with the same one; cancelling an order has none.
Sources: partner.tiktokshop.com/docv2/page/{cancel-order, search-cancellations, approve-cancellation, search-returns}.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kit.vendor_json import id_text, mappings, moment, needed_id, text
from vendors.tiktok_shop import operations
from vendors.tiktok_shop.calls import Access, Calls, Request
from vendors.tiktok_shop.values import Money, Page, money, objects, page, seconds, without_none


class CancelStatus(StrEnum):
    """Where a cancellation is; UNKNOWN for a word that TikTok Shop added later, which ``raw`` has."""

    PENDING = "CANCELLATION_REQUEST_PENDING"
    SUCCESS = "CANCELLATION_REQUEST_SUCCESS"
    COMPLETE = "CANCELLATION_REQUEST_COMPLETE"
    WITHDRAWN = "CANCELLATION_REQUEST_CANCEL"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> "CancelStatus":
        # Filters are to spell it without the end, answers and webhooks have it.
        return cls.WITHDRAWN if value == "CANCELLATION_REQUEST_CANCELLED" else cls.UNKNOWN


@dataclass(frozen=True)
class NextAction:
    """What the seller is to do, such as SELLER_RESPOND_CANCEL, and until when."""

    action: str
    deadline: datetime | None


@dataclass(frozen=True)
class Cancelled:
    """The cancellation that an order's cancelling has begun."""

    cancel_id: str
    status: CancelStatus
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Cancellation:
    """A cancellation of an order or of some of its line items, asked for by the seller or the buyer."""

    id: str
    order_id: str
    type: str  # CANCEL by the seller or the platform, BUYER_CANCEL
    status: CancelStatus
    role: str
    reason: str
    create_time: datetime | None
    update_time: datetime | None
    line_item_ids: tuple[str, ...]
    refund: Money | None
    next_actions: tuple[NextAction, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class ReturnRequest:
    """A buyer's request for money back, a return, or a replacement."""

    id: str
    order_id: str
    type: str  # REFUND, RETURN_AND_REFUND or REPLACEMENT
    status: str
    arbitration_status: str
    role: str
    reason: str
    create_time: datetime | None
    update_time: datetime | None
    line_item_ids: tuple[str, ...]
    tracking_number: str
    refund: Money | None
    next_actions: tuple[NextAction, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class AftersaleFilter:
    """Which cancellations or returns are searched for; empty or None does not narrow it.

    ``ids`` and ``statuses`` are those of cancellations or of returns, as is searched for.
    """

    ids: Sequence[str] = ()
    order_ids: Sequence[str] = ()
    statuses: Sequence[str] = ()
    create_time_ge: datetime | None = None
    create_time_lt: datetime | None = None
    update_time_ge: datetime | None = None
    update_time_lt: datetime | None = None

    def as_json(self, ids: str, statuses: str) -> dict[str, Any]:
        """The body of a search that calls the two lists so."""
        lists = {ids: self.ids, "order_ids": self.order_ids, statuses: self.statuses}
        return {name: list(words) for name, words in lists.items() if words} | without_none(
            create_time_ge=seconds(self.create_time_ge),
            create_time_lt=seconds(self.create_time_lt),
            update_time_ge=seconds(self.update_time_ge),
            update_time_lt=seconds(self.update_time_lt),
        )


class Aftersales:
    """Cancellations and returns of a shop."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def cancel(
        self,
        access: Access,
        order_id: str,
        reason: str,
        *,
        line_item_ids: Sequence[str] = (),
        timeout_seconds: float | None = None,
    ) -> Cancelled:
        """Cancel an order or some of its line items. Commits.

        ``reason`` is one of TikTok Shop's words, such as seller_cancel_reason_out_of_stock; they differ by market and
        by the order's status.
        """
        body: dict[str, Any] = {"order_id": order_id, "cancel_reason": reason}
        if line_item_ids:
            body["order_line_item_ids"] = list(line_item_ids)
        request = Request(operation=operations.CANCEL_ORDER, access=access, body=body, about=order_id)
        return await self._calls.data(
            request,
            lambda data: Cancelled(id_text(data, "cancel_id"), CancelStatus(text(data, "cancel_status")), data),
            timeout_seconds,
        )

    async def cancellations(
        self,
        access: Access,
        wanted: AftersaleFilter,
        *,
        page_size: int = 50,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> Page[Cancellation]:
        """One page of cancellations, the oldest first; ``page_size`` 1 to 50."""
        request = Request(
            operation=operations.CANCELLATIONS_SEARCH,
            access=access,
            query={"page_size": page_size, "page_token": page_token or None, "sort_order": "ASC"},
            body=wanted.as_json("cancel_ids", "cancel_status"),
        )
        return await self._calls.data(
            request,
            lambda data: page(data, tuple(_cancellation(item) for item in objects(data, "cancellations"))),
            timeout_seconds,
        )

    async def approve_cancellation(
        self, access: Access, cancel_id: str, *, idempotency_key: str, timeout_seconds: float | None = None
    ) -> None:
        """Agree to a buyer's request. May be repeated with the same key."""
        request = Request(
            operation=operations.CANCELLATION_APPROVE,
            access=access,
            ids=(cancel_id,),
            query={"idempotency_key": idempotency_key},
        )
        await self._calls.data(request, lambda _data: None, timeout_seconds)

    async def reject_cancellation(
        self,
        access: Access,
        cancel_id: str,
        reason: str,
        *,
        idempotency_key: str,
        timeout_seconds: float | None = None,
    ) -> None:
        """Refuse a buyer's request, for one of TikTok Shop's reasons. May be repeated with the same key."""
        request = Request(
            operation=operations.CANCELLATION_REJECT,
            access=access,
            ids=(cancel_id,),
            query={"idempotency_key": idempotency_key},
            body={"reject_reason": reason},
        )
        await self._calls.data(request, lambda _data: None, timeout_seconds)

    async def returns(
        self,
        access: Access,
        wanted: AftersaleFilter,
        *,
        page_size: int = 50,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> Page[ReturnRequest]:
        """One page of returns; ``page_size`` 10 to 50."""
        request = Request(
            operation=operations.RETURNS_SEARCH,
            access=access,
            query={"page_size": page_size, "page_token": page_token or None},
            body=wanted.as_json("return_ids", "return_status"),
        )
        return await self._calls.data(
            request,
            lambda data: page(data, tuple(_return(item) for item in objects(data, "return_orders"))),
            timeout_seconds,
        )


def _cancellation(raw: Mapping[str, Any]) -> Cancellation:
    return Cancellation(
        id=needed_id(raw, "cancel_id"),
        order_id=needed_id(raw, "order_id"),
        type=text(raw, "cancel_type"),
        status=CancelStatus(text(raw, "cancel_status")),
        role=text(raw, "role"),
        reason=text(raw, "cancel_reason"),
        create_time=moment(raw, "create_time"),
        update_time=moment(raw, "update_time"),
        line_item_ids=_line_item_ids(raw, "cancel_line_items"),
        refund=_refund(raw),
        next_actions=_next_actions(raw),
        raw=raw,
    )


def _return(raw: Mapping[str, Any]) -> ReturnRequest:
    return ReturnRequest(
        id=needed_id(raw, "return_id"),
        order_id=needed_id(raw, "order_id"),
        type=text(raw, "return_type"),
        status=text(raw, "return_status"),
        arbitration_status=text(raw, "arbitration_status"),
        role=text(raw, "role"),
        reason=text(raw, "return_reason"),
        create_time=moment(raw, "create_time"),
        update_time=moment(raw, "update_time"),
        line_item_ids=_line_item_ids(raw, "return_line_items"),
        tracking_number=id_text(raw, "return_tracking_number"),
        refund=_refund(raw),
        next_actions=_next_actions(raw),
        raw=raw,
    )


def _line_item_ids(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    ids = (id_text(item, "order_line_item_id") for item in mappings(raw, name))
    return tuple(each for each in ids if each)


def _refund(raw: Mapping[str, Any]) -> Money | None:
    amount = raw.get("refund_amount")
    if not isinstance(amount, Mapping):
        return None
    # An object of parts; the whole is called refund_total, or amount where there are none.
    return money(amount, "refund_total", text(amount, "currency")) or money(raw, "refund_amount")


def _next_actions(raw: Mapping[str, Any]) -> tuple[NextAction, ...]:
    return tuple(
        NextAction(text(item, "action"), moment(item, "deadline"))
        for item in mappings(raw, "seller_next_action_response")
    )
