"""Cancellations and returns: asked for, answered or decided by the deadline, refunded.

A cancellation: CANCELLATION_REQUEST_PENDING → _SUCCESS → _COMPLETE, or _CANCEL when it was rejected or withdrawn
(answers and webhooks spell that _CANCELLED). A return moves by its type: `_NEXT` below.
"""

import json
import sqlite3
from decimal import Decimal
from typing import Any

from sandbox.tiktok_shop import events, orders
from sandbox.tiktok_shop.orders import NewLine, NewOrder
from sandbox.tiktok_shop.state import ShopState, dumps, new_id

CANCEL_PENDING, CANCEL_SUCCESS = "CANCELLATION_REQUEST_PENDING", "CANCELLATION_REQUEST_SUCCESS"
CANCEL_COMPLETE, CANCEL_CANCEL = "CANCELLATION_REQUEST_COMPLETE", "CANCELLATION_REQUEST_CANCEL"
PENDING, SUCCESS, COMPLETE = (f"RETURN_OR_REFUND_REQUEST_{word}" for word in ("PENDING", "SUCCESS", "COMPLETE"))
REJECTED, WITHDRAWN = "REFUND_OR_RETURN_REQUEST_REJECT", "RETURN_OR_REFUND_REQUEST_CANCEL"
AWAITING_SHIP, SENT_BACK, REJECT_PACKAGE = "AWAITING_BUYER_SHIP", "BUYER_SHIPPED_ITEM", "REJECT_RECEIVE_PACKAGE"
REPLACEMENT = {word: f"REPLACEMENT_REQUEST_{word}" for word in ("PENDING", "REJECT", "REFUND_SUCCESS", "COMPLETE")}
RETURN_TYPES = ("REFUND", "RETURN_AND_REFUND", "REPLACEMENT")

# Status and the seller's decision → the next status, for the types of return that it fits.
_NEXT = {
    (PENDING, "APPROVE_REFUND"): (SUCCESS, ("REFUND",)),
    (PENDING, "REJECT_REFUND"): (REJECTED, ("REFUND",)),
    (PENDING, "APPROVE_RETURN"): (AWAITING_SHIP, ("RETURN_AND_REFUND",)),
    (PENDING, "REJECT_RETURN"): (REJECTED, ("RETURN_AND_REFUND",)),
    (SENT_BACK, "APPROVE_RECEIVED_PACKAGE"): (SUCCESS, ("RETURN_AND_REFUND",)),
    (SENT_BACK, "REJECT_RECEIVED_PACKAGE"): (REJECT_PACKAGE, ("RETURN_AND_REFUND",)),
    (REPLACEMENT["PENDING"], "APPROVE_REPLACEMENT"): (REPLACEMENT["COMPLETE"], ("REPLACEMENT",)),
    (REPLACEMENT["PENDING"], "ISSUE_REPLACEMENT_REFUND"): (REPLACEMENT["REFUND_SUCCESS"], ("REPLACEMENT",)),
    (REPLACEMENT["PENDING"], "REJECT_REPLACEMENT"): (REPLACEMENT["REJECT"], ("REPLACEMENT",)),
}
# What the platform decides when the seller stays silent.
_BY_DEADLINE = {
    (PENDING, "REFUND"): "APPROVE_REFUND",
    (PENDING, "RETURN_AND_REFUND"): "APPROVE_RETURN",
    (SENT_BACK, "RETURN_AND_REFUND"): "APPROVE_RECEIVED_PACKAGE",
    (REPLACEMENT["PENDING"], "REPLACEMENT"): "APPROVE_REPLACEMENT",
}
ACTIONS = {
    (PENDING, "REFUND"): "SELLER_RESPOND_REFUND",
    (PENDING, "RETURN_AND_REFUND"): "SELLER_RESPOND_RETURN",
    (SENT_BACK, "RETURN_AND_REFUND"): "SELLER_RESPOND_RECEIVE_PACKAGE",
    (REPLACEMENT["PENDING"], "REPLACEMENT"): "SELLER_RESPOND_REPLACEMENT",
    (CANCEL_PENDING, "BUYER_CANCEL"): "SELLER_RESPOND_CANCEL",
}


def find(state: ShopState, case_id: str) -> dict[str, Any]:
    """One cancellation or return of any shop. Raises KeyError when there is none."""
    row = state.store.one("SELECT doc FROM shop_aftersale WHERE id = ?", case_id)
    if row is None:
        raise KeyError(case_id)
    return load(row)


def load(row: sqlite3.Row) -> dict[str, Any]:
    """The case of a row."""
    case: dict[str, Any] = json.loads(row["doc"])
    return case


