"""The log of calls that clients made: what the control page shows and tests read. Kept in memory only."""

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT_CALLS = 500


@dataclass(slots=True)
class CallNote:
    """What a handler tells about the call that it answers; filled in while it works. Never holds a token."""

    code: str = ""
    creator: str = ""
    publish_id: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client. `path` is without its query, because upload addresses carry a credential there."""

    time: float
    endpoint: str
    method: str
    path: str
    status: int
    """HTTP status that the client saw; 0 when it saw none."""
    code: str
    creator: str
    publish_id: str
    fault: str
    """How the call was disturbed on purpose; empty when it was not."""
    duration_ms: float


class CallLog:
    """The last calls, newest first when listed."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=KEPT_CALLS)

    def add(self, call: Call) -> None:
        """Remember a call; the oldest one gives way."""
        self._calls.append(call)

    def entries(self, endpoint: str | None = None, limit: int = KEPT_CALLS) -> list[dict[str, Any]]:
        """The newest calls first, of one endpoint if it is named."""
        wanted = (call for call in reversed(self._calls) if endpoint in (None, call.endpoint))
        return [asdict(call) for call, _ in zip(wanted, range(limit), strict=False)]

    def clear(self) -> None:
        """Forget everything."""
        self._calls.clear()
