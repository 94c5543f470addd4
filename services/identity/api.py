"""Identity over gRPC: translate in, one transaction, one decision, translate out. Promises are in the proto."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import grpc
from reelroute.identity.v1 import identity_pb2 as pb
from reelroute.identity.v1.identity_pb2_grpc import IdentityServiceServicer

from kit import idempotency
from kit.db import ALL_WORKSPACES, Database, new_id
from kit.paging import Page
from kit.timestamps import from_timestamp, optional_timestamp, to_timestamp
from services.identity import domain, store
from services.identity.domain import KeyText, Scope

# Under which workspace the answers to CreateWorkspace are kept: the request has none, and no real one has this id.
INSTALLATION = UUID(int=0)


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


class IdentityApi(IdentityServiceServicer):
    """Answers the calls of IdentityService."""

    def __init__(self, db: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._db = db
        self._clock = clock

    def CreateWorkspace(
        self, request: pb.CreateWorkspaceRequest, context: grpc.ServicerContext
    ) -> pb.CreateWorkspaceResponse:
        workspace = domain.new_workspace(new_id(), request.display_name, self._clock())
        with self._db.transaction(ALL_WORKSPACES) as tx:

            def make() -> pb.CreateWorkspaceResponse:
                store.insert_workspace(tx, workspace)
                return pb.CreateWorkspaceResponse(workspace=_workspace(workspace))

            return idempotency.once(
                tx,
                store.requests,
                workspace_id=INSTALLATION,
                request_id=request.request_id,
                request=request,
                response_type=pb.CreateWorkspaceResponse,
                make=make,
            )

    def GetWorkspace(self, request: pb.GetWorkspaceRequest, context: grpc.ServicerContext) -> pb.GetWorkspaceResponse:
        workspace_id = UUID(request.workspace_id)
        with self._db.transaction(workspace_id) as tx:
            workspace = store.get_workspace(tx, workspace_id)
        return pb.GetWorkspaceResponse(workspace=_workspace(workspace))

    def ListWorkspaces(
        self, request: pb.ListWorkspacesRequest, context: grpc.ServicerContext
    ) -> pb.ListWorkspacesResponse:
        page = Page.parse(request.page_size, request.page_token, [UUID])
        with self._db.transaction(ALL_WORKSPACES) as tx:
            found = store.list_workspaces(tx, page)
        shown, token = page.cut(found, lambda workspace: (workspace.workspace_id,))
        return pb.ListWorkspacesResponse(workspaces=map(_workspace, shown), next_page_token=token)

    def CreateUser(self, request: pb.CreateUserRequest, context: grpc.ServicerContext) -> pb.CreateUserResponse:
        workspace_id = UUID(request.workspace_id)
        user = domain.new_user(new_id(), workspace_id, request.email, request.display_name, self._clock())
        with self._db.transaction(workspace_id) as tx:

            def make() -> pb.CreateUserResponse:
                store.insert_user(tx, user)
                return pb.CreateUserResponse(user=_user(user))

            return idempotency.once(
                tx,
                store.requests,
                workspace_id=workspace_id,
                request_id=request.request_id,
                request=request,
                response_type=pb.CreateUserResponse,
                make=make,
            )

    def ListUsers(self, request: pb.ListUsersRequest, context: grpc.ServicerContext) -> pb.ListUsersResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, [UUID])
        with self._db.transaction(workspace_id) as tx:
            store.get_workspace(tx, workspace_id)
            found = store.list_users(tx, workspace_id, page)
        shown, token = page.cut(found, lambda user: (user.user_id,))
        return pb.ListUsersResponse(users=map(_user, shown), next_page_token=token)

    def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: grpc.ServicerContext) -> pb.CreateApiKeyResponse:
        workspace_id = UUID(request.workspace_id)
        key_text = KeyText.make()
        made = False
        with self._db.transaction(workspace_id) as tx:

            def make() -> pb.CreateApiKeyResponse:
                nonlocal made
                # Decided in here, not before: a repeat after the expire time still gets the first answer.
                key = domain.new_api_key(
                    new_id(),
                    workspace_id,
                    key_text,
                    display_name=request.display_name,
                    scopes=[_scope_in(scope) for scope in request.scopes],
                    now=self._clock(),
                    user_id=UUID(request.user_id) if request.user_id else None,
                    expire_time=from_timestamp(request.expire_time, "expire_time")
                    if request.HasField("expire_time")
                    else None,
                )
                store.insert_api_key(tx, key, key_text.digest)
                made = True
                return pb.CreateApiKeyResponse(api_key=_api_key(key))

            # What is kept for repeats is the answer without the text; the text is added to this one answer.
            response = idempotency.once(
                tx,
                store.requests,
                workspace_id=workspace_id,
                request_id=request.request_id,
                request=request,
                response_type=pb.CreateApiKeyResponse,
                make=make,
            )
        if made:
            response.key_text = key_text.text
        return response

    def ListApiKeys(self, request: pb.ListApiKeysRequest, context: grpc.ServicerContext) -> pb.ListApiKeysResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, [UUID])
        with self._db.transaction(workspace_id) as tx:
            store.get_workspace(tx, workspace_id)
            found = store.list_api_keys(tx, workspace_id, page)
        shown, token = page.cut(found, lambda key: (key.api_key_id,))
        return pb.ListApiKeysResponse(api_keys=map(_api_key, shown), next_page_token=token)

    def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: grpc.ServicerContext) -> pb.RevokeApiKeyResponse:
        workspace_id = UUID(request.workspace_id)
        with self._db.transaction(workspace_id) as tx:
            key = store.revoke_api_key(tx, workspace_id, UUID(request.api_key_id), self._clock())
        return pb.RevokeApiKeyResponse(api_key=_api_key(key))

    def AuthenticateApiKey(
        self, request: pb.AuthenticateApiKeyRequest, context: grpc.ServicerContext
    ) -> pb.AuthenticateApiKeyResponse:
        key_text, now = KeyText.parse(request.key_text), self._clock()
        # All workspaces: it is the key that tells which one.
        with self._db.transaction(ALL_WORKSPACES) as tx:
            key = domain.admit(store.find_api_key(tx, key_text.digest), now)
            if domain.use_is_news(key, now):
                store.note_use(tx, key, now)
        return pb.AuthenticateApiKeyResponse(
            workspace_id=str(key.workspace_id),
            api_key_id=str(key.api_key_id),
            scopes=[_scope_out(scope) for scope in key.scopes],
        )


def _scope_in(scope: pb.Scope.ValueType) -> Scope:
    return Scope(pb.Scope.Name(scope).removeprefix("SCOPE_"))


def _scope_out(scope: Scope) -> pb.Scope.ValueType:
    return pb.Scope.Value(f"SCOPE_{scope.value}")


def _workspace(workspace: domain.Workspace) -> pb.Workspace:
    return pb.Workspace(
        workspace_id=str(workspace.workspace_id),
        display_name=workspace.display_name,
        create_time=to_timestamp(workspace.create_time),
    )


def _user(user: domain.User) -> pb.User:
    return pb.User(
        user_id=str(user.user_id),
        workspace_id=str(user.workspace_id),
        email=user.email,
        display_name=user.display_name,
        create_time=to_timestamp(user.create_time),
    )


def _api_key(key: domain.ApiKey) -> pb.ApiKey:
    return pb.ApiKey(
        api_key_id=str(key.api_key_id),
        workspace_id=str(key.workspace_id),
        display_name=key.display_name,
        prefix=key.prefix,
        scopes=[_scope_out(scope) for scope in key.scopes],
        user_id="" if key.user_id is None else str(key.user_id),
        create_time=to_timestamp(key.create_time),
        expire_time=optional_timestamp(key.expire_time),
        revoke_time=optional_timestamp(key.revoke_time),
        last_use_time=optional_timestamp(key.last_use_time),
    )
