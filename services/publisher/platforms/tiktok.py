"""TikTok's Content Posting API as an adapter: FILE_UPLOAD, whose unknown outcomes can always be resolved.

What may be repeated: creator_info and video/init any number of times (nothing is published before the bytes arrive).
The publish_id of init is stored before the first byte is sent. All chunks but the last may be sent ahead of time; the
last one publishes, and sent again to the same upload address it cannot publish twice. After it only status/fetch is
asked, and never is another init made for a publish_id that may be complete. Facts:
developers.tiktok.com/doc/content-posting-api-reference-direct-post, …/content-posting-api-media-transfer-guide and
…/tiktok-api-v2-video-list.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

from kit.vendor_errors import (
    VendorError,
    VendorRejected,
    VendorUnavailable,
    VendorUncertain,
)
from services.publisher import domain
from services.publisher.domain import AttemptFailed, Failure, FailureKind, Visibility
from services.publisher.platforms import checks
from services.publisher.platforms.base import (
    Answer,
    Complete,
    Found,
    Incomplete,
    MediaFile,
    Problem,
    Processing,
    Search,
    Taken,
    Tokens,
    Trace,
    Traits,
    Uncertain,
    Unknown,
    Unsettled,
    UploadEnded,
    Work,
)
from services.publisher.platforms.checks import PRIVATE_LEVELS
from services.publisher.platforms.common import failure_of, with_token
from services.publisher.quotas import Quotas
from vendors.tiktok import models
from vendors.tiktok.chunks import ChunkSpan, plan_chunks
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig
from vendors.tiktok.errors import UploadGone, fail_reason_error

# The upload must end within the hour for which TikTok takes bytes; what is left is a margin for clocks.
HANDLE_LIFE = timedelta(minutes=58)
LIST_SCOPE = "video.list"
# Answers to the question for a publish_id that no later question will change.
_UNKNOWN_HANDLE = {
    "TIKTOK_INVALID_PUBLISH_ID": "TikTok does not know the publish_id.",
    "TIKTOK_TOKEN_NOT_AUTHORIZED_FOR_SPECIFIED_PUBLISH_ID": (
        "TikTok gives no word on the publish_id to this account's present connection."
    ),
}
_CHUNK_TRIES = 4
_CHUNK_WAIT_SECONDS = 1.0  # after the first failure; then twice as long each time
_OUT_OF_STEP_LIMIT = 3
# A question ends sooner than whoever asks loses patience (observing.CHECK_LEASE_SECONDS), a refused token included.
_ASK_SECONDS = 10.0
# The list of videos is read so far back: pages of 20.
_LIST_PAGES = 10
# Moderation takes hours at most; by then a post has its place in the list.
_LISTED_WITHIN = timedelta(hours=24)
# The list cuts texts at 150 characters. What a character is there is not documented, so a few may be missing.
_CUT_TEXT = 140
_LENGTH_SLACK_MS = 1500  # the list has whole seconds


# creator_info, video/init, and one question for the verdict.
_CALLS_OF_POST = 3


def quotas_of(config: TikTokConfig) -> Quotas:
    """How many posts TikTok takes; the figures and where they are from stand in the configuration."""
    return Quotas(
        posts_per_day=config.posts_per_day,
        accounts_per_day=config.active_creators_per_day,
        account_posts_per_minute=min(config.video_init_per_minute, config.creator_info_per_minute),
        posts_per_minute=config.application_per_minute // _CALLS_OF_POST,
    )


def limits_of(creator: models.CreatorInfo) -> domain.AccountLimits:
    """What creator_info says that a creator may do."""
    return domain.AccountLimits(creator.max_video_duration_seconds, creator.privacy_level_options)


class TikTokAdapter:
    """See platforms/base.py for what each method promises, and the head of this module for what may be repeated."""

    # publish_id of init; video/list where its scope is granted; a post that is no longer public loses its public id.
    traits = Traits(has_handle=True, can_find=True, tells_removal=True)

    def __init__(self, client: TikTokClient) -> None:
        self._client = client
        self.quotas = quotas_of(client.config)

    def check(self, work: Work, limits: domain.AccountLimits | None) -> list[Problem]:
        """See checks.tiktok."""
        return checks.tiktok(work.caption, work.media, work.options or None, limits)

    async def read_limits(self, account: domain.Account, tokens: Tokens) -> domain.AccountLimits | None:
        """creator_info. Caps and bans are told by it too: then it raises."""
        return limits_of(await with_token(tokens, self._client.creator_info))

    async def begin(self, work: Work) -> domain.Handle:
        """video/init. Safe to repeat: nothing is published before the bytes arrive."""
        options = work.options
        post = models.VideoPost(
            title=work.caption,
            privacy_level=str(options["privacy_level"]),
            disable_comment=not options.get("allow_comment"),
            disable_duet=not options.get("allow_duet"),
            disable_stitch=not options.get("allow_stitch"),
            paid_partnership=bool(options.get("branded_content")),
            own_business=bool(options.get("brand_organic")),
            is_ai_generated=bool(options.get("is_ai_generated")),
            cover_timestamp_ms=int(options.get("cover_time_ms") or 0) or None,
        )
        size = work.media[0].size_bytes
        asked = datetime.now(UTC)
        upload = await with_token(work.tokens, lambda token: self._client.video_init(token, post, plan_chunks(size)))
        return domain.Handle(upload.publish_id, upload.upload_url, asked + HANDLE_LIFE, size)

    async def stage(
        self, work: Work, handle: domain.Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        """Uploads every chunk but the last; a video of a single chunk has none."""
        await self._upload(work, handle, from_byte, on_stored, None)

    async def send(
        self,
        work: Work,
        handle: domain.Handle | None,
        from_byte: int,
        on_stored: Callable[[int], Awaitable[None]],
        last_moment: Callable[[], None],
    ) -> Taken:
        """Uploads the chunks that are left, in order; with the last one TikTok publishes."""
        if handle is None:
            raise ValueError("TikTok publishes only under a handle")
        await self._upload(work, handle, from_byte, on_stored, last_moment)
        return Taken()

    async def _upload(
        self,
        work: Work,
        handle: domain.Handle,
        from_byte: int,
        on_stored: Callable[[int], Awaitable[None]],
        last_moment: Callable[[], None] | None,
    ) -> None:
        """Uploads from a byte on; without `last_moment` up to the last chunk, which stays behind."""
        plan = plan_chunks(handle.media_size)
        end = plan.count if last_moment else plan.count - 1
        # The last chunk is longer than the others, so a position inside of it must not count as one behind it.
        index, failures, out_of_step = min(from_byte // plan.chunk_size, plan.count - 1), 0, 0
        while index < end:
            span = plan.span(index)
            try:
                reply = await self._chunk(work.media[0], handle, span, last_moment)
            except (VendorUnavailable, VendorUncertain) as error:
                failures += 1
                if failures >= _CHUNK_TRIES:
                    raise AttemptFailed(failure_of(error), error.log_id or "") from None
                await asyncio.sleep(_CHUNK_WAIT_SECONDS * 2 ** (failures - 1))
                continue
            if reply.state is models.ChunkState.COMPLETE and span.is_final:
                return
            if reply.state is models.ChunkState.OUT_OF_STEP:
                out_of_step += 1
                position = None if reply.range_end is None else plan.index_after(reply.range_end)
                if position is None or out_of_step > _OUT_OF_STEP_LIMIT:
                    raise UploadEnded("TikTok holds other bytes than we sent.")
                index = position
            elif span.is_final:
                raise Uncertain("TikTok expects more bytes after the last one.")
            else:
                failures = 0
                await on_stored(span.last + 1)
                index += 1

    async def _chunk(
        self, file: MediaFile, handle: domain.Handle, span: ChunkSpan, last_moment: Callable[[], None] | None
    ) -> models.ChunkReply:
        """The answer to one chunk. Raises VendorUnavailable or VendorUncertain when it surely was not stored, or may be
        sent again all the same; else as `send`.
        """
        body: _LastChunk | None = None
        try:
            async with file.read(span.first, span.length) as pieces:
                if span.is_final and last_moment:
                    body = _LastChunk(span.length, last_moment)
                    pieces = body.watched(pieces)
                return await self._client.upload_chunk(
                    handle.upload_url, span, pieces, content_type=file.mime_type, publish_id=handle.handle
                )
        except UploadGone as error:
            raise UploadEnded(str(error)) from None
        except (VendorUnavailable, VendorUncertain) as error:
            # Before its last byte has left, the last chunk is a chunk like any other.
            if body is not None and body.is_out:
                raise Uncertain(str(error)) from None
            raise
        except VendorError as error:
            raise AttemptFailed(failure_of(error), error.log_id or "") from None

    async def ask(self, account: domain.Account, options: domain.Options, handle: str, tokens: Tokens) -> Answer:
        """status/fetch by publish_id."""
        try:
            status = await with_token(
                tokens, lambda token: self._client.status_fetch(token, handle, timeout_seconds=_ASK_SECONDS)
            )
        except AttemptFailed as error:
            if error.failure.reason in _UNKNOWN_HANDLE:
                return Unknown(_UNKNOWN_HANDLE[error.failure.reason])
            raise
        match status.state:
            case models.PublishState.PROCESSING_UPLOAD:
                return Incomplete(status.uploaded_bytes)
            case models.PublishState.FAILED:
                return _rejection(status.fail_reason)
            case models.PublishState.PUBLISH_COMPLETE:
                return _complete(account, options, status.post_ids)
            case models.PublishState.SEND_TO_USER_INBOX:
                return Complete(domain.Verdict(Visibility.INBOX, "", ""), settled=True)
            case _:
                return Processing()

    async def find(self, search: Search, tokens: Tokens) -> Trace:
        """video/list: public posts only, so that a post is not there proves nothing."""
        if LIST_SCOPE not in search.account.scopes:
            return Unsettled(f"The account's owner has not allowed reading its videos ({LIST_SCOPE}).", is_final=True)
        if search.options.get("privacy_level") in PRIVATE_LEVELS or not search.caption.strip():
            return Unsettled("TikTok lists only what everybody can see, and tells it apart by its text.", is_final=True)
        cursor, found = None, ""
        for _ in range(_LIST_PAGES):
            page = await self._page(tokens, cursor)
            # Newest first; of several that fit the oldest is taken.
            found = next((video.id for video in reversed(page.videos) if _is_it(video, search)), found)
            oldest = page.videos[-1].create_time if page.videos else None
            if not page.has_more or page.cursor is None or (oldest and oldest < search.sent_after):
                break
            cursor = page.cursor
        if found:
            return Found(Taken(verdict=_public(search.account, found)))
        return Unsettled("TikTok does not list the post; it may be in moderation, or was never sent.")

    async def _page(self, tokens: Tokens, cursor: int | None) -> models.VideoPage:
        return await with_token(
            tokens, lambda token: self._client.video_list(token, cursor=cursor, timeout_seconds=_ASK_SECONDS)
        )

    async def probe(self, account: domain.Account, tokens: Tokens) -> None:
        """creator_info: a read of the API that publishes."""
        await with_token(tokens, lambda token: self._client.creator_info(token, timeout_seconds=_ASK_SECONDS))


class _LastChunk:
    """The chunk that publishes. `is_out`: its last bytes were handed over, so it may arrive."""

    def __init__(self, length: int, last_moment: Callable[[], None]) -> None:
        self._left = length
        self._last_moment = last_moment
        self.is_out = False

    async def watched(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same pieces. The first one is pulled when the connection stands, and its bytes are here: now it leaves.

        What `last_moment` raises ends the call before a byte of the chunk is sent.
        """
        called = False
        async for piece in pieces:
            if not called:
                self._last_moment()
                called = True
            self._left -= len(piece)
            self.is_out = self._left <= 0
            yield piece


