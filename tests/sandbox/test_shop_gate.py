"""The front door: signatures, time, tokens, scopes, ciphers, versions, rates."""

import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.tiktok_shop.signing import sign_request, sign_webhook
from tests.sandbox.shop import SECRET, ShopApp, sign

SHOPS = "/authorization/202309/shops"
WEBHOOKS = "/event/202309/webhooks"
V2_BODY = b'{"order_status":"AWAITING_SHIPMENT","update_time_ge":1735689600}'
V2_QUERY = {
    "app_key": "123abc", "page_size": "50", "shop_cipher": "ROW_TestCipher01", "sort_field": "update_time",
    "sort_order": "ASC", "timestamp": "1735776000",
}  # fmt: skip
JSON = "application/json"


@pytest.mark.parametrize(
    ("secret", "path", "query", "body", "kind", "expected"),
    [
        (
            "e59af819cc", "/authorization/202309/shops", {"app_key": "29a39d", "timestamp": "1623812664"}, b"", JSON,
            "b596b73e0cc6de07ac26f036364178ab16b0a907af13d43f0a0cd2345f582dc8",
        ),
        (
            "test_secret_0001", "/order/202309/orders/search", V2_QUERY, V2_BODY, JSON,
            "40d9c7bb50f431499099d802b4e3ae6ec31450be078ecd08d5f408380af9d677",
        ),
        (
            "test_secret_0001", "/order/202309/orders/search", V2_QUERY,
            V2_BODY.replace(b":", b": ").replace(b",", b", "), JSON,
            "c4bd558f922690139c91f24b4383b9335a07a31ca7c6642ac6106b4a820a95e6",
        ),
        (
            "test_secret_0001", "/product/202309/images/upload", {"app_key": "123abc", "timestamp": "1735776000"},
            b"--boundary", "multipart/form-data; boundary=x",
            "fc85fede72d6cd2c8dc649e53dc1ce05723e58e7b74cb4e83ab6c94775d2afe4",
        ),
        (
            "test_secret_0001", "/order/202507/orders",
            {"app_key": "123abc", "ids": "576461413038785752,576461413038785753", "shop_cipher": "ROW_TestCipher01",
             "timestamp": "1735776000"}, b"", JSON,
            "c84eba06bb0e1c6ab0e5fa805208478f5414d98b15285f705b8340ae4c5686fa",
        ),
    ],
)  # fmt: skip
def test_the_signature_matches_the_vectors_of_the_reference(
    secret: str, path: str, query: dict[str, str], body: bytes, kind: str, expected: str
) -> None:
    assert sign_request(secret, path, query.items(), body, kind) == expected


def test_the_signature_of_webhooks_matches_the_official_vector() -> None:
    body = (
        b'{"type":1,"tts_notification_id":"7380066284010030890","shop_id":"7495540735365777507","timestamp":1718305585,'
        b'"data":{"is_on_hold_order":true,"order_id":"576653688135258178","order_status":"UNPAID",'
        b'"update_time":1718305585}}'
    )
    assert sign_webhook("abcdef", "123", body) == "5dec0f11ec2f6783b8deee53c9ffbf8d024302f7c7e7fa55a35d17629031ac05"


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=2), st.binary(), st.randoms())
def test_any_order_of_parameters_signs_alike_and_any_changed_byte_differs(
    query: dict[str, str], body: bytes, random: object
) -> None:
    pairs = list(query.items())
    signed = sign_request("secret", "/a/202309/b", pairs, body, JSON)
    assert sign_request("secret", "/a/202309/b", reversed(pairs), body, JSON) == signed
    assert sign_request("secret", "/a/202309/b", pairs, body + b" ", JSON) != signed
    assert sign_request("secret", "/a/202309/b", pairs, body + b" ", "multipart/form-data; boundary=x") == (
        sign_request("secret", "/a/202309/b", pairs, body, "multipart/form-data; boundary=x")
    )


