"""The dbt project by which the marts were last built, kept for when that beside the code changes.

Belongs here: keeping it, and finding it again. Does not: which of the two builds (kpis/build.py).

A copy of the project's files with what dbt made of them, in the home that has the database. Until
marts are built by a changed project, hours go on by this one, and what reads marts goes by it.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kpi_platform.settings import SettingsError, load_settings
from kpi_platform.storage.kpi_database.dbt_manifest import (
    MANIFEST,
    PARSED,
    PROJECT_DIR,
    PROJECT_PARTS,
    STAMP,
    current_stamp,
    ensure_manifest,
    project_stamp,
    read_manifest,
)
from kpi_platform.storage.lake.locks import file_lock

_FOLDER, _NOTE, _PROJECT = "in_force", "kept.json", "project"


@dataclass(frozen=True)
class KeptProject:
    """A project as it was: its folder, what dbt made of it, and the fingerprint of its rows."""

    fingerprint: str
    folder: Path

    @property
    def project(self) -> Path:
        """The folder that dbt takes for the project."""
        return self.folder / _PROJECT

    @property
    def parsed(self) -> Path:
        """The project as dbt's own objects."""
        return self.folder / PARSED

    @property
    def is_current(self) -> bool:
        """Whether it is, byte for byte, the project beside the code."""
        return (self.folder / STAMP).read_bytes() == project_stamp()

    def manifest(self) -> Mapping[str, Any]:
        """Its manifest as JSON."""
        if self.is_current:
            return read_manifest()
        text = (self.folder / MANIFEST).read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found


def kept_project() -> KeptProject | None:
    """The project by which the marts of this home were last built; None if none was kept, or if it
    was parsed for a database of another name."""
    folder = _folder()
    try:
        note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if note["database"] != _database():
        return None
    return KeptProject(note["fingerprint"], folder)


def keep_project(fingerprint: str) -> None:
    """Keep the project that this process reads as the one that built the marts. If another has
    been put beside the code since, none is kept, and the next build makes everything anew.

    Raises SettingsError if nothing can be written below KPI_HOME.
    """
    kept = kept_project()
    if kept is not None and kept.fingerprint == fingerprint and kept.is_current:
        return
    try:
        _keep(fingerprint, _folder(), ensure_manifest().parent)
    except OSError as error:
        said = f"KPI_HOME: {_folder()}: {error.strerror or error}"
        raise SettingsError(said) from None


def _keep(fingerprint: str, folder: Path, target: Path) -> None:
    with file_lock(folder.with_name(f"{_FOLDER}.lock")):
        made = folder.with_name(f"{_FOLDER}.new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for part in PROJECT_PARTS:
            _copied(PROJECT_DIR / part, made / _PROJECT / part)
        for name in (MANIFEST, PARSED, STAMP):
            shutil.copyfile(target / name, made / name)
        note = {
            "fingerprint": fingerprint,
            "database": _database(),
            "kept_at": datetime.now(UTC).isoformat(),
        }
        (made / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        if {current_stamp(), (made / STAMP).read_bytes()} != {project_stamp()}:
            shutil.rmtree(made)
            shutil.rmtree(folder, ignore_errors=True)
            return
        # Killed between the two, the next build finds nothing kept, and keeps it again.
        old = folder.with_name(f"{_FOLDER}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        made.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def manifest_in_force() -> Mapping[str, Any]:
    """The manifest of the project by which the marts are built now: while a changed one waits to be
    built, that of the one before.

    Raises DbtProjectError if dbt cannot parse the project beside the code.
    """
    kept = kept_project()
    return read_manifest() if kept is None else kept.manifest()


def _copied(place: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        shutil.copytree(place, to)
    elif place.is_file():
        shutil.copyfile(place, to)


def _folder() -> Path:
    # dbt reads a relative path from its project.
    return load_settings().home.absolute() / "dbt" / _FOLDER


def _database() -> list[str]:
    settings = load_settings()
    return [settings.warehouse_file.stem, settings.warehouse_database, settings.warehouse]
