"""TikTok for Developers as its reference describes it, strict: what is not documented is noted as a violation.

It was written from the reference alone, and shares nothing with the sandbox or with the client that calls it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.standin import tiktok_rules as rules
from tests.standin.journal import Call, Journal
from tests.standin.server import Body, Reply, StandIn
from tests.standin.shapes import misfits
from tests.standin.tiktok_oauth import Login
from tests.standin.tiktok_posts import Post, Posts, User, key_of

# creator_info is to be the latest: seconds before an init.
_LATEST_SECONDS = 120.0


@dataclass(frozen=True)
class _Init:
    """What the newest init of a post was answered: `outcome` is ok, refused, capped, busy, or lost."""

    call: Call
    outcome: str
    post: Post | None = None


class TikTok(StandIn):
    """`verified`: prefixes of addresses that belong to the app. `audited`: else only private accounts may post.

    `posts_a_day`, `drafts_a_day`: of one creator.
    """

    client_key, client_secret = "stand-in-key", "stand-in-secret-0123456789abcdef"

    def __init__(self, minute: float = 60.0) -> None:
        super().__init__(Journal(rules.LIMITS, minute))
        self.login, self.posts = Login(self), Posts()
        self.users: dict[str, User] = {}
        self.verified: tuple[str, ...] = ()
        self.audited = True
        self.posts_a_day, self.drafts_a_day = 15, 5
        self._inits: dict[str, _Init] = {}

    def user(self, open_id: str) -> User:
        return self.users[open_id]

    def creator(self, handle: str, **facts: Any) -> User:
        """A new creator."""
        user = User(f"-000{secrets.token_urlsafe(12)}", handle, **facts)
        self.users[user.open_id] = user
        return user

    def webhook(self, event: str, who: str, content: Mapping[str, Any], **odd: Any) -> tuple[dict[str, str], bytes]:
        """Headers and body of an event. `odd`: another `secret`, or seconds that it is `old`."""
        now = int(time.time() - odd.get("old", 0))
        fields = {
            "client_key": self.client_key, "event": event, "create_time": now, "user_openid": who,
            "content": json.dumps(content),
        }  # fmt: skip
        body = json.dumps(fields).encode()
        secret = odd.get("secret", self.client_secret).encode()
        sign = hmac.new(secret, f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return {"TikTok-Signature": f"t={now},s={sign}", "Content-Type": "application/json"}, body

    # ---- what arrives

    def endpoint(self, call: Call) -> str:
        if call.method == "PUT" and call.path.startswith("/video/"):
            return "upload"
        return rules.PATHS.get((call.method, call.path), "")

    def identify(self, call: Call) -> None:
        if call.endpoint == "upload" and (post := self.posts.by_id.get(call.path.rpartition("/")[2])):
            call.who = post.who
            self._judge_headers(call, {"content-range"})
            return
        scheme, _, token = call.header("authorization").partition(" ")
        grant = self.login.holder(token) if scheme == "Bearer" else None
        call.token, call.who = token, grant.who if grant else self._old_holder(token)
        self._judge_headers(call, set() if call.endpoint in ("token", "revoke") else {"authorization"})

    def _judge_headers(self, call: Call, more: set[str]) -> None:
        allowed = rules.PLAIN_HEADERS | {"content-type"} | more
        for name, _value in call.headers:
            if name.lower() not in allowed:
                self.journal.breaks(call, f"the header {name} is not documented here")
        shown = f"{call.path}?{call.query}" + "".join(v for n, v in call.headers if n.lower() != "authorization")
        if any(secret in shown for secret in self._secrets()):
            self.journal.breaks(call, "a secret in the address or in a header that is not for it")

    def _secrets(self) -> list[str]:
        given = [each for grant in self.login.grants.values() for each in (grant.access, grant.refresh)]
        return [self.client_secret, *given]

    def _old_holder(self, token: str) -> str:
        """Whose it was: calls of old tokens count for the same user's rate."""
        return next((each.who for each in reversed(self.journal.calls) if token and each.token == token), "")

    def answer(self, call: Call, body: Body) -> Reply:
        if call.endpoint == "upload":
            return self.posts.upload(call, body, self.journal.breaks, self.instead(call))
        raw = body.all()
        if call.endpoint in ("token", "revoke"):
            return self.login.answer(call, raw, self.instead(call))
        with self.journal.lock:
            return self._envelope(call, raw)

    def _envelope(self, call: Call, raw: bytes) -> Reply:
        journal = self.journal
        if call.header("content-type").lower() != rules.JSON_TYPE:
            journal.breaks(call, f"the content type is {call.header('content-type')!r}")
        call.body = json.loads(raw) if raw else None
        shape = rules.body_shape(call.endpoint, call.body)
        if shape is None and raw:
            journal.breaks(call, f"a body where none is documented: {raw[:80]!r}")
        for problem in misfits(call.body, shape) if shape is not None else ():
            journal.breaks(call, problem)
        if any(secret.encode() in raw for secret in self._secrets()):
            journal.breaks(call, "a secret in the body")
        journal.arrived(call)
        if (instead := self.instead(call)) is not None and call.endpoint not in rules.INITS:
            return instead
        grant = self.login.holder(call.token)
        if grant is None or grant.access_end < time.monotonic() or self.user(grant.who).left:
            return envelope("access_token_invalid")
        if not rules.SCOPES[call.endpoint] & set(grant.scopes):
            return envelope("scope_not_authorized")
        if call.endpoint not in ("user_info", "video_list", "video_query") and call.query:
            journal.breaks(call, f"the query {call.query} is not documented")
        return self._do(call, self.user(grant.who), set(grant.scopes))

    def _do(self, call: Call, user: User, scopes: set[str]) -> Reply:
        match call.endpoint:
            case "creator_info":
                return self._creator_info(user)
            case "video_init" | "inbox_init" | "content_init":
                return self._init(call, user, scopes)
            case "status" | "cancel":
                return self._ask(call, user)
            case "user_info":
                return self._user_info(call, user, scopes)
        return self._videos(call, user)

    # ---- posting

    def _creator_info(self, user: User) -> Reply:
        if user.refusal:
            return envelope(user.refusal, quiet=user.refusal in rules.QUIET_REFUSALS)
        return envelope(
            data={
                "creator_username": user.handle, "creator_nickname": user.handle.title(),
                "creator_avatar_url": "https://p16.tiktokcdn.com/a.jpeg?x=1",
                "privacy_level_options": [*user.levels, "A_LEVEL_OF_TOMORROW"],
                "comment_disabled": user.comment_disabled, "duet_disabled": user.duet_disabled,
                "stitch_disabled": user.stitch_disabled, "max_video_post_duration_sec": user.longest_seconds,
            }
        )  # fmt: skip

    def _init(self, call: Call, user: User, scopes: set[str]) -> Reply:
        body = call.body if isinstance(call.body, dict) else {}
        info, source = body.get("post_info") or {}, body.get("source_info") or {}
        is_draft = call.endpoint == "inbox_init" or body.get("post_mode") == "MEDIA_UPLOAD"
        if ("video.upload" if is_draft else "video.publish") not in scopes:
            return envelope("scope_not_authorized")
        post = Post(
            publish_id=f"{'p' if call.endpoint == 'content_init' else 'v'}_pub_url~v2-1.{secrets.token_hex(8)}",
            who=user.open_id, key=key_of(call.endpoint, user.open_id, body), is_draft=is_draft,
            level=str(info.get("privacy_level", "")), text=str(info.get("description") or info.get("title") or ""),
            urls=tuple(source.get("photo_images") or filter(None, [source.get("video_url")])),
        )  # fmt: skip
        self._judge_repeat(call, post)
        if not is_draft:
            self._judge_direct(call, user, post, info)
        self._inits[post.key] = _Init(call, "lost")
        if (instead := self.instead(call)) is not None:
            return instead
        if refusal := self._refusal(user, post):
            return envelope(refusal)
        if not post.pulls:
            post.size, post.chunk, post.count = (
                int(source[name]) for name in ("video_size", "chunk_size", "total_chunk_count")
            )
            problems = list(rules.plan_problems(post.size, post.chunk, post.count))
            for problem in problems:
                self.journal.breaks(call, problem)
            if problems:
                return envelope("invalid_file_upload")
        self.posts.begin(post)
        call.note = post
        self._inits[post.key] = _Init(call, "lost", post)
        data = {"publish_id": post.publish_id}
        if post.pulls:
            self.posts.fetch(post)
        else:
            data["upload_url"] = self.url + post.target
        return envelope(data=data)

    def _judge_repeat(self, call: Call, post: Post) -> None:
        """An init of what was begun before."""
        last = self._inits.get(post.key)
        if last is None:
            return
        match last.outcome:
            case "refused":
                self.journal.breaks(call, f"an init again after the permanent refusal of {last.call}")
            case "capped":
                self.journal.breaks(call, f"an init again soon after the cap of {last.call}")
            case "lost" if post.pulls:
                self.journal.breaks(call, f"what publishes by itself again, after the lost answer of {last.call}")
        begun = last.post
        if begun is not None and begun.is_complete and begun.fail_reason not in rules.TRANSIENT_FAIL_REASONS:
            self.journal.breaks(call, f"an init again for what is published or refused: {last.call}")

    def _judge_direct(self, call: Call, user: User, post: Post, info: Mapping[str, Any]) -> None:
        last = self._inits.get(post.key)
        if last is None or last.outcome in ("ok", "refused"):
            user.begun += 1
        if user.begun > user.asked:
            self.journal.breaks(call, "no creator_info since the init before")
        if time.monotonic() - user.asked_at > _LATEST_SECONDS:
            self.journal.breaks(call, "the creator_info before it is old")
        if post.level not in user.shown_levels:
            self.journal.breaks(call, f"{post.level} was not among the options last answered: {user.shown_levels}")
        if info.get("brand_content_toggle") and post.level == "SELF_ONLY":
            self.journal.breaks(call, "branded content that nobody else sees")

    def _refusal(self, user: User, post: Post) -> str:
        mine = [each for each in self.posts.of(user.open_id) if each.is_draft is post.is_draft]
        taken = sum(1 for each in mine if each.is_complete or each.pulls)
        if post.is_draft:
            if taken >= self.drafts_a_day:
                return "spam_risk_too_many_pending_share"
        elif user.refusal:
            return user.refusal
        elif taken >= self.posts_a_day:
            return "spam_risk_too_many_posts"
        elif post.level not in user.levels:
            return "privacy_level_option_mismatch"
        elif not self.audited and (post.level != "SELF_ONLY" or "PUBLIC_TO_EVERYONE" in user.levels):
            return "unaudited_client_can_only_post_to_private_accounts"
        if any(not url.startswith(self.verified or "\0") for url in post.urls):
            return "url_ownership_unverified"
        return ""

    def _ask(self, call: Call, user: User) -> Reply:
        post = self.posts.by_id.get(str((call.body or {}).get("publish_id")))
        if post is None:
            self.journal.breaks(call, "a publish_id that was never given")
            return envelope("invalid_publish_id")
        if post.who != user.open_id:
            self.journal.breaks(call, "another user's publish_id")
            return envelope("token_not_authorized_for_specified_publish_id")
        if call.endpoint == "status":
            return envelope(data=self.posts.state(post))
        if not post.pulls or post.is_complete or post.fail_reason:
            return envelope("publish_not_cancellable")
        post.fail_reason = "publish_cancelled"
        return envelope(data={})

    # ---- reading

    def _user_info(self, call: Call, user: User, scopes: set[str]) -> Reply:
        known = {name for scope in scopes for name in rules.USER_FIELDS.get(scope, ())}
        asked = call.query.get("fields", "").split(",")
        if set(call.query) != {"fields"}:
            self.journal.breaks(call, f"the query {call.query} is not documented")
        if not set(asked) <= known:
            self.journal.breaks(call, f"fields {sorted(set(asked) - known)} beyond the scopes")
            return envelope("scope_permission_missed")
        all_of = {"open_id": user.open_id, "display_name": user.handle.title(), "username": user.handle}
        return envelope(data={"user": {name: all_of.get(name, "") for name in asked}})

    def _videos(self, call: Call, user: User) -> Reply:
        asked = call.query.get("fields", "").split(",")
        if set(call.query) != {"fields"} or not set(asked) <= rules.VIDEO_FIELDS:
            self.journal.breaks(call, f"the query {call.query} is not documented")
        posts = [post for post in self.posts.of(user.open_id) if "publicaly" in str(self.posts.state(post))]
        seen = [post for post in posts if self.posts.state(post)["publicaly_available_post_id"]]
        videos = [self._video(post, asked) for post in reversed(seen)]
        if call.endpoint == "video_query":
            wanted = call.body["filters"]["video_ids"]
            return envelope(data={"videos": [each for each in videos if each["id"] in wanted]})
        return envelope(data={"videos": videos[: call.body.get("max_count", 10)], "cursor": 0, "has_more": False})

    def _video(self, post: Post, asked: list[str]) -> dict[str, Any]:
        age = time.monotonic() - (post.complete_at or 0)
        facts = {
            "id": post.post_id, "create_time": int(time.time() - age), "title": post.text[:150],
            "video_description": post.text[:150], "duration": 15, "like_count": 3, "view_count": 2**40,
            "share_url": f"https://{urlsplit('https://www.tiktok.com/').netloc}/x",
        }  # fmt: skip
        return {name: facts.get(name, 0) for name in asked}

    # ---- what was answered

    def answered(self, call: Call, reply: Reply) -> None:
        if call.endpoint == "upload":
            self.posts.answered_chunk(call)
            return
        if call.endpoint in ("token", "revoke"):
            self.login.answered(call, reply)
            return
        if reply.status == 429:
            after = reply.headers.get("Retry-After")
            self.journal.asks_for_rest(call, float(after) if after else None)
        elif reply.code == "access_token_invalid":
            self.journal.token_is_over(call.token, "it was answered as invalid")
        elif reply.status < 500 and reply.code not in ("ok", *rules.CAPS) and call.endpoint != "creator_info":
            self.journal.refuses_for_good(call)
        if call.endpoint == "creator_info" and reply.code == "ok":
            user = self.user(call.who)
            user.asked, user.asked_at, user.shown_levels = user.asked + 1, time.monotonic(), user.levels
        if call.endpoint == "status" and reply.code == "ok":
            self.posts.by_id[call.body["publish_id"]].in_doubt = False
        if call.endpoint in rules.INITS:
            self._inits[key_of(call.endpoint, call.who, call.body)] = _Init(call, _outcome(reply), call.note)


def _outcome(reply: Reply) -> str:
    if reply.code == "ok":
        return "ok"
    if reply.status >= 500:
        return "lost"
    if reply.status in (401, 429):
        return "busy"
    return "capped" if reply.code in rules.CAPS else "refused"


def envelope(code: str = "ok", data: Mapping[str, Any] | None = None, *, quiet: bool = False) -> Reply:
    """An answer with its error code; `quiet`: with HTTP 200 all the same. There are always fields of tomorrow in it."""
    body = {
        "data": {**(data or {}), "a_field_of_tomorrow": [{"n": 2**60}]},
        "error": {"code": code, "message": "" if code == "ok" else f"It is {code}.", "log_id": secrets.token_hex(8)},
        "extra": {"now": 1},
    }
    return Reply(200 if quiet else rules.STATUS_OF.get(code, 400), body, code=code)
