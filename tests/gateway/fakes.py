"""The services behind the gateway, small and with memory, behind the real interceptor on real ports."""

# ruff: noqa: N802 - the methods are named by the protos

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import grpc
from google.protobuf.message import Message
from reelroute.content.v1 import agents_pb2, agents_pb2_grpc, content_pb2, content_pb2_grpc
from reelroute.fulfillment.v1 import fulfillment_pb2
from reelroute.identity.v1 import identity_pb2, identity_pb2_grpc
from reelroute.notification.v1 import notification_pb2, notification_pb2_grpc
from reelroute.publisher.v1 import publisher_pb2, publisher_pb2_grpc
from reelroute.scheduler.v1 import (
    plans_pb2,
    scheduler_pb2,
    scheduler_pb2_grpc,
    series_pb2,
)
from reelroute.vendorcalls.v1 import vendorcalls_pb2, vendorcalls_pb2_grpc

from kit import errors
from kit.paging import Page
from tests.gateway import order_memory
from tests.gateway.order_memory import OrderMemory

SERVICE_TOKEN = "test-service-token-of-32-characters-or-more"
ALL_SCOPES = [number for number in identity_pb2.Scope.values() if number]
WORKSPACE = order_memory.WORKSPACE
OTHER_WORKSPACE = str(uuid4())

Answer = TypeVar("Answer", bound=Message)
Context = grpc.ServicerContext


class RequestIdReused(errors.AlreadyExists):
    """As kit.idempotency says it, which needs a database."""


class ArgumentInvalid(errors.InvalidArgument):
    """As content says it."""


class PostNotEditable(errors.FailedPrecondition):
    """As the scheduler says it."""


class PostChanged(errors.Conflict):
    """As the scheduler says it."""


class ScheduleTimeInPast(errors.InvalidArgument):
    """As the scheduler says it."""


class DeliveryNotWaiting(errors.FailedPrecondition):
    """As the scheduler says it."""


class DueActionRequired(errors.FailedPrecondition):
    """As the scheduler says it."""


class OutageNotFound(errors.NotFound):
    """As the scheduler says it."""


class PublicationNotUncertain(errors.FailedPrecondition):
    """As the publisher says it."""


class MediaTooLarge(errors.ResourceExhausted):
    """As content says it."""


class MediaTruncated(errors.InvalidArgument):
    """As content says it."""


