"""The RPCs of the publisher on a real port, with the platform sandbox behind them."""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from pydantic import SecretStr
from reelroute.publisher.v1 import publisher_pb2 as pb
from reelroute.publisher.v1 import publisher_pb2_grpc
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from kit.rpc_status import from_rpc_error
from services.publisher import account_store, incident_store
from services.publisher.domain import Platform, Step
from services.publisher.platforms.base import Taken
from tests.publisher.factories import (
    OTHER_WORKSPACE,
    PUBLIC,
    WORKSPACE,
    a_claim,
    at_step,
)
from tests.publisher.rows import outcomes
from tests.publisher.stage import CALLBACK, CREATOR, SMALL, Stage, until

Stub = publisher_pb2_grpc.PublisherServiceStub
VIDEO = pb.MediaFacts(
    mime_type="video/mp4", size_bytes=SMALL, width=1080, height=1920, container="mp4", codec="h264",
    frame_rate_millis=30_000, duration_ms=15_000, pixel_mode="yuv420p",
)  # fmt: skip


@pytest.fixture
def api(stage: Stage) -> Stub:
    return stage.api(stage.worker())


def refusal(call: Any, request: Any, timeout: float = 10) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call(request, timeout=timeout)
    assert isinstance(refused.value, grpc.Call)
    return refused.value.code(), from_rpc_error(refused.value).reason


def start(api: Stub, workspace: uuid.UUID = WORKSPACE) -> pb.StartConnectionResponse:
    request = pb.StartConnectionRequest(workspace_id=str(workspace), platform=pb.PLATFORM_TIKTOK, redirect_uri=CALLBACK)
    answer: pb.StartConnectionResponse = api.StartConnection(request, timeout=10)
    return answer


def finish(state: str, code: str, workspace: uuid.UUID = WORKSPACE) -> pb.FinishConnectionRequest:
    return pb.FinishConnectionRequest(workspace_id=str(workspace), state=state, code=code)


def test_an_account_is_connected_listed_and_told_without_showing_a_token(stage: Stage, api: Stub) -> None:
    begun = start(api)
    assert timedelta(minutes=9) < begun.expire_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC) < timedelta(minutes=11)
    code, state = stage.sandbox.code(begun.consent_url, "emberfold.water")
    assert state == begun.state
    account = api.FinishConnection(finish(state, code), timeout=30).account
    assert (account.handle, account.state) == ("emberfold.water", pb.ACCOUNT_STATE_CONNECTED)
    assert "video.publish" in account.scopes
    with stage.database.transaction(WORKSPACE) as tx:
        tokens = account_store.read_tokens(
            tx, stage.ledger.vault, account_store.read_account(tx, WORKSPACE, uuid.UUID(account.account_id))
        )
    listed = api.ListAccounts(pb.ListAccountsRequest(workspace_id=str(WORKSPACE), page_size=1), timeout=5)
    rest = api.ListAccounts(
        pb.ListAccountsRequest(workspace_id=str(WORKSPACE), page_token=listed.next_page_token), timeout=5
    )
    assert [each.handle for each in (*listed.accounts, *rest.accounts)] == [CREATOR, "emberfold.water"]
    for shown in (str(account), str(listed), str(rest)):
        assert tokens.access_token not in shown
        assert tokens.refresh_token not in shown
    until(lambda: "account.connected" in stage.feed.kinds(account_id=account.account_id) or None)
    # Whatever waited for the account goes on.
    until(lambda: [hold.target for hold in stage.scheduler.lifted] == [account.account_id] or None)


def test_connecting_the_same_account_again_keeps_its_id(stage: Stage, api: Stub) -> None:
    begun = start(api)
    code, state = stage.sandbox.code(begun.consent_url)
    account = api.FinishConnection(finish(state, code), timeout=30).account
    assert account.account_id == str(stage.account.account_id)


