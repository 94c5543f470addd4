"""What a calendar names, found among what a workspace has."""

from __future__ import annotations

import unicodedata
from typing import Any

from services.gateway.calendars.resolving import Account, Draft, Library, Resolver
from tests.gateway.calendars.given import ACCOUNTS, entries, one, reasons, table

MEDIA = {"a.mp4": "id-a"}


def drafted(resolver: Resolver | None = None, **cells: Any) -> Draft:
    (draft,) = (resolver or Resolver(ACCOUNTS, MEDIA)).resolve([one(**cells)])
    return draft


def test_each_account_of_a_row_is_found() -> None:
    draft = drafted(account="@emberfold.air|@emberfold.fire")
    assert [each.account_id for each in draft.accounts] == ["id-air", "id-fire"]
    draft = drafted(account="@emberfold.air|@emberfold.airs")
    assert reasons(draft.problems) == ["account_unknown"]
    assert "Connected: @emberfold.air" in draft.problems[0].message


def test_an_account_that_names_no_channel_may_have_any() -> None:
    accounts = {"emberfold_official": Account("1")}
    assert not drafted(Resolver(accounts, MEDIA), account="@emberfold_official", channel="fire").problems


def test_an_account_of_another_channel_is_a_slip_unless_it_was_declared() -> None:
    assert reasons(drafted(channel="fire").problems) == ["channel_account_mismatch"]
    assert reasons(drafted(channel="wind").problems) == ["channel_unknown"]
    assert not drafted(Resolver(ACCOUNTS, MEDIA, declared=[("fire", "emberfold.air")]), channel="fire").problems
    accounts = {"emberfold.air": Account("1", "fire")}
    assert not drafted(Resolver(accounts, MEDIA), channel="fire").problems
    assert reasons(drafted(Resolver(accounts, MEDIA), channel="air").problems) == ["channel_account_mismatch"]


def test_the_workspace_s_own_channels_count() -> None:
    accounts = {"brand.promo": Account("1")}
    assert not drafted(Resolver(accounts, MEDIA), account="brand.promo", channel="deals").problems
    resolver = Resolver(accounts, MEDIA, channels=["promo", "deals"])
    assert reasons(drafted(resolver, account="brand.promo", channel="deals").problems) == ["channel_unknown"]


def test_media_are_found_with_or_without_their_folders() -> None:
    library = Library({"good/a.mp4": "1", "bad/b.mp4": "2", "c.mp4": "3", "x/d.mp4": "4", "y/d.mp4": "5"})
    assert library.find("good/a.mp4") == library.find("a.mp4") == library.find("brand/good/a.mp4") == "1"
    assert library.find("anything/c.mp4") == "3"
    assert library.find("y/d.mp4") == "5"
    for name, reason in (("good/b.mp4", "media_missing"), ("d.mp4", "media_ambiguous"), ("ood/a.mp4", "media_missing")):
        problem = library.find(name)
        assert not isinstance(problem, str)
        assert problem.reason == reason


def test_one_file_under_two_names_is_no_question() -> None:
    assert Library({"x/a.mp4": "1", "y/a.mp4": "1"}).find("a.mp4") == "1"


def test_names_with_accents_are_found_in_either_form() -> None:
    library = Library({unicodedata.normalize("NFD", "Würfel.jpg"): "1"})
    assert library.find(unicodedata.normalize("NFC", "Würfel.jpg")) == "1"


def test_a_file_that_was_nearly_named_is_suggested() -> None:
    problem = Library({"good/vertical_8s.mp4": "1"}).find("vertical_8.mp4")
    assert not isinstance(problem, str)
    assert "there is good/vertical_8s.mp4" in problem.message


def test_products_are_looked_at_when_they_are_known() -> None:
    assert not drafted(product_skus="EF-1|EF-2").problems
    draft = drafted(Resolver(ACCOUNTS, MEDIA, {"EF-1"}), product_skus="EF-1|EF-2")
    assert [(each.field, each.reason) for each in draft.problems] == [("product_skus", "sku_unknown")]
    assert draft.problems[0].message.startswith("EF-2 ")


def test_a_ref_is_the_key_of_its_row() -> None:
    assert drafted(ref="Q1-001").key == "Q1-001"


def test_a_row_without_a_ref_is_known_by_its_accounts_and_its_instant() -> None:
    plain, edited = drafted(), drafted(caption="Sort again.", timezone="UTC", local_time="09:00")
    assert plain.key == edited.key != drafted(local_time="11:00").key
    assert plain.key != drafted(account="@emberfold.fire").key
    both = entries(table({}, {"caption": "Another."}))
    keys = [draft.key for draft in Resolver(ACCOUNTS, MEDIA).resolve(both)]
    assert keys == [plain.key, f"{plain.key}:2"]
