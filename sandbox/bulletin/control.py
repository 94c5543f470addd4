"""Control API of Bulletin: accounts, tokens, posts and switches."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from sandbox.bulletin import pages
from sandbox.bulletin.settings import BulletinSettings
from sandbox.bulletin.state import BulletinState

MOST_ACCOUNTS_AT_ONCE = 10_000


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AccountsOrder(_Order):
    """Accounts to be there, each with a new access token; one from before ends."""

    accounts: list[str] = Field(min_length=1, max_length=MOST_ACCOUNTS_AT_ONCE)


class ConsentOrder(_Order):
    """What a person would do on the consent page."""

    authorize_url: str = Field(description="The whole address that the app would open in a browser.", max_length=4000)
    account: str


def routes(state: BulletinState) -> APIRouter:
    """Operations under `/control/bulletin`."""
    router = APIRouter(prefix="/control/bulletin", tags=["bulletin"])

    @router.get("/settings", summary="Delays, limits and switches now in force")
    async def get_settings() -> BulletinSettings:
        return state.settings

    @router.patch("/settings", summary="Change settings: answer time, list delay, limits, outage")
    async def patch_settings(changes: dict[str, Any]) -> BulletinSettings:
        try:
            return state.change_settings(changes)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @router.get("/accounts", summary="Every account with the number of its posts")
    async def get_accounts() -> list[dict[str, Any]]:
        return [dict(row) for row in state.accounts()]

    @router.post("/accounts", status_code=201, summary="Add accounts, and give each a new token: {account: token}")
    async def post_accounts(order: AccountsOrder) -> dict[str, str]:
        try:
            state.add_accounts(order.accounts)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        with state.store.transaction():
            return {account: state.issue_token(account) for account in order.accounts}

    @router.post("/accounts/{account}/revoke", status_code=204, summary="End the account's token")
    async def revoke(account: str) -> None:
        try:
            state.revoke_token(account)
        except KeyError as error:
            raise HTTPException(404, f"There is no account {account}.") from error

    @router.post("/consents", status_code=201, summary="Allow an authorize address without a browser")
    async def consent(order: ConsentOrder) -> dict[str, str]:
        try:
            return {"redirect_url": pages.allow_address(state, order.authorize_url, order.account)}
        except pages.BadRequestForConsent as problem:
            raise HTTPException(422, str(problem)) from problem
        except KeyError as error:
            raise HTTPException(404, f"There is no account {order.account}.") from error

    @router.get("/posts", summary="Every post that was taken, removed ones too, oldest first; page with after")
    async def get_posts(
        account: str = "",
        after: Annotated[int, Query(ge=0, lt=2**63, description="The last id of the page before.")] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 200,
    ) -> list[dict[str, Any]]:
        return [{**dict(row), "id": str(row["id"])} for row in state.posts(account, after, limit)]

    @router.get("/effects", summary="How often each text of each account was published, the most often first")
    async def get_effects(
        account: str = "",
        least: Annotated[int, Query(ge=1, description="2: only what was published twice or more.")] = 1,
        limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
    ) -> list[dict[str, Any]]:
        return [dict(row) for row in state.effects(account, least, limit)]

    @router.post("/posts/{post_id}/remove", status_code=204, summary="Remove a post")
    async def remove(post_id: str) -> None:
        if not (post_id.isdecimal() and len(post_id) < 19 and state.remove(int(post_id))):
            raise HTTPException(404, "There is no post with this id.")

    return router
