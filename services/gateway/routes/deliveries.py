"""Deliveries: the ledger of each, and what a person decides of them."""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2

from services.gateway.models.deliveries import (
    Decision,
    DecisionAnswer,
    DecisionResult,
    Delivery,
    Publication,
    Settlement,
)
from services.gateway.models.problems import Refusal, problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Deliveries"])


@router.post("/v1/deliveries:decide", responses=problems(body=True))
async def decide_deliveries(
    decision: Decision, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> DecisionAnswer:
    """Decides up to 500 deliveries that are MISSED, or were set aside (HELD with the cause CRASHES or CHOICE).

    Each is decided for itself; one that waits for no decision is refused in its result (`DELIVERY_NOT_WAITING`). An
    UNCERTAIN delivery is settled instead, with its publication. May be repeated, with or without `Idempotency-Key`.
    """
    request = scheduler_pb2.DecideDeliveriesRequest(
        workspace_id=caller.workspace_id,
        delivery_ids=decision.delivery_ids,
        decision=scheduler_pb2.Decision.Value(f"DECISION_{decision.decision}"),
    )
    answer = await clients.call(clients.scheduler.DecideDeliveries, request)
    return DecisionAnswer(
        results=[
            _result(delivery_id, result)
            for delivery_id, result in zip(decision.delivery_ids, answer.results, strict=True)
        ]
    )


@router.get("/v1/deliveries/{delivery_id:id}/publication", responses=problems(404))
async def get_publication(delivery_id: Id, caller: Caller_, clients: Clients_) -> Publication:
    """Reads the ledger of a delivery: its steps, attempts and evidence. 404 before a publisher has begun it."""
    request = publisher_pb2.GetPublicationRequest(workspace_id=caller.workspace_id, delivery_id=str(delivery_id))
    return Publication.of((await clients.call(clients.publisher.GetPublication, request)).publication)


@router.post("/v1/deliveries/{delivery_id:id}/publication:settle", responses=problems(404, 409, body=True))
async def settle_publication(
    delivery_id: Id, settlement: Settlement, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Publication:
    """Settles, by your word, what the platform gives no way to know: the post is there, or it is not.

    Look at the account's profile first. When it is not there it is published again. 409 unless the publication is
    UNCERTAIN. May be repeated with the same word, with or without `Idempotency-Key`.
    """
    request = publisher_pb2.SettlePublicationRequest(
        workspace_id=caller.workspace_id,
        delivery_id=str(delivery_id),
        is_published=settlement.is_published,
        url=settlement.url,
    )
    return Publication.of((await clients.call(clients.publisher.SettlePublication, request)).publication)


def _result(delivery_id: str, result: scheduler_pb2.DecisionResult) -> DecisionResult:
    if result.WhichOneof("result") == "delivery":
        return DecisionResult(delivery_id=delivery_id, delivery=Delivery.of(result.delivery), refusal=None)
    return DecisionResult(delivery_id=delivery_id, delivery=None, refusal=Refusal.of(result.refusal))
