"""A creator's shoppable posts: videos and photos with a link to a product. Scope creator.video.write.

The token is a creator's (``UserType.CREATOR``); no shop cipher goes with it. Order of things: upload the files, choose
a product of the showcase, have the post checked if wanted, post it, ask for its status. There are no settings of
privacy, comments, duets or stitches here; about three posts a day are allowed, of which ``quota`` tells.
Sources: partner.tiktokshop.com/docv2/page/post-shoppable-video-202607 and the pages beside it.
"""

import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any

from kit.vendor_call import StreamBody
from kit.vendor_json import id_text, mapping, needed_id, needed_text, text
from vendors.tiktok_shop import operations
from vendors.tiktok_shop.calls import Access, Calls, Reader, Request
from vendors.tiktok_shop.creator_models import (
    MusicPage,
    Origin,
    Posted,
    Precheck,
    ProductLink,
    ShoppablePhotos,
    ShoppableVideo,
    ShowcaseProduct,
    VideoDay,
    VideoStatus,
    music_page,
    precheck_of,
    video_days,
    video_status,
)
from vendors.tiktok_shop.operations import Operation
from vendors.tiktok_shop.values import Page, objects, page

MAX_VIDEO_BYTES = 100_000_000
MAX_PHOTO_BYTES = 10_000_000
MAX_NUMBERS = 100  # videos in one call
_NOT_IN_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]")


