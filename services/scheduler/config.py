"""Configuration of the scheduler."""

from __future__ import annotations

from pydantic import Field

from kit.config import PORTS, ServiceSettings, listen_default, metrics_default


class SchedulerConfig(ServiceSettings):
    """What the scheduler reads."""

    listen: str = listen_default("scheduler")
    metrics_listen: str = metrics_default("scheduler")
    # Waiting claims hold a thread each, one per publisher replica; the rest answer everybody else.
    rpc_threads: int = Field(default=24, ge=2, le=200)
    notification_address: str = f"127.0.0.1:{PORTS['notification']}"
    # Failed tries of one delivery before it ends as FAILED, where its channel has no rule; with the waits below, on the
    # average about half an hour. Waits for a rate limit, an account or a platform are no tries.
    max_attempts: int = Field(default=10, ge=1, le=50)
    # The longest wait before the second try, seconds; doubles with each further one up to retry_longest_seconds. The
    # wait itself is drawn by chance, so that what failed together does not come back together.
    retry_first_seconds: float = Field(default=5, gt=0)
    retry_longest_seconds: float = Field(default=900, gt=0)
    # A delivery whose handling ends the publisher's process so often in a row is set aside for a person.
    max_crashes: int = Field(default=3, ge=1, le=20)
    # Late deliveries of one account leave so many seconds apart, after an outage or a hold.
    catch_up_gap_seconds: float = Field(default=10, ge=0, le=3600)
    # No publisher asking for work for longer is an outage: what is late then leaves in pace, and a report says so.
    outage_seconds: float = Field(default=60, ge=10)
    # How often waiting claimers look again without having been woken: the net under lost wake-ups.
    poll_seconds: float = Field(default=5, gt=0)
    # Posts of a series are made so many days ahead. They can be looked at, changed and approved from then on.
    series_horizon_days: int = Field(default=90, ge=1, le=366)
