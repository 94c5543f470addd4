"""Photos, drafts, and videos that TikTok fetches, over a strict stand-in of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from services.publisher.platforms.tiktok import MediaUrl, TikTokAdapter
from tests.publisher.fake_scheduler import Planned
from tests.publisher.stage import SMALL, Stage, until
from tests.standin.server import Fault
from tests.standin.stage import media_host
from tests.standin.test_posting import calls
from tests.standin.tiktok import TikTok

PHOTO, VIDEO = b"\xff\xd8\xff\xe0" + bytes(2000), b"\0\0\0\x18ftypisom" + bytes(9000)
PHOTO_FACTS = {
    "mime_type": "image/jpeg", "container": "", "codec": "jpeg", "frame_rate_millis": 0, "pixel_mode": "RGB",
    "height": 1350,
}  # fmt: skip
DRAFT = pb.TikTokOptions(post_mode="MEDIA_UPLOAD")
PUBLIC = pb.TikTokOptions(privacy_level="PUBLIC_TO_EVERYONE", photo_title="Fries", photo_cover_index=1)


@pytest.fixture
def photos(tiktok: TikTok) -> Iterator[MediaUrl]:
    with media_host(("image/jpeg", PHOTO)) as address:
        tiktok.verified = ("http://127.0.0.1:",)
        yield address


@pytest.fixture
def videos(tiktok: TikTok) -> Iterator[MediaUrl]:
    with media_host(("video/mp4", VIDEO)) as address:
        tiktok.verified = ("http://127.0.0.1:",)
        yield address


def fetched(stage: Stage, address: MediaUrl, source: str = "FILE_UPLOAD") -> None:
    """Starts a publisher whose files TikTok fetches."""
    tiktok = {"video_source": source, "media_url_prefix": "http://127.0.0.1/"}
    stage.worker(wrap=lambda _: TikTokAdapter(stage.client, address), tiktok=tiktok)


def plan(stage: Stage, options: pb.TikTokOptions, photos: int = 0) -> Planned:
    """A post of a creator of its own, of so many photos, or a video."""
    account = stage.sandbox.connect(stage.ledger, creator=f"creator{len(stage.scheduler.deliveries)}")
    assets = [stage.library.add(len(PHOTO), **PHOTO_FACTS) for _ in range(photos)] or [stage.library.add(SMALL)]
    media = [
        pb.PostMedia(media_asset_id=each.media_asset_id, sha256=each.sha256, mime_type=each.mime_type)
        for each in assets
    ]
    return stage.schedule(account_id=str(account.account_id), media=media, options=pb.PostOptions(tiktok=options))


def test_photos_are_fetched_and_drafts_end_in_the_inbox(stage: Stage, tiktok: TikTok, photos: MediaUrl) -> None:
    fetched(stage, photos)
    direct, photo_draft, draft = plan(stage, PUBLIC, 3), plan(stage, DRAFT, 2), plan(stage, DRAFT)
    stage.assert_published_once(direct)
    for planned in (photo_draft, draft):
        stage.wait_state(planned, "PUBLISHED")
    post = tiktok.posts.published(direct.caption)[0]
    assert post.digest.hexdigest() == hashlib.sha256(PHOTO * 3).hexdigest()
    assert direct.published.url == f"https://www.tiktok.com/@creator0/photo/{post.post_id}"
    assert direct.published.visibility == pb.VISIBILITY_PUBLIC
    assert {each.published.visibility for each in (photo_draft, draft)} == {pb.VISIBILITY_INBOX}
    assert [call.endpoint for call in tiktok.journal.calls].count("creator_info") == 1  # of the direct post alone
    assert len(tiktok.posts.by_id) == 3
    assert tiktok.violations() == []


def test_a_video_may_be_fetched_too(stage: Stage, tiktok: TikTok, videos: MediaUrl) -> None:
    fetched(stage, videos, "PULL_FROM_URL")
    direct, draft = plan(stage, PUBLIC), plan(stage, DRAFT)
    stage.assert_published_once(direct)
    stage.wait_state(draft, "PUBLISHED")
    assert tiktok.posts.published(direct.caption)[0].digest.hexdigest() == hashlib.sha256(VIDEO).hexdigest()
    assert calls(tiktok, direct)[:2] == ["creator_info", "video_init"]
    assert not tiktok.journal.of("upload")
    assert tiktok.violations() == []


def test_what_publishes_by_itself_is_never_sent_twice_and_found_in_the_list(
    stage: Stage, tiktok: TikTok, photos: MediaUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is there though its answer was lost; the other never came to be, which no list can prove."""
    fetched(stage, photos)
    tiktok.fails("content_init", Fault(lost=True))
    there = plan(stage, PUBLIC, 2)
    stage.wait_state(there, "PUBLISHED", seconds=30)
    assert there.published.platform_post_id == tiktok.posts.published(there.caption)[0].post_id
    tiktok.fails("content_init", Fault(away=True))
    missing = plan(stage, PUBLIC, 2)
    stage.wait_state(missing, "UNCERTAIN")
    until(lambda: tiktok.journal.of("video_list")[2:] or None, story=lambda: stage.story(missing))
    assert missing.state == "UNCERTAIN", stage.story(missing)
    assert len(tiktok.journal.of("content_init")) == 2
    assert tiktok.violations() == []


def test_an_address_that_is_not_verified_is_told_and_not_tried_again(
    stage: Stage, tiktok: TikTok, photos: MediaUrl
) -> None:
    tiktok.verified = ("https://media.example.com/",)
    fetched(stage, photos)
    planned = plan(stage, PUBLIC, 2)
    stage.wait_state(planned, "FAILED")
    assert planned.failure.reason == "TIKTOK_URL_OWNERSHIP_UNVERIFIED"
    assert "REELROUTE_TIKTOK_MEDIA_URL_PREFIX" in planned.failure.message
    assert tiktok.violations() == []


def test_numbers_are_read_as_documented(stage: Stage, tiktok: TikTok) -> None:
    worker = stage.worker()
    api = stage.api(worker)
    planned = stage.assert_published_once(stage.schedule(SMALL))
    workspace, account = str(stage.account.workspace_id), str(stage.account.account_id)
    about = publisher_pb2.GetAccountNumbersRequest(workspace_id=workspace, account_id=account)
    api.GetAccountNumbers(about, timeout=10)
    post_id = planned.published.platform_post_id
    for ids in (list[str](), [post_id]):
        found = api.ListPostNumbers(
            publisher_pb2.ListPostNumbersRequest(workspace_id=workspace, account_id=account, platform_post_ids=ids),
            timeout=10,
        )
        assert [(each.platform_post_id, each.views) for each in found.posts] == [(post_id, 2**40)]
    assert tiktok.violations() == []


def test_a_sixth_draft_waits_without_asking_tiktok(stage: Stage, tiktok: TikTok) -> None:
    stage.worker()
    drafts = [stage.schedule(SMALL, options=pb.PostOptions(tiktok=DRAFT)) for _ in range(6)]
    for _ in range(5):
        until(lambda: sum(each.state == "PUBLISHED" for each in drafts) >= 5 or None)
    (waiting,) = [each for each in drafts if each.state != "PUBLISHED"]
    until(lambda: waiting.reports or None, story=lambda: stage.story(waiting))
    assert waiting.state == "SCHEDULED", stage.story(waiting)
    assert len(tiktok.journal.of("inbox_init")) == 5
    assert tiktok.violations() == []
