"""What goes into a call to a vendor, what comes back, and what is written down about it."""

import json
import re
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

from kit.context import Subjects
from kit.rate_limit import BucketName
from kit.vendor_errors import (
    AccountRemedy,
    VendorAccountProblem,
    VendorError,
    VendorRateLimited,
    VendorRejected,
    VendorUnavailable,
    scrub_text,
)

DEFAULT_RATE_WAIT_SECONDS = 60.0
REDACTED = "[redacted]"
CUT = "[cut]"
_RECORDED_TEXT_LIMIT = 5_000  # characters of one string value; captions are shorter, so that they stay whole
_RECORDED_DEPTH = 12
_RECORDED_BYTES_LIMIT = 64 * 1024  # of an answer; larger ones are lists, kept elsewhere if at all
# Names of fields that hold secrets, whatever is in them. A token of pages (page_token) is none.
_SECRET_NAME = re.compile(
    r"(?<!page_)token|secret|password|authorization|auth_code|upload_url|signature|^sign$|cookie|verifier|cipher",
    re.IGNORECASE,
)
# Names of fields about people who buy, as shops and marketplaces call them (buyer_email, recipientAddress, cpf, …), and
# of where labels with their addresses lie (doc_url).
_PERSON_NAME = re.compile(
    r"address|e_?mail|phone|mobile|recipient|receiver|consignee|buyer(?!s$|_service_fee$|_region$)|customer"
    r"|(first|last|middle|full|family|given|contact|maiden)_?name|postal|post_?code|zip|post_town|district|birth"
    r"|passport|cpf|cnpj|tax_?(id|number)|id_?card|latitude|longitude|^user_?id$|drop_?off"
    r"|delivery_?(preference|instruction|information|document)|signed_?for|locker|location_?info"
    r"|order_?comment|gift_?(message|note)|seller_note|local_script|^doc_url$",
    re.IGNORECASE,
)
_SECONDS = re.compile(r"\d{1,9}(\.\d+)?")


@dataclass(frozen=True)
class StreamBody:
    """A body that is sent while it is read. Used once: a call with it is never repeated here."""

    pieces: AsyncIterator[bytes]
    length: int  # bytes, sent as Content-Length; the pieces must add up to it
    content_type: str


@dataclass(frozen=True)
class VendorAnswer:
    """An answer that was read whole, within the size limit. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    receive_time: datetime

    def json(self) -> Any:
        """The body as JSON, parsed once and not to be changed.

        Raises ValueError when it is none; numbers that JSON does not know are refused too.
        """
        return self._json

    @cached_property
    def _json(self) -> Any:
        def refuse(text: str) -> None:
            raise ValueError(f"{text} is not JSON")

        try:
            return json.loads(self.content, parse_constant=refuse)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    @property
    def retry_after_seconds(self) -> float | None:
        """How long Retry-After asks to wait, given in seconds or as a date; None when it is absent or unreadable.

        A date is read against the vendor's own Date header where there is one, so a wrong clock here does no harm.
        """
        text = self.headers.get("retry-after", "").strip()
        if _SECONDS.fullmatch(text):
            return float(text)
        until = _http_date(text)
        if until is None:
            return None
        now = _http_date(self.headers.get("date", "")) or self.receive_time
        return max(0.0, (until - now).total_seconds())


@dataclass(frozen=True)
class Inspection:
    """What the vendor's client read in an answer: the error it stands for, if any, and what to write down."""

    error: VendorError | None = None
    log_id: str | None = None
    # The vendor's name for the thing in work, such as a publish id.
    handle: str | None = None
    # How many calls a second the vendor says that it allows; the first of the call's buckets, a Refill, takes it over.
    per_second: float | None = None


def inspect_status(answer: VendorAnswer) -> Inspection:
    """Judge an answer by its HTTP status alone."""
    return Inspection(error_by_status(answer))


