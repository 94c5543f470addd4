"""What happens by itself, in the order of the sandbox's clock.

A timer is set in the transaction of the fact that it follows from, and does its work when it is due: the same way
whether somebody polls, a loop wakes up, or the clock jumps a week ahead.
"""

from collections.abc import Callable

from sandbox.tiktok_shop import aftersales, authorisation, creators, orders, products, shipping
from sandbox.tiktok_shop.state import ShopState

# Each takes the timer's subject and the time at which it was due, and leaves alone what has moved on meanwhile.
_DUE: dict[str, Callable[[ShopState, str, float], None]] = {
    "expiry_notice": authorisation.notice_expiry,
    "hold_ends": orders.end_hold,
    "platform_ships": shipping.ship_for_platform,
    "package_collected": shipping.collect,
    "package_delivered": shipping.deliver,
    "order_closes": orders.close,
    "answer_due": aftersales.deadline,
    "refunded": aftersales.refund,
    "audit": products.end_audit,
    "post_ends": creators.end_post,
    "precheck_ends": creators.end_precheck,
}


def settle(state: ShopState) -> float | None:
    """Do everything that is due. Returns the next due time, None when nothing waits."""
    now = state.clock.now()
    first = "SELECT * FROM shop_timer WHERE at <= ? ORDER BY at, id LIMIT 1"
    while (timer := state.store.one(first, now)) is not None:
        with state.store.transaction():
            state.store.run("DELETE FROM shop_timer WHERE id = ?", timer["id"])
            _DUE[timer["kind"]](state, timer["subject"], timer["at"])
    following = state.store.one("SELECT min(at) AS t FROM shop_timer")
    return None if following is None else following["t"]
