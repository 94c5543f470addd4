"""What is personal of an order, as it is stored: sealed, each value for its own place. And its mask for lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from kit.vault import Vault
from services.fulfillment.orders.address_places import places_of
from services.fulfillment.orders.address_text import is_masked
from services.fulfillment.orders.recipient import Address, Change, Kind, Note, Problem, Recipient, Verdict

_STARS = "***"
_MOST_NAMES = 4
_POSTAL_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals and opens what is personal of one workspace's orders. Opening raises crypto.SealBroken for another's."""

    vault: Vault
    tx: Connection
    workspace_id: UUID

    def seal_order(self, order_id: UUID, raw: Mapping[str, Any]) -> bytes:
        """An order as TikTok Shop told it, for `orders.sealed_order`."""
        return self._seal(f"orders.sealed_order|{order_id}", raw)

    def open_order(self, order_id: UUID, sealed: bytes) -> Mapping[str, Any]:
        """The order again."""
        found: Mapping[str, Any] = self._open(f"orders.sealed_order|{order_id}", sealed)
        return found

    def seal_verdict(self, order_id: UUID, verdict: Verdict) -> bytes:
        """Where an order goes as we made it fit, with what was changed, for `orders.sealed_address`."""
        told = asdict(verdict) | {"kinds": sorted(kind.value for kind in verdict.kinds)}
        return self._seal(f"orders.sealed_address|{order_id}", told)

    def open_verdict(self, order_id: UUID, sealed: bytes) -> Verdict:
        """The verdict again."""
        told = self._open(f"orders.sealed_address|{order_id}", sealed)
        return Verdict(
            address=None if told["address"] is None else _address_of(told["address"]),
            country_code=told["country_code"],
            problems=tuple(Problem(each) for each in told["problems"]),
            kinds=frozenset(Kind(each) for each in told["kinds"]),
            notes=tuple(Note(each) for each in told["notes"]),
            changes=tuple(Change(**each) for each in told["changes"]),
        )

    def seal_destination(self, shipment_id: UUID, address: Address) -> bytes:
        """Where a shipment goes, for `shipments.sealed_destination`."""
        return self._seal(f"shipments.sealed_destination|{shipment_id}", asdict(address))

    def open_destination(self, shipment_id: UUID, sealed: bytes) -> Address:
        """The destination again."""
        return _address_of(self._open(f"shipments.sealed_destination|{shipment_id}", sealed))

    def buyer_hash(self, buyer_user_id: str) -> bytes | None:
        """By what all orders of a buyer are found, for `orders.buyer_hash`; None when TikTok Shop names none."""
        if not buyer_user_id:
            return None
        return self.vault.fingerprint(self.tx, self.workspace_id, "orders.buyer_hash", buyer_user_id)

    def _seal(self, place: str, value: object) -> bytes:
        return self.vault.seal(self.tx, self.workspace_id, place, json.dumps(value, separators=(",", ":")))

    def _open(self, place: str, sealed: bytes) -> Any:
        return json.loads(self.vault.unseal(self.tx, self.workspace_id, place, sealed))


def _address_of(told: Mapping[str, Any]) -> Address:
    return Address(**{**told, "lines": tuple(told["lines"])})


def mask(recipient: Recipient, verdict: Verdict) -> str:
    """What lists show of whom an order goes to: "I*** R***, TN 379**". Empty when nothing is told."""
    address = verdict.address
    if address is not None:
        name, state, postal_code = address.name, address.state, address.postal_code
    else:
        name = recipient.name or f"{recipient.first_name} {recipient.last_name}"
        state = places_of(recipient.districts, "", has_state=False).state
        postal_code = recipient.postal_code
    names = " ".join(each[0] + _STARS for each in name.split()[:_MOST_NAMES])
    # A name of a state that is hidden, or long, is of no use.
    place = " ".join(part for part in ("" if is_masked(state) else state[:20], _masked_code(postal_code)) if part)
    return ", ".join(part for part in (names, place) if part)


def _masked_code(code: str) -> str:
    compact = "".join(each for each in code if each.isalnum())
    shown = compact[: min(_POSTAL_SHOWN, len(compact) // 2 + len(compact) % 2)]
    return shown + "**" if shown else ""
