"""The RPCs of orders: lists and stories, and what people do with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import grpc
from reelroute.fulfillment.v1 import orders_pb2 as pb

from kit.db import Database
from kit.paging import Page
from kit.vault import Vault
from services.fulfillment import shop_store, store
from services.fulfillment.calling import check_connected
from services.fulfillment.orders import handling, order_messages, order_store
from services.fulfillment.orders.handling import Outcome
from services.fulfillment.orders.intake import Intake
from services.fulfillment.orders.personal_api import PersonalApi
from services.fulfillment.shipping import clock, package_store, shipment_store
from services.fulfillment.shipping.telling import Telling
from services.fulfillment.shipping.tracking_api import TrackingApi


class OrderApi(TrackingApi, PersonalApi):
    """All of OrderService; see orders.proto for what each RPC promises."""

    def __init__(self, database: Database, vault: Vault, intake: Intake, telling: Telling) -> None:
        TrackingApi.__init__(self, database, telling)
        PersonalApi.__init__(self, database, vault)
        self._intake = intake

    def ListOrders(self, request: pb.ListOrdersRequest, context: grpc.ServicerContext) -> pb.ListOrdersResponse:
        workspace_id = UUID(request.workspace_id)
        page = Page.parse(request.page_size, request.page_token, (datetime, UUID))
        with self._database.transaction(workspace_id) as tx:
            found = order_store.list_orders(tx, workspace_id, page, order_messages.filter_from(request))
            shown, token = page.cut(found, lambda order: (order.platform_create_time, order.order_id))
            packages = package_store.packages_of_orders(tx, workspace_id, [order.order_id for order in shown])
            now = store.database_time(tx)
        return pb.ListOrdersResponse(
            orders=[
                order_messages.order_to(order, clock.lateness(order, packages.get(order.order_id, []), now))
                for order in shown
            ],
            next_page_token=token,
        )

    def GetOrder(self, request: pb.GetOrderRequest, context: grpc.ServicerContext) -> pb.GetOrderResponse:
        workspace_id, order_id = UUID(request.workspace_id), UUID(request.order_id)
        with self._database.transaction(workspace_id) as tx:
            order = order_store.read_order(tx, workspace_id, order_id)
            shipments = shipment_store.read_shipments(tx, workspace_id, order_id)
            packages = package_store.packages_of(tx, workspace_id, order_id)
            now = store.database_time(tx)
        return pb.GetOrderResponse(
            order=order_messages.order_to(order, clock.lateness(order, packages, now)),
            shipments=[order_messages.shipment_to(shipment, packages) for shipment in shipments],
        )

    def ListOrderEvents(
        self, request: pb.ListOrderEventsRequest, context: grpc.ServicerContext
    ) -> pb.ListOrderEventsResponse:
        workspace_id, order_id = UUID(request.workspace_id), UUID(request.order_id)
        page = Page.parse(request.page_size, request.page_token, (UUID,))
        with self._database.transaction(workspace_id) as tx:
            order_store.read_order(tx, workspace_id, order_id)
            found = order_store.list_events(tx, workspace_id, order_id, page)
        shown, token = page.cut(found, lambda event: (event.event_id,))
        return pb.ListOrderEventsResponse(
            events=[order_messages.event_to(event) for event in shown], next_page_token=token
        )

    def SummarizeHeldOrders(
        self, request: pb.SummarizeHeldOrdersRequest, context: grpc.ServicerContext
    ) -> pb.SummarizeHeldOrdersResponse:
        workspace_id = UUID(request.workspace_id)
        shop_id = UUID(request.shop_id) if request.shop_id else None
        with self._database.transaction(workspace_id) as tx:
            found = order_store.count_held(tx, workspace_id, shop_id)
        return pb.SummarizeHeldOrdersResponse(reasons=[order_messages.held_to(each) for each in found])

    def SyncOrders(self, request: pb.SyncOrdersRequest, context: grpc.ServicerContext) -> pb.SyncOrdersResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            shop = shop_store.read_shop(tx, workspace_id, UUID(request.shop_id))
        check_connected(shop)
        read, new = self._intake.sync(shop)
        return pb.SyncOrdersResponse(orders=read, new_orders=new)

    def ReleaseOrders(
        self, request: pb.ReleaseOrdersRequest, context: grpc.ServicerContext
    ) -> pb.ReleaseOrdersResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            outcomes = handling.release(tx, workspace_id, _ids(request.order_ids), request.actor)
        return pb.ReleaseOrdersResponse(outcomes=_outcomes(outcomes))

    def RetryOrders(self, request: pb.RetryOrdersRequest, context: grpc.ServicerContext) -> pb.RetryOrdersResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            outcomes = handling.retry(tx, workspace_id, _ids(request.order_ids), request.actor)
        return pb.RetryOrdersResponse(outcomes=_outcomes(outcomes))

    def LeaveOrders(self, request: pb.LeaveOrdersRequest, context: grpc.ServicerContext) -> pb.LeaveOrdersResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            outcomes = handling.leave(tx, workspace_id, _ids(request.order_ids), request.actor)
        return pb.LeaveOrdersResponse(outcomes=_outcomes(outcomes))

    def CancelOrders(self, request: pb.CancelOrdersRequest, context: grpc.ServicerContext) -> pb.CancelOrdersResponse:
        workspace_id = UUID(request.workspace_id)
        with self._database.transaction(workspace_id) as tx:
            outcomes = handling.cancel(
                tx, workspace_id, _ids(request.order_ids), request.platform_reason, request.actor
            )
        return pb.CancelOrdersResponse(outcomes=_outcomes(outcomes))

    def CorrectOrder(self, request: pb.CorrectOrderRequest, context: grpc.ServicerContext) -> pb.CorrectOrderResponse:
        workspace_id, order_id = UUID(request.workspace_id), UUID(request.order_id)
        given = order_messages.recipient_from(request.recipient) if request.HasField("recipient") else None
        speed = order_messages.speed_from(request.speed)
        with self._database.transaction(workspace_id) as tx:
            handling.correct(tx, self._vault, workspace_id, order_id, given, speed, request.actor)
        return pb.CorrectOrderResponse(order=self._shown(workspace_id, order_id))

    def RouteOrder(self, request: pb.RouteOrderRequest, context: grpc.ServicerContext) -> pb.RouteOrderResponse:
        workspace_id, order_id = UUID(request.workspace_id), UUID(request.order_id)
        items: dict[str, int] = {}
        for item in request.items:
            items[item.amazon_sku] = items.get(item.amazon_sku, 0) + item.quantity
        speed = order_messages.speed_from(request.speed)
        with self._database.transaction(workspace_id) as tx:
            handling.route(tx, workspace_id, order_id, list(items.items()), speed, request.actor)
        return pb.RouteOrderResponse(order=self._shown(workspace_id, order_id))

    def _shown(self, workspace_id: UUID, order_id: UUID) -> pb.Order:
        with self._database.transaction(workspace_id) as tx:
            order = order_store.read_order(tx, workspace_id, order_id)
            packages = package_store.packages_of(tx, workspace_id, order_id)
            now = store.database_time(tx)
        return order_messages.order_to(order, clock.lateness(order, packages, now))


def _ids(texts: Sequence[str]) -> list[UUID]:
    return [UUID(each) for each in texts]


def _outcomes(outcomes: Sequence[Outcome]) -> list[pb.OrderOutcome]:
    return [order_messages.outcome_to(each) for each in outcomes]
