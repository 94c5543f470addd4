"""The scheduler as the worker knows it: claims, and the leases that keep them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from uuid import UUID

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1 import scheduler_pb2_grpc

from kit import rpc
from services.publisher.config import PublisherConfig
from services.publisher.domain import Claim, Fenced, MediaRef

log = structlog.get_logger()

_RENEW_SECONDS = 5.0


class SchedulerClient:
    """The scheduler's claims and leases; see delivering.LeaseHolder."""

    def __init__(
        self, config: PublisherConfig, stub: scheduler_pb2_grpc.SchedulerServiceAsyncStub, service_token: str
    ) -> None:
        self._config = config
        self._stub = stub
        self._token = service_token
        self._lease = _duration(config.lease_seconds)
        self._holder = f"{config.holder}/{os.getpid()}"

    async def claim(self, room: int) -> list[tuple[Claim, float]]:
        """What is due, each with its due time on the loop's clock. Waits for it for a while."""
        request = pb.ClaimDueDeliveriesRequest(
            holder=self._holder,
            max_deliveries=room,
            lease_duration=self._lease,
            lead_time=_duration(self._config.lead_seconds),
            wait_duration=_duration(self._config.claim_wait_seconds),
        )
        answer = await self._stub.ClaimDueDeliveries(
            request, timeout=self._config.claim_wait_seconds + 10, metadata=rpc.call_metadata(self._token)
        )
        # The database's clock decides what is early. Counted from the answer's arrival, never too soon.
        now, claim_time = asyncio.get_running_loop().time(), answer.claim_time.ToDatetime(tzinfo=UTC)
        return [
            (claim, now + (claim.due_time - claim_time).total_seconds())
            for claim in (_claim(message) for message in answer.deliveries)
        ]

    async def renew(self, claim: Claim) -> None:
        """Prolongs the lease. Raises Fenced when it is lost."""
        request = pb.RenewDeliveryRequest(
            workspace_id=str(claim.workspace_id),
            delivery_id=str(claim.delivery_id),
            attempt=claim.attempt,
            lease_duration=self._lease,
        )
        try:
            # A scheduler that is just being restarted is waited for: the lease outlives that.
            await self._stub.RenewDelivery(
                request, timeout=_RENEW_SECONDS, metadata=rpc.call_metadata(self._token), wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND):
                raise Fenced from None
            raise

    @contextlib.asynccontextmanager
    async def kept(self, claim: Claim) -> AsyncIterator[None]:
        """Prolongs the lease every third of it; when it is lost, what is inside is canceled and Fenced raised."""
        inside = asyncio.current_task()
        lost = False

        async def keep() -> None:
            nonlocal lost
            while True:
                await asyncio.sleep(self._config.lease_seconds / 3)
                try:
                    await self.renew(claim)
                except Fenced:
                    lost = True
                    if inside is not None:
                        inside.cancel()
                    return
                except grpc.aio.AioRpcError as error:
                    # The next one may get through; the lease is proven anew before anything is published.
                    log.warning("renewing a lease failed", code=error.code().name)

        keeper = asyncio.create_task(keep())
        try:
            yield
        except asyncio.CancelledError:
            if not lost:
                raise
            if inside is not None:
                inside.uncancel()
            raise Fenced from None
        finally:
            keeper.cancel()


def _duration(seconds: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=seconds))
    return message


def _claim(message: pb.ClaimedDelivery) -> Claim:
    return Claim(
        workspace_id=UUID(message.workspace_id),
        delivery_id=UUID(message.delivery_id),
        post_id=UUID(message.post_id),
        account_id=UUID(message.account_id),
        attempt=message.attempt,
        due_time=message.due_time.ToDatetime(tzinfo=UTC),
        caption=message.caption,
        media=tuple(MediaRef(media.media_asset_id, media.sha256, media.mime_type) for media in message.media),
        options={
            platform.name: {field.name: getattr(choices, field.name) for field in choices.DESCRIPTOR.fields}
            for platform, choices in message.options.ListFields()
        },
        etag=message.post_etag,
    )
