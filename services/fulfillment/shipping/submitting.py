"""What is asked of Amazon about shipments, many side by side, and what is known of each afterwards.

Creating commits, and answers nothing. So each shipment was stored as SUBMITTING before, and is known to be at Amazon
only when it was read there: after an answer without faults in Amazon's list of what changed, 50 at a time, and by
itself where there is any doubt. What was begun before is asked for first. Amazon's "there is none" counts when it was
said twice, with seconds between; then the same order is created under the same id, which Amazon takes once.
"""

from __future__ import annotations

import asyncio
import enum
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kit.errors import DeadlineExceeded, ReelrouteError
from kit.vendor_errors import (
    VendorAccountProblem,
    VendorError,
    VendorNotFound,
    VendorQuotaReached,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
)
from services.fulfillment.merchants.calling import AmazonCalls
from services.fulfillment.merchants.domain import Merchant, MerchantAuthorizationLost, MerchantNotConnected
from vendors.amazon_sp.client import Amazon
from vendors.amazon_sp.outbound import Destination, FulfillmentOrder, NewOrder, OrderStatus

# Between two questions whether Amazon has an order, and how long after its creation was begun the last one is put.
_DOUBT_SECONDS = 3.0
_SETTLE_SECONDS = 10.0
# How long a refusal may mean that Amazon has it, and does not show it yet.
_LONGEST_DOUBT_SECONDS = 600.0
# What changed is listed from a little before, for clocks differ.
_CLOCKS = timedelta(minutes=2)
_LISTED = 50
_AGAIN_SECONDS = 20.0
_LOST_SECONDS = 600.0
_HIDDEN = "[…]"


class Wish(enum.Enum):
    """What Amazon is to do about a shipment."""

    CREATE = enum.auto()
    FIND = enum.auto()  # only say whether it has it
    CANCEL = enum.auto()


