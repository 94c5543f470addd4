"""Accounts after they were connected: taken back, and read for their numbers; over the sandbox."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from reelroute.publisher.v1 import publisher_pb2 as pb
from reelroute.publisher.v1 import publisher_pb2_grpc

from kit.custody import TokenPair
from kit.rpc_status import from_rpc_error
from services.publisher import account_store
from tests.publisher.factories import WORKSPACE
from tests.publisher.stage import CALLBACK, CREATOR, Stage, until

Stub = publisher_pb2_grpc.PublisherServiceStub
ALL = "user.info.basic,user.info.profile,user.info.stats,video.publish,video.upload,video.list"


@pytest.fixture
def api(stage: Stage) -> Stub:
    return stage.api(stage.worker(tiktok={"scopes": ALL}))


def connect(stage: Stage, api: Stub) -> pb.Account:
    request = pb.StartConnectionRequest(workspace_id=str(WORKSPACE), platform=pb.PLATFORM_TIKTOK, redirect_uri=CALLBACK)
    code, state = stage.sandbox.code(api.StartConnection(request, timeout=10).consent_url)
    finish = pb.FinishConnectionRequest(workspace_id=str(WORKSPACE), state=state, code=code)
    return api.FinishConnection(finish, timeout=30).account


def mine(stage: Stage) -> dict[str, Any]:
    return {"workspace_id": str(WORKSPACE), "account_id": str(stage.account.account_id)}


def tokens(stage: Stage) -> TokenPair:
    with stage.database.transaction(WORKSPACE) as tx:
        account = account_store.read_account(tx, WORKSPACE, stage.account.account_id)
        return account_store.read_tokens(tx, stage.ledger.vault, account)


def disconnect(stage: Stage, api: Stub) -> pb.Account:
    return api.DisconnectAccount(pb.DisconnectAccountRequest(**mine(stage)), timeout=20).account


def refusal(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call(request, timeout=20)
    assert isinstance(refused.value, grpc.Call)
    return refused.value.code(), from_rpc_error(refused.value).reason


def test_a_disconnected_account_keeps_nothing_and_its_posts_wait_until_it_is_connected_again(
    stage: Stage, api: Stub
) -> None:
    connect(stage, api)
    before = tokens(stage)
    account = disconnect(stage, api)
    assert (account.state, account.handle) == (pb.ACCOUNT_STATE_DISCONNECTED, CREATOR)
    assert "disconnected" in account.problem
    after = tokens(stage)
    assert (after.access_token, after.refresh_token, after.refresh_expire_time) == ("", "", None)
    assert stage.client is not None
    # The platform does not take the token any more.
    answer = stage.sandbox.http.get(
        "/v2/user/info/?fields=open_id", headers={"Authorization": f"Bearer {before.access_token}"}
    )
    assert answer.json()["error"]["code"] == "access_token_invalid"
    until(lambda: True if [each.target for each in stage.scheduler.holds] == [account.account_id] else None)
    waiting = stage.wait_state(stage.schedule(), "HELD")
    assert [report.failure.reason for report in waiting.reports] == ["AUTHORIZATION_LOST"]
    # Said again it changes nothing, and asks nobody.
    calls = stage.sandbox.calls("revoke")
    assert disconnect(stage, api).state == pb.ACCOUNT_STATE_DISCONNECTED
    assert stage.sandbox.calls("revoke") == calls
    again = connect(stage, api)
    assert (again.account_id, again.state) == (account.account_id, pb.ACCOUNT_STATE_CONNECTED)
    until(lambda: True if account.account_id in [each.target for each in stage.scheduler.lifted] else None)


def test_a_platform_that_does_not_answer_is_asked_again_and_nothing_is_published_meanwhile(
    stage: Stage, api: Stub
) -> None:
    stage.sandbox.control("PATCH", "/tiktok/settings", outage="error")
    code, _ = refusal(api.DisconnectAccount, pb.DisconnectAccountRequest(**mine(stage)))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert tokens(stage).access_token
    assert api.GetAccount(pb.GetAccountRequest(**mine(stage)), timeout=5).account.state == pb.ACCOUNT_STATE_DISCONNECTED
    stage.sandbox.control("PATCH", "/tiktok/settings", outage="off")
    disconnect(stage, api)
    assert not tokens(stage).access_token


def test_numbers_of_posts_are_read_page_by_page_and_ours_are_known(stage: Stage, api: Stub) -> None:
    connect(stage, api)
    planned = [stage.wait_state(stage.schedule(), "PUBLISHED") for _ in range(3)]
    ids = [each.published.platform_post_id for each in planned]
    handle = (stage.publication(planned[0]) or {})["handle"]
    stage.sandbox.control("PATCH", f"/tiktok/posts/{handle}/counts", view_count=9, like_count=2)

    def read(**values: Any) -> pb.ListPostNumbersResponse:
        return api.ListPostNumbers(pb.ListPostNumbersRequest(**mine(stage), **values), timeout=20)

    first = read(page_size=2)
    rest = read(page_token=first.next_page_token)
    found = [*first.posts, *rest.posts]
    assert ([each.platform_post_id for each in found], rest.next_page_token) == (ids[::-1], "")
    assert [each.delivery_id for each in found] == [str(each.delivery_id) for each in planned[::-1]]
    (one,) = read(platform_post_ids=[ids[0], "7399"]).posts
    assert (one.views, one.likes, one.comments) == (9, 2, 0)
    assert one.HasField("comments")
    assert refusal(api.ListPostNumbers, pb.ListPostNumbersRequest(**mine(stage), page_token="x")) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
    )


def test_what_a_creator_may_do_is_read_afresh_for_the_form_of_a_post(stage: Stage, api: Stub) -> None:
    request = pb.GetAccountLimitsRequest(**mine(stage))
    first = api.GetAccountLimits(request, timeout=20).limits
    assert (first.handle, "PUBLIC_TO_EVERYONE" in first.privacy_levels, first.duet_disabled) == (CREATOR, True, False)
    assert first.longest_video_seconds > 0
    stage.sandbox.control("PATCH", f"/tiktok/creators/{CREATOR}", private=True, duet_disabled=True)
    then = api.GetAccountLimits(request, timeout=20).limits
    assert ("PUBLIC_TO_EVERYONE" in then.privacy_levels, then.duet_disabled) == (False, True)
    stage.sandbox.control("PATCH", f"/tiktok/creators/{CREATOR}", banned=True)
    assert refusal(api.GetAccountLimits, request) == (grpc.StatusCode.FAILED_PRECONDITION, "LIMITS_NOT_TOLD")


def test_numbers_of_an_account_are_read_where_its_owner_allows_it(stage: Stage, api: Stub) -> None:
    request = pb.GetAccountNumbersRequest(**mine(stage))
    assert refusal(api.GetAccountNumbers, request) == (grpc.StatusCode.FAILED_PRECONDITION, "SCOPE_NOT_GRANTED")
    connect(stage, api)
    stage.sandbox.control("PATCH", f"/tiktok/creators/{CREATOR}", follower_count=1204)
    numbers = api.GetAccountNumbers(request, timeout=20).numbers
    assert (numbers.followers, numbers.posts) == (1204, 0)
    stage.sandbox.control("PATCH", "/tiktok/settings", outage="error")
    assert refusal(api.GetAccountNumbers, request)[0] is grpc.StatusCode.UNAVAILABLE


def test_an_account_of_drafts_alone_is_connected_by_its_profile(stage: Stage) -> None:
    api = stage.api(stage.worker(tiktok={"scopes": "user.info.basic,user.info.profile,video.upload"}))
    account = connect(stage, api)
    assert (account.handle, account.account_id) == (CREATOR, str(stage.account.account_id))


def test_a_privacy_level_that_the_creator_no_longer_offers_waits_for_a_person(stage: Stage, api: Stub) -> None:
    stage.sandbox.control("PATCH", f"/tiktok/creators/{CREATOR}", privacy_options=["SELF_ONLY"])
    planned = stage.wait_state(stage.schedule(), "HELD")
    (report,) = planned.reports
    assert (report.failure.reason, stage.sandbox.calls("video_init")) == ("TIKTOK_PRIVACY_LEVEL_GONE", 0)
