"""Login Kit: the consent page, the token endpoint and revocation.

The redirect addresses of desktop apps (`localhost`, `127.0.0.1`, any port) are always accepted and need PKCE, as the
platform's "Login Kit for Desktop" says; others must be registered, and PKCE is then optional ("Login Kit for Web").
The challenge is the lower-case hexadecimal SHA-256 of the verifier, not base64url as in RFC 7636.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.tiktok import people
from sandbox.tiktok.answers import OAuthRefusal, flat
from sandbox.tiktok.consent import consent_page, problem_page
from sandbox.tiktok.state import TikTokState, digest, note

APP_TOKEN_SECONDS = 7200
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_CHALLENGE = re.compile(r"[0-9a-f]{64}")


class PageProblem(Exception):
    """The consent page cannot be shown, and there is no address that may be told."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for consent."""

    scopes: tuple[str, ...]
    redirect_uri: str
    state: str
    challenge: str
    problem: str = ""
    """OAuth error that goes back to the app instead of a code; empty when the request is good."""
    description: str = ""

    def back(self, **query: str) -> str:
        """The redirect address with an answer."""
        return f"{self.redirect_uri}?{urlencode({**query, 'state': self.state}, quote_via=quote)}"

    def back_with_problem(self, error: str, description: str) -> str:
        """The redirect address with an error."""
        return self.back(error=error, error_description=description)


def read_request(state: TikTokState, query: Mapping[str, str]) -> Asked:
    """Check the query of the authorize address. Raises PageProblem when app or redirect address are not known."""
    if query.get("client_key") != state.client_key:
        hint = " This platform calls it client_key, not client_id." if "client_id" in query else ""
        raise PageProblem(f"The client_key is missing or unknown.{hint}")
    redirect_uri = query.get("redirect_uri", "")
    desktop = _is_desktop(redirect_uri)
    if not desktop and redirect_uri not in state.settings.redirect_uris:
        raise PageProblem("The redirect_uri is not registered. Desktop addresses need a port: http://127.0.0.1:8080/…")
    scopes = tuple(query.get("scope", "").split(","))
    challenge = query.get("code_challenge", "")
    problem, description = "", ""
    if query.get("response_type") != "code":
        problem, description = "unsupported_response_type", "response_type must be code"
    elif not query.get("state"):
        problem, description = "invalid_request", "state is missing"
    elif not set(scopes) <= set(state.settings.app_scopes):
        unknown = next(scope for scope in scopes if scope not in state.settings.app_scopes)
        problem, description = "invalid_scope", f"the app does not have the scope '{unknown}'"
    elif (challenge or desktop) and (
        not _CHALLENGE.fullmatch(challenge) or query.get("code_challenge_method") != "S256"
    ):
        problem = "invalid_request"
        description = "code_challenge must be the lower-case hex SHA-256 of the verifier, code_challenge_method S256"
    return Asked(scopes, redirect_uri, query.get("state", ""), challenge, problem, description)


def _is_desktop(redirect_uri: str) -> bool:
    try:
        parts = urlsplit(redirect_uri)
        port = parts.port
    except ValueError:
        return False
    local = parts.hostname in ("localhost", "127.0.0.1") and parts.scheme in ("http", "https") and port is not None
    return local and not parts.username and "?" not in redirect_uri and "#" not in redirect_uri


def allow(state: TikTokState, asked: Asked, username: str, scopes: tuple[str, ...]) -> str:
    """A creator agrees: returns the redirect address with a new code. Raises KeyError for an unknown creator."""
    people.creator(state, username)
    # Real codes hold characters that a client must decode exactly once.
    code = f"{secrets.token_urlsafe(32)}*1!{secrets.randbelow(10_000)}"
    granted = ",".join(scope for scope in asked.scopes if scope in scopes)
    if not granted:
        return asked.back_with_problem("access_denied", "the user granted nothing")
    now = state.clock.now()
    with state.store.transaction():
        state.store.run("DELETE FROM tiktok_code WHERE expire_time < ?", now - 86_400)
        state.store.run(
            "INSERT INTO tiktok_code VALUES (?, ?, ?, ?, ?, ?)",
            *(digest(code), username, granted, asked.redirect_uri, asked.challenge, now + state.settings.code_seconds),
        )
    return asked.back(code=code, scopes=granted)


def allow_address(state: TikTokState, authorize_url: str, username: str, scopes: list[str] | None) -> str:
    """What a person does with a browser: open the address, pick a creator, allow. Returns the redirect address.

    Raises PageProblem as the page does, KeyError for an unknown creator. A request with another fault yields the
    redirect address with `error`, as on the page.
    """
    query = authorize_url.partition("?")[2].partition("#")[0]
    asked = read_request(state, dict(parse_qsl(query, keep_blank_values=True)))
    if asked.problem:
        return asked.back_with_problem(asked.problem, asked.description)
    return allow(state, asked, username, asked.scopes if scopes is None else tuple(scopes))


