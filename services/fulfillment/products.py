"""Products of a shop, and how a catalogue is read in parts. Pure: the clock is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from uuid import UUID

from services.fulfillment.money import Money

DELETED = "DELETED"
# A reading of changes begins so long before the last one did: for clocks that differ, and for changes that were not
# yet to be seen.
OVERLAP = timedelta(minutes=10)
# A search answers at most so many products (partner.tiktokshop.com/docv2/page/search-products).
MOST_IN_SEARCH = 10_000
# No shop is older.
_BEGINNING = datetime(2015, 1, 1, tzinfo=UTC)
_TITLE_CHARACTERS = 255
_DESCRIPTION_CHARACTERS = 20_000
_MOST_IMAGES = 20
# Between their texts there is a line.
_BLOCKS = {"p", "div", "br", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6"}


@dataclass(frozen=True, slots=True)
class Sku:
    """What is bought: a variant of a product. `available_quantity` is None where it is not told."""

    platform_sku_id: str
    seller_sku: str
    price: Money | None
    available_quantity: int | None
    attributes: tuple[str, ...]
    barcode: str


@dataclass(frozen=True, slots=True)
class SeenProduct:
    """A product as TikTok Shop tells it. Lists tell less: `description` and `image_urls` are None there."""

    platform_product_id: str
    title: str
    status: str
    skus: tuple[Sku, ...]
    create_time: datetime | None
    update_time: datetime | None
    description: str | None = None
    image_urls: tuple[str, ...] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it was read by itself."""
        return self.description is not None


@dataclass(frozen=True, slots=True)
class Product:
    """A product of a workspace, as it was at `read_time`."""

    product_id: UUID
    shop_id: UUID
    platform_product_id: str
    title: str
    status: str
    skus: tuple[Sku, ...]
    description: str
    image_urls: tuple[str, ...]
    platform_create_time: datetime | None
    platform_update_time: datetime | None
    read_time: datetime
    is_detail_due: bool


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a reading: products that were made (or changed) from `start` to `end`, both included, in whole seconds.
    None: without limit.
    """

    start: datetime | None
    end: datetime | None


class SpanTooSmall(Exception):
    """A span of one second holds more products than a search answers."""


def halves(span: Span, now: datetime) -> tuple[Span, Span]:
    """The span in two parts that meet and do not overlap. Raises SpanTooSmall."""
    start, end = span.start or _BEGINNING, span.end or now
    seconds = int((end - start).total_seconds())
    if seconds < 1:
        raise SpanTooSmall
    middle = start + timedelta(seconds=seconds // 2)
    return Span(start, middle), Span(middle + timedelta(seconds=1), end)


def merged(seen: SeenProduct, known: Product | None) -> SeenProduct:
    """What is told now, with what was known of its SKUs where a list tells less."""
    if seen.is_whole or known is None:
        return seen
    before = {sku.platform_sku_id: sku for sku in known.skus}
    return replace(seen, skus=tuple(_with(sku, before.get(sku.platform_sku_id)) for sku in seen.skus))


def _with(sku: Sku, before: Sku | None) -> Sku:
    if before is None:
        return sku
    available = before.available_quantity if sku.available_quantity is None else sku.available_quantity
    return replace(
        sku,
        available_quantity=available,
        attributes=sku.attributes or before.attributes,
        barcode=sku.barcode or before.barcode,
    )


def needs_detail(seen: SeenProduct, known: Product | None) -> bool:
    """Whether a product is to be read by itself after it was seen."""
    if seen.is_whole or seen.status == DELETED:
        return False
    if known is None or known.is_detail_due:
        return True
    return seen.update_time is not None and seen.update_time != known.platform_update_time


def search_text(title: str, skus: Sequence[Sku]) -> str:
    """What is searched for text: the title and the seller's SKUs."""
    return "\n".join(dict.fromkeys([title, *(sku.seller_sku for sku in skus if sku.seller_sku)])).lower()


def short_title(title: str) -> str:
    """A title as it is kept."""
    return kept_text(" ".join(title.split()))[:_TITLE_CHARACTERS]


def kept_text(text: str) -> str:
    """A marketplace's text without what no database and no message takes: U+0000, and halves of characters."""
    return text.encode(errors="replace").decode().replace("\0", "")


def plain_text(html: str) -> str:
    """A description without its formatting: one line for each paragraph."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return kept_text("\n".join(line for line in lines if line))[:_DESCRIPTION_CHARACTERS]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begins a line, or a part that is no text."""
        self._hidden += tag in ("script", "style")
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """The same for its end."""
        self._hidden -= tag in ("script", "style") and self._hidden > 0
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Text; line breaks in the source are none for readers."""
        if not self._hidden:
            self.parts.append(data.replace("\n", " "))


def few_images(urls: Sequence[str]) -> tuple[str, ...]:
    """Addresses of pictures as they are kept: each once, and no more than a product page shows."""
    return tuple(dict.fromkeys(url for url in urls if url.startswith(("https://", "http://"))))[:_MOST_IMAGES]


def sku_as_json(sku: Sku) -> Mapping[str, object]:
    """A SKU as it is kept."""
    return {
        "id": sku.platform_sku_id,
        "seller_sku": sku.seller_sku,
        "price": [sku.price.currency, sku.price.minor_units] if sku.price else None,
        "available": sku.available_quantity,
        "attributes": list(sku.attributes),
        "barcode": sku.barcode,
    }
