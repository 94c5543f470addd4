"""Merchants, routing, orders and stock, small and with memory, as fulfillment has them."""

# ruff: noqa: N802 - the methods are named by the protos

from __future__ import annotations

from typing import Any
from uuid import uuid4

from reelroute.fulfillment.v1 import (
    merchants_pb2,
    merchants_pb2_grpc,
    orders_pb2,
    orders_pb2_grpc,
    routing_pb2,
    routing_pb2_grpc,
    stock_pb2,
    stock_pb2_grpc,
)

from kit import errors
from tests.gateway.fakes import Context, Fake
from tests.gateway.order_memory import CANARY, OrderMemory

GOOD_TOKEN = "Atzr|good"


class MerchantAuthorizationLost(errors.FailedPrecondition):
    """As fulfillment says it."""


class OrderNotDecided(errors.FailedPrecondition):
    """As fulfillment says it."""


class RuleChanged(errors.Conflict):
    """As fulfillment says it."""


class RecipientErased(errors.FailedPrecondition):
    """As fulfillment says it."""


class _OrderFake(Fake):
    """What these fakes share."""

    @property
    def known(self) -> OrderMemory:
        return self.memory.fulfillment

    def order_of(self, request: Any) -> orders_pb2.GetOrderResponse:
        found = self.known.orders.get(request.order_id)
        if found is None or found.order.workspace_id != request.workspace_id:
            raise errors.NotFound("There is no such order.", code_reason="ORDER_NOT_FOUND")
        return found

    def merchant_of(self, request: Any) -> merchants_pb2.Merchant:
        found = self.known.merchants.get(request.merchant_id)
        if found is None or found.workspace_id != request.workspace_id:
            raise errors.NotFound("There is no such merchant.", code_reason="MERCHANT_NOT_FOUND")
        return found

    def shop_of(self, shop_id: str) -> None:
        if shop_id not in self.memory.shops:
            raise errors.NotFound("There is no such shop.", code_reason="SHOP_NOT_FOUND")


class FakeMerchants(_OrderFake, merchants_pb2_grpc.MerchantServiceServicer):
    def ConnectMerchant(self, request: Any, context: Context) -> merchants_pb2.ConnectMerchantResponse:
        self.saw(request, context)
        if request.refresh_token != GOOD_TOKEN:
            raise MerchantAuthorizationLost("Amazon does not take the token. Let the seller authorise the app again.")
        merchant = self.known.merchants[self.known.merchant()]
        merchant.name = request.name
        return merchants_pb2.ConnectMerchantResponse(merchant=merchant)

    def GetMerchant(self, request: Any, context: Context) -> merchants_pb2.GetMerchantResponse:
        self.saw(request, context)
        return merchants_pb2.GetMerchantResponse(merchant=self.merchant_of(request))

    def ListMerchants(self, request: Any, context: Context) -> merchants_pb2.ListMerchantsResponse:
        self.saw(request, context)
        return merchants_pb2.ListMerchantsResponse(merchants=self.known.merchants.values())

    def DisconnectMerchant(self, request: Any, context: Context) -> merchants_pb2.DisconnectMerchantResponse:
        self.saw(request, context)
        merchant = self.merchant_of(request)
        merchant.state = merchants_pb2.MERCHANT_STATE_DISCONNECTED
        return merchants_pb2.DisconnectMerchantResponse(merchant=merchant)


