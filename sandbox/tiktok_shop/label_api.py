"""Labels of the platform, in the US bought with the package, and documents (scope `seller.fulfillment.basic`)."""

import re
import time
from decimal import Decimal
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from sandbox.tiktok_shop import catalog, orders, packages, shipping
from sandbox.tiktok_shop.answers import Refusal
from sandbox.tiktok_shop.gate import Body, Call, NoQuery, Operation, Query
from sandbox.tiktok_shop.logistics_api import MOST_CENTIMETRES, MOST_GRAMS
from sandbox.tiktok_shop.state import ShopState, digest, stable_id

_BASIC = ("seller.fulfillment.basic",)
INVALID, TOO_LARGE, TOO_HEAVY = shipping.NOT_SHIPPABLE, 11021010, 11021012
DOCUMENT_PATH, DOCUMENT_SECONDS = "/tiktok_shop/documents", 86_400
_SERVICE = stable_id("7118", "tiktok-standard")
_USUAL_SIZE = {"length": "20", "width": "15", "height": "8", "unit": "CM"}
_USUAL_WEIGHT = {"value": "400", "unit": "GRAM"}


class _Dimension(Body):
    length: str
    width: str
    height: str
    unit: Literal["CM", "INCH"]


class _Weight(Body):
    value: str
    unit: Literal["GRAM", "POUND"]


class _Label(Body):
    order_line_item_ids: list[str] = Field(default=[], max_length=200)
    dimension: _Dimension | None = None
    weight: _Weight | None = None


class _Create(_Label):
    order_id: str
    shipping_service_id: str | None = None


class _Document(Query):
    document_type: Literal[
        "SHIPPING_LABEL", "PACKING_SLIP", "SHIPPING_LABEL_AND_PACKING_SLIP", "SHIPPING_LABEL_PICTURE"
    ]  # fmt: skip
    document_size: Literal["A5", "A6"] = "A6"
    document_format: Literal["PDF", "ZPL"] = "PDF"


def _create(state: ShopState, call: Call) -> dict[str, Any]:
    body: _Create = call.body
    order = _labelled_order(state, call, body.order_id)
    lines = shipping.choose_lines(order, body.order_line_item_ids)
    _check_size(body)
    if body.shipping_service_id not in (None, _SERVICE):
        raise Refusal(INVALID, "body.shipping_service_id is not one of the order's.")
    provider = next(iter(catalog.carriers(call.shop.region).items()))
    now = state.clock.now()
    package = shipping.send(state, order, lines, provider, shipping.platform_number(), now)
    size, weight = _sizes(body)
    package.update(dimension=size, weight=weight)
    packages.save(state, package, now)
    return {
        "package_id": package["id"],
        "order_id": order["id"],
        "order_line_item_ids": package["lines"],
        "create_time": package["create_time"],
        "dimension": size,
        "weight": weight,
        "shipping_service_info": _service(call),
    }


def _services(state: ShopState, call: Call) -> dict[str, Any]:
    body: _Label = call.body
    order = _labelled_order(state, call, call.path["order_id"])
    lines = shipping.choose_lines(order, body.order_line_item_ids)
    _check_size(body)
    size, weight = _sizes(body)
    return {
        "order_id": order["id"],
        "order_line_id": [line["id"] for line in lines],
        "dimension": size,
        "weight": weight,
        "shipping_services": [{**_service(call), "is_default": True}],
    }


def _labelled_order(state: ShopState, call: Call, order_id: str) -> dict[str, Any]:
    order = orders.own(state, call.shop, order_id)
    if call.shop.region != "US":
        raise Refusal(shipping.NOT_THIS_REGION, "This call is for the US only.")
    shipping.check_order(state, order)
    if order["shipping_type"] != "TIKTOK":
        raise Refusal(shipping.NOT_THIS_REGION, "The seller ships this order: mark it as shipped.")
    return order


