"""Login Kit as the sandbox plays it."""

import base64
import hashlib
from urllib.parse import quote

import pytest

from tests.sandbox.conftest import APP, VERIFIER, App, code, query_of


def test_a_person_allows_and_the_app_gets_tokens(app: App) -> None:
    page = app.http.get(app.authorize_url())
    assert page.status_code == 200
    assert "Emberfold Water" in page.text
    back = app.consent("emberfold.water")
    assert back["state"] == "s-1"
    assert "video.publish" in back["scopes"]
    tokens = app.exchange(back["code"]).json()
    assert (tokens["expires_in"], tokens["refresh_expires_in"], tokens["token_type"]) == (86_400, 31_536_000, "Bearer")
    assert tokens["access_token"].startswith("act.")
    assert tokens["refresh_token"].startswith("rft.")
    assert "data" not in tokens


def test_a_base64url_challenge_is_refused_because_the_platform_wants_hex(app: App) -> None:
    wrong = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    assert app.consent(code_challenge=wrong)["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": VERIFIER[::-1]}, "invalid_request"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:5000/other"}, "invalid_grant"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_an_exchange_with_a_wrong_field_is_refused(app: App, changes: dict[str, str], error: str) -> None:
    answer = app.exchange(app.consent()["code"], **changes)
    assert answer.status_code >= 400
    assert answer.json()["error"] == error


def test_a_code_works_once(app: App) -> None:
    one = app.consent()["code"]
    assert "access_token" in app.exchange(one).json()
    assert app.exchange(one).json()["error"] == "invalid_grant"


def test_a_code_that_was_not_decoded_is_refused(app: App) -> None:
    assert app.exchange(quote(app.consent()["code"], safe="")).json()["error"] == "invalid_grant"


def test_denying_sends_access_denied_to_the_app(app: App) -> None:
    assert app.consent(decision="deny")["error"] == "access_denied"


def test_a_scope_that_the_app_lacks_ends_in_invalid_scope(app: App) -> None:
    assert app.consent(scope="user.info.basic,research.data.basic")["error"] == "invalid_scope"


@pytest.mark.parametrize(
    ("redirect_uri", "shown"),
    [
        ("http://localhost:1/x", True),
        ("https://127.0.0.1:65535/", True),
        ("http://127.0.0.1/x", False),  # the port is mandatory
        ("http://127.0.0.1:80/x?y=1", False),
        ("http://localhost.example.com:80/x", False),
        ("https://brand.example/callback", False),
    ],
)
def test_only_desktop_and_registered_addresses_are_redirected_to(app: App, redirect_uri: str, shown: bool) -> None:
    assert (app.http.get(app.authorize_url(redirect_uri=redirect_uri)).status_code == 200) is shown


def test_a_registered_web_address_needs_no_pkce(app: App) -> None:
    app.settings(redirect_uris=["https://brand.example/callback"])
    web = {"redirect_uri": "https://brand.example/callback", "code_challenge": "", "code_challenge_method": ""}
    back = app.consent(**web)
    answer = app.exchange(back["code"], redirect_uri="https://brand.example/callback", code_verifier="")
    assert "access_token" in answer.json()


def test_a_refresh_gives_new_tokens_and_ends_the_old_refresh_token(connected: App) -> None:
    first = connected.tokens["emberfold.air"]
    second = connected.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["open_id"] == first["open_id"]
    again = connected.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert again.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(("prolongs", "left"), [(False, 31_536_000 - 86_400), (True, 31_536_000)])
def test_a_refresh_leaves_the_authorisation_its_end_unless_the_platform_prolongs_it(
    connected: App, prolongs: bool, left: int
) -> None:
    connected.settings(refresh_prolongs=prolongs)
    connected.control("POST", "/clock/advance", seconds=86_400)
    refresh = connected.tokens["emberfold.air"]["refresh_token"]
    second = connected.token(grant_type="refresh_token", refresh_token=refresh).json()
    assert abs(second["refresh_expires_in"] - left) <= 2
    connected.control("POST", "/clock/advance", seconds=31_536_000 - 86_400)
    third = connected.token(grant_type="refresh_token", refresh_token=second["refresh_token"]).json()
    assert ("access_token" in third) is prolongs


def test_errors_can_come_with_http_200(app: App) -> None:
    app.settings(oauth_errors_as_200=True)
    answer = app.token(grant_type="refresh_token", refresh_token="rft.unknown")
    assert (answer.status_code, answer.json()["error"]) == (200, "invalid_grant")


def test_tokens_expire_by_the_sandbox_clock(connected: App) -> None:
    info = "/v2/user/info/?fields=open_id,username"
    connected.control("POST", "/clock/advance", seconds=86_399)
    assert connected.call(info).json()["data"]["user"]["username"] == "emberfold.air"
    connected.control("POST", "/clock/advance", seconds=1)
    assert code(connected.call(info)) == "401 access_token_invalid"
    refresh = connected.tokens["emberfold.air"]["refresh_token"]
    connected.control("POST", "/clock/advance", seconds=31_536_000)
    assert connected.token(grant_type="refresh_token", refresh_token=refresh).json()["error"] == "invalid_grant"


def test_revoking_ends_the_tokens_and_fails_what_is_on_its_way(connected: App) -> None:
    publish_id = connected.post_video()
    answer = connected.http.post(
        "/v2/oauth/revoke/", data={**APP, "token": connected.tokens["emberfold.air"]["access_token"]}
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert code(connected.call("/v2/user/info/?fields=open_id")) == "401 access_token_invalid"
    connected.connect()
    assert connected.status(publish_id)["fail_reason"] == "auth_removed"


def test_a_user_who_grants_less_is_not_posted_for(app: App) -> None:
    answer = app.http.post(
        app.authorize_url(), data={"creator": "emberfold.air", "decision": "allow", "scopes": ["", "user.info.basic"]}
    )
    back = query_of(answer.headers["location"])
    assert back["scopes"] == ["user.info.basic"]
    app.tokens["emberfold.air"] = app.exchange(back["code"][0]).json()
    assert code(app.init(1000)) == "401 scope_not_authorized"
    assert code(app.call("/v2/user/info/?fields=follower_count")) == "400 scope_permission_missed"


def test_the_control_api_allows_an_authorize_address_without_a_browser(app: App) -> None:
    url = app.control(
        "POST", "/tiktok/consents", authorize_url=f"http://any{app.authorize_url()}", creator="emberfold.fire"
    )["redirect_url"]
    assert "access_token" in app.exchange(query_of(url)["code"][0]).json()


def test_an_app_token_does_not_open_user_endpoints(app: App) -> None:
    token = app.token(grant_type="client_credentials").json()
    assert token["expires_in"] == 7200
    app.tokens["emberfold.air"] = token
    assert code(app.init(1000)) == "401 access_token_invalid"