def test_s14_a_state_that_is_unknown_used_foreign_or_expired_is_refused(stage: Stage, api: Stub) -> None:
    unknown = (grpc.StatusCode.INVALID_ARGUMENT, "CONNECTION_STATE_UNKNOWN")
    code, state = stage.sandbox.code(start(api).consent_url)
    assert refusal(api.FinishConnection, finish("never-given-out", code)) == unknown
    assert refusal(api.FinishConnection, finish(state, code, OTHER_WORKSPACE)) == unknown
    api.FinishConnection(finish(state, code), timeout=30)
    assert refusal(api.FinishConnection, finish(state, code)) == unknown
    late_code, late = stage.sandbox.code(start(api).consent_url)
    with stage.database.transaction(WORKSPACE) as tx:
        tx.execute(text("UPDATE connections SET expire_time = now()"))
    assert refusal(api.FinishConnection, finish(late, late_code)) == unknown


def test_a_code_that_the_platform_refuses_stores_nothing(stage: Stage, api: Stub) -> None:
    begun = start(api)
    assert refusal(api.FinishConnection, finish(begun.state, "forged")) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "CONNECTION_REFUSED",
    )
    listed = api.ListAccounts(pb.ListAccountsRequest(workspace_id=str(WORKSPACE)), timeout=5)
    assert len(listed.accounts) == 1


def test_a_platform_that_does_not_answer_leaves_no_account_and_says_what_to_do(stage: Stage, api: Stub) -> None:
    code, state = stage.sandbox.code(start(api).consent_url)
    stage.sandbox.control("PATCH", "/tiktok/settings", outage="error")
    found = refusal(api.FinishConnection, finish(state, code), timeout=30)
    stage.sandbox.control("PATCH", "/tiktok/settings", outage="off")
    assert found[0] is grpc.StatusCode.UNAVAILABLE


def test_a_caller_waits_for_the_platform_no_longer_than_its_own_deadline(stage: Stage, api: Stub) -> None:
    code, state = stage.sandbox.code(start(api).consent_url)
    stage.sandbox.fault("token", "delay", delay_seconds=3)
    began = time.monotonic()
    assert refusal(api.FinishConnection, finish(state, code), timeout=1)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 2.5


def test_without_an_app_nothing_can_be_connected(stage: Stage) -> None:
    stage.sandbox.app = {"client_key": "", "client_secret": SecretStr("")}
    api = stage.api(stage.worker())
    request = pb.StartConnectionRequest(workspace_id=str(WORKSPACE), platform=pb.PLATFORM_TIKTOK, redirect_uri=CALLBACK)
    assert refusal(api.StartConnection, request) == (grpc.StatusCode.FAILED_PRECONDITION, "PLATFORM_NOT_CONFIGURED")


def test_while_the_worker_is_not_running_a_connection_is_refused_for_now(stage: Stage) -> None:
    worker = stage.worker()
    api = stage.api(worker)
    code, state = stage.sandbox.code(start(api).consent_url)
    assert worker.stop(10)
    assert refusal(api.FinishConnection, finish(state, code))[0] is grpc.StatusCode.UNAVAILABLE


def test_s2_what_belongs_to_another_workspace_looks_as_if_it_were_not_there(stage: Stage, api: Stub) -> None:
    claim = a_claim(account_id=stage.account.account_id)
    asyncio.run(at_step(stage.ledger, claim, Step.HANDLE))
    not_found = grpc.StatusCode.NOT_FOUND
    for workspace, account_id, delivery_id in (
        (OTHER_WORKSPACE, stage.account.account_id, claim.delivery_id),
        (WORKSPACE, uuid.uuid4(), uuid.uuid4()),
    ):
        account = pb.GetAccountRequest(workspace_id=str(workspace), account_id=str(account_id))
        assert refusal(api.GetAccount, account) == (not_found, "ACCOUNT_NOT_FOUND")
        publication = pb.GetPublicationRequest(workspace_id=str(workspace), delivery_id=str(delivery_id))
        assert refusal(api.GetPublication, publication) == (not_found, "PUBLICATION_NOT_FOUND")
    listed = api.ListAccounts(pb.ListAccountsRequest(workspace_id=str(OTHER_WORKSPACE)), timeout=5)
    assert list(listed.accounts) == []
    mine = api.GetAccount(
        pb.GetAccountRequest(workspace_id=str(WORKSPACE), account_id=str(stage.account.account_id)), timeout=5
    )
    assert mine.account.handle == CREATOR


