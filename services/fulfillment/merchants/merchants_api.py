"""The RPCs of merchants."""

from __future__ import annotations

from uuid import UUID

import grpc
from reelroute.fulfillment.v1 import merchants_pb2 as pb
from reelroute.fulfillment.v1 import merchants_pb2_grpc

from kit import context as work
from kit.db import Database
from kit.paging import Page
from kit.timestamps import optional_timestamp, to_timestamp
from kit.vault import Vault
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.merchants.connecting import connect
from services.fulfillment.merchants.domain import AmazonNotConfigured, MarketplaceUnknown, Merchant
from services.fulfillment.orders import order_store
from vendors.amazon_sp.marketplaces import MARKETPLACES

# A refresh and two readings, each with its retries.
_CONNECT_SECONDS = 60.0
_FORGOTTEN = "Its tokens were forgotten, as somebody wished. Connect it again to use it."


class MerchantApi(merchants_pb2_grpc.MerchantServiceServicer):
    """See merchants.proto for what each RPC promises."""

    def __init__(self, database: Database, vault: Vault, calls: AmazonCalls) -> None:
        self._database, self._vault, self._calls = database, vault, calls

    def ConnectMerchant(
        self, request: pb.ConnectMerchantRequest, context: grpc.ServicerContext
    ) -> pb.ConnectMerchantResponse:
        workspace_id, config = UUID(request.workspace_id), self._calls.client.config
        if not config.is_configured:
            raise AmazonNotConfigured(
                "No Amazon app is configured. Set REELROUTE_AMAZON_SP_CLIENT_ID and REELROUTE_AMAZON_SP_CLIENT_SECRET"
                " from the app's page at Amazon."
            )
        marketplace = MARKETPLACES.get(request.marketplace)
        if marketplace is None:
            raise MarketplaceUnknown.of_field("marketplace", f"marketplace: one of {', '.join(MARKETPLACES)}.")
        with work.about(workspace_id=workspace_id):
            tokens = self._calls.run(
                lambda: connect(
                    self._calls.client,
                    request.seller_id,
                    marketplace,
                    request.refresh_token.strip(),
                    self._calls.refusal_of,
                ),
                _CONNECT_SECONDS,
            )
        with self._database.transaction(workspace_id) as tx:
            merchant = merchant_store.save_merchant(
                tx,
                self._vault,
                workspace_id=workspace_id,
                name=request.name.strip() or request.seller_id,
                seller_id=request.seller_id,
                marketplace=request.marketplace,
                tokens=tokens,
            )
            order_store.wake_held(tx, workspace_id, reasons=("merchant_authorization_lost",))
            text = f"{merchant.name} is connected: Amazon {merchant.marketplace}."
            merchant_store.tell_of_merchant(tx, workspace_id, "merchant.connected", text, merchant.name)
        return pb.ConnectMerchantResponse(merchant=merchant_to(merchant))

    def GetMerchant(self, request: pb.GetMerchantRequest, context: grpc.ServicerContext) -> pb.GetMerchantResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            merchant = merchant_store.read_merchant(tx, workspace_id, UUID(request.merchant_id))
        return pb.GetMerchantResponse(merchant=merchant_to(merchant))

    def ListMerchants(
        self, request: pb.ListMerchantsRequest, context: grpc.ServicerContext
    ) -> pb.ListMerchantsResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (str, UUID))
        with self._database.transaction(workspace_id) as tx:
            found = merchant_store.list_merchants(tx, workspace_id, page)
        shown, token = page.cut(found, lambda merchant: (merchant.name, merchant.merchant_id))
        return pb.ListMerchantsResponse(merchants=[merchant_to(each) for each in shown], next_page_token=token)

    def DisconnectMerchant(
        self, request: pb.DisconnectMerchantRequest, context: grpc.ServicerContext
    ) -> pb.DisconnectMerchantResponse:
        workspace_id, merchant_id = UUID(request.workspace_id), UUID(request.merchant_id)
        with self._database.transaction(workspace_id) as tx:
            merchant = merchant_store.read_merchant(tx, workspace_id, merchant_id)
            if merchant_store.forget_tokens(tx, merchant, _FORGOTTEN):
                text = f"{merchant.name} is disconnected: its tokens are forgotten."
                merchant_store.tell_of_merchant(tx, workspace_id, "merchant.disconnected", text, merchant.name)
            merchant = merchant_store.read_merchant(tx, workspace_id, merchant_id)
        return pb.DisconnectMerchantResponse(merchant=merchant_to(merchant))


def merchant_to(merchant: Merchant) -> pb.Merchant:
    """A merchant as the proto shows it: without tokens."""
    return pb.Merchant(
        merchant_id=str(merchant.merchant_id),
        workspace_id=str(merchant.workspace_id),
        name=merchant.name,
        seller_id=merchant.seller_id,
        marketplace=merchant.marketplace,
        amazon_marketplace_id=MARKETPLACES[merchant.marketplace].id,
        state=pb.MerchantState.Value(f"MERCHANT_STATE_{merchant.state.value}"),
        problem=merchant.problem,
        stock_time=optional_timestamp(merchant.stock_time),
        create_time=to_timestamp(merchant.create_time),
        update_time=to_timestamp(merchant.update_time),
    )
