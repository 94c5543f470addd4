"""`reelroute replay`: a recorded call once more, to a sandbox, and what it answers beside what was answered then.

A call goes to nobody but a sandbox: whatever its address is called, it must first answer as only a sandbox does. Tokens
and signatures are not recorded; the sandbox gives them, for a creator of the same name or for the same shop.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import httpx
import typer

from cli import display, options, settings
from cli.calls import call_id
from cli.client import Api, ClientError, Json
from cli.display import failures, moment

_REAL = re.compile(r"(^|\.)(tiktok[a-z-]*\.com|amazon\.[a-z.]+)$")
_LEFT_OUT = ("[redacted]", "[cut]")
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that has proven to be one."""

    url: str
    http: httpx.Client = field(repr=False)

    def shops(self) -> list[str]:
        """The ids of the shops that it plays."""
        sellers = self.http.get("/control/tiktok_shop/sellers", headers=_control_headers()).raise_for_status().json()
        return [shop["id"] for seller in sellers for shop in seller["shops"]]

    def shop_creators(self) -> dict[str, str]:
        """The names of the TikTok Shop creators that it plays, by their open ids."""
        found = self.http.get("/control/tiktok_shop/creators", headers=_control_headers()).raise_for_status().json()
        return {creator["open_id"]: creator["username"] for creator in found}

    def control(self, path: str, body: Json | None = None, *, may_be_there: bool = False) -> Json:
        """One call of its control API. Raises ClientError."""
        response = self.http.request("POST", f"/control{path}", json=body, headers=_control_headers())
        if may_be_there and response.status_code == httpx.codes.CONFLICT:
            return {}
        if not response.is_success:
            raise ClientError(f"The sandbox refuses {path}: {display.first_line(response.text, 200)}")
        answer: Json = response.json()
        return answer


@dataclass(frozen=True, slots=True)
class Proven:
    """A call with what proves to the sandbox who makes it. `body` is sent byte for byte."""

    caller: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    body: str = ""


def _as_creator(api: Api, sandbox: Sandbox, recorded: Json) -> Proven:
    """TikTok: a token of the creator who has the name of the account."""
    if not recorded["account_id"]:
        raise _not_replayable("it was made for no account")
    name = api.get(f"/v1/accounts/{recorded['account_id']}")["handle"]
    sandbox.control("/tiktok/creators", {"username": name}, may_be_there=True)
    token = sandbox.control(f"/tiktok/creators/{quote(name, safe='')}/tokens")["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=UTF-8"}
    return Proven(f"@{name}", _query(recorded), headers, _body(recorded))


def _as_shop(api: Api, sandbox: Sandbox, recorded: Json) -> Proven:
    """TikTok Shop: tokens and signature of the creator, or of the seller who has the shop."""
    query = _query(recorded)
    cipher = query.pop("shop_cipher", None)
    call = {"path": recorded["path"], "query": query, "body": _body(recorded), "with_cipher": cipher is not None}
    if recorded["shop_id"]:
        shop = api.get(f"/v1/shops/{recorded['shop_id']}")
        caller, call["shop_id"] = shop["name"], shop["platform_shop_id"]
        played, is_played = f"the shop {caller}", call["shop_id"] in sandbox.shops()
    elif recorded["account_id"]:
        account = api.get(f"/v1/accounts/{recorded['account_id']}")
        caller = f"@{account['handle']}"
        call["creator"] = sandbox.shop_creators().get(account["platform_account_id"], "")
        played, is_played = f"the creator {caller}", bool(call["creator"])
    else:
        raise _not_replayable("it was made for no shop and no creator")
    if not is_played:
        raise _not_replayable(f"the sandbox does not play {played}")
    signed = sandbox.control("/tiktok_shop/calls", call)
    return Proven(caller, signed["query"], signed["headers"], call["body"])


def _query(recorded: Json) -> dict[str, str]:
    return dict((recorded["request"] or {}).get("query", {}))


