"""Brings `cleaned_events` up to date for changed hours and completes their ledger rows.

Belongs here: which raw rows an hour reads and the order of its commits. Does not: how a line
becomes an event, which is `events.py`, and how a studio's row becomes a line (`conform.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Self

import polars as pl

from kpi_platform.cleaned.added_lines import AddedLines
from kpi_platform.cleaned.dropped_lines import DroppedLines
from kpi_platform.cleaned.event_ledger import completed_ledger, counted_files, table_ledger
from kpi_platform.cleaned.events import EventCleaner
from kpi_platform.cleaned.mapped_rows import CONSOLE, STUDIO, MappedRows, RowAccount
from kpi_platform.engine.books.file_ledger import count_files, hour_content, read_files
from kpi_platform.engine.books.hour_fingerprints import Consumed, read_consumed
from kpi_platform.engine.books.hour_ledger import mark_failed, write_ledger
from kpi_platform.engine.books.seals import dropped_hours
from kpi_platform.engine.hour_steps import Done
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.storage.lake.lake import Lake, hours_of
from kpi_platform.storage.lake.locks import CAPTURE_LOCK, lake_lock

VERSION = "4"
LINES_AT_A_TIME = 100_000
_TRIES = 3
# What of the files must not change while their lines are read.
_STATE = ("source", "path", "content_hash", "state", "lines")
# What identifies an hour's events: an event's id stands for everything that its line says.
_CONTENT = ("source", "studio", "game", "rows", "ids_low", "ids_high")


class EventsStep:
    """The hourly work of `cleaned_events`, its quarantined lines and the rest of the ledger."""

    table = "cleaned_events"
    hours_stand_alone = True

    def __init__(
        self, lake: Lake, sources: Sources, future_limit: timedelta = timedelta(hours=24)
    ) -> None:
        self._lake = lake
        self._sources = sources.frame()
        self._mapped = MappedRows(lake, sources, future_limit)
        self._raw: dict[str, dict[datetime, Consumed]] = {}
        self._added: dict[datetime, list[str]] = {}
        self._dropped: set[datetime] = set()

    @classmethod
    def of(cls, platform: Platform, lake: Lake | None = None) -> Self:
        """The step as the settings have it, in the platform's lake or another."""
        return cls(lake or platform.lake, platform.sources, platform.settings.future_limit)

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """The contents of the raw tables, which studio and game each source belongs to, and the
        mappings of those that have one."""
        lines = read_consumed(self._lake, "raw_telemetry", hours)
        self._raw = {
            table: {
                hour: item
                for hour, item in read_consumed(self._lake, table, list(lines)).items()
                if item.rows
            }
            for table in (CONSOLE, STUDIO)
        }
        self._raw["raw_telemetry"] = lines
        ledger = hours_of(self._lake.read_hours("hour_ledger", list(lines)), list(lines))
        sources = {hour: ledger[hour]["source"] for hour in lines}
        self._dropped = dropped_hours(self._lake, list(lines))
        kept = [hour for hour in lines if hour not in self._dropped]
        self._added = self._only_added(kept, sources)
        return {
            hour: self._input(hour, sources[hour], item.content) for hour, item in lines.items()
        }

    def _only_added(
        self, hours: Sequence[datetime], sources: Mapping[datetime, pl.Series]
    ) -> dict[datetime, list[str]]:
        """The files that came to hours of which the table is known to hold all the others.

        It is known if what the table consumed last is what those others make.
        """
        added = {}
        consumed = read_consumed(self._lake, self.table, hours)
        files = read_files(self._lake, list(consumed), "telemetry")
        for hour, known in consumed.items():
            before = [file for file in files[hour] if file.rows is not None]
            new = [file.path for file in files[hour] if file.rows is None]
            content = hour_content(before)
            if before and new and self._input(hour, sources[hour], content) == known.input:
                added[hour] = new
        return added

    def _input(self, hour: datetime, sources: pl.Series, lines: str) -> str:
        # Lines that are gone are not decoded again, whatever version of ours or game they are of.
        is_dropped = hour in self._dropped
        parts = ["dropped", lines] if is_dropped else [VERSION, self._games(sources), lines]
        mapped = [
            f"{table} {found[hour].content}"
            for table, found in sorted(self._raw.items())
            if table != "raw_telemetry" and hour in found
        ]
        if mapped:
            parts += [*mapped, self._mapped.fingerprint(sources.to_list())]
        return fingerprint(*parts)

    def _games(self, sources: pl.Series) -> str:
        """A hash of the games of these sources: others cannot change what an hour holds."""
        names = pl.col("source").is_in(sources.implode())
        return content_fingerprint(self._sources.filter(names).select("source", "studio", "game"))

    def weight(self, hour: datetime) -> int:
        """Readable lines and captured rows of the hour."""
        return sum(found[hour].rows for found in self._raw.values() if hour in found)

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, [])

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' events and decode-stage quarantine, then complete their ledger."""
        with self._alone(hours):
            return self._replace(hours)

    @contextmanager
    def _alone(self, hours: Sequence[datetime]) -> Iterator[None]:
        """Which version of a row counts must not change while its hours are written."""
        if not any(hour in self._raw[STUDIO] for hour in hours):
            yield
            return
        with lake_lock(self._lake.uri, CAPTURE_LOCK):
            yield

    def _replace(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        # Asked now: they may have gone since the inputs were looked at.
        dropped = dropped_hours(self._lake, hours)
        # What is known of the hours holds for one attempt: a second one finds what it has left.
        added = {hour: paths for hour in hours if (paths := self._added.pop(hour, []))}
        done = {hour: self._done(self._kept(hour)) for hour in hours if hour in dropped}
        for hour, paths in added.items():
            if hour in done:
                continue
            found = AddedLines(self._lake, self._sources, hour).add(paths)
            if found is not None:
                done[hour] = self._done(found)
        whole = [hour for hour in hours if hour not in done]
        return done | (self._replace_whole(whole) if whole else {})

    def _kept(self, hour: datetime) -> pl.DataFrame:
        """The accounts of an hour whose lines are gone, with what can still change of it."""

        def other_lines(cleaner: EventCleaner, account: RowAccount) -> None:
            cleaner.add_all(self._console_lines([hour], cleaner, account))
            cleaner.add_all(self._studio_lines([hour], cleaner, account), are_files=False)

        return DroppedLines(self._lake, self._sources, hour).bring_up_to_date(other_lines)

    def _replace_whole(self, hours: Sequence[datetime]) -> dict[datetime, Done]:
        cleaner, account, taken = self._cleaned(hours)
        self._lake.stream_hours("cleaned_events", cleaner.events, hours, is_alone=True)
        self._write_bad(cleaner.quarantined(), hours)
        accounts, by_file = cleaner.accounts(), cleaner.file_accounts()
        count_files(
            self._lake,
            hours,
            lambda files: counted_files(
                files, taken, by_file, account.left_out_rows(), account.sealed_rows()
            ),
        )
        self._complete_ledger(accounts, account, hours)
        self._write_table_ledger(account, hours)
        self._replace_some("event_attributes", cleaner.carried(), hours)
        by_hour = hours_of(accounts, hours)
        return {hour: self._done(counted) for hour, counted in by_hour.items()}

    def _write_bad(self, bad: pl.DataFrame, hours: Sequence[datetime]) -> None:
        bad_now = self._lake.scan_hours("quarantined_events", hours)
        stored = bad_now.filter(pl.col("p_stage") == "decode")
        if bad.height or stored.head(1).collect().height:
            self._lake.replace_hours("quarantined_events", bad, hours, "p_stage = 'decode'")

    def _cleaned(self, hours: Sequence[datetime]) -> tuple[EventCleaner, RowAccount, pl.DataFrame]:
        """The hours' lines decoded, what became of rows, and the files that the lines are of."""
        for _ in range(_TRIES):
            taken = self._lake.read_hours("file_ledger", hours)
            cleaner, account = EventCleaner(self._sources), RowAccount()
            cleaner.add_all(self._lines(hours, cleaner, account))
            cleaner.add_all(self._studio_lines(hours, cleaner, account), are_files=False)
            now = self._lake.read_hours("file_ledger", hours)
            if now.select(_STATE).sort(_STATE).equals(taken.select(_STATE).sort(_STATE)):
                break
        return cleaner, account, taken

    def _done(self, accounts: pl.DataFrame) -> Done:
        found = accounts.filter(pl.col("rows") > 0).join(self._sources, on="source", how="left")
        return Done(content_fingerprint(found.select(_CONTENT)), int(found["rows"].sum()))

    def _lines(
        self, hours: Sequence[datetime], cleaner: EventCleaner, account: RowAccount
    ) -> Iterator[pl.DataFrame]:
        """Telemetry's lines as they are, rows of consoles through their mappings."""
        yield from self._lake.read_hours_in_parts("raw_telemetry", hours, LINES_AT_A_TIME)
        yield from self._console_lines(hours, cleaner, account)

    def _console_lines(
        self, hours: Sequence[datetime], cleaner: EventCleaner, account: RowAccount
    ) -> Iterator[pl.DataFrame]:
        for part in self._mapped.console_rows(hours, account):
            cleaner.add_quarantined(part.quarantined)
            yield part.lines

    def _studio_lines(
        self, hours: Sequence[datetime], cleaner: EventCleaner, account: RowAccount
    ) -> Iterator[pl.DataFrame]:
        for part in self._mapped.studio_rows(hours, account):
            cleaner.add_quarantined(part.quarantined)
            yield part.lines

    def _complete_ledger(
        self, accounts: pl.DataFrame, account: RowAccount, hours: Sequence[datetime]
    ) -> None:
        """Fill in what only decoding tells, keeping what reading the files told."""
        ledger = self._lake.read_hours("hour_ledger", hours)
        write_ledger(self._lake, completed_ledger(ledger, accounts, account), hours)

    def _write_table_ledger(self, account: RowAccount, hours: Sequence[datetime]) -> None:
        self._replace_some("table_ledger", table_ledger(account), hours)

    def _replace_some(self, table: str, rows: pl.DataFrame, hours: Sequence[datetime]) -> None:
        """Replace the hours of a table that holds nothing of most; without rows, nothing is
        written."""
        if rows.height or self._lake.read_hours(table, hours).height:
            self._lake.replace_hours(table, rows, hours)
