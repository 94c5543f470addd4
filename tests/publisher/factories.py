"""Claims and publications for tests that need no scheduler."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from services.publisher.domain import (
    Account,
    AccountState,
    Claim,
    Epoch,
    Handle,
    MediaRef,
    Platform,
    Publication,
    Step,
)
from services.publisher.ledger import Ledger
from tests.publisher.stage import WORKSPACE

NOW = datetime(2027, 1, 4, 18, 0, tzinfo=UTC)
FIRST_EPOCH = Epoch(1, NOW - timedelta(days=100))


def a_claim(**changes: Any) -> Claim:
    claim = Claim(
        workspace_id=WORKSPACE,
        delivery_id=uuid4(),
        post_id=uuid4(),
        account_id=uuid4(),
        attempt=1,
        due_time=NOW,
        caption="Fries",
        media=(MediaRef(str(uuid4()), "0" * 64, "video/mp4"),),
        options={"tiktok": {"privacy_level": "PUBLIC_TO_EVERYONE"}},
        etag="r1",
    )
    return dataclasses.replace(claim, **changes)


def a_handle(**changes: Any) -> Handle:
    handle = Handle("v_pub_file~1", "https://upload.example/?token=upload-secret", NOW + timedelta(minutes=58), 1000)
    return dataclasses.replace(handle, **changes)


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
        options={},
        handle="",
        upload_url="",
        handle_expire_time=None,
        media_size=0,
        sent_bytes=0,
        accept_time=None,
        platform_post_id="",
        url="",
        visibility=None,
        publish_time=None,
        failure=None,
        checks=0,
        publish_epoch=1,
    )
    return dataclasses.replace(publication, **changes)


def an_account(account_id: UUID | None = None) -> Account:
    return Account(
        account_id or uuid4(), WORKSPACE, Platform.TIKTOK, "open-1", "emberfold.air", "Air", ("video.publish",),
        AccountState.CONNECTED, "", None, NOW, NOW,
    )  # fmt: skip


def at_step(ledger: Ledger, claim: Claim, step: Step) -> Publication:
    """The claim's publication in the database, brought to a step before its verdict."""
    publication, _ = ledger.open(claim)
    if step is Step.OPENED:
        return publication
    publication = ledger.prepared(publication, claim, "fits")
    if step is Step.PREPARED:
        return publication
    publication = ledger.handle_stored(publication, a_handle(expire_time=datetime.now(UTC) + timedelta(hours=1)))
    if step is Step.HANDLE:
        return publication
    publication = ledger.committing(publication)
    if step is Step.COMMITTING:
        return publication
    ledger.accepted(publication)
    return dataclasses.replace(publication, step=Step.ACCEPTED)
