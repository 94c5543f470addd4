"""TikTok Shop's Affiliate Creator API as an adapter: a creator's videos and photos with a link to a product.

The files are uploaded first. That publishes nothing and may be repeated; their ids are the handle. Then one call posts
them: it has no idempotency key, and there is no list of a creator's posts and no question about an uploaded file. When
its answer is lost, nothing tells whether it published, so a person looks at the creator's profile; it is never called
again for the same post until a person has said so. A posted video is asked about by its id until its status is final. A
posted photo post cannot be asked about: that TikTok Shop took it is its last word.

Files above 10 MB are documented to go another way, in chunks, whose protocol is not; the plain upload takes up to
100 MB, and is used for all. Facts: partner.tiktokshop.com/docv2/page/{post-shoppable-video-202607,
upload-shoppable-video-file-202505, upload-shoppable-photo-file-202511, get-shoppable-video-status-202509}.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog

from kit.vendor_errors import VendorUncertain
from services.publisher import domain
from services.publisher.domain import AttemptFailed, Failure, FailureKind, Visibility
from services.publisher.platforms import tiktok_shop_checks as checks
from services.publisher.platforms.base import (
    Answer,
    Complete,
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
    Work,
)
from services.publisher.platforms.common import failure_of, with_token
from services.publisher.quotas import Quotas
from vendors.tiktok_shop.calls import Access
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.config import TikTokShopConfig
from vendors.tiktok_shop.creator_models import Posted, PostStatus, ProductLink, ShoppablePhotos, ShoppableVideo

log = structlog.get_logger()
Answered = TypeVar("Answered")

# How long an uploaded file can be posted is not documented. After so long it is uploaded anew.
FILE_LIFE = timedelta(hours=1)
# What a handle names: uploaded files, a posted video, a posted photo post.
_FILES, _VIDEO, _PHOTOS = "files:", "video:", "photos:"
# A question ends sooner than whoever asks loses patience (observing.CHECK_LEASE_SECONDS), a refused token included.
_ASK_SECONDS = 10.0
_QUOTA = re.compile(r"(\d{1,6})\s*/\s*day", re.IGNORECASE)
_NO_QUESTION = "The answer to the posting call was lost, and TikTok Shop finds no post without its id."
_FILE_UNKNOWN = "TIKTOK_SHOP_170001040"


def quotas_of(config: TikTokShopConfig) -> Quotas:
    """How many posts TikTok Shop takes of a creator before it has said so itself."""
    return Quotas(posts_per_day=config.creator_posts_per_day)


class TikTokShopAdapter:
    """See platforms/base.py for what each method promises, and the head of this module for what may be repeated."""

    traits = Traits(can_find=False, begin_sends_media=True)

    def __init__(self, client: TikTokShopClient) -> None:
        self._client = client
        self.quotas = quotas_of(client.config)

    def has_handle(self, work: Work) -> bool:
        """The ids of its uploaded files."""
        return True

    def check(self, work: Work) -> list[Problem]:
        """See tiktok_shop_checks.problems."""
        return checks.problems(work.account, work.caption, work.media, work.options)

    async def read_limits(
        self, account: domain.Account, options: domain.Options, tokens: Tokens
    ) -> domain.AccountLimits | None:
        """There is no such question: how many posts a creator has in a day is told with each of them."""
        return None

    async def begin(self, work: Work) -> domain.Handle:
        """Uploads the files, one after the other. The ids of all travel where other platforms have an address."""
        begun = datetime.now(UTC)
        ids = [await self._upload(work, file) for file in work.media]
        return domain.Handle(f"{_FILES}{ids[0]}", "\n".join(ids), begun + FILE_LIFE, _size(work))

    async def _upload(self, work: Work, file: MediaFile) -> str:
        is_video = file.mime_type.startswith("video/")
        creator = self._client.creator
        upload, kind = (creator.upload_video, file.container) if is_video else (creator.upload_photo, file.codec)

        async def send(access: Access) -> str:
            async with file.read(0, file.size_bytes) as pieces:
                name = f"{file.media_asset_id}.{kind}"
                return await upload(access, pieces, file.size_bytes, file_name=name, content_type=file.mime_type)

        return await self._harmless(work.account, work.tokens, send)

    async def stage(
        self, work: Work, handle: domain.Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        """Everything is sent with the handle."""

    async def send(
        self,
        work: Work,
        handle: domain.Handle | None,
        from_byte: int,
        on_stored: Callable[[int], Awaitable[None]],
        last_moment: Callable[[], None],
    ) -> Taken:
        """The call that publishes. A refusal did nothing; the files are uploaded again before the next one."""
        if handle is None:
            raise ValueError("a creator's post needs uploaded files")
        try:
            if checks.has_photos(work.media):
                photos = _photos(work, handle.upload_url.split("\n"))
                return _taken_photos(await self._post(work, self._client.creator.post_photos, photos, last_moment))
            video = _video(work, handle.upload_url)
            posted = await self._post(work, self._client.creator.post_video, video, last_moment)
            return Taken(video_handle(posted.post_id), limits=limits_of(posted.quota))
        except VendorUncertain as error:
            raise Uncertain(str(error)) from None
        except AttemptFailed as refused:
            failure = refused.failure
            if failure.reason == _FILE_UNKNOWN:
                text = "TikTok Shop no longer knows the uploaded file. It is uploaded again."
                failure = Failure(FailureKind.TRANSIENT, failure.reason, text)
            raise AttemptFailed(failure, refused.vendor_log_id, handle_ended=True) from None

    async def _post(
        self, work: Work, call: Callable[..., Awaitable[Posted]], post: object, last_moment: Callable[[], None]
    ) -> Posted:
        account = work.account
        return await with_token(
            work.tokens,
            lambda token: call(_access(account, token), post, last_moment=last_moment),
            confirms_loss=True,
        )

    async def ask(self, account: domain.Account, options: domain.Options, handle: str, tokens: Tokens) -> Answer:
        """The status of a posted video. About anything else there is no question."""
        if handle.startswith(_PHOTOS):
            return Complete(_public(handle.removeprefix(_PHOTOS)), settled=True)
        if not handle.startswith(_VIDEO):
            return Unknown(_NO_QUESTION, is_final=True)
        post_id = handle.removeprefix(_VIDEO)
        found = await self._harmless(
            account,
            tokens,
            lambda access: self._client.creator.video_status(access, post_id, timeout_seconds=_ASK_SECONDS),
        )
        match found.status:
            case PostStatus.SUCCESS:
                return Complete(_public(post_id), settled=True)
            case PostStatus.FAIL:
                return Failure(
                    FailureKind.REJECTED,
                    "TIKTOK_SHOP_POST_FAILED",
                    "TikTok Shop did not publish the video, and gives programs no reason. The creator finds it in the"
                    " app, among the notifications.",
                )
            case _:
                return Processing()

    async def find(self, search: Search, tokens: Tokens) -> Trace:
        """There is nothing to search in."""
        return Unsettled(_NO_QUESTION, is_final=True)

    async def stop(self, account: domain.Account, handle: str, tokens: Tokens) -> bool:
        """What it took cannot be stopped."""
        return False

    async def probe(self, account: domain.Account, tokens: Tokens) -> None:
        """A read of the creator's showcase. That it may not be read is an answer too."""
        try:
            await self._harmless(
                account,
                tokens,
                lambda access: self._client.creator.showcase_products(
                    access, page_size=1, timeout_seconds=_ASK_SECONDS
                ),
            )
        except AttemptFailed as refused:
            if refused.failure.kind is not FailureKind.PERMANENT:
                raise

    async def _harmless(
        self, account: domain.Account, tokens: Tokens, call: Callable[[Access], Awaitable[Answered]]
    ) -> Answered:
        """Makes a call that publishes nothing. Raises AttemptFailed."""
        try:
            return await with_token(tokens, lambda token: call(_access(account, token)), confirms_loss=True)
        except VendorUncertain as error:
            raise AttemptFailed(failure_of(error), error.log_id or "") from None


