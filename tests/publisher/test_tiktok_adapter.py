"""The TikTok adapter against the platform sandbox over HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.publisher import account_store, store
from services.publisher.accounts import Accounts
from services.publisher.domain import (
    Account,
    AccountLimits,
    AttemptFailed,
    Failure,
    FailureKind,
    Fenced,
    GrantStale,
    Handle,
    Options,
    Platform,
    Publication,
    Step,
    Visibility,
)
from services.publisher.incidents import Incidents
from services.publisher.ledger import Ledger
from services.publisher.observing import Observer
from services.publisher.platforms import checks, tiktok_upload
from services.publisher.platforms.base import (
    Complete,
    Found,
    Incomplete,
    MediaFile,
    Search,
    Taken,
    Trace,
    Uncertain,
    Unknown,
    Unsettled,
    UploadEnded,
)
from services.publisher.platforms.base import Work as AdapterWork
from services.publisher.platforms.tiktok import TikTokAdapter
from tests.publisher.factories import a_claim, an_account
from tests.publisher.stage import CALLBACK, CREATOR, LARGE, SMALL, FakeLibrary, Sandbox
from vendors.tiktok import oauth
from vendors.tiktok.client import TikTokClient

pytestmark = pytest.mark.anyio
CAPTION = "Fries & friends 🍟"
SIX_CHUNKS = 64_000_001  # bytes; the last chunk has 14,000,001


def a_file(size: int = SMALL, **changes: Any) -> MediaFile:
    @contextlib.asynccontextmanager
    async def read(offset: int, length: int) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncIterator[bytes]:
            for first in range(offset, offset + length, 2**20):
                piece = bytes(min(2**20, offset + length - first))
                yield (FakeLibrary.HEAD + piece)[: len(piece)] if first == 0 else piece

        yield pieces()

    file = MediaFile("m", "video/mp4", size, 1080, 1920, "mp4", "h264", 30_000, 15_000, "yuv420p", read)
    return dataclasses.replace(file, **changes)


class StoredTokens:
    """The account's stored access token. Refused it is not refreshed, unless there is `another`."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.another = ""

    async def access(self) -> str:
        return self.token

    async def fresh(self, refused: str) -> str:
        assert refused == self.token
        if not self.another:
            raise AttemptFailed(Failure(FailureKind.ACCOUNT, "AUTHORIZATION_LOST", "Connect again."))
        return self.another


class Killed(Exception):
    """The process dies here."""


@dataclass
class Scene:
    """A connected account and what is to be posted for it. `moments`: bytes that TikTok had at each last moment."""

    sandbox: Sandbox
    adapter: TikTokAdapter
    account: Account
    tokens: StoredTokens
    moments: list[int] = field(default_factory=list)

    def work(self, size: int = SMALL, caption: str = CAPTION, **options: str | int | bool) -> AdapterWork:
        chosen: Options = {"privacy_level": "PUBLIC_TO_EVERYONE", **options}
        return AdapterWork(self.account, caption, (a_file(size),), chosen, self.tokens)

    async def problems(self, work: AdapterWork) -> list[str]:
        """Why the creator may not post it now."""
        limits = await self.adapter.read_limits(self.account, work.options, self.tokens)
        return [problem.reason for problem in self.adapter.check(dataclasses.replace(work, limits=limits))]

    async def stage(self, work: AdapterWork, handle: Handle, from_byte: int = 0) -> list[int]:
        """What the platform had after each part that it stored ahead of time."""
        stored: list[int] = []

        async def on_stored(count: int) -> None:
            stored.append(count)

        await self.adapter.stage(work, handle, from_byte, on_stored)
        return stored

    async def send(
        self, work: AdapterWork, handle: Handle, from_byte: int = 0, refuse_with: Exception | None = None
    ) -> list[int]:
        """The same of sending the rest. `refuse_with` is what the last moment raises."""
        stored: list[int] = []

        async def on_stored(count: int) -> None:
            stored.append(count)

        def last_moment() -> None:
            self.moments.append(self.share(handle)["received"])
            if refuse_with:
                raise refuse_with

        assert await self.adapter.send(work, handle, from_byte, on_stored, last_moment) == Taken()
        return stored

    async def posted(self, work: AdapterWork | None = None) -> Handle:
        """A post that TikTok has everything of."""
        work = work or self.work()
        handle = await self.adapter.begin(work)
        await self.send(work, handle)
        return handle

    async def ask(self, handle: Handle, **options: str) -> object:
        chosen: Options = {"privacy_level": "PUBLIC_TO_EVERYONE", **options}
        return await self.adapter.ask(self.account, chosen, handle.handle, self.tokens)

    def share(self, handle: Handle) -> dict[str, Any]:
        posts: list[dict[str, Any]] = self.sandbox.control("GET", "/tiktok/posts")
        return next(post for post in posts if post["publish_id"] == handle.handle)

    def pass_time(self, seconds: float) -> None:
        self.sandbox.control("POST", "/clock/advance", seconds=seconds)

    def allow(self, *scopes: str) -> None:
        """The owner connects the account again, with these permissions."""
        proof = oauth.new_proof_key()
        granted = ("user.info.basic", "video.publish", *scopes)
        config = self.sandbox.config(scopes=",".join(granted))
        url = oauth.authorize_url(config, redirect_uri=CALLBACK, state="s", code_challenge=proof.challenge)
        form = {
            "client_key": "sandbox-client-key", "client_secret": "sandbox-client-secret",
            "grant_type": "authorization_code", "code": self.sandbox.code(url)[0], "redirect_uri": CALLBACK,
            "code_verifier": proof.verifier,
        }  # fmt: skip
        self.tokens.token = self.sandbox.http.post("/v2/oauth/token/", data=form).json()["access_token"]
        self.account = dataclasses.replace(self.account, scopes=granted)

    async def find(self, **changes: Any) -> Trace:
        """Looks for the caption among posts that were sent about now, by the sandbox's clock."""
        now = datetime.fromtimestamp(self.sandbox.control("GET", "/clock")["now"], UTC)
        search = Search(
            self.account,
            {"privacy_level": "PUBLIC_TO_EVERYONE"},
            CAPTION,
            15_000,
            sent_after=now - timedelta(minutes=2),
            sent_before=now,
        )
        return await self.adapter.find(dataclasses.replace(search, **changes), self.tokens)


