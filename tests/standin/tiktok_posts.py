"""What became of the posts of a stand-in of TikTok: uploads, fetches, and the time that checks and moderation take."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from tests.standin.journal import Call
from tests.standin.server import Body, Reply

_RANGE = re.compile(r"bytes (0|[1-9]\d*)-(0|[1-9]\d*)/([1-9]\d*)")
_VIDEO_TYPES = {"video/mp4", "video/quicktime", "video/webm"}


@dataclass
class User:
    """A creator and what creator_info says. `left`: the app was disconnected. `refusal`: what posting is answered."""

    open_id: str
    handle: str
    levels: tuple[str, ...] = ("PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY")
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    longest_seconds: int = 600
    refusal: str = ""
    left: bool = False
    # Clean answers of creator_info, and the direct posts begun after them.
    asked: int = 0
    begun: int = 0
    asked_at: float = -1e9
    shown_levels: tuple[str, ...] = ()


@dataclass
class Post:
    """A publish_id. `url_end`: until when its upload address takes bytes; monotonic seconds, as all times."""

    publish_id: str
    who: str
    key: str
    is_draft: bool
    level: str
    text: str
    size: int = 0
    chunk: int = 0
    count: int = 0
    urls: tuple[str, ...] = ()
    stored: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    url_end: float = 0.0
    complete_at: float | None = None
    fail_reason: str = ""
    post_id: str = ""
    # How many bytes an answer that left has said to be stored.
    told: int = 0
    # Whether the answer to the newest chunk left; and whether its final chunk waits for a read of the state.
    chunk_answered: bool = True
    in_doubt: bool = False
    ended: bool = False  # its address was answered with 403 or 404

    @property
    def target(self) -> str:
        """Path and query of its upload address, in a spelling that must come back as it is."""
        return f"/video/{self.publish_id}?upload_id={self.publish_id}&upload_token={self.secret}%2FAb%2b%3d&e=1%7e2"

    @property
    def pulls(self) -> bool:
        return bool(self.urls)

    @property
    def is_complete(self) -> bool:
        return self.complete_at is not None


class Posts:
    """`processing`, `moderation`: seconds until a post is complete, and until it is public. `counts`: Content-Range of
    answers ends with the number of bytes, where it else ends with the last one's place; the documentation has neither.
    """

    def __init__(self) -> None:
        self.processing, self.moderation = 0.1, 0.1
        self.counts = False
        self.upload_seconds = 3600.0
        self.verdict = ""  # the fail_reason of posts that are completed
        self.unseen = False  # posts never get a public id
        self.by_id: dict[str, Post] = {}
        # While it is not set nothing is fetched.
        self.may_fetch = threading.Event()
        self.may_fetch.set()

    def of(self, who: str) -> list[Post]:
        return [post for post in self.by_id.values() if post.who == who]

    def caller_ended(self) -> None:
        """The process that called has ended: the answers of a moment ago may have died with it."""
        for post in self.by_id.values():
            post.told, post.chunk_answered = 0, False

    def published(self, text: str = "") -> list[Post]:
        """Those that are complete and did not fail: what a double would show in."""
        return [
            post
            for post in self.by_id.values()
            if post.is_complete and not post.fail_reason and (not text or post.text == text)
        ]

    def begin(self, post: Post) -> None:
        post.url_end = time.monotonic() + self.upload_seconds
        self.by_id[post.publish_id] = post

    def state(self, post: Post) -> dict[str, Any]:
        """`data` of a status answer. Ids are numbers, as documented."""
        if post.fail_reason and (post.is_complete or post.pulls):
            return {"status": "FAILED", "fail_reason": post.fail_reason}
        now = time.monotonic()
        if post.complete_at is None:
            if post.pulls:
                return {"status": "PROCESSING_DOWNLOAD", "downloaded_bytes": 0}
            return {"status": "PROCESSING_UPLOAD", "uploaded_bytes": post.stored}
        if now < post.complete_at + self.processing:
            # A word that is not documented yet.
            return {"status": "PROCESSING_TOMORROW", "uploaded_bytes": post.size}
        if post.is_draft:
            return {"status": "SEND_TO_USER_INBOX"}
        public = now >= post.complete_at + self.processing + self.moderation and post.level == "PUBLIC_TO_EVERYONE"
        if not public or self.unseen:
            return {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": []}
        return {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [int(post.post_id)]}

    def completed(self, post: Post) -> None:
        post.complete_at = time.monotonic()
        post.post_id = str(7_400_000_000_000_000_000 + secrets.randbelow(10**15))
        post.fail_reason = self.verdict

    def upload(self, call: Call, body: Body, breaks: Any, instead: Reply | None) -> Reply:
        """One chunk. `breaks` notes a broken rule; `instead` is answered, and nothing stored."""
        post = self.by_id.get(call.path.rpartition("/")[2])
        if post is None or call.target != post.target:
            breaks(call, "the upload address is not the one that was given")
            return Reply(404, code="unknown")
        call.who = post.who
        found = _RANGE.fullmatch(call.header("content-range"))
        for text in _header_problems(call, found, body.left):
            breaks(call, text)
        if found is None:
            return Reply(400, code="range")
        first, last, total = (int(each) for each in found.groups())
        call.body = {"first": first, "last": last, "total": total, "publish_id": post.publish_id}
        if post.ended:
            breaks(call, "bytes for an address that was answered as over")
        if time.monotonic() > post.url_end:
            post.ended = True
            return Reply(403, code="expired")
        if post.is_complete and not post.in_doubt:
            breaks(call, "bytes for an upload that is complete, which was answered")
        if post.in_doubt:
            breaks(call, "the final chunk again after a lost answer, without a read of the state")
        if instead is not None:
            post.chunk_answered = False
            return instead
        return self._take(call, post, (first, last, total), body, breaks)

    def _take(self, call: Call, post: Post, span: tuple[int, int, int], body: Body, breaks: Any) -> Reply:
        first, last, total = span
        if first != post.stored or post.is_complete:
            if post.chunk_answered or first < post.told:
                breaks(call, f"bytes from {first} on, stored are {post.stored}, and {post.told} were told")
            return Reply(416, headers={"Content-Range": self._range(post)}, code="range")
        index = first // post.chunk
        final = index == post.count - 1
        end = post.size if final else first + post.chunk
        if total != post.size or first % post.chunk or last != end - 1:
            breaks(call, f"{span} is no chunk of the plan: {post.size} bytes, {post.count} of {post.chunk}")
            return Reply(400, code="plan")
        digest = post.digest.copy()
        for piece in body.pieces():
            digest.update(piece)
        post.digest, post.stored, post.chunk_answered = digest, last + 1, False
        if final:
            self.completed(post)
            post.in_doubt = True
            return Reply(201, headers={"Content-Range": self._range(post)})
        return Reply(206, headers={"Content-Range": self._range(post)})

    def answered_chunk(self, call: Call) -> None:
        """The answer to a chunk left."""
        post = self.by_id.get(call.path.rpartition("/")[2])
        if post is not None:
            post.chunk_answered = call.status < 500
            if call.status in (201, 206, 416):
                post.told = post.stored
            if call.status == 201:
                post.in_doubt = False
            if call.status in (403, 404):
                post.ended = True

    def fetch(self, post: Post) -> None:
        """Downloads what is to be fetched, in a thread, as TikTok would: a direct 200, no redirect."""
        threading.Thread(target=self._fetch, args=(post,), daemon=True).start()

    def _fetch(self, post: Post) -> None:
        self.may_fetch.wait(30)
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            for url in post.urls:
                with opener.open(url, timeout=10) as answer:
                    kind = answer.headers.get_content_type()
                    if answer.status != 200 or kind not in _VIDEO_TYPES | {"image/jpeg", "image/webp"}:
                        raise OSError(f"{answer.status} {kind}")
                    post.digest.update(answer.read())
        except OSError as error:
            post.fail_reason = "photo_pull_failed" if len(post.urls) > 1 else "video_pull_failed"
            post.text += f" ({error})"
            return
        if not post.fail_reason:
            self.completed(post)

    def _range(self, post: Post) -> str:
        return f"bytes 0-{post.stored if self.counts else post.stored - 1}/{post.size}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _header_problems(call: Call, found: re.Match[str] | None, length: int) -> list[str]:
    problems = []
    if call.header("content-type") not in _VIDEO_TYPES:
        problems.append(f"the content type of a chunk is {call.header('content-type')!r}")
    if found is None:
        problems.append(f"Content-Range is {call.header('content-range')!r}")
    elif int(found[2]) - int(found[1]) + 1 != length:
        problems.append(f"Content-Range {found[0]} with {length} bytes")
    return problems


def key_of(endpoint: str, who: str, body: Any) -> str:
    """Equal for two inits of the same post: addresses count without their query, which is signed anew each time."""
    plain = re.sub(r"\?[^\"]*", "", json.dumps(body, sort_keys=True, default=str))
    return f"{endpoint} {who} {plain}"
