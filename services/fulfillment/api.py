"""The RPCs of fulfillment: shops and what is read of them."""

from __future__ import annotations

from uuid import UUID

import grpc
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb
from reelroute.fulfillment.v1 import fulfillment_pb2_grpc

from kit.db import Database
from kit.paging import Page
from kit.timestamps import to_timestamp
from kit.vault import Vault
from services.fulfillment import authorization_store, connecting, domain, messages, shop_store, store
from services.fulfillment.calling import ShopCalls
from vendors.tiktok_shop import oauth

# An exchange of a code and a reading of shops, each with its retries.
_CONNECT_SECONDS = 60.0
_FORGOTTEN = "Its tokens were forgotten, as somebody wished. Connect it again to use it."


class FulfillmentApi(fulfillment_pb2_grpc.FulfillmentServiceServicer):
    """See fulfillment.proto for what each RPC promises. `calls` makes what goes to TikTok Shop."""

    def __init__(self, database: Database, vault: Vault, calls: ShopCalls) -> None:
        self._database, self._vault, self._calls = database, vault, calls

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

    def _shop(self, workspace_id: str, shop_id: str) -> domain.Shop:
        workspace = UUID(workspace_id)
        with self._database.transaction(workspace) as tx:
            return shop_store.read_shop(tx, workspace, UUID(shop_id))
