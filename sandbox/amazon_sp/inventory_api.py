"""FBA inventory v1, with the calls that only sandboxes have, and the search of the catalogue by barcode."""

import json
from typing import Any

from sandbox.amazon_sp import bodies, life, orders, stock
from sandbox.amazon_sp.answers import NOT_FOUND, Refusal, invalid
from sandbox.amazon_sp.gate import Call, Operation
from sandbox.amazon_sp.outbound_api import make_token, parse_time, read_token
from sandbox.amazon_sp.state import AmazonState, digits, iso

_MOST_SKUS = 50
_OLDEST_SECONDS = 18 * 30 * 86_400.0
_IDENTIFIERS = {"EAN": "barcode", "UPC": "barcode", "GTIN": "barcode", "ASIN": "asin", "SKU": "sku"}
_MOST_IDENTIFIERS = 20


def _summaries(state: AmazonState, call: Call) -> dict[str, Any]:
    query, now = call.query, state.clock.now()
    marketplace_id = _one_marketplace(call)
    if query.get("granularityType") != "Marketplace" or query.get("granularityId") != marketplace_id:
        raise invalid("granularityType is Marketplace, and granularityId the marketplace of marketplaceIds.")
    after, since = "", None
    if "startDateTime" in query:
        since = parse_time(query["startDateTime"], "startDateTime")
        if since < now - _OLDEST_SECONDS:
            raise invalid("The value for parameter startDateTime is invalid: it is more than 18 months ago.")
    if "nextToken" in query:
        made, after = read_token(query["nextToken"], 2)
        if not isinstance(made, float) or not isinstance(after, str):
            raise invalid("The value for parameter nextToken is invalid.")
        if made + state.settings.next_token_seconds <= now:
            raise invalid("The value for parameter nextToken is invalid: it has expired.")
    wanted = _wanted(query) if since is None else None
    rows = [
        row for row in stock.skus(state, call.seller.name)
        if row["fba"] and row["marketplace_id"] == marketplace_id and row["sku"] > after
        and (wanted is None or row["sku"] in wanted) and (since is None or row["updated"] >= since)
    ]  # fmt: skip
    size = state.settings.page_size
    detailed = query.get("details", "false").lower() == "true"
    answer: dict[str, Any] = {
        "payload": {
            "granularity": {"granularityType": "Marketplace", "granularityId": marketplace_id},
            "inventorySummaries": [_summary(row, detailed) for row in rows[:size]],
        }
    }
    if len(rows) > size:
        answer["pagination"] = {"nextToken": make_token(now, rows[size - 1]["sku"])}
    return answer


def _wanted(query: Any) -> set[str] | None:
    if "sellerSkus" in query:
        found = set(query["sellerSkus"].split(","))
        if len(found) > _MOST_SKUS:
            raise invalid(f"The value for parameter sellerSkus is invalid: it has more than {_MOST_SKUS}.")
        return found
    return {query["sellerSku"]} if "sellerSku" in query else None


def _summary(row: Any, detailed: bool) -> dict[str, Any]:
    shown = json.loads(row["shown"])
    found: dict[str, Any] = {
        "asin": row["asin"], "fnSku": row["fnsku"], "sellerSku": row["sku"], "condition": "NewItem",
        "lastUpdatedTime": iso(row["updated"]), "productName": row["title"], "totalQuantity": sum(shown.values()),
        "stores": [],
    }  # fmt: skip
    if detailed:
        found["inventoryDetails"] = {
            "fulfillableQuantity": shown["fulfillable"],
            "inboundWorkingQuantity": shown["inbound_working"],
            "inboundShippedQuantity": shown["inbound_shipped"],
            "inboundReceivingQuantity": shown["inbound_receiving"],
            "reservedQuantity": {
                "totalReservedQuantity": shown["reserved"],
                "pendingCustomerOrderQuantity": shown["reserved"],
                "pendingTransshipmentQuantity": 0,
                "fcProcessingQuantity": 0,
            },
            "researchingQuantity": {"totalResearchingQuantity": shown["researching"]},
            "unfulfillableQuantity": {"totalUnfulfillableQuantity": shown["unfulfillable"]},
        }
    return found


def _one_marketplace(call: Call) -> str:
    given = call.query.get("marketplaceIds", "")
    if not given or "," in given:
        raise invalid("marketplaceIds is exactly one.")
    return orders.marketplace_of(call.seller, given)


