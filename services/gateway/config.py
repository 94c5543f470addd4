"""Configuration of the gateway."""

from __future__ import annotations

from pydantic import Field, SecretStr

from kit.config import Settings, listen_default

MEBIBYTE = 1024 * 1024


class GatewayConfig(Settings):
    """What the gateway reads. Times are in seconds, sizes in bytes."""

    listen: str = "127.0.0.1:8080"
    metrics_listen: str = "127.0.0.1:8180"
    log_level: str = "INFO"
    # Proves to the services that the gateway is one of ours.
    service_token: SecretStr = Field(min_length=32)

    identity_address: str = listen_default("identity")
    content_address: str = listen_default("content")
    scheduler_address: str = listen_default("scheduler")
    publisher_address: str = listen_default("publisher")
    notification_address: str = listen_default("notification")
    fulfillment_address: str = listen_default("fulfillment")

    # One call to a service.
    call_seconds: float = Field(default=10, gt=0)
    # A whole request, all its calls and the arrival of its body; an upload has upload_seconds instead.
    request_seconds: float = Field(default=30, gt=0)
    upload_seconds: float = Field(default=3600, gt=0)
    # An upload of which nothing more arrives for so long is given up.
    upload_idle_seconds: float = Field(default=60, gt=0)
    # A webhook, until it is answered for. TikTok Shop waits 3 s, and sends again what got no answer.
    webhook_seconds: float = Field(default=2.5, gt=0)
    # One question of /readyz to one service.
    ready_seconds: float = Field(default=2, gt=0)
    # Drain on SIGTERM.
    drain_seconds: float = Field(default=20, gt=0)
    # Unused connections are closed after so long; more than a load balancer's own time avoids resets.
    keep_alive_seconds: int = Field(default=75, ge=1)

    # Longest address and headers of a request, together.
    max_head_bytes: int = Field(default=64 * 1024, ge=8 * 1024)
    # How long they may take to arrive, on a new connection from its beginning.
    head_seconds: float = Field(default=20, gt=0)

    # TikTok takes videos of up to 4 GB.
    max_upload_bytes: int = Field(default=4_000_000_000, ge=1)
    # A calendar: a hundred thousand posts are some 50 MB.
    max_calendar_bytes: int = Field(default=64 * MEBIBYTE, ge=1)
    max_json_bytes: int = Field(default=MEBIBYTE, ge=1)
    # A webhook; platforms send some hundred bytes.
    max_webhook_bytes: int = Field(default=64 * 1024, ge=1, le=MEBIBYTE)
    # 500 posts with captions of 2,200 characters outside of ASCII, and room. A service takes 16 MiB a message.
    max_batch_bytes: int = Field(default=8 * MEBIBYTE, ge=1)

    # How long a key that was once found good is not asked about again. A revoked key works at most this long.
    key_cache_seconds: float = Field(default=30, ge=0, le=30)
    key_cache_entries: int = Field(default=10_000, ge=1)

    # Web pages of these origins may call the API from a browser ("https://app.example.com"); by default none.
    cors_allow_origins: list[str] = Field(default_factory=list)
