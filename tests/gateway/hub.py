"""All fakes, on real ports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from reelroute.content.v1 import agents_pb2_grpc, content_pb2_grpc
from reelroute.fulfillment.v1 import (
    fulfillment_pb2_grpc,
    merchants_pb2_grpc,
    orders_pb2_grpc,
    routing_pb2_grpc,
    stock_pb2_grpc,
)
from reelroute.identity.v1 import identity_pb2_grpc
from reelroute.notification.v1 import notification_pb2_grpc
from reelroute.publisher.v1 import publisher_pb2_grpc
from reelroute.scheduler.v1 import bulk_pb2_grpc, plans_pb2_grpc, scheduler_pb2_grpc, series_pb2_grpc
from reelroute.vendorcalls.v1 import vendorcalls_pb2_grpc

from kit import rpc_server
from tests.gateway import order_fakes, planning_fakes, shop_fakes
from tests.gateway.fakes import (
    SERVICE_TOKEN,
    Fake,
    FakeAgents,
    FakeContent,
    FakeIdentity,
    FakeNotification,
    FakePublisher,
    FakeScheduler,
    FakeVendorCalls,
    Memory,
)


class Hub:
    """All fakes, each a server of its own, as in production."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.addresses: dict[str, str] = {}
        self.health: dict[str, health.HealthServicer] = {}
        self._servers: list[grpc.Server] = []
        services: list[tuple[str, Callable[[Any, grpc.Server], None], Fake]] = [
            ("identity", identity_pb2_grpc.add_IdentityServiceServicer_to_server, FakeIdentity(self)),
            ("content", content_pb2_grpc.add_ContentServiceServicer_to_server, FakeContent(self)),
            ("publisher", publisher_pb2_grpc.add_PublisherServiceServicer_to_server, FakePublisher(self)),
            ("scheduler", scheduler_pb2_grpc.add_SchedulerServiceServicer_to_server, FakeScheduler(self)),  # type: ignore[abstract]
            ("notification", notification_pb2_grpc.add_NotificationServiceServicer_to_server, FakeNotification(self)),  # type: ignore[abstract]
            (
                "fulfillment",
                fulfillment_pb2_grpc.add_FulfillmentServiceServicer_to_server,
                shop_fakes.FakeFulfillment(self),
            ),
        ]
        calls = vendorcalls_pb2_grpc.add_VendorCallServiceServicer_to_server
        # In the same process.
        others: dict[str, list[tuple[Callable[[Any, grpc.Server], None], Fake]]] = {
            "content": [(agents_pb2_grpc.add_AgentServiceServicer_to_server, FakeAgents(self))],
            "publisher": [(calls, FakeVendorCalls(self, "publisher"))],
            "fulfillment": [
                (calls, FakeVendorCalls(self, "fulfillment")),
                (merchants_pb2_grpc.add_MerchantServiceServicer_to_server, order_fakes.FakeMerchants(self)),
                (routing_pb2_grpc.add_RoutingServiceServicer_to_server, order_fakes.FakeRouting(self)),
                (orders_pb2_grpc.add_OrderServiceServicer_to_server, order_fakes.FakeOrders(self)),
                (stock_pb2_grpc.add_StockServiceServicer_to_server, order_fakes.FakeStock(self)),
            ],
            "scheduler": [
                (plans_pb2_grpc.add_PlanServiceServicer_to_server, planning_fakes.FakePlans(self)),
                (series_pb2_grpc.add_SeriesServiceServicer_to_server, planning_fakes.FakeSeries(self)),
                (bulk_pb2_grpc.add_BulkServiceServicer_to_server, planning_fakes.FakeBulk(self)),  # type: ignore[abstract]
            ],
        }
        for name, add, fake in services:
            server = rpc_server.build_server(SERVICE_TOKEN, threads=4)
            add(fake, server)
            for add_beside, beside in others.get(name, ()):
                add_beside(beside, server)
            self.health[name] = health.HealthServicer()
            health_pb2_grpc.add_HealthServicer_to_server(self.health[name], server)
            self.serving(name, True)
            self.addresses[f"{name}_address"] = f"127.0.0.1:{rpc_server.listen(server, '127.0.0.1:0')}"
            server.start()
            self._servers.append(server)

    def serving(self, name: str, ready: bool) -> None:
        """Sets what a fake says about its health."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        self.health[name].set(f"reelroute.{name}.v1.{name.capitalize()}Service", status)

    def stop(self) -> None:
        """Ends every server."""
        for server in self._servers:
            server.stop(0).wait()
