"""How a call to the Selling Partner API is made: with a merchant's token, at its region, kept to its seller's rates.

Amazon refuses what goes beyond a rate. Then all calls of that kind and seller rest: as long as one token takes to come
back, and twice as long after each further refusal.
"""

import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from kit.rate_limit import BucketName
from kit.vendor_call import VendorCall
from kit.vendor_errors import VendorRejected
from kit.vendor_http import VendorHttp
from vendors.amazon_sp.config import AmazonSpConfig
from vendors.amazon_sp.errors import inspector
from vendors.amazon_sp.marketplaces import Region
from vendors.amazon_sp.operations import Effect, Operation
from vendors.amazon_sp.signing import signed_headers

T = TypeVar("T")
_PAUSES_KEPT = 10_000  # rates that rest, of any number of sellers
_JITTER = 0.2  # of a pause; it keeps those who wait from coming back together


@dataclass(frozen=True)
class Access:
    """In whose name a call is made.

    ``seller_id``: whose rates count. ``deadline``: until when all that is asked with it has to be done, by
    time.monotonic; None: each call has the configured time.
    """

    token: str = field(repr=False)
    seller_id: str
    region: Region
    deadline: float | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for. ``ids`` go into the path, each as one segment; ``about`` is the id of what it is about.

    ``personal``: words about a person in ``body``, which must not be in what is kept of an answer that repeats them.
    """

    operation: Operation
    ids: Sequence[str] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    about: str = ""
    personal: Sequence[str] = field(default=(), repr=False)


class Calls:
    """Makes the calls of all topics."""

    def __init__(
        self,
        config: AmazonSpConfig,
        https: Mapping[Region, VendorHttp],
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._https = https
        self._clock = clock
        self._jitter = jitter
        # By kind of call and seller: how many pauses in a row there were, and the end of the last.
        self._pauses: dict[BucketName, tuple[int, float]] = {}
        # Amazon prescribes the form, and of the pairs only the language.
        language, system = platform.python_version(), platform.system()
        self._user_agent = f"{config.application} (Language=Python/{language}; Platform={system})"
        self._keys = config.signing_keys

    async def ask(self, access: Access, request: Request, read: Callable[[Any], T]) -> T:
        """Make a call and read its answer. Raises a VendorError."""
        seconds = self._config.call_timeout_seconds
        if access.deadline is not None:
            seconds = min(seconds, access.deadline - self._clock())
        return await self._https[access.region].read(self._call(access, request), read, timeout_seconds=seconds)

    def _call(self, access: Access, request: Request) -> VendorCall:
        operation = request.operation
        path = operation.path.format(*(quote(each, safe="") for each in request.ids))
        bucket = (operation.name, access.seller_id)
        query = urlencode(request.query, quote_via=quote, safe="")
        return VendorCall(
            operation=operation.name,
            method=operation.method,
            url=f"{path}?{query}" if query else path,
            headers_of_try=self._headers(access, operation.method),
            json=request.body,
            repeatable=operation.effect is not Effect.COMMIT,
            commits=operation.effect is Effect.COMMIT,
            rates=(bucket,),
            inspect=inspector(
                operation,
                lambda limited: self._pause_after(bucket, limited),
                # A rate that was set by hand holds, whatever Amazon says.
                takes_hints=operation.name not in self._config.rates,
            ),
            handle=request.about or (request.ids[0] if request.ids else None),
            secrets=(access.token, *request.personal),
        )

    def _headers(self, access: Access, method: str) -> Callable[[str, bytes], Mapping[str, str]]:
        def headers_of_try(url: str, content: bytes) -> Mapping[str, str]:
            headers = {"x-amz-access-token": access.token}
            if self._keys is None:
                headers["x-amz-date"] = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            else:
                headers = signed_headers(method, url, headers, content, keys=self._keys, region=access.region.value)
            return headers | {"Accept": "application/json", "User-Agent": self._user_agent}

        return headers_of_try

    def _pause_after(self, bucket: BucketName, limited: bool) -> float:
        """Counts refusals in a row; those that were under way together count once."""
        if not limited:
            self._pauses.pop(bucket, None)
            return 0.0
        now = self._clock()
        times, end = self._pauses.get(bucket, (0, 0.0))
        if now < end:
            return end - now
        step = 1 / self._config.limits()[bucket[0]].per_second
        pause = min(self._config.longest_pause_seconds, step * 2.0**times) * (1 + self._jitter() * _JITTER)
        if len(self._pauses) >= _PAUSES_KEPT:
            self._pauses.clear()
        self._pauses[bucket] = (min(times + 1, 30), now + pause)
        return pause


def refused(operation: Operation, code: str, message: str, advice: str) -> VendorRejected:
    """The refusal of a call that is not even sent."""
    return VendorRejected(message, vendor="amazon_sp", operation=operation.name, code=code, advice=advice)