class FakeRouting(_OrderFake, routing_pb2_grpc.RoutingServiceServicer):
    def GetShopRouting(self, request: Any, context: Context) -> routing_pb2.GetShopRoutingResponse:
        self.saw(request, context)
        self.shop_of(request.shop_id)
        found = self.known.routings.get(request.shop_id) or routing_pb2.ShopRouting(shop_id=request.shop_id)
        return routing_pb2.GetShopRoutingResponse(routing=found)

    def UpdateShopRouting(self, request: Any, context: Context) -> routing_pb2.UpdateShopRoutingResponse:
        self.saw(request, context)
        self.shop_of(request.routing.shop_id)
        if request.routing.merchant_id and request.routing.merchant_id not in self.known.merchants:
            raise errors.InvalidArgument.of_field("routing.merchant_id", "There is no such merchant.")
        self.known.routings[request.routing.shop_id] = request.routing
        return routing_pb2.UpdateShopRoutingResponse(routing=request.routing)

    def ListShopWarehouses(self, request: Any, context: Context) -> routing_pb2.ListShopWarehousesResponse:
        self.saw(request, context)
        self.shop_of(request.shop_id)
        return routing_pb2.ListShopWarehousesResponse(
            warehouses=[routing_pb2.ShopWarehouse(platform_warehouse_id="73", name="MCF", delivery_options=["Express"])]
        )

    def SetSkuMappings(self, request: Any, context: Context) -> routing_pb2.SetSkuMappingsResponse:
        self.saw(request, context)
        for mapping in request.mappings:
            mapping.mapping_id = str(uuid4())
            self.known.mappings[mapping.mapping_id] = mapping
        return routing_pb2.SetSkuMappingsResponse(mappings=request.mappings, woken_orders=1)

    def DeleteSkuMappings(self, request: Any, context: Context) -> routing_pb2.DeleteSkuMappingsResponse:
        self.saw(request, context)
        there = [self.known.mappings.pop(each, None) for each in request.mapping_ids]
        return routing_pb2.DeleteSkuMappingsResponse(deleted=sum(each is not None for each in there))

    def ListSkuMappings(self, request: Any, context: Context) -> routing_pb2.ListSkuMappingsResponse:
        self.saw(request, context)
        found = [each for each in self.known.mappings.values() if request.marketplace in ("", each.marketplace)]
        start = int(request.page_token) if request.page_token.isdecimal() else 0
        token = str(start + 2) if start + 2 < len(found) else ""
        return routing_pb2.ListSkuMappingsResponse(mappings=found[start : start + 2], next_page_token=token)

    def ListUnmappedSkus(self, request: Any, context: Context) -> routing_pb2.ListUnmappedSkusResponse:
        self.saw(request, context)
        suggestion = routing_pb2.SkuSuggestion(
            amazon_sku="MAT-FBA", ground=routing_pb2.SUGGESTION_GROUND_BARCODE, likeness=100
        )
        return routing_pb2.ListUnmappedSkusResponse(
            skus=[routing_pb2.UnmappedSku(seller_sku="MAT", held_orders=3, suggestions=[suggestion])]
        )

    def CreateRoutingRule(self, request: Any, context: Context) -> routing_pb2.CreateRoutingRuleResponse:
        self.saw(request, context)

        def make() -> routing_pb2.CreateRoutingRuleResponse:
            if _first_fact(request.rule.condition) == "moon":
                field_path = "rule.condition.all.conditions[0].test.fact"
                raise errors.InvalidArgument.of_field(field_path, "There is no such fact.")
            request.rule.rule_id, request.rule.revision = str(uuid4()), 1
            self.known.rules[request.rule.rule_id] = request.rule
            return routing_pb2.CreateRoutingRuleResponse(rule=request.rule)

        return self.once(request, make)

    def UpdateRoutingRule(self, request: Any, context: Context) -> routing_pb2.UpdateRoutingRuleResponse:
        self.saw(request, context)
        rule = self.known.rules.get(request.rule.rule_id)
        if rule is None:
            raise errors.NotFound("There is no such rule.", code_reason="RULE_NOT_FOUND")
        if rule.revision != request.rule.revision:
            raise RuleChanged("It was changed since. Read it again.")
        rule.CopyFrom(request.rule)
        rule.revision += 1
        return routing_pb2.UpdateRoutingRuleResponse(rule=rule)

    def DeleteRoutingRule(self, request: Any, context: Context) -> routing_pb2.DeleteRoutingRuleResponse:
        self.saw(request, context)
        self.known.rules.pop(request.rule_id, None)
        return routing_pb2.DeleteRoutingRuleResponse()

    def ListRoutingRules(self, request: Any, context: Context) -> routing_pb2.ListRoutingRulesResponse:
        self.saw(request, context)
        return routing_pb2.ListRoutingRulesResponse(rules=self.known.rules.values())

    def TestRouting(self, request: Any, context: Context) -> routing_pb2.TestRoutingResponse:
        self.saw(request, context)
        self.order_of(request)
        return routing_pb2.TestRoutingResponse(decision=self.known.decisions[request.order_id])

    def ExplainOrder(self, request: Any, context: Context) -> routing_pb2.ExplainOrderResponse:
        self.saw(request, context)
        self.order_of(request)
        if request.order_id not in self.known.decisions:
            raise OrderNotDecided("It is not decided yet.")
        return routing_pb2.ExplainOrderResponse(decision=self.known.decisions[request.order_id])

    def ReplayOrders(self, request: Any, context: Context) -> routing_pb2.ReplayOrdersResponse:
        self.saw(request, context)
        return routing_pb2.ReplayOrdersResponse(
            replays=[
                routing_pb2.Replay(order_id=each, now=self.known.decisions[each], is_different=True)
                for each in request.order_ids
                if each in self.known.decisions
            ]
        )


