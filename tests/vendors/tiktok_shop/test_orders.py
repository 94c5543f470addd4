"""Orders, packages and buyers' requests as they are read: leniently where they vary, strictly where it matters."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from traceback import format_exception
from typing import Any

import pytest
from pydantic import ValidationError

from kit.vendor_errors import VendorUnavailable
from kit.vendor_json import UnreadableAnswer
from tests.vendors.fake_vendor import answers
from tests.vendors.tiktok_shop.conftest import SHOP, Scene
from tests.vendors.tiktok_shop.endpoints import ORDER, PACKAGE
from vendors.tiktok_shop.aftersales import AftersaleFilter, CancelStatus
from vendors.tiktok_shop.order_models import FulfillmentType, Order, OrderStatus, ShippingType, order
from vendors.tiktok_shop.orders import OrderFilter, OrderSort
from vendors.tiktok_shop.package_models import Handover, PackageStatus, SelfShipment
from vendors.tiktok_shop.packages import PackageFilter
from vendors.tiktok_shop.values import Money, is_masked

pytestmark = pytest.mark.anyio
EXAMPLE: dict[str, Any] = {
    "id": ORDER,
    "status": "AWAITING_SHIPMENT",
    "user_id": "7021436810468230477",
    "buyer_email": "canary@scs2.tiktok.com",
    "buyer_message": "canary: leave it at the door",
    "create_time": 1764000000,
    "update_time": "1764000300",
    "paid_time": 0,
    "rts_sla_time": 1764172800,
    "is_buyer_request_cancel": False,
    "is_on_hold_order": False,
    "is_cod": True,
    "fulfillment_type": "FULFILLMENT_BY_SELLER",
    "shipping_type": "SELLER",
    "delivery_option_id": 7091146663229654785,
    "warehouse_id": "6955005333819123456",
    "packages": [{"id": PACKAGE}],
    "payment": {"currency": "USD", "total_amount": "21.47", "sub_total": "19.98", "tax": "1.49", "shipping_fee": "0"},
    "recipient_address": {
        "name": "Canary Doe",
        "phone_number": "(+1)555-canary",
        "address_line1": "1 Canary Street",
        "address_line2": "",
        "postal_code": "90210",
        "region_code": "US",
        "district_info": [
            {"address_level": "L2", "address_level_name": "County", "address_name": "Los Angeles"},
            {"address_level": "L0", "address_level_name": "Country", "address_name": "United States", "iso_code": "US"},
            {"address_level": "L1", "address_level_name": "State", "address_name": "California"},
        ],
    },
    "line_items": [
        {
            "id": 576461413038785753,
            "product_id": "1729382476852921560",
            "product_name": "Air fryer",
            "sku_id": "1729382476852920801",
            "seller_sku": "",
            "currency": "USD",
            "original_price": "12.99",
            "sale_price": "9.99",
            "is_gift": "false",
            "combined_listing_skus": [
                {"product_id": "1", "sku_id": 2, "seller_sku": "EMB-2", "sku_count": 3},
                {"sku_id": "4"},
            ],
        }
    ],
    "a_field_of_next_year": {"x": 1},
}


def example(**changes: Any) -> Order:
    return order(json.loads(json.dumps(EXAMPLE | changes)))


def test_an_order_is_read_with_exact_money_and_ids_that_keep_their_digits() -> None:
    read = example()
    assert (read.id, read.status, read.fulfillment_type) == (
        ORDER,
        OrderStatus.AWAITING_SHIPMENT,
        FulfillmentType.BY_SELLER,
    )
    assert (read.shipping_type, read.is_cod, read.package_ids) == (ShippingType.SELLER, True, (PACKAGE,))
    assert read.delivery_option_id == "7091146663229654785"
    assert read.update_time == datetime(2025, 11, 24, 16, 5, tzinfo=UTC)
    assert read.paid_time is None
    assert read.payment is not None
    assert read.payment.total == Money(Decimal("21.47"), "USD")
    (item,) = read.line_items
    assert (item.id, item.sale_price) == ("576461413038785753", Money(Decimal("9.99"), "USD"))
    assert item.is_gift is False
    assert [(each.sku_id, each.count) for each in item.combined_skus] == [("2", 3), ("4", 1)]
    assert read.raw["a_field_of_next_year"] == {"x": 1}


def test_a_district_is_found_by_its_level_and_not_by_its_place() -> None:
    address = example().recipient_address
    assert address is not None
    assert [address.district(level) for level in ("L0", "L1", "L2", "L3")] == [
        "United States",
        "California",
        "Los Angeles",
        "",
    ]


@pytest.mark.parametrize(
    ("changes", "masked"),
    [
        ({}, False),
        ({"name": "C*** D**"}, True),
        ({"phone_number": ""}, True),
        ({"address_line1": "", "address_detail": "", "full_address": "1 C*****"}, True),
        ({"address_line1": "", "full_address": "1 Canary Street"}, False),
    ],
)
def test_an_address_that_is_hidden_is_known_as_such(changes: dict[str, str], masked: bool) -> None:
    address = example(recipient_address=EXAMPLE["recipient_address"] | changes).recipient_address
    assert address is not None
    assert address.is_masked is masked


@pytest.mark.parametrize(("value", "masked"), [("Jo* D**", True), ("", True), (" ", True), ("Jo Doe", False)])
def test_a_masked_text_has_stars_or_nothing(value: str, masked: bool) -> None:
    assert is_masked(value) is masked


def test_a_buyers_data_is_in_no_repr() -> None:
    read = example()
    assert "canary" not in f"{read!r} {read.recipient_address!r} {read.line_items!r}".lower()
    assert read.buyer_user_id not in repr(read)


@pytest.mark.parametrize(("word", "status"), [("CANCEL", OrderStatus.CANCELLED), ("BRAND_NEW", OrderStatus.UNKNOWN)])
def test_a_word_that_is_not_known_is_never_one_that_ships(word: str, status: OrderStatus) -> None:
    read = example(status=word, fulfillment_type="BY_ROBOT", shipping_type="")
    assert (read.status, read.fulfillment_type, read.shipping_type) == (
        status,
        FulfillmentType.UNKNOWN,
        ShippingType.UNKNOWN,
    )


def test_an_unpaid_order_has_no_address_yet() -> None:
    assert example(status="UNPAID", recipient_address={}).recipient_address is None


@pytest.mark.parametrize(
    "data",
    [
        {"orders": [{"status": "UNPAID"}]},
        {"orders": [{"id": ORDER}]},
        {"orders": [EXAMPLE | {"line_items": [{"id": "1"}]}]},
        {"orders": [None]},
        {"orders": "none"},
        [],
    ],
)
async def test_an_order_that_lacks_what_it_needs_is_not_passed_over(scene: Scene, data: Any) -> None:
    scene.vendor.otherwise = answers({"code": 0, "data": data})
    with pytest.raises(VendorUnavailable, match="could not be read"):
        await scene.client.orders.get(SHOP, (ORDER,))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"id": None}, "id"),
        ({"status": 5}, "status"),
        ({"packages": [{}]}, "id"),
        ({"line_items": [EXAMPLE["line_items"][0] | {"sku_id": 1.5}]}, "sku_id"),
        ({"line_items": [EXAMPLE["line_items"][0] | {"combined_listing_skus": [{}]}]}, "sku_id"),
    ],
)
async def test_what_lacks_is_named_and_nothing_else_is_told(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        example(**changes)
    assert str(caught.value) == name
    assert "canary" not in "".join(format_exception(caught.value)).lower()


def test_fields_of_another_kind_are_empty_and_the_answer_is_kept_as_it_came() -> None:
    odd = {"cancel_reason": 5, "create_time": "soon", "is_cod": "yes", "delivery_option_id": 1.5, "packages": "none"}
    read = example(**odd, payment=[], line_items=[None])
    assert (read.cancel_reason, read.create_time, read.is_cod, read.delivery_option_id) == ("", None, False, "")
    assert (read.package_ids, read.payment, read.line_items) == ((), None, ())
    assert read.raw == EXAMPLE | odd | {"payment": [], "line_items": [None]}


def test_orders_are_alike_that_say_the_same_of_what_we_know() -> None:
    assert example() == example(a_field_of_next_year=2)
    assert example() != example(status="IN_TRANSIT")
    with pytest.raises(ValidationError, match="frozen"):
        example().status = OrderStatus.UNKNOWN  # type: ignore[misc]


async def test_pages_follow_each_other_by_their_tokens(scene: Scene) -> None:
    page = await scene.client.orders.search(SHOP, OrderFilter(), page_size=1, sort=OrderSort.CREATE_TIME)
    assert (len(page.items), page.next_page_token, page.total_count) == (1, "p+/=2", 2)
    scene.shop.answers("/order/202309/orders/search", {"orders": [], "next_page_token": ""})
    last = await scene.client.orders.search(SHOP, OrderFilter(), page_size=1, page_token=page.next_page_token)
    assert (last.items, last.next_page_token, last.total_count) == ((), "", None)
    assert "page_token=p%2B%2F%3D2&" in scene.vendor.seen[1].raw_path


async def test_an_empty_answer_is_an_empty_list(scene: Scene) -> None:
    scene.shop.answers("/order/202507/orders", None)
    assert await scene.client.orders.get(SHOP, (ORDER,)) == ()


@pytest.mark.parametrize("count", [0, 51])
async def test_one_to_fifty_orders_are_asked_for_at_once(scene: Scene, count: int) -> None:
    with pytest.raises(ValueError, match="1 to 50"):
        await scene.client.orders.get(SHOP, [str(number) for number in range(count)])


async def test_a_buyers_data_is_in_no_record(scene: Scene) -> None:
    scene.vendor.then(answers({"code": 0, "message": "Success", "request_id": "1", "data": {"orders": [EXAMPLE]}}))
    await scene.client.orders.get(SHOP, [ORDER])
    (record,) = scene.records
    written = json.dumps(record.answer)
    assert "canary" not in written.lower()
    for hidden in (EXAMPLE["user_id"], "90210", "Los Angeles"):
        assert hidden not in written
    assert all(shown in written for shown in ("AWAITING_SHIPMENT", "Air fryer", "21.47"))


async def test_shipping_answers_the_package_and_what_to_be_warned_of(scene: Scene) -> None:
    shipment = SelfShipment("1Z999", "71178")
    shipped = await scene.client.packages.mark_shipped(SHOP, ORDER, shipment)
    assert (shipped.package_id, shipped.warning) == (PACKAGE, "late")
    assert scene.shop.bodies == [{"tracking_number": "1Z999", "shipping_provider_id": "71178"}]
    assert scene.records[0].handle == ORDER


async def test_a_package_is_shipped_by_the_seller_picked_up_or_dropped_off(scene: Scene) -> None:
    at = datetime(2026, 11, 24, 16, tzinfo=UTC)
    for how in (SelfShipment("1Z999", "71178"), Handover(at, at), Handover()):
        assert (await scene.client.packages.ship(SHOP, PACKAGE, how)).package_id == ""
    assert scene.shop.bodies == [
        {"self_shipment": {"tracking_number": "1Z999", "shipping_provider_id": "71178"}},
        {"handover_method": "PICKUP", "pickup_slot": {"start_time": 1795536000, "end_time": 1795536000}},
        {"handover_method": "DROP_OFF"},
    ]


async def test_a_package_is_read_from_its_detail_and_from_a_search(scene: Scene) -> None:
    detail = await scene.client.packages.get(SHOP, PACKAGE)
    assert (detail.id, detail.status, detail.order_ids, detail.line_item_ids) == (
        PACKAGE,
        PackageStatus.PROCESSING,
        (ORDER,),
        ("1", "2"),
    )
    (found,) = (await scene.client.packages.search(SHOP, PackageFilter())).items
    assert (found.id, found.status) == (PACKAGE, PackageStatus.COMPLETED)


async def test_a_way_is_told_in_milliseconds_and_a_label_by_an_address_that_no_repr_has(scene: Scene) -> None:
    (event,) = await scene.client.packages.tracking(SHOP, ORDER)
    assert event.time == datetime(2025, 11, 24, 16, 0, 0, 123_000, tzinfo=UTC)
    label = await scene.client.packages.document(SHOP, PACKAGE)
    assert label.url.startswith("https://labels.example/")
    assert "canary" not in repr(label)


async def test_the_rest_of_what_shipping_needs_is_read(scene: Scene) -> None:
    (service,) = await scene.client.packages.shipping_services(SHOP, ORDER)
    assert (service.id, service.price) == ("s1", Money(Decimal("4.10"), "USD"))
    (warehouse,) = await scene.client.logistics.warehouses(SHOP)
    assert (warehouse.id, warehouse.is_default, warehouse.type) == ("7000", True, "SALES_WAREHOUSE")
    (option,) = await scene.client.logistics.delivery_options(SHOP, warehouse.id)
    (provider,) = await scene.client.logistics.shipping_providers(SHOP, option.id)
    assert (provider.id, provider.name) == ("9000", "UPS")


async def test_a_buyers_request_has_a_deadline_and_either_spelling_of_withdrawn(scene: Scene) -> None:
    (request,) = (await scene.client.aftersales.cancellations(SHOP, AftersaleFilter())).items
    assert request.status is CancelStatus.WITHDRAWN is CancelStatus("CANCELLATION_REQUEST_CANCEL")
    assert (request.id, request.order_id, request.line_item_ids) == ("4035", ORDER, ("57646",))
    assert request.refund == Money(Decimal("9.99"), "USD")
    assert request.next_actions[0].deadline == datetime(2025, 11, 24, 16, tzinfo=UTC)
    (back,) = (await scene.client.aftersales.returns(SHOP, AftersaleFilter())).items
    assert (back.id, back.status) == ("4036", "AWAITING_BUYER_SHIP")


async def test_the_answer_to_a_request_goes_with_its_idempotency_key(scene: Scene) -> None:
    await scene.client.aftersales.reject_cancellation(SHOP, "4035", "sent", idempotency_key="k-1")
    assert "idempotency_key=k-1&" in scene.vendor.seen[0].raw_path
    assert scene.shop.bodies == [{"reject_reason": "sent"}]
