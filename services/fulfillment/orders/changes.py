"""What changed of an order at TikTok Shop, for its story. Pure; nothing of whom it goes to."""

from __future__ import annotations

from dataclasses import replace

from services.fulfillment.orders.domain import ShopOrder, UnitState
from services.fulfillment.orders.recipient import Problem, Verdict

_UNTOLD = (Problem.MASKED_ADDRESS, Problem.NAME_MISSING, Problem.ADDRESS_MISSING)


def imported_text(told: ShopOrder) -> str:
    """Of an order that was not known."""
    return f"TikTok Shop tells of the order: {told.status}, {_units(len(told.units))}."


def changed_text(before: ShopOrder, now: ShopOrder, *, has_new_address: bool) -> str:
    """Of one that was; empty when only details changed."""
    said = []
    if now.status != before.status:
        said.append(f"it is {now.status} and was {before.status}")
    if now.is_on_hold != before.is_on_hold:
        said.append("it is held back" if now.is_on_hold else "it is no longer held back")
    if now.is_cancel_requested and not before.is_cancel_requested:
        said.append("the buyer asks to cancel it")
    if before.is_cancel_requested and not now.is_cancel_requested:
        said.append("nobody asks to cancel it any more")
    canceled = _count(now, UnitState.CANCELED) - _count(before, UnitState.CANCELED)
    if canceled > 0 and canceled < len(now.units):
        said.append(f"{_units(canceled)} canceled")
    if has_new_address:
        said.append("it goes to another address")
    if now.warehouse_id != before.warehouse_id:
        said.append("it is sent from another warehouse")
    return f"At TikTok Shop: {'; '.join(said)}." if said else ""


def is_hidden_now(now: Verdict, before: Verdict) -> bool:
    """Whether TikTok Shop only hides by now what it told before."""
    if before.address is None:
        return False
    if now.address is None:
        return now.problem in _UNTOLD
    return now.address == replace(before.address, phone="") and before.address.phone != ""


def _count(told: ShopOrder, state: UnitState) -> int:
    return sum(unit.state is state for unit in told.units)


def _units(count: int) -> str:
    return f"{count} unit" if count == 1 else f"{count} units"