def _first_fact(condition: routing_pb2.Condition) -> str:
    kind = condition.WhichOneof("kind")
    if kind in ("all", "any"):
        inner = getattr(condition, kind).conditions
        return _first_fact(inner[0]) if inner else ""
    return condition.test.fact


class FakeOrders(_OrderFake, orders_pb2_grpc.OrderServiceServicer):
    def ListOrders(self, request: Any, context: Context) -> orders_pb2.ListOrdersResponse:
        self.saw(request, context)
        found = [
            each.order
            for each in self.known.orders.values()
            if (not request.states or each.order.state in request.states)
            and request.reason in ("", each.order.reason)
            and request.platform_order_id in ("", each.order.platform_order_id)
        ]
        start = int(request.page_token) if request.page_token.isdecimal() else 0
        size = request.page_size or 50
        token = str(start + size) if start + size < len(found) else ""
        return orders_pb2.ListOrdersResponse(orders=found[start : start + size], next_page_token=token)

    def GetOrder(self, request: Any, context: Context) -> orders_pb2.GetOrderResponse:
        self.saw(request, context)
        return self.order_of(request)

    def ListOrderEvents(self, request: Any, context: Context) -> orders_pb2.ListOrderEventsResponse:
        self.saw(request, context)
        self.order_of(request)
        event = orders_pb2.OrderEvent(event_id=str(uuid4()), type="order.held", text="Held.", attributes={"a": "b"})
        return orders_pb2.ListOrderEventsResponse(events=[event])

    def SummarizeHeldOrders(self, request: Any, context: Context) -> orders_pb2.SummarizeHeldOrdersResponse:
        self.saw(request, context)
        held = orders_pb2.HeldReason(reason="sku_unmapped", orders=3, next_step="Map the SKU.", who_can="seller")
        return orders_pb2.SummarizeHeldOrdersResponse(reasons=[held])

    def SyncOrders(self, request: Any, context: Context) -> orders_pb2.SyncOrdersResponse:
        self.saw(request, context)
        self.shop_of(request.shop_id)
        return orders_pb2.SyncOrdersResponse(orders=3, new_orders=1)

    def _outcomes(self, request: Any, context: Context) -> list[orders_pb2.OrderOutcome]:
        self.saw(request, context)
        return [
            orders_pb2.OrderOutcome(order_id=each, problem="" if each in self.known.orders else "ORDER_NOT_FOUND")
            for each in request.order_ids
        ]

    def ReleaseOrders(self, request: Any, context: Context) -> orders_pb2.ReleaseOrdersResponse:
        return orders_pb2.ReleaseOrdersResponse(outcomes=self._outcomes(request, context))

    def RetryOrders(self, request: Any, context: Context) -> orders_pb2.RetryOrdersResponse:
        return orders_pb2.RetryOrdersResponse(outcomes=self._outcomes(request, context))

    def LeaveOrders(self, request: Any, context: Context) -> orders_pb2.LeaveOrdersResponse:
        return orders_pb2.LeaveOrdersResponse(outcomes=self._outcomes(request, context))

    def CancelOrders(self, request: Any, context: Context) -> orders_pb2.CancelOrdersResponse:
        return orders_pb2.CancelOrdersResponse(outcomes=self._outcomes(request, context))

    def CorrectOrder(self, request: Any, context: Context) -> orders_pb2.CorrectOrderResponse:
        self.saw(request, context)
        return orders_pb2.CorrectOrderResponse(order=self.order_of(request).order)

    def RouteOrder(self, request: Any, context: Context) -> orders_pb2.RouteOrderResponse:
        self.saw(request, context)
        return orders_pb2.RouteOrderResponse(order=self.order_of(request).order)

    def ResumeTracking(self, request: Any, context: Context) -> orders_pb2.ResumeTrackingResponse:
        self.saw(request, context)
        self.shop_of(request.shop_id)
        return orders_pb2.ResumeTrackingResponse(routing=routing_pb2.ShopRouting(shop_id=request.shop_id))

    def CorrectTracking(self, request: Any, context: Context) -> orders_pb2.CorrectTrackingResponse:
        self.saw(request, context)
        for found in self.known.orders.values():
            for package in (each for shipment in found.shipments for each in shipment.packages):
                if package.package_id == request.package_id:
                    return orders_pb2.CorrectTrackingResponse(package=package)
        raise errors.NotFound("There is no such package.", code_reason="PACKAGE_NOT_FOUND")

    def ReadRecipient(self, request: Any, context: Context) -> orders_pb2.ReadRecipientResponse:
        self.saw(request, context)
        order = self.order_of(request).order
        if order.is_recipient_erased:
            raise RecipientErased("It was deleted.")
        self.known.readings.append(
            orders_pb2.RecipientReading(
                reading_id=str(uuid4()), order_id=order.order_id, actor=request.actor, purpose=request.purpose
            )
        )
        return orders_pb2.ReadRecipientResponse(
            recipient=orders_pb2.Recipient(name=CANARY, lines=["1 Sample St"], country_code="US"),
            changes=[orders_pb2.AddressChange(field="name", rule="blanks", before=f" {CANARY}", after=CANARY)],
        )

    def EraseRecipient(self, request: Any, context: Context) -> orders_pb2.EraseRecipientResponse:
        self.saw(request, context)
        self.order_of(request).order.is_recipient_erased = True
        return orders_pb2.EraseRecipientResponse(orders=1)

    def ListRecipientReadings(self, request: Any, context: Context) -> orders_pb2.ListRecipientReadingsResponse:
        self.saw(request, context)
        return orders_pb2.ListRecipientReadingsResponse(readings=self.known.readings)


