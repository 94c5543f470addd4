"""The RPCs of routing: settings, mappings and rules, and what would be decided by them."""

from __future__ import annotations

from uuid import UUID

import grpc
from reelroute.fulfillment.v1 import routing_pb2 as pb
from reelroute.fulfillment.v1 import routing_pb2_grpc
from sqlalchemy import Connection

from kit.db import Database
from kit.errors import InvalidArgument
from kit.paging import Page
from kit.vault import Vault
from services.fulfillment import shop_store, store
from services.fulfillment.calling import ShopCalls, check_connected
from services.fulfillment.merchants import merchant_store
from services.fulfillment.orders import order_store
from services.fulfillment.routing import mapping_store, replaying, routing_store, rule_store, unmapped_store
from services.fulfillment.routing.deciding import decision_from_json
from services.fulfillment.routing.decision import OrderNotDecided
from services.fulfillment.routing.routing_messages import (
    decision_to,
    mapping_from,
    mapping_to,
    routing_from,
    routing_to,
    rule_from,
    rule_id_from,
    rule_to,
    unmapped_to,
)
from services.fulfillment.routing.rules import ActionKind, Rule
from services.fulfillment.routing.settings import MarketplaceMismatch
from vendors.tiktok_shop.calls import Access

_MOST_MAPPINGS = 1000
# Orders that are held for one of these may go on by another map.
_OF_THE_MAP = ("sku_unmapped", "sku_unknown", "sku_not_fba", "unit_too_large", "insufficient_stock")
# Orders that are left to the seller for one of these may be ours by other settings.
_OF_THE_SETTINGS = ("warehouse_not_mcf",)


