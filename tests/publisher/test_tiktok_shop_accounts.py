"""TikTok Shop creators are connected, their tokens kept fresh, and what they may not post is refused at save."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

import grpc
import pytest
from reelroute.publisher.v1 import publisher_pb2 as pb
from sqlalchemy import text

from kit.custody import Custody, TokenPair
from kit.vendor_webhook import WebhookForged, WebhookStale
from sandbox.tiktok_shop.signing import sign_webhook
from services.publisher import account_store, connecting, domain
from services.publisher.api import PublisherApi
from services.publisher.domain import Account, AccountState, AttemptFailed, Step
from services.publisher.foresight import Foresight
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Taken
from services.publisher.platforms.tiktok_shop_checks import POST_SCOPE
from services.publisher.tokens import AccountTokens
from services.publisher.worker import Worker
from tests.publisher import shop_creators
from tests.publisher.factories import WORKSPACE, a_claim, at_step, save_account
from tests.publisher.rows import holds
from tests.publisher.shop_creators import CALLBACK, CREATOR, PRODUCT
from tests.publisher.stage import Sandbox
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig
from vendors.tiktok_shop import oauth
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.config import TikTokShopConfig

pytestmark = pytest.mark.anyio
Result = TypeVar("Result")
CONTEXT = cast(grpc.ServicerContext, None)


@dataclass
class FakeWorker:
    """A worker that runs what it is given at once, in a loop of its own."""

    shop: TikTokShopClient
    confirm: Callable[[Account], None]

    def call(self, work: Coroutine[Any, Any, Result], _timeout_seconds: float) -> Result:
        async def run() -> Result:
            async with self.shop:
                return await work

        return asyncio.run(run())


def api_of(
    ledger: Ledger, config: TikTokShopConfig, confirm: Callable[[Account], None] = lambda account: None
) -> PublisherApi:
    shop = TikTokShopClient(config)
    worker, foresight = cast(Worker, FakeWorker(shop, confirm)), cast(Foresight, None)  # nothing is foreseen here
    return PublisherApi(ledger, worker, foresight, TikTokClient(TikTokConfig()), shop)


def start(ledger: Ledger, sandbox: Sandbox) -> pb.StartConnectionResponse:
    request = pb.StartConnectionRequest(
        workspace_id=str(WORKSPACE), platform=pb.PLATFORM_TIKTOK_SHOP, redirect_uri=CALLBACK
    )
    return api_of(ledger, shop_creators.config_of(sandbox)).StartConnection(request, CONTEXT)


def finish(ledger: Ledger, sandbox: Sandbox, state: str, code: str) -> pb.Account:
    request = pb.FinishConnectionRequest(workspace_id=str(WORKSPACE), state=state, code=code)
    return api_of(ledger, shop_creators.config_of(sandbox)).FinishConnection(request, CONTEXT).account


def connect(ledger: Ledger, sandbox: Sandbox, scopes: list[str] | None = None) -> pb.Account:
    started = start(ledger, sandbox)
    code = shop_creators.code_of(sandbox, started.consent_url, scopes=scopes)
    return finish(ledger, sandbox, started.state, code)


def stored(ledger: Ledger, account_id: str) -> tuple[Account, TokenPair]:
    with ledger.database.transaction(WORKSPACE) as tx:
        account = account_store.read_account(tx, WORKSPACE, UUID(account_id))
        return account, account_store.read_tokens(tx, ledger.vault, account)


def test_a_creator_consents_and_is_listed_with_scopes_and_the_ends_that_tiktok_shop_names(
    ledger: Ledger, sandbox: Sandbox
) -> None:
    started = start(ledger, sandbox)
    assert started.consent_url == f"{sandbox.url}/alliance/creator/auth?app_key=sandbox-app-key&state={started.state}"
    account = finish(ledger, sandbox, started.state, shop_creators.code_of(sandbox, started.consent_url))
    assert (account.platform, account.state) == (pb.PLATFORM_TIKTOK_SHOP, pb.ACCOUNT_STATE_CONNECTED)
    assert account.platform_account_id.startswith("7020")
    # The sandbox gives no name with a creator's tokens.
    assert account.handle == account.platform_account_id
    assert POST_SCOPE in account.scopes
    _, tokens = stored(ledger, account.account_id)
    now = datetime.now(UTC)
    assert timedelta(days=6) < tokens.access_expire_time - now <= timedelta(days=7)
    assert tokens.refresh_expire_time is not None
    assert account.authorization_expire_time.ToDatetime(tzinfo=UTC) == tokens.refresh_expire_time


def test_a_creator_who_connects_again_keeps_the_account_s_id(ledger: Ledger, sandbox: Sandbox) -> None:
    first = connect(ledger, sandbox, [POST_SCOPE])
    again = connect(ledger, sandbox)
    assert again.account_id == first.account_id
    assert set(again.scopes) > set(first.scopes)


def test_a_seller_s_consent_is_no_creator_s(ledger: Ledger, sandbox: Sandbox) -> None:
    started = start(ledger, sandbox)
    seller_page = oauth.seller_authorize_url(
        shop_creators.config_of(sandbox, authorize_url=f"{sandbox.url}/open/authorize"), state=started.state
    )
    code = shop_creators.code_of(sandbox, seller_page, "emberfold")
    with pytest.raises(connecting.ConnectionRefused, match="not a TikTok Shop creator's consent"):
        finish(ledger, sandbox, started.state, code)
    listed = api_of(ledger, shop_creators.config_of(sandbox)).ListAccounts(
        pb.ListAccountsRequest(workspace_id=str(WORKSPACE)), CONTEXT
    )
    assert not listed.accounts


def test_a_code_that_tiktok_shop_refuses_connects_nothing(ledger: Ledger, sandbox: Sandbox) -> None:
    started = start(ledger, sandbox)
    with pytest.raises(connecting.ConnectionRefused, match="TikTok Shop refused the connection"):
        finish(ledger, sandbox, started.state, "made up")


def test_without_an_app_no_creator_can_be_connected(ledger: Ledger) -> None:
    request = pb.StartConnectionRequest(
        workspace_id=str(WORKSPACE), platform=pb.PLATFORM_TIKTOK_SHOP, redirect_uri=CALLBACK
    )
    with pytest.raises(domain.PlatformNotConfigured, match="REELROUTE_TIKTOK_SHOP_APP_KEY"):
        api_of(ledger, TikTokShopConfig()).StartConnection(request, CONTEXT)


async def tokens_of(ledger: Ledger, account_id: str, client: TikTokShopClient) -> AccountTokens:
    account, _ = await asyncio.to_thread(stored, ledger, account_id)
    return AccountTokens(ledger.database, ledger.vault, account, client.tokens, Custody())


async def test_a_creator_s_token_is_refreshed_before_its_end_and_stored_with_its_new_ones(
    ledger: Ledger, sandbox: Sandbox
) -> None:
    connected = await asyncio.to_thread(connect, ledger, sandbox)
    _, before = stored(ledger, connected.account_id)
    with ledger.database.transaction(WORKSPACE) as tx:
        tx.execute(text("UPDATE accounts SET access_expire_time = now() + interval '4 minutes'"))
    async with TikTokShopClient(shop_creators.config_of(sandbox)) as client:
        token = await (await tokens_of(ledger, connected.account_id, client)).access()
    _, after = stored(ledger, connected.account_id)
    assert token == after.access_token != before.access_token
    assert after.refresh_token != before.refresh_token
    assert after.access_expire_time - datetime.now(UTC) > timedelta(days=6)


async def test_a_creator_who_removed_the_app_is_lost_and_the_posts_are_held(ledger: Ledger, sandbox: Sandbox) -> None:
    connected = await asyncio.to_thread(connect, ledger, sandbox)
    sandbox.control("POST", f"/tiktok_shop/creators/{CREATOR}/deauthorize")
    async with TikTokShopClient(shop_creators.config_of(sandbox)) as client:
        tokens = await tokens_of(ledger, connected.account_id, client)
        with pytest.raises(AttemptFailed) as failed:
            await tokens.fresh(await tokens.access())
    assert failed.value.failure.reason == "AUTHORIZATION_LOST"
    account, _ = stored(ledger, connected.account_id)
    assert account.state is AccountState.AUTHORIZATION_LOST
    assert holds(ledger.database)[-1] == ("PlaceHold", connected.account_id)


def test_a_disconnected_creator_s_tokens_are_forgotten_and_the_id_stays(ledger: Ledger, sandbox: Sandbox) -> None:
    connected = connect(ledger, sandbox)
    api = api_of(ledger, shop_creators.config_of(sandbox))
    request = pb.DisconnectAccountRequest(workspace_id=str(WORKSPACE), account_id=connected.account_id)
    for _ in range(2):
        gone = api.DisconnectAccount(request, CONTEXT).account
    assert (gone.state, bool(gone.problem)) == (pb.ACCOUNT_STATE_DISCONNECTED, True)
    _, tokens = stored(ledger, connected.account_id)
    assert (tokens.access_token, tokens.refresh_token) == ("", "")
    again = connect(ledger, sandbox)
    assert (again.account_id, again.state) == (connected.account_id, pb.ACCOUNT_STATE_CONNECTED)


VIDEO = pb.MediaFacts(
    mime_type="video/mp4", size_bytes=1000, width=1080, height=1920, container="mp4", codec="h264",
    frame_rate_millis=30_000, duration_ms=15_000, pixel_mode="yuv420p",
)  # fmt: skip
LINK = {"product_id": PRODUCT, "product_title": "Amber dice", "is_ai_generated": "true", "cover_time_ms": "1500"}


def test_a_draft_is_checked_by_what_each_of_its_accounts_may_post(ledger: Ledger, sandbox: Sandbox) -> None:
    creator = connect(ledger, sandbox)
    tiktok = str(save_account(ledger).account_id)
    api = api_of(ledger, shop_creators.config_of(sandbox))

    def reasons(*account_ids: str, **options: Any) -> list[tuple[str, bool]]:
        post = pb.PostCheck(account_ids=account_ids, caption="Dice", media=[VIDEO], **options)
        answer = api.CheckPosts(pb.CheckPostsRequest(workspace_id=str(WORKSPACE), posts=[post]), CONTEXT)
        return [(each.reason, each.blocking) for each in answer.results[0].problems]

    public = {"privacy_level": "PUBLIC_TO_EVERYONE"}
    assert reasons(creator.account_id, tiktok_shop_options=LINK) == []
    assert reasons(creator.account_id, tiktok_options=public) == [
        ("PRODUCT_MISSING", True),
        ("PRODUCT_TITLE_MISSING", True),
    ]
    assert reasons(tiktok, tiktok_options=public) == []
    assert reasons(tiktok, tiktok_options=public, tiktok_shop_options=LINK) == [("PRODUCT_LINK_NOT_POSSIBLE", True)]
    assert reasons(tiktok, creator.account_id, tiktok_options=public, tiktok_shop_options=LINK) == [
        ("PRODUCT_LINK_NOT_POSSIBLE", True)
    ]


def test_a_creator_without_the_scope_is_refused_at_save(ledger: Ledger, sandbox: Sandbox) -> None:
    creator = connect(ledger, sandbox, ["creator.showcase.read"])
    post = pb.PostCheck(account_ids=[creator.account_id], caption="Dice", media=[VIDEO], tiktok_shop_options=LINK)
    answer = api_of(ledger, shop_creators.config_of(sandbox)).CheckPosts(
        pb.CheckPostsRequest(workspace_id=str(WORKSPACE), posts=[post]), CONTEXT
    )
    assert [each.reason for each in answer.results[0].problems] == ["SCOPE_NOT_GRANTED"]


# ---- webhooks


def an_event(account: pb.Account, kind: int, age: float = 0.0, **data: Any) -> bytes:
    event = {
        "type": kind,
        "tts_notification_id": "7380066284010030890",
        "creator_open_id": account.platform_account_id,
        "timestamp": int(time.time() - age),
        "data": data,
    }
    return json.dumps(event).encode()


@dataclass
class Hints:
    """A publisher that is told of webhooks, and the accounts that it was made to ask about."""

    api: PublisherApi
    asked: list[str]

    def take(self, body: bytes, secret: str = "sandbox-app-secret") -> None:
        signature = sign_webhook("sandbox-app-key", secret, body)
        request = pb.ReceiveWebhookRequest(platform=pb.PLATFORM_TIKTOK_SHOP, body=body, signature=signature)
        self.api.ReceiveWebhook(request, CONTEXT)


@pytest.fixture
def hints(ledger: Ledger, sandbox: Sandbox) -> Hints:
    asked: list[str] = []
    api = api_of(ledger, shop_creators.config_of(sandbox), lambda account: asked.append(str(account.account_id)))
    return Hints(api, asked)


def test_a_removed_app_is_believed_only_after_the_account_was_asked_about_and_each_event_once(
    ledger: Ledger, sandbox: Sandbox, hints: Hints
) -> None:
    creator = connect(ledger, sandbox)
    for _ in range(3):
        hints.take(an_event(creator, 20, cancel_time=1))
    assert hints.asked == [creator.account_id]
    account, _ = stored(ledger, creator.account_id)
    assert account.state is AccountState.CONNECTED


def test_forged_and_stale_events_are_refused_and_others_change_nothing(
    ledger: Ledger, sandbox: Sandbox, hints: Hints
) -> None:
    creator = connect(ledger, sandbox)
    with pytest.raises(WebhookForged):
        hints.take(an_event(creator, 20), secret="another-secret")
    for age in (2 * 86_400 + 60, -3600):
        with pytest.raises(WebhookStale):
            hints.take(an_event(creator, 20, age=age))
    hints.take(an_event(creator, 55, precheck_task_id="1", result="FAIL"))
    seller = {"type": 6, "tts_notification_id": "9", "shop_id": "7495", "timestamp": int(time.time()), "data": {}}
    hints.take(json.dumps(seller).encode())
    assert hints.asked == []


async def test_a_link_that_begins_to_show_brings_the_video_s_verdict_sooner(
    ledger: Ledger, sandbox: Sandbox, hints: Hints
) -> None:
    creator = await asyncio.to_thread(connect, ledger, sandbox)
    claim = a_claim(account_id=UUID(creator.account_id))
    publication = await at_step(ledger, claim, Step.COMMITTING)
    await ledger.taken(publication, Taken("video:7400"), watch=False)
    with ledger.database.transaction(WORKSPACE) as tx:
        tx.execute(text("UPDATE publications SET next_check_time = now() + interval '1 hour'"))
    assert await asyncio.to_thread(ledger.take_checks, 10, 20.0) == []
    hints.take(an_event(creator, 17, product_id=PRODUCT, event={"type": "ADD", "scene": "VIDEO", "content_id": "7400"}))
    (due,) = await asyncio.to_thread(ledger.take_checks, 10, 20.0)
    assert due.handle == "video:7400"
