"""TikTok's Content Posting API as an adapter. A post goes one of two ways.

A video that is uploaded: its unknown outcomes can always be resolved. creator_info and init may be repeated any number
of times (nothing is published before the bytes arrive). The publish_id of init is stored before the first byte is sent.
All chunks but the last may be sent ahead of time; the last one publishes, and sent again to the same upload address it
cannot publish twice. After it only status/fetch is asked, and never is another init made for a publish_id that may be
complete.

Photos, and videos where the installation is configured so, are fetched by TikTok: init publishes by itself, so it is
the one call that may not be repeated. Its lost answer has no handle; the list of videos may tell, else a person does.

A draft (MEDIA_UPLOAD) goes the same ways, into the owner's inbox. Facts: developers.tiktok.com/doc/
content-posting-api-{reference-direct-post, reference-photo-post, reference-upload-video, media-transfer-guide} and
…/tiktok-api-v2-video-list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kit.vendor_errors import VendorRejected, VendorUncertain
from services.publisher import domain
from services.publisher.domain import AttemptFailed, Failure, FailureKind, Visibility
from services.publisher.platforms import checks, tiktok_posts
from services.publisher.platforms.base import (
    Answer,
    Complete,
    Found,
    Incomplete,
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
    Work,
)
from services.publisher.platforms.common import failure_of, with_token
from services.publisher.platforms.tiktok_checks import LIST_SCOPE, PRIVATE_LEVELS, PUBLISH_SCOPE, has_photos
from services.publisher.platforms.tiktok_upload import upload
from services.publisher.quotas import Quotas
from vendors.tiktok import models
from vendors.tiktok.chunks import plan_chunks
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig
from vendors.tiktok.errors import fail_reason_error

# The upload must end within the hour for which TikTok takes bytes; what is left is a margin for clocks.
HANDLE_LIFE = timedelta(minutes=58)
# Answers to the question for a publish_id that no later question will change.
_UNKNOWN_HANDLE = {
    "TIKTOK_INVALID_PUBLISH_ID": "TikTok does not know the publish_id.",
    "TIKTOK_TOKEN_NOT_AUTHORIZED_FOR_SPECIFIED_PUBLISH_ID": (
        "TikTok gives no word on the publish_id to this account's present connection."
    ),
}
_CANCELLED = "publish_cancelled"  # TikTok's fail_reason
# publish_ids of photo posts begin so, as far as they were seen; an address with the other word leads to the post too.
_PHOTO_HANDLES = "p_"
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
        drafts_per_day=config.pending_drafts_per_day,
        accounts_per_day=config.active_creators_per_day,
        account_posts_per_minute=min(config.video_init_per_minute, config.creator_info_per_minute),
        posts_per_minute=config.application_per_minute // _CALLS_OF_POST,
    )


def limits_of(creator: models.CreatorInfo) -> domain.AccountLimits:
    """What creator_info says that a creator may do."""
    return domain.AccountLimits(
        creator.max_video_duration_seconds,
        creator.privacy_level_options,
        creator.comment_disabled,
        creator.duet_disabled,
        creator.stitch_disabled,
    )


# The address of a file for a vendor to fetch: of a workspace, a media asset, until an instant.
MediaUrl = Callable[[UUID, UUID, datetime], str]


class TikTokAdapter:
    """See platforms/base.py for what each method promises, and the head of this module for what may be repeated.

    `media_url` None: TikTok cannot fetch files from this installation.
    """

    # video/list where its scope is granted; a post that is no longer public loses its public id.
    traits = Traits(can_find=True, tells_removal=True)

    def __init__(self, client: TikTokClient, media_url: MediaUrl | None = None) -> None:
        self._client = client
        self._media_url = media_url
        self.quotas = quotas_of(client.config)

    def has_handle(self, work: Work) -> bool:
        """Of what is uploaded; what TikTok fetches is published by init itself."""
        return self._client.config.video_source == "FILE_UPLOAD" and not has_photos(work.media)

    def check(self, work: Work) -> list[Problem]:
        """See checks.problems."""
        serves_media = self._media_url is not None
        return checks.problems(
            work.account, work.caption, work.media, work.options, work.limits, serves_media=serves_media
        )

    async def read_limits(
        self, account: domain.Account, options: domain.Options, tokens: Tokens
    ) -> domain.AccountLimits | None:
        """creator_info, which is for direct posts alone. Caps and bans are told by it too: then it raises."""
        if domain.is_draft(options) or PUBLISH_SCOPE not in account.scopes:
            return None
        return limits_of(await with_token(tokens, self._client.creator_info))

    async def begin(self, work: Work) -> domain.Handle:
        """video/init, or that of the inbox. Safe to repeat: nothing is published before the bytes arrive."""
        post, size = tiktok_posts.video_post(work), work.media[0].size_bytes
        plan, asked = plan_chunks(size), datetime.now(UTC)

        async def init(token: str) -> models.VideoUpload:
            if post is None:
                return await self._client.draft_init(token, plan)
            return await self._client.video_init(token, post, plan)

        begun = await with_token(work.tokens, init)
        return domain.Handle(begun.publish_id, begun.upload_url, asked + HANDLE_LIFE, size)

    async def stage(
        self, work: Work, handle: domain.Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        """Uploads every chunk but the last; a video of a single chunk has none."""
        await upload(self._client, work.media[0], handle, from_byte, on_stored, None)

    async def send(
        self,
        work: Work,
        handle: domain.Handle | None,
        from_byte: int,
        on_stored: Callable[[int], Awaitable[None]],
        last_moment: Callable[[], None],
    ) -> Taken:
        """Uploads the chunks that are left, in order: with the last one TikTok publishes. Without a handle: init."""
        if handle is None:
            return Taken(await self._have_fetched(work, last_moment))
        await upload(self._client, work.media[0], handle, from_byte, on_stored, last_moment)
        return Taken()

    async def _have_fetched(self, work: Work, last_moment: Callable[[], None]) -> str:
        """The publish_id of what TikTok fetches and publishes."""
        if self._media_url is None:
            raise ValueError("TikTok cannot fetch files from this installation")
        end = datetime.now(UTC) + timedelta(seconds=self._client.config.media_url_seconds)
        urls = [self._media_url(work.account.workspace_id, UUID(file.media_asset_id), end) for file in work.media]

        async def init(token: str) -> str:
            if has_photos(work.media):
                photos = tiktok_posts.photo_post(work, urls)
                return await self._client.post_photos(token, photos, last_moment=last_moment)
            video = tiktok_posts.video_post(work)
            return await self._client.post_video_from(token, urls[0], video, last_moment=last_moment)

        try:
            return await with_token(work.tokens, init)
        except VendorUncertain as error:
            raise Uncertain(str(error)) from None

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
            case models.PublishState.PROCESSING_DOWNLOAD:
                return Processing(can_be_stopped=True)
            case models.PublishState.PUBLISH_COMPLETE:
                return _complete(account, options, handle, status.post_ids)
            case models.PublishState.SEND_TO_USER_INBOX:
                return Complete(domain.Verdict(Visibility.INBOX, "", ""), settled=True)
            case _:
                return Processing()

    async def find(self, search: Search, tokens: Tokens) -> Trace:
        """video/list: public posts only, so that a post is not there proves nothing."""
        if domain.is_draft(search.options):
            return Unsettled("TikTok does not list drafts: their owner finds them in the inbox.", is_final=True)
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

    async def stop(self, account: domain.Account, handle: str, tokens: Tokens) -> bool:
        """publish/cancel: possible while TikTok fetches the files."""
        try:
            await with_token(tokens, lambda token: self._client.cancel(token, handle, timeout_seconds=_ASK_SECONDS))
        except AttemptFailed as error:
            if error.failure.reason == "TIKTOK_PUBLISH_NOT_CANCELLABLE":
                return False
            raise
        return True

    async def probe(self, account: domain.Account, tokens: Tokens) -> None:
        """creator_info: a read of the API that publishes; the profile, where only drafts are allowed."""

        async def read(token: str) -> None:
            if PUBLISH_SCOPE in account.scopes:
                await self._client.creator_info(token, timeout_seconds=_ASK_SECONDS)
            else:
                await self._client.user_info(token, timeout_seconds=_ASK_SECONDS)

        await with_token(tokens, read)


def _rejection(fail_reason: str | None) -> Failure:
    """What a FAILED post means: mostly a verdict, sometimes only bad luck or a cap."""
    error = fail_reason_error(fail_reason)
    failure = failure_of(error)
    if fail_reason == _CANCELLED:
        # Nobody else can cancel it: it was stopped here, and waits for as long as it is held.
        return Failure(
            FailureKind.PLATFORM, failure.reason, "It was stopped while TikTok was still fetching its files."
        )
    if isinstance(error, VendorRejected):
        return Failure(FailureKind.REJECTED, failure.reason, failure.message)
    return failure


def _complete(account: domain.Account, options: domain.Options, handle: str, post_ids: tuple[str, ...]) -> Complete:
    """TikTok gives an id only to posts that everybody can see, some time after they are complete."""
    if post_ids:
        kind = "photo" if handle.startswith(_PHOTO_HANDLES) else "video"
        return Complete(_public(account, post_ids[0], kind), settled=True)
    private = options.get("privacy_level") in PRIVATE_LEVELS
    return Complete(domain.Verdict(Visibility.PRIVATE, "", ""), settled=private)


def _public(account: domain.Account, post_id: str, kind: str = "video") -> domain.Verdict:
    return domain.Verdict(Visibility.PUBLIC, post_id, f"https://www.tiktok.com/@{account.handle}/{kind}/{post_id}")


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
