"""Control API of the TikTok stand-in: creators, posts, verdicts, tokens and switches.

Outcomes are ordered here and nowhere else: no caption and no file means anything special to the sandbox.
"""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from sandbox.tiktok import oauth, people, progress
from sandbox.tiktok.answers import FAIL_REASONS
from sandbox.tiktok.people import CreatorFields, NewCreator, PrivacyLevel
from sandbox.tiktok.settings import TikTokSettings
from sandbox.tiktok.state import TikTokState


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VerdictOrder(_Order):
    """The next `count` posts (of one creator, or of any) fail."""

    fail_reason: str = Field(description=f"One of {', '.join(FAIL_REASONS)}, or another word of up to 100 letters.",
                             pattern=r"^[a-z0-9_]{1,100}$")  # fmt: skip
    count: int = Field(default=1, ge=1, le=1_000_000)
    creator: str = Field(default="", description="Username; empty: any creator.")


class TokenOrder(_Order):
    """Which tokens of a creator end now."""

    refresh_too: bool = False


class ConsentOrder(_Order):
    """What a person would do on the consent page."""

    authorize_url: str = Field(description="The whole address that the app would open in a browser.", max_length=4000)
    creator: str
    scopes: list[str] | None = Field(default=None, description="Granted scopes; absent: all that are asked for.")


class DraftOrder(_Order):
    """How the creator posts a draft."""

    caption: str = Field(default="", max_length=2200)
    privacy_level: PrivacyLevel = "PUBLIC_TO_EVERYONE"


class Counts(_Order):
    """Lifetime counts of a post; those left out stay."""

    view_count: int | None = Field(default=None, ge=0, le=2**53)
    like_count: int | None = Field(default=None, ge=0, le=2**31 - 1)
    comment_count: int | None = Field(default=None, ge=0, le=2**31 - 1)
    share_count: int | None = Field(default=None, ge=0, le=2**31 - 1)


def change_settings(state: TikTokState, changes: dict[str, Any]) -> dict[str, Any]:
    """Override settings. Raises ValueError that names the field."""
    return state.change_settings(changes).model_dump(mode="json")


def order_verdict(state: TikTokState, order: VerdictOrder) -> dict[str, Any]:
    """Queue failures for coming posts. Raises KeyError for an unknown creator."""
    if order.creator:
        people.creator(state, order.creator)
    row_id = state.store.insert(
        "INSERT INTO tiktok_verdict (fail_reason, username, remaining) VALUES (?, ?, ?)",
        *(order.fail_reason, order.creator, order.count),
    )
    return {"id": row_id, **order.model_dump()}


def verdicts(state: TikTokState) -> list[dict[str, Any]]:
    """Ordered failures that wait for posts."""
    rows = state.store.all("SELECT * FROM tiktok_verdict WHERE remaining > 0 ORDER BY id")
    return [
        {"id": row["id"], "fail_reason": row["fail_reason"], "creator": row["username"], "remaining": row["remaining"]}
        for row in rows
    ]


def describe_creator(state: TikTokState, creator: people.Creator) -> dict[str, Any]:
    """A creator with what the app holds of it."""
    return {
        **asdict(creator),
        "connected": people.connected(state, creator.username),
        "posts_of_the_day": progress.posts_of_the_day(state, creator.username),
    }


def posts(state: TikTokState, creator: str = "", caption: str = "", limit: int = 200) -> list[dict[str, Any]]:
    """Shares, newest first: direct posts and drafts, also those that never got their media."""
    progress.settle(state)
    rows = state.store.all(
        "SELECT * FROM tiktok_share WHERE (? = '' OR username = ?) AND (? = '' OR caption = ?)"
        " ORDER BY create_time DESC, rowid DESC LIMIT ?",
        *(creator, creator, caption, caption, limit),
    )
    return [progress.describe(row) for row in rows]


def effects(state: TikTokState, creator: str = "") -> list[dict[str, Any]]:
    """How often each caption of each creator came into being, which is how doubles are found.

    `effects` counts shares whose last byte arrived; of those, `failed` got a bad verdict, `published` a good one,
    `drafts` lie in the inbox, and `removed` were published and taken away.
    """
    progress.settle(state)
    rows = state.store.all(
        "SELECT username AS creator, caption, count(*) AS effects, sum(state = 'FAILED') AS failed,"
        " sum(state = 'COMPLETE') AS published, sum(state = 'INBOX') AS drafts,"
        " sum(removed_time IS NOT NULL) AS removed FROM tiktok_share"
        " WHERE effect_time IS NOT NULL AND (? = '' OR username = ?) GROUP BY username, caption ORDER BY 1, 2",
        *(creator, creator),
    )
    return [dict(row) for row in rows]


def _known(state: TikTokState, username: str) -> people.Creator:
    try:
        return people.creator(state, username)
    except KeyError as error:
        raise HTTPException(404, f"There is no creator {username}.") from error


