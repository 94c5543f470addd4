"""Posts: planned, looked at, changed, canceled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic_core import to_json
from reelroute.scheduler.v1 import plans_pb2
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit import errors
from services.gateway.checks import Checked, Checker, Plan, instant_of
from services.gateway.clients import Clients
from services.gateway.errors import EtagNotCurrent, invalid, violations_of
from services.gateway.models.approvals import Approval, ApprovalAnswer, ApprovalResult
from services.gateway.models.conflicts import Conflict
from services.gateway.models.deliveries import StateWord, state_to
from services.gateway.models.drafts import InvalidDraft, PostBatch, PostDraft, PostOptions, PostPatch, QueuedDraft
from services.gateway.models.fields import Instant, Text, canonical_id
from services.gateway.models.posts import (
    BatchResult,
    Post,
    PostBatchAnswer,
    PostList,
    PostSummaryList,
    SavedPost,
    post_values,
    summary_values,
)
from services.gateway.models.problems import Refusal, problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import (
    Caller_,
    Clients_,
    Id,
    IfMatch,
    PageSize,
    PageToken,
    RequestId,
    etag_in,
)

router = APIRouter(route_class=ApiRoute, tags=["Posts"])


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
    return _saved(answer, checked, response)


@router.post("/v1/posts:queue", status_code=201, responses=problems(404, 409, body=True))
async def queue_post(
    draft: QueuedDraft, caller: Caller_, clients: Clients_, request_id: RequestId, response: Response
) -> SavedPost:
    """Plans a post in the next free slot of its channel. However many ask at once, each gets a slot of its own.

    It is checked as any other. 404 (`PLAN_NOT_FOUND`) when the channel has no posting plan; 409 (`NO_FREE_SLOT`) when
    none is free within a year.
    """
    (checked,) = await Checker(clients, caller.workspace_id).check([Plan.of(draft)])
    if checked.refusal:
        raise checked.refusal
    request = plans_pb2.QueuePostRequest(
        workspace_id=caller.workspace_id, request_id=request_id, post=checked.to_proto(draft)
    )
    if draft.not_before_time:
        request.not_before_time.FromDatetime(draft.not_before_time)
    answer = await clients.call(clients.plans.QueuePost, request)
    response.headers["Location"] = f"/v1/posts/{answer.post.post_id}"
    return _saved(answer, checked, response)


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
            results.append(_result(index, row.ref, refusal=Refusal.by(invalid(violations_of(row.details)))))
        elif refusal := row[1].refusal:
            results.append(_result(index, row[0].ref, row[1], refusal=Refusal.by(refusal)))
        else:
            results.append(_scheduled(index, row[0].ref, row[1], next(saved)))
    return PostBatchAnswer(results=results)


@router.post("/v1/posts:approve", responses=problems(body=True))
async def approve_posts(
    approval: Approval, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> ApprovalAnswer:
    """Approves posts as they stand, or takes approvals back, each for itself; the answer says which.

    One that has changed since it was looked at is refused (`POST_CHANGED`). What was HELD for approval goes out by its
    lateness rule. May be repeated, with or without `Idempotency-Key`.
    """
    request = plans_pb2.ApprovePostsRequest(
        workspace_id=caller.workspace_id,
        posts=[plans_pb2.PostApproval(post_id=each.post_id, etag=each.etag) for each in approval.posts],
        withdraw=approval.withdraw,
    )
    answer = await clients.call(clients.plans.ApprovePosts, request)
    return ApprovalAnswer(
        results=[
            ApprovalResult(
                post_id=asked.post_id,
                post=Post.of(result.post) if result.HasField("post") else None,
                refusal=Refusal.of(result.refusal) if result.HasField("refusal") else None,
            )
            for asked, result in zip(approval.posts, answer.results, strict=True)
        ]
    )


@router.get("/v1/posts", response_model=PostList | PostSummaryList, responses=problems())
async def list_posts(
    caller: Caller_,
    clients: Clients_,
    from_time: Annotated[Instant | None, Query(description="Only posts scheduled from this instant on.")] = None,
    until_time: Annotated[Instant | None, Query(description="Only posts scheduled before this instant.")] = None,
    channel: Annotated[Text, Query(max_length=64, description="Only of this channel.")] = "",
    state: Annotated[StateWord | None, Query(description="Only posts with a delivery in this state.")] = None,
    account_id: Annotated[UUID | None, Query(description="Only posts with a delivery for this account.")] = None,
    series_id: Annotated[UUID | None, Query(description="Only occurrences of this series.")] = None,
    ref: Annotated[Text, Query(max_length=100, description="Only posts with this ref.")] = "",
    approval: Annotated[
        Literal["PENDING", "APPROVED"] | None, Query(description="`PENDING`: only posts that wait for approval.")
    ] = None,
    view: Annotated[
        Literal["FULL", "SUMMARY"],
        Query(
            description="`SUMMARY`: what a calendar shows, without media, options and lateness, the caption cut; then"
            " `page_size` may be up to 2000."
        ),
    ] = "FULL",
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> Response:
    """Lists posts with their deliveries, by schedule time."""
    request = pb.ListPostsRequest(
        workspace_id=caller.workspace_id,
        page_size=page_size,
        page_token=page_token,
        channel=channel,
        delivery_state=state_to(state),
        account_id=str(account_id or ""),
        series_id=str(series_id or ""),
        ref=ref,
        approval=pb.Approval.Value(f"APPROVAL_{approval or 'UNSPECIFIED'}"),
        view=pb.POST_VIEW_SUMMARY if view == "SUMMARY" else pb.POST_VIEW_UNSPECIFIED,
    )
    if from_time:
        request.from_time.FromDatetime(from_time)
    if until_time:
        request.until_time.FromDatetime(until_time)
    answer = await clients.call(clients.scheduler.ListPosts, request)
    values = summary_values if view == "SUMMARY" else post_values
    body = {"posts": [values(each) for each in answer.posts], "next_page_token": answer.next_page_token}
    return Response(to_json(body), media_type="application/json")


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
    wanted = etag_in(if_match)
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
        update_mask=_mask(given),
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
            accept_conflicts=patch.accept_conflicts,
        ),
    )
    try:
        answer = await clients.call(clients.scheduler.UpdatePost, request)
    except errors.Conflict as conflict:
        if wanted:
            raise EtagNotCurrent(conflict.message, code_reason=conflict.reason) from None
        raise
    return _saved(answer, checked, response)


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
    post = checked.to_proto(draft)
    post.local_time, post.time_zone = draft.local_time, draft.time_zone
    post.ambiguous_time = _ambiguous(draft.ambiguous_time)
    return post


def _mask(given: set[str]) -> list[str]:
    names = {"media" if name == "media_asset_ids" else name for name in given}
    # The sketch is of the words.
    return sorted(names | {"shingles"} if "caption" in names else names)


def _ambiguous(word: str | None) -> pb.AmbiguousTime.ValueType:
    return pb.AmbiguousTime.Value(f"AMBIGUOUS_TIME_{word or 'UNSPECIFIED'}")


def _saved(
    answer: pb.CreatePostResponse | pb.UpdatePostResponse | plans_pb2.QueuePostResponse,
    checked: Checked,
    response: Response,
) -> SavedPost:
    response.headers["ETag"] = f'"{answer.post.etag}"'
    return SavedPost.of(
        answer.post, warnings=checked.warnings, conflicts=[Conflict.of(each) for each in answer.conflicts]
    )


def _result(
    index: int,
    ref: str,
    checked: Checked | None = None,
    *,
    post: Post | None = None,
    refusal: Refusal | None = None,
    conflicts: Sequence[pb.Conflict] = (),
) -> BatchResult:
    return BatchResult(
        index=index,
        ref=ref,
        post=post,
        refusal=refusal,
        warnings=checked.warnings if checked else [],
        conflicts=[Conflict.of(each) for each in conflicts],
    )


def _scheduled(index: int, ref: str, checked: Checked, result: pb.BatchCreateResult) -> BatchResult:
    if result.WhichOneof("result") == "post":
        return _result(index, ref, checked, post=Post.of(result.post), conflicts=result.conflicts)
    return _result(index, ref, checked, refusal=Refusal.of(result.refusal))