def _create_item(state: AmazonState, call: Call) -> dict[str, Any]:
    new = bodies.parse(bodies.NewSku, call.body)
    marketplace_id = orders.marketplace_of(call.seller, new.marketplace_id)
    if stock.find(state, call.seller.name, new.seller_sku) is not None:
        raise invalid("The value for parameter sellerSku is invalid: there is one already.")
    key = (call.seller.name, new.seller_sku)
    stock.add(
        state, *key, marketplace_id, asin=f"B0{digits(8, 'asin', *key)}", fnsku=f"X00{digits(7, 'fnsku', *key)}",
        title=new.product_name,
    )  # fmt: skip
    return {}


def _delete_item(state: AmazonState, call: Call) -> dict[str, Any]:
    marketplace_id = orders.marketplace_of(call.seller, call.query.get("marketplaceId"))
    if not state.store.run(
        "DELETE FROM amazon_sku WHERE seller = ? AND sku = ? AND marketplace_id = ?",
        *(call.seller.name, call.ids[0], marketplace_id),
    ):
        raise Refusal(NOT_FOUND, "The SKU does not exist.")
    return {}


def _add_inventory(state: AmazonState, call: Call) -> dict[str, Any]:
    asked = bodies.parse(bodies.AddInventory, call.body)
    token = call.headers.get(b"x-amzn-idempotency-token", b"").decode("latin-1")
    if not token:
        raise invalid("Required parameters missing: x-amzn-idempotency-token.")
    for item in asked.inventory_items:
        orders.own_sku(state, call.seller.name, item.seller_sku, item.marketplace_id)
    key = f"{call.seller.name}/{token}"
    if state.store.run("INSERT OR IGNORE INTO amazon_added (token) VALUES (?)", key):
        now = state.clock.now()
        for item in asked.inventory_items:
            stock.receive(state, call.seller.name, item.seller_sku, item.quantity, now)
            life.goods_arrived(state, call.seller.name, item.seller_sku, now)
    return {}


def _search(state: AmazonState, call: Call) -> dict[str, Any]:
    marketplace_id = _one_marketplace(call)
    identifiers = [one for one in call.query.get("identifiers", "").split(",") if one]
    kind = call.query.get("identifiersType", "")
    if kind not in _IDENTIFIERS:
        raise invalid(f"The value for parameter identifiersType is invalid: use one of {', '.join(_IDENTIFIERS)}.")
    if not 1 <= len(identifiers) <= _MOST_IDENTIFIERS:
        raise invalid(f"identifiers are 1 to {_MOST_IDENTIFIERS}.")
    column = _IDENTIFIERS[kind]
    rows = state.store.all(
        # The column's name is one of the three above.
        f"SELECT * FROM amazon_sku WHERE marketplace_id = ? AND {column} IN ({', '.join('?' * len(identifiers))})"  # noqa: S608
        + (" AND seller = ?" if column == "sku" else " AND ? != '' GROUP BY asin")
        + " ORDER BY asin",
        *(marketplace_id, *identifiers, call.seller.name),
    )
    items = [
        {
            "asin": row["asin"],
            "identifiers": [
                {
                    "marketplaceId": marketplace_id,
                    "identifiers": [{"identifierType": "EAN", "identifier": row["barcode"]}] if row["barcode"] else [],
                }
            ],
            "summaries": [{"marketplaceId": marketplace_id, "itemName": row["title"]}],
        }
        for row in rows
    ]
    return {"numberOfResults": len(items), "items": items}


_PATH = "/fba/inventory/v1"
OPERATIONS = [
    Operation("getInventorySummaries", "GET", f"{_PATH}/summaries", _summaries, rate=2.0, burst=2),
    Operation("createInventoryItem", "POST", f"{_PATH}/items", _create_item, rate=5.0, burst=15),
    Operation("deleteInventoryItem", "DELETE", f"{_PATH}/items/*", _delete_item, rate=5.0, burst=15),
    Operation("addInventory", "POST", f"{_PATH}/items/inventory", _add_inventory, rate=5.0, burst=15),
    Operation("searchCatalogItems", "GET", "/catalog/2022-04-01/items", _search, rate=2.0, burst=2),
]