def _body(recorded: Json) -> str:
    request = recorded["request"] or {}
    return json.dumps(request["json"], ensure_ascii=False, separators=(",", ":")) if "json" in request else ""


# By vendor: who calls, and how it is proven to the sandbox.
_PROOFS: Mapping[str, Callable[[Api, Sandbox, Json], Proven]] = {"tiktok": _as_creator, "tiktok_shop": _as_shop}
# What a proof brings anew, though it was not recorded.
_BROUGHT = {"tiktok_shop": {"query.shop_cipher"}}


def replay(
    call: Annotated[str, typer.Argument(help="A recorded call's id: reelroute calls list.", show_default=False)],
    sandbox: Annotated[
        str, typer.Option(help="The sandbox's address; default: REELROUTE_SANDBOX_URL, else that of `make run`.")
    ] = "",
    as_json: options.AsJson = False,
) -> None:
    """Makes a recorded call once more, to a sandbox, and shows both answers. Real platforms are never called."""
    with failures(as_json=as_json), options.api() as api:
        recorded = api.get(f"/v1/vendor-calls/{call_id(call)}")
        check_replayable(recorded)
        with open_sandbox(sandbox or settings.sandbox_url(), recorded["vendor"]) as opened:
            proven = _PROOFS[recorded["vendor"]](api, opened, recorded)
            replayed = _replayed(opened, recorded, proven)
        rows = list(compared(recorded["answer"], replayed["answer"]))
        if as_json:
            differences = [
                {"field": each.name, "recorded": each.recorded, "replayed": each.replayed}
                for each in rows
                if each.differs
            ]
            display.document({"recorded": recorded, "replayed": replayed, "differences": differences})
            return
        _show(recorded, replayed, proven.caller, rows)


def check_replayable(recorded: Json) -> None:
    """Raises ClientError with the reason when a call cannot be made again as it was."""
    request = recorded["request"] or {}
    brought = _BROUGHT.get(recorded["vendor"], set())
    missing = [
        name
        for name, value in _leaves(request)
        if isinstance(value, str) and _is_left_out(value) and name not in brought
    ]
    if recorded["vendor"] not in _PROOFS:
        why = f"calls to {recorded['vendor']} need a proof of who calls that only {', '.join(_PROOFS)} have here"
    elif "form" in request:
        why = "it asked for tokens, and what it sent is not recorded"
    elif "bytes" in request:
        why = f"it sent {display.size(request['bytes'])}, which are not recorded"
    elif not recorded["path"].startswith("/") or recorded["path"].startswith("//"):
        why = "it went to an address that the vendor gave for once, which is not recorded"
    elif missing:
        why = f"what it sent is not recorded whole: {', '.join(missing)}"
    else:
        return
    raise _not_replayable(why)


def _not_replayable(why: str) -> ClientError:
    return ClientError(f"This call cannot be replayed: {why}.", "reelroute calls show has what is recorded of it.")


