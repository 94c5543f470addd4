"""Amazon's catalogue (2022-04-01): which products have a barcode."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vendors.amazon_sp import operations
from vendors.amazon_sp.answers import Id, ListOf, Model, Words
from vendors.amazon_sp.calls import Access, Calls, Request

MAX_CODES = 20  # in one call


class CodeKind(StrEnum):
    """What kind of barcode it is."""

    EAN = "EAN"
    UPC = "UPC"
    GTIN = "GTIN"


@dataclass(frozen=True)
class CatalogItem:
    """A product of Amazon's. `codes`: its barcodes of all kinds."""

    asin: str
    title: str
    codes: tuple[str, ...]


class _Code(Model):
    identifier: Words = ""


class _Codes(Model):
    identifiers: ListOf[_Code] = ()


class _Summary(Model):
    item_name: Words = ""


class _Item(Model):
    asin: Id
    identifiers: ListOf[_Codes] = ()
    summaries: ListOf[_Summary] = ()


class _Answer(Model):
    items: ListOf[_Item]


class Catalog:
    """The catalogue, in the name of one merchant."""

    def __init__(self, calls: Calls, access: Access) -> None:
        self._calls = calls
        self._access = access

    async def with_codes(self, marketplace_id: str, kind: CodeKind, codes: Sequence[str]) -> tuple[CatalogItem, ...]:
        """Products with one of these barcodes, 1 to 20; a barcode may have several, or none."""
        if not 1 <= len(codes) <= MAX_CODES or not all(code.isascii() and code.isdigit() for code in codes):
            raise ValueError(f"codes: 1 to {MAX_CODES}, of digits")
        query = {
            "identifiers": ",".join(codes),
            "identifiersType": kind.value,
            "marketplaceIds": marketplace_id,
            "includedData": "identifiers,summaries",
            "pageSize": "20",
        }
        return await self._calls.ask(self._access, Request(operation=operations.CATALOG, query=query), _items)


def _items(answer: Any) -> tuple[CatalogItem, ...]:
    return tuple(
        CatalogItem(
            asin=item.asin,
            title=next((each.item_name for each in item.summaries if each.item_name), ""),
            codes=tuple(code.identifier for group in item.identifiers for code in group.identifiers),
        )
        for item in _Answer.read(answer).items
    )
