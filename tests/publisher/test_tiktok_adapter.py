"""The TikTok adapter against the platform sandbox over HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.publisher import account_store
from services.publisher.domain import Account, AttemptFailed, Failure, FailureKind, Handle, Options, Visibility
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Complete, Incomplete, MediaFile, Uncertain, Unknown, UploadEnded
from services.publisher.platforms.base import Work as AdapterWork
from services.publisher.platforms.tiktok import TikTokAdapter, check
from tests.publisher.stage import CREATOR, LARGE, SMALL, FakeLibrary, Sandbox
from vendors.tiktok.client import TikTokClient

pytestmark = pytest.mark.anyio
CAPTION = "Fries & friends 🍟"


def a_file(size: int = SMALL, **changes: Any) -> MediaFile:
    @contextlib.asynccontextmanager
    async def read(offset: int, length: int) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncIterator[bytes]:
            yield (FakeLibrary.HEAD + bytes(length))[:length] if offset == 0 else bytes(length)

        yield pieces()

    file = MediaFile("m", "video/mp4", size, 1080, 1920, "mp4", "h264", 30_000, 15_000, "yuv420p", read)
    return dataclasses.replace(file, **changes)


class StoredTokens:
    """The account's stored access token; a refusal is final."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def access(self) -> str:
        return self.token

    async def fresh(self, refused: str) -> str:
        raise AttemptFailed(Failure(FailureKind.ACCOUNT, "AUTHORIZATION_LOST", "Connect again."))


@dataclass
class Scene:
    """A connected account and what is to be posted for it."""

    sandbox: Sandbox
    adapter: TikTokAdapter
    account: Account
    tokens: StoredTokens

    def work(self, size: int = SMALL, caption: str = CAPTION, **options: str | int | bool) -> AdapterWork:
        chosen: Options = {"privacy_level": "PUBLIC_TO_EVERYONE", **options}
        return AdapterWork(self.account, caption, (a_file(size),), chosen, self.tokens)

    async def send(self, work: AdapterWork, handle: Handle, from_byte: int = 0) -> list[int]:
        stored: list[int] = []

        async def on_stored(count: int) -> None:
            stored.append(count)

        await self.adapter.send(work, handle, from_byte, on_stored)
        return stored

    async def ask(self, handle: Handle, **options: str) -> object:
        chosen: Options = {"privacy_level": "PUBLIC_TO_EVERYONE", **options}
        return await self.adapter.ask(self.account, chosen, handle.handle, self.tokens)


@pytest.fixture
async def scene(sandbox: Sandbox, ledger: Ledger, anyio_backend: str) -> AsyncIterator[Scene]:
    sandbox.control("POST", "/clock/freeze")
    account = sandbox.connect(ledger)
    with ledger.database.transaction(account.workspace_id) as tx:
        tokens = account_store.read_tokens(tx, ledger.vault, account)
    async with TikTokClient(sandbox.config()) as client:
        yield Scene(sandbox, TikTokAdapter(client), account, StoredTokens(tokens.access_token))


async def failure_of(call: Any) -> Failure:
    with pytest.raises(AttemptFailed) as refused:
        await call
    return refused.value.failure


async def test_a_post_goes_from_preparation_to_its_public_id(scene: Scene) -> None:
    work = scene.work(allow_comment=True, is_ai_generated=True, cover_time_ms=1500)
    assert CREATOR in await scene.adapter.prepare(work)
    handle = await scene.adapter.begin(work)
    assert timedelta(minutes=57) < handle.expire_time - datetime.now(UTC) < timedelta(minutes=59)
    assert await scene.ask(handle) == Incomplete(0)
    assert await scene.send(work, handle) == []
    # Its own word for "has everything and looks at it" is the same as for "waits for bytes".
    assert await scene.ask(handle) == Incomplete(SMALL)
    scene.sandbox.control("POST", "/clock/advance", seconds=5)
    answer = await scene.ask(handle)
    assert isinstance(answer, Complete)
    assert answer.settled
    assert answer.verdict.url == f"https://www.tiktok.com/@{CREATOR}/video/{answer.verdict.platform_post_id}"
    (post,) = scene.sandbox.control("GET", "/tiktok/posts")
    assert post["caption"] == CAPTION
    options = post["options"]
    assert (options["disable_comment"], options["disable_duet"], options["is_aigc"]) == (False, True, True)
    assert options["video_cover_timestamp_ms"] == 1500


