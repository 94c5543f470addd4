"""The client against the platform sandbox: two parts written from the same documents must agree."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorNotFound,
    VendorRateLimited,
    VendorRejected,
    VendorUncertain,
)
from tests.vendors.amazon_sp.conftest import BUYER, an_order, config_of
from vendors.amazon_sp.calls import Access
from vendors.amazon_sp.catalog import CodeKind
from vendors.amazon_sp.client import Amazon, AmazonSpClient
from vendors.amazon_sp.marketplaces import Region
from vendors.amazon_sp.outbound import Item, OrderStatus, PackageStatus, ShipmentStatus, Speed

pytestmark = pytest.mark.anyio
US = "ATVPDKIKX0DER"
SKU, REFRESH = "EF-CTR-SPN-10", "Atzr|sandbox-emberfold"
ID = "TTS-576461413038785752-1"


@dataclass
class Scene:
    """A connected seller on a reset sandbox whose clock stands still, and the client that calls for it."""

    client: AmazonSpClient
    http: httpx.AsyncClient
    access: Access

    @property
    def amazon(self) -> Amazon:
        return self.client.of(self.access)

    async def control(self, method: str, path: str, **body: Any) -> Any:
        answer = await self.http.request(method, f"/control{path}", json=body if method != "GET" else None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def fault(self, endpoint: str, mode: str, **more: Any) -> None:
        await self.control("POST", "/faults", endpoint=f"amazon_sp.{endpoint}", mode=mode, **more)


@pytest.fixture
async def scene(address: str) -> AsyncIterator[Scene]:
    config = config_of(
        address,
        client_id="amzn1.application-oa2-client.sandbox",
        client_secret=SecretStr("amzn1.oa2-cs.v1.sandbox"),
        max_tries=1,
    )
    async with (
        httpx.AsyncClient(base_url=address, timeout=10, trust_env=False) as http,
        AmazonSpClient(config) as client,
    ):
        for path in ("reset", "clock/freeze"):
            await http.post(f"/control/{path}")
        grant = await client.lwa.refresh(REFRESH)
        yield Scene(client, http, Access(grant.access_token, "A2SELLER", Region.NA))


def order(order_id: str = ID, **changes: Any) -> Any:
    return an_order(order_id, items=(Item("line-1", SKU, 1),), **changes)


@pytest.mark.parametrize("spelling", ["model", "notifications", "upper"])
async def test_r27_an_order_goes_from_its_creation_to_the_door(scene: Scene, spelling: str) -> None:
    await scene.control("PATCH", "/amazon_sp/settings", status_spelling=spelling)
    outbound = scene.amazon.outbound
    previews = await outbound.preview(US, BUYER, [Item("line-1", SKU, 1)], [Speed.STANDARD, Speed.EXPEDITED])
    assert [each.speed for each in previews if each.is_fulfillable] == [Speed.STANDARD, Speed.EXPEDITED]
    standard, expedited = (sum(fee.amount for fee in each.fees if fee.currency == "USD") for each in previews)
    assert 0 < standard < expedited
    await outbound.create(order())
    found = await outbound.get(ID)
    assert (found.status, found.destination) == (OrderStatus.NEW, BUYER)
    for _ in range(10):
        if found.status is OrderStatus.COMPLETE:
            break
        await scene.control("POST", f"/amazon_sp/orders/emberfold/{ID}/advance")
        found = await outbound.get(ID)
    assert found.status is OrderStatus.COMPLETE
    (shipment,) = found.shipments
    (package,) = shipment.packages
    assert shipment.status is ShipmentStatus.SHIPPED
    assert package.tracking_number
    await scene.control("POST", f"/amazon_sp/packages/{package.number}/end", delivery="delivered")
    way = await outbound.track(package.number)
    assert way.status is PackageStatus.DELIVERED
    assert way.in_transit_time
    assert way.delivered_time
    assert way.in_transit_time <= way.delivered_time


async def test_r27_lost_answers_and_late_errors_of_a_creation_are_settled_by_reading(scene: Scene) -> None:
    outbound = scene.amazon.outbound
    for number, mode in enumerate(("lost_reply", "late_error")):
        order_id = f"TTS-1-{number}"
        await scene.fault("createFulfillmentOrder", mode, count=1)
        with pytest.raises(VendorUncertain):
            await outbound.create(order(order_id))
        assert (await outbound.get(order_id)).order_id == order_id
    for number, mode in enumerate(("reset", "error")):
        order_id = f"TTS-2-{number}"
        await scene.fault("createFulfillmentOrder", mode, count=1)
        with pytest.raises(VendorUncertain):
            await outbound.create(order(order_id))
        with pytest.raises(VendorNotFound):
            await outbound.get(order_id)
    with pytest.raises(VendorRejected):
        await outbound.create(order("TTS-1-0"))


async def test_a_canceled_order_is_read_as_such_and_one_that_is_packed_goes_on(scene: Scene) -> None:
    outbound = scene.amazon.outbound
    await outbound.create(order())
    await outbound.cancel(ID)
    await scene.control("POST", "/clock/advance", seconds=1)
    found = await outbound.get(ID)
    assert (found.status, found.items[0].cancelled) == (OrderStatus.CANCELLED, 1)
    await outbound.create(order("TTS-2"))
    await scene.control("POST", "/clock/advance", seconds=600)
    with pytest.raises(VendorRejected):
        await outbound.cancel("TTS-2")


@pytest.mark.parametrize("spelling", ["model", "missing", "number"])
async def test_changed_orders_are_listed_page_by_page_whatever_is_said_of_their_marketplace(
    scene: Scene, spelling: str
) -> None:
    await scene.control("PATCH", "/amazon_sp/settings", page_size=2, marketplace_spelling=spelling)
    for number in range(5):
        await scene.amazon.outbound.create(order(f"TTS-{number}"))
    found, token = list[str](), ""
    since = (await scene.amazon.outbound.get("TTS-0")).status_update_time
    assert since
    while True:
        page = await scene.amazon.outbound.changed(since - timedelta(seconds=1), token)
        found += [each.order_id for each in page.orders]
        token = page.next_token
        if not token:
            break
    assert found == [f"TTS-{number}" for number in range(5)]


async def test_what_beyond_the_rate_is_refused_is_waited_for(scene: Scene) -> None:
    await scene.control("PATCH", "/amazon_sp/settings", rates={"createFulfillmentOrder": [1, 1]})
    await scene.amazon.outbound.create(order("TTS-1"))
    with pytest.raises(VendorRateLimited) as limited:
        await scene.amazon.outbound.create(order("TTS-2"))
    # Amazon said the rate with the first answer's header, and one token takes a second then.
    assert 0.5 <= limited.value.retry_after_seconds < 2
    assert limited.value.log_id


async def test_tokens_end_are_refused_and_are_revoked(scene: Scene) -> None:
    await scene.control("POST", "/amazon_sp/sellers/emberfold/expire-tokens")
    with pytest.raises(VendorAccountProblem) as expired:
        await scene.amazon.outbound.changed(datetime.now(UTC))
    assert expired.value.remedy is AccountRemedy.REFRESH
    grant = await scene.client.lwa.refresh(REFRESH)
    renewed = replace(scene.access, token=grant.access_token)
    await scene.client.of(renewed).outbound.changed(datetime.now(UTC))
    await scene.control("POST", "/amazon_sp/secret", secret="another", old_good_seconds=0)
    with pytest.raises(VendorRejected):
        await scene.client.lwa.refresh(REFRESH)
    await scene.control("POST", "/amazon_sp/secret", secret="amzn1.oa2-cs.v1.sandbox", old_good_seconds=0)
    await scene.control("POST", "/amazon_sp/sellers/emberfold/revoke")
    with pytest.raises(VendorAccountProblem) as revoked:
        await scene.client.lwa.refresh(REFRESH)
    assert revoked.value.remedy is AccountRemedy.RECONNECT


async def test_stock_is_read_whole_by_sku_and_by_change(scene: Scene) -> None:
    await scene.control("PATCH", "/amazon_sp/settings", page_size=3, stock_seconds=0)
    whole = await scene.amazon.inventory.all(US)
    assert len(whole) > 3
    assert len({each.sku for each in whole}) == len(whole)
    (one,) = await scene.amazon.inventory.of(US, [SKU, "no-such-sku"])
    assert one in whole
    assert one.update_time
    await scene.control("POST", "/clock/advance", seconds=60)
    await scene.control("PUT", f"/amazon_sp/stock/emberfold/{SKU}", fulfillable=one.fulfillable + 5)
    (changed,) = await scene.amazon.inventory.all(US, changed_since=one.update_time + timedelta(seconds=1))
    assert (changed.sku, changed.fulfillable) == (SKU, one.fulfillable + 5)


async def test_barcodes_lead_to_products(scene: Scene) -> None:
    codes = [each["barcode"] for each in await scene.control("GET", "/amazon_sp/stock/emberfold") if each["barcode"]]
    found = await scene.amazon.catalog.with_codes(US, CodeKind.EAN, codes[:1])
    assert [each.codes for each in found] == [(codes[0],)]
    assert found[0].title


async def test_a_sleeping_account_and_a_missing_role_say_what_they_are(scene: Scene) -> None:
    await scene.control("PATCH", "/amazon_sp/settings", denied_operations=["getInventorySummaries"])
    with pytest.raises(VendorRejected, match="Product Listing"):
        await scene.amazon.inventory.of(US, [SKU])
    await scene.control("PATCH", "/amazon_sp/sellers/emberfold", dormant=True)
    with pytest.raises(VendorRejected) as asleep:
        await scene.amazon.outbound.changed(datetime.now(UTC))
    assert "not active" in asleep.value.vendor_message
