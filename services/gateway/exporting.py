"""Posts on their way into a file: read page by page while the file is written and sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit import context
from kit.errors import FieldViolation
from services.gateway import lookups
from services.gateway.calendars import writing
from services.gateway.calendars.entries import TikTokChoices
from services.gateway.calendars.posts import Post, Remark
from services.gateway.clients import Clients
from services.gateway.errors import invalid
from services.gateway.models.drafts import TikTokOptions

_CAME_TO_NOTHING = frozenset({pb.DELIVERY_STATE_CANCELED, pb.DELIVERY_STATE_FAILED, pb.DELIVERY_STATE_REJECTED})


@dataclass(slots=True)
class Export:
    """The posts of a list, as a file."""

    clients: Clients
    workspace_id: str
    request: pb.ListPostsRequest
    request_id: str
    seconds: float
    handles: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    async def begin(self, format: str, time_zone: str, media_prefix: str) -> Iterator[bytes]:  # noqa: A002
        """The pieces of the file, to be taken outside of the event loop. Raises RequestInvalid."""
        if format in writing.TOOLS:
            _check_zone(time_zone, format)
            if not self.request.account_id:
                message = f"A file for {format} has the posts of one account: name it."
                raise invalid([FieldViolation("account_id", message, "MISSING")])
        for account in await lookups.accounts(self.clients, self.workspace_id):
            self.handles[account.account_id] = account.handle
        # The first page here: a refusal is still an answer of its own.
        first = await self._page()
        posts = self._posts(asyncio.get_running_loop(), first)
        remarks: list[Remark] = []
        return writing.write(
            format, posts, remarks, now=datetime.now(UTC), time_zone=time_zone, media_prefix=media_prefix
        )

    def _posts(self, loop: asyncio.AbstractEventLoop, page: list[Post]) -> Iterator[Post]:
        while True:
            yield from page
            if not self.request.page_token:
                return
            page = asyncio.run_coroutine_threadsafe(self._page(), loop).result(self.seconds)

    async def _page(self) -> list[Post]:
        with context.call(request_id=self.request_id, timeout_seconds=self.seconds):
            answer = await self.clients.call(self.clients.scheduler.ListPosts, self.request)
            self.request.page_token = answer.next_page_token
            unknown = sorted({each.media_asset_id for post in answer.posts for each in post.media} - self.names.keys())
            for asset in await lookups.media_assets(self.clients, self.workspace_id, ids=unknown):
                self.names[asset.media_asset_id] = asset.file_name
        return [self._post(post) for post in answer.posts if not _came_to_nothing(post)]

    def _post(self, post: pb.Post) -> Post:
        chosen = TikTokOptions.of(post.options.tiktok) if post.options.HasField("tiktok") else None
        return Post(
            post_id=post.post_id,
            ref=post.ref,
            channel=post.channel,
            handles=tuple(self.handles.get(each.account_id, each.account_id) for each in post.deliveries),
            caption=post.caption,
            media=tuple(self.names.get(each.media_asset_id, each.media_asset_id) for each in post.media),
            local_time=post.local_time,
            time_zone=post.time_zone,
            schedule_time=post.schedule_time.ToDatetime(tzinfo=UTC),
            state=", ".join(
                sorted({pb.DeliveryState.Name(each.state).removeprefix("DELIVERY_STATE_") for each in post.deliveries})
            ),
            url=next((each.url for each in post.deliveries if each.url), ""),
            tiktok=TikTokChoices(**{each.name: getattr(chosen, each.name) for each in fields(TikTokChoices)})
            if chosen
            else TikTokChoices(),
        )


def _came_to_nothing(post: pb.Post) -> bool:
    return all(each.state in _CAME_TO_NOTHING for each in post.deliveries)


def _check_zone(time_zone: str, tool: str) -> None:
    try:
        ZoneInfo(time_zone)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        message = f"A file for {tool} has times without a zone: name its account's, like Europe/Berlin."
        raise invalid([FieldViolation("time_zone", message, "TIME_ZONE_UNKNOWN")]) from None
