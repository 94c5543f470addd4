"""The limits of a platform's day, kept before the platform is asked."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from kit.db import ALL_WORKSPACES, Database
from services.publisher.caps import Caps
from services.publisher.domain import Account, AttemptFailed, Failure, FailureKind, Step
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Problem
from services.publisher.quotas import DAY, Quotas
from tests.publisher.factories import OTHER_WORKSPACE, a_claim, at_step, save_account
from tests.publisher.rows import reports, rows
from tests.publisher.scripted import Scene, ScriptedPlatform

pytestmark = pytest.mark.anyio

TWO = Quotas(posts_per_day=2)


async def let_out(ledger: Ledger, account: Account, step: Step = Step.PUBLISHED, hours_ago: float = 0) -> None:
    """Something that the account let out so long ago."""
    publication = await at_step(ledger, a_claim(account_id=account.account_id, workspace_id=account.workspace_id), step)
    with ledger.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text(
                "UPDATE publications SET commit_time = commit_time - :ago, accept_time = accept_time - :ago"
                " WHERE publication_id = :id"
            ),
            {"ago": timedelta(hours=hours_ago), "id": publication.publication_id},
        )


async def enter(caps: Caps, account: Account, quotas: Quotas = TWO) -> Failure | None:
    """Why a new delivery gets no place; None: it has one."""
    try:
        await caps.enter(account, a_claim().delivery_id, quotas, lambda: None)
    except AttemptFailed as refused:
        return refused.failure
    return None


async def test_what_was_let_out_within_a_day_counts_and_nothing_else_does(ledger: Ledger) -> None:
    account, other = save_account(ledger), save_account(ledger, profile="open-2")
    for step in (Step.OPENED, Step.PREPARED, Step.HANDLE, Step.REJECTED, Step.FAILED):
        await let_out(ledger, account, step)
    await let_out(ledger, account, hours_ago=25)
    await let_out(ledger, account, hours_ago=20)
    await let_out(ledger, other)
    caps, claim = Caps(ledger.database), a_claim()
    assert await caps.enter(account, claim.delivery_id, TWO, lambda: None)
    await caps.leave(account, claim.delivery_id)
    await let_out(ledger, account, Step.UNCERTAIN)
    failure = await enter(caps, account)
    assert failure is not None
    assert (failure.kind, failure.reason) == (FailureKind.RATE_LIMITED, "DAILY_CAP_REACHED")
    assert failure.retry_time is not None
    assert abs(failure.retry_time - (datetime.now(UTC) - timedelta(hours=20) + DAY)) < timedelta(minutes=1)
    assert "2 posts" in failure.message


async def test_drafts_fill_the_inbox_and_posts_the_day(ledger: Ledger) -> None:
    account, caps = save_account(ledger), Caps(ledger.database)
    quotas = Quotas(posts_per_day=1, drafts_per_day=1)
    draft = a_claim(account_id=account.account_id, options={"tiktok": {"post_mode": "MEDIA_UPLOAD"}})
    await at_step(ledger, draft, Step.PUBLISHED)
    assert await enter(caps, account, quotas) is None
    with pytest.raises(AttemptFailed) as full:
        await caps.enter(account, a_claim().delivery_id, quotas, lambda: None, draft=True)
    assert (full.value.failure.kind, full.value.failure.reason) == (
        FailureKind.RATE_LIMITED,
        "PENDING_DRAFTS_REACHED",
    )
    # The place that was just taken is a post's.
    assert await enter(caps, account, Quotas(posts_per_day=1)) is not None


async def test_without_a_cap_the_ledger_is_not_asked(ledger: Ledger) -> None:
    account = save_account(ledger)
    for _ in range(3):
        await let_out(ledger, account)
    ledger.database.close()
    assert await enter(Caps(None), account, Quotas(account_posts_per_minute=6)) is None  # type: ignore[arg-type]


async def test_deliveries_in_work_take_places_until_they_are_over(ledger: Ledger) -> None:
    account, caps = save_account(ledger), Caps(ledger.database)
    first, second = a_claim().delivery_id, a_claim().delivery_id
    for delivery in (first, second):
        await caps.enter(account, delivery, TWO, lambda: None)
    assert await enter(caps, account) is not None
    # The same delivery has its place already.
    await caps.enter(account, first, TWO, lambda: None)
    await caps.leave(account, first)
    assert await enter(caps, account) is None


async def test_a_place_that_comes_soon_is_waited_for(ledger: Ledger) -> None:
    account = save_account(ledger)
    await let_out(ledger, account, hours_ago=(DAY - timedelta(seconds=1)) / timedelta(hours=1))
    said: list[str] = []
    began = time.monotonic()
    one = Quotas(posts_per_day=1)
    assert await Caps(ledger.database).enter(account, a_claim().delivery_id, one, lambda: said.append("waits"))
    assert said == ["waits"]
    assert 0.3 < time.monotonic() - began < 5


async def test_two_processes_do_not_both_take_the_last_place(ledger: Ledger) -> None:
    account, other = save_account(ledger), Database(ledger.database.url.render_as_string(False), "publisher")
    found = await asyncio.gather(
        *(enter(Caps(database), account) for database in (ledger.database, other) for _ in range(3))
    )
    other.close()
    assert [failure is None for failure in found].count(True) == 2


async def test_the_place_of_a_process_that_died_is_free_after_a_while(ledger: Ledger) -> None:
    account, caps = save_account(ledger), Caps(ledger.database)
    for _ in range(2):
        assert await enter(caps, account) is None
    with ledger.database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(text("UPDATE day_places SET expire_time = now()"))
    assert await enter(caps, account) is None
    caps.forget()
    assert len(rows(ledger.database, "day_places")) == 1


async def test_an_application_with_few_accounts_a_day_counts_those_of_all_workspaces(ledger: Ledger) -> None:
    mine, theirs = save_account(ledger), save_account(ledger, OTHER_WORKSPACE, profile="open-2")
    third = save_account(ledger, profile="open-3")
    await let_out(ledger, theirs, hours_ago=1)
    await let_out(ledger, mine)
    caps, quotas = Caps(ledger.database), Quotas(accounts_per_day=2)
    assert await enter(caps, mine, quotas) is None
    failure = await enter(caps, third, quotas)
    assert failure is not None
    assert failure.reason == "ACTIVE_ACCOUNTS_REACHED"


async def test_a_post_over_the_cap_is_put_off_until_there_is_room_and_the_platform_is_not_asked(ledger: Ledger) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(quotas=Quotas(posts_per_day=1)))
    await scene.deliver()
    assert scene.step == "ACCEPTED"
    assert rows(ledger.database, "day_places") == []
    calls = list(scene.platform.calls)
    scene.claim = a_claim(account_id=scene.claim.account_id)
    await scene.deliver()
    assert scene.platform.calls == calls
    failure = reports(ledger.database)[-1].failure
    assert failure.reason == "DAILY_CAP_REACHED"
    assert failure.retry_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC) > timedelta(hours=24)


async def test_what_does_not_fit_fails_without_a_call_or_a_place(ledger: Ledger) -> None:
    scene = Scene.of(ledger, ScriptedPlatform(quotas=Quotas(posts_per_day=1)))
    scene.platform.problems = [
        Problem("media", "VIDEO_MISSING", "Add a video."),
        Problem("caption", "X", "Shorten it."),
    ]
    await scene.deliver()
    assert (scene.step, scene.row()["failure_reason"]) == ("FAILED", "VIDEO_MISSING")
    assert scene.row()["failure_message"] == "Add a video. Shorten it."
    assert scene.platform.calls == []
    scene.platform.problems = []
    scene.claim = dataclasses.replace(a_claim(account_id=scene.claim.account_id))
    await scene.deliver()
    assert scene.step == "ACCEPTED"
