"""The limits of a platform's day, kept before the platform is asked."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from kit.db import ALL_WORKSPACES
from services.publisher.caps import Caps
from services.publisher.domain import Account, AttemptFailed, Failure, FailureKind, Step
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Problem
from services.publisher.quotas import DAY, Quotas
from tests.publisher.factories import OTHER_WORKSPACE, a_claim, at_step, save_account
from tests.publisher.rows import reports
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
    assert await enter(Caps(ledger.database), account) is None
    await let_out(ledger, account, Step.UNCERTAIN)
    failure = await enter(Caps(ledger.database), account)
    assert failure is not None
    assert (failure.kind, failure.reason) == (FailureKind.RATE_LIMITED, "DAILY_CAP_REACHED")
    assert failure.retry_time is not None
    assert abs(failure.retry_time - (datetime.now(UTC) - timedelta(hours=20) + DAY)) < timedelta(minutes=1)
    assert "2 posts" in failure.message


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
    caps.leave(first)
    assert await enter(caps, account) is None


async def test_of_many_that_ask_at_once_as_many_get_a_place_as_there_are(ledger: Ledger) -> None:
    account, caps = save_account(ledger), Caps(ledger.database)
    found = await asyncio.gather(*(enter(caps, account) for _ in range(6)))
    assert [failure is None for failure in found].count(True) == 2


async def test_a_place_that_comes_within_a_minute_is_waited_for(ledger: Ledger) -> None:
    account = save_account(ledger)
    await let_out(ledger, account)
    waits: list[float] = []
    said: list[str] = []
    clock = [datetime.now(UTC) + DAY - timedelta(seconds=30)]

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += timedelta(seconds=seconds)

    caps = Caps(ledger.database, now=lambda: clock[0], sleep=sleep)
    await caps.enter(account, a_claim().delivery_id, Quotas(posts_per_day=1), lambda: said.append("waits"))
    assert said == ["waits"]
    assert 28 < waits[0] < 31


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