@dataclass
class Memory:
    """What the fakes keep and saw; one for a test."""

    keys: dict[str, identity_pb2.AuthenticateApiKeyResponse] = field(default_factory=dict)
    workspaces: dict[str, identity_pb2.Workspace] = field(default_factory=dict)
    users: list[identity_pb2.User] = field(default_factory=list)
    api_keys: list[identity_pb2.ApiKey] = field(default_factory=list)
    assets: dict[str, content_pb2.MediaAsset] = field(default_factory=dict)
    # The bytes of assets that can be read.
    files: dict[str, bytes] = field(default_factory=dict)
    accounts: dict[str, publisher_pb2.Account] = field(default_factory=dict)
    posts: dict[str, scheduler_pb2.Post] = field(default_factory=dict)
    publications: dict[str, publisher_pb2.Publication] = field(default_factory=dict)
    incidents: list[publisher_pb2.Incident] = field(default_factory=list)
    holds: list[scheduler_pb2.Hold] = field(default_factory=list)
    rules: dict[str, scheduler_pb2.ChannelRules] = field(default_factory=dict)
    plans: dict[str, plans_pb2.PostingPlan] = field(default_factory=dict)
    duplicate_rules: dict[tuple[str, str], plans_pb2.DuplicateRule] = field(default_factory=dict)
    series: dict[str, series_pb2.Series] = field(default_factory=dict)
    # Of every post that is saved from now on.
    conflicts: list[scheduler_pb2.Conflict] = field(default_factory=list)
    foreseen: list[publisher_pb2.ForeseenFailure] = field(default_factory=list)
    shops: dict[str, fulfillment_pb2.Shop] = field(default_factory=dict)
    products: dict[str, fulfillment_pb2.Product] = field(default_factory=dict)
    shop_orders: list[fulfillment_pb2.ShopOrder] = field(default_factory=list)
    fulfillment: OrderMemory = field(default_factory=OrderMemory)
    # Seconds that fulfillment takes for a webhook.
    webhook_seconds: float = 0
    # By the service that made them, and their ids.
    vendor_calls: dict[str, dict[str, vendorcalls_pb2.GetVendorCallResponse]] = field(
        default_factory=lambda: {"publisher": {}, "fulfillment": {}}
    )
    # With the deliveries that each made late.
    outages: dict[str, list[scheduler_pb2.Delivery]] = field(default_factory=dict)
    answered: dict[str, tuple[bytes, Message]] = field(default_factory=dict)
    # Every request in order, with its metadata.
    calls: list[tuple[Message, dict[str, Any]]] = field(default_factory=list)
    # How long each caller would wait, by the name of its request.
    seconds_left: dict[str, float] = field(default_factory=dict)
    # Raised by the next call of that name, once.
    failures: dict[str, Exception] = field(default_factory=dict)
    uploaded: bytearray = field(default_factory=bytearray)
    # Whether the last message of the last upload said so.
    upload_is_whole: bool = False
    piece_sizes: list[int] = field(default_factory=list)
    upload_headers: list[content_pb2.UploadHeader] = field(default_factory=list)
    upload_ended: threading.Event = field(default_factory=threading.Event)
    progress: threading.Condition = field(default_factory=threading.Condition)

    def request(self, kind: type[Answer]) -> Answer:
        """The last request of a kind."""
        return next(request for request, _ in reversed(self.calls) if isinstance(request, kind))

    def count(self, kind: type[Message]) -> int:
        """How often that was asked."""
        return sum(isinstance(request, kind) for request, _ in self.calls)

    def key(self, *scopes: identity_pb2.Scope.ValueType, workspace_id: str = WORKSPACE) -> str:
        """A good key with these scopes; all of them when none is named."""
        text = f"rr_{uuid4().hex[:8]}_{uuid4().hex}"
        self.keys[text] = identity_pb2.AuthenticateApiKeyResponse(
            workspace_id=workspace_id, api_key_id=str(uuid4()), scopes=scopes or ALL_SCOPES
        )
        return text

    def asset(self, **values: Any) -> str:
        """A video of the library; its id."""
        asset = content_pb2.MediaAsset(
            media_asset_id=str(uuid4()),
            workspace_id=WORKSPACE,
            file_name="clip.mp4",
            mime_type="video/mp4",
            kind=content_pb2.MEDIA_KIND_VIDEO,
            size_bytes=812_345,
            sha256=hashlib.sha256(uuid4().bytes).hexdigest(),
            width=720,
            height=1280,
            container="mp4",
            codec="h264",
            frame_rate_millis=29_970,
            pixel_mode="yuv420p",
        )
        asset.duration.FromMilliseconds(8_040)
        asset.create_time.FromDatetime(datetime(2026, 12, 1, 12, tzinfo=UTC))
        asset.MergeFrom(content_pb2.MediaAsset(**values))
        self.assets[asset.media_asset_id] = asset
        return asset.media_asset_id

    def account(self, **values: Any) -> str:
        """A connected account; its id."""
        account = publisher_pb2.Account(
            account_id=str(uuid4()),
            workspace_id=WORKSPACE,
            platform=publisher_pb2.PLATFORM_TIKTOK,
            handle="emberfold.air",
            state=publisher_pb2.ACCOUNT_STATE_CONNECTED,
        )
        account.MergeFrom(publisher_pb2.Account(**values))
        self.accounts[account.account_id] = account
        return account.account_id

    def shop(self, **values: Any) -> str:
        """A connected shop; its id."""
        shop = fulfillment_pb2.Shop(
            shop_id=str(uuid4()),
            workspace_id=WORKSPACE,
            platform_shop_id="7495540735365777507",
            name="Emberfold",
            region="US",
            seller_name="Emberfold Inc.",
            state=fulfillment_pb2.SHOP_STATE_CONNECTED,
        )
        shop.MergeFrom(fulfillment_pb2.Shop(**values))
        self.shops[shop.shop_id] = shop
        return shop.shop_id

    def product(self, shop_id: str, **values: Any) -> str:
        """A product with one SKU that has a price and one that has none; its id."""
        product = fulfillment_pb2.Product(
            product_id=str(uuid4()),
            shop_id=shop_id,
            platform_product_id="1729382476852921560",
            title="Water playmat",
            status="ACTIVATE",
            skus=[
                fulfillment_pb2.Sku(
                    platform_sku_id="1729382476852921561",
                    seller_sku="MAT-WATER",
                    price=fulfillment_pb2.Money(currency="USD", minor_units=3490),
                    available_quantity=212,
                ),
                fulfillment_pb2.Sku(platform_sku_id="1729382476852921562"),
            ],
        )
        product.MergeFrom(fulfillment_pb2.Product(**values))
        self.products[product.product_id] = product
        return product.product_id

    def post(self, **delivery: Any) -> scheduler_pb2.Delivery:
        """A post with one delivery of the given kind; the delivery."""
        post = scheduler_pb2.Post(post_id=str(uuid4()), workspace_id=WORKSPACE, time_zone="UTC")
        made = post.deliveries.add(delivery_id=str(uuid4()), post_id=post.post_id, account_id=str(uuid4()))
        made.MergeFrom(scheduler_pb2.Delivery(**delivery))
        self.posts[post.post_id] = post
        return made


