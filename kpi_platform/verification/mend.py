"""Makes hours of a lake table anew from what is before it, whatever state its files are in.

Belongs here: what is taken out of the log, what is forgotten, and which hours follow. Does not:
published tables (`mend_published.py`), and finding damage (`storage/lake/damage.py`).

Files that cannot be read are never read: a commit removes their whole partition. Then the steps
themselves do the work, as if these hours had never been run; the tables after them follow, and
find most often that nothing changed.
"""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial

import polars as pl

from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.books.damages import damages_of, pin_readable
from kpi_platform.engine.books.file_ledger import HOLDING
from kpi_platform.engine.books.hour_fingerprints import forget_consumed
from kpi_platform.engine.books.kept_days import closed_days
from kpi_platform.engine.books.seals import dropped_hours
from kpi_platform.engine.hour_steps import HourReport, HourStep, work_through
from kpi_platform.engine.platform import Platform
from kpi_platform.engine.table_order import STEPS
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.history.rebuild import rebuild_history
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.storage.lake.damage import LOG, Damage, damaged_files
from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.lake import Lake, hours_in
from kpi_platform.storage.lake.locks import FOLD_LOCK, lake_lock

_MEBIBYTE = 1024 * 1024
_ROWS_AT_A_TIME = 100_000
_ROWS_PER_CHUNK = 1_000_000
_FILE = [*INGEST_HOUR, "source", "path"]
_FILES = ("raw_telemetry", "raw_console_feed", "raw_stream_feed")
_CAPTURED = "raw_studio_events"
_DECODED = "cleaned_events"
# What of an hour whose lines are gone nothing else tells.
_OF_LINES = {"raw_telemetry", "quarantined_events", _DECODED, "file_ledger"}
_LINES_GONE = (
    "its lines are gone (KPI_KEEP_LINES_DAYS): put the lake's files back from a copy, or upload all"
    " files of the hour again and run it"
)
# What of an hour whose events may be gone nothing else tells.
_OF_EVENTS = {"session_parts", "sessions", "sightings"}
_EVENTS_GONE = (
    "its events may be gone (KPI_KEEP_EVENTS_DAYS): put the lake's files back from a copy"
)
# Whose hours are forgotten when rows of a table are gone: the steps that write it.
_WRITTEN_BY: dict[str, tuple[str, ...]] = {
    **{table: (table,) for table in (*_FILES, _CAPTURED, _DECODED, "sessions")},
    "stream_stats": ("raw_stream_feed",),
    "studio_dimensions": (_CAPTURED,),
    "warehouse_columns": (_CAPTURED,),
    "rows_ahead": (_CAPTURED,),
    "quarantined_events": (*_FILES, _DECODED),
    "file_ledger": (*_FILES, _DECODED),
    "hour_ledger": (*_FILES, _CAPTURED, _DECODED),
    "table_ledger": (_DECODED,),
    "session_parts": ("sessions",),
    "sightings": ("user_version_history",),
    "hour_fingerprints": STEPS,
    # Whoever waited there is not known: every hour is looked at.
    "hour_queue": (_DECODED, "raw_stream_feed"),
}
# Folded from all sightings at once: they have no hours of their own.
_HISTORY = ("user_version_history", "user_version_intervals", "history_queue")
REBUILT = (*_WRITTEN_BY, *_HISTORY)


@dataclass
class Mended:
    """What a rebuild did: files taken out, hours made anew, hours that failed with the reason,
    lines of files that are gone whose stored rows were lost, and where a table was set aside."""

    table: str
    damaged: list[Damage] = field(default_factory=list)
    hours: list[datetime] = field(default_factory=list)
    failed: dict[datetime, str] = field(default_factory=dict)
    lost_lines: int = 0
    aside: list[str] = field(default_factory=list)


