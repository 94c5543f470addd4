import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from reelroute.identity.v1 import identity_pb2 as pb

from kit.errors import InvalidArgument
from services.identity import domain
from services.identity.domain import ApiKey, KeyText, Scope

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)
WORKSPACE = UUID(int=1)


def key(expire_time: datetime | None = None) -> ApiKey:
    return domain.new_api_key(
        UUID(int=2),
        WORKSPACE,
        KeyText.make(),
        display_name="Nightly import",
        scopes=[Scope.POSTS_WRITE, Scope.POSTS_READ],
        now=NOW,
        expire_time=expire_time,
    )


def test_the_scopes_are_those_of_the_contract() -> None:
    assert {"SCOPE_UNSPECIFIED", *(f"SCOPE_{scope.value}" for scope in Scope)} == set(pb.Scope.keys())


def test_a_key_text_has_the_promised_shape_and_is_never_the_same_twice() -> None:
    texts = {KeyText.make().text for _ in range(100)}
    assert len(texts) == 100
    assert all(re.fullmatch(r"rr_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", text) for text in texts)


def test_a_key_text_does_not_show_when_its_object_is_printed() -> None:
    text = KeyText.make()
    assert text.text not in f"{text} {text!r}"
    assert text.prefix == text.text[:11]
    assert text.text not in repr(key())


@pytest.mark.parametrize("pattern", ["{}A", "{}\n", " {}", "Bearer {}", "r{}"])
def test_what_does_not_look_like_a_key_is_refused_like_an_unknown_one(pattern: str) -> None:
    text = KeyText.make().text
    assert KeyText.parse(text).text == text
    with pytest.raises(domain.ApiKeyRefused):
        KeyText.parse(pattern.format(text))


def test_a_key_is_good_until_the_instant_of_its_expiry() -> None:
    expiring = key(expire_time=NOW + A_SECOND)
    assert domain.admit(expiring, NOW + A_SECOND - timedelta(microseconds=1)) == expiring
    with pytest.raises(domain.ApiKeyRefused):
        domain.admit(expiring, NOW + A_SECOND)


def test_unknown_revoked_and_expired_keys_get_the_same_answer() -> None:
    answers = []
    for refused in (None, replace(key(), revoke_time=NOW), key(expire_time=NOW + A_SECOND)):
        with pytest.raises(domain.ApiKeyRefused) as caught:
            domain.admit(refused, NOW + A_SECOND)
        answers.append(
            (caught.value.message, caught.value.reason, caught.value.metadata, list(caught.value.violations))
        )
    assert answers[0] == answers[1] == answers[2]


def test_a_key_that_would_be_dead_at_birth_is_refused() -> None:
    with pytest.raises(domain.ExpireTimeInPast) as caught:
        key(expire_time=NOW)
    assert caught.value.violations[0].field == "expire_time"


def test_a_use_is_noted_at_most_once_a_minute() -> None:
    assert domain.use_is_news(key(), NOW)
    used = replace(key(), last_use_time=NOW)
    assert not domain.use_is_news(used, NOW + timedelta(seconds=59))
    assert domain.use_is_news(used, NOW + timedelta(seconds=60))


def test_names_lose_the_spaces_around_them_and_keep_the_rest() -> None:
    assert domain.readable_name("  Café Zürich 👩‍👩‍👧 \u3000") == "Café Zürich 👩‍👩‍👧"


@pytest.mark.parametrize("name", ["", "   ", "\u200b", "two\nlines", "bell\a", "a\u2028b", "x" * 101])
def test_names_that_nobody_could_read_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        domain.readable_name(name)
    assert caught.value.violations[0].field == "display_name"