def video_handle(post_id: str) -> str:
    """The handle of a posted video."""
    return f"{_VIDEO}{post_id}"


def limits_of(quota: str) -> domain.AccountLimits | None:
    """What a creator may do, by the quota that came with a post: "3/day", or nothing where none applies. None when it
    cannot be read.
    """
    if not quota.strip():
        return domain.AccountLimits(posts_per_day=0)
    found = _QUOTA.fullmatch(quota.strip())
    if found is None or not int(found[1]):
        log.warning("tiktok_shop_unknown_quota", quota=quota[:100])
        return None
    return domain.AccountLimits(posts_per_day=int(found[1]))


def _access(account: domain.Account, token: str) -> Access:
    return Access(token, account.platform_account_id)


def _size(work: Work) -> int:
    return sum(file.size_bytes for file in work.media)


def _link(work: Work) -> ProductLink:
    return ProductLink(str(work.options["product_id"]), str(work.options["product_title"]).strip())


def _video(work: Work, file_id: str) -> ShoppableVideo:
    options = work.options
    return ShoppableVideo(
        file_id=file_id,
        title=work.caption,
        link=_link(work),
        cover_timestamp_ms=int(options.get("cover_time_ms") or 0) or None,
        music_id=str(options.get("music_id") or "") or None,
        is_ai_generated=bool(options.get("is_ai_generated")),
    )


def _photos(work: Work, uris: list[str]) -> ShoppablePhotos:
    music_id = str(work.options.get("music_id") or "") or None
    return ShoppablePhotos(photo_uris=uris, title=work.caption, links=[_link(work)], music_id=music_id)


def _taken_photos(posted: Posted) -> Taken:
    return Taken(f"{_PHOTOS}{posted.post_id}", _public(posted.post_id), limits_of(posted.quota))


def _public(post_id: str) -> domain.Verdict:
    # There is no setting of privacy. Which address shows the post is not documented.
    return domain.Verdict(Visibility.PUBLIC, post_id, "")
