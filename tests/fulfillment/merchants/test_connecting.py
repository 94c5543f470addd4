"""Connecting an Amazon seller: tried before it is stored, sealed, one workspace's own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import grpc
import pytest
from pydantic import SecretStr
from reelroute.fulfillment.v1 import merchants_pb2 as pb

from kit.db import Database
from kit.rpc_status import from_rpc_error
from tests.fulfillment.merchants.stage import REFRESH, AmazonSandbox, MerchantStage, an_amazon_config, staged_merchants
from tests.fulfillment.stage import OTHER


def refusal(connecting: Any, *args: Any, **changes: Any) -> str:
    """Code and reason of a refused RPC."""
    with pytest.raises(grpc.RpcError) as refused:
        connecting(*args, **changes)
    return f"{refused.value.code().name} {from_rpc_error(refused.value).reason}"


def test_a_merchant_is_connected_by_its_refresh_token_and_the_token_is_sealed(stage: MerchantStage) -> None:
    merchant = stage.connect()
    assert (merchant.name, merchant.marketplace, merchant.amazon_marketplace_id, merchant.state, merchant.problem) == (
        "Emberfold",
        "US",
        "ATVPDKIKX0DER",
        pb.MERCHANT_STATE_CONNECTED,
        "",
    )
    assert stage.get(merchant) == merchant
    assert stage.merchants() == [merchant]
    (told,) = stage.told()
    assert (told.type, told.summary) == ("merchant.connected", "Emberfold is connected: Amazon US.")
    stage.recorder.run_once()
    (row,) = stage.rows("SELECT * FROM merchants")
    records = stage.rows("SELECT * FROM vendor_calls")
    assert {record["operation"] for record in records} == {
        "lwa_refresh",
        "listAllFulfillmentOrders",
        "getInventorySummaries",
    }
    for secret in ("Atzr|", "Atza|", "amzn1.oa2-cs"):
        assert secret.encode() not in bytes(row["refresh_token"]) + bytes(row["access_token"])
        assert secret not in repr(records)


def test_connecting_again_keeps_the_id_and_takes_the_new_name(stage: MerchantStage) -> None:
    first = stage.connect()
    stage.disconnect(first)
    again = stage.connect(name="Emberfold LLC")
    assert (again.merchant_id, again.name, again.state) == (
        first.merchant_id,
        "Emberfold LLC",
        pb.MERCHANT_STATE_CONNECTED,
    )
    assert [told.type for told in stage.told()] == ["merchant.connected", "merchant.disconnected", "merchant.connected"]


def test_a_token_that_does_not_open_what_is_needed_is_not_stored(stage: MerchantStage) -> None:
    assert refusal(stage.connect, refresh_token="Atzr|wrong") == "FAILED_PRECONDITION MERCHANT_AUTHORIZATION_LOST"
    # The seller sells in the US alone.
    assert refusal(stage.connect, marketplace="GB") == "FAILED_PRECONDITION AMAZON_REQUEST_REFUSED"
    assert refusal(stage.connect, marketplace="CH") == "INVALID_ARGUMENT MARKETPLACE_UNKNOWN"
    stage.amazon.settings(denied_operations=["getInventorySummaries"])
    assert refusal(stage.connect) == "FAILED_PRECONDITION AMAZON_REQUEST_REFUSED"
    stage.amazon.settings(denied_operations=["listAllFulfillmentOrders"])
    assert refusal(stage.connect) == "FAILED_PRECONDITION MERCHANT_AUTHORIZATION_LOST"
    stage.amazon.settings(denied_operations=[])
    stage.amazon.fault("token", "error", count=1)
    assert refusal(stage.connect) == "UNAVAILABLE AMAZON_UNAVAILABLE"
    assert stage.merchants() == []
    assert stage.told() == []


def test_another_workspace_sees_nothing_and_cannot_have_a_merchant_that_is_connected(stage: MerchantStage) -> None:
    merchant = stage.connect()
    assert stage.merchants(OTHER) == []
    assert refusal(stage.get, merchant, OTHER) == "NOT_FOUND MERCHANT_NOT_FOUND"
    assert refusal(stage.connect, OTHER) == "FAILED_PRECONDITION MERCHANT_BELONGS_TO_ANOTHER"
    gone = stage.disconnect(merchant)
    assert gone.state == pb.MERCHANT_STATE_DISCONNECTED
    assert gone.problem
    assert stage.rows("SELECT access_token, refresh_token FROM merchants") == [
        {"access_token": None, "refresh_token": None}
    ]
    assert UUID(stage.connect(OTHER).merchant_id) != UUID(merchant.merchant_id)


def test_without_an_app_nothing_is_connected(database: Database, amazon: AmazonSandbox) -> None:
    config = an_amazon_config(str(amazon.http.base_url), client_secret=SecretStr(""))
    with staged_merchants(database, amazon, config) as stage:
        assert refusal(stage.connect) == "FAILED_PRECONDITION AMAZON_NOT_CONFIGURED"
    assert amazon.calls("token") == 0
    assert REFRESH not in repr(pb.ConnectMerchantRequest(refresh_token="x"))
