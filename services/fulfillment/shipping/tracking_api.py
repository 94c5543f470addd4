"""The RPCs of tracking: letting a shop's numbers be told again, and correcting one that was told."""

from __future__ import annotations

import time
from uuid import UUID

import grpc
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1 import orders_pb2_grpc

from kit import context as call_context
from kit.activity import activity
from kit.db import Database
from services.fulfillment import shop_store, store
from services.fulfillment.orders import order_store
from services.fulfillment.routing import routing_messages, routing_store
from services.fulfillment.shipping import guard, outcomes, package_messages, package_store, telling_store
from services.fulfillment.shipping.domain import (
    Package,
    TellState,
    TrackingBusy,
    TrackingEditUsed,
    TrackingNotProven,
    TrackingUnchanged,
)
from services.fulfillment.shipping.guard import Withheld
from services.fulfillment.shipping.telling import LEASE_SECONDS, Interrupted, Telling
from services.fulfillment.shipping.telling_store import Shift

_BUSY_SECONDS = 0.5
_WAIT_SECONDS = 20.0


class TrackingApi(orders_pb2_grpc.OrderServiceServicer):
    """A part of OrderService; see orders.proto for what each RPC promises."""

    def __init__(self, database: Database, telling: Telling) -> None:
        self._database, self._telling = database, telling

    def ResumeTracking(
        self, request: pb.ResumeTrackingRequest, context: grpc.ServicerContext
    ) -> pb.ResumeTrackingResponse:
        workspace_id, shop_id = UUID(request.workspace_id), UUID(request.shop_id)
        with self._database.transaction(workspace_id) as tx:
            shop = shop_store.read_shop(tx, workspace_id, shop_id)
            if telling_store.resume(tx, workspace_id, shop_id):
                text = f"{shop.name}: tracking numbers are sent to TikTok Shop again."
                about = {"shop": shop.name, "platform": "tiktok_shop", "actor": request.actor}
                now = store.database_time(tx)
                store.tell(tx, [activity(workspace_id, "tracking.resumed", text, now, attributes=about)])
            routing = routing_store.read_routing(tx, workspace_id, shop_id)
        return pb.ResumeTrackingResponse(routing=routing_messages.routing_to(routing))

    def CorrectTracking(
        self, request: pb.CorrectTrackingRequest, context: grpc.ServicerContext
    ) -> pb.CorrectTrackingResponse:
        workspace_id, package_id = UUID(request.workspace_id), UUID(request.package_id)
        with self._database.transaction(workspace_id) as tx:
            package = package_store.read_package(tx, workspace_id, package_id)
            now = store.database_time(tx)
        if package.tell_state is not TellState.TOLD or package.told_time is None:
            raise TrackingUnchanged("TikTok Shop was not told a number of this package: there is nothing to correct.")
        if package.is_edit_used or now - package.told_time >= outcomes.EDIT_SPAN:
            raise TrackingEditUsed(
                "TikTok Shop lets a number be corrected once, within 72 hours after it was told. Ask its support."
            )
        self._telling.refresh(package)
        shift = self._taken(package)
        try:
            self._correct(shift, package, request.actor)
        except Interrupted:
            pass  # what came of it is in the package
        finally:
            with self._database.transaction(workspace_id) as tx:
                telling_store.release_shop(tx, shift)
        with self._database.transaction(workspace_id) as tx:
            after = package_store.read_package(tx, workspace_id, package_id)
        return pb.CorrectTrackingResponse(package=package_messages.package_to(after))

    def _correct(self, shift: Shift, package: Package, actor: str) -> None:
        case, shop = self._telling.case_of(package, not_number=package.told_number)
        tell = guard.judge(case)
        if isinstance(tell, Withheld):
            raise TrackingNotProven(f"{tell.text} Nothing was changed.", metadata={"reason": tell.reason})
        if (tell.number, tell.provider_id) == (package.told_number, package.told_provider_id):
            raise TrackingUnchanged("TikTok Shop has the number that Amazon has now.")
        has = self._telling.look(shop, case, tell)
        if isinstance(has, Withheld):
            raise TrackingNotProven(f"{has.text} Nothing was changed.", metadata={"reason": has.reason})
        begun = self._telling.begin(shift, case, tell)
        if begun is None:
            raise TrackingNotProven("The package changed a moment ago. Look at it, and try again.")
        with self._database.transaction(package.workspace_id) as tx:
            text = f"{package.told_number} is corrected to {tell.number} ({tell.provider_name})."
            about = {"package_id": str(package.package_id)}
            order_store.add_event(
                tx, package.workspace_id, package.order_id, "package.correcting", text, actor, attributes=about
            )
        # From here on the teller goes on where this ends.
        self._telling.work_on(shift, begun)

    def _taken(self, package: Package) -> Shift:
        """The shop's numbers, for this call alone. Raises TrackingBusy."""
        end = time.monotonic() + call_context.remaining_seconds(_WAIT_SECONDS)
        while True:
            with self._database.transaction(package.workspace_id) as tx:
                shift = telling_store.take_shop(tx, package.workspace_id, package.shop_id, LEASE_SECONDS)
                stop = routing_store.read_routing(tx, package.workspace_id, package.shop_id).tracking_stop
            if shift is not None:
                return shift
            if stop:
                raise TrackingNotProven(f"The shop's tracking numbers are stopped: {stop} {outcomes.RESUME}")
            if time.monotonic() >= end:
                raise TrackingBusy("Another process tells this shop's numbers at the moment. Try again.")
            time.sleep(_BUSY_SECONDS)
