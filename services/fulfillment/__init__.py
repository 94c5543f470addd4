"""The shops: who may be called for them, what they sell, what they sold."""
