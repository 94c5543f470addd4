"""What TikTok Shop is to be told of a SKU. Pure.

TikTok Shop's figure leaves out units that are sold and not yet shipped ("committed"), and setting it replaces what
buyers took off meanwhile. What can be sold by our ledger leaves out what we have reserved. Most units that TikTok Shop
has committed are reserved here, too. Those that are not (orders that were not taken in yet, are not paid, or are held)
are taken off, so that setting a figure never gives back what was just sold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vendors.tiktok_shop.products import SkuStock

# TikTok Shop takes no more.
MOST_UNITS = 99_999
# The whole target of a SKU: units by warehouse.
Target = Mapping[str, int]


class NotOffered(Exception):
    """TikTok Shop cannot be told of a SKU; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Known:
    """What we know of a SKU: how many can be sold, and how many units of it that TikTok Shop has not seen shipped are
    reserved here.
    """

    wanted: int
    reserved: int


def offered(known: Known, committed: int) -> int:
    """How many more can be sold while TikTok Shop has so many committed."""
    return min(MOST_UNITS, max(0, known.wanted - max(0, committed - known.reserved)))


def committed_of(seen: SkuStock, warehouses: Collection[str]) -> int:
    """Units that TikTok Shop has sold from these warehouses and not seen shipped. Where it does not say from which,
    all of them.
    """
    ours = [each for each in seen.warehouses if each.warehouse_id in warehouses]
    if any(each.committed is None for each in ours):
        return seen.committed or 0
    return sum(each.committed or 0 for each in ours)


def target_of(seen: SkuStock, first_seen: SkuStock, warehouses: Collection[str], known: Known) -> Target:
    """What each warehouse of a SKU is to have. Those that Amazon sends from have it all in the first; others keep what
    they had when they were first seen, less what buyers bought of it since. Raises NotOffered.
    """
    if not seen.warehouses:
        raise NotOffered("TikTok Shop keeps no stock of it by itself, as of bundles. Set the stock of its parts.")
    ours = sorted(each.warehouse_id for each in seen.warehouses if each.warehouse_id in warehouses)
    if not ours:
        raise NotOffered(
            "TikTok Shop keeps it in none of the warehouses that Amazon sends from. Add one to it in Seller Center."
        )
    units = offered(known, committed_of(seen, warehouses))
    first = {each.warehouse_id: each for each in first_seen.warehouses}
    target = {}
    for each in seen.warehouses:
        name = each.warehouse_id
        if name in ours:
            target[name] = units if name == ours[0] else 0
            continue
        before = first.get(name, each)
        if each.available is None or before.available is None:
            raise NotOffered("TikTok Shop does not say what its other warehouses have of it. Look at it there.")
        bought = max(0, (each.committed or 0) - (before.committed or 0))
        target[name] = max(0, min(each.available, before.available - bought))
    return target


def has(seen: SkuStock, target: Target) -> bool:
    """Whether TikTok Shop has what it is to have."""
    return {each.warehouse_id: each.available for each in seen.warehouses} == dict(target)


def units_of(target: Target, warehouses: Collection[str]) -> int:
    """What is offered from the warehouses that Amazon sends from."""
    return sum(units for name, units in target.items() if name in warehouses)