def test_drafts_are_checked_against_their_accounts_and_platforms(stage: Stage, api: Stub) -> None:
    mine = str(stage.account.account_id)
    drafts = [
        pb.PostCheck(account_ids=[mine], media=[VIDEO], tiktok_options={"privacy_level": "PUBLIC_TO_EVERYONE"}),
        pb.PostCheck(account_ids=[mine, "no uuid", str(uuid.uuid4())], media=[VIDEO]),
        pb.PostCheck(account_ids=[], caption="a" * 3000),
    ]
    request = pb.CheckPostsRequest(workspace_id=str(WORKSPACE), posts=drafts)
    found = [
        [(problem.field, problem.reason) for problem in result.problems]
        for result in api.CheckPosts(request, timeout=5).results
    ]
    assert found == [
        [],
        [
            ("account_ids[1]", "ACCOUNT_NOT_FOUND"),
            ("account_ids[2]", "ACCOUNT_NOT_FOUND"),
            ("options.tiktok.privacy_level", "PRIVACY_LEVEL_MISSING"),
        ],
        [],
    ]
    foreign = pb.CheckPostsRequest(workspace_id=str(OTHER_WORKSPACE), posts=drafts[:1])
    (result,) = api.CheckPosts(foreign, timeout=5).results
    assert [problem.reason for problem in result.problems] == ["ACCOUNT_NOT_FOUND"]


def test_a_lost_account_may_be_planned_for_and_says_what_is_wrong(stage: Stage, api: Stub) -> None:
    with stage.database.transaction(WORKSPACE) as tx:
        used = account_store.read_tokens(tx, stage.ledger.vault, stage.account)
        account_store.set_authorization_lost(tx, stage.account, used, "Revoked. Connect it again.")
    draft = pb.PostCheck(
        account_ids=[str(stage.account.account_id)],
        media=[VIDEO],
        tiktok_options={"privacy_level": "PUBLIC_TO_EVERYONE"},
    )
    (result,) = api.CheckPosts(pb.CheckPostsRequest(workspace_id=str(WORKSPACE), posts=[draft]), timeout=5).results
    (problem,) = result.problems
    assert (problem.reason, problem.blocking) == ("AUTHORIZATION_LOST", False)
    assert "Connect it again" in problem.message


def test_r36_a_publication_shows_its_attempts_steps_and_evidence_but_no_credential(stage: Stage, api: Stub) -> None:
    claim = a_claim(account_id=stage.account.account_id)
    asyncio.run(at_step(stage.ledger, claim, Step.COMMITTING))
    request = pb.GetPublicationRequest(workspace_id=str(WORKSPACE), delivery_id=str(claim.delivery_id))
    running = api.GetPublication(request, timeout=5).publication
    assert running.step == pb.PUBLICATION_STEP_COMMITTING
    (attempt,) = running.attempts
    assert (attempt.attempt, attempt.holder, attempt.outcome, attempt.HasField("end_time")) == (1, "test/1", "", False)
    assert [entry.step for entry in attempt.entries] == [1, 2, 3, 4]
    assert "upload-secret" not in str(running)

    async def publish() -> None:
        publication, _ = await stage.ledger.open(dataclasses.replace(claim, attempt=2))
        await stage.ledger.taken(publication, Taken(verdict=PUBLIC), watch=False)

    asyncio.run(publish())
    over = api.GetPublication(request, timeout=5).publication
    assert (over.step, over.platform_post_id, over.url) == (
        pb.PUBLICATION_STEP_PUBLISHED,
        PUBLIC.platform_post_id,
        PUBLIC.url,
    )
    assert [(attempt.attempt, attempt.outcome) for attempt in over.attempts] == [(1, "lost"), (2, "published")]


