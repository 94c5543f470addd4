"""What TikTok fetches instead of being sent (photos, and videos where that is chosen), and drafts; over the sandbox."""

from __future__ import annotations

import dataclasses
import functools
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kit.media_link import PATH, media_link
from services.publisher import account_store
from services.publisher.domain import AccountLimits, AttemptFailed, FailureKind, GrantStale, Options, Visibility
from services.publisher.ledger import Ledger
from services.publisher.platforms import checks
from services.publisher.platforms.base import (
    Complete,
    MediaFile,
    Processing,
    Search,
    Taken,
    Uncertain,
    Unsettled,
    Work,
)
from services.publisher.platforms.tiktok import TikTokAdapter
from services.publisher.platforms.tiktok_checks import MOST_PHOTOS
from tests.publisher.factories import NOW, an_account
from tests.publisher.stage import CREATOR, SMALL, FakeLibrary, Sandbox
from tests.publisher.test_tiktok_adapter import CAPTION, Scene, StoredTokens, a_file
from tests.services import SERVICE_TOKEN
from vendors.tiktok.client import TikTokClient

pytestmark = pytest.mark.anyio
JPEG = b"\xff\xd8\xff\xe0" + bytes(2000)
PUBLIC: Options = {"privacy_level": "PUBLIC_TO_EVERYONE"}
DRAFT: Options = {"post_mode": "MEDIA_UPLOAD"}


def a_photo(**changes: Any) -> MediaFile:
    facts = {"mime_type": "image/jpeg", "container": "", "codec": "jpeg", "duration_ms": 0, "frame_rate_millis": 0,
             "pixel_mode": "RGB", "width": 1080, "height": 1350}  # fmt: skip
    return a_file(len(JPEG), media_asset_id=str(uuid.uuid4()), **facts | changes)


def a_video() -> MediaFile:
    return a_file(SMALL, media_asset_id=str(uuid.uuid4()))


@dataclasses.dataclass
class MediaServer:
    """Hands out the same bytes under every link. `hold`: no answer comes while it is set."""

    url: str = ""
    content: bytes = JPEG
    hold: threading.Event = dataclasses.field(default_factory=threading.Event)


@pytest.fixture
def media() -> Iterator[MediaServer]:
    served = MediaServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            while served.hold.wait(0) and not closed.wait(0.02):
                pass
            self.send_response(200 if self.path.startswith(f"/{PATH}/") else 404)
            self.send_header("Content-Length", str(len(served.content)))
            self.end_headers()
            self.wfile.write(served.content)

        def log_message(self, *arguments: object) -> None:
            pass

    closed = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield served
        closed.set()
        server.shutdown()
        thread.join(5)


@pytest.fixture
async def fetching(sandbox: Sandbox, ledger: Ledger, media: MediaServer, anyio_backend: str) -> AsyncIterator[Scene]:
    """A creator whose app may do everything; videos are fetched too."""
    sandbox.control("PATCH", "/tiktok/settings", url_prefixes=[media.url])
    account = sandbox.connect(ledger)
    with ledger.database.transaction(account.workspace_id) as tx:
        tokens = account_store.read_tokens(tx, ledger.vault, account)
    config = sandbox.config(video_source="PULL_FROM_URL", media_url_prefix=media.url)
    async with TikTokClient(config) as client:
        adapter = TikTokAdapter(client, functools.partial(media_link, SERVICE_TOKEN, media.url))
        scene = Scene(sandbox, adapter, account, StoredTokens(tokens.access_token))
        scene.allow("video.upload", "video.list")
        yield scene


async def ready(scene: Scene, *media: MediaFile, caption: str = CAPTION, **options: str | int | bool) -> Work:
    """The work as an attempt makes it: with what the creator may do now."""
    chosen: Options = {**(PUBLIC if "post_mode" not in options else {}), **options}
    limits = await scene.adapter.read_limits(scene.account, chosen, scene.tokens)
    return Work(scene.account, caption, media, chosen, scene.tokens, limits)


async def post(scene: Scene, work: Work, refuse_with: Exception | None = None) -> str:
    """The handle of what TikTok fetches and publishes."""
    assert not scene.adapter.has_handle(work)

    async def on_stored(_count: int) -> None:
        raise AssertionError("nothing is sent in parts")

    def last_moment() -> None:
        if refuse_with:
            raise refuse_with

    taken = await scene.adapter.send(work, None, 0, on_stored, last_moment)
    assert taken == Taken(taken.handle)
    return taken.handle


async def settled(scene: Scene, work: Work, handle: str) -> Complete:
    for _ in range(200):
        answer = await scene.adapter.ask(scene.account, work.options, handle, scene.tokens)
        if isinstance(answer, Complete) and answer.settled:
            return answer
        assert isinstance(answer, Processing | Complete), answer
        threading.Event().wait(0.02)
    raise AssertionError("no verdict")


