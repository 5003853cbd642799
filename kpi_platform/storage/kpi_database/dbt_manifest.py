"""The dbt project's manifest: made once by `dbt parse`, and again when a file of it changed.

Belongs here: where the project is and whether its manifest is current. Does not: running models.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

PROJECT_DIR = Path(__file__).parents[3] / "dbt"
MANIFEST = PROJECT_DIR / "target" / "manifest.json"
_PARTS = ("models", "macros", "seeds", "tests", "dbt_project.yml", "profiles.yml")


class DbtProjectError(ValueError):
    """The dbt project cannot be read; the message carries dbt's own words."""


@cache
def ensure_manifest() -> Path:
    """Return the manifest's path, parsing the project first if it is missing or out of date.

    Needs neither network nor database. Raises DbtProjectError if dbt cannot parse the project.
    """
    MANIFEST.parent.mkdir(exist_ok=True)
    with FileLock(str(MANIFEST.parent / "manifest.lock")):
        if not MANIFEST.exists() or MANIFEST.stat().st_mtime < _newest_change():
            _parse()
    return MANIFEST


def _newest_change() -> float:
    files = [
        file
        for part in _PARTS
        for file in [PROJECT_DIR / part, *(PROJECT_DIR / part).rglob("*")]
        if file.exists()
    ]
    return max(file.stat().st_mtime for file in files)


def _parse() -> None:
    command = [sys.executable, "-m", "dbt.cli.main", "parse", "--quiet", "--no-use-colors"]
    places = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise DbtProjectError(f"dbt parse failed: {done.stdout.strip()} {done.stderr.strip()}")


def read_manifest() -> dict[str, Any]:
    """The current manifest. Raises DbtProjectError if dbt cannot parse the project."""
    manifest: dict[str, Any] = json.loads(ensure_manifest().read_text())
    return manifest
