"""Sellers, what they granted to the app, the tokens that prove it, and the app's own secret."""

import json
import secrets
import sqlite3
from dataclasses import dataclass

from sandbox.amazon_sp.answers import UNAUTHORIZED, OAuthRefusal, Refusal
from sandbox.amazon_sp.state import AmazonState, digest, digits

US = "ATVPDKIKX0DER"
# Id → country, currency.
MARKETPLACES = {
    US: ("US", "USD"), "A2EUQ1WTGCTBG2": ("CA", "CAD"), "A1AM78C64UM0Y8": ("MX", "MXN"),
    "A2Q3Y263D00KWC": ("BR", "BRL"), "A1F83G8C2ARO7P": ("GB", "GBP"), "A1PA6795UKMFR9": ("DE", "EUR"),
    "A13V1IB3VIYZZH": ("FR", "EUR"),
    "APJ6JRA9NG5V4": ("IT", "EUR"), "A1RKKUPIHCS9HS": ("ES", "EUR"), "A1VC38T7YXB528": ("JP", "JPY"),
    "A39IBJ37TRP1C6": ("AU", "AUD"), "A21TJRUUN4KGV": ("IN", "INR"),
}  # fmt: skip
"""Where Multi-Channel Fulfillment is offered, and Brazil."""
SEEDED = {"emberfold": ("Emberfold LLC", (US,))}
NOTIFICATIONS_SCOPE = "sellingpartnerapi::notifications"
_SECRET = "amazon_sp_secret"  # noqa: S105 - the name of a stored setting


@dataclass(frozen=True, slots=True)
class Seller:
    """A seller's account. The first marketplace is its default. A dormant account is refused everything."""

    name: str
    title: str
    merchant_id: str
    marketplaces: tuple[str, ...]
    dormant: bool


def first_refresh_token(name: str) -> str:
    """The refresh token that a seller has from the start, as one copies it from Seller Central."""
    return f"Atzr|sandbox-{name}"


def seed(state: AmazonState) -> list[str]:
    """Add the seeded sellers where no seller is, each connected with a known refresh token. Returns who was added."""
    if state.store.one("SELECT 1 FROM amazon_seller") is not None:
        return []
    for name, (title, marketplaces) in SEEDED.items():
        add(state, name, title, marketplaces)
    return list(SEEDED)


def add(state: AmazonState, name: str, title: str, marketplaces: tuple[str, ...]) -> str:
    """Add a seller and return its refresh token. Raises ValueError for a taken name or an unknown marketplace."""
    unknown = set(marketplaces) - set(MARKETPLACES)
    if unknown or not marketplaces:
        raise ValueError(f"marketplaces: use one or more of {', '.join(MARKETPLACES)}")
    if state.store.one("SELECT 1 FROM amazon_seller WHERE name = ?", name) is not None:
        raise ValueError(f"name: there is a seller {name} already")
    state.store.run(
        "INSERT INTO amazon_seller (name, title, merchant_id, marketplaces) VALUES (?, ?, ?, ?)",
        *(name, title, f"A{digits(13, 'merchant', name)}", json.dumps(marketplaces)),
    )
    return grant(state, name, first_refresh_token(name))


def _seller(row: sqlite3.Row) -> Seller:
    marketplaces = tuple(json.loads(row["marketplaces"]))
    return Seller(row["name"], row["title"], row["merchant_id"], marketplaces, bool(row["dormant"]))


def sellers(state: AmazonState) -> list[Seller]:
    """Every seller by name."""
    return [_seller(row) for row in state.store.all("SELECT * FROM amazon_seller ORDER BY name")]


def seller(state: AmazonState, name: str) -> Seller:
    """One seller. Raises KeyError."""
    row = state.store.one("SELECT * FROM amazon_seller WHERE name = ?", name)
    if row is None:
        raise KeyError(name)
    return _seller(row)


def connected(state: AmazonState, name: str) -> bool:
    """Whether the seller has an authorisation that is good."""
    return state.store.one("SELECT 1 FROM amazon_grant WHERE seller = ? AND revoked = 0", name) is not None


def set_dormant(state: AmazonState, name: str, dormant: bool) -> None:
    """Put an account to sleep or wake it. Raises KeyError."""
    seller(state, name)
    state.store.run("UPDATE amazon_seller SET dormant = ? WHERE name = ?", int(dormant), name)


# Authorisations


def grant(state: AmazonState, name: str, refresh_token: str = "") -> str:
    """A new authorisation of a seller; returns its refresh token. Raises KeyError."""
    seller(state, name)
    token = refresh_token or f"Atzr|{secrets.token_urlsafe(90)}"
    state.store.run(
        "INSERT INTO amazon_grant (seller, refresh_hash) VALUES (?, ?)"
        " ON CONFLICT (refresh_hash) DO UPDATE SET revoked = 0",
        *(name, digest(token)),
    )
    return token


