"""How the platform stands, gathered from the lake's and Dagster's books.

Belongs here: what is looked at. Does not: how it is shown (`status_words.py`), and what is wrong
with the machine (`doctor.py`).
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kpi_platform.engine.books.file_ledger import held_files
from kpi_platform.engine.books.hour_ledger import failed_rows
from kpi_platform.engine.platform import Platform
from kpi_platform.kpis.dbt.projects import definitions_waiting
from kpi_platform.monitoring.freshness import Freshness, judge_freshness
from kpi_platform.operations.dagster_facts import (
    NoDagsterError,
    RunStates,
    open_instance,
    run_states,
)
from kpi_platform.operations.hour_states import (
    FailedHours,
    SourceState,
    failed_hours,
    source_states,
)
from kpi_platform.operations.notes import VERIFY, Note, read_note
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.lake import Lake, LakeError

_LEDGER = (
    *(*INGEST_HOUR, "source", "status", "error"),
    *("files", "lines", "rows", "is_closed"),
)
_INCIDENTS = "incidents"
_RUNS_SHOWN = 8


@dataclass(frozen=True)
class TableSize:
    """A table as it is now: its data files, their bytes, its rows; why it cannot be read, if so."""

    table: str
    files: int
    bytes: int
    rows: int
    error: str = ""


@dataclass(frozen=True)
class Status:
    """What there is to say at `at`. `waiting`: hours that the next run takes along, by table;
    `incidents`: rows of the table that are open; `runs`: None where `no_runs` says why;
    `changed_definitions`: names of what waits for the job that builds it."""

    at: datetime
    fresh: Freshness
    sources: list[SourceState]
    failed: FailedHours
    held_files: int
    held_hours: int
    waiting: dict[str, int]
    incidents: list[dict[str, object]]
    runs: RunStates | None
    no_runs: str
    sizes: list[TableSize]
    verified: Note | None
    changed_definitions: str

    @property
    def needs_somebody(self) -> bool:
        """Whether anything here waits for a person: what no run mends by itself."""
        is_different = self.verified is not None and not self.verified.get("equal")
        waits = self.failed.hours or self.held_files or self.incidents or self.changed_definitions
        return bool(waits or is_different)


def read_status(platform: Platform, now: datetime) -> Status:
    """Look at everything, as it is at `now`."""
    lake = platform.lake
    ledger = lake.scan("hour_ledger").select(_LEDGER).collect()
    configured = platform.sources.frame().join(platform.sources.kinds(), on="source")
    fresh = judge_freshness(ledger, configured, now)
    held = held_files(lake)
    runs, no_runs = _runs(now)
    return Status(
        now,
        fresh,
        source_states(ledger, configured["source"].to_list(), fresh),
        failed_hours(failed_rows(lake)),
        held.height,
        held.select(INGEST_HOUR).n_unique(),
        _waiting(lake),
        open_incidents(lake),
        runs,
        no_runs,
        [_size(lake, table) for table in lake.tables()],
        read_note(lake.uri, VERIFY),
        definitions_waiting(),
    )


def open_incidents(lake: Lake) -> list[dict[str, object]]:
    """The rows of `incidents` that are not resolved, the newest first; none without the table."""
    snapshot = lake.open(_INCIDENTS)
    if snapshot is None:
        return []
    rows = pl.scan_delta(snapshot).filter(pl.col("resolved_at").is_null())
    return rows.sort("opened_at", descending=True).collect().to_dicts()


def _waiting(lake: Lake) -> dict[str, int]:
    queue = lake.scan("hour_queue").select("table_name", *INGEST_HOUR).unique().collect()
    counts = queue.group_by("table_name").len().sort("table_name")
    return {str(table): int(count) for table, count in counts.iter_rows()}


def _runs(now: datetime) -> tuple[RunStates | None, str]:
    try:
        with open_instance() as instance:
            return run_states(instance, now, _RUNS_SHOWN), ""
    except NoDagsterError as error:
        return None, str(error)


def _size(lake: Lake, table: str) -> TableSize:
    try:
        snapshot = lake.open(table)
    except LakeError as error:
        # One damaged table must not hide how the others stand.
        return TableSize(table, 0, 0, 0, str(error))
    files = files_of(snapshot) if snapshot is not None else pl.DataFrame()
    if files.is_empty():
        return TableSize(table, 0, 0, 0)
    sizes, rows = files["size_bytes"].sum(), files["num_records"].fill_null(0).sum()
    return TableSize(table, files.height, int(sizes), int(rows))
