"""The adapter of TikTok Shop's creators against the sandbox: uploads that do nothing, and one call that publishes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.publisher.domain import (
    Account,
    AccountLimits,
    AttemptFailed,
    Failure,
    FailureKind,
    Fenced,
    Handle,
    Visibility,
)
from services.publisher.platforms.base import (
    Complete,
    MediaFile,
    Processing,
    Search,
    Taken,
    Uncertain,
    Unknown,
    Unsettled,
)
from services.publisher.platforms.base import Work as AdapterWork
from services.publisher.platforms.tiktok_shop import TikTokShopAdapter, limits_of
from tests.publisher import shop_creators
from tests.publisher.shop_creators import CREATOR, PRODUCT, a_creator, a_photo, a_video
from tests.publisher.stage import Sandbox
from vendors.tiktok_shop.client import TikTokShopClient

pytestmark = pytest.mark.anyio
CAPTION = "Dice & friends 🎲 #tabletop"
TITLE = "Amber dice"


@dataclass
class FakeTokens:
    """Tokens of one account: the last one is good, unless the authorisation is `lost`."""

    tokens: list[str]
    lost: bool = False
    refused: list[str] = field(default_factory=list)

    async def access(self) -> str:
        return self.tokens[0]

    async def fresh(self, refused: str) -> str:
        self.refused.append(refused)
        if self.lost:
            raise AttemptFailed(Failure(FailureKind.ACCOUNT, "AUTHORIZATION_LOST", "Connect it again."))
        return self.tokens[-1]


@dataclass
class Scene:
    """A creator of the reset sandbox, and the adapter."""

    adapter: TikTokShopAdapter
    sandbox: Sandbox
    account: Account
    tokens: FakeTokens
    moments: int = 0

    def work(self, *media: MediaFile, **options: Any) -> AdapterWork:
        chosen = {"product_id": PRODUCT, "product_title": TITLE, **options}
        return AdapterWork(self.account, CAPTION, media or (a_video(),), chosen, self.tokens)

    async def post(self, work: AdapterWork | None = None, handle: Handle | None = None) -> Taken:
        work = work or self.work()

        def last_moment() -> None:
            self.moments += 1

        handle = handle or await self.adapter.begin(work)
        return await self.adapter.send(work, handle, 0, _never, last_moment)

    async def ask(self, handle: str) -> Any:
        return await self.adapter.ask(self.account, {}, handle, self.tokens)

    def posts(self) -> list[dict[str, Any]]:
        return [each for each in shop_creators.posts(self.sandbox) if each["title"] == CAPTION]

    def settings(self, **changes: Any) -> None:
        self.sandbox.control("PATCH", "/tiktok_shop/settings", **changes)

    def fault(self, mode: str, endpoint: str = "creator_video_post", **more: Any) -> None:
        self.sandbox.control("POST", "/faults", endpoint=f"tiktok_shop.{endpoint}", mode=mode, **more)

    def calls(self, endpoint: str) -> int:
        answer = self.sandbox.http.get("/control/calls", params={"endpoint": f"tiktok_shop.{endpoint}"})
        return len(answer.json())


async def _never(_stored: int) -> None:
    raise AssertionError("everything is uploaded with the handle")


@pytest.fixture
async def scene(sandbox: Sandbox) -> AsyncIterator[Scene]:
    token = shop_creators.access_token(sandbox)
    async with TikTokShopClient(shop_creators.config_of(sandbox)) as client:
        found = Scene(TikTokShopAdapter(client), sandbox, a_creator(), FakeTokens([token]))
        found.settings(post_seconds=0)
        yield found


async def failure_of(scene: Scene, work: AdapterWork | None = None) -> tuple[Failure, bool]:
    """How a post is refused, and whether its files are given up."""
    with pytest.raises(AttemptFailed) as failed:
        await scene.post(work)
    assert scene.posts() == []
    return failed.value.failure, failed.value.handle_ended


async def test_a_video_is_posted_with_its_product_and_asked_about_until_it_is_out(scene: Scene) -> None:
    scene.settings(post_seconds=60)
    taken = await scene.post(scene.work(cover_time_ms=1500, is_ai_generated=True))
    (post,) = scene.posts()
    assert taken == Taken(f"video:{post['id']}", limits=AccountLimits(posts_per_day=3))
    assert post["products"] == [PRODUCT]
    assert post["details"]["link_title"] == TITLE
    assert (post["details"]["cover_timestamp_ms"], post["details"]["is_ai_generated"]) == (1500, True)
    assert scene.moments == 1

    assert await scene.ask(taken.handle) == Processing()
    scene.sandbox.control("PUT", "/clock", offset_seconds=61)
    answer = await scene.ask(taken.handle)
    assert isinstance(answer, Complete)
    assert answer.settled
    assert (answer.verdict.visibility, answer.verdict.platform_post_id) == (Visibility.PUBLIC, post["id"])


async def test_photos_are_posted_in_one_call_with_one_link_and_their_acceptance_is_the_verdict(scene: Scene) -> None:
    taken = await scene.post(scene.work(a_photo(), a_photo(size=200_000), a_photo(size=300_000)))
    (post,) = scene.posts()
    assert (post["kind"], post["products"]) == ("photo", [PRODUCT])
    assert len(post["details"]["photos_info"]) == 3
    assert post["details"]["link_info"] == {
        "post_type": "1", "links": [{"product_id": PRODUCT, "link_title": TITLE}]
    }  # fmt: skip
    assert taken.verdict is not None
    assert (taken.verdict.visibility, taken.verdict.platform_post_id) == (Visibility.PUBLIC, post["id"])
    assert await scene.ask(taken.handle) == Complete(taken.verdict, settled=True)


async def test_a_video_of_a_hundred_megabytes_is_uploaded_in_pieces(scene: Scene) -> None:
    handle = await scene.adapter.begin(scene.work(a_video(size=100_000_000)))
    assert handle.media_size == 100_000_000
    await scene.post(scene.work(a_video(size=100_000_000)), handle)
    assert len(scene.posts()) == 1


async def test_files_may_be_uploaded_any_number_of_times_and_nothing_is_published(scene: Scene) -> None:
    first, second = [await scene.adapter.begin(scene.work()) for _ in range(2)]
    assert first.handle != second.handle
    assert scene.posts() == []
    await scene.post(handle=second)
    assert len(scene.posts()) == 1


@pytest.mark.parametrize(
    ("fault", "is_published"),
    [
        ({"mode": "lost_reply"}, True),
        ({"mode": "reset"}, False),
        ({"mode": "error", "status": 504}, False),
        ({"mode": "late_error", "status": 504}, True),
        ({"mode": "late_error", "status": 500, "code": "36009003"}, True),
    ],
)
async def test_no_usable_answer_is_in_doubt_whether_or_not_it_was_published(
    scene: Scene, fault: dict[str, Any], is_published: bool
) -> None:
    scene.fault(**fault)
    with pytest.raises(Uncertain):
        await scene.post()
    assert len(scene.posts()) == is_published
    assert scene.calls("creator_video_post") == 1


async def test_what_is_in_doubt_cannot_be_asked_about_and_a_person_is_told_so_at_once(scene: Scene) -> None:
    handle = await scene.adapter.begin(scene.work())
    answer = await scene.ask(handle.handle)
    assert isinstance(answer, Unknown)
    assert answer.is_final
    now = datetime.now(UTC)
    trace = await scene.adapter.find(
        Search(scene.account, {}, CAPTION, 15_000, now - timedelta(minutes=2), now), scene.tokens
    )
    assert isinstance(trace, Unsettled)
    assert trace.is_final
    assert not scene.adapter.traits.can_find


async def test_a_lease_that_has_ended_at_the_last_moment_publishes_nothing(scene: Scene) -> None:
    def too_late() -> None:
        raise Fenced("the lease has ended")

    work = scene.work()
    with pytest.raises(Fenced):
        await scene.adapter.send(work, await scene.adapter.begin(work), 0, _never, too_late)
    assert scene.posts() == []


async def test_more_posts_than_the_day_has_wait_a_day(scene: Scene) -> None:
    scene.settings(posts_per_day=0)
    failure, ended = await failure_of(scene)
    assert (failure.kind, failure.reason, ended) == (FailureKind.RATE_LIMITED, "TIKTOK_SHOP_170001062", True)
    assert failure.retry_time is not None
    assert failure.retry_time - datetime.now(UTC) > timedelta(hours=23)


async def test_a_creator_who_posts_too_often_waits_a_minute(scene: Scene) -> None:
    await scene.post()
    scene.settings(post_interval_seconds=3600)
    with pytest.raises(AttemptFailed) as failed:
        await scene.post()
    failure = failed.value.failure
    assert (failure.kind, failure.reason) == (FailureKind.RATE_LIMITED, "TIKTOK_SHOP_170001020")
    assert failure.retry_time is not None
    assert failure.retry_time - datetime.now(UTC) < timedelta(minutes=2)
    assert len(scene.posts()) == 1


async def test_a_restricted_creator_is_told_why_and_not_tried_again(scene: Scene) -> None:
    scene.sandbox.control("PATCH", f"/tiktok_shop/creators/{CREATOR}", restricted=True)
    failure, _ = await failure_of(scene)
    assert (failure.kind, failure.reason) == (FailureKind.PERMANENT, "TIKTOK_SHOP_170001030")
    assert "restricts this creator" in failure.message


async def test_a_link_that_tiktok_shop_refuses_names_the_rule(scene: Scene) -> None:
    failure, _ = await failure_of(scene, scene.work(product_title="Dice!"))
    assert (failure.kind, failure.reason) == (FailureKind.PERMANENT, "TIKTOK_SHOP_16011069")
    assert "without punctuation" in failure.message


async def test_a_file_that_is_no_longer_known_is_uploaded_again(scene: Scene) -> None:
    gone = Handle("files:v0000", "v0000", datetime.now(UTC) + timedelta(hours=1), 1)
    with pytest.raises(AttemptFailed) as failed:
        await scene.post(handle=gone)
    assert (failed.value.failure.kind, failed.value.handle_ended) == (FailureKind.TRANSIENT, True)
    assert len(scene.posts()) == 0


async def test_a_post_that_failed_is_rejected_with_its_reason(scene: Scene) -> None:
    scene.sandbox.control("POST", "/tiktok_shop/verdicts", kind="post", subject=CREATOR)
    taken = await scene.post()
    answer = await scene.ask(taken.handle)
    assert isinstance(answer, Failure)
    assert (answer.kind, answer.reason) == (FailureKind.REJECTED, "TIKTOK_SHOP_POST_FAILED")


async def test_an_expired_token_is_replaced_once_and_the_video_is_posted_once(scene: Scene) -> None:
    scene.sandbox.control("POST", f"/tiktok_shop/creators/{CREATOR}/expire-tokens", refresh_too=False)
    scene.tokens.tokens.append(shop_creators.access_token(scene.sandbox))
    await scene.post()
    assert len(scene.posts()) == 1
    assert set(scene.tokens.refused) == {scene.tokens.tokens[0]}


async def test_a_token_that_was_replaced_and_is_dead_as_well_is_refreshed(scene: Scene) -> None:
    class Replaced(FakeTokens):
        async def fresh(self, refused: str) -> str:
            await super().fresh(refused)
            return self.tokens[self.tokens.index(refused) + 1]

    scene.tokens = Replaced(["known a moment ago", "stored", *scene.tokens.tokens])
    await scene.post()
    assert len(scene.posts()) == 1
    assert scene.tokens.refused[:2] == ["known a moment ago", "stored"]


async def test_a_creator_who_removed_the_app_is_lost_only_by_a_refresh(scene: Scene) -> None:
    scene.sandbox.control("POST", f"/tiktok_shop/creators/{CREATOR}/deauthorize")
    scene.tokens.lost = True
    for call in (scene.post(), scene.adapter.probe(scene.account, scene.tokens), scene.ask("video:7400")):
        with pytest.raises(AttemptFailed) as failed:
            await call
        assert failed.value.failure.reason == "AUTHORIZATION_LOST"
    assert len(scene.tokens.refused) == 3


async def test_a_platform_that_cannot_be_reached_leaves_no_doubt(scene: Scene) -> None:
    handle = await scene.adapter.begin(scene.work())
    config = shop_creators.config_of(scene.sandbox, base_url="http://127.0.0.1:9")
    async with TikTokShopClient(config) as client:
        scene.adapter = TikTokShopAdapter(client)
        with pytest.raises(AttemptFailed) as failed:
            await scene.post(handle=handle)
    assert failed.value.failure.kind is FailureKind.TRANSIENT


async def test_a_probe_tells_an_outage_and_a_missing_scope_is_an_answer(scene: Scene) -> None:
    await scene.adapter.probe(scene.account, scene.tokens)
    scene.settings(app_scopes=["creator.video.write"])
    await scene.adapter.probe(scene.account, scene.tokens)
    scene.settings(outage="error")
    with pytest.raises(AttemptFailed):
        await scene.adapter.probe(scene.account, scene.tokens)
    assert scene.posts() == []


@pytest.mark.parametrize(
    ("quota", "posts_per_day"),
    [("3/day", 3), (" 12 / Day ", 12), ("", 0), ("  ", 0), ("0/day", None), ("3/week", None), ("many", None)],
)
def test_the_quota_of_a_post_is_read_as_far_as_it_can_be(quota: str, posts_per_day: int | None) -> None:
    expected = None if posts_per_day is None else AccountLimits(posts_per_day=posts_per_day)
    assert limits_of(quota) == expected