async def test_a_public_post_is_not_settled_until_its_id_shows_and_a_private_one_is_without(scene: Scene) -> None:
    scene.sandbox.control("PATCH", "/tiktok/settings", public_seconds=60)
    public = await scene.adapter.begin(scene.work())
    await scene.send(scene.work(), public)
    private = await scene.adapter.begin(scene.work(privacy_level="SELF_ONLY"))
    await scene.send(scene.work(), private)
    scene.sandbox.control("POST", "/clock/advance", seconds=5)
    waiting = await scene.ask(public)
    hidden = await scene.ask(private, privacy_level="SELF_ONLY")
    assert isinstance(waiting, Complete)
    assert not waiting.settled
    assert isinstance(hidden, Complete)
    assert hidden.settled
    assert hidden.verdict.visibility is Visibility.PRIVATE


async def test_a_lost_answer_to_the_last_byte_is_doubt_and_the_platform_knows_better(scene: Scene) -> None:
    work = scene.work()
    handle = await scene.adapter.begin(work)
    scene.sandbox.fault("upload", "lost_reply")
    with pytest.raises(Uncertain):
        await scene.send(work, handle)
    assert await scene.ask(handle) == Incomplete(SMALL)
    # Sent again to the same handle nothing is doubled.
    assert await scene.send(work, handle) == []
    assert scene.sandbox.effects(CAPTION) == 1


@pytest.mark.parametrize("inclusive", [False, True])
async def test_an_upload_goes_on_where_the_platform_stands_whatever_position_we_remember(
    scene: Scene, inclusive: bool
) -> None:
    scene.sandbox.control("PATCH", "/tiktok/settings", range_end_inclusive=inclusive)
    work = scene.work(LARGE)
    handle = await scene.adapter.begin(work)
    scene.sandbox.fault("upload", "error", status=400, skip=3)
    assert (await failure_of(scene.send(work, handle))).kind is FailureKind.PERMANENT
    for remembered, stored in ((0, [40_000_000, 50_000_000, 60_000_000]), (10_000_000, [])):
        assert await scene.send(work, handle, remembered) == stored
    assert scene.sandbox.effects(CAPTION) == 1


async def test_a_position_inside_the_long_last_chunk_is_no_position_behind_it(scene: Scene) -> None:
    size = 64_000_001  # six chunks, the last of 14,000,001 bytes
    work = scene.work(size)
    handle = await scene.adapter.begin(work)
    scene.sandbox.fault("upload", "cut_upload", skip=5)
    with pytest.raises(Uncertain):
        await scene.send(work, handle)
    assert await scene.send(work, handle, 62_000_000) == []
    assert scene.sandbox.effects(CAPTION) == 1


async def test_an_expired_upload_address_ends_the_upload(scene: Scene) -> None:
    work = scene.work()
    handle = await scene.adapter.begin(work)
    scene.sandbox.control("POST", "/clock/advance", seconds=3601)
    with pytest.raises(UploadEnded):
        await scene.send(work, handle)
    assert await scene.ask(handle) == Incomplete(0)


async def test_a_handle_that_is_unknown_or_anothers_has_no_answer(scene: Scene, ledger: Ledger) -> None:
    handle = await scene.adapter.begin(scene.work())
    never = dataclasses.replace(handle, handle="v_pub_file~v2.1")
    assert isinstance(await scene.ask(never), Unknown)
    water = scene.sandbox.connect(ledger, creator="emberfold.water")
    with ledger.database.transaction(water.workspace_id) as tx:
        scene.tokens.token = account_store.read_tokens(tx, ledger.vault, water).access_token
    assert isinstance(await scene.ask(handle), Unknown)


