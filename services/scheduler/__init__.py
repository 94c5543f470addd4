"""Scheduler: when. Posts, their deliveries, and the claims by which publishers get what is due."""
