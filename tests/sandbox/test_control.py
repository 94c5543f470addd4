"""Faults, clock, call log, page and access."""

import contextlib
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from sandbox.config import SandboxConfig
from sandbox.tiktok.answers import ERROR_STATUS
from tests.sandbox.conftest import App, Served, a_video, code, sha256

CREATOR_INFO = "/v2/post/publish/creator_info/query/"


@pytest.mark.parametrize("error", sorted(ERROR_STATUS))
def test_every_documented_code_can_be_ordered(connected: App, error: str) -> None:
    connected.fault("video_init", "error", code=error)
    assert code(connected.init(1000)) == f"{ERROR_STATUS[error]} {error}"
    assert code(connected.init(1000)) == "200 ok"


def test_an_error_without_a_code_is_a_page_that_is_not_json(connected: App) -> None:
    connected.fault("video_init", "error", status=502)
    answer = connected.init(1000)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_token_faults_are_flat(app: App) -> None:
    app.fault("token", "error", code="temporarily_unavailable")
    answer = app.token(grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


def test_a_fault_skips_then_counts(connected: App) -> None:
    connected.fault("creator_info", "rate_limit", skip=1, count=2)
    answers = [connected.call(CREATOR_INFO).status_code for _ in range(4)]
    assert answers == [200, 429, 429, 200]
    [fault] = connected.control("GET", "/faults")
    assert (fault["hits"], fault["spent"]) == (2, True)


def test_a_probability_with_a_seed_falls_the_same_way_twice(connected: App) -> None:
    def run() -> list[int]:
        connected.control("DELETE", "/faults")
        connected.fault("creator_info", "error", code="internal_error", probability=0.5, seed=7)
        connected.control("POST", "/clock/advance", seconds=60)
        return [connected.call(CREATOR_INFO).status_code for _ in range(16)]

    first = run()
    assert set(first) == {200, 500}
    assert run() == first


def test_a_lost_reply_of_an_init_left_a_publish_id_behind(connected: App) -> None:
    connected.fault("video_init", "lost_reply")
    with pytest.raises(httpx.TransportError):
        connected.init(1000)
    assert len(connected.control("GET", "/tiktok/posts")) == 1
    assert connected.control("GET", "/tiktok/effects") == []


def test_an_error_may_come_after_everything_has_happened(connected: App) -> None:
    connected.fault("video_init", "late_error", status=504, retry_after_seconds=7)
    answer = connected.init(1000)
    assert (answer.status_code, answer.headers["retry-after"]) == (504, "7")
    assert len(connected.control("GET", "/tiktok/posts")) == 1
    assert connected.control("GET", "/calls")[0]["status"] == 504


def test_a_lost_reply_may_be_silent_for_a_while_first(connected: App) -> None:
    connected.fault("video_init", "lost_reply", delay_seconds=0.05)
    with pytest.raises(httpx.TransportError):
        connected.init(1000)
    assert len(connected.control("GET", "/tiktok/posts")) == 1
    assert connected.control("GET", "/calls")[0]["duration_ms"] >= 45


@pytest.mark.parametrize("mode", ["rate_limit", "error"])
def test_a_refusal_says_when_to_come_back_only_when_it_is_told_to(connected: App, mode: str) -> None:
    connected.fault("creator_info", mode, status=429)
    connected.fault("creator_info", mode, status=429, retry_after_seconds=30)
    answers = [connected.call(CREATOR_INFO) for _ in range(2)]
    assert [(answer.status_code, answer.headers.get("retry-after")) for answer in answers] == [(429, None), (429, "30")]


def test_faults_of_a_bad_day_fall_apart_and_the_same_way_twice(connected: App) -> None:
    modes = ["lost_reply", "late_error", "reset", "rate_limit", "error"]

    def run() -> list[str]:
        connected.control("POST", "/reset")
        connected.connect()
        connected.settings(calls_per_minute={"creator_info": 1000})
        for mode in modes:
            connected.fault("creator_info", mode, status=503, probability=0.2, seed=7)
        for _ in range(60):
            with contextlib.suppress(httpx.TransportError):
                connected.call(CREATOR_INFO)
        return [call["fault"] for call in connected.http.get("/control/calls?endpoint=tiktok.creator_info").json()]

    first = run()
    assert set(first) == {"", *modes}
    assert run() == first


def test_an_outage_stops_everything_until_it_ends(connected: App) -> None:
    connected.settings(outage="error")
    assert code(connected.call(CREATOR_INFO)) == "503 internal_error"
    connected.settings(outage="reset")
    with pytest.raises(httpx.TransportError):
        connected.call(CREATOR_INFO)
    connected.settings(outage="off")
    assert code(connected.call(CREATOR_INFO)) == "200 ok"


def test_a_delay_lets_the_call_through(connected: App) -> None:
    connected.fault("creator_info", "delay", delay_seconds=0.05)
    assert code(connected.call(CREATOR_INFO)) == "200 ok"
    assert connected.control("GET", "/calls")[0]["duration_ms"] >= 45


@pytest.mark.parametrize(
    "fault",
    [
        {"endpoint": "tiktok.nothing", "mode": "reset"},
        {"endpoint": "tiktok.webhook", "mode": "reset"},
        {"endpoint": "tiktok.upload", "mode": "drop"},
        {"endpoint": "tiktok.upload", "mode": "delay"},
        {"endpoint": "tiktok.upload", "mode": "reset", "probability": 0},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(app: App, fault: dict[str, object]) -> None:
    assert app.http.post("/control/faults", json=fault).status_code == 422


def test_a_setting_that_makes_no_sense_is_named_and_changes_nothing(app: App) -> None:
    before = app.control("GET", "/tiktok/settings")
    answer = app.http.patch("/control/tiktok/settings", json={"posts_per_day": 3, "processing_seconds": -1})
    assert answer.status_code == 422
    assert "processing_seconds" in answer.json()["detail"]
    assert app.control("GET", "/tiktok/settings") == before


def test_unknown_creators_and_posts_are_404(app: App) -> None:
    assert app.http.patch("/control/tiktok/creators/nobody", json={"banned": True}).status_code == 404
    assert app.http.post("/control/tiktok/creators/nobody/revoke").status_code == 404
    assert app.http.post("/control/tiktok/posts/nothing/remove").status_code == 404
    assert app.http.post("/control/tiktok/creators", json={"username": "emberfold.air"}).status_code == 409


def test_the_call_log_tells_what_happened_and_no_secret(connected: App) -> None:
    publish_id = connected.post_video()
    connected.call("/v2/post/publish/status/fetch/", {"publish_id": "unknown"})
    calls = connected.control("GET", "/calls")
    assert [(call["endpoint"], call["status"], call["code"]) for call in calls[:3]] == [
        ("tiktok.status_fetch", 400, "invalid_publish_id"),
        ("tiktok.upload", 201, ""),
        ("tiktok.video_init", 200, ""),
    ]
    assert calls[1]["publish_id"] == publish_id
    text = connected.http.get("/control/calls").text + connected.http.get("/control").text
    tokens = connected.tokens["emberfold.air"]
    for secret in (tokens["access_token"], tokens["refresh_token"], "upload_token", "sandbox-client-secret"):
        assert secret not in text


def test_the_page_shows_everything_and_escapes_it(connected: App) -> None:
    connected.post_video(title="<script>alert(1)</script>")
    connected.fault("upload", "reset")
    page = connected.http.get("/control")
    assert page.status_code == 200
    for part in ("emberfold.earth", "PROCESSING_UPLOAD", "tiktok.video_init", "&lt;script&gt;", "frozen"):
        assert part in page.text
    assert "<script" not in page.text
    assert "http" not in page.text.replace("http-equiv", "")  # nothing is loaded from elsewhere


def test_the_forms_of_the_page_work_and_bad_ones_say_why(connected: App) -> None:
    def send(operation: str, **fields: str) -> int:
        return connected.http.post(f"/control/forms/{operation}", data=fields).status_code

    assert send("tiktok/creator", username="emberfold.air", banned="True") == 303
    assert code(connected.init(1000)) == "403 spam_risk_user_banned_from_posting"
    assert send("tiktok/settings", processing_seconds="9", client_audited="False", webhook_url="") == 303
    settings = connected.control("GET", "/tiktok/settings")
    assert (settings["processing_seconds"], settings["client_audited"], settings["webhook_url"]) == (9, False, None)
    assert send("tiktok/verdict", fail_reason="spam_risk", creator="", count="2") == 303
    assert send("fault", endpoint="tiktok.upload", mode="reset", status="", count="1") == 303
    assert send("advance", seconds="5") == 303
    assert send("fault", endpoint="tiktok.upload", mode="delay") == 422
    assert send("advance", seconds="soon") == 422
    assert send("advance", seconds="nan") == 422
    assert send("tiktok/creator", username="nobody", banned="True") == 404
    assert send("nothing") == 404


def test_pages_of_other_origins_cannot_press_the_buttons(app: App) -> None:
    answer = app.http.post("/control/forms/reset", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_with_a_token_the_control_api_is_locked_and_the_platform_is_not() -> None:
    with Served(SandboxConfig(control_token=SecretStr("t-1"))) as url, httpx.Client(base_url=url) as client:
        for path in ("/control", "/control/state", "/control/openapi.json", "/control/tiktok/posts"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer t-1"}).status_code == 200
            assert client.get(path, auth=("anybody", "t-1")).status_code == 200
        assert client.get("/healthz").status_code == 200


def test_a_restart_with_a_state_file_keeps_tokens_posts_uploads_and_clock(tmp_path: Path) -> None:
    config = SandboxConfig(state_file=tmp_path / "sandbox.db")
    chunk, size = 5 * 1024 * 1024, 10 * 1024 * 1024 + 5
    with Served(config) as url, httpx.Client(base_url=url) as client:
        app = App(client)
        app.control("POST", "/clock/freeze")
        app.settings(moderation_seconds=50)
        app.connect()
        done = app.post_video(title="kept")
        opened = app.init(size, chunk, 2).json()["data"]
        app.put(opened["upload_url"], a_video(size)[:chunk], 0, size)
    with Served(config) as url, httpx.Client(base_url=url) as client:
        again = App(client, app.tokens)
        assert again.control("GET", "/clock")["frozen"] is True
        upload = httpx.URL(opened["upload_url"]).copy_with(port=httpx.URL(url).port)
        assert again.put(str(upload), a_video(size)[chunk:], chunk, size).status_code == 201
        posts = {post["publish_id"]: post for post in again.control("GET", "/tiktok/posts")}
        assert posts[opened["publish_id"]]["sha256"] == sha256(a_video(size))
        assert not list((tmp_path / "sandbox.db.uploads").iterdir())
        again.control("POST", "/clock/advance", seconds=51)
        assert again.status(done)["status"] == "PUBLISH_COMPLETE"
    for secret in (app.tokens["emberfold.air"]["access_token"], "sandbox-client-secret"):
        assert secret.encode() not in (tmp_path / "sandbox.db").read_bytes()


def test_tokens_without_consent_leave_those_of_the_app_good(connected: App) -> None:
    tokens = connected.control("POST", "/tiktok/creators/emberfold.air/tokens")
    for token in (tokens["access_token"], connected.tokens["emberfold.air"]["access_token"]):
        answer = connected.http.post(CREATOR_INFO, headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["data"]["creator_username"] == "emberfold.air"
    assert connected.http.post("/control/tiktok/creators/nobody/tokens").status_code == 404
