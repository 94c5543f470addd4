"""Shops with their catalogue, orders and numbers, small and with memory, as fulfillment has them."""

# ruff: noqa: N802 - the methods are named by the protos

from __future__ import annotations

import json
import time
from typing import Any

from reelroute.fulfillment.v1 import fulfillment_pb2 as pb
from reelroute.fulfillment.v1 import fulfillment_pb2_grpc

from kit import errors
from tests.gateway.fakes import Context, Fake

GOOD_SIGNATURE = "5dec0f11ec2f6783b8deee53c9ffbf8d024302f7c7e7fa55a35d17629031ac05"
GOOD_STATE = "s1"


class ShopNotConnected(errors.FailedPrecondition):
    """As fulfillment says it."""


class ConnectionStateUnknown(errors.InvalidArgument):
    """As fulfillment says it."""


class FakeFulfillment(Fake, fulfillment_pb2_grpc.FulfillmentServiceServicer):
    def StartShopConnection(self, request: Any, context: Context) -> pb.StartShopConnectionResponse:
        self.saw(request, context)
        answer = pb.StartShopConnectionResponse(consent_url="https://shop.example/open/authorize", state=GOOD_STATE)
        answer.expire_time.FromJsonString("2037-01-04T17:10:00Z")
        return answer

    def FinishShopConnection(self, request: Any, context: Context) -> pb.FinishShopConnectionResponse:
        self.saw(request, context)
        if request.state != GOOD_STATE:
            raise ConnectionStateUnknown("Start again.", [errors.FieldViolation("state", "It is good once.")])
        return pb.FinishShopConnectionResponse(shops=[self.memory.shops[self.memory.shop()]])

    def _shop(self, request: Any, *, connected: bool = False) -> pb.Shop:
        shop = self.memory.shops.get(request.shop_id)
        if shop is None or shop.workspace_id != request.workspace_id:
            raise errors.NotFound("There is no such shop.", code_reason="SHOP_NOT_FOUND")
        if connected and shop.state != pb.SHOP_STATE_CONNECTED:
            raise ShopNotConnected("Connect the shop again.")
        return shop

    def GetShop(self, request: Any, context: Context) -> pb.GetShopResponse:
        self.saw(request, context)
        return pb.GetShopResponse(shop=self._shop(request))

    def ListShops(self, request: Any, context: Context) -> pb.ListShopsResponse:
        self.saw(request, context)
        return pb.ListShopsResponse(shops=self.memory.shops.values())

    def DisconnectShop(self, request: Any, context: Context) -> pb.DisconnectShopResponse:
        self.saw(request, context)
        seller = self._shop(request).seller_name
        shops = [each for each in self.memory.shops.values() if each.seller_name == seller]
        for shop in shops:
            shop.state = pb.SHOP_STATE_DISCONNECTED
        return pb.DisconnectShopResponse(shops=shops)

    def SyncCatalogue(self, request: Any, context: Context) -> pb.SyncCatalogueResponse:
        self.saw(request, context)
        shop = self._shop(request, connected=True)
        shop.catalogue_time.GetCurrentTime()
        return pb.SyncCatalogueResponse(products=len(self.memory.products), shop=shop)

    def ListProducts(self, request: Any, context: Context) -> pb.ListProductsResponse:
        self.saw(request, context)
        return pb.ListProductsResponse(products=self.memory.products.values())

    def GetProduct(self, request: Any, context: Context) -> pb.GetProductResponse:
        self.saw(request, context)
        if request.product_id not in self.memory.products:
            raise errors.NotFound("There is no such product.", code_reason="PRODUCT_NOT_FOUND")
        return pb.GetProductResponse(product=self.memory.products[request.product_id])

    def ListShopOrders(self, request: Any, context: Context) -> pb.ListShopOrdersResponse:
        self.saw(request, context)
        self._shop(request, connected=True)
        return pb.ListShopOrdersResponse(orders=self.memory.shop_orders, next_page_token="more")

    def _span(self, request: Any) -> pb.Span:
        self._shop(request, connected=True)
        if request.span.end_date <= request.span.start_date:
            raise errors.InvalidArgument.of_field("span.end_date", "The end must come after the start.")
        return request.span  # type: ignore[no-any-return]

    def GetShopNumbers(self, request: Any, context: Context) -> pb.GetShopNumbersResponse:
        self.saw(request, context)
        span = self._span(request)
        numbers = pb.ShopNumbers(
            start_date=span.start_date,
            end_date=span.end_date,
            sales=pb.Money(currency="JPY", minor_units=125_640),
            orders=36,
        )
        return pb.GetShopNumbersResponse(numbers=[numbers], latest_available_date="2027-01-04")

    def ListVideoNumbers(self, request: Any, context: Context) -> pb.ListVideoNumbersResponse:
        self.saw(request, context)
        self._span(request)
        known = pb.VideoNumbers(platform_post_id="7400000000000000002", click_through_percent="5.28", views=41_300)
        known.publish_time.FromJsonString("2027-01-04T17:00:41Z")
        return pb.ListVideoNumbersResponse(
            videos=[known, pb.VideoNumbers(platform_post_id="7400000000000000003")], next_page_token="more"
        )

    def ListProductNumbers(self, request: Any, context: Context) -> pb.ListProductNumbersResponse:
        self.saw(request, context)
        self._span(request)
        sold = pb.ProductNumbers(
            platform_product_id="1729382476852921560", sales=pb.Money(currency="USD", minor_units=-5), units_sold=41
        )
        return pb.ListProductNumbersResponse(products=[sold])

    def ReceiveShopWebhook(self, request: Any, context: Context) -> pb.ReceiveShopWebhookResponse:
        self.saw(request, context)
        time.sleep(self.memory.webhook_seconds)
        if request.signature != GOOD_SIGNATURE:
            raise errors.Unauthenticated("It is not signed by TikTok Shop.", code_reason="WEBHOOK_FORGED")
        try:
            json.loads(request.body)
        except ValueError:
            raise errors.InvalidArgument("It is no event.", code_reason="WEBHOOK_UNREADABLE") from None
        return pb.ReceiveShopWebhookResponse()
