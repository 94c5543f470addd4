"""Connecting sellers and creators: consent pages and tokens, of which nothing leaks."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import structlog

from kit.vendor_errors import AccountRemedy, VendorAccountProblem, VendorRejected, VendorUnavailable, VendorUncertain
from tests.vendors.fake_vendor import answers, drops_the_connection, echoes
from tests.vendors.tiktok_shop.conftest import NO_SHOP, Scene, config_of
from tests.vendors.tiktok_shop.endpoints import CIPHER
from tests.vendors.tiktok_shop.strict_shop import KEY, SECRET
from vendors.tiktok_shop import oauth
from vendors.tiktok_shop.config import TikTokShopConfig
from vendors.tiktok_shop.oauth import UserType

pytestmark = pytest.mark.anyio
CODE, REFRESH = "TTP_canary/code+1=&x", "TTP_canary/refresh+1="
GRANT = {
    "access_token": "TTP_canary-access",
    "access_token_expire_in": 1764600000,
    "refresh_token": REFRESH,
    "refresh_token_expire_in": 4891363200,  # in the year 2125, as one test shop said
    "open_id": "open-1",
    "seller_name": "Ember",
    "seller_base_region": "US",
    "user_type": 0,
    "granted_scopes": ["seller.order.info", "seller.product.basic"],
}


def granted(**changes: Any) -> Any:
    return answers({"code": 0, "message": "success", "request_id": "2026AA", "data": GRANT | changes})


def test_sellers_of_the_united_states_have_a_consent_page_of_their_own() -> None:
    config = TikTokShopConfig(service_id="svc/1")
    rest, us = (oauth.seller_authorize_url(config, state="s&t", is_us=is_us) for is_us in (False, True))
    assert rest.startswith("https://services.tiktokshop.com/open/authorize?")
    assert us.startswith("https://services.us.tiktokshop.com/open/authorize?")
    for page in (rest, us):
        assert parse_qs(urlsplit(page).query) == {"service_id": ["svc/1"], "state": ["s&t"]}


def test_creators_agree_on_a_page_that_is_told_the_app_key() -> None:
    page = oauth.creator_authorize_url(TikTokShopConfig(app_key="key-1"), state="st")
    assert page == "https://shop.tiktok.com/alliance/creator/auth?app_key=key-1&state=st"


def test_without_an_app_there_is_no_consent_page() -> None:
    for make in (oauth.seller_authorize_url, oauth.creator_authorize_url):
        with pytest.raises(VendorRejected) as refusal:
            make(TikTokShopConfig(), state="s")
        assert "REELROUTE_TIKTOK_SHOP_APP_KEY" in refusal.value.advice


def test_a_callback_brings_a_code_whatever_comes_with_it() -> None:
    assert oauth.code_of_callback({"code": "TTP_x", "app_key": "k", "locale": "en", "state": "s"}) == "TTP_x"


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ({"code": "null", "error": "auth_denied"}, "auth_denied", "declined"),
        ({"error": "access_denied"}, "access_denied", "declined"),
        ({"code": ""}, "no_code", "no code"),
        ({}, "no_code", "no code"),
    ],
)
def test_an_owner_who_declines_is_no_code(query: dict[str, str], code: str, message: str) -> None:
    with pytest.raises(VendorRejected, match=message) as refusal:
        oauth.code_of_callback(query)
    assert refusal.value.code == code


async def test_a_code_becomes_tokens_that_end_at_instants(scene: Scene) -> None:
    scene.vendor.then(granted())
    grant = await scene.client.tokens.get(CODE)
    assert grant.access_token_end == datetime(2025, 12, 1, 14, 40, tzinfo=UTC)
    assert grant.refresh_token_end == datetime(2125, 1, 1, tzinfo=UTC)
    assert (grant.user_type, grant.seller_region, grant.open_id) == (UserType.SELLER, "US", "open-1")
    assert grant.scopes == ("seller.order.info", "seller.product.basic")
    seen = scene.vendor.seen[0]
    assert (seen.method, urlsplit(seen.raw_path).path) == ("GET", "/api/v2/token/get")
    assert dict(parse_qsl(urlsplit(seen.raw_path).query)) == {
        "app_key": KEY,
        "app_secret": SECRET,
        "auth_code": CODE,
        "grant_type": "authorized_code",
    }


async def test_a_refresh_says_so_and_is_tried_again_when_its_answer_is_lost(scene: Scene) -> None:
    scene.vendor.then(drops_the_connection, granted(refresh_token="TTP_new", user_type=1))
    grant = await scene.client.tokens.refresh(REFRESH)
    assert (grant.refresh_token, grant.user_type) == ("TTP_new", UserType.CREATOR)
    query = dict(parse_qsl(urlsplit(scene.vendor.seen[1].raw_path).query))
    assert (query["refresh_token"], query["grant_type"]) == (REFRESH, "refresh_token")
    assert scene.vendor.seen[1].raw_path.startswith("/api/v2/token/refresh?")


async def test_a_code_whose_answer_is_lost_is_not_used_again(scene: Scene) -> None:
    scene.vendor.then(drops_the_connection)
    with pytest.raises(VendorUncertain):
        await scene.client.tokens.get(CODE)
    assert len(scene.vendor.seen) == 1


@pytest.mark.parametrize("code", [36004001, 36004004, 36004005])
async def test_a_dead_code_or_refresh_token_asks_for_the_owner(scene: Scene, code: int) -> None:
    scene.vendor.then(answers({"code": code, "message": "expired", "request_id": "2026EE"}))
    with pytest.raises(VendorAccountProblem) as refusal:
        await scene.client.tokens.refresh(REFRESH)
    assert (refusal.value.remedy, refusal.value.log_id) == (AccountRemedy.RECONNECT, "2026EE")


@pytest.mark.parametrize(
    "behaviour", [answers({"code": 77777777, "message": "?"}), answers({}, status=503), granted(access_token="")]
)
async def test_an_answer_that_nobody_understands_does_not_lose_the_account(scene: Scene, behaviour: Any) -> None:
    scene.vendor.then(behaviour, behaviour, behaviour)
    with pytest.raises(VendorUnavailable):
        await scene.client.tokens.refresh(REFRESH)
    assert len(scene.vendor.seen) == 3


@pytest.mark.parametrize(("told", "kind"), [(3, UserType.PARTNER), (9, UserType.UNKNOWN), (None, UserType.UNKNOWN)])
async def test_an_unknown_kind_of_user_is_no_seller(scene: Scene, told: int | None, kind: UserType) -> None:
    scene.vendor.then(granted(user_type=told))
    assert (await scene.client.tokens.get(CODE)).user_type is kind


async def test_no_secret_of_a_token_call_reaches_a_log_a_record_or_an_error(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.vendor.then(granted())
    scene.vendor.otherwise = echoes(400)
    with structlog.testing.capture_logs() as logs:
        grant = await scene.client.tokens.get(CODE)
        with pytest.raises(VendorRejected) as refusal:
            await scene.client.tokens.refresh(REFRESH)
    written = f"{logs} {scene.records} {capsys.readouterr()} {grant!r} {refusal.value!r} {refusal.value}"
    assert "canary" not in written
    assert [record.path for record in scene.records] == ["/api/v2/token/get", "/api/v2/token/refresh"]
    assert {record.answer for record in scene.records} == {None}


async def test_the_shops_of_a_token_come_with_their_ciphers(scene: Scene) -> None:
    (shop,) = await scene.client.shops.authorized(NO_SHOP)
    assert (shop.id, shop.region, shop.seller_type, shop.cipher) == ("7495", "US", "LOCAL", CIPHER)
    assert CIPHER not in repr(shop)


def test_settings_come_from_the_environment_and_hide_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELROUTE_TIKTOK_SHOP_BASE_URL", "http://127.0.0.1:8090/")
    monkeypatch.setenv("REELROUTE_TIKTOK_SHOP_APP_SECRET", "canary-secret")
    monkeypatch.setenv("REELROUTE_TIKTOK_SHOP_CALLS_PER_SECOND", "5")
    config = TikTokShopConfig()
    assert config.http_settings(config.base_url).base_url == "http://127.0.0.1:8090"
    assert config.rates()["orders_search"].tokens == 5
    assert config.rates()["shop_numbers"].window_seconds == 2
    assert "canary-secret" not in repr(config)
    assert config_of("http://127.0.0.1:1").app_key == KEY
