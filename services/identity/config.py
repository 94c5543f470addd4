"""Configuration of identity."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from kit.config import ServiceSettings, listen_default, metrics_default


class IdentityConfig(ServiceSettings):
    """What identity reads. The fields named first_… matter only at the start that finds no workspace."""

    listen: str = listen_default("identity")
    metrics_listen: str = metrics_default("identity")
    first_workspace_name: str = Field(default="My brand", min_length=1, max_length=100)
    # The first workspace's owner. The default's domain never resolves (RFC 2606): no stranger gets mail.
    first_user_email: str = Field(default="owner@reelroute.invalid", max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
    # Where the first key is written, readable by its owner alone. Unset: it is printed to standard output.
    first_key_file: Path | None = None
