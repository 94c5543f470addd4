"""Orders in the database as their intake leaves them, and everything that the database holds as one text."""

from uuid import UUID, uuid4

from sqlalchemy import Connection, func, insert, inspect, text

from kit.db import ALL_WORKSPACES, Database, new_id
from services.fulfillment.domain import Shop
from services.fulfillment.marketplaces.tiktok_shop import recipient_of
from services.fulfillment.order_tables import merchants, orders, shipments
from services.fulfillment.orders.address import normalise
from services.fulfillment.orders.sealing import Sealer, mask
from services.fulfillment.store import in_seconds
from tests.fulfillment.stage import WORKSPACE, a_vault
from tests.fulfillment.test_store import an_opened, connect
from vendors.tiktok_shop.order_models import Order

DAY = 86_400.0


def a_shop(database: Database) -> Shop:
    return connect(database, an_opened(1))[0]


def a_merchant(tx: Connection) -> UUID:
    merchant_id = uuid4()
    row = {"merchant_id": merchant_id, "workspace_id": WORKSPACE, "name": "M", "seller_id": str(merchant_id)}
    tx.execute(insert(merchants).values(row | {"marketplace": "US", "state": "CONNECTED", "refresh_token": b"sealed"}))
    return merchant_id


def keep_order(
    database: Database, shop: Shop, found: Order, *, state: str = "DELIVERED", ended_days_ago: float | None = 0.0
) -> UUID:
    """Stores an order and a shipment of it, all that is personal sealed; None: it has not ended."""
    order_id, shipment_id, recipient = new_id(), uuid4(), recipient_of(found)
    verdict = normalise(recipient)
    with database.transaction(WORKSPACE) as tx:
        sealer = Sealer(a_vault(), tx, WORKSPACE)
        tx.execute(
            insert(orders).values(
                order_id=order_id,
                workspace_id=WORKSPACE,
                shop_id=shop.shop_id,
                platform_order_id=f"{found.id}-{order_id}",
                platform_status=found.status.value,
                state=state,
                reason="left" if state in ("LEFT", "HELD") else "",
                facts={},
                sealed_order=sealer.seal_order(order_id, found.raw),
                sealed_address=sealer.seal_verdict(order_id, verdict),
                masked_recipient=mask(recipient, verdict),
                buyer_hash=sealer.buyer_hash(found.buyer_user_id),
                end_time=None if ended_days_ago is None else in_seconds(-ended_days_ago * DAY),
            )
        )
        if verdict.address is not None:
            tx.execute(
                insert(shipments).values(
                    shipment_id=shipment_id,
                    workspace_id=WORKSPACE,
                    order_id=order_id,
                    merchant_id=a_merchant(tx),
                    number=1,
                    fulfillment_order_id=str(shipment_id),
                    state="SUBMITTED",
                    speed="STANDARD",
                    policy="FILL_OR_KILL",
                    items=[],
                    sealed_destination=sealer.seal_destination(shipment_id, verdict.address),
                    begin_time=func.now(),
                )
            )
    return order_id


def everything_in(database: Database) -> str:
    """All rows of all tables as text; bytes with their readable characters, as in messages of an outbox."""
    found = []
    with database.transaction(ALL_WORKSPACES) as tx:
        for name in inspect(tx).get_table_names():
            for row in tx.execute(text(f'SELECT * FROM "{name}"')):
                values = (bytes(value) if isinstance(value, memoryview) else value for value in row)
                found += [each.decode("latin-1") if isinstance(each, bytes) else str(each) for each in values]
    return "\n".join(found)
