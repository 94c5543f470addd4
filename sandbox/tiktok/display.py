"""Display API: the creator's profile and public videos, and the pictures that answers point to."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.tiktok import progress
from sandbox.tiktok.answers import Refusal, ok
from sandbox.tiktok.bodies import VideoList, VideoQuery, read_body
from sandbox.tiktok.people import Creator
from sandbox.tiktok.publish import enter
from sandbox.tiktok.settings import ALL_SCOPES
from sandbox.tiktok.state import TikTokState, digest

# Field → scope ("TikTok API scopes").
USER_FIELDS = {
    **dict.fromkeys(
        ("open_id", "union_id", "avatar_url", "avatar_url_100", "avatar_large_url", "display_name"), "user.info.basic"
    ),
    **dict.fromkeys(
        ("bio_description", "profile_deep_link", "profile_web_link", "is_verified", "username"), "user.info.profile"
    ),
    **dict.fromkeys(("follower_count", "following_count", "likes_count", "video_count"), "user.info.stats"),
}

VIDEO_FIELDS = (
    *("id", "create_time", "title", "video_description", "duration", "width", "height", "cover_image_url"),
    *("share_url", "embed_html", "embed_link", "like_count", "comment_count", "share_count", "view_count"),
)

_PUBLIC = "FROM tiktok_share WHERE username = ? AND post_id IS NOT NULL AND removed_time IS NULL"
_TEXT_CHARACTERS = 150


def routes(state: TikTokState) -> APIRouter:
    """user/info, video/list and video/query."""
    router = APIRouter(include_in_schema=False)

    @router.get("/v2/user/info/")
    async def user_info(request: Request) -> Response:
        caller = enter(state, request, "user_info", *ALL_SCOPES)
        wanted = _fields(request, USER_FIELDS)
        if any(USER_FIELDS[name] not in caller.scopes for name in wanted):
            raise Refusal("scope_permission_missed", "The fields asked for go beyond the scopes of the user.")
        profile = _profile(state, caller.creator, state.base_url(request))
        return ok({"user": {name: profile[name] for name in wanted}})

    @router.post("/v2/video/list/")
    async def video_list(request: Request) -> Response:
        username = enter(state, request, "video_list", "video.list").creator.username
        wanted = _fields(request, VIDEO_FIELDS)
        body = await read_body(request, VideoList)
        progress.settle(state)
        before = body.cursor if body.cursor else 2**62
        rows = state.store.all(
            f"SELECT * {_PUBLIC} AND public_ms < ? ORDER BY public_ms DESC LIMIT ?",
            *(username, before, body.max_count + 1),
        )
        page = [dict(row) for row in rows[: body.max_count]]
        cursor = page[-1]["public_ms"] if page else int(state.clock.now() * 1000)
        videos = [_video(share, wanted, state.base_url(request)) for share in page]
        return ok({"videos": videos, "cursor": cursor, "has_more": len(rows) > body.max_count})

    @router.post("/v2/video/query/")
    async def video_query(request: Request) -> Response:
        username = enter(state, request, "video_query", "video.list").creator.username
        wanted = _fields(request, VIDEO_FIELDS)
        ids = (await read_body(request, VideoQuery)).filters.video_ids
        progress.settle(state)
        numbers = [int(text) for text in ids if re.fullmatch("[0-9]{1,18}|[0-8][0-9]{18}", text)]  # fit 64 bits
        marks = ",".join("?" * len(numbers))
        rows = state.store.all(
            f"SELECT * {_PUBLIC} AND post_id IN ({marks})",
            *(username, *numbers),
        )
        return ok({"videos": [_video(dict(row), wanted, state.base_url(request)) for row in rows]})

    @router.get("/pictures/{name}.svg")
    async def picture(name: str) -> Response:
        hue = int(digest(name)[:4], 16) % 360
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" font-family="sans-serif" font-size="40">'
            f'<rect width="100" height="100" fill="hsl({hue} 45% 45%)"/><text x="50" y="64" fill="#fff" '
            f'text-anchor="middle">{escape(name.rpartition(".")[2][:1].upper())}</text></svg>'
        )
        return Response(svg, media_type="image/svg+xml")

    return router


def _fields(request: Request, known: Iterable[str]) -> list[str]:
    """The `fields` of the query. Raises Refusal(invalid_params)."""
    wanted = [name for name in request.query_params.get("fields", "").split(",") if name]
    if not wanted:
        raise Refusal("invalid_params", "fields: Fields is required")
    unknown = next((name for name in wanted if name not in known), None)
    if unknown is not None:
        raise Refusal("invalid_params", f"fields: '{unknown[:50]}' is not a field of this call")
    return wanted


def _profile(state: TikTokState, creator: Creator, base: str) -> dict[str, Any]:
    row = state.store.one(f"SELECT count(*) AS n, coalesce(sum(like_count), 0) AS likes {_PUBLIC}", creator.username)
    picture = f"{base}/pictures/{creator.username}.svg"
    return {
        "open_id": creator.open_id,
        "union_id": digest(f"union/{creator.username}")[:36],
        "avatar_url": picture,
        "avatar_url_100": picture,
        "avatar_large_url": picture,
        "display_name": creator.nickname,
        "bio_description": "",
        "profile_deep_link": f"https://www.tiktok.com/@{creator.username}",
        "profile_web_link": f"https://www.tiktok.com/@{creator.username}",
        "is_verified": False,
        "username": creator.username,
        "follower_count": creator.follower_count,
        "following_count": 0,
        "likes_count": row["likes"] if row is not None else 0,
        "video_count": row["n"] if row is not None else 0,
    }


def _video(share: dict[str, Any], wanted: Iterable[str], base: str) -> dict[str, Any]:
    """A public post as a video object. Length and picture size are not measured here: they are 0."""
    link = f"https://www.tiktok.com/@{share['username']}/video/{share['post_id']}"
    video = {
        "id": str(share["post_id"]),
        "create_time": int(share["public_time"]),
        "title": share["caption"][:_TEXT_CHARACTERS],
        "video_description": share["caption"][:_TEXT_CHARACTERS],
        "duration": 0,
        "width": 0,
        "height": 0,
        "cover_image_url": f"{base}/pictures/{share['post_id']}.svg",
        "share_url": link,
        "embed_html": f'<blockquote cite="{escape(link)}"></blockquote>',
        "embed_link": link,
        "like_count": share["like_count"],
        "comment_count": share["comment_count"],
        "share_count": share["share_count"],
        "view_count": share["view_count"],
    }
    return {name: video[name] for name in wanted}
