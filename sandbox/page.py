"""The control page: one HTML page without scripts and without anything loaded from elsewhere."""

from collections.abc import Mapping
from html import escape

from fastapi import APIRouter, HTTPException, Request
from pydantic import ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.control import Controls
from sandbox.faults import FaultMode, FaultSpec
from sandbox.html import Cell, button, field, form, hidden, select, table, when
from sandbox.problems import first_problem

_STYLE = """
:root{color-scheme:light dark}body{font:14px/1.45 system-ui,sans-serif;margin:1.5rem;max-width:90rem}
h1,h2,h3{margin:1.2em 0 .4em}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem;
border-bottom:1px solid #8884;vertical-align:top;white-space:nowrap}.scroll{overflow:auto;max-height:26rem}
td form{display:inline}form{margin:.4rem 0}label{margin-right:.8rem;white-space:nowrap}
input,select,button{font:inherit;padding:.15rem .4rem}button{cursor:pointer}
.bad{background:#c0392b;color:#fff;padding:.5rem}
@media(max-width:600px){label{display:block;white-space:normal}input,select{max-width:100%;box-sizing:border-box}}
"""


def routes(controls: Controls) -> APIRouter:
    """The page and the target of its forms."""
    router = APIRouter(include_in_schema=False)

    @router.get("/control")
    async def page() -> Response:
        return _answer(controls)

    @router.post("/control/forms/{operation:path}")
    async def perform(operation: str, request: Request) -> Response:
        fields = {name: str(value) for name, value in (await request.form()).items()}
        try:
            _perform(controls, operation, fields)
        except KeyError as error:
            raise HTTPException(404, "The page is out of date: this form or its target does not exist.") from error
        except ValidationError as error:
            return _answer(controls, first_problem(error))
        except ValueError as error:
            return _answer(controls, str(error))
        return RedirectResponse("/control", status_code=303)

    return router


def _answer(controls: Controls, problem: str = "") -> Response:
    return HTMLResponse(
        render(controls, problem),
        status_code=422 if problem else 200,
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
            "frame-ancestors 'none'",
        },
    )


def _perform(controls: Controls, operation: str, fields: Mapping[str, str]) -> None:
    given = {name: value for name, value in fields.items() if value != ""}
    vendor_name, _, form_name = operation.partition("/")
    for vendor in controls.vendors:
        if form_name and vendor.name == vendor_name:
            vendor.perform(form_name, fields)
            return
    match operation:
        case "advance":
            controls.clock.advance(float(given.get("seconds", "0")))
        case "freeze":
            controls.clock.freeze()
        case "run":
            controls.clock.run()
        case "real_time":
            controls.clock.reset()
        case "fault":
            controls.add_fault(FaultSpec.model_validate(given))
        case "remove_fault":
            controls.faults.remove(int(given.get("id", "0")))
        case "reset":
            controls.reset()
        case _:
            raise KeyError(operation)


def render(controls: Controls, problem: str = "") -> str:
    """The whole page, with a sentence on top when the last form was refused."""
    parts = [
        "<h1>Sandbox</h1>",
        f'<p class="bad">{escape(problem)}</p>' if problem else "",
        '<p><a href="/control">Reload</a> · <a href="/control/openapi.json">Control API</a></p>',
        _clock(controls),
        _faults(controls),
        *(vendor.panel() for vendor in controls.vendors),
        _calls(controls),
        "<h2>Reset</h2>",
        form("reset", button("Forget everything")),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sandbox</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>"
    )


def _clock(controls: Controls) -> str:
    now = controls.clock_now()
    state = "frozen" if now.frozen else "running"
    return (
        f"<h2>Clock</h2><p>{when(now.now)} UTC, {state}, {round(now.offset_seconds):+d} s from the real time</p>"
        + form("advance", field("seconds", "60") + button("Advance"))
        + (form("run", button("Let it run")) if now.frozen else form("freeze", button("Freeze")))
        + form("real_time", button("Back to the real time"))
    )


def _faults(controls: Controls) -> str:
    rows = [
        (
            one["endpoint"],
            one["mode"],
            f"{one['status'] or ''} {one['code']}".strip(),
            f"{one['delay_seconds']:g} s" if one["delay_seconds"] else "",
            f"{one['hits']} of {one['count'] or 'all'}" + (" (spent)" if one["spent"] else ""),
            f"{one['probability']:g}",
            Cell(form("remove_fault", hidden("id", str(one["id"])) + button("remove"))),
        )
        for one in controls.faults.entries()
    ]
    return (
        "<h2>Faults</h2>"
        + table(("endpoint", "mode", "answer", "delay", "hits", "probability", ""), rows)
        + form(
            "fault",
            select("endpoint", controls.endpoints())
            + select("mode", [mode.value for mode in FaultMode])
            + field("status")
            + field("code")
            + field("delay_seconds")
            + field("skip")
            + field("count", "1")
            + field("probability")
            + button("Add a fault"),
        )
    )


def _calls(controls: Controls) -> str:
    rows = [
        (
            when(one["time"]),
            one["endpoint"],
            f"{one['method']} {one['path']}",
            str(one["status"] or "none"),
            one["code"],
            one["creator"],
            one["publish_id"],
            one["fault"],
            f"{one['duration_ms']:.1f}",
        )
        for one in controls.calls.entries()
    ]
    return "<h2>Calls</h2>" + table(
        ("time", "endpoint", "call", "status", "code", "creator", "publish id", "fault", "ms"), rows
    )
