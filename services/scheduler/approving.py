"""Posts are approved, or the approval is taken back. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from kit.errors import ReelrouteError
from services.scheduler import activities, deciding, dispatch_store, domain, holding, store
from services.scheduler.deciding import Pace
from services.scheduler.domain import Approval, Delivery, DeliveryState, DueAction, HoldCause, Policy, Post


def decide(
    tx: Connection, policy: Policy, workspace_id: UUID, asked: Sequence[tuple[UUID, str]], *, withdraw: bool
) -> list[Post | ReelrouteError]:
    """Decides posts by their ids and the etags of what was looked at. Each as it stands afterwards, or why it was not
    decided. What was held for approval goes out by its lateness rule; what was claimed ahead of its time without a
    grant is taken back when the approval is: nothing that waits for approval is in a publisher's hands.
    """
    approval = Approval.PENDING if withdraw else Approval.APPROVED
    found = {post.post_id: post for post in store.read_posts(tx, workspace_id, [each for each, _ in asked], lock=True)}
    refusals = [_refusal(found.get(post_id), etag, approval) for post_id, etag in asked]
    taken = {post_id for (post_id, _), refusal in zip(asked, refusals, strict=True) if refusal is None}
    decided = [post for post in found.values() if post.post_id in taken and post.approval is not approval]
    store.set_approval(tx, workspace_id, [post.post_id for post in decided], approval)
    now = store.database_time(tx)
    deliveries = [each for post in decided for each in post.deliveries]
    if withdraw:
        claimed = [each for each in deliveries if each.state is DeliveryState.CLAIMED]
        dispatch_store.settle(tx, [(each.delivery_id, deciding.given_back(each)) for each in claimed])
    else:
        waiting = sorted((each for each in deliveries if _waits(each)), key=lambda each: each.schedule_time)
        holding.release(tx, policy, waiting, DueAction.BY_RULE, Pace(policy.catch_up_gap_seconds, now), now)
    word = "The approval was taken back." if withdraw else "Approved."
    kind = "post.approval_withdrawn" if withdraw else "post.approved"
    store.tell(tx, [activities.about(post, kind, word, now) for post in decided])
    after = {post.post_id: post for post in store.read_posts(tx, workspace_id, list(found))}
    return [refusal or after[post_id] for (post_id, _), refusal in zip(asked, refusals, strict=True)]


def _waits(delivery: Delivery) -> bool:
    return delivery.state is DeliveryState.HELD and delivery.hold_cause is HoldCause.APPROVAL


def _refusal(post: Post | None, etag: str, wanted: Approval) -> ReelrouteError | None:
    if post is None:
        return domain.PostNotFound("There is no post with this id in the workspace.")
    if post.etag != etag:
        return domain.PostChanged("The post was changed since you read it. Look at it again and decide again.")
    if post.approval is Approval.NOT_NEEDED:
        return domain.ApprovalNotNeeded(
            "This post needs no approval: when it was saved its channel's plan did not ask for one."
        )
    left = [each for each in post.deliveries if each.state not in domain.FINISHED]
    if post.approval is not wanted and not (left and all(each.can_be_stopped for each in left)):
        states = ", ".join(sorted({each.state.value for each in post.deliveries}))
        return domain.PostNotEditable(
            f"The post is being published, or nothing of it waits any more: it is {states}. Pause it to keep back the"
            " rest."
        )
    return None
