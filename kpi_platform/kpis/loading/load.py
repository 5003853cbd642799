"""Brings the warehouse's copies of lake tables up to date and notes which periods that affects.

Belongs here: which partitions are read, in which order, and what is committed together. Does not:
what a difference affects (affected.py), how rows are replaced (storage), and what is built on it.

A load that crashes leaves whole partitions behind with everything they affect; the next load goes
on with the others. The caller holds the warehouse lock.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import duckdb
import polars as pl

from kpi_platform.kpis.loading import affected
from kpi_platform.kpis.loading.arrival_books import (
    hours_that_ran,
    record_days,
    record_unread,
    replace_waits,
    source_books,
    stored_waits,
    waits_now,
)
from kpi_platform.kpis.loading.event_rows import (
    EVENT_HOURS,
    PURCHASES,
    EventRows,
    event_hours,
    purchases,
)
from kpi_platform.schemas.hours.completeness import EVER, Wait, order_of_waits, turned_hours
from kpi_platform.schemas.hours.hour_ranges import hours_within, intersected
from kpi_platform.schemas.sources_file.platform_names import PlatformNames
from kpi_platform.schemas.sources_file.sources import NO_SERVICES, UNASSIGNED
from kpi_platform.schemas.tables import SESSION, TABLES
from kpi_platform.storage.kpi_database.embedded import (
    LoadedTable,
    apply_difference,
    count,
    known_sources,
    loaded_partitions,
    naive_utc,
    open_load,
    record_partitions,
    replace_services,
    replace_sources,
    services_equal,
    sources_equal,
    stage_difference,
    transaction,
)

Key = tuple[str, ...]
# Of a source and some hours, those in which files of it lie.
FilesIn = Callable[[str, Sequence[datetime]], Sequence[datetime]]

# Small partitions are loaded together up to about this many rows: a transaction each would cost
# more than their rows.
BATCH_ROWS = 500_000

EVENTS = "cleaned_events"
# Of which lake tables the warehouse keeps what, in the order in which they are loaded: which hours
# a session's change affects is asked of what is kept of events.
_COPIES: dict[str, LoadedTable] = {
    table.name: table
    for table in (
        LoadedTable(
            "sessions",
            (
                *(*SESSION, "player_id", "platform", "device", "country", "started_at"),
                *("ended_at", "ended_normally", "duration_seconds", "event_count", "crash_count"),
            ),
            (*SESSION, "started_at"),
            ("started_at",),
        ),
        LoadedTable(
            "stream_stats",
            (
                *("studio", "game", "hour", "average_viewers", "peak_viewers"),
                *("channels", "hours_streamed"),
            ),
            ("studio", "game", "hour"),
            ("hour",),
        ),
        LoadedTable(
            "user_version_history",
            (
                *("player_id", "current_version", "current_device", "current_service"),
                *("first_seen_at", "last_seen_at", "version_count"),
            ),
            ("player_id",),
            ("player_id",),
        ),
        LoadedTable(
            "user_version_intervals",
            (
                *("player_id", "service_name", "device", "version", "version_sort_key"),
                *("valid_from", "valid_to"),
            ),
            ("player_id", "service_name", "device", "valid_from"),
            ("player_id",),
        ),
    )
}
LOADED: dict[str, tuple[LoadedTable, ...]] = {
    EVENTS: (EVENT_HOURS, PURCHASES),
    **{name: (copy,) for name, copy in _COPIES.items()},
}
_NOTED: dict[str, tuple[str, ...]] = {
    EVENT_HOURS.name: affected.EVENTS,
    PURCHASES.name: affected.PURCHASES,
    "sessions": affected.SESSIONS,
    "user_version_intervals": affected.INTERVALS,
    "stream_stats": affected.STREAMS,
}
LEDGER = "hour_ledger"
LEDGER_SCHEMA = pl.Schema(
    {
        name: TABLES[LEDGER].polars_schema[name]
        for name in (
            *("p_ingest_date_utc", "p_ingest_hour_utc", "source", "status"),
            *("files", "lines", "rows", "is_closed"),
        )
    }
)
_SOURCE_COLUMNS = ("source", "studio", "game", "since", "until", "kind")
# What a source is of which less is said.
_USUAL = {"kind": "telemetry", "is_running": False}


@dataclass(frozen=True)
class LakeTable:
    """A lake table as it is now: the signature of each partition, and how to read one.

    `partitions`: partition values as text -> text that changes with the partition's files.
    `read` returns all rows of one partition, with the lake's columns (more do no harm).
    """

    name: str
    partitions: Mapping[Key, str]
    read: Callable[[Key], pl.DataFrame]


@dataclass
class LoadReport:
    """What a load did, per table: partitions read or forgotten, and rows added or removed; of
    events those of the sessions' hours in which any differs."""

    partitions: dict[str, int] = field(default_factory=dict)
    rows_changed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Change:
    """A partition to load: its key in the books, what to read and to record (None: it is gone)."""

    key: str
    partition: Key | None
    signature: str | None