class HasMemory(Protocol):
    """Where the memory of the test that runs now is."""

    memory: Memory


class Fake:
    """What all fakes share: the memory, which a test replaces."""

    def __init__(self, hub: HasMemory) -> None:
        self.hub = hub

    @property
    def memory(self) -> Memory:
        return self.hub.memory

    def saw(self, request: Message, context: Context) -> None:
        """Keeps the request; fails when a test asked for it."""
        self.memory.calls.append((request, dict(context.invocation_metadata())))
        self.memory.seconds_left[type(request).__name__] = context.time_remaining()
        failure = self.memory.failures.pop(type(request).__name__.removesuffix("Request"), None)
        if failure:
            raise failure

    def once(self, request: Any, make: Callable[[], Answer]) -> Answer:
        """The first answer again when the request id comes again."""
        content = request.SerializeToString(deterministic=True)
        if request.request_id in self.memory.answered:
            first, answer = self.memory.answered[request.request_id]
            if first != content:
                raise RequestIdReused("This request id was already used for another request.")
            return answer  # type: ignore[return-value]
        answer = make()
        self.memory.answered[request.request_id] = (content, answer)
        return answer


class FakeIdentity(Fake, identity_pb2_grpc.IdentityServiceServicer):
    def AuthenticateApiKey(self, request: Any, context: Context) -> identity_pb2.AuthenticateApiKeyResponse:
        self.saw(request, context)
        if request.key_text not in self.memory.keys:
            raise errors.Unauthenticated("The API key is not valid.", code_reason="API_KEY_REFUSED")
        return self.memory.keys[request.key_text]

    def CreateWorkspace(self, request: Any, context: Context) -> identity_pb2.CreateWorkspaceResponse:
        self.saw(request, context)

        def make() -> identity_pb2.CreateWorkspaceResponse:
            workspace = identity_pb2.Workspace(workspace_id=str(uuid4()), display_name=request.display_name)
            self.memory.workspaces[workspace.workspace_id] = workspace
            return identity_pb2.CreateWorkspaceResponse(workspace=workspace)

        return self.once(request, make)

    def GetWorkspace(self, request: Any, context: Context) -> identity_pb2.GetWorkspaceResponse:
        self.saw(request, context)
        workspace = self.memory.workspaces.get(request.workspace_id)
        if workspace is None and request.workspace_id == WORKSPACE:
            workspace = identity_pb2.Workspace(workspace_id=WORKSPACE, display_name="Emberfold")
        if workspace is None:
            raise errors.NotFound("There is no such workspace.", code_reason="WORKSPACE_NOT_FOUND")
        return identity_pb2.GetWorkspaceResponse(workspace=workspace)

    def ListWorkspaces(self, request: Any, context: Context) -> identity_pb2.ListWorkspacesResponse:
        self.saw(request, context)
        return identity_pb2.ListWorkspacesResponse(workspaces=self.memory.workspaces.values())

    def CreateUser(self, request: Any, context: Context) -> identity_pb2.CreateUserResponse:
        self.saw(request, context)

        def make() -> identity_pb2.CreateUserResponse:
            user = identity_pb2.User(user_id=str(uuid4()), email=request.email, display_name=request.display_name)
            self.memory.users.append(user)
            return identity_pb2.CreateUserResponse(user=user)

        return self.once(request, make)

    def ListUsers(self, request: Any, context: Context) -> identity_pb2.ListUsersResponse:
        self.saw(request, context)
        return identity_pb2.ListUsersResponse(users=self.memory.users)

    def CreateApiKey(self, request: Any, context: Context) -> identity_pb2.CreateApiKeyResponse:
        self.saw(request, context)
        if request.request_id in self.memory.answered:
            return identity_pb2.CreateApiKeyResponse(api_key=self.memory.api_keys[-1])
        key = identity_pb2.ApiKey(
            api_key_id=str(uuid4()), display_name=request.display_name, prefix="rr_12345678", scopes=request.scopes
        )
        if request.HasField("expire_time"):
            key.expire_time.CopyFrom(request.expire_time)
        self.memory.api_keys.append(key)
        self.memory.answered[request.request_id] = (b"", key)
        return identity_pb2.CreateApiKeyResponse(api_key=key, key_text="rr_12345678_secret")

    def ListApiKeys(self, request: Any, context: Context) -> identity_pb2.ListApiKeysResponse:
        self.saw(request, context)
        return identity_pb2.ListApiKeysResponse(api_keys=self.memory.api_keys)

    def RevokeApiKey(self, request: Any, context: Context) -> identity_pb2.RevokeApiKeyResponse:
        self.saw(request, context)
        for key in self.memory.api_keys:
            if key.api_key_id == request.api_key_id:
                key.revoke_time.GetCurrentTime()
                return identity_pb2.RevokeApiKeyResponse(api_key=key)
        raise errors.NotFound("The workspace has no such key.")


