"""Accounts, and connecting them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from reelroute.publisher.v1 import publisher_pb2 as pb

from services.gateway.models.accounts import (
    Account,
    AccountLimits,
    AccountList,
    Connection,
    ConnectionFinish,
    ConnectionStart,
)
from services.gateway.models.fields import Text, instant_of
from services.gateway.models.numbers import AccountNumbers, PostNumbersList
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, PageSize, PageToken, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Accounts"])


@router.post("/v1/connections", status_code=201, responses=problems(409, body=True))
async def start_connection(
    start: ConnectionStart, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Connection:
    """Begins to connect an account: open `consent_url` in its owner's browser.

    The platform sends the browser back to `redirect_uri` with a code and the state. May be repeated; each call begins
    anew, with or without `Idempotency-Key`.
    """
    request = pb.StartConnectionRequest(
        workspace_id=caller.workspace_id,
        platform=pb.Platform.Value(f"PLATFORM_{start.platform}"),
        redirect_uri=start.redirect_uri,
    )
    answer = await clients.call(clients.publisher.StartConnection, request)
    return Connection(consent_url=answer.consent_url, state=answer.state, expire_time=instant_of(answer, "expire_time"))


@router.post("/v1/connections:finish", responses=problems(409, body=True))
async def finish_connection(
    finish: ConnectionFinish, caller: Caller_, clients: Clients_, _request_id: RequestId
) -> Account:
    """Ends it: the code becomes an account. An account that the workspace already has keeps its id.

    The state is good once and for 10 minutes. Cannot be repeated, not even with `Idempotency-Key`: when the answer
    was lost, look at the accounts, or start again.
    """
    request = pb.FinishConnectionRequest(workspace_id=caller.workspace_id, state=finish.state, code=finish.code)
    return Account.of((await clients.call(clients.publisher.FinishConnection, request)).account)


@router.get("/v1/accounts", responses=problems())
async def list_accounts(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> AccountList:
    """Lists accounts, by handle."""
    request = pb.ListAccountsRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.publisher.ListAccounts, request)
    return AccountList(accounts=[Account.of(each) for each in answer.accounts], next_page_token=answer.next_page_token)


@router.get("/v1/accounts/{account_id:id}", responses=problems(404))
async def get_account(account_id: Id, caller: Caller_, clients: Clients_) -> Account:
    """Reads an account."""
    request = pb.GetAccountRequest(workspace_id=caller.workspace_id, account_id=str(account_id))
    return Account.of((await clients.call(clients.publisher.GetAccount, request)).account)


@router.post("/v1/accounts/{account_id:id}:disconnect", responses=problems(404))
async def disconnect_account(account_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> Account:
    """Takes the owner's grant back at the platform and erases the account's tokens.

    The account stays, and its posts are held, until it is connected again. May be repeated, with or without
    `Idempotency-Key`; when the platform does not answer it must be. TikTok Shop has no call that takes a grant back:
    there the creator removes the app.
    """
    request = pb.DisconnectAccountRequest(workspace_id=caller.workspace_id, account_id=str(account_id))
    return Account.of((await clients.call(clients.publisher.DisconnectAccount, request)).account)


@router.get("/v1/accounts/{account_id:id}/limits", responses=problems(404, 409, 429))
async def get_account_limits(account_id: Id, caller: Caller_, clients: Clients_) -> AccountLimits:
    """Reads what an account may do now, from its platform: who can see its posts, and what its owner switched off.

    TikTok asks whoever shows a form for a post to read it each time the form is opened.
    """
    request = pb.GetAccountLimitsRequest(workspace_id=caller.workspace_id, account_id=str(account_id))
    return AccountLimits.of((await clients.call(clients.publisher.GetAccountLimits, request)).limits)


@router.get("/v1/accounts/{account_id:id}/numbers", responses=problems(404, 409, 429))
async def get_account_numbers(account_id: Id, caller: Caller_, clients: Clients_) -> AccountNumbers:
    """Reads an account's numbers from its platform, as they are now."""
    request = pb.GetAccountNumbersRequest(workspace_id=caller.workspace_id, account_id=str(account_id))
    return AccountNumbers.of((await clients.call(clients.publisher.GetAccountNumbers, request)).numbers)


@router.get("/v1/accounts/{account_id:id}/posts/numbers", responses=problems(404, 409, 429))
async def list_post_numbers(
    account_id: Id,
    caller: Caller_,
    clients: Clients_,
    platform_post_id: Annotated[
        list[Text], Query(max_length=20, description="Only these, by the platform's ids. Left out: all.")
    ] = [],  # noqa: B006 - FastAPI copies it
    page_size: Annotated[
        int, Query(ge=0, le=2**31 - 1, description="At most so many; 0 means 20, more than 20 means 20.")
    ] = 0,
    page_token: PageToken = "",
) -> PostNumbersList:
    """Reads the numbers of an account's public posts from its platform, newest first: totals since each was published.

    Posts that were made past Reelroute are among them.
    """
    request = pb.ListPostNumbersRequest(
        workspace_id=caller.workspace_id,
        account_id=str(account_id),
        platform_post_ids=platform_post_id,
        page_size=page_size,
        page_token=page_token,
    )
    return PostNumbersList.of(await clients.call(clients.publisher.ListPostNumbers, request))