@dataclass(frozen=True, kw_only=True)
class VendorCall:
    """One call as the vendor's client describes it.

    ``repeatable``: sending it twice does no harm, so it may be tried again here. ``commits``: when no usable answer
    comes, its effect is in doubt and the failure is VendorUncertain. At most one of the two.
    """

    operation: str
    method: str
    # A path below the base URL, query included, or a whole address for `to_foreign_host`.
    url: str = field(repr=False)
    repeatable: bool = False
    commits: bool = False
    bearer: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Beside a stream: what the stream sends, for the record.
    json: Any = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    stream: StreamBody | None = field(default=None, repr=False)
    # Of each of these buckets the call takes a token. The first, such as the user's, rests when the vendor says so.
    rates: tuple[BucketName, ...] = field(default=(), repr=False)
    inspect: Callable[[VendorAnswer], Inspection] = inspect_status
    handle: str | None = None
    # Values that must appear nowhere: they are replaced in every recorded or quoted text.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    # Token answers are not written down at all.
    answer_is_secret: bool = False
    # The URL was given by the vendor's own answer, holds a credential, and may name another host.
    to_foreign_host: bool = False
    # Makes the address of one try from `url` and the exact bytes of the body (none for a streamed one). Asked anew at
    # each try: signatures hold the time. It may only add to the query.
    sign: Callable[[str, bytes], str] | None = field(default=None, repr=False)
    # Headers of one try, such as its time, made from the whole address and the exact bytes of the body.
    headers_of_try: Callable[[str, bytes], Mapping[str, str]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.repeatable and (self.commits or self.stream is not None):
            raise ValueError("a call that commits or streams its body cannot be repeated")
        if self.to_foreign_host:
            if self.bearer is not None or self.sign is not None or self.headers_of_try is not None:
                raise ValueError("a user's token and our signature go to the vendor's own address only")
        elif not self.url.startswith("/") or self.url.startswith("//"):
            raise ValueError("the url of a call is a path below the base URL")

    def known_secrets(self) -> list[str]:
        """Everything that this call knows to be secret."""
        hidden = [] if self.bearer is None else [self.bearer]
        if self.to_foreign_host:
            query = urlsplit(self.url).query
            hidden += [self.url, query, *(value for _, value in parse_qsl(query))]
        hidden += self.secrets
        # As they look in an address, too.
        return hidden + [escaped for secret in hidden if (escaped := quote_plus(secret)) != secret]

    def shown_path(self) -> str:
        """The path without its query; an address given by the vendor shows its host only."""
        parts = urlsplit(self.url)
        return f"//{parts.hostname}/" if self.to_foreign_host else parts.path


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One try of one call, fit to be kept: no tokens, secrets, upload addresses, token answers, nor buyers' data."""

    # What it was made for, by kit.context.
    subjects: Subjects
    vendor: str
    operation: str
    method: str
    path: str
    attempt: int
    start_time: datetime
    duration_seconds: float
    # "ok"; one of the classes of kit.vendor_errors in words ("rate_limited", "uncertain", ...); "abandoned" when the
    # caller or the source of the body gave up.
    outcome: str
    status: int | None
    code: str
    log_id: str | None
    handle: str | None
    # See recorded_request and recorded_answer.
    request: dict[str, Any] | None
    answer: dict[str, Any] | None


def error_by_status(answer: VendorAnswer, *, code: str = "", vendor_message: str = "") -> VendorError | None:
    """The error an HTTP status stands for when nothing more is known; None below 300.

    408 and 5xx are transient, 429 waits as long as Retry-After says (60 s without it), 401 asks for a new token, the
    rest is a refusal. Redirects are never followed, so they are refusals as well.
    """
    status = answer.status
    if status < 300:
        return None
    if status == 429:
        wait = answer.retry_after_seconds
        return VendorRateLimited(
            "The vendor asks for fewer calls.",
            retry_after_seconds=DEFAULT_RATE_WAIT_SECONDS if wait is None else wait,
            code=code,
            status=status,
            vendor_message=vendor_message,
        )
    if status == 408 or status >= 500:
        return VendorUnavailable(
            "The vendor has a fault of its own.",
            sent=True,
            retry_after_seconds=answer.retry_after_seconds,
            code=code,
            status=status,
            vendor_message=vendor_message,
        )
    if status == 401:
        return VendorAccountProblem(
            "The vendor does not accept the account's token.",
            remedy=AccountRemedy.REFRESH,
            code=code,
            status=status,
            vendor_message=vendor_message,
        )
    text = "The vendor answered with a redirect." if status < 400 else "The vendor refuses the call."
    return VendorRejected(text, code=code, status=status, vendor_message=vendor_message)


def decoded(content: bytes, encoding: str, limit: int) -> bytes | None:
    """The body without its content encoding; None when that is unknown, broken, or opens to more than ``limit`` bytes.

    We ask for none, so anything but gzip is a surprise.
    """
    if encoding in ("", "identity"):
        return content
    if encoding != "gzip":
        return None
    unzip = zlib.decompressobj(wbits=31)
    try:
        plain = unzip.decompress(content, limit + 1)
    except zlib.error:
        return None
    return plain if unzip.eof and len(plain) <= limit else None


def recorded_request(call: VendorCall) -> dict[str, Any] | None:
    """What was sent, fit to be kept: ``query``, and of the body ``json``, the names of its ``form``, or its ``bytes``
    with their ``content_range``. None where nothing but the path was sent.

    Forms carry credentials, so only their field names are kept; so do addresses given by the vendor.
    """
    request: dict[str, Any] = {}
    secrets = call.known_secrets()
    if "?" in call.url and not call.to_foreign_host:
        query = parse_qsl(urlsplit(call.url).query, keep_blank_values=True)
        request["query"] = redacted(dict(query), secrets)
    if call.stream is not None and call.json is None:
        request |= {"bytes": call.stream.length, "content_range": call.headers.get("Content-Range")}
    elif call.form is not None:
        request["form"] = sorted(call.form)
    elif call.json is not None:
        request["json"] = redacted(call.json, secrets)
    return request or None


def recorded_answer(call: VendorCall, answer: VendorAnswer | None) -> dict[str, Any] | None:
    """The answer's body fit to be kept: its ``json``, or above 64 KiB its ``bytes``. None for token answers and for
    what is not JSON.
    """
    if answer is None or call.answer_is_secret or not answer.content:
        return None
    if len(answer.content) > _RECORDED_BYTES_LIMIT:
        return {"bytes": len(answer.content)}
    try:
        return {"json": redacted(answer.json(), call.known_secrets())}
    except ValueError:
        return None


def redacted(value: Any, secrets: list[str], depth: int = _RECORDED_DEPTH) -> Any:
    """JSON with secrets and buyers' data replaced: by the name of the field, secrets by value too, and the query of
    every address.
    """
    if isinstance(value, str):
        text = scrub_text(value, secrets)
        if text.startswith(("https://", "http://")) and "?" in text:
            text = text.partition("?")[0] + "?" + REDACTED
        return text if len(text) <= _RECORDED_TEXT_LIMIT else text[:_RECORDED_TEXT_LIMIT] + CUT
    if depth == 0 and isinstance(value, dict | list):
        return CUT
    if isinstance(value, dict):
        return {
            str(name): REDACTED if item and _is_hidden(str(name), item) else redacted(item, secrets, depth - 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [redacted(item, secrets, depth - 1) for item in value]
    return value


def _is_hidden(name: str, item: object) -> bool:
    # That something is so (is_buyer_request_cancel) says nothing about anybody.
    return _is_secret(name) or (item is not True and _is_personal(name))


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


@lru_cache(maxsize=4096)
def _is_personal(name: str) -> bool:
    return _PERSON_NAME.search(name) is not None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
