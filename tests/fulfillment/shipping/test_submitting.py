"""What is asked of Amazon about shipments, where it answers in ways that nobody promised."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from kit.vendor_errors import VendorNotFound
from services.fulfillment.shipping.submitting import Job, Known, Wish, _Batch, _Doubts
from vendors.amazon_sp.outbound import (
    Destination,
    FulfillmentOrder,
    FulfillmentPolicy,
    Item,
    NewOrder,
    OrderPage,
    OrderStatus,
    Speed,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def a_place(name: str, line: str, city: str, state: str, postal_code: str) -> Destination:
    return Destination(
        name=name, lines=(line,), city=city, state=state, postal_code=postal_code, country_code="US", phone=""
    )


KNOXVILLE = a_place("Ingrid Rahimi", "4518 East Emory Road", "Knoxville", "TN", "37938")
HUNTER = a_place("Nadia Halloran", "7965 Main Street", "Hunter", "NY", "12442")


def a_job(number: int, **more: Any) -> Job:
    order = NewOrder(
        order_id=f"TTS-577-{number}",
        marketplace_id="ATVPDKIKX0DER",
        displayable_order_id="577",
        displayable_order_time=NOW,
        displayable_order_comment="Thank you",
        speed=Speed.STANDARD,
        policy=FulfillmentPolicy.FILL_OR_KILL,
        destination=KNOXVILLE,
        items=(Item("1", "AMZ", 1),),
    )
    return Job(uuid4(), uuid4(), Wish.CREATE, order.order_id, order, **more)


class Amazon:
    """Takes each id once, says yes to a repeat, and lists without items."""

    def __init__(self) -> None:
        self.orders: dict[str, FulfillmentOrder] = {}
        self.created: list[str] = []
        self.outbound = self

    def has(self, order_id: str, destination: Destination) -> None:
        self.orders[order_id] = FulfillmentOrder(
            *(order_id, OrderStatus.RECEIVED, "Received", NOW, NOW, Speed.STANDARD, destination, (), ())
        )

    async def create(self, order: NewOrder) -> None:
        self.created.append(order.order_id)
        if order.order_id not in self.orders:
            self.has(order.order_id, order.destination)

    async def get(self, order_id: str) -> FulfillmentOrder:
        if order_id not in self.orders:
            raise VendorNotFound("There is none.", vendor="amazon_sp", operation="get", code="NotFound")
        return self.orders[order_id]

    async def changed(self, since: datetime, next_token: str = "") -> OrderPage:
        return OrderPage(tuple(self.orders.values()), "")


def ask(amazon: Amazon, jobs: list[Job], *, seconds: float = 30.0) -> list[Known]:
    batch = _Batch(jobs, time.monotonic() + seconds, _Doubts(0.01, 0.02, 600.0))
    asyncio.run(batch.ask(amazon))  # type: ignore[arg-type] # what it needs of it
    return [batch.known_of(job, Known()) for job in jobs]


def test_an_id_that_another_program_gave_to_another_order_is_seen_in_the_list_too() -> None:
    amazon = Amazon()
    amazon.has("TTS-577-1", HUNTER)
    theirs, ours = ask(amazon, [a_job(1, is_new=True), a_job(2, is_new=True)])
    assert (theirs.differs, ours.differs) == (True, False)
    assert ours.found is not None


def test_r27_a_worker_that_was_frozen_past_its_lease_begins_nothing() -> None:
    amazon = Amazon()
    (known,) = ask(amazon, [a_job(1, is_new=True)], seconds=-1.0)
    assert (known.is_unsent, amazon.created) == (True, [])


def test_what_amazon_does_not_show_yet_is_not_given_up() -> None:
    amazon, job = Amazon(), replace(a_job(1), wish=Wish.FIND)
    (early,) = ask(amazon, [replace(job, begun_seconds=60.0)])
    assert early == Known()
    (late,) = ask(amazon, [replace(job, begun_seconds=601.0)])
    assert late.is_absent
