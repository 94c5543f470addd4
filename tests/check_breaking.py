"""Compares the contracts with those of the main branch before this change: `python -m tests.check_breaking IMAGE`.

What a client compiled against the former contracts relies on must not change. The former main is origin/main, or the
commit before this one where that is the same.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

_BREAKING = '{"version":"v2","breaking":{"use":["FILE"]}}'


def former_main() -> str | None:
    """The commit to compare with; None in a tree without history."""
    head = _git("rev-parse", "HEAD")
    for name in ("origin/main", "HEAD~1"):
        commit = _git("rev-parse", "--verify", "--quiet", name)
        if commit and commit != head:
            return commit
    return None


def main(image: str) -> int:
    """Returns buf's exit status; 0 when there is nothing to compare with."""
    commit = former_main()
    if commit is None or not _git("ls-tree", "--name-only", commit, "protos"):
        print("contracts: no former main to compare with")
        return 0
    archive = subprocess.run(["git", "archive", commit, "protos", "hatch_build.py"], capture_output=True, check=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        former = Path(folder) / "former.binpb"
        subprocess.run([sys.executable, "hatch_build.py", "--image", str(former)], cwd=folder, check=True)
        buf = Path(sys.executable).with_name("buf")
        arguments = ["--against", str(former), "--path", "reelroute", "--config", _BREAKING]
        return subprocess.run([buf, "breaking", image, *arguments], check=False).returncode


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