def load(
    con: duckdb.DuckDBPyConnection,
    tables: Sequence[LakeTable],
    sources: pl.DataFrame,
    player_id_attributes: Sequence[str],
    batch_rows: int = BATCH_ROWS,
    services: pl.DataFrame | None = None,
    start_hour: datetime | None = None,
    files_in: FilesIn | None = None,
    platforms: PlatformNames | None = None,
) -> LoadReport:
    """Load the partitions whose signature differs, note what they affect, forget vanished ones.

    `sources`: one row per source with `source`, `studio`, `game`, `player_ids` (global or local),
    `since`, `until` (UTC or null; half-open) and, unless all are telemetry, `kind`; unassigned ones
    may be left out. `services`: one row per configured service with `service_name` and
    `version_order` (`natural` or `release_day`). Tables not given stay as they are. `start_hour` is
    the first partition (UTC), by default the first hour that ran. `files_in` says of a source in
    which of some hours (UTC, naive) files of it lie; it is asked of a source that is new, for hours
    that ran before.
    `platforms` says what the platforms are called that clients name; by default as they do.

    Raises ValueError for a table that the warehouse has no copy of.
    """
    given = {table.name: table for table in tables}
    ledger = given.pop(LEDGER, None)
    if unknown := sorted(given.keys() - LOADED.keys()):
        raise ValueError(f"the warehouse has no copy of {', '.join(unknown)}")
    rows = EventRows.of(sources, player_id_attributes, platforms)
    step = _Load(con, sources, rows, batch_rows)
    step.services(NO_SERVICES if services is None else services)
    step.progress(ledger, start_hour, files_in or (lambda *_: []))
    for name in (name for name in LOADED if name in given):
        step.table(given[name])
    return step.report


def differing_partitions(
    con: duckdb.DuckDBPyConnection,
    tables: Sequence[LakeTable],
    sources: pl.DataFrame,
    player_id_attributes: Sequence[str],
    platforms: PlatformNames | None = None,
) -> int:
    """How many partitions of these tables the next `load`, given the same, would read or forget."""
    rows = EventRows.of(sources, player_id_attributes, platforms)
    return sum(len(_changes(con, each, _mark(each.name, rows))) for each in tables)


