"""Builds what a changed project builds anew, beside the marts, which go on as they are.

Belongs here: the order of it, and going on where it was stopped. Does not: how hours are built
meanwhile (build.py), and the second database file (storage).

The models are built in a copy of the database. Hours take the first one, by the project before,
until the copy has everything that the first has: then the tables change places in one transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.build import (
    BuildReport,
    Project,
    build_marts,
    events_removed,
    lake_tables,
    lay_down_events,
    mark_of,
)
from kpi_platform.kpis.dbt.dbt_command import EVENTS, changed_extent, extent
from kpi_platform.kpis.dbt.dbt_run import DbtRun
from kpi_platform.kpis.loading import slices
from kpi_platform.kpis.loading.kept_rows import give_back, note_kept_days, take_away
from kpi_platform.schemas.texts.hidden_secrets import SafeError
from kpi_platform.storage.kpi_database.embedded import built_by, connect, mark_built
from kpi_platform.storage.kpi_database.second_database import SecondDatabase
from kpi_platform.storage.lake.locks import file_lock, warehouse_lock

# Each time the hours that came meanwhile are fewer.
_TRIES = 20


class RebuildError(SafeError, RuntimeError):
    """Hours came more quickly than they could be caught up with; what is built stays."""


@dataclass(frozen=True)
class ChangedProject:
    """The project beside the code, of which some is not built yet.

    `state`: the folder of the manifest by which the marts are built. `changed`: models and seeds
    that decide other rows now, by our own judgement. `open_run` gives what runs dbt on a database
    file.
    """

    fingerprint: str
    state: Path
    changed: Sequence[str]
    open_run: Callable[[Path], DbtRun]


def rebuild_marts(
    platform: Platform, project: ChangedProject, before: Project, say: Callable[[str], None]
) -> BuildReport:
    """Build what changed and all that depends on it, take it over, and say how the marts stand.

    Stopped at any time it goes on with the models that are missing. If nothing waits, it is a build
    like any other. Raises DbtBuildError if a model fails, or RebuildError: the marts are as before.
    """
    first = platform.settings.warehouse_file
    run = project.open_run(first)
    second = SecondDatabase(first, project.fingerprint)
    report = build_marts(platform, project.fingerprint, run, before)
    if not report.is_waiting:
        # Of a change that was begun and taken back.
        second.remove()
        return report
    if second.is_there:
        say(f"going on with what was begun: {len(second.done)} models are built")
    else:
        for _ in range(_TRIES):
            if second.make():
                break
            build_marts(platform, project.fingerprint, run, before)
    there = Platform(platform.settings.model_copy(update={"warehouse_path": second.path}))
    _build_changed(there, project, second, say)
    for _ in range(_TRIES):
        # Both come to what the lake has now, the first by the project before.
        build_marts(there, project.fingerprint, project.open_run(second.path))
        build_marts(platform, project.fingerprint, run, before)
        if second.take_over(mark_of(platform, project.fingerprint)):
            say(f"{len(second.done)} models took the place of those before")
            second.remove()
            return replace(build_marts(platform, project.fingerprint, run), is_built=True)
    raise RebuildError("hours came more quickly than the models; run the job again when fewer come")


def _build_changed(
    there: Platform, project: ChangedProject, second: SecondDatabase, say: Callable[[str], None]
) -> None:
    """Build what changed in the second database, unless all of it is there."""
    path = second.path
    mark = mark_of(there, project.fingerprint)
    with file_lock(warehouse_lock(path)):
        with connect(path) as con:
            if built_by(con) == mark:
                return
            note_kept_days(con, there.lake)
            give_back(con, there.lake)
            lay_down_events(there, con, lake_tables(there), slices.all_days(con))
        run = project.open_run(path)
        how = changed_extent(project.state, project.changed, second.done)

        def note(name: str) -> None:
            if name != EVENTS:
                second.add_done(name)

        with events_removed(there):
            run.build(*how, note)
            if not second.done:
                # A change that no model names, as that of a materialization.
                run.build(*extent(full_refresh=True), note)
        with connect(path) as con:
            mark_built(con, mark)
            take_away(con)
    say(f"{len(second.done)} models are built anew")
