"""What a platform's stand-in offers to the shared parts of the sandbox."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from fastapi import APIRouter
from starlette.responses import Response
from starlette.types import ASGIApp

Outage = Literal["off", "error", "reset"]


class Vendor(Protocol):
    """One platform. `wire` asks it about calls, `control` about its state, `app` mounts and runs it."""

    name: str
    """Prefix of endpoint names, tables and control paths: `tiktok`."""

    endpoints: Mapping[tuple[str, str], str]
    """Method and path of each call to its name without prefix: `("POST", "/v2/post/publish/video/init/")`. A `*` stands
    for any one word between slashes.
    """

    has_webhooks: bool
    """Whether it tells apps of events."""

    def outage(self) -> Outage:
        """Whether the whole platform is down, and how that looks."""
        ...

    def refusal(self, endpoint: str, status: int, code: str, message: str) -> Response:
        """An error answer in this platform's form. `status` 0: the one that the code documents."""
        ...

    def api(self) -> ASGIApp | None:
        """What answers the calls of `endpoints`, past the router and its cost; None: `routes` does."""
        ...

    def routes(self) -> APIRouter:
        """The platform's own API, or what of it people see."""
        ...

    def control_routes(self) -> APIRouter:
        """Operations under `/control/<name>`."""
        ...

    def panel(self) -> str:
        """The platform's part of the control page, as safe HTML."""
        ...

    def perform(self, operation: str, fields: Mapping[str, str]) -> None:
        """Carry out a form of the panel. Raises KeyError for an unknown form, ValueError for bad fields."""
        ...

    def summary(self) -> dict[str, Any]:
        """Counts for the overview."""
        ...

    def reset(self) -> None:
        """Forget everything and seed again."""
        ...

    async def run(self) -> None:
        """Background work until cancelled."""
        ...
