"""Looks into a media file without trusting it.

Decoders are large C libraries and uploads come from anyone, so no file is decoded inside the service. For each file a
worker process is started (`python -m services.content.probe`, about 0.15 s). It has limits of time, memory, descriptors
and output, none of the service's environment, and the file as its standard input, already open: it needs no path. It
answers with one line of JSON. Whatever it dies of, the service lives, and the file is refused.

Which death means what:
- it answered: the facts, or the refusal with its reason;
- it ended by a signal of the kernel (crash, CPU limit), or was ended by us at its time limit: the file is refused;
- it never said that it had started, or somebody else killed it: nobody knows anything about the file.
  `ProbeUnavailable`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import structlog

from kit.errors import Unavailable
from services.content.media import (
    HEAD_BYTES,
    Container,
    Kind,
    MediaFacts,
    MediaRefused,
    ProbeLimits,
    Refusal,
    check_claims,
    sniff,
)

_ROOT = Path(__file__).resolve().parents[2]
WORKER = (sys.executable, "-m", "services.content.probe")
"""The command of the worker; the format and the limits follow as arguments."""
_STARTED = "started"
_ANSWER_LIMIT_BYTES = 64 * 1024
_log = structlog.get_logger()


class ProbeUnavailable(Unavailable):
    """The file could not be looked into now, through no fault of its own. The same call may work later."""


def probe(
    path: Path,
    *,
    claimed_name: str | None = None,
    claimed_type: str | None = None,
    limits: ProbeLimits | None = None,
    worker: Sequence[str] = WORKER,
) -> MediaFacts:
    """Read a file to its end and say what it holds.

    `claimed_name` is the name that the uploader gave (only its extension counts) and `claimed_type` the media type
    that was declared; without them nothing is compared, whatever `path` is called. Takes at most `limits.wall_seconds`
    (60 s); a minute of 1080p takes about 2 s on two cores.

    Raises MediaRefused (with a `Refusal` as its reason) when the file is not valid media or not what it claims to be,
    and ProbeUnavailable when that could not be found out.
    """
    limits = limits or ProbeLimits()
    # Unbuffered: the worker inherits the position of the descriptor, not that of a buffer in front of it.
    with path.open("rb", buffering=0) as file:
        container = sniff(file.read(HEAD_BYTES))
        check_claims(container, claimed_name=claimed_name, claimed_type=claimed_type)
        file.seek(0)
        return _ask_worker(worker, file, container, limits)


class Prober:
    """`probe` with a bound on how many workers run at once: each may take `memory_bytes`."""

    def __init__(
        self, limits: ProbeLimits, *, parallel: int = 2, wait_seconds: float = 60.0, worker: Sequence[str] = WORKER
    ) -> None:
        self._limits = limits
        self._worker = worker
        self._slots = threading.BoundedSemaphore(parallel)
        self._wait_seconds = wait_seconds

    def probe(self, path: Path, *, claimed_name: str | None = None, claimed_type: str | None = None) -> MediaFacts:
        """As `probe`. Raises ProbeUnavailable too when no worker became free within `wait_seconds`."""
        if not self._slots.acquire(timeout=self._wait_seconds):
            raise ProbeUnavailable("Too many files are being checked now. Try again shortly.", retry_after_seconds=10)
        try:
            return probe(
                path, claimed_name=claimed_name, claimed_type=claimed_type, limits=self._limits, worker=self._worker
            )
        finally:
            self._slots.release()


def _ask_worker(command: Sequence[str], media: BinaryIO, container: Container, limits: ProbeLimits) -> MediaFacts:
    # Its output goes to files, not pipes: a worker that has been taken over cannot flood our memory.
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as complaints:
        try:
            worker = subprocess.Popen(
                [*command, container.value, json.dumps(asdict(limits))],
                stdin=media,
                stdout=answer,
                stderr=complaints,
                cwd=_ROOT,
                env=_worker_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise ProbeUnavailable("Files cannot be checked now. Try again shortly.", retry_after_seconds=10) from error
        timed_out = False
        try:
            worker.wait(limits.wall_seconds)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            worker.kill()
            worker.wait()
        answer.seek(0)
        lines = answer.read(_ANSWER_LIMIT_BYTES).decode(errors="replace").splitlines()
        if len(lines) == 2 and worker.returncode == 0:
            try:
                return _facts_or_refusal(lines[1])
            except (ValueError, TypeError, KeyError):
                _log.warning("media_probe_answer_not_understood", container=container.value)
        complaints.seek(0)
        _log.warning(
            "media_probe_died",
            exit_code=worker.returncode,
            timed_out=timed_out,
            container=container.value,
            last_words=complaints.read(_ANSWER_LIMIT_BYTES)[-2000:].decode(errors="replace"),
        )
    killed_by_another = worker.returncode == -signal.SIGKILL and not timed_out
    if lines[:1] != [_STARTED] or killed_by_another:
        raise ProbeUnavailable("Files cannot be checked now. Try again shortly.", retry_after_seconds=10)
    if timed_out or worker.returncode == -signal.SIGXCPU:
        raise MediaRefused.because(
            Refusal.TOO_COSTLY,
            f"Reading the file takes longer than {limits.wall_seconds:g} s. Export it shorter or smaller.",
        )
    raise MediaRefused.because(
        Refusal.UNREADABLE, f"The {container.value.upper()} file cannot be decoded. Export it again."
    )


def _worker_environment() -> dict[str, str]:
    # None of ours: it holds the service's secrets. One malloc arena per thread would count against the address space.
    return {"PYTHONPATH": str(_ROOT), "PATH": os.defpath, "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}


def _facts_or_refusal(line: str) -> MediaFacts:
    answer = json.loads(line)
    if "refused" in answer:
        raise MediaRefused.because(Refusal(answer["refused"]), answer["message"])
    facts = answer["facts"]
    return MediaFacts(
        **facts
        | {
            "kind": Kind(facts["kind"]),
            "container": Container(facts["container"]),
            "frame_hashes": tuple(facts["frame_hashes"]),
        }
    )


# ---- the worker's side


def _limit_this_process(limits: ProbeLimits) -> None:
    # From here on a written file is cut at the limit without an error, and Python would believe a cut-off .pyc.
    sys.dont_write_bytecode = True
    cpu_seconds = int(limits.wall_seconds * limits.decode_threads) + 1
    for what, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_FSIZE, _ANSWER_LIMIT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, hard if what == resource.RLIMIT_CPU else most))


def _work(container: Container, limits: ProbeLimits) -> dict[str, object]:
    from services.content import decode  # after the service's side, which must not load a decoder

    _limit_this_process(limits)
    sys.stdout.write(_STARTED + "\n")
    sys.stdout.flush()
    try:
        with open(0, "rb", buffering=0, closefd=False) as media:
            return {"facts": asdict(decode.inspect(media, container, limits))}
    except MediaRefused as refusal:
        return {"refused": refusal.reason, "message": refusal.message}
    except MemoryError:
        return {
            "refused": Refusal.TOO_COSTLY,
            "message": "Reading the file takes more memory than a file may. Export it with smaller pictures.",
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_work(Container(sys.argv[1]), ProbeLimits(**json.loads(sys.argv[2])))) + "\n")
    sys.stdout.flush()
    # Decoder threads may still be running after a refusal; nothing is left to be tidied.
    os._exit(0)