def rebuild_table(
    platform: Platform, table: str, first: datetime | None, last: datetime | None
) -> Mended:
    """Make the hours from `first` to `last` (both included; None: no bound) of a table anew.

    Where a damaged file holds more than these hours, as a day's books do, they all are made anew;
    folded tables are made anew wherever they are damaged. Raises LakeError if the lake cannot be
    used.
    """
    if table in _HISTORY:
        return _mend_history(platform)
    return _Mending(platform, table, first, last).run()


class _Mending:
    """One rebuild of a table that hours write."""

    def __init__(
        self, platform: Platform, table: str, first: datetime | None, last: datetime | None
    ) -> None:
        self._platform = platform
        self._lake = platform.lake
        self._done = Mended(table)
        damages = damages_of(self._lake)
        self._readable = pin_readable(self._lake, damages)
        self._known = known_hours(self._readable)
        self._hours = {hour for hour in self._known if _is_within(hour, first, last)}
        self._damages = damages

    def run(self) -> Mended:
        """Take out what is damaged, forget the hours, and run them."""
        steps = self._spread()
        self._leave_dropped()
        hours = sorted(self._hours)
        self._done.hours = hours
        before = _files(self._readable, hours)
        for damage in self._done.damaged:
            self._take_out(damage)
        for step in steps:
            forget_consumed(self._lake, step, hours)
        self._work(hours)
        self._done.lost_lines = _lost_lines(before, _files(self._lake, hours))
        return self._done

    def _leave_dropped(self) -> None:
        """Leave hours whose lines are gone, and what is damaged of what only lines could tell."""
        dropped = self._hours & dropped_hours(self._readable)
        closed = closed_days(self._readable)
        shut = {hour for hour in self._hours if closed and hour < closed.before}
        for tables, gone, why in (
            (_OF_LINES, dropped, _LINES_GONE),
            (_OF_EVENTS, shut, _EVENTS_GONE),
        ):
            left = gone if self._done.table in tables else set()
            for damage in list(self._done.damaged):
                hours = self._hours_of(damage)
                if damage.table in tables and gone.intersection(hours):
                    self._done.damaged.remove(damage)
                    left = left | hours
            self._hours -= left
            self._done.failed |= dict.fromkeys(sorted(left), why)

    def _spread(self) -> set[str]:
        """The steps that have to come again: those that write the table, and whatever else they
        write of these hours that is damaged, with the steps that write that."""
        tables, steps = {self._done.table}, set(_WRITTEN_BY[self._done.table])
        while True:
            meeting = [
                damage
                for table in tables
                for damage in self._damages[table]
                if damage.meets(self._hours) or damage.file == LOG
            ]
            hours = self._hours.union(*map(self._hours_of, meeting))
            others = {
                table
                for table, writers in _WRITTEN_BY.items()
                if steps.intersection(writers) and any(d.meets(hours) for d in self._damages[table])
            }
            wider = tables | others
            if wider == tables and hours == self._hours:
                self._done.damaged = meeting
                return steps
            tables, self._hours = wider, hours
            steps = steps.union(*(_WRITTEN_BY[table] for table in tables))

    def _hours_of(self, damage: Damage) -> set[datetime]:
        """The known hours that a damaged file holds rows of."""
        if damage.first is not None:
            return {hour for hour in self._known if damage.meets([hour])}
        if damage.table == "sessions" and damage.file != LOG:
            return self._hours_of_sessions(damage)
        if damage.table in ("studio_dimensions", "warehouse_columns", "rows_ahead"):
            # Any hour's run refreshes them.
            return set(self._known[-1:])
        return set(self._known)

    def _hours_of_sessions(self, damage: Damage) -> set[datetime]:
        day = _partition(self._lake, damage)["p_started_date_utc"]
        if not isinstance(day, date):
            raise TypeError("sessions are laid out by date")
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        within = (pl.col("last_at") >= start, pl.col("first_at") < start + timedelta(days=1))
        return set(hours_in(self._readable.scan("session_parts").filter(*within).collect()))

    def _take_out(self, damage: Damage) -> None:
        if damage.file == LOG:
            self._done.aside.append(self._lake.set_aside(damage.table))
            return
        # Nothing is named if the partition went with another file, or rows are missing only.
        if values := _partition(self._lake, damage):
            # What names whole partitions reads no file.
            terms = [f"{name} = {_literal(value)}" for name, value in values.items()]
            self._lake.delete(damage.table, " AND ".join(terms))

    def _work(self, hours: Sequence[datetime]) -> None:
        for step in _steps(self._platform):
            for report in _reports(self._platform, step, hours):
                if not report.is_up_to_date:
                    self._done.failed.setdefault(report.hour, report.error)


