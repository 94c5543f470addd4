"""Starts fulfillment: `python -m services.fulfillment`, `… migrate` to prepare its schema, `… keys` to see its keys,
`… readings` to check the record of who read whom orders go to.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from reelroute.fulfillment.v1.fulfillment_pb2_grpc import add_FulfillmentServiceServicer_to_server
from reelroute.fulfillment.v1.merchants_pb2_grpc import add_MerchantServiceServicer_to_server
from reelroute.fulfillment.v1.orders_pb2_grpc import add_OrderServiceServicer_to_server
from reelroute.fulfillment.v1.routing_pb2_grpc import add_RoutingServiceServicer_to_server
from reelroute.fulfillment.v1.stock_pb2_grpc import add_StockServiceServicer_to_server
from reelroute.vendorcalls.v1.vendorcalls_pb2_grpc import add_VendorCallServiceServicer_to_server

from kit import outbox, service, vendor_calls_api
from kit.db import ALL_WORKSPACES, Database
from kit.listen import Listener
from kit.loop import Loop
from kit.shared_rate_limit import SharedRateLimiter, forget_idle_buckets
from kit.vault import Vault, open_ring
from kit.vendor_calls import Recorder
from services.fulfillment import store
from services.fulfillment.api import FulfillmentApi
from services.fulfillment.calling import ShopCalls
from services.fulfillment.catalogue import Catalogue
from services.fulfillment.config import FulfillmentConfig
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.merchants.merchants_api import MerchantApi
from services.fulfillment.orders import order_store
from services.fulfillment.orders.personal import Erasing, first_broken
from services.fulfillment.orders.running import Orders
from services.fulfillment.renewing import Renewing
from services.fulfillment.routing.routing_api import RoutingApi
from services.fulfillment.shipping import telling_store
from services.fulfillment.shipping.tracking import Tracking
from services.fulfillment.stock.ledger_store import STOCK_CHANNEL
from services.fulfillment.stock.running import StockKeeping
from services.fulfillment.tables import data_keys
from services.fulfillment.webhooks import Webhooks
from vendors.amazon_sp.client import AmazonSpClient
from vendors.amazon_sp.config import AmazonSpConfig
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.config import TikTokShopConfig


def run(config: FulfillmentConfig) -> None:
    """Wires the service and serves until it is told to stop."""
    database = service.open_database(store.SCHEMA, config)
    vault = Vault(open_ring(config), data_keys)
    vault.check(database)
    tiktok_shop = TikTokShopConfig()
    limiter = SharedRateLimiter(database, "tiktok_shop", tiktok_shop.rates())
    recorder = Recorder(database, config.vendor_call_days)
    client = TikTokShopClient(tiktok_shop, on_call=recorder.on_call, limiter=limiter)
    calls = ShopCalls(database, vault, client)
    amazon_sp = AmazonSpConfig()
    amazon_limiter = SharedRateLimiter(database, "amazon_sp", amazon_sp.limits())
    amazon = AmazonCalls(database, vault, AmazonSpClient(amazon_sp, on_call=recorder.on_call, limiter=amazon_limiter))
    channels = outbox.open_channels(
        {"notification": config.notification_address}, config.service_token.get_secret_value()
    )
    catalogue = Catalogue(
        database, calls, every_seconds=config.catalogue_seconds, whole_seconds=config.catalogue_whole_seconds
    )
    hints = Webhooks(database, vault, calls, catalogue)
    renewing = Renewing(database, calls)
    erasing = Erasing(database, config.recipient_days, config.recipient_most_days)
    readers = [
        Loop(f"catalogue {number + 1}", catalogue.run_once, interval_seconds=5)
        for number in range(config.catalogue_readers)
    ]

    tracking = Tracking(config, database, calls, amazon)
    orders = Orders(config, database, vault, calls, amazon, tracking.telling)
    stock = StockKeeping(config, database, calls, amazon, orders.refresh)

    def drain() -> None:
        catalogue.stop()
        hints.stop()
        tracking.stop()
        orders.stop()
        stock.stop()

    webhooks = Loop("webhooks", hints.run_once, interval_seconds=5)
    recording = Loop("vendor calls", recorder.run_once, interval_seconds=1, drain_seconds=5)
    relay = Loop("outbox relay", outbox.Relay(database, channels).run_once, interval_seconds=5, drain_seconds=5)

    def read_catalogues() -> None:
        for reader in readers:
            reader.wake()

    listener = Listener(
        database.url,
        {
            f"{store.SCHEMA}_outbox": relay.wake,
            store.EVENTS_CHANNEL: webhooks.wake,
            store.CATALOGUES_CHANNEL: read_catalogues,
            telling_store.TRACKING_CHANNEL: tracking.wake,
            order_store.ORDERS_CHANNEL: orders.wake,
            store.ORDER_EVENTS_CHANNEL: orders.wake_hints,
            STOCK_CHANNEL: stock.wake,
        },
    )
    service.serve(
        store.SCHEMA,
        config,
        servicers=[
            (
                add_FulfillmentServiceServicer_to_server,
                FulfillmentApi(database, vault, calls, catalogue),
                "reelroute.fulfillment.v1.FulfillmentService",
            ),
            (
                add_MerchantServiceServicer_to_server,
                MerchantApi(database, vault, amazon),
                "reelroute.fulfillment.v1.MerchantService",
            ),
            (
                add_RoutingServiceServicer_to_server,
                RoutingApi(database, vault, calls),
                "reelroute.fulfillment.v1.RoutingService",
            ),
            (add_OrderServiceServicer_to_server, orders.api, "reelroute.fulfillment.v1.OrderService"),
            (add_StockServiceServicer_to_server, stock.api, "reelroute.fulfillment.v1.StockService"),
            (
                add_VendorCallServiceServicer_to_server,
                vendor_calls_api.VendorCallApi(database),
                vendor_calls_api.FULL_NAME,
            ),
        ],
        # Ended in the reverse order: what calls vendors before the calls, and these before their records are stored and
        # the last reports sent.
        parts=[
            relay,
            recording,
            listener,
            calls,
            amazon,
            webhooks,
            *readers,
            *tracking.loops,
            *orders.loops,
            *stock.loops,
        ],
        duties=[
            service.Duty("renew tokens ahead", 600, renewing.run_once),
            service.Duty("tell of authorisations that end", 3600, renewing.tell_of_ends),
            service.Duty("key rotation", config.key_ring_seconds, lambda: vault.rotate(database)),
            service.Duty("forget unfinished connections", 600, lambda: _forget_connections(database)),
            service.Duty("forget vendor calls", 600, recorder.forget),
            service.Duty("forget webhooks", 3600, hints.forget),
            service.Duty("measure how long orders wait", 15, orders.measure),
            service.Duty("measure how long stock waits to be told", 15, stock.measure),
            service.Duty("erase recipients", 3600, erasing.run_once),
            service.Duty("forget idle rate buckets", 600, lambda: forget_idle_buckets(database)),
        ],
        on_drain=drain,
    )
    database.close()


def _forget_connections(database: Database) -> None:
    with database.transaction(ALL_WORKSPACES) as tx:
        store.forget_connections(tx)


def show_keys(config: FulfillmentConfig, arguments: Sequence[str]) -> None:
    """What `python -m services.fulfillment keys` does: says how many data keys need which master key."""
    database = service.open_database(store.SCHEMA, config)
    sys.stdout.write(Vault(open_ring(config), data_keys).report(database) + "\n")
    database.close()


def check_readings(config: FulfillmentConfig, arguments: Sequence[str]) -> None:
    """What `python -m services.fulfillment readings` does: says whether who read recipients is told whole."""
    database = service.open_database(store.SCHEMA, config)
    with database.transaction(ALL_WORKSPACES) as tx:
        broken = first_broken(tx, Vault(open_ring(config), data_keys))
    for workspace_id, number in broken.items():
        sys.stdout.write(f"{workspace_id}  {'whole' if number is None else f'changed at reading {number}'}\n")
    database.close()
    if any(broken.values()):
        sys.exit(1)


if __name__ == "__main__":
    service.main(store.SCHEMA, FulfillmentConfig, run, {"keys": show_keys, "readings": check_readings})