class RoutingApi(routing_pb2_grpc.RoutingServiceServicer):
    """See routing.proto for what each RPC promises."""

    def __init__(self, database: Database, vault: Vault, calls: ShopCalls) -> None:
        self._database, self._vault, self._calls = database, vault, calls

    def GetShopRouting(
        self, request: pb.GetShopRoutingRequest, context: grpc.ServicerContext
    ) -> pb.GetShopRoutingResponse:
        workspace_id, shop_id = UUID(request.workspace_id), UUID(request.shop_id)
        with self._database.transaction(workspace_id) as tx:
            shop_store.read_shop(tx, workspace_id, shop_id)
            routing = routing_store.read_routing(tx, workspace_id, shop_id)
        return pb.GetShopRoutingResponse(routing=routing_to(routing))

    def UpdateShopRouting(
        self, request: pb.UpdateShopRoutingRequest, context: grpc.ServicerContext
    ) -> pb.UpdateShopRoutingResponse:
        workspace_id = UUID(request.workspace_id)
        wished = routing_from(request.routing, workspace_id)
        with self._database.transaction(workspace_id) as tx:
            shop = shop_store.read_shop(tx, workspace_id, wished.shop_id)
            if wished.merchant_id is not None:
                merchant = merchant_store.read_merchant(tx, workspace_id, wished.merchant_id)
                if merchant.marketplace != shop.region:
                    raise MarketplaceMismatch(
                        f"The shop is in {shop.region}, and the Amazon seller in {merchant.marketplace}. Choose one in"
                        " the shop's country.",
                        metadata={"shop": shop.region, "merchant": merchant.marketplace},
                    )
            routing = routing_store.save_routing(tx, wished)
            order_store.wake_held(tx, workspace_id, shop_id=shop.shop_id)
            order_store.wake_held(tx, workspace_id, reasons=_OF_THE_SETTINGS, shop_id=shop.shop_id, left_too=True)
        return pb.UpdateShopRoutingResponse(routing=routing_to(routing))

    def ListShopWarehouses(
        self, request: pb.ListShopWarehousesRequest, context: grpc.ServicerContext
    ) -> pb.ListShopWarehousesResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            shop = shop_store.read_shop(tx, workspace_id, UUID(request.shop_id))
        check_connected(shop)

        async def question(access: Access, seconds: float) -> list[pb.ShopWarehouse]:
            logistics = self._calls.client.logistics
            found = []
            for each in await logistics.warehouses(access, timeout_seconds=seconds):
                # Nothing is sent from where returns arrive.
                is_sending = each.type != "RETURN_WAREHOUSE"
                options = (
                    await logistics.delivery_options(access, each.id, timeout_seconds=seconds) if is_sending else ()
                )
                found.append(
                    pb.ShopWarehouse(
                        platform_warehouse_id=each.id,
                        name=each.name,
                        type=each.type,
                        status=each.effect_status,
                        delivery_options=[option.name or option.id for option in options],
                    )
                )
            return found

        return pb.ListShopWarehousesResponse(warehouses=self._calls.ask(shop, question))

    def SetSkuMappings(
        self, request: pb.SetSkuMappingsRequest, context: grpc.ServicerContext
    ) -> pb.SetSkuMappingsResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            now = store.database_time(tx)
            wished = [mapping_from(each, f"mappings[{n}]", now) for n, each in enumerate(request.mappings)]
            keys: dict[tuple[str, str, str], int] = {}
            for n, each in enumerate(wished):
                key = each.marketplace, each.platform_sku_id, "" if each.platform_sku_id else each.seller_sku
                if keys.setdefault(key, n) != n:
                    raise InvalidArgument.of_field(f"mappings[{n}]", f"mappings[{keys[key]}] is of the same SKU.")
            kept = mapping_store.save_mappings(tx, workspace_id, wished)
            woken = order_store.wake_held(tx, workspace_id, reasons=_OF_THE_MAP)
        return pb.SetSkuMappingsResponse(mappings=map(mapping_to, kept), woken_orders=woken)

    def DeleteSkuMappings(
        self, request: pb.DeleteSkuMappingsRequest, context: grpc.ServicerContext
    ) -> pb.DeleteSkuMappingsResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            deleted = mapping_store.delete_mappings(tx, workspace_id, {UUID(each) for each in request.mapping_ids})
        return pb.DeleteSkuMappingsResponse(deleted=deleted)

    def ListSkuMappings(
        self, request: pb.ListSkuMappingsRequest, context: grpc.ServicerContext
    ) -> pb.ListSkuMappingsResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (str, str, UUID), most=_MOST_MAPPINGS)
        with self._database.transaction(workspace_id) as tx:
            found = mapping_store.list_mappings(tx, workspace_id, page, request.marketplace, request.text)
        shown, token = page.cut(found, lambda each: (each.marketplace, each.seller_sku, each.mapping_id))
        return pb.ListSkuMappingsResponse(mappings=map(mapping_to, shown), next_page_token=token)

    def ListUnmappedSkus(
        self, request: pb.ListUnmappedSkusRequest, context: grpc.ServicerContext
    ) -> pb.ListUnmappedSkusResponse:
        workspace_id = UUID(request.workspace_id)
        shop_id = UUID(request.shop_id) if request.shop_id else None
        page = Page.parse(request.page_size, request.page_token, (str, str, str, str))
        with self._database.transaction(workspace_id) as tx:
            found = unmapped_store.list_unmapped(tx, workspace_id, shop_id, page)
            shown, token = page.cut(found, unmapped_store.key_of)
            offers = unmapped_store.read_offers(tx, workspace_id, {each.marketplace for each in shown})
        return pb.ListUnmappedSkusResponse(
            skus=[
                unmapped_to(each, offers[each.marketplace].like(each.seller_sku, each.barcode, each.title))
                for each in shown
            ],
            next_page_token=token,
        )

    def CreateRoutingRule(
        self, request: pb.CreateRoutingRuleRequest, context: grpc.ServicerContext
    ) -> pb.CreateRoutingRuleResponse:
        workspace_id = UUID(request.workspace_id)
        wished = rule_from(request.rule, "rule")
        with self._database.transaction(workspace_id) as tx:
            _check_shop(tx, workspace_id, wished)
            rule, is_new = rule_store.insert_rule(tx, workspace_id, UUID(request.request_id), wished)
            if is_new:
                _wake(tx, workspace_id, rule)
        return pb.CreateRoutingRuleResponse(rule=rule_to(rule))

    def UpdateRoutingRule(
        self, request: pb.UpdateRoutingRuleRequest, context: grpc.ServicerContext
    ) -> pb.UpdateRoutingRuleResponse:
        workspace_id = UUID(request.workspace_id)
        rule_id_from(request.rule.rule_id, "rule.rule_id")
        wished = rule_from(request.rule, "rule")
        with self._database.transaction(workspace_id) as tx:
            _check_shop(tx, workspace_id, wished)
            before, rule = rule_store.update_rule(tx, workspace_id, wished)
            _wake(tx, workspace_id, before, rule)
        return pb.UpdateRoutingRuleResponse(rule=rule_to(rule))

    def DeleteRoutingRule(
        self, request: pb.DeleteRoutingRuleRequest, context: grpc.ServicerContext
    ) -> pb.DeleteRoutingRuleResponse:
        workspace_id, rule_id = UUID(request.workspace_id), rule_id_from(request.rule_id, "rule_id")
        with self._database.transaction(workspace_id) as tx:
            rule = rule_store.delete_rule(tx, workspace_id, rule_id)
            if rule is not None:
                _wake(tx, workspace_id, rule)
        return pb.DeleteRoutingRuleResponse()

    def ListRoutingRules(
        self, request: pb.ListRoutingRulesRequest, context: grpc.ServicerContext
    ) -> pb.ListRoutingRulesResponse:
        workspace_id = UUID(request.workspace_id)
        shop_id = UUID(request.shop_id) if request.shop_id else None
        page = Page.parse(request.page_size, request.page_token, (int, str))
        with self._database.transaction(workspace_id) as tx:
            rules = rule_store.all_rules(tx, workspace_id, shop_id)
        following = [rule for rule in rules if page.after is None or (rule.priority, rule.rule_id) > page.after]
        shown, token = page.cut(following[: page.size + 1], lambda rule: (rule.priority, rule.rule_id))
        return pb.ListRoutingRulesResponse(rules=map(rule_to, shown), next_page_token=token)

    def TestRouting(self, request: pb.TestRoutingRequest, context: grpc.ServicerContext) -> pb.TestRoutingResponse:
        workspace_id, order_id = UUID(request.workspace_id), UUID(request.order_id)
        draft = rule_from(request.draft, "draft") if request.HasField("draft") else None
        if draft is not None and draft.rule_id:
            rule_id_from(draft.rule_id, "draft.rule_id")
        with self._database.transaction(workspace_id) as tx:
            # For its refusal: a replay passes over orders that there are not.
            order_store.read_order(tx, workspace_id, order_id)
            found = replaying.replay(tx, self._vault, workspace_id, [order_id], draft)
        return pb.TestRoutingResponse(decision=decision_to(found[0].now))

    def ExplainOrder(self, request: pb.ExplainOrderRequest, context: grpc.ServicerContext) -> pb.ExplainOrderResponse:
        workspace_id, order_id = UUID(request.workspace_id), UUID(request.order_id)
        with self._database.transaction(workspace_id) as tx:
            decision = order_store.read_decision(tx, workspace_id, order_id)
        if decision is None:
            raise OrderNotDecided("Nothing was decided of the order yet. Ask again in a minute.")
        return pb.ExplainOrderResponse(decision=decision_to(decision_from_json(decision)))

    def ReplayOrders(self, request: pb.ReplayOrdersRequest, context: grpc.ServicerContext) -> pb.ReplayOrdersResponse:
        workspace_id = UUID(request.workspace_id)
        order_ids = list(dict.fromkeys(map(UUID, request.order_ids)))
        with self._database.transaction(workspace_id) as tx:
            replays = replaying.replay(tx, self._vault, workspace_id, order_ids)
        return pb.ReplayOrdersResponse(
            replays=[
                pb.Replay(
                    order_id=str(each.order.order_id),
                    platform_order_id=each.order.told.platform_order_id,
                    before=decision_to(each.before) if each.before else None,
                    now=decision_to(each.now),
                    is_different=each.is_different,
                )
                for each in replays
            ]
        )


def _check_shop(tx: Connection, workspace_id: UUID, rule: Rule) -> None:
    """Raises ShopNotFound when a rule is for a shop that the workspace does not have."""
    if rule.shop_id is not None:
        shop_store.read_shop(tx, workspace_id, rule.shop_id)


def _wake(tx: Connection, workspace_id: UUID, *rules: Rule) -> None:
    """Has the orders decided again that rules are for, as far as they are held, or were left by one of them."""
    shops = {rule.shop_id for rule in rules}
    reasons = [rule.action.reason for rule in rules if rule.action.kind is ActionKind.LEAVE]
    for shop_id in [None] if None in shops else sorted(shops, key=str):
        order_store.wake_held(tx, workspace_id, shop_id=shop_id)
        if reasons:
            order_store.wake_held(tx, workspace_id, reasons=reasons, shop_id=shop_id, left_too=True)