@pytest.fixture
async def scene(
    sandbox: Sandbox, ledger: Ledger, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr(tiktok_upload, "_CHUNK_WAIT_SECONDS", 0.01)
    sandbox.control("POST", "/clock/freeze")
    account = sandbox.connect(ledger)
    with ledger.database.transaction(account.workspace_id) as tx:
        tokens = account_store.read_tokens(tx, ledger.vault, account)
    async with TikTokClient(sandbox.config()) as client:
        yield Scene(sandbox, TikTokAdapter(client), account, StoredTokens(tokens.access_token))


async def failure_of(call: Awaitable[object]) -> Failure:
    with pytest.raises(AttemptFailed) as refused:
        await call
    return refused.value.failure


async def test_a_post_goes_from_preparation_to_its_public_id(scene: Scene) -> None:
    work = scene.work(allow_comment=True, is_ai_generated=True, cover_time_ms=1500)
    assert await scene.problems(work) == []
    handle = await scene.adapter.begin(work)
    assert timedelta(minutes=57) < handle.expire_time - datetime.now(UTC) < timedelta(minutes=59)
    assert await scene.ask(handle) == Incomplete(0)
    assert await scene.send(work, handle) == []
    # Its own word for "has everything and looks at it" is the same as for "waits for bytes".
    assert await scene.ask(handle) == Incomplete(SMALL)
    scene.pass_time(5)
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
    scene.pass_time(5)
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


async def test_everything_but_the_last_chunk_goes_ahead_and_nothing_is_published_by_it(scene: Scene) -> None:
    work = scene.work(LARGE)
    handle = await scene.adapter.begin(work)
    assert await scene.stage(work, handle) == [10_000_000 * chunk for chunk in range(1, 7)]
    assert await scene.ask(handle) == Incomplete(60_000_000)
    scene.pass_time(600)
    assert scene.sandbox.effects(CAPTION) == 0
    assert await scene.send(work, handle, 60_000_000) == []
    assert (scene.moments, scene.sandbox.calls("upload")) == ([60_000_000], 7)
    assert scene.sandbox.effects(CAPTION) == 1


async def test_of_a_single_chunk_nothing_goes_ahead(scene: Scene) -> None:
    handle = await scene.adapter.begin(scene.work())
    assert await scene.stage(scene.work(), handle) == []
    assert scene.sandbox.calls("upload") == 0


@pytest.mark.parametrize("refusal", [Fenced(), GrantStale()])
@pytest.mark.parametrize(("size", "ahead"), [(SMALL, 0), (SIX_CHUNKS, 50_000_000)])
async def test_what_the_last_moment_says_holds_the_last_chunk_back(
    scene: Scene, refusal: Exception, size: int, ahead: int
) -> None:
    work = scene.work(size)
    handle = await scene.adapter.begin(work)
    with pytest.raises(type(refusal)):
        await scene.send(work, handle, refuse_with=refusal)
    assert await scene.ask(handle) == Incomplete(ahead)
    assert scene.sandbox.effects(CAPTION) == 0
    assert await scene.send(work, handle, ahead) == []
    assert scene.moments == [ahead, ahead]


@pytest.mark.parametrize("ledger_knows", [True, False])
async def test_killed_between_any_two_chunks_an_upload_goes_on_and_publishes_once(
    scene: Scene, ledger_knows: bool
) -> None:
    work = scene.work(SIX_CHUNKS)
    handle = await scene.adapter.begin(work)
    position = 0
    for chunk in range(1, 6):

        async def die(stored: int, chunk: int = chunk) -> None:
            if stored == chunk * 10_000_000:
                raise Killed
            # What TikTok says that it has is remembered too.
            assert (stored, ledger_knows) == ((chunk - 1) * 10_000_000, False)

        call = scene.adapter.stage if chunk % 2 else _sending(scene)
        with pytest.raises(Killed):
            await call(work, handle, position, die)
        if ledger_knows:
            position = chunk * 10_000_000
        assert await scene.ask(handle) == Incomplete(chunk * 10_000_000)
    assert scene.sandbox.effects(CAPTION) == 0
    assert await scene.send(work, handle, position) == ([] if ledger_knows else [50_000_000])
    assert scene.sandbox.effects(CAPTION) == 1


def _sending(scene: Scene) -> Callable[..., Awaitable[object]]:
    async def send(
        work: AdapterWork, handle: Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> object:
        return await scene.adapter.send(work, handle, from_byte, on_stored, lambda: None)

    return send


@pytest.mark.parametrize("mode", ["reset", "lost_reply", "cut_upload", "error", "late_error"])
async def test_a_chunk_that_publishes_nothing_is_sent_again_whatever_became_of_it(scene: Scene, mode: str) -> None:
    work = scene.work(SIX_CHUNKS)
    handle = await scene.adapter.begin(work)
    scene.sandbox.fault("upload", mode, status=502, skip=2)
    await scene.stage(work, handle)
    assert await scene.ask(handle) == Incomplete(50_000_000)


async def test_a_platform_that_takes_no_chunk_fails_the_attempt_for_now(scene: Scene) -> None:
    work = scene.work(SIX_CHUNKS)
    handle = await scene.adapter.begin(work)
    scene.sandbox.fault("upload", "error", status=503, count=0, skip=1)
    failure = await failure_of(scene.stage(work, handle))
    assert (failure.kind, failure.reason) == (FailureKind.TRANSIENT, "TIKTOK_HTTP_503")
    assert await scene.ask(handle) == Incomplete(10_000_000)


async def test_a_last_chunk_that_was_cut_before_its_end_is_no_doubt(scene: Scene) -> None:
    work = scene.work(SIX_CHUNKS)
    handle = await scene.adapter.begin(work)
    scene.sandbox.fault("upload", "cut_upload", skip=5)
    await scene.send(work, handle)
    # Its permission is looked at again before it leaves again.
    assert scene.moments == [50_000_000, 50_000_000]
    assert scene.sandbox.effects(CAPTION) == 1


@pytest.mark.parametrize("mode", ["lost_reply", "late_error"])
async def test_a_last_chunk_without_a_usable_answer_is_doubt(scene: Scene, mode: str) -> None:
    work = scene.work(SIX_CHUNKS)
    handle = await scene.adapter.begin(work)
    scene.sandbox.fault("upload", mode, status=504, skip=5)
    with pytest.raises(Uncertain):
        await scene.send(work, handle)
    assert len(scene.moments) == 1
    assert await scene.ask(handle) == Incomplete(SIX_CHUNKS)
    assert await scene.send(work, handle, 50_000_000) == []
    assert scene.sandbox.effects(CAPTION) == 1


async def test_a_chunk_that_comes_too_soon_waits_as_long_as_the_platform_says(scene: Scene) -> None:
    work = scene.work()
    handle = await scene.adapter.begin(work)
    scene.sandbox.fault("upload", "rate_limit", retry_after_seconds=40)
    _waits_about(await failure_of(scene.send(work, handle)), 40)
    assert await scene.send(work, handle) == []


def _waits_about(failure: Failure, seconds: float, slack: float = 10) -> None:
    assert failure.kind is FailureKind.RATE_LIMITED
    assert failure.retry_time is not None
    assert -slack < (failure.retry_time - datetime.now(UTC)).total_seconds() - seconds < slack


@pytest.mark.parametrize("inclusive", [False, True])
async def test_an_upload_goes_on_where_the_platform_stands_whatever_position_we_remember(
    scene: Scene, inclusive: bool
) -> None:
    scene.sandbox.control("PATCH", "/tiktok/settings", range_end_inclusive=inclusive)
    work = scene.work(LARGE)
    handle = await scene.adapter.begin(work)
    scene.sandbox.fault("upload", "error", status=400, skip=3)
    assert (await failure_of(scene.send(work, handle))).kind is FailureKind.PERMANENT
    for remembered, stored in ((0, [30_000_000, 40_000_000, 50_000_000, 60_000_000]), (10_000_000, [])):
        assert await scene.send(work, handle, remembered) == stored
    assert scene.sandbox.effects(CAPTION) == 1


async def test_a_position_inside_the_long_last_chunk_is_no_position_behind_it(scene: Scene) -> None:
    work = scene.work(SIX_CHUNKS)
    handle = await scene.adapter.begin(work)
    await scene.stage(work, handle)
    assert await scene.send(work, handle, 62_000_000) == []
    assert scene.sandbox.effects(CAPTION) == 1


async def test_an_expired_upload_address_ends_the_upload(scene: Scene) -> None:
    work = scene.work()
    handle = await scene.adapter.begin(work)
    scene.pass_time(3601)
    with pytest.raises(UploadEnded):
        await scene.send(work, handle)
    large = await scene.adapter.begin(scene.work(LARGE))
    scene.pass_time(3601)
    with pytest.raises(UploadEnded):
        await scene.stage(scene.work(LARGE), large)
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
        ("picture_size_check_failed", FailureKind.REJECTED),
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
    scene.pass_time(5)
    answer = await scene.ask(handle)
    assert isinstance(answer, Failure)
    assert (answer.kind, answer.reason) == (kind, f"TIKTOK_{fail_reason.upper()}")


@pytest.mark.parametrize(
    ("creator", "settings", "kind", "reason"),
    [
        ({"banned": True}, {}, FailureKind.PERMANENT, "TIKTOK_SPAM_RISK_USER_BANNED_FROM_POSTING"),
        ({}, {"posts_per_day": 0}, FailureKind.RATE_LIMITED, "TIKTOK_SPAM_RISK_TOO_MANY_POSTS"),
    ],
)
async def test_a_creator_who_may_not_post_now_is_found_before_anything_is_sent(
    scene: Scene, creator: dict[str, Any], settings: dict[str, Any], kind: FailureKind, reason: str
) -> None:
    scene.sandbox.control("PATCH", f"/tiktok/creators/{CREATOR}", **creator)
    scene.sandbox.control("PATCH", "/tiktok/settings", **settings)
    failure = await failure_of(scene.problems(scene.work()))
    assert (failure.kind, failure.reason) == (kind, reason)
    if kind is FailureKind.RATE_LIMITED:
        assert failure.retry_time is not None
        assert failure.retry_time - datetime.now(UTC) > timedelta(hours=23)


@pytest.mark.parametrize(
    ("creator", "reason"),
    [
        ({"private": True}, "TIKTOK_PRIVACY_LEVEL_GONE"),
        ({"max_duration_seconds": 10}, "DURATION_CHECK_FAILED"),
    ],
)
async def test_what_the_creator_may_not_do_now_is_a_problem_of_the_post(
    scene: Scene, creator: dict[str, Any], reason: str
) -> None:
    scene.sandbox.control("PATCH", f"/tiktok/creators/{CREATOR}", **creator)
    assert scene.adapter.check(scene.work()) == []
    assert await scene.problems(scene.work()) == [reason]


async def test_moderation_may_take_long_and_the_answer_stays_open(scene: Scene) -> None:
    scene.sandbox.control("PATCH", "/tiktok/settings", moderation_seconds=4 * 3600)
    handle = await scene.posted()
    for hours in (1, 2):
        scene.pass_time(3600 * hours)
        assert await scene.ask(handle) == Incomplete(SMALL)
    scene.pass_time(3600)
    answer = await scene.ask(handle)
    assert isinstance(answer, Complete)
    assert answer.verdict.visibility is Visibility.PUBLIC


async def test_a_post_that_is_removed_later_loses_its_public_id(scene: Scene) -> None:
    handle = await scene.posted()
    scene.pass_time(5)
    public = await scene.ask(handle)
    assert isinstance(public, Complete)
    assert public.verdict.platform_post_id
    scene.sandbox.control("POST", f"/tiktok/posts/{handle.handle}/remove")
    hidden = await scene.ask(handle)
    assert isinstance(hidden, Complete)
    assert (hidden.verdict.platform_post_id, hidden.settled) == ("", False)


async def test_a_draft_takes_the_video_alone_and_lies_in_the_owners_inbox(scene: Scene) -> None:
    scene.allow("video.upload")
    before = scene.sandbox.calls("creator_info")
    work = scene.work(post_mode="MEDIA_UPLOAD")
    assert await scene.problems(work) == []
    handle = await scene.posted(work)
    scene.pass_time(5)
    answer = await scene.ask(handle, post_mode="MEDIA_UPLOAD")
    assert isinstance(answer, Complete)
    assert (answer.verdict.visibility, answer.settled) == (Visibility.INBOX, True)
    assert (scene.share(handle)["caption"], scene.share(handle)["options"]) == ("", {})
    assert scene.sandbox.calls("creator_info") == before


async def test_a_refused_token_is_replaced_once(scene: Scene) -> None:
    scene.tokens.token, scene.tokens.another = "act.ended", scene.tokens.token
    assert await scene.adapter.read_limits(scene.account, PUBLIC_CHOICE, scene.tokens) == AccountLimits(
        600, ("PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY")
    )
    scene.tokens.another = "act.ended.too"
    assert (await failure_of(scene.adapter.begin(scene.work()))).kind is FailureKind.ACCOUNT


@pytest.mark.parametrize("endpoint", ["creator_info", "video_init", "status_fetch"])
async def test_too_many_calls_wait_as_long_as_the_platform_says(scene: Scene, endpoint: str) -> None:
    handle = await scene.adapter.begin(scene.work())
    scene.sandbox.fault(endpoint, "rate_limit", retry_after_seconds=90)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "creator_info": lambda: scene.adapter.read_limits(scene.account, PUBLIC_CHOICE, scene.tokens),
        "video_init": lambda: scene.adapter.begin(scene.work()),
        "status_fetch": lambda: scene.ask(handle),
    }
    _waits_about(await failure_of(calls[endpoint]()), 90)


async def test_a_lost_answer_to_the_announcement_is_asked_for_again(scene: Scene) -> None:
    scene.sandbox.fault("video_init", "lost_reply")
    await scene.posted()
    assert (scene.sandbox.calls("video_init"), scene.sandbox.effects(CAPTION)) == (2, 1)


async def test_a_probe_tells_a_platform_that_fails_from_an_account_that_may_not_post(scene: Scene) -> None:
    await scene.adapter.probe(scene.account, scene.tokens)
    scene.sandbox.control("PATCH", f"/tiktok/creators/{CREATOR}", banned=True)
    assert (await failure_of(scene.adapter.probe(scene.account, scene.tokens))).kind is FailureKind.PERMANENT
    scene.sandbox.control("PATCH", "/tiktok/settings", outage="error")
    assert (await failure_of(scene.adapter.probe(scene.account, scene.tokens))).kind is FailureKind.TRANSIENT


async def test_a_post_without_a_handle_is_found_among_the_public_ones(scene: Scene) -> None:
    scene.allow("video.list")
    await scene.posted(scene.work(caption="Something else"))
    first, second = await scene.posted(), await scene.posted()
    assert isinstance(await scene.find(), Unsettled)  # in moderation
    scene.pass_time(5)
    ids = {handle: scene.share(handle)["post_id"] for handle in (first, second)}
    found = await scene.find()
    assert isinstance(found, Found)
    verdict = found.taken.verdict
    assert verdict is not None
    assert (verdict.platform_post_id, verdict.visibility) == (ids[first], Visibility.PUBLIC)
    assert verdict.url == f"https://www.tiktok.com/@{CREATOR}/video/{ids[first]}"
    other = await scene.find(others=frozenset({ids[first]}))
    assert isinstance(other, Found)
    assert other.taken.verdict is not None
    assert other.taken.verdict.platform_post_id == ids[second]
    missing = await scene.find(others=frozenset(ids.values()))
    assert isinstance(missing, Unsettled)
    assert not missing.is_final


async def test_a_long_text_is_found_although_the_list_cuts_it(scene: Scene) -> None:
    scene.allow("video.list")
    long = "Crispy all the way. " * 20
    await scene.posted(scene.work(caption=long))
    scene.pass_time(5)
    assert isinstance(await scene.find(caption=long), Found)
    assert isinstance(await scene.find(caption="Crispy all the way."), Unsettled)


async def test_an_older_post_with_the_same_text_is_not_taken_for_it(scene: Scene) -> None:
    scene.allow("video.list")
    await scene.posted()
    scene.pass_time(600)
    assert isinstance(await scene.find(), Unsettled)


async def test_a_list_is_read_over_its_pages(scene: Scene) -> None:
    scene.allow("video.list")
    await scene.posted()
    for number in range(21):
        await scene.posted(scene.work(caption=f"Another one, {number}"))
    scene.pass_time(5)
    assert isinstance(await scene.find(), Found)


async def test_what_no_list_will_ever_show_is_said_at_once(scene: Scene) -> None:
    without_scope = await scene.find()
    scene.allow("video.list")
    private = await scene.find(options={"privacy_level": "SELF_ONLY"})
    wordless = await scene.find(caption="")
    for trace in (without_scope, private, wordless):
        assert isinstance(trace, Unsettled)
        assert trace.is_final
    assert scene.sandbox.calls("video_list") == 0


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
        ("", [], PUBLIC_CHOICE, ["VIDEO_MISSING"]),
        ("", [a_file(), a_file()], PUBLIC_CHOICE, ["TOO_MANY_VIDEOS"]),
        ("", [a_file(width=200)], PUBLIC_CHOICE, ["PICTURE_SIZE_CHECK_FAILED"]),
        ("a" * 2201, [a_file()], {"post_mode": "MEDIA_UPLOAD"}, []),  # a draft: no caption goes with it
    ],
)
def test_what_tiktok_would_refuse_is_known_without_asking(
    caption: str, media: list[MediaFile], options: Options | None, reasons: list[str]
) -> None:
    account = dataclasses.replace(an_account(), scopes=("video.publish", "video.upload"))
    problems = checks.problems(account, caption, media, options, serves_media=False)
    assert [problem.reason for problem in problems] == reasons
    assert all(problem.blocking for problem in problems)


