"""What the image of each service holds."""

import ast
import re
from pathlib import Path

import pytest

from deploy.images import contents
from deploy.images.contents import IMAGES, ROOT

SERVICES = {path.name for path in (ROOT / "services").iterdir() if (path / "__main__.py").exists()}
OWN_PACKAGES = ("kit", "vendors", "services", "sandbox", "cli", "deploy", "reelroute", "buf")


@pytest.fixture(params=IMAGES)
def image(request: pytest.FixtureRequest) -> contents.Image:
    return IMAGES[request.param]


@pytest.fixture
def tree(image: contents.Image, tmp_path: Path) -> Path:
    contents.copy(image, tmp_path / "app")
    return tmp_path / "app"


def imported_by(path: Path) -> set[str]:
    """Names of our own modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name for name in names if name.split(".")[0] in OWN_PACKAGES}


def test_every_service_has_an_image_and_so_has_the_sandbox() -> None:
    assert set(IMAGES) == {*SERVICES, "sandbox"}


def test_the_build_script_builds_every_image() -> None:
    script = (ROOT / "deploy" / "build_images.sh").read_text()
    named = re.search(r"services=\(([a-z ]+)\)", script)
    assert named
    assert set(named[1].split()) == set(IMAGES)


def test_an_image_holds_one_service_and_no_secret(image: contents.Image, tree: Path) -> None:
    services = {path.name for path in (tree / "services").iterdir()} if (tree / "services").exists() else set()
    assert services == ({"__init__.py", image.service} if image.service in SERVICES else set())
    assert (tree / "sandbox").exists() == (image.service == "sandbox")
    assert (tree / "vendors").exists() == (image.service in ("publisher", "fulfillment"))
    expected = {"kit", "reelroute", "buf", "services", "vendors", "sandbox", "health.py", "serve", "healthy"}
    assert {path.name for path in tree.iterdir()} <= expected
    kinds = {".py", "", ".mako", ".html", ".css", ".js", ".csv", ".json"}
    assert {path.suffix for path in tree.rglob("*") if path.is_file()} <= kinds


def test_an_image_has_every_module_of_ours_that_it_imports(image: contents.Image, tree: Path) -> None:
    own = tree / image.module.replace(".", "/")
    waiting, seen = {path for path in own.rglob("*.py") if "migrations" not in path.parts}, set[Path]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for name in imported_by(path):
            module = tree / name.replace(".", "/")
            found = {file for file in (module.with_suffix(".py"), module / "__init__.py") if file.exists()}
            # The contracts' folders have no __init__.py.
            assert found or module.is_dir(), f"{path.relative_to(tree)} imports {name}, which the image lacks"
            waiting |= found - seen


def test_every_module_of_a_service_is_imported_by_the_check_of_the_build(image: contents.Image, tree: Path) -> None:
    names = contents.modules(image, tree)
    assert image.module in names
    assert f"{image.module}.__main__" in names
    assert not [name for name in names if "migrations" in name]


def test_dependencies_are_the_locks_with_their_hashes() -> None:
    gateway = contents.requirements("gateway")
    uvicorn = next(line for line in gateway if line.startswith("uvicorn"))
    assert re.match(r"uvicorn\[standard\]==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", uvicorn)
    assert all("--hash=sha256:" in line for line in gateway)


def test_only_the_service_that_needs_a_package_gets_it() -> None:
    def names(service: str) -> set[str]:
        return {re.split(r"[\[=]", line)[0] for line in contents.requirements(service)}

    assert "av" in names("content")
    assert not {"av", "fastapi", "httpx", "apprise"} & names("scheduler")
    assert not {"grpcio", "sqlalchemy", "psycopg2-binary"} & names("sandbox")


def test_a_package_that_the_lock_does_not_have_is_refused() -> None:
    with pytest.raises(KeyError, match="not-locked"):
        contents.pinned(["not-locked>=1"])
