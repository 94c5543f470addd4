"""What can be sold: the ledger, what TikTok Shop is told, and what does not agree."""