def revoke(state: AmazonState, name: str) -> int:
    """The seller withdraws what it granted: tokens end now. Returns how many authorisations ended. Raises KeyError."""
    seller(state, name)
    with state.store.transaction():
        state.store.run("DELETE FROM amazon_access WHERE seller = ?", name)
        return state.store.run("UPDATE amazon_grant SET revoked = 1 WHERE seller = ? AND revoked = 0", name)


def expire_tokens(state: AmazonState, name: str) -> int:
    """Access tokens of a seller end now; refresh tokens stay good. Returns how many ended. Raises KeyError."""
    seller(state, name)
    now = state.clock.now()
    return state.store.run(
        "UPDATE amazon_access SET expire_time = ? WHERE seller = ? AND expire_time > ?", now, name, now
    )


def new_code(state: AmazonState, name: str) -> str:
    """What a seller's consent would bring back: a code for one exchange. Raises KeyError."""
    seller(state, name)
    code, now = f"RH{secrets.token_urlsafe(12)}", state.clock.now()
    state.store.run("DELETE FROM amazon_code WHERE expire_time <= ?", now)
    state.store.run("INSERT INTO amazon_code VALUES (?, ?, ?)", digest(code), name, now + state.settings.code_seconds)
    return code


def take_code(state: AmazonState, code: str) -> str:
    """The refresh token of a new authorisation; the code is used up by any try. Raises OAuthRefusal."""
    rows = state.store.all("DELETE FROM amazon_code WHERE hash = ? RETURNING seller, expire_time", digest(code))
    if not rows or rows[0]["expire_time"] <= state.clock.now():
        raise OAuthRefusal("invalid_grant", "The authorization code is unknown, used or expired.")
    return grant(state, rows[0]["seller"])


def access_of(state: AmazonState, refresh_token: str) -> str:
    """A new access token for a refresh token. Raises OAuthRefusal for one that is not good any more."""
    row = state.store.one(
        "SELECT id, seller FROM amazon_grant WHERE refresh_hash = ? AND revoked = 0", digest(refresh_token)
    )
    if row is None:
        raise OAuthRefusal("invalid_grant", "The request has an invalid grant parameter : refresh_token.")
    return _issue(state, row["id"], row["seller"])


def grantless_access(state: AmazonState) -> str:
    """A new access token of the app itself, good for no seller's data."""
    return _issue(state, 0, "")


def _issue(state: AmazonState, grant_id: int, name: str) -> str:
    token, now = f"Atza|{secrets.token_urlsafe(200)}", state.clock.now()
    # Long after their end nobody asks what they were.
    state.store.run("DELETE FROM amazon_access WHERE expire_time <= ?", now - 86_400)
    state.store.run(
        "INSERT INTO amazon_access VALUES (?, ?, ?, ?)",
        *(digest(token), grant_id, name, now + state.settings.access_token_seconds),
    )
    return token


def caller(state: AmazonState, access_token: str) -> str:
    """The name of the seller whose token it is. Raises Refusal."""
    status, denied = state.settings.unauthorized_status, "Access to requested resource is denied."
    if not access_token:
        raise Refusal(UNAUTHORIZED, denied, "Access token is missing in the request header.", status)
    row = state.store.one("SELECT seller, expire_time FROM amazon_access WHERE hash = ?", digest(access_token))
    if row is None:
        raise Refusal(UNAUTHORIZED, denied, "The access token you provided is revoked, malformed or invalid.", status)
    if row["expire_time"] <= state.clock.now():
        raise Refusal(UNAUTHORIZED, denied, "The access token you provided has expired.", status)
    if not row["seller"]:
        raise Refusal(UNAUTHORIZED, denied, "The token is not a seller's.", 403)
    return str(row["seller"])


# The app's secret


def check_secret(state: AmazonState, client_id: str, client_secret: str) -> None:
    """Raises OAuthRefusal for an app that is not ours or a secret that is over."""
    stored = state.store.setting(_SECRET)
    good = [stored.get("secret", state.client_secret)]
    if stored.get("old_until", 0.0) > state.clock.now():
        good.append(stored["old"])
    if client_id != state.client_id or not any(secrets.compare_digest(client_secret, one) for one in good):
        raise OAuthRefusal("invalid_client", "Client authentication failed")


def rotate_secret(state: AmazonState, new: str, old_good_seconds: float) -> str:
    """A new secret for the app (`new`, or one that is made); the old one is good for so long. Returns the new one."""
    old = state.store.setting(_SECRET).get("secret", state.client_secret)
    secret = new or f"amzn1.oa2-cs.v1.{secrets.token_hex(32)}"
    value = {"secret": secret, "old": old, "old_until": state.clock.now() + old_good_seconds}
    state.store.put_setting(_SECRET, value)
    return secret