class _Load:
    """One load: its number, what it was given, and its report."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        sources: pl.DataFrame,
        rows: EventRows,
        batch_rows: int,
    ) -> None:
        self.report = LoadReport()
        self._con = con
        # An unassigned source is known by its ledger rows alone: configuration says nothing of it.
        assigned = sources.filter(pl.col("studio") != UNASSIGNED)
        unsaid = {name: pl.lit(usual) for name, usual in _USUAL.items() if name not in assigned}
        assigned = assigned.with_columns(**unsaid)
        self._sources = naive_utc(assigned.select(_SOURCE_COLUMNS))
        self._known = naive_utc(assigned.select(*_SOURCE_COLUMNS, "is_running"))
        self._rows = rows
        self._batch_rows = batch_rows
        self._load_id = count(con, "select nextval('lake.load_ids')")

    def services(self, services: pl.DataFrame) -> None:
        """Replace how services order their versions; where that differs, a build follows."""
        if services_equal(self._con, services):
            return
        with transaction(self._con):
            replace_services(self._con, services)
            self._note(affected.SERVICES)

    def progress(
        self, ledger: LakeTable | None, start_hour: datetime | None, files_in: FilesIn
    ) -> None:
        """Bring ledger, sources and waits along in one transaction: together they say what is
        complete, and where they say otherwise than before, periods are affected."""
        start = None if start_hour is None else start_hour.astimezone(UTC).replace(tzinfo=None)
        changes = self._changes(ledger) if ledger else []
        is_same = not changes and sources_equal(self._con, self._sources)
        if is_same and waits_now(self._con, self._known, start) == self._waits():
            return
        with transaction(self._con):
            self._run(affected.MEASURED, side="old")
            known = known_sources(self._con)
            replace_sources(self._con, self._sources)
            if ledger:
                self._record_ledger(ledger, changes)
            self._look_for_files(known, files_in)
            self._turn(waits_now(self._con, self._known, start))
            self._run(affected.MEASURED, side="new")
            self._note(affected.PROGRESS)

    def _waits(self) -> list[Wait]:
        return sorted(stored_waits(self._con), key=order_of_waits)

    def _record_ledger(self, ledger: LakeTable, changes: Sequence[_Change]) -> None:
        frames = list(_frames(ledger, changes))
        record_partitions(self._con, LEDGER, {each.key: each.signature for each in changes})
        rows = pl.concat([pl.DataFrame(schema=LEDGER_SCHEMA), *map(_ledger_rows, frames)])
        record_days(self._con, [date.fromisoformat(each.key) for each in changes], rows)
        self._count(LEDGER, len(changes), rows.height)

    def _look_for_files(self, known: Collection[str], files_in: FilesIn) -> None:
        """The runs there were stand for a new source, but for hours where files of it lie."""
        runs = hours_that_ran(self._con)
        for book in source_books(self._con, self._known):
            first = book.since or min((start for start, _ in runs), default=EVER)
            before = intersected(runs, first, min(book.ends_at, book.first_hour or book.ends_at))
            if book.is_named and book.source not in known and before:
                hours = files_in(book.source, hours_within(before))
                record_unread(self._con, book.source, hours)

    def _turn(self, waits: list[Wait]) -> None:
        """Replace the waits, and leave the hours of which they say otherwise in `turned`."""
        ran = [end for _, end in hours_that_ran(self._con)]
        turned = turned_hours(self._waits(), waits, max(ran, default=None))
        replace_waits(self._con, waits)
        self._con.execute(
            "create or replace temp table turned (first_hour timestamp, end_hour timestamp)"
        )
        if turned:
            self._con.executemany("insert into turned values (?, ?)", turned)

    def table(self, table: LakeTable) -> None:
        """Replace the changed partitions of a table, a bounded batch in each transaction."""
        for changes, frames in self._batches(table):
            with transaction(self._con):
                self._replace(table.name, changes, frames)
        # Of this load, or of one that was interrupted.
        if count(self._con, "select count(*) from lake.changed_intervals"):
            with transaction(self._con):
                self._note(affected.ALL_INTERVALS)

    def _changes(self, table: LakeTable) -> list[_Change]:
        return _changes(self._con, table, _mark(table.name, self._rows))

    def _batches(self, table: LakeTable) -> Iterator[tuple[list[_Change], list[pl.DataFrame]]]:
        changes: list[_Change] = []
        frames: list[pl.DataFrame] = []
        for change in self._changes(table):
            changes.append(change)
            frames += _frames(table, [change])
            if sum(frame.height for frame in frames) >= self._batch_rows:
                yield changes, frames
                changes, frames = [], []
        if changes:
            yield changes, frames

    def _replace(self, name: str, changes: list[_Change], frames: list[pl.DataFrame]) -> None:
        ids = record_partitions(self._con, name, {each.key: each.signature for each in changes})
        present = [each for each in changes if each.partition is not None]
        numbers = [pl.lit(ids[each.key], pl.Int32) for each in present]
        kept = [self._kept(name, frame) for frame in frames]
        done = 0
        for target in LOADED[name]:
            rows = [
                each[target.name].with_columns(partition_id=number)
                for each, number in zip(kept, numbers, strict=True)
            ]
            differing = stage_difference(self._con, target, rows, sorted(ids.values()))
            if differing:
                self._note(_NOTED.get(target.name, ()))
                done += differing if name != EVENTS else self._events_of(target)
                apply_difference(self._con, target)
        self._count(name, len(changes), done)

    def _kept(self, name: str, rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """What the warehouse keeps of a partition's rows, by its table."""
        if name == EVENTS:
            events = self._rows.rows(rows)
            return {EVENT_HOURS.name: event_hours(events), PURCHASES.name: purchases(events)}
        if name == "sessions":
            rows = rows.with_columns(platform=self._rows.platforms.shown(pl.col("platform")))
        return {name: naive_utc(rows.select(_COPIES[name].columns))}

    def _events_of(self, target: LoadedTable) -> int:
        """How many events differ, or stand beside one that does."""
        if target is not EVENT_HOURS:
            return 0
        differing = "from (select events from added union all select events from removed)"
        return count(self._con, f"select coalesce(sum(events), 0) {differing}")

    def _note(self, statements: Sequence[str]) -> None:
        if statements:
            open_load(self._con, self._load_id)
            self._run(statements)

    def _run(self, statements: Sequence[str], **names: str) -> None:
        for statement in statements:
            text = statement.format(**names) if names else statement
            values = {"load_id": self._load_id} if "$load_id" in text else None
            self._con.execute(text, values)

    def _count(self, name: str, partitions: int, rows: int) -> None:
        done = self.report
        done.partitions[name] = done.partitions.get(name, 0) + partitions
        done.rows_changed[name] = done.rows_changed.get(name, 0) + rows


def _mark(table: str, rows: EventRows) -> str:
    # What is computed while loading is computed again when its settings change: rows that come out
    # the same are not touched.
    return {EVENTS: rows.mark, "sessions": rows.platform_mark}.get(table, "")


def _changes(con: duckdb.DuckDBPyConnection, table: LakeTable, mark: str) -> list[_Change]:
    known = loaded_partitions(con, table.name)
    now = {"/".join(key): (key, mark + signature) for key, signature in table.partitions.items()}
    changed = [
        _Change(key, partition, signature)
        for key, (partition, signature) in sorted(now.items())
        if known.get(key) != signature
    ]
    return changed + [_Change(key, None, None) for key in sorted(known.keys() - now.keys())]


def _ledger_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns of the ledger that say what has arrived; what a lake of an earlier release, or a
    test, does not have is null."""
    missing = {name: pl.lit(None, dtype) for name, dtype in LEDGER_SCHEMA.items()}
    kept = {name: pl.col(name) if name in rows.columns else text for name, text in missing.items()}
    return rows.select(**kept).cast(LEDGER_SCHEMA)


def _frames(table: LakeTable, changes: Sequence[_Change]) -> Iterator[pl.DataFrame]:
    return (table.read(each.partition) for each in changes if each.partition is not None)
