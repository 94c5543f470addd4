"""The 150 sample orders: what is expected to become of each."""

from __future__ import annotations

import pytest

from services.fulfillment.routing.built_in import BUILT_IN
from services.fulfillment.routing.deciding import decide
from services.fulfillment.routing.decision import Decision, DecisionKind
from tests.fulfillment.orders.samples_of import expected_routing, sample_orders
from tests.fulfillment.routing.cases import AS_OF, sample_case

_KINDS = {"route": DecisionKind.ROUTE, "hold": DecisionKind.HOLD, "reject": DecisionKind.LEAVE}


def told(decision: Decision) -> dict[str, str]:
    """A decision in the columns of the samples."""
    kind = next(word for word, each in _KINDS.items() if each is decision.kind)
    items: dict[str, int] = {}
    for shipment in decision.shipments:
        for item in shipment.items:
            items[item.amazon_sku] = items.get(item.amazon_sku, 0) + item.quantity
    is_routed = decision.kind is DecisionKind.ROUTE
    return {
        "decision": kind,
        "reason": decision.reason,
        "items": ";".join(f"{sku}*{count}" for sku, count in sorted(items.items())),
        "units": str(sum(items.values())) if is_routed else "",
        "speed": decision.speed.capitalize() if is_routed else "",
    }


@pytest.mark.parametrize(
    "order_id", [pytest.param(key, id=row["case"] + key) for key, row in expected_routing().items()]
)
def test_a_sample_order_is_decided_as_expected(order_id: str) -> None:
    expected = expected_routing()[order_id]
    decision = decide(sample_case(order_id), BUILT_IN, AS_OF)
    found = told(decision)
    assert found == {name: expected[name] for name in found}
    if found["decision"] == "route":
        # The samples flag a buyer's message only where an address is in it; nobody reads it to find out.
        flags = set(filter(None, expected["flags"].split(";")))
        assert set(decision.notes) - flags <= {"buyer_message"}
        assert flags <= set(decision.notes)


def test_every_sample_is_decided() -> None:
    assert sample_orders().keys() == expected_routing().keys()
    assert len(expected_routing()) == 150
