"""The tokens of merchants, in the custody of kit.custody: where they lie, and who is told of a loss."""

from __future__ import annotations

from dataclasses import dataclass

from kit.custody import AuthorizationLost, Custody, Lease, TokenPair, Tokens
from kit.db import Database
from kit.vault import Vault
from services.fulfillment.merchants import merchant_store
from services.fulfillment.merchants.domain import ACCESS_MARGIN, Merchant, MerchantState
from vendors.amazon_sp.client import AmazonSpClient
from vendors.amazon_sp.lwa import TokenGrant


def tokens_of(merchant: Merchant, custody: Custody, client: AmazonSpClient, database: Database, vault: Vault) -> Tokens:
    """The tokens of a merchant, for one piece of work."""

    async def renew(pair: TokenPair) -> TokenPair:
        return pair_of(await client.lwa.refresh(pair.refresh_token), pair.refresh_token)

    row = MerchantRow(database, vault, merchant)
    return Tokens(custody, merchant.merchant_id, "merchant", row, renew, ACCESS_MARGIN)


def pair_of(grant: TokenGrant, used: str) -> TokenPair:
    """The tokens of a grant. Amazon names the refresh token that was `used` again, or none; it says no end of it."""
    return TokenPair(grant.access_token, grant.access_expire_time, grant.refresh_token or used, None)


@dataclass(frozen=True, slots=True)
class MerchantRow:
    """Where a merchant's tokens lie: a kit.custody.TokenStore."""

    database: Database
    vault: Vault
    merchant: Merchant

    def read(self) -> TokenPair:
        """See TokenStore. Tokens that were forgotten are lost, too."""
        workspace_id = self.merchant.workspace_id
        with self.database.transaction(workspace_id) as tx:
            now = merchant_store.read_merchant(tx, workspace_id, self.merchant.merchant_id)
            pair = merchant_store.read_tokens(tx, self.vault, now)
        if pair is None or now.state is not MerchantState.CONNECTED:
            raise AuthorizationLost(now.problem)
        return pair

    def take_lease(self, seconds: float) -> Lease | None:
        """See TokenStore."""
        with self.database.transaction(self.merchant.workspace_id) as tx:
            return merchant_store.take_refresh(tx, self.merchant, seconds)

    def release(self, lease: Lease) -> None:
        """See TokenStore."""
        with self.database.transaction(self.merchant.workspace_id) as tx:
            merchant_store.release_refresh(tx, self.merchant, lease)

    def save(self, used: TokenPair, renewed: TokenPair) -> bool:
        """See TokenStore."""
        with self.database.transaction(self.merchant.workspace_id) as tx:
            return merchant_store.save_tokens(tx, self.vault, self.merchant, used, renewed)

    def lose(self, used: TokenPair, problem: str) -> bool:
        """See TokenStore."""
        merchant = self.merchant
        with self.database.transaction(merchant.workspace_id) as tx:
            if not merchant_store.set_authorization_lost(tx, merchant, used, problem):
                return False
            text = f"{merchant.name} can no longer be used: {problem}"
            merchant_store.tell_of_merchant(
                tx, merchant.workspace_id, "merchant.authorization_lost", text, merchant.name
            )
        return True
