"""Consent and tokens of sellers and creators."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.sandbox.shop import KEY, SERVICE, ShopApp

DAY = 86_400


def test_a_seller_authorises_and_the_app_gets_tokens_with_absolute_expiries(shop: ShopApp) -> None:
    page = shop.http.get(shop.consent_url())
    assert page.status_code == 200
    assert "Emberfold LLC" in page.text
    back = shop.consent("emberfold")
    assert back["state"] == "s-1"
    answer = shop.exchange(back["code"])
    data, now = answer["data"], shop.control("GET", "//clock")["now"]
    assert (answer["code"], data["user_type"], data["seller_base_region"]) == (0, 0, "US")
    assert data["access_token_expire_in"] == int(now + 7 * DAY)
    assert data["refresh_token_expire_in"] == int(now + 365 * DAY)
    assert "seller.order.info" in data["granted_scopes"]


def test_a_code_works_once_and_for_half_an_hour(shop: ShopApp) -> None:
    code = shop.consent()["code"]
    assert shop.exchange(code)["code"] == 0
    assert shop.exchange(code)["code"] == 36004004
    late = shop.consent()["code"]
    shop.advance(1800)
    assert shop.exchange(late)["code"] == 36004004


def test_a_denial_comes_back_as_auth_denied_without_a_code(shop: ShopApp) -> None:
    back = shop.consent(decision="deny")
    assert (back["code"], back["error"], back["state"]) == ("null", "auth_denied", "s-1")


def test_an_installation_from_the_store_carries_no_state(shop: ShopApp) -> None:
    address = f"/open/authorize?service_id={SERVICE}"
    url = shop.control("POST", "/consents", authorize_url=address, subject="emberfold")["redirect_url"]
    assert "state" not in dict(parse_qsl(urlsplit(url).query))


@pytest.mark.parametrize(
    "link",
    [
        f"/open/authorize?service_id={KEY}&state=x",
        f"/open/authorize?app_key={KEY}&state=x",
        "/alliance/creator/auth?app_key=nobody&state=x",
        f"/alliance/creator/auth?app_key={KEY}",
    ],
)
def test_a_wrong_consent_address_shows_why_and_tells_no_app(shop: ShopApp, link: str) -> None:
    assert shop.http.get(link).status_code == 400


def test_without_a_registered_address_no_consent_is_shown(shop: ShopApp) -> None:
    shop.settings(redirect_url=None)
    assert shop.http.get(shop.consent_url()).status_code == 400


def test_a_creator_may_grant_a_part(shop: ShopApp) -> None:
    answer = shop.http.post(
        shop.consent_url("creator"),
        data={"creator": "dice.goblin", "decision": "allow", "scopes": ["", "creator.showcase.read"]},
    )
    code = dict(parse_qsl(urlsplit(answer.headers["location"]).query))["code"]
    data = shop.exchange(code)["data"]
    assert (data["user_type"], data["granted_scopes"]) == (1, ["creator.showcase.read"])


def test_a_refresh_rotates_the_token_and_keeps_the_end_of_the_authorisation(shop: ShopApp) -> None:
    first = shop.exchange(shop.consent()["code"])["data"]
    shop.advance(DAY)
    second = shop.refresh(first["refresh_token"])["data"]
    assert second["refresh_token"] != first["refresh_token"]
    assert second["refresh_token_expire_in"] == first["refresh_token_expire_in"]
    assert shop.refresh(first["refresh_token"])["code"] == 36004005
    shop.advance(364 * DAY)
    assert shop.refresh(second["refresh_token"])["code"] == 36004001


@pytest.mark.parametrize(
    "changes",
    [
        {"app_secret": "wrong"},
        {"grant_type": "authorization_code"},
        {"sign": "0"},
        {"auth_code": ""},
    ],
)
def test_a_token_call_with_a_wrong_parameter_is_refused(shop: ShopApp, changes: dict[str, str]) -> None:
    good = {"auth_code": shop.consent()["code"], "grant_type": "authorized_code"}
    assert shop.token("get", **(good | changes))["code"] == 36009004
    assert shop.token("get", **good)["code"] == 0


def test_one_token_covers_the_shops_of_its_seller(seller: ShopApp) -> None:
    def shops(by: str) -> list[tuple[str, str]]:
        found = seller.ok("GET", "/authorization/202309/shops", by=by, region=None)["shops"]
        return [(one["region"], one["seller_type"]) for one in found]

    assert shops("emberfold") == [("US", "LOCAL")]
    assert shops("emberfold-trading") == [("GB", "CROSS_BORDER"), ("SG", "CROSS_BORDER")]


def test_a_withdrawn_authorisation_ends_its_tokens(seller: ShopApp) -> None:
    seller.control("POST", "/sellers/emberfold/deauthorize")
    assert seller.code("GET", "/authorization/202309/shops", region=None) == 105001
    assert seller.refresh(seller.tokens["emberfold"]["refresh_token"])["code"] == 36004005
    seller.connect()


def test_expired_tokens_are_told_from_unknown_ones(seller: ShopApp) -> None:
    seller.control("POST", "/sellers/emberfold/expire-tokens")
    assert seller.code("GET", "/authorization/202309/shops", region=None) == 105002
    seller.tokens["emberfold"]["access_token"] = "TTP_unknown"
    assert seller.code("GET", "/authorization/202309/shops", region=None) == 105001
