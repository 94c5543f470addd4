"""The consent page's address and the proof key that belongs to it.

TikTok's PKCE is its own: the challenge is the *hexadecimal* SHA-256 of the verifier, where RFC 7636 has base64url.
Generic OAuth libraries therefore fail. It is documented as required for desktop and mobile apps; we always send it.
Sources: developers.tiktok.com/doc/login-kit-web, developers.tiktok.com/doc/login-kit-desktop.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlencode

from kit.vendor_errors import VendorRejected
from vendors.tiktok.config import TikTokConfig


@dataclass(frozen=True)
class ProofKey:
    """A PKCE pair. The verifier stays here until the code is exchanged; the challenge goes with the browser."""

    verifier: str = field(repr=False)
    challenge: str


def challenge_of(verifier: str) -> str:
    """The code challenge of a verifier: lower-case hexadecimal SHA-256."""
    return hashlib.sha256(verifier.encode("ascii")).hexdigest()


def new_proof_key() -> ProofKey:
    """A pair for one connection attempt: 64 characters of the allowed alphabet, 384 random bits."""
    verifier = secrets.token_urlsafe(48)
    return ProofKey(verifier, challenge_of(verifier))


def new_state() -> str:
    """A value that ties the callback to the browser session which asked; 256 random bits, to be used once."""
    return secrets.token_urlsafe(32)


def authorize_url(
    config: TikTokConfig,
    *,
    redirect_uri: str,
    state: str,
    code_challenge: str,
    always_ask: bool = False,
) -> str:
    """The address of the consent page to send the user's browser to.

    It asks for ``config.scopes``; an app that lacks one of them is refused with invalid_scope. ``redirect_uri`` must be
    one registered for the app. ``always_ask`` shows the page even when the user agreed before
    and is still logged in: needed to connect a second account. Raises VendorRejected when no client key is configured.
    """
    if not config.client_key:
        raise VendorRejected(
            "No TikTok app is configured.",
            vendor="tiktok",
            operation="authorize",
            code="not_configured",
            advice="Set REELROUTE_TIKTOK_CLIENT_KEY and REELROUTE_TIKTOK_CLIENT_SECRET from the app's developer page.",
        )
    query = {
        "client_key": config.client_key,
        "response_type": "code",
        "scope": config.scopes,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": code_challenge,
        "code_challenge_method": "S256",
    }
    if always_ask:
        query["disable_auto_auth"] = "1"
    return f"{config.authorize_url}?{urlencode(query)}"