class Creator:
    """Posts of a creator."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def upload_video(
        self,
        access: Access,
        pieces: AsyncIterator[bytes],
        size: int,
        *,
        file_name: str,
        content_type: str = "video/mp4",
        timeout_seconds: float | None = None,
    ) -> str:
        """Upload a video of up to 100 MB while it is read; answers its file id. Nothing is published by it.

        Made once, since ``pieces`` can be read once; after VendorUnavailable it may simply be done again.
        """
        if not 0 < size <= MAX_VIDEO_BYTES:
            raise ValueError(f"size: 1 to {MAX_VIDEO_BYTES} bytes")
        stream = self._form(pieces, size, file_name, content_type)
        return await self._upload(
            operations.VIDEO_UPLOAD,
            access,
            stream,
            lambda data: needed_id(mapping(data, "video_file"), "id"),
            timeout_seconds,
        )

    async def upload_photo(
        self,
        access: Access,
        pieces: AsyncIterator[bytes],
        size: int,
        *,
        file_name: str,
        content_type: str = "image/jpeg",
        timeout_seconds: float | None = None,
    ) -> str:
        """Upload a photo of up to 10 MB; answers its uri. As upload_video."""
        if not 0 < size <= MAX_PHOTO_BYTES:
            raise ValueError(f"size: 1 to {MAX_PHOTO_BYTES} bytes")
        stream = self._form(pieces, size, file_name, content_type)
        return await self._upload(operations.PHOTO_UPLOAD, access, stream, _photo_uri, timeout_seconds)

    async def showcase_products(
        self,
        access: Access,
        *,
        origin: Origin = Origin.SHOWCASE,
        page_size: int = 20,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> Page[ShowcaseProduct]:
        """One page of the products that the creator shows; ``page_size`` 1 to 20."""
        request = Request(
            operation=operations.SHOWCASE_PRODUCTS,
            access=access,
            query={"origin": origin, "page_size": page_size, "page_token": page_token or None},
        )
        return await self._calls.data(
            request,
            lambda data: page(
                data,
                tuple(
                    ShowcaseProduct(needed_id(item, "id"), text(item, "title"), item)
                    for item in objects(data, "products")
                ),
            ),
            timeout_seconds,
        )

    async def music(
        self,
        access: Access,
        keyword: str,
        *,
        search_id: str = "",
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> MusicPage:
        """Music for a post by a word; the next part with what the first one answered."""
        request = Request(
            operation=operations.MUSIC_SEARCH,
            access=access,
            query={"keyword": keyword, "search_id": search_id or None, "page_token": page_token or None},
        )
        return await self._calls.data(request, music_page, timeout_seconds)

    async def start_precheck(
        self, access: Access, file_id: str, link: ProductLink, *, timeout_seconds: float | None = None
    ) -> str:
        """Have a video and its link checked before they are posted; answers the task's id. Has a daily quota."""
        body = {
            "video_info": {"file_id": file_id},
            "product_link_info": {"product_id": link.product_id, "title": link.title},
        }
        request = Request(operation=operations.PRECHECK, access=access, body=body, about=file_id)
        return await self._calls.data(
            request, lambda data: needed_id(mapping(data, "precheck") or data, "task_id"), timeout_seconds
        )

    async def precheck(self, access: Access, task_id: str, *, timeout_seconds: float | None = None) -> Precheck:
        """What a check says by now; a webhook tells as well."""
        request = Request(operation=operations.PRECHECK_GET, access=access, ids=(task_id,))
        return await self._calls.data(
            request, lambda data: precheck_of(mapping(data, "precheck_task") or data), timeout_seconds
        )

    async def post_video(
        self, access: Access, video: ShoppableVideo, *, timeout_seconds: float | None = None
    ) -> Posted:
        """Post a video with its product. Commits, and there is no idempotency key and no list of posts to look at.

        After VendorUncertain a person looks at the creator's profile.
        """
        request = Request(operation=operations.VIDEO_POST, access=access, body=video.as_json(), about=video.file_id)
        return await self._calls.data(
            request,
            lambda data: Posted(needed_id(mapping(data, "video"), "id"), id_text(data, "quota"), data),
            timeout_seconds,
        )

    async def post_photos(
        self, access: Access, photos: ShoppablePhotos, *, timeout_seconds: float | None = None
    ) -> Posted:
        """Post photos with their product or products. Commits, as post_video; their status cannot be asked for."""
        request = Request(operation=operations.PHOTO_POST, access=access, body=photos.as_json())
        return await self._calls.data(
            request,
            lambda data: Posted(needed_id(mapping(data, "photo"), "photo_post_id"), id_text(data, "quota"), data),
            timeout_seconds,
        )

    async def video_status(self, access: Access, video_id: str, *, timeout_seconds: float | None = None) -> VideoStatus:
        """What became of a posted video."""
        request = Request(operation=operations.VIDEO_STATUS, access=access, ids=(video_id,))
        return await self._calls.data(request, video_status, timeout_seconds)

    async def numbers(
        self,
        access: Access,
        video_ids: Sequence[str],
        first: date,
        last: date,
        *,
        timeout_seconds: float | None = None,
    ) -> tuple[VideoDay, ...]:
        """Sales of up to 100 of the creator's videos, day by day, both days included; within the last 180 days."""
        if not 1 <= len(video_ids) <= MAX_NUMBERS:
            raise ValueError(f"video_ids: 1 to {MAX_NUMBERS}")
        request = Request(
            operation=operations.CREATOR_NUMBERS,
            access=access,
            query={"video_ids": video_ids, "start_time_ge": _noon(first), "end_time_le": _noon(last)},
        )
        version = operations.CREATOR_NUMBERS.versions[0]
        return await self._calls.data(request, lambda data: video_days(data, version), timeout_seconds)

    async def _upload(
        self,
        operation: Operation,
        access: Access,
        stream: StreamBody,
        read: Reader[str],
        timeout_seconds: float | None,
    ) -> str:
        seconds = self._calls.config.upload_timeout_seconds if timeout_seconds is None else timeout_seconds
        return await self._calls.data(Request(operation=operation, access=access, stream=stream), read, seconds)

    def _form(self, pieces: AsyncIterator[bytes], size: int, file_name: str, content_type: str) -> StreamBody:
        """A multipart form with the file as its field ``data``, sent in small pieces."""
        boundary = secrets.token_hex(16)
        name = _NOT_IN_FILE_NAME.sub("_", file_name)[-100:] or "file"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="data"; filename="{name}"\r\n'
            f"Content-Type: {content_type}\r\n\r\n"
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        step = self._calls.config.upload_piece_bytes

        async def parts() -> AsyncIterator[bytes]:
            yield head
            async for piece in pieces:
                view = memoryview(piece)
                for start in range(0, len(view), step):
                    yield bytes(view[start : start + step])
            yield tail

        length = len(head) + size + len(tail)
        return StreamBody(parts(), length, f"multipart/form-data; boundary={boundary}")


def _photo_uri(data: Mapping[str, Any]) -> str:
    return needed_text(mapping(data, "photo_file") or data, "photo_uri")


def _noon(day: date) -> int:
    """The middle of a day in UTC, as Unix seconds: only its date is looked at."""
    return (day - date(1970, 1, 1)).days * 86_400 + 43_200
