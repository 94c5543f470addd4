"""Accounts, and connecting them."""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.publisher.v1 import publisher_pb2 as pb

from services.gateway.models.accounts import Account, AccountList, Connection, ConnectionFinish, ConnectionStart
from services.gateway.models.fields import instant_of
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
    """Forgets the account's tokens: nothing more is published with them.

    It stays in the list, `DISCONNECTED`, and its posts wait until it is connected again; it keeps its id. TikTok takes
    the consent back as well; a TikTok Shop creator removes the app there. May be repeated.
    """
    request = pb.DisconnectAccountRequest(workspace_id=caller.workspace_id, account_id=str(account_id))
    return Account.of((await clients.call(clients.publisher.DisconnectAccount, request)).account)
