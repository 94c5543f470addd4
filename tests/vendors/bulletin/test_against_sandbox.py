"""Bulletin's client against the sandbox: what each way to fail is called."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
    VendorUncertain,
)
from vendors.bulletin.client import PAGE_SIZE, BulletinClient
from vendors.bulletin.config import BulletinConfig
from vendors.bulletin.errors import PostGone

pytestmark = pytest.mark.anyio
ACCOUNT = "night.owl"
CALLBACK = "http://127.0.0.1:5000/callback"


@dataclass
class Scene:
    """A reset Bulletin with one account, and a client that does not try again."""

    client: BulletinClient
    control: httpx.AsyncClient
    token: str

    async def fault(self, endpoint: str, mode: str, **more: Any) -> None:
        body = {"endpoint": f"bulletin.{endpoint}", "mode": mode} | more
        assert (await self.control.post("/control/faults", json=body)).status_code == 201

    async def texts(self) -> list[str]:
        """What exists, whoever knows of it."""
        return [post["text"] for post in (await self.control.get("/control/bulletin/posts")).json()]


@pytest.fixture
async def scene(address: str) -> AsyncIterator[Scene]:
    async with (
        httpx.AsyncClient(base_url=address, trust_env=False) as control,
        BulletinClient(BulletinConfig(base_url=address, max_tries=1)) as client,
    ):
        await control.post("/control/reset")
        await control.patch("/control/bulletin/settings", json={"list_seconds": 0})
        tokens = (await control.post("/control/bulletin/accounts", json={"accounts": [ACCOUNT]})).json()
        yield Scene(client, control, tokens[ACCOUNT])


async def test_an_account_is_connected_by_its_code(scene: Scene) -> None:
    challenge = hashlib.sha256(b"verifier").hexdigest()
    page = scene.client.authorize_url(redirect_uri=CALLBACK, state="s-1", code_challenge=challenge)
    order = {"authorize_url": page, "account": "slow.kettle"}
    back = (await scene.control.post("/control/bulletin/consents", json=order)).json()["redirect_url"]
    answer = dict(parse_qsl(urlsplit(back).query))
    assert answer["state"] == "s-1"
    code = answer["code"]
    grant = await scene.client.exchange_code(code=code, redirect_uri=CALLBACK, code_verifier="verifier")
    assert (grant.account, grant.display_name) == ("slow.kettle", "Slow Kettle")
    assert (await scene.client.me(grant.access_token)).account == "slow.kettle"
    with pytest.raises(VendorRejected):
        await scene.client.exchange_code(code=code, redirect_uri=CALLBACK, code_verifier="verifier")


async def test_a_post_is_published_and_read_by_id_and_in_the_list(scene: Scene) -> None:
    post = await scene.client.create_post(scene.token, "Ünïcode\nof two lines")
    assert (await scene.client.post(scene.token, post.id)).text == "Ünïcode\nof two lines"
    page = await scene.client.posts(scene.token)
    assert [(each.id, each.url) for each in page.posts] == [(post.id, post.url)]
    assert page.next is None
    assert page.now >= post.published


async def test_the_list_goes_on_where_a_page_ended(scene: Scene) -> None:
    for number in range(PAGE_SIZE + 1):
        await scene.client.create_post(scene.token, str(number))
    first = await scene.client.posts(scene.token)
    assert first.next is not None
    second = await scene.client.posts(scene.token, since=first.posts[-1].published - 60, before=first.next)
    assert [post.text for post in second.posts] == ["0"]
    assert second.next is None


@pytest.mark.parametrize(
    ("fault", "kind", "published"),
    [
        ({"mode": "error", "status": 400, "code": "x"}, VendorRejected, 0),
        ({"mode": "error", "status": 403}, VendorRejected, 0),
        ({"mode": "error", "status": 401, "code": "x"}, VendorAccountProblem, 0),
        ({"mode": "rate_limit"}, VendorRateLimited, 0),
        # Whether something came of these, only the list can tell.
        ({"mode": "error", "status": 503, "code": "x"}, VendorUncertain, 0),
        ({"mode": "error", "status": 504}, VendorUncertain, 0),
        ({"mode": "error", "status": 200}, VendorUncertain, 0),
        ({"mode": "reset"}, VendorUncertain, 0),
        ({"mode": "lost_reply"}, VendorUncertain, 1),
    ],
)
async def test_each_way_to_fail_has_its_class(
    scene: Scene, fault: dict[str, Any], kind: type[VendorError], published: int
) -> None:
    await scene.fault("create", **fault)
    with pytest.raises(VendorError) as failed:
        await scene.client.create_post(scene.token, "text")
    assert type(failed.value) is kind
    assert scene.token not in str(failed.value)
    assert await scene.texts() == ["text"] * published


async def test_a_limit_says_how_long_to_wait(scene: Scene) -> None:
    await scene.control.patch("/control/bulletin/settings", json={"posts_per_minute": 1})
    await scene.client.create_post(scene.token, "one")
    with pytest.raises(VendorRateLimited) as limited:
        await scene.client.create_post(scene.token, "two")
    assert 50 < limited.value.retry_after_seconds <= 60


async def test_a_token_that_is_not_good_asks_for_another(scene: Scene) -> None:
    with pytest.raises(VendorAccountProblem) as refused:
        await scene.client.create_post("another", "text")
    assert refused.value.remedy is AccountRemedy.REFRESH


async def test_only_the_platform_s_own_word_says_that_a_post_is_gone(scene: Scene) -> None:
    post = await scene.client.create_post(scene.token, "text")
    await scene.fault("get", "error", status=404)  # a proxy's page
    with pytest.raises(VendorRejected) as refused:
        await scene.client.post(scene.token, post.id)
    assert not isinstance(refused.value, PostGone)
    await scene.control.post(f"/control/bulletin/posts/{post.id}/remove")
    with pytest.raises(PostGone):
        await scene.client.post(scene.token, post.id)


async def test_without_a_connection_nothing_was_sent(scene: Scene) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    called: list[str] = []
    async with BulletinClient(BulletinConfig(base_url=f"http://127.0.0.1:{port}")) as client:
        with pytest.raises(VendorUnavailable) as failed:
            await client.create_post("token", "text", last_moment=lambda: called.append("now"))
    assert failed.value.sent is False
    assert called == []


async def test_what_the_last_moment_raises_ends_the_call_and_publishes_nothing(scene: Scene) -> None:
    class Stop(Exception):
        pass

    def last_moment() -> None:
        raise Stop

    with pytest.raises(Stop):
        await scene.client.create_post(scene.token, "stopped", last_moment=last_moment)
    await scene.client.create_post(scene.token, "next")
    assert await scene.texts() == ["next"]
