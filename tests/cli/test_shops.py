"""Shops: connected with the seller's consent, looked at, and what they sell."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import typer

from cli.consent import Listener
from tests.cli.conftest import Run
from tests.cli.gateway import FakeGateway, Memory
from tests.cli.shop_gateway import open_shop, stock
from tests.cli.test_commands import ask

BACK = "https://emberfold.example/back"


@pytest.fixture
def shop_id(memory: Memory) -> str:
    return open_shop(memory, "Emberfold")


@pytest.mark.parametrize(("region", "word"), [("us", "US"), ("rest-of-world", "REST_OF_WORLD")])
def test_a_sellers_shops_are_connected_by_consent_in_a_browser(
    run: Run, gateway: FakeGateway, free_port: int, monkeypatch: pytest.MonkeyPatch, region: str, word: str
) -> None:
    wait = Listener.wait

    def consented(listener: Listener, state: str, seconds: float) -> str:
        # TikTok Shop sends more along, and codes with characters that must be decoded once.
        address = f"{listener.redirect_uri}?app_key=a1&code=ROW_a%2B%2F7&locale=en&state={state}"
        browser = threading.Thread(target=ask, args=[address])
        browser.start()
        code = wait(listener, state, seconds)
        browser.join()
        return code

    monkeypatch.setattr(Listener, "wait", consented)
    outcome = run("shops", "connect", "--region", region, "--port", str(free_port))
    assert outcome.exit_code == 0
    assert "Connected Emberfold (US) as" in outcome.out
    assert "https://shop.example/consent" in outcome.err
    assert gateway.memory.sent("/v1/shop-connections")[0].body == {"seller_region": word}
    (finish,) = gateway.memory.sent("/v1/shop-connections:finish")
    assert finish.body == {"state": "s1", "code": "ROW_a+/7"}


def test_the_address_may_be_pasted_where_the_app_knows_another(
    run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: f" {BACK}?code=c%2F1&state=s1 \n")
    outcome = run("shops", "connect", "--region", "us", "--paste", "--json")
    assert outcome.exit_code == 0
    assert outcome.document["shops"][0]["name"] == "Emberfold"
    assert memory.sent("/v1/shop-connections:finish")[0].body["code"] == "c/1"


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        (f"{BACK}?code=null&error=auth_denied&state=s1", "auth_denied"),
        (f"{BACK}?code=c1&state=s2", "Start again"),
        (BACK, "Start again"),
        ("c1", "Start again"),
    ],
)
def test_what_was_pasted_without_consent_finishes_nothing(
    run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch, pasted: str, told: str
) -> None:
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: pasted)
    outcome = run("shops", "connect", "--region", "us", "--paste")
    assert outcome.exit_code == 3
    assert told in outcome.err
    assert memory.sent("/v1/shop-connections:finish") == []


def test_without_anybody_to_paste_it_says_so(run: Run, memory: Memory) -> None:
    outcome = run("shops", "connect", "--region", "us", "--paste")
    assert (outcome.exit_code, "No address was pasted" in outcome.err) == (3, True)


def test_a_code_that_was_sent_once_is_not_sent_again(run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: f"{BACK}?code=c1&state=s1")
    memory.faults["POST /v1/shop-connections:finish"] = [503]
    assert run("shops", "connect", "--region", "us", "--paste").exit_code == 3
    assert len(memory.sent("/v1/shop-connections:finish")) == 1


def test_a_shop_is_known_by_its_name_its_code_and_its_ids(run: Run, memory: Memory, shop_id: str) -> None:
    open_shop(memory, "Second")
    open_shop(memory, "Third")
    assert all(name in run("shops", "list").out for name in ("Emberfold", "Second", "Third", "never"))
    for word in ("emberfold", "USEMBERFOLD", "7495540735365777507", shop_id):
        assert run("shops", "show", word, "--json").document["shop_id"] == shop_id
    assert "seller.order.info" in run("shops", "show", "third").out
    unknown = run("shops", "show", "Nobody")
    assert (unknown.exit_code, "reelroute shops list" in unknown.err) == (3, True)
    open_shop(memory, "EMBERFOLD")
    assert "Several shops" in run("shops", "show", "Emberfold").err


def test_disconnecting_is_asked_about_and_names_all_shops_that_it_takes(run: Run, memory: Memory, shop_id: str) -> None:
    open_shop(memory, "Second")
    assert run("shops", "disconnect", "Second").exit_code == 3  # nobody to ask
    assert [each["state"] for each in memory.shops] == ["CONNECTED", "CONNECTED"]
    outcome = run("shops", "disconnect", "Second", "--yes")
    assert ("Emberfold" in outcome.out, "Second" in outcome.out) == (True, True)
    assert "Seller Center" in outcome.err


def test_a_catalogue_is_read_now_and_a_refusal_says_what_to_do(run: Run, memory: Memory, shop_id: str) -> None:
    stock(memory, shop_id, "Water playmat")
    assert run("shops", "sync", "Emberfold").out == "Read 1 product.\n"
    run("shops", "sync", "Emberfold", "--everything")
    assert [each.body for each in memory.sent(f"/v1/shops/{shop_id}:syncCatalogue")] == [
        {"everything": False},
        {"everything": True},
    ]
    memory.shops[0]["state"] = "AUTHORIZATION_LOST"
    outcome = run("shops", "sync", "Emberfold", "--json")
    assert (outcome.exit_code, outcome.document["error"]["reason"]) == (3, "SHOP_AUTHORIZATION_LOST")
    assert "reelroute shops connect" in outcome.err


def test_products_are_listed_and_shown_with_exact_prices(run: Run, memory: Memory, shop_id: str) -> None:
    assert "shops sync" in run("products", "list").err
    product_id = stock(memory, shop_id, "Water playmat")
    for name in ("Air", "Fire", "Earth"):
        stock(memory, shop_id, f"{name} playmat")
    listed = run("products", "list", "--shop", "Emberfold", "--status", "activate", "--limit", "3")
    assert "9.90 to 34.90 USD" in listed.out
    assert "and more" in listed.err
    assert {"shop_id": shop_id, "status": "ACTIVATE"}.items() <= memory.sent("/v1/products")[-1].query.items()
    assert len(run("products", "list", "--text", "Water", "--json").document["products"]) == 1
    told = run("products", "show", product_id).out
    for text in ("Water playmat", "MAT-W", "34.90 USD", "Colour: blue", "0850012345672", "A river you can play on."):
        assert text in told
    assert run("products", "show", "../shops").exit_code == 3


def test_orders_are_listed_with_what_stands_in_their_way(run: Run, memory: Memory, shop_id: str) -> None:
    line = {"platform_product_id": "1", "product_title": "Water playmat", "platform_sku_id": "2", "quantity": 2}
    order: dict[str, Any] = {
        "platform_order_id": "576461413038785752",
        "status": "AWAITING_SHIPMENT",
        "create_time": "2037-01-04T17:00:00Z",
        "update_time": "2037-01-04T17:00:00Z",
        "lines": [line | {"seller_sku": "MAT-W", "price": None}, line | {"seller_sku": "", "price": None}],
        "total": {"currency": "JPY", "amount": "7560"},
        "shipping_type": "SELLER",
        "ship_until_time": None,
        "is_on_hold": True,
        "is_cancel_requested": True,
    }
    memory.shop_orders += [order] * 3
    told = run("shops", "orders", "Emberfold", "--status", "awaiting_shipment", "--limit", "2")
    for text in ("576461413038785752", "(on hold, cancellation asked for)", "2 × MAT-W", "2 × 2", "7560 JPY"):
        assert text in told.out
    assert "2 orders, and more" in told.err
    assert memory.sent(f"/v1/shops/{shop_id}/orders")[0].query["status"] == "AWAITING_SHIPMENT"
    assert len(run("shops", "orders", "Emberfold", "--json").document["orders"]) == 3


def test_numbers_are_told_of_the_shop_its_videos_and_its_products(run: Run, memory: Memory, shop_id: str) -> None:
    stock(memory, shop_id, "Water playmat")
    span = ("--from", "2037-01-01", "--until", "2037-01-08")
    whole = run("shops", "numbers", "Emberfold", *span)
    assert "2037-01-01 to 2037-01-07" in whole.out
    assert "1256.40 USD" in whole.out
    assert "None" not in whole.out
    run("shops", "numbers", "Emberfold", "--until", "2037-01-29", "--by-day")
    assert memory.sent(f"/v1/shops/{shop_id}/numbers")[-1].query == {
        "start_date": "2037-01-01",
        "end_date": "2037-01-29",
        "by_day": "true",
    }
    videos = run("shops", "numbers", "Emberfold", *span, "--videos")
    assert all(text in videos.out for text in ("7400000000000000002", "@emberfold.water", "5.28 %"))
    assert "whole up to 2037-01-03" in videos.err
    assert "Water playmat" in run("shops", "numbers", "Emberfold", *span, "--products").out
    document = run("shops", "numbers", "Emberfold", *span, "--products", "--json").document
    assert document["products"][0]["sales"] == {"currency": "USD", "amount": "1256.40"}


@pytest.mark.parametrize("wrong", [("--videos", "--products"), ("--by-day", "--videos"), ("--from", "1 January")])
def test_numbers_of_several_kinds_at_once_or_of_no_day_are_refused_before_anything_is_asked(
    run: Run, memory: Memory, wrong: tuple[str, str]
) -> None:
    assert run("shops", "numbers", "Emberfold", *wrong).exit_code == 2
    assert memory.requests == []
