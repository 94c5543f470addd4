"""A client that plays an app of the Selling Partner API; shapes are the reference's, not the sandbox's."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

US = "ATVPDKIKX0DER"
APP = {"client_id": "amzn1.application-oa2-client.sandbox", "client_secret": "amzn1.oa2-cs.v1.sandbox"}
REFRESH_TOKEN = "Atzr|sandbox-emberfold"
AGENT = "Reelroute/1.0 (Language=Python/3.11; Platform=Linux)"
ORDERS = "/fba/outbound/2020-07-01/fulfillmentOrders"
COUNTDOWN, TOKENS, TOWER, MAT = "EF-CTR-SPN-10", "EF-TOK-100", "EF-TWR-WAL", "EF-MAT-2PL-CIN"
ADDRESS = {
    "name": "Lucia Leclair", "addressLine1": "94 N. School St.", "city": "Bridgeport", "stateOrRegion": "CA",
    "postalCode": "93517", "countryCode": "US", "phone": "+17605550131",
}  # fmt: skip


def order(order_id: str = "TTS-1", *items: tuple[str, int], **changes: Any) -> dict[str, Any]:
    """A body of createFulfillmentOrder; a change to None leaves the field out."""
    body: dict[str, Any] = {
        "sellerFulfillmentOrderId": order_id, "displayableOrderId": "576461413038785752",
        "displayableOrderDate": "2026-11-20T18:00:00Z", "displayableOrderComment": "Thank you for your order.",
        "shippingSpeedCategory": "Standard", "destinationAddress": ADDRESS, "marketplaceId": US,
        "items": [
            {"sellerSku": sku, "sellerFulfillmentOrderItemId": f"line-{number}", "quantity": count}
            for number, (sku, count) in enumerate(items or ((COUNTDOWN, 1),))
        ],
    }  # fmt: skip
    return {name: value for name, value in (body | changes).items() if value is not None}


@dataclass
class Amazon:
    """An app with the access tokens of sellers."""

    http: httpx.Client
    tokens: dict[str, str] = field(default_factory=dict)

    def control(self, method: str, path: str, **body: Any) -> Any:
        """One call of the control API of Amazon (or of the sandbox, from `/`) that must succeed."""
        address = path[1:] if path.startswith("//") else f"/amazon_sp{path}"
        response = self.http.request(method, f"/control{address}", json=body if method != "GET" else None)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def settings(self, **changes: Any) -> None:
        self.control("PATCH", "/settings", **changes)

    def advance(self, seconds: float) -> None:
        self.control("POST", "//clock/advance", seconds=seconds)

    def fault(self, endpoint: str, mode: str, **more: Any) -> None:
        self.control("POST", "//faults", endpoint=f"amazon_sp.{endpoint}", mode=mode, **more)

    def fate(self, sku: str = "", order_id: str = "", count: int = 1, **fate: Any) -> None:
        self.control("POST", "/fates", fate=fate, sku=sku, order_id=order_id, count=count)

    def token(self, **fields: str) -> httpx.Response:
        return self.http.post("/auth/o2/token", data={**APP, **fields})

    def connect(self, seller: str = "emberfold", refresh_token: str = REFRESH_TOKEN) -> None:
        answer = self.token(grant_type="refresh_token", refresh_token=refresh_token)
        self.tokens[seller] = answer.json()["access_token"]

    def call(self, method: str, path: str, seller: str = "emberfold", **more: Any) -> httpx.Response:
        headers = {"x-amz-access-token": self.tokens[seller], "user-agent": AGENT, **more.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **more)

    def create(self, *args: Any, **changes: Any) -> httpx.Response:
        return self.call("POST", ORDERS, json=order(*args, **changes))

    def get(self, order_id: str = "TTS-1") -> dict[str, Any]:
        """The payload of an order that must be there."""
        answer = self.call("GET", f"{ORDERS}/{quote(order_id, safe='')}")
        assert answer.status_code == 200, answer.text
        payload: dict[str, Any] = answer.json()["payload"]
        return payload

    def status(self, order_id: str = "TTS-1") -> str:
        return str(self.get(order_id)["fulfillmentOrder"]["fulfillmentOrderStatus"])

    def packages(self, order_id: str = "TTS-1") -> list[dict[str, Any]]:
        shipments = self.get(order_id)["fulfillmentShipments"]
        return [package for shipment in shipments for package in shipment["fulfillmentShipmentPackage"]]

    def track(self, number: int) -> dict[str, Any]:
        answer = self.call("GET", "/fba/outbound/2020-07-01/tracking", params={"packageNumber": number})
        assert answer.status_code == 200, answer.text
        payload: dict[str, Any] = answer.json()["payload"]
        return payload

    def preview(self, *items: tuple[str, int], **changes: Any) -> list[dict[str, Any]]:
        asked = order("x", *items)
        body = {"address": ADDRESS, "items": asked["items"], "marketplaceId": US, **changes}
        answer = self.call("POST", f"{ORDERS}/preview", json=body)
        assert answer.status_code == 200, answer.text
        previews: list[dict[str, Any]] = answer.json()["payload"]["fulfillmentPreviews"]
        return previews

    def summaries(self, **query: str) -> httpx.Response:
        given = {"details": "true", "granularityType": "Marketplace", "granularityId": US, "marketplaceIds": US}
        return self.call("GET", "/fba/inventory/v1/summaries", params=given | query)

    def shown(self, sku: str) -> int:
        """Fulfillable units of a SKU as inventory summaries show them."""
        (one,) = self.summaries(sellerSkus=sku).json()["payload"]["inventorySummaries"]
        return int(one["inventoryDetails"]["fulfillableQuantity"])

    def stock(self, sku: str) -> dict[str, Any]:
        """The true counts of a SKU."""
        found: list[dict[str, Any]] = self.control("GET", "/stock/emberfold")
        return next(one for one in found if one["sku"] == sku)


def error(response: httpx.Response) -> str:
    """HTTP status and code in one, to compare."""
    return f"{response.status_code} {response.json()['errors'][0]['code']}"
