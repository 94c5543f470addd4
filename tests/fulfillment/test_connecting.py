"""Connecting shops: from the consent page to tokens that are kept, renewed, lost and forgotten."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from kit.rpc_status import from_rpc_error
from tests.fulfillment.stage import OTHER, TWO_SHOPS, WORKSPACE, Stage


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str, str]:
    """Code, reason and sentence of a refusal."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    refusal = from_rpc_error(caught.value)
    return caught.value.code(), refusal.reason, refusal.message


def test_a_consent_opens_the_seller_s_shop_and_is_told(stage: Stage) -> None:
    begun = stage.start()
    assert "service_id=sandbox-service-id" in begun.consent_url
    back = stage.shop.consent(begun.consent_url)
    assert back["state"] == begun.state
    (shop,) = stage.finish(begun.state, back["code"])
    assert (shop.name, shop.region, shop.seller_type) == ("Emberfold US", "US", "LOCAL")
    assert (shop.state, shop.problem) == (pb.SHOP_STATE_CONNECTED, "")
    assert "seller.product.basic" in shop.scopes
    assert stage.get(shop) == shop
    listed = stage.stub.ListShops(pb.ListShopsRequest(workspace_id=str(WORKSPACE)), timeout=10)
    assert list(listed.shops) == [shop]
    (told,) = stage.told()
    assert (told.type, told.summary) == ("shop.connected", "Emberfold US is connected.")


def test_a_consent_opens_all_shops_of_a_seller_and_keeps_their_ids_when_it_is_given_again(stage: Stage) -> None:
    first = stage.connect(TWO_SHOPS)
    assert [shop.name for shop in first] == ["Emberfold SG", "Emberfold UK"]
    again = stage.connect(TWO_SHOPS)
    assert [shop.shop_id for shop in again] == [shop.shop_id for shop in first]
    assert [shop.create_time for shop in again] == [shop.create_time for shop in first]
    assert len(stage.rows("SELECT 1 FROM authorizations")) == 1


def test_a_state_is_good_once_in_its_workspace_and_for_ten_minutes(stage: Stage) -> None:
    unknown = (grpc.StatusCode.INVALID_ARGUMENT, "CONNECTION_STATE_UNKNOWN")
    begun = stage.start()
    code = stage.shop.consent(begun.consent_url)["code"]
    assert refused(lambda: stage.finish(begun.state, code, OTHER))[:2] == unknown
    stage.finish(begun.state, code)
    assert refused(lambda: stage.finish(begun.state, code))[:2] == unknown
    late = stage.start()
    stage.rows("UPDATE connections SET expire_time = now() - interval '1 second'")
    assert refused(lambda: stage.finish(late.state, code))[:2] == unknown
    assert refused(lambda: stage.finish("made up", code))[:2] == unknown