def request_cancel(state: ShopState, order_id: str, reason: str, at: float) -> dict[str, Any]:
    """The buyer wants to cancel. Before the hour is over that is done at once, then the seller decides.

    Raises KeyError for an unknown order, ValueError for one that is shipped, cancelled, or asked about already.
    """
    with state.store.transaction():
        order = orders.find(state, order_id)
        if order["status"] not in orders.EARLY or order["is_buyer_request_cancel"]:
            raise ValueError(f"The buyer cannot cancel an order that is {order['status']} or asked about already.")
        lines = [line["id"] for line in order["lines"] if not line["cancelled"]]
        case = _new(state, order, "CANCEL", "BUYER_CANCEL", CANCEL_PENDING, "BUYER", reason, lines, at)
        if order["status"] != "AWAITING_SHIPMENT":
            approve_cancel(state, case, at, "BUYER")
            return case
        order["is_buyer_request_cancel"] = True
        orders.save(state, order, at)
        _await(state, case, at, state.settings.cancel_answer_seconds)
    return case


def cancel_by_seller(
    state: ShopState, order: dict[str, Any], lines: list[str], reason: str, at: float
) -> dict[str, Any]:
    """The seller cancels lines; call it inside a transaction."""
    case = _new(state, order, "CANCEL", "CANCEL", CANCEL_PENDING, "SELLER", reason, lines, at)
    approve_cancel(state, case, at, "SELLER")
    return case


def approve_cancel(state: ShopState, case: dict[str, Any], at: float, who: str) -> None:
    """A cancellation takes effect; the refund follows. Call it inside a transaction."""
    order = orders.find(state, case["order_id"])
    _set(state, case, CANCEL_SUCCESS, at)
    orders.cancel_lines(state, order, case["lines"], case["reason"], case["role"], at)
    _note(case, who, "The cancellation was approved.", at)
    state.later(at + state.settings.refund_seconds, "refunded", case["id"])
    save(state, case, at)


def drop_cancel(state: ShopState, case: dict[str, Any], at: float, who: str, why: str = "") -> None:
    """A cancellation is rejected by the seller or withdrawn by the buyer; call it inside a transaction."""
    order = orders.find(state, case["order_id"])
    order["is_buyer_request_cancel"] = False
    orders.save(state, order, at)
    _note(case, who, why or "The request was withdrawn.", at)
    _set(state, case, CANCEL_CANCEL, at)


def request_return(
    state: ShopState, order_id: str, kind: str, reason: str, lines: list[str] | None, at: float, who: str = "BUYER"
) -> dict[str, Any]:
    """The buyer wants to send back, to be refunded or to get a replacement. Raises KeyError and ValueError."""
    with state.store.transaction():
        order = orders.find(state, order_id)
        if order["status"] not in ("IN_TRANSIT", "DELIVERED"):
            raise ValueError(f"Nothing can be returned of an order that is {order['status']}.")
        mine = [line["id"] for line in order["lines"] if not line["cancelled"]]
        chosen = mine if lines is None else lines
        if not chosen or not set(chosen) <= set(mine):
            raise ValueError("lines: not lines of this order")
        status = REPLACEMENT["PENDING"] if kind == "REPLACEMENT" else PENDING
        case = _new(state, order, "RETURN", kind, status, who, reason, chosen, at)
        _await(state, case, at, state.settings.return_answer_seconds)
    return case


def decide(state: ShopState, case: dict[str, Any], decision: str, at: float, who: str = "SELLER") -> bool:
    """The seller decides about a return; call it inside a transaction. False when that does not fit where it is."""
    status, types = _NEXT.get((case["status"], decision), ("", ()))
    if case["type"] not in types:
        return False
    _note(case, who, decision, at)
    _set(state, case, status, at)
    if status in (SUCCESS, REPLACEMENT["REFUND_SUCCESS"]):
        state.later(at + state.settings.refund_seconds, "refunded", case["id"])
    if status == REPLACEMENT["COMPLETE"]:
        _replace(state, case, at)
    return True


def send_back(state: ShopState, case: dict[str, Any], at: float) -> None:
    """The buyer sends the goods back; call it inside a transaction. Raises ValueError when that is not awaited."""
    if case["status"] != AWAITING_SHIP:
        raise ValueError(f"Nothing is awaited of a return that is {case['status']}.")
    case["tracking_number"] = f"1Z{new_id('9', 16)}"
    _set(state, case, SENT_BACK, at)
    _await(state, case, at, state.settings.return_answer_seconds)


