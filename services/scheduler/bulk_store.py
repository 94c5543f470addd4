"""SQL of imports by key and of changes by filter. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, select, text, update

from services.scheduler.domain import Post, PostFilter
from services.scheduler.store import matching, with_deliveries
from services.scheduler.tables import posts


def take_turn(tx: Connection, workspace_id: UUID) -> None:
    """Waits until no other chunk of the workspace is being imported: what one has saved, the next must see."""
    tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"scheduler.import {workspace_id}"}
    )


def read_by_keys(tx: Connection, workspace_id: UUID, keys: Sequence[str]) -> dict[str, Post]:
    """The posts that imports know by these keys, with their deliveries locked."""
    rows = (
        tx.execute(
            select(posts)
            .where(posts.c.workspace_id == workspace_id, posts.c.import_key.in_(keys))
            .order_by(posts.c.post_id)
            .with_for_update()
        )
        .mappings()
        .all()
    )
    found = with_deliveries(tx, workspace_id, rows, lock=True)
    return {row["import_key"]: post for row, post in zip(rows, found, strict=True)}


def free_keys(tx: Connection, workspace_id: UUID, post_ids: Sequence[UUID]) -> None:
    """From now on no import means these posts."""
    if post_ids:
        tx.execute(
            update(posts)
            .where(posts.c.workspace_id == workspace_id, posts.c.post_id.in_(post_ids))
            .values(import_key="")
        )


def find_posts(tx: Connection, workspace_id: UUID, wanted: PostFilter, change_id: UUID) -> list[tuple[UUID, bool]]:
    """The posts that a change means, by schedule time, and whether it has changed each already."""
    rows = tx.execute(
        select(posts.c.post_id, posts.c.change_id.is_not_distinct_from(change_id))
        .where(matching(workspace_id, wanted))
        .order_by(posts.c.schedule_time, posts.c.post_id)
    )
    return [(post_id, done) for post_id, done in rows]


def lock_posts(tx: Connection, workspace_id: UUID, post_ids: Sequence[UUID], change_id: UUID) -> list[Post]:
    """Posts that the change has not changed yet, in the order of `post_ids`, locked with their deliveries."""
    rows = (
        tx.execute(
            select(posts)
            .where(
                posts.c.workspace_id == workspace_id,
                posts.c.post_id.in_(post_ids),
                posts.c.change_id.is_distinct_from(change_id),
            )
            .order_by(posts.c.post_id)
            .with_for_update()
        )
        .mappings()
        .all()
    )
    found = {post.post_id: post for post in with_deliveries(tx, workspace_id, rows, lock=True)}
    return [found[each] for each in post_ids if each in found]


def mark_changed(tx: Connection, workspace_id: UUID, post_ids: Sequence[UUID], change_id: UUID) -> None:
    """So that the same request does not change them again."""
    if post_ids:
        tx.execute(
            update(posts)
            .where(posts.c.workspace_id == workspace_id, posts.c.post_id.in_(post_ids))
            .values(change_id=change_id)
        )
