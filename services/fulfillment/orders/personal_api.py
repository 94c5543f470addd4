"""The RPCs of what is personal: reading whom an order goes to, deleting it, and who read it."""

from __future__ import annotations

from uuid import UUID

import grpc
from reelroute.fulfillment.v1 import orders_pb2 as pb
from reelroute.fulfillment.v1 import orders_pb2_grpc

from kit.db import Database
from kit.paging import Page
from kit.timestamps import to_timestamp
from kit.vault import Vault
from services.fulfillment.orders import personal, personal_store
from services.fulfillment.orders.address_places import country_of, places_of
from services.fulfillment.orders.recipient import Address, Recipient


class PersonalApi(orders_pb2_grpc.OrderServiceServicer):
    """A part of OrderService; see orders.proto for what each RPC promises."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault

    def ReadRecipient(
        self, request: pb.ReadRecipientRequest, context: grpc.ServicerContext
    ) -> pb.ReadRecipientResponse:
        workspace_id, order_id = UUID(request.workspace_id), UUID(request.order_id)
        with self._database.transaction(workspace_id) as tx:
            opened = personal.open_recipient(
                tx, self._vault, workspace_id, order_id, actor=request.actor, purpose=request.purpose
            )
        # Here the reading is written down for good.
        verdict = opened.verdict
        changes = verdict.changes if verdict is not None else ()
        return pb.ReadRecipientResponse(
            recipient=None if verdict is None or verdict.address is None else _address_to(verdict.address),
            told=None if opened.told is None else _told_to(opened.told),
            changes=[
                pb.AddressChange(field=each.field, rule=each.rule, before=each.before, after=each.after)
                for each in changes
            ],
            buyer_message=opened.buyer_message,
        )

    def EraseRecipient(
        self, request: pb.EraseRecipientRequest, context: grpc.ServicerContext
    ) -> pb.EraseRecipientResponse:
        workspace_id, order_id = UUID(request.workspace_id), UUID(request.order_id)
        with self._database.transaction(workspace_id) as tx:
            erased = personal.erase_recipient(
                tx, workspace_id, order_id, whole_buyer=request.whole_buyer, actor=request.actor
            )
        return pb.EraseRecipientResponse(orders=erased)

    def ListRecipientReadings(
        self, request: pb.ListRecipientReadingsRequest, context: grpc.ServicerContext
    ) -> pb.ListRecipientReadingsResponse:
        workspace_id = UUID(request.workspace_id)
        order_id = UUID(request.order_id) if request.order_id else None
        page = Page.parse(request.page_size, request.page_token, (int,))
        with self._database.transaction(workspace_id) as tx:
            found = personal_store.list_readings(
                tx, workspace_id, page.size, order_id=order_id, before=page.after[0] if page.after else None
            )
        shown, token = page.cut(found, lambda reading: (reading.number,))
        return pb.ListRecipientReadingsResponse(
            readings=[
                pb.RecipientReading(
                    reading_id=str(each.reading_id),
                    order_id=str(each.order_id),
                    time=to_timestamp(each.time),
                    actor=each.actor,
                    purpose=each.purpose,
                )
                for each in shown
            ],
            next_page_token=token,
        )


def _address_to(address: Address) -> pb.Recipient:
    return pb.Recipient(
        name=address.name,
        lines=address.lines,
        city=address.city,
        district=address.district,
        state=address.state,
        postal_code=address.postal_code,
        country_code=address.country_code,
        phone=address.phone,
    )


def _told_to(told: Recipient) -> pb.Recipient:
    places = places_of(told.districts, told.post_town, has_state=False)
    lines = [line for line in told.lines if line.strip()]
    return pb.Recipient(
        name=told.name or f"{told.first_name} {told.last_name}".strip(),
        lines=lines or [each for each in (told.address_detail or told.full_address,) if each],
        city=places.city,
        district=places.district,
        state=places.state,
        postal_code=told.postal_code,
        country_code=country_of(told),
        phone=told.phone,
    )
