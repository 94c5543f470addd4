from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fulfillment.domain import SCOPES, missing_scopes, renew_time
from services.fulfillment.marketplaces import tiktok_shop
from services.fulfillment.money import Money, money
from services.fulfillment.products import (
    Product,
    SeenProduct,
    Sku,
    Span,
    SpanTooSmall,
    halves,
    kept_text,
    merged,
    needs_detail,
    plain_text,
    search_text,
)
from services.fulfillment.sales import percent
from vendors.tiktok_shop.order_models import order

NOW = datetime(2027, 1, 4, 18, 0, tzinfo=UTC)
BLACK = Sku("1", "EF-BLK", Money("USD", 999), 5, ("Colour: black",), "4006381333931")
moments = st.integers(1_420_070_400, 1_800_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def a_product(*skus: Sku, is_detail_due: bool = False) -> Product:
    return Product(
        UUID(int=1), UUID(int=2), "17", "Sleeves", "ACTIVATE", skus, "Soft.", (), NOW, NOW, NOW, is_detail_due
    )


def seen(*skus: Sku, **changes: object) -> SeenProduct:
    values = {"create_time": NOW, "update_time": NOW} | changes
    return SeenProduct("17", "Sleeves", str(values.pop("status", "ACTIVATE")), skus, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("12.34", "USD", Money("USD", 1234)),
        ("1234", "JPY", Money("JPY", 1234)),
        ("0.125", "USD", Money("USD", 12)),
        ("-3.5", "GBP", Money("GBP", -350)),
        ("1", "", None),
        ("1", "dollars", None),
        ("1e30", "USD", None),
    ],
)
def test_amounts_are_kept_in_the_smallest_unit(amount: str, currency: str, expected: Money | None) -> None:
    assert money(Decimal(amount), currency) == expected


@given(st.decimals("0", "100", places=4))
def test_a_share_is_shown_as_a_percentage_without_losing_a_digit(share: Decimal) -> None:
    assert Decimal(percent(share)) == share * 100
    assert not percent(share).endswith((".", ".0"))


@given(moments, moments)
def test_halves_of_a_span_meet_and_hold_every_second_of_it_once(one: datetime, other: datetime) -> None:
    start, end = min(one, other), max(one, other)
    if start == end:
        with pytest.raises(SpanTooSmall):
            halves(Span(start, end), NOW)
        return
    first, second = halves(Span(start, end), NOW)
    assert (first.start, second.end) == (start, end)
    assert first.end is not None
    assert second.start == first.end + timedelta(seconds=1)
    assert start <= first.end < end


def test_a_span_without_limits_is_cut_between_the_beginning_of_shops_and_now() -> None:
    first, second = halves(Span(None, None), NOW)
    assert first.start is not None
    assert first.start.year == 2015
    assert second.end == NOW


def test_a_list_keeps_what_only_the_product_itself_tells() -> None:
    listed = Sku("1", "EF-BLK", Money("USD", 1099), 4, (), "")
    assert merged(seen(listed), a_product(BLACK)).skus == (
        Sku("1", "EF-BLK", Money("USD", 1099), 4, ("Colour: black",), "4006381333931"),
    )
    untold = Sku("1", "EF-BLK", None, None, (), "")
    assert merged(seen(untold), a_product(BLACK)).skus[0].available_quantity == 5
    assert merged(seen(untold, description="Soft.", image_urls=()), a_product(BLACK)).skus == (untold,)
    assert merged(seen(untold), None).skus == (untold,)


def test_a_product_is_read_by_itself_when_it_is_new_or_has_changed() -> None:
    assert needs_detail(seen(), None)
    assert needs_detail(seen(update_time=NOW + timedelta(seconds=1)), a_product())
    assert needs_detail(seen(), a_product(is_detail_due=True))
    assert not needs_detail(seen(), a_product())
    assert not needs_detail(seen(update_time=None), a_product())
    assert not needs_detail(seen(status="DELETED"), None)
    assert not needs_detail(seen(description="Soft.", image_urls=()), a_product())


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Soft &amp; clear</p><p>100 ct</p>", "Soft & clear\n100 ct"),
        ("<ul><li>One</li><li>Two</li></ul>", "One\nTwo"),
        ("one<br/>two", "one\ntwo"),
        ("<style>p {color: red}</style><script>alert(1)</script>Text", "Text"),
        ("Just\ntext   with  blanks", "Just text with blanks"),
        ("<p>not <b>closed", "not closed"),
        ('<img src="https://p.example/1.jpg">', ""),
        ("", ""),
    ],
)
def test_a_description_is_kept_as_plain_text(html: str, text: str) -> None:
    assert plain_text(html) == text


@given(st.text())
def test_what_is_kept_of_any_text_can_be_stored_and_sent(text: str) -> None:
    for kept in (kept_text(text), plain_text(text)):
        assert "\0" not in kept
        kept.encode()


def test_half_a_character_does_not_hold_up_a_catalogue() -> None:
    assert kept_text("a\ud83db\0") == "a?b"


def test_titles_and_sellers_skus_are_searched_whatever_their_case() -> None:
    assert search_text("Würfel", [BLACK, BLACK]) == "würfel\nef-blk"


def test_a_token_is_renewed_two_days_ahead_and_a_short_one_in_the_middle_of_its_life() -> None:
    assert renew_time(NOW + timedelta(days=7), NOW) == NOW + timedelta(days=5)
    assert renew_time(NOW + timedelta(hours=4), NOW) == NOW + timedelta(hours=2)


def test_missing_scopes_are_named_with_their_use() -> None:
    assert missing_scopes(SCOPES) == ""
    assert "seller.order.info (orders)" in missing_scopes(set(SCOPES) - {"seller.order.info"})


def test_units_of_an_order_are_counted_by_sku_and_price() -> None:
    def unit(number: int, sku: str, price: str) -> dict[str, str]:
        return {"id": str(number), "sku_id": sku, "product_id": "17", "sale_price": price, "currency": "USD"}

    found = order(
        {
            "id": "576461413038785752",
            "status": "AWAITING_SHIPMENT",
            "rts_sla_time": 1_800_000_200,
            "shipping_due_time": 1_800_000_100,
            "recipient_address": {"name": "J*** D**"},
            "line_items": [unit(1, "1", "9.99"), unit(2, "1", "9.99"), unit(3, "1", "0"), unit(4, "2", "5")],
        }
    )
    ours = tiktok_shop.order_of(found)
    counted = [(line.platform_sku_id, line.quantity, line.price) for line in ours.lines]
    assert counted == [("1", 2, Money("USD", 999)), ("1", 1, Money("USD", 0)), ("2", 1, Money("USD", 500))]
    assert ours.ship_until_time == datetime.fromtimestamp(1_800_000_100, UTC)
    assert "J*** D**" not in repr(ours)