@dataclass(frozen=True, slots=True)
class Job:
    """A shipment that something is asked about. `is_new`: no try before this one has sent it; of others `begun_seconds`
    says how long ago the first was begun.
    """

    shipment_id: UUID
    wish: Wish
    order: NewOrder = field(repr=False)
    is_new: bool = False
    begun_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a shipment afterwards.

    `found`: Amazon has it, like that. `is_absent`: asked for it, it says that it has not. `is_unsent`: nothing was
    sent. `refusal`: it refuses to create it, for good; in its words without the buyer's. `differs`: it has another
    order under this id. `is_cancel_refused`: it will not cancel it any more. None of them: it is not known yet.
    """

    found: FulfillmentOrder | None = None
    is_absent: bool = False
    is_unsent: bool = False
    refusal: str = ""
    differs: bool = False
    is_cancel_refused: bool = False
    # When to go on, seconds; and whether the merchant has to be connected again first.
    again_seconds: float = _AGAIN_SECONDS
    is_merchant_lost: bool = False


class Submitting:
    """Asks Amazon. Its methods are for any thread."""

    def __init__(
        self, amazon: AmazonCalls, *, doubt_seconds: float = _DOUBT_SECONDS, settle_seconds: float = _SETTLE_SECONDS
    ) -> None:
        self._amazon, self._doubt_seconds, self._settle_seconds = amazon, doubt_seconds, settle_seconds

    def work(self, merchant: Merchant, jobs: Sequence[Job], seconds: float) -> dict[UUID, Known]:
        """Does what the jobs say, within so many seconds, in the last of which nothing is begun; raises nothing of
        Amazon's.
        """
        batch = _Batch(jobs, time.monotonic() + seconds, self._doubt_seconds, self._settle_seconds)
        otherwise = Known()
        try:
            self._amazon.ask(merchant, batch.ask, seconds)
        except (MerchantAuthorizationLost, MerchantNotConnected):
            otherwise = Known(again_seconds=_LOST_SECONDS, is_merchant_lost=True)
        except DeadlineExceeded:
            pass
        except ReelrouteError as refusal:
            otherwise = Known(again_seconds=refusal.retry_after_seconds or _AGAIN_SECONDS)
        return {job.shipment_id: batch.known_of(job, otherwise) for job in jobs}


class _Batch:
    """Jobs of one merchant. May be asked twice, when the token was refused: what is known is not asked again."""

    def __init__(self, jobs: Sequence[Job], deadline: float, doubt_seconds: float, settle_seconds: float) -> None:
        self._jobs, self._deadline = jobs, deadline
        self._doubt_seconds, self._settle_seconds = doubt_seconds, settle_seconds
        self._known: dict[UUID, Known] = {}
        # Whose creation was begun here, and whose was answered well.
        self._sent: set[UUID] = set()
        self._created: set[UUID] = set()
        self._does = {Wish.CREATE: self._create, Wish.FIND: self._find, Wish.CANCEL: self._cancel}

    async def ask(self, amazon: Amazon) -> None:
        """Everything, side by side; Amazon's rates are kept below."""
        begin = datetime.now(UTC)
        done = await asyncio.gather(*(self._one(amazon, job) for job in self._open()), return_exceptions=True)
        await self._read_back(amazon, begin)
        for each in done:
            # A refused token among them: the rest is asked again with another.
            if isinstance(each, BaseException):
                raise each

    def known_of(self, job: Job, otherwise: Known) -> Known:
        """What is known of a job; `otherwise` where nothing is."""
        known = self._known.get(job.shipment_id)
        if known is not None:
            return known
        return Known(
            is_unsent=self._is_unsent(job),
            again_seconds=otherwise.again_seconds,
            is_merchant_lost=otherwise.is_merchant_lost,
        )

    def _open(self) -> list[Job]:
        return [job for job in self._jobs if job.shipment_id not in self._known]

    async def _one(self, amazon: Amazon, job: Job) -> None:
        try:
            known = await self._does[job.wish](amazon, job)
        except VendorAccountProblem:
            raise
        except (VendorRateLimited, VendorQuotaReached) as error:
            known = self._nothing(job, error.retry_after_seconds)
        except VendorUnavailable as error:
            known = self._nothing(job, error.retry_after_seconds or _AGAIN_SECONDS)
        except VendorError:
            known = Known()
        if known is not None:
            self._known[job.shipment_id] = known

    def _nothing(self, job: Job, again_seconds: float) -> Known:
        """After a call that did nothing."""
        return Known(is_unsent=self._is_unsent(job), again_seconds=max(1.0, again_seconds))

    def _is_unsent(self, job: Job) -> bool:
        return job.is_new and job.shipment_id not in self._sent

    async def _create(self, amazon: Amazon, job: Job) -> Known | None:
        """Has Amazon take an order; None when it did, and that is still to be read."""
        if job.shipment_id in self._created:
            return None
        if not job.is_new or job.shipment_id in self._sent:
            found = await self._look_twice(amazon, job)
            if found is not None:
                return _compared(found, job.order)
        if time.monotonic() > self._deadline - self._doubt_seconds:
            return self._nothing(job, 1.0)
        try:
            self._sent.add(job.shipment_id)
            await amazon.outbound.create(job.order)
        except VendorRejected as refusal:
            # A repeat is refused as well, and nothing in the words of it is documented.
            found = await self._look(amazon, job)
            if found is not None:
                return _compared(found, job.order)
            if not job.is_new and job.begun_seconds < _LONGEST_DOUBT_SECONDS:
                # It may be a repeat of what Amazon does not show yet.
                return Known()
            return Known(refusal=_words(refusal, job.order.destination))
        except (VendorRateLimited, VendorQuotaReached, VendorAccountProblem):
            self._sent.discard(job.shipment_id)
            raise
        except VendorUnavailable as error:
            if not error.sent:
                self._sent.discard(job.shipment_id)
                raise
            return await self._after_doubt(amazon, job)
        except VendorError:
            return await self._after_doubt(amazon, job)
        self._created.add(job.shipment_id)
        return None

    async def _after_doubt(self, amazon: Amazon, job: Job) -> Known:
        """After a lost answer: a reading that finds it settles it; one that does not, does not."""
        await asyncio.sleep(self._doubt_seconds)
        found = await self._look(amazon, job)
        return Known(again_seconds=self._doubt_seconds) if found is None else _compared(found, job.order)

    async def _find(self, amazon: Amazon, job: Job) -> Known | None:
        """Whether Amazon has an order."""
        found = await self._look_twice(amazon, job)
        return Known(is_absent=True) if found is None else Known(found=found)

    async def _cancel(self, amazon: Amazon, job: Job) -> Known | None:
        """Has Amazon cancel an order."""
        is_refused = False
        try:
            await amazon.outbound.cancel(job.order.order_id)
        except VendorNotFound:
            raise
        except VendorRejected:
            is_refused = True
        found = await amazon.outbound.get(job.order.order_id)
        goes_on = not found.status.is_final and (is_refused or not found.status.can_be_canceled)
        return Known(found=found, is_cancel_refused=goes_on and found.status is not OrderStatus.UNKNOWN)

    async def _look(self, amazon: Amazon, job: Job) -> FulfillmentOrder | None:
        try:
            return await amazon.outbound.get(job.order.order_id)
        except VendorNotFound:
            return None

    async def _look_twice(self, amazon: Amazon, job: Job) -> FulfillmentOrder | None:
        """The order; None when Amazon said twice that it has none, the last time long enough after it was begun."""
        found = await self._look(amazon, job)
        if found is not None:
            return found
        await asyncio.sleep(max(self._doubt_seconds, self._settle_seconds - job.begun_seconds))
        return await self._look(amazon, job)

    async def _read_back(self, amazon: Amazon, begin: datetime) -> None:
        """Reads what was created: in Amazon's list where there are several, and what is not in it by itself."""
        waiting = {job.order.order_id: job for job in self._open() if job.shipment_id in self._created}
        try:
            if len(waiting) > 1:
                await self._list(amazon, begin, waiting)
            await asyncio.gather(*(self._read_one(amazon, job) for job in list(waiting.values())))
        except VendorError:
            # They are asked for again; what was found is kept.
            return

    async def _list(self, amazon: Amazon, begin: datetime, waiting: dict[str, Job]) -> None:
        token = ""
        for _ in range(2 + len(waiting) // _LISTED):
            page = await amazon.outbound.changed(begin - _CLOCKS, token)
            for found in page.orders:
                job = waiting.pop(found.order_id, None)
                if job is not None:
                    self._known[job.shipment_id] = Known(found=found)
            token = page.next_token
            if not waiting or not token:
                return

    async def _read_one(self, amazon: Amazon, job: Job) -> None:
        found = await self._look(amazon, job)
        if found is None:
            await asyncio.sleep(self._doubt_seconds)
            found = await self._look(amazon, job)
        if found is not None:
            self._known[job.shipment_id] = _compared(found, job.order)


def _compared(found: FulfillmentOrder, order: NewOrder) -> Known:
    """What was found under an order's id: it, or another."""
    wanted = sorted((item.sku, item.quantity) for item in order.items)
    has_items = not found.items or sorted((item.sku, item.quantity) for item in found.items) == wanted
    there, here = found.destination, order.destination
    # Amazon may write lines in its own way; where the parcel is sorted to, it does not change.
    has_place = there is None or (there.country_code, _code(there)) == (here.country_code, _code(here))
    return Known(found=found, differs=not (has_items and has_place))


def _code(destination: Destination) -> str:
    compact = re.sub(r"\W", "", destination.postal_code).casefold()
    # Amazon may add, or leave out, the last four of a ZIP.
    return compact[:5] if destination.country_code == "US" else compact


def _words(refusal: VendorRejected, destination: Destination) -> str:
    """What Amazon says, without anything of whom the parcel goes to."""
    text = refusal.vendor_message or refusal.message
    fields = (destination.name, *destination.lines, destination.city, destination.district, destination.postal_code)
    parts = [destination.phone, *fields]
    parts += [word for each in (destination.name, *destination.lines) for word in re.findall(r"\w{3,}", each)]
    for part in sorted({part for part in parts if len(part) > 1}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", _HIDDEN, text, flags=re.IGNORECASE)
    return text
