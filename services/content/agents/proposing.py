"""Which products of a shop are worth a post now, and a first text for each. Pure.

A proposal is a beginning for a person: its text says only what the shop says of the product, and why the product was
chosen stands beside it in words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

# Files that are offered for a product, at most.
_FILES = 5
# A file is of a product when its name has so many of the title's words, or all of a shorter title.
_WORDS = 2
_WORD = re.compile(r"\w+")
_SHORTEST_WORD = 3
_SHORTEST_SKU = 4
# Attributes ("Colour: black") that a text lists, at most.
_KINDS = 4


@dataclass(frozen=True, slots=True)
class Sku:
    """What can be bought of a product. `price` None: the shop names none."""

    seller_sku: str
    price: Decimal | None
    currency: str
    available: int
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """A product that the shop sells."""

    product_id: str
    platform_product_id: str
    title: str
    skus: tuple[Sku, ...]

    @property
    def available(self) -> int:
        """Units that can be bought now."""
        return sum(each.available for each in self.skus)


@dataclass(frozen=True, slots=True)
class File:
    """A file of the media library."""

    media_asset_id: str
    file_name: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A post for a product. `media_asset_ids` are files whose names speak of it, the best first."""

    product: Product
    caption: str
    media_asset_ids: tuple[str, ...]
    reason: str


def propose(
    products: Sequence[Product], units_sold: Mapping[str, int] | None, files: Sequence[File], *, days: int, count: int
) -> list[Proposal]:
    """Proposals for what is in stock: first what sold best in the last days, then what there is most of.

    `units_sold` is by TikTok Shop's ids of products; None: it is not known. `files` are the newest first.
    """
    in_stock = [each for each in products if each.available > 0]
    sold = units_sold or {}
    in_stock.sort(key=lambda each: (-sold.get(each.platform_product_id, 0), -each.available, each.title))
    words = {each.media_asset_id: _words(each.file_name) for each in files}
    names = {each.media_asset_id: _bare(each.file_name) for each in files}
    return [
        Proposal(
            each,
            caption_of(each),
            _files_of(each, files, words, names),
            _reason(each, None if units_sold is None else sold.get(each.platform_product_id, 0), days),
        )
        for each in in_stock[:count]
    ]


def caption_of(product: Product) -> str:
    """A first text: the title, the lowest price of what is in stock, and the kinds that there are."""
    lines = [product.title.strip()]
    stocked = [each for each in product.skus if each.available > 0]
    priced = [each for each in stocked if each.price is not None]
    if priced and len({each.currency for each in priced}) == 1:
        lowest = min(each.price for each in priced if each.price is not None)
        begins = "From " if len({each.price for each in priced}) > 1 else ""
        lines.append(f"{begins}{lowest} {priced[0].currency}.")
    kinds = list(dict.fromkeys(value for each in stocked for value in map(_value_of, each.attributes) if value))
    if 1 < len(kinds) <= _KINDS:
        lines.append(f"{', '.join(kinds[:-1])} or {kinds[-1]}.")
    return "\n".join(lines)


def _reason(product: Product, sold: int | None, days: int) -> str:
    stock = f"{product.available:,} in stock"
    if sold is None:
        return f"{stock}; what it sold is not known."
    return f"{sold:,} sold in {days} days, {stock}." if sold else f"Nothing sold in {days} days, {stock}."


def _files_of(
    product: Product, files: Sequence[File], words: Mapping[str, set[str]], names: Mapping[str, str]
) -> tuple[str, ...]:
    """Files with a seller's SKU in their names, then those with the most words of the title; of equals the newest."""
    skus = [bare for each in product.skus if len(bare := _bare(each.seller_sku)) >= _SHORTEST_SKU]
    title = _words(product.title)
    least = min(_WORDS, len(title))
    found = []
    for place, each in enumerate(files):
        has_sku = any(sku in names[each.media_asset_id] for sku in skus)
        shared = len(title & words[each.media_asset_id])
        if has_sku or (least and shared >= least):
            found.append((not has_sku, -shared, place, each.media_asset_id))
    return tuple(media_asset_id for *_, media_asset_id in sorted(found)[:_FILES])


def _value_of(attribute: str) -> str:
    return attribute.partition(":")[2].strip()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _words(text: str) -> set[str]:
    found = _WORD.findall(_plain(text).replace("_", " "))
    return {each for each in found if len(each) >= _SHORTEST_WORD and not each.isdigit()}


def _bare(text: str) -> str:
    return "".join(each for each in _plain(text) if each.isalnum())
