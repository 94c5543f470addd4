"""Structured logs: one JSON line per event on standard output, with the request id and the workspace of the call.

Values under a name that smells of a secret are replaced, whatever they are: a secret must not reach a log even when
somebody passes it by mistake.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

_SECRET_NAME = re.compile(
    r"token(?!_type)|secret|password|authorization(?!_)|api_key$|key_text|upload_url|cookie|credential|database_url",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(\w+://[^:/@\s]+):[^@/\s]+@")


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hides secrets by the name of their field, and passwords inside addresses."""
    for name, value in event.items():
        event[name] = _redacted(name, value)
    return event


def _redacted(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name) and value:
        return "[redacted]"
    if isinstance(value, str):
        return _URL_PASSWORD.sub(r"\1:[redacted]@", value) if "://" in value else value
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", item) for item in value]
    return value


class LevelUnknown(ValueError):
    """The configured log level is none."""


def configure(service: str, level: str = "INFO") -> None:
    """Sends structlog's and the standard library's logs to standard output as JSON. Call once, at start.

    Raises LevelUnknown.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise LevelUnknown(f"REELROUTE_LOG_LEVEL is {level!r}; it may be DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: event | {"service": service},
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries speak when something is wrong; their chatter at INFO drowns ours.
    root.setLevel(max(logging.WARNING, number))