class FakeContent(Fake, content_pb2_grpc.ContentServiceServicer):
    def UploadMedia(self, request_iterator: Iterator[Any], context: Context) -> content_pb2.UploadMediaResponse:
        try:
            return self._take(request_iterator, context)
        finally:
            self.memory.upload_ended.set()

    def _take(self, requests: Iterator[Any], context: Context) -> content_pb2.UploadMediaResponse:
        memory = self.memory
        for request in requests:
            match request.WhichOneof("part"):
                case "header":
                    memory.upload_headers.append(request.header)
                    self.saw(request.header, context)
                case "end":
                    memory.upload_is_whole = request.end.size_bytes == len(memory.uploaded)
                case _:
                    with memory.progress:
                        memory.uploaded += request.data
                        memory.piece_sizes.append(len(request.data))
                        memory.progress.notify_all()
                    self.saw(request, context)
        if not memory.upload_is_whole:
            raise errors.InvalidArgument("The upload broke off.", code_reason="UPLOAD_BROKEN")
        if not memory.uploaded:
            raise errors.InvalidArgument("The file is empty.", code_reason="MEDIA_EMPTY")
        media_asset_id = memory.asset(file_name=memory.upload_headers[-1].file_name, size_bytes=len(memory.uploaded))
        return content_pb2.UploadMediaResponse(media_asset=memory.assets[media_asset_id])

    def GetMediaAsset(self, request: Any, context: Context) -> content_pb2.GetMediaAssetResponse:
        self.saw(request, context)
        asset = self.memory.assets.get(request.media_asset_id)
        if asset is None or asset.workspace_id != request.workspace_id:
            raise errors.NotFound("There is no such asset.")
        return content_pb2.GetMediaAssetResponse(media_asset=asset)

    def DownloadMedia(self, request: Any, context: Context) -> Iterator[content_pb2.DownloadMediaResponse]:
        self.saw(request, context)
        data = self.memory.files[request.media_asset_id][request.offset_bytes :][: request.length_bytes]
        for start in range(0, len(data), 2**20):
            yield content_pb2.DownloadMediaResponse(data=data[start : start + 2**20])

    def BatchGetMediaAssets(self, request: Any, context: Context) -> content_pb2.BatchGetMediaAssetsResponse:
        self.saw(request, context)
        known = [
            asset
            for asset in self.memory.assets.values()
            if asset.media_asset_id in request.media_asset_ids or asset.file_name in request.file_names
        ]
        return content_pb2.BatchGetMediaAssetsResponse(media_assets=known)

    def FingerprintTexts(self, request: Any, context: Context) -> content_pb2.FingerprintTextsResponse:
        self.saw(request, context)
        return content_pb2.FingerprintTextsResponse(
            fingerprints=[content_pb2.TextFingerprint(shingles=[len(each)]) for each in request.texts]
        )

    def ListMediaAssets(self, request: Any, context: Context) -> content_pb2.ListMediaAssetsResponse:
        self.saw(request, context)
        return content_pb2.ListMediaAssetsResponse(media_assets=self.memory.assets.values())


class FakeVendorCalls(Fake, vendorcalls_pb2_grpc.VendorCallServiceServicer):
    """The calls that one service made."""

    def __init__(self, hub: HasMemory, service: str) -> None:
        super().__init__(hub)
        self._service = service

    def ListVendorCalls(self, request: Any, context: Context) -> vendorcalls_pb2.ListVendorCallsResponse:
        self.saw(request, context)
        page = Page.parse(request.page_size, request.page_token, (str,))
        ids = sorted(self.memory.vendor_calls[self._service], reverse=True)
        found = [each for each in ids if page.after is None or each < page.after[0]]
        shown, token = page.cut(found, lambda each: (each,))
        calls = [self.memory.vendor_calls[self._service][each].vendor_call for each in shown]
        return vendorcalls_pb2.ListVendorCallsResponse(vendor_calls=calls, next_page_token=token)

    def GetVendorCall(self, request: Any, context: Context) -> vendorcalls_pb2.GetVendorCallResponse:
        self.saw(request, context)
        mine = self.memory.vendor_calls[self._service]
        if request.vendor_call_id not in mine or request.workspace_id != WORKSPACE:
            raise errors.NotFound("There is no such call.", code_reason="VENDOR_CALL_NOT_FOUND")
        return mine[request.vendor_call_id]


