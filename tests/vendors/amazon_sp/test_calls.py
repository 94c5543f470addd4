"""How calls are made: tokens, rates and what Amazon says of them, Login with Amazon, signatures."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pydantic import SecretStr, ValidationError

from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
)
from tests.vendors.amazon_sp.conftest import Scene, an_order, client_of, config_of
from tests.vendors.amazon_sp.strict_amazon import REFRESH, SECRET, TOKEN, US, StrictAmazon, error
from tests.vendors.fake_vendor import Behaviour, FakeVendor, JumpingClock, answers, answers_bytes
from vendors.amazon_sp.calls import Access
from vendors.amazon_sp.marketplaces import MARKETPLACES, Region

pytestmark = pytest.mark.anyio
ID = "TTS-1"
DENIED = "Access to requested resource is denied."


def says(status: int, code: str, message: str = "", details: str = "", **headers: str) -> Behaviour:
    async def behave(_request: web.BaseRequest) -> web.StreamResponse:
        return error(status, code, message, headers, details)

    return behave


async def test_the_rate_is_kept_whole_and_a_place_is_left_for_calls_that_overtake_others(scene: Scene) -> None:
    await scene.amazon.outbound.create(an_order(ID))
    begin = scene.clock.now
    for _ in range(29 + 20):
        await scene.amazon.outbound.get(ID)
    assert scene.clock.now - begin == pytest.approx(10)


async def test_two_kinds_of_call_and_two_sellers_do_not_wait_for_each_other(scene: Scene) -> None:
    await scene.amazon.outbound.create(an_order(ID))
    other = scene.client.of(Access(TOKEN, "A2OTHER", Region.NA))
    begin = scene.clock.now
    for _ in range(29):
        await scene.amazon.outbound.get(ID)
    await other.outbound.get(ID)
    await scene.amazon.outbound.cancel(ID)
    assert scene.clock.now == begin


@pytest.mark.parametrize(("said", "seconds"), [("4.0", 5), ("0.5", 40), ("soon", 10), ("0", 10), ("-1", 10)])
async def test_the_rate_that_amazon_says_takes_the_place_of_the_documented_one(
    scene: Scene, said: str, seconds: float
) -> None:
    scene.strict.headers["x-amzn-RateLimit-Limit"] = said
    await scene.amazon.outbound.create(an_order(ID))
    for _ in range(40):
        await scene.amazon.outbound.get(ID)
    begin = scene.clock.now
    for _ in range(20):
        await scene.amazon.outbound.get(ID)
    assert scene.clock.now - begin == pytest.approx(seconds)


async def test_a_rate_that_was_set_by_hand_holds_whatever_amazon_says() -> None:
    async with FakeVendor.running() as vendor:
        vendor.otherwise = strict = StrictAmazon(headers={"x-amzn-RateLimit-Limit": "9.0"})
        clock = JumpingClock()
        config = config_of(vendor.url, rates={"cancelFulfillmentOrder": (1, 2)})
        async with client_of(config, clock, []) as client:
            strict.orders[ID] = {}
            for _ in range(11):
                await client.of(Access(TOKEN, "A2SELLER", Region.NA)).outbound.cancel(ID)
    assert clock.now == 1_010


async def test_a_429_rests_the_whole_bucket_and_each_further_one_twice_as_long(scene: Scene) -> None:
    await scene.amazon.outbound.create(an_order(ID))
    scene.clock.now += 100
    scene.vendor.then(*(says(429, "QuotaExceeded", "You exceeded your quota.") for _ in range(3)))
    begin = scene.clock.now
    with pytest.raises(VendorRateLimited):
        await scene.amazon.outbound.create(an_order("TTS-2"))
    waits = []
    for number in (2, 2, 2):
        before = scene.clock.now
        with contextlib.suppress(VendorRateLimited):
            await scene.amazon.outbound.create(an_order(f"TTS-{number}"))
        waits.append(scene.clock.now - before)
    assert waits == [pytest.approx(0.5), pytest.approx(1), pytest.approx(2)]
    # What was refused was not done, and other kinds of calls went on.
    assert sorted(scene.strict.orders) == [ID, "TTS-2"]
    await scene.amazon.outbound.get(ID)
    assert scene.clock.now - begin == pytest.approx(3.5)


async def test_a_token_that_has_expired_is_to_be_renewed_and_a_denial_is_the_end(scene: Scene) -> None:
    expired = says(403, "Unauthorized", DENIED, "The access token you provided has expired.")
    scene.vendor.then(expired, says(403, "Unauthorized", DENIED), says(401, "Unauthorized", DENIED))
    remedies = []
    for _ in range(3):
        with pytest.raises(VendorAccountProblem) as problem:
            await scene.amazon.outbound.get(ID)
        remedies.append(problem.value.remedy)
    assert remedies == [AccountRemedy.REFRESH, AccountRemedy.RECONNECT, AccountRemedy.RECONNECT]


async def test_a_role_that_only_stock_needs_costs_no_merchant_and_no_proxy_does(scene: Scene) -> None:
    scene.vendor.then(says(403, "Unauthorized", DENIED), answers_bytes(b"<html>Forbidden", status=403))
    with pytest.raises(VendorRejected, match='"Product Listing"'):
        await scene.amazon.inventory.of(US, ["A"])
    with pytest.raises(VendorRejected, match="before Amazon"):
        await scene.amazon.outbound.get(ID)


async def test_a_call_ends_with_the_time_of_whoever_asked(scene: Scene) -> None:
    late = scene.client.of(Access(TOKEN, "A2SELLER", Region.NA, deadline=scene.clock.now - 1))
    with pytest.raises(VendorUnavailable) as over:
        await late.outbound.create(an_order())
    assert not over.value.sent
    assert scene.vendor.seen == []


async def test_a_refresh_sends_the_form_and_nothing_of_it_is_recorded(scene: Scene) -> None:
    grant = await scene.client.lwa.refresh(REFRESH)
    assert (grant.access_token, grant.refresh_token) == (TOKEN, REFRESH)
    assert 3590 < (grant.access_expire_time - datetime.now(UTC)).total_seconds() <= 3600
    (form,) = scene.strict.refreshes
    assert {name: form[name] for name in ("grant_type", "refresh_token", "client_secret")} == {
        "grant_type": "refresh_token",
        "refresh_token": REFRESH,
        "client_secret": SECRET,
    }
    kept = repr(scene.records)
    assert not [secret for secret in (REFRESH, TOKEN, SECRET) if secret in kept]
    assert scene.records[0].request == {"form": ["client_id", "client_secret", "grant_type", "refresh_token"]}


async def test_a_code_is_exchanged_once(scene: Scene) -> None:
    scene.vendor.then(answers_bytes(b"", status=503))
    with pytest.raises(VendorError):
        await scene.client.lwa.get("code-1", "https://brand.example/amazon/callback")
    assert len(scene.vendor.seen) == 1
    await scene.client.lwa.get("code-2", "https://brand.example/amazon/callback")
    assert scene.strict.refreshes[-1]["redirect_uri"] == "https://brand.example/amazon/callback"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_grant", VendorAccountProblem),
        (401, "invalid_client", VendorRejected),
        (400, "invalid_request", VendorRejected),
        (400, "invalid_scope", VendorRejected),
        (503, "server_error", VendorUnavailable),
        (500, "", VendorUnavailable),
        (429, "", VendorRateLimited),
        (400, "a_new_word", VendorRejected),
        (200, "invalid_grant", VendorAccountProblem),
    ],
)
async def test_only_a_definite_no_to_the_seller_loses_an_authorisation(
    scene: Scene, status: int, code: str, kind: type[VendorError]
) -> None:
    body = {"error": code, "error_description": f"About {REFRESH}"} if code else {}
    scene.vendor.then(*(answers(body, status=status) for _ in range(3)))
    with pytest.raises(VendorError) as refusal:
        await scene.client.lwa.refresh(REFRESH)
    assert type(refusal.value) is kind
    assert REFRESH not in refusal.value.vendor_message


async def test_a_rotated_secret_is_read_from_its_file_at_the_next_refresh(tmp_path: Path) -> None:
    async with FakeVendor.running() as vendor:
        vendor.otherwise = strict = StrictAmazon()
        secret = tmp_path / "secret"
        config = config_of(vendor.url, client_secret_file=secret)
        async with client_of(config, JumpingClock(), []) as client:
            with pytest.raises(VendorRejected) as unreadable:
                await client.lwa.refresh(REFRESH)
            for text in ("first-secret\n", "second-secret\n"):
                secret.write_text(text)
                await client.lwa.refresh(REFRESH)
    assert unreadable.value.code == "secret_unreadable"
    assert [form["client_secret"] for form in strict.refreshes] == ["first-secret", "second-secret"]


async def test_stock_is_read_to_its_end_in_one_go_and_anew_when_the_way_was_lost(scene: Scene) -> None:
    def page(skus: list[str], next_token: str) -> dict[str, Any]:
        details = {"fulfillableQuantity": 3, "reservedQuantity": {"totalReservedQuantity": 2}}
        summaries = [{"sellerSku": sku, "totalQuantity": 9, "inventoryDetails": details} for sku in skus]
        pagination = {"pagination": {"nextToken": next_token}} if next_token else {}
        return {"payload": {"inventorySummaries": summaries}, **pagination}

    scene.vendor.then(answers(page(["A", "B"], "n1")), answers(page(["B", "C"], "")))
    found = await scene.amazon.inventory.all(US, changed_since=datetime(2026, 11, 20, tzinfo=UTC))
    assert [(each.sku, each.fulfillable, each.reserved, each.total) for each in found] == [
        ("A", 3, 2, 9),
        ("B", 3, 2, 9),
        ("C", 3, 2, 9),
    ]
    assert "startDateTime=2026-11-20T00%3A00%3A00Z&nextToken=n1" in scene.vendor.seen[-1].raw_path
    scene.vendor.then(answers(page(["A"], "n1")), says(400, "InvalidInput", "nextToken has expired"))
    with pytest.raises(VendorUnavailable) as lost:
        await scene.amazon.inventory.all(US)
    assert lost.value.code == "next_page_lost"


async def test_a_sku_with_a_comma_is_asked_for_alone_and_others_fifty_at_a_time(scene: Scene) -> None:
    scene.strict.answers["/fba/inventory/v1/summaries"] = {"payload": {"inventorySummaries": []}}
    await scene.amazon.inventory.of(US, ["a/b", "a,b", *(f"S{number}" for number in range(60))])
    first, second, alone = (seen.raw_path for seen in scene.vendor.seen)
    assert "sellerSkus=a%2Fb%2CS0%2C" in first
    assert second.count("%2C") == 10
    assert "sellerSku=a%2Cb" in alone


async def test_the_catalogue_is_searched_by_barcode(scene: Scene) -> None:
    from vendors.amazon_sp.catalog import CatalogItem, CodeKind

    code = {"identifiers": [{"identifierType": "EAN", "identifier": "4006381333931"}]}
    item = {"asin": "B0TEST", "identifiers": [code], "summaries": [{"itemName": "Tokens"}]}
    scene.strict.answers["/catalog/2022-04-01/items"] = {"numberOfResults": 1, "items": [item]}
    found = await scene.amazon.catalog.with_codes(US, CodeKind.EAN, ["4006381333931"])
    assert found == (CatalogItem("B0TEST", "Tokens", ("4006381333931",)),)
    with pytest.raises(ValueError, match="codes"):
        await scene.amazon.catalog.with_codes(US, CodeKind.EAN, ["4006,1"])


async def test_a_signature_is_botocores_over_the_bytes_that_leave_and_the_token_is_sent_all_the_same() -> None:
    async with FakeVendor.running() as vendor:
        vendor.otherwise = answers({})
        config = config_of(
            vendor.url,
            sign_requests=True,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key=SecretStr("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            aws_session_token=SecretStr("canary-session"),
        )
        async with client_of(config, JumpingClock(), []) as client:
            await client.of(Access(TOKEN, "A2SELLER", Region.EU)).outbound.create(an_order())
        (seen,) = vendor.seen
    assert seen.headers["x-amz-access-token"] == TOKEN
    # The verifier's way: sign what came over the wire, with the time that it names.
    request = AWSRequest("POST", vendor.url + seen.raw_path, data=seen.body)
    for name in ("x-amz-access-token", "X-Amz-Date", "X-Amz-Security-Token"):
        request.headers[name] = seen.headers[name]
    request.context["timestamp"] = seen.headers["X-Amz-Date"]
    signer = SigV4Auth(
        Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "canary-session"),
        "execute-api",
        "eu-west-1",
    )
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert seen.headers["Authorization"] == (
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{seen.headers['X-Amz-Date'][:8]}/eu-west-1/execute-api/aws4_request,"
        " SignedHeaders=host;x-amz-access-token;x-amz-date;x-amz-security-token,"
        f" Signature={signature}"
    )


def test_signing_without_keys_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="aws_access_key_id"):
        config_of("http://127.0.0.1:1", sign_requests=True)


@pytest.mark.parametrize("rates", [{"nonesuch": (1, 1)}, {"getFulfillmentOrder": (0, 1)}])
def test_a_rate_of_nothing_is_refused_at_the_start(rates: dict[str, tuple[float, int]]) -> None:
    with pytest.raises(ValidationError):
        config_of("http://127.0.0.1:1", rates=rates)


def test_every_marketplace_has_an_id_of_its_own() -> None:
    ids = {each.id for each in MARKETPLACES.values()}
    assert len(ids) == len(MARKETPLACES) == 23
