"""What becomes of a share after the platform has its media: checks, moderation, verdict, and back again.

Times come from delays counted from the last byte, not from when somebody looks: a share settles the same way whether
it is polled, a loop wakes up, or the clock jumps a day ahead.
"""

import json
import secrets
import sqlite3
from typing import Any

from sandbox.tiktok import people
from sandbox.tiktok.state import TikTokState

# Found by TikTok's checks of the file, before moderation. All other reasons come with the verdict.
_FILE_REASONS = frozenset(
    {
        "file_format_check_failed",
        "duration_check_failed",
        "frame_rate_check_failed",
        "picture_size_check_failed",
        "internal",
        "video_pull_failed",
        "photo_pull_failed",
    }
)

DAY_SECONDS = 86_400.0

_STATUS = {"COMPLETE": "PUBLISH_COMPLETE", "INBOX": "SEND_TO_USER_INBOX", "FAILED": "FAILED"}


def posts_of_the_day(state: TikTokState, username: str) -> int:
    """Direct posts of a creator that came into being in the last 24 hours; failed ones do not count."""
    sql = "SELECT count(*) FROM tiktok_share WHERE username = ? AND NOT draft AND state != 'FAILED' AND effect_time > ?"
    return state.store.number(sql, username, state.clock.now() - DAY_SECONDS)


def accept(state: TikTokState, publish_id: str, head: bytes, sha256: str) -> None:
    """The effect: all media has arrived and a post (or draft) exists. Call it inside a transaction.

    What it will come to is decided here: by the file, the daily cap, or a verdict ordered by the control API.
    """
    now = state.clock.now()
    share = state.store.one("SELECT * FROM tiktok_share WHERE publish_id = ?", publish_id)
    if share is None:
        raise KeyError(publish_id)
    capped = posts_of_the_day(state, share["username"]) >= state.settings.posts_per_day
    if share["media"] == "video" and not is_video(head):
        planned = "file_format_check_failed"
    elif capped and not share["draft"]:
        # Inits that were made side by side can pass the cap together; the platform finds out here.
        planned = "spam_risk_too_many_posts"
    else:
        planned = _next_verdict(state, share["username"])
    state.store.run(
        "UPDATE tiktok_share SET state = 'PROCESSING', effect_time = ?, due_time = ?, head = ?, sha256 = ?,"
        " planned_failure = ? WHERE publish_id = ?",
        *(now, now + state.settings.processing_seconds, head, sha256, planned, publish_id),
    )
    state.wake.set()


def is_video(head: bytes) -> bool:
    """Whether the first 64 bytes begin an MP4, MOV or WebM file. Codecs, size and length are not looked at."""
    if head[4:8] == b"ftyp":
        return head[8:12] not in (b"heic", b"heix", b"avif", b"mif1", b"M4A ")
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return True
    return head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head


def _next_verdict(state: TikTokState, username: str) -> str:
    """Take one ordered failure that fits the creator; empty when there is none."""
    row = state.store.one(
        "SELECT * FROM tiktok_verdict WHERE remaining > 0 AND username IN ('', ?) ORDER BY id LIMIT 1", username
    )
    if row is None:
        return ""
    state.store.run("UPDATE tiktok_verdict SET remaining = remaining - 1 WHERE id = ?", row["id"])
    return str(row["fail_reason"])


def settle(state: TikTokState) -> float | None:
    """Move everything that is due. Returns the next due time, None when nothing waits."""
    now = state.clock.now()
    due = "SELECT * FROM tiktok_share WHERE due_time <= ? ORDER BY due_time LIMIT 1"
    while (share := state.store.one(due, now)) is not None:
        with state.store.transaction():
            _step(state, share, share["due_time"])
    following = state.store.one("SELECT min(due_time) AS t FROM tiktok_share WHERE due_time IS NOT NULL")
    return None if following is None else following["t"]


def _step(state: TikTokState, share: sqlite3.Row, at: float) -> None:
    publish_id, username, planned = share["publish_id"], share["username"], share["planned_failure"]
    content = {"publish_id": publish_id, "publish_type": people.publish_type(bool(share["draft"]))}
    match share["state"]:
        case "PROCESSING" if planned and (planned in _FILE_REASONS or share["draft"]):
            people.fail(state, publish_id, planned, at)
        case "PROCESSING" if share["draft"]:
            _move(state, publish_id, "INBOX", None, at)
            state.tell("post.publish.inbox_delivered", username, content, at)
        case "PROCESSING":
            _move(state, publish_id, "MODERATING", at + state.settings.moderation_seconds, None)
        case "MODERATING" if planned:
            people.fail(state, publish_id, planned, at)
        case "MODERATING":
            public = share["privacy_level"] == "PUBLIC_TO_EVERYONE"
            _move(state, publish_id, "COMPLETE", at + state.settings.public_seconds if public else None, at)
            state.tell("post.publish.complete", username, content, at)
        case _:
            post_id = _make_public(state, publish_id, username, at)
            state.tell("post.publish.publicly_available", username, {**content, "post_id": post_id}, at)