class FakePublisher(Fake, publisher_pb2_grpc.PublisherServiceServicer):
    def ReceiveWebhook(self, request: Any, context: Context) -> publisher_pb2.ReceiveWebhookResponse:
        self.saw(request, context)
        return publisher_pb2.ReceiveWebhookResponse()

    def StartConnection(self, request: Any, context: Context) -> publisher_pb2.StartConnectionResponse:
        self.saw(request, context)
        return publisher_pb2.StartConnectionResponse(consent_url="https://platform.example/consent", state="s1")

    def FinishConnection(self, request: Any, context: Context) -> publisher_pb2.FinishConnectionResponse:
        self.saw(request, context)
        if request.state != "s1":
            raise errors.InvalidArgument.of_field("state", "Start the connection again.")
        return publisher_pb2.FinishConnectionResponse(account=self.memory.accounts[self.memory.account()])

    def DisconnectAccount(self, request: Any, context: Context) -> publisher_pb2.DisconnectAccountResponse:
        self.saw(request, context)
        account = self._account(request)
        account.state = publisher_pb2.ACCOUNT_STATE_DISCONNECTED
        return publisher_pb2.DisconnectAccountResponse(account=account)

    def GetAccountLimits(self, request: Any, context: Context) -> publisher_pb2.GetAccountLimitsResponse:
        self.saw(request, context)
        limits = publisher_pb2.AccountLimits(handle="emberfold.air", privacy_levels=["SELF_ONLY"], duet_disabled=True)
        return publisher_pb2.GetAccountLimitsResponse(limits=limits)

    def GetAccountNumbers(self, request: Any, context: Context) -> publisher_pb2.GetAccountNumbersResponse:
        self.saw(request, context)
        self._account(request)
        return publisher_pb2.GetAccountNumbersResponse(numbers=publisher_pb2.AccountNumbers(followers=0, posts=3))

    def ListPostNumbers(self, request: Any, context: Context) -> publisher_pb2.ListPostNumbersResponse:
        self.saw(request, context)
        self._account(request)
        post = publisher_pb2.PostNumbers(platform_post_id="7400", views=9, likes=0)
        return publisher_pb2.ListPostNumbersResponse(posts=[post], next_page_token="more")

    def _account(self, request: Any) -> publisher_pb2.Account:
        if request.account_id not in self.memory.accounts:
            raise errors.NotFound("There is no such account.")
        return self.memory.accounts[request.account_id]

    def GetAccount(self, request: Any, context: Context) -> publisher_pb2.GetAccountResponse:
        self.saw(request, context)
        if request.account_id not in self.memory.accounts:
            raise errors.NotFound("There is no such account.")
        return publisher_pb2.GetAccountResponse(account=self.memory.accounts[request.account_id])

    def ListAccounts(self, request: Any, context: Context) -> publisher_pb2.ListAccountsResponse:
        self.saw(request, context)
        return publisher_pb2.ListAccountsResponse(accounts=self.memory.accounts.values())

    def CheckPosts(self, request: Any, context: Context) -> publisher_pb2.CheckPostsResponse:
        self.saw(request, context)
        return publisher_pb2.CheckPostsResponse(results=[self._check(each) for each in request.posts])

    def _check(self, post: Any) -> publisher_pb2.PostCheckResult:
        problems = []
        for index, account_id in enumerate(post.account_ids):
            account = self.memory.accounts.get(account_id)
            if account is None:
                problems.append((f"account_ids[{index}]", "ACCOUNT_UNKNOWN", "There is no such account.", True))
            elif account.state == publisher_pb2.ACCOUNT_STATE_AUTHORIZATION_LOST:
                problems.append((f"account_ids[{index}]", "AUTHORIZATION_LOST", "Connect it again.", False))
        if not post.media:
            problems.append(("media", "MEDIA_MISSING", "A TikTok post needs a video or photos.", True))
        for index, media in enumerate(post.media):
            if media.frame_rate_millis > 60_000:
                problems.append((f"media[{index}]", "FRAME_RATE", "At most 60 frames per second.", True))
        if len(post.caption) > 2_200:
            problems.append(("caption", "CAPTION_TOO_LONG", "At most 2,200 characters.", True))
        if "privacy_level" not in post.tiktok_options and not post.tiktok_shop_options:
            problems.append(("options.tiktok.privacy_level", "CHOICE_MISSING", "Choose who may see it.", True))
        return publisher_pb2.PostCheckResult(
            problems=[
                publisher_pb2.PostProblem(field=name, reason=reason, message=message, blocking=blocking)
                for name, reason, message, blocking in problems
            ],
            platforms=[
                (
                    self.memory.accounts[each].platform
                    if each in self.memory.accounts
                    else publisher_pb2.PLATFORM_UNSPECIFIED
                )
                for each in post.account_ids
            ],
        )

    def ForecastPosts(self, request: Any, context: Context) -> publisher_pb2.ForecastPostsResponse:
        self.saw(request, context)
        return publisher_pb2.ForecastPostsResponse(failures=self.memory.foreseen, deliveries=84)

    def GetPublication(self, request: Any, context: Context) -> publisher_pb2.GetPublicationResponse:
        self.saw(request, context)
        return publisher_pb2.GetPublicationResponse(publication=self._publication(request))

    def _publication(self, request: Any) -> publisher_pb2.Publication:
        if request.delivery_id not in self.memory.publications or request.workspace_id != WORKSPACE:
            raise errors.NotFound("No publisher has begun it.", code_reason="PUBLICATION_NOT_FOUND")
        return self.memory.publications[request.delivery_id]

    def SettlePublication(self, request: Any, context: Context) -> publisher_pb2.SettlePublicationResponse:
        self.saw(request, context)
        publication = self._publication(request)
        settled = (
            publisher_pb2.PUBLICATION_STEP_PUBLISHED if request.is_published else publisher_pb2.PUBLICATION_STEP_OPENED
        )
        if publication.step not in (settled, publisher_pb2.PUBLICATION_STEP_UNCERTAIN):
            raise PublicationNotUncertain("Nothing about it is uncertain.")
        publication.step, publication.url, publication.needs_person = settled, request.url, False
        return publisher_pb2.SettlePublicationResponse(publication=publication)

    def ListIncidents(self, request: Any, context: Context) -> publisher_pb2.ListIncidentsResponse:
        self.saw(request, context)
        return publisher_pb2.ListIncidentsResponse(incidents=self.memory.incidents)

    def BeginPublishEpoch(self, request: Any, context: Context) -> publisher_pb2.BeginPublishEpochResponse:
        self.saw(request, context)
        return publisher_pb2.BeginPublishEpochResponse(publish_epoch=2)


