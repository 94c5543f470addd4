"""The services behind the gateway: one channel each, and calls that carry token, request id and a deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, TypeVar

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
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

from kit import context, errors
from kit.rpc import aio_channel, call_metadata, channel
from kit.rpc_status import from_rpc_error
from services.gateway.config import GatewayConfig
from services.gateway.errors import in_rest_words

log = structlog.get_logger()

Request = TypeVar("Request")
Response = TypeVar("Response")


class Clients:
    """Stubs of every service. To be made inside the event loop that uses them, and closed there."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._token = config.service_token.get_secret_value()
        self._channels = {
            "identity": aio_channel(config.identity_address),
            "content": aio_channel(config.content_address),
            "scheduler": aio_channel(config.scheduler_address),
            "publisher": aio_channel(config.publisher_address),
            "notification": aio_channel(config.notification_address),
            "fulfillment": aio_channel(config.fulfillment_address),
        }
        self.identity = identity_pb2_grpc.IdentityServiceStub(self._channels["identity"])
        self.content = content_pb2_grpc.ContentServiceStub(self._channels["content"])
        self.agents = agents_pb2_grpc.AgentServiceStub(self._channels["content"])
        self.scheduler = scheduler_pb2_grpc.SchedulerServiceStub(self._channels["scheduler"])
        self.plans = plans_pb2_grpc.PlanServiceStub(self._channels["scheduler"])
        self.series = series_pb2_grpc.SeriesServiceStub(self._channels["scheduler"])
        self.bulk = bulk_pb2_grpc.BulkServiceStub(self._channels["scheduler"])
        self.publisher = publisher_pb2_grpc.PublisherServiceStub(self._channels["publisher"])
        # Of every service that calls vendors: each has the calls that it made.
        self.vendor_calls = [
            vendorcalls_pb2_grpc.VendorCallServiceStub(self._channels[name]) for name in ("publisher", "fulfillment")
        ]
        self.notification = notification_pb2_grpc.NotificationServiceStub(self._channels["notification"])
        self.fulfillment = fulfillment_pb2_grpc.FulfillmentServiceStub(self._channels["fulfillment"])
        self.merchants = merchants_pb2_grpc.MerchantServiceStub(self._channels["fulfillment"])
        self.routing = routing_pb2_grpc.RoutingServiceStub(self._channels["fulfillment"])
        self.orders = orders_pb2_grpc.OrderServiceStub(self._channels["fulfillment"])
        self.stock = stock_pb2_grpc.StockServiceStub(self._channels["fulfillment"])
        # For services.gateway.upload, which says why it has a channel of its own.
        self._upload_channel = channel(config.content_address, self._token)
        self.uploads = content_pb2_grpc.ContentServiceStub(self._upload_channel)

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        waits_on_vendor: bool = False,
    ) -> Response:
        """One call. Raises what the service refused; Unavailable or DeadlineExceeded when it does not answer.

        One that waits on a vendor may take all the time that the request has.
        """
        config = self._config
        timeout = context.remaining_seconds(config.upload_seconds if waits_on_vendor else config.call_seconds)
        try:
            return await method(request, timeout=timeout, metadata=tuple(call_metadata(self._token)))
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from error

    async def answers(
        self, method: grpc.aio.UnaryStreamMultiCallable[Request, Response], request: Request
    ) -> AsyncIterator[Response]:
        """The answers of a call that has many, as they come. Raises as `call`."""
        running = method(request, **self.stream_terms())
        try:
            async for answer in running:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from error
        finally:
            running.cancel()

    async def is_serving(self, service: str) -> bool:
        """Whether a service, by its short name, says that it is ready."""
        full_name = f"reelroute.{service}.v1.{service.capitalize()}Service"
        stub = health_pb2_grpc.HealthStub(self._channels[service])
        try:
            answer = await stub.Check(
                health_pb2.HealthCheckRequest(service=full_name), timeout=self._config.ready_seconds
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def stream_terms(self) -> dict[str, Any]:
        """Deadline and credentials of a call that streams: all the time that the request has."""
        return {
            "timeout": context.remaining_seconds(self._config.upload_seconds),
            "metadata": tuple(call_metadata(self._token)),
        }

    @property
    def services(self) -> list[str]:
        """The short names of all services."""
        return list(self._channels)

    async def close(self) -> None:
        """Closes every channel; running calls are ended."""
        self._upload_channel.close()
        for each in self._channels.values():
            await each.close()


def refusal(error: grpc.RpcError) -> errors.ReelrouteError:
    """What a service refused, for the caller of the gateway: fields are named as REST names them."""
    refused = from_rpc_error(error)
    if refused.reason == "SERVICE_TOKEN_INVALID":
        # Ours, not the caller's: without this it would look like a bad API key.
        log.error("a service does not accept the gateway's service token; is REELROUTE_SERVICE_TOKEN the same?")
        return errors.Internal("A part of the system does not accept the gateway.")
    if isinstance(refused, errors.Internal):
        log.error("a service failed", error=repr(error))
    refused.violations = [
        replace(each, field=in_rest_words(each.field), reason=each.reason or refused.reason)
        for each in refused.violations
    ]
    return refused
