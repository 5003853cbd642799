"""The dbt project as dbt parsed it: made once by `dbt parse`, and again when a file of it changed.

Belongs here: where the project is, what dbt made of it, and whether that is current. Does not:
running models, and where parsed projects are kept for other homes (parsed_projects.py).

Nothing is written beside the code, which may be read-only and shared: what dbt makes of the project
lies in the home of whoever runs it.
"""

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from kpi_platform.schemas.texts.hidden_secrets import SafeError
from kpi_platform.settings import Settings, SettingsError, load_settings, make_home
from kpi_platform.storage.kpi_database import parsed_projects
from kpi_platform.storage.local_servers.local_process import ending_with_us

# In a built package the project lies within it, in the sources beside it.
_PLACES = (Path(__file__).parents[2] / "dbt_project", Path(__file__).parents[3] / "dbt")
PROJECT_DIR = next((place for place in _PLACES if place.is_dir()), _PLACES[-1])
PROJECT_PARTS = ("models", "macros", "seeds", "tests", "dbt_project.yml", "profiles.yml")
STAMP = "project.blake2b"
MANIFEST, PARSED = "manifest.json", "partial_parse.msgpack"


class DbtProjectError(SafeError, ValueError):
    """The dbt project cannot be read; the message carries dbt's own words."""


@cache
def ensure_manifest() -> Path:
    """Return the manifest's path, parsing the project first if it is missing or out of date.

    Beside it lies `PARSED`, the same as dbt's own objects. Needs neither network nor database.
    Raises DbtProjectError if dbt cannot parse the project, SettingsError if nothing can be written
    below KPI_HOME.
    """
    settings = load_settings()
    target = make_home(settings) / "dbt" / "target"
    stamp, made, contents = target / STAMP, (target / MANIFEST, target / PARSED), project_stamp()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with FileLock(str(target / "manifest.lock")):
            is_there = stamp.exists() and all(file.exists() for file in made)
            if not is_there or stamp.read_bytes() != contents:
                stamp.unlink(missing_ok=True)
                if not parsed_projects.fetch(contents.decode(), made):
                    _parse(target, settings)
                    parsed_projects.keep(contents.decode(), made)
                stamp.write_bytes(contents)
    except OSError as error:
        raise SettingsError(f"KPI_HOME: {target}: {error.strerror or error}") from None
    return made[0]


@cache
def project_stamp() -> bytes:
    """What tells the project that this process reads from any other."""
    return current_stamp()


def current_stamp() -> bytes:
    """The same of the project beside the code as it is now: another may have been put there."""
    return _key(load_settings())


def _key(settings: Settings) -> bytes:
    """What tells this project, as parsed, from any other: times say nothing of files out of a
    package. The names of tables have that of the database in them, which is its file's."""
    found = hashlib.blake2b(str(PROJECT_DIR).encode(), digest_size=32)
    parser = (version("dbt-core"), version(f"dbt-{settings.warehouse}"), sys.version)
    database = (settings.warehouse_file.stem, settings.warehouse_database, settings.warehouse)
    found.update(repr((parser, database)).encode())
    for part in PROJECT_PARTS:
        for file in sorted((PROJECT_DIR / part, *(PROJECT_DIR / part).rglob("*"))):
            if file.is_file():
                name, content = str(file.relative_to(PROJECT_DIR)).encode(), file.read_bytes()
                found.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    return found.hexdigest().encode()


def _parse(target: Path, settings: Settings) -> None:
    command = [sys.executable, "-m", "dbt.cli.main", "parse", "--quiet", "--no-use-colors"]
    command += ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    command += ["--target-path", str(target), "--log-path", str(target.parent / "logs")]
    # Whatever another project of this home left is no beginning for this one.
    command += ["--no-partial-parse"]
    process = subprocess.Popen(  # noqa: S603 (our own command, no shell)
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"KPI_WAREHOUSE_PATH": settings.warehouse_file.name},
    )
    with ending_with_us(process):
        said, _ = process.communicate()
    if process.returncode:
        raise DbtProjectError(f"dbt parse failed: {said.strip()}")


@cache
def read_manifest() -> dict[str, Any]:
    """The current manifest, read once: nobody changes it.

    Raises DbtProjectError if dbt cannot parse the project.
    """
    manifest: dict[str, Any] = json.loads(ensure_manifest().read_text(encoding="utf-8"))
    return manifest
