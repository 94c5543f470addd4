"""Numbers told to the sandbox's TikTok Shop: each once, and none that it would not take."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest
from reelroute.fulfillment.v1 import orders_pb2 as pb

from services.fulfillment.orders.domain import Order
from services.fulfillment.shipping import telling_store
from services.fulfillment.shipping.domain import ShipmentState, TellState
from services.fulfillment.shipping.shop_side import ShopSide
from services.fulfillment.shipping.telling import Telling
from tests.fulfillment.shipping.stage import BLACK, CLEAR, RED, TrackingStage, a_replica
from tests.fulfillment.stage import WORKSPACE
from tests.fulfillment.test_connecting import refused

FIFTEEN_MINUTES = 900


def lines(order: Order) -> list[str]:
    return [unit.platform_line_id for unit in order.told.units]


def settle(tracking: TrackingStage, seconds: float = 1_200) -> None:
    """The platforms go on, and we follow and tell."""
    tracking.advance(seconds)
    tracking.replica.follow()
    tracking.replica.tell()


def test_amazon_s_own_number_is_told_within_fifteen_minutes_of_the_order(tracking: TrackingStage) -> None:
    """R27: from the order's creation at Amazon to TikTok Shop's knowing a number, by the platforms' clock."""
    order = tracking.place()
    seconds = 0
    while not tracking.known_there(order):
        assert seconds < FIFTEEN_MINUTES
        seconds += 60
        settle(tracking, 60)
    (package,) = tracking.packages(order)
    assert package.tell_state is TellState.TOLD
    assert tracking.known_there(order) == {lines(order)[0]: package.amazon_tracking_number}
    assert package.platform_package_id
    # The carrier's number comes, and Amazon's stays: both are good.
    settle(tracking)
    assert tracking.known_there(order) == {lines(order)[0]: package.amazon_tracking_number}
    assert tracking.tiktok.calls("mark_shipped") == 1
    assert "package.told" in tracking.events(order)


def test_each_package_of_an_order_is_told_for_its_own_lines(tracking: TrackingStage) -> None:
    order = tracking.place(CLEAR, BLACK, BLACK, RED, shipments=2, packages=2)
    settle(tracking)
    packages = tracking.packages(order)
    assert len(packages) == 4
    assert {package.tell_state for package in packages} == {TellState.TOLD}
    told = {line: package.told_number for package in packages for line in package.told_line_ids}
    assert tracking.known_there(order) == told
    assert sorted(told) == sorted(lines(order))


def test_a_package_that_amazon_takes_back_is_replaced_by_the_one_that_follows(tracking: TrackingStage) -> None:
    order = tracking.place(replans=1)
    settle(tracking, 400)
    (first,) = tracking.packages(order)
    assert first.tell_state is TellState.TOLD
    settle(tracking, 1_500)
    old, new = tracking.packages(order)
    assert (old.package_id, old.is_current, old.is_edit_used) == (first.package_id, False, True)
    assert (new.tell_state, new.is_edit_used) == (TellState.TOLD, True)
    assert tracking.known_there(order) == {lines(order)[0]: new.told_number}
    assert new.told_number != old.told_number
    # TikTok Shop takes one correction.
    assert tracking.tiktok.calls("package_shipping_update") == 1
    assert tracking.shipments(order)[0].state is ShipmentState.SHIPPED


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        ({"carrier_code": "Pigeon Post", "tracking_number": "123456789012"}, "CARRIER_UNKNOWN"),
        ({"carrier_code": "UPS", "tracking_number": "TBA305123456789"}, "CARRIER_MISMATCH"),
        ({"carrier_code": "UPS", "tracking_number": "1Z5R89390357567128"}, "CARRIER_MISMATCH"),
        ({"carrier_code": "USPS", "tracking_number": "9400 1112 0108 0805 4830 16"}, "NUMBER_MALFORMED"),
        ({"carrier_code": "OnTrac", "tracking_number": "C11031500001879"}, "PROVIDER_UNKNOWN"),
    ],
)
def test_what_the_guard_withholds_is_never_sent_and_told_to_people_once(
    tracking: TrackingStage, fate: dict[str, Any], reason: str
) -> None:
    order = tracking.place(aftn=False, **fate)
    settle(tracking)
    settle(tracking)
    (package,) = tracking.packages(order)
    assert package.tell_state is TellState.BLOCKED
    assert package.tell_problem.startswith(f"{reason}: ")
    assert tracking.tiktok.calls("mark_shipped") == 0
    assert tracking.events(order).count("tracking.withheld") == 1
    assert len(tracking.told("tracking.withheld")) == 1


