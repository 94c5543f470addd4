"""Connecting an account: what is asked of its platform between the consent page and the stored account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kit.custody import TokenPair
from kit.errors import FailedPrecondition, ReelrouteError, Unavailable
from kit.vendor_errors import VendorError, VendorRateLimited, VendorUnavailable, VendorUncertain
from services.publisher.domain import AccountLimits
from services.publisher.platforms import tiktok
from services.publisher.tokens import pair_of
from vendors.bulletin.client import BulletinClient
from vendors.tiktok.client import TikTokClient


@dataclass(frozen=True, slots=True)
class Profile:
    """An account whose owner has consented."""

    platform_account_id: str
    handle: str
    display_name: str
    scopes: tuple[str, ...]
    tokens: TokenPair = field(repr=False)
    limits: AccountLimits | None = None


class ConnectionRefused(FailedPrecondition):
    """The platform did not complete the connection; a new start is needed."""


# Bulletin's tokens have no end.
_NO_END = datetime(9999, 1, 1, tzinfo=UTC)


async def connect_tiktok(
    client: TikTokClient, *, code: str, redirect_uri: str, code_verifier: str, now: Callable[[], datetime] | None = None
) -> Profile:
    """Exchanges a code and reads whose account it is.

    Raises ConnectionRefused when TikTok says no, Unavailable when it does not answer (the code is then spent).
    """
    clock = now or (lambda: datetime.now(UTC))
    try:
        asked = clock()
        grant = await client.exchange_code(code=code, redirect_uri=redirect_uri, code_verifier=code_verifier)
        tokens = pair_of(grant, asked)
        if "video.publish" not in grant.scopes:
            raise ConnectionRefused(
                "The owner did not grant posting (video.publish). Connect again and allow it; the app needs that"
                " permission too.",
                metadata={"granted": ",".join(grant.scopes)},
            )
        creator = await client.creator_info(tokens.access_token)
        limits = tiktok.limits_of(creator)
        return Profile(grant.open_id, creator.username, creator.nickname, grant.scopes, tokens, limits)
    except VendorError as error:
        raise _refusal("TikTok", error) from None


async def connect_bulletin(client: BulletinClient, *, code: str, redirect_uri: str, code_verifier: str) -> Profile:
    """Exchanges a code; the answer says whose account it is. Raises as `connect_tiktok`."""
    try:
        grant = await client.exchange_code(code=code, redirect_uri=redirect_uri, code_verifier=code_verifier)
    except VendorError as error:
        raise _refusal("Bulletin", error) from None
    return Profile(
        grant.account, grant.account, grant.display_name, (), TokenPair(grant.access_token, _NO_END, "", None)
    )


def _refusal(platform: str, error: VendorError) -> ReelrouteError:
    metadata = {"code": error.code, "log_id": error.log_id or ""}
    if isinstance(error, VendorUnavailable | VendorUncertain | VendorRateLimited):
        return Unavailable(
            f"{platform} did not answer as needed: {error.message} Start the connection again.", (), metadata
        )
    return ConnectionRefused(f"{platform} refused the connection: {error.message} {error.advice}".strip(), (), metadata)
