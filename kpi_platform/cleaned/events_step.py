"""Brings `cleaned_events` up to date for changed hours and completes their ledger rows.

Belongs here: which raw rows an hour reads and the order of its commits. Does not: how a line
becomes an event, which is `events.py`, and how a studio's row becomes a line (`conform.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Self

import polars as pl

from kpi_platform.cleaned.event_ledger import completed_ledger, table_ledger
from kpi_platform.cleaned.events import EventCleaner
from kpi_platform.cleaned.mapped_rows import CONSOLE, STUDIO, MappedRows, RowAccount
from kpi_platform.engine.hour_fingerprints import Consumed, read_consumed
from kpi_platform.engine.hour_ledger import mark_failed, write_ledger
from kpi_platform.engine.hour_steps import Done
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.sources import Sources
from kpi_platform.storage.lake.lake import Lake, hours_of
from kpi_platform.storage.lake.locks import CAPTURE_LOCK, lake_lock

VERSION = "4"
LINES_AT_A_TIME = 100_000
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
        return {hour: self._input(hour, ledger[hour]["source"]) for hour in lines}

    def _input(self, hour: datetime, sources: pl.Series) -> str:
        parts = [VERSION, self._games(sources), self._raw["raw_telemetry"][hour].content]
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
        cleaner, account = EventCleaner(self._sources), RowAccount()
        cleaner.add_all(self._lines(hours, cleaner, account))
        self._lake.stream_hours("cleaned_events", cleaner.events, hours)
        self._lake.replace_hours(
            "quarantined_events", cleaner.quarantined(), hours, "p_stage = 'decode'"
        )
        accounts = cleaner.accounts()
        self._complete_ledger(accounts, account, hours)
        self._write_table_ledger(account, hours)
        self._replace_some("event_attributes", cleaner.carried(), hours)
        by_hour = hours_of(accounts.join(self._sources, on="source", how="left"), hours)
        return {
            hour: Done(content_fingerprint(counted.select(_CONTENT)), int(counted["rows"].sum()))
            for hour, counted in by_hour.items()
        }

    def _lines(
        self, hours: Sequence[datetime], cleaner: EventCleaner, account: RowAccount
    ) -> Iterator[pl.DataFrame]:
        """Telemetry's lines as they are, rows of consoles and studios through their mappings."""
        yield from self._lake.read_hours_in_parts("raw_telemetry", hours, LINES_AT_A_TIME)
        for part in self._mapped.conformed(hours, account):
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
