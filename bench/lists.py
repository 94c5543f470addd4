"""A month with many posts, listed page by page, beside many posts of other workspaces and other months."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from reelroute.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc

from bench import harness
from bench.harness import BenchmarkFailed
from bench.whole import Installation, installation

_MONTH = datetime(2031, 5, 1, tzinfo=UTC)
_OTHER_WORKSPACES = 200
# Minutes of a month, or of the months around it, in an order that is not that of the ids.
_FILL = """
WITH post AS (
    INSERT INTO scheduler.posts (workspace_id, post_id, channel, caption, media, local_time, time_zone, fold,
        schedule_time, options, ref)
    SELECT coalesce(%(workspace)s::uuid, md5('workspace' || n %% %(workspaces)s)::uuid), uuidv7(),
        (ARRAY['air','water','fire','earth'])[1 + n %% 4], 'Post ' || n || repeat(' of a longer text', 14),
        jsonb_build_array(jsonb_build_object('media_asset_id', uuidv7(), 'sha256', repeat('0', 64), 'mime_type',
        'video/mp4')), at, 'UTC', 0, at AT TIME ZONE 'UTC', '{"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}}',
        'Q-' || n
    FROM generate_series(%(first)s, %(last)s) AS n,
        LATERAL (SELECT %(start)s::timestamp + (n::bigint * 7919 %% %(minutes)s) * interval '1 minute' AS at) AS instant
    RETURNING workspace_id, post_id, channel, schedule_time)
INSERT INTO scheduler.deliveries (delivery_id, workspace_id, post_id, account_id, platform, channel, state,
    schedule_time, due_time)
SELECT uuidv7(), workspace_id, post_id, md5('account' || channel)::uuid, 'tiktok', channel, 'SCHEDULED', schedule_time,
    schedule_time
FROM post
"""


@dataclass(frozen=True)
class Asked:
    """What a list is asked for."""

    size: int
    summary: bool = False
    channel: str = ""
    only_one: bool = False


PageOf = Callable[[Installation, Asked, str], tuple[int, str]]


def run(listed: int, beside: int, times: int) -> list[dict[str, Any]]:
    """Prints the table."""
    with installation() as running:
        _fill(running, listed, beside)
        rows = [_row(running, *each, listed, times) for each in _LISTS]
    harness.table(
        f"a month of {listed:,} posts, {beside:,} beside them, listed {times} times",
        rows,
        ["list", "pages", "p50_ms", "p95_ms", "max_ms"],
    )
    return rows


def _fill(running: Installation, listed: int, beside: int) -> None:
    """Of those beside, half are of other workspaces in the same month, a tenth of our own before it, the rest of others
    in the year around it.
    """
    ours = running.workspace_id
    for workspace, first, last, start, days in (
        (None, 1, beside // 2, _MONTH, 31),
        (None, beside // 2 + 1, beside * 9 // 10, _MONTH - timedelta(days=180), 360),
        (ours, beside * 9 // 10 + 1, beside, _MONTH - timedelta(days=360), 330),
        (ours, beside + 1, beside + listed, _MONTH, 31),
    ):
        span = {"first": first, "last": last, "start": start.replace(tzinfo=None), "minutes": days * 1440}
        running.cursor.execute(_FILL, {"workspace": workspace, "workspaces": _OTHER_WORKSPACES, **span})
    running.cursor.execute("VACUUM (ANALYZE) scheduler.posts, scheduler.deliveries")
    running.cursor.execute("CHECKPOINT")


def _row(running: Installation, name: str, page_of: PageOf, asked: Asked, listed: int, times: int) -> dict[str, Any]:
    expected = min(asked.size, listed) if asked.only_one else listed // 4 if asked.channel else listed
    spent = []
    for _ in range(times):
        begun, posts, pages, token = time.perf_counter(), 0, 0, ""
        while not pages or (token and not asked.only_one):
            found, token = page_of(running, asked, token)
            posts, pages = posts + found, pages + 1
        spent.append((time.perf_counter() - begun) * 1000)
        if posts != expected:
            raise BenchmarkFailed(f"{name}: {posts} posts, {expected} were expected")
    return {"list": name, "pages": pages, **harness.percentiles(spent)}


def _page_by_rpc(running: Installation, asked: Asked, token: str) -> tuple[int, str]:
    request = scheduler_pb2.ListPostsRequest(
        workspace_id=running.workspace_id,
        channel=asked.channel,
        page_size=asked.size,
        page_token=token,
        view=scheduler_pb2.POST_VIEW_SUMMARY if asked.summary else scheduler_pb2.POST_VIEW_UNSPECIFIED,
    )
    request.from_time.FromDatetime(_MONTH)
    request.until_time.FromDatetime(_MONTH + timedelta(days=31))
    answer = scheduler_pb2_grpc.SchedulerServiceStub(running.scheduler).ListPosts(request, timeout=30)
    return len(answer.posts), answer.next_page_token


def _page_by_rest(running: Installation, asked: Asked, token: str) -> tuple[int, str]:
    query: dict[str, str | int] = {
        "from_time": _MONTH.isoformat(),
        "until_time": (_MONTH + timedelta(days=31)).isoformat(),
        "channel": asked.channel,
        "page_size": asked.size,
        "page_token": token,
        **({"view": "SUMMARY"} if asked.summary else {}),
    }
    answer = running.api.get("/v1/posts", params=query).raise_for_status().json()
    return len(answer["posts"]), answer["next_page_token"]


_LISTS: tuple[tuple[str, PageOf, Asked], ...] = (
    ("RPC: a page of 50", _page_by_rpc, Asked(50, only_one=True)),
    ("RPC: a page of 200", _page_by_rpc, Asked(200, only_one=True)),
    ("RPC: a page of 2,000 summaries", _page_by_rpc, Asked(2000, summary=True, only_one=True)),
    ("RPC: all, in summaries", _page_by_rpc, Asked(2000, summary=True)),
    ("RPC: one channel of four, in summaries", _page_by_rpc, Asked(2000, summary=True, channel="air")),
    ("REST: a page of 50", _page_by_rest, Asked(50, only_one=True)),
    ("REST: all, in summaries", _page_by_rest, Asked(2000, summary=True)),
    ("REST: one channel of four, in summaries", _page_by_rest, Asked(2000, summary=True, channel="air")),
)
