"""What came of telling a number: stored with its event, and told to people where they have to do something.

Each function is inside the caller's transaction, and changes nothing when another worker was faster.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from prometheus_client import Counter, Histogram
from sqlalchemy import Connection

from services.fulfillment import shop_store, store
from services.fulfillment.domain import Shop
from services.fulfillment.orders import order_store
from services.fulfillment.orders.domain import Order
from services.fulfillment.orders.story import Story
from services.fulfillment.shipping import package_store, telling_store
from services.fulfillment.shipping.domain import Package, TellState
from services.fulfillment.shipping.guard import Case, Tell, Withheld
from services.fulfillment.shipping.shop_side import Has, Refusal

TOLD_SECONDS = Histogram(
    "reelroute_tracking_told_seconds",
    "From Amazon's first naming of a number to TikTok Shop's knowing it.",
    buckets=(10, 30, 60, 120, 300, 600, 900, 1800, 3600, 14_400, 86_400),
)
WITHHELD = Counter("reelroute_tracking_withheld_total", "Numbers that were not told, by reason.", ["reason"])

EDIT_SPAN = timedelta(hours=72)
# For what may be told a little later, and for what is judged again in case its cause is gone.
_WAIT_SECONDS = 900.0
_AGAIN_SECONDS = 3600.0
_LATER = ("CANCEL_REQUESTED", "NOT_READY")
RESUME = "Mend the cause, then let the shop's numbers be told again."


def being_told(package: Package) -> Tell | None:
    """What is stored as being told; None when nothing is."""
    if package.tell_state is not TellState.TELLING:
        return None
    return Tell(
        package.told_number, package.told_provider_id, package.told_carrier, package.told_line_ids, is_whole_order=False
    )


def edited_package_id(case: Case, tell: Tell) -> str:
    """TikTok Shop's package whose single edit is used to tell it; empty: it is told anew."""
    if tell.replaces is not None:
        return tell.replaces.platform_package_id
    return case.package.platform_package_id if case.package.tell_state is TellState.TOLD else ""


def edit_refused(tell: Tell, now: datetime) -> Withheld | None:
    """Why a package that Amazon took back cannot be corrected to the one that follows it; None when it can, or needs
    not.
    """
    before = tell.replaces
    if before is None:
        return None
    is_open = before.told_time is not None and now - before.told_time < EDIT_SPAN
    if before.platform_package_id and is_open and not before.is_edit_used:
        return None
    return Withheld(
        "EDIT_USED",
        "TikTok Shop has the number of a shipment that Amazon took back, and it can be corrected no more: once, within"
        " 72 hours. Ask TikTok Shop's support.",
    )


def told(tx: Connection, order: Order, package: Package, platform_package_id: str) -> None:
    """TikTok Shop knows it."""
    if _is_moved(tx, package):
        return
    after = telling_store.set_told(tx, package, platform_package_id)
    _event(tx, after, "package.told", f"TikTok Shop knows {after.told_number} ({after.told_carrier}).")
    order_store.wake(tx, order.workspace_id, [order.order_id])
    if after.number_time is not None and after.told_time is not None and package.told_time is None:
        TOLD_SECONDS.observe((after.told_time - after.number_time).total_seconds())


def withhold(tx: Connection, order: Order, package: Package, why: Withheld) -> None:
    """It is not told, now or at all."""
    if _is_moved(tx, package):
        return
    if why.is_waiting:
        later = why.reason in _LATER
        state, problem, again = (TellState.DUE, "", _WAIT_SECONDS) if later else (TellState.WAITING, "", None)
    else:
        state = TellState.REJECTED if why.reason == TellState.REJECTED.value else TellState.BLOCKED
        problem, again = str(why), _AGAIN_SECONDS
    telling_store.set_untold(tx, package, state, problem, again)
    if problem and problem != package.tell_problem:
        WITHHELD.labels(why.reason).inc()
        text = f"A tracking number is not sent to TikTok Shop: {why.text}"
        _tell_people(tx, order, "tracking.withheld", text, why.reason)


def refused(
    tx: Connection, shop: Shop, order: Order, package: Package, refusal: Refusal, why: Withheld, has: Has
) -> None:
    """TikTok Shop's definite no to what was being told. A rejected number stops the shop's numbers."""
    number, provider = package.told_number, package.told_carrier
    is_moved = _is_moved(tx, package)
    if refusal is Refusal.REJECTED:
        stop = f"{number} ({provider}) of order {order.told.platform_order_id}: {why.text}"
        if telling_store.stop(tx, order.workspace_id, order.shop_id, stop):
            text = f"No tracking numbers of {shop.name} are sent to TikTok Shop any more. It rejected {stop} {RESUME}"
            _tell_people(tx, order, "tracking.stopped", text, why.reason)
    if is_moved:
        return
    WITHHELD.labels(why.reason).inc()
    kind = "package.rejected" if refusal is Refusal.REJECTED else "package.withheld"
    _event(tx, package, kind, f"{number} ({provider}): {why.text}", reason=why.reason)
    if package.told_time is not None:
        telling_store.set_kept(tx, package, has)
    elif refusal is Refusal.WAITS:
        telling_store.set_untold(tx, package, TellState.DUE, "", _WAIT_SECONDS)
    else:
        state = TellState.REJECTED if refusal is Refusal.REJECTED else TellState.BLOCKED
        telling_store.set_untold(tx, package, state, str(why), _AGAIN_SECONDS)


def _is_moved(tx: Connection, package: Package) -> bool:
    """Whether somebody else worked on it since it was read. Rows are locked in one order everywhere: an order, its
    packages, its shop's routing.
    """
    order_store.read_order(tx, package.workspace_id, package.order_id, for_update=True)
    now = package_store.read_package(tx, package.workspace_id, package.package_id, for_update=True)
    return (now.tell_state, now.told_number) != (package.tell_state, package.told_number)


def _event(tx: Connection, package: Package, kind: str, text: str, **attributes: str) -> None:
    about = {"package_id": str(package.package_id)}
    order_store.add_event(tx, package.workspace_id, package.order_id, kind, text, attributes=about | attributes)


def _tell_people(tx: Connection, order: Order, kind: str, text: str, reason: str) -> None:
    shop = shop_store.read_shop(tx, order.workspace_id, order.shop_id)
    story = Story(tx, store.database_time(tx), shop.name)
    story.tell(order, kind, text, reason)
    story.write()
