"""The RPCs of fulfillment: shops and what is read of them."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import grpc
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb
from reelroute.fulfillment.v1 import fulfillment_pb2_grpc

from kit.db import ALL_WORKSPACES, Database
from kit.paging import Page
from kit.timestamps import from_timestamp, to_timestamp
from kit.vault import Vault
from services.fulfillment import (
    authorization_store,
    catalogue_store,
    connecting,
    domain,
    messages,
    shop_store,
    store,
    webhooks,
)
from services.fulfillment.calling import ShopCalls, check_connected
from services.fulfillment.catalogue import Catalogue
from services.fulfillment.reading import Place, Reading
from vendors.tiktok_shop import oauth

# An exchange of a code and a reading of shops, each with its retries.
_CONNECT_SECONDS = 60.0
_FORGOTTEN = "Its tokens were forgotten, as somebody wished. Connect it again to use it."


class _AboutShop(Protocol):
    """A request about one shop."""

    workspace_id: str
    shop_id: str


class FulfillmentApi(fulfillment_pb2_grpc.FulfillmentServiceServicer):
    """See fulfillment.proto for what each RPC promises."""

    def __init__(self, database: Database, vault: Vault, calls: ShopCalls, catalogue: Catalogue) -> None:
        self._database, self._vault = database, vault
        self._calls, self._catalogue, self._reading = calls, catalogue, Reading(calls)

    def StartShopConnection(
        self, request: pb.StartShopConnectionRequest, context: grpc.ServicerContext
    ) -> pb.StartShopConnectionResponse:
        workspace_id, config = UUID(request.workspace_id), self._calls.client.config
        if not (config.app_key and config.app_secret.get_secret_value() and config.service_id):
            raise domain.TiktokShopNotConfigured(
                "No TikTok Shop app is configured. Set REELROUTE_TIKTOK_SHOP_APP_KEY, REELROUTE_TIKTOK_SHOP_APP_SECRET"
                " and REELROUTE_TIKTOK_SHOP_SERVICE_ID from the app's page in Partner Center."
            )
        state = oauth.new_state()
        is_us = request.seller_region == pb.SELLER_REGION_US
        url = oauth.seller_authorize_url(config, state=state, is_us=is_us)
        with self._database.transaction(workspace_id) as tx:
            expire_time = store.insert_connection(tx, workspace_id, state, domain.CONNECTION_LIFE)
        return pb.StartShopConnectionResponse(consent_url=url, state=state, expire_time=to_timestamp(expire_time))

    def FinishShopConnection(
        self, request: pb.FinishShopConnectionRequest, context: grpc.ServicerContext
    ) -> pb.FinishShopConnectionResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            store.take_connection(tx, workspace_id, request.state)
        consent = self._calls.run(lambda: connecting.connect(self._calls.client, request.code), _CONNECT_SECONDS)
        with self._database.transaction(workspace_id) as tx:
            authorization_id = authorization_store.save_connection(
                tx,
                self._vault,
                workspace_id=workspace_id,
                seller_open_id=consent.seller_open_id,
                seller_name=consent.seller_name,
                seller_region=consent.seller_region,
                scopes=consent.scopes,
                tokens=consent.tokens,
                opened=consent.shops,
            )
            shops = shop_store.shops_of(tx, workspace_id, authorization_id)
            names = ", ".join(shop.name for shop in shops if shop.state is domain.ShopState.CONNECTED)
            text = f"{names} is connected. {domain.missing_scopes(consent.scopes)}".strip()
            store.tell_of_shops(tx, workspace_id, "shop.connected", text, names)
        connected = [shop for shop in shops if shop.state is domain.ShopState.CONNECTED]
        return pb.FinishShopConnectionResponse(shops=[messages.shop_to(shop) for shop in connected])

    def GetShop(self, request: pb.GetShopRequest, context: grpc.ServicerContext) -> pb.GetShopResponse:
        return pb.GetShopResponse(shop=messages.shop_to(self._shop(request.workspace_id, request.shop_id)))

    def ListShops(self, request: pb.ListShopsRequest, context: grpc.ServicerContext) -> pb.ListShopsResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (str, UUID))
        with self._database.transaction(workspace_id) as tx:
            found = shop_store.list_shops(tx, workspace_id, page)
        shown, token = page.cut(found, lambda shop: (shop.name, shop.shop_id))
        return pb.ListShopsResponse(shops=[messages.shop_to(shop) for shop in shown], next_page_token=token)

    def DisconnectShop(
        self, request: pb.DisconnectShopRequest, context: grpc.ServicerContext
    ) -> pb.DisconnectShopResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            shop = shop_store.read_shop(tx, workspace_id, UUID(request.shop_id))
            authorization = authorization_store.read_authorization(tx, workspace_id, shop.authorization_id)
            if authorization_store.forget_tokens(tx, workspace_id, shop.authorization_id, _FORGOTTEN):
                text = f"{authorization.label} is disconnected: its tokens are forgotten."
                store.tell_of_shops(tx, workspace_id, "shop.disconnected", text, authorization.label)
            shops = shop_store.shops_of(tx, workspace_id, shop.authorization_id)
        return pb.DisconnectShopResponse(shops=[messages.shop_to(each) for each in shops])

    def SyncCatalogue(
        self, request: pb.SyncCatalogueRequest, context: grpc.ServicerContext
    ) -> pb.SyncCatalogueResponse:
        shop = self._connected_shop(request)
        count = self._catalogue.sync(shop, everything=request.everything)
        after = self._shop(request.workspace_id, request.shop_id)
        return pb.SyncCatalogueResponse(products=count, shop=messages.shop_to(after))

    def ListProducts(self, request: pb.ListProductsRequest, context: grpc.ServicerContext) -> pb.ListProductsResponse:
        workspace_id = UUID(request.workspace_id)
        shop_id = UUID(request.shop_id) if request.shop_id else None
        page = Page.parse(request.page_size, request.page_token, (str, UUID))
        with self._database.transaction(workspace_id) as tx:
            found = catalogue_store.list_products(
                tx, workspace_id, page, shop_id=shop_id, status=request.status, wanted=request.text
            )
        shown, token = page.cut(found, lambda product: (product.title, product.product_id))
        return pb.ListProductsResponse(
            products=[messages.product_to(product) for product in shown], next_page_token=token
        )

    def GetProduct(self, request: pb.GetProductRequest, context: grpc.ServicerContext) -> pb.GetProductResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            product = catalogue_store.read_product(tx, workspace_id, UUID(request.product_id))
        return pb.GetProductResponse(product=messages.product_to(product))

    def ListShopOrders(
        self, request: pb.ListShopOrdersRequest, context: grpc.ServicerContext
    ) -> pb.ListShopOrdersResponse:
        shop = self._connected_shop(request)
        from_time, until_time = (
            from_timestamp(getattr(request, name), name) if request.HasField(name) else None
            for name in ("from_time", "until_time")
        )
        place = Place.parse(
            request.page_size, request.page_token, shop, "orders", request.status, from_time, until_time
        )
        part = self._reading.orders(shop, place, request.status, from_time, until_time)
        return pb.ListShopOrdersResponse(
            orders=[messages.order_to(order) for order in part.items], next_page_token=place.following(part)
        )

    def GetShopNumbers(
        self, request: pb.GetShopNumbersRequest, context: grpc.ServicerContext
    ) -> pb.GetShopNumbersResponse:
        start, end = messages.span_from(request.span)
        part = self._reading.shop_numbers(self._connected_shop(request), start, end, by_day=request.by_day)
        return pb.GetShopNumbersResponse(
            numbers=[messages.shop_numbers_to(each) for each in part.items],
            latest_available_date=messages.date_to(part.latest_date),
        )

    def ListVideoNumbers(
        self, request: pb.ListVideoNumbersRequest, context: grpc.ServicerContext
    ) -> pb.ListVideoNumbersResponse:
        start, end = messages.span_from(request.span)
        shop = self._connected_shop(request)
        place = Place.parse(request.page_size, request.page_token, shop, "videos", start, end)
        part = self._reading.video_numbers(shop, place, start, end)
        return pb.ListVideoNumbersResponse(
            videos=[messages.video_numbers_to(each) for each in part.items],
            next_page_token=place.following(part),
            latest_available_date=messages.date_to(part.latest_date),
        )

    def ListProductNumbers(
        self, request: pb.ListProductNumbersRequest, context: grpc.ServicerContext
    ) -> pb.ListProductNumbersResponse:
        start, end = messages.span_from(request.span)
        shop = self._connected_shop(request)
        place = Place.parse(request.page_size, request.page_token, shop, "products", start, end)
        part = self._reading.product_numbers(shop, place, start, end)
        return pb.ListProductNumbersResponse(
            products=[messages.product_numbers_to(each) for each in part.items],
            next_page_token=place.following(part),
            latest_available_date=messages.date_to(part.latest_date),
        )

    def ReceiveShopWebhook(
        self, request: pb.ReceiveShopWebhookRequest, context: grpc.ServicerContext
    ) -> pb.ReceiveShopWebhookResponse:
        # It names no workspace: whose it is, is looked up among all.
        with self._database.transaction(ALL_WORKSPACES) as tx:
            now = store.database_time(tx)
            webhooks.take(tx, self._calls.client.config, request.body, request.signature, now)
        return pb.ReceiveShopWebhookResponse()

    def _connected_shop(self, request: _AboutShop) -> domain.Shop:
        shop = self._shop(request.workspace_id, request.shop_id)
        check_connected(shop)
        return shop

    def _shop(self, workspace_id: str, shop_id: str) -> domain.Shop:
        workspace = UUID(workspace_id)
        with self._database.transaction(workspace) as tx:
            return shop_store.read_shop(tx, workspace, UUID(shop_id))