def test_r35_each_call_begins_another_publish_epoch(api: Stub) -> None:
    request = pb.BeginPublishEpochRequest(reason="restored from the backup of 3 May")
    first, second = (api.BeginPublishEpoch(request, timeout=5) for _ in range(2))
    assert (first.publish_epoch, second.publish_epoch) == (2, 3)
    assert second.begin_time.ToDatetime() > first.begin_time.ToDatetime()


def uncertain(stage: Stage, **options: str) -> uuid.UUID:
    """A delivery whose outcome nobody can know."""
    claim = a_claim(account_id=stage.account.account_id, options={"tiktok": options})

    async def doubt() -> None:
        publication = await at_step(stage.ledger, claim, Step.COMMITTING)
        await stage.ledger.uncertain(publication, "No answer came.", needs_person=True)

    asyncio.run(doubt())
    return claim.delivery_id


def settle(delivery_id: uuid.UUID, *, is_published: bool, url: str = "", workspace: uuid.UUID = WORKSPACE) -> Any:
    return pb.SettlePublicationRequest(
        workspace_id=str(workspace), delivery_id=str(delivery_id), is_published=is_published, url=url
    )


def test_a_person_settles_an_uncertain_publication_and_may_say_it_twice(stage: Stage, api: Stub) -> None:
    stage.relay.stop(5)
    there, not_there = uncertain(stage), uncertain(stage)
    for _ in range(2):
        found = api.SettlePublication(settle(there, is_published=True, url="https://t.example/1"), timeout=5)
        assert (found.publication.step, found.publication.url, found.publication.needs_person) == (
            pb.PUBLICATION_STEP_PUBLISHED,
            "https://t.example/1",
            False,
        )
        gone = api.SettlePublication(settle(not_there, is_published=False), timeout=5)
        assert gone.publication.step == pb.PUBLICATION_STEP_OPENED
    assert outcomes(stage.database) == [("uncertain", 1), ("uncertain", 1), ("published", 1), ("TRANSIENT", 1)]


def test_what_a_person_found_is_told_as_private_when_its_author_chose_that(stage: Stage, api: Stub) -> None:
    delivery_id = uncertain(stage, privacy_level="SELF_ONLY")
    api.SettlePublication(settle(delivery_id, is_published=True), timeout=5)
    with stage.database.transaction(ALL_WORKSPACES) as tx:
        assert tx.execute(text("SELECT visibility FROM publications")).scalar_one() == "PRIVATE"


def test_only_what_is_uncertain_and_ones_own_can_be_settled(stage: Stage, api: Stub) -> None:
    claim = a_claim(account_id=stage.account.account_id)
    asyncio.run(at_step(stage.ledger, claim, Step.ACCEPTED))
    for is_published in (True, False):
        assert refusal(api.SettlePublication, settle(claim.delivery_id, is_published=is_published)) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "PUBLICATION_NOT_UNCERTAIN",
        )
        foreign = settle(uncertain(stage), is_published=is_published, workspace=OTHER_WORKSPACE)
        assert refusal(api.SettlePublication, foreign) == (grpc.StatusCode.NOT_FOUND, "PUBLICATION_NOT_FOUND")


def test_incidents_are_listed_newest_first_in_pages(stage: Stage, api: Stub) -> None:
    for number in range(3):
        with stage.database.transaction(ALL_WORKSPACES) as tx:
            incident = incident_store.open_incident(tx, Platform.TIKTOK, f"Fault {number}.", timedelta(hours=1))
            assert incident is not None
            if number < 2:
                assert incident_store.close_incident(tx, incident)
    page = api.ListIncidents(pb.ListIncidentsRequest(page_size=2), timeout=5)
    rest = api.ListIncidents(pb.ListIncidentsRequest(page_size=2, page_token=page.next_page_token), timeout=5)
    found = [*page.incidents, *rest.incidents]
    assert [incident.cause for incident in found] == ["Fault 2.", "Fault 1.", "Fault 0."]
    assert [incident.HasField("end_time") for incident in found] == [False, True, True]
    assert [incident.HasField("next_probe_time") for incident in found] == [True, False, False]
    assert (len(page.incidents), rest.next_page_token) == (2, "")
