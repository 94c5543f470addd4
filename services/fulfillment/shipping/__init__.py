"""What Amazon makes of orders: fulfilment orders, parcels, and what TikTok Shop is told of them."""
