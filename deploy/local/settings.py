"""What a local installation keeps between starts: its folder, its secrets, its ports. Made at the first start."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.local.processes import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = ("identity", "notification", "content", "scheduler", "publisher", "fulfillment")
# Tried first; another program may have them.
_WISHED_PORTS = {"gateway": 8080, "sandbox": 8090}
_PARTS = (*SERVICES, "gateway", "sandbox")


@dataclass(frozen=True)
class LocalSecrets:
    """Random values of this installation, in a file of mode 0600."""

    service_token: str = field(repr=False)
    master_key: str = field(repr=False)
    database_passwords: dict[str, str] = field(repr=False)


def data_folder() -> Path:
    """Where everything lives: REELROUTE_DATA_DIR, or .data beside the Makefile."""
    folder = Path(os.environ.get("REELROUTE_DATA_DIR", ROOT / ".data")).resolve()
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    return folder


def postgres_folder(data: Path) -> Path:
    """Where PostgreSQL's files live. It refuses to run as root, so for root they are where `nobody` can reach them."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & stat.S_IXOTH for parent in (data, *data.parents)):
        return data / "postgresql"
    name = str(data).strip("/").replace("/", "-")
    folder = Path("/var/lib/reelroute") / name
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    return folder / "postgresql"


def local_secrets(data: Path) -> LocalSecrets:
    """The installation's secrets, made and stored at the first call; what a newer version needs besides is added."""
    path = data / "secrets.json"
    if path.exists():
        made = LocalSecrets(**json.loads(path.read_text()))
    else:
        made = LocalSecrets(
            service_token=secrets.token_urlsafe(32),
            master_key=base64.b64encode(secrets.token_bytes(32)).decode(),
            database_passwords={},
        )
    missing = [name for name in SERVICES if name not in made.database_passwords]
    if missing:
        made.database_passwords.update({name: secrets.token_urlsafe(24) for name in missing})
        _keep(path, json.dumps(asdict(made)))
    return made


def _keep(path: Path, text: str) -> None:
    """Writes a secret: whole or not at all, for its owner alone."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def key_ring_file(data: Path, master_key: str) -> Path:
    """The file of the installation's master keys; at first it holds the one that was made with the secrets. From then
    on it is its owner's to change.
    """
    path = data / "master-keys"
    if not path.exists():
        _keep(path, f"{master_key}\n")
    return path


def ports(data: Path) -> dict[str, int]:
    """A port for each part and one for its metrics ("scheduler-metrics"); the same as last time where they are free."""
    path = data / "ports.json"
    last: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    taken: set[int] = set()
    chosen: dict[str, int] = {}
    for name in (*_PARTS, *(f"{part}-metrics" for part in _PARTS if part != "sandbox")):
        wishes = [port for port in (last.get(name), _WISHED_PORTS.get(name)) if port]
        port = next((wish for wish in wishes if wish not in taken and _is_free(wish)), None) or free_port()
        while port in taken:
            port = free_port()
        taken.add(port)
        chosen[name] = port
    path.write_text(json.dumps(chosen, indent=1))
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
