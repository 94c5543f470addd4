"""R26, R27, R28: a day of orders while everything breaks, in short; `make chaos SEEDS=orders` is the whole one."""

from __future__ import annotations

import pytest

from tests.chaos.orders.campaign import strike
from tests.chaos.orders.plan import SHORT, plan
from tests.chaos.orders.shops import shops


@pytest.mark.timeout(300)
def test_r26_r27_r28_each_order_is_sent_once_and_told_truly_whatever_breaks() -> None:
    with shops() as running:
        planned = plan(1, SHORT)
        outcome = strike(running, planned, is_short=True)
        assert not outcome.faults, "\n\n".join([str(planned), *outcome.faults])
        assert outcome.states["DELIVERED"] > len(planned.purchases) // 3, outcome.states
