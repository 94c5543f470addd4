"""The forecast."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from google.protobuf.duration_pb2 import Duration
from reelroute.publisher.v1 import publisher_pb2 as pb

from services.gateway.models.forecast import Forecast, ForeseenFailure
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, PageSize, PageToken

router = APIRouter(route_class=ApiRoute, tags=["Forecast"])

_DAY_SECONDS = 86_400


@router.get("/v1/forecast", responses=problems())
async def forecast_posts(
    caller: Caller_,
    clients: Clients_,
    horizon_days: Annotated[int, Query(ge=1, le=60, description="How far ahead.")] = 14,
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> Forecast:
    """Foresees which deliveries of the next days will not go out at their time, and why, by the rules that will be
    applied then: quotas, tokens that end, media and choices that do not fit, approvals, pauses.

    It is simulated anew in each call. Lists only what will fail, by schedule time; an empty list is good news.
    """
    request = pb.ForecastPostsRequest(
        workspace_id=caller.workspace_id,
        horizon=Duration(seconds=horizon_days * _DAY_SECONDS),
        page_size=page_size,
        page_token=page_token,
    )
    answer = await clients.call(clients.publisher.ForecastPosts, request)
    return Forecast(
        failures=[ForeseenFailure.of(each) for each in answer.failures],
        deliveries=answer.deliveries,
        next_page_token=answer.next_page_token,
    )
