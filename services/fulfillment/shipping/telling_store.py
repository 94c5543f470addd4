"""SQL of telling TikTok Shop the numbers of packages. The caller owns the transaction.

One process at a time tells the numbers of a shop: the first rejected one stops all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, update

from kit.listen import notify
from services.fulfillment.order_tables import packages, shop_routings
from services.fulfillment.shipping.domain import Package, TellState
from services.fulfillment.shipping.guard import Tell
from services.fulfillment.shipping.package_store import package_of
from services.fulfillment.shipping.shop_side import Has
from services.fulfillment.store import in_seconds
from services.fulfillment.turn_store import Turn, Turns

TRACKING_CHANNEL = "fulfillment_tracking"
_OPEN = (TellState.DUE.value, TellState.TELLING.value, TellState.BLOCKED.value, TellState.REJECTED.value)


@dataclass(frozen=True, slots=True)
class Shift(Turn):
    """The right to tell the numbers of a shop."""

    shop_id: UUID


_SHIFTS = Turns(
    Shift,
    key=shop_routings.c.shop_id,
    lease=shop_routings.c.tracking_lease_time,
    due=shop_routings.c.tracking_due_time,
)
_GOES_ON = shop_routings.c.tracking_stop == ""


def wake_shop(tx: Connection, workspace_id: UUID, shop_id: UUID) -> None:
    """Has the numbers of a shop looked at now."""
    routings = shop_routings.c
    tx.execute(
        update(shop_routings)
        .where(routings.workspace_id == workspace_id, routings.shop_id == shop_id)
        .values(tracking_due_time=func.least(func.coalesce(routings.tracking_due_time, func.now()), func.now()))
    )
    notify(tx, TRACKING_CHANNEL)


def claim_shop(tx: Connection, lease_seconds: float) -> Shift | None:
    """Takes the shop whose numbers are due for longest and that nobody has; None when there is none, or they are
    stopped. Of all workspaces.
    """
    return _SHIFTS.claim(tx, lease_seconds, _GOES_ON)


def take_shop(tx: Connection, workspace_id: UUID, shop_id: UUID, lease_seconds: float) -> Shift | None:
    """Takes one shop, due or not; None while somebody has it, or its numbers are stopped."""
    return _SHIFTS.take(tx, workspace_id, shop_id, lease_seconds, _GOES_ON)


def keep_shop(tx: Connection, shift: Shift, lease_seconds: float) -> Shift | None:
    """Holds it for longer; None when it is another's by now, or its numbers were stopped."""
    return _SHIFTS.keep(tx, shift, lease_seconds, _GOES_ON)


def holds(tx: Connection, shift: Shift, seconds: float) -> bool:
    """Whether the shop is this one's for so many seconds yet, and its numbers are not stopped."""
    query = select(shop_routings.c.shop_id).where(
        _SHIFTS.is_mine(shift),
        _GOES_ON,
        shop_routings.c.tracking_lease_time >= in_seconds(seconds),
    )
    return tx.execute(query).first() is not None


def release_shop(tx: Connection, shift: Shift, again_seconds: float = 0) -> None:
    """Lets others have it when its next number is due, but not before so many seconds. Nothing when it is another's."""
    # The row first: whoever makes a number due meanwhile waits for it, and is seen by the second statement or later.
    if tx.execute(select(shop_routings.c.shop_id).where(_SHIFTS.is_mine(shift)).with_for_update()).first() is None:
        return
    due = select(func.min(packages.c.tell_due_time)).where(
        packages.c.workspace_id == shift.workspace_id,
        packages.c.shop_id == shift.shop_id,
        packages.c.tell_due_time.is_not(None),
    )
    earliest = tx.execute(due).scalar_one()
    following = None if earliest is None else func.greatest(earliest, in_seconds(again_seconds))
    _SHIFTS.store(tx, shift, {"tracking_lease_time": None, "tracking_due_time": following})


def next_package(tx: Connection, shift: Shift) -> Package | None:
    """The package of the shop that is due for longest; None when none is."""
    query = (
        select(packages)
        .where(
            packages.c.workspace_id == shift.workspace_id,
            packages.c.shop_id == shift.shop_id,
            packages.c.tell_due_time <= func.now(),
        )
        .order_by(packages.c.tell_due_time, packages.c.package_id)
        .limit(1)
    )
    row = tx.execute(query).mappings().first()
    return package_of(row) if row else None


