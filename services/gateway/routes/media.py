"""The media library."""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.content.v1 import content_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from kit import errors
from services.gateway.clients import Clients
from services.gateway.early_refusal import EarlyRefusal
from services.gateway.models.media import MediaAsset, MediaAssetList, UploadedMediaAsset
from services.gateway.models.problems import problems
from services.gateway.multipart import FileHeader, FileReader
from services.gateway.route import ApiRoute, gateway_of
from services.gateway.routes.depends import Caller_, Clients_, Id, PageSize, PageToken, RequestId
from services.gateway.upload import Upload

router = APIRouter(route_class=ApiRoute, tags=["Media"])

_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "One video or picture. Its file name and type are kept and checked.",
                        }
                    },
                    "required": ["file"],
                    "additionalProperties": False,
                },
                "example": {"file": "vertical_8s.mp4"},
            }
        },
    }
}


@router.post(
    "/v1/media",
    status_code=201,
    response_model=UploadedMediaAsset,
    responses=problems(body=True),
    openapi_extra=_UPLOAD_BODY,
)
async def upload_media(
    request: Request, response: Response, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> UploadedMediaAsset | Response:
    """Takes one file, checks that it is what it claims to be, and keeps it once.

    May be repeated, with or without `Idempotency-Key`: the same bytes give the same asset. Nothing is kept of an
    upload that breaks off.
    """
    config = gateway_of(request).config
    reader = FileReader(request, limit_bytes=config.max_upload_bytes, idle_seconds=config.upload_idle_seconds)
    try:
        answer = await _hand_on(reader, clients, caller.workspace_id)
    except errors.ReelrouteError as error:
        if reader.body_ended:
            raise
        return EarlyRefusal(error)
    response.headers["Location"] = f"/v1/media/{answer.media_asset.media_asset_id}"
    return UploadedMediaAsset.uploaded(answer)


@router.get("/v1/media", responses=problems())
async def list_media(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> MediaAssetList:
    """Lists the library, newest first."""
    request = pb.ListMediaAssetsRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.content.ListMediaAssets, request)
    return MediaAssetList(
        media=[MediaAsset.of(each) for each in answer.media_assets], next_page_token=answer.next_page_token
    )


@router.get("/v1/media/{media_asset_id:id}", responses=problems(404))
async def get_media(media_asset_id: Id, caller: Caller_, clients: Clients_) -> MediaAsset:
    """Reads what is known of a file."""
    request = pb.GetMediaAssetRequest(workspace_id=caller.workspace_id, media_asset_id=str(media_asset_id))
    return MediaAsset.of((await clients.call(clients.content.GetMediaAsset, request)).media_asset)


async def _hand_on(reader: FileReader, clients: Clients, workspace_id: str) -> pb.UploadMediaResponse:
    """The file, piece by piece, into content. Whatever goes wrong ends the call, so that content keeps nothing."""
    upload: Upload | None = None
    try:
        async for part in reader.read():
            if isinstance(part, FileHeader):
                header = pb.UploadHeader(
                    workspace_id=workspace_id, file_name=part.file_name, declared_mime_type=part.mime_type
                )
                upload = Upload(clients.uploads, header)
            else:
                assert upload is not None  # noqa: S101 - the header comes first
                await upload.send(part)
        assert upload is not None  # noqa: S101 - a form without a file was refused by the reader
        return await upload.finish()
    finally:
        if upload is not None:
            upload.cancel()
