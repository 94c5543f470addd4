"""Changes of many posts at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from fastapi import APIRouter
from reelroute.scheduler.v1 import bulk_pb2, scheduler_pb2
from starlette.requests import Request
from starlette.responses import Response

from services.gateway import ndjson
from services.gateway.checks import Checked, Checker, Plan
from services.gateway.clients import Clients
from services.gateway.errors import PostRefused
from services.gateway.models import fields
from services.gateway.models.changes import ChangeLine, ChangeSummary, Edit, PostChange, PostChangeResult
from services.gateway.models.drafts import PostOptions
from services.gateway.models.posts import Warned
from services.gateway.models.problems import Refusal, problems
from services.gateway.route import ApiRoute, gateway_of
from services.gateway.routes.depends import Caller_, Clients_, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Posts"])

# PostFilter.post_ids takes so many.
_POSTS_PER_CALL = 500
_POSTS_PER_PAGE = 200
# What the platforms have rules about.
_CHECKED = {"caption", "media_asset_ids", "options"}


@router.post(
    "/v1/posts:batchChange",
    response_class=Response,
    response_model=None,
    responses={**ndjson.lines_of(ChangeLine), **problems(409, body=True)},
)
async def change_posts(
    change: PostChange, request: Request, caller: Caller_, clients: Clients_, request_id: RequestId
) -> Response:
    """Shifts, edits or cancels every post that a filter names, each for itself, and answers while it does.

    Each line is about one post, in the order in which they are changed; the last line is the summary. Where something
    fails on the way it is the problem instead: what the lines before it say is done, and the same request with the same
    `Idempotency-Key` goes on where it broke off. With `validate_only` nothing is changed.

    An edit of caption, media or options is checked for each post as a single edit is; what its accounts' platforms
    would not take is refused for its post.
    """
    lines = _Change(clients, caller.workspace_id, request_id, change).lines()
    # What is refused before anything is done is refused as everywhere.
    first = await anext(lines)
    return ndjson.streamed(_with_first(first, lines), seconds=gateway_of(request).config.upload_seconds)


async def _with_first(first: dict[str, Any], others: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    yield first
    async for each in others:
        yield each


class _Change:
    """One call on its way."""

    def __init__(self, clients: Clients, workspace_id: str, request_id: str, change: PostChange) -> None:
        self._clients, self._workspace_id = clients, workspace_id
        self._request_id, self._change = request_id, change

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """The lines of the answer. Raises what the services refuse."""
        edit = self._change.edit
        is_checked = edit is not None and not _CHECKED.isdisjoint(edit.model_fields_set)
        results = self._after_checks(edit) if edit and is_checked else self._changed(self._change.filter.to_proto(), {})
        counts: Counter[str] = Counter()
        async for result in results:
            counts["refused" if result.refusal else "changed" if result.changes else "unchanged"] += 1
            yield {"post": result}
        yield {
            "summary": ChangeSummary(
                posts=counts.total(),
                changed=counts["changed"],
                unchanged=counts["unchanged"],
                refused=counts["refused"],
                validate_only=self._change.validate_only,
            )
        }

    async def _after_checks(self, edit: Edit) -> AsyncIterator[PostChangeResult]:
        """First every post as it would be is checked, then those that may are changed, by their ids. An edit sets the
        same values however often it is made, so each call for some of them may have a request id of its own.
        """
        checker = Checker(self._clients, self._workspace_id)
        passed: dict[str, list[Warned]] = {}
        values: Checked | None = None
        async for posts in self._pages():
            plans = {post.post_id: _plan(post, edit) for post in posts}
            # Posts that the platforms see no difference between are checked once.
            distinct = {_key(plan): plan for plan in plans.values()}
            checked = dict(zip(distinct, await checker.check(list(distinct.values())), strict=True))
            for post in posts:
                values = checked[_key(plans[post.post_id])]
                if refusal := values.refusal:
                    yield _refused(post, refusal, values.warnings)
                else:
                    passed[post.post_id] = values.warnings
        ids = list(passed)
        for start in range(0, len(ids), _POSTS_PER_CALL):
            some = ids[start : start + _POSTS_PER_CALL]
            async for result in self._changed(bulk_pb2.PostFilter(post_ids=some), passed, values):
                yield result

    async def _pages(self) -> AsyncIterator[Sequence[scheduler_pb2.Post]]:
        """The posts that the filter names, as they stand."""
        wanted = self._change.filter.to_proto()
        request = scheduler_pb2.ListPostsRequest(
            workspace_id=self._workspace_id,
            page_size=_POSTS_PER_PAGE,
            from_time=wanted.from_time if wanted.HasField("from_time") else None,
            until_time=wanted.until_time if wanted.HasField("until_time") else None,
            channel=wanted.channel,
            delivery_state=wanted.delivery_state,
            account_id=wanted.account_id,
            series_id=wanted.series_id,
            ref=wanted.ref,
            post_ids=wanted.post_ids,
        )
        while True:
            answer = await self._clients.call(self._clients.scheduler.ListPosts, request)
            if answer.posts:
                yield answer.posts
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def _changed(
        self, wanted: bulk_pb2.PostFilter, warnings: Mapping[str, list[Warned]], values: Checked | None = None
    ) -> AsyncIterator[PostChangeResult]:
        """What the scheduler makes of the posts that a filter names."""
        change = self._change
        request = bulk_pb2.ChangePostsRequest(
            workspace_id=self._workspace_id,
            request_id=self._request_id,
            filter=wanted,
            shift=change.shift.to_proto() if change.shift else None,
            edit=_edit_to_proto(change.edit, values) if change.edit else None,
            validate_only=change.validate_only,
            accept_conflicts=change.accept_conflicts,
        )
        if change.cancel:
            request.cancel = True
        if values:
            request.request_id = str(uuid5(UUID(self._workspace_id), f"{self._request_id} {' '.join(wanted.post_ids)}"))
        async for answer in self._clients.answers(self._clients.bulk.ChangePosts, request):
            for result in answer.results:
                yield PostChangeResult.of(result, warnings.get(result.post_id, []))


def _edit_to_proto(edit: Edit, values: Checked | None) -> bulk_pb2.Edit:
    """`values` come with what was found out of media and caption; they are there when such are edited."""
    mask = {"media" if name == "media_asset_ids" else name for name in edit.model_fields_set}
    if "caption" in mask:
        mask.add("shingles")
    return bulk_pb2.Edit(
        post=scheduler_pb2.PostDraft(
            channel=edit.channel,
            caption=edit.caption,
            media=values.media_to_proto() if values else (),
            time_zone=edit.time_zone,
            options=edit.options.to_proto(),
            lateness=edit.lateness.to_proto() if edit.lateness else None,
            shingles=values.shingles if values else (),
        ),
        update_mask=sorted(mask),
    )


def _plan(post: scheduler_pb2.Post, edit: Edit) -> Plan:
    """The post as it would be; its time, which is not what changes, aside."""
    given = edit.model_fields_set
    media = edit.media_asset_ids if "media_asset_ids" in given else [each.media_asset_id for each in post.media]
    return Plan(
        [each.account_id for each in post.deliveries],
        edit.caption if "caption" in given else post.caption,
        [fields.canonical_id(each) or each for each in media],
        edit.options if "options" in given else PostOptions.of(post.options),
    )


def _key(plan: Plan) -> tuple[str, ...]:
    """The same for posts that the platforms see no difference between."""
    return (*plan.account_ids, plan.caption, *plan.media_asset_ids, plan.options.model_dump_json())


def _refused(post: scheduler_pb2.Post, refusal: PostRefused, warnings: list[Warned]) -> PostChangeResult:
    return PostChangeResult(
        post_id=post.post_id,
        ref=post.ref,
        schedule_time=fields.instant_of(post, "schedule_time"),
        changes=[],
        refusal=Refusal.by(refusal),
        warnings=warnings,
        conflicts=[],
    )