class FakeStock(_OrderFake, stock_pb2_grpc.StockServiceServicer):
    def ListStock(self, request: Any, context: Context) -> stock_pb2.ListStockResponse:
        self.saw(request, context)
        self.merchant_of(request)
        return stock_pb2.ListStockResponse(stock=self.known.stock.values())

    def _stock(self, request: Any) -> stock_pb2.Stock:
        self.merchant_of(request)
        if request.amazon_sku not in self.known.stock:
            raise errors.NotFound("The merchant has no such SKU.", code_reason="STOCK_NOT_FOUND")
        return self.known.stock[request.amazon_sku]

    def GetStock(self, request: Any, context: Context) -> stock_pb2.GetStockResponse:
        self.saw(request, context)
        entry = stock_pb2.StockEntry(kind=stock_pb2.STOCK_ENTRY_KIND_RESERVED, quantity=2)
        return stock_pb2.GetStockResponse(stock=self._stock(request), entries=[entry])

    def SetSafetyStock(self, request: Any, context: Context) -> stock_pb2.SetSafetyStockResponse:
        self.saw(request, context)
        stock = self._stock(request)
        stock.safety_stock, stock.is_own_safety_stock = request.safety_stock, request.HasField("safety_stock")
        return stock_pb2.SetSafetyStockResponse(stock=stock)

    def SyncStock(self, request: Any, context: Context) -> stock_pb2.SyncStockResponse:
        self.saw(request, context)
        self.merchant_of(request)
        return stock_pb2.SyncStockResponse(skus=len(self.known.stock))

    def ListStockPushes(self, request: Any, context: Context) -> stock_pb2.ListStockPushesResponse:
        self.saw(request, context)
        self.shop_of(request.shop_id)
        told = stock_pb2.StockPush(seller_sku="MAT", wanted_quantity=3, told_quantity=0)
        return stock_pb2.ListStockPushesResponse(pushes=[told, stock_pb2.StockPush(seller_sku="NEW")])

    def MakeDriftReport(self, request: Any, context: Context) -> stock_pb2.MakeDriftReportResponse:
        self.saw(request, context)
        report = stock_pb2.DriftReport(
            report_id=str(uuid4()), merchant_id=self.merchant_of(request).merchant_id, drifts=1
        )
        self.known.reports[report.report_id] = report
        return stock_pb2.MakeDriftReportResponse(report=report)

    def ListDriftReports(self, request: Any, context: Context) -> stock_pb2.ListDriftReportsResponse:
        self.saw(request, context)
        self.merchant_of(request)
        return stock_pb2.ListDriftReportsResponse(reports=self.known.reports.values())

    def ListDrifts(self, request: Any, context: Context) -> stock_pb2.ListDriftsResponse:
        self.saw(request, context)
        if request.report_id not in self.known.reports:
            raise errors.NotFound("There is no such report.", code_reason="DRIFT_REPORT_NOT_FOUND")
        return stock_pb2.ListDriftsResponse(drifts=[stock_pb2.Drift(kind="order_missing", sides={"amazon": "none"})])
