"""Whether the process lives and whether it can do its work."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from starlette.requests import Request

from services.gateway.models.fields import AnswerModel, shown
from services.gateway.route import gateway_of

router = APIRouter(tags=["Health"])


class Health(AnswerModel):
    """The process lives."""

    model_config = shown({"status": "ok"})

    status: Literal["ok"] = "ok"


class Readiness(AnswerModel):
    """Each service that the gateway needs, and whether it answers."""

    model_config = shown({"status": "unavailable", "services": {"identity": "ready", "content": "unavailable"}})

    status: Literal["ready", "unavailable"]
    services: dict[str, Literal["ready", "unavailable"]]


@router.get("/healthz")
async def healthz() -> Health:
    """Answers as long as the process lives. Asks nobody."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "At least one service does not answer"}})
async def readyz(request: Request, response: Response) -> Readiness:
    """Asks every service whether it is ready; 503 when one is not."""
    clients = gateway_of(request).clients
    serving = await asyncio.gather(*(clients.is_serving(service) for service in clients.services))
    if not all(serving):
        response.status_code = 503
    return Readiness(
        status="ready" if all(serving) else "unavailable",
        services={
            service: "ready" if is_serving else "unavailable"
            for service, is_serving in zip(clients.services, serving, strict=True)
        },
    )
