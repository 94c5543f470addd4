"""Posts: planned, looked at, changed, canceled."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit.errors import Conflict
from services.gateway.checks import Checked, Checker, Plan, instant_of
from services.gateway.clients import Clients
from services.gateway.errors import EtagNotCurrent, PostRefused, RequestInvalid, invalid, violations_of
from services.gateway.models.deliveries import StateWord
from services.gateway.models.fields import Instant, Text, canonical_id
from services.gateway.models.posts import (
    BatchResult,
    InvalidDraft,
    Post,
    PostBatch,
    PostBatchAnswer,
    PostDraft,
    PostList,
    PostOptions,
    PostPatch,
    SavedPost,
)
from services.gateway.models.problems import Refusal, RefusedField, problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, PageSize, PageToken, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Posts"])

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^(\*|"[!#-~]{1,64}")$',
        description='The `etag` of the version that the change was made on, in quotes: `"3f9a1c2b"`. Without it the'
        " current version is changed.",
    ),
]


@router.post("/v1/posts", status_code=201, responses=problems(409, body=True))
async def create_post(
    draft: PostDraft, caller: Caller_, clients: Clients_, request_id: RequestId, response: Response
) -> SavedPost:
    """Plans a post: one delivery for each account.

    Media and accounts must exist, and the accounts' platforms must be able to take the post; otherwise it is refused,
    and the fields at fault are named. What would fail only as things stand now comes back as `warnings`.
    """
    (checked,) = await Checker(clients, caller.workspace_id).check([Plan.of(draft)])
    if checked.refusal:
        raise checked.refusal
    request = pb.CreatePostRequest(
        workspace_id=caller.workspace_id, request_id=request_id, post=_draft_to_proto(draft, checked)
    )
    answer = await clients.call(clients.scheduler.CreatePost, request)
    response.headers["Location"] = f"/v1/posts/{answer.post.post_id}"
    return _saved(answer.post, checked, response)


@router.post("/v1/posts:batchCreate", responses=problems(409, body=True))
async def create_posts(batch: PostBatch, caller: Caller_, clients: Clients_, request_id: RequestId) -> PostBatchAnswer:
    """Plans up to 500 posts in one call, each taken or refused for itself; the answer says which.

    All that are taken are saved together. With `validate_only` nothing is saved.
    """
    plans = [Plan.of(each) for each in batch.posts if isinstance(each, PostDraft)]
    checked = iter(await Checker(clients, caller.workspace_id).check(plans))
    rows = [(each, next(checked)) if isinstance(each, PostDraft) else each for each in batch.posts]
    good = [_draft_to_proto(*row) for row in rows if not isinstance(row, InvalidDraft) and not row[1].refusal]
    saved = iter(await _create_batch(clients, caller.workspace_id, request_id, good, batch.validate_only))
    results = []
    for index, row in enumerate(rows):
        if isinstance(row, InvalidDraft):
            results.append(_result(index, row.ref, refusal=_refusal(invalid(violations_of(row.details)))))
        elif refusal := row[1].refusal:
            results.append(_result(index, row[0].ref, row[1], refusal=_refusal(refusal)))
        else:
            results.append(_scheduled(index, row[0].ref, row[1], next(saved)))
    return PostBatchAnswer(results=results)


@router.get("/v1/posts", responses=problems())
async def list_posts(
    caller: Caller_,
    clients: Clients_,
    from_time: Annotated[Instant | None, Query(description="Only posts scheduled from this instant on.")] = None,
    until_time: Annotated[Instant | None, Query(description="Only posts scheduled before this instant.")] = None,
    channel: Annotated[Text, Query(max_length=64, description="Only of this channel.")] = "",
    state: Annotated[StateWord | None, Query(description="Only posts with a delivery in this state.")] = None,
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> PostList:
    """Lists posts with their deliveries, by schedule time."""
    request = pb.ListPostsRequest(
        workspace_id=caller.workspace_id,
        page_size=page_size,
        page_token=page_token,
        channel=channel,
        delivery_state=pb.DeliveryState.Value(f"DELIVERY_STATE_{state}") if state else pb.DELIVERY_STATE_UNSPECIFIED,
    )
    if from_time:
        request.from_time.FromDatetime(from_time)
    if until_time:
        request.until_time.FromDatetime(until_time)
    answer = await clients.call(clients.scheduler.ListPosts, request)
    return PostList(posts=[Post.of(each) for each in answer.posts], next_page_token=answer.next_page_token)


@router.get("/v1/posts/{post_id:id}", responses=problems(404))
async def get_post(post_id: Id, caller: Caller_, clients: Clients_, response: Response) -> Post:
    """Reads a post with its deliveries."""
    post = await _read(clients, caller.workspace_id, str(post_id))
    response.headers["ETag"] = f'"{post.etag}"'
    return Post.of(post)


@router.patch("/v1/posts/{post_id:id}", responses=problems(404, 409, 412, body=True))
async def update_post(
    post_id: Id, patch: PostPatch, caller: Caller_, clients: Clients_, response: Response, if_match: IfMatch = None
) -> SavedPost:
    """Changes the given fields of a post, while none of its deliveries has begun; the whole is checked as a new one.

    With `If-Match`, only the version that it names is changed: 412 otherwise.
    """
    post = await _read(clients, caller.workspace_id, str(post_id))
    wanted = None if if_match in (None, "*") else if_match.strip('"') if if_match else None
    given = patch.model_fields_set
    media = patch.media_asset_ids if "media_asset_ids" in given else [each.media_asset_id for each in post.media]
    plan = Plan(
        [each.account_id for each in post.deliveries],
        patch.caption if "caption" in given else post.caption,
        [canonical_id(each) or each for each in media],
        patch.options if "options" in given else PostOptions.of(post.options),
        instant_of(
            patch.local_time if "local_time" in given else post.local_time,
            patch.time_zone if "time_zone" in given else post.time_zone,
        ),
    )
    (checked,) = await Checker(clients, caller.workspace_id).check([plan])
    if checked.refusal:
        raise checked.refusal
    request = pb.UpdatePostRequest(
        workspace_id=caller.workspace_id,
        post_id=str(post_id),
        update_mask=sorted(
            {"media" if name == "media_asset_ids" else name for name in given}
            | ({"shingles"} if "caption" in given else set())
        ),
        # What was checked is what is changed: a change in between is a conflict, asked for or not.
        etag=wanted or post.etag,
        post=pb.PostDraft(
            channel=patch.channel,
            caption=patch.caption,
            local_time=patch.local_time,
            time_zone=patch.time_zone,
            ambiguous_time=_ambiguous(patch.ambiguous_time),
            media=checked.media_to_proto(),
            options=patch.options.to_proto(),
            lateness=patch.lateness.to_proto() if patch.lateness else None,
            shingles=checked.shingles,
        ),
    )
    try:
        answer = await clients.call(clients.scheduler.UpdatePost, request)
    except Conflict as conflict:
        if wanted:
            raise EtagNotCurrent(conflict.message, code_reason=conflict.reason) from None
        raise
    return _saved(answer.post, checked, response)


@router.post("/v1/posts/{post_id:id}:cancel", responses=problems(404, 409))
async def cancel_post(post_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> Post:
    """Cancels every delivery of a post that has not begun. Nothing of it is published afterwards.

    May be repeated, with or without `Idempotency-Key`. A delivery that is being published can no longer be stopped:
    409, and nothing is changed.
    """
    request = pb.CancelPostRequest(workspace_id=caller.workspace_id, post_id=str(post_id))
    return Post.of((await clients.call(clients.scheduler.CancelPost, request)).post)


async def _read(clients: Clients, workspace_id: str, post_id: str) -> pb.Post:
    request = pb.GetPostRequest(workspace_id=workspace_id, post_id=post_id)
    return (await clients.call(clients.scheduler.GetPost, request)).post


async def _create_batch(
    clients: Clients, workspace_id: str, request_id: str, drafts: list[pb.PostDraft], validate_only: bool
) -> list[pb.BatchCreateResult]:
    if not drafts:
        return []
    request = pb.BatchCreatePostsRequest(
        workspace_id=workspace_id, request_id=request_id, posts=drafts, validate_only=validate_only
    )
    results = list((await clients.call(clients.scheduler.BatchCreatePosts, request)).results)
    if len(results) != len(drafts):
        raise RuntimeError(f"BatchCreatePosts answered {len(results)} results for {len(drafts)} drafts")
    return results


def _draft_to_proto(draft: PostDraft, checked: Checked) -> pb.PostDraft:
    return pb.PostDraft(
        channel=draft.channel,
        account_ids=checked.plan.account_ids,
        caption=draft.caption,
        media=checked.media_to_proto(),
        local_time=draft.local_time,
        time_zone=draft.time_zone,
        ambiguous_time=_ambiguous(draft.ambiguous_time),
        options=draft.options.to_proto(),
        ref=draft.ref,
        platforms=checked.platforms,
        lateness=draft.lateness.to_proto() if draft.lateness else None,
        shingles=checked.shingles,
    )


def _ambiguous(word: str | None) -> pb.AmbiguousTime.ValueType:
    return pb.AmbiguousTime.Value(f"AMBIGUOUS_TIME_{word or 'UNSPECIFIED'}")


def _saved(post: pb.Post, checked: Checked, response: Response) -> SavedPost:
    response.headers["ETag"] = f'"{post.etag}"'
    return SavedPost.of(post, warnings=checked.warnings)


def _result(
    index: int, ref: str, checked: Checked | None = None, *, post: Post | None = None, refusal: Refusal | None = None
) -> BatchResult:
    warnings = checked.warnings if checked else []
    return BatchResult(index=index, ref=ref, post=post, refusal=refusal, warnings=warnings)


def _scheduled(index: int, ref: str, checked: Checked, result: pb.BatchCreateResult) -> BatchResult:
    if result.WhichOneof("result") == "post":
        return _result(index, ref, checked, post=Post.of(result.post))
    return _result(index, ref, checked, refusal=Refusal.of(result.refusal))


def _refusal(error: PostRefused | RequestInvalid) -> Refusal:
    return Refusal(
        reason=error.reason,
        message=error.message,
        field_violations=[
            RefusedField(field=each.field, description=each.description, reason=each.reason)
            for each in error.violations
        ],
    )
