"""Login with Amazon and the front door of the Selling Partner API."""

import http.client
from urllib.parse import urlsplit

import httpx
import pytest

from tests.sandbox.amazon import AGENT, APP, ORDERS, REFRESH_TOKEN, US, Amazon, error, order


def test_a_refresh_token_gives_access_for_an_hour_and_comes_back_unchanged(amazon: Amazon) -> None:
    answer = amazon.token(grant_type="refresh_token", refresh_token=REFRESH_TOKEN).json()
    assert (answer["token_type"], answer["expires_in"], answer["refresh_token"]) == ("bearer", 3600, REFRESH_TOKEN)
    assert answer["access_token"].startswith("Atza|")
    amazon.connect()
    amazon.advance(3599)
    assert amazon.call("GET", ORDERS).status_code == 200
    amazon.advance(1)
    late = amazon.call("GET", ORDERS)
    assert error(late) == "403 Unauthorized"
    assert "expired" in late.json()["errors"][0]["details"]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"grant_type": "refresh_token", "refresh_token": "Atzr|other"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "everything"}, 400, "invalid_scope"),
        ({"grant_type": "authorization_code", "code": "none", "redirect_uri": "https://x"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, "client_secret": "no"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, "client_id": "no"}, 401, "invalid_client"),
    ],
)
def test_login_refuses_in_the_way_of_oauth(amazon: Amazon, fields: dict[str, str], status: int, code: str) -> None:
    answer = amazon.token(**fields)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json()["error_description"]


def test_a_code_is_exchanged_once_within_five_minutes(amazon: Amazon) -> None:
    def exchange(code: str) -> httpx.Response:
        return amazon.token(grant_type="authorization_code", code=code, redirect_uri="https://brand.example/back")

    code = amazon.control("POST", "/sellers/emberfold/codes")["code"]
    granted = exchange(code).json()
    amazon.connect(refresh_token=granted["refresh_token"])
    assert amazon.call("GET", ORDERS).status_code == 200
    assert exchange(code).json()["error"] == "invalid_grant"
    late = amazon.control("POST", "/sellers/emberfold/codes")["code"]
    amazon.advance(300)
    assert exchange(late).json()["error"] == "invalid_grant"


def test_a_token_of_the_app_itself_opens_no_seller_s_data(amazon: Amazon) -> None:
    scope = "sellingpartnerapi::notifications"
    answer = amazon.token(grant_type="client_credentials", scope=scope).json()
    assert "refresh_token" not in answer
    amazon.tokens["emberfold"] = answer["access_token"]
    assert error(amazon.call("GET", ORDERS)) == "403 Unauthorized"