@contextlib.contextmanager
def open_sandbox(url: str, vendor: str) -> Iterator[Sandbox]:
    """The sandbox at an address. Raises ClientError when that is a real platform's, or no sandbox of the vendor."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ClientError(f"{url} is no address of a sandbox.", "Use one like http://127.0.0.1:8090")
    if _REAL.search(parts.hostname.rstrip(".")):
        raise ClientError(f"{parts.hostname} is a real platform.", "Calls are replayed to a sandbox only: --sandbox")
    url = url.rstrip("/")
    try:
        # Neither by a proxy nor by a redirect to anybody else.
        with httpx.Client(base_url=url, timeout=_SECONDS, trust_env=False, follow_redirects=False) as http:
            if vendor not in _platforms(http):
                raise ClientError(
                    f"{url} does not answer as a sandbox with {vendor} does.", "Check --sandbox and its control token."
                )
            yield Sandbox(url, http)
    except httpx.TransportError as error:
        raise ClientError(
            f"The sandbox at {url} does not answer ({type(error).__name__}).",
            "Start it, or say where it is with --sandbox or REELROUTE_SANDBOX_URL.",
        ) from None


def _platforms(http: httpx.Client) -> Json:
    """What the sandbox at an address plays; nothing, when it is none."""
    response = http.get("/control/state", headers=_control_headers())
    try:
        state = response.json() if response.is_success else None
    except ValueError:
        state = None
    if not isinstance(state, dict) or not {"clock", "platforms", "endpoints"} <= set(state):
        return {}
    platforms: Json = state["platforms"]
    return platforms


def _control_headers() -> dict[str, str]:
    token = settings.sandbox_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _replayed(sandbox: Sandbox, recorded: Json, proven: Proven) -> Json:
    """The call, made again: status, time, and answer as a record has it."""
    begun = time.perf_counter()
    response = sandbox.http.request(
        recorded["method"],
        recorded["path"],
        params=proven.query or None,
        headers=proven.headers,
        content=proven.body.encode(),
    )
    took = time.perf_counter() - begun
    try:
        answer: Json = {"json": response.json()}
    except ValueError:
        answer = {"bytes": len(response.content)}
    return {"status": response.status_code, "duration_ms": round(took * 1000, 3), "answer": answer}


@dataclass(frozen=True, slots=True)
class Compared:
    """One value of both answers; None where an answer lacks it. `differs` is None where it was not recorded."""

    name: str
    recorded: Any
    replayed: Any
    differs: bool | None


def compared(recorded: Json | None, replayed: Json | None) -> Iterator[Compared]:
    """Every value of two answers, in the order of the first; of one that was too large to be recorded, its size."""
    if recorded is not None and "json" not in recorded and "bytes" in recorded:
        yield Compared("bytes", recorded["bytes"], None, None)
        return
    before, after = _values(recorded), _values(replayed)
    hidden = [name for name, value in before.items() if isinstance(value, str) and _is_left_out(value)]
    for name in dict.fromkeys((*before, *after)):
        if any(name == each or name.startswith((f"{each}.", f"{each}[")) for each in hidden):
            if name in before:
                yield Compared(name, before[name], _LEFT_OUT[0], None)
            continue
        # As JSON: there true is not 1.
        same = name in before and name in after and json.dumps(before[name]) == json.dumps(after[name])
        yield Compared(name, before.get(name), after.get(name), not same)


def _values(answer: Json | None) -> dict[str, Any]:
    body = (answer or {}).get("json", answer)
    return {} if body is None else dict(_leaves(body))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values of JSON by their places: `data.videos[0].id`."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _leaves(each, f"{name}[{index}]")
    else:
        yield name, value


def _is_left_out(text: str) -> bool:
    return any(mark in text for mark in _LEFT_OUT)


def _show(recorded: Json, replayed: Json, caller: str, rows: list[Compared]) -> None:
    display.say(
        display.printable(
            f"{recorded['vendor']} {recorded['operation']} for {caller}: {recorded['method']} {recorded['path']}"
        )
    )
    display.table(
        ["", "", "Recorded", "Replayed"],
        [
            ("", "Time", moment(recorded["start_time"]), "now"),
            (_mark(recorded["status"] != replayed["status"]), "Status", recorded["status"] or "", replayed["status"]),
            ("", "Took, ms", recorded["duration_ms"], replayed["duration_ms"]),
            *((_mark(each.differs), each.name, _shown(each.recorded), _shown(each.replayed)) for each in rows),
        ],
    )
    different = sum(each.differs is True for each in rows)
    display.note(
        f"{display.count(different, 'value')} of the answer differ: ≠. What was not recorded is not compared: ·"
    )


def _mark(differs: bool | None) -> str:
    return "·" if differs is None else "≠" if differs else ""


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
