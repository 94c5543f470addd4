"""What the scheduler leaves to whoever creates a post: do its media exist, and do its accounts' platforms take it?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from reelroute.content.v1 import content_pb2
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2

from kit.errors import FieldViolation
from kit.timestamps import optional_timestamp
from services.gateway import lookups
from services.gateway.clients import Clients
from services.gateway.errors import PostRefused
from services.gateway.models.drafts import PostContent, PostDraft, PostOptions
from services.gateway.models.fields import canonical_id
from services.gateway.models.media import duration_ms
from services.gateway.models.posts import Warned

# What the services take in one call.
_POSTS_PER_CALL = 500
_TEXTS_PER_CALL = 1000
_MEDIA_PROBLEM = re.compile(r"media(?:\[(\d+)\])?(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a post is checked; ids in their usual form where they have one."""

    account_ids: Sequence[str]
    caption: str
    media_asset_ids: Sequence[str]
    options: PostOptions
    # When it is to go out, as far as it is known: whether the account can publish then is checked too.
    schedule_time: datetime | None = None

    @classmethod
    def of(cls, draft: PostContent) -> Plan:
        """From a request."""
        return cls(
            [canonical_id(each) or each for each in draft.account_ids],
            draft.caption,
            [canonical_id(each) or each for each in draft.media_asset_ids],
            draft.options,
            instant_of(draft.local_time, draft.time_zone) if isinstance(draft, PostDraft) else None,
        )


