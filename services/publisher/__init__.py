"""Publisher: doing it once. Accounts and their tokens, and the ledger of every publication."""
