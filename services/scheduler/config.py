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
    # Attempts of one delivery before a transient failure becomes final; with the waits below, about half an hour.
    max_attempts: int = Field(default=10, ge=1, le=50)
    # Wait before the second attempt, seconds; doubles with each further one up to retry_longest_seconds.
    retry_first_seconds: float = Field(default=5, gt=0)
    retry_longest_seconds: float = Field(default=900, gt=0)
    # How often waiting claimers look again without having been woken: the net under lost wake-ups.
    poll_seconds: float = Field(default=5, gt=0)
