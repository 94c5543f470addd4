"""Control API of the creators of the TikTok Shop stand-in: accounts, showcases, posts."""

import json
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from sandbox.tiktok_shop import creators, people, timers
from sandbox.tiktok_shop.state import ShopState


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewCreator(_Order):
    """A creator to add."""

    username: str = Field(pattern=r"^[a-z0-9._]{2,24}$")
    nickname: str = Field(default="", max_length=60)
    region: str = Field(default="US", pattern="^[A-Z]{2}$")


class CreatorChange(_Order):
    """What can be said about a creator; fields left out stay."""

    restricted: bool | None = Field(default=None, description="Posts are refused.")
    showcase: list[str] | None = Field(default=None, max_length=2000, description="Product ids, in order.")


def describe_creators(state: ShopState) -> list[dict[str, Any]]:
    """Creators with their showcases, and whether they are connected."""
    return [
        {
            **asdict(one),
            "connected": people.connected(state, "creator", one.username),
            "posts_of_the_day": creators.posts_of_the_day(state, one.username),
            "showcase": [row["id"] for row in creators.showcase(state, one.username)],
        }
        for one in people.creators(state)
    ]


def describe_posts(state: ShopState, username: str = "", limit: int = 200) -> list[dict[str, Any]]:
    """Posts of creators, newest first."""
    timers.settle(state)
    rows = state.store.all(
        "SELECT * FROM shop_post WHERE ? IN ('', username) ORDER BY create_time DESC, id LIMIT ?", username, limit
    )
    return [
        {**dict(row), "products": json.loads(row["products"]), "details": json.loads(row["details"])} for row in rows
    ]


def change_creator(state: ShopState, username: str, change: CreatorChange) -> None:
    """Change the fields that are given. Raises KeyError for an unknown creator or product."""
    with state.store.transaction():
        people.creator(state, username)
        if change.restricted is not None:
            sql = "UPDATE shop_creator SET restricted = ? WHERE username = ?"
            state.store.run(sql, change.restricted, username)
        if change.showcase is not None:
            creators.set_showcase(state, username, change.showcase)


def routes(state: ShopState) -> APIRouter:
    """Operations on creators and their posts."""
    router = APIRouter()

    @router.get("/creators", summary="Creators with their showcases")
    async def get_creators() -> list[dict[str, Any]]:
        return describe_creators(state)

    @router.post("/creators", status_code=201, summary="Add a creator")
    async def post_creator(new: NewCreator) -> dict[str, Any]:
        try:
            return asdict(people.add_creator(state, new.username, new.nickname or new.username, new.region))
        except ValueError as error:
            raise HTTPException(409, str(error)) from error

    @router.patch("/creators/{username}", status_code=204, summary="Change a creator: restricted, showcase")
    async def patch_creator(username: str, change: CreatorChange) -> None:
        try:
            change_creator(state, username, change)
        except KeyError as error:
            raise HTTPException(404, f"There is no creator or product {error}.") from error

    @router.get("/posts", summary="Posts of creators, newest first")
    async def get_posts(creator: str = "") -> list[dict[str, Any]]:
        return describe_posts(state, creator)

    @router.post("/posts/{post_id}/remove", status_code=204, summary="The creator removes a post")
    async def post_remove(post_id: str) -> None:
        timers.settle(state)
        try:
            creators.remove_post(state, post_id)
        except KeyError as error:
            raise HTTPException(404, "There is no post with this id that is out.") from error

    return router
