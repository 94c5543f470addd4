"""Pages of lists: a limit, and an opaque token that says where the next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kit.errors import InvalidArgument

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page:
    """How many rows to read and behind which key. `after` is the last row's key of the page before, or None."""

    size: int
    after: tuple[Any, ...] | None

    @classmethod
    def parse(cls, page_size: int, page_token: str, kinds: Sequence[type], *, most: int = MAX_PAGE_SIZE) -> Page:
        """From a request. `kinds` are the types of the key's parts, each made from its text (datetimes: ISO); `most` is
        the largest size.

        Raises InvalidArgument when the token is not one that we gave out.
        """
        size = min(page_size or DEFAULT_PAGE_SIZE, most)
        if not page_token:
            return cls(size, None)
        try:
            parts = json.loads(base64.urlsafe_b64decode(page_token.encode()))
            # `token` writes nothing but texts; the kinds answer anything else with errors of every sort.
            if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
                raise ValueError(page_token)
            after = tuple(
                kind.fromisoformat(part) if hasattr(kind, "fromisoformat") else kind(part)
                for kind, part in zip(kinds, parts, strict=True)
            )
        except (ValueError, TypeError, binascii.Error):
            raise InvalidArgument.of_field(
                "page_token", "This is not a token from a previous page. Leave it empty for the first page."
            ) from None
        return cls(size, after)

    def cut(self, found: Sequence[Row], key_of: Callable[[Row], tuple[Any, ...]]) -> tuple[Sequence[Row], str]:
        """What the page shows of what was found (one row more than it holds, when there is a next page), and the token
        of the next page, empty on the last. `key_of` a row is what pages are ordered by.
        """
        if len(found) <= self.size:
            return found, ""
        shown = found[: self.size]
        return shown, self.token(*key_of(shown[-1]))

    @staticmethod
    def token(*key: Any) -> str:
        """The token of the page that begins behind `key`."""
        parts = [part.isoformat() if hasattr(part, "isoformat") else str(part) for part in key]
        return base64.urlsafe_b64encode(json.dumps(parts, ensure_ascii=False).encode()).decode()
