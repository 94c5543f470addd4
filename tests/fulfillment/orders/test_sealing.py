"""What is personal is stored sealed for one place, and shown as a mask."""

from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.crypto import SealBroken
from kit.db import Database
from services.fulfillment.marketplaces.tiktok_shop import recipient_of
from services.fulfillment.orders.address import normalise
from services.fulfillment.orders.recipient import District, Recipient
from services.fulfillment.orders.sealing import Sealer, mask
from tests.fulfillment.orders.samples_of import sample_orders
from tests.fulfillment.stage import OTHER, WORKSPACE, a_vault


def test_everything_sealed_is_the_same_when_it_is_opened(database: Database) -> None:
    with database.transaction(WORKSPACE) as tx:
        sealer = Sealer(a_vault(), tx, WORKSPACE)
        for found in sample_orders().values():
            order_id, verdict = uuid4(), normalise(recipient_of(found))
            assert sealer.open_order(order_id, sealer.seal_order(order_id, found.raw)) == found.raw
            assert sealer.open_verdict(order_id, sealer.seal_verdict(order_id, verdict)) == verdict
            if verdict.address is not None:
                sealed = sealer.seal_destination(order_id, verdict.address)
                assert sealer.open_destination(order_id, sealed) == verdict.address


def test_what_is_sealed_for_one_place_opens_in_no_other(database: Database) -> None:
    one, other = uuid4(), uuid4()
    verdict = normalise(recipient_of(next(iter(sample_orders().values()))))
    with database.transaction(WORKSPACE) as tx:
        sealer = Sealer(a_vault(), tx, WORKSPACE)
        order, address = sealer.seal_order(one, {"a": 1}), sealer.seal_verdict(one, verdict)
        for opened in (
            lambda: sealer.open_order(other, order),
            lambda: sealer.open_verdict(other, address),
            lambda: sealer.open_order(one, address),
            lambda: sealer.open_destination(one, address),
        ):
            with pytest.raises(SealBroken):
                opened()
    with database.transaction(OTHER) as tx, pytest.raises(SealBroken):
        Sealer(a_vault(), tx, OTHER).open_order(one, order)


def test_a_buyer_has_one_hash_in_a_workspace_and_another_one_elsewhere(database: Database) -> None:
    hashes = []
    for workspace in (WORKSPACE, WORKSPACE, OTHER):
        with database.transaction(workspace) as tx:
            hashes.append(Sealer(a_vault(), tx, workspace).buyer_hash("7438392271970761611"))
            assert Sealer(a_vault(), tx, workspace).buyer_hash("") is None
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_mask_shows_first_letters_the_state_and_the_start_of_the_zip() -> None:
    found = next(each for each in sample_orders().values() if each.id == "576950129146371573")
    recipient = recipient_of(found)
    assert mask(recipient, normalise(recipient)) == "I*** R***, TN 379**"
    hidden = replace(recipient, name="I*** R***", postal_code="37***")
    assert mask(hidden, normalise(hidden)) == "I*** R***, Tennessee 3**"
    assert mask(Recipient(), normalise(Recipient())) == ""
    japan = Recipient("田中 太郎", lines=("1-1",), postal_code="1000001", country_code="JP")
    assert (
        mask(japan, normalise(replace(japan, districts=(District("L1", "", "東京都"),)))) == "田*** 太***, 東京都 100**"
    )


@given(st.text(st.characters(categories=["L", "Zs"]), min_size=4), st.text("0123456789 -", max_size=12))
def test_a_mask_never_shows_a_word_or_a_postal_code_whole(name: str, postal_code: str) -> None:
    told = Recipient(name, lines=("1 High St",), postal_code=postal_code, country_code="US")
    masked = mask(told, normalise(told))
    assert [word for word in name.split() if len(word) > 1 and word in masked.replace("***", " ")] == []
    assert len(postal_code) < 3 or postal_code not in masked
