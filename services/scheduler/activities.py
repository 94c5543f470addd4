"""What the activity feed is told of posts."""

from __future__ import annotations

from datetime import datetime

from kit.activity import activity
from kit.outbox import Notice
from services.scheduler.domain import Post


def created(post: Post) -> Notice:
    """A new post."""
    when = post.draft.schedule.local_time.isoformat(sep=" ")
    text = f"Scheduled for {when} ({post.draft.schedule.time_zone}) on {len(post.deliveries)} account(s)."
    return about(post, "post.created", text, post.create_time)


def about(post: Post, kind: str, summary: str, time: datetime) -> Notice:
    """Something that happened to a post."""
    return activity(post.workspace_id, kind, summary, time, post_id=post.post_id)
