"""Connecting an account: what is asked of its platform between the consent page and the stored account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from kit.custody import TokenPair
from kit.errors import FailedPrecondition, ReelrouteError, Unavailable
from kit.vendor_errors import VendorError, VendorRateLimited, VendorUnavailable, VendorUncertain
from services.publisher.domain import AccountLimits
from services.publisher.platforms import tiktok
from services.publisher.platforms.tiktok_checks import PUBLISH_SCOPE, UPLOAD_SCOPE
from services.publisher.tokens import pair_of
from vendors.bulletin.client import BulletinClient
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.models import USER_FIELDS

log = structlog.get_logger()


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
        if PUBLISH_SCOPE in grant.scopes:
            creator = await client.creator_info(tokens.access_token)
            limits = tiktok.limits_of(creator)
            return Profile(grant.open_id, creator.username, creator.nickname, grant.scopes, tokens, limits)
        if UPLOAD_SCOPE in grant.scopes:
            fields = [name for scope in ("user.info.basic", "user.info.profile") if scope in grant.scopes
                      for name in USER_FIELDS[scope]]  # fmt: skip
            user = await client.user_info(tokens.access_token, fields=fields)
            # Only user.info.profile tells the handle.
            handle = user.username or user.display_name or grant.open_id
            return Profile(grant.open_id, handle, user.display_name, grant.scopes, tokens)
    except VendorError as error:
        raise _refusal("TikTok", error) from None
    raise ConnectionRefused(
        f"The owner granted neither posting ({PUBLISH_SCOPE}) nor drafts ({UPLOAD_SCOPE}). Connect again and allow one;"
        " the app needs that permission too.",
        metadata={"granted": ",".join(grant.scopes)},
    )


async def connect_bulletin(client: BulletinClient, *, code: str, redirect_uri: str, code_verifier: str) -> Profile:
    """Exchanges a code; the answer says whose account it is. Raises as `connect_tiktok`."""
    try:
        grant = await client.exchange_code(code=code, redirect_uri=redirect_uri, code_verifier=code_verifier)
    except VendorError as error:
        raise _refusal("Bulletin", error) from None
    return Profile(
        grant.account, grant.account, grant.display_name, (), TokenPair(grant.access_token, _NO_END, "", None)
    )


async def revoke_tiktok(client: TikTokClient, tokens: TokenPair, now: datetime | None = None) -> None:
    """Takes the owner's grant back. Raises Unavailable when TikTok does not answer; when it no longer knows the tokens
    there is nothing to take back.
    """
    try:
        access_token = tokens.access_token
        if tokens.access_expire_time <= (now or datetime.now(UTC)) and tokens.refresh_token:
            # Only a good access token can be revoked, and the grant with it.
            access_token = (await client.refresh(tokens.refresh_token)).access_token
        await client.revoke(access_token)
    except (VendorUnavailable, VendorUncertain, VendorRateLimited) as error:
        raise Unavailable(
            f"TikTok did not answer: {error.message} Nothing more is published for the account. Disconnect it again, so"
            " that its tokens are taken back and erased."
        ) from None
    except VendorError as error:
        log.info("nothing to revoke", code=error.code, log_id=error.log_id)


def _refusal(platform: str, error: VendorError) -> ReelrouteError:
    metadata = {"code": error.code, "log_id": error.log_id or ""}
    if isinstance(error, VendorUnavailable | VendorUncertain | VendorRateLimited):
        return Unavailable(
            f"{platform} did not answer as needed: {error.message} Start the connection again.", (), metadata
        )
    return ConnectionRefused(f"{platform} refused the connection: {error.message} {error.advice}".strip(), (), metadata)
