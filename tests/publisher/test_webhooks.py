"""Webhooks at the publisher: hints to ask sooner, taken once, and never believed."""

from __future__ import annotations

import json
import time
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY
from reelroute.publisher.v1 import publisher_pb2 as pb
from reelroute.publisher.v1 import publisher_pb2_grpc
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.rpc_status import from_rpc_error
from sandbox.tiktok.state import sign_webhook
from services.publisher import account_store
from services.publisher.domain import AccountState
from tests.publisher.factories import OTHER_WORKSPACE, WORKSPACE
from tests.publisher.stage import CREATOR, Stage, until

SECRET = "sandbox-client-secret"
Stub = publisher_pb2_grpc.PublisherServiceStub


@pytest.fixture
def api(stage: Stage) -> Stub:
    """A publisher's RPCs."""
    return stage.api(stage.worker())


def body(stage: Stage, event: str, **content: Any) -> bytes:
    return json.dumps(
        {
            "client_key": "sandbox-client-key",
            "event": event,
            "create_time": int(time.time()),
            "user_openid": stage.account.platform_account_id,
            "content": json.dumps(content),
        }
    ).encode()


def send(api: Stub, data: bytes, at: float | None = None, signature: str | None = None) -> None:
    signed = sign_webhook(SECRET, int(time.time() if at is None else at), data)
    api.ReceiveWebhook(
        pb.ReceiveWebhookRequest(
            platform=pb.PLATFORM_TIKTOK, body=data, signature=signed if signature is None else signature
        ),
        timeout=10,
    )


def refusal(api: Stub, data: bytes, **how: Any) -> str:
    with pytest.raises(grpc.RpcError) as refused:
        send(api, data, **how)
    return from_rpc_error(refused.value).reason


def waiting_long(stage: Stage) -> Any:
    """A post whose verdict is there, and that is asked about again in an hour."""
    stage.sandbox.control("PATCH", "/tiktok/settings", moderation_seconds=3600)
    planned = stage.wait_state(stage.schedule(), "CONFIRMING")
    until(lambda: (stage.publication(planned) or {}).get("checks") or None)
    stage.sandbox.control("POST", "/clock/advance", seconds=3601)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE publications SET next_check_time = now() + interval '1 hour', revision = revision + 1"))
    return planned


def test_a_hint_brings_the_verdict_at_once_and_says_nothing_itself(stage: Stage, api: Stub) -> None:
    planned = waiting_long(stage)
    publication = stage.publication(planned)
    assert publication is not None
    # What it says is not so, and not believed: the platform is asked.
    send(api, body(stage, "post.publish.failed", publish_id=publication["handle"], reason="spam_risk"))
    stage.wait_state(planned, "PUBLISHED", seconds=5)


def test_hints_about_others_change_nothing(stage: Stage, api: Stub) -> None:
    planned = waiting_long(stage)
    before = stage.publication(planned)
    assert before is not None
    send(api, body(stage, "post.publish.complete", publish_id="v_pub_file~v2.1"))
    stranger = json.loads(body(stage, "post.publish.complete", publish_id=before["handle"]))
    send(api, json.dumps(stranger | {"user_openid": "somebody-else"}).encode())
    after = stage.publication(planned)
    assert after is not None
    assert after["next_check_time"] == before["next_check_time"]


def test_the_forged_the_stale_the_replayed_and_the_oversized_are_refused(stage: Stage, api: Stub) -> None:
    hint = body(stage, "post.publish.complete", publish_id="v_pub_file~v2.1")
    now = time.time()
    assert refusal(api, hint, signature="") == "WEBHOOK_FORGED"
    assert refusal(api, hint, signature=sign_webhook("another secret", int(now), hint)) == "WEBHOOK_FORGED"
    assert refusal(api, hint + b" ", signature=sign_webhook(SECRET, int(now), hint)) == "WEBHOOK_FORGED"
    assert refusal(api, hint, at=now - 302) == "WEBHOOK_STALE"
    assert refusal(api, hint, at=now + 310) == "WEBHOOK_STALE"
    assert refusal(api, b" " * 70_000) == "WEBHOOK_TOO_LARGE"
    assert refusal(api, b"[]") == "WEBHOOK_UNREADABLE"
    send(api, hint, at=now - 10)
    assert refusal(api, hint, at=now - 10) == "WEBHOOK_REPLAYED"
    # The platform itself sends an event again under a new signature.
    send(api, hint, at=now)


def test_an_unknown_event_is_taken_and_counted(stage: Stage, api: Stub) -> None:
    before = REGISTRY.get_sample_value("reelroute_webhooks_total", {"event": "unknown"}) or 0
    send(api, body(stage, "video.something_new"))
    assert REGISTRY.get_sample_value("reelroute_webhooks_total", {"event": "unknown"}) == before + 1


def state(stage: Stage) -> AccountState:
    with stage.database.transaction(stage.account.workspace_id) as tx:
        found = account_store.read_account(tx, stage.account.workspace_id, stage.account.account_id)
    return found.state


def test_a_removed_authorization_is_confirmed_before_it_is_believed(stage: Stage, api: Stub) -> None:
    calls = stage.sandbox.calls("creator_info")
    send(api, body(stage, "authorization.removed", reason=1))
    until(lambda: True if stage.sandbox.calls("creator_info") > calls else None)
    assert state(stage) is AccountState.CONNECTED
    stage.sandbox.control("POST", f"/tiktok/creators/{CREATOR}/revoke")
    send(api, body(stage, "authorization.removed", reason=1, again=True))
    until(lambda: True if state(stage) is AccountState.AUTHORIZATION_LOST else None)


def test_a_profile_that_two_workspaces_have_is_found_in_both(stage: Stage) -> None:
    stage.sandbox.connect(stage.ledger, OTHER_WORKSPACE)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        found = account_store.accounts_of_profile(tx, stage.account.platform, stage.account.platform_account_id)
    assert {each.workspace_id for each in found} == {WORKSPACE, OTHER_WORKSPACE}
