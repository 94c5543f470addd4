"""Login with Amazon: the one call that makes access tokens."""

from collections.abc import Mapping
from typing import Any

from sandbox.amazon_sp import sellers
from sandbox.amazon_sp.answers import OAuthRefusal
from sandbox.amazon_sp.state import AmazonState

PATH = "/auth/o2/token"


def token(state: AmazonState, form: Mapping[str, str]) -> dict[str, Any]:
    """The answer to a form of that call. Raises OAuthRefusal."""
    for name in ("grant_type", "client_id", "client_secret"):
        _given(form, name)
    sellers.check_secret(state, form["client_id"], form["client_secret"])
    refresh_token = None
    with state.store.transaction():
        match form["grant_type"]:
            case "refresh_token":
                refresh_token = _given(form, "refresh_token")
                access_token = sellers.access_of(state, refresh_token)
            case "authorization_code":
                _given(form, "redirect_uri")
                refresh_token = sellers.take_code(state, _given(form, "code"))
                access_token = sellers.access_of(state, refresh_token)
            case "client_credentials":
                if _given(form, "scope") != sellers.NOTIFICATIONS_SCOPE:
                    raise OAuthRefusal("invalid_scope", "The requested scope is invalid.")
                access_token = sellers.grantless_access(state)
            case _:
                raise OAuthRefusal("unsupported_grant_type", "The authorization grant type is not supported.")
    answer = {
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": int(state.settings.access_token_seconds),
    }
    return answer if refresh_token is None else {**answer, "refresh_token": refresh_token}


def _given(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise OAuthRefusal("invalid_request", f"The request is missing a required parameter : {name}")
    return value
