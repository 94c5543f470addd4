"""Webhooks: platforms tell that something happened. No key: each signs what it sends.

The body is handed on byte for byte, because the signature is about these bytes; the service that has the app's secret
checks it. The routes are not in the reference: nobody but a platform calls them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from reelroute.fulfillment.v1 import fulfillment_pb2
from starlette.requests import Request
from starlette.responses import Response

from kit import context, errors
from kit.vendor_webhook import WebhookUnreadable
from services.gateway.route import bounded_body, gateway_of
from services.gateway.routes.depends import Clients_

router = APIRouter(include_in_schema=False)


@router.post("/v1/webhooks/tiktok-shop")
async def receive_tiktok_shop(request: Request, clients: Clients_) -> Response:
    """An event of TikTok Shop, signed in the header Authorization."""
    signature = request.headers.get("authorization", "")

    async def hand_on(body: bytes) -> None:
        event = fulfillment_pb2.ReceiveShopWebhookRequest(body=body, signature=signature)
        await clients.call(clients.fulfillment.ReceiveShopWebhook, event)

    return await _receive(request, hand_on)


async def _receive(request: Request, hand_on: Callable[[bytes], Awaitable[None]]) -> Response:
    """Reads a webhook within its limits and hands it on; 200 and nothing else once a service has it.

    What takes too long is 503, and the platform sends it again. Raises BodyTooLarge, WebhookUnreadable, Unavailable, or
    what else the service refused: Unauthenticated for a wrong signature.
    """
    config = gateway_of(request).config
    with context.call(request_id=context.request_id(), timeout_seconds=config.webhook_seconds):
        try:
            await hand_on(await bounded_body(request, config.max_webhook_bytes))
        except errors.InvalidArgument as refused:
            raise WebhookUnreadable(refused.message) from refused
        except errors.DeadlineExceeded as late:
            raise errors.Unavailable("The webhook could not be taken in time. Send it again.") from late
    return Response()
