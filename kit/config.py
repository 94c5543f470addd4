"""Configuration: one small class per service, read from the environment (prefix REELROUTE_) and from secret files.

A secret may be given as a file of its variable's name (REELROUTE_SERVICE_TOKEN) under /run/secrets or the folder named
by REELROUTE_SECRETS_DIR. Everything else has a default that works on one machine.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

# Where each service listens when nothing else is said; metrics are 100 higher.
PORTS = {
    "identity": 7001,
    "content": 7002,
    "scheduler": 7003,
    "publisher": 7004,
    "notification": 7005,
    "fulfillment": 7006,
}


class Settings(BaseSettings):
    """What every process reads: variables REELROUTE_*, then secret files."""

    # What was refused may be a secret, so errors name the field and the rule alone.
    model_config = SettingsConfigDict(env_prefix="REELROUTE_", extra="ignore", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then secret files where their folder exists."""
        folder = Path(os.environ.get("REELROUTE_SECRETS_DIR", "/run/secrets"))
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, SecretsSettingsSource(settings_cls, folder)) if folder.is_dir() else sources


class ServiceSettings(Settings):
    """What every gRPC service reads."""

    # Address of the service's own role on its own database: postgresql://reelroute_scheduler:…@host/reelroute
    database_url: SecretStr
    # A superuser's address; only `migrate` reads it.
    admin_database_url: SecretStr | None = None
    database_pool_size: int = Field(default=8, ge=1, le=100)
    # Longest time that one statement may run, seconds.
    statement_timeout_seconds: float = Field(default=30, gt=0)
    # Proves that a caller is one of our services.
    service_token: SecretStr = Field(min_length=32)
    listen: str
    metrics_listen: str
    # Threads that answer calls. Four gave the best tail under load, sixteen leave room for waiting claims.
    rpc_threads: int = Field(default=16, ge=2, le=200)
    # How long a SIGTERM lets running calls and loops finish, seconds.
    drain_seconds: float = Field(default=20, gt=0)
    log_level: str = "INFO"
    # For throw-away data only: start on a server that forgets what it acknowledged.
    allow_unsafe_database: bool = False


class VaultSettings(ServiceSettings):
    """What a service reads that keeps secrets in its database (kit/vault.py)."""

    # File of the master keys, one per line, the current one first: each 32 random bytes in base64, or a line that a
    # KMS has wrapped. Read again when it changes. It goes before REELROUTE_MASTER_KEY.
    key_ring_file: Path | None = None
    # The same without a file, mostly a lone key; read at the start.
    master_key: SecretStr | None = None
    # How often the file is looked at, and data keys are wrapped anew under the current master key; seconds.
    key_ring_seconds: float = Field(default=30, gt=0)
    # Address of HashiCorp Vault or OpenBao, when lines of the key ring are wrapped there.
    kms_url: str = ""
    # Path of its transit secrets engine, a namespace included.
    kms_mount: str = "transit"
    # Name of the key there that wraps master keys.
    kms_key: str = ""
    # File of the token for it; read for each call.
    kms_token_file: Path | None = None
    # How long a call to it may take, seconds.
    kms_seconds: float = Field(default=5, gt=0)


def listen_default(service: str) -> str:
    """The address that a service listens on by default."""
    return f"127.0.0.1:{PORTS[service]}"


def metrics_default(service: str) -> str:
    """The address that a service shows its metrics on by default."""
    return f"127.0.0.1:{PORTS[service] + 100}"
