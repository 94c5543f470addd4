"""Small building blocks of pages. Every text is escaped here, so callers hand over plain text."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

_PAGE_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:3rem auto;padding:0 1rem;color:#1c1c1e;
background:#f5f5f2}
main{background:#fff;border:1px solid #ddd;border-radius:.75rem;padding:1.5rem}
label{display:block;margin:.3rem 0}button{font:inherit;padding:.5rem 1.25rem;margin-right:.5rem;border-radius:.5rem;
border:1px solid #888;background:#fff}button.yes{background:#1c1c1e;color:#fff}small{color:#666}
@media(prefers-color-scheme:dark){body{background:#161618;color:#eee}main{background:#222;border-color:#444}
button{background:#333;color:#eee}button.yes{background:#eee;color:#111}small{color:#aaa}}
"""


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


def page(title: str, body: str) -> str:
    """A whole page of a platform, as its users see it; `body` is safe HTML. No scripts, nothing from elsewhere."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_PAGE_STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )


def proxy_page(status: int) -> str:
    """What clients get when a platform's front door is broken."""
    return f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
