"""Control page, call log and memory of the sandbox's TikTok Shop."""

from pathlib import Path

import httpx
import pytest

from sandbox.config import SandboxConfig
from sandbox.tiktok_shop.settings import TikTokShopSettings
from tests.sandbox.conftest import Served
from tests.sandbox.shop import CALLBACK, ShopApp
from tests.sandbox.test_shop_orders import BLACK_BOX, detail, new_order


def test_the_page_shows_the_shops_and_escapes_what_people_wrote(seller: ShopApp) -> None:
    new_order(seller, address={"first_name": "<script>alert(1)</script>", "last_name": "&"})
    page = seller.http.get("/control")
    assert page.status_code == 200
    for part in ("Emberfold US (US)", "AWAITING_SHIPMENT", "EF-BDL-STARTER", "Dice Goblin", "&lt;script&gt;"):
        assert part in page.text
    assert "<script" not in page.text


def test_the_forms_of_the_page_work_and_bad_ones_say_why(seller: ShopApp) -> None:
    def send(operation: str, **fields: str) -> int:
        return seller.http.post(f"/control/forms/tiktok_shop/{operation}", data=fields).status_code

    def newest() -> str:
        return str(seller.control("GET", "/orders?limit=1")[0]["id"])

    assert send("order", shop="Emberfold US", sku_id=BLACK_BOX, quantity="2", status="ON_HOLD") == 303
    order_id = newest()
    assert send("advance", id=order_id) == 303
    assert detail(seller, order_id)["status"] == "AWAITING_SHIPMENT"
    assert send("request_cancel", id=order_id) == 303
    assert send("request_cancel", id=order_id) == 422
    assert detail(seller, order_id)["is_buyer_request_cancel"] is True
    assert send("order", shop="Emberfold UK", sku_id=BLACK_BOX, quantity="1") == 422
    assert send("order", shop="Emberfold US", sku_id=BLACK_BOX, quantity="0") == 422
    assert send("product", id="1729517744256656620", status="ACTIVATE") == 303
    assert send("creator", username="dice.goblin", restricted="True") == 303
    assert send("add_creator", username="new.creator", nickname="") == 303
    assert send("add_creator", username="new.creator") == 422
    assert send("verdict", kind="post", reason="Policy", subject="", count="1") == 303
    assert send("settings", hold_seconds="60", redirect_url=CALLBACK, webhook_url="") == 303
    settings = seller.control("GET", "/settings")
    assert (settings["hold_seconds"], settings["redirect_url"], settings["webhook_url"]) == (60, CALLBACK, None)
    assert send("expire", kind="seller", subject="emberfold") == 303
    assert seller.code("GET", "/authorization/202309/shops", region=None) == 105002
    assert send("withdraw", kind="seller", subject="emberfold") == 303
    assert send("withdraw", kind="seller", subject="nobody") == 404
    assert send("nothing") == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/orders", {"lines": [{"sku_id": "1"}]}, 404),
        ("POST", "/orders", {"lines": []}, 422),
        ("POST", "/orders/1/advance", {}, 404),
        ("POST", "/sellers/nobody/deauthorize", {}, 404),
        ("POST", "/cases/1/send-back", {}, 404),
        ("PATCH", "/products/1", {"status": "ACTIVATE"}, 404),
        ("PATCH", "/creators/dice.goblin", {"showcase": ["1"]}, 404),
        ("POST", "/posts/1/remove", {}, 404),
        ("PATCH", "/settings", {"hold_seconds": -1}, 422),
        ("PATCH", "/settings", {"nothing": 1}, 422),
        ("POST", "/consents", {"authorize_url": "/open/authorize?service_id=1", "subject": "emberfold"}, 422),
    ],
)
def test_orders_that_make_no_sense_are_refused(
    shop: ShopApp, method: str, path: str, body: dict[str, object], status: int
) -> None:
    assert shop.http.request(method, f"/control/tiktok_shop{path}", json=body).status_code == status


def test_a_reset_brings_back_what_was_there_at_first(seller: ShopApp) -> None:
    before = {order["id"]: order["lines"] for order in seller.control("GET", "/orders")}
    new_order(seller)
    seller.advance(400 * 86_400)
    seller.control("POST", "//reset")
    after = {order["id"]: order["create_time"] for order in seller.control("GET", "/orders")}
    assert set(after) == set(before)
    assert max(after.values()) <= seller.control("GET", "//clock")["now"]


def test_other_delays_than_the_usual_ones_do_not_keep_it_from_starting() -> None:
    delays = dict.fromkeys(("collect_seconds", "transit_seconds", "complete_seconds", "hold_seconds"), 10**7)
    for settings in (TikTokShopSettings(**delays), TikTokShopSettings(**dict.fromkeys(delays, 0))):
        with Served(SandboxConfig(tiktok_shop=settings)) as url, httpx.Client(base_url=url) as client:
            assert client.get("/control/tiktok_shop/orders").status_code == 200


def test_a_restart_keeps_tokens_orders_timers_and_settings(tmp_path: Path) -> None:
    config = SandboxConfig(state_file=tmp_path / "sandbox.db")
    with Served(config) as url, httpx.Client(base_url=url) as client:
        app = ShopApp(client)
        app.control("POST", "//clock/freeze")
        app.settings(redirect_url=CALLBACK)
        app.connect()
        order_id = new_order(app, status="ON_HOLD")
    with Served(config) as url, httpx.Client(base_url=url) as client:
        again = ShopApp(client, app.tokens, app.ciphers)
        assert again.control("GET", "/settings")["redirect_url"] == CALLBACK
        assert detail(again, order_id)["status"] == "ON_HOLD"
        again.advance(3600)
        assert detail(again, order_id)["status"] == "AWAITING_SHIPMENT"
