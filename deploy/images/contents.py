"""What the image of each service holds. The Dockerfile asks; a test asks too.

    contents.py requirements SERVICE      its dependencies with their pins and hashes, from requirements.lock
    contents.py requirements contracts    the same of what generates the contracts
    contents.py copy SERVICE FOLDER       its files, and the scripts `serve` and `healthy`
    contents.py check SERVICE FOLDER      imports every module of the service from there, and nothing from elsewhere

Runs in an empty Python, so it uses the standard library alone.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# As the Dockerfile sets it, the same in every image; which port it is outside is the deployment's matter.
PORT = 8000
CONTRACTS = "contracts"


@dataclass(frozen=True)
class Image:
    """One service's image. `module` is what runs, `asked` the address that tells of its health."""

    service: str
    module: str
    asked: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    # Which of the dependencies that all services share; without a list, all of them.
    common: tuple[str, ...] | None = None
    with_contracts: bool = True


def _service(name: str, *vendors: str, asked: str = f"127.0.0.1:{PORT}") -> Image:
    return Image(
        service=name,
        module=f"services.{name}",
        asked=asked,
        folders=("kit", f"services/{name}", *(f"vendors/{vendor}" for vendor in vendors)),
        files=("services/__init__.py", *(["vendors/__init__.py"] if vendors else [])),
    )


IMAGES = {
    image.service: image
    for image in (
        _service("identity"),
        _service("content"),
        _service("scheduler"),
        _service("publisher", "tiktok", "tiktok_shop", "bulletin"),
        _service("notification"),
        _service("fulfillment", "tiktok_shop", "amazon_sp"),
        _service("gateway", asked=f"http://127.0.0.1:{PORT}/healthz"),
        Image(
            service="sandbox",
            module="sandbox",
            # Refused without the control token, which is an answer too.
            asked=f"http://127.0.0.1:{PORT}/control/state",
            folders=("sandbox",),
            files=(),
            # It has no kit, which needs the others; shops have time zones.
            common=("tzdata",),
            with_contracts=False,
        ),
    )
}


def requirements(service: str) -> list[str]:
    """What pyproject.toml declares for a service, or for the contracts, as requirements.lock pins it.

    The installer's mode of required hashes wants a pin for each name that it is given; what these need in turn it
    takes from the lock as constraints, and refuses what is not there. Raises KeyError for what the lock does not have.
    """
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    if service == CONTRACTS:
        return pinned(pyproject["build-system"]["requires"])
    project, common = pyproject["project"], IMAGES[service].common
    return pinned(
        [*project["optional-dependencies"][service], *(project["dependencies"] if common is None else common)]
    )


def pinned(names: list[str]) -> list[str]:
    """The lock's entries for requirements like `uvicorn[standard]>=0.35`; the extras stay."""
    lock: dict[str, list[str]] = {}
    for entry in re.split(r"(?m)^(?=\S)", (ROOT / "requirements.lock").read_text())[1:]:
        name, _, pin = entry.partition("==")
        lock.setdefault(name, []).append(pin.rstrip())
    split = (re.match(r"([\w.-]+)(\[[\w,-]+\])?", name) for name in names)
    wanted = ((found[1], found[2] or "") for found in split if found)
    return [f"{name}{extras}=={pin}" for name, extras in wanted for pin in lock[name]]


def copy(image: Image, folder: Path) -> None:
    """Makes the folder, with the service's code, the generated contracts, and its scripts."""
    folder.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "*.pyi", "*.proto")
    for name in image.folders:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in image.files:
        shutil.copy(ROOT / name, folder / name)
    if image.with_contracts:
        for package in ("reelroute", "buf"):
            shutil.copytree(ROOT / "protos" / package, folder / package, ignore=ignored)
    shutil.copy(ROOT / "deploy" / "images" / "health.py", folder / "health.py")
    _script(folder / "serve", f'exec python -m {image.module} "$@"')
    _script(folder / "healthy", f"exec python /app/health.py {image.asked}")


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def modules(image: Image, folder: Path) -> list[str]:
    """Every module of the service itself, migrations left out: those run inside of Alembic alone."""
    own = folder / image.module.replace(".", "/")
    paths = (path.relative_to(folder) for path in sorted(own.rglob("*.py")) if "migrations" not in path.parts)
    return [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]


def check(image: Image, folder: Path) -> None:
    """Raises ImportError when the image lacks a module or a package that its service imports."""
    # Instead of this file's own folder.
    sys.path[0] = str(folder)
    for name in modules(image, folder):
        importlib.import_module(name)
    own = tuple(path.name.removesuffix(".py") for path in folder.iterdir())
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if origin and name.split(".")[0] in own and not Path(origin).is_relative_to(folder):
            raise ImportError(f"{name} comes from {origin}")


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description="What the image of a service holds.")
    parser.add_argument("command", choices=["requirements", "copy", "check"])
    parser.add_argument("service", choices=[*IMAGES, CONTRACTS])
    parser.add_argument("folder", type=Path, nargs="?")
    given = parser.parse_args()
    if given.command == "requirements":
        sys.stdout.write("\n".join(requirements(given.service)) + "\n")
    elif given.folder is None or given.service == CONTRACTS:
        parser.error("name a service and a folder")
    elif given.command == "copy":
        copy(IMAGES[given.service], given.folder)
    else:
        check(IMAGES[given.service], given.folder.resolve())


if __name__ == "__main__":
    main()