def routes(state: TikTokState) -> APIRouter:
    """Operations under `/control/tiktok`."""
    router = APIRouter(prefix="/control/tiktok", tags=["tiktok"])

    @router.get("/settings", summary="Delays, limits and switches now in force")
    async def get_settings() -> TikTokSettings:
        return state.settings

    @router.patch("/settings", summary="Change settings: delays, quotas, audit, outage, webhook address, prefixes")
    async def patch_settings(changes: dict[str, Any]) -> dict[str, Any]:
        try:
            return change_settings(state, changes)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @router.get("/creators", summary="Every creator")
    async def get_creators() -> list[dict[str, Any]]:
        return [describe_creator(state, one) for one in people.creators(state)]

    @router.post("/creators", status_code=201, summary="Add a creator")
    async def post_creator(new: NewCreator) -> dict[str, Any]:
        try:
            return describe_creator(state, people.add_creator(state, new))
        except ValueError as error:
            raise HTTPException(409, str(error)) from error

    @router.patch("/creators/{username}", summary="Change a creator: private, options, banned, …")
    async def patch_creator(username: str, fields: CreatorFields) -> dict[str, Any]:
        _known(state, username)
        return describe_creator(state, people.change_creator(state, username, fields))

    @router.post("/creators/{username}/revoke", summary="The creator disconnects the app")
    async def revoke(username: str) -> dict[str, int]:
        _known(state, username)
        return {"grants_ended": people.remove_authorisation(state, username, people.REMOVED_BY_USER)}

    @router.post("/creators/{username}/expire-tokens", summary="End the creator's tokens now")
    async def expire(username: str, order: TokenOrder) -> dict[str, int]:
        _known(state, username)
        return {"access_tokens_ended": people.expire_tokens(state, username, order.refresh_too)}

    @router.post("/creators/{username}/tokens", status_code=201, summary="Tokens with every scope, without consent")
    async def post_tokens(username: str) -> dict[str, Any]:
        _known(state, username)
        with state.store.transaction():
            return people.issue_tokens(state, username, ",".join(state.settings.app_scopes))

    @router.post("/consents", status_code=201, summary="Allow an authorize address without a browser")
    async def consent(order: ConsentOrder) -> dict[str, str]:
        _known(state, order.creator)
        try:
            address = oauth.allow_address(state, order.authorize_url, order.creator, order.scopes)
        except oauth.PageProblem as problem:
            raise HTTPException(422, str(problem)) from problem
        return {"redirect_url": address}

    @router.get("/posts", summary="Posts and drafts with their times, newest first")
    async def get_posts(
        creator: str = "", caption: str = "", limit: Annotated[int, Query(ge=1, le=10_000)] = 200
    ) -> list[dict[str, Any]]:
        return posts(state, creator, caption, limit)

    @router.get("/effects", summary="How often each caption of each creator came into being")
    async def get_effects(creator: str = "") -> list[dict[str, Any]]:
        return effects(state, creator)

    @router.post("/posts/{publish_id}/remove", status_code=204, summary="Remove a published post")
    async def remove(publish_id: str) -> None:
        progress.settle(state)
        try:
            progress.remove_post(state, publish_id)
        except KeyError as error:
            raise HTTPException(404, "There is no published post with this publish_id.") from error

    @router.post("/posts/{publish_id}/finish", status_code=204, summary="The creator posts a draft from the inbox")
    async def finish(publish_id: str, order: DraftOrder) -> None:
        progress.settle(state)
        try:
            progress.finish_draft(state, publish_id, order.caption, order.privacy_level)
        except KeyError as error:
            raise HTTPException(404, "There is no draft in the inbox with this publish_id.") from error

    @router.patch("/posts/{publish_id}/counts", summary="Set views, likes, comments, shares")
    async def counts(publish_id: str, order: Counts) -> dict[str, Any]:
        for name, value in order.model_dump(exclude_none=True).items():
            # Column names are those of the model.
            state.store.run(f"UPDATE tiktok_share SET {name} = ? WHERE publish_id = ?", value, publish_id)  # noqa: S608
        row = state.store.one("SELECT * FROM tiktok_share WHERE publish_id = ?", publish_id)
        if row is None:
            raise HTTPException(404, "There is no post with this publish_id.")
        return progress.describe(row)

    @router.get("/verdicts", summary="Ordered failures that wait for posts")
    async def get_verdicts() -> list[dict[str, Any]]:
        return verdicts(state)

    @router.post("/verdicts", status_code=201, summary="Let the next posts fail")
    async def post_verdict(order: VerdictOrder) -> dict[str, Any]:
        try:
            return order_verdict(state, order)
        except KeyError as error:
            raise HTTPException(404, f"There is no creator {order.creator}.") from error

    @router.delete("/verdicts", status_code=204, summary="Forget ordered failures")
    async def delete_verdicts() -> None:
        state.store.run("DELETE FROM tiktok_verdict")

    @router.get("/webhooks", summary="Events and what became of them, newest first")
    async def get_webhooks(
        outcome: Literal["", "waiting", "delivered", "dropped", "given_up"] = "",
    ) -> list[dict[str, Any]]:
        return [event for event in state.webhooks.entries("tiktok") if outcome in ("", event["outcome"])]

    return router
