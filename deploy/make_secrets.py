"""Makes what a deployment must keep secret: `python -m deploy.make_secrets [FOLDER]`, by default deploy/secrets.

One file per secret, for compose.yaml. What is there already is never changed; what is missing is added, so the command
may be repeated, after an update too.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"
SERVICES = ("identity", "content", "scheduler", "publisher", "notification", "fulfillment")
_DATABASE = "postgres:5432/reelroute"


def make(folder: Path) -> list[str]:
    """Adds the missing files and returns their names. Raises OSError when the folder cannot be written."""
    # The folder keeps others out. The files in it can be read by anybody, because compose mounts them as they are into
    # containers whose users do not exist here.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made: list[str] = []

    def add(name: str, value: str) -> None:
        if not (folder / name).exists():
            _write(folder / name, value)
            made.append(name)

    add("service_token", secrets.token_urlsafe(32))
    # A key ring of one key, 32 bytes in base64: wraps the keys that seal the platforms' tokens. Without it they are
    # lost.
    add("master_key", base64.b64encode(secrets.token_bytes(32)).decode())
    add("postgres_password", secrets.token_urlsafe(24))
    password = (folder / "postgres_password").read_text().strip()
    add("admin_database_url", f"postgresql://postgres:{password}@{_DATABASE}")
    for service in SERVICES:
        # The migration gives the role this password.
        url = f"postgresql://reelroute_{service}:{secrets.token_urlsafe(24)}@{_DATABASE}"
        add(f"{service}_database_url", url)
    add("sandbox_control_token", secrets.token_urlsafe(24))
    # Not secrets at first, but where secrets go: the platforms', once there is an app, and addresses with passwords.
    add("tiktok_client_secret", "sandbox-client-secret")
    add("tiktok_shop_app_secret", "sandbox-app-secret")
    add("amazon_sp_client_secret", "amzn1.oa2-cs.v1.sandbox")
    add("notify_targets", '{"log": "log://"}')
    return made


def _write(path: Path, value: str) -> None:
    # In its place at once and whole, and never over a file that came meanwhile.
    work = path.with_name(f".{path.name}.new")
    work.unlink(missing_ok=True)
    with os.fdopen(os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    # The creator's umask may be narrower than containers need.
    work.chmod(0o644)
    os.link(work, path)
    work.unlink()


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description="Makes the secrets of a deployment; changes none that is there.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder: Path = parser.parse_args().folder
    try:
        made = make(folder)
    except OSError as error:
        sys.exit(f"The secrets cannot be written: {error}")
    told = f"made {', '.join(made)}" if made else "nothing is missing"
    sys.stdout.write(f"{folder}: {told}\n")


if __name__ == "__main__":
    main()
