"""Files for platforms that fetch them (see kit.media_link): no key is needed, and nothing else is reached by a link.

As TikTok wants it: the answer is the file itself, never a redirect; HEAD and Range are served.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter
from reelroute.content.v1 import content_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from kit.errors import NotFound
from kit.media_link import PATH, opens
from services.gateway.clients import Clients
from services.gateway.route import gateway_of

router = APIRouter(include_in_schema=False)

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class MediaLinkClosed(NotFound):
    """A link that was never given away, or whose time is over; one answer for all of them."""


@router.api_route(f"/{PATH}/{{workspace_id}}/{{media_asset_id}}", methods=["GET", "HEAD"])
async def fetch_media(request: Request, workspace_id: str, media_asset_id: str) -> Response:
    """The bytes of a file, or a part of them, while the link is good."""
    gateway = gateway_of(request)
    _check(request, gateway.config.service_token.get_secret_value(), workspace_id, media_asset_id)
    clients = gateway.clients
    question = pb.GetMediaAssetRequest(workspace_id=workspace_id, media_asset_id=media_asset_id)
    asset = (await clients.call(clients.content.GetMediaAsset, question)).media_asset
    etag = f'"{asset.sha256}"'
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Cache-Control": "private, no-store"}
    wanted = request.headers.get("range", "") if request.headers.get("if-range", etag) == etag else ""
    first, end = span_of(wanted, asset.size_bytes) or (0, asset.size_bytes)
    if first >= end:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{asset.size_bytes}"})
    is_part = end - first < asset.size_bytes
    if is_part:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{asset.size_bytes}"
    headers |= {"Content-Length": str(end - first), "Content-Type": asset.mime_type}
    status = 206 if is_part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    part = pb.DownloadMediaRequest(
        workspace_id=workspace_id, media_asset_id=media_asset_id, offset_bytes=first, length_bytes=end - first
    )
    return StreamingResponse(await _begun(clients, part), status, headers)


def span_of(header: str, size: int) -> tuple[int, int] | None:
    """First byte, and the one behind the last, of a Range header; None: it asks for the whole, or for several parts.

    The first is not before the second where nothing of the file is meant.
    """
    parts = _RANGE.fullmatch(header.replace(" ", ""))
    if parts is None or not (parts[1] or parts[2]):
        return None
    if not parts[1]:
        return max(size - int(parts[2]), 0), size if int(parts[2]) else 0
    first, last = int(parts[1]), int(parts[2] or size)
    return None if last < first else (first, min(last + 1, size))


def _check(request: Request, secret: str, workspace_id: str, media_asset_id: str) -> None:
    """Raises MediaLinkClosed."""
    query = request.query_params
    expires = query.get("expires", "")
    try:
        workspace, asset = UUID(workspace_id), UUID(media_asset_id)
    except ValueError:
        raise _closed() from None
    if not re.fullmatch("[0-9]{1,12}", expires, re.ASCII) or not opens(
        secret, workspace, asset, expires=int(expires), signature=query.get("signature", ""), now=datetime.now(UTC)
    ):
        raise _closed()


def _closed() -> MediaLinkClosed:
    return MediaLinkClosed("This link opens nothing: it is not one of ours, or its time is over.")


async def _begun(clients: Clients, part: pb.DownloadMediaRequest) -> AsyncIterator[bytes]:
    """The pieces, the first of which has come: a library that refuses can still be answered."""
    pieces = clients.answers(clients.content.DownloadMedia, part)
    first = await anext(pieces)

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first.data
        async for piece in pieces:
            yield piece.data

    return all_pieces()
