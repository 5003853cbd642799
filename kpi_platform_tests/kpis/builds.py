"""Small worlds through load and dbt: the warehouse of these events, as the platform builds it.

Belongs here: turning events into the lake's frames and running the real load and the real dbt.
Does not: what the tables should hold (reference.py).
"""

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import duckdb
import polars as pl
import pytest
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from kpi_platform.kpis.dbt.dbt_command import extent
from kpi_platform.kpis.loading.event_rows import EventRows
from kpi_platform.kpis.loading.load import Key, LakeTable, LoadReport, load
from kpi_platform.kpis.loading.slices import all_days
from kpi_platform.kpis.loading.window import window_frames
from kpi_platform.schemas.fingerprints import content_fingerprint
from kpi_platform.schemas.sources_file.platform_names import PlatformNames
from kpi_platform.schemas.sources_file.sources import NO_SERVICES, Sources
from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.version_keys import version_sort_key
from kpi_platform.storage.kpi_database import events_file
from kpi_platform.storage.kpi_database.embedded import clear_published, connect, mark_built, pending
from kpi_platform_tests.reference import (
    PLAYER_ID_ATTRIBUTES,
    Event,
    cleaned_events,
    interval_partition,
    reference_intervals,
    reference_sessions,
)

PROJECT = Path(__file__).parents[2] / "dbt"
_FOLDER = tempfile.TemporaryDirectory(prefix="kpi-builds-")
WAREHOUSE = Path(_FOLDER.name) / "warehouse.duckdb"
HOUR = timedelta(hours=1)
NO_SOURCES = Sources().frame()


@dataclass
class Lake:
    """What the hours contain: events per ingest hour; an hour with an empty list was processed."""

    hours: dict[datetime, list[Event]] = field(default_factory=dict)
    studio_of: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def events(self) -> list[Event]:
        """All copies of all events."""
        return [event for events in self.hours.values() for event in events]

    def tables(self) -> list[LakeTable]:
        """The lake tables that the warehouse loads, folded from the hours by the reference."""
        sessions = pl.DataFrame(
            reference_sessions(self.events), TABLES["sessions"].polars_schema, orient="row"
        )
        events = cleaned_events(self.events)
        studios = [self.studio_of.get(source, ("studio", source)) for source in events["source"]]
        events = events.with_columns(
            studio=pl.Series([studio for studio, _ in studios], dtype=pl.String),
            game=pl.Series([game for _, game in studios], dtype=pl.String),
        )
        return [
            lake_table("hour_ledger", self._ledger()),
            lake_table("cleaned_events", events),
            lake_table("sessions", sessions),
            lake_table("user_version_intervals", self._intervals()),
        ]

    def _intervals(self) -> pl.DataFrame:
        schema = TABLES["user_version_intervals"].polars_schema
        intervals = [
            row | {"version_sort_key": version_sort_key(row["version"])}
            for row in reference_intervals(self.events)
        ]
        rows = [
            (*(row[name] for name in schema if name in row), *interval_partition(row))
            for row in intervals
        ]
        return pl.DataFrame(rows, schema, orient="row")

    def _ledger(self) -> pl.DataFrame:
        sources = sorted({event.source for event in self.events} | set(self.studio_of))
        rows = [
            (hour.date(), hour.hour, source, "processed", min(lines, 1), lines, lines)
            for hour, events in self.hours.items()
            for source in sources
            for lines in [sum(event.source == source for event in events)]
        ]
        schema = {
            name: TABLES["hour_ledger"].polars_schema[name]
            for name in (
                *("p_ingest_date_utc", "p_ingest_hour_utc", "source", "status"),
                *("files", "lines", "rows"),
            )
        }
        return pl.DataFrame(rows, schema=schema, orient="row")


def lake_table(name: str, rows: pl.DataFrame) -> LakeTable:
    """A lake table from a frame, partitioned as the lake partitions it."""
    columns = list(TABLES[name].partition_by)
    parts = (
        {
            tuple(map(str, key)): part
            for key, part in rows.partition_by(columns, as_dict=True).items()
        }
        if columns
        else {(): rows}
    )

    def read(key: Key) -> pl.DataFrame:
        return parts[key]

    return LakeTable(name, {key: content_fingerprint(part) for key, part in parts.items()}, read)


