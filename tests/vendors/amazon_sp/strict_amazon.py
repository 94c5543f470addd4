"""The little of the Selling Partner API that the client's tests need, as strict as its documents, with memory.

It checks what Amazon checks: token, user agent, no body with GET, fields that the call has and that it needs, the form
of times, and that an order's id was never there before. `+` in an id is read back as a space, as Amazon does.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

from aiohttp import web

TOKEN, REFRESH = "Atza|canary-access-token-0123", "Atzr|canary-refresh-token-0123"
CLIENT_ID, SECRET = "amzn1.application-oa2-client.1", "amzn1.oa2-cs.v1.canary-secret"
ORDERS = "/fba/outbound/2020-07-01/fulfillmentOrders"
US = "ATVPDKIKX0DER"

_AGENT = re.compile(r"[\w.-]+/[\w.]+ \(Language=Python/[\w.]+; Platform=\w+\)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_ADDRESS = {"name", "addressLine1", "addressLine2", "addressLine3", "city", "districtOrCounty", "stateOrRegion",
            "postalCode", "countryCode", "phone"}  # fmt: skip
_NEEDED = {"sellerFulfillmentOrderId", "displayableOrderId", "displayableOrderDate", "displayableOrderComment",
           "shippingSpeedCategory", "destinationAddress", "items"}  # fmt: skip
_FIELDS = _NEEDED | {"marketplaceId", "fulfillmentAction", "fulfillmentPolicy", "featureConstraints"}
_ITEM = {"sellerSku", "sellerFulfillmentOrderItemId", "quantity"}


@dataclass
class StrictAmazon:
    """Answers every call by the book; set it as ``otherwise``. ``answers`` has what a path answers in place of that."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    refreshes: list[dict[str, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.path == "/auth/o2/token":
            form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
            self.refreshes.append(form)
            return web.json_response(
                {"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600, "refresh_token": REFRESH}
            )
        for fault in self._faults(request, body):
            self.violations.append(f"{request.method} {request.raw_path}: {fault}")
            return error(400, "InvalidInput", fault)
        path = urlsplit(request.raw_path).path
        if path in self.answers:
            return self._ok(self.answers[path])
        if (request.method, path) == ("POST", ORDERS):
            return self._create(json.loads(body))
        kept = unquote_plus(path.removeprefix(f"{ORDERS}/").removesuffix("/cancel"))
        if not path.startswith(f"{ORDERS}/") or kept not in self.orders:
            return error(404, "NotFound", "The order does not exist.", self.headers)
        if path.endswith("/cancel"):
            return self._ok({})
        return self._ok({"payload": self.orders[kept]})

    def _ok(self, body: Any) -> web.StreamResponse:
        return web.json_response(body, headers={"x-amzn-RequestId": "rid-ok", **self.headers})

    def _create(self, body: dict[str, Any]) -> web.StreamResponse:
        order_id = body["sellerFulfillmentOrderId"]
        if order_id in self.orders:
            return error(400, "InvalidInput", "The order already exists.")
        self.orders[order_id] = whole_order(order_id, body)
        return self._ok({})

    def _faults(self, request: web.BaseRequest, body: bytes) -> list[str]:
        headers = request.headers
        found = [
            ("no token", headers.get("x-amz-access-token") != TOKEN),
            ("a bearer", "Authorization" in headers),
            ("user agent", not _AGENT.fullmatch(headers.get("User-Agent", ""))),
            ("x-amz-date", not re.fullmatch(r"\d{8}T\d{6}Z", headers.get("x-amz-date", ""))),
            ("accept", headers.get("Accept") != "application/json"),
            ("a body with GET", request.method == "GET" and ("Content-Length" in headers or bool(body))),
            ("content type", bool(body) and headers.get("Content-Type") != "application/json"),
            ("a plus in the query", "+" in urlsplit(request.raw_path).query),
        ]
        faults = [name for name, is_so in found if is_so]
        if (request.method, request.path) == ("POST", ORDERS):
            faults += _faults_of_order(json.loads(body))
        return faults


def _faults_of_order(body: dict[str, Any]) -> list[str]:
    to, items = body.get("destinationAddress", {}), body.get("items", [])
    found = [
        ("fields", not _NEEDED <= set(body) <= _FIELDS),
        ("address", not {"name", "addressLine1", "postalCode", "countryCode"} <= set(to) <= _ADDRESS),
        ("empty address fields", not all(to.values())),
        ("items", not items or any(set(item) != _ITEM for item in items)),
        ("item ids", len({item["sellerFulfillmentOrderItemId"] for item in items}) < len(items)),
        ("date", not _TIME.fullmatch(body.get("displayableOrderDate", ""))),
        ("speed", body.get("shippingSpeedCategory") not in ("Standard", "Expedited", "Priority")),
        ("policy", body.get("fulfillmentPolicy") not in ("FillOrKill", "FillAll", "FillAllAvailable")),
        ("id", len(unquote(body.get("sellerFulfillmentOrderId", ""))) > 40),
    ]
    return [name for name, is_so in found if is_so]


def whole_order(order_id: str, body: dict[str, Any], status: str = "RECEIVED") -> dict[str, Any]:
    """The payload of getFulfillmentOrder for a created order."""
    return {
        "fulfillmentOrder": {
            **{name: value for name, value in body.items() if name != "items"},
            "sellerFulfillmentOrderId": order_id,
            "receivedDate": "2026-11-20T18:00:05Z",
            "statusUpdatedDate": "2026-11-20T18:00:09.123Z",
            "fulfillmentOrderStatus": status,
        },
        "fulfillmentOrderItems": [
            {**item, "cancelledQuantity": 0, "unfulfillableQuantity": 0} for item in body.get("items", [])
        ],
        "fulfillmentShipments": [],
        "returnItems": [],
        "returnAuthorizations": [],
    }


def error(
    status: int, code: str, message: str, headers: dict[str, str] | None = None, details: str = ""
) -> web.StreamResponse:
    """An error in the form of the Selling Partner API."""
    body = {"errors": [{"code": code, "message": message, "details": details}]}
    return web.json_response(body, status=status, headers={"x-amzn-RequestId": "rid-error", **(headers or {})})
