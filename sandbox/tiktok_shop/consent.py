"""The consent pages: a seller's and a creator's. No scripts, nothing loaded from elsewhere."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.html import page
from sandbox.tiktok_shop import people
from sandbox.tiktok_shop.settings import CREATOR_SCOPES, SELLER_SCOPES
from sandbox.tiktok_shop.state import ShopState, digest, note

SELLER_PATH, CREATOR_PATH = "/open/authorize", "/alliance/creator/auth"
_WORDS = {
    "creator.video.write": "Post videos and photos with product links",
    "creator.showcase.read": "Read your showcase",
}


class PageProblem(Exception):
    """The consent page cannot be shown, and there is no address that may be told."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for consent. `state` is None when none came, as with an installation from the App Store."""

    kind: Literal["seller", "creator"]
    redirect_url: str
    state: str | None
    scopes: tuple[str, ...]

    def back(self, **query: str) -> str:
        """The redirect address with an answer."""
        given = {**query} if self.state is None else {**query, "state": self.state}
        mark = "&" if "?" in self.redirect_url else "?"
        return f"{self.redirect_url}{mark}{urlencode(given, quote_via=quote)}"

    def denied(self) -> str:
        """The redirect address after a refusal."""
        return self.back(code="null", error="auth_denied")


def read_request(state: ShopState, path: str, query: Mapping[str, str]) -> Asked:
    """Check the address of a consent page. Raises PageProblem."""
    if path == SELLER_PATH and query.get("service_id") != state.service_id:
        hint = " It is not the app_key." if query.get("service_id") == state.app_key or "app_key" in query else ""
        raise PageProblem(f"The service_id is missing or unknown.{hint}")
    if path == CREATOR_PATH and query.get("app_key") != state.app_key:
        raise PageProblem("The app_key is missing or unknown.")
    if path == CREATOR_PATH and not query.get("state"):
        raise PageProblem("The state is missing.")
    if path not in (SELLER_PATH, CREATOR_PATH):
        raise PageProblem(f"The path must be {SELLER_PATH} or {CREATOR_PATH}.")
    if state.settings.redirect_url is None:
        raise PageProblem("The app has no redirect address. Set redirect_url of the sandbox's TikTok Shop.")
    kind: Literal["seller", "creator"] = "seller" if path == SELLER_PATH else "creator"
    known = SELLER_SCOPES if kind == "seller" else CREATOR_SCOPES
    scopes = tuple(scope for scope in known if scope in state.settings.app_scopes)
    return Asked(kind, state.settings.redirect_url, query.get("state"), scopes)


def allow(state: ShopState, asked: Asked, subject: str, scopes: Iterable[str] | None = None) -> str:
    """A seller or creator agrees: returns the redirect address with a new code. Raises KeyError for an unknown one.

    A seller grants everything that the app has; a creator may leave scopes out.
    """
    people.subject_open_id(state, asked.kind, subject)
    wanted = asked.scopes if scopes is None or asked.kind == "seller" else tuple(scopes)
    granted = ",".join(scope for scope in asked.scopes if scope in wanted)
    if not granted:
        return asked.denied()
    # Real codes hold characters that a client must decode exactly once.
    code = f"ROW_{secrets.token_urlsafe(32)}+/{secrets.randbelow(10_000)}"
    now = state.clock.now()
    with state.store.transaction():
        state.store.run("DELETE FROM shop_code WHERE expire_time < ?", now - 86_400)
        state.store.run(
            "INSERT INTO shop_code VALUES (?, ?, ?, ?, ?)",
            *(digest(code), asked.kind, subject, granted, now + state.settings.code_seconds),
        )
    # Parameters beyond code and state come along in reality, too: clients ignore them.
    return asked.back(app_key=state.app_key, code=code, locale="en")


def allow_address(state: ShopState, authorize_url: str, subject: str, scopes: Iterable[str] | None) -> str:
    """What a person does with a browser: open the address and allow. Raises PageProblem and KeyError as the page."""
    parts = urlsplit(authorize_url)
    asked = read_request(state, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))
    return allow(state, asked, subject, scopes)


def routes(state: ShopState) -> APIRouter:
    """Both pages and the targets of their forms."""
    router = APIRouter(include_in_schema=False)

    async def show(request: Request) -> Response:
        try:
            asked = read_request(state, request.url.path, request.query_params)
        except PageProblem as problem:
            return HTMLResponse(_problem_page(str(problem)), status_code=400)
        return HTMLResponse(_page(state, asked), headers={"Cache-Control": "no-store"})

    async def decide(request: Request) -> Response:
        form = await request.form()
        try:
            asked = read_request(state, request.url.path, request.query_params)
            if form.get("decision") != "allow":
                return RedirectResponse(asked.denied(), status_code=302)
            subject = str(form.get(asked.kind, ""))
            # A bare form, as scripts send it, grants everything; the page's own form carries an empty scope.
            chosen = tuple(str(scope) for scope in form.getlist("scopes")) or None
            target = allow(state, asked, subject, chosen)
            note(request).creator = subject
        except PageProblem as problem:
            return HTMLResponse(_problem_page(str(problem)), status_code=400)
        except KeyError:
            return HTMLResponse(_problem_page("There is nobody with this name."), status_code=400)
        return RedirectResponse(target, status_code=302)

    for path in (SELLER_PATH, CREATOR_PATH):
        router.add_api_route(path, show, methods=["GET"])
        router.add_api_route(path, decide, methods=["POST"])
    return router


def _page(state: ShopState, asked: Asked) -> str:
    if asked.kind == "seller":
        choices = [
            (row["name"], row["title"], ", ".join(one.name for one in people.shops(state, row["name"])))
            for row in people.sellers(state)
        ]
        wishes = "".join(f"<small>{escape(scope)}</small><br>" for scope in asked.scopes)
    else:
        choices = [(one.username, one.nickname, f"@{one.username}") for one in people.creators(state)]
        # The empty scope tells a page with no box ticked from a script that names no scopes.
        wishes = '<input type="hidden" name="scopes" value="">' + "".join(
            f'<label><input type="checkbox" name="scopes" value="{escape(scope)}" checked> {escape(_WORDS[scope])} '
            f"<small>{escape(scope)}</small></label>"
            for scope in asked.scopes
        )
    who = "".join(
        f'<label><input type="radio" name="{asked.kind}" value="{escape(name)}"{" checked" if not number else ""}> '
        f"{escape(title)} <small>{escape(detail)}</small></label>"
        for number, (name, title, detail) in enumerate(choices)
    )
    return page(
        "Connect a shop" if asked.kind == "seller" else "Connect a creator",
        '<p>An app asks for access. This is the sandbox: no real account is involved.</p><form method="post">'
        f"<fieldset><legend>Sign in as</legend>{who}</fieldset>"
        f"<fieldset><legend>The app may</legend>{wishes}</fieldset>"
        '<p><button class="yes" name="decision" value="allow">Authorize</button>'
        '<button name="decision" value="deny">Deny</button></p></form>',
    )


def _problem_page(sentence: str) -> str:
    return page("This request cannot be shown", f"<p>{escape(sentence)}</p>")
