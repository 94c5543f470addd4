"""The creators' side: uploads, prechecks, posts, and their outcome (a creator's token, scope `creator.video.write`)."""

import json
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.tiktok_shop import creators, people, products
from sandbox.tiktok_shop.answers import BAD_REQUEST, Refusal
from sandbox.tiktok_shop.gate import Body, Call, NoBody, NoQuery, Operation, Query
from sandbox.tiktok_shop.state import ShopState

WRITE = ("creator.video.write",)
TITLE_LONG, TITLE_SIGNS = 16011007, 16011069
PRODUCT_UNKNOWN, PRODUCT_GONE, NOT_THEIRS = 170001011, 170001012, 170001016
TOO_FREQUENT, QUOTA, PRECHECK_QUOTA = 170001020, 170001062, 170001019
COVER_WRONG, COVER_LATE, RESTRICTED, FILE_UNKNOWN = 170001024, 170001025, 170001030, 170001040
FILE_FORMAT = 36009022
MAX_VIDEO_BYTES, MAX_PHOTO_BYTES = 100 * 1000 * 1000, 10 * 1000 * 1000
# The longest video that TikTok takes by API; files are not decoded here.
MAX_COVER_MS = 600_000


class _Link(Body):
    product_id: str
    title: str


class _File(Body):
    file_id: str


class _Precheck(Body):
    video_info: _File
    product_link_info: _Link


class _VideoInfo(_File):
    title: str = ""
    cover_uri: str | None = None
    cover_timestamp_ms: int | None = None
    music_id: str | None = None
    is_ai_generated: bool = False


class _VideoPost(Body):
    video_info: _VideoInfo
    product_link_info: _Link


class _Photo(Body):
    photo_file_uris: str


class _Shop(Body):
    shop_id: str | None = None
    group_type: Literal["1", "2", "3"] | None = None
    group_id: str | None = None


class _PhotoLink(Body):
    product_id: str
    link_title: str


class _Links(Body):
    post_type: Literal["1", "2", "3"]
    shop_info: _Shop | None = None
    links: list[_PhotoLink] = Field(default=[], max_length=35)


class _PhotoPost(Body):
    photos_info: Annotated[list[_Photo], Field(min_length=1, max_length=35)]
    title: str = ""
    music_id: str | None = None
    link_info: _Links | None = None


def _upload_video(state: ShopState, call: Call) -> dict[str, Any]:
    if not _is_video(call.file.head):
        raise Refusal(FILE_FORMAT, "The file is none of MP4, MOV, MKV, WMV, WEBM, AVI, 3GP, FLV, MPEG.")
    file_id = creators.add_file(state, call.caller.subject, "video", call.file.size, call.file.md5)
    return {"video_file": {"id": file_id, "md5": call.file.md5}}


def _upload_photo(state: ShopState, call: Call) -> dict[str, Any]:
    if not _is_photo(call.file.head):
        raise Refusal(FILE_FORMAT, "The file is none of JPG, JPEG, PNG, WEBP, HEIC, BMP.")
    uri = creators.add_file(state, call.caller.subject, "photo", call.file.size, call.file.md5)
    return {"photo_file": {"photo_uri": uri}}


def _is_video(head: bytes) -> bool:
    if head[4:8] == b"ftyp":
        return head[8:12] not in (b"heic", b"heix", b"avif", b"mif1", b"M4A ")
    starts = (b"\x1a\x45\xdf\xa3", b"FLV", b"\x30\x26\xb2\x75", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
    return head.startswith(starts) or head[4:8] in (b"moov", b"mdat", b"wide") or head[8:12] == b"AVI "


def _is_photo(head: bytes) -> bool:
    heic = head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1")
    return heic or head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"BM")) or head[8:12] == b"WEBP"


def _precheck(state: ShopState, call: Call) -> dict[str, Any]:
    body: _Precheck = call.body
    username = call.caller.subject
    _check_file(state, username, body.video_info.file_id)
    _check_link(state, body.product_link_info.product_id, body.product_link_info.title)
    if creators.prechecks_of_the_day(state, username) >= state.settings.prechecks_per_day:
        raise Refusal(PRECHECK_QUOTA, "The quota of prechecks is used up for today.")
    return {"precheck": {"task_id": creators.add_precheck(state, username, state.clock.now())}}


