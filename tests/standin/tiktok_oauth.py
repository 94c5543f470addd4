"""Login Kit: the consent page and the token endpoints."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.standin import tiktok_rules as rules
from tests.standin.journal import Call
from tests.standin.server import Reply
from tests.standin.shapes import misfits

if TYPE_CHECKING:
    from tests.standin.tiktok import TikTok

REDIRECT_URIS = {"http://127.0.0.1:5000/callback", "http://127.0.0.1:8765/callback"}


@dataclass
class Grant:
    """Tokens of one user. `old`: its refresh tokens that were replaced in an answer that arrived."""

    who: str
    scopes: tuple[str, ...]
    access: str = ""
    access_end: float = 0.0
    refresh: str = ""
    old: set[str] = field(default_factory=set)
    # The refresh token before this one: good as long as the answer with this one may have been lost.
    before: str = ""


class Login:
    """`lifetime`: of access tokens, seconds. `rotates`: a refresh gives another refresh token, and ends the old one."""

    def __init__(self, tiktok: TikTok) -> None:
        self._tiktok = tiktok
        self.lifetime = 86_400
        self.rotates = True
        self.declines: tuple[str, ...] = ()  # scopes that the user does not grant
        self.grants: dict[str, Grant] = {}
        self._codes: dict[str, tuple[str, dict[str, str]]] = {}
        self._spent: set[str] = set()
        self._states: set[str] = set()

    def consent(self, url: str, who: str) -> tuple[str, str]:
        """What a consenting user's browser does; code and state of the callback, as a web framework decodes them."""
        address = urlsplit(url)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        call = Call(0, time.monotonic(), "GET", address.path, query, [], "authorize", who)
        journal = self._tiktok.journal
        journal.calls.append(call)
        if f"{address.scheme}://{address.netloc}{address.path}" != f"{self._tiktok.url}/v2/auth/authorize/":
            journal.breaks(call, f"the consent page is not at {address.path}")
        for problem in misfits(query, rules.AUTHORIZE_QUERY, "query"):
            journal.breaks(call, problem)
        if query.get("client_key") != self._tiktok.client_key or query.get("redirect_uri") not in REDIRECT_URIS:
            journal.breaks(call, "another app, or an address that is not registered")
        asked = query.get("scope", "").split(",")
        if unknown := [scope for scope in asked if scope not in rules.ALL_SCOPES]:
            journal.breaks(call, f"scopes {unknown} do not exist")
        if set(query.get("code_challenge", "")) - set("0123456789abcdef"):
            journal.breaks(call, "the code challenge is not lower-case hexadecimal")
        if query.get("state", "") in self._states:
            journal.breaks(call, "a state was used twice")
        self._states.add(query.get("state", ""))
        code = f"{secrets.token_urlsafe(24)}*1!{len(self._codes)}.va"
        granted = [scope for scope in asked if scope not in self.declines]
        self._codes[code] = (who, query | {"scope": ",".join(granted)})
        return code, query.get("state", "")

    def give(self, who: str, scopes: tuple[str, ...] = rules.ALL_SCOPES) -> Grant:
        """Tokens without a consent page."""
        grant = self.grants[who] = Grant(who, scopes)
        self._renew(grant)
        return grant

    def holder(self, token: str) -> Grant | None:
        return next((grant for grant in self.grants.values() if grant.access == token), None)

    def expire(self, who: str) -> None:
        """The access token is over, sooner than was said."""
        self.grants[who].access_end = 0

    def answer(self, call: Call, raw: bytes, instead: Reply | None) -> Reply:
        """Of a token endpoint. Errors come with HTTP 200, which is documented as possible."""
        journal = self._tiktok.journal
        pairs = parse_qsl(raw.decode(), keep_blank_values=True)
        form: dict[str, Any] = dict(pairs)
        call.body = form
        if call.query or len(pairs) != len(form):
            journal.breaks(call, "a query, or a field twice")
        if call.header("content-type").lower() != rules.FORM_TYPE:
            journal.breaks(call, f"the content type is {call.header('content-type')!r}")
        kind = form.get("grant_type", "")
        shape = rules.REVOKE_FORM if call.endpoint == "revoke" else rules.TOKEN_FORMS.get(kind, {})
        for problem in misfits(form, shape, "form"):
            journal.breaks(call, problem)
        if form.get("client_key") != self._tiktok.client_key or form.get("client_secret") != self._tiktok.client_secret:
            journal.breaks(call, "key and secret are not this app's")
            return _error("invalid_client")
        with journal.lock:
            journal.arrived(call)
            if instead is not None:
                return instead
            if call.endpoint == "revoke":
                return Reply()
            return self._exchange(call, form) if kind == "authorization_code" else self._refresh(call, form)

    def _exchange(self, call: Call, form: dict[str, str]) -> Reply:
        journal, code = self._tiktok.journal, form.get("code", "")
        if code in self._spent:
            journal.breaks(call, "a code is exchanged twice")
        self._spent.add(code)
        who, asked = self._codes.pop(code, ("", {}))
        if not who:
            return _error("invalid_grant")
        if form.get("redirect_uri") != asked["redirect_uri"]:
            journal.breaks(call, "the redirect address is not the one of the consent")
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).hexdigest()
        if proof != asked["code_challenge"]:
            journal.breaks(call, "the code verifier does not belong to the challenge")
            return _error("invalid_grant")
        call.who = who
        grant = self.give(who, tuple(asked["scope"].split(",")))
        return Reply(body=self._tokens(grant))

    def _refresh(self, call: Call, form: dict[str, str]) -> Reply:
        journal, given = self._tiktok.journal, form.get("refresh_token", "")
        for grant in self.grants.values():
            if given in grant.old:
                call.who = grant.who
                journal.breaks(call, "a refresh token is used again after a new one was given")
            elif given and given in (grant.refresh, grant.before):
                call.who = grant.who
                if self._tiktok.user(grant.who).left:
                    return _error("invalid_grant")
                call.note = (grant.access, given)
                self._renew(grant)
                return Reply(body=self._tokens(grant))
        return _error("invalid_grant")

    def _renew(self, grant: Grant) -> None:
        grant.access = f"act.{secrets.token_urlsafe(30)}!{len(grant.old)}"
        grant.access_end = time.monotonic() + self.lifetime
        if self.rotates or not grant.refresh:
            grant.before = grant.refresh
            grant.refresh = f"rft.{secrets.token_urlsafe(30)}!4"

    def answered(self, call: Call, reply: Reply) -> None:
        """What was replaced by an answer that arrived is over."""
        journal = self._tiktok.journal
        if reply.code in ("invalid_client", "unauthorized_client", "invalid_scope", "invalid_grant", "invalid_request"):
            journal.refuses_for_good(call)
        if call.note is not None:
            grant = self.grants[call.who]
            access, refresh = call.note
            journal.token_is_over(access, "it was refreshed")
            if refresh != grant.refresh:
                grant.old.add(refresh)

    def _tokens(self, grant: Grant) -> dict[str, Any]:
        return {
            "access_token": grant.access, "expires_in": self.lifetime, "refresh_token": grant.refresh,
            "refresh_expires_in": 31_536_000, "open_id": grant.who, "scope": ",".join(grant.scopes),
            "token_type": "Bearer", "a_field_of_tomorrow": {"n": 1},
        }  # fmt: skip


def _error(code: str) -> Reply:
    body = {"error": code, "error_description": f"It is {code}.", "log_id": secrets.token_hex(8)}
    return Reply(200, body, code=code)