def _steps(platform: Platform) -> Iterator[HourStep]:
    yield RawStep.of(platform)
    yield ConsoleStep.of(platform)
    yield StreamStep.of(platform)
    with closing(CaptureStep.of(platform)) as capture:
        yield capture
    yield EventsStep.of(platform)
    yield SessionsStep.of(platform)
    yield HistoryStep.of(platform)


def _reports(platform: Platform, step: HourStep, hours: Sequence[datetime]) -> Iterator[HourReport]:
    limit = _ROWS_PER_CHUNK
    if step.table in _FILES:
        limit = platform.settings.chunk_megabytes * _MEBIBYTE
    for reports in work_through(platform.lake, step, hours, limit):
        yield from reports


def _mend_history(platform: Platform) -> Mended:
    """Make both history tables anew from all sightings and sessions, each in one commit."""
    lake, done = platform.lake, Mended("user_version_history")
    done.damaged = [damage for table in _HISTORY for damage in damaged_files(lake, table)]
    with (
        lake_lock(lake.uri, FOLD_LOCK),
        tempfile.TemporaryDirectory(prefix="kpi-rebuild-") as folder,
    ):
        made = Lake(folder)
        rebuild_history(lake, made)
        for damage in done.damaged:
            if damage.file == LOG:
                done.aside.append(lake.set_aside(damage.table))
        for table in _HISTORY:
            # Whoever waited to be folded is folded.
            lake.overwrite(table, partial(_parts, made, table))
    return done


def _parts(lake: Lake, table: str) -> Iterator[pl.DataFrame]:
    return lake.scan(table).collect_batches(chunk_size=_ROWS_AT_A_TIME, maintain_order=False)


def known_hours(lake: Lake) -> list[datetime]:
    """The hours that any table is known to hold, as logs and books tell."""
    known: set[datetime] = set()
    for table, contract in TABLES.items():
        snapshot = lake.open(table)
        if snapshot is not None and set(INGEST_HOUR) <= set(contract.partition_by):
            known.update(hours_in(files_of(snapshot)))
    for table in ("hour_ledger", "hour_fingerprints"):
        known.update(hours_in(lake.scan(table).select(INGEST_HOUR).unique().collect()))
    return sorted(known)


def _is_within(hour: datetime, first: datetime | None, last: datetime | None) -> bool:
    return (first is None or hour >= first) and (last is None or hour <= last)


def _files(lake: Lake, hours: Collection[datetime]) -> pl.DataFrame:
    return lake.read_hours("file_ledger", hours).select(*_FILE, "state", "lines")


def _lost_lines(before: pl.DataFrame, after: pl.DataFrame) -> int:
    """How many lines less the hours hold of files that are gone."""
    gone = after.filter(pl.col("state").is_in(HOLDING[1:]))
    both = before.join(gone, on=_FILE, suffix="_after")
    return int(both.select((pl.col("lines") - pl.col("lines_after")).clip(0).sum()).item())


def _partition(lake: Lake, damage: Damage) -> dict[str, date | int | str]:
    """The partition that a damaged file lies in; empty if the log names it no more."""
    snapshot = lake.open(damage.table)
    if snapshot is None:
        return {}
    entry = files_of(snapshot).filter(pl.col("path") == damage.file)
    names = TABLES[damage.table].partition_by
    return {name: entry[name].item() for name in names} if entry.height else {}


def _literal(value: date | int | str) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("'", "''")
    return f"'{escaped}'"
