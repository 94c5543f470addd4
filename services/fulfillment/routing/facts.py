"""What rules can test of an order: facts with names. Nothing of name, street, city, postal code or phone is among them.

Pure.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from kit.money import decimal_text
from services.fulfillment.money import Money
from services.fulfillment.orders import recipient
from services.fulfillment.orders.domain import ShopOrder
from services.fulfillment.routing.mapping import Mapped, sku_label
from services.fulfillment.routing.settings import ShopRouting
from services.fulfillment.stock.domain import Available
from vendors.amazon_sp.outbound import Preview, Speed

# A list is of texts.
Value = int | Decimal | str | bool | datetime | tuple[str, ...]
# A fact that is not known is not there.
Facts = Mapping[str, Value]


class FactKind(enum.Enum):
    """What a fact is, and so which operators fit it."""

    NUMBER = "number"
    TEXT = "text"
    TRUTH = "true or false"
    TIME = "instant"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that rules can test."""

    kind: FactKind
    meaning: str


def _facts(kind: FactKind, **meanings: str) -> dict[str, Fact]:
    return {name: Fact(kind, meaning) for name, meaning in meanings.items()}


# All of them, in the order of the documentation.
FACTS: Mapping[str, Fact] = {
    **_facts(
        FactKind.TEXT,
        status="Where the order is, in TikTok Shop's word.",
        fulfillment_type="Who packs it, in TikTok Shop's word.",
        shipping_type="Whose label is on it: `SELLER` or `TIKTOK`.",
        warehouse="TikTok Shop's id of the warehouse.",
        delivery_option="What the buyer chose, by name.",
    ),
    **_facts(
        FactKind.TRUTH,
        has_warehouses="Whether the shop's settings name a warehouse that stands for Amazon's.",
        is_mcf_warehouse="Whether the order's warehouse is one of them; not known while they name none.",
        has_merchant="Whether the shop's settings name the Amazon seller that sends.",
    ),
    **_facts(
        FactKind.NUMBER,
        units="Units that are still to be sent, as they were bought.",
        lines="How many different SKUs these are.",
        amazon_units="The same in units of Amazon's SKUs.",
        amazon_lines="How many different SKUs these are at Amazon.",
        largest_unit="Of how many units at Amazon one bought unit consists, at most.",
        total="What the buyer pays, with shipping and taxes.",
        goods_total="What the units to be sent cost before discounts.",
    ),
    **_facts(FactKind.TEXT, currency="The code of the currency of both."),
    **_facts(FactKind.TRUTH, has_negative_price="Whether a price or the total is below zero."),
    **_facts(
        FactKind.LIST,
        skus="The seller's SKUs of the units to be sent; TikTok Shop's id where the seller has none.",
        products="TikTok Shop's ids of their products.",
        amazon_skus="What they are at Amazon.",
        unmapped_skus="SKUs that no mapping names.",
        unknown_skus="Amazon's SKUs that its stock does not list.",
        skus_not_at_amazon="Amazon's SKUs that the seller sends, and not Amazon.",
        short_skus="Amazon's SKUs of which less can be sold than is ordered.",
    ),
    **_facts(
        FactKind.TRUTH,
        is_cod="Whether it is paid on delivery.",
        is_sample="Whether it is a creator's sample.",
        is_replacement="Whether it replaces another.",
        is_on_hold="Whether TikTok Shop holds it back, such as in the buyer's first hour.",
        is_cancel_requested="Whether the buyer asks to cancel it.",
        is_combined="Whether it shares a parcel with other orders at TikTok Shop.",
        has_buyer_message="Whether the buyer wrote a message.",
        has_dangerous_goods="Whether a unit is a dangerous good.",
        routes_samples="Whether the shop's settings let samples be routed.",
        routes_replacements="Whether the shop's settings let replacements be routed.",
    ),
    **_facts(
        FactKind.TIME,
        create_time="When it was placed.",
        paid_time="When it was paid.",
        ship_until_time="Until when TikTok Shop wants it shipped.",
        deliver_until_time="Until when TikTok Shop wants it delivered.",
    ),
    **_facts(FactKind.NUMBER, age_hours="Hours since it was paid, or placed while it is not paid."),
    **_facts(FactKind.TRUTH, is_waiting="Whether the wait of the shop's settings is not over."),
    **_facts(
        FactKind.TEXT,
        country="Where it goes, two letters.",
        state="The state that it goes to, as labels have it: `TN`.",
        address_problem="What the address lacks, in a reason's word; empty when it can be used.",
    ),
    **_facts(
        FactKind.TRUTH,
        is_in_marketplace="Whether it goes to the shop's own country.",
        has_address="Whether the address can be used.",
        is_po_box="Whether it goes to a post office box.",
        is_military="Whether it goes to an APO, FPO or DPO.",
        is_territory="Whether it goes to a territory such as Puerto Rico.",
        is_noncontiguous="Whether it goes to Alaska or Hawaii.",
    ),
    **_facts(FactKind.TEXT, speed="The speed as the settings and the rules so far make it: `STANDARD`."),
    **_facts(FactKind.LIST, features="Amazon's features that rules so far ask for: `BLANK_BOX`."),
    **_facts(FactKind.TRUTH, is_split="Whether a rule so far splits it."),
    **_facts(FactKind.NUMBER, fee="What Amazon would charge at that speed; known where orders are previewed."),
    **_facts(FactKind.TEXT, fee_currency="The code of its currency."),
    **_facts(FactKind.TIME, promised_time="When Amazon would deliver at the latest; known where orders are previewed."),
    **_facts(
        FactKind.TRUTH,
        is_promised_late="Whether that is after TikTok Shop's own date.",
        is_fulfillable="Whether Amazon says that it can send it; known where orders are previewed.",
    ),
    **_facts(FactKind.LIST, preview_problems="Why it cannot, in Amazon's words."),
}

