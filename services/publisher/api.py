"""The RPCs of the publisher. Its work of publishing is in worker.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import grpc
from reelroute.publisher.v1 import publisher_pb2 as pb
from reelroute.publisher.v1 import publisher_pb2_grpc

from kit.activity import activity
from kit.context import about
from kit.db import ALL_WORKSPACES
from kit.paging import Page
from kit.timestamps import from_timestamp, to_timestamp
from services.publisher import account_store, connecting, domain, incident_store, messages, numbers, reports, store
from services.publisher.account_store import PendingConnection
from services.publisher.forecast import TOKEN_ENDS, last_token_end, token_text
from services.publisher.foresight import Foresight
from services.publisher.ledger import Ledger
from services.publisher.platforms import checks
from services.publisher.platforms.base import Problem, Tokens
from services.publisher.platforms.tiktok_checks import LIST_SCOPE
from services.publisher.webhooks import Webhooks
from services.publisher.worker import Worker
from vendors.bulletin.client import BulletinClient
from vendors.tiktok import oauth
from vendors.tiktok.client import TikTokClient
from vendors.tiktok_shop import oauth as shop_oauth
from vendors.tiktok_shop.client import TikTokShopClient

CONNECTION_LIFE = timedelta(minutes=10)
_CONNECT_SECONDS = 60.0
_READ_SECONDS = 30.0
_HORIZON = timedelta(days=14)


class PublisherApi(publisher_pb2_grpc.PublisherServiceServicer):
    """See publisher.proto for what each RPC promises. `worker` runs what waits on vendors."""

    def __init__(
        self,
        ledger: Ledger,
        worker: Worker,
        foresight: Foresight,
        client: TikTokClient,
        shop: TikTokShopClient,
        bulletin: BulletinClient | None = None,
    ) -> None:
        self._ledger, self._database, self._vault = ledger, ledger.database, ledger.vault
        self._worker, self._foresight = worker, foresight
        self._client, self._shop, self._bulletin = client, shop, bulletin
        self._webhooks = Webhooks(self._database, client.config, shop.config, worker.confirm)
        self._serves_media = bool(client.config.media_url_prefix)

    def StartConnection(
        self, request: pb.StartConnectionRequest, context: grpc.ServicerContext
    ) -> pb.StartConnectionResponse:
        workspace_id = UUID(request.workspace_id)
        platform = messages.platform_from(request.platform)
        state, proof = oauth.new_state(), oauth.new_proof_key()
        url = self._consent_url(platform, request.redirect_uri, state, proof.challenge)
        with self._database.transaction(workspace_id) as tx:
            expire_time = store.database_time(tx) + CONNECTION_LIFE
            pending = PendingConnection(workspace_id, platform, request.redirect_uri, proof.verifier)
            account_store.insert_connection(tx, self._vault, state, pending, expire_time)
        return pb.StartConnectionResponse(consent_url=url, state=state, expire_time=to_timestamp(expire_time))

    def _consent_url(self, platform: domain.Platform, redirect_uri: str, state: str, challenge: str) -> str:
        if platform is domain.Platform.BULLETIN:
            return self._bulletin_client().authorize_url(
                redirect_uri=redirect_uri, state=state, code_challenge=challenge
            )
        if platform is domain.Platform.TIKTOK_SHOP:
            if not self._shop.config.app_key:
                raise domain.PlatformNotConfigured(
                    "No TikTok Shop app is configured. Set REELROUTE_TIKTOK_SHOP_APP_KEY and"
                    " REELROUTE_TIKTOK_SHOP_APP_SECRET."
                )
            return shop_oauth.creator_authorize_url(self._shop.config, state=state)
        if not self._client.config.client_key:
            raise domain.PlatformNotConfigured(
                "No TikTok app is configured. Set REELROUTE_TIKTOK_CLIENT_KEY and REELROUTE_TIKTOK_CLIENT_SECRET."
            )
        return oauth.authorize_url(
            self._client.config, redirect_uri=redirect_uri, state=state, code_challenge=challenge, always_ask=True
        )

    def _bulletin_client(self) -> BulletinClient:
        if self._bulletin is None:
            raise domain.PlatformNotConfigured(
                "Bulletin is the sandbox's own platform, and no sandbox is configured for it. Set"
                " REELROUTE_BULLETIN_BASE_URL to the sandbox's address."
            )
        return self._bulletin

    def FinishConnection(
        self, request: pb.FinishConnectionRequest, context: grpc.ServicerContext
    ) -> pb.FinishConnectionResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            pending = account_store.take_connection(tx, self._vault, workspace_id, request.state)
        code, redirect_uri, verifier = request.code, pending.redirect_uri, pending.code_verifier
        if pending.platform is domain.Platform.BULLETIN:
            connect = connecting.connect_bulletin(
                self._bulletin_client(), code=code, redirect_uri=redirect_uri, code_verifier=verifier
            )
        elif pending.platform is domain.Platform.TIKTOK_SHOP:
            connect = connecting.connect_tiktok_shop(self._shop, code=code)
        else:
            connect = connecting.connect_tiktok(
                self._client, code=code, redirect_uri=redirect_uri, code_verifier=verifier
            )
        profile = self._worker.call(connect, _CONNECT_SECONDS)
        with self._database.transaction(workspace_id) as tx:
            account = account_store.save_account(
                tx,
                self._vault,
                workspace_id=workspace_id,
                platform=pending.platform,
                platform_account_id=profile.platform_account_id,
                handle=profile.handle,
                display_name=profile.display_name,
                scopes=profile.scopes,
                tokens=profile.tokens,
                limits=profile.limits,
            )
            store.tell(
                tx,
                [
                    reports.account_free(workspace_id, account.account_id),
                    activity(
                        workspace_id,
                        "account.connected",
                        f"@{account.handle} is connected.",
                        store.database_time(tx),
                        account_id=account.account_id,
                        attributes={"handle": account.handle, "platform": account.platform.value.lower()},
                    ),
                ],
            )
        return pb.FinishConnectionResponse(account=messages.account_to(account))

    def GetAccount(self, request: pb.GetAccountRequest, context: grpc.ServicerContext) -> pb.GetAccountResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            account = account_store.read_account(tx, workspace_id, UUID(request.account_id))
        return pb.GetAccountResponse(account=messages.account_to(account))

    def ListAccounts(self, request: pb.ListAccountsRequest, context: grpc.ServicerContext) -> pb.ListAccountsResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (str, UUID))
        with self._database.transaction(workspace_id) as tx:
            accounts = account_store.list_accounts(tx, workspace_id, page)
        shown, token = page.cut(accounts, lambda account: (account.handle, account.account_id))
        return pb.ListAccountsResponse(
            accounts=[messages.account_to(account) for account in shown], next_page_token=token
        )

    def DisconnectAccount(
        self, request: pb.DisconnectAccountRequest, context: grpc.ServicerContext
    ) -> pb.DisconnectAccountResponse:
        workspace_id, account_id = UUID(request.workspace_id), UUID(request.account_id)
        with self._database.transaction(workspace_id) as tx:
            account = account_store.read_account(tx, workspace_id, account_id)
            tokens = account_store.read_tokens(tx, self._vault, account)
            now = store.database_time(tx)
            problem = f"It was disconnected on {now:%Y-%m-%d}. Connect it again, or cancel its posts."
            if account_store.set_disconnected(tx, account, problem):
                told = activity(
                    workspace_id,
                    "account.disconnected",
                    f"@{account.handle} is disconnected. Its posts are held until it is connected again.",
                    now,
                    account_id=account_id,
                    attributes={"handle": account.handle, "platform": account.platform.value.lower()},
                )
                store.tell(tx, [reports.account_hold(workspace_id, account_id, problem), told])
        if tokens.access_token and account.platform is domain.Platform.TIKTOK:
            self._worker.call(connecting.revoke_tiktok(self._client, tokens), _CONNECT_SECONDS)
        with self._database.transaction(workspace_id) as tx:
            account_store.erase_tokens(tx, self._vault, account, tokens)
            account = account_store.read_account(tx, workspace_id, account_id)
        return pb.DisconnectAccountResponse(account=messages.account_to(account))

    def GetAccountLimits(
        self, request: pb.GetAccountLimitsRequest, context: grpc.ServicerContext
    ) -> pb.GetAccountLimitsResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            account = account_store.read_account(tx, workspace_id, UUID(request.account_id))
        numbers.check_poster(account)
        with about(account_id=account.account_id):
            found = self._worker.call(numbers.limits(self._client, self._worker.tokens_of(account)), _READ_SECONDS)
        return pb.GetAccountLimitsResponse(limits=messages.account_limits_to(found, datetime.now(UTC)))

    def GetAccountNumbers(
        self, request: pb.GetAccountNumbersRequest, context: grpc.ServicerContext
    ) -> pb.GetAccountNumbersResponse:
        account, tokens = self._readable(request.workspace_id, request.account_id, numbers.STATS_SCOPE)
        with about(account_id=account.account_id):
            found = self._worker.call(numbers.of_account(self._client, tokens), _READ_SECONDS)
        return pb.GetAccountNumbersResponse(numbers=messages.account_numbers_to(found, datetime.now(UTC)))

    def ListPostNumbers(
        self, request: pb.ListPostNumbersRequest, context: grpc.ServicerContext
    ) -> pb.ListPostNumbersResponse:
        account, tokens = self._readable(request.workspace_id, request.account_id, LIST_SCOPE)
        reading = numbers.of_posts(
            self._client, tokens, request.platform_post_ids, request.page_size, request.page_token
        )
        with about(account_id=account.account_id):
            page = self._worker.call(reading, _READ_SECONDS)
        oldest = min((each.create_time for each in page.videos if each.create_time), default=datetime.now(UTC))
        with self._database.transaction(account.workspace_id) as tx:
            ours = store.deliveries_of_posts(
                tx,
                account.workspace_id,
                account.account_id,
                [each.id for each in page.videos],
                oldest - numbers.LET_OUT_BEFORE,
            )
        return pb.ListPostNumbersResponse(
            posts=[messages.post_numbers_to(each, ours.get(each.id)) for each in page.videos],
            next_page_token=page.cursor,
            read_time=to_timestamp(datetime.now(UTC)),
        )

    def _readable(self, workspace_id: str, account_id: str, scope: str) -> tuple[domain.Account, Tokens]:
        """An account whose numbers may be asked for, and its tokens. Raises what numbers.check does."""
        with self._database.transaction(UUID(workspace_id)) as tx:
            account = account_store.read_account(tx, UUID(workspace_id), UUID(account_id))
        numbers.check(account, scope)
        return account, self._worker.tokens_of(account)

    def CheckPosts(self, request: pb.CheckPostsRequest, context: grpc.ServicerContext) -> pb.CheckPostsResponse:
        workspace_id = UUID(request.workspace_id)
        ids = {text: _uuid(text) for text in {text for post in request.posts for text in post.account_ids}}
        with self._database.transaction(workspace_id) as tx:
            found = account_store.read_accounts(tx, workspace_id, {each for each in ids.values() if each is not None})
            now = store.database_time(tx)
        # By their ids as they were given. Drafts by the thousand name few accounts.
        known = {text: found[account_id] for text, account_id in ids.items() if account_id in found}
        ends = {account.account_id: (last_token_end(account, now), token_text(account)) for account in found.values()}
        return pb.CheckPostsResponse(
            results=[
                pb.PostCheckResult(
                    problems=[messages.problem_to(problem) for problem in self._check(post, known, ends)],
                    platforms=_platforms(post, known),
                )
                for post in request.posts
            ]
        )

    def _check(
        self, post: pb.PostCheck, known: dict[str, domain.Account], ends: dict[UUID, tuple[datetime | None, str]]
    ) -> list[Problem]:
        """The problems of a draft: of its accounts, and of what their platforms take. `ends`: of accounts' tokens, and
        what is said of it.
        """
        of_accounts: list[Problem] = []
        of_platforms: list[Problem] = []
        media = [messages.media_from(facts) for facts in post.media]
        options = {
            domain.Platform.TIKTOK: messages.options_from(dict(post.tiktok_options)),
            domain.Platform.TIKTOK_SHOP: messages.options_from(dict(post.tiktok_shop_options)),
        }
        for index, account_id in enumerate(post.account_ids):
            field, account = f"account_ids[{index}]", known.get(account_id)
            if account is None:
                message = "The workspace has no account with this id. List the accounts, or connect one."
                of_accounts.append(Problem(field, "ACCOUNT_NOT_FOUND", message))
                continue
            if account.state is domain.AccountState.AUTHORIZATION_LOST:
                of_accounts.append(Problem(field, "AUTHORIZATION_LOST", f"@{account.handle}: {account.problem}", False))
            elif account.state is domain.AccountState.DISCONNECTED:
                of_accounts.append(Problem(field, "DISCONNECTED", f"@{account.handle}: {account.problem}", False))
            elif post.HasField("schedule_time"):
                end, text = ends[account.account_id]
                if end is not None and from_timestamp(post.schedule_time, "schedule_time") >= end:
                    of_accounts.append(Problem(field, TOKEN_ENDS, text, False))
            chosen = options.get(account.platform)
            of_platforms += checks.problems(
                account, post.caption, media, chosen, account.limits, serves_media=self._serves_media
            )
            of_platforms += checks.notes(account, post.caption, media, chosen)
            of_platforms += checks.product_link(account, options)
        # Accounts of one platform mostly have the same.
        return [*of_accounts, *dict.fromkeys(of_platforms)]

    def ForecastPosts(
        self, request: pb.ForecastPostsRequest, context: grpc.ServicerContext
    ) -> pb.ForecastPostsResponse:
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID, str))
        horizon = request.horizon.ToTimedelta() if request.HasField("horizon") else _HORIZON
        found = self._foresight.forecast(UUID(request.workspace_id), horizon)
        rest = [each for each in found.failures if page.after is None or each.key > page.after]
        shown, token = page.cut(rest, lambda each: each.key)
        return pb.ForecastPostsResponse(
            failures=[messages.foreseen_to(each) for each in shown],
            next_page_token=token,
            deliveries=found.deliveries,
            until_time=to_timestamp(found.until),
        )

    def GetPublication(
        self, request: pb.GetPublicationRequest, context: grpc.ServicerContext
    ) -> pb.GetPublicationResponse:
        publication = self._publication(UUID(request.workspace_id), UUID(request.delivery_id))
        return pb.GetPublicationResponse(publication=publication)

    def _publication(self, workspace_id: UUID, delivery_id: UUID) -> pb.Publication:
        with self._database.transaction(workspace_id) as tx:
            publication = store.read_publication(tx, self._vault, workspace_id, delivery_id)
            attempts, entries = store.read_attempts(tx, publication)
            times = store.read_times(tx, publication)
        return messages.publication_to(publication, times, attempts, entries)

    def SettlePublication(
        self, request: pb.SettlePublicationRequest, context: grpc.ServicerContext
    ) -> pb.SettlePublicationResponse:
        workspace_id, delivery_id = UUID(request.workspace_id), UUID(request.delivery_id)
        verdict = None
        if request.is_published:
            with self._database.transaction(workspace_id) as tx:
                publication = store.read_publication(tx, self._vault, workspace_id, delivery_id)
            verdict = domain.Verdict(messages.chosen_visibility(publication), "", request.url)
        self._ledger.settle(workspace_id, delivery_id, verdict)
        return pb.SettlePublicationResponse(publication=self._publication(workspace_id, delivery_id))

    def ReceiveWebhook(
        self, request: pb.ReceiveWebhookRequest, context: grpc.ServicerContext
    ) -> pb.ReceiveWebhookResponse:
        match messages.platform_from(request.platform):
            case domain.Platform.TIKTOK:
                self._webhooks.take_tiktok(request.body, request.signature)
            case domain.Platform.TIKTOK_SHOP:
                self._webhooks.take_tiktok_shop(request.body, request.signature)
            case _:
                raise domain.PlatformNotConfigured("This platform sends no webhooks.")
        return pb.ReceiveWebhookResponse()

    def ListIncidents(
        self, request: pb.ListIncidentsRequest, context: grpc.ServicerContext
    ) -> pb.ListIncidentsResponse:
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID))
        with self._database.transaction(ALL_WORKSPACES) as tx:
            incidents = incident_store.list_incidents(tx, page)
        shown, token = page.cut(incidents, lambda incident: (incident.start_time, incident.incident_id))
        return pb.ListIncidentsResponse(
            incidents=[messages.incident_to(incident) for incident in shown], next_page_token=token
        )

    def BeginPublishEpoch(
        self, request: pb.BeginPublishEpochRequest, context: grpc.ServicerContext
    ) -> pb.BeginPublishEpochResponse:
        with self._database.transaction(ALL_WORKSPACES) as tx:
            epoch = store.begin_epoch(tx, request.reason)
        return pb.BeginPublishEpochResponse(publish_epoch=epoch.number, begin_time=to_timestamp(epoch.begin_time))


def _platforms(post: pb.PostCheck, known: dict[str, domain.Account]) -> list[pb.Platform.ValueType]:
    """The platform of each account, in their order."""
    accounts = [known.get(text) for text in post.account_ids]
    return [messages.platform_to(account.platform) if account else pb.PLATFORM_UNSPECIFIED for account in accounts]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
