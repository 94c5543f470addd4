"""Between the messages of the proto and the dataclasses of the domain. No decision is made here."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from reelroute.fulfillment.v1 import fulfillment_pb2 as pb

from kit.timestamps import to_timestamp
from services.fulfillment import domain


def shop_to(shop: domain.Shop) -> pb.Shop:
    """A shop as the proto shows it: without tokens and cipher."""
    return pb.Shop(
        shop_id=str(shop.shop_id),
        workspace_id=str(shop.workspace_id),
        platform_shop_id=shop.platform_shop_id,
        name=shop.name,
        code=shop.code,
        region=shop.region,
        seller_type=shop.seller_type,
        seller_name=shop.seller_name,
        state=pb.ShopState.Value(f"SHOP_STATE_{shop.state.value}"),
        problem=shop.problem or domain.missing_scopes(shop.scopes),
        scopes=shop.scopes,
        authorization_expire_time=_time(shop.authorization_expire_time),
        catalogue_time=_time(shop.catalogue_time),
        create_time=to_timestamp(shop.create_time),
        update_time=to_timestamp(shop.update_time),
    )


def _time(instant: datetime | None) -> Timestamp | None:
    return to_timestamp(instant) if instant else None
