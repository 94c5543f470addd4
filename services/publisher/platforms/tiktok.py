"""TikTok's Content Posting API as an adapter: FILE_UPLOAD, whose unknown outcomes can always be resolved.

What may be repeated: creator_info and video/init any number of times (nothing is published before the bytes arrive).
The publish_id of init is stored before the first byte is sent. The last chunk publishes; sent again to the same upload
address it cannot publish twice. After it only status/fetch is asked, and never is another init made for a publish_id
that may be complete. Facts: developers.tiktok.com/doc/content-posting-api-reference-direct-post and
…/content-posting-api-media-transfer-guide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorQuotaReached,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
    VendorUncertain,
)
from services.publisher import domain
from services.publisher.domain import AttemptFailed, Failure, FailureKind, Visibility
from services.publisher.platforms import tiktok_media
from services.publisher.platforms.base import (
    Answer,
    Complete,
    Incomplete,
    MediaFile,
    Processing,
    Tokens,
    Uncertain,
    Unknown,
    UploadEnded,
    Work,
)
from services.publisher.platforms.common import Problem
from vendors.tiktok import models
from vendors.tiktok.chunks import plan_chunks
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.errors import UploadGone, fail_reason_error

Answered = TypeVar("Answered")

CAPTION_UNITS = 2200  # UTF-16 units, as TikTok counts them
# The upload must end within the hour for which TikTok takes bytes; what is left is a margin for clocks.
HANDLE_LIFE = timedelta(minutes=58)
PRIVATE_LEVELS = ("SELF_ONLY", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR")
# Answers to the question for a publish_id that no later question will change.
_UNKNOWN_HANDLE = {
    "TIKTOK_INVALID_PUBLISH_ID": "TikTok does not know the publish_id.",
    "TIKTOK_TOKEN_NOT_AUTHORIZED_FOR_SPECIFIED_PUBLISH_ID": (
        "TikTok gives no word on the publish_id to this account's present connection."
    ),
}
_CHUNK_TRIES = 4
_OUT_OF_STEP_LIMIT = 3


def check(caption: str, media: Sequence[MediaFile], options: domain.Options | None) -> list[Problem]:
    """What TikTok would refuse, known without asking it. `options` None: the post has no choices for TikTok."""
    problems = []
    units = len(caption.encode("utf-16-le")) // 2
    if units > CAPTION_UNITS:
        problems.append(
            Problem(
                "caption",
                "CAPTION_TOO_LONG",
                f"TikTok takes captions of up to {CAPTION_UNITS} characters; this one has {units}. Shorten it.",
            )
        )
    if options is None:
        problems.append(
            Problem(
                "options.tiktok.privacy_level",
                "PRIVACY_LEVEL_MISSING",
                "Choose who sees the post: PUBLIC_TO_EVERYONE, MUTUAL_FOLLOW_FRIENDS, FOLLOWER_OF_CREATOR or"
                " SELF_ONLY. TikTok requires the author's own choice.",
            )
        )
    elif options.get("branded_content") in (True, "true") and options.get("privacy_level") == "SELF_ONLY":
        problems.append(
            Problem(
                "options.tiktok.branded_content",
                "BRANDED_CONTENT_PRIVATE",
                "TikTok does not take branded content that only you can see. Choose another privacy_level.",
            )
        )
    return problems + _media_problems(media)


def _media_problems(media: Sequence[MediaFile]) -> list[Problem]:
    if any(file.mime_type.startswith("image/") for file in media):
        return [
            Problem(
                "media",
                "PHOTOS_NOT_SUPPORTED",
                "Photo posts cannot be published to TikTok by this version. Use one video.",
                # A plan for later months is kept; each attempt says the same until it can be done.
                blocking=False,
            )
        ]
    if len(media) > 1:
        return [Problem("media", "TOO_MANY_VIDEOS", "A TikTok post has one video. Make a post of each.")]
    return [
        Problem(f"media[{index}]", problem.reason.upper(), problem.message)
        for index, file in enumerate(media)
        for problem in tiktok_media.problems(_to_post(file))
    ]


def _to_post(file: MediaFile) -> tiktok_media.MediaToPost:
    is_video = file.mime_type.startswith("video/")
    return tiktok_media.MediaToPost(
        kind="video" if is_video else "photo",
        container=file.container if is_video else file.codec,
        video_codec=file.codec if is_video else None,
        width=file.width,
        height=file.height,
        size_bytes=file.size_bytes,
        average_frame_rate_mfps=file.frame_rate_millis or None,
        duration_ms=file.duration_ms or None,
        pixel_mode=file.pixel_mode,
    )


class TikTokAdapter:
    """See platforms/base.py for what each method promises, and the head of this module for what may be repeated."""

    def __init__(self, client: TikTokClient) -> None:
        self._client = client

    async def prepare(self, work: Work) -> str:
        """Checks caption, media and choices, then the creator's limits of this moment."""
        problems = check(work.caption, work.media, work.options or None)
        if problems:
            raise AttemptFailed(
                Failure(FailureKind.PERMANENT, problems[0].reason, " ".join(problem.message for problem in problems))
            )
        creator = await self._with_token(work.tokens, self._client.creator_info)
        level = str(work.options["privacy_level"])
        if level not in creator.privacy_level_options:
            raise AttemptFailed(
                Failure(
                    FailureKind.PERMANENT,
                    "TIKTOK_PRIVACY_LEVEL_GONE",
                    f"The creator no longer offers {level}; now possible: {', '.join(creator.privacy_level_options)}."
                    " Choose again and create a new post.",
                )
            )
        longest = creator.max_video_duration_seconds
        if longest is not None and work.media[0].duration_ms > longest * 1000:
            raise AttemptFailed(
                Failure(
                    FailureKind.PERMANENT,
                    "DURATION_CHECK_FAILED",
                    f"This creator may post videos of up to {longest} s; this one is longer. Cut it.",
                )
            )
        return f"Media fits; @{creator.username} may post with {level}."

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
        upload = await self._with_token(
            work.tokens, lambda token: self._client.video_init(token, post, plan_chunks(size))
        )
        return domain.Handle(upload.publish_id, upload.upload_url, asked + HANDLE_LIFE, size)

    async def send(
        self, work: Work, handle: domain.Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        """Uploads the chunks in order; with the last one TikTok publishes."""
        file = work.media[0]
        plan = plan_chunks(handle.media_size)
        # The last chunk is longer than the others, so a position inside of it must not count as one behind it.
        index, failures, out_of_step = min(from_byte // plan.chunk_size, plan.count - 1), 0, 0
        while index < plan.count:
            span = plan.span(index)
            try:
                async with file.read(span.first, span.length) as pieces:
                    reply = await self._client.upload_chunk(
                        handle.upload_url, span, pieces, content_type=file.mime_type, publish_id=handle.handle
                    )
            except VendorUncertain as error:
                raise Uncertain(str(error)) from None
            except UploadGone as error:
                raise UploadEnded(str(error)) from None
            except VendorUnavailable as error:
                failures += 1
                if failures >= _CHUNK_TRIES:
                    raise AttemptFailed(failure_of(error), error.log_id or "") from None
                await asyncio.sleep(0.5 * 2**failures)
                continue
            except VendorError as error:
                raise AttemptFailed(failure_of(error), error.log_id or "") from None
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

    async def ask(self, account: domain.Account, options: domain.Options, handle: str, tokens: Tokens) -> Answer:
        """status/fetch by publish_id."""
        try:
            status = await self._with_token(tokens, lambda token: self._client.status_fetch(token, handle))
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
            case _:
                return Processing()

    async def _with_token(self, tokens: Tokens, call: Callable[[str], Awaitable[Answered]]) -> Answered:
        """Makes a repeatable call; when the token is refused once, with a fresh one."""
        token = await tokens.access()
        try:
            return await call(token)
        except VendorAccountProblem as problem:
            if problem.remedy is not AccountRemedy.REFRESH:
                raise AttemptFailed(failure_of(problem), problem.log_id or "") from None
        except VendorError as error:
            raise AttemptFailed(failure_of(error), error.log_id or "") from None
        try:
            return await call(await tokens.fresh(token))
        except VendorError as error:
            raise AttemptFailed(failure_of(error), error.log_id or "") from None


def failure_of(error: VendorError) -> Failure:
    """What a failed call means for the attempt. Nothing was published by it."""
    reason = f"TIKTOK_{error.code.upper()}" if error.code else "TIKTOK_REFUSED"
    message = " ".join(part for part in (error.message, error.advice) if part)
    now = datetime.now(UTC)
    match error:
        case VendorUnavailable() | VendorUncertain():
            return Failure(FailureKind.TRANSIENT, reason, message)
        case VendorRateLimited(retry_after_seconds=wait) | VendorQuotaReached(retry_after_seconds=wait):
            return Failure(FailureKind.RATE_LIMITED, reason, message, now + timedelta(seconds=wait))
        case VendorAccountProblem():
            return Failure(FailureKind.ACCOUNT, reason, message)
        case _:
            return Failure(FailureKind.PERMANENT, reason, message)


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
        url = f"https://www.tiktok.com/@{account.handle}/video/{post_ids[0]}"
        return Complete(domain.Verdict(Visibility.PUBLIC, post_ids[0], url), settled=True)
    private = options.get("privacy_level") in PRIVATE_LEVELS
    return Complete(domain.Verdict(Visibility.PRIVATE, "", ""), settled=private)
