from typing import Any
from uuid import UUID

import pytest

from services.notification.domain import Draft, RetryPolicy, Severity, is_told, message_of
from tests.notification.receivers import facts


def message(type_: str, attributes: dict[str, str] | None = None, **changes: Any) -> Draft:
    told = facts(type=type_, attributes=attributes or {}, **changes)
    assert is_told(told)
    return message_of(told)


def test_a_published_post_is_told_with_its_account_and_its_link() -> None:
    assert message_of(facts()) == Draft(
        Severity.INFO,
        "Published on TikTok for @reel_air",
        "TikTok shows the video.\n"
        "Link: https://www.tiktok.com/@reel_air/video/1\n"
        "Post: 00000000-0000-0000-0000-000000000007",
    )


@pytest.mark.parametrize(
    ("type_", "title"),
    [
        ("delivery.rejected", "TikTok rejected a post of @reel_air"),
        ("delivery.failed", "Not published on TikTok: a post of @reel_air"),
        ("delivery.delayed", "Delayed on TikTok: a post of @reel_air"),
        ("delivery.missed", "Decide: a post of @reel_air missed its time on TikTok"),
        ("delivery.foreseen", "Act in time: posts of @reel_air will not go out"),
        ("delivery.stalled", "No progress on TikTok: a post of @reel_air"),
        ("incident.opened", "TikTok is failing: nothing is sent to it"),
        ("account.authorization_lost", "Connect @reel_air to TikTok again"),
    ],
)
def test_a_problem_is_told_with_its_reason(type_: str, title: str) -> None:
    draft = message(type_, {"platform": "PLATFORM_TIKTOK", "handle": "@reel_air", "reason": "spam_risk"})
    assert (draft.severity, draft.title) == (Severity.PROBLEM, title)
    assert "\nReason: spam_risk\n" in draft.body


def test_a_message_without_any_attribute_still_reads_well() -> None:
    draft = message("account.authorization_lost", post_id=None, account_id=UUID(int=3))
    assert draft.title == "Connect one of your accounts to the platform again"
    assert draft.body == "TikTok shows the video.\nAccount: 00000000-0000-0000-0000-000000000003"


def test_a_message_about_an_account_names_it() -> None:
    paused = facts(type="hold.placed", post_id=None, account_id=UUID(int=3), attributes={"cause": "PAUSE"})
    body = message_of(paused, {"platform": "tiktok", "handle": "emberfold.air"}).body
    assert body.splitlines()[-1] == "Account: @emberfold.air, 00000000-0000-0000-0000-000000000003"


@pytest.mark.parametrize(
    "type_",
    ["post.created", "delivery.claimed", "delivery.retrying", "delivery.held", "delivery.moved", "moon.landed"],
)
def test_other_activity_is_told_to_nobody(type_: str) -> None:
    assert not is_told(facts(type=type_))


@pytest.mark.parametrize(
    ("type_", "attributes", "told"),
    [
        ("delivery.uncertain", {}, False),
        ("delivery.uncertain", {"needs_person": "true"}, True),
        ("delivery.dropped", {"reason": "TOO_LATE"}, True),
        ("delivery.dropped", {"reason": "DROPPED"}, False),
        ("hold.placed", {}, True),
        ("hold.placed", {"cause": "PAUSE"}, True),
        ("hold.placed", {"cause": "ACCOUNT"}, False),
        ("hold.lifted", {"cause": "INCIDENT"}, False),
        ("incident.opened", {}, True),
        ("outage.ended", {}, True),
        ("series.refused", {}, True),
        ("time_zone.changed", {}, True),
        ("shop.authorization_lost", {}, True),
        ("shop.authorization_ending", {}, True),
        ("shop.connected", {}, False),
        ("series.made", {}, False),
    ],
)
def test_people_are_told_what_they_must_end_and_what_they_have_not_done_themselves(
    type_: str, attributes: dict[str, str], told: bool
) -> None:
    assert is_told(facts(type=type_, attributes=attributes)) is told


def test_a_message_for_many_says_how_many_shows_the_first_and_where_the_others_are() -> None:
    first = facts(type="delivery.missed", summary="It is 7 h late.", attributes={"reason": "TOO_LATE"})
    assert message_of(first, count=12) == Draft(
        Severity.PROBLEM,
        "Decide: 12 posts missed their time",
        "The first of 12:\nIt is 7 h late.\nReason: TOO_LATE\nPost: 00000000-0000-0000-0000-000000000007\n"
        "`reelroute posts waiting` lists them.",
    )


def test_an_account_is_named_as_it_was_when_it_was_connected() -> None:
    published = facts(type="delivery.published", attributes={"url": "https://example.com/1"})
    draft = message_of(published, {"platform": "tiktok", "handle": "emberfold.air"})
    assert draft.title == "Published on TikTok for @emberfold.air"


def test_a_title_is_one_short_line_whatever_a_handle_holds() -> None:
    # A line break in a subject would begin a new header of the e-mail.
    title = message("delivery.failed", {"handle": "a\r\nBcc: all@example.com\0\t" + "x" * 500}).title
    assert title.startswith("Not published on the platform: a post of @a Bcc: all@example.com xxx")
    assert title.isprintable()
    assert len(title) == 150


@pytest.mark.parametrize(
    ("attempt", "wait"),
    [(1, 30), (2, 90), (3, 270), (4, 810), (5, 2430), (6, None)],  # 30 × 3^(attempt - 1); together 3,630 s
)
def test_waits_triple_until_the_sixth_attempt_was_the_last(attempt: int, wait: float | None) -> None:
    assert RetryPolicy().wait_seconds(attempt, chance=0.5) == wait


def test_waits_are_spread_by_a_fifth() -> None:
    assert RetryPolicy().wait_seconds(1, chance=0.0) == 24
    assert RetryPolicy().wait_seconds(1, chance=1.0) == pytest.approx(36)


def test_a_shop_that_was_lost_is_named_with_what_to_do() -> None:
    told = facts(type="shop.authorization_lost", attributes={"shop": "Emberfold US\n", "platform": "tiktok_shop"})
    draft = message_of(told)
    assert draft.title == "Connect Emberfold US to TikTok Shop again"
    lost = facts(type="merchant.authorization_lost", attributes={"merchant": "Emberfold", "platform": "amazon"})
    assert message_of(lost).title == "Connect Emberfold to Amazon again: orders wait"
    assert message_of(facts(type="shop.authorization_lost")).title == "Connect one of your shops to TikTok again"
