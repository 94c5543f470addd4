"""The documentation says what is there: generated pages are current, links and names lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from cli.main import app
from docs import make_configuration, make_errors, make_routing
from services.fulfillment.routing.reasons import REASONS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROGRAMS = ("kit", "services", "vendors", "sandbox", "cli", "deploy")
# What is made, installed or kept beside the sources.
NOT_OURS = {"__pycache__", "build", "node_modules"}
# Places of one machine. In two parts, so that this file does not hold them.
FOREIGN = ["/wo" + "rk/", "/fa" + "rm/", "pypi" + ".org", "pythonhosted" + ".org", "registry." + "npmjs"]
TEXT = {"", ".csv", ".html", ".in", ".json", ".lock", ".md", ".py", ".proto", ".sh", ".toml", ".txt", ".yaml", ".yml"}


def sources(folder: Path = ROOT) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") and path.name not in (".ci", ".dockerignore", ".gitignore"):
            continue
        if path.is_dir() and path.name not in NOT_OURS:
            yield from sources(path)
        elif path.is_file() and path.suffix in TEXT and not re.search(r"_pb2(_grpc)?\.py$", path.name):
            yield path


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def test_the_page_of_all_variables_is_current() -> None:
    assert make_configuration.PAGE.read_text() == make_configuration.render(), "run python -m docs.make_configuration"


def test_the_page_of_all_errors_is_current() -> None:
    assert make_errors.PAGE.read_text() == make_errors.render(), "run python -m docs.make_errors"


def test_the_page_of_all_facts_rules_and_reasons_is_current() -> None:
    assert make_routing.PAGE.read_text() == make_routing.render(), "run python -m docs.make_routing"


def test_every_variable_that_is_read_is_documented() -> None:
    page = make_configuration.PAGE.read_text()
    files = [path for path in sources() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PROGRAMS]
    found = {name for path in files for name in re.findall(r"REELROUTE_[A-Z][A-Z0-9_]*[A-Z0-9]\b", path.read_text())}
    # A prefix or the beginning of a name that is put together is no variable.
    missing = {name for name in found if f"`{name}`" not in page and f"`{name}_" not in page}
    assert not missing, "add them to a settings class, or to OTHERS in docs/make_configuration.py"
    for other in make_configuration.OTHERS:
        assert other.name in (ROOT / other.source).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_commands_and_metrics_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|proto|sh|yaml|toml|txt))`", text):
        # What begins with none of our folders is a place inside of another.
        if (ROOT / name.partition("/")[0]).exists():
            assert (ROOT / name).exists(), f"there is no {name}"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]+)", text, re.MULTILINE))
    assert named <= targets, f"make has no {named - targets}"
    code = "".join(path.read_text() for path in sources() if path.relative_to(ROOT).parts[0] in PROGRAMS)
    for metric in re.findall(r"`(reelroute_[a-z_]+)", text):
        assert f'"{metric}"' in code, f"there is no metric {metric}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_named_exist(page: Path) -> None:
    code = re.findall(r"```.*?```|`[^`\n]*`", page.read_text(), re.DOTALL)
    for words in re.findall(r"(?<!the )(?<![\w/.-])reelroute ((?:[a-z][a-z-]* ?)+)", "\n".join(code)):
        command: object = get_command(app)
        for word in words.split():
            if isinstance(command, TyperGroup):
                assert word in command.commands, f"there is no command reelroute {words}"
                command = command.commands[word]


def test_the_runbook_says_what_to_do_about_every_reason_for_which_an_order_is_held_or_left() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text()
    for reason in REASONS:
        assert page.count(f"\n| `{reason}` |") == 1, f"docs/runbook.md has no row, or several, for {reason}"


def test_no_place_of_one_machine_is_named() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in sources()
        for word in FOREIGN
        if word.encode() in path.read_bytes()
    ]
    assert not found