def test_a_body_that_is_not_the_signed_one_is_refused(seller: ShopApp) -> None:
    params = {"app_key": "sandbox-app-key", "timestamp": str(int(time.time())), "shop_cipher": seller.ciphers["US"]}
    body = '{"event_type":"ORDER_STATUS_CHANGE","address":"https://brand.example/ö"}'.encode()
    params["sign"] = sign(SECRET, WEBHOOKS, params, body)
    headers = {"content-type": JSON, "x-tts-access-token": seller.tokens["emberfold"]["access_token"]}

    def put(content: bytes) -> int:
        number: int = seller.http.put(WEBHOOKS, params=params, content=content, headers=headers).json()["code"]
        return number

    assert put(body.replace(b",", b", ")) == 106001
    assert put(body) == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sign": "0" * 64}, 106001),
        ({"sign": None}, 36009004),
        ({"timestamp": None}, 36009004),
        ({"app_key": "other"}, 36009004),
        ({"page_size": "10"}, 106001),
    ],
)
def test_a_call_that_was_changed_after_signing_is_refused(
    seller: ShopApp, changes: dict[str, str | None], code: int
) -> None:
    assert seller.code("GET", SHOPS, region=None, **changes) == code


@pytest.mark.parametrize(("offset", "code"), [(-305, 36009004), (-290, 0), (25, 0), (40, 36009004)])
def test_the_time_may_be_five_minutes_old_and_half_a_minute_early(seller: ShopApp, offset: int, code: int) -> None:
    assert seller.code("GET", SHOPS, {"timestamp": int(time.time()) + offset}, region=None) == code


def test_the_content_type_is_wanted_on_get_too(seller: ShopApp) -> None:
    params = {"app_key": "sandbox-app-key", "timestamp": str(int(time.time()))}
    params["sign"] = sign(SECRET, SHOPS, params)
    headers = {"x-tts-access-token": seller.tokens["emberfold"]["access_token"]}
    assert seller.http.get(SHOPS, params=params, headers=headers).json()["code"] == 36009023
    assert seller.http.get(SHOPS, params=params, headers={**headers, "content-type": JSON}).json()["code"] == 0


def test_the_cipher_is_wanted_where_it_belongs_and_only_there(seller: ShopApp) -> None:
    assert seller.code("GET", WEBHOOKS, region=None) == 106013
    answer = seller.call("GET", SHOPS, region="US").json()
    assert (answer["code"], answer["message"]) == (36009004, "unexpected identifier: shop_cipher")
    assert seller.code("GET", WEBHOOKS, region="GB") == 101000
    assert seller.code("GET", WEBHOOKS, region="GB", by="emberfold-trading") == 0


def test_a_creator_is_no_seller(seller: ShopApp) -> None:
    seller.connect("dice.goblin", "creator")
    assert seller.code("GET", SHOPS, region=None, by="dice.goblin") == 101000


def test_unknown_parameters_and_fields_are_refused(seller: ShopApp) -> None:
    answer = seller.call("GET", SHOPS, {"page_size": 10}, region=None).json()
    assert (answer["code"], answer["message"]) == (36009004, "unexpected identifier: query.page_size")
    body = {"event_type": "ORDER_STATUS_CHANGE", "address": "https://brand.example/hook", "shop_id": "1"}
    assert "body.shop_id" in seller.call("PUT", WEBHOOKS, body=body).json()["message"]
    del body["address"], body["shop_id"]
    assert seller.call("PUT", WEBHOOKS, body=body).json()["message"] == "body.address is missing."


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        ("GET", "/authorization/209901/shops", 36009014, 404),
        ("GET", "/authorization/202309/stores", 36009009, 404),
        ("POST", "/authorization/202309/shops", 36009010, 405),
    ],
)
def test_version_path_and_method_have_codes_of_their_own(
    seller: ShopApp, method: str, path: str, code: int, status: int
) -> None:
    answer = seller.call(method, path, region=None)
    assert (answer.json()["code"], answer.status_code) == (code, status)


