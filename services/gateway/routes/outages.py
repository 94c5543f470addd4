"""Times in which posts could not go out."""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2

from services.gateway.models.deliveries import Delivery
from services.gateway.models.outages import Incident, IncidentList, Outage, OutageDeliveryList, OutageList
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, PageSize, PageToken

router = APIRouter(route_class=ApiRoute, tags=["Outages"])


@router.get("/v1/outages", responses=problems())
async def list_outages(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> OutageList:
    """Lists times in which no publisher ran while deliveries of the workspace became due, newest first."""
    request = scheduler_pb2.ListOutagesRequest(
        workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token
    )
    answer = await clients.call(clients.scheduler.ListOutages, request)
    return OutageList(outages=[Outage.of(each) for each in answer.outages], next_page_token=answer.next_page_token)


@router.get("/v1/outages/{outage_id:id}/deliveries", responses=problems(404))
async def list_outage_deliveries(
    outage_id: Id, caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> OutageDeliveryList:
    """Lists what happened to each delivery that an outage made late, by schedule time."""
    request = scheduler_pb2.ListOutageDeliveriesRequest(
        workspace_id=caller.workspace_id, outage_id=str(outage_id), page_size=page_size, page_token=page_token
    )
    answer = await clients.call(clients.scheduler.ListOutageDeliveries, request)
    return OutageDeliveryList(
        deliveries=[Delivery.of(each) for each in answer.deliveries], next_page_token=answer.next_page_token
    )


@router.get("/v1/incidents", responses=problems())
async def list_incidents(
    _caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> IncidentList:
    """Lists times in which a platform failed for many accounts, newest first. The same for every workspace."""
    request = publisher_pb2.ListIncidentsRequest(page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.publisher.ListIncidents, request)
    return IncidentList(
        incidents=[Incident.of(each) for each in answer.incidents], next_page_token=answer.next_page_token
    )