def instant_of(local_time: str, time_zone: str) -> datetime | None:
    """About when a wall-clock time is. The scheduler refuses what is none, and says so; here it is None."""
    try:
        return datetime.fromisoformat(local_time).replace(tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
    except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a platform, or the library, would not take. `field` is REST's path."""

    field: str
    reason: str
    message: str
    blocking: bool


@dataclass(slots=True)
class Checked:
    """A plan with its media, in order, its problems, and the platform of each account (none when one is not known)."""

    plan: Plan
    platforms: list[str] = field(default_factory=list)
    media: list[content_pb2.MediaAsset] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    shingles: Sequence[int] = ()

    @property
    def refusal(self) -> PostRefused | None:
        """Why it cannot be saved; None when it can."""
        blocking = [each for each in self.problems if each.blocking]
        if not blocking:
            return None
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        return PostRefused(
            blocking[0].message + more,
            [FieldViolation(each.field, each.message, each.reason) for each in blocking],
            code_reason=blocking[0].reason,
        )

    @property
    def warnings(self) -> list[Warned]:
        """What does not stand in the way of saving it."""
        return [
            Warned(field=each.field, reason=each.reason, message=each.message)
            for each in self.problems
            if not each.blocking
        ]

    def media_to_proto(self) -> list[scheduler_pb2.PostMedia]:
        """For the scheduler."""
        return [
            scheduler_pb2.PostMedia(
                media_asset_id=asset.media_asset_id,
                sha256=asset.sha256,
                mime_type=asset.mime_type,
                frame_hashes=asset.frame_hashes,
            )
            for asset in self.media
        ]

    def to_proto(self, content: PostContent) -> scheduler_pb2.PostDraft:
        """What was checked, for the scheduler; without its time."""
        return scheduler_pb2.PostDraft(
            channel=content.channel,
            account_ids=self.plan.account_ids,
            caption=content.caption,
            media=self.media_to_proto(),
            options=content.options.to_proto(),
            ref=content.ref,
            platforms=self.platforms,
            lateness=content.lateness.to_proto() if content.lateness else None,
            shingles=self.shingles,
            accept_conflicts=content.accept_conflicts,
        )


class Checker:
    """Checks the posts of a workspace, many at a time. Remembers the files that it has read: they never change."""

    def __init__(self, clients: Clients, workspace_id: str) -> None:
        self._clients, self._workspace_id = clients, workspace_id
        self._library: dict[str, content_pb2.MediaAsset] = {}
        self._facts: dict[str, publisher_pb2.MediaFacts] = {}

    async def check(self, plans: Sequence[Plan]) -> list[Checked]:
        """The results are in the order of the plans. Changes nothing."""
        if not plans:
            return []
        await self._read_library(each for plan in plans for each in plan.media_asset_ids)
        checked = [_with_media(plan, self._library) for plan in plans]
        results, sketches = await asyncio.gather(self._ask_platforms(checked), self._sketch(plans))
        for each, result, sketch in zip(checked, results, sketches, strict=True):
            if result.problems:
                _add_problems(each, self._library, result)
            each.platforms = _platforms(each.plan, result)
            each.shingles = sketch.shingles
        return checked

    async def _ask_platforms(self, checked: Sequence[Checked]) -> list[publisher_pb2.PostCheckResult]:
        found: list[publisher_pb2.PostCheckResult] = []
        for start in range(0, len(checked), _POSTS_PER_CALL):
            request = publisher_pb2.CheckPostsRequest(workspace_id=self._workspace_id)
            for each in checked[start : start + _POSTS_PER_CALL]:
                self._ask(each, request)
            answer = await self._clients.call(self._clients.publisher.CheckPosts, request)
            found += answer.results
        return found

    def _ask(self, checked: Checked, request: publisher_pb2.CheckPostsRequest) -> None:
        plan = checked.plan
        request.posts.add(
            account_ids=plan.account_ids,
            caption=plan.caption,
            media=[self._facts[asset.media_asset_id] for asset in checked.media],
            tiktok_options=plan.options.tiktok_texts,
            tiktok_shop_options=plan.options.tiktok_shop_texts,
            schedule_time=optional_timestamp(plan.schedule_time),
        )

    async def _sketch(self, plans: Sequence[Plan]) -> list[content_pb2.TextFingerprint]:
        found: list[content_pb2.TextFingerprint] = []
        for start in range(0, len(plans), _TEXTS_PER_CALL):
            texts = [plan.caption for plan in plans[start : start + _TEXTS_PER_CALL]]
            answer = await self._clients.call(
                self._clients.content.FingerprintTexts,
                content_pb2.FingerprintTextsRequest(workspace_id=self._workspace_id, texts=texts),
            )
            found += answer.fingerprints
        return found

    async def _read_library(self, wanted: Iterable[str]) -> None:
        ids = sorted({each for each in wanted if each not in self._library and canonical_id(each)})
        for asset in await lookups.media_assets(self._clients, self._workspace_id, ids=ids):
            self._library[asset.media_asset_id] = asset
            self._facts[asset.media_asset_id] = _facts(asset)


def _with_media(plan: Plan, library: dict[str, content_pb2.MediaAsset]) -> Checked:
    checked = Checked(plan)
    for index, media_asset_id in enumerate(plan.media_asset_ids):
        if media_asset_id in library:
            checked.media.append(library[media_asset_id])
        else:
            checked.problems.append(
                Problem(
                    f"media_asset_ids[{index}]",
                    "MEDIA_UNKNOWN",
                    "There is no media asset with this id. Upload the file first.",
                    blocking=True,
                )
            )
    return checked


def _add_problems(
    checked: Checked, library: dict[str, content_pb2.MediaAsset], result: publisher_pb2.PostCheckResult
) -> None:
    # The publisher saw only the media that exist; its places among them are not those of the request.
    places = [index for index, each in enumerate(checked.plan.media_asset_ids) if each in library]
    for problem in result.problems:
        name = problem.field
        if media := _MEDIA_PROBLEM.match(name):
            if media[1] is None and len(places) < len(checked.plan.media_asset_ids):
                continue  # about the media as a whole, which the publisher did not see
            name = "media_asset_ids" if media[1] is None else f"media_asset_ids[{places[int(media[1])]}]"
        checked.problems.append(Problem(name, problem.reason, problem.message, problem.blocking))


# In the scheduler's words: "tiktok".
_PLATFORM = {
    number: name.removeprefix("PLATFORM_").lower() for name, number in publisher_pb2.Platform.items() if number
}


def _platforms(plan: Plan, result: publisher_pb2.PostCheckResult) -> list[str]:
    known = [_PLATFORM[each] for each in result.platforms if each in _PLATFORM]
    return known if len(known) == len(plan.account_ids) else []


def _facts(asset: content_pb2.MediaAsset) -> publisher_pb2.MediaFacts:
    return publisher_pb2.MediaFacts(
        mime_type=asset.mime_type,
        size_bytes=asset.size_bytes,
        width=asset.width,
        height=asset.height,
        container=asset.container,
        codec=asset.codec,
        frame_rate_millis=asset.frame_rate_millis,
        duration_ms=duration_ms(asset) or 0,
        pixel_mode=asset.pixel_mode,
    )
