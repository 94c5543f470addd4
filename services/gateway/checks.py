"""What the scheduler leaves to whoever creates a post: do its media exist, and do its accounts' platforms take it?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reelroute.content.v1 import content_pb2
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2

from kit.errors import FieldViolation
from services.gateway.clients import Clients
from services.gateway.errors import PostRefused
from services.gateway.models.drafts import PostContent, PostOptions
from services.gateway.models.fields import canonical_id
from services.gateway.models.media import duration_ms
from services.gateway.models.posts import Warned

# BatchGetMediaAssetsRequest takes so many.
_MEDIA_PER_CALL = 1000
_MEDIA_PROBLEM = re.compile(r"media(?:\[(\d+)\])?(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a post is checked; ids in their usual form where they have one."""

    account_ids: Sequence[str]
    caption: str
    media_asset_ids: Sequence[str]
    options: PostOptions

    @classmethod
    def of(cls, draft: PostContent) -> Plan:
        """From a request."""
        return cls(
            [canonical_id(each) or each for each in draft.account_ids],
            draft.caption,
            [canonical_id(each) or each for each in draft.media_asset_ids],
            draft.options,
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a platform, or the library, would not take. `field` is REST's path."""

    field: str
    reason: str
    message: str
    blocking: bool


@dataclass(slots=True)
class Checked:
    """A plan with its media, in order, its problems, the platform of each account (none when one is not known), and
    the sketch of its caption that near-duplicates are found by.
    """

    plan: Plan
    platforms: list[str] = field(default_factory=list)
    shingles: Sequence[int] = ()
    media: list[content_pb2.MediaAsset] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

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


async def check(clients: Clients, workspace_id: str, plans: Sequence[Plan]) -> list[Checked]:
    """Checks at most 500 plans; the results are in their order. Changes nothing."""
    if not plans:
        return []
    library, sketches = await asyncio.gather(
        _library(clients, workspace_id, (each for plan in plans for each in plan.media_asset_ids)),
        _sketches(clients, workspace_id, (plan.caption for plan in plans)),
    )
    checked = [_with_media(plan, library) for plan in plans]
    answer = await clients.call(
        clients.publisher.CheckPosts,
        publisher_pb2.CheckPostsRequest(
            workspace_id=workspace_id,
            posts=[
                publisher_pb2.PostCheck(
                    account_ids=each.plan.account_ids,
                    caption=each.plan.caption,
                    media=[_facts(asset) for asset in each.media],
                    tiktok_options=_tiktok(each.plan.options),
                )
                for each in checked
            ],
        ),
    )
    for each, result in zip(checked, answer.results, strict=True):
        _add_problems(each, library, result)
        each.platforms = _platforms(each.plan, result)
        each.shingles = sketches.get(each.plan.caption, ())
    return checked


async def _library(clients: Clients, workspace_id: str, wanted: Iterable[str]) -> dict[str, content_pb2.MediaAsset]:
    ids = sorted({each for each in wanted if canonical_id(each)})
    found = {}
    for start in range(0, len(ids), _MEDIA_PER_CALL):
        answer = await clients.call(
            clients.content.BatchGetMediaAssets,
            content_pb2.BatchGetMediaAssetsRequest(
                workspace_id=workspace_id, media_asset_ids=ids[start : start + _MEDIA_PER_CALL]
            ),
        )
        found.update({asset.media_asset_id: asset for asset in answer.media_assets})
    return found


async def _sketches(clients: Clients, workspace_id: str, captions: Iterable[str]) -> Mapping[str, Sequence[int]]:
    texts = [each for each in dict.fromkeys(captions) if each]
    if not texts:
        return {}
    request = content_pb2.FingerprintTextsRequest(workspace_id=workspace_id, texts=texts)
    answer = await clients.call(clients.content.FingerprintTexts, request)
    return {text: each.shingles for text, each in zip(texts, answer.fingerprints, strict=True)}


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


def _platforms(plan: Plan, result: publisher_pb2.PostCheckResult) -> list[str]:
    """In the scheduler's words: "tiktok"."""
    words = {
        number: name.removeprefix("PLATFORM_").lower() for name, number in publisher_pb2.Platform.items() if number
    }
    known = [words[each] for each in result.platforms if each in words]
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


def _tiktok(options: PostOptions) -> dict[str, str]:
    if options.tiktok is None:
        return {}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in options.tiktok.model_dump().items()
    }
