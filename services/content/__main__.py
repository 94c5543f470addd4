"""Starts content: `python -m services.content`, and `… migrate` to prepare its schema."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from reelroute.content.v1 import agents_pb2_grpc, content_pb2_grpc

from kit import outbox, service
from kit.db import Database
from services.content import store
from services.content.agent_api import AgentApi
from services.content.agents.proposing import File
from services.content.agents.tiktok_shop import TikTokShopAgent
from services.content.api import ContentApi
from services.content.blobs import BlobStore, DiskBlobStore
from services.content.config import ContentConfig
from services.content.probe import Prober
from services.content.rehashing import rehash

_SWEEP_EVERY_SECONDS = 600
_REHASH_EVERY_SECONDS = 5
_REHASH_AT_MOST = 4

log = structlog.get_logger()


def run(config: ContentConfig) -> None:
    """Wires the service and serves until it is told to stop."""
    database = service.open_database(store.SCHEMA, config)
    blobs = open_blobs(config)
    prober = Prober(
        config.probe_limits(), parallel=config.media_probe_parallel, wait_seconds=config.media_probe_wait_seconds
    )
    api = ContentApi(
        database,
        blobs,
        prober,
        max_bytes=config.media_max_bytes,
        parallel_uploads=config.media_parallel_uploads,
        parallel_downloads=config.media_parallel_downloads,
    )
    channels = outbox.open_channels(
        {"fulfillment": config.fulfillment_address, "scheduler": config.scheduler_address},
        config.service_token.get_secret_value(),
    )
    shop = TikTokShopAgent(
        channels["fulfillment"],
        channels["scheduler"],
        lambda workspace_id, most: newest_files(database, workspace_id, most),
    )
    service.serve(
        store.SCHEMA,
        config,
        servicers=[
            (content_pb2_grpc.add_ContentServiceServicer_to_server, api, "reelroute.content.v1.ContentService"),
            (agents_pb2_grpc.add_AgentServiceServicer_to_server, AgentApi([shop]), "reelroute.content.v1.AgentService"),
        ],
        duties=[
            service.Duty(
                "sweep abandoned uploads",
                _SWEEP_EVERY_SECONDS,
                lambda: sweep(blobs, datetime.now(UTC), config.media_sweep_after_seconds),
            ),
            service.Duty(
                "make the hashes of older files",
                _REHASH_EVERY_SECONDS,
                lambda: rehash(database, blobs, prober, at_most=_REHASH_AT_MOST),
            ),
        ],
    )
    database.close()


def newest_files(database: Database, workspace_id: UUID, most: int) -> list[File]:
    """The files that a workspace uploaded last."""
    with database.transaction(workspace_id) as tx:
        return [File(str(asset_id), name) for asset_id, name in store.newest_files(tx, workspace_id, most)]


def open_blobs(config: ContentConfig) -> BlobStore:
    """Where the bytes are kept: in the bucket that is named, else on disk."""
    if not config.media_s3_bucket:
        return DiskBlobStore(config.media_folder)
    from services.content.blobs_s3 import S3BlobStore  # boto3 takes half a second to load

    secret = config.media_s3_secret_access_key
    return S3BlobStore(
        config.media_s3_bucket,
        config.media_folder / "staging",
        endpoint_url=config.media_s3_endpoint_url,
        region=config.media_s3_region,
        access_key_id=config.media_s3_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
    )


def sweep(blobs: BlobStore, now: datetime, after_seconds: float) -> None:
    """Removes what processes that died had taken in and not kept."""
    swept = blobs.sweep(now - timedelta(seconds=after_seconds))
    if swept:
        log.info("abandoned uploads removed", count=swept)


if __name__ == "__main__":
    service.main("content", ContentConfig, run)
