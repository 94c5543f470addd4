"""The control API that all platforms share: clock, faults, calls, reset; and the access check for all of it."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from sandbox.calls import KEPT_CALLS, CallLog
from sandbox.clock import MAX_SHIFT_SECONDS, Clock, ClockOutOfRange
from sandbox.faults import WEBHOOK_MODES, Faults, FaultSpec
from sandbox.store import Store
from sandbox.vendor import Vendor


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Advance(_Order):
    """How far to move the clock."""

    seconds: float = Field(ge=-MAX_SHIFT_SECONDS, le=MAX_SHIFT_SECONDS)


class Freeze(_Order):
    """Where to stop the clock."""

    at: float | None = Field(default=None, description="Unix seconds; absent: now.")


class Offset(_Order):
    """How far ahead of the real time the clock runs."""

    offset_seconds: float = Field(ge=-MAX_SHIFT_SECONDS, le=MAX_SHIFT_SECONDS)


class ClockNow(BaseModel):
    """The clock's state."""

    now: float = Field(description="Sandbox time in Unix seconds.")
    offset_seconds: float
    frozen: bool


class Access:
    """Who may use the control API: anybody who can reach it, or the holders of the token when one is set."""

    def __init__(self, token: SecretStr | None) -> None:
        self._token = token

    async def __call__(self, request: Request) -> None:
        """Refuse pages of other sites, and callers without the token."""
        origin = request.headers.get("origin")
        # Without this, any page open in the same browser could press the buttons of the sandbox.
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            raise HTTPException(403, "The control API does not answer pages of other origins.")
        if self._token is not None and not self._holds_token(request.headers.get("authorization", "")):
            raise HTTPException(
                401, "The control token is missing or wrong.", {"WWW-Authenticate": 'Basic realm="sandbox"'}
            )

    def _holds_token(self, authorization: str) -> bool:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        token = "" if self._token is None else self._token.get_secret_value()
        return hmac.compare_digest(value.encode(), token.encode())


class Controls:
    """What can be done to the sandbox as a whole; used by the JSON API and by the page."""

    def __init__(self, store: Store, clock: Clock, faults: Faults, calls: CallLog, vendors: Sequence[Vendor]) -> None:
        self.store, self.clock, self.faults, self.calls, self.vendors = store, clock, faults, calls, vendors

    def clock_now(self) -> ClockNow:
        """The clock's state."""
        return ClockNow(now=self.clock.now(), offset_seconds=round(self.clock.offset, 3), frozen=self.clock.frozen)

    def endpoints(self) -> list[str]:
        """Names that faults can be set for."""
        names = [f"{vendor.name}.{name}" for vendor in self.vendors for name in vendor.endpoints.values()]
        return ["*", *(f"{vendor.name}.*" for vendor in self.vendors), *names, *self._webhooks()]

    def add_fault(self, spec: FaultSpec) -> dict[str, Any]:
        """Set a fault. Raises ValueError for an endpoint that does not exist or a mode that it cannot have."""
        if spec.endpoint not in self.endpoints():
            raise ValueError(f"endpoint: unknown; use one of {', '.join(self.endpoints())}")
        if (spec.endpoint in self._webhooks()) != (spec.mode in WEBHOOK_MODES):
            raise ValueError("mode: drop and duplicate are for webhooks, and webhooks have no other modes")
        return self.faults.add(spec)

    def reset(self) -> None:
        """Everything as after a first start."""
        with self.store.transaction():
            # First, because vendors seed at the present time.
            self.clock.reset()
            for vendor in self.vendors:
                vendor.reset()
        self.calls.clear()

    def _webhooks(self) -> list[str]:
        return [f"{vendor.name}.webhook" for vendor in self.vendors if vendor.has_webhooks]


def routes(controls: Controls) -> APIRouter:
    """The shared operations under `/control`."""
    router = APIRouter(prefix="/control", tags=["sandbox"])

    def moved(error: ClockOutOfRange) -> HTTPException:
        return HTTPException(422, str(error))

    @router.get("/state", summary="Overview: clock, counts, endpoints that faults can name")
    async def state() -> dict[str, Any]:
        return {
            "clock": controls.clock_now().model_dump(),
            "platforms": {vendor.name: vendor.summary() for vendor in controls.vendors},
            "endpoints": controls.endpoints(),
        }

    @router.get("/clock", summary="The sandbox's time")
    async def get_clock() -> ClockNow:
        return controls.clock_now()

    @router.put("/clock", summary="Run ahead of the real time; 0 is the real time")
    async def put_clock(order: Offset) -> ClockNow:
        controls.clock.set_offset(order.offset_seconds)
        return controls.clock_now()

    @router.post("/clock/advance", summary="Jump ahead")
    async def advance(order: Advance) -> ClockNow:
        try:
            controls.clock.advance(order.seconds)
        except ClockOutOfRange as error:
            raise moved(error) from error
        return controls.clock_now()

    @router.post("/clock/freeze", summary="Stop the clock")
    async def freeze(order: Freeze) -> ClockNow:
        try:
            controls.clock.freeze(order.at)
        except ClockOutOfRange as error:
            raise moved(error) from error
        return controls.clock_now()

    @router.post("/clock/run", summary="Let a frozen clock go on")
    async def run() -> ClockNow:
        controls.clock.run()
        return controls.clock_now()

    @router.get("/faults", summary="Faults with the calls they hit")
    async def get_faults() -> list[dict[str, Any]]:
        return controls.faults.entries()

    @router.post("/faults", status_code=201, summary="Disturb coming calls")
    async def post_fault(spec: FaultSpec) -> dict[str, Any]:
        try:
            return controls.add_fault(spec)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @router.delete("/faults", status_code=204, summary="Remove all faults")
    async def delete_faults() -> None:
        controls.faults.clear()

    @router.delete("/faults/{fault_id}", status_code=204, summary="Remove one fault")
    async def delete_fault(fault_id: int) -> None:
        if not controls.faults.remove(fault_id):
            raise HTTPException(404, "There is no fault with this id.")

    @router.get("/calls", summary="The last calls of clients, newest first")
    async def get_calls(
        endpoint: str | None = None, limit: Annotated[int, Query(ge=1)] = KEPT_CALLS
    ) -> list[dict[str, Any]]:
        return controls.calls.entries(endpoint, limit)

    @router.post("/reset", status_code=204, summary="Everything as after a first start")
    async def reset() -> None:
        controls.reset()

    return router
