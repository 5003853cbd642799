"""Builds the tables once more from the raw files, in a lake of their own, with the same steps.

Belongs here: the steps in their order, and hours whose files are no longer those that were
consumed. Does not: comparing.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

import polars as pl

from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.arrivals.watching.missing_files import listed_paths
from kpi_platform.arrivals.watching.watched_files import Feeds, Telemetry
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.books.hour_fingerprints import read_consumed, record_consumed
from kpi_platform.engine.books.hour_ledger import read_ledger, write_ledger
from kpi_platform.engine.books.removals import RAW_TABLES
from kpi_platform.engine.books.seals import take_late_files
from kpi_platform.engine.hour_steps import HourStep, work_through
from kpi_platform.engine.platform import Platform
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.history.rebuild import SightingsStep, rebuild_history
from kpi_platform.schemas.tables import SESSION, TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import LandingError
from kpi_platform.verification.held_lines import take_held

FROM_FILES = ("raw_telemetry", "raw_console_feed", "raw_stream_feed")
CAPTURED = "raw_studio_events"
ROWS_PER_CHUNK = 1_000_000
LINES_AT_A_TIME = 100_000
MEBIBYTE = 1024 * 1024

HoursDone = Callable[[int], None]


class Rebuild:
    """The tables of a platform, built anew in the empty lake `target`."""

    def __init__(self, platform: Platform, target: Lake) -> None:
        self.target = target
        self._chunk_bytes = platform.settings.chunk_megabytes * MEBIBYTE
        self._readers: list[HourStep] = [
            RawStep.of(platform, target),
            ConsoleStep.of(platform, target),
            StreamStep.of(platform, target),
        ]
        self._decode = EventsStep.of(platform, target)
        self._platform = platform

    def read_files(self, live: Lake, hours: Sequence[datetime]) -> None:
        """Build the tables `FROM_FILES` of these hours from the files there are now, and from the
        lines that `live` holds of files that are gone; what came late for sealed days is refused
        as it was when it came."""
        take_late_files(live, self.target, hours)
        for place in (Telemetry, Feeds):
            # Feeds that cannot be reached are said to be stale.
            with suppress(LandingError):
                what = place(self._platform)
                listed = listed_paths(what, hours)
                for kind in (kind for kind in RAW_TABLES if kind in what.kinds):
                    take_held(live, self.target, kind, listed)
        for step in self._readers:
            _work(self.target, step, hours, self._chunk_bytes, _ignore)

    def take_captured(self, live: Lake, hours: Sequence[datetime]) -> None:
        """Take what was captured of studios' warehouses from `live`: their rows change under us,
        so that what was captured is the contents."""
        self._take(live, CAPTURED, hours)
        ledger = read_ledger(live, hours, "warehouse")
        # The decoding completes them once more.
        waiting = ledger.with_columns(rows=pl.lit(None, pl.Int64))
        if waiting.height:
            write_ledger(self.target, waiting, hours, "warehouse")

    def stale(self, live: Lake, hours: Sequence[datetime]) -> list[datetime]:
        """Hours whose files, or the settings that decide about them, changed since `live`."""
        return [hour for hour in hours if any(hour in late for late in self._late(live, hours))]

    def _late(self, live: Lake, hours: Sequence[datetime]) -> list[set[datetime]]:
        """Per table of `FROM_FILES`, the hours whose contents are others now."""
        late_hours = []
        for table in FROM_FILES:
            then = read_consumed(live, table, hours)
            now = read_consumed(self.target, table, hours)
            late = {h for h in then if h not in now or now[h].content != then[h].content}
            late_hours.append(late)
        return late_hours

    def take_lines(self, live: Lake, hours: Sequence[datetime]) -> None:
        """Take the lines of these hours from `live`: its tables were made of them, and the files
        that held them are gone."""
        if not hours:
            return
        for table in FROM_FILES:
            self._take(live, table, hours)
        for table in ("hour_ledger", "file_ledger"):
            self.target.replace_hours(table, live.read_hours(table, hours), hours)

    def take_events(self, live: Lake, hours: Sequence[datetime]) -> None:
        """Take the events of these hours from `live`, as they were made there."""
        self._take(live, "cleaned_events", hours)

    def _take(self, live: Lake, table: str, hours: Sequence[datetime]) -> None:
        names = TABLES[table].polars_schema.names()
        self.target.stream_hours(
            table,
            lambda: live.read_hours_in_parts(table, hours, LINES_AT_A_TIME, names),
            hours,
        )
        record_consumed(self.target, table, read_consumed(live, table, hours))

    def decode(self, hours: Sequence[datetime]) -> None:
        """Build `cleaned_events` of these hours and complete their ledger."""
        _work(self.target, self._decode, hours, ROWS_PER_CHUNK, _ignore)

    def fold(self, hours: Sequence[datetime], done: HoursDone) -> None:
        """Build sessions and sightings of these hours; `done` is told of hours as they are done."""
        sessions = SessionsStep.of(self._platform, self.target)
        for step in (sessions, SightingsStep.of(self._platform, self.target)):
            _work(self.target, step, hours, ROWS_PER_CHUNK, done)

    def take_folded(self, live: Lake, hours: Sequence[datetime]) -> None:
        """Take the sightings of these hours from `live`, and the sessions that have parts in them:
        their events may be gone, and what other hours alone would make of them is none."""
        self.target.replace_hours("sightings", live.read_hours("sightings", hours), hours)
        parts = live.scan_hours("session_parts", hours).select(*SESSION, "first_at")
        stored = live.scan("sessions")
        named = stored.join(parts, on=SESSION).filter(
            pl.col("first_at").is_between("started_at", "ended_at")
        )
        taken = stored.join(named, on=[*SESSION, "started_at"], how="semi").collect()
        spans = taken.lazy().select(*SESSION, first="started_at", last="ended_at")
        made = self.target.scan("sessions")
        pieces = (
            made.join(spans, on=SESSION)
            .filter(pl.col("started_at").is_between("first", "last"))
            .collect()
        )
        keys = TABLES["sessions"].row_keys
        others = pieces.join(taken, on=keys, how="anti").select(made.collect_schema().names())
        names = TABLES["sessions"].polars_schema.names()
        self.target.apply_changes("sessions", taken.select(names), others.unique())

    def fold_history(self) -> None:
        """Build the version history of all sightings and sessions."""
        rebuild_history(self.target, self.target)


def folding_steps(platform: Platform, lake: Lake) -> list[HourStep]:
    """The steps that fold the hours' events into tables over all hours, in their order."""
    return [SessionsStep.of(platform, lake), HistoryStep.of(platform, lake)]


def unfinished(platform: Platform, live: Lake, hours: Sequence[datetime]) -> list[datetime]:
    """Hours of which some table has not consumed what the table before it holds: a run failed,
    was killed, is under way, or the settings changed since."""
    steps = [EventsStep.of(platform, live), *folding_steps(platform, live)]
    late = set(hours) - set(read_consumed(live, "raw_telemetry", hours))
    for step in steps:
        inputs = step.inputs(hours)
        consumed = read_consumed(live, step.table, hours)
        late |= {
            hour
            for hour in hours
            if hour not in inputs or hour not in consumed or consumed[hour].input != inputs[hour]
        }
    return sorted(late)


def _work(
    lake: Lake, step: HourStep, hours: Sequence[datetime], chunk_limit: int, done: HoursDone
) -> None:
    for reports in work_through(lake, step, hours, chunk_limit):
        done(len(reports))


def _ignore(_: int) -> None:
    """Whoever rebuilds a part of the hours counts them by itself."""
