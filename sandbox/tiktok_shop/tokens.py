"""The token calls. They carry the app's secret in the query, are not signed, and answer with HTTP 200 always."""

import hmac
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.tiktok_shop import people
from sandbox.tiktok_shop.answers import BAD_REQUEST, Refusal, answer, ok
from sandbox.tiktok_shop.state import ShopState, digest, note

CODE_INVALID, REFRESH_EXPIRED, NO_AUTHORISATION = 36004004, 36004001, 36004005
GET_PATH, REFRESH_PATH = "/api/v2/token/get", "/api/v2/token/refresh"


def routes(state: ShopState) -> APIRouter:
    """`/api/v2/token/get` and `/api/v2/token/refresh`."""
    router = APIRouter(include_in_schema=False)

    @router.get(GET_PATH)
    async def get(request: Request) -> Response:
        return _answer(state, request, "auth_code", "authorized_code")

    @router.get(REFRESH_PATH)
    async def refresh(request: Request) -> Response:
        return _answer(state, request, "refresh_token", "refresh_token")

    return router


def _answer(state: ShopState, request: Request, credential: str, grant_type: str) -> Response:
    query = dict(request.query_params)
    try:
        _check(state, query, credential, grant_type)
        take = _exchange if credential == "auth_code" else _refresh
        tokens, subject = take(state, query[credential])
    except Refusal as refusal:
        note(request).code = str(refusal.code)
        return answer(refusal.code, refusal.message, {})
    note(request).creator = subject
    return ok(tokens)


def _check(state: ShopState, query: Mapping[str, str], credential: str, grant_type: str) -> None:
    wanted = ("app_key", "app_secret", credential, "grant_type")
    for name in wanted:
        if not query.get(name):
            raise Refusal(BAD_REQUEST, f"{name} is missing.")
    unexpected = sorted(set(query) - set(wanted))
    if unexpected:
        raise Refusal(BAD_REQUEST, f"unexpected identifier: {unexpected[0][:50]}")
    secret = hmac.compare_digest(query["app_secret"].encode(), state.app_secret.encode())
    if query["app_key"] != state.app_key or not secret:
        raise Refusal(BAD_REQUEST, "app_key or app_secret is invalid.")
    if query["grant_type"] != grant_type:
        raise Refusal(BAD_REQUEST, f"grant_type must be {grant_type}.")


def _exchange(state: ShopState, code: str) -> tuple[dict[str, Any], str]:
    # Deleted before anything else is checked: a code is good for one try.
    found = state.store.all("DELETE FROM shop_code WHERE hash = ? RETURNING *", digest(code))
    if not found or found[0]["expire_time"] <= state.clock.now():
        raise Refusal(CODE_INVALID, "The auth code is expired, used or unknown.")
    row = found[0]
    with state.store.transaction():
        return people.issue_tokens(state, row["kind"], row["subject"], row["scopes"]), row["subject"]


def _refresh(state: ShopState, presented: str) -> tuple[dict[str, Any], str]:
    row = state.store.one("SELECT * FROM shop_grant WHERE refresh_hash = ?", digest(presented))
    if row is None or row["revoked"]:
        raise Refusal(NO_AUTHORISATION, "There is no authorisation for this refresh token.")
    if row["refresh_expire_time"] <= state.clock.now():
        raise Refusal(REFRESH_EXPIRED, "The refresh token has expired. The seller must authorise again.")
    with state.store.transaction():
        tokens = people.issue_tokens(state, row["kind"], row["subject"], row["scopes"], row["id"])
        if not state.settings.rotate_refresh_tokens:
            state.store.run("UPDATE shop_grant SET refresh_hash = ? WHERE id = ?", digest(presented), row["id"])
            tokens["refresh_token"] = presented
    return tokens, row["subject"]
