"""The signature: known vectors, and what must and must not change it."""

import random
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vendors.tiktok_shop.signing import query_text, sign, signed_url

SECRET = "test_secret_0001"
SEARCH = {
    "app_key": "123abc",
    "page_size": "50",
    "shop_cipher": "ROW_TestCipher01",
    "sort_field": "update_time",
    "sort_order": "ASC",
    "timestamp": "1735776000",
}
BODY = b'{"order_status":"AWAITING_SHIPMENT","update_time_ge":1735689600}'
PARAMS = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=6)


@pytest.mark.parametrize(
    ("secret", "path", "params", "body", "expected"),
    [
        (  # V1, TikTok's own example
            "e59af819cc",
            "/authorization/202309/shops",
            {"app_key": "29a39d", "timestamp": "1623812664"},
            b"",
            "b596b73e0cc6de07ac26f036364178ab16b0a907af13d43f0a0cd2345f582dc8",
        ),
        (  # V2
            SECRET,
            "/order/202309/orders/search",
            SEARCH,
            BODY,
            "40d9c7bb50f431499099d802b4e3ae6ec31450be078ecd08d5f408380af9d677",
        ),
        (  # V3: a multipart body is not signed
            SECRET,
            "/product/202309/images/upload",
            {"app_key": "123abc", "timestamp": "1735776000"},
            b"",
            "fc85fede72d6cd2c8dc649e53dc1ce05723e58e7b74cb4e83ab6c94775d2afe4",
        ),
        (  # V4
            SECRET,
            "/order/202507/orders",
            {
                "app_key": "123abc",
                "ids": "576461413038785752,576461413038785753",
                "shop_cipher": "ROW_TestCipher01",
                "timestamp": "1735776000",
            },
            b"",
            "c84eba06bb0e1c6ab0e5fa805208478f5414d98b15285f705b8340ae4c5686fa",
        ),
        (  # the negative vector: a body with spaces is another body
            SECRET,
            "/order/202309/orders/search",
            SEARCH,
            b'{"order_status": "AWAITING_SHIPMENT", "update_time_ge": 1735689600}',
            "c4bd558f922690139c91f24b4383b9335a07a31ca7c6642ac6106b4a820a95e6",
        ),
    ],
    ids=["V1", "V2", "V3", "V4", "spaces"],
)
def test_known_vectors_agree(secret: str, path: str, params: dict[str, str], body: bytes, expected: str) -> None:
    assert sign(secret, path, params, body) == expected


def test_an_address_carries_the_signature_of_its_decoded_query() -> None:
    query = {name: value for name, value in SEARCH.items() if name not in ("app_key", "timestamp")}
    url = f"/order/202309/orders/search?{query_text(query)}"
    address = signed_url(url, BODY, app_key="123abc", secret=SECRET, timestamp=1735776000)
    assert dict(parse_qsl(urlsplit(address).query)) == SEARCH | {
        "sign": "40d9c7bb50f431499099d802b4e3ae6ec31450be078ecd08d5f408380af9d677"
    }


def test_a_body_that_is_not_ascii_is_signed_as_its_bytes() -> None:
    text = '{"title":"Wärme & Glut ✨"}'
    assert sign(SECRET, "/p", {}, text.encode()) != sign(SECRET, "/p", {}, text.encode("unicode_escape"))


@given(PARAMS, st.binary(max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_the_parameters_does_not_matter(
    params: dict[str, str], body: bytes, shuffler: random.Random
) -> None:
    names = list(params)
    shuffler.shuffle(names)
    shuffled = {name: params[name] for name in names}
    assert sign(SECRET, "/a/202309/b", shuffled, body) == sign(SECRET, "/a/202309/b", params, body)


@given(PARAMS, st.text(max_size=80))
def test_neither_sign_nor_access_token_is_signed(params: dict[str, str], extra: str) -> None:
    assume(not {"sign", "access_token"} & set(params))
    with_extra = params | {"sign": extra, "access_token": extra}
    assert sign(SECRET, "/p", with_extra) == sign(SECRET, "/p", params)


@given(st.binary(min_size=1, max_size=60), st.integers(0), st.integers(1, 255))
def test_any_changed_byte_of_the_body_changes_the_signature(body: bytes, place: int, change: int) -> None:
    changed = bytearray(body)
    changed[place % len(body)] ^= change
    assert sign(SECRET, "/p", SEARCH, bytes(changed)) != sign(SECRET, "/p", SEARCH, body)


@given(st.sampled_from(sorted(SEARCH)), st.integers(0), st.integers(1, 127))
def test_any_changed_character_of_a_parameter_changes_the_signature(name: str, place: int, change: int) -> None:
    value = SEARCH[name]
    place %= len(value)
    changed = value[:place] + chr(ord(value[place]) ^ change) + value[place + 1 :]
    assert sign(SECRET, "/p", SEARCH | {name: changed}) != sign(SECRET, "/p", SEARCH)


@given(st.text("abc/", min_size=1, max_size=20), st.text(min_size=6, max_size=20))
def test_another_path_or_secret_is_another_signature(path: str, secret: str) -> None:
    assume(secret != SECRET)
    assert sign(SECRET, "/p" + path, SEARCH) != sign(SECRET, "/p", SEARCH)
    assert sign(secret, "/p", SEARCH) != sign(SECRET, "/p", SEARCH)


@given(PARAMS)
def test_what_the_query_says_survives_its_encoding(params: dict[str, str]) -> None:
    assume(not {"app_key", "timestamp", "sign"} & set(params))
    url = f"/p?{query_text(params)}" if params else "/p"
    address = signed_url(url, b"", app_key="k", secret=SECRET, timestamp=1)
    sent = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
    given_sign = sent.pop("sign")
    assert sent == params | {"app_key": "k", "timestamp": "1"}
    assert given_sign == sign(SECRET, "/p", sent)
