"""The reference at /docs: one page made from the OpenAPI document, without scripts or anything from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

from services.gateway.errors import TITLES

Document = dict[str, Any]

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; --code: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid; grid-template-columns: 19rem minmax(0, 1fr); }
nav { padding: 1.5rem; border-right: 1px solid var(--line); height: 100vh; overflow: auto; position: sticky; top: 0;
  box-sizing: border-box; font-size: .85rem; }
nav a { display: block; text-decoration: none; color: inherit; padding: .1rem 0; overflow-wrap: anywhere; }
nav a:hover { text-decoration: underline; }
main { padding: 1.5rem 2.5rem 6rem; max-width: 60rem; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: .5rem; }
h3 { font-size: 1.05rem; } code, pre { font: .85rem/1.45 ui-monospace, monospace; background: var(--code); }
code { padding: .1rem .25rem; border-radius: .2rem; } pre { padding: .8rem; overflow: auto; border-radius: .3rem; }
pre code { padding: 0; background: none; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; }
.verb { display: inline-block; min-width: 3.4rem; font-weight: 700; } .quiet { color: var(--quiet); }
:target { background: #fe06; }
@media (max-width: 800px) { body { display: block; } main { padding: 1rem; } table { display: block; overflow-x: auto; }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); }
  code { overflow-wrap: anywhere; } td code { overflow-wrap: normal; } }
"""


def render(document: Document) -> str:
    """The page. Every operation of the document is on it, and every schema."""
    operations = list(_operations(document))
    tags = [tag["name"] for tag in document["tags"]]
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<nav>{_navigation(document, operations, tags)}</nav><main>",
        f'<h1>{escape(info["title"])} <span class="quiet">{escape(info["version"])}</span></h1>',
        _text(info["description"]),
        '<p>The same for programs: <a href="/openapi.json">openapi.json</a>.</p>',
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>{_text(tag['description'])}")
        parts += [_operation(document, *each) for each in operations if tag["name"] in each[2]["tags"]]
    parts.append(_problems())
    parts.append('<h2 id="schemas">Schemas</h2>')
    parts += [_schema(document, name) for name in sorted(document["components"]["schemas"])]
    parts.append("</main></body></html>")
    return "".join(parts)


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _navigation(document: Document, operations: list[tuple[str, str, Document]], tags: list[str]) -> str:
    parts = [f"<strong>{escape(document['info']['title'])}</strong>"]
    for tag in tags:
        parts.append(f"<p><strong>{escape(tag)}</strong></p>")
        parts += [
            f'<a href="#{escape(operation["operationId"])}">{method} {escape(path)}</a>'
            for method, path, operation in operations
            if tag in operation["tags"]
        ]
    parts.append('<p><a href="#problems"><strong>Problems</strong></a></p>')
    parts.append('<p><a href="#schemas"><strong>Schemas</strong></a></p>')
    return "".join(parts)


def _operation(document: Document, method: str, path: str, operation: Document) -> str:
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f'<h3><span class="verb">{method}</span> <code>{escape(path)}</code></h3>',
        _text(operation["description"]),
    ]
    if parameters := operation.get("parameters"):
        rows = "".join(
            f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}"
            f"{', required' if each.get('required') else ''}</td><td>{_kind(each['schema'])}</td>"
            f"<td>{_inline(each.get('description', ''))}</td></tr>"
            for each in parameters
        )
        parts.append(f"<table><tr><th>Parameter<th>Where<th>Type<th>Meaning</tr>{rows}</table>")
    if body := operation.get("requestBody"):
        for media_type, content in body["content"].items():
            parts.append(f"<p>Body: <code>{escape(media_type)}</code> {_reference(content['schema'])}</p>")
            parts.append(_code(_curl(document, method, path, media_type, content)))
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            if status.startswith("2"):
                parts.append(f"<p>{status}: <code>{escape(media_type)}</code> {_kind(content['schema'])}</p>")
                parts += [_code(_json(each)) for each in _examples(document, content)]
    refusals = [status for status in operation["responses"] if not status.startswith("2")]
    if refusals:
        links = ", ".join(f'<a href="#problem-{status}">{status}</a>' for status in refusals)
        parts.append(f'<p class="quiet">Refusals: {links}</p>')
    return "".join([*parts, "</section>"])


def _curl(document: Document, method: str, path: str, media_type: str, content: Document) -> str:
    lines = [
        f"curl -X {method} http://127.0.0.1:8080{path}",
        "-H 'Authorization: Bearer rr_…'",
    ]
    if method == "POST":
        lines.append("-H 'Idempotency-Key: one-of-your-own'")
    if media_type == "multipart/form-data":
        lines += [f"-F {name}=@{value}" for name, value in content["example"].items()]
    else:
        lines += ["-H 'Content-Type: application/json'", f"--data '{_json(_examples(document, content)[0])}'"]
    return " \\\n  ".join(lines)


def _examples(document: Document, content: Document) -> list[Any]:
    """One of each of the schemas that it may be; none of a file."""
    schemas = content["schema"].get("anyOf", [content["schema"]])
    names = [each["$ref"].rsplit("/", 1)[-1] for each in schemas if "$ref" in each]
    return [document["components"]["schemas"][name]["examples"][0] for name in names]


def _problems() -> str:
    rows = "".join(
        f'<tr id="problem-{status}"><td><code>{status}</code></td><td>{escape(title)}</td></tr>'
        for status, title in sorted(TITLES.items())
    )
    return (
        '<h2 id="problems">Problems</h2><p>Every refusal is <code>application/problem+json</code> (RFC 9457), see '
        '<a href="#schema-Problem">Problem</a>: <code>reason</code> is for programs, <code>detail</code> for people, '
        "<code>field_violations</code> names what is at fault. Repeat a request answered 503 or 504 with the same "
        f"<code>Idempotency-Key</code>.</p><table>{rows}</table>"
    )


def _schema(document: Document, name: str) -> str:
    schema = document["components"]["schemas"][name]
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{_kind(each)}{', required' if field in required else ''}</td>"
        f"<td>{_inline(each.get('description', ''))}</td></tr>"
        for field, each in schema.get("properties", {}).items()
    )
    return (
        f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>{_text(schema.get("description", ""))}'
        f"<table>{rows}</table></section>"
    )


def _kind(schema: Document) -> str:
    """The type of a value, in words."""
    if "$ref" in schema:
        return _reference(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " ".join(f"<code>{escape(json.dumps(each).strip(chr(34)))}</code>" for each in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    kind = schema.get("format") or schema.get("type") or "any"
    limits = [
        f"{word} {schema[key]}"
        for key, word in (
            ("minLength", "at least"),
            ("maxLength", "at most"),
            ("minimum", "from"),
            ("maximum", "to"),
        )
        if key in schema
    ]
    return escape(" ".join([kind, *limits]))


def _reference(schema: Document) -> str:
    if "$ref" not in schema:
        return ""
    name = schema["$ref"].rsplit("/", 1)[-1]
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _code(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"
