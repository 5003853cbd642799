"""Brings the warehouse up to date with the lake: load what changed, let dbt build what it affects.

Belongs here: the order of load, dbt and the books, under the warehouse's lock. Does not: what is
loaded (load.py) or built (the dbt project).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from kpi_platform.engine.books.hour_ledger import failed_hours
from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.dbt.dbt_command import EVENTS
from kpi_platform.kpis.loading import slices
from kpi_platform.kpis.loading.event_rows import EventRows
from kpi_platform.kpis.loading.kept_rows import give_back, note_kept_days, take_away
from kpi_platform.kpis.loading.load import (
    EVENTS as LAKE_EVENTS,
)
from kpi_platform.kpis.loading.load import (
    LEDGER,
    LOADED,
    LakeTable,
    LoadReport,
    load,
)
from kpi_platform.kpis.loading.ship import fetch_changes, ship
from kpi_platform.kpis.loading.unread_files import UnreadFiles
from kpi_platform.kpis.loading.window import window_frames
from kpi_platform.storage.kpi_database import events_file
from kpi_platform.storage.kpi_database.embedded import (
    built_by,
    connect,
    mark_built,
    pending,
)
from kpi_platform.storage.kpi_database.marts import Marts
from kpi_platform.storage.lake.locks import file_lock, warehouse_lock

PERIODS = {"kpi_hourly": "hour", "kpi_daily": "date"}
RunDbt = Callable[[bool], None]


@dataclass(frozen=True)
class BuildReport:
    """What a build did: the load's figures, the rows of every table that dbt builds (of the hourly
    ones by hour or day), whether dbt ran and built everything anew, and whether it was the project
    before that built, as a changed one waits (rebuild.py)."""

    load: LoadReport
    rows: Mapping[str, int]
    period_rows: Mapping[str, Mapping[datetime, int]]
    is_built: bool
    is_full_refresh: bool
    is_waiting: bool = False


@dataclass(frozen=True)
class Project:
    """A dbt project: the fingerprint of what decides its rows, and what builds the models by it."""

    fingerprint: str
    run: RunDbt


def build_marts(
    platform: Platform, fingerprint: str, run_dbt: RunDbt, before: Project | None = None
) -> BuildReport:
    """Load the lake's changes and run dbt on the periods they affect.

    `run_dbt(full_refresh)` builds all models and raises if any fails: everything then stays
    pending, and the next build completes it. Nothing pending and the same project: dbt is not
    started at all. Were the marts built by the project `before`, it builds them now, too: what a
    changed project builds anew is the work of a job of its own.
    """
    path, copy, marts = platform.settings.warehouse_file, platform.warehouse_copy, platform.marts
    built = mark_of(platform, fingerprint)
    with file_lock(warehouse_lock(path)):
        with connect(path) as con:
            tables = lake_tables(platform)
            report = load(
                con,
                tables,
                platform.sources.frame().join(platform.sources.kinds(), on="source"),
                platform.settings.player_id_attributes,
                start_hour=platform.settings.start_hour,
                files_in=UnreadFiles(platform).hours,
                services=platform.sources.services(),
                platforms=platform.sources.platform_names,
            )
            note_kept_days(con, platform.lake)
            known = built_by(con)
            # Marts in a database server are built in their place: there all are built anew at once.
            is_waiting = (
                before is not None
                and copy is None
                and known != built
                and known == mark_of(platform, before.fingerprint)
            )
            if before is not None and is_waiting:
                built, run_dbt = mark_of(platform, before.fingerprint), before.run
            full_refresh = known != built
            if not full_refresh and not pending(con):
                return _report(marts(con), report, is_waiting=is_waiting)
            days = None
            if full_refresh:
                days = slices.begin(con)
                give_back(con, platform.lake)
            else:
                # Of a build of everything that was stopped.
                slices.take(con)
            _make_ready(platform, con, tables, days)
        while True:
            # dbt opens the file itself, and a DuckDB file has one owner at a time.
            with events_removed(platform):
                run_dbt(days is not None)
            with connect(path) as con:
                if copy is not None:
                    fetch_changes(con, copy)
                    copy.drop(EVENTS)
                mark_built(con, built, full_refresh=days is not None)
                if days is not None:
                    take_away(con)
                days = None
                if slices.take(con):
                    _make_ready(platform, con, tables)
                    continue
                return _report(
                    marts(con),
                    report,
                    is_built=True,
                    is_full_refresh=full_refresh,
                    is_waiting=is_waiting,
                )


def _make_ready(
    platform: Platform,
    con: duckdb.DuckDBPyConnection,
    tables: Sequence[LakeTable],
    days: Sequence[date] | None = None,
) -> None:
    """Have copies, books and events where dbt reads them: to build everything, beginning with
    these days, or what is pending."""
    if platform.warehouse_copy is not None:
        ship(con, platform.warehouse_copy, full_refresh=days is not None)
    lay_down_events(platform, con, tables, days)


def lay_down_events(
    platform: Platform,
    con: duckdb.DuckDBPyConnection,
    tables: Sequence[LakeTable],
    days: Sequence[date] | None = None,
) -> None:
    """Put the events that a run reads, as `tables` have them, where its models look for them: all
    of these days, or what is read for all that is pending."""
    [events] = (table for table in tables if table.name == LAKE_EVENTS)
    rows = EventRows.of(
        platform.sources.frame(),
        platform.settings.player_id_attributes,
        platform.sources.platform_names,
    )
    frames = window_frames(con, events, rows, days)
    if platform.warehouse_copy is not None:
        platform.warehouse_copy.replace_events(frames)
    else:
        events_file.lay_down(con, platform.settings.warehouse_file, frames)


@contextmanager
def events_removed(platform: Platform) -> Iterator[None]:
    """Remove the events of the run that goes on inside when it is over, however it ends."""
    try:
        yield
    finally:
        if platform.warehouse_copy is not None:
            platform.warehouse_copy.replace_events([])
        else:
            events_file.remove(platform.settings.warehouse_file)


def mark_of(platform: Platform, fingerprint: str) -> str:
    """How a database is marked that was built by the project of this fingerprint."""
    settings = platform.settings
    # Another warehouse has nothing of what this one has.
    is_server = platform.warehouse_copy is not None
    place = f"{settings.warehouse_host}/{settings.warehouse_database}" if is_server else ""
    return f"{fingerprint} {settings.warehouse} {place}"


def _report(
    marts: Marts,
    load: LoadReport,
    *,
    is_built: bool = False,
    is_full_refresh: bool = False,
    is_waiting: bool = False,
) -> BuildReport:
    periods = {table: marts.period_rows(table, column) for table, column in PERIODS.items()}
    return BuildReport(load, marts.row_counts(), periods, is_built, is_full_refresh, is_waiting)


def lake_tables(platform: Platform) -> list[LakeTable]:
    """The lake tables that the warehouse keeps a copy of, as they are now.

    An hour that failed is left out until it is processed.
    """
    lake = platform.lake
    failed = failed_hours(lake)

    def table(name: str) -> LakeTable:
        found = lake.partitions(name)
        signatures = found.signatures
        if name == "cleaned_events":
            signatures = {key: value for key, value in signatures.items() if key not in failed}
        return LakeTable(name, signatures, found.read)

    return [table(name) for name in (LEDGER, *LOADED)]
