"""The consent page's address and TikTok's own kind of PKCE."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from kit.vendor_errors import VendorRejected
from vendors.tiktok import oauth
from vendors.tiktok.config import TikTokConfig


def test_the_challenge_is_hexadecimal_and_matches_the_known_vector() -> None:
    verifier = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ0123456789-._~"
    assert oauth.challenge_of(verifier) == "adddbbdb8df3a10ebdb251b36f0064205187d70f0986419b63e7e3fbceb87ac7"


def test_a_proof_key_is_new_each_time_and_hides_its_verifier() -> None:
    keys = {oauth.new_proof_key() for _ in range(50)}
    assert len(keys) == 50
    for key in keys:
        assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", key.verifier)
        assert key.challenge == oauth.challenge_of(key.verifier)
        assert key.verifier not in repr(key)


def test_the_consent_address_names_everything_that_tiktok_asks_for() -> None:
    address = oauth.authorize_url(
        TikTokConfig(client_key="the-key", scopes="user.info.basic,video.publish"),
        redirect_uri="https://brand.example/callback",
        state="the-state",
        code_challenge="ab12",
        always_ask=True,
    )
    assert address.startswith("https://www.tiktok.com/v2/auth/authorize/?")
    assert parse_qs(urlsplit(address).query) == {
        "client_key": ["the-key"],
        "response_type": ["code"],
        "scope": ["user.info.basic,video.publish"],
        "redirect_uri": ["https://brand.example/callback"],
        "state": ["the-state"],
        "code_challenge": ["ab12"],
        "code_challenge_method": ["S256"],
        "disable_auto_auth": ["1"],
    }


def test_without_an_app_the_operator_is_told_what_to_set() -> None:
    with pytest.raises(VendorRejected) as refusal:
        oauth.authorize_url(TikTokConfig(client_key=""), redirect_uri="https://x", state="s", code_challenge="c")
    assert "REELROUTE_TIKTOK_CLIENT_KEY" in refusal.value.advice


def test_settings_come_from_the_environment_and_hide_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELROUTE_TIKTOK_BASE_URL", "http://127.0.0.1:8090/")
    monkeypatch.setenv("REELROUTE_TIKTOK_CLIENT_SECRET", "canary-secret")
    monkeypatch.setenv("REELROUTE_TIKTOK_VIDEO_INIT_PER_MINUTE", "60")
    config = TikTokConfig()
    assert config.http_settings().base_url == "http://127.0.0.1:8090"
    assert config.http_settings().rates["video_init"].tokens == 60
    assert "canary-secret" not in repr(config)
