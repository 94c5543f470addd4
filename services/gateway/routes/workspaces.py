"""Workspaces, people, keys; and what only the operator of the installation may do."""

from __future__ import annotations

from fastapi import APIRouter
from reelroute.identity.v1 import identity_pb2 as pb
from reelroute.publisher.v1 import publisher_pb2

from kit.errors import FieldViolation, PermissionDenied
from services.gateway.auth import Caller
from services.gateway.clients import Clients
from services.gateway.models.fields import instant_of
from services.gateway.models.problems import problems
from services.gateway.models.workspaces import (
    Key,
    KeyDraft,
    KeyList,
    NewKey,
    PublishEpoch,
    PublishEpochStart,
    User,
    UserDraft,
    UserList,
    Workspace,
    WorkspaceDraft,
    WorkspaceList,
)
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, Id, PageSize, PageToken, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Workspace"])
operator_router = APIRouter(route_class=ApiRoute, tags=["Operator"])


class ScopeNotYours(PermissionDenied):
    """A key may not make another that may do more than a whole workspace."""


@router.get("/v1/workspace", responses=problems())
async def get_workspace(caller: Caller_, clients: Clients_) -> Workspace:
    """Reads the workspace that the key acts for. Any valid key may."""
    request = pb.GetWorkspaceRequest(workspace_id=caller.workspace_id)
    return Workspace.of((await clients.call(clients.identity.GetWorkspace, request)).workspace)


@router.get("/v1/users", responses=problems())
async def list_users(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> UserList:
    """Lists the people of the workspace, oldest first."""
    request = pb.ListUsersRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.identity.ListUsers, request)
    return UserList(users=[User.of(each) for each in answer.users], next_page_token=answer.next_page_token)


@router.post("/v1/users", status_code=201, responses=problems(409, body=True))
async def create_user(draft: UserDraft, caller: Caller_, clients: Clients_, request_id: RequestId) -> User:
    """Adds a person to the workspace."""
    request = pb.CreateUserRequest(
        workspace_id=caller.workspace_id,
        request_id=request_id,
        email=draft.email,
        display_name=draft.display_name,
    )
    return User.of((await clients.call(clients.identity.CreateUser, request)).user)


@router.get("/v1/keys", responses=problems())
async def list_keys(caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = "") -> KeyList:
    """Lists the keys of the workspace, revoked ones too, oldest first."""
    request = pb.ListApiKeysRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.identity.ListApiKeys, request)
    return KeyList(keys=[Key.of(each) for each in answer.api_keys], next_page_token=answer.next_page_token)


@router.post("/v1/keys", status_code=201, responses=problems(404, 409, body=True))
async def create_key(draft: KeyDraft, caller: Caller_, clients: Clients_, request_id: RequestId) -> NewKey:
    """Makes a key of the workspace. Its text is in the answer, and nowhere else."""
    return await _make_key(clients, caller, caller.workspace_id, draft, request_id)


@router.post("/v1/keys/{api_key_id:id}:revoke", responses=problems(404))
async def revoke_key(api_key_id: Id, caller: Caller_, clients: Clients_, _request_id: RequestId) -> Key:
    """Ends a key for good. It may still work for 30 seconds. May be repeated, with or without `Idempotency-Key`."""
    request = pb.RevokeApiKeyRequest(workspace_id=caller.workspace_id, api_key_id=str(api_key_id))
    return Key.of((await clients.call(clients.identity.RevokeApiKey, request)).api_key)


@operator_router.get("/v1/workspaces", responses=problems())
async def list_workspaces(
    _caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> WorkspaceList:
    """Lists all workspaces, oldest first."""
    request = pb.ListWorkspacesRequest(page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.identity.ListWorkspaces, request)
    return WorkspaceList(
        workspaces=[Workspace.of(each) for each in answer.workspaces], next_page_token=answer.next_page_token
    )


@operator_router.post("/v1/workspaces", status_code=201, responses=problems(409, body=True))
async def create_workspace(
    draft: WorkspaceDraft, _caller: Caller_, clients: Clients_, request_id: RequestId
) -> Workspace:
    """Makes a workspace. Then make its first key."""
    request = pb.CreateWorkspaceRequest(request_id=request_id, display_name=draft.display_name)
    return Workspace.of((await clients.call(clients.identity.CreateWorkspace, request)).workspace)


@operator_router.post("/v1/workspaces/{workspace_id:id}/keys", status_code=201, responses=problems(404, 409, body=True))
async def create_workspace_key(
    workspace_id: Id, draft: KeyDraft, caller: Caller_, clients: Clients_, request_id: RequestId
) -> NewKey:
    """Makes a key of any workspace, usually its first. Its text is in the answer, and nowhere else."""
    await clients.call(clients.identity.GetWorkspace, pb.GetWorkspaceRequest(workspace_id=str(workspace_id)))
    return await _make_key(clients, caller, str(workspace_id), draft, request_id)


@operator_router.post("/v1/publish-epochs", status_code=201, responses=problems(body=True))
async def begin_publish_epoch(
    start: PublishEpochStart, _caller: Caller_, clients: Clients_, _request_id: RequestId
) -> PublishEpoch:
    """After the publisher's database was restored from a backup: what was begun or due before is only asked about.

    May be repeated; each call begins another epoch, with or without `Idempotency-Key`.
    """
    answer = await clients.call(
        clients.publisher.BeginPublishEpoch, publisher_pb2.BeginPublishEpochRequest(reason=start.reason)
    )
    return PublishEpoch(publish_epoch=answer.publish_epoch, begin_time=instant_of(answer, "begin_time"))


async def _make_key(clients: Clients, caller: Caller, workspace_id: str, draft: KeyDraft, request_id: str) -> NewKey:
    scopes = [pb.Scope.Value(f"SCOPE_{word}") for word in draft.scopes]
    if pb.SCOPE_OPERATOR in scopes and pb.SCOPE_OPERATOR not in caller.scopes:
        sentence = "Only a key with the scope OPERATOR may give it to another."
        raise ScopeNotYours(sentence, [FieldViolation(f"scopes[{draft.scopes.index('OPERATOR')}]", sentence)])
    request = pb.CreateApiKeyRequest(
        workspace_id=workspace_id,
        request_id=request_id,
        display_name=draft.display_name,
        scopes=scopes,
        user_id=draft.user_id or "",
    )
    if draft.expire_time:
        request.expire_time.FromDatetime(draft.expire_time)
    return NewKey.made(await clients.call(clients.identity.CreateApiKey, request))