def planned(draft: Any) -> scheduler_pb2.Post:
    """What a draft would become."""
    return scheduler_pb2.Post(
        channel=draft.channel,
        caption=draft.caption,
        media=draft.media,
        local_time=draft.local_time,
        time_zone=draft.time_zone,
        options=draft.options,
        ref=draft.ref,
        lateness=draft.lateness if draft.HasField("lateness") else None,
        deliveries=[
            scheduler_pb2.Delivery(account_id=each, state=scheduler_pb2.DELIVERY_STATE_SCHEDULED)
            for each in draft.account_ids
        ],
    )


def kept(memory: Memory, draft: Any) -> scheduler_pb2.Post:
    """The post of a draft, from now on in memory."""
    post = planned(draft)
    post.post_id, post.workspace_id, post.etag = str(uuid4()), WORKSPACE, uuid4().hex[:8]
    post.schedule_time.FromDatetime(datetime(2027, 1, 4, 17, tzinfo=UTC))
    for delivery in post.deliveries:
        delivery.delivery_id, delivery.post_id = str(uuid4()), post.post_id
    memory.posts[post.post_id] = post
    return post


class FakeScheduler(Fake, scheduler_pb2_grpc.SchedulerServiceServicer):
    def CreatePost(self, request: Any, context: Context) -> scheduler_pb2.CreatePostResponse:
        self.saw(request, context)

        def make() -> scheduler_pb2.CreatePostResponse:
            self._refuse_past(request.post)
            return scheduler_pb2.CreatePostResponse(
                post=kept(self.memory, request.post), conflicts=self.memory.conflicts
            )

        return self.once(request, make)

    def BatchCreatePosts(self, request: Any, context: Context) -> scheduler_pb2.BatchCreatePostsResponse:
        self.saw(request, context)
        return self.once(
            request,
            lambda: scheduler_pb2.BatchCreatePostsResponse(
                results=[self._result(each, request.validate_only) for each in request.posts]
            ),
        )

    def _result(self, draft: Any, validate_only: bool) -> scheduler_pb2.BatchCreateResult:
        try:
            self._refuse_past(draft)
        except ScheduleTimeInPast as refused:
            return scheduler_pb2.BatchCreateResult(
                refusal=scheduler_pb2.DraftRefusal(
                    reason=refused.reason,
                    message=refused.message,
                    field_violations=[
                        scheduler_pb2.FieldViolation(field=each.field, description=each.description)
                        for each in refused.violations
                    ],
                )
            )
        return scheduler_pb2.BatchCreateResult(
            post=planned(draft) if validate_only else kept(self.memory, draft),
            conflicts=self.memory.conflicts,
        )

    def _refuse_past(self, draft: Any) -> None:
        if draft.local_time < "2026":
            raise ScheduleTimeInPast("It is over.", [errors.FieldViolation("local_time", "Choose a later time.")])

    def _post(self, request: Any) -> scheduler_pb2.Post:
        post = self.memory.posts.get(request.post_id)
        if post is None or post.workspace_id != request.workspace_id:
            raise errors.NotFound("There is no such post.", code_reason="POST_NOT_FOUND")
        return post

    def GetPost(self, request: Any, context: Context) -> scheduler_pb2.GetPostResponse:
        self.saw(request, context)
        return scheduler_pb2.GetPostResponse(post=self._post(request))

    def ListPosts(self, request: Any, context: Context) -> scheduler_pb2.ListPostsResponse:
        self.saw(request, context)
        wanted = set(request.post_ids) or set(self.memory.posts)
        posts = [post for post_id, post in self.memory.posts.items() if post_id in wanted]
        # One more page, which is empty.
        return scheduler_pb2.ListPostsResponse(
            posts=[] if request.page_token == "more" else posts,
            next_page_token="" if request.page_token == "more" else "more",
        )

    def UpdatePost(self, request: Any, context: Context) -> scheduler_pb2.UpdatePostResponse:
        self.saw(request, context)
        post = self._post(request)
        if request.etag and request.etag != post.etag:
            raise PostChanged("The post was changed since. Read it again.")
        for name in request.update_mask:
            if name == "media":
                del post.media[:]
                post.media.extend(request.post.media)
            elif name in ("options", "lateness"):
                post.ClearField(name)
                if request.post.HasField(name):
                    getattr(post, name).CopyFrom(getattr(request.post, name))
            elif name not in ("ambiguous_time", "shingles", "accept_conflicts"):
                setattr(post, name, getattr(request.post, name))
        post.etag = uuid4().hex[:8]
        return scheduler_pb2.UpdatePostResponse(post=post, conflicts=self.memory.conflicts)

    def CancelPost(self, request: Any, context: Context) -> scheduler_pb2.CancelPostResponse:
        self.saw(request, context)
        post = self._post(request)
        for delivery in post.deliveries:
            delivery.state = scheduler_pb2.DELIVERY_STATE_CANCELED
        return scheduler_pb2.CancelPostResponse(post=post)

    def DecideDeliveries(self, request: Any, context: Context) -> scheduler_pb2.DecideDeliveriesResponse:
        self.saw(request, context)
        return scheduler_pb2.DecideDeliveriesResponse(
            results=[self._decide(request, delivery_id) for delivery_id in request.delivery_ids]
        )

    def _decide(self, request: Any, delivery_id: str) -> scheduler_pb2.DecisionResult:
        for post in self.memory.posts.values():
            for delivery in post.deliveries:
                if (delivery.delivery_id, post.workspace_id) != (delivery_id, request.workspace_id):
                    continue
                if not delivery.needs_person:
                    refusal = scheduler_pb2.DraftRefusal(reason="DELIVERY_NOT_WAITING", message="It does not wait.")
                    return scheduler_pb2.DecisionResult(refusal=refusal)
                is_dropped = request.decision == scheduler_pb2.DECISION_DROP
                delivery.state = (
                    scheduler_pb2.DELIVERY_STATE_CANCELED if is_dropped else scheduler_pb2.DELIVERY_STATE_SCHEDULED
                )
                delivery.needs_person = False
                return scheduler_pb2.DecisionResult(delivery=delivery)
        refusal = scheduler_pb2.DraftRefusal(reason="DELIVERY_NOT_FOUND", message="There is no such delivery.")
        return scheduler_pb2.DecisionResult(refusal=refusal)

    def PlaceHold(self, request: Any, context: Context) -> scheduler_pb2.PlaceHoldResponse:
        self.saw(request, context)
        hold = self._hold(request)
        if hold is None:
            hold = scheduler_pb2.Hold(
                hold_id=str(uuid4()),
                workspace_id=request.workspace_id,
                scope=request.scope,
                target=request.target,
                cause=request.cause,
                reason=request.reason,
            )
            hold.create_time.GetCurrentTime()
            self.memory.holds.append(hold)
        return scheduler_pb2.PlaceHoldResponse(hold=hold)

    def LiftHold(self, request: Any, context: Context) -> scheduler_pb2.LiftHoldResponse:
        self.saw(request, context)
        hold = self._hold(request)
        if hold is None:
            return scheduler_pb2.LiftHoldResponse()
        if hold.held_deliveries and not request.due_action:
            raise DueActionRequired(f"It keeps back {hold.held_deliveries} deliveries. Say what becomes of them.")
        self.memory.holds.remove(hold)
        return scheduler_pb2.LiftHoldResponse(held_deliveries=hold.held_deliveries)

    def _hold(self, request: Any) -> scheduler_pb2.Hold | None:
        wanted = (request.workspace_id, request.scope, request.target, request.cause)
        found = [
            each for each in self.memory.holds if (each.workspace_id, each.scope, each.target, each.cause) == wanted
        ]
        return found[0] if found else None

    def ListHolds(self, request: Any, context: Context) -> scheduler_pb2.ListHoldsResponse:
        self.saw(request, context)
        holds = [each for each in self.memory.holds if each.workspace_id in ("", request.workspace_id)]
        return scheduler_pb2.ListHoldsResponse(holds=holds)

    def SetChannelRules(self, request: Any, context: Context) -> scheduler_pb2.SetChannelRulesResponse:
        self.saw(request, context)
        self.memory.rules[request.rules.channel] = request.rules
        return scheduler_pb2.SetChannelRulesResponse(rules=request.rules)

    def ListChannelRules(self, request: Any, context: Context) -> scheduler_pb2.ListChannelRulesResponse:
        self.saw(request, context)
        return scheduler_pb2.ListChannelRulesResponse(rules=self.memory.rules.values())

    def ListOutages(self, request: Any, context: Context) -> scheduler_pb2.ListOutagesResponse:
        self.saw(request, context)
        return scheduler_pb2.ListOutagesResponse(
            outages=[
                scheduler_pb2.Outage(outage_id=outage_id, deliveries=len(late))
                for outage_id, late in self.memory.outages.items()
            ]
        )

    def ListOutageDeliveries(self, request: Any, context: Context) -> scheduler_pb2.ListOutageDeliveriesResponse:
        self.saw(request, context)
        if request.outage_id not in self.memory.outages:
            raise OutageNotFound("There was no outage with that id.")
        return scheduler_pb2.ListOutageDeliveriesResponse(deliveries=self.memory.outages[request.outage_id])


