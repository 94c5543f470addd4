"""A creator's posts: files that stream, links, checks and what became of it."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from kit.vendor_errors import VendorUnavailable, VendorUncertain
from tests.vendors.fake_vendor import answers, pieces
from tests.vendors.tiktok_shop.conftest import AS_CREATOR, Scene
from tests.vendors.tiktok_shop.endpoints import PRODUCT, VIDEO
from vendors.tiktok_shop.creator import MAX_PHOTO_BYTES, MAX_VIDEO_BYTES
from vendors.tiktok_shop.creator_models import PostStatus, ProductLink, ShoppablePhotos, ShoppableVideo, precheck_of

pytestmark = pytest.mark.anyio
LINK = ProductLink(PRODUCT, "Crispy in minutes")


async def test_a_video_arrives_as_the_forms_only_field(scene: Scene) -> None:
    file_id = await scene.client.creator.upload_video(
        AS_CREATOR, pieces(b"\r\n--ab", b"c\x00d"), 9, file_name='a"\r\n: ü.mp4'
    )
    assert file_id == "v0f1"
    seen = scene.vendor.seen[0]
    form = re.fullmatch(
        rb'--(\w{32})\r\nContent-Disposition: form-data; name="data"; filename="a______.mp4"\r\n'
        rb"Content-Type: video/mp4\r\n\r\n(.*)\r\n--(\w{32})--\r\n",
        seen.body,
        re.DOTALL,
    )
    assert form is not None
    assert form[2] == b"\r\n--abc\x00d"
    assert seen.headers["Content-Type"] == f"multipart/form-data; boundary={form[1].decode()}"
    assert form[1] == form[3]
    assert int(seen.headers["Content-Length"]) == len(seen.body)
    assert "Transfer-Encoding" not in seen.headers


async def test_a_large_video_is_never_held_whole(scene: Scene) -> None:
    taken = 0
    at_first_send: list[int] = []

    async def video() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(40):
            taken += 1
            yield b"x" * 1_000_000

    client = scene.client.creator
    stream = client._form(video(), 40_000_000, "a.mp4", "video/mp4")
    async for part in stream.pieces:
        at_first_send.append(taken)
        assert len(part) <= scene.client.config.upload_piece_bytes
    assert at_first_send[:2] == [0, 1]
    assert at_first_send == sorted(at_first_send)


async def test_what_fails_while_a_file_is_read_comes_through_as_it_is(scene: Scene) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk is gone"):
        await scene.client.creator.upload_video(AS_CREATOR, broken(), 3, file_name="a.mp4")


@pytest.mark.parametrize("size", [0, MAX_VIDEO_BYTES + 1])
async def test_a_file_of_a_size_that_is_not_taken_is_not_read(scene: Scene, size: int) -> None:
    with pytest.raises(ValueError, match="size: 1 to"):
        await scene.client.creator.upload_video(AS_CREATOR, pieces(), size, file_name="a.mp4")
    with pytest.raises(ValueError, match="size: 1 to"):
        await scene.client.creator.upload_photo(AS_CREATOR, pieces(), MAX_PHOTO_BYTES + 1, file_name="a.jpg")
    assert scene.vendor.seen == []


async def test_a_video_is_posted_with_its_product_and_tells_the_quota(scene: Scene) -> None:
    video = ShoppableVideo(file_id="v0f1", title="Crispy!", link=LINK, cover_timestamp_ms=0, is_ai_generated=True)
    posted = await scene.client.creator.post_video(AS_CREATOR, video)
    assert (posted.post_id, posted.quota) == (VIDEO, "3/day")
    assert scene.shop.bodies == [
        {
            "video_info": {"file_id": "v0f1", "title": "Crispy!", "cover_timestamp_ms": 0, "is_ai_generated": True},
            "product_link_info": {"product_id": PRODUCT, "title": "Crispy in minutes"},
        }
    ]


async def test_photos_link_to_one_product_or_to_one_each(scene: Scene) -> None:
    for links, kind in (((LINK,), "1"), ((LINK, LINK), "3")):
        photos = ShoppablePhotos(photo_uris=("tos/1", "tos/2"), title="Two", links=links)
        assert (await scene.client.creator.post_photos(AS_CREATOR, photos)).post_id == "7493990579714164575"
        body = scene.shop.bodies.pop()
        assert body["photos_info"] == [{"photo_file_uris": "tos/1"}, {"photo_file_uris": "tos/2"}]
        assert body["link_info"]["post_type"] == kind
        assert len(body["link_info"]["links"]) == len(links)
    with pytest.raises(ValueError, match="one for each"):
        ShoppablePhotos(photo_uris=("1", "2", "3"), title="", links=(LINK, LINK))


async def test_a_post_without_its_id_in_the_answer_is_uncertain(scene: Scene) -> None:
    scene.shop.answers("/affiliate_creator/202607/videos", {"quota": "3/day"})
    video = ShoppableVideo(file_id="v0f1", title="", link=LINK)
    with pytest.raises(VendorUncertain):
        await scene.client.creator.post_video(AS_CREATOR, video)
    assert len(scene.vendor.seen) == 1


async def test_what_became_of_a_video_is_told(scene: Scene) -> None:
    status = await scene.client.creator.video_status(AS_CREATOR, VIDEO)
    assert (status.status, status.post_time) == (PostStatus.SUCCESS, datetime(2025, 11, 24, 16, tzinfo=UTC))
    scene.shop.answers(f"/affiliate_creator/202509/videos/{VIDEO}/status", {"video": {"post_status": "IN_REVIEW"}})
    assert (await scene.client.creator.video_status(AS_CREATOR, VIDEO)).status is PostStatus.UNKNOWN
    scene.vendor.otherwise = answers({"code": 0, "data": {}})
    with pytest.raises(VendorUnavailable):
        await scene.client.creator.video_status(AS_CREATOR, VIDEO)


async def test_a_check_says_what_to_change_in_either_of_its_shapes(scene: Scene) -> None:
    task_id = await scene.client.creator.start_precheck(AS_CREATOR, "v0f1", LINK)
    result = await scene.client.creator.precheck(AS_CREATOR, task_id)
    assert (result.status, result.issues) == (PostStatus.FAIL, ("Claims: Tone it down",))
    older = precheck_of({"result": "PASS", "issues": []})
    assert (older.status, older.issues) == (PostStatus.SUCCESS, ())


async def test_music_ends_where_there_is_no_more_whatever_token_is_left(scene: Scene) -> None:
    page = await scene.client.creator.music(AS_CREATOR, "glow")
    assert ([each.id for each in page.music], page.search_id, page.next_page_token) == (["m1"], "s", "")


async def test_products_of_the_showcase_can_be_chosen(scene: Scene) -> None:
    page = await scene.client.creator.showcase_products(AS_CREATOR)
    assert [(each.id, each.title) for each in page.items] == [(PRODUCT, "Air fryer")]
