"""Claims and publications for tests that need no scheduler."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from kit.custody import TokenPair
from services.publisher import account_store
from services.publisher.domain import (
    Account,
    AccountState,
    Claim,
    Epoch,
    Failure,
    FailureKind,
    Handle,
    MediaRef,
    Platform,
    Publication,
    Step,
    Verdict,
    Visibility,
)
from services.publisher.ledger import Ledger
from services.publisher.platforms.base import Taken

WORKSPACE = UUID(int=1)
OTHER_WORKSPACE = UUID(int=2)
NOW = datetime(2027, 1, 4, 18, 0, tzinfo=UTC)
FIRST_EPOCH = Epoch(1, NOW - timedelta(days=100))
ACCESS, REFRESH = "planted-access-token", "planted-refresh-token"
REFUSED = Failure(FailureKind.REJECTED, "TIKTOK_SPAM_RISK", "No.")
BROKEN = Failure(FailureKind.PERMANENT, "MEDIA_UNFIT", "It is too long.")
LATER = Failure(FailureKind.TRANSIENT, "TIKTOK_INTERNAL", "Later.")
PUBLIC = Verdict(Visibility.PUBLIC, "7400", "https://www.tiktok.com/@emberfold.air/video/7400")


def a_claim(**changes: Any) -> Claim:
    claim = Claim(
        workspace_id=WORKSPACE,
        delivery_id=uuid4(),
        post_id=uuid4(),
        account_id=uuid4(),
        attempt=1,
        due_time=datetime.now(UTC),
        planned_time=datetime.now(UTC),
        caption="Fries",
        media=(MediaRef(str(uuid4()), "0" * 64, "video/mp4"),),
        options={"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}},
        etag="r1",
    )
    return dataclasses.replace(claim, **changes)


def a_handle(**changes: Any) -> Handle:
    end = datetime.now(UTC) + timedelta(hours=1)
    return dataclasses.replace(Handle("handle-1", "https://upload.example/?token=upload-secret", end, 1000), **changes)


def a_publication(**changes: Any) -> Publication:
    publication = Publication(
        publication_id=uuid4(),
        workspace_id=WORKSPACE,
        delivery_id=uuid4(),
        post_id=uuid4(),
        account_id=uuid4(),
        attempt=1,
        step=Step.OPENED,
        etag="r1",
        publish_epoch=1,
    )
    return dataclasses.replace(publication, **changes)


def an_account(account_id: UUID | None = None, platform: Platform = Platform.TIKTOK) -> Account:
    return Account(
        account_id or uuid4(), WORKSPACE, platform, "open-1", "emberfold.air", "Air", ("video.publish",),
        AccountState.CONNECTED, "", None, NOW, NOW,
    )  # fmt: skip


def save_account(
    ledger: Ledger,
    workspace_id: UUID = WORKSPACE,
    profile: str = "open-1",
    refresh: str = REFRESH,
    platform: Platform = Platform.TIKTOK,
) -> Account:
    """An account in the database, with tokens that are good for a day."""
    with ledger.database.transaction(workspace_id) as tx:
        return account_store.save_account(
            tx,
            ledger.vault,
            workspace_id=workspace_id,
            platform=platform,
            platform_account_id=profile,
            handle="emberfold.air",
            display_name="Air",
            scopes=("video.publish",),
            tokens=TokenPair(ACCESS, datetime.now(UTC) + timedelta(days=1), refresh, None),
        )


async def at_step(ledger: Ledger, claim: Claim, step: Step) -> Publication:
    """The claim's publication in the database, brought to a step the way that platforms with a handle go."""
    publication, _ = await ledger.open(claim)
    if step is Step.OPENED:
        return await ledger.failed(publication, LATER)
    if step is Step.FAILED:
        return await ledger.failed(publication, BROKEN)
    publication = await ledger.prepared(publication, claim, "It fits.", 15_000)
    if step is Step.PREPARED:
        return publication
    publication = await ledger.handle_stored(publication, a_handle())
    if step is Step.HANDLE:
        return publication
    publication = await ledger.committing(publication, claim, "Sending.")
    if step is Step.COMMITTING:
        return publication
    if step is Step.UNCERTAIN:
        return await ledger.uncertain(publication, "No answer.", needs_person=False)
    if step is Step.REJECTED:
        return await ledger.failed(publication, REFUSED)
    if step is Step.ACCEPTED:
        return await ledger.taken(publication, Taken(), watch=False)
    publication = await ledger.taken(publication, Taken(verdict=PUBLIC), watch=True)
    if step is Step.REMOVED:
        await ledger.removed(publication)
        publication = dataclasses.replace(
            publication, step=Step.REMOVED, revision=publication.revision + 1, next_check_time=None
        )
    return publication
