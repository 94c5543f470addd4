"""TikTok for Developers as typed calls.

Every method takes ``timeout_seconds``, the time for the whole call with its retries (the configured one by default),
and raises the errors of kit.vendor_errors. Reads, the start of a file upload (harmless: nothing is published before
the bytes arrive), cancel, refresh and revoke are tried again here; the exchange of a code, the upload of chunks, and a
post that TikTok fetches by address (which publishes by itself) are not. A final chunk without an answer is
VendorUncertain: ask status_fetch before anything else. So is a post by address: nothing tells what became of it.
"""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import yarl

from kit.rate_limit import Limiter
from kit.vendor_call import CallRecord, StreamBody, VendorAnswer, VendorCall
from kit.vendor_http import VendorHttp
from kit.vendor_json import UnreadableAnswer
from vendors.tiktok import models
from vendors.tiktok.chunks import ChunkPlan, ChunkSpan
from vendors.tiktok.config import TikTokConfig
from vendors.tiktok.errors import UploadAddressRefused, inspect_envelope, inspect_oauth, inspect_upload

T = TypeVar("T")
_RANGE = re.compile(r"bytes\s+\d+-(\d{1,15})/(?:\d+|\*)")
_UPLOAD_DOMAIN = ".tiktokapis.com"


class TikTokClient:
    """Calls TikTok for any number of users; holds connections, no users' tokens.

    Without a ``limiter`` TikTok's rates are kept by this process alone.
    """

    def __init__(
        self,
        config: TikTokConfig,
        *,
        on_call: Callable[[CallRecord], None] | None = None,
        limiter: Limiter | None = None,
        http: VendorHttp | None = None,
    ) -> None:
        self.config = config
        self._http = http or VendorHttp(config.http_settings(), on_call=on_call, limiter=limiter)
        self._application_rates = (("application", config.client_key),) if config.application_per_minute else ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def exchange_code(
        self, *, code: str, redirect_uri: str, code_verifier: str, timeout_seconds: float | None = None
    ) -> models.TokenGrant:
        """Turn the callback's code (URL-decoded once) into tokens.

        A code works once: after VendorUncertain or VendorUnavailable the owner goes through the consent page again.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
        }
        return await self._token("exchange_code", form, (code, code_verifier), timeout_seconds, commits=True)

    async def refresh(self, refresh_token: str, *, timeout_seconds: float | None = None) -> models.TokenGrant:
        """Get a new access token. The answer may hold another refresh token: store both at once.

        One refresh per account at a time. After VendorUnavailable the account stays connected and the stored refresh
        token is tried again: no other is known, whether or not TikTok made one. It is tried again here at once for the
        same reason.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self._token("refresh", form, (refresh_token,), timeout_seconds, commits=False)

    async def revoke(self, access_token: str, *, timeout_seconds: float | None = None) -> None:
        """Take back the user's grant. Doing it twice does no harm."""
        await self._call(
            VendorCall(
                operation="revoke",
                method="POST",
                url="/v2/oauth/revoke/",
                form=self._client_form() | {"token": access_token},
                repeatable=True,
                inspect=inspect_oauth,
                secrets=(access_token, self.config.client_secret.get_secret_value()),
                answer_is_secret=True,
            ),
            timeout_seconds,
        )

    async def creator_info(self, access_token: str, *, timeout_seconds: float | None = None) -> models.CreatorInfo:
        """What the creator may do now; scope video.publish, 20 a minute. To be read before every direct post.

        Caps and bans are raised from here although TikTok sends them with HTTP 200. A clean answer is no promise.
        """
        call = self._read("creator_info", "POST", "/v2/post/publish/creator_info/query/", access_token)
        return await self._data(call, models.creator_info, timeout_seconds)

    async def video_init(
        self, access_token: str, post: models.VideoPost, plan: ChunkPlan, *, timeout_seconds: float | None = None
    ) -> models.VideoUpload:
        """Begin a direct post by file upload; scope video.publish, 6 a minute. Publishes nothing.

        Store the publish id before the first byte is sent. A lost answer is harmless and is tried again.
        """
        body = {"post_info": post.as_json(), "source_info": _file_source(plan)}
        call = self._read("video_init", "POST", "/v2/post/publish/video/init/", access_token, body=body)
        return await self._data(call, models.video_upload, timeout_seconds)

    async def draft_init(
        self, access_token: str, plan: ChunkPlan, *, timeout_seconds: float | None = None
    ) -> models.VideoUpload:
        """Begin a draft by file upload; scope video.upload, 6 a minute. As video_init, but the last byte brings it into
        the owner's inbox, where its caption and settings are chosen.
        """
        body = {"source_info": _file_source(plan)}
        call = self._read("inbox_init", "POST", "/v2/post/publish/inbox/video/init/", access_token, body=body)
        return await self._data(call, models.video_upload, timeout_seconds)

    async def post_video_from(
        self,
        access_token: str,
        video_url: str,
        post: models.VideoPost | None,
        *,
        last_moment: Callable[[], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> str:
        """Have TikTok fetch a video and post it, or put it into the owner's inbox (``post`` None). The publish id.

        Scopes and rates as video_init and draft_init. It publishes by itself, and twice is two posts: without an answer
        it is VendorUncertain. ``last_moment`` is called when the connection stands, right before the call leaves; what
        it raises ends the call before that, and comes through as it is.
        """
        body: dict[str, Any] = {"source_info": {"source": "PULL_FROM_URL", "video_url": video_url}}
        if post is None:
            operation, path = "inbox_init", "/v2/post/publish/inbox/video/init/"
        else:
            operation, path = "video_init", "/v2/post/publish/video/init/"
            body["post_info"] = post.as_json()
        return await self._post(operation, path, access_token, body, last_moment, timeout_seconds)

    async def post_photos(
        self,
        access_token: str,
        post: models.PhotoPost,
        *,
        last_moment: Callable[[], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> str:
        """Have TikTok fetch photos and post them; scope video.publish, or video.upload for a draft; 6 a minute. The
        publish id. ``last_moment`` and doubt as post_video_from.
        """
        return await self._post(
            "content_init", "/v2/post/publish/content/init/", access_token, post.as_json(), last_moment, timeout_seconds
        )

    async def cancel(self, access_token: str, publish_id: str, *, timeout_seconds: float | None = None) -> None:
        """Stop a post that TikTok is still fetching by its address. VendorRejected (publish_not_cancellable) when it is
        too late, or was stopped before.
        """
        call = self._read(
            "cancel",
            "POST",
            "/v2/post/publish/cancel/",
            access_token,
            body={"publish_id": publish_id},
            handle=publish_id,
        )
        await self._call(replace(call, rates=call.rates[1:]), timeout_seconds)

    async def upload_chunk(
        self,
        upload_url: str,
        span: ChunkSpan,
        pieces: AsyncIterator[bytes],
        *,
        content_type: str = "video/mp4",
        publish_id: str | None = None,
        timeout_seconds: float | None = None,
    ) -> models.ChunkReply:
        """Send one chunk; ``pieces`` must add up to ``span.length`` bytes. Chunks go in order, one at a time.

        The final chunk publishes: unanswered it is VendorUncertain, and so is a 5xx to it. Any other chunk that is
        VendorUnavailable may be sent again. UploadGone asks for a new video_init, but only if no final chunk of this
        publish id went unanswered before: then status_fetch decides. UploadAddressRefused asks for a person.
        ``publish_id`` only names the call in records. What ``pieces`` raises comes through as it is.
        """
        self._check_upload_url(upload_url)
        answer = await self._call(
            VendorCall(
                operation="upload_chunk",
                method="PUT",
                url=upload_url,
                to_foreign_host=True,
                headers={"Content-Range": span.content_range},
                stream=StreamBody(self._small(pieces), span.length, content_type),
                commits=span.is_final,
                inspect=inspect_upload,
                handle=publish_id,
            ),
            self.config.chunk_timeout_seconds if timeout_seconds is None else timeout_seconds,
        )
        match answer.status:
            case 416:
                state = models.ChunkState.OUT_OF_STEP
            case 206:
                state = models.ChunkState.STORED
            case 201:
                state = models.ChunkState.COMPLETE
            case _:  # any other success is undocumented; the position decides
                state = models.ChunkState.COMPLETE if span.is_final else models.ChunkState.STORED
        stored = _RANGE.fullmatch(answer.headers.get("content-range", "").strip())
        return models.ChunkReply(state, answer.status, int(stored[1]) if stored else None)

    async def status_fetch(
        self, access_token: str, publish_id: str, *, timeout_seconds: float | None = None
    ) -> models.PublishStatus:
        """Where a post is; scope video.publish or video.upload, 30 a minute. FAILED is an answer, not an error here."""
        call = self._read(
            "status_fetch",
            "POST",
            "/v2/post/publish/status/fetch/",
            access_token,
            body={"publish_id": publish_id},
            handle=publish_id,
        )
        return await self._data(call, models.publish_status, timeout_seconds)

    async def user_info(
        self,
        access_token: str,
        *,
        fields: Sequence[str] = models.USER_FIELDS["user.info.basic"],
        timeout_seconds: float | None = None,
    ) -> models.UserInfo:
        """The user's profile; scopes by field (models.USER_FIELDS), 600 a minute. ``open_id`` must be among them."""
        call = self._read("user_info", "GET", f"/v2/user/info/?{urlencode({'fields': ','.join(fields)})}", access_token)
        return await self._data(call, models.user_info, timeout_seconds)

    async def video_list(
        self,
        access_token: str,
        *,
        cursor: int | None = None,
        max_count: int = 20,
        fields: Sequence[str] = models.VIDEO_FIELDS,
        timeout_seconds: float | None = None,
    ) -> models.VideoPage:
        """Public videos, newest first; scope video.list, 600 a minute. ``max_count`` 1 to 20; ``cursor`` in ms."""
        body: dict[str, Any] = {"max_count": max_count}
        if cursor is not None:
            body["cursor"] = cursor
        # The fields go into the query, not into the body.
        url = f"/v2/video/list/?{urlencode({'fields': ','.join(fields)})}"
        call = self._read("video_list", "POST", url, access_token, body=body)
        return await self._data(call, models.video_page, timeout_seconds)

    async def video_query(
        self,
        access_token: str,
        video_ids: Sequence[str],
        *,
        fields: Sequence[str] = models.VIDEO_FIELDS,
        timeout_seconds: float | None = None,
    ) -> models.VideoPage:
        """Public videos by their ids, 1 to 20; scope video.list, 600 a minute. What is not the user's, or not public,
        is left out.
        """
        url = f"/v2/video/query/?{urlencode({'fields': ','.join(fields)})}"
        body = {"filters": {"video_ids": list(video_ids)}}
        call = self._read("video_query", "POST", url, access_token, body=body)
        return await self._data(call, models.video_page, timeout_seconds)

    async def _token(
        self,
        operation: str,
        form: dict[str, str],
        secrets: tuple[str, ...],
        timeout_seconds: float | None,
        *,
        commits: bool,
    ) -> models.TokenGrant:
        call = VendorCall(
            operation=operation,
            method="POST",
            url="/v2/oauth/token/",
            form=self._client_form() | form,
            repeatable=not commits,
            commits=commits,
            inspect=inspect_oauth,
            secrets=(*secrets, self.config.client_secret.get_secret_value()),
            answer_is_secret=True,
        )
        return await self._typed(call, lambda body: models.token_grant(_mapping(body)), timeout_seconds)

    def _client_form(self) -> dict[str, str]:
        return {
            "client_key": self.config.client_key,
            "client_secret": self.config.client_secret.get_secret_value(),
        }

    def _read(
        self, operation: str, method: str, url: str, access_token: str, *, body: Any = None, handle: str | None = None
    ) -> VendorCall:
        """A call that may be repeated, counted against the user's own rate."""
        return VendorCall(
            operation=operation,
            method=method,
            url=url,
            bearer=access_token,
            headers={"Content-Type": "application/json; charset=UTF-8"},
            json=body,
            repeatable=True,
            # Limits are per user token; a digest, so that no token lies about as a key.
            rates=((operation, hashlib.sha256(access_token.encode()).hexdigest()), *self._application_rates),
            inspect=inspect_envelope,
            handle=handle,
        )

    async def _post(
        self,
        operation: str,
        path: str,
        access_token: str,
        body: Mapping[str, Any],
        last_moment: Callable[[], None] | None,
        timeout_seconds: float | None,
    ) -> str:
        """A call that publishes by itself."""
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

        async def leaving() -> AsyncIterator[bytes]:
            if last_moment is not None:
                last_moment()
            yield content

        call = replace(
            self._read(operation, "POST", path, access_token, body=body),
            repeatable=False,
            commits=True,
            stream=StreamBody(leaving(), len(content), "application/json; charset=UTF-8"),
        )
        return await self._data(call, models.publish_id, timeout_seconds)

    async def _data(self, call: VendorCall, read: Callable[[Mapping[str, Any]], T], timeout_seconds: float | None) -> T:
        return await self._typed(call, lambda body: read(_mapping(_mapping(body).get("data"))), timeout_seconds)

    async def _typed(self, call: VendorCall, read: Callable[[Any], T], timeout_seconds: float | None) -> T:
        return await self._http.read(call, read, timeout_seconds=self._seconds(timeout_seconds))

    async def _call(self, call: VendorCall, timeout_seconds: float | None) -> VendorAnswer:
        return await self._http.call(call, timeout_seconds=self._seconds(timeout_seconds))

    def _seconds(self, timeout_seconds: float | None) -> float:
        return self.config.call_timeout_seconds if timeout_seconds is None else timeout_seconds

    async def _small(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same bytes in pieces small enough that progress shows on a slow line."""
        size = self.config.upload_piece_bytes
        async for piece in pieces:
            view = memoryview(piece)
            for start in range(0, len(view), size):
                yield bytes(view[start : start + size])

    def _check_upload_url(self, upload_url: str) -> None:
        """Bytes go to TikTok's hosts by https; or to the configured host, where that is not TikTok (a sandbox)."""
        refusal = UploadAddressRefused(
            "The upload address is not one of TikTok's.",
            vendor="tiktok",
            operation="upload_chunk",
            code="upload_address_refused",
            advice="Check REELROUTE_TIKTOK_BASE_URL; nothing was sent.",
        )
        if not upload_url.isascii() or not upload_url.isprintable() or re.search(r"[\s\\#]", upload_url):
            raise refusal
        try:
            # Read by the same library that will connect to it.
            url, base = yarl.URL(upload_url, encoded=True), yarl.URL(self.config.base_url)
        except ValueError:
            raise refusal from None
        host = url.host or ""
        if not host or "@" in url.raw_authority:
            raise refusal
        if url.scheme == "https" and host.endswith(_UPLOAD_DOMAIN) and url.port == 443:
            return
        of_tiktok = (base.host or "").endswith(_UPLOAD_DOMAIN)
        if of_tiktok or (url.scheme, host, url.port) != (base.scheme, base.host, base.port):
            raise refusal


def _file_source(plan: ChunkPlan) -> dict[str, Any]:
    return {
        "source": "FILE_UPLOAD",
        "video_size": plan.video_size,
        "chunk_size": plan.chunk_size,
        "total_chunk_count": plan.count,
    }


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnreadableAnswer("its data")
    return value
