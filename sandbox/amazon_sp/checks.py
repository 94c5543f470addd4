"""What tests ask when everything is over: was anything sent twice, and which numbers were ever told."""

from typing import Any

from sandbox.amazon_sp import life
from sandbox.amazon_sp.state import AmazonState


def created(state: AmazonState, least: int = 1) -> list[dict[str, Any]]:
    """Orders by what they are shown as: two that are not over for one displayable id mean that goods go out twice."""
    rows = state.store.all(
        "SELECT seller, displayable_id, count(*) AS orders,"
        " sum(status NOT IN ('Cancelled', 'Unfulfillable', 'Invalid')) AS alive,"
        " group_concat(id, char(10)) AS ids FROM amazon_order GROUP BY seller, displayable_id"
        " HAVING count(*) >= ? ORDER BY orders DESC, displayable_id",
        least,
    )
    return [{**dict(row), "ids": row["ids"].split("\n")} for row in rows]


def numbers(state: AmazonState, seller: str) -> list[dict[str, Any]]:
    """Every number of every package: what may be told of an order, and what may not."""
    found = []
    for row in state.store.all("SELECT * FROM amazon_order WHERE ? IN ('', seller) ORDER BY number", seller):
        order = life.load(row)
        found += [
            {
                "seller": order.seller, "id": order.id, "displayable_id": order.displayable_id,
                "shipment": shipment["id"], "shipment_status": shipment["status"],
                **{name: package[name] for name in ("number", "carrier", "tracking", "aftn")},
            }
            for shipment in order.doc["shipments"] for package in shipment["packages"] if package["shown"]
        ]  # fmt: skip
    return found
