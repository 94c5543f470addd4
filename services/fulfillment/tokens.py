"""The tokens of sellers' consents, in the custody of kit.custody: where they lie, and who is told of a loss."""

from __future__ import annotations

from dataclasses import dataclass

from kit.custody import AuthorizationLost, Custody, Lease, TokenPair, Tokens
from kit.db import Database
from kit.vault import Vault
from services.fulfillment import authorization_store, store
from services.fulfillment.domain import ACCESS_MARGIN, Authorization, ShopState
from vendors.tiktok_shop.client import TikTokShopClient
from vendors.tiktok_shop.oauth import TokenGrant


def tokens_of(
    authorization: Authorization, custody: Custody, client: TikTokShopClient, database: Database, vault: Vault
) -> Tokens:
    """The tokens of a consent, for one piece of work."""

    async def renew(pair: TokenPair) -> TokenPair:
        return pair_of(await client.tokens.refresh(pair.refresh_token))

    rows = AuthorizationRow(database, vault, authorization)
    return Tokens(custody, authorization.authorization_id, "shop", rows, renew, ACCESS_MARGIN)


def pair_of(grant: TokenGrant) -> TokenPair:
    """The tokens of a grant, with the ends that TikTok Shop names."""
    return TokenPair(grant.access_token, grant.access_token_end, grant.refresh_token, grant.refresh_token_end)


@dataclass(frozen=True, slots=True)
class AuthorizationRow:
    """Where a consent's tokens lie: a kit.custody.TokenStore."""

    database: Database
    vault: Vault
    authorization: Authorization

    def read(self) -> TokenPair:
        """See TokenStore. Tokens that were forgotten are lost, too."""
        workspace_id = self.authorization.workspace_id
        with self.database.transaction(workspace_id) as tx:
            now = authorization_store.read_authorization(tx, workspace_id, self.authorization.authorization_id)
            pair = authorization_store.read_tokens(tx, self.vault, now)
        if pair is None or now.state is not ShopState.CONNECTED:
            raise AuthorizationLost(now.problem)
        return pair

    def take_lease(self, seconds: float) -> Lease | None:
        """See TokenStore."""
        with self.database.transaction(self.authorization.workspace_id) as tx:
            return authorization_store.take_refresh(tx, self.authorization, seconds)

    def release(self, lease: Lease) -> None:
        """See TokenStore."""
        with self.database.transaction(self.authorization.workspace_id) as tx:
            authorization_store.release_refresh(tx, self.authorization, lease)

    def save(self, used: TokenPair, renewed: TokenPair) -> bool:
        """See TokenStore."""
        with self.database.transaction(self.authorization.workspace_id) as tx:
            return authorization_store.save_tokens(tx, self.vault, self.authorization, used, renewed)

    def lose(self, used: TokenPair, problem: str) -> bool:
        """See TokenStore."""
        authorization = self.authorization
        with self.database.transaction(authorization.workspace_id) as tx:
            if not authorization_store.set_authorization_lost(tx, authorization, used, problem):
                return False
            text = f"{authorization.label} can no longer be used: {problem}"
            store.tell_of_shops(tx, authorization.workspace_id, "shop.authorization_lost", text, authorization.label)
        return True