def _rejection(fail_reason: str | None) -> Failure:
    """What a FAILED post means: mostly a verdict, sometimes only bad luck or a cap."""
    error = fail_reason_error(fail_reason)
    failure = failure_of(error)
    if isinstance(error, VendorRejected):
        return Failure(FailureKind.REJECTED, failure.reason, failure.message)
    return failure


def _complete(account: domain.Account, options: domain.Options, post_ids: tuple[str, ...]) -> Complete:
    """TikTok gives an id only to posts that everybody can see, some time after they are complete."""
    if post_ids:
        return Complete(_public(account, post_ids[0]), settled=True)
    private = options.get("privacy_level") in PRIVATE_LEVELS
    return Complete(domain.Verdict(Visibility.PRIVATE, "", ""), settled=private)


def _public(account: domain.Account, post_id: str) -> domain.Verdict:
    return domain.Verdict(Visibility.PUBLIC, post_id, f"https://www.tiktok.com/@{account.handle}/video/{post_id}")


def _is_it(video: models.Video, search: Search) -> bool:
    """Whether a listed video is the post that is looked for."""
    if video.id in search.others or video.create_time is None:
        return False
    if not search.sent_after <= video.create_time <= search.sent_before + _LISTED_WITHIN:
        return False
    length = (video.duration_seconds or 0) * 1000
    if length and search.duration_ms and abs(length - search.duration_ms) > _LENGTH_SLACK_MS:
        return False
    text, caption = (video.description or video.title).strip(), search.caption.strip()
    return text == caption or (len(text) >= _CUT_TEXT and caption.startswith(text))
