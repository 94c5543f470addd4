"""Small building blocks of the control page. Every text is escaped here, so callers hand over plain text."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape


class Cell(str):
    """HTML that is safe already, for a cell of a table."""

    __slots__ = ()


def when(unix_seconds: float | None) -> str:
    """A sandbox time for people, in UTC with milliseconds; empty for none."""
    if unix_seconds is None:
        return ""
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; "none" in a row of its own when there is nothing."""
    body = "".join(
        "<tr>" + "".join(f"<td>{cell if isinstance(cell, Cell) else escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    empty = f'<tr><td colspan="{len(heads)}">none</td></tr>'
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body or empty}</tbody></table></div>'


def form(operation: str, inner: str) -> str:
    """A form that posts to the control page; `inner` is made of the pieces below."""
    return f'<form method="post" action="/control/forms/{escape(operation)}">{inner}</form>'


def field(name: str, value: str = "") -> str:
    """A labelled text field."""
    return f'<label>{escape(name)} <input name="{escape(name)}" value="{escape(value)}"></label>'


def hidden(name: str, value: str) -> str:
    """A value that the form carries."""
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def select(name: str, options: Iterable[str], chosen: str = "") -> str:
    """A labelled list to choose from."""
    items = "".join(f"<option{' selected' if one == chosen else ''}>{escape(one)}</option>" for one in options)
    return f'<label>{escape(name)} <select name="{escape(name)}">{items}</select></label>'


def button(text: str) -> str:
    """The button that sends a form."""
    return f"<button>{escape(text)}</button>"
