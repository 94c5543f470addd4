"""Version 2020-07-01 of the outbound API against a strict Amazon."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from kit.vendor_errors import VendorError, VendorNotFound, VendorRejected, VendorUnavailable, VendorUncertain
from tests.vendors.amazon_sp.conftest import BUYER, PERSONAL, Scene, an_order
from tests.vendors.amazon_sp.strict_amazon import ORDERS, US, error
from tests.vendors.fake_vendor import answers, answers_bytes, drops_the_connection
from vendors.amazon_sp import answers as words
from vendors.amazon_sp.outbound import Fee, Item, OrderStatus, PackageStatus, ShipmentStatus, Speed

pytestmark = pytest.mark.anyio
ID = "TTS-576461413038785752-1"


async def test_an_order_is_created_and_read_back_as_it_was_asked_for(scene: Scene) -> None:
    order = an_order(features=(("BLANK_BOX", False), ("BLOCK_AMZL", True)))
    await scene.amazon.outbound.create(order)
    sent = json.loads(scene.vendor.seen[0].body)
    assert sent["featureConstraints"] == [
        {"featureName": "BLANK_BOX", "featureFulfillmentPolicy": "NotRequired"},
        {"featureName": "BLOCK_AMZL", "featureFulfillmentPolicy": "Required"},
    ]
    assert sent["items"] == [
        {"sellerSku": "EF-CTR/SPN 10", "sellerFulfillmentOrderItemId": "576461413038785753", "quantity": 2}
    ]
    found = await scene.amazon.outbound.get(ID)
    assert (found.status, found.speed, found.destination) == (OrderStatus.RECEIVED, Speed.STANDARD, BUYER)
    assert [(each.sku, each.quantity) for each in found.items] == [("EF-CTR/SPN 10", 2)]
    assert found.status_update_time == datetime(2026, 11, 20, 18, 0, 9, 123_000, UTC)


@pytest.mark.parametrize("order_id", ["TTS+1", "TTS 1", "TTS/1", "..", "", "x" * 41, "TTS-1\n"])
async def test_an_id_that_amazon_would_read_back_otherwise_is_refused_before_it_is_sent(
    scene: Scene, order_id: str
) -> None:
    for asked in (
        scene.amazon.outbound.create(an_order(order_id)),
        scene.amazon.outbound.get(order_id),
        scene.amazon.outbound.cancel(order_id),
    ):
        with pytest.raises(VendorRejected) as refusal:
            await asked
        assert refusal.value.code == "order_id_unusable"
    assert scene.vendor.seen == []


@pytest.mark.parametrize(
    "changes",
    [
        {"items": ()},
        {"items": (Item("1", "A", 1), Item("1", "B", 1))},
        {"items": (Item("a+b", "A", 1),)},
        {"items": (Item("1", "x" * 51, 1),)},
        {"items": (Item("1", "A", 0),)},
        {"displayable_order_id": "two  blanks"},
        {"displayable_order_id": " x"},
    ],
)
async def test_what_amazon_cannot_take_is_refused_before_it_is_sent(scene: Scene, changes: dict[str, Any]) -> None:
    with pytest.raises(VendorRejected):
        await scene.amazon.outbound.create(an_order(**changes))
    assert scene.vendor.seen == []


async def does_the_work_and_loses_the_reply(scene: Scene, request: web.BaseRequest) -> web.StreamResponse:
    await scene.strict(request)
    return await drops_the_connection(request)


async def test_r27_a_lost_answer_is_uncertain_is_not_repeated_and_a_reading_settles_it(scene: Scene) -> None:
    scene.vendor.then(lambda request: does_the_work_and_loses_the_reply(scene, request))
    with pytest.raises(VendorUncertain):
        await scene.amazon.outbound.create(an_order())
    assert len(scene.vendor.seen) == 1
    assert (await scene.amazon.outbound.get(ID)).status is OrderStatus.RECEIVED
    # The repeat of somebody who did not read is refused by Amazon, and is one order still.
    with pytest.raises(VendorRejected):
        await scene.amazon.outbound.create(an_order())
    assert list(scene.strict.orders) == [ID]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 200, 201])
@pytest.mark.parametrize("body", [b"<html>Service Unavailable</html>", b""])
async def test_a_page_of_a_gateway_is_never_a_success(scene: Scene, status: int, body: bytes) -> None:
    scene.vendor.then(*(answers_bytes(body, status=status) for _ in range(9)))
    with pytest.raises(VendorUncertain):
        await scene.amazon.outbound.create(an_order())
    assert len(scene.vendor.seen) == 1
    with pytest.raises(VendorUnavailable):
        await scene.amazon.outbound.get(ID)


async def test_a_reading_is_tried_again_and_nothing_else_is(scene: Scene) -> None:
    await scene.amazon.outbound.create(an_order())
    scene.vendor.then(answers_bytes(b"<html>", status=503), drops_the_connection)
    assert (await scene.amazon.outbound.get(ID)).order_id == ID


async def test_errors_in_a_200_are_looked_at(scene: Scene) -> None:
    refused = {"errors": [{"code": "InvalidInput", "message": "No.", "details": ""}]}
    scene.vendor.then(answers(refused), answers({"errors": ["Odd"]}), answers({"errors": []}))
    with pytest.raises(VendorRejected):
        await scene.amazon.outbound.create(an_order())
    with pytest.raises(VendorUncertain):
        await scene.amazon.outbound.create(an_order())
    await scene.amazon.outbound.create(an_order())


async def test_only_amazons_own_word_says_that_an_order_is_not_there(scene: Scene) -> None:
    with pytest.raises(VendorNotFound) as missing:
        await scene.amazon.outbound.get(ID)
    assert missing.value.log_id == "rid-error"
    scene.vendor.then(answers_bytes(b"<html>Not Found</html>", status=404))
    with pytest.raises(VendorRejected) as page:
        await scene.amazon.outbound.get(ID)
    assert not isinstance(page.value, VendorNotFound)


async def test_an_answer_about_another_order_or_package_is_no_answer(scene: Scene) -> None:
    await scene.amazon.outbound.create(an_order("TTS-2"))
    scene.strict.answers[f"{ORDERS}/TTS-1"] = {"payload": scene.strict.orders["TTS-2"]}
    scene.strict.answers["/fba/outbound/2020-07-01/tracking"] = {"payload": {"packageNumber": 8}}
    for asked in (scene.amazon.outbound.get("TTS-1"), scene.amazon.outbound.track(7)):
        with pytest.raises(VendorUnavailable):
            await asked


@pytest.mark.parametrize("spelling", ["COMPLETE_PARTIALLED", "CompletePartialled", "complete_partialled"])
async def test_statuses_are_read_in_every_spelling(scene: Scene, spelling: str) -> None:
    await scene.amazon.outbound.create(an_order())
    scene.strict.orders[ID]["fulfillmentOrder"]["fulfillmentOrderStatus"] = spelling
    found = await scene.amazon.outbound.get(ID)
    assert (found.status, found.status_text) == (OrderStatus.COMPLETE_PARTIALLED, spelling)


async def test_words_and_fields_that_amazon_adds_later_are_kept_logged_once_and_break_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "_told", set())
    await scene.amazon.outbound.create(an_order())
    payload = scene.strict.orders[ID]
    payload["fulfillmentOrder"] |= {"fulfillmentOrderStatus": "AwaitingDrone", "shippingSpeedCategory": "Drone"}
    payload |= {"droneIds": [1], "fulfillmentShipments": None}
    with capture_logs() as logs:
        found = await scene.amazon.outbound.get(ID)
        await scene.amazon.outbound.get(ID)
    assert (found.status, found.status_text, found.speed) == (OrderStatus.UNKNOWN, "AwaitingDrone", None)
    assert not found.status.is_final
    assert [each["word"] for each in logs if each["event"] == "amazon_sp_unknown_word"] == ["AwaitingDrone", "Drone"]


async def test_shipments_and_packages_are_read_with_both_numbers(scene: Scene) -> None:
    await scene.amazon.outbound.create(an_order())
    scene.strict.orders[ID]["fulfillmentShipments"] = [
        {
            "amazonShipmentId": "D1",
            "fulfillmentCenterId": "PHX5",
            "fulfillmentShipmentStatus": "CancelledByFulfiller",
            "fulfillmentShipmentItem": [
                {"sellerSku": "EF-CTR/SPN 10", "sellerFulfillmentOrderItemId": "576461413038785753", "quantity": 2}
            ],
        },
        {
            "amazonShipmentId": "D2",
            "fulfillmentShipmentStatus": "SHIPPED",
            "shippingDate": "2026-11-21T08:00:00Z",
            "fulfillmentShipmentItem": [
                {
                    "sellerSku": "EF-CTR/SPN 10",
                    "sellerFulfillmentOrderItemId": "576461413038785753",
                    "quantity": 2,
                    "packageNumber": 9,
                }
            ],
            "fulfillmentShipmentPackage": [
                {"packageNumber": 9, "carrierCode": "AMZN_US", "amazonFulfillmentTrackingNumber": "AFTN1"}
            ],
        },
    ]
    first, second = (await scene.amazon.outbound.get(ID)).shipments
    assert (first.status, first.packages) == (ShipmentStatus.CANCELLED_BY_FULFILLER, ())
    (package,) = second.packages
    assert (package.number, package.tracking_number, package.amazon_tracking_number) == (9, "", "AFTN1")
    assert second.items[0].package_number == 9


async def test_a_shipment_without_what_is_needed_is_no_answer_and_says_what_lacks(scene: Scene) -> None:
    await scene.amazon.outbound.create(an_order())
    scene.strict.orders[ID]["fulfillmentShipments"] = [{"amazonShipmentId": "D1"}]
    with pytest.raises(VendorUnavailable, match=r"lacks fulfillmentShipments\.0\.fulfillmentShipmentStatus"):
        await scene.amazon.outbound.get(ID)


async def test_the_list_is_read_page_by_page(scene: Scene) -> None:
    head = {"sellerFulfillmentOrderId": ID, "fulfillmentOrderStatus": "Complete", "marketplaceId": "31060"}
    scene.strict.answers[ORDERS] = {"payload": {"fulfillmentOrders": [head], "nextToken": "a+b/c=="}}
    since = datetime(2026, 11, 20, 18, tzinfo=UTC)
    page = await scene.amazon.outbound.changed(since)
    assert ([each.order_id for each in page.orders], page.next_token) == ([ID], "a+b/c==")
    assert page.orders[0].destination is None
    await scene.amazon.outbound.changed(since, page.next_token)
    asked = parse_qs(urlsplit(scene.vendor.seen[-1].raw_path).query)
    assert asked == {"queryStartDate": ["2026-11-20T18:00:00Z"], "nextToken": ["a+b/c=="]}


async def test_a_parcel_is_in_transit_from_its_first_scan_and_delivered_at_the_door(scene: Scene) -> None:
    scene.strict.answers["/fba/outbound/2020-07-01/tracking"] = {
        "payload": {
            "packageNumber": 9,
            "trackingNumber": "TBA1",
            "carrierCode": "Amazon Logistics",
            "currentStatus": "DELIVERED",
            "shipToAddress": {"city": "Canaryville", "state": "OR", "country": "US"},
            "signedForBy": "Wilhelmina",
            "trackingEvents": [
                {"eventDate": "2026-11-23T15:00:00Z", "eventCode": "EVENT_301"},
                {"eventDate": "2026-11-22T09:00:00Z", "eventCode": "EVENT_202"},
                {"eventDate": "2026-11-22T04:00:00Z", "eventCode": "EVENT_102"},
                {"eventDate": "2026-11-21T22:00:00Z", "eventCode": "EVENT_101"},
            ],
        }
    }
    found = await scene.amazon.outbound.track(9)
    assert found.status is PackageStatus.DELIVERED
    assert found.in_transit_time == datetime(2026, 11, 22, 4, tzinfo=UTC)
    assert found.delivered_time == datetime(2026, 11, 23, 15, tzinfo=UTC)
    assert_not_recorded(scene, "Wilhelmina", "Canaryville")


async def test_a_preview_says_what_each_speed_costs_and_why_one_is_not_possible(scene: Scene) -> None:
    money = {"currencyCode": "USD", "value": "7.25"}
    scene.strict.answers[f"{ORDERS}/preview"] = {
        "payload": {
            "fulfillmentPreviews": [
                {
                    "shippingSpeedCategory": "Standard",
                    "isFulfillable": True,
                    "estimatedFees": [{"name": "FBAPerUnitFulfillmentFee", "amount": money}],
                    "fulfillmentPreviewShipments": [
                        {"latestShipDate": "2026-11-21T08:00:00Z", "earliestArrivalDate": "2026-11-23T08:00:00Z"}
                    ],
                },
                {
                    "shippingSpeedCategory": "Priority",
                    "isFulfillable": False,
                    "orderUnfulfillableReasons": ["DeliverySLAUnavailable"],
                    "unfulfillablePreviewItems": [{"sellerSku": "A", "itemUnfulfillableReasons": ["Short"]}],
                },
                {"shippingSpeedCategory": "ScheduledDelivery", "isFulfillable": True},
            ]
        }
    }
    standard, priority = await scene.amazon.outbound.preview(US, BUYER, [Item("1", "A", 1)], list(Speed))
    assert standard.fees == (Fee("FBAPerUnitFulfillmentFee", Decimal("7.25"), "USD"),)
    assert priority.order_problems == ("DeliverySLAUnavailable",)
    assert priority.item_problems == (("A", ("Short",)),)
    assert_not_recorded(scene, *PERSONAL)


async def test_nothing_of_a_buyer_is_in_records_errors_and_logs_even_when_amazon_repeats_it(scene: Scene) -> None:
    async def repeats(_request: web.BaseRequest) -> web.StreamResponse:
        to = f"Wilhelmina Canary, Canary Wharf 17, Canaryville OR 97205, +15035550147 {BUYER.name}"
        return error(400, "InvalidInput", f"Bad: {to}", details=to)

    with capture_logs() as logs:
        await scene.amazon.outbound.create(an_order())
        await scene.amazon.outbound.get(ID)
        scene.vendor.then(repeats)
        with pytest.raises(VendorError) as refusal:
            await scene.amazon.outbound.create(an_order("TTS-2"))
    assert_not_recorded(scene, *PERSONAL)
    for text in (repr(logs), str(refusal.value), refusal.value.vendor_message, repr(an_order())):
        assert not [word for word in PERSONAL if word in text]
    assert refusal.value.vendor_message.startswith("Bad: [redacted]")


def assert_not_recorded(scene: Scene, *texts: str) -> None:
    kept = repr(scene.records)
    assert scene.records
    assert not [text for text in texts if text in kept]
