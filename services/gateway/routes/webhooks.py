"""What platforms tell us. No key is needed: each is signed by its platform, and checked by the service that owns the
app's secret. It is handed on byte for byte, because the signature is about these bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from reelroute.fulfillment.v1 import fulfillment_pb2
from reelroute.publisher.v1 import publisher_pb2
from starlette.requests import Request
from starlette.responses import Response

from kit import context, errors
from services.gateway.route import bounded_body, gateway_of
from services.gateway.routes.depends import Clients_

router = APIRouter(include_in_schema=False)

# Longer than any platform's.
_SIGNATURE_CHARACTERS = 200


@router.post("/v1/webhooks/tiktok")
async def receive_tiktok(request: Request, clients: Clients_) -> Response:
    """Hands on a webhook of TikTok for Developers."""

    async def hand_on(body: bytes, signature: str) -> None:
        message = publisher_pb2.ReceiveWebhookRequest(
            platform=publisher_pb2.PLATFORM_TIKTOK, body=body, signature=signature
        )
        await clients.call(clients.publisher.ReceiveWebhook, message)

    return await _receive(request, "TikTok-Signature", hand_on)


@router.post("/v1/webhooks/tiktok-shop")
async def receive_tiktok_shop(request: Request, clients: Clients_) -> Response:
    """Hands on a webhook of TikTok Shop: its app has one address for shops and creators, and each service takes what is
    its own. One that was away gets the event with the next try.
    """

    async def hand_on(body: bytes, signature: str) -> None:
        of_shops = fulfillment_pb2.ReceiveShopWebhookRequest(body=body, signature=signature)
        of_creators = publisher_pb2.ReceiveWebhookRequest(
            platform=publisher_pb2.PLATFORM_TIKTOK_SHOP, body=body, signature=signature
        )
        answers = await asyncio.gather(
            clients.call(clients.fulfillment.ReceiveShopWebhook, of_shops),
            clients.call(clients.publisher.ReceiveWebhook, of_creators),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    return await _receive(request, "Authorization", hand_on)


async def _receive(request: Request, header: str, hand_on: Callable[[bytes, str], Awaitable[None]]) -> Response:
    """Reads a webhook within its limits and hands it on; 200 and nothing else once a service has it.

    What takes too long is 503, and the platform sends it again. Raises BodyTooLarge, Unavailable, or what else the
    service refused: Unauthenticated for a wrong signature.
    """
    config = gateway_of(request).config
    signatures = request.headers.getlist(header)
    # What was cut off is as wrong as the whole.
    signature = signatures[0][:_SIGNATURE_CHARACTERS] if len(signatures) == 1 else ""
    with context.call(request_id=context.request_id(), timeout_seconds=config.webhook_seconds):
        try:
            await hand_on(await bounded_body(request, config.max_webhook_bytes), signature)
        except errors.DeadlineExceeded as late:
            raise errors.Unavailable("The webhook could not be taken in time. Send it again.") from late
    return Response(status_code=200)