ADDRESS_FACTS = frozenset(
    {"country", "state", "address_problem", "has_address", "is_po_box", "is_military", "is_territory"}
    | {"is_noncontiguous"}
)
PREVIEW_FACTS = frozenset(
    {"fee", "fee_currency", "promised_time", "is_promised_late", "is_fulfillable", "preview_problems"}
)


def order_facts(told: ShopOrder, now: datetime) -> dict[str, Value]:
    """What TikTok Shop tells of an order."""
    open_units = told.open_units
    skus = {sku_label(unit.platform_sku_id, unit.seller_sku) for unit in open_units}
    listed = [unit.list_price or unit.price for unit in open_units]
    amounts = [price for unit in told.units for price in (unit.price, unit.list_price)] + [told.total]
    since = told.paid_time or told.create_time
    found: dict[str, Value | None] = {
        "status": told.status,
        "fulfillment_type": told.fulfillment_type,
        "shipping_type": told.shipping_type,
        "warehouse": told.warehouse_id,
        "delivery_option": told.delivery_option_name,
        "units": len(open_units),
        "lines": len(skus),
        "total": _amount(told.total),
        "goods_total": _sum([price for price in listed if price]) if all(listed) else None,
        "currency": told.total.currency if told.total else None,
        "has_negative_price": any(amount is not None and amount.minor_units < 0 for amount in amounts),
        "skus": tuple(sorted(skus)),
        "products": tuple(sorted({unit.platform_product_id for unit in open_units if unit.platform_product_id})),
        "is_cod": told.is_cod,
        "is_sample": told.is_sample,
        "is_replacement": told.is_replacement,
        "is_on_hold": told.is_on_hold,
        "is_cancel_requested": told.is_cancel_requested,
        "is_combined": told.is_combined,
        "has_buyer_message": told.has_buyer_message,
        "has_dangerous_goods": any(unit.is_dangerous_good for unit in open_units),
        "create_time": told.create_time,
        "paid_time": told.paid_time,
        "ship_until_time": told.ship_until_time,
        "deliver_until_time": told.deliver_until_time,
        "age_hours": int((now - since).total_seconds() // 3600) if since else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def settings_facts(told: ShopOrder, routing: ShopRouting, now: datetime) -> dict[str, Value]:
    """What the shop's settings say of an order."""
    found: dict[str, Value] = {
        "has_merchant": routing.merchant_id is not None,
        "has_warehouses": bool(routing.platform_warehouse_ids),
        "routes_samples": routing.route_sample_orders,
        "routes_replacements": routing.route_replacement_orders,
        "is_waiting": told.paid_time is not None and told.paid_time + routing.wait > now,
    }
    if routing.platform_warehouse_ids:
        found["is_mcf_warehouse"] = told.warehouse_id in routing.platform_warehouse_ids
    return found


def sku_facts(mapped: Mapped, stock: Mapping[str, Available]) -> dict[str, Value]:
    """What an order's units are at Amazon, and whether it has them."""
    quantities = mapped.quantities
    have = {sku: each for sku in quantities if (each := stock.get(sku)) is not None and each.known}
    return {
        "amazon_skus": tuple(sorted(quantities)),
        "amazon_units": sum(quantities.values()),
        "amazon_lines": len(quantities),
        "largest_unit": max((sum(count for _, count in unit.parts) for unit in mapped.units), default=0),
        "unmapped_skus": tuple(sorted({sku_label(*sku) for sku in mapped.unmapped})),
        "unknown_skus": tuple(sorted(quantities.keys() - have)),
        "skus_not_at_amazon": tuple(sorted(sku for sku, each in have.items() if not each.is_at_amazon)),
        "short_skus": tuple(
            sorted(sku for sku, each in have.items() if each.is_at_amazon and each.units < quantities[sku])
        ),
    }


def address_facts(verdict: recipient.Verdict) -> dict[str, Value]:
    """What rules may know of where an order goes."""
    found: dict[str, Value] = {
        "address_problem": verdict.problem,
        "has_address": verdict.address is not None,
        "is_po_box": recipient.Kind.PO_BOX in verdict.kinds,
        "is_military": recipient.Kind.MILITARY in verdict.kinds,
        "is_territory": recipient.Kind.TERRITORY in verdict.kinds,
        "is_noncontiguous": recipient.Kind.NONCONTIGUOUS in verdict.kinds,
    }
    if verdict.country_code:
        found["country"] = verdict.country_code
    if verdict.address is not None:
        found["state"] = verdict.address.state
    return found


def preview_facts(preview: Preview | None, deliver_until_time: datetime | None) -> dict[str, Value]:
    """What Amazon foresees at a speed; nothing where it was not asked."""
    if preview is None:
        return {}
    items = {problem for _, problems in preview.item_problems for problem in problems}
    found: dict[str, Value] = {
        "is_fulfillable": preview.is_fulfillable,
        "preview_problems": tuple(sorted({*preview.order_problems, *items})),
    }
    if preview.fees and len({fee.currency for fee in preview.fees}) == 1:
        found["fee"] = sum((fee.amount for fee in preview.fees), Decimal())
        found["fee_currency"] = preview.fees[0].currency
    if preview.latest_arrival_time is not None:
        found["promised_time"] = preview.latest_arrival_time
        if deliver_until_time is not None:
            found["is_promised_late"] = preview.latest_arrival_time > deliver_until_time
    return found


def possible_speed(previews: Sequence[Preview], wanted: str) -> str:
    """The speed that is wanted, or STANDARD where Amazon says that only that is possible."""
    possible = {preview.speed for preview in previews if preview.is_fulfillable}
    return Speed.STANDARD.value if wanted not in possible and Speed.STANDARD in possible else wanted


def text_of(value: Value) -> str:
    """A fact in the words that rules use."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case tuple():
            return ", ".join(value)
        case Decimal():
            return f"{value:f}"
    return str(value)


def value_of(kind: FactKind, told: str) -> Value:
    """A text as a fact of a kind, of a list one of its texts. Raises ValueError, which says what would be right."""
    match kind:
        case FactKind.TRUTH:
            if told not in ("true", "false"):
                raise ValueError("Use 'true' or 'false'.")
            return told == "true"
        case FactKind.NUMBER:
            try:
                number = Decimal(told)
            except InvalidOperation:
                number = Decimal("NaN")
            if not number.is_finite() or len(told) > 40:
                raise ValueError("Use a decimal number such as '250' or '12.50'.")
            return number
        case FactKind.TIME:
            return instant_of(told)
    return told


def instant_of(told: str) -> datetime:
    """A text as an instant in UTC. Raises ValueError, which says what would be right."""
    try:
        instant = datetime.fromisoformat(told)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("Use an instant with its offset, such as '2026-03-31T00:00:00Z'.")


def _amount(told: Money | None) -> Decimal | None:
    return None if told is None else Decimal(decimal_text(told.minor_units, told.currency))


def _sum(prices: Sequence[Money]) -> Decimal | None:
    if len({price.currency for price in prices}) != 1:
        return None
    return _amount(Money(prices[0].currency, sum(price.minor_units for price in prices)))
