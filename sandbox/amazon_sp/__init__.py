"""The stand-in of Amazon's Selling Partner API: LWA, fulfillment outbound 2020-07-01, FBA inventory."""