def _precheck_result(state: ShopState, call: Call) -> dict[str, Any]:
    row = state.store.one(
        "SELECT * FROM shop_precheck WHERE id = ? AND username = ?", call.path["task_id"], call.caller.subject
    )
    if row is None:
        raise Refusal(NOT_THEIRS, "The precheck does not belong to the creator.")
    issues = [{"risk": row["reason"], "suggestions": "Change the video and try again."}] if row["reason"] else []
    quality = "PROCESSING" if row["status"] == "PROCESSING" else "SUCCESS"
    return {
        "precheck_task": {
            "id": row["id"],
            "violation_check_result": {"status": row["status"], "issues": issues},
            "good_quality_check_result": {"status": quality, "issues": []},
        }
    }


def _post_video(state: ShopState, call: Call) -> dict[str, Any]:
    body: _VideoPost = call.body
    video, link, username = body.video_info, body.product_link_info, call.caller.subject
    _check_creator(state, username)
    _check_file(state, username, video.file_id)
    _check_title(video.title, 4000)
    _check_link(state, link.product_id, link.title)
    _check_music(video.music_id)
    if video.cover_uri is not None:
        if not creators.has_file(state, username, "photo", video.cover_uri):
            raise Refusal(COVER_WRONG, "body.video_info.cover_uri is no photo of the creator.")
    elif video.cover_timestamp_ms is not None:
        if video.cover_timestamp_ms < 0:
            raise Refusal(COVER_WRONG, "body.video_info.cover_timestamp_ms must not be negative.")
        if video.cover_timestamp_ms > MAX_COVER_MS:
            raise Refusal(COVER_LATE, "body.video_info.cover_timestamp_ms is behind the end of the video.")
    details = {**video.model_dump(exclude_none=True), "link_title": link.title}
    post_id = creators.add_post(*(state, username, "video", video.title, [link.product_id], details, state.clock.now()))
    return {"video": {"id": post_id}, "quota": f"{state.settings.posts_per_day}/day"}


def _post_photos(state: ShopState, call: Call) -> dict[str, Any]:
    body: _PhotoPost = call.body
    username = call.caller.subject
    _check_creator(state, username)
    uris = [uri for one in body.photos_info for uri in _uris(one.photo_file_uris)]
    if not all(creators.has_file(state, username, "photo", uri) for uri in uris):
        raise Refusal(FILE_UNKNOWN, "body.photos_info name a photo that the creator did not upload.")
    _check_title(body.title, 5000)
    _check_music(body.music_id)
    links: list[str] = []
    if body.link_info is not None:
        kind = body.link_info.post_type
        wanted = {"1": 1, "2": 0, "3": len(uris)}[kind]
        if len(body.link_info.links) != wanted:
            raise Refusal(BAD_REQUEST, f"body.link_info.links must be {wanted} for post_type {kind}.")
        if kind == "2" and (body.link_info.shop_info is None or not body.link_info.shop_info.shop_id):
            raise Refusal(BAD_REQUEST, "body.link_info.shop_info.shop_id is missing.")
        for link in body.link_info.links:
            _check_link(state, link.product_id, link.link_title)
            links.append(link.product_id)
    details = body.model_dump(exclude_none=True)
    post_id = creators.add_post(state, username, "photo", body.title, links, details, state.clock.now())
    return {"photo": {"photo_post_id": post_id}, "quota": f"{state.settings.posts_per_day}/day"}


def _uris(text: str) -> list[str]:
    """One URI, or several as a JSON list in a text, which is how the documentation has them."""
    if not text.startswith("["):
        return [text]
    try:
        found = json.loads(text)
    except ValueError:
        found = []
    if not found or not all(isinstance(one, str) for one in found):
        raise Refusal(BAD_REQUEST, "body.photos_info.photo_file_uris is no list of URIs.")
    return list(found)


