import base64

import pytest

from kit.crypto import KEY_BYTES, KeyUnusable, SealBroken, new_key, parse_key, seal, unseal

KEY = new_key()
PLACE = "workspace-1|account-1|access_token"


def test_what_was_sealed_opens_again_at_its_place() -> None:
    sealed = seal(KEY, b"a token", PLACE)
    assert unseal(KEY, sealed, PLACE) == b"a token"
    assert b"a token" not in sealed
    # A fresh nonce each time: equal values do not look equal.
    assert seal(KEY, b"a token", PLACE) != sealed


SEALED = seal(KEY, b"a token", PLACE)


@pytest.mark.parametrize(
    ("key", "sealed", "place"),
    [
        (KEY, SEALED, "workspace-2|account-1|access_token"),  # moved to another workspace
        (KEY, SEALED, "workspace-1|account-1|refresh_token"),  # moved to another column
        (new_key(), SEALED, PLACE),  # another key
        (KEY, SEALED[:-1] + bytes([SEALED[-1] ^ 1]), PLACE),  # a changed bit
        (KEY, b"\x02" + SEALED[1:], PLACE),  # another version
        (KEY, SEALED[:20], PLACE),  # cut short
        (KEY, SEALED[:5], PLACE),
        (KEY, SEALED[:1], PLACE),
        (KEY, b"", PLACE),
    ],
    ids=["workspace", "column", "key", "bit", "version", "cut", "nonce cut", "version alone", "nothing"],
)
def test_a_value_that_was_moved_changed_or_cut_does_not_open(key: bytes, sealed: bytes, place: str) -> None:
    with pytest.raises(SealBroken):
        unseal(key, sealed, place)


def test_a_master_key_is_32_bytes_in_base64() -> None:
    assert parse_key(f" {base64.b64encode(KEY).decode()}\n") == KEY
    assert len(KEY) == KEY_BYTES == 32


@pytest.mark.parametrize("text", ["", "geheim", "ключ", base64.b64encode(b"short").decode(), "=" * 44])
def test_anything_else_is_refused_with_the_way_to_make_one_and_without_the_text(text: str) -> None:
    with pytest.raises(KeyUnusable, match="Make one: python3 -c") as refusal:
        parse_key(text)
    assert not text or text not in str(refusal.value)
