"""What platforms tell us. No key is needed: each is signed by its platform, and checked by the service that owns the
app's secret.
"""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.publisher.v1 import publisher_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from kit import context
from services.gateway.route import bounded_body, gateway_of

router = APIRouter(include_in_schema=False)


@router.post("/v1/webhooks/tiktok")
async def receive_tiktok(request: Request) -> Response:
    """Hands on a webhook of TikTok for Developers."""
    return await _hand_on(request, pb.PLATFORM_TIKTOK, "tiktok-signature")


@router.post("/v1/webhooks/tiktok-shop")
async def receive_tiktok_shop(request: Request) -> Response:
    """Hands on a webhook of TikTok Shop. Its app has one address for all of them."""
    return await _hand_on(request, pb.PLATFORM_TIKTOK_SHOP, "authorization")


async def _hand_on(request: Request, platform: pb.Platform.ValueType, header: str) -> Response:
    """Hands a webhook on byte for byte."""
    gateway = gateway_of(request)
    config, clients = gateway.config, gateway.clients
    with context.call(request_id=context.request_id(), timeout_seconds=config.request_seconds):
        body = await bounded_body(request, config.max_webhook_bytes)
        signatures = request.headers.getlist(header)
        message = pb.ReceiveWebhookRequest(
            platform=platform, body=body, signature=signatures[0][:1000] if len(signatures) == 1 else ""
        )
        await clients.call(clients.publisher.ReceiveWebhook, message)
    return Response(status_code=200)