def _service(call: Call) -> dict[str, Any]:
    provider_id, name = next(iter(catalog.carriers(call.shop.region).items()))
    return {
        "id": _SERVICE,
        "name": "TikTok Standard",
        "price": "4.87",
        "currency": call.shop.currency,
        "earliest_delivery_days": 2,
        "latest_delivery_days": 5,
        "shipping_provider_id": provider_id,
        "shipping_provider_name": name,
    }


def _sizes(body: _Label) -> tuple[dict[str, str], dict[str, str]]:
    size = _USUAL_SIZE if body.dimension is None else body.dimension.model_dump()
    weight = _USUAL_WEIGHT if body.weight is None else body.weight.model_dump()
    return size, weight


def _check_size(body: _Label) -> None:
    size, weight = _sizes(body)
    per_inch, per_pound = Decimal("2.54"), Decimal("453.592")
    numbers = [size[name] for name in ("length", "width", "height")]
    if not all(
        re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", one) and Decimal(one) > 0 for one in (*numbers, weight["value"])
    ):
        raise Refusal(INVALID, "body.dimension and body.weight must be positive decimal numbers.")
    if max(map(Decimal, numbers)) * (per_inch if size["unit"] == "INCH" else 1) > MOST_CENTIMETRES:
        raise Refusal(TOO_LARGE, f"The package is longer than {MOST_CENTIMETRES} cm.")
    if Decimal(weight["value"]) * (per_pound if weight["unit"] == "POUND" else 1) > MOST_GRAMS:
        raise Refusal(TOO_HEAVY, f"The package is heavier than {MOST_GRAMS} g.")


def _document(state: ShopState, call: Call) -> dict[str, Any]:
    package = packages.own(state, call.shop, call.path["package_id"])
    label = call.query.document_type.startswith("SHIPPING_LABEL")
    if package["ship_time"] is None:
        raise Refusal(INVALID, "The package has no documents before it is shipped.")
    if label and shipping.shipping_type(state, package) == "SELLER":
        raise Refusal(shipping.NOT_THIS_REGION, "What the seller ships has no label of the platform.")
    if call.query.document_format == "ZPL":
        raise Refusal(INVALID, "query.document_format: ZPL is not for this market.")
    end = int(time.time()) + DOCUMENT_SECONDS
    mark = digest(f"{state.app_secret}/{package['id']}/{end}")[:32]
    url = f"{call.base_url}{DOCUMENT_PATH}/{package['id']}.pdf?end={end}&mark={mark}"
    return {"doc_url": url, "tracking_number": package["tracking_number"]}


def document_routes(state: ShopState) -> APIRouter:
    """Where the addresses of documents lead to, for 24 hours."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"{DOCUMENT_PATH}/{{package_id}}.pdf")
    async def document(package_id: str, end: int = 0, mark: str = "") -> Response:
        # Real time on purpose: whoever downloads has only that.
        if mark != digest(f"{state.app_secret}/{package_id}/{end}")[:32] or end < time.time():
            return Response(status_code=403)
        return Response(_pdf(f"Package {package_id}"), media_type="application/pdf")

    return router


def _pdf(text: str) -> bytes:
    """A PDF of one line."""
    draw = f"BT /F1 24 Tf 40 200 Td ({text}) Tj ET".encode()
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 298] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(draw), draw),
    ]
    out, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(parts) + 1
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (count, table, count, len(out))
    )


_PACKAGES = "/fulfillment/{version}/packages"
_SERVICES = "/fulfillment/{version}/orders/{order_id}/shipping_services/query"
_DOCUMENTS = f"{_PACKAGES}/{{package_id}}/shipping_documents"
OPERATIONS = [
    Operation(
        *("package_create", "POST", _PACKAGES, ("202309", "202512"), _BASIC, _create, NoQuery, _Create),
        invalid=INVALID,
    ),
    Operation(
        *("shipping_services", "POST", _SERVICES, ("202309",), _BASIC, _services, NoQuery, _Label), invalid=INVALID
    ),
    Operation("shipping_documents", "GET", _DOCUMENTS, ("202309",), _BASIC, _document, _Document, invalid=INVALID),
]