@pytest.mark.parametrize(
    ("fail_reason", "kind"),
    [
        ("spam_risk_text", FailureKind.REJECTED),
        ("a_word_of_tomorrow", FailureKind.REJECTED),
        ("internal", FailureKind.TRANSIENT),
        ("spam_risk_too_many_posts", FailureKind.RATE_LIMITED),
        ("auth_removed", FailureKind.ACCOUNT),
    ],
)
async def test_a_failed_post_means_what_its_reason_says(scene: Scene, fail_reason: str, kind: FailureKind) -> None:
    scene.sandbox.control("POST", "/tiktok/verdicts", fail_reason=fail_reason)
    handle = await scene.adapter.begin(scene.work())
    await scene.send(scene.work(), handle)
    scene.sandbox.control("POST", "/clock/advance", seconds=5)
    answer = await scene.ask(handle)
    assert isinstance(answer, Failure)
    assert (answer.kind, answer.reason) == (kind, f"TIKTOK_{fail_reason.upper()}")


@pytest.mark.parametrize(
    ("creator", "settings", "kind", "reason"),
    [
        ({"banned": True}, {}, FailureKind.PERMANENT, "TIKTOK_SPAM_RISK_USER_BANNED_FROM_POSTING"),
        ({}, {"posts_per_day": 0}, FailureKind.RATE_LIMITED, "TIKTOK_SPAM_RISK_TOO_MANY_POSTS"),
        ({"private": True}, {}, FailureKind.PERMANENT, "TIKTOK_PRIVACY_LEVEL_GONE"),
        ({"max_duration_seconds": 10}, {}, FailureKind.PERMANENT, "DURATION_CHECK_FAILED"),
    ],
)
async def test_what_the_creator_may_not_do_now_is_found_before_anything_is_sent(
    scene: Scene, creator: dict[str, Any], settings: dict[str, Any], kind: FailureKind, reason: str
) -> None:
    scene.sandbox.control("PATCH", f"/tiktok/creators/{CREATOR}", **creator)
    scene.sandbox.control("PATCH", "/tiktok/settings", **settings)
    failure = await failure_of(scene.adapter.prepare(scene.work()))
    assert (failure.kind, failure.reason) == (kind, reason)
    if kind is FailureKind.RATE_LIMITED:
        assert failure.retry_time is not None
        assert failure.retry_time - datetime.now(UTC) > timedelta(hours=23)


async def test_no_failure_of_the_question_is_an_answer(scene: Scene) -> None:
    handle = await scene.adapter.begin(scene.work())
    scene.sandbox.control("PATCH", "/tiktok/settings", outage="error")
    assert (await failure_of(scene.ask(handle))).kind is FailureKind.TRANSIENT
    scene.sandbox.control("PATCH", "/tiktok/settings", outage="off")
    scene.sandbox.control("POST", f"/tiktok/creators/{CREATOR}/revoke")
    assert (await failure_of(scene.ask(handle))).kind is FailureKind.ACCOUNT


PUBLIC_CHOICE: Options = {"privacy_level": "PUBLIC_TO_EVERYONE"}


@pytest.mark.parametrize(
    ("caption", "media", "options", "reasons"),
    [
        ("a" * 2200, [a_file()], PUBLIC_CHOICE, []),
        ("🍟" * 1101, [a_file()], PUBLIC_CHOICE, ["CAPTION_TOO_LONG"]),  # two units each: 2,202
        ("", [a_file()], None, ["PRIVACY_LEVEL_MISSING"]),
        ("", [a_file()], {"privacy_level": "SELF_ONLY", "branded_content": True}, ["BRANDED_CONTENT_PRIVATE"]),
        ("", [a_file(), a_file()], PUBLIC_CHOICE, ["TOO_MANY_VIDEOS"]),
        ("", [a_file(width=200)], PUBLIC_CHOICE, ["PICTURE_SIZE_CHECK_FAILED"]),
        ("", [a_file(mime_type="image/jpeg")], PUBLIC_CHOICE, ["PHOTOS_NOT_SUPPORTED"]),
    ],
)
def test_what_tiktok_would_refuse_is_known_without_asking(
    caption: str, media: list[MediaFile], options: Options | None, reasons: list[str]
) -> None:
    problems = check(caption, media, options)
    assert [problem.reason for problem in problems] == reasons
    assert [problem.blocking for problem in problems] == [reason != "PHOTOS_NOT_SUPPORTED" for reason in reasons]
