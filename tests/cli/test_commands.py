"""The other commands, and what is said when something goes wrong."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest

from cli import consent
from cli.client import ClientError
from cli.consent import Listener
from cli.settings import connection
from tests.cli.conftest import Run
from tests.cli.gateway import FakeGateway, Memory

CREATE = ("posts", "create", "--zone", "Europe/Berlin", "--caption", "Hi", "--account", "@Emberfold.Air")


@pytest.fixture
def post_id(run: Run, memory: Memory, tmp_path: Path) -> str:
    video = tmp_path / "one.mp4"
    video.write_bytes(b"first video")
    made = run(*CREATE, "--at", "2037-01-04T18:00", "--privacy", "SELF_ONLY", "--media", str(video), "--json")
    assert made.exit_code == 0
    return str(made.document["post_id"])


def test_a_post_is_made_listed_shown_and_canceled(run: Run, memory: Memory, post_id: str) -> None:
    assert memory.posts[0]["media"][0]["sha256"] == memory.media[0]["sha256"]
    listed = run("posts", "list").out
    assert "2037-01-04 18:00:00" in listed
    assert "@emberfold.air" in listed
    assert post_id in listed
    assert "SELF_ONLY" in run("posts", "show", post_id).out
    assert run("posts", "cancel", post_id).exit_code == 3  # nobody to ask
    assert memory.posts[0]["deliveries"][0]["state"] == "SCHEDULED"
    assert run("posts", "cancel", post_id, "--yes").exit_code == 0
    assert memory.posts[0]["deliveries"][0]["state"] == "CANCELED"


def test_a_creator_s_post_links_to_a_product_and_needs_no_choice_of_who_sees_it(
    run: Run, memory: Memory, tmp_path: Path
) -> None:
    video = tmp_path / "one.mp4"
    video.write_bytes(b"first video")
    create = (*CREATE, "--at", "2037-01-04T18:00", "--media", str(video))
    made = run(*create, "--product", "1729587769570529799", "--product-title", "River desk mat", "--ai-generated")
    assert made.exit_code == 0
    assert "River desk mat (1729587769570529799)" in made.out
    assert memory.posts[0]["options"] == {
        "tiktok": None,
        "tiktok_shop": {
            "product_id": "1729587769570529799",
            "product_title": "River desk mat",
            "cover_time_ms": 0,
            "music_id": "",
            "is_ai_generated": True,
        },
    }
    assert run(*create, "--product", "1729587769570529799").exit_code == 2
    assert run(*create, "--privacy", "SELF_ONLY", "--product-title", "River desk mat").exit_code == 2
    assert len(memory.posts) == 1


def test_lists_go_on_over_pages_up_to_the_limit(run: Run, memory: Memory) -> None:
    memory.connect("a", "b", "c", "d")
    assert len(run("accounts", "list", "--json").document["accounts"]) == 7


def test_an_account_is_disconnected_only_when_that_is_meant(run: Run, memory: Memory) -> None:
    assert run("accounts", "disconnect", "@emberfold.air").exit_code == 3
    assert memory.accounts[0]["state"] == "CONNECTED"
    gone = run("accounts", "disconnect", "@emberfold.air", "--yes")
    assert (gone.exit_code, memory.accounts[0]["state"]) == (0, "DISCONNECTED")
    assert "DISCONNECTED" in run("accounts", "list").out


def test_what_an_account_may_do_is_shown(run: Run, memory: Memory) -> None:
    shown = run("accounts", "limits", "@emberfold.air").out
    assert "SELF_ONLY" in shown
    assert "duet, stitch" in shown
    assert "not said" in shown


def test_numbers_of_posts_are_shown_although_those_of_the_account_are_not_allowed(run: Run, memory: Memory) -> None:
    shown = run("accounts", "numbers", "@emberfold.air", "--posts", "5")
    assert shown.exit_code == 0
    assert "18,230" in shown.out
    assert "has not allowed it" in shown.err
    found = run("accounts", "numbers", "@emberfold.air", "--posts", "25", "--json").document
    assert (found["account"], len(found["posts"])) == (None, 25)


def test_a_draft_needs_no_privacy_and_agreement_is_recorded_when_it_is_given(
    run: Run, gateway: FakeGateway, memory: Memory, tmp_path: Path
) -> None:
    photo = tmp_path / "one.jpg"
    photo.write_bytes(b"a photo")
    at = ("--at", "2037-01-04T18:00", "--media", str(photo), "--json")
    assert run(*CREATE, *at, "--draft", "--photo-cover", "1", "--photo-title", "Look").exit_code == 0
    assert run(*CREATE, *at, "--draft", "--privacy", "SELF_ONLY").exit_code == 2
    told = run(*CREATE, *at, "--privacy", "SELF_ONLY", "--branded-content")
    assert "Music Usage Confirmation and Branded Content Policy" in told.err
    assert run(*CREATE, *at, "--privacy", "SELF_ONLY", "--music-usage-confirmed").err == ""
    draft, silent, agreed = (each.body["options"]["tiktok"] for each in gateway.memory.sent("/v1/posts"))
    assert (draft["post_mode"], draft["privacy_level"], draft["photo_title"]) == ("MEDIA_UPLOAD", None, "Look")
    assert draft["photo_cover_index"] == 0
    assert silent["music_usage_confirm_time"] is None
    assert datetime.fromisoformat(agreed["music_usage_confirm_time"]).tzinfo is not None


def test_the_life_of_a_post_is_told_with_every_attempt(run: Run, memory: Memory, post_id: str) -> None:
    assert "No attempt" in run("posts", "log", post_id).out
    delivery = memory.posts[0]["deliveries"][0]
    time = "2037-01-04T17:00:00Z"
    memory.activities.append({"activity_time": time, "type": "delivery.published", "summary": "It is out."})
    memory.publications[delivery["delivery_id"]] = {
        "publication_id": "p1",
        "account_id": delivery["account_id"],
        "step": "PUBLISHED",
        "handle": "v_pub",
        "platform_post_id": "74",
        "url": "",
        "attempts": [
            {
                "attempt": 1,
                "holder": "publisher-0",
                "start_time": time,
                "end_time": None,
                "outcome": "",
                "entries": [{"entry_time": time, "step": "HANDLE", "message": "A handle came.", "vendor_log_id": "L1"}],
            }
        ],
    }
    told = run("posts", "log", post_id).out
    for text in ("It is out.", "attempt 1 by publisher-0", "A handle came.", "L1", "2037-01-04 18:00:00"):
        assert text in told


def test_files_are_uploaded_and_a_bad_one_is_told(run: Run, memory: Memory, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.mp4", tmp_path / "bad.mp4"
    good.write_bytes(b"video" * 100_000)
    bad.write_bytes(b"text")
    memory.not_media.add(b"text")
    outcome = run("media", "upload", str(bad), str(good), str(good), str(tmp_path / "none.mp4"), "--json")
    assert outcome.exit_code == 1
    assert [each["already_existed"] for each in outcome.document["media"]] == [False, True]
    assert [each["reason"] for each in outcome.document["refused"]] == ["MEDIA_NOT_RECOGNIZED", "FILE_UNREADABLE"]
    assert memory.media[0]["size_bytes"] == 500_000


def test_a_new_key_goes_to_standard_output_alone(run: Run, memory: Memory) -> None:
    outcome = run("keys", "create", "Import", "--scope", "posts_write")
    assert outcome.out == "rr_new_key\n"
    assert "rr_new_key" not in outcome.err


def test_status_names_the_service_that_is_missing(run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELROUTE_API_KEY")
    assert run("status").exit_code == 0
    memory.unready.add("scheduler")
    outcome = run("status", "--json")
    assert outcome.exit_code == 1
    assert outcome.document["services"] == {"identity": "ready", "scheduler": "unavailable"}


def test_nobody_there_is_said_at_once_with_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELROUTE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("REELROUTE_API_KEY", "rr_x")
    outcome = run("posts", "list")
    assert outcome.exit_code == 3
    assert "make run" in outcome.err


def test_a_refusal_is_shown_with_its_fields(run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELROUTE_API_KEY", "rr_wrong")
    outcome = run("posts", "list", "--json")
    assert outcome.exit_code == 3
    assert outcome.document["error"]["reason"] == "API_KEY_INVALID"
    assert "REELROUTE_API_KEY" in outcome.err
    assert "rr_wrong" not in outcome.out + outcome.err


def test_an_id_cannot_lead_to_another_route(run: Run, memory: Memory) -> None:
    assert run("posts", "show", "../accounts").exit_code == 3
    assert memory.requests == []


def test_the_key_of_this_machine_is_not_sent_to_another(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("rr_local\n")
    (tmp_path / "ports.json").write_text('{"gateway": 18080}')
    here = {"REELROUTE_DATA_DIR": str(tmp_path)}
    found = connection(here)
    assert (found.url, found.key, found.is_local) == ("http://127.0.0.1:18080", "rr_local", True)
    away = connection(here | {"REELROUTE_URL": "http://reelroute.example.com"})
    assert (away.key, away.shows_key) == ("", True)
    assert "rr_local" not in repr(found)


def test_a_key_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("rr_filed\n")
    assert connection({"REELROUTE_API_KEY_FILE": str(file)}).key == "rr_filed"
    with pytest.raises(ClientError, match="cannot be read"):
        connection({"REELROUTE_API_KEY_FILE": str(tmp_path / "none")})
    with pytest.raises(ClientError, match="no address"):
        connection({"REELROUTE_URL": "127.0.0.1:8080"})


def ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def waiting(listener: Listener) -> tuple[threading.Thread, list[str | ClientError]]:
    found: list[str | ClientError] = []

    def wait() -> None:
        try:
            found.append(listener.wait("s1", 10))
        except ClientError as error:
            found.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread, found


def test_only_the_redirect_with_the_right_state_is_believed() -> None:
    with Listener(0) as listener:
        thread, found = waiting(listener)
        base = f"http://127.0.0.1:{listener.port}"
        assert ask(f"{base}/favicon.ico")[0] == 404
        assert ask(f"{base}/callback?code=evil&state=s2")[0] == 400
        assert ask(f"{base}/callback?code=evil")[0] == 400
        assert ask(f"{base}/callback?code=c%2A1&state=s1")[0] == 200
        thread.join()
    assert found == ["c*1"]


# TikTok Shop sends a code beside the error.
@pytest.mark.parametrize("query", ["error=access_denied", "code=null&error=access_denied"])
def test_a_refused_consent_is_told_in_the_platforms_words(query: str) -> None:
    with Listener(0) as listener:
        thread, found = waiting(listener)
        status, page = ask(f"http://127.0.0.1:{listener.port}/callback?{query}&state=s1")
        thread.join()
    assert status == 400
    assert "access_denied" not in page
    assert "access_denied" in str(found[0])


def test_an_account_is_connected_by_its_owners_consent(
    run: Run, gateway: FakeGateway, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The browser: it is sent back as soon as the command waits.
    wait = Listener.wait

    def consented(listener: Listener, state: str, seconds: float) -> str:
        browser = threading.Thread(target=ask, args=[f"{listener.redirect_uri}?code=c1&state={state}"])
        browser.start()
        code = wait(listener, state, seconds)
        browser.join()
        return code

    monkeypatch.setattr(consent.Listener, "wait", consented)
    outcome = run("accounts", "connect", "tiktok", "--port", str(free_port))
    assert outcome.exit_code == 0
    assert "https://platform.example/consent" in outcome.err
    (start,) = gateway.memory.sent("/v1/connections")
    assert start.body["redirect_uri"] == f"http://127.0.0.1:{free_port}/callback"
    (finish,) = gateway.memory.sent("/v1/connections:finish")
    assert finish.body == {"state": "s1", "code": "c1"}
