"""SQL of imports by key and of changes by filter. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, bindparam, cast, func, literal, select, text, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.types import Text, Uuid

from kit.db import array_literal
from kit.paging import Page
from services.scheduler.domain import Post, PostFilter
from services.scheduler.store import matching, with_deliveries
from services.scheduler.tables import posts

# Advisory lock, beside the workspace: who imports.
_IMPORTING = 7_216_503


def take_turn(tx: Connection, workspace_id: UUID) -> None:
    """Waits until no other chunk of the workspace is being imported: what one has saved, the next must see. Two chunks
    at once with a key in common would else fail each other, or wait in a circle.
    """
    tx.execute(text("SELECT pg_advisory_xact_lock(:key, hashtext(:id))"), {"key": _IMPORTING, "id": str(workspace_id)})


def read_by_keys(tx: Connection, workspace_id: UUID, keys: Sequence[str]) -> dict[str, Post]:
    """The posts that imports know by these keys."""
    if not keys:
        return {}
    wanted = func.unnest(cast(literal(array_literal(keys), Text), ARRAY(Text))).table_valued("key").render_derived()
    # One probe of the index each, also where the planner does not know yet how many posts the workspace has.
    found = (
        select(posts)
        .where(posts.c.workspace_id == workspace_id, posts.c.import_key == wanted.c.key, posts.c.import_key != "")
        .limit(1)
        .lateral()
    )
    rows = tx.execute(select(found).select_from(wanted.join(found, true()))).mappings().all()
    return {row["import_key"]: post for row, post in zip(rows, with_deliveries(tx, workspace_id, rows), strict=True)}


def read_at(tx: Connection, workspace_id: UUID, instants: Sequence[datetime]) -> list[Post]:
    """The posts scheduled at exactly one of these instants."""
    if not instants:
        return []
    texts = [instant.isoformat() for instant in sorted(set(instants))]
    wanted = func.unnest(cast(literal(array_literal(texts), Text), ARRAY(TIMESTAMP(timezone=True))))
    at = wanted.table_valued("instant").render_derived()
    # One probe of the index each, as above: what has an offset is not made part of a larger plan.
    found = (
        select(posts)
        .where(posts.c.workspace_id == workspace_id, posts.c.schedule_time == at.c.instant)
        .offset(0)
        .lateral()
    )
    rows = tx.execute(select(found).select_from(at.join(found, true()))).mappings().all()
    return with_deliveries(tx, workspace_id, rows)


def set_keys(tx: Connection, workspace_id: UUID, keys: Mapping[UUID, str], *, keep: bool = False) -> None:
    """What imports know posts by from now on; "" : nothing. With `keep`, those that have a key already keep it."""
    if keys:
        tx.execute(
            text(
                "UPDATE posts p SET import_key = r.import_key"
                " FROM unnest(CAST(:ids AS uuid[]), CAST(:keys AS text[])) AS r(post_id, import_key)"
                " WHERE p.post_id = r.post_id AND p.workspace_id = :workspace_id AND (NOT :keep OR p.import_key = '')"
            ),
            {
                "ids": [str(each) for each in keys],
                "keys": list(keys.values()),
                "workspace_id": workspace_id,
                "keep": keep,
            },
        )


def find_posts(
    tx: Connection, workspace_id: UUID, wanted: PostFilter, page: Page, *, latest_first: bool
) -> list[tuple[datetime, UUID]]:
    """When posts of a filter go out, and their ids, by schedule time; as many as the page holds."""
    key = (posts.c.schedule_time, posts.c.post_id)
    query = select(*key).where(matching(workspace_id, wanted))
    if page.after:
        after = tuple_(*page.after)
        query = query.where(tuple_(*key) < after if latest_first else tuple_(*key) > after)
    order = [column.desc() for column in key] if latest_first else key
    return [(instant, post_id) for instant, post_id in tx.execute(query.order_by(*order).limit(page.size))]


def lock_posts(tx: Connection, workspace_id: UUID, wanted: PostFilter, post_ids: Sequence[UUID]) -> list[Post]:
    """Those of the posts that the filter still names, in the order of `post_ids`. They and their deliveries stay as
    they are until the transaction ends.
    """
    mine = posts.c.post_id == bindparam("ids", list(post_ids), ARRAY(Uuid), unique=True).any_()
    rows = (
        tx.execute(
            select(posts).where(matching(workspace_id, wanted), mine).order_by(posts.c.post_id).with_for_update()
        )
        .mappings()
        .all()
    )
    found = {post.post_id: post for post in with_deliveries(tx, workspace_id, rows, lock=True)}
    return [found[each] for each in post_ids if each in found]
