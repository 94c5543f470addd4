"""Properties of addresses: whatever people typed, nothing gets lost, everything fits, and nothing hidden is sent."""

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from services.fulfillment.orders.address import AMAZON, normalise
from services.fulfillment.orders.address_text import words
from services.fulfillment.orders.recipient import Address, District, Problem, Recipient, as_recipient

_COUNTRIES = st.sampled_from(["US", "GB", "DE", "FR", "IT", "ES", "CA", "MX", "JP", "AU", "IN", "PR", "IE", "BR", "AE"])
_WORDS = st.lists(
    st.one_of(
        st.text(st.characters(exclude_characters="*∗⁎✱＊﹡•●▪"), min_size=1, max_size=12),
        st.sampled_from(["Apt 5", "12 Main St", "PO Box 3", "O’Brien", "Ｍａｒｉａ", "🎲", "e\u200d\u0301"]),
    ),
    max_size=6,
).map(" ".join)
_PLACES = st.sampled_from([("Tennessee", "37938"), ("MA", "2090"), ("Puerto Rico", "00909"), ("Québec", "h2y1c6")])


@st.composite
def recipients(draw: st.DrawFn) -> Recipient:
    state, postal_code = draw(_PLACES)
    told = draw(st.fixed_dictionaries({}, optional={"state": _WORDS, "postal_code": _WORDS}))
    return Recipient(
        name=draw(_WORDS | st.just("Ana Ruiz")),
        phone=draw(_WORDS | st.just("(+1)8655550108")),
        lines=tuple(draw(st.lists(_WORDS, max_size=4))),
        address_detail=draw(_WORDS),
        districts=(
            District("L3", draw(st.sampled_from(["City", "Town", ""])), draw(_WORDS | st.just("Knoxville"))),
            District("L1", "State", told.get("state", state)),
            District("L2", "County", draw(_WORDS)),
        ),
        postal_code=told.get("postal_code", postal_code),
        post_town=draw(st.just("") | _WORDS),
        country_code=draw(_COUNTRIES | st.text(max_size=3)),
    )


@given(recipients())
def test_no_word_gets_lost_unless_a_change_names_it(recipient: Recipient) -> None:
    verdict = normalise(recipient)
    if (address := verdict.address) is None:
        return
    kept = " ".join([*texts_of(address), *(change.before for change in verdict.changes)])
    told = [recipient.name, recipient.phone, *recipient.lines, recipient.postal_code, recipient.post_town]
    told += [each.name for each in recipient.districts]
    assert [word for text in told for word in text.split() if word not in kept] == []
    said = words(" ".join(address.lines))
    assert [word for word in words(recipient.address_detail) if word not in [*words(kept), *said]] == []


@given(recipients())
def test_every_address_is_within_the_limits_and_nothing_is_left_to_change(recipient: Recipient) -> None:
    address = normalise(recipient).address
    if address is None:
        return
    assert 1 <= len(address.name) <= AMAZON.name
    assert 1 <= len(address.lines) <= AMAZON.lines
    assert all(1 <= len(line) <= AMAZON.line for line in address.lines)
    assert len(address.city) <= AMAZON.city
    assert len(address.phone) <= 20
    assert all(text == " ".join(text.split()) and text.isprintable() for text in texts_of(address))
    again = normalise(as_recipient(address))
    assert (again.address, again.changes) == (address, ())


@given(recipients(), st.sampled_from(["name", "line", "postal_code", "city"]), st.text(max_size=3))
def test_stars_anywhere_but_in_the_phone_never_make_an_address(recipient: Recipient, where: str, before: str) -> None:
    star = before + "*"
    if where == "name":
        recipient = replace(recipient, name=star)
    elif where == "line":
        recipient = replace(recipient, lines=(*recipient.lines[:3], star))
    elif where == "postal_code":
        recipient = replace(recipient, postal_code=star)
    else:
        recipient = replace(recipient, districts=(*recipient.districts[1:], District("L3", "City", star)))
    assert normalise(recipient).problems == (Problem.MASKED_ADDRESS,)


def texts_of(address: Address) -> list[str]:
    values = [getattr(address, each.name) for each in fields(address)]
    return [text for value in values for text in (value if isinstance(value, tuple) else (value,))]
