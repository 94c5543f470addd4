"""Approving posts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.gateway.models import planning_examples
from services.gateway.models.fields import AnswerModel, IdText, RequestModel, Text, shown
from services.gateway.models.posts import Post
from services.gateway.models.problems import Refusal


class PostApproval(RequestModel):
    """A post as somebody looked at it."""

    post_id: IdText
    etag: Text = Field(min_length=1, max_length=64, description="Of the version that was looked at.")


class Approval(RequestModel):
    """Which posts are approved as they stand."""

    model_config = shown(planning_examples.APPROVAL)

    posts: Annotated[list[PostApproval], Field(min_length=1, max_length=500)]
    withdraw: bool = Field(default=False, description="True: the approval is taken back.")


class ApprovalResult(AnswerModel):
    """What became of one post: as it stands now, or why it was not approved."""

    post_id: str
    post: Post | None
    refusal: Refusal | None


class ApprovalAnswer(AnswerModel):
    """One result for each post, in its order."""

    model_config = shown(planning_examples.APPROVAL_ANSWER)

    results: list[ApprovalResult]
