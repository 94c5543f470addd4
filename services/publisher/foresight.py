"""Gathers what a forecast needs: what is to go out from the scheduler, media from the library, the rest from our own
tables. For the RPC and the preflight alike; for callers in threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import grpc
from google.protobuf.message import Message
from reelroute.content.v1 import content_pb2, content_pb2_grpc
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from reelroute.scheduler.v1 import scheduler_pb2_grpc

from kit.db import ALL_WORKSPACES, Database
from kit.rpc_status import from_rpc_error
from kit.timestamps import optional_timestamp, to_timestamp
from services.publisher import account_store, forecast, store, use_store
from services.publisher.claims import media_of, options_of
from services.publisher.domain import Account, Platform
from services.publisher.forecast import Foreseen
from services.publisher.library import facts_of
from services.publisher.obstacles import Facts, Upcoming
from services.publisher.platforms.base import MediaFile
from services.publisher.quotas import DAY, Quotas, Uses

Answered = TypeVar("Answered")

# So many deliveries are looked at in one forecast; what is due after them is not foreseen by it.
MOST_DELIVERIES = 20_000
_PAGE = 1000
_MEDIA_PER_CALL = 1000
_CALL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will not go out of the deliveries that are due before `until`."""

    failures: Sequence[Foreseen]
    deliveries: int
    until: datetime


class Foresight:
    """Makes forecasts. `quotas` are those of the platforms that this installation has; `serves_media`: they can fetch
    files from it.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, grpc.Channel],
        quotas: Mapping[Platform, Quotas],
        lead: float,
        *,
        serves_media: bool = False,
    ) -> None:
        self._database = database
        self._scheduler = scheduler_pb2_grpc.SchedulerServiceStub(channels["scheduler"])
        self._content = content_pb2_grpc.ContentServiceStub(channels["content"])
        self._quotas = quotas
        self._lead = timedelta(seconds=lead)
        self._serves_media = serves_media

    def forecast(self, workspace_id: UUID, horizon: timedelta) -> Forecast:
        """What of a workspace's deliveries will not go out within so long from now. Raises what it is refused."""
        with self._database.transaction(workspace_id) as tx:
            now = store.database_time(tx)
        until = now + horizon
        upcoming = list(itertools.islice(self.upcoming(str(workspace_id), now, until), MOST_DELIVERIES + 1))
        if len(upcoming) > MOST_DELIVERIES:
            until = upcoming[-1].due_time
            upcoming = [each for each in upcoming if each.due_time < until]
        # And what is overdue or kept back, the oldest first, as far as there is room.
        room = MOST_DELIVERIES - len(upcoming)
        upcoming += itertools.islice(self.upcoming(str(workspace_id), None, now), room)
        facts = self._facts(workspace_id, upcoming, now)
        return Forecast(forecast.foresee(upcoming, facts, now), len(upcoming), until)

    def upcoming(self, workspace_id: str, from_time: datetime | None, until_time: datetime) -> Iterator[Upcoming]:
        """What is to go out, by due time, page by page; of every workspace for ""."""
        token = ""
        while True:
            request = pb.ListUpcomingDeliveriesRequest(
                workspace_id=workspace_id,
                from_time=optional_timestamp(from_time),
                until_time=to_timestamp(until_time),
                page_size=_PAGE,
                page_token=token,
            )
            answer = _answer(self._scheduler.ListUpcomingDeliveries, request)
            yield from map(_upcoming, answer.deliveries)
            token = answer.next_page_token
            if not token:
                return

    def _facts(self, workspace_id: UUID, upcoming: Sequence[Upcoming], now: datetime) -> Facts:
        media = self._media(workspace_id, {ref.media_asset_id for each in upcoming for ref in each.media})
        with self._database.transaction(workspace_id) as tx:
            accounts = account_store.read_accounts(tx, workspace_id, {each.account_id for each in upcoming})
            capped = [each.account_id for each in accounts.values() if self._has_caps(each)]
            used = use_store.uses(tx, workspace_id, capped, now - DAY) if capped else []
        return Facts(accounts, media, self._quotas, self._uses(accounts, used, now), self._lead, self._serves_media)

    def _has_caps(self, account: Account) -> bool:
        quotas = self._quotas.get(account.platform)
        return quotas is not None and quotas.told(account.limits).has_caps

    def _uses(
        self, accounts: Mapping[UUID, Account], used: Iterable[use_store.Use], now: datetime
    ) -> dict[Platform, Uses]:
        found: dict[Platform, Uses] = {}
        for use in used:
            uses = found.setdefault(accounts[use.account_id].platform, Uses())
            uses.add(use.account_id, use.time, draft=use.draft)
        for platform, quotas in self._quotas.items():
            # Accounts of other workspaces take places of the application too.
            if quotas.accounts_per_day:
                with self._database.transaction(ALL_WORKSPACES) as tx:
                    others = use_store.last_uses(tx, platform, now - DAY)
                for use in others:
                    found.setdefault(platform, Uses()).by_account.setdefault(use.account_id, [use.time])
        return found

    def _media(self, workspace_id: UUID, wanted: set[str]) -> dict[str, tuple[str, MediaFile]]:
        """Files by id with their SHA-256; those that are gone are left out."""
        ids, found = sorted(wanted), {}
        for start in range(0, len(ids), _MEDIA_PER_CALL):
            request = content_pb2.BatchGetMediaAssetsRequest(
                workspace_id=str(workspace_id), media_asset_ids=ids[start : start + _MEDIA_PER_CALL]
            )
            answer = _answer(self._content.BatchGetMediaAssets, request)
            found.update({asset.media_asset_id: (asset.sha256, facts_of(asset)) for asset in answer.media_assets})
        return found


def _answer(call: Callable[..., Answered], request: Message) -> Answered:
    """What another service answers. Raises what it refuses as our own error."""
    try:
        return call(request, timeout=_CALL_SECONDS)
    except grpc.RpcError as error:
        raise from_rpc_error(error) from None


def _upcoming(message: pb.UpcomingDelivery) -> Upcoming:
    delivery, lateness = message.delivery, message.lateness
    return Upcoming(
        workspace_id=UUID(message.workspace_id),
        delivery_id=UUID(delivery.delivery_id),
        post_id=UUID(delivery.post_id),
        account_id=UUID(delivery.account_id),
        schedule_time=delivery.schedule_time.ToDatetime(tzinfo=UTC),
        due_time=delivery.due_time.ToDatetime(tzinfo=UTC),
        channel=message.channel,
        ref=message.ref,
        caption=message.caption,
        media=media_of(message.media),
        options=options_of(message.options),
        is_approved=message.approval != pb.APPROVAL_PENDING,
        hold_cause=_cause(message.hold.cause),
        hold_reason=message.hold.reason,
        held_cause=_cause(delivery.hold_cause),
        needs_person=delivery.needs_person,
        failure_reason=delivery.failure_reason,
        failure_message=delivery.failure_message,
        max_lateness=lateness.max_lateness.ToTimedelta(),
        late_action=pb.LateAction.Name(lateness.late_action).removeprefix("LATE_ACTION_"),
    )


def _cause(value: pb.HoldCause.ValueType) -> str:
    return pb.HoldCause.Name(value).removeprefix("HOLD_CAUSE_") if value else ""
