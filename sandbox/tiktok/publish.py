"""Content Posting API up to the upload: creator_info, the three inits, status and cancel."""

import json
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.tiktok import people, progress
from sandbox.tiktok.answers import QUIET_ON_CREATOR_INFO, Refusal, ok
from sandbox.tiktok.bodies import DraftInit, PhotoInit, PublishId, VideoInit, VideoSource, check_chunk_plan, read_body
from sandbox.tiktok.people import Caller, Creator
from sandbox.tiktok.state import TikTokState, digest, note

UNAUDITED_CREATORS_PER_DAY = 5


def enter(state: TikTokState, request: Request, endpoint: str, *scopes: str) -> Caller:
    """Who calls, with one of the scopes and below the rate. Raises Refusal."""
    caller = people.caller(state, request.headers.get("authorization"))
    note(request).creator = caller.creator.username
    if not caller.scopes.intersection(scopes):
        raise Refusal("scope_not_authorized", f"The user did not authorize the scope required: {' or '.join(scopes)}.")
    if state.over_rate(caller.creator.username, endpoint):
        raise Refusal("rate_limit_exceeded", "The API rate limit was exceeded. Please try again later.")
    return caller


def routes(state: TikTokState) -> APIRouter:
    """Everything below `/v2/post/publish/`."""
    router = APIRouter(include_in_schema=False, prefix="/v2/post/publish")

    @router.post("/creator_info/query/")
    async def creator_info(request: Request) -> Response:
        creator = enter(state, request, "creator_info", "video.publish").creator
        try:
            check_may_post(state, creator)
        except Refusal as refusal:
            if refusal.code in QUIET_ON_CREATOR_INFO:
                refusal.status = 200
            raise
        return ok(
            {
                "creator_avatar_url": f"{state.base_url(request)}/pictures/{creator.username}.svg",
                "creator_username": creator.username,
                "creator_nickname": creator.nickname,
                "privacy_level_options": list(creator.privacy_options),
                "comment_disabled": creator.comment_disabled,
                "duet_disabled": creator.duet_disabled,
                "stitch_disabled": creator.stitch_disabled,
                "max_video_post_duration_sec": creator.max_duration_seconds,
            }
        )

    @router.post("/video/init/")
    async def video_init(request: Request) -> Response:
        caller = enter(state, request, "video_init", "video.publish")
        body = await read_body(request, VideoInit)
        info = body.post_info
        check_may_post(state, caller.creator)
        check_privacy(state, caller.creator, info.privacy_level, info.brand_content_toggle)
        options = info.model_dump(exclude={"title", "privacy_level"})
        return _open_video(state, request, caller, body.source_info, False, info.title, info.privacy_level, options)

    @router.post("/inbox/video/init/")
    async def inbox_init(request: Request) -> Response:
        caller = enter(state, request, "inbox_init", "video.upload")
        body = await read_body(request, DraftInit)
        check_pending_drafts(state, caller.creator)
        return _open_video(state, request, caller, body.source_info, True, "", "", {})

    @router.post("/content/init/")
    async def content_init(request: Request) -> Response:
        caller = enter(state, request, "content_init", "video.publish", "video.upload")
        body = await read_body(request, PhotoInit)
        info, draft = body.post_info, body.post_mode == "MEDIA_UPLOAD"
        scope = "video.upload" if draft else "video.publish"
        if scope not in caller.scopes:
            raise Refusal("scope_not_authorized", f"The user did not authorize the scope required: {scope}.")
        if body.source_info.photo_cover_index >= len(body.source_info.photo_images):
            raise Refusal("invalid_params", "source_info.photo_cover_index: beyond the last picture")
        if draft:
            check_pending_drafts(state, caller.creator)
        elif info.privacy_level is None:
            raise Refusal("invalid_params", "post_info.privacy_level: Field required")
        else:
            check_may_post(state, caller.creator)
            check_privacy(state, caller.creator, info.privacy_level, info.brand_content_toggle)
        urls = body.source_info.photo_images
        _check_owned(state, urls)
        options = {**info.model_dump(exclude={"title", "privacy_level"}), "is_aigc": body.is_aigc}
        publish_id = _add_share(
            state,
            caller,
            "p_pub_url" if not draft else "p_inbox_url",
            draft,
            "photo",
            info.title or info.description,
            info.privacy_level or "",
            options,
            urls=urls,
        )
        note(request).publish_id = publish_id
        return ok({"publish_id": publish_id})

    @router.post("/status/fetch/")
    async def status_fetch(request: Request) -> Response:
        caller = enter(state, request, "status_fetch", "video.publish", "video.upload")
        publish_id = (await read_body(request, PublishId)).publish_id
        note(request).publish_id = publish_id[:64]
        progress.settle(state)
        return ok(progress.status(_own_share(state, caller, publish_id)))

    @router.post("/cancel/")
    async def cancel(request: Request) -> Response:
        caller = enter(state, request, "cancel", "video.publish", "video.upload")
        publish_id = (await read_body(request, PublishId)).publish_id
        note(request).publish_id = publish_id[:64]
        share = _own_share(state, caller, publish_id)
        if share["state"] != "DOWNLOADING":
            raise Refusal("publish_not_cancellable", "Only a post that TikTok is still downloading can be cancelled.")
        with state.store.transaction():
            people.fail(state, publish_id, "publish_cancelled", state.clock.now())
        state.wake.set()
        return ok({})

    return router


