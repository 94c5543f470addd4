"""What a shop's SKUs are at Amazon. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.fulfillment.orders.domain import Unit
from services.fulfillment.routing.decision import Part

# One of Amazon's SKUs, and how many of it one unit is.
SkuParts = tuple[tuple[str, int], ...]
# A SKU of a shop: TikTok Shop's id, and the seller's SKU, one of which may be empty.
SkuKey = tuple[str, str]
# What one order at Amazon takes.
MOST_UNITS, MOST_LINES = 250, 100


@dataclass(frozen=True, slots=True)
class SkuMapping:
    """What one unit of a shop's SKU is at Amazon. With a `platform_sku_id` that decides; `seller_sku` only names it."""

    mapping_id: UUID
    marketplace: str
    seller_sku: str
    platform_sku_id: str
    parts: SkuParts
    update_time: datetime


@dataclass(frozen=True, slots=True)
class SkuMap:
    """Mappings of one marketplace, as far as they are needed."""

    by_platform_sku: Mapping[str, SkuParts] = field(default_factory=dict)
    by_seller_sku: Mapping[str, SkuParts] = field(default_factory=dict)

    def parts_of(self, platform_sku_id: str, seller_sku: str) -> SkuParts | None:
        """What one unit of a SKU is; None where no mapping says so."""
        return self.by_platform_sku.get(platform_sku_id) or self.by_seller_sku.get(seller_sku)


@dataclass(frozen=True, slots=True)
class MappedUnit:
    """What stays together: units of Amazon's SKUs for these lines of TikTok Shop's order."""

    platform_line_ids: tuple[str, ...]
    parts: SkuParts


@dataclass(frozen=True, slots=True)
class Mapped:
    """An order's units in Amazon's SKUs. `unmapped`: SKUs that no mapping names."""

    units: tuple[MappedUnit, ...] = ()
    unmapped: tuple[SkuKey, ...] = ()

    @property
    def quantities(self) -> dict[str, int]:
        """How many of each of Amazon's SKUs, all together."""
        found: dict[str, int] = {}
        for unit in self.units:
            for sku, quantity in unit.parts:
                found[sku] = found.get(sku, 0) + quantity
        return found


def sku_label(platform_sku_id: str, seller_sku: str) -> str:
    """What people know a SKU by: the seller's, else TikTok Shop's."""
    return seller_sku or platform_sku_id


def skus_of(units: Iterable[Unit]) -> set[SkuKey]:
    """The SKUs whose mappings decide what these units are."""
    units = tuple(units)
    found = {(unit.platform_sku_id, unit.seller_sku) for unit in units}
    return found | {(platform_sku_id, seller_sku) for unit in units for platform_sku_id, seller_sku, _ in unit.parts}


def map_units(sku_map: SkuMap, units: Iterable[Unit]) -> Mapped:
    """Units in Amazon's SKUs. A bundle of TikTok Shop's own is what its own mapping says, else what its parts are."""
    mapped: list[MappedUnit] = []
    unmapped: set[SkuKey] = set()
    for unit in units:
        parts = sku_map.parts_of(unit.platform_sku_id, unit.seller_sku)
        if parts is None and unit.parts:
            parts = _parts_of_bundle(sku_map, unit, unmapped)
        elif parts is None:
            unmapped.add((unit.platform_sku_id, unit.seller_sku))
        if parts:
            mapped.append(MappedUnit((unit.platform_line_id,), parts))
    return Mapped(tuple(mapped), tuple(sorted(unmapped)))


def _parts_of_bundle(sku_map: SkuMap, unit: Unit, unmapped: set[SkuKey]) -> SkuParts | None:
    found: dict[str, int] = {}
    is_whole = True
    for platform_sku_id, seller_sku, count in unit.parts:
        parts = sku_map.parts_of(platform_sku_id, seller_sku)
        if parts is None:
            unmapped.add((platform_sku_id, seller_sku))
            is_whole = False
            continue
        for sku, quantity in parts:
            found[sku] = found.get(sku, 0) + quantity * count
    return tuple(found.items()) if is_whole else None


def by_hand(items: SkuParts, mapped: Mapped, units: Sequence[Unit]) -> Mapped:
    """What a person chose in place of the map. Each line of the order belongs to the item that the map makes of it,
    else to the first.
    """
    chosen = {sku: set[str]() for sku, _ in items}
    for unit in mapped.units:
        for sku, _ in unit.parts:
            if sku in chosen:
                chosen[sku].update(unit.platform_line_ids)
    given = set().union(*chosen.values())
    first = items[0][0]
    chosen[first].update(unit.platform_line_id for unit in units if unit.platform_line_id not in given)
    return Mapped(tuple(MappedUnit(tuple(sorted(chosen[sku])), ((sku, quantity),)) for sku, quantity in items))


def shipments_of(units: Iterable[MappedUnit]) -> tuple[tuple[Part, ...], ...]:
    """Units as orders at Amazon: each SKU once in each, no more than one takes, and what stays together in one."""
    together: dict[tuple[str, ...], list[MappedUnit]] = {}
    for unit in units:
        together.setdefault(tuple(sku for sku, _ in unit.parts), []).append(unit)
    shipments: list[dict[str, int]] = []
    lines_of: list[dict[str, list[str]]] = []
    count = 0
    for same in together.values():
        for unit in same:
            more = sum(quantity for _, quantity in unit.parts)
            filled = shipments[-1] if shipments else {}
            lines = len(filled) + sum(sku not in filled for sku, _ in unit.parts)
            if not shipments or count + more > MOST_UNITS or lines > MOST_LINES:
                shipments.append(filled := {})
                lines_of.append({})
                count = 0
            count += more
            for sku, quantity in unit.parts:
                filled[sku] = filled.get(sku, 0) + quantity
                lines_of[-1].setdefault(sku, []).extend(unit.platform_line_ids)
    return tuple(
        tuple(Part(sku, quantity, tuple(dict.fromkeys(lines[sku]))) for sku, quantity in sorted(filled.items()))
        for filled, lines in zip(shipments, lines_of, strict=True)
    )