def test_a_version_can_be_retired(seller: ShopApp) -> None:
    seller.settings(retired_versions=["shops/202309"])
    assert seller.code("GET", SHOPS, region=None) == 36009014


def test_a_scope_works_only_when_app_and_token_have_it(seller: ShopApp) -> None:
    scopes = seller.control("GET", "/settings")["app_scopes"]
    without = [scope for scope in scopes if scope != "seller.authorization.info"]
    seller.settings(app_scopes=without)
    assert seller.code("GET", SHOPS, region=None) == 105005
    seller.tokens["emberfold"] = seller.exchange(seller.consent()["code"])["data"]
    seller.settings(app_scopes=scopes)
    # Enabled again, but this token was granted without it.
    assert seller.code("GET", SHOPS, region=None) == 105005
    seller.connect()
    assert seller.code("GET", SHOPS, region=None) == 0


def test_rates_count_per_shop_and_api_and_say_when_to_come_back(seller: ShopApp) -> None:
    seller.settings(calls_per_second=2)
    answers = [seller.call("GET", WEBHOOKS) for _ in range(3)]
    assert [one.json()["code"] for one in answers] == [0, 0, 36009002]
    assert (answers[2].status_code, answers[2].headers["retry-after"]) == (429, "1")
    assert seller.code("GET", SHOPS, region=None) == 0
    assert seller.code("GET", WEBHOOKS, region="GB", by="emberfold-trading") == 0
    seller.advance(1)
    assert seller.code("GET", WEBHOOKS) == 0


def test_test_shops_have_a_quota_of_the_hour(seller: ShopApp) -> None:
    seller.settings(calls_per_hour=2)
    answers = [seller.call("GET", SHOPS, region=None) for _ in range(3)]
    assert [one.json()["code"] for one in answers] == [0, 0, 36009037]
    assert int(answers[2].headers["retry-after"]) == 3600
    seller.advance(3600)
    assert seller.code("GET", SHOPS, region=None) == 0


def test_faults_and_outages_speak_the_envelope(seller: ShopApp) -> None:
    def order(**fault: object) -> None:
        seller.control("POST", "//faults", endpoint="tiktok_shop.shops", **fault)

    order(mode="error", code="36009007")
    order(mode="rate_limit", retry_after_seconds=9)
    order(mode="error", status=502)
    first, second, third = [seller.call("GET", SHOPS, region=None) for _ in range(3)]
    assert (first.status_code, first.json()["code"]) == (504, 36009007)
    assert (second.status_code, second.json()["code"], second.headers["retry-after"]) == (429, 36009002, "9")
    assert (third.status_code, third.headers["content-type"]) == (502, "text/html; charset=utf-8")
    seller.settings(outage="error")
    assert seller.call("GET", SHOPS, region=None).status_code == 503
    seller.settings(outage="reset")
    with pytest.raises(httpx.TransportError):
        seller.call("GET", SHOPS, region=None)


def test_refusals_may_all_come_with_200(seller: ShopApp) -> None:
    seller.settings(errors_as_200=True)
    answer = seller.call("GET", WEBHOOKS, region=None)
    assert (answer.status_code, answer.json()["code"]) == (200, 106013)


def test_the_call_log_names_the_call_and_holds_no_secret(seller: ShopApp) -> None:
    seller.call("GET", WEBHOOKS, region=None)
    calls = seller.control("GET", "//calls")
    assert (calls[0]["endpoint"], calls[0]["code"], calls[0]["creator"]) == (
        "tiktok_shop.webhooks_get", "106013", "emberfold",
    )  # fmt: skip
    text = seller.http.get("/control/calls").text + seller.http.get("/control").text
    tokens = seller.tokens["emberfold"]
    for secret in (tokens["access_token"], tokens["refresh_token"], SECRET):
        assert secret not in text