def check_may_post(state: TikTokState, creator: Creator) -> None:
    """Bans and caps of the day. Raises Refusal."""
    if creator.banned:
        raise Refusal("spam_risk_user_banned_from_posting", "The user is banned from making new posts.")
    if progress.posts_of_the_day(state, creator.username) >= state.settings.posts_per_day:
        raise Refusal("spam_risk_too_many_posts", "The daily post cap from the API is reached for the current user.")
    cap = state.settings.active_creators_per_day
    if not state.settings.client_audited:
        cap = min(cap or UNAUDITED_CREATORS_PER_DAY, UNAUDITED_CREATORS_PER_DAY)
    since = state.clock.now() - progress.DAY_SECONDS
    if cap:
        active = state.store.all(
            "SELECT DISTINCT username FROM tiktok_share WHERE NOT draft AND effect_time > ? AND username != ?",
            *(since, creator.username),
        )
        if len(active) >= cap and progress.posts_of_the_day(state, creator.username) == 0:
            raise Refusal("reached_active_user_cap", "The daily quota for active publishing users is reached.")


def check_pending_drafts(state: TikTokState, creator: Creator) -> None:
    """Cap of drafts that wait for the creator; uploads under way count. Raises Refusal."""
    now = state.clock.now()
    pending = state.store.number(
        "SELECT count(*) FROM tiktok_share WHERE username = ? AND draft AND create_time > ?"
        " AND (state IN ('INBOX', 'PROCESSING', 'DOWNLOADING') OR (state = 'UPLOADING' AND upload_expire_time > ?))",
        *(creator.username, now - progress.DAY_SECONDS, now),
    )
    if pending >= state.settings.pending_drafts:
        raise Refusal("spam_risk_too_many_pending_share", "There are too many pending shares for the user.")


def check_privacy(state: TikTokState, creator: Creator, level: str, branded: bool) -> None:
    """Privacy level against options, branded content and the audit of the app. Raises Refusal."""
    if branded and level == "SELF_ONLY":
        raise Refusal("invalid_params", "post_info.brand_content_toggle: branded content cannot be SELF_ONLY")
    if not state.settings.client_audited and not (creator.private and level == "SELF_ONLY"):
        raise Refusal(
            "unaudited_client_can_only_post_to_private_accounts",
            "Unaudited clients can only post to a private account, with the privacy level SELF_ONLY.",
        )
    if level not in creator.privacy_options:
        raise Refusal("privacy_level_option_mismatch", "privacy_level is not one of the creator's current options.")


