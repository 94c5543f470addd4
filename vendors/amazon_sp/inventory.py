"""What Amazon has of a merchant's SKUs: FBA inventory v1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kit.vendor_errors import VendorRejected, VendorUnavailable
from vendors.amazon_sp import operations
from vendors.amazon_sp.answers import Count, Id, ListOf, Model, Moment, Words
from vendors.amazon_sp.calls import Access, Calls, Request

MAX_SKUS = 50  # in one call


@dataclass(frozen=True)
class SkuStock:
    """Units of one SKU. `fulfillable` can be sent now; what is inbound, and `total`, must never be sold."""

    sku: str
    fnsku: str
    asin: str
    title: str
    condition: str
    fulfillable: int
    reserved: int
    inbound: int
    unfulfillable: int
    researching: int
    total: int
    # When Amazon last changed the figures; None where it does not say.
    update_time: datetime | None


class _Reserved(Model):
    total_reserved_quantity: Count = 0


class _Researching(Model):
    total_researching_quantity: Count = 0


class _Unfulfillable(Model):
    total_unfulfillable_quantity: Count = 0


class _Details(Model):
    fulfillable_quantity: Count = 0
    inbound_working_quantity: Count = 0
    inbound_shipped_quantity: Count = 0
    inbound_receiving_quantity: Count = 0
    reserved_quantity: _Reserved | None = None
    researching_quantity: _Researching | None = None
    unfulfillable_quantity: _Unfulfillable | None = None


class _Summary(Model):
    seller_sku: Id
    fn_sku: Words = ""
    asin: Words = ""
    product_name: Words = ""
    condition: Words = ""
    total_quantity: Count = 0
    last_updated_time: Moment = None
    # Asked for: without it nothing is known of what can be sent.
    inventory_details: _Details


class _Payload(Model):
    inventory_summaries: ListOf[_Summary] = ()


class _Pagination(Model):
    next_token: Words = ""


class _Answer(Model):
    payload: _Payload
    pagination: _Pagination | None = None


class Inventory:
    """The stock of one merchant."""

    def __init__(self, calls: Calls, access: Access) -> None:
        self._calls = calls
        self._access = access

    async def all(self, marketplace_id: str, *, changed_since: datetime | None = None) -> tuple[SkuStock, ...]:
        """Every SKU, or those whose figures changed at this instant or later, at most 18 months back.

        Read page by page in one go, for Amazon's way to the next page is good for 30 seconds: about two pages a second,
        each of some 50 SKUs. VendorUnavailable when it took too long; then it is begun again.
        """
        query = _query(marketplace_id)
        if changed_since is not None:
            query["startDateTime"] = changed_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = dict[str, SkuStock]()
        token = ""
        while True:
            try:
                answer = await self._ask(query | ({"nextToken": token} if token else {}))
            except VendorRejected as refusal:
                if not token:
                    raise
                raise VendorUnavailable(
                    "Amazon no longer knows the way to the next page.",
                    sent=True,
                    vendor="amazon_sp",
                    operation=operations.INVENTORY.name,
                    code="next_page_lost",
                    status=refusal.status,
                    log_id=refusal.log_id,
                    advice="Read the stock again from its beginning.",
                ) from None
            # A SKU that moves to a later page while they are read has its newer figures there.
            found |= {each.seller_sku: _stock(each) for each in answer.payload.inventory_summaries}
            next_token = answer.pagination.next_token if answer.pagination else ""
            if not next_token or next_token == token:
                return tuple(found.values())
            token = next_token

    async def of(self, marketplace_id: str, skus: Sequence[str]) -> tuple[SkuStock, ...]:
        """These SKUs. Those that Amazon does not have are missing."""
        # A list is parted by commas, so a SKU with one in it is asked for alone.
        listed = [sku for sku in dict.fromkeys(skus) if "," not in sku]
        groups = [{"sellerSkus": ",".join(listed[at : at + MAX_SKUS])} for at in range(0, len(listed), MAX_SKUS)]
        groups += [{"sellerSku": sku} for sku in dict.fromkeys(skus) if "," in sku]
        found = list[SkuStock]()
        for group in groups:
            answer = await self._ask(_query(marketplace_id) | group)
            found += [_stock(each) for each in answer.payload.inventory_summaries]
        return tuple(found)

    async def _ask(self, query: Mapping[str, str]) -> _Answer:
        return await self._calls.ask(self._access, Request(operation=operations.INVENTORY, query=query), _Answer.read)


def _query(marketplace_id: str) -> dict[str, str]:
    return {
        "details": "true",
        "granularityType": "Marketplace",
        "granularityId": marketplace_id,
        "marketplaceIds": marketplace_id,
    }


def _stock(summary: _Summary) -> SkuStock:
    details = summary.inventory_details
    reserved, unfulfillable, researching = (
        details.reserved_quantity,
        details.unfulfillable_quantity,
        details.researching_quantity,
    )
    return SkuStock(
        sku=summary.seller_sku,
        fnsku=summary.fn_sku,
        asin=summary.asin,
        title=summary.product_name,
        condition=summary.condition,
        fulfillable=details.fulfillable_quantity,
        reserved=reserved.total_reserved_quantity if reserved else 0,
        inbound=(
            details.inbound_working_quantity + details.inbound_shipped_quantity + details.inbound_receiving_quantity
        ),
        unfulfillable=unfulfillable.total_unfulfillable_quantity if unfulfillable else 0,
        researching=researching.total_researching_quantity if researching else 0,
        total=summary.total_quantity,
        update_time=summary.last_updated_time,
    )