def routes(state: TikTokState) -> APIRouter:
    """The OAuth endpoints."""
    router = APIRouter(include_in_schema=False)

    @router.get("/v2/auth/authorize/")
    async def show_consent(request: Request) -> Response:
        try:
            asked = read_request(state, request.query_params)
        except PageProblem as problem:
            return HTMLResponse(problem_page(str(problem)), status_code=400)
        if asked.problem:
            return RedirectResponse(asked.back_with_problem(asked.problem, asked.description), status_code=302)
        return HTMLResponse(consent_page(people.creators(state), asked.scopes), headers={"Cache-Control": "no-store"})

    @router.post("/v2/auth/authorize/")
    async def answer_consent(request: Request) -> Response:
        form = await request.form()
        try:
            asked = read_request(state, request.query_params)
            username = str(form.get("creator", ""))
            if asked.problem:
                target = asked.back_with_problem(asked.problem, asked.description)
            elif form.get("decision") == "allow":
                chosen = tuple(str(scope) for scope in form.getlist("scopes"))
                # A bare form, as scripts send it, grants everything that was asked for.
                target = allow(state, asked, username, chosen or asked.scopes)
                note(request).creator = username
            else:
                target = asked.back_with_problem("access_denied", "the user declined")
        except PageProblem as problem:
            return HTMLResponse(problem_page(str(problem)), status_code=400)
        except KeyError:
            return HTMLResponse(problem_page("There is no creator with this name."), status_code=400)
        return RedirectResponse(target, status_code=302)

    @router.post("/v2/oauth/token/")
    async def token(request: Request) -> Response:
        form = await _form(request)
        _check_client(state, form)
        match form.get("grant_type"):
            case "authorization_code":
                return flat(_exchange(state, request, form))
            case "refresh_token":
                return flat(_refresh(state, request, form))
            case "client_credentials":
                answer = {"access_token": f"clt.{secrets.token_hex(24)}", "expires_in": APP_TOKEN_SECONDS}
                return flat({**answer, "token_type": "Bearer"})
            case None:
                raise OAuthRefusal("invalid_request", "The field grant_type is missing.")
            case _:
                raise OAuthRefusal("unsupported_grant_type", "The grant_type is not supported.")

    @router.post("/v2/oauth/revoke/")
    async def revoke(request: Request) -> Response:
        form = await _form(request)
        _check_client(state, form)
        row = state.store.one(
            "SELECT g.id, g.username FROM tiktok_access a JOIN tiktok_grant g ON g.id = a.grant_id WHERE a.hash = ?",
            digest(_field(form, "token")),
        )
        if row is None:
            raise OAuthRefusal("invalid_request", "The token is not known.")
        note(request).creator = row["username"]
        people.remove_authorisation(state, row["username"], people.REMOVED_BY_DEVELOPER, row["id"])
        return Response(status_code=200)

    return router


async def _form(request: Request) -> dict[str, str]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise OAuthRefusal("invalid_request", "Content-Type must be application/x-www-form-urlencoded.")
    return {name: str(value) for name, value in (await request.form()).items()}


def _field(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise OAuthRefusal("invalid_request", f"The field {name} is missing.")
    return value


def _check_client(state: TikTokState, form: Mapping[str, str]) -> None:
    key, secret = _field(form, "client_key"), _field(form, "client_secret")
    if key != state.client_key or not hmac.compare_digest(secret.encode(), state.client_secret.encode()):
        raise OAuthRefusal("invalid_client", "Client key or secret is incorrect.")


def _exchange(state: TikTokState, request: Request, form: Mapping[str, str]) -> dict[str, object]:
    code, redirect_uri = _field(form, "code"), _field(form, "redirect_uri")
    # Deleted before anything else is checked: a code is good for one try, also a wrong one.
    found = state.store.all("DELETE FROM tiktok_code WHERE hash = ? RETURNING *", digest(code))
    row = found[0] if found else None
    if row is None or row["expire_time"] <= state.clock.now():
        raise OAuthRefusal("invalid_grant", "Authorization code is expired, used or unknown.")
    if redirect_uri != row["redirect_uri"]:
        raise OAuthRefusal("invalid_grant", "Redirect_uri is not matched with the uri when requesting code.")
    verifier = form.get("code_verifier", "")
    if row["challenge"] and (
        not _VERIFIER.fullmatch(verifier) or hashlib.sha256(verifier.encode()).hexdigest() != row["challenge"]
    ):
        raise OAuthRefusal("invalid_request", "Code verifier or code challenge is invalid.")
    note(request).creator = row["username"]
    with state.store.transaction():
        return people.issue_tokens(state, row["username"], row["scopes"])


def _refresh(state: TikTokState, request: Request, form: Mapping[str, str]) -> dict[str, object]:
    presented = _field(form, "refresh_token")
    row = state.store.one(
        "SELECT * FROM tiktok_grant WHERE refresh_hash = ? AND NOT revoked AND refresh_expire_time > ?",
        *(digest(presented), state.clock.now()),
    )
    if row is None:
        raise OAuthRefusal("invalid_grant", "Refresh token is invalid or expired.")
    note(request).creator = row["username"]
    with state.store.transaction():
        tokens = people.issue_tokens(state, row["username"], row["scopes"], row["id"])
        if not state.settings.rotate_refresh_tokens:
            state.store.run("UPDATE tiktok_grant SET refresh_hash = ? WHERE id = ?", digest(presented), row["id"])
            tokens["refresh_token"] = presented
    return tokens
