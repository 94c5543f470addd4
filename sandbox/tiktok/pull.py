"""PULL_FROM_URL: the sandbox fetches media itself, from prefixes that were verified by the control API.

As on the platform: only an answer of 200 counts, redirects fail, an hour is the limit ("Media transfer guide").
"""

import asyncio
import json
import logging

import httpx

from sandbox.tiktok import people, progress
from sandbox.tiktok.bodies import MAX_VIDEO_BYTES
from sandbox.tiktok.state import TikTokState
from sandbox.tiktok.upload import Partial

MAX_PHOTO_BYTES = 20_000_000
LIMIT_SECONDS = 3600.0
_PROGRESS_BYTES = 1024 * 1024
log = logging.getLogger("sandbox.tiktok")


class _PullFailed(Exception):
    """The media cannot be had; holds the fail reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Puller:
    """Downloads under way in this process; those of a killed one begin again."""

    def __init__(self, state: TikTokState) -> None:
        self._state = state
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def keep_up(self, group: asyncio.TaskGroup, client: httpx.AsyncClient) -> None:
        """Begin downloads that wait, stop those that were cancelled."""
        waiting = {
            row["publish_id"]: row
            for row in self._state.store.all("SELECT * FROM tiktok_share WHERE state = 'DOWNLOADING'")
        }
        for publish_id, task in list(self._tasks.items()):
            if publish_id not in waiting:
                task.cancel()
                del self._tasks[publish_id]
        for publish_id, row in waiting.items():
            if publish_id not in self._tasks:
                pull = self._pull(client, publish_id, row["media"], json.loads(row["urls"]))
                self._tasks[publish_id] = group.create_task(pull)

    async def _pull(self, client: httpx.AsyncClient, publish_id: str, media: str, urls: list[str]) -> None:
        partial, failure = Partial(), ""
        pulled = 0
        unreachable = "video_pull_failed" if media == "video" else "photo_pull_failed"
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                for url in urls:
                    pulled = await self._fetch(client, publish_id, media, url, partial, pulled)
        except _PullFailed as failed:
            failure = failed.reason
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            log.debug("pull of %s failed: %s", publish_id, type(error).__name__)
            failure = unreachable
        store = self._state.store
        with store.transaction():
            changed = store.run(
                "UPDATE tiktok_share SET received = ?, size = ? WHERE publish_id = ? AND state = 'DOWNLOADING'",
                *(pulled, pulled, publish_id),
            )
            if changed and failure:
                people.fail(self._state, publish_id, failure, self._state.clock.now())
            elif changed:
                progress.accept(self._state, publish_id, partial.head, partial.hash.hexdigest())
        self._state.wake.set()

    async def _fetch(
        self, client: httpx.AsyncClient, publish_id: str, media: str, url: str, partial: Partial, before: int
    ) -> int:
        """Read one address into the hash; returns the bytes of all addresses so far."""
        limit = MAX_VIDEO_BYTES if media == "video" else MAX_PHOTO_BYTES
        own, count, noted = Partial(), 0, 0
        async with client.stream("GET", url) as response:
            if response.status_code != 200:
                raise _PullFailed("video_pull_failed" if media == "video" else "photo_pull_failed")
            async for piece in response.aiter_raw():
                count += len(piece)
                if count > limit:
                    raise _PullFailed("video_pull_failed" if media == "video" else "photo_pull_failed")
                own.add(piece)
                partial.add(piece)
                if count - noted >= _PROGRESS_BYTES:
                    noted = count
                    sql = "UPDATE tiktok_share SET received = ? WHERE publish_id = ? AND state = 'DOWNLOADING'"
                    self._state.store.run(sql, before + count, publish_id)
        if media == "photo" and not _is_photo(own.head):
            raise _PullFailed("file_format_check_failed")
        return before + count


def _is_photo(head: bytes) -> bool:
    """JPEG or WebP; the platform takes no PNG."""
    return head.startswith(b"\xff\xd8\xff") or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
