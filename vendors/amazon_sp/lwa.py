"""Login with Amazon: an app's tokens for a seller.

A private app's seller copies the refresh token from Seller Central; a public app gets a code at its redirect address,
which lives for five minutes. Refresh tokens live long and are answered unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kit.vendor_call import VendorCall
from kit.vendor_errors import VendorRejected
from kit.vendor_http import VendorHttp
from kit.vendor_json import UnreadableAnswer, needed_text, text, whole
from vendors.amazon_sp.config import AmazonSpConfig
from vendors.amazon_sp.errors import inspect_lwa

_USUAL_SECONDS = 3600


@dataclass(frozen=True)
class TokenGrant:
    """Tokens for one seller. ``refresh_token`` is empty where the answer names none: the one that was used stays."""

    access_token: str = field(repr=False)
    access_expire_time: datetime
    refresh_token: str = field(repr=False)


class Lwa:
    """The calls of Login with Amazon."""

    def __init__(self, config: AmazonSpConfig, http: VendorHttp) -> None:
        self._config = config
        self._http = http

    async def refresh(self, refresh_token: str, *, timeout_seconds: float | None = None) -> TokenGrant:
        """A new access token.

        VendorAccountProblem: the seller must authorise the app again. VendorRejected: the app's own credentials are not
        accepted, of which no seller is to blame.
        """
        return await self._call(
            "lwa_refresh", {"grant_type": "refresh_token", "refresh_token": refresh_token}, timeout_seconds
        )

    async def get(self, code: str, redirect_uri: str, *, timeout_seconds: float | None = None) -> TokenGrant:
        """Turn the callback's code into tokens. A code works once."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return await self._call("lwa_code", form, timeout_seconds)

    async def _call(self, operation: str, form: dict[str, str], timeout_seconds: float | None) -> TokenGrant:
        config = self._config
        secret = self._secret(operation)
        hidden = form.get("refresh_token") or form["code"]
        is_first = operation == "lwa_code"
        call = VendorCall(
            operation=operation,
            method="POST",
            url="/auth/o2/token",
            form=form | {"client_id": config.client_id, "client_secret": secret},
            headers={"Accept": "application/json"},
            repeatable=not is_first,
            commits=is_first,
            inspect=inspect_lwa,
            secrets=(secret, hidden),
            answer_is_secret=True,
        )
        seconds = config.call_timeout_seconds if timeout_seconds is None else timeout_seconds
        return await self._http.read(call, _grant_of, timeout_seconds=seconds)

    def _secret(self, operation: str) -> str:
        try:
            secret = self._config.current_secret()
        except OSError as error:
            raise VendorRejected(
                f"The file with the Amazon app's secret cannot be read: {type(error).__name__}.",
                vendor="amazon_sp",
                operation=operation,
                code="secret_unreadable",
                advice="An operator must check REELROUTE_AMAZON_SP_CLIENT_SECRET_FILE.",
            ) from None
        if self._config.client_id and secret:
            return secret
        raise VendorRejected(
            "No Amazon app is configured.",
            vendor="amazon_sp",
            operation=operation,
            code="not_configured",
            advice="Set REELROUTE_AMAZON_SP_CLIENT_ID and _CLIENT_SECRET from the app's page at Amazon.",
        )


def _grant_of(answer: Any) -> TokenGrant:
    if not isinstance(answer, Mapping):
        raise UnreadableAnswer("access_token")
    seconds = whole(answer, "expires_in")
    # Counted from now, which is later than when it was given, by less than a call takes: renewals leave more room.
    end = datetime.now(UTC) + timedelta(seconds=_USUAL_SECONDS if seconds is None else min(seconds, 86_400))
    return TokenGrant(needed_text(answer, "access_token"), end, text(answer, "refresh_token"))
