"""Control API of the TikTok Shop stand-in: consents, tokens, settings, webhooks, and what happens in the shops."""

import time
from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from sandbox.tiktok_shop import authorisation, consent, creator_control, people, products, shop_control
from sandbox.tiktok_shop.settings import TikTokShopSettings
from sandbox.tiktok_shop.signing import sign_request
from sandbox.tiktok_shop.state import NAME, ShopState


class Order(BaseModel):
    """A body of the control API: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ConsentOrder(Order):
    """What a person would do on a consent page."""

    authorize_url: str = Field(description="The whole address that the app would open in a browser.", max_length=4000)
    subject: str = Field(description="The seller or creator who answers.")
    scopes: list[str] | None = Field(default=None, description="What a creator grants; absent: all that is asked for.")


class NewSeller(Order):
    """A seller in the US with one shop, which lists the first products of the demonstration brand."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9._-]{0,39}$")
    shop: str = Field(description="Name of the shop.", min_length=1, max_length=60)


class TokenOrder(Order):
    """Which tokens end now."""

    refresh_too: bool = False


class CallOrder(Order):
    """A call that an app wants to make, of a seller's shop or of a creator."""

    path: str = Field(description="With its version: `/order/202507/orders`.", max_length=500, pattern="^/[^?#]*$")
    query: dict[str, str] = Field(default={}, description="Its own parameters.")
    body: str = Field(default="", description="Byte for byte.", max_length=1024 * 1024)
    shop_id: str = Field(default="", description="The shop whose seller calls.")
    creator: str = Field(default="", description="The creator who calls, in the place of a seller.")
    with_cipher: bool = Field(default=True, description="False: the call takes no shop_cipher.")


def signed_call(state: ShopState, order: CallOrder) -> dict[str, Any]:
    """A call with new tokens, time and signature: what the app would send. Raises KeyError for an unknown caller."""
    query = {"app_key": state.app_key, "timestamp": str(int(time.time()))} | order.query
    kind, subject = (
        ("creator", order.creator) if order.creator else ("seller", people.shop(state, order.shop_id).seller)
    )
    if kind == "seller" and order.with_cipher:
        query["shop_cipher"] = people.shop(state, order.shop_id).cipher
    people.subject_open_id(state, kind, subject)
    with state.store.transaction():
        tokens = people.issue_tokens(state, kind, subject, ",".join(state.settings.app_scopes))
    headers = {"Content-Type": "application/json", "x-tts-access-token": tokens["access_token"]}
    body = order.body.encode()
    query["sign"] = sign_request(state.app_secret, order.path, query.items(), body, headers["Content-Type"])
    return {"query": query, "headers": headers}


def change_settings(state: ShopState, changes: dict[str, Any]) -> dict[str, Any]:
    """Override settings. Raises ValueError that names the field."""
    return state.change_settings(changes).model_dump(mode="json")


def describe_sellers(state: ShopState) -> list[dict[str, Any]]:
    """Sellers with their shops and whether they are connected."""
    return [
        {
            **dict(row),
            "connected": people.connected(state, "seller", row["name"]),
            "shops": [asdict(one) for one in people.shops(state, row["name"])],
        }
        for row in people.sellers(state)
    ]


def add_seller(state: ShopState, new: NewSeller) -> list[dict[str, Any]]:
    """Add a seller and return its shops. Raises ValueError for a name that is taken."""
    with state.store.transaction():
        shop = (new.shop, "US", "LOCAL", "USD", "America/New_York")
        people.add_seller(state, new.name, new.shop, "US", [shop])
        products.seed(state)
    return [asdict(one) for one in people.shops(state, new.name)]


def known(state: ShopState, kind: str, subject: str) -> None:
    """Raises HTTPException 404 for a seller or creator that does not exist."""
    try:
        people.subject_open_id(state, kind, subject)
    except KeyError as error:
        raise HTTPException(404, f"There is no {kind} {subject}.") from error


def routes(state: ShopState) -> APIRouter:
    """Operations under `/control/tiktok_shop`."""
    router = APIRouter(prefix=f"/control/{NAME}", tags=[NAME])

    @router.get("/settings", summary="Delays, limits and switches now in force")
    async def get_settings() -> TikTokShopSettings:
        return state.settings

    @router.patch("/settings", summary="Change settings: redirect address, delays, quotas, scopes, outage, webhooks")
    async def patch_settings(changes: dict[str, Any]) -> dict[str, Any]:
        try:
            return change_settings(state, changes)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @router.post("/consents", status_code=201, summary="Allow an authorize address without a browser")
    async def post_consent(order: ConsentOrder) -> dict[str, str]:
        try:
            address = consent.allow_address(state, order.authorize_url, order.subject, order.scopes)
        except consent.PageProblem as problem:
            raise HTTPException(422, str(problem)) from problem
        except KeyError as error:
            raise HTTPException(404, f"There is nobody called {order.subject}.") from error
        return {"redirect_url": address}

    @router.get("/sellers", summary="Sellers with their shops")
    async def get_sellers() -> list[dict[str, Any]]:
        return describe_sellers(state)

    @router.post("/sellers", status_code=201, summary="Add a seller with a shop in the US")
    async def post_seller(new: NewSeller) -> list[dict[str, Any]]:
        try:
            return add_seller(state, new)
        except ValueError as error:
            raise HTTPException(409, str(error)) from error

    @router.post("/calls", status_code=201, summary="What an app would send to make a call: tokens, time, signature")
    async def post_call(order: CallOrder) -> dict[str, Any]:
        try:
            return signed_call(state, order)
        except KeyError as error:
            raise HTTPException(404, f"There is no shop {order.shop_id} or creator {order.creator}.") from error

    def add(kind: Literal["seller", "creator"], path: str) -> None:
        @router.post(f"/{path}/{{subject}}/deauthorize", summary=f"The {kind} removes the app", name=f"withdraw_{kind}")
        async def withdraw(subject: str) -> dict[str, int]:
            known(state, kind, subject)
            return {"authorisations_ended": authorisation.withdraw(state, kind, subject)}

        @router.post(
            f"/{path}/{{subject}}/expire-tokens", summary=f"End the {kind}'s tokens now", name=f"expire_{kind}"
        )
        async def expire(subject: str, order: TokenOrder) -> dict[str, int]:
            known(state, kind, subject)
            return {"access_tokens_ended": people.expire_tokens(state, kind, subject, order.refresh_too)}

    add("seller", "sellers")
    add("creator", "creators")

    router.include_router(shop_control.routes(state))
    router.include_router(creator_control.routes(state))

    @router.get("/webhooks", summary="Events and what became of them, newest first")
    async def get_webhooks(
        outcome: Literal["", "waiting", "delivered", "dropped", "given_up"] = "",
    ) -> list[dict[str, Any]]:
        return [event for event in state.webhooks.entries(NAME) if outcome in ("", event["outcome"])]

    return router