def share(scene: Scene, handle: str) -> dict[str, Any]:
    posts: list[dict[str, Any]] = scene.sandbox.control("GET", "/tiktok/posts")
    return next(each for each in posts if each["publish_id"] == handle)


async def test_photos_are_fetched_in_their_order_and_shown_as_chosen(fetching: Scene) -> None:
    work = await ready(
        fetching, a_photo(), a_photo(), photo_title="Fries", photo_cover_index=1, auto_add_music=True,
        allow_comment=True, branded_content=True, is_ai_generated=True,
    )  # fmt: skip
    assert fetching.adapter.check(work) == []
    handle = await post(fetching, work)
    verdict = (await settled(fetching, work, handle)).verdict
    assert verdict.visibility is Visibility.PUBLIC
    assert verdict.url == f"https://www.tiktok.com/@{CREATOR}/photo/{verdict.platform_post_id}"
    stored = share(fetching, handle)
    assert [each.partition("?")[0].rpartition("/")[2] for each in stored["urls"]] == [
        file.media_asset_id for file in work.media
    ]
    assert stored["options"] == {
        "description": CAPTION, "disable_comment": False, "auto_add_music": True, "brand_content_toggle": True,
        "brand_organic_toggle": False, "is_aigc": True,
    }  # fmt: skip


async def test_a_video_is_fetched_where_that_is_chosen(fetching: Scene, media: MediaServer) -> None:
    media.content = FakeLibrary.HEAD + bytes(SMALL)
    work = await ready(fetching, a_video())
    handle = await post(fetching, work)
    assert "/video/" in (await settled(fetching, work, handle)).verdict.url
    assert fetching.sandbox.effects(CAPTION) == 1


@pytest.mark.parametrize("file", [a_photo(), a_video()], ids=["photo", "video"])
async def test_a_draft_lies_in_the_owners_inbox_and_asks_nothing_of_creator_info(
    fetching: Scene, media: MediaServer, file: MediaFile
) -> None:
    media.content = JPEG if file.mime_type == "image/jpeg" else FakeLibrary.HEAD + bytes(SMALL)
    before = fetching.sandbox.calls("creator_info")
    work = await ready(fetching, file, post_mode="MEDIA_UPLOAD")
    assert fetching.adapter.check(work) == []
    verdict = (await settled(fetching, work, await post(fetching, work))).verdict
    assert verdict.visibility is Visibility.INBOX
    assert fetching.sandbox.calls("creator_info") == before


async def test_a_lost_answer_to_what_publishes_by_itself_is_doubt(fetching: Scene) -> None:
    fetching.sandbox.fault("content_init", "lost_reply")
    work = await ready(fetching, a_photo())
    with pytest.raises(Uncertain):
        await post(fetching, work)
    assert fetching.sandbox.calls("content_init") == 1


async def test_a_fault_of_tiktoks_own_is_doubt_too_and_a_refusal_is_none(fetching: Scene) -> None:
    work = await ready(fetching, a_photo())
    fetching.sandbox.control("PATCH", "/tiktok/settings", outage="error")
    with pytest.raises(Uncertain):
        await post(fetching, work)
    fetching.sandbox.control("PATCH", "/tiktok/settings", outage="off", url_prefixes=["http://elsewhere.example/"])
    with pytest.raises(AttemptFailed) as refused:
        await post(fetching, work)
    failure = refused.value.failure
    assert (failure.kind, failure.reason) == (FailureKind.PERMANENT, "TIKTOK_URL_OWNERSHIP_UNVERIFIED")
    assert "REELROUTE_TIKTOK_MEDIA_URL_PREFIX" in failure.message


async def test_what_the_last_moment_says_keeps_the_call_back(fetching: Scene) -> None:
    with pytest.raises(GrantStale):
        await post(fetching, await ready(fetching, a_photo()), GrantStale())
    assert fetching.sandbox.calls("content_init") == 0


async def test_what_tiktok_still_fetches_can_be_stopped_and_nothing_comes_of_it(
    fetching: Scene, media: MediaServer
) -> None:
    media.hold.set()
    work = await ready(fetching, a_photo())
    handle = await post(fetching, work)
    answer = await fetching.adapter.ask(fetching.account, work.options, handle, fetching.tokens)
    assert answer == Processing(can_be_stopped=True)
    assert await fetching.adapter.stop(fetching.account, handle, fetching.tokens)
    # Whoever could not record that hears it again: it waits for as long as it is held.
    failed = await fetching.adapter.ask(fetching.account, work.options, handle, fetching.tokens)
    assert getattr(failed, "kind", None) is FailureKind.PLATFORM
    assert not await fetching.adapter.stop(fetching.account, handle, fetching.tokens)
    media.hold.clear()
    assert fetching.sandbox.effects(CAPTION) == 0


