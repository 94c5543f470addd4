"""What people see of Bulletin: the consent page, and posts."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.bulletin.state import BulletinState
from sandbox.html import page

AUTHORIZE = "/bulletin/authorize"


class BadRequestForConsent(Exception):
    """The consent page cannot be shown; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for consent."""

    redirect_uri: str
    state: str
    challenge: str

    def back(self, **query: str) -> str:
        """The redirect address with an answer."""
        return f"{self.redirect_uri}?{urlencode({**query, 'state': self.state})}"


def read_request(query: Mapping[str, str]) -> Asked:
    """Check the query of the consent page's address. Raises BadRequestForConsent."""
    redirect_uri, state, challenge = (query.get(name, "") for name in ("redirect_uri", "state", "code_challenge"))
    try:
        parts = urlsplit(redirect_uri)
    except ValueError:
        raise BadRequestForConsent("The redirect_uri is not an address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise BadRequestForConsent("The redirect_uri must be an http or https address without query.")
    if not state or len(challenge) != 64:
        raise BadRequestForConsent("state is missing, or code_challenge is not a SHA-256 in hexadecimal.")
    return Asked(redirect_uri, state, challenge)


def allow_address(state: BulletinState, authorize_url: str, account: str) -> str:
    """What a person does with a browser: open the address and allow. Returns the redirect address.

    Raises BadRequestForConsent as the page does, KeyError for an unknown account.
    """
    asked = read_request(dict(parse_qsl(urlsplit(authorize_url).query)))
    return asked.back(code=state.new_code(account, asked.redirect_uri, asked.challenge))


def routes(state: BulletinState) -> APIRouter:
    """The pages."""
    router = APIRouter(include_in_schema=False)

    @router.get(AUTHORIZE)
    async def show_consent(request: Request) -> Response:
        try:
            read_request(request.query_params)
        except BadRequestForConsent as problem:
            return _problem(str(problem), 400)
        people = "".join(
            f'<label><input type="radio" name="account" value="{escape(row["account"])}"'
            f"{' checked' if not number else ''}> {escape(row['display_name'])}"
            f" <small>@{escape(row['account'])}</small></label>"
            for number, row in enumerate(state.accounts()[:100])
        )
        return HTMLResponse(
            page(
                "Connect a Bulletin account",
                "<p>An app asks to post texts. Bulletin is the sandbox's own: no real account is involved.</p>"
                f'<form method="post"><fieldset><legend>Sign in as</legend>{people}</fieldset><p>'
                '<button class="yes" name="decision" value="allow">Allow</button>'
                '<button name="decision" value="deny">Deny</button></p></form>',
            ),
            headers={"Cache-Control": "no-store"},
        )

    @router.post(AUTHORIZE)
    async def answer_consent(request: Request) -> Response:
        form = await request.form()
        try:
            asked = read_request(request.query_params)
            if form.get("decision") == "allow":
                code = state.new_code(str(form.get("account", "")), asked.redirect_uri, asked.challenge)
                target = asked.back(code=code)
            else:
                target = asked.back(error="access_denied")
        except BadRequestForConsent as problem:
            return _problem(str(problem), 400)
        except KeyError:
            return _problem("There is no account with this name.", 400)
        return RedirectResponse(target, status_code=302)

    @router.get("/bulletin/@{account}/{post_id}")
    async def show_post(account: str, post_id: str) -> Response:
        row = state.post(int(post_id)) if post_id.isdecimal() and len(post_id) < 19 else None
        if row is None or row["account"] != account:
            return _problem("There is no post at this address; it may have been removed.", 404)
        return HTMLResponse(page(f"@{account}", f'<p style="white-space:pre-wrap">{escape(row["text"])}</p>'))

    return router


def _problem(sentence: str, status: int) -> Response:
    return HTMLResponse(page("Bulletin", f"<p>{escape(sentence)}</p>"), status_code=status)