def _check_creator(state: ShopState, username: str) -> None:
    if people.creator(state, username).restricted:
        raise Refusal(RESTRICTED, "The creator's account is restricted.")
    now = state.clock.now()
    if now - creators.newest_post(state, username) < state.settings.post_interval_seconds:
        raise Refusal(TOO_FREQUENT, "The creator has just posted. Wait before the next post.")
    quota = state.settings.posts_per_day
    if creators.posts_of_the_day(state, username) >= quota:
        raise Refusal(QUOTA, f"Posting quota exceeded: platform-level posting limit reached. quota: {quota}/day")


def _check_file(state: ShopState, username: str, file_id: str) -> None:
    if not creators.has_file(state, username, "video", file_id):
        raise Refusal(FILE_UNKNOWN, "body.video_info.file_id is no video of the creator.")


def _check_title(title: str, most: int) -> None:
    if len(title.encode("utf-16-le", "surrogatepass")) // 2 > most:
        raise Refusal(BAD_REQUEST, f"The title is longer than {most} UTF-16 units.")


def _check_link(state: ShopState, product_id: str, title: str) -> None:
    row = products.product(state, product_id)
    if row is None:
        raise Refusal(PRODUCT_UNKNOWN, "The product does not exist.")
    if row["status"] != "ACTIVATE":
        raise Refusal(PRODUCT_GONE, "The product is not available.")
    if not 0 < len(title) < 30:
        raise Refusal(TITLE_LONG, "The link title must have 1 to 29 characters.")
    if any(unicodedata.category(letter)[0] not in "LNMZ" for letter in title):
        raise Refusal(TITLE_SIGNS, "The link title must have no punctuation and no emoji.")


def _check_music(music_id: str | None) -> None:
    if music_id is not None and music_id not in {one["id"] for one in creators.music("")}:
        raise Refusal(BAD_REQUEST, "music_id is not one of the music search.")


def _status(state: ShopState, call: Call) -> dict[str, Any]:
    row = state.store.one(
        "SELECT * FROM shop_post WHERE id = ? AND username = ?", call.path["video_id"], call.caller.subject
    )
    if row is None:
        raise Refusal(NOT_THEIRS, "The video does not belong to the creator.")
    shown: dict[str, Any] = {"id": row["id"], "post_status": "SUCCESS" if row["status"] == "REMOVED" else row["status"]}
    return {"video": shown if row["post_time"] is None else {**shown, "post_time": row["post_time"]}}


PATH = "/affiliate_creator/{version}"


def creator_operation(
    name: str,
    method: Literal["GET", "POST"],
    path: str,
    version: str,
    handler: Callable[[ShopState, Call], dict[str, Any]],
    query: type[Query] = NoQuery,
    body: type[Body] = NoBody,
    scopes: tuple[str, ...] = WRITE,
    max_file_bytes: int = 0,
) -> Operation:
    """An operation of a creator's token, which takes no shop_cipher."""
    return Operation(
        name=f"creator_{name}",
        method=method,
        path=path,
        versions=(version,),
        scopes=scopes,
        handler=handler,
        query=query,
        body=body,
        kind="creator",
        cipher=False,
        max_file_bytes=max_file_bytes,
    )


OPERATIONS = [
    creator_operation(
        "video_upload", "POST", f"{PATH}/videos/video_files", "202505", _upload_video, max_file_bytes=MAX_VIDEO_BYTES
    ),
    creator_operation(
        "photo_upload", "POST", f"{PATH}/photos/photo_files", "202511", _upload_photo, max_file_bytes=MAX_PHOTO_BYTES
    ),
    creator_operation("precheck", "POST", f"{PATH}/videos/precheck_task", "202511", _precheck, body=_Precheck),
    creator_operation(
        "precheck_result", "GET", f"{PATH}/videos/precheck_tasks/{{task_id}}", "202601", _precheck_result
    ),
    creator_operation("video_post", "POST", f"{PATH}/videos", "202607", _post_video, body=_VideoPost),
    creator_operation("photo_post", "POST", f"{PATH}/photos", "202607", _post_photos, body=_PhotoPost),
    creator_operation("post_status", "GET", f"{PATH}/videos/{{video_id}}/status", "202509", _status),
]
