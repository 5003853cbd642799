"""The dbt project's manifest: made once by `dbt parse`, and again when a file of it changed.

Belongs here: where the project is, where dbt writes, and whether the manifest is current. Does not:
running models.

Nothing is written beside the code, which may be read-only and shared: what dbt makes of the project
lies in the home of whoever runs it.
"""

import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from kpi_platform.schemas.hidden_secrets import SafeError
from kpi_platform.settings import SettingsError, load_settings, make_home
from kpi_platform.storage.local_servers.local_process import ending_with_us

# In a built package the project lies within it, in the sources beside it.
_PLACES = (Path(__file__).parents[2] / "dbt_project", Path(__file__).parents[3] / "dbt")
PROJECT_DIR = next((place for place in _PLACES if place.is_dir()), _PLACES[-1])
_PARTS = ("models", "macros", "seeds", "tests", "dbt_project.yml", "profiles.yml")
_STAMP = "project.blake2b"


class DbtProjectError(SafeError, ValueError):
    """The dbt project cannot be read; the message carries dbt's own words."""


@cache
def ensure_manifest() -> Path:
    """Return the manifest's path, parsing the project first if it is missing or out of date.

    Needs neither network nor database. Raises DbtProjectError if dbt cannot parse the project,
    SettingsError if nothing can be written below KPI_HOME.
    """
    target = make_home(load_settings()) / "dbt" / "target"
    stamp, manifest, contents = target / _STAMP, target / "manifest.json", _contents()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with FileLock(str(target / "manifest.lock")):
            if not manifest.exists() or not stamp.exists() or stamp.read_bytes() != contents:
                _parse(target)
                stamp.write_bytes(contents)
    except OSError as error:
        raise SettingsError(f"KPI_HOME: {target}: {error.strerror or error}") from None
    return manifest


def _contents() -> bytes:
    """What tells this project from any other: times say nothing of files out of a package."""
    found = hashlib.blake2b(str(PROJECT_DIR).encode())
    for part in _PARTS:
        for file in sorted((PROJECT_DIR / part, *(PROJECT_DIR / part).rglob("*"))):
            if file.is_file():
                name, content = str(file.relative_to(PROJECT_DIR)).encode(), file.read_bytes()
                found.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    return found.hexdigest().encode()


def _parse(target: Path) -> None:
    command = [sys.executable, "-m", "dbt.cli.main", "parse", "--quiet", "--no-use-colors"]
    command += ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    command += ["--target-path", str(target), "--log-path", str(target.parent / "logs")]
    process = subprocess.Popen(  # noqa: S603 (our own command, no shell)
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    with ending_with_us(process):
        said, _ = process.communicate()
    if process.returncode:
        raise DbtProjectError(f"dbt parse failed: {said.strip()}")


def read_manifest() -> dict[str, Any]:
    """The current manifest. Raises DbtProjectError if dbt cannot parse the project."""
    manifest: dict[str, Any] = json.loads(ensure_manifest().read_text(encoding="utf-8"))
    return manifest