def test_a_withheld_number_goes_out_when_its_cause_is_gone(tracking: TrackingStage) -> None:
    order = tracking.place(aftn=False, carrier_code="Pigeon Post", tracking_number="123456789012")
    settle(tracking)
    tracking.route(carriers={"Pigeon Post": "FedEx"})
    settle(tracking, 3_600)
    assert tracking.known_there(order) == {lines(order)[0]: "123456789012"}


def test_one_number_for_two_orders_is_told_for_the_first_alone(tracking: TrackingStage) -> None:
    same = {"aftn": False, "carrier_code": "Amazon Logistics", "tracking_number": "TBA305123456789"}
    orders = [tracking.place(**same), tracking.place(**same)]
    settle(tracking)
    states = sorted(tracking.packages(order)[0].tell_state.value for order in orders)
    assert states == ["BLOCKED", "TOLD"]
    assert tracking.tiktok.calls("mark_shipped") == 1


def test_the_first_rejected_number_stops_all_until_somebody_lets_them_go_on(tracking: TrackingStage) -> None:
    orders = [tracking.place() for _ in range(4)]
    tracking.advance(200)
    tracking.replica.follow()
    tracking.tiktok.fault("mark_shipped", "error", code="21004016", count=1)
    tracking.replica.tell()
    states = [tracking.packages(order)[0].tell_state for order in orders]
    assert sorted(state.value for state in states) == ["DUE", "DUE", "DUE", "REJECTED"]
    assert tracking.tiktok.calls("mark_shipped") == 1
    # Who may carry them was asked once.
    assert tracking.tiktok.calls("shipping_providers") == 1
    (stop,) = tracking.told("tracking.stopped")
    assert "21004016" in stop
    # Nothing changes that but a person.
    settle(tracking)
    assert tracking.tiktok.calls("mark_shipped") == 1
    request = pb.ResumeTrackingRequest(workspace_id=str(WORKSPACE), shop_id=tracking.shop.shop_id, actor="ida")
    assert tracking.stub.ResumeTracking(request, timeout=10).routing.tracking_stop == ""
    tracking.replica.tell()
    rejected = orders[states.index(TellState.REJECTED)]
    told = [order for order in orders if order is not rejected]
    assert {tracking.packages(order)[0].tell_state for order in told} == {TellState.TOLD}
    # The carrier's number has come meanwhile: it is another, so it may be told in place of the rejected one.
    (package,) = tracking.packages(rejected)
    assert package.rejected_number == package.amazon_tracking_number
    assert package.tell_state is TellState.REJECTED
    assert tracking.tiktok.calls("mark_shipped") == 4


