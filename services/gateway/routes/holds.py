"""Holds: pausing, and letting go on."""

from __future__ import annotations

import contextlib

from fastapi import APIRouter
from reelroute.identity.v1 import identity_pb2
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2 as pb

from kit.errors import DeadlineExceeded, FailedPrecondition, FieldViolation, Unavailable
from services.gateway.auth import Caller
from services.gateway.clients import Clients
from services.gateway.errors import invalid
from services.gateway.models.fields import canonical_id
from services.gateway.models.holds import Hold, HoldDraft, HoldLift, HoldLifted, HoldList
from services.gateway.models.problems import problems
from services.gateway.route import ApiRoute
from services.gateway.routes.depends import Caller_, Clients_, PageSize, PageToken, RequestId

router = APIRouter(route_class=ApiRoute, tags=["Holds"])

_OF_NO_WORKSPACE = ("EVERYTHING", "PLATFORM")
_PLATFORMS = [name.removeprefix("PLATFORM_") for name, number in publisher_pb2.Platform.items() if number]


@router.get("/v1/holds", responses=problems())
async def list_holds(
    caller: Caller_, clients: Clients_, page_size: PageSize = 0, page_token: PageToken = ""
) -> HoldList:
    """Lists what keeps posts of the workspace back, also holds of everything and of platforms, newest first."""
    request = pb.ListHoldsRequest(workspace_id=caller.workspace_id, page_size=page_size, page_token=page_token)
    answer = await clients.call(clients.scheduler.ListHolds, request)
    return HoldList(holds=[Hold.of(each) for each in answer.holds], next_page_token=answer.next_page_token)


@router.post("/v1/holds", status_code=201, responses=problems(404, body=True))
async def place_hold(draft: HoldDraft, caller: Caller_, clients: Clients_, _request_id: RequestId) -> Hold:
    """Pauses: within a second of the answer nothing more of the scope goes out. What becomes due meanwhile is HELD.

    May be repeated, with or without `Idempotency-Key`: a pause that is there already is the answer, as it is.
    """
    target = _target(draft)
    await _must_exist(clients, caller.workspace_id, draft.scope, target)
    request = pb.PlaceHoldRequest(
        workspace_id=_workspace(caller, draft.scope),
        scope=pb.HoldScope.Value(f"HOLD_SCOPE_{draft.scope}"),
        target=target,
        cause=pb.HOLD_CAUSE_PAUSE,
        reason=draft.reason,
    )
    return Hold.of((await clients.call(clients.scheduler.PlaceHold, request)).hold)


@router.post("/v1/holds:lift", responses=problems(409, body=True))
async def lift_hold(lift: HoldLift, caller: Caller_, clients: Clients_, _request_id: RequestId) -> HoldLifted:
    """Lifts a hold. `due_action` says what becomes of the deliveries that it has kept back.

    409 (`DUE_ACTION_REQUIRED`) when there are such, and nothing is said of them; then nothing is changed. A scope
    without a hold is fine, so it may be repeated, with or without `Idempotency-Key`.
    """
    request = pb.LiftHoldRequest(
        workspace_id=_workspace(caller, lift.scope),
        scope=pb.HoldScope.Value(f"HOLD_SCOPE_{lift.scope}"),
        target=_target(lift),
        cause=pb.HoldCause.Value(f"HOLD_CAUSE_{lift.cause}"),
        due_action=pb.DueAction.Value(f"DUE_ACTION_{lift.due_action or 'UNSPECIFIED'}"),
    )
    try:
        answer = await clients.call(clients.scheduler.LiftHold, request)
    except FailedPrecondition as refused:
        if refused.reason == "DUE_ACTION_REQUIRED":
            choices = "Say BY_RULE, PUBLISH, NEXT_SLOT, ASK or DROP."
            refused.violations = [FieldViolation("due_action", choices, refused.reason)]
        raise
    return HoldLifted(held_deliveries=answer.held_deliveries)


def _workspace(caller: Caller, scope: str) -> str:
    """Whose hold it is. Raises ScopeMissing for what concerns other workspaces too."""
    if scope not in _OF_NO_WORKSPACE:
        return caller.workspace_id
    caller.require(identity_pb2.SCOPE_OPERATOR)
    return ""


def _target(hold: HoldDraft | HoldLift) -> str:
    """What the scope names, as the scheduler has it. Raises RequestInvalid for what cannot be one."""
    match hold.scope:
        case "EVERYTHING" | "WORKSPACE":
            target, wanted = hold.target, "Leave it empty with this scope."
            is_good = not target
        case "PLATFORM":
            target, wanted = hold.target.lower(), f"Name the platform: {', '.join(_PLATFORMS)}."
            is_good = target.upper() in _PLATFORMS
        case "CHANNEL":
            target, wanted = hold.target, "Name the channel."
            is_good = bool(target)
        case _:
            target, wanted = canonical_id(hold.target) or "", f"Give the id of the {hold.scope.lower()}."
            is_good = bool(target)
    if not is_good:
        raise invalid([FieldViolation("target", wanted, "TARGET_INVALID")])
    return target


async def _must_exist(clients: Clients, workspace_id: str, scope: str, target: str) -> None:
    """Raises NotFound for a post or account that is not there: whoever mistypes must not believe that it is paused."""
    # A pause is not refused because somebody who could not be asked might have known better.
    with contextlib.suppress(Unavailable, DeadlineExceeded):
        if scope == "ACCOUNT":
            account = publisher_pb2.GetAccountRequest(workspace_id=workspace_id, account_id=target)
            await clients.call(clients.publisher.GetAccount, account)
        elif scope == "POST":
            post = pb.GetPostRequest(workspace_id=workspace_id, post_id=target)
            await clients.call(clients.scheduler.GetPost, post)