class FakeAgents(Fake, agents_pb2_grpc.AgentServiceServicer):
    """One agent whose only skill repeats what it is told."""

    def ListAgents(self, request: Any, context: Context) -> agents_pb2.ListAgentsResponse:
        self.saw(request, context)
        skill = agents_pb2.Skill(name="repeat", description="Repeats.")
        skill.arguments_schema.update({"type": "object", "required": ["words"]})
        return agents_pb2.ListAgentsResponse(agents=[agents_pb2.Agent(name="parrot", skills=[skill])])

    def UseSkill(self, request: Any, context: Context) -> agents_pb2.UseSkillResponse:
        self.saw(request, context)
        if "words" not in request.arguments:
            raise ArgumentInvalid.of_field("arguments.words", "Field required")
        return agents_pb2.UseSkillResponse(result=request.arguments)


class FakeNotification(Fake, notification_pb2_grpc.NotificationServiceServicer):
    def ListActivities(self, request: Any, context: Context) -> notification_pb2.ListActivitiesResponse:
        self.saw(request, context)
        activity = notification_pb2.Activity(activity_id=str(uuid4()), type="post.created", summary="Planned.")
        activity.activity_time.FromJsonString("2026-12-01T12:00:00.25Z")
        return notification_pb2.ListActivitiesResponse(activities=[activity])

    def ListMessages(self, request: Any, context: Context) -> notification_pb2.ListMessagesResponse:
        self.saw(request, context)
        return notification_pb2.ListMessagesResponse(
            messages=[
                notification_pb2.Message(
                    message_id=str(uuid4()),
                    severity=notification_pb2.SEVERITY_PROBLEM,
                    sends=[notification_pb2.MessageSend(target="log", state=notification_pb2.MESSAGE_SEND_STATE_SENT)],
                )
            ]
        )
