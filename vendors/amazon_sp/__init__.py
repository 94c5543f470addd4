"""Amazon's Selling Partner API: what Multi-Channel Fulfillment needs of it."""