async def test_a_file_that_cannot_be_fetched_is_tried_again(fetching: Scene, media: MediaServer) -> None:
    work = await ready(fetching, a_photo())
    media.content = b""
    handle = await post(fetching, work)
    for _ in range(200):
        answer = await fetching.adapter.ask(fetching.account, work.options, handle, fetching.tokens)
        if not isinstance(answer, Processing):
            break
        threading.Event().wait(0.02)
    assert getattr(answer, "reason", "").startswith("TIKTOK_")


async def test_a_switch_that_the_creator_has_off_stays_off(fetching: Scene) -> None:
    fetching.sandbox.control("PATCH", f"/tiktok/creators/{CREATOR}", comment_disabled=True)
    work = await ready(fetching, a_photo(), allow_comment=True)
    assert share(fetching, await post(fetching, work))["options"]["disable_comment"]


async def test_nobody_looks_for_a_lost_draft_in_the_list(fetching: Scene) -> None:
    search = Search(fetching.account, DRAFT, CAPTION, 0, sent_after=NOW, sent_before=NOW)
    trace = await fetching.adapter.find(search, fetching.tokens)
    assert trace == Unsettled("TikTok does not list drafts: their owner finds them in the inbox.", is_final=True)


ALLOWED = dataclasses.replace(an_account(), scopes=("video.publish", "video.upload"))


@pytest.mark.parametrize(
    ("caption", "media", "options", "reasons"),
    [
        ("a" * 4000, [a_photo()] * MOST_PHOTOS, {"photo_title": "🍟" * 45}, []),
        ("a" * 4001, [a_photo()], {}, ["CAPTION_TOO_LONG"]),
        ("", [a_photo()], {"photo_title": "🍟" * 46}, ["PHOTO_TITLE_TOO_LONG"]),
        ("", [a_photo()] * (MOST_PHOTOS + 1), {}, ["TOO_MANY_PHOTOS"]),
        ("", [a_photo()] * 2, {"photo_cover_index": 2}, ["PHOTO_COVER_UNKNOWN"]),
        ("", [a_photo(), a_file()], {}, ["MEDIA_MIXED"]),
        ("", [a_photo(mime_type="image/png", codec="png")], {}, ["PHOTO_FORMAT"]),
        ("", [a_photo(width=2000, height=3000)], {}, ["PHOTO_DIMENSIONS"]),
        ("", [a_photo(size_bytes=20_000_001)], {}, ["PHOTO_TOO_LARGE"]),
    ],
)
def test_what_tiktok_would_refuse_of_photos_is_known_without_asking(
    caption: str, media: list[MediaFile], options: Options, reasons: list[str]
) -> None:
    problems = checks.problems(ALLOWED, caption, media, PUBLIC | options, serves_media=True)
    assert ([each.reason for each in problems], all(each.blocking for each in problems)) == (reasons, True)


def test_photos_without_an_address_are_refused_with_what_to_set_up() -> None:
    (problem,) = checks.problems(ALLOWED, "", [a_photo()], PUBLIC, serves_media=False)
    assert (problem.reason, problem.blocking) == ("PHOTOS_NEED_AN_ADDRESS", True)
    assert "REELROUTE_TIKTOK_MEDIA_URL_PREFIX" in problem.message


@pytest.mark.parametrize(("options", "scope"), [(DRAFT, "video.upload"), (PUBLIC, "video.publish")])
def test_what_the_owner_has_not_allowed_is_refused(options: Options, scope: str) -> None:
    account = dataclasses.replace(ALLOWED, scopes=tuple(each for each in ALLOWED.scopes if each != scope))
    (problem,) = checks.problems(account, "", [a_file()], options, serves_media=True)
    assert (problem.reason, problem.blocking) == ("SCOPE_NOT_GRANTED", True)
    assert scope in problem.message


def test_what_tiktok_leaves_out_is_told_and_stops_nothing() -> None:
    account = dataclasses.replace(ALLOWED, limits=AccountLimits(duet_disabled=True))
    for media, options, reasons in (
        ([a_file()], DRAFT, ["CAPTION_NOT_SENT"]),
        ([a_photo()], DRAFT, []),
        ([a_file()], PUBLIC | {"allow_duet": True, "allow_comment": True}, ["SWITCH_OFF_AT_CREATOR"]),
    ):
        notes = checks.notes(account, CAPTION, media, options)
        assert [(each.reason, each.blocking) for each in notes] == [(reason, False) for reason in reasons]
        assert checks.problems(account, CAPTION, media, options, serves_media=True) == []
