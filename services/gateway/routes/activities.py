"""What happened, and what people were told of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from reelroute.notification.v1 import notification_pb2 as pb

from services.gateway.models.activities import Activity, ActivityList, Message, MessageList
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, PageSize, PageToken, PostIdFilter

router = APIRouter(route_class=ApiRoute, tags=["Activity"])


@router.get("/v1/activities", responses=problems())
async def list_activities(
    caller: Caller_,
    clients: Clients_,
    post_id: PostIdFilter = None,
    order: Annotated[Literal["newest_first", "oldest_first"], Query()] = "newest_first",
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> ActivityList:
    """Lists everything that happened, newest first unless asked otherwise."""
    request = pb.ListActivitiesRequest(
        workspace_id=caller.workspace_id,
        page_size=page_size,
        page_token=page_token,
        post_id=str(post_id or ""),
        oldest_first=order == "oldest_first",
    )
    answer = await clients.call(clients.notification.ListActivities, request)
    return ActivityList(
        activities=[Activity.of(each) for each in answer.activities], next_page_token=answer.next_page_token
    )


@router.get("/v1/messages", responses=problems())
async def list_messages(
    caller: Caller_,
    clients: Clients_,
    post_id: PostIdFilter = None,
    page_size: PageSize = 0,
    page_token: PageToken = "",
) -> MessageList:
    """Lists messages to people with what became of each, newest first."""
    request = pb.ListMessagesRequest(
        workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token, post_id=str(post_id or "")
    )
    answer = await clients.call(clients.notification.ListMessages, request)
    return MessageList(messages=[Message.of(each) for each in answer.messages], next_page_token=answer.next_page_token)
