"""One file out of a multipart form, as it arrives: never whole in memory, never on disk.

The form is read in the pieces of the network and handed on in pieces of PIECE_BYTES; the next piece is asked for when
the last one was taken, so a slow receiver slows the sender. The file counts as read only at the closing boundary.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from kit.errors import FieldViolation
from services.gateway.errors import BodyTooLarge, BodyTooSlow, MediaTypeUnsupported, MultipartBroken, invalid

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

PIECE_BYTES = 512 * 1024
# Boundaries and headers around the file.
_FORM_BYTES = 64 * 1024
_OPTIONS_BYTES = 1024 * 1024
_FIELD = "file"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What the sender says of the file. `mime_type` is empty when it is unknown."""

    file_name: str
    mime_type: str


class FileReader:
    """Reads the one file of a request. `options_field` may be a text before the file; see `options`."""

    def __init__(self, request: Request, *, limit_bytes: int, idle_seconds: float, options_field: str = "") -> None:
        self._request = request
        self._limit_bytes, self._idle_seconds = limit_bytes, idle_seconds
        self._form = _Form(options_field)
        # Whether the whole body was read: until then the sender may still be sending.
        self.body_ended = False

    @property
    def options(self) -> bytes:
        """The text of `options_field`, whole once the file's header was read; empty without one."""
        return bytes(self._form.options)

    async def read(self) -> AsyncGenerator[FileHeader | bytes]:
        """The header, then the bytes in order.

        Raises MediaTypeUnsupported, BodyTooLarge (as soon as it is known), BodyTooSlow, MultipartBroken, and
        RequestInvalid for a form that does not hold one named file in the field `file`.
        """
        form = self._form
        parser = self._parser()
        header_given, file_bytes = False, 0
        async for chunk in self._chunks():
            try:
                parser.write(chunk)
            except FormParserError:
                raise MultipartBroken("The body is no multipart form. Let your HTTP client build it.") from None
            if form.header and not header_given:
                header_given = True
                yield form.header
            while len(form.data) >= PIECE_BYTES:
                piece = bytes(form.data[:PIECE_BYTES])
                del form.data[:PIECE_BYTES]
                file_bytes += len(piece)
                yield piece
            if file_bytes + len(form.data) > self._limit_bytes:
                raise self._too_large()
        self.body_ended = True
        if not form.ended:
            raise MultipartBroken("The upload ended before its closing boundary. Send it again, whole.")
        if not header_given:
            raise invalid([FieldViolation(_FIELD, "Send one file in this field of the form.", "MISSING")])
        if form.data:
            yield bytes(form.data)

    def _parser(self) -> MultipartParser:
        kind, options = parse_options_header(self._request.headers.get("content-type", ""))
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise MediaTypeUnsupported("Send the file as multipart/form-data, in the field `file`.")
        declared = self._request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit_bytes + _FORM_BYTES:
            raise self._too_large()
        try:
            return MultipartParser(options[b"boundary"], self._form.callbacks())
        except FormParserError:
            raise MultipartBroken("The form's boundary is too long.") from None

    async def _chunks(self) -> AsyncGenerator[bytes]:
        stream = aiter(self._request.stream())
        received = 0
        while True:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise BodyTooSlow("The upload stopped arriving. Send it again.") from None
            received += len(chunk)
            if received > self._limit_bytes + _FORM_BYTES:
                raise self._too_large()
            yield chunk

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"The file is larger than {self._limit_bytes} bytes, the limit of this installation.",
            [FieldViolation(_FIELD, f"At most {self._limit_bytes} bytes.", "TOO_LARGE")],
            {"limit_bytes": str(self._limit_bytes)},
        )


class _Form:
    """What the parser found so far."""

    def __init__(self, options_field: str) -> None:
        self.header: FileHeader | None = None
        self.options = bytearray()
        self._options_field = options_field
        self._in_options = False
        self.data = bytearray()
        self.ended = False
        self._name, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}

    def callbacks(self) -> MultipartCallbacks:
        """For python-multipart."""
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = _decoded(options.get(b"name", b""))
        self._in_options = bool(name) and name == self._options_field and self.header is None and not self.options
        if self._in_options:
            return
        if name != _FIELD:
            shown = name[:100] or "body"
            before = f"{self._options_field} once, then " if self._options_field else ""
            message = f"Unknown field, or not in its place. Send {before}one file, in the field `file`."
            raise invalid([FieldViolation(shown, message, "UNKNOWN")])
        if self.header is not None:
            raise invalid([FieldViolation(_FIELD, "Send one file at a time.", "REPEATED")])
        file_name = _CONTROL.sub("", re.split(r"[/\\]", _decoded(options.get(b"filename", b"")))[-1]).strip()
        if not 1 <= len(file_name) <= 255:
            raise invalid([FieldViolation(_FIELD, "Give the file a name of 1 to 255 characters.", "FILE_NAME")])
        mime_type, _ = parse_options_header(self._headers.get(b"content-type"))
        known = mime_type.isascii() and len(mime_type) <= 100 and mime_type != b"application/octet-stream"
        self.header = FileHeader(file_name, mime_type.decode() if known else "")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._in_options:
            self.data += data[start:end]
            return
        self.options += data[start:end]
        if len(self.options) > _OPTIONS_BYTES:
            message = f"{self._options_field} may have {_OPTIONS_BYTES} bytes."
            raise BodyTooLarge(message, [FieldViolation(self._options_field, message, "TOO_LARGE")])

    def _end(self) -> None:
        self.ended = True


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
