"""Writes docs/errors.md from the error classes, failure reasons and vendors' tables: `python -m docs.make_errors`.

Refusals are classes, and their docstrings are read from them. The reasons of deliveries, checks and forecasts are
written where they are raised, so they are found in the source: calls of `Failure`, `Problem` and `Obstacle` with an
UPPER_SNAKE reason.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import kit
import services
from kit import errors
from kit.rpc_status import code_of
from kit.vendor_codes import Kind, Rule
from services.content.media import Refusal
from services.gateway.errors import status_of
from vendors.amazon_sp import errors as amazon_sp
from vendors.tiktok.errors import API_CODES, FAIL_REASONS, OAUTH_CODES
from vendors.tiktok_shop.codes import CODES, COMMON_CODES, OVERLOADED_CODE, OVERLOADED_MESSAGES

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "errors.md"

_HEAD = """# Errors

Written by `python -m docs.make_errors` from the source; a test compares. Change the source, not this page.

Every refused request is answered with `application/problem+json` (RFC 9457). `reason` is stable and for programs;
`detail` is a sentence that says how to go on; `field_violations` name the fields at fault; `request_id` finds the
request in every log.

```json
{"type": "/docs#problem-schedule-time-in-past", "title": "Invalid values", "status": 422,
 "detail": "2026-01-04T18:00 in Europe/Berlin was 2026-01-04 17:00:00 UTC, which is over. Choose a later time.",
 "reason": "SCHEDULE_TIME_IN_PAST",
 "field_violations": [{"field": "local_time", "description": "…", "reason": ""}], "request_id": "…"}
```

429 and 503 carry `Retry-After`. 500 has the reason `INTERNAL` and a neutral sentence; the log has the cause.
"""

_REFUSALS = """## Refusals

One class for each, in the module named. Between services the same refusal is a `google.rpc.Status` with the gRPC code
and an `ErrorInfo` of the domain `reelroute`. A service may also answer with the bare kind (`NOT_FOUND`, `UNAVAILABLE`,
`INVALID_ARGUMENT`): those come first. Two more are for services only: `SERVICE_TOKEN_INVALID` and `DEADLINE_REQUIRED`.
"""

_MEDIA = """## Media that is not taken

Reasons of an upload's refusal, all with status 422.
"""

_CHECKS = """## Problems of a draft

Found when a post is created. Blocking ones refuse it (422) and stand in `field_violations`; the others come back as
`warnings`: the delivery fails, or waits for a person, unless something changes first, or a platform leaves out what the
warning names. "…" stands for what varies.
"""

_FAILURES = """## Why a delivery is not out

`failure_reason` of a delivery; `failure_message` says the same for people, and what comes next. Those of its own state:

| reason | state | what follows |
|---|---|---|
| `HELD_PAUSE` | HELD | it goes on when the pause is lifted |
| `HELD_ACCOUNT` | HELD | it goes on when its account is connected again |
| `HELD_INCIDENT` | HELD | it goes on when the platform works again |
| `WORKER_CRASHED` | HELD | [a person decides](runbook.md#a-delivery-was-set-aside-held-with-the-cause-crashes) |
| `TOO_LATE` | MISSED, CANCELED or SCHEDULED | as its [lateness rule](architecture.md#the-life-of-a-delivery) says |
| `ASKED` | MISSED | whoever lifted a hold wants a decision for each |
| `MOVED` | SCHEDULED | it goes out at its next slot, by a decision |
| `DROPPED` | CANCELED | nothing, by a decision |
| `OUTCOME_UNKNOWN` | UNCERTAIN | the platform is asked; [else a person looks](runbook.md#a-delivery-is-uncertain) |

When an attempt failed, what follows depends on the kind of its failure:

| kind | what follows |
|---|---|
| `TRANSIENT` | tried again after a growing wait; FAILED after the last try |
| `RATE_LIMITED` | waits as long as the platform says; that is no try |
| `ACCOUNT` | HELD until the account is connected again; that is no try |
| `PLATFORM` | HELD until the platform works again; that is no try |
| `PERMANENT` | FAILED; the message says what to change |
| `REJECTED` | REJECTED: the platform looked at it and said no |
| `OUTCOME_UNKNOWN` | UNCERTAIN, and never tried again unasked |

`DAILY_CAP_REACHED` and `ACTIVE_ACCOUNTS_REACHED` are `RATE_LIMITED` by ourselves: the platform would refuse it today,
so it is not asked, and the delivery waits until there is room.

Besides the reasons below there are `ACCOUNT_NOT_FOUND`, those of [a draft's problems](#problems-of-a-draft), and
`TIKTOK_` with one of TikTok's codes or, when TikTok gave none, with what happened to the call
(`TIKTOK_CONNECT_FAILED`, `TIKTOK_TIMED_OUT`, `TIKTOK_UPLOAD_REFUSED`, …). `TIKTOK_SHOP_` goes with the number of one of
[TikTok Shop's codes](#tiktok-shops-codes) in the same way. `BULLETIN_…` comes from
[the sandbox's own platform](sandbox.md#bulletin).
"""

_FORECAST = """## What a forecast says

Reasons of foreseen failures, with their causes, besides those of [a draft's problems](#problems-of-a-draft) (MEDIA and
CONTENT), `AUTHORIZATION_LOST` (ACCOUNT), `TOKEN_ENDS` (TOKEN), `DAILY_CAP_REACHED`, `ACTIVE_ACCOUNTS_REACHED` and
`RATE_REACHED` (QUOTA). What waits for a decision, or was put off already, has the reason of its delivery.
"""

_VENDORS = """## Vendors' codes

Each vendor's codes are a table in its client, and each code is of one class, which says what happens next:

| class | error | what happens next |
|---|---|---|
| auth (refresh) | `VendorAccountProblem` | the token is refreshed once, then the call is made again |
| auth (reconnect) | `VendorAccountProblem` | waits until the owner connects again |
| rate limit | `VendorRateLimited` | made again after `Retry-After`, else after the time that the vendor advises |
| quota | `VendorQuotaReached` | made again hours later |
| server | `VendorUnavailable` | made again soon; in doubt (`VendorUncertain`) where the call commits |
| validation | `VendorRejected` | never made again; a person is told |
| not found | `VendorNotFound` | the same: the thing is not, or no longer, there |
| uncertain | `VendorUncertain` | the state is read first; made again only if nothing had happened |

An error has the vendor's code, its words, its log id for the vendor's support, and what to do next.
"""

_TIKTOK = """## TikTok's codes

From `vendors/tiktok/errors.py`, with its sources. A delivery shows the code as `TIKTOK_<CODE>`. A code that is in no
table is judged by the HTTP status and logged as `tiktok_unknown_error_code`.
"""

_TIKTOK_SHOP = """## TikTok Shop's codes

From `vendors/tiktok_shop/codes.py`, with its sources. The code decides, since the HTTP status alone proves nothing. A
code that is in no table is logged as `tiktok_shop_unknown_error_code`; it is of the class server for a call that only
reads, and of the class validation for one that changes something. `36009004` has many meanings, told apart by its
message.
"""

_AMAZON = """## Amazon's codes

From `vendors/amazon_sp/errors.py`. The HTTP status decides, and its words tell two kinds of 403 apart: an access token
that has expired is renewed, a denial needs the seller or a role of the app. The codes count where a 200 carries errors;
one that is in no table is logged as `amazon_sp_unknown_error_code` and is of the class server. A page of a gateway is
judged by its status alone, and is never a success.
"""

_CLASSES = {
    Kind.TRANSIENT: "server",
    Kind.RATE_LIMITED: "rate limit",
    Kind.QUOTA: "quota",
    Kind.REFRESH: "auth (refresh)",
    Kind.RECONNECT: "auth (reconnect)",
    Kind.REJECTED: "validation",
    Kind.NOT_FOUND: "not found",
    Kind.VERIFY: "uncertain",
}

_NEXT = {
    Kind.TRANSIENT: "tried again soon",
    Kind.RATE_LIMITED: "tried again after `Retry-After`, else after a minute",
    Kind.QUOTA: "tried again a day later",
    Kind.REFRESH: "token refreshed once, then tried again",
    Kind.RECONNECT: "HELD; the owner connects the account again",
    Kind.REJECTED: "FAILED",
}


def render() -> str:
    """The page."""
    return "\n".join(
        [
            _HEAD,
            _REFUSALS,
            _table(("reason", "HTTP", "gRPC", "meaning", "where"), _refusals()),
            _MEDIA,
            _table(("reason", "meaning"), _media()),
            _CHECKS,
            _table(("reason", "message", "blocking"), _checks()),
            _FAILURES,
            _table(("reason", "kind", "message"), _failures()),
            _FORECAST,
            _table(("reason", "cause", "message"), _obstacles()),
            _VENDORS,
            _TIKTOK,
            "### Of the API\n",
            _table(("code", "class", "meaning", "what to do", "what follows"), _codes(API_CODES, _NEXT)),
            "### Of a post that TikTok did not publish (`fail_reason`)\n",
            _table(
                ("code", "class", "meaning", "what to do", "what follows"),
                _codes(FAIL_REASONS, {**_NEXT, Kind.REJECTED: "REJECTED"}),
            ),
            "### Of connecting and refreshing\n",
            _table(
                ("code", "class", "meaning", "what to do", "what follows"),
                _codes(
                    OAUTH_CODES,
                    {
                        Kind.TRANSIENT: "the account stays connected; a refresh is tried again",
                        Kind.RECONNECT: "`AUTHORIZATION_LOST` when refreshing, `CONNECTION_REFUSED` when connecting",
                        Kind.REJECTED: "`TOKEN_REFRESH_FAILED` when refreshing, `CONNECTION_REFUSED` when connecting",
                    },
                ),
            ),
            _TIKTOK_SHOP,
            *(
                f"### {part}\n\n{_table(('code', 'class', 'meaning', 'what to do'), _shop_codes(table))}"
                for part, table in CODES.items()
            ),
            _AMAZON,
            *(
                f"### {part}\n\n{_table(('code', 'class', 'meaning', 'what to do'), _shop_codes(table))}"
                for part, table in (
                    ("Of the Selling Partner API", amazon_sp.CODES),
                    ("Of Login with Amazon", amazon_sp.LWA_CODES),
                )
            ),
        ]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def _refusals() -> Iterator[tuple[str, ...]]:
    for package in (kit, services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            # Starting a service, or migrating one, is no part of reading its errors.
            if ".migrations" not in module.name and not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    found = {kind for kind in _below(errors.ReelrouteError) if kind.__module__.startswith(("kit.", "services."))}
    for kind in sorted(found, key=lambda each: (each.__module__, each.__name__)):
        # Not made by its own __init__, which may ask for the particulars of a case.
        error = kind.__new__(kind)
        meaning = " ".join((kind.__doc__ or "").split())
        yield f"`{error.reason}`", str(status_of(error)), code_of(error).name, meaning, f"`{kind.__module__}`"


def _below(kind: type[errors.ReelrouteError]) -> Iterator[type[errors.ReelrouteError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _media() -> Iterator[tuple[str, ...]]:
    """The members of Refusal with the docstrings below them."""
    (body,) = (
        node
        for node in ast.parse((ROOT / "services" / "content" / "media.py").read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == Refusal.__name__
    )
    told = [
        str(node.value.value)
        for node in body.body[1:]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    for member, meaning in zip(Refusal, told, strict=True):
        yield f"`{member.value}`", meaning


def _calls(name: str) -> Iterator[tuple[str, str, ast.Call]]:
    """Reason, message and call for each call of a class that is given a reason; in the order of the reasons."""
    found: dict[str, tuple[str, str, ast.Call]] = {}
    for path in sorted((ROOT / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or _name(node.func) != name:
                continue
            for place, argument in enumerate(node.args[:-1]):
                if isinstance(argument, ast.Constant) and re.fullmatch(r"[A-Z][A-Z_]+", str(argument.value)):
                    message = _text(node.args[place + 1])
                    known = found.get(str(argument.value))
                    if known is None or len(message) > len(known[1]):
                        found[str(argument.value)] = (str(argument.value), message, node)
    yield from (found[reason] for reason in sorted(found))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str:
    """A text of the source, with "…" for what is filled in when it is raised."""
    match node:
        case ast.Constant(value=str(words)):
            return words
        case ast.JoinedStr(values=parts):
            return re.sub("…(…)+", "…", "".join(_text(part) for part in parts))
        case ast.BinOp(left=left, right=right):
            return _text(left) + _text(right)
    return "…"


def _checks() -> Iterator[tuple[str, ...]]:
    for reason, message, call in _calls("Problem"):
        given = [each.value for each in call.keywords if each.arg == "blocking"] or call.args[3:4]
        blocking = not (given and isinstance(given[0], ast.Constant) and given[0].value is False)
        yield f"`{reason}`", message, "yes" if blocking else "no"
    path = ROOT / "services" / "publisher" / "platforms" / "tiktok_media.py"
    # A file's own problems have TikTok's words for reasons, where it has some; they are shown in upper case.
    for node in sorted(_file_problems(path), key=lambda each: _text(each.args[0])):
        yield f"`{_text(node.args[0]).upper()}`", _text(node.args[1]), "yes"


def _file_problems(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and _name(node.func) == "Problem":
            yield node


def _failures() -> Iterator[tuple[str, ...]]:
    for reason, message, call in _calls("Failure"):
        yield f"`{reason}`", f"`{_name(call.args[0])}`", message


def _obstacles() -> Iterator[tuple[str, ...]]:
    for reason, message, call in _calls("Obstacle"):
        yield f"`{reason}`", _name(call.args[0]), message


def _codes(table: Mapping[str, Rule], following: Mapping[Kind, str]) -> Iterator[tuple[str, ...]]:
    for code, rule in table.items():
        yield f"`{code}`", _CLASSES[rule.kind], rule.message, rule.advice, following[rule.kind]


def _shop_codes(table: Mapping[str, Rule]) -> Iterator[tuple[str, ...]]:
    """One row for each rule, with all of its codes."""
    rules: dict[Rule, list[str]] = {}
    for code, rule in table.items():
        rules.setdefault(rule, []).append(f"`{code}`")
    for rule, names in rules.items():
        yield ", ".join(names), _CLASSES[rule.kind], rule.message, rule.advice
    if table is COMMON_CODES:
        for _, rule in OVERLOADED_MESSAGES:
            yield f"`{OVERLOADED_CODE}`", _CLASSES[rule.kind], rule.message, rule.advice


if __name__ == "__main__":
    PAGE.write_text(render())
