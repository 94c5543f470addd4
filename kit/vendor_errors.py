"""How a call to a vendor can fail, grouped by what we do next. One class is one next step.

| class | next step |
|---|---|
| VendorUnavailable | try again soon; ``sent`` says whether the vendor may have read the request |
| VendorRateLimited | try again after ``retry_after_seconds`` |
| VendorQuotaReached | park the work for hours: a daily cap, not a rate |
| VendorAccountProblem | refresh the token once, or ask the owner to connect again (``remedy``) |
| VendorRejected | tell a person; never repeat by itself |
| VendorNotFound | tell a person: a VendorRejected for a thing that is not, or no longer, there |
| VendorUncertain | only a read may follow; repeat when it proves that nothing happened |

``message`` and ``advice`` are our words and may be shown. ``vendor_message`` is the vendor's text: data, to be quoted
and escaped, never trusted. None of them holds a token or an upload address.
"""

import re
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

_VENDOR_MESSAGE_LIMIT = 500  # characters; enough to name a field, too little to flood a log
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Characters. A secret that is shorter is replaced only where it stands as a word of its own, as a postal code does; one
# that is still shorter would blot out ordinary words.
_SECRET_MINIMUM = 6
_WORD_MINIMUM = 4
_PHONE = re.compile(r"\+\d{8,15}")
# Its last ones tell a number from others, whatever stands before them.
_PHONE_DIGITS = 7


class AccountRemedy(StrEnum):
    """What makes an account usable again."""

    REFRESH = "refresh"  # get a new access token with the refresh token, once
    RECONNECT = "reconnect"  # only its owner can: by going through the consent page again


@dataclass(eq=False)
class VendorError(Exception):
    """A call to a vendor failed. Raised only as one of the classes below."""

    message: str
    _: KW_ONLY
    vendor: str = ""
    operation: str = ""
    # The vendor's own word for it, or ours when no answer came: connect_failed, timed_out, connection_lost, ...
    code: str = ""
    status: int | None = None  # HTTP
    # What the vendor's support asks for.
    log_id: str | None = None
    vendor_message: str = ""
    # What a person or the caller does next.
    advice: str = ""

    def __str__(self) -> str:
        """Our words and the facts that a search for the cause needs; safe to log."""
        facts = [f"code {self.code}"] if self.code else []
        facts += [f"HTTP {self.status}"] if self.status else []
        facts += [f"log id {self.log_id}"] if self.log_id else []
        place = " ".join(part for part in (self.vendor, self.operation) if part)
        return (f"{place}: " if place else "") + self.message + (f" ({', '.join(facts)})" if facts else "")

    def scrub(self, secrets: Iterable[str]) -> None:
        """Take the call's own secrets out of the vendor's words, should the vendor have repeated them."""
        known = list(secrets)
        # Cut only afterwards: the half of a secret at the edge would not be found.
        self.vendor_message = clean_text(scrub_text(self.vendor_message, known))
        self.code = clean_text(scrub_text(self.code, known))
        self.log_id = None if self.log_id is None else clean_text(scrub_text(self.log_id, known))


@dataclass(eq=False)
class VendorUnavailable(VendorError):
    """No usable answer, for now. ``sent`` is False only when the request surely never reached the vendor."""

    _: KW_ONLY
    sent: bool
    retry_after_seconds: float | None = None


@dataclass(eq=False)
class VendorRateLimited(VendorError):
    """Too many calls in a short time, by the vendor's count or by ours. Nothing was done."""

    _: KW_ONLY
    retry_after_seconds: float


@dataclass(eq=False)
class VendorQuotaReached(VendorError):
    """A cap of hours or days is reached. Nothing was done; ``retry_after_seconds`` is when to look again."""

    _: KW_ONLY
    retry_after_seconds: float


@dataclass(eq=False)
class VendorAccountProblem(VendorError):
    """The account's authorisation does not allow the call. Nothing was done."""

    _: KW_ONLY
    remedy: AccountRemedy


@dataclass(eq=False)
class VendorRejected(VendorError):
    """The vendor refuses for good. Nothing was done, and the same call would be refused again."""


@dataclass(eq=False)
class VendorNotFound(VendorRejected):
    """The vendor does not know the thing that the call is about; or it is another owner's, which looks the same."""


@dataclass(eq=False)
class VendorUncertain(VendorError):
    """It may have taken effect: no usable answer came, or the vendor says that it was done before. Read, then decide.

    Never repeat it without a read.
    """


def clean_text(text: str) -> str:
    """A vendor's text on one line without control characters, cut to a length that cannot flood a log."""
    return _CONTROL.sub(" ", text)[:_VENDOR_MESSAGE_LIMIT]


def scrub_text(text: str, secrets: Iterable[str]) -> str:
    """The text with every given secret replaced: those under six characters as whole words, under four not at all. A
    phone number (E.164) is found however it is written.
    """
    for secret in secrets:
        if _PHONE.fullmatch(secret):
            digits = r"[^\w\n]{0,3}".join(secret[-_PHONE_DIGITS:])
            text = re.sub(rf"(?<!\d)(?:[+(\d][\d().+/ -]{{0,13}})?{digits}(?!\d)", "[redacted]", text)
        elif len(secret) >= _SECRET_MINIMUM:
            text = text.replace(secret, "[redacted]")
        elif len(secret) >= _WORD_MINIMUM and secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "[redacted]", text)
    return text