def _move(state: TikTokState, publish_id: str, to: str, due: float | None, end: float | None) -> None:
    state.store.run(
        "UPDATE tiktok_share SET state = ?, due_time = ?, end_time = ? WHERE publish_id = ?", to, due, end, publish_id
    )


def _make_public(state: TikTokState, publish_id: str, username: str, at: float) -> int:
    # Above 2^53, as real ids: a client that reads them as floating point loses digits here too.
    post_id = 7_400_000_000_000_000_000 + secrets.randbelow(10**17)
    last = state.store.number("SELECT coalesce(max(public_ms), 0) FROM tiktok_share WHERE username = ?", username)
    # Unique per creator, because the cursor of video/list is a time in milliseconds.
    state.store.run(
        "UPDATE tiktok_share SET post_id = ?, public_time = ?, public_ms = ?, due_time = NULL WHERE publish_id = ?",
        *(post_id, at, max(int(at * 1000), last + 1), publish_id),
    )
    return post_id


def status(share: dict[str, Any]) -> dict[str, Any]:
    """`data` of status/fetch for a row of tiktok_share."""
    state, pulled = share["state"], share["source"] == "PULL_FROM_URL"
    moving = "PROCESSING_DOWNLOAD" if pulled else "PROCESSING_UPLOAD"
    # A draft that the creator has posted from the inbox stays there until its verdict.
    waiting = "SEND_TO_USER_INBOX" if share["draft"] and state == "MODERATING" else moving
    data: dict[str, Any] = {"status": _STATUS.get(state, waiting)}
    if state == "FAILED":
        data["fail_reason"] = share["fail_reason"]
    data["downloaded_bytes" if pulled else "uploaded_bytes"] = share["received"]
    if state == "COMPLETE":
        visible = share["post_id"] is not None and share["removed_time"] is None
        data["publicaly_available_post_id"] = [share["post_id"]] if visible else []
    return data


def remove_post(state: TikTokState, publish_id: str) -> None:
    """The creator (or the platform) removes a published post. Raises KeyError when there is none."""
    now = state.clock.now()
    with state.store.transaction():
        share = state.store.one(
            "SELECT * FROM tiktok_share WHERE publish_id = ? AND state = 'COMPLETE' AND removed_time IS NULL",
            publish_id,
        )
        if share is None:
            raise KeyError(publish_id)
        state.store.run(
            "UPDATE tiktok_share SET removed_time = ?, due_time = NULL WHERE publish_id = ?", now, publish_id
        )
        if share["post_id"] is not None:
            content = {"publish_id": publish_id, "publish_type": people.publish_type(bool(share["draft"]))}
            event = "post.publish.no_longer_publicaly_available"
            state.tell(event, share["username"], {**content, "post_id": share["post_id"]}, now)


def finish_draft(state: TikTokState, publish_id: str, caption: str, privacy_level: str) -> None:
    """The creator posts a draft from the inbox. Raises KeyError when no such draft waits."""
    now = state.clock.now()
    with state.store.transaction():
        changed = state.store.run(
            "UPDATE tiktok_share SET state = 'MODERATING', due_time = ?, caption = ?, privacy_level = ?"
            " WHERE publish_id = ? AND state = 'INBOX'",
            *(now + state.settings.moderation_seconds, caption, privacy_level, publish_id),
        )
        if not changed:
            raise KeyError(publish_id)
    state.wake.set()


def describe(share: sqlite3.Row) -> dict[str, Any]:
    """A share as the control API shows it: without credentials."""
    hidden = {"upload_id", "upload_key_hash", "grant_id", "head", "public_ms"}
    shown: dict[str, Any] = {key: share[key] for key in share.keys() if key not in hidden}  # noqa: SIM118 - sqlite3.Row
    shown["draft"] = bool(shown["draft"])
    shown["options"] = json.loads(shown["options"])
    shown["urls"] = json.loads(shown["urls"])
    shown["post_id"] = None if shown["post_id"] is None else str(shown["post_id"])
    shown["status"] = status(dict(share))["status"]
    return shown


def public_videos(state: TikTokState) -> list[sqlite3.Row]:
    """Every public video of every creator, with the counts of a row of tiktok_share."""
    settle(state)
    return state.store.all(
        "SELECT * FROM tiktok_share WHERE post_id IS NOT NULL AND removed_time IS NULL AND media = 'video'"
        " ORDER BY public_time"
    )