def test_two_replicas_and_lost_replies_tell_each_number_once(tracking: TrackingStage) -> None:
    """R27: a third of the answers to the telling are lost."""
    other = a_replica(tracking.shop_stage, tracking.merchant_stage)
    orders = [tracking.place() for _ in range(12)]
    tracking.advance(200)
    tracking.replica.follow()
    tracking.tiktok.fault("mark_shipped", "lost_reply", count=4)
    for _ in range(6):
        threads = [threading.Thread(target=replica.tell) for replica in (tracking.replica, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tracking.advance(0)
    for order in orders:
        (package,) = tracking.packages(order)
        assert package.tell_state is TellState.TOLD
        assert tracking.known_there(order) == {lines(order)[0]: package.amazon_tracking_number}
        assert tracking.events(order).count("package.told") == 1


class Killed(BaseException):
    """The process is gone: nothing after this line happens."""


@pytest.mark.parametrize("where", ["begin", "begun", "say", "said", "told"])
def test_a_process_that_is_killed_anywhere_is_followed_by_one_that_tells_once(
    tracking: TrackingStage, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """R27: between any two steps."""
    order = tracking.place()
    tracking.advance(200)
    tracking.replica.follow()
    owner, name, is_after = {
        "begin": (telling_store, "set_telling", False),
        "begun": (Telling, "say", False),
        "say": (ShopSide, "say", False),
        "said": (ShopSide, "say", True),
        "told": (telling_store, "set_told", True),
    }[where]
    real = getattr(owner, name)

    def killed(*arguments: Any, **more: Any) -> None:
        if is_after:
            real(*arguments, **more)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killed)
        patched.setattr(telling_store, "release_shop", lambda *_arguments: None)
        with pytest.raises(Killed):
            tracking.replica.tell()
    tracking.replica.tell()
    assert tracking.tiktok.calls("mark_shipped") == (where in ("said", "told"))
    tracking.rows("UPDATE shop_routings SET tracking_lease_time = now()")
    other = a_replica(tracking.shop_stage, tracking.merchant_stage)
    other.tell()
    (package,) = tracking.packages(order)
    assert package.tell_state is TellState.TOLD
    assert tracking.known_there(order) == {lines(order)[0]: package.amazon_tracking_number}
    assert tracking.tiktok.calls("mark_shipped") == 1
    assert tracking.events(order).count("package.told") == 1


def test_a_worker_that_comes_too_late_changes_nothing(tracking: TrackingStage, monkeypatch: pytest.MonkeyPatch) -> None:
    order = tracking.place()
    tracking.advance(200)
    tracking.replica.follow()
    other, real = a_replica(tracking.shop_stage, tracking.merchant_stage), ShopSide.say

    def slow(*arguments: Any) -> str:
        found = real(*arguments)
        monkeypatch.undo()
        tracking.rows("UPDATE shop_routings SET tracking_lease_time = now()")
        other.tell()
        return found

    monkeypatch.setattr(ShopSide, "say", slow)
    tracking.replica.tell()
    assert tracking.tiktok.calls("mark_shipped") == 1
    assert tracking.events(order).count("package.told") == 1


def test_a_shop_that_cannot_be_called_is_told_when_it_can(tracking: TrackingStage) -> None:
    order = tracking.place()
    tracking.advance(200)
    tracking.replica.follow()
    tracking.tiktok.withdraw()
    tracking.replica.tell()
    assert tracking.packages(order)[0].tell_state is TellState.DUE
    tracking.shop_stage.connect()
    settle(tracking, 200)
    assert tracking.packages(order)[0].tell_state is TellState.TOLD


@pytest.mark.parametrize("mode", ["rate_limit", "reset"])
def test_a_shop_that_is_busy_is_told_a_little_later(tracking: TrackingStage, mode: str) -> None:
    order = tracking.place()
    tracking.advance(200)
    tracking.replica.follow()
    tracking.tiktok.fault("order_detail", mode, count=20)
    tracking.replica.telling.run_once()
    (package,) = tracking.packages(order)
    assert package.tell_state is TellState.DUE
    tracking.tiktok.control("DELETE", "/faults")
    settle(tracking, 60)
    (package,) = tracking.packages(order)
    assert package.tell_state is TellState.TOLD


def test_an_order_that_is_canceled_or_shipped_by_somebody_else_is_not_told(tracking: TrackingStage) -> None:
    wants, shipped = tracking.place(), tracking.place()
    tracking.advance(200)
    tracking.replica.follow()
    tracking.tiktok.control("POST", f"/tiktok_shop/orders/{wants.told.platform_order_id}/request-cancel")
    tracking.enter_there(shipped, "TBA999999999999")
    tracking.replica.tell()
    assert tracking.packages(wants)[0].tell_state is TellState.DUE
    (package,) = tracking.packages(shipped)
    assert package.tell_problem.startswith("TOLD_OTHERWISE")


def correct(tracking: TrackingStage, order: Order) -> pb.Package:
    (package,) = tracking.packages(order)
    request = pb.CorrectTrackingRequest(workspace_id=str(WORKSPACE), package_id=str(package.package_id), actor="ida")
    return tracking.stub.CorrectTracking(request, timeout=30).package


def test_a_number_is_corrected_once_within_72_hours(tracking: TrackingStage) -> None:
    order = tracking.place(carrier_code="Amazon Logistics")
    settle(tracking, 200)
    assert refused(lambda: correct(tracking, order))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "TRACKING_UNCHANGED")
    settle(tracking)
    (before,) = tracking.packages(order)
    after = correct(tracking, order)
    assert (after.told_number, after.is_edit_used) == (before.tracking_number, True)
    assert tracking.known_there(order) == {lines(order)[0]: before.tracking_number}
    assert refused(lambda: correct(tracking, order))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "TRACKING_EDIT_USED")
    assert tracking.events(order)[-2:] == ["package.correcting", "package.told"]


def test_the_answer_to_a_correction_may_be_lost(tracking: TrackingStage) -> None:
    order = tracking.place(carrier_code="Amazon Logistics")
    settle(tracking, 200)
    settle(tracking)
    (before,) = tracking.packages(order)
    tracking.tiktok.fault("package_shipping_update", "lost_reply", count=1)
    assert correct(tracking, order).tell_state == pb.TELL_STATE_TELLING
    settle(tracking, 60)
    (after,) = tracking.packages(order)
    assert (after.tell_state, after.told_number) == (TellState.TOLD, before.tracking_number)
    assert tracking.tiktok.calls("package_shipping_update") == 1


def test_a_correction_that_is_rejected_keeps_what_there_is_and_stops_the_shop(tracking: TrackingStage) -> None:
    order = tracking.place(carrier_code="Amazon Logistics")
    settle(tracking, 200)
    settle(tracking)
    (before,) = tracking.packages(order)
    tracking.tiktok.fault("package_shipping_update", "error", code="21004016", count=1)
    after = correct(tracking, order)
    assert (after.tell_state, after.told_number) == (pb.TELL_STATE_TOLD, before.told_number)
    assert len(tracking.told("tracking.stopped")) == 1
