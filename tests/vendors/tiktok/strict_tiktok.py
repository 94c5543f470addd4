"""The little of TikTok that the client's tests need, as strict as its documents, with memory."""

import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.vendors.fake_vendor import FakeVendor

ACCESS = "act.canary-access-0123456789"
REFRESH = "rft.canary-refresh-0123456789"
KEY, SECRET = "key-of-the-app", "canary-secret-of-the-app"
PUBLISH_ID = "v_pub_file~v2.7312345678901234567"
POST_ID = 7312345678901234567  # above 2^53: a double would lose its last digits
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass
class StrictTikTok:
    """Answers creator_info, video/init, the upload address and status/fetch by the book; set it as ``otherwise``."""

    vendor: FakeVendor
    size: int = 0
    stored: int = 0
    # How the last number of Content-Range is meant: the documents do not say.
    counts_bytes: bool = False
    inits: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/upload":
            return await self._chunk(request)
        assert request.headers["Authorization"] == f"Bearer {ACCESS}"
        assert request.headers["Content-Type"] == "application/json; charset=UTF-8"
        match request.path:
            case "/v2/post/publish/creator_info/query/":
                assert await request.read() == b""
                return self._ok(
                    creator_username="emberfold.air",
                    creator_nickname="Emberfold Air",
                    creator_avatar_url="https://cdn.example/a.jpg?sig=1",
                    privacy_level_options=["PUBLIC_TO_EVERYONE", "SELF_ONLY"],
                    comment_disabled=False,
                    duet_disabled=True,
                    stitch_disabled=False,
                    max_video_post_duration_sec=300,
                )
            case "/v2/post/publish/video/init/":
                self.inits.append(await request.json())
                self.size = self.inits[-1]["source_info"]["video_size"]
                return self._ok(
                    publish_id=PUBLISH_ID, upload_url=f"{self.vendor.url}/upload?upload_id=1&upload_token=cana%2Fry"
                )
            case "/v2/post/publish/status/fetch/":
                assert await request.json() == {"publish_id": PUBLISH_ID}
                done = self.stored == self.size
                return self._ok(
                    status="PUBLISH_COMPLETE" if done else "PROCESSING_UPLOAD",
                    publicaly_available_post_id=[POST_ID] if done else [],
                    uploaded_bytes=self.stored,
                )
        raise AssertionError(request.path)

    async def _chunk(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.raw_path == "/upload?upload_id=1&upload_token=cana%2Fry"
        assert request.method == "PUT"
        assert request.headers["Content-Type"] == "video/mp4"
        assert not {"Authorization", "Transfer-Encoding"} & set(request.headers)
        span = _RANGE.fullmatch(request.headers["Content-Range"])
        assert span is not None
        first, last, total = map(int, span.groups())
        assert total == self.size
        body = await request.read()
        assert len(body) == int(request.headers["Content-Length"]) == last - first + 1
        status = 416
        if first == self.stored:
            self.stored = last + 1
            status = 201 if self.stored == total else 206
        shown = self.stored if self.counts_bytes else self.stored - 1
        return web.Response(status=status, headers={"Content-Range": f"bytes 0-{max(shown, 0)}/{total}"})

    @staticmethod
    def _ok(**data: Any) -> web.StreamResponse:
        return web.json_response({"data": data, "error": {"code": "ok", "message": "", "log_id": "2026112104AA"}})