class Build:
    """The warehouse, emptied, and the dbt project over it.

    There is one warehouse file for all builds of this process, as dbt stays with the database that
    it first opened. Each model costs time: without `questions` those about versions are left out.
    """

    def __init__(
        self,
        sources: pl.DataFrame = NO_SOURCES,
        *,
        questions: bool = True,
        services: pl.DataFrame = NO_SERVICES,
    ) -> None:
        self.sources = sources
        self.services = services
        self._left_out = [] if questions else ["--exclude", "path:models/questions+"]
        self._is_new = True
        self._tables: list[LakeTable] = []
        with duckdb.connect(str(WAREHOUSE)) as con:
            for schema in ("lake", "staging", "marts"):
                con.execute(f"drop schema if exists {schema} cascade")

    def load(self, lake: Lake) -> LoadReport:
        """Load what changed."""
        self._tables = lake.tables()
        with connect(WAREHOUSE) as con:
            return load(
                con,
                self._tables,
                self.sources,
                PLAYER_ID_ATTRIBUTES,
                services=self.services,
            )

    def events(self, con: duckdb.DuckDBPyConnection, *, everything: bool) -> list[pl.DataFrame]:
        """The events that a run reads now."""
        days = all_days(con) if everything else None
        return run_events(con, self._tables, self.sources, days=days)

    def run(self, *, full_refresh: bool = False) -> None:
        """Build all models on what is pending, as a run of the platform does; publish nothing."""
        with connect(WAREHOUSE) as con:
            if not pending(con):
                return
        fresh = full_refresh or self._is_new
        with connect(WAREHOUSE) as con:
            events_file.lay_down(con, WAREHOUSE, self.events(con, everything=fresh))
        if fresh:
            dbt("seed", "--full-refresh")
        how, environment = extent(full_refresh=fresh)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            dbt("run", "--no-write-json", *how, *self._left_out)
        self._is_new = False
        with connect(WAREHOUSE) as con:
            mark_built(con, "project", full_refresh=fresh)

    def step(self, lake: Lake) -> None:
        """Load, build, and forget what is published."""
        self.load(lake)
        self.run()
        self.clear()

    def clear(self) -> None:
        """Forget what is published."""
        with connect(WAREHOUSE) as con:
            clear_published(con)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """The rows of a query, sorted."""
        with duckdb.connect(str(WAREHOUSE)) as con:
            return sorted(con.execute(query).fetchall(), key=repr)


def run_events(
    con: duckdb.DuckDBPyConnection,
    tables: Sequence[LakeTable],
    sources: pl.DataFrame,
    platforms: PlatformNames | None = None,
    *,
    days: Sequence[date] | None = None,
) -> list[pl.DataFrame]:
    """The events of these tables that a run reads, or all of these days."""
    [events] = [table for table in tables if table.name == "cleaned_events"]
    rows = EventRows.of(sources, PLAYER_ID_ATTRIBUTES, platforms)
    return list(window_frames(con, events, rows, days))


def dbt(*arguments: str) -> dbtRunnerResult:
    """Run dbt in this process on the one warehouse. Raises AssertionError naming what failed."""
    return _invoke(dbtRunner(parsed_project()), *arguments)


@cache
def parsed_project() -> Manifest:
    """The parsed project, once for all runs of this process."""
    os.environ["KPI_WAREHOUSE_PATH"] = str(WAREHOUSE)
    found = _invoke(dbtRunner(), "parse").result
    if not isinstance(found, Manifest):
        raise TypeError(f"dbt parse returned {type(found)}")
    return found


def _invoke(runner: dbtRunner, *arguments: str) -> dbtRunnerResult:
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    places += ["--target-path", f"{_FOLDER.name}/target", "--log-path", f"{_FOLDER.name}/logs"]
    # Nobody reads the log file, and each line of it is written twice, the second time by pytest.
    result = runner.invoke([*arguments, *places, "--quiet", "--log-level-file", "none"])
    if not result.success:
        results = getattr(result.result, "results", [])
        failed = [f"{each.node.name}: {each.message}" for each in results if each.status == "error"]
        raise AssertionError(f"dbt {' '.join(arguments)}: {result.exception or failed}")
    return result


def hours_from(start: datetime, count: int) -> list[datetime]:
    """`count` hours from `start` on."""
    return [start + HOUR * number for number in range(count)]


def utc(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A time of January 2026."""
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def by_hour(events: Iterable[Event], hours: Sequence[datetime]) -> dict[datetime, list[Event]]:
    """The events by ingest hour; hours without events are processed and empty."""
    found: dict[datetime, list[Event]] = {hour: [] for hour in hours}
    for event in events:
        found[event.ingest_hour].append(event)
    return found
