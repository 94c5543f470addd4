"""The refusals of every service: a small tree by kind of cause.

Domain code raises them, `kit.rpc_server` turns them into a `google.rpc.Status`, and the gateway turns that into
an HTTP problem. A concrete error is a class of the service that raises it; its name is its reason (`PostNotEditable` is
`POST_NOT_EDITABLE`), its docstring explains it, and its sentence tells the caller how to go on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request and what would be accepted there."""

    field: str
    description: str
    reason: str = ""


@dataclass(eq=False)
class ReelrouteError(Exception):
    """A refusal that the caller may read whole: nothing internal, nothing secret.

    `metadata` repeats the variable parts of the sentence for programs. `retry_after_seconds` is set when it makes
    sense to call again then. `code_reason` overrides the reason made from the class's name.
    """

    message: str
    violations: Sequence[FieldViolation] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after_seconds: float | None = None
    code_reason: str = ""

    def __str__(self) -> str:
        return self.message

    @property
    def reason(self) -> str:
        """UPPER_SNAKE, stable, for programs."""
        return self.code_reason or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).upper()


class InvalidArgument(ReelrouteError):
    """The request itself is wrong, whatever the state of the system."""

    @classmethod
    def of_field(cls, name: str, description: str, **metadata: str) -> InvalidArgument:
        """The usual case: one field is at fault, and the sentence is about it."""
        return cls(description, [FieldViolation(name, description)], metadata)


class OutOfRange(InvalidArgument):
    """A position behind the end of what is there."""


class Unauthenticated(ReelrouteError):
    """It is not known who calls."""


class PermissionDenied(ReelrouteError):
    """It is known who calls, and that caller may not do this."""


class NotFound(ReelrouteError):
    """There is no such thing in this workspace; a thing of another workspace looks the same."""


class AlreadyExists(ReelrouteError):
    """It would be a second one of what may exist once."""


class FailedPrecondition(ReelrouteError):
    """The state of the thing does not allow it; repeating does not help until that changes."""


class Conflict(ReelrouteError):
    """Somebody else changed it meanwhile: read again, then decide again."""


class ResourceExhausted(ReelrouteError):
    """A limit is reached: size, quota or rate."""


class Unavailable(ReelrouteError):
    """Something that is needed does not answer now; the same call may work later."""


class DeadlineExceeded(ReelrouteError):
    """The caller's time ran out before the work was done."""


class Internal(ReelrouteError):
    """A fault of ours. The sentence is neutral; the log has the rest."""