def told_elsewhere(tx: Connection, package: Package) -> set[str]:
    """Which of a package's numbers were told, or are being told, for another package of the workspace."""
    numbers = {package.tracking_number, package.amazon_tracking_number} - {""}
    query = select(packages.c.told_number).where(
        packages.c.workspace_id == package.workspace_id,
        packages.c.told_number.in_(numbers),
        packages.c.told_number != "",
        packages.c.package_id != package.package_id,
    )
    return set(tx.execute(query).scalars())


def set_telling(tx: Connection, package: Package, tell: Tell, *, by_edit_of: str = "") -> Package:
    """Before the call: this is being told. `by_edit_of`: TikTok Shop's package, whose single edit it takes."""
    values: dict[str, Any] = {
        "tell_state": TellState.TELLING.value,
        "tell_problem": "",
        "told_number": tell.number,
        "told_carrier": tell.provider_name,
        "told_provider_id": tell.provider_id,
        "told_line_ids": list(tell.platform_line_ids),
        "tell_due_time": func.coalesce(packages.c.tell_due_time, func.now()),
    }
    if by_edit_of:
        values |= {"platform_package_id": by_edit_of, "is_edit_used": True}
        if tell.replaces is not None:
            _set(tx, tell.replaces, {"is_edit_used": True})
    return _set(tx, package, values)


def set_told(tx: Connection, package: Package, platform_package_id: str) -> Package:
    """TikTok Shop knows it."""
    return _set(
        tx,
        package,
        {
            "tell_state": TellState.TOLD.value,
            "told_time": func.now(),
            "platform_package_id": platform_package_id or package.platform_package_id,
            "tell_due_time": None,
            "tell_attempt": 0,
        },
    )


def set_kept(tx: Connection, package: Package, has: Has) -> Package:
    """A correction was refused: TikTok Shop has what it had, and the other is never told again."""
    return _set(
        tx,
        package,
        {
            "tell_state": TellState.TOLD.value,
            "told_number": has.number,
            "told_carrier": has.provider_name,
            "told_provider_id": has.provider_id,
            "rejected_number": package.told_number,
            "rejected_provider_id": package.told_provider_id,
            "tell_due_time": None,
        },
    )


def set_untold(
    tx: Connection, package: Package, state: TellState, problem: str, again_seconds: float | None
) -> Package:
    """It is not told. What was being told when it became REJECTED is never told again."""
    values: dict[str, Any] = {
        "tell_state": state.value,
        "tell_problem": problem[:500],
        "told_number": "",
        "told_carrier": "",
        "told_provider_id": "",
        "told_line_ids": [],
        "platform_package_id": "",
        "is_edit_used": False,
        "tell_due_time": None if again_seconds is None else in_seconds(again_seconds),
    }
    if state is TellState.REJECTED and package.told_number:
        values |= {"rejected_number": package.told_number, "rejected_provider_id": package.told_provider_id}
    return _set(tx, package, values)


def tell_later(tx: Connection, package: Package, seconds: float) -> None:
    """It is due again after a while, as it is."""
    _set(tx, package, {"tell_due_time": in_seconds(seconds), "tell_attempt": packages.c.tell_attempt + 1})


def stop(tx: Connection, workspace_id: UUID, shop_id: UUID, why: str) -> bool:
    """Stops all telling of a shop. False when it was stopped before."""
    stopped = tx.execute(
        update(shop_routings)
        .where(
            shop_routings.c.workspace_id == workspace_id,
            shop_routings.c.shop_id == shop_id,
            shop_routings.c.tracking_stop == "",
        )
        .values(tracking_stop=why[:500], update_time=func.now())
    )
    return stopped.rowcount > 0


def resume(tx: Connection, workspace_id: UUID, shop_id: UUID) -> bool:
    """Lets numbers be told again; what was withheld is judged anew. False when they were not stopped."""
    tx.execute(
        update(packages)
        .where(
            packages.c.workspace_id == workspace_id,
            packages.c.shop_id == shop_id,
            packages.c.tell_due_time.is_not(None),
            packages.c.tell_state.in_(_OPEN),
        )
        .values(tell_due_time=func.now())
    )
    resumed = tx.execute(
        update(shop_routings)
        .where(
            shop_routings.c.workspace_id == workspace_id,
            shop_routings.c.shop_id == shop_id,
            shop_routings.c.tracking_stop != "",
        )
        .values(tracking_stop="", update_time=func.now())
    )
    wake_shop(tx, workspace_id, shop_id)
    return resumed.rowcount > 0


def _set(tx: Connection, package: Package, values: dict[str, Any]) -> Package:
    row = tx.execute(
        update(packages)
        .where(packages.c.workspace_id == package.workspace_id, packages.c.package_id == package.package_id)
        .values(values | {"update_time": func.now()})
        .returning(*packages.c)
    )
    return package_of(row.mappings().one())