@pytest.fixture
def seen_by(scene: Scene, ledger: Ledger) -> Observer:
    def tokens_of(account: Account) -> StoredTokens:
        return scene.tokens

    adapters = {Platform.TIKTOK: scene.adapter}
    return Observer(
        ledger,
        adapters,
        Accounts(ledger.database, tokens_of),
        Incidents(ledger.database, adapters, tokens_of),
    )


async def test_the_observer_records_that_a_public_post_is_no_longer_shown(
    scene: Scene, ledger: Ledger, seen_by: Observer
) -> None:
    work = scene.work()
    claim = a_claim(account_id=scene.account.account_id, due_time=datetime.now(UTC))
    publication, _ = await ledger.open(claim)
    publication = await ledger.prepared(publication, claim, "Fits.", 15_000)
    handle = await scene.adapter.begin(work)
    publication = await ledger.handle_stored(publication, handle)
    publication = await ledger.committing(publication, claim, "Sending.")
    await scene.send(work, handle)
    await ledger.taken(publication, Taken(), watch=True)
    scene.pass_time(5)

    async def look() -> Publication:
        with ledger.database.transaction(claim.workspace_id) as tx:
            await seen_by.check(store.read_publication(tx, ledger.vault, claim.workspace_id, claim.delivery_id))
        with ledger.database.transaction(claim.workspace_id) as tx:
            return store.read_publication(tx, ledger.vault, claim.workspace_id, claim.delivery_id)

    published = await look()
    assert (published.step, published.visibility) == (Step.PUBLISHED, Visibility.PUBLIC)
    assert published.platform_post_id == scene.share(handle)["post_id"]
    assert (await look()).step is Step.PUBLISHED
    scene.sandbox.control("POST", f"/tiktok/posts/{handle.handle}/remove")
    assert (await look()).step is Step.REMOVED
