"""Where the gateway is, and the key for it. The key comes from the environment or a file, never from an argument."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cli.client import ClientError

DEFAULT_PORTS = {"gateway": 8080, "sandbox": 8090}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Connection:
    """A gateway's address without a slash at its end, and the key; empty when there is none."""

    url: str
    key: str = field(repr=False)

    @property
    def is_local(self) -> bool:
        """Whether requests stay on this machine."""
        return urlsplit(self.url).hostname in _LOOPBACK

    @property
    def shows_key(self) -> bool:
        """Whether others on the way can read the key."""
        return not self.is_local and self.url.startswith("http:")


def connection(environment: Mapping[str, str] = os.environ) -> Connection:
    """What REELROUTE_URL and REELROUTE_API_KEY or REELROUTE_API_KEY_FILE say; else what `make run` left in its folder.

    `make run` keeps its port and key in REELROUTE_DATA_DIR, by default .data beside the Makefile. That key is sent to
    this machine only. Raises ClientError when an address or a key cannot be one.
    """
    data = Path(environment.get("REELROUTE_DATA_DIR") or _CHECKOUT / ".data")
    url = (environment.get("REELROUTE_URL") or f"http://127.0.0.1:{_local_port(data)}").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
        raise ClientError(
            "REELROUTE_URL is no address of a gateway.", "Use one like http://127.0.0.1:8080, without key or password."
        )
    key = environment.get("REELROUTE_API_KEY", "").strip()
    if not key and (path := environment.get("REELROUTE_API_KEY_FILE")):
        key = _key_in(Path(path), "REELROUTE_API_KEY_FILE")
    elif not key and parts.hostname in _LOOPBACK and (data / "api-key").exists():
        key = _key_in(data / "api-key", "The key of `make run`")
    if key and not re.fullmatch(r"[!-~]+", key):
        raise ClientError("The API key has characters that no key has.", "Copy it again: one line that begins with rr_")
    return Connection(url, key)


def sandbox_url(environment: Mapping[str, str] = os.environ) -> str:
    """Where REELROUTE_SANDBOX_URL says that a sandbox is; else the one of `make run`."""
    data = Path(environment.get("REELROUTE_DATA_DIR") or _CHECKOUT / ".data")
    return environment.get("REELROUTE_SANDBOX_URL") or f"http://127.0.0.1:{_local_port(data, 'sandbox')}"


def sandbox_token(environment: Mapping[str, str] = os.environ) -> str:
    """What opens a locked sandbox's control API; empty for none."""
    return environment.get("REELROUTE_SANDBOX_CONTROL_TOKEN", "").strip()


def _local_port(data: Path, part: str = "gateway") -> int:
    try:
        port = json.loads((data / "ports.json").read_text())[part]
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_PORTS[part]
    return port if isinstance(port, int) else DEFAULT_PORTS[part]


def _key_in(path: Path, name: str) -> str:
    try:
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        message = f"{name}: {path} cannot be read ({reason})."
        raise ClientError(message, "Name a file that holds the key only.") from None
    if not key:
        raise ClientError(f"{name}: {path} is empty.", "Put the API key into it.")
    return key
