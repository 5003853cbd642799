"""The dbt project beside the code, and the one by which the marts of this home were last built.

Belongs here: both as what builds, and what a change of the one to the other means. Does not:
keeping the latter (storage), and building.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.build import Project
from kpi_platform.kpis.dbt.dbt_run import DbtRun
from kpi_platform.kpis.dbt.project import changed_names, project_fingerprint
from kpi_platform.kpis.dbt.rebuild import ChangedProject
from kpi_platform.settings import load_settings
from kpi_platform.storage.kpi_database.dbt_manifest import (
    PARSED,
    PROJECT_DIR,
    ensure_manifest,
    read_manifest,
)
from kpi_platform.storage.kpi_database.kept_project import KeptProject, keep_project, kept_project

_NAMES_SHOWN = 10


@dataclass(frozen=True)
class Projects:
    """Both projects. `run` builds by the one beside the code, `run_before` by the one before it."""

    fingerprint: str
    run: DbtRun
    kept: KeptProject | None
    run_before: DbtRun | None

    @classmethod
    def of(cls, platform: Platform) -> "Projects":
        """Read both. Raises DbtProjectError if dbt cannot parse the project beside the code."""
        database = platform.settings.warehouse_file
        target = ensure_manifest().parent
        kept = kept_project()
        return cls(
            project_fingerprint(read_manifest()),
            DbtRun(PROJECT_DIR, target / PARSED, database, target),
            kept,
            None if kept is None else DbtRun(kept.project, kept.parsed, database, target),
        )

    @property
    def before(self) -> Project | None:
        """What builds by the one before; None where none is kept."""
        if self.kept is None or self.run_before is None:
            return None
        return Project(self.kept.fingerprint, self.run_before)

    def keep(self) -> None:
        """Keep the one beside the code as the one that built the marts. Raises SettingsError."""
        keep_project(self.fingerprint)

    @cached_property
    def changed(self) -> list[str]:
        """Models, seeds and macros that decide other rows now; none where nothing was kept."""
        return [] if self.kept is None else changed_names(self.kept.manifest(), read_manifest())

    def changed_project(self) -> ChangedProject:
        """What there is to build anew, where a project is kept."""
        assert self.kept is not None  # noqa: S101 - what was built before is kept
        there = _built_names(read_manifest())
        return ChangedProject(
            self.fingerprint,
            self.kept.folder,
            [name for name in self.changed if name in there],
            self.run.on,
        )

    def waiting(self) -> str:
        """What waits to be built, in words; empty if nothing does."""
        if self.kept is None or self.kept.fingerprint == self.fingerprint:
            return ""
        shown = ", ".join(self.changed[:_NAMES_SHOWN])
        more = len(self.changed) - _NAMES_SHOWN
        return shown + (f" and {more} more" if more > 0 else "")


def definitions_waiting() -> str:
    """What of the definitions changed and waits for the job that builds it, in words; else empty.

    So it is with a database server, in which the next hour builds everything anew.

    Raises DbtProjectError if dbt cannot parse the project beside the code.
    """
    kept = kept_project()
    if kept is None or kept.is_current or load_settings().warehouse != "duckdb":
        return ""
    names = changed_names(kept.manifest(), read_manifest())
    return ", ".join(names)


def _built_names(manifest: Mapping[str, Any]) -> set[str]:
    nodes = manifest["nodes"].values()
    return {node["name"] for node in nodes if node["resource_type"] in ("model", "seed")}