def test_a_code_that_is_spent_is_refused_and_a_new_start_works(stage: Stage) -> None:
    stage.connect()
    begun = stage.start()
    code, reason, text = refused(lambda: stage.finish(begun.state, "ROW_made-up"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CONNECTION_REFUSED")
    assert "consent page" in text
    assert len(stage.connect()) == 1


def test_a_creator_s_consent_is_refused_with_the_reason(stage: Stage) -> None:
    url = f"{stage.shop.http.base_url}/alliance/creator/auth?app_key=sandbox-app-key&state=s-1"
    code = stage.shop.consent(url, "emberfold.air")["code"]
    begun = stage.start()
    status, reason, text = refused(lambda: stage.finish(begun.state, code))
    assert (status, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CONNECTION_REFUSED")
    assert "a creator's consent, not a seller's" in text
    assert stage.rows("SELECT 1 FROM authorizations") == []


def test_an_answer_that_does_not_come_stores_nothing_and_a_new_start_works(stage: Stage) -> None:
    stage.shop.fault("token_get", "lost_reply")
    begun = stage.start()
    code = stage.shop.consent(begun.consent_url)["code"]
    status, reason, text = refused(lambda: stage.finish(begun.state, code))
    assert (status, reason) == (grpc.StatusCode.UNAVAILABLE, "SHOP_UNAVAILABLE")
    assert text.endswith("Start the connection again.")
    assert stage.rows("SELECT 1 FROM authorizations") == []
    assert len(stage.connect()) == 1


def test_scopes_that_the_consent_lacks_are_told_with_what_to_do(stage: Stage) -> None:
    stage.shop.settings(app_scopes=["seller.authorization.info", "seller.product.basic"])
    (shop,) = stage.connect()
    assert shop.state == pb.SHOP_STATE_CONNECTED
    assert "seller.order.info (orders)" in shop.problem
    assert "Partner Center" in shop.problem


def test_without_an_app_nothing_is_begun(stage: Stage) -> None:
    stage.calls.client.config.service_id = ""
    status, reason, text = refused(stage.start)
    assert (status, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TIKTOK_SHOP_NOT_CONFIGURED")
    assert "REELROUTE_TIKTOK_SHOP_SERVICE_ID" in text


def test_a_shop_is_connected_in_one_workspace_at_a_time(stage: Stage) -> None:
    (mine,) = stage.connect()
    status, reason, text = refused(lambda: stage.connect(workspace_id=OTHER))
    assert (status, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SHOP_BELONGS_TO_ANOTHER")
    assert "Disconnect it there first" in text
    stage.stub.DisconnectShop(pb.DisconnectShopRequest(workspace_id=str(WORKSPACE), shop_id=mine.shop_id), timeout=10)
    (theirs,) = stage.connect(workspace_id=OTHER)
    assert theirs.shop_id != mine.shop_id
    assert refused(stage.connect)[1] == "SHOP_BELONGS_TO_ANOTHER"


def test_another_workspace_sees_no_shop_of_ours(stage: Stage) -> None:
    (shop,) = stage.connect()
    not_found = (grpc.StatusCode.NOT_FOUND, "SHOP_NOT_FOUND")
    assert refused(lambda: stage.get(shop, OTHER))[:2] == not_found
    theirs = pb.DisconnectShopRequest(workspace_id=str(OTHER), shop_id=shop.shop_id)
    assert refused(lambda: stage.stub.DisconnectShop(theirs, timeout=10))[:2] == not_found
    assert not stage.stub.ListShops(pb.ListShopsRequest(workspace_id=str(OTHER)), timeout=10).shops
    assert stage.get(shop).state == pb.SHOP_STATE_CONNECTED


def test_disconnecting_forgets_the_tokens_of_all_shops_of_the_seller_and_may_be_repeated(stage: Stage) -> None:
    shops = stage.connect(TWO_SHOPS)
    request = pb.DisconnectShopRequest(workspace_id=str(WORKSPACE), shop_id=shops[0].shop_id)
    gone = stage.stub.DisconnectShop(request, timeout=10).shops
    assert [shop.shop_id for shop in gone] == [shop.shop_id for shop in shops]
    assert {shop.state for shop in gone} == {pb.SHOP_STATE_DISCONNECTED}
    assert stage.stub.DisconnectShop(request, timeout=10).shops == gone
    assert [told.type for told in stage.told()] == ["shop.connected", "shop.disconnected"]
    (row,) = stage.rows("SELECT access_token, refresh_token FROM authorizations")
    assert row == {"access_token": None, "refresh_token": None}
    assert {shop.state for shop in stage.connect(TWO_SHOPS)} == {pb.SHOP_STATE_CONNECTED}


def test_no_token_and_no_cipher_lies_open_or_is_shown(stage: Stage) -> None:
    seen: list[str] = []
    sent = stage.calls.client.tokens.get

    async def listened(code: str, **more: float | None) -> object:
        grant = await sent(code)
        seen.extend([grant.access_token, grant.refresh_token])
        return grant

    stage.calls.client.tokens.get = listened  # type: ignore[method-assign, assignment]
    (shop,) = stage.connect()
    seen.append(stage.shop.control("GET", "/tiktok_shop/sellers")[0]["shops"][0]["cipher"])
    assert len(seen) == 3
    everything = [repr(shop), repr(stage.told())]
    stage.recorder.run_once()
    for table in ("authorizations", "shops", "connections", "outbox", "vendor_calls"):
        for row in stage.rows(f"SELECT * FROM {table}"):
            everything += [
                repr(bytes(value)) if isinstance(value, memoryview) else repr(value) for value in row.values()
            ]
    assert not [secret for secret in seen if any(secret in text for text in everything)]