def deadline(state: ShopState, case_id: str, at: float) -> None:
    """The seller was silent: the platform decides for the buyer."""
    case = find(state, case_id)
    if case["status"] == CANCEL_PENDING:
        approve_cancel(state, case, at, "SYSTEM")
    elif (case["status"], case["type"]) in _BY_DEADLINE:
        decide(state, case, _BY_DEADLINE[case["status"], case["type"]], at, "SYSTEM")


def refund(state: ShopState, case_id: str, at: float) -> None:
    """The money is back with the buyer."""
    case = find(state, case_id)
    done = {CANCEL_SUCCESS: CANCEL_COMPLETE, SUCCESS: COMPLETE}.get(case["status"])
    if done is not None:
        _set(state, case, done, at)


def save(state: ShopState, case: dict[str, Any], at: float) -> None:
    """Keep a case that is new or was changed."""
    case["update_time"] = int(at)
    state.store.run(
        "INSERT OR REPLACE INTO shop_aftersale VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(case["id"], case["shop_id"], case["order_id"], case["kind"], case["type"], case["status"], case["user_id"]),
        *(case["create_time"], case["update_time"], dumps(case)),
    )


def refund_amount(order: dict[str, Any], lines: list[str]) -> dict[str, str]:
    """What the buyer gets back for lines, as decimal text; the shipping fee with the last of them."""
    chosen = [line for line in order["lines"] if line["id"] in lines]
    subtotal = sum((Decimal(line["sale_price"]) for line in chosen), Decimal("0.00"))
    tax = sum((Decimal(line["tax_amount"]) for line in chosen), Decimal("0.00"))
    fee = Decimal(order["shipping_fee"]) if len(chosen) == len(order["lines"]) else Decimal("0.00")
    return {
        "currency": order["currency"],
        "refund_total": str(subtotal + tax + fee),
        "refund_subtotal": str(subtotal),
        "refund_shipping_fee": str(fee),
        "refund_tax": str(tax),
        "retail_delivery_fee": "0.00",
        "buyer_service_fee": "0.00",
    }


def _new(
    state: ShopState, order: dict[str, Any], kind: str, type_: str, status: str, role: str, reason: str,
    lines: list[str], at: float,
) -> dict[str, Any]:  # fmt: skip
    case: dict[str, Any] = {
        "id": new_id("4035"),
        "shop_id": order["shop_id"],
        "order_id": order["id"],
        "kind": kind,
        "type": type_,
        "status": status,
        "user_id": order["user_id"],
        "role": role,
        "reason": reason,
        "lines": lines,
        "create_time": int(at),
        "deadline": None,
        "tracking_number": "",
        "keys": [],
        "records": [],
    }
    _note(case, role, reason, at)
    _set(state, case, status, at)
    return case


def _await(state: ShopState, case: dict[str, Any], at: float, seconds: float) -> None:
    case["deadline"] = int(at + seconds)
    state.no_longer("answer_due", case["id"])
    state.later(at + seconds, "answer_due", case["id"])
    save(state, case, at)


def _note(case: dict[str, Any], role: str, text: str, at: float) -> None:
    case["records"].append({"role": role, "text": text, "create_time": int(at)})


def _set(state: ShopState, case: dict[str, Any], status: str, at: float) -> None:
    case["status"], case["deadline"] = status, None
    state.no_longer("answer_due", case["id"])
    save(state, case, at)
    told = f"{status}LED" if status == CANCEL_CANCEL else status
    if case["kind"] == "CANCEL":
        data = {
            "order_id": case["order_id"],
            "cancellations_role": case["role"],
            "cancel_status": told,
            "cancel_id": case["id"],
            "create_time": case["create_time"],
        }
        events.tell_shop(state, "CANCELLATION_STATUS_CHANGE", case["shop_id"], data, at)
        return
    data = {
        "order_id": case["order_id"],
        "return_id": case["id"],
        "return_role": case["role"],
        "return_type": case["type"],
        "return_status": told,
        "create_time": case["create_time"],
        "update_time": int(at),
    }
    events.tell_shop(state, "RETURN_STATUS_CHANGE", case["shop_id"], data, at)


def _replace(state: ShopState, case: dict[str, Any], at: float) -> None:
    """A replacement is an order of its own."""
    order = orders.find(state, case["order_id"])
    skus = [line["sku_id"] for line in order["lines"] if line["id"] in case["lines"]]
    again = NewOrder(
        shop_id=order["shop_id"],
        lines=[NewLine(sku_id=sku, quantity=skus.count(sku)) for sku in dict.fromkeys(skus)],
        address=order["address"],
        warehouse_id=order["warehouse_id"],
        user_id=order["user_id"],
        replaced_order_id=order["id"],
    )
    orders.create(state, again, at)