def _open_video(
    state: TikTokState,
    request: Request,
    caller: Caller,
    source: VideoSource,
    draft: bool,
    caption: str,
    privacy_level: str,
    options: dict[str, Any],
) -> Response:
    kind = "v_inbox" if draft else "v_pub"
    if source.source == "PULL_FROM_URL":
        if source.video_size or source.chunk_size or source.total_chunk_count:
            raise Refusal("invalid_params", "source_info.video_size: only used with FILE_UPLOAD")
        if not source.video_url:
            raise Refusal("invalid_params", "source_info.video_url: Field required")
        urls = [source.video_url]
        _check_owned(state, urls)
        publish_id = _add_share(
            state, caller, f"{kind}_url", draft, "video", caption, privacy_level, options, urls=urls
        )
        note(request).publish_id = publish_id
        return ok({"publish_id": publish_id})
    plan = check_chunk_plan(source)
    key = secrets.token_hex(16)
    upload_id = str(secrets.randbelow(9 * 10**18) + 10**18)
    publish_id = _add_share(
        state,
        caller,
        f"{kind}_file",
        draft,
        "video",
        caption,
        privacy_level,
        options,
        plan=plan,
        upload=(upload_id, key),
    )
    note(request).publish_id = publish_id
    url = f"{state.base_url(request)}/upload/video/?upload_id={upload_id}&upload_token={key}"
    return ok({"publish_id": publish_id, "upload_url": url})


def _add_share(
    state: TikTokState,
    caller: Caller,
    kind: str,
    draft: bool,
    media: str,
    caption: str,
    privacy_level: str,
    options: dict[str, Any],
    plan: tuple[int, int, int] = (0, 0, 0),
    upload: tuple[str, str] | None = None,
    urls: Sequence[str] = (),
) -> str:
    now = state.clock.now()
    publish_id = f"{kind}~v2.{secrets.randbelow(9 * 10**18) + 10**18}"
    upload_id, key_hash, expire = None, None, None
    if upload is not None:
        upload_id, key_hash, expire = upload[0], digest(upload[1]), now + state.settings.upload_url_seconds
    state.store.run(
        "INSERT INTO tiktok_share (publish_id, username, grant_id, draft, media, source, caption, privacy_level,"
        " options, urls, size, chunk_size, chunk_count, upload_id, upload_key_hash, upload_expire_time, state,"
        " create_time)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(publish_id, caller.creator.username, caller.grant_id, draft, media),
        *("PULL_FROM_URL" if urls else "FILE_UPLOAD", caption, privacy_level, json.dumps(options), json.dumps(urls)),
        *(*plan, upload_id, key_hash, expire, "DOWNLOADING" if urls else "UPLOADING", now),
    )
    state.wake.set()
    return publish_id


def _check_owned(state: TikTokState, urls: Sequence[str]) -> None:
    """Every address under a verified prefix. Raises Refusal(url_ownership_unverified)."""
    for url in urls:
        owned = any(url.startswith(prefix) for prefix in state.settings.url_prefixes)
        if not owned or ".." in urlsplit(url).path or len(url) > 2048:
            raise Refusal("url_ownership_unverified", "The URL prefix or domain ownership is not verified.")


def _own_share(state: TikTokState, caller: Caller, publish_id: str) -> dict[str, Any]:
    row = state.store.one("SELECT * FROM tiktok_share WHERE publish_id = ?", publish_id)
    if row is None:
        raise Refusal("invalid_publish_id", "The publish_id does not exist.")
    if row["username"] != caller.creator.username:
        raise Refusal(
            "token_not_authorized_for_specified_publish_id", "The access token is not authorized for this publish_id."
        )
    return dict(row)
