"""Configuration of the publisher."""

from __future__ import annotations

import socket

from pydantic import Field

from kit.config import PORTS, VaultSettings, listen_default, metrics_default


class PublisherConfig(VaultSettings):
    """What the publisher reads; TikTok's part is vendors.tiktok.config."""

    listen: str = listen_default("publisher")
    metrics_listen: str = metrics_default("publisher")
    scheduler_address: str = f"127.0.0.1:{PORTS['scheduler']}"
    content_address: str = f"127.0.0.1:{PORTS['content']}"
    notification_address: str = f"127.0.0.1:{PORTS['notification']}"
    # Shown in attempt logs, so that a person finds the process's log.
    holder: str = socket.gethostname()
    # How many deliveries one process works on at once, those that wait for their time included.
    max_deliveries: int = Field(default=500, ge=1, le=500)
    # How many of them move at once; the others wait for their time. More would have no turn while their grant holds.
    max_moving: int = Field(default=200, ge=1, le=500)
    # How long a claim holds without being renewed, seconds. Longest wait after a crash before the work goes on.
    lease_seconds: float = Field(default=30, ge=5, le=600)
    # How long before its due time a delivery is claimed, checked and uploaded as far as possible, seconds.
    lead_seconds: float = Field(default=20, ge=0, le=600)
    # How long a claim waits for work, seconds.
    claim_wait_seconds: float = Field(default=20, ge=0, le=30)
    # How often publications that wait for a verdict are looked through, seconds.
    observe_poll_seconds: float = Field(default=1, gt=0)
    # How often it is looked for posts that are due in a day, or in ten minutes, and will not go out; seconds.
    preflight_seconds: float = Field(default=20, gt=0)
    # For how many days calls to platforms are kept, without tokens; 0: they are not recorded.
    vendor_call_days: int = Field(default=14, ge=0, le=3650)
    # How long before its end an access token is refreshed, used or not, seconds; at most half of its life.
    refresh_lead_seconds: float = Field(default=10_800, ge=600)
    # How often it is looked for such tokens, seconds.
    refresh_poll_seconds: float = Field(default=5, gt=0)
    # How many of them one process refreshes then.
    refreshes_at_once: int = Field(default=8, ge=1, le=100)
    # How many verdicts are asked for at once.
    max_observations: int = Field(default=32, ge=1, le=500)
