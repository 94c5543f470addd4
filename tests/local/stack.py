"""A small supervised stack as a program of its own, for tests that kill it.

    python -m tests.local.stack FOLDER

Starts PostgreSQL and two children in FOLDER, prints their process ids as one JSON line, and waits for a signal.
"""

import json
import signal
import sys
from pathlib import Path

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.supervisor import Child, Supervisor

# Says in a file that it is there, and in another that it was asked to leave.
RECORDER = """
import pathlib, signal, sys
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def leave(*_):
    with open(folder / "left", "a") as left:
        left.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
(folder / name).touch()
while True:
    signal.pause()
"""


def recorder(name: str, folder: Path, *, stop_timeout: float = 20.0, program: str = RECORDER) -> Child:
    """A child that is ready once its signal handler is in place, and notes in FOLDER/left when it is asked to leave."""
    return Child(
        name,
        [sys.executable, "-I", "-S", "-c", program, name, str(folder)],
        {},
        folder / f"{name}.log",
        ready=(folder / name).exists,
        stop_timeout=stop_timeout,
    )


def main(folder: Path) -> None:
    # A test run in the background (`make test &`, nohup) hands on signals as ignored, and the supervisor keeps that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with Supervisor() as supervisor:
        supervisor.start(EmbeddedPostgres(folder / "postgresql", durable=False))
        supervisor.start(recorder("first", folder))
        supervisor.start(recorder("second", folder))
        supervisor.wait_ready()
        print(json.dumps([supervisor.pid(name) for name in ("postgresql", "first", "second")]), flush=True)
        supervisor.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
