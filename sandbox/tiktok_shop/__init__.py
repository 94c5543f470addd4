"""The stand-in of the TikTok Shop Open API: sellers, creators, orders, stock, packages, figures and webhooks."""
