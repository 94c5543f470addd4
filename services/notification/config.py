"""Configuration of notification."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints
from pydantic_settings import SettingsConfigDict

from kit.config import ServiceSettings, listen_default, metrics_default

TargetName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class NotificationConfig(ServiceSettings):
    """What notification reads."""

    # Addresses hold passwords: what is wrong with one is said without repeating it.
    model_config = SettingsConfigDict(hide_input_in_errors=True)

    listen: str = listen_default("notification")
    metrics_listen: str = metrics_default("notification")
    # Who is told, in every workspace: name → address, as JSON. `log://` writes to the service's log; any other
    # address is Apprise's (https://appriseit.com/services/): {"mail": "mailtos://user:password@host?to=a@b.com"}
    notify_targets: dict[TargetName, SecretStr] = Field(default={"log": SecretStr("log://")}, min_length=1)
    # Longest time that one attempt may take, seconds.
    notify_send_limit_seconds: float = Field(default=20, gt=0, le=300)
    # Attempts of one message at one target before it is given up.
    notify_attempts: int = Field(default=6, ge=1, le=20)
    # Wait after the first failed attempt, seconds; triples with each further one.
    notify_first_retry_seconds: float = Field(default=30, gt=0)
    # How often senders look again without having been woken: for retries, and the net under lost wake-ups.
    notify_poll_seconds: float = Field(default=5, gt=0)
    # Activities, with their messages, are deleted after so many days.
    activity_keep_days: int = Field(default=400, ge=1)
