"""Whole lists of other services, where an answer needs all of it and one call is too small."""

from __future__ import annotations

from collections.abc import Sequence

from reelroute.content.v1 import content_pb2
from reelroute.publisher.v1 import publisher_pb2

from services.gateway.clients import Clients

# BatchGetMediaAssetsRequest takes so many of each.
_MEDIA_PER_CALL = 1000
_ACCOUNTS_PER_PAGE = 200


async def accounts(clients: Clients, workspace_id: str) -> list[publisher_pb2.Account]:
    """Every account of a workspace."""
    found: list[publisher_pb2.Account] = []
    request = publisher_pb2.ListAccountsRequest(workspace_id=workspace_id, page_size=_ACCOUNTS_PER_PAGE)
    while True:
        answer = await clients.call(clients.publisher.ListAccounts, request)
        found += answer.accounts
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


async def media_assets(
    clients: Clients, workspace_id: str, *, ids: Sequence[str] = (), file_names: Sequence[str] = ()
) -> list[content_pb2.MediaAsset]:
    """The assets with these ids, and those with these file names; what the workspace does not have is left out."""
    found: list[content_pb2.MediaAsset] = []
    for start in range(0, max(len(ids), len(file_names)), _MEDIA_PER_CALL):
        some = slice(start, start + _MEDIA_PER_CALL)
        answer = await clients.call(
            clients.content.BatchGetMediaAssets,
            content_pb2.BatchGetMediaAssetsRequest(
                workspace_id=workspace_id, media_asset_ids=ids[some], file_names=file_names[some]
            ),
        )
        found += answer.media_assets
    return found
