"""Units in Amazon's SKUs, and how they become orders there."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.fulfillment.orders.domain import Unit, UnitState
from services.fulfillment.routing.mapping import (
    MOST_LINES,
    MOST_UNITS,
    Mapped,
    MappedUnit,
    SkuMap,
    by_hand,
    map_units,
    shipments_of,
)


def a_unit(line: str, sku_id: str, seller_sku: str = "", parts: tuple[tuple[str, str, int], ...] = ()) -> Unit:
    return Unit(line, "P", sku_id, seller_sku, "Title", None, UnitState.OPEN, parts=parts)


def test_tiktok_shops_id_decides_before_the_sellers_sku() -> None:
    skus = SkuMap({"17": (("AM-17", 1),)}, {"EF-1": (("AM-1", 2),)})
    mapped = map_units(skus, [a_unit("a", "17", "EF-1"), a_unit("b", "18", "EF-1"), a_unit("c", "19", "EF-2")])
    assert mapped.quantities == {"AM-17": 1, "AM-1": 2}
    assert mapped.unmapped == (("19", "EF-2"),)


def test_a_sku_without_the_sellers_own_is_known_by_tiktok_shops_id() -> None:
    assert map_units(SkuMap({}, {}), [a_unit("a", "17")]).unmapped == (("17", ""),)


def test_a_bundle_of_tiktok_shops_is_its_own_mapping_else_that_of_all_its_parts() -> None:
    bundle = a_unit("a", "17", "BUNDLE", parts=(("18", "EF-1", 2), ("19", "EF-2", 1)))
    parts = SkuMap({}, {"EF-1": (("AM-1", 3), ("AM-X", 1)), "EF-2": (("AM-X", 1),)})
    assert map_units(parts, [bundle]).quantities == {"AM-1": 6, "AM-X": 3}
    own = SkuMap({"17": (("AM-BOX", 1),)}, parts.by_seller_sku)
    assert map_units(own, [bundle]).quantities == {"AM-BOX": 1}
    half = SkuMap({}, {"EF-1": (("AM-1", 3),)})
    assert map_units(half, [bundle]) == Mapped((), (("19", "EF-2"),))


def test_what_a_person_chose_keeps_the_lines_of_the_map_and_takes_the_others() -> None:
    units = [a_unit("a", "17"), a_unit("b", "18")]
    mapped = Mapped((MappedUnit(("b",), (("AM-2", 1),)),))
    chosen = by_hand((("AM-9", 1), ("AM-2", 2)), mapped, units)
    assert chosen.units == (MappedUnit(("a",), (("AM-9", 1),)), MappedUnit(("b",), (("AM-2", 2),)))


_SKUS = st.sampled_from([f"AM-{n}" for n in range(130)])
_PARTS = st.dictionaries(_SKUS, st.integers(1, 60), min_size=1, max_size=4).map(lambda each: tuple(each.items()))


@given(st.lists(st.one_of(_PARTS, st.just((("AM-0", 1),))), max_size=400))
def test_every_unit_is_in_one_shipment_and_none_is_larger_than_amazon_takes(
    parts: list[tuple[tuple[str, int], ...]],
) -> None:
    units = [MappedUnit((f"line-{n}",), each) for n, each in enumerate(parts)]
    shipments = shipments_of(units)
    sent: Counter[str] = Counter()
    for shipment in shipments:
        assert len({item.amazon_sku for item in shipment}) == len(shipment) <= MOST_LINES
        assert sum(item.quantity for item in shipment) <= MOST_UNITS
        sent.update({item.amazon_sku: item.quantity for item in shipment})
    assert sent == Counter(Mapped(tuple(units)).quantities)
    lines = [{line for item in shipment for line in item.platform_line_ids} for shipment in shipments]
    assert sum(map(len, lines)) == len(units)
    assert set().union(*lines) == {line for unit in units for line in unit.platform_line_ids}
    for shipment in shipments:
        for item in shipment:
            assert all(dict(units[int(line[5:])].parts).get(item.amazon_sku) for line in item.platform_line_ids)
    if len(units) and sum(sent.values()) <= MOST_UNITS and len(sent) <= MOST_LINES:
        assert len(shipments) == 1