def test_a_rotated_secret_ends_the_old_one_when_it_is_told_to(amazon: Amazon) -> None:
    new = amazon.control("POST", "/secret", old_good_seconds=60)["client_secret"]
    grant = {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
    assert amazon.token(**grant).status_code == 200
    assert amazon.token(**grant, client_secret=new).status_code == 200
    amazon.advance(60)
    assert amazon.token(**grant).json()["error"] == "invalid_client"
    assert amazon.token(**grant, client_secret=new).status_code == 200


def test_a_seller_who_withdraws_ends_every_token_at_once(amazon: Amazon) -> None:
    amazon.connect()
    amazon.control("POST", "/sellers/emberfold/revoke")
    assert "revoked" in amazon.call("GET", ORDERS).json()["errors"][0]["details"]
    grant = {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
    assert amazon.token(**grant).json()["error"] == "invalid_grant"
    amazon.control("POST", "/sellers/emberfold/grant")
    assert amazon.token(**grant).status_code == 200


def test_a_missing_token_and_a_role_that_the_app_lacks_are_refused(seller_central: Amazon) -> None:
    assert error(seller_central.http.get(ORDERS, headers={"user-agent": AGENT})) == "403 Unauthorized"
    seller_central.settings(denied_operations=["getInventorySummaries"])
    assert error(seller_central.summaries()) == "403 Unauthorized"
    assert seller_central.call("GET", ORDERS).status_code == 200
    seller_central.settings(unauthorized_status=401)
    assert seller_central.http.get(ORDERS, headers={"user-agent": AGENT}).status_code == 401


def test_a_dormant_account_is_refused_everything(seller_central: Amazon) -> None:
    seller_central.control("PATCH", "/sellers/emberfold", dormant=True)
    assert error(seller_central.create()) == "400 InvalidInput"
    seller_central.control("PATCH", "/sellers/emberfold", dormant=False)
    assert seller_central.create().status_code == 200


@pytest.mark.parametrize(
    "headers", [{"user-agent": "python-httpx/0.28"}, {"user-agent": "App/1 (Platform=Linux)"}, {"x-amz-date": "today"}]
)
def test_headers_are_those_of_the_guide(seller_central: Amazon, headers: dict[str, str]) -> None:
    assert error(seller_central.call("GET", ORDERS, headers=headers)) == "400 InvalidInput"


def test_a_signature_is_disregarded(seller_central: Amazon) -> None:
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=x", "x-amz-date": "20261120T180000Z"}
    assert seller_central.call("GET", ORDERS, headers=headers).status_code == 200


def test_a_get_with_a_body_is_refused(seller_central: Amazon) -> None:
    parts = urlsplit(str(seller_central.http.base_url))
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    headers = {"x-amz-access-token": seller_central.tokens["emberfold"], "user-agent": AGENT, "content-length": "0"}
    connection.request("GET", ORDERS, headers=headers)
    assert connection.getresponse().status == 400
    connection.close()


def test_a_body_must_be_json_and_say_so(seller_central: Amazon) -> None:
    answer = seller_central.call("POST", ORDERS, content=b"{}", headers={"content-type": "text/plain"})
    assert error(answer) == "415 UnsupportedMediaType"
    for body in (b"", b"[]", b"{", b'"x"'):
        answer = seller_central.call("POST", ORDERS, content=body, headers={"content-type": "application/json"})
        assert error(answer) == "400 InvalidInput"


def test_a_bucket_is_emptied_by_its_burst_and_filled_by_its_rate(seller_central: Amazon) -> None:
    answers = [seller_central.call("GET", ORDERS) for _ in range(31)]
    assert [answer.status_code for answer in answers] == [200] * 30 + [429]
    assert answers[0].headers["x-amzn-ratelimit-limit"] == "2.0"
    assert error(answers[-1]) == "429 QuotaExceeded"
    assert "x-amzn-ratelimit-limit" not in answers[-1].headers
    assert len({answer.headers["x-amzn-requestid"] for answer in answers}) == 31
    assert seller_central.create().status_code == 200, "each operation has its own"
    seller_central.advance(1)
    assert [seller_central.call("GET", ORDERS).status_code for _ in range(3)] == [200, 200, 429]


def test_each_seller_has_a_bucket_of_their_own_and_rates_can_be_changed(seller_central: Amazon) -> None:
    token = seller_central.control("POST", "/sellers", name="second")["refresh_token"]
    seller_central.connect("second", token)
    assert [seller_central.summaries().status_code for _ in range(3)] == [200, 200, 429]
    query = {"granularityType": "Marketplace", "granularityId": US, "marketplaceIds": US}
    assert seller_central.call("GET", "/fba/inventory/v1/summaries", "second", params=query).status_code == 200
    seller_central.settings(rate_multiplier=0)
    assert {seller_central.summaries().status_code for _ in range(10)} == {200}
    seller_central.settings(rate_multiplier=1, rates={"getFeatures": [1, 1]})
    path = "/fba/outbound/2020-07-01/features"
    answers = [seller_central.call("GET", path, params={"marketplaceId": US}) for _ in range(2)]
    assert [(answer.status_code, answer.headers.get("x-amzn-ratelimit-limit")) for answer in answers] == [
        (200, "1.0"),
        (429, None),
    ]


def test_a_refusal_tells_the_rate_only_where_amazon_does(seller_central: Amazon) -> None:
    assert "x-amzn-ratelimit-limit" in seller_central.create(displayableOrderId=None).headers
    assert "x-amzn-ratelimit-limit" in seller_central.call("GET", f"{ORDERS}/none").headers
    seller_central.tokens["emberfold"] = "Atza|other"
    refused = seller_central.call("GET", ORDERS)
    assert "x-amzn-ratelimit-limit" not in refused.headers
    assert refused.headers["x-amzn-requestid"]


def test_what_is_no_operation_is_not_found(seller_central: Amazon) -> None:
    for method, path in (
        ("POST", "/fba/outbound/2020-07-01/deliveryOffers"),
        ("PUT", f"{ORDERS}/TTS-1/return"),
        ("GET", "/fba/outbound/2030-01-01/fulfillmentOrders"),
        ("DELETE", ORDERS),
    ):
        assert error(seller_central.call(method, path)) == "404 NotFound"


def test_a_lost_answer_left_an_order_behind_and_an_early_error_none(seller_central: Amazon) -> None:
    seller_central.fault("createFulfillmentOrder", "lost_reply")
    with pytest.raises(httpx.TransportError):
        seller_central.create("TTS-1")
    assert seller_central.status("TTS-1") == "New"
    seller_central.fault("createFulfillmentOrder", "late_error", status=500, code="InternalFailure")
    assert error(seller_central.create("TTS-2")) == "500 InternalFailure"
    assert seller_central.status("TTS-2") == "New"
    seller_central.fault("createFulfillmentOrder", "error", code="ServiceUnavailable")
    assert error(seller_central.create("TTS-3")) == "503 ServiceUnavailable"
    assert seller_central.call("GET", f"{ORDERS}/TTS-3").status_code == 404


def test_a_gateway_may_answer_with_a_page_and_a_success_with_errors(seller_central: Amazon) -> None:
    seller_central.fault("createFulfillmentOrder", "late_error", status=503)
    page = seller_central.create("TTS-1")
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (503, "text/html")
    seller_central.fault("createFulfillmentOrder", "error", status=200, code="InvalidInput")
    good = seller_central.create("TTS-2")
    assert (good.status_code, good.json()["errors"][0]["code"]) == (200, "InvalidInput")
    seller_central.fault("getFulfillmentOrder", "rate_limit")
    assert error(seller_central.call("GET", f"{ORDERS}/TTS-1")) == "429 QuotaExceeded"
    seller_central.fault("token", "error", code="internal_error", status=503)
    refused = seller_central.token(grant_type="refresh_token", refresh_token=REFRESH_TOKEN)
    assert (refused.status_code, refused.json()["error"]) == (503, "server_error")


def test_an_outage_takes_login_and_operations_down(seller_central: Amazon) -> None:
    seller_central.settings(outage="error")
    assert error(seller_central.create()) == "503 ServiceUnavailable"
    assert seller_central.token(**APP).status_code == 503
    seller_central.settings(outage="off")
    assert seller_central.call("POST", ORDERS, json=order()).status_code == 200
