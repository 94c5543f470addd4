"""Connecting a seller or creator: consent pages, and the tokens that come of them.

Only a seller's main account can agree. The callback brings ``code`` (valid for 30 minutes, once) and ``state``; an app
installed from TikTok Shop's own store brings no state. A refusal brings ``error``. Token calls are GETs with the app's
secret in their query, which therefore appears in no record.
Sources: partner.tiktokshop.com/docv2/page/{authorization-overview-202407, seller-authorization-guide,
creator-authorization-guide}.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from kit.vendor_call import VendorCall
from kit.vendor_errors import VendorRejected, clean_text
from kit.vendor_http import VendorHttp
from kit.vendor_json import UnreadableAnswer, moment, needed_mapping, needed_text, text, texts, whole
from vendors.tiktok_shop.calls import unconfigured
from vendors.tiktok_shop.config import TikTokShopConfig
from vendors.tiktok_shop.errors import inspect_read, inspect_write
from vendors.tiktok_shop.signing import query_text


class UserType(IntEnum):
    """Whose token it is; UNKNOWN for a number that TikTok Shop added later, which ``raw`` has."""

    SELLER = 0
    CREATOR = 1
    PARTNER = 3
    UNKNOWN = -1

    @classmethod
    def _missing_(cls, value: object) -> "UserType":
        return cls.UNKNOWN


@dataclass(frozen=True)
class TokenGrant:
    """Tokens of one seller or creator. Both end at instants, which TikTok Shop gives.

    ``refresh_token_end`` is None where it is not said or is beyond what a calendar holds.
    """

    access_token: str = field(repr=False)
    access_token_end: datetime
    refresh_token: str = field(repr=False)
    refresh_token_end: datetime | None
    open_id: str
    user_type: UserType
    seller_name: str
    seller_region: str
    scopes: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def new_state() -> str:
    """A value that ties the callback to the browser session which asked; 256 random bits, to be used once."""
    return secrets.token_urlsafe(32)


def seller_authorize_url(config: TikTokShopConfig, *, state: str, is_us: bool = False) -> str:
    """The consent page for a seller; one in the United States has another. Raises VendorRejected without an app."""
    if not config.service_id:
        raise unconfigured("authorize")
    base = config.us_authorize_url if is_us else config.authorize_url
    return f"{base}?{query_text({'service_id': config.service_id, 'state': state})}"


def creator_authorize_url(config: TikTokShopConfig, *, state: str) -> str:
    """The consent page for a creator, who may grant part of the scopes. Raises VendorRejected without an app."""
    if not config.app_key:
        raise unconfigured("authorize_creator")
    return f"{config.creator_authorize_url}?{query_text({'app_key': config.app_key, 'state': state})}"


def code_of_callback(query: Mapping[str, str]) -> str:
    """The code of a callback's query; the state is the caller's to compare. Raises VendorRejected when there is none.

    An owner who declines sends ``error`` (auth_denied or access_denied) and the word "null" for a code.
    """
    code, error = query.get("code", ""), query.get("error", "")
    if error or code in ("", "null"):
        raise VendorRejected(
            "The owner declined." if "denied" in error else "The consent page sent no code.",
            vendor="tiktok_shop",
            operation="authorize",
            code=clean_text(error or "no_code"),
            advice="Start again if that was a mistake; only a seller's main account can agree.",
        )
    return code


def token_grant(data: Mapping[str, Any]) -> TokenGrant:
    """Read a token answer. Raises UnreadableAnswer without tokens, the access token's end, or whose they are.

    "expire_in" is an instant (Unix seconds), whatever its name says.
    """
    access_token_end = moment(data, "access_token_expire_in")
    if access_token_end is None:
        raise UnreadableAnswer("access_token_expire_in")
    user_type = whole(data, "user_type")
    return TokenGrant(
        access_token=needed_text(data, "access_token"),
        access_token_end=access_token_end,
        refresh_token=needed_text(data, "refresh_token"),
        refresh_token_end=moment(data, "refresh_token_expire_in"),
        open_id=needed_text(data, "open_id"),
        user_type=UserType(-1 if user_type is None else user_type),
        seller_name=text(data, "seller_name"),
        seller_region=text(data, "seller_base_region"),
        scopes=texts(data, "granted_scopes"),
        raw=data,
    )


class Tokens:
    """The calls of the token host."""

    def __init__(self, config: TikTokShopConfig, http: VendorHttp) -> None:
        self._config = config
        self._http = http

    async def get(self, code: str, *, timeout_seconds: float | None = None) -> TokenGrant:
        """Turn the callback's code into tokens; sellers and creators alike.

        A code works once: after VendorUncertain or VendorAccountProblem the owner goes through the consent page again.
        """
        return await self._call(
            "token_get", "get", {"auth_code": code, "grant_type": "authorized_code"}, timeout_seconds
        )

    async def refresh(self, refresh_token: str, *, timeout_seconds: float | None = None) -> TokenGrant:
        """Get new tokens, of which both are to be stored at once. One refresh of a token at a time.

        After VendorUnavailable the stored refresh token is tried again: no other is known. It is tried again here at
        once for the same reason. VendorAccountProblem: only the owner helps, by connecting again.
        """
        query = {"refresh_token": refresh_token, "grant_type": "refresh_token"}
        return await self._call("token_refresh", "refresh", query, timeout_seconds)

    async def _call(
        self, operation: str, name: str, query: dict[str, str], timeout_seconds: float | None
    ) -> TokenGrant:
        config = self._config
        secret = config.app_secret.get_secret_value()
        if not config.app_key or not secret:
            raise unconfigured(operation)
        is_first = operation == "token_get"
        call = VendorCall(
            operation=operation,
            method="GET",
            url=f"/api/v2/token/{name}?{query_text({'app_key': config.app_key, 'app_secret': secret} | query)}",
            repeatable=not is_first,
            commits=is_first,
            inspect=inspect_write if is_first else inspect_read,
            secrets=(secret, *(value for value in query.values() if value != query["grant_type"])),
            answer_is_secret=True,
        )
        seconds = config.call_timeout_seconds if timeout_seconds is None else timeout_seconds
        return await self._http.read(call, _grant_of, timeout_seconds=seconds)


def _grant_of(answer: Any) -> TokenGrant:
    if not isinstance(answer, Mapping):
        raise UnreadableAnswer("data")
    return token_grant(needed_mapping(answer, "data"))
