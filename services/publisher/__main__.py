"""Starts the publisher: `python -m services.publisher`, `… migrate` to prepare its schema, `… keys` to see which master
keys are still needed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from reelroute.publisher.v1 import publisher_pb2_grpc
from reelroute.vendorcalls.v1 import vendorcalls_pb2_grpc

from kit import outbox, service, vendor_calls_api
from kit.db import ALL_WORKSPACES, Database
from kit.listen import Listener
from kit.loop import Loop
from kit.media_link import media_link
from kit.shared_rate_limit import SharedRateLimiter, forget_idle_buckets
from kit.vault import Vault, open_ring
from kit.vendor_calls import Recorder
from services.publisher import account_store, domain, store, webhook_store
from services.publisher.api import PublisherApi
from services.publisher.caps import Caps
from services.publisher.config import PublisherConfig
from services.publisher.foresight import Foresight
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Adapter
from services.publisher.platforms.bulletin import BulletinAdapter
from services.publisher.platforms.tiktok import MediaUrl, TikTokAdapter, quotas_of
from services.publisher.preflight import Preflight
from services.publisher.renewing import Endings, Renewals
from services.publisher.tables import data_keys
from services.publisher.worker import Platforms, Worker
from vendors.bulletin.client import BulletinClient
from vendors.bulletin.config import BulletinConfig
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig


def run(config: PublisherConfig) -> None:
    """Wires the service and serves until it is told to stop."""
    database = service.open_database(store.SCHEMA, config)
    vault = Vault(open_ring(config), data_keys)
    vault.check(database)
    ledger = Ledger(database, vault, f"{config.holder}/{os.getpid()}")
    recorder = Recorder(database, config.vendor_call_days)
    tiktok, bulletin_config = TikTokConfig(), BulletinConfig()
    limiter = SharedRateLimiter(database, "tiktok", tiktok.rates())
    client = TikTokClient(tiktok, on_call=recorder.on_call, limiter=limiter)
    bulletin = BulletinClient(bulletin_config, on_call=recorder.on_call) if bulletin_config.base_url else None
    media_url: MediaUrl | None = None
    if tiktok.media_url_prefix:
        media_url = functools.partial(media_link, config.service_token.get_secret_value(), tiktok.media_url_prefix)
    worker = Worker(config, ledger, _platforms(client, media_url, bulletin))
    channels = outbox.open_channels(
        {
            "scheduler": config.scheduler_address,
            "notification": config.notification_address,
            "content": config.content_address,
        },
        config.service_token.get_secret_value(),
    )
    quotas = {domain.Platform.TIKTOK: quotas_of(tiktok)}
    if bulletin is not None:
        quotas[domain.Platform.BULLETIN] = BulletinAdapter.quotas
    foresight = Foresight(database, channels, quotas, config.lead_seconds, serves_media=media_url is not None)
    preflight = Preflight(database, foresight, worker.read_limits)
    lead = timedelta(seconds=config.refresh_lead_seconds)
    renewals = Renewals(database, worker.refresh_ahead, lead, config.refreshes_at_once)
    relay = Loop("outbox relay", outbox.Relay(database, channels).run_once, interval_seconds=5, drain_seconds=5)
    recording = Loop("vendor calls", recorder.run_once, interval_seconds=1, drain_seconds=5)
    listener = Listener(
        database.url, {store.CHECKS_CHANNEL: worker.look_for_verdicts, f"{store.SCHEMA}_outbox": relay.wake}
    )
    service.serve(
        store.SCHEMA,
        config,
        servicers=[
            (
                publisher_pb2_grpc.add_PublisherServiceServicer_to_server,
                PublisherApi(ledger, worker, foresight, client, bulletin),
                "reelroute.publisher.v1.PublisherService",
            ),
            (
                vendorcalls_pb2_grpc.add_VendorCallServiceServicer_to_server,
                vendor_calls_api.VendorCallApi(database),
                vendor_calls_api.FULL_NAME,
            ),
        ],
        # Ended in the reverse order: the worker first, so that its last reports are still sent, its last calls stored.
        parts=[relay, recording, listener, worker],
        duties=[
            service.Duty("preflight", config.preflight_seconds, preflight.run_once),
            service.Duty("refresh ahead", config.refresh_poll_seconds, renewals.run_once),
            service.Duty("ends of authorisations", 60, Endings(database, foresight).run_once),
            service.Duty("key rotation", config.key_ring_seconds, lambda: vault.rotate(database)),
            service.Duty("forget unfinished connections", 600, lambda: _forget_connections(database)),
            service.Duty("forget places in accounts' days", 600, Caps(database).forget),
            service.Duty("forget webhooks", 600, lambda: _forget_webhooks(database)),
            service.Duty("forget idle rate buckets", 600, lambda: forget_idle_buckets(database)),
            service.Duty("forget vendor calls", 600, recorder.forget),
        ],
    )
    database.close()


@contextlib.asynccontextmanager
async def _platforms(
    client: TikTokClient, media_url: MediaUrl | None, bulletin: BulletinClient | None
) -> AsyncIterator[Platforms]:
    async with contextlib.AsyncExitStack() as clients:
        adapters: dict[domain.Platform, Adapter] = {
            domain.Platform.TIKTOK: TikTokAdapter(await clients.enter_async_context(client), media_url)
        }
        if bulletin is not None:
            adapters[domain.Platform.BULLETIN] = BulletinAdapter(await clients.enter_async_context(bulletin))
        yield Platforms(adapters, {domain.Platform.TIKTOK: client})


def _forget_connections(database: Database) -> None:
    with database.transaction(ALL_WORKSPACES) as tx:
        account_store.forget_connections(tx)


def _forget_webhooks(database: Database) -> None:
    with database.transaction(ALL_WORKSPACES) as tx:
        webhook_store.forget(tx)


def show_keys(config: PublisherConfig, arguments: Sequence[str]) -> None:
    """What `python -m services.publisher keys` does: says how many data keys need which master key."""
    database = service.open_database(store.SCHEMA, config)
    sys.stdout.write(Vault(open_ring(config), data_keys).report(database) + "\n")
    database.close()


if __name__ == "__main__":
    service.main("publisher", PublisherConfig, run, {"keys": show_keys})
